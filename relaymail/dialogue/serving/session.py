# -*- test-case-name: relaymail.test.dialogue.test_server -*-
"""
Where a session stands, and what every command does with it.
"""

from __future__ import annotations

from collections.abc import Container
from enum import Enum
from typing import Protocol

from relaymail.dialogue.actions import Actions, Answer, Close, DropMessage
from relaymail.dialogue.chunks import Chunk
from relaymail.dialogue.parameters import BASIC
from relaymail.dialogue.serving.offers import Offer
from relaymail.dialogue.serving.replies import LEAVING, SENDER_OK, TOO_MANY_ERRORS
from relaymail.dialogue.serving.surroundings import NOTHING_KNOWN, Surroundings
from relaymail.dialogue.xclient import ActedFor
from relaymail.envelopes import (
    NO_PARAMETERS,
    NOTHING_SAID,
    Entrance,
    Envelope,
    RecipientParameters,
)
from relaymail.replies import Reply


class State(Enum):
    """
    Where a session stands.  The value is what a person reads behind "the
    client".
    """

    START = "has not said HELO"
    READY = "may send mail"
    MAIL = "gave a sender"
    RCPT = "gave recipients"
    ASKING_SENDER = "waits for the judgement of a sender"
    ASKING_RECIPIENT = "waits for the judgement of a recipient"
    ASKING_USER = "waits for the judgement of who it is"
    AUTHENTICATING = "was asked who it is"
    ASKING_CLIENT = "waits for being taken for another"
    DATA = "sends a message"
    CHUNKS = "sent a part of a message"
    CHUNK = "sends a part of a message"
    SETTLING = "waits for the queue"
    ENDED = "was sent away or left"


class Speaker(Enum):
    """
    Who says what is heard.
    """

    PEER = "whoever has connected"
    PROXY = "a proxy, that has said for whom it speaks and nothing else since"
    CLIENT = "a client, by a proxy"


class Names(Protocol):
    """
    Knows what the addresses that a client gives stand for.
    """

    def qualify(self, address: str) -> str:
        """
        Give the address that is meant by one without a domain, or nothing.

        @raise MalformedAddress: When it is none.
        """

    def expand(self, recipient: str) -> tuple[str, ...]:
        """
        Give the addresses that stand in the place of a recipient.
        """

    def rewriteSender(self, sender: str) -> str:
        """
        Give the sender that stands in the place of another.
        """


class Session:
    """
    One session, from the greeting to its end.

    @ivar state: Where it stands.
    @ivar helo: What the client called itself, empty before HELO or EHLO.
    @ivar esmtp: Whether it said EHLO.
    @ivar offer: What is offered.
    @ivar keywords: The keywords of what was offered to this client: what only an
        extension knows is not known where the extension is not offered.
    @ivar isUnderTLS: Whether it is under TLS.
    @ivar user: Who the client has authenticated as, empty where it has not.
    @ivar actedFor: Whom it speaks for, if it said so.
    @ivar speaker: Who says what is heard.
    @ivar entrance: By which kind of port it came in.
    @ivar around: What is known of its connection.
    @ivar names: What knows the names that machines use, or L{None}.
    @ivar qualify: What knows addresses without a domain, or L{None}.
    @ivar sender: Who mail is from.
    @ivar recipients: Who it is for.
    @ivar parameters: What MAIL said beyond the sender.
    @ivar asked: The recipients that are being judged.
    @ivar askedSaid: What RCPT said beyond them.
    @ivar replies: How many replies the end of a message has: with LMTP as many as
        RCPTs were accepted (RFC 2033 4.2).
    @ivar chunk: The chunk that is read, and is not thrown away, or L{None}.
    @ivar octets: How many octets of the message came in chunks.
    @ivar refusal: What a chunk that is thrown away is answered with.
    @ivar refusals: How often.
    @ivar before: Where the session stands behind such a chunk.
    @ivar senderOk: What a sender that is accepted is answered with.
    """

    _hasSaid: bool
    _envelope: Envelope | None

    def __init__(
        self,
        offer: Offer,
        *,
        tls: bool = False,
        names: Names | None = None,
        around: Surroundings = NOTHING_KNOWN,
        entrance: Entrance = Entrance.RELAY,
    ) -> None:
        """
        @param offer: What is offered.
        @param tls: Whether the connection is under TLS from its begin.
        @param names: What knows the names that machines use; L{None}: every
            address is what it says.
        @param around: What is known of the connection.
        @param entrance: By which kind of port the client came in.
        """
        self.state = State.START
        self.helo = ""
        self.esmtp = False
        self.offer = offer
        self.keywords: Container[str] = BASIC
        self.isUnderTLS = tls
        self.user = ""
        self.entrance = entrance
        self.around = around
        self.names = names
        self.qualify = None if names is None else names.qualify
        self._errors = 0
        self._idle = 0
        self._failures = 0
        self.actedFor = ActedFor()
        self.speaker = Speaker.PEER
        self._leaving = False
        self.refusal: Reply | None = None
        self.refusals = 1
        self.before = State.START
        self._forget()

    def drop(self) -> Actions:
        """
        Forget the transaction (RFC 5321 4.1.1.5), and what there is of its message.
        """
        isBegun = self.state is State.CHUNKS
        self.reset()
        return (DropMessage(),) if isBegun else ()

    def reset(self) -> None:
        """
        Forget the transaction.
        """
        self._forget()
        self.state = State.READY if self.helo else State.START

    def end(self, reply: Reply) -> Actions:
        """
        Say the last words.
        """
        self.state = State.ENDED
        return (Answer(reply), Close())

    def envelope(self) -> Envelope:
        """
        Give the envelope of the transaction.
        """
        if self._envelope is None:
            recipients = self.recipients
            said = tuple(recipients.values()) if self._hasSaid else ()
            self._envelope = Envelope(
                self.sender,
                tuple(recipients),
                self.parameters,
                said,
                self.around.origin(),
            )
        return self._envelope

    @property
    def isSubmitting(self) -> bool:
        """
        Whether the client is one whose mail begins here (RFC 6409), rather than
        another relay.
        """
        return (
            bool(self.user)
            or self.entrance is Entrance.SUBMISSION
            or self.around.isTrusted()
        )

    @property
    def mayActFor(self) -> bool:
        """
        Whether whoever is heard may say for whom it speaks.  A proxy such as nginx
        passes on what its client says: that may not, whoever the peer is.
        """
        return self.speaker is not Speaker.CLIENT and self.around.mayActFor()

    def take(self) -> None:
        """
        Take the recipients that were judged.
        """
        said = self.askedSaid
        for recipient in self.asked:
            self.recipients[recipient] = said
        self.replies += 1
        self._envelope = None
        if said is not NOTHING_SAID:
            self._hasSaid = True

    def _forget(self) -> None:
        self.sender = ""
        self.recipients: dict[str, RecipientParameters] = {}
        self.parameters = NO_PARAMETERS
        self.asked: tuple[str, ...] = ()
        self.askedSaid = NOTHING_SAID
        self.senderOk = SENDER_OK
        self.replies = 0
        self.chunk: Chunk | None = None
        self.octets = 0
        self._hasSaid = False
        self._envelope = None

    def isTooIdle(self) -> bool:
        """
        Count a command that brings no mail.

        @return: Whether there were too many.
        """
        self._idle += 1
        self._errors += self._idle > self.offer.idleCommands
        return self._errors > self.offer.errors

    def _wrong(self, reply: Reply, times: int = 1) -> Actions:
        self._errors += reply.permanent
        if self._errors > self.offer.errors:
            return self.end(TOO_MANY_ERRORS)
        return self._afterwards((Answer(reply),) * times)

    def ends(self) -> int:
        """
        Give how many replies the end of the message has.
        """
        return self.replies if self.entrance is Entrance.LMTP else 1

    def _afterwards(self, actions: Actions) -> Actions:
        return actions + self.end(LEAVING) if self._leaving else actions

    def _expect(self, *states: State) -> None:
        if self.state not in states:
            raise RuntimeError(f"the client {self.state.value}; it was not asked this")
