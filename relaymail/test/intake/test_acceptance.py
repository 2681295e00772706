# -*- test-case-name: relaymail.test.intake.test_acceptance -*-
"""
Tests for L{relaymail.intake.acceptance}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from relaymail.envelopes import Client
from relaymail.errors import ConfigurationError, Refused
from relaymail.intake.acceptance import (
    NetworkAcceptance,
    checkRecipient,
    parseNetworks,
)
from relaymail.interfaces import IAcceptance


class CheckRecipientTests(SynchronousTestCase):
    """
    Tests for L{checkRecipient}.
    """

    client = Client("127.0.0.1", trusted=True, user="ann")

    def check(self, acceptance: Any, text: str | None) -> Any:
        """
        Judge a recipient whom a rule has a text for.
        """
        asked: list[Any] = []

        def refusal(*on: Any) -> str | None:
            asked.append(on)
            return text

        found = checkRecipient(acceptance, refusal, self.client, "a@b.example", "c@d.e")
        self.assertLessEqual(len(asked), 1)
        self.assertTrue(
            all(on == (self.client, "a@b.example", "c@d.e") for on in asked)
        )
        return found

    def test_taken(self) -> None:
        """
        What no rule refuses is taken.
        """
        self.assertIsNone(self.check(NetworkAcceptance(), None))
        nothing = checkRecipient(NetworkAcceptance(), None, self.client, "", "a@b.c")
        self.assertIsNone(nothing)

    def test_refused(self) -> None:
        """
        What a rule refuses is not, with its text; a stranger hears nothing of it.
        """
        acceptance = NetworkAcceptance()
        error = self.assertRaises(Refused, self.check, acceptance, "Not there.")
        self.assertEqual(error.reply.text, "550 5.7.1 Not there.")
        self.client = Client("192.0.2.1")
        error = self.assertRaises(Refused, self.check, acceptance, "Not there.")
        self.assertIn("Relaying denied", error.reply.text)

    def test_later(self) -> None:
        """
        The same where it takes a while to say who may write.
        """
        for text in ("Not there.", None):
            answer: Deferred[None] = Deferred()

            class Slow(NetworkAcceptance):
                def acceptRecipient(self, *on: Any, by: Any = answer) -> Any:
                    return by

            asked = self.check(Slow(), text)
            self.assertNoResult(asked)
            answer.callback(None)
            if text is None:
                self.assertIsNone(self.successResultOf(asked))
            else:
                self.failureResultOf(asked, Refused)


class NetworkAcceptanceTests(SynchronousTestCase):
    """
    Only clients in the networks may have mail relayed.
    """

    def test_interface(self) -> None:
        """
        It provides L{IAcceptance}.
        """
        self.assertTrue(verifyObject(IAcceptance, NetworkAcceptance()))

    def test_A04_default(self) -> None:
        """
        By default only this host is trusted, in all the ways IPv6 sockets tell
        IPv4 addresses.
        """
        acceptance = NetworkAcceptance()
        for host in ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"):
            self.assertTrue(acceptance.isTrusted(host), host)
        for host in (
            "192.0.2.1", "::ffff:192.0.2.1", "::2", "10.0.0.1", "", "localhost",
            "127.0.0.1.example", "0x7f000001", "::127.0.0.1",
        ):  # fmt: skip
            self.assertFalse(acceptance.isTrusted(host), host)

    def test_A04_networks(self) -> None:
        """
        Networks given are trusted, and no address beside them.
        """
        acceptance = NetworkAcceptance(
            "192.0.2.0/24, 2001:db8::/32 ::ffff:10.0.0.0/104"
        )
        for host in ("192.0.2.255", "2001:db8:1::", "10.1.2.3", "::ffff:10.1.2.3"):
            self.assertTrue(acceptance.isTrusted(host), host)
        for host in ("192.0.3.0", "2001:db9::", "11.0.0.0", "127.0.0.1"):
            self.assertFalse(acceptance.isTrusted(host), host)

    def test_A04_strangersAreRefused(self) -> None:
        """
        A recipient from elsewhere is refused, whatever the address looks like;
        any sender may try.
        """
        acceptance = NetworkAcceptance()
        stranger = Client("192.0.2.1")
        acceptance.acceptSender(stranger, "a@b")
        for recipient in (
            "c@d",
            "u%d@relay.example",
            '"u@d"@relay.example',
            "c@[127.0.0.1]",
        ):
            refused = self.assertRaises(
                Refused, acceptance.acceptRecipient, stranger, "a@b", recipient
            )
            self.assertEqual(refused.reply.text, "550 5.7.1 Relaying denied")

    def test_A04_trusted(self) -> None:
        """
        Clients from the networks and those that came in a trusted way may.
        """
        acceptance = NetworkAcceptance()
        acceptance.acceptRecipient(Client("127.0.0.1"), "a@b", "c@d")
        acceptance.acceptRecipient(Client("", trusted=True), "a@b", "c@d")

    def test_malformed(self) -> None:
        """
        What is not a network is told in one sentence that names it.
        """
        for text in ("example.com", "127.0.0.1/8", "::1,10.0.0.0/33", "1.2.3"):
            error = self.assertRaises(ConfigurationError, parseNetworks, text)
            self.assertIn("is not a network", str(error))
            self.assertNotIn("\n", str(error))
        self.assertEqual(parseNetworks(" , "), ())
