# -*- test-case-name: relaymail.test.configuration.test_reaching -*-
"""
Tests for L{relaymail.configuration.reaching}.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.configuration import configure, reaching
from relaymail.configuration.endpoints import ownAddresses
from relaymail.configuration.reaching import Reach, reachOf


class ReachTests(SynchronousTestCase):
    """
    Tests for L{Reach}.
    """

    def reach(self, **said: Any) -> Reach:
        """
        Give where mail can go.
        """
        self.patch(reaching, "machineAddresses", lambda: frozenset({"192.0.2.1"}))
        usual = {"queue": "s", "hostname": "relay.example.com", "smtp": "tcp:25"}
        return reachOf(configure(**{**usual, **said}))

    def test_routes(self) -> None:
        """
        What the DNS may know has a route, as far as can be told.
        """
        reach = self.reach()
        for name in (
            "example.org",
            "[192.0.2.2]",
            "[IPv6:2001:db8::1]",
            "B\u00fccher.de",
        ):
            self.assertIsNone(reach.trouble(name))

    def test_troubles(self) -> None:
        """
        What cannot be sent, is forbidden, or comes back, has none.
        """
        reach = self.reach()
        for name, told in (
            ("", "it is no domain"),
            ("a b", "it is no domain"),
            ("[300.1.1.1]", "it is no domain"),
            ("[10.0.0.1]", "10.0.0.1 is private"),
            ("[IPv6:::ffff:10.0.0.1]", "is private"),
            ("[192.0.2.1]", "this relay itself listens on 192.0.2.1 port 25"),
            ("localhost", "itself listens on 127.0.0.1"),
            ("a.localhost", "127.0.0.1"),
            ("Relay.Example.com", "it is this relay's own name"),
        ):
            self.assertIn(told, reach.trouble(name) or "no trouble", name)

    def test_allowed(self) -> None:
        """
        A network that is allowed has a route, but never this relay itself.
        """
        reach = self.reach(allowDestinations="10.0.0.0/8, 127.0.0.0/8", mxPort=26)
        self.assertIsNone(reach.trouble("[10.0.0.1]"))
        self.assertIsNone(reach.trouble("localhost"))
        reach = self.reach(allowDestinations="127.0.0.0/8")
        self.assertIn("itself", reach.trouble("localhost") or "")

    def test_smartHosts(self) -> None:
        """
        Smart hosts get everything that can be sent, and are not this relay.
        """
        reach = self.reach(smartHosts=["mail.example.com", "relay.example.com:26"])
        for name in ("example.org", "[10.0.0.1]", "localhost", "relay.example.com"):
            self.assertIsNone(reach.trouble(name))
        self.assertIn("it is no domain", reach.trouble("a b") or "")
        self.assertEqual(list(reach.smartTroubles()), [])
        reach = self.reach(
            smartHosts=["relay.example.com", "192.0.2.1", "127.0.0.1:26"]
        )
        (first, second) = reach.smartTroubles()
        self.assertIn("relay.example.com:25 is this relay itself", first)
        self.assertIn("192.0.2.1:25 is this relay itself", second)

    def test_senderHosts(self) -> None:
        """
        Nor are those of senders; a socket is nobody's address.
        """
        reach = self.reach(
            senderHosts={
                "@a.example": ["relay.example.com", "lmtp+unix:///run/lmtp"],
                "b@b.example": "mail.example.com",
            },
            smartHosts="relay.example.com",
        )
        (first, second) = reach.smartTroubles()
        wrong = "the smart host relay.example.com:25 is this relay itself"
        self.assertTrue(first.startswith(f"delivery.smart-hosts: {wrong}"), first)
        self.assertTrue(second.startswith(f"delivery.sender-hosts: {wrong}"), second)
        self.assertEqual(len(reach.senderHosts), 3)

    def test_ownSocket(self) -> None:
        """
        A socket that this relay listens on is this relay.
        """
        smtp = ["unix:/run/mail\\:in:mode=660", "unix:address=/run/lmtp"]
        for path, isOwn in (("/run/mail:in", 1), ("/run/lmtp", 1), ("/run/other", 0)):
            reach = self.reach(smtp=smtp, smartHosts=f"lmtp+unix://{path}")
            self.assertEqual(len(list(reach.smartTroubles())), isOwn, path)

    def test_ownAddresses(self) -> None:
        """
        Addresses and ports are read from the descriptions of endpoints.
        """
        endpoints = [
            "tcp:2525:interface=127.0.0.1",
            "tcp6:port=26:interface=2001\\:db8\\:\\:1",
            "unix:/run/relay.sock",
            "systemd:domain=INET:index=0",
        ]
        self.assertEqual(
            ownAddresses(endpoints),
            (frozenset({"127.0.0.1", "2001:db8::1"}), frozenset({2525, 26})),
        )
        self.assertEqual(
            ownAddresses(["tcp:25"]), (frozenset({"0.0.0.0", "::"}), frozenset({25}))
        )
        self.assertEqual(
            ownAddresses([r"tcp:interface=\:\:1:backlog=5:port=24"]),
            (frozenset({"::1"}), frozenset({24})),
        )

    @given(st.text(max_size=20))
    @settings(max_examples=50, deadline=None)
    def test_anything(self, name: str) -> None:
        """
        Whatever is queued, what is said of it is a printable line.
        """
        for smart in ((), ("mail.example.com",)):
            self.assertTrue(
                (self.reach(smartHosts=smart).trouble(name) or "").isprintable()
            )
