# -*- test-case-name: relaymail.test.test_machine -*-
"""
Tests for L{relaymail.machine}.
"""

from __future__ import annotations

import socket

from twisted.trial.unittest import SynchronousTestCase

from relaymail import machine

ROUTES = """\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 192.0.2.0
        /24 link UNICAST
     |-- 192.0.2.7
        /32 host LOCAL
     |-- 192.0.2.255
        /32 link BROADCAST
"""

INTERFACES = """\
00000000000000000000000000000001 01 80 10 80       lo
20010db8000000000000000000000007 02 40 00 80     eth0
nonsense
"""


class MachineTests(SynchronousTestCase):
    """
    Tests for what is known of this machine.
    """

    def test_ipv4(self) -> None:
        """
        Addresses of hosts are found, networks and broadcasts are not.
        """
        found = list(machine.readIPv4Table(ROUTES.splitlines()))
        self.assertEqual(found, ["192.0.2.7"])

    def test_ipv6(self) -> None:
        """
        The address of each interface is found.
        """
        found = list(machine.readIPv6Table(INTERFACES.splitlines()))
        self.assertEqual(found, ["::1", "2001:db8::7"])

    def test_noTables(self) -> None:
        """
        Where the system has no such tables, no address is known.
        """
        self.patch(machine, "IPV4_TABLE", self.mktemp())
        self.patch(machine, "IPV6_TABLE", self.mktemp())
        self.assertEqual(machine.machineAddresses(), frozenset())

    def test_names(self) -> None:
        """
        The machine's own name comes before what the resolver says.
        """
        self.patch(socket, "gethostname", lambda: "one")
        self.patch(socket, "getfqdn", lambda: "one.example.com")
        self.assertEqual(list(machine.machineNames()), ["one", "one.example.com"])
