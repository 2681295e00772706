"""
Tests for L{relaymail.route.security}.
"""

from __future__ import annotations

from ipaddress import ip_network

from twisted.names import dns
from twisted.trial.unittest import SynchronousTestCase

from relaymail.errors import ConfigurationError
from relaymail.route.security import (
    MAX_NEGATIVE_TTL,
    MAX_TTL,
    Records,
    clamped,
    isSecure,
    isTrusted,
    negativeTTL,
    parseNetworks,
    shorter,
    ttlOf,
    vouched,
    weakened,
)


class SecureTests(SynchronousTestCase):
    """
    L{isSecure} and L{ttlOf} read what a lookup gave.
    """

    def test_found(self) -> None:
        """
        Records, answers that begin with records, and errors say it; what says
        nothing, such as the answers of other resolvers, is insecure.
        """
        records = Records(["x"], True, 7)
        error = vouched(KeyError(), True, 7)
        for found, secure, ttl in (
            (records, True, 7),
            ((records, [], []), True, 7),
            (error, True, 7),
            (vouched(KeyError(), False, None), False, None),
            (Records(["x"]), False, None),
            ((["x"], [], []), False, None),
            (((), (), ()), False, None),
            ((), False, None),
            (KeyError(), False, None),
            (None, False, None),
        ):
            self.assertIs(isSecure(found), secure, found)
            self.assertEqual(ttlOf(found), ttl, found)

    def test_records(self) -> None:
        """
        They are a list like any other.
        """
        self.assertEqual(Records(["a", "b"], True), ["a", "b"])
        self.assertEqual(Records(), [])

    def test_weakened(self) -> None:
        """
        What is at the end of an alias is as secure as all that led there.
        """
        for error, alias, both in (
            (True, True, True),
            (True, False, False),
            (False, True, False),
        ):
            found = weakened(vouched(KeyError(), error, 9), Records([], alias, 5))
            self.assertIs(isSecure(found), both)
            self.assertEqual(ttlOf(found), 5)

    def test_shorter(self) -> None:
        """
        The shortest time that is known counts.
        """
        self.assertEqual(shorter(None, 5, 3), 3)
        self.assertIsNone(shorter(None, None))
        self.assertIsNone(shorter())


class TimeTests(SynchronousTestCase):
    """
    Times to live are clamped.
    """

    def test_A07_clamped(self) -> None:
        """
        One of 0 is 0; with its highest bit set it is 0, too (RFC 2181 8); a long one
        is a day.
        """
        for ttl, kept in (
            (0, 0),
            (1, 1),
            (MAX_TTL, MAX_TTL),
            (MAX_TTL + 1, MAX_TTL),
            (2**31 - 1, MAX_TTL),
            (2**31, 0),
            (2**32 - 1, 0),
            (-1, 0),
            (None, 0),
        ):
            self.assertEqual(clamped(ttl), kept, ttl)

    def test_A07_negative(self) -> None:
        """
        That there is nothing holds for the smaller of the two times of the SOA record
        (RFC 2308 5), and not for long.
        """
        for ttl, minimum, kept in (
            (100, 50, 50),
            (50, 100, 50),
            (0, 100, 0),
            (86400, 86400, MAX_NEGATIVE_TTL),
            (2**31, 100, 0),
            (100, 2**31, 0),
        ):
            soa = dns.Record_SOA("a.example", "b.example", minimum=minimum)
            header = dns.RRHeader("example", dns.SOA, dns.IN, ttl, soa)
            other = dns.RRHeader("example", dns.NS, payload=dns.Record_NS("a"))
            self.assertEqual(negativeTTL([other, header]), kept, (ttl, minimum))
        self.assertIsNone(negativeTTL([other]))
        self.assertIsNone(negativeTTL([]))


class TrustTests(SynchronousTestCase):
    """
    L{isTrusted} tells whose AD is believed.
    """

    def test_A07_trusted(self) -> None:
        """
        This machine is, and what the operator named; nobody else.
        """
        named = parseNetworks(["192.0.2.0/28", "2001:db8::53", " fe80::/10"])
        for address, alone, with_ in (
            ("127.0.0.1", True, True),
            ("127.0.0.53", True, True),
            ("127.255.255.255", True, True),
            ("::1", True, True),
            ("::ffff:127.0.0.1", True, True),
            ("::ffff:192.0.2.1", False, True),
            ("192.0.2.15", False, True),
            ("192.0.2.16", False, False),
            ("2001:db8::53", False, True),
            ("2001:db8::54", False, False),
            ("fe80::1%eth0", False, True),
            ("10.0.0.1", False, False),
            ("0.0.0.0", False, False),
            ("128.0.0.1", False, False),
            ("localhost", False, False),
            ("", False, False),
        ):
            self.assertIs(isTrusted(address), alone, address)
            self.assertIs(isTrusted(address, named), with_, address)

    def test_networks(self) -> None:
        """
        They come as text or as L{ipaddress} has them.
        """
        network = ip_network("192.0.2.0/24")
        self.assertEqual(parseNetworks([network, "192.0.2.9/24"]), (network, network))
        error = self.assertRaises(ConfigurationError, parseNetworks, ["dns.example"])
        self.assertIn("'dns.example' is not the network", str(error))
