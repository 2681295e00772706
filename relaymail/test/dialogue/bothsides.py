# -*- test-case-name: relaymail.test.dialogue.test_together -*-
"""
Two relays on a network in memory, the first of which gives all its mail to the
second.
"""

from __future__ import annotations

import re
from dataclasses import replace
from email import message_from_bytes
from typing import Any

from twisted.internet.protocol import ServerFactory

from relaymail.dialogue.answers import answer
from relaymail.envelopes import (
    NO_ORIGIN,
    NO_PARAMETERS,
    Client,
    Entrance,
    Envelope,
    Parameters,
    RecipientParameters,
)
from relaymail.errors import Refused
from relaymail.intake.acceptance import NetworkAcceptance
from relaymail.intake.connection import IntakeProtocol
from relaymail.intake.limits import DEFAULT_LIMITS
from relaymail.intake.server import IntakeFactory
from relaymail.route.hosts import Host, TLSNeed
from relaymail.test.intake.harness import FakeQueue
from relaymail.test.stories.harness import FIRST, SENDER, StoryTestCase, statusOf
from relaymail.testing.doubles import ADDRESS
from relaymail.testing.machine import EVERY_PORT

TO, OTHER, THIRD = "b@example.org", "c@example.org", "d@example.org"
#: It has all that a relay would put in where it is missing.
CONTENT = (
    b"From: a@example.com\r\nDate: Thu, 01 Jan 2026 00:00:00 +0000\r\n"
    b"Message-ID: <1@example.com>\r\nSubject: hi\r\n\r\n.\r\n..\r\nHello.\r\n"
)
EIGHT_BIT = CONTENT + "Grüße\r\n".encode()
#: No line of this is one of a text.
BINARY = CONTENT + b"\0\r\n.\r\nQUIT\r\n\n\r\r\n\xff" + bytes(range(256)) * 300
NAME = "mx.example.org"

_BOUNDS = frozenset({"messageSize", "recipients", "deliverBySeconds"})
_TRACE = re.compile(rb"Received: [^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*")


def payload(content: bytes) -> bytes:
    """
    Give a message without the field that the second relay put on top of it.
    """
    return _TRACE.sub(b"", content, count=1)


class There(FakeQueue):
    """
    The queue of the second relay.
    """

    isBinarySafe = True


class Recording(IntakeProtocol):
    """
    Notes what is said to it, in the pieces in which it comes.
    """

    def dataReceived(self, data: bytes) -> None:
        """
        Note it.
        """
        self.factory.heard.append(data)  # type: ignore[attr-defined]
        super().dataReceived(data)


class Picky(NetworkAcceptance):
    """
    Takes mail of the first relay, but not for everybody.
    """

    def acceptRecipient(self, client: Client, sender: str, recipient: str) -> None:
        """
        Judge.

        @raise Refused: When it is for one of those.
        """
        if recipient == THIRD:
            raise Refused(answer(550, "5.1.1", "Nobody of this name"))
        super().acceptRecipient(client, sender, recipient)


class _Entering(ServerFactory):
    """
    One entrance of an intake.
    """

    noisy = False

    def __init__(self, intake: IntakeFactory, entrance: Entrance) -> None:
        self._intake = intake
        self._entrance = entrance

    def buildProtocol(self, addr: Any) -> Any:
        """
        Make a connection.
        """
        return self._intake.buildProtocol(addr, self._entrance)


class BothSidesTestCase(StoryTestCase):
    """
    A world with two relays.

    @ivar there: The queue of the second one.
    @ivar heard: What was said to it.
    @ivar intake: What takes mail for it.
    """

    def serve(
        self,
        entrance: Entrance = Entrance.RELAY,
        acceptance: Any = None,
        host: Host | None = None,
        **options: Any,
    ) -> None:
        """
        Start the second relay, and send all mail of the first one there.

        @param host: What the first one is told of it.
        @param options: More of what an L{IntakeFactory} takes; bounds.
        """
        self.there = There()
        self.heard: list[bytes] = []
        machine = self.world.network.machine(FIRST)
        named = {name: options.pop(name) for name in list(options) if name in _BOUNDS}
        intake: Any = IntakeFactory(
            self.there,  # type: ignore[arg-type]
            acceptance or Picky(f"{ADDRESS}/32"),
            NAME,
            replace(DEFAULT_LIMITS, **named),
            clock=machine,
            **options,
        )
        intake.protocol = Recording
        intake.heard = self.heard
        self.intake = intake
        listening: Any = _Entering(intake, entrance)
        machine.listenTCP(EVERY_PORT, listening, interface=FIRST)
        self.world.zones[NAME] = {"A": [FIRST]}
        known = host or Host(NAME, tls=TLSNeed.NEVER, named=True)
        self.sendTo(known)

    def sendTo(self, host: Host) -> None:
        """
        Send all mail of the first relay to one host, over one connection.
        """
        self.set(
            smartHosts=(host,),
            recipientsPerTransaction=100,
            maxMessagesPerConnection=100,
            maxConnections=1,
        )

    def pass_(
        self,
        parameters: Parameters = NO_PARAMETERS,
        *own: RecipientParameters,
        content: bytes = CONTENT,
        to: tuple[str, ...] = (TO,),
        sender: str = SENDER,
    ) -> Envelope:
        """
        Give a message to the first relay, and some time to pass it on.

        @return: The envelope.
        """
        envelope = Envelope(sender, to, parameters, own)
        self.world.queue.add(envelope, content)
        self.world.run(5)
        return envelope

    def said(self, *verbs: bytes) -> list[bytes]:
        """
        Give the commands of some verbs that were heard.
        """
        lines = b"".join(self.heard).split(b"\r\n")
        return [each for each in lines if each.startswith(verbs)]

    def assertPassed(self, envelope: Envelope, content: bytes = CONTENT) -> None:
        """
        This came, and nothing else.
        """
        ((found, data),) = self.there.added
        # It came in there from this relay, and in here from nowhere.
        self.assertNotEqual(found.origin, NO_ORIGIN)
        self.assertEqual(replace(found, origin=NO_ORIGIN), envelope)
        self.assertTrue(payload(data) == content, f"{payload(data)[:1000]!r}")
        self.assertEmpty()

    def notice(self) -> str:
        """
        Give what programs read of the one notice, which the second relay has.
        """
        ((envelope, data),) = [each for each in self.there.added if not each[0].sender]
        self.assertEqual(envelope.recipients, (SENDER,))
        return statusOf(message_from_bytes(data))
