# -*- test-case-name: relaymail.test.test_machine -*-
"""
What this machine is called, and which network addresses are its own.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from ipaddress import ip_address

#: Where Linux lists the addresses of its interfaces.
IPV4_TABLE = "/proc/net/fib_trie"
IPV6_TABLE = "/proc/net/if_inet6"

#: How much of such a table is read, in characters: thousands of addresses.
MAX_TABLE = 4_000_000


def machineNames() -> Iterator[str]:
    """
    Give the names of this machine, the one that needs no question first.
    """
    yield socket.gethostname()
    yield socket.getfqdn()


def machineAddresses() -> frozenset[str]:
    """
    Give the network addresses of this machine's interfaces, none where the
    system does not list them.
    """
    ipv4 = readIPv4Table(_lines(IPV4_TABLE))
    return frozenset([*ipv4, *readIPv6Table(_lines(IPV6_TABLE))])


def readIPv4Table(lines: Iterable[str]) -> Iterator[str]:
    """
    Find the local addresses in the kernel's table of IPv4 routes: an address
    stands on the line before the one that says it is a local host.
    """
    before = ""
    for line in lines:
        if line.strip() == "/32 host LOCAL" and before.startswith("|--"):
            yield before.removeprefix("|--").strip()
        before = line.strip()


def readIPv6Table(lines: Iterable[str]) -> Iterator[str]:
    """
    Find the addresses in the kernel's table of IPv6 interfaces: each line
    begins with 32 hexadecimal digits.
    """
    for line in lines:
        digits = line.split(" ")[0]
        if len(digits) == 32:
            yield str(ip_address(bytes.fromhex(digits)))


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="ascii", errors="replace") as table:
            return table.read(MAX_TABLE).splitlines()
    except OSError:
        return []
