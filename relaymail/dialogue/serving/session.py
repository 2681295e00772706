# -*- test-case-name: relaymail.test.dialogue.test_server -*-
"""
Where a session stands, and what every command does with it.
"""

from __future__ import annotations

from enum import Enum
from typing import Protocol

from relaymail.dialogue.actions import Actions, Answer, Close
from relaymail.dialogue.serving.offers import Offer
from relaymail.dialogue.serving.replies import LEAVING, TOO_MANY_ERRORS
from relaymail.envelopes import NO_PARAMETERS, Envelope
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
    DATA = "sends a message"
    SETTLING = "waits for the queue"
    ENDED = "was sent away or left"


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
    @ivar isUnderTLS: Whether it is under TLS.
    @ivar names: What knows the names that machines use, or L{None}.
    @ivar qualify: What knows addresses without a domain, or L{None}.
    @ivar sender: Who mail is from.
    @ivar recipients: Who it is for.
    @ivar parameters: What MAIL said beyond the sender.
    @ivar asked: The recipients that are being judged.
    """

    def __init__(
        self, offer: Offer, *, tls: bool = False, names: Names | None = None
    ) -> None:
        """
        @param offer: What is offered.
        @param tls: Whether the connection is under TLS from its begin.
        @param names: What knows the names that machines use; L{None}: every
            address is what it says.
        """
        self.state = State.START
        self.helo = ""
        self.esmtp = False
        self.offer = offer
        self.isUnderTLS = tls
        self.names = names
        self.qualify = None if names is None else names.qualify
        self._errors = 0
        self._idle = 0
        self._leaving = False
        self._forget()

    def reset(self) -> None:
        """
        Forget the transaction (RFC 5321 4.1.1.5).
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
        return Envelope(self.sender, tuple(self.recipients), self.parameters)

    def _forget(self) -> None:
        self.sender = ""
        self.recipients: dict[str, None] = {}
        self.parameters = NO_PARAMETERS
        self.asked: tuple[str, ...] = ()

    def _isTooIdle(self) -> bool:
        self._idle += 1
        self._errors += self._idle > self.offer.idleCommands
        return self._errors > self.offer.errors

    def _wrong(self, reply: Reply) -> Actions:
        self._errors += reply.permanent
        if self._errors > self.offer.errors:
            return self.end(TOO_MANY_ERRORS)
        return self._afterwards((Answer(reply),))

    def _afterwards(self, actions: Actions) -> Actions:
        return actions + self.end(LEAVING) if self._leaving else actions

    def _expect(self, *states: State) -> None:
        if self.state not in states:
            raise RuntimeError(f"the client {self.state.value}; it was not asked this")
