# -*- test-case-name: relaymail.test.route.test_resolver -*-
"""
The address of a DNS server, as people write it.
"""

from __future__ import annotations

from ipaddress import ip_address

from relaymail.errors import ConfigurationError

#: The port of DNS servers (RFC 1035 4.2).
DNS_PORT = 53


def parseServer(server: str) -> tuple[str, int]:
    """
    Read the address of a DNS server.

    @param server: C{"IP:PORT"}, C{"[IPv6]:PORT"}, or the address alone.

    @return: The address and the port.

    @raise ConfigurationError: When it is not one.
    """
    host, port = _split(server)
    try:
        address = str(ip_address(host))
        number = int(port) if port.isascii() and port.isdigit() else 0
    except ValueError:
        number = 0
    if not 0 < number < 65536:
        raise ConfigurationError(
            f"{server!r} is not a DNS server: write its network address and port, "
            f"as 192.0.2.53:53 or [2001:db8::53]:53"
        )
    return address, number


def _split(server: str) -> tuple[str, str]:
    standard = str(DNS_PORT)
    if server.startswith("["):
        host, bracket, rest = server[1:].partition("]")
        if not rest and bracket:
            return host, standard
        return host, rest[1:] if rest.startswith(":") else ""
    if server.count(":") == 1:
        host, _, port = server.partition(":")
        return host, port
    return server, standard
