# -*- test-case-name: relaymail.test.intake.test_peers -*-
"""
What a transport tells of the peer.
"""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network

from twisted.internet.interfaces import IAddress

#: What a client of one IPv6 network may choose its addresses from, in bits.
_IPV6_SOURCE_BITS = 64


def hostOf(address: IAddress | None) -> str:
    """
    Give the network address of a peer as text, empty where it has none (as on
    a UNIX socket).  IPv4 as an IPv6 socket tells it is given as IPv4.
    """
    host = getattr(address, "host", None)
    if not isinstance(host, str):
        return ""
    return host.removeprefix("::ffff:") if "." in host else host


def sourceOf(address: IAddress | None) -> str:
    """
    Give what clients that may be one are counted under: their network
    address, in IPv6 the network of it.
    """
    return networkOf(hostOf(address))


def networkOf(host: str) -> str:
    """
    Give what clients are counted under whose network address is this text.
    """
    try:
        if not isinstance(ip_address(host), IPv6Address):
            return host
    except ValueError:
        return host
    return str(ip_network((host.partition("%")[0], _IPV6_SOURCE_BITS), strict=False))


def tlsOf(transport: object) -> str:
    """
    Give the TLS version of a transport, empty where it is in clear.
    """
    # Asked of the handle: a wrapped transport may not say that it is under TLS.
    getHandle = getattr(transport, "getHandle", None)
    handle = getHandle() if getHandle is not None else None
    version = getattr(handle, "get_protocol_version_name", None)
    return str(version()) if version is not None else ""
