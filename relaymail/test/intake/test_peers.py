# -*- test-case-name: relaymail.test.intake.test_peers -*-
"""
Tests for L{relaymail.intake.peers}.
"""

from __future__ import annotations

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from relaymail.intake.peers import hostOf, networkOf, sourceOf, tlsOf


class PeerTests(SynchronousTestCase):
    """
    What is told of a peer.
    """

    def test_host(self) -> None:
        """
        IPv4 is IPv4, however it is told; a UNIX socket has no address.
        """
        self.assertEqual(hostOf(IPv4Address("TCP", "192.0.2.1", 1)), "192.0.2.1")
        self.assertEqual(hostOf(IPv6Address("TCP", "::ffff:192.0.2.1", 1)), "192.0.2.1")
        self.assertEqual(hostOf(IPv6Address("TCP", "2001:db8::1", 1)), "2001:db8::1")
        self.assertEqual(hostOf(UNIXAddress(b"/run/x")), "")
        self.assertEqual(hostOf(None), "")

    def test_A05_sourceOfIPv6(self) -> None:
        """
        The addresses of one IPv6 network count as one.
        """
        one = sourceOf(IPv6Address("TCP", "2001:db8::1", 1))
        self.assertEqual(sourceOf(IPv6Address("TCP", "2001:db8::2:3", 9)), one)
        self.assertNotEqual(sourceOf(IPv6Address("TCP", "2001:db8:0:1::1", 1)), one)
        self.assertEqual(sourceOf(IPv6Address("TCP", "fe80::1%eth0", 1)), "fe80::/64")
        self.assertEqual(sourceOf(IPv4Address("TCP", "192.0.2.1", 1)), "192.0.2.1")

    def test_networkOf(self) -> None:
        """
        The same for an address that is text.
        """
        self.assertEqual(networkOf("192.0.2.1"), "192.0.2.1")
        self.assertEqual(networkOf("2001:db8::1"), "2001:db8::/64")
        self.assertEqual(networkOf(""), "")

    def test_clear(self) -> None:
        """
        A transport that has no TLS has no TLS version.
        """
        self.assertEqual(tlsOf(object()), "")
