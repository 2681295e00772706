# -*- test-case-name: relaymail.test.intake.test_exchanges -*-
"""
Tests for how clients of the intake say who they are, by its hands.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import ILogObserver, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from relaymail.dialogue.answers import answer
from relaymail.envelopes import Client, Entrance
from relaymail.errors import Refused
from relaymail.identities import (
    Authenticated,
    Challenge,
    IAuthentication,
    IExchange,
)
from relaymail.intake.acceptance import NetworkAcceptance
from relaymail.test.intake.harness import CONTENT, MAIL, RCPT, STRANGER, Intake

_EHLO = b"EHLO client.example\r\n"
_DENIED = answer(535, "5.7.8", "Denied")


@implementer(IExchange)
class Exchange:
    """
    Asks for a word, and knows one user.
    """

    def __init__(self, door: Door) -> None:
        self.door = door

    def respond(self, response: bytes | None) -> Deferred[Challenge | Authenticated]:
        """
        Judge a response.
        """
        self.door.responses.append(response)
        if self.door.waits is not None:
            self.door.waits.append(Deferred(self.door.cancelled.append))
            return self.door.waits[-1]
        if response is None:
            return succeed(Challenge(b"Word:"))
        if response == b"sesame":
            return succeed(Authenticated("ali", Open()))
        if response == b"broken":
            return fail(RuntimeError("no disk"))
        return fail(Refused(_DENIED))


class Open(NetworkAcceptance):
    """
    Takes mail for everybody.
    """

    def acceptRecipient(self, client: Client, sender: str, recipient: str) -> None:
        """
        Take it.
        """


@implementer(IAuthentication)
class Door:
    """
    Lets in who knows the word.

    @ivar seen: Who came, with the channel bindings.
    @ivar responses: What was responded.
    @ivar waits: The exchanges that wait, where they do.
    @ivar cancelled: Those that were cancelled.
    """

    def __init__(self) -> None:
        self.seen: list[tuple[Client, Mapping[str, bytes]]] = []
        self.responses: list[bytes | None] = []
        self.waits: list[Deferred[Any]] | None = None
        self.cancelled: list[object] = []

    def mechanisms(
        self, isSecure: bool, bindings: Mapping[str, bytes]
    ) -> tuple[str, ...]:
        """
        Give one where others can listen, and two where they cannot.
        """
        return ("WORD", "HASH") if isSecure else ("HASH",)

    def begin(
        self, mechanism: str, client: Client, bindings: Mapping[str, bytes]
    ) -> Exchange:
        """
        Begin an exchange.
        """
        self.seen.append((client, bindings))
        return Exchange(self)


class ExchangeTests(SynchronousTestCase):
    """
    AUTH on connections.
    """

    def setUp(self) -> None:
        """
        Make an intake with a door.
        """
        self.door = Door()
        self.intake = Intake(contextFactory=object(), authentication=self.door)

    def test_whole(self) -> None:
        """
        A stranger that says the word may send mail, which says so.
        """
        peer = self.intake.connect(STRANGER)
        self.assertIn("AUTH HASH\r\n", peer.say(_EHLO))
        self.assertEqual(peer.say(b"AUTH HASH\r\n"), "334 V29yZDo=\r\n")
        self.assertTrue(peer.say(b"c2VzYW1l\r\n").startswith("235 2.7.0"))
        codes = peer.codes(MAIL + RCPT + b"DATA\r\n" + CONTENT + b".\r\n")
        self.assertEqual(codes, ["250", "250", "354", "250"])
        self.assertIn(b" with ESMTPA id ", self.intake.queue.added[0][1])
        self.assertNotIn(b"ali", self.intake.queue.added[0][1])
        client, bindings = self.door.seen[0]
        self.assertEqual((client.host, client.helo), ("192.0.2.9", "client.example"))
        self.assertEqual(bindings, {})
        self.assertEqual(self.door.responses, [None, b"sesame"])

    def test_A04_onlyThisSession(self) -> None:
        """
        What one session may do, others may not.
        """
        peer = self.intake.connect(STRANGER)
        peer.say(_EHLO + b"AUTH HASH c2VzYW1l\r\n")
        other = self.intake.connect(STRANGER)
        self.assertEqual(other.codes(_EHLO + MAIL + RCPT), ["250", "250", "550"])
        self.assertEqual(peer.codes(MAIL + RCPT), ["250", "250"])

    def test_secure(self) -> None:
        """
        Secrets may be said under TLS, on UNIX sockets, and where that is allowed.
        """
        both = "AUTH WORD HASH\r\n"
        peer = self.intake.connect(STRANGER)
        peer.say(_EHLO)
        self.assertTrue(peer.say(b"AUTH WORD\r\n").startswith("538 5.7.11"))
        peer.say(b"STARTTLS\r\n")
        self.assertIn(both, peer.say(_EHLO))
        self.assertIn(both, self.intake.connect(UNIXAddress(None)).say(_EHLO))
        open_ = Intake(authentication=self.door, allowsClearAuth=True)
        self.assertIn(both, open_.connect(STRANGER).say(_EHLO))

    def test_A02_forgotten(self) -> None:
        """
        Who a client is must be said again under TLS.
        """
        peer = self.intake.connect(STRANGER)
        peer.say(_EHLO + b"AUTH HASH c2VzYW1l\r\n")
        peer.say(b"STARTTLS\r\n")
        self.assertEqual(peer.codes(_EHLO + MAIL + RCPT), ["250", "250", "550"])

    def test_submission(self) -> None:
        """
        On a port of submission mail is taken behind AUTH only.
        """
        peer = self.intake.connect(entrance=Entrance.SUBMISSION)
        self.assertEqual(peer.codes(_EHLO + MAIL), ["250", "530"])
        peer.say(b"AUTH HASH c2VzYW1l\r\n")
        self.assertEqual(peer.codes(MAIL), ["250"])

    def test_A05_failures(self) -> None:
        """
        Who guesses is sent away.
        """
        peer = self.intake.connect(STRANGER)
        codes = peer.codes(_EHLO + b"AUTH HASH eA==\r\n" * 9)
        self.assertEqual(codes, ["250", "535", "535", "535", "421"])
        self.assertTrue(peer.wire.closed)

    def test_broken(self) -> None:
        """
        A failure of our own means: not now.
        """
        peer = self.intake.connect(STRANGER)
        peer.say(_EHLO)
        self.assertTrue(peer.say(b"AUTH HASH YnJva2Vu\r\n").startswith("454 4.7.0"))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(peer.codes(b"AUTH HASH c2VzYW1l\r\n"), ["235"])

    def test_waits(self) -> None:
        """
        What is pipelined waits for the answer, and is not taken for a response.
        """
        self.door.waits = []
        peer = self.intake.connect(STRANGER)
        self.assertEqual(peer.codes(_EHLO + b"AUTH HASH eA==\r\nNOOP\r\n"), ["250"])
        self.door.waits[0].errback(Refused(_DENIED))
        self.assertEqual(peer.codes(), ["535", "250"])

    def test_vanishes(self) -> None:
        """
        A client that hangs up is not judged any more.
        """
        self.door.waits = []
        peer = self.intake.connect(STRANGER)
        peer.say(_EHLO + b"AUTH HASH eA==\r\n")
        peer.vanish()
        self.assertEqual(len(self.door.cancelled), 1)
        self.assertEqual(self.intake.clock.getDelayedCalls(), [])

    def test_A05_longLines(self) -> None:
        """
        A response has a bound, and so have commands.
        """
        peer = self.intake.connect(STRANGER)
        peer.say(_EHLO + b"AUTH HASH\r\n")
        self.assertTrue(peer.say(b"A" * 12_000 + b"\r\n").startswith("535"))
        self.assertTrue(peer.say(b"x" * 12_000 + b"\r\n").startswith("500 5.5.2"))
        peer.say(b"AUTH HASH\r\n")
        self.assertTrue(peer.say(b"A" * 13_000).startswith("500 5.5.6"))
        self.assertTrue(peer.wire.closed)

    def test_A09_nothingIsLogged(self) -> None:
        """
        What a client says of itself is in no log.
        """
        events: list[Any] = []
        observer = cast(ILogObserver, events.append)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        peer = self.intake.connect(STRANGER)
        peer.say(_EHLO + b"AUTH HASH YnJva2Vu\r\nAUTH HASH c2VzYW1l\r\n")
        peer.say(MAIL + RCPT + b"DATA\r\n" + CONTENT + b".\r\n")
        self.flushLoggedErrors(RuntimeError)
        text = str(events)
        for secret in ("YnJva2Vu", "broken", "c2VzYW1l", "sesame"):
            self.assertNotIn(secret, text)
        self.assertIn("user=ali", text)

    def test_settingsChanged(self) -> None:
        """
        Who a session may send mail for stays what it was told; sessions that were
        told nothing follow the factory.
        """
        known, other = (self.intake.connect(STRANGER) for _ in range(2))
        known.say(_EHLO + b"AUTH HASH c2VzYW1l\r\n")
        other.say(_EHLO)
        factory = self.intake.factory
        factory.settingsChanged(
            NetworkAcceptance("192.0.2.0/24"), "relay.example", factory.limits, None
        )
        self.assertEqual(known.codes(MAIL + RCPT), ["250", "250"])
        self.assertEqual(other.codes(MAIL + RCPT), ["250", "250"])
        self.assertEqual(other.codes(b"RSET\r\nAUTH HASH c2VzYW1l\r\n")[1], "502")
