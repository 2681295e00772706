"""
Tests for L{relaymail.route.destinations}.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_network

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.names.dns import Record_MX
from twisted.trial.unittest import SynchronousTestCase

from relaymail.errors import RouteError
from relaymail.replies import Phase, TroubleKind
from relaymail.route.destinations import DestinationPolicy, removeSelf

NOT_ON_THE_INTERNET = (
    "127.0.0.1",
    "127.255.255.254",
    "10.1.2.3",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "224.0.0.1",
    "239.1.1.1",
    "0.0.0.0",
    "0.1.2.3",
    "255.255.255.255",
    "240.0.0.1",
    "100.64.0.1",
    "198.18.0.1",
    "::1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd12::1",
    "fec0::1",
    "ff02::1",
    "100::1",
)
STANDING_FOR_SUCH = (
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::127.0.0.1",
    "::ffff:0:192.168.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::8.8.8.8",
    "2002:7f00:1::808:808",
    "2002:c0a8:101::1",
    # Teredo: 10.0.0.1 with every bit turned.
    "2001:0:808:808:0:0:f5ff:fffe",
)


def _kind(policy: DestinationPolicy, address: str, port: int = 25) -> str:
    trouble = policy.trouble(address, port)
    return trouble.kind.name if trouble is not None else "fine"


class DestinationPolicyTests(SynchronousTestCase):
    """
    L{DestinationPolicy} says what may be connected to.
    """

    def test_public(self) -> None:
        """
        Addresses on the Internet are fine, in their mapped forms, too.
        """
        for address in (
            "192.0.2.1",
            "8.8.8.8",
            "2001:4860:4860::8888",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::a00:1",
        ):
            self.assertEqual(_kind(DestinationPolicy(), address), "fine", address)

    def test_A04_notOnTheInternet(self) -> None:
        """
        Loopback, private, link-local, multicast, unspecified and reserved
        addresses are refused.
        """
        for address in NOT_ON_THE_INTERNET:
            self.assertEqual(_kind(DestinationPolicy(), address), "FORBIDDEN", address)

    def test_A04_mappedForms(self) -> None:
        """
        An IPv6 address that stands for such an IPv4 address is refused.
        """
        for address in STANDING_FOR_SUCH:
            self.assertEqual(_kind(DestinationPolicy(), address), "FORBIDDEN", address)

    def test_A04_notAnAddress(self) -> None:
        """
        What is not an address is refused, in one printable line.
        """
        trouble = DestinationPolicy().trouble("127.1\n", 25)
        assert trouble is not None
        self.assertIs(trouble.kind, TroubleKind.FORBIDDEN)
        self.assertTrue(trouble.text.isprintable())
        self.assertIs(trouble.phase, Phase.CONNECT)

    def test_A04_allowed(self) -> None:
        """
        A network that is allowed is fine, in its mapped forms, too; its
        neighbours are not.
        """
        policy = DestinationPolicy((ip_network("127.0.0.0/8"), ip_network("fd12::/16")))
        self.assertEqual(_kind(policy, "127.0.0.1"), "fine")
        self.assertEqual(_kind(policy, "::ffff:127.0.0.1"), "fine")
        self.assertEqual(_kind(policy, "fd12::1"), "fine")
        self.assertEqual(_kind(policy, "fd13::1"), "FORBIDDEN")
        self.assertEqual(_kind(policy, "::1"), "FORBIDDEN")

    def test_A04_ownAddressAndPort(self) -> None:
        """
        This relay's own address and port are a loop, allowed or not; another
        port of the same address is not.
        """
        policy = DestinationPolicy(
            (ip_network("127.0.0.0/8"),),
            frozenset({"127.0.0.1", "192.0.2.1"}),
            frozenset({2525}),
        )
        for address in ("127.0.0.1", "::ffff:127.0.0.1", "192.0.2.1", "0.0.0.0", "::"):
            self.assertEqual(_kind(policy, address, 2525), "LOOP", address)
        self.assertEqual(_kind(policy, "127.0.0.1", 2526), "fine")
        self.assertEqual(_kind(policy, "127.0.0.2", 2525), "fine")
        self.assertEqual(_kind(policy, "192.0.2.1", 25), "fine")

    def test_D02_ownWildcard(self) -> None:
        """
        Who listens on every address is at every loopback address.
        """
        for wildcard in ("0.0.0.0", "::"):
            policy = DestinationPolicy(
                (ip_network("127.0.0.0/8"), ip_network("::/0")),
                frozenset({wildcard, "192.0.2.1"}),
                frozenset({25}),
            )
            for address in ("127.0.0.1", "127.9.9.9", "::1", "192.0.2.1", "0.0.0.0"):
                self.assertEqual(_kind(policy, address), "LOOP", address)
            self.assertEqual(_kind(policy, "192.0.2.2"), "fine")

    @settings(deadline=None, max_examples=50)
    @given(st.integers(0, 2**32 - 1))
    def test_A04_mappedAsPlain(self, number: int) -> None:
        """
        The mapped form of an address is judged as the address is.
        """
        plain = _kind(DestinationPolicy(), str(IPv4Address(number)))
        mapped = _kind(DestinationPolicy(), str(IPv6Address(0xFFFF << 32 | number)))
        self.assertEqual(plain, mapped)


class RemoveSelfTests(SynchronousTestCase):
    """
    L{removeSelf} keeps mail from coming back (RFC 5321 5.1).
    """

    records = (Record_MX(30, "c"), Record_MX(10, "a"), Record_MX(20, "Relay.example"))

    def test_notThere(self) -> None:
        """
        Where this relay is not a host, all others stay in their order.
        """
        self.assertEqual(removeSelf(self.records, ["x"]), list(self.records))
        self.assertEqual(removeSelf([], ["x"]), [])

    def test_better(self) -> None:
        """
        Only the hosts that are better than this relay stay.
        """
        self.assertEqual(
            removeSelf(self.records, ["other", "relay.EXAMPLE."]), [self.records[1]]
        )

    def test_equal(self) -> None:
        """
        A host of this relay's own preference goes, too.
        """
        records = [*self.records, Record_MX(20, "d")]
        self.assertEqual(removeSelf(records, ["relay.example"]), [self.records[1]])

    def test_D02_best(self) -> None:
        """
        Where this relay is the best there is no route, but a loop.
        """
        error = self.assertRaises(RouteError, removeSelf, self.records, ["A"])
        self.assertIs(error.trouble.kind, TroubleKind.LOOP)
        self.assertIs(error.trouble.phase, Phase.RESOLVE)
