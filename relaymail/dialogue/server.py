# -*- test-case-name: relaymail.test.dialogue.test_server -*-
"""
What a server answers (RFC 5321 4.1, 4.2, 4.3): a value that hears command lines
and gives actions.

Whoever holds the connection does the actions in their order.  After
L{AskSender}, L{AskRecipient} and L{Store} the dialogue waits: the next line may
be heard only when L{ServerDialogue.accepted}, L{ServerDialogue.queued} or
L{ServerDialogue.refused} has told the answer; lines that come before that
(RFC 2920) wait outside.

Rules:

  - What may be said when is the table at the end: state, verb, answer.
  - Every reply has an enhanced status code (RFC 2034), those of the greeting,
    of HELO, of EHLO and of DATA's go-ahead excepted.
  - STARTTLS forgets everything, and bytes that came in clear behind it end the
    session (RFC 3207 4.2).
  - What is wrong for good is counted; a session that brings nothing else ends.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from relaymail.dialogue.actions import (
    Actions,
    Answer,
    AskRecipient,
    AskSender,
    Close,
    StartTLS,
    Store,
    TakeData,
)
from relaymail.dialogue.answers import answer, withStatus
from relaymail.dialogue.commands import (
    LINE_TOO_LONG,
    Command,
    parseCommand,
    parseHelo,
    parseMail,
    parseRcpt,
)
from relaymail.envelopes import Envelope, Parameters
from relaymail.errors import Refused
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


@dataclass(frozen=True, slots=True)
class Offer:
    """
    What a server offers and how much it bears.

    @ivar hostname: Its own name.
    @ivar messageSize: The largest message, in octets; 0 for any.
    @ivar recipients: The most recipients of one message (RFC 5321 4.5.3.1.8).
    @ivar errors: The most errors since the last message taken.
    @ivar idleCommands: The most commands that bring no mail since the last
        message taken; each more is an error.
    @ivar tls: Whether STARTTLS can be had.
    """

    hostname: str
    messageSize: int = 10_240_000
    recipients: int = 1000
    errors: int = 20
    idleCommands: int = 100
    tls: bool = False


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


_OK = Answer(answer(250, "2.0.0", "Ok"))
_SENDER_OK = Answer(answer(250, "2.1.0", "Sender ok"))
_RECIPIENT_OK = Answer(answer(250, "2.1.5", "Recipient ok"))
_GO_AHEAD = Answer(answer(354, "", "Send the message, end it with a dot alone"))
_CANNOT_VERIFY = Answer(answer(252, "2.0.0", "Cannot verify; try to send to it"))
_HELP = Answer(
    answer(214, "2.0.0", "HELO EHLO MAIL RCPT DATA RSET NOOP VRFY HELP QUIT STARTTLS")
)
_BEGIN_TLS = Answer(answer(220, "2.0.0", "Begin TLS"))
_SEQUENCES = {
    State.START: answer(503, "5.5.1", "Say HELO or EHLO first"),
    State.READY: answer(503, "5.5.1", "Say MAIL first"),
    State.MAIL: answer(503, "5.5.1", "There is a sender already"),
    State.RCPT: answer(503, "5.5.1", "There is a sender already"),
}
_NO_RECIPIENTS = answer(554, "5.5.1", "There is no valid recipient")
_UNKNOWN = answer(500, "5.5.1", "The command is not known")
_NOT_HERE = answer(502, "5.5.1", "The command is not spoken here")
_NO_ARGUMENT = answer(501, "5.5.4", "The command takes no argument")
_NEEDS_ARGUMENT = answer(501, "5.5.4", "The command needs an argument")
_TOO_LARGE = answer(552, "5.3.4", "The message is larger than is taken here")
_TOO_MANY_RECIPIENTS = answer(452, "4.5.3", "Too many recipients for one message")
_TLS_ALREADY = answer(503, "5.5.1", "TLS is on already")
_BEHIND_TLS = answer(503, "5.5.1", "Nothing may come in clear behind STARTTLS")
_TOO_MANY_ERRORS = answer(421, "4.7.0", "Too many errors")
_TIMED_OUT = answer(421, "4.4.2", "Waited too long")
_LEAVING = answer(421, "4.3.2", "The service is going down")

#: Commands of RFC 5321 and of extensions that are not offered.
_NOT_SPOKEN = frozenset({"EXPN", "TURN", "ETRN", "AUTH", "SEND", "SOML", "SAML"})
#: What follows these is not lines of SMTP: the session cannot go on.
_NOT_SMTP = frozenset({"BDAT", "GET", "POST", "PUT", "CONNECT"})
_NO_ARGUMENTS = frozenset({"DATA", "RSET", "QUIT", "STARTTLS"})
_BRING_NO_MAIL = frozenset({"HELO", "EHLO", "RSET", "NOOP", "VRFY", "HELP"})
_COMMAND_STATES = frozenset({State.START, State.READY, State.MAIL, State.RCPT})


class ServerDialogue:
    """
    One session, from the greeting to its end.

    @ivar state: Where it stands.
    @ivar helo: What the client called itself, empty before HELO or EHLO.
    @ivar esmtp: Whether it said EHLO.
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
        self._offer = offer
        self._tls = tls
        self._names = names
        self._qualify = None if names is None else names.qualify
        self._errors = 0
        self._idle = 0
        self._leaving = False
        self._forget()

    def greeting(self) -> Actions:
        """
        Open the session (RFC 5321 4.3.1).
        """
        return (Answer(answer(220, "", f"{self._offer.hostname} ESMTP")),)

    def heard(self, line: bytes, *, behind: bool = False) -> Actions:
        """
        Answer a command line.

        @param line: The line without its CRLF.
        @param behind: Whether more was received behind it already.
        """
        if self.state is State.ENDED:
            return ()
        if self._leaving:
            return self._end(_LEAVING)
        try:
            command = parseCommand(line)
            if command.verb == "STARTTLS" and behind:
                return self._end(_BEHIND_TLS)
            return self._obey(command)
        except Refused as e:
            return self._wrong(e.reply)

    def overlong(self) -> Actions:
        """
        Answer a line that has no end within the limit: where the next command
        would begin is not known, so the session ends.
        """
        return self._end(LINE_TOO_LONG)

    def timedOut(self) -> Actions:
        """
        Give up a client that is too slow (RFC 5321 4.5.3.2.7).
        """
        return self._end(_TIMED_OUT)

    def leave(self) -> Actions:
        """
        End the session because the service stops (RFC 5321 3.8): now if the
        client may say something, else after the answer that is due to it.
        """
        self._leaving = True
        return self._end(_LEAVING) if self.state in _COMMAND_STATES else ()

    def accepted(self) -> Actions:
        """
        Tell that the sender or recipient asked for is accepted.
        """
        if self.state is State.ASKING_SENDER:
            self.state = State.MAIL
            return self._afterwards((_SENDER_OK,))
        self._expect(State.ASKING_RECIPIENT)
        self.state = State.RCPT
        for recipient in self._asked:
            self._recipients[recipient] = None
        return self._afterwards((_RECIPIENT_OK,))

    def queued(self, name: str) -> Actions:
        """
        Tell that the message is in the queue, and would survive a power cut.

        @param name: What it is called there.
        """
        self._expect(State.SETTLING)
        self._errors = self._idle = 0
        self._reset()
        text = name.encode("ascii", "replace").decode("ascii")
        ok = Answer(answer(250, "2.0.0", f"Ok: queued as {text}"))
        return self._afterwards((ok,))

    def refused(self, reply: Reply) -> Actions:
        """
        Tell that what was asked for is refused: the sender, the recipient, or
        the message.

        @param reply: The reply to give, 4yz or 5yz; any other is taken for a
            failure of this relay.
        """
        if not (reply.transient or reply.permanent):
            reply = answer(451, "4.3.0", "A failure of this relay")
        if self.state is State.ASKING_RECIPIENT:
            self.state = State.RCPT if self._recipients else State.MAIL
        else:
            self._expect(State.ASKING_SENDER, State.SETTLING)
            self._reset()
        return self._wrong(withStatus(reply))

    def dataEnded(self, refusal: Reply | None = None) -> Actions:
        """
        Tell that the end of the data was read.

        @param refusal: The reply that refuses the content, if it is refused.
        """
        self._expect(State.DATA)
        if refusal is not None:
            self._reset()
            return self._wrong(withStatus(refusal))
        self.state = State.SETTLING
        return (Store(self._envelope()),)

    def _obey(self, command: Command) -> Actions:
        verb = command.verb
        if verb in _BRING_NO_MAIL:
            self._idle += 1
            self._errors += self._idle > self._offer.idleCommands
            if self._errors > self._offer.errors:
                return self._end(_TOO_MANY_ERRORS)
        if verb in _NOT_SMTP:
            return self._end(_NOT_HERE)
        handler = _TABLE[self.state].get(verb)
        if handler is None:
            raise Refused(self._whyNot(verb))
        if verb in _NO_ARGUMENTS and command.argument:
            raise Refused(_NO_ARGUMENT)
        return handler(self, command.argument)

    def _whyNot(self, verb: str) -> Reply:
        if verb in _NOT_SPOKEN or (verb == "STARTTLS" and not self._offer.tls):
            return _NOT_HERE
        if verb not in _TABLE[State.RCPT] and verb not in _TABLE[State.READY]:
            return _UNKNOWN
        if verb == "DATA" and self.state is State.MAIL:
            return _NO_RECIPIENTS
        return _SEQUENCES[self.state]

    def _heloSaid(self, argument: bytes) -> Actions:
        self._meet(argument, esmtp=False)
        return (Answer(answer(250, "", self._offer.hostname)),)

    def _ehloSaid(self, argument: bytes) -> Actions:
        self._meet(argument, esmtp=True)
        size = self._offer.messageSize
        keywords = ["PIPELINING", f"SIZE {size}" if size else "SIZE", "8BITMIME"]
        if self._offer.tls and not self._tls:
            keywords.append("STARTTLS")
        keywords.append("ENHANCEDSTATUSCODES")
        return (Answer(answer(250, "", self._offer.hostname, *keywords)),)

    def _meet(self, argument: bytes, *, esmtp: bool) -> None:
        self.helo = parseHelo(argument)
        self.esmtp = esmtp
        self._reset()

    def _mailSaid(self, argument: bytes) -> Actions:
        mail = parseMail(argument, self._qualify)
        limit = self._offer.messageSize
        if limit and mail.size is not None and mail.size > limit:
            raise Refused(_TOO_LARGE)
        names, sender = self._names, mail.sender
        self._sender = sender if names is None else names.rewriteSender(sender)
        self._parameters = Parameters(mail.body)
        self.state = State.ASKING_SENDER
        return (AskSender(self._sender),)

    def _rcptSaid(self, argument: bytes) -> Actions:
        names, known = self._names, self._recipients
        recipient = parseRcpt(argument, self._offer.hostname, self._qualify)
        found = (recipient,) if names is None else names.expand(recipient)
        self._asked = tuple(each for each in found if each not in known)
        if not self._asked:
            # Once is enough: a second name for it would be a second copy.
            return (_RECIPIENT_OK,)
        if len(known) + len(self._asked) > self._offer.recipients:
            raise Refused(_TOO_MANY_RECIPIENTS)
        self.state = State.ASKING_RECIPIENT
        return (AskRecipient(self._sender, recipient),)

    def _dataSaid(self, argument: bytes) -> Actions:
        self.state = State.DATA
        return (_GO_AHEAD, TakeData(self._envelope()))

    def _rsetSaid(self, argument: bytes) -> Actions:
        self._reset()
        return (_OK,)

    def _noopSaid(self, argument: bytes) -> Actions:
        return (_OK,)

    def _vrfySaid(self, argument: bytes) -> Actions:
        if not argument:
            raise Refused(_NEEDS_ARGUMENT)
        return (_CANNOT_VERIFY,)

    def _helpSaid(self, argument: bytes) -> Actions:
        return (_HELP,)

    def _quitSaid(self, argument: bytes) -> Actions:
        return self._end(answer(221, "2.0.0", f"{self._offer.hostname} closes"))

    def _starttlsSaid(self, argument: bytes) -> Actions:
        if self._tls:
            raise Refused(_TLS_ALREADY)
        if not self._offer.tls:
            raise Refused(_NOT_HERE)
        # RFC 3207 4.2: the session begins anew, its errors excepted.
        self.helo = ""
        self.esmtp = False
        self._tls = True
        self._reset()
        return (_BEGIN_TLS, StartTLS())

    def _envelope(self) -> Envelope:
        return Envelope(self._sender, tuple(self._recipients), self._parameters)

    def _forget(self) -> None:
        self._sender = ""
        self._recipients: dict[str, None] = {}
        self._parameters = Parameters()
        self._asked = ()

    def _reset(self) -> None:
        self._forget()
        self.state = State.READY if self.helo else State.START

    def _wrong(self, reply: Reply) -> Actions:
        self._errors += reply.permanent
        if self._errors > self._offer.errors:
            return self._end(_TOO_MANY_ERRORS)
        return self._afterwards((Answer(reply),))

    def _afterwards(self, actions: Actions) -> Actions:
        return actions + self._end(_LEAVING) if self._leaving else actions

    def _end(self, reply: Reply) -> Actions:
        self.state = State.ENDED
        return (Answer(reply), Close())

    def _expect(self, *states: State) -> None:
        if self.state not in states:
            raise RuntimeError(f"the client {self.state.value}; it was not asked this")


_Handler = Callable[[ServerDialogue, bytes], Actions]

# What may be said in every state.
_ALWAYS: dict[str, _Handler] = {
    "HELO": ServerDialogue._heloSaid,
    "EHLO": ServerDialogue._ehloSaid,
    "RSET": ServerDialogue._rsetSaid,
    "NOOP": ServerDialogue._noopSaid,
    "VRFY": ServerDialogue._vrfySaid,
    "HELP": ServerDialogue._helpSaid,
    "QUIT": ServerDialogue._quitSaid,
}
_MAIL: dict[str, _Handler] = {"MAIL": ServerDialogue._mailSaid}
_RCPT: dict[str, _Handler] = {"RCPT": ServerDialogue._rcptSaid}
_DATA: dict[str, _Handler] = {"DATA": ServerDialogue._dataSaid}
_TLS: dict[str, _Handler] = {"STARTTLS": ServerDialogue._starttlsSaid}

_TABLE: dict[State, dict[str, _Handler]] = {
    State.START: _ALWAYS,
    State.READY: _ALWAYS | _MAIL | _TLS,
    State.MAIL: _ALWAYS | _RCPT,
    State.RCPT: _ALWAYS | _RCPT | _DATA,
}
