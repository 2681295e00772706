# -*- test-case-name: relaymail.test.dialogue.test_server -*-
"""
What a server answers (RFC 5321 4.1, 4.2, 4.3): a value that hears command lines
and gives actions.

Whoever holds the connection does the actions in their order.  After
L{AskSender}, L{AskRecipient}, L{Authenticate}, L{Respond} and L{Store} the dialogue
waits: the next line may be heard only when L{ServerDialogue.accepted},
L{ServerDialogue.challenged}, L{ServerDialogue.authenticated},
L{ServerDialogue.queued} or L{ServerDialogue.refused} has told the answer; lines that
come before that (RFC 2920) wait outside.

Rules:

  - What may be said when is the table at the end: state, verb, answer.  What
    each is answered is in L{relaymail.dialogue.serving}.
  - STARTTLS forgets everything, and bytes that came in clear behind it end the
    session (RFC 3207 4.2).
  - What is wrong for good is counted; a session that brings nothing else ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from relaymail.dialogue.actions import Actions, Answer, AskResponse, Store
from relaymail.dialogue.answers import answer, withStatus
from relaymail.dialogue.authentication import AUTH_LINE_TOO_LONG, MAX_AUTH_LINE
from relaymail.dialogue.commands import (
    LINE_TOO_LONG,
    MAX_COMMAND_LINE,
    Command,
    parseCommand,
)
from relaymail.dialogue.serving.acting import actsFor, xclientSaid
from relaymail.dialogue.serving.authenticating import (
    authSaid,
    canAuthenticate,
    responseSaid,
)
from relaymail.dialogue.serving.chunking import bdatSaid
from relaymail.dialogue.serving.hello import ehloSaid, heloSaid, starttlsSaid
from relaymail.dialogue.serving.mailing import dataSaid, mailSaid, rcptSaid
from relaymail.dialogue.serving.offers import Offer as Offer
from relaymail.dialogue.serving.others import (
    helpSaid,
    noopSaid,
    quitSaid,
    rsetSaid,
    vrfySaid,
)
from relaymail.dialogue.serving.replies import (
    AUTHENTICATED,
    BEHIND_TLS,
    IN_CHUNKS,
    IS_LMTP,
    IS_SMTP,
    LEAVING,
    LOCAL_FAILURE,
    NO_ARGUMENT,
    NO_RECIPIENTS,
    NO_RECIPIENTS_YET,
    NOT_HERE,
    RECIPIENT_OK,
    SAY_HELLO,
    SAY_LHLO,
    SAY_MAIL,
    SENDER_ALREADY,
    TIMED_OUT,
    TOO_MANY_ERRORS,
    TOO_MANY_FAILURES,
    UNKNOWN,
)
from relaymail.dialogue.serving.session import Names as Names
from relaymail.dialogue.serving.session import Session, Speaker
from relaymail.dialogue.serving.session import State as State
from relaymail.envelopes import Entrance
from relaymail.errors import Refused
from relaymail.replies import Reply

#: Commands of RFC 5321 and of extensions that are not offered.
_NOT_SPOKEN = frozenset({"EXPN", "TURN", "ETRN", "SEND", "SOML", "SAML"})
#: What follows these is not lines of SMTP: the session cannot go on.  Nor can it
#: behind the header of a proxy that is not known as one: what would be asked of its
#: client's address would be asked of its own, which may be trusted.
_NOT_SMTP = frozenset({"GET", "POST", "PUT", "CONNECT", "PROXY"})
#: The third line of such a header in version 2.
_PROXY_LINE = b"\0"
#: Who says one that is not for this kind of port has the wrong port.
_HELLOS = frozenset({"HELO", "EHLO", "LHLO"})
_NO_ARGUMENTS = frozenset({"DATA", "RSET", "QUIT", "STARTTLS"})
_BRING_NO_MAIL = frozenset(
    {"HELO", "EHLO", "LHLO", "RSET", "NOOP", "VRFY", "HELP", "AUTH", "XCLIENT"}
)
_COMMAND_STATES = frozenset(
    {State.START, State.READY, State.MAIL, State.RCPT, State.CHUNKS}
    | {State.AUTHENTICATING}
)
_SEQUENCES = {
    State.START: SAY_HELLO,
    State.READY: SAY_MAIL,
    State.MAIL: SENDER_ALREADY,
    State.RCPT: SENDER_ALREADY,
    State.CHUNKS: IN_CHUNKS,
}


_Handler = Callable[[Session, bytes], Actions]
_Table = Mapping[State, Mapping[str, _Handler]]


class ServerDialogue(Session):
    """
    One session, as whoever holds the connection uses it.
    """

    def greeting(self) -> Actions:
        """
        Open the session (RFC 5321 4.3.1).
        """
        spoken = "LMTP" if self.entrance is Entrance.LMTP else "ESMTP"
        return (Answer(answer(220, "", f"{self.offer.hostname} {spoken}")),)

    def heard(self, line: bytes, *, behind: bool = False) -> Actions:
        """
        Answer a command line.

        @param line: The line without its CRLF.
        @param behind: Whether more was received behind it already.
        """
        if self.state is State.ENDED:
            return ()
        if self._leaving:
            return self.end(LEAVING)
        try:
            if self.state is State.AUTHENTICATING:
                return responseSaid(self, line)
            if len(line) + 2 <= MAX_COMMAND_LINE:
                command = parseCommand(line)
            else:
                command = parseCommand(line, _limitOf(line))
            if command.verb == "STARTTLS" and behind:
                return self.end(BEHIND_TLS)
            return self._obey(command)
        except Refused as e:
            if line == _PROXY_LINE:
                return self.end(NOT_HERE)
            return self._wrong(e.reply)

    def overlong(self) -> Actions:
        """
        Answer a line that has no end within the limit: where the next command
        would begin is not known, so the session ends.
        """
        isResponse = self.state is State.AUTHENTICATING
        return self.end(AUTH_LINE_TOO_LONG if isResponse else LINE_TOO_LONG)

    def timedOut(self) -> Actions:
        """
        Give up a client that is too slow (RFC 5321 4.5.3.2.7).
        """
        return self.end(TIMED_OUT)

    def leave(self) -> Actions:
        """
        End the session because the service stops (RFC 5321 3.8): now if the
        client may say something, else after the answer that is due to it.
        """
        self._leaving = True
        return self.end(LEAVING) if self.state in _COMMAND_STATES else ()

    def accepted(self) -> Actions:
        """
        Tell that the sender or recipient asked for is accepted, or that the client
        is taken for another.
        """
        if self.state is State.ASKING_SENDER:
            self.state = State.MAIL
            return self._afterwards((self.senderOk,))
        if self.state is State.ASKING_CLIENT:
            actsFor(self)
            return self._afterwards(self.greeting())
        self._expect(State.ASKING_RECIPIENT)
        self.state = State.RCPT
        self.take()
        return self._afterwards((RECIPIENT_OK,))

    def queued(self, name: str) -> Actions:
        """
        Tell that the message is in the queue, and would survive a power cut.

        @param name: What it is called there.
        """
        self._expect(State.SETTLING)
        self._errors = self._idle = 0
        ends = self.ends()
        self.reset()
        text = name.encode("ascii", "replace").decode("ascii")
        ok = Answer(answer(250, "2.0.0", f"Ok: queued as {text}"))
        return self._afterwards((ok,) if ends == 1 else (ok,) * ends)

    def refused(self, reply: Reply) -> Actions:
        """
        Tell that what was asked for is refused: the sender, the recipient, the
        message, or who the client says it is.

        @param reply: The reply to give, 4yz or 5yz; any other is taken for a
            failure of this relay.
        """
        if not (reply.transient or reply.permanent):
            reply = LOCAL_FAILURE
        if self.state is State.ASKING_USER:
            return self._notAuthenticated(withStatus(reply))
        if self.state is State.ASKING_CLIENT:
            return self.end(withStatus(reply))
        times = 1
        if self.state is State.ASKING_RECIPIENT:
            self.state = State.RCPT if self.recipients else State.MAIL
        else:
            self._expect(State.ASKING_SENDER, State.SETTLING)
            if self.state is State.SETTLING:
                times = self.ends()
            self.reset()
        return self._wrong(withStatus(reply), times)

    def challenged(self, challenge: bytes) -> Actions:
        """
        Tell what the client is asked next, while it authenticates (RFC 4954 4).
        """
        self._expect(State.ASKING_USER)
        self.state = State.AUTHENTICATING
        return self._afterwards((AskResponse(challenge),))

    def authenticated(self, user: str) -> Actions:
        """
        Tell that the client is who it says it is.

        @param user: Who that is.
        """
        self._expect(State.ASKING_USER)
        self.state = State.READY
        self.user = user
        return self._afterwards((AUTHENTICATED,))

    def dataEnded(self, refusal: Reply | None = None) -> Actions:
        """
        Tell that the end of the data was read.

        @param refusal: The reply that refuses the content, if it is refused.
        """
        self._expect(State.DATA)
        if refusal is not None:
            ends = self.ends()
            self.reset()
            return self._wrong(withStatus(refusal), ends)
        self.state = State.SETTLING
        return (Store(self.envelope()),)

    def chunkEnded(self, refusal: Reply | None = None) -> Actions:
        """
        Tell that all of a chunk was read.

        @param refusal: The reply that refuses the content, if it is refused.
        """
        self._expect(State.CHUNK)
        thrownAway, self.refusal = self.refusal, None
        if thrownAway is not None:
            self.state = self.before
            return self._wrong(thrownAway, self.refusals)
        chunk = self.chunk
        assert chunk is not None
        if chunk.isLast:
            self.state = State.DATA
            return self.dataEnded(refusal)
        if refusal is not None:
            self.reset()
            return self._wrong(withStatus(refusal))
        self.state = State.CHUNKS
        taken = Reply(250, (b"2.0.0 %d octets received" % chunk.size,))
        return self._afterwards((Answer(taken),))

    def _notAuthenticated(self, reply: Reply) -> Actions:
        self.state = State.READY
        self._failures += reply.permanent
        if self._failures >= self.offer.authFailures:
            return (Answer(reply), *self.end(TOO_MANY_FAILURES))
        return self._wrong(reply)

    def _obey(self, command: Command) -> Actions:
        verb = command.verb
        if self.speaker is Speaker.PROXY and verb != "XCLIENT":
            self.speaker = Speaker.CLIENT
        if verb in _BRING_NO_MAIL and self.isTooIdle():
            return self.end(TOO_MANY_ERRORS)
        if verb in _NOT_SMTP:
            return self.end(NOT_HERE)
        table = _LMTP_TABLE if self.entrance is Entrance.LMTP else _TABLE
        handler = table[self.state].get(verb)
        if handler is None:
            raise Refused(self._whyNot(verb, table))
        if verb in _NO_ARGUMENTS and command.argument:
            raise Refused(NO_ARGUMENT)
        return handler(self, command.argument)

    def _whyNot(self, verb: str, table: _Table) -> Reply:
        if verb in _NOT_SPOKEN or (verb == "STARTTLS" and not self.offer.tls):
            return NOT_HERE
        if verb == "XCLIENT" and not self.mayActFor:
            return NOT_HERE
        if verb == "AUTH" and not canAuthenticate(self):
            return NOT_HERE
        isLMTP = self.entrance is Entrance.LMTP
        if verb not in table[State.RCPT] and verb not in table[State.READY]:
            isHello = verb in _HELLOS
            return (IS_LMTP if isLMTP else IS_SMTP) if isHello else UNKNOWN
        if verb == "DATA" and self.state is State.MAIL:
            # RFC 2033 4.2 names its code, and it is another.
            return NO_RECIPIENTS_YET if isLMTP else NO_RECIPIENTS
        if isLMTP and self.state is State.START:
            return SAY_LHLO
        return _SEQUENCES[self.state]


# What may be said in every state.
_ALWAYS: dict[str, _Handler] = {
    "RSET": rsetSaid,
    "NOOP": noopSaid,
    "VRFY": vrfySaid,
    "HELP": helpSaid,
    "QUIT": quitSaid,
    "BDAT": bdatSaid,
}
_MAIL: dict[str, _Handler] = {"MAIL": mailSaid}
_RCPT: dict[str, _Handler] = {"RCPT": rcptSaid}
_DATA: dict[str, _Handler] = {"DATA": dataSaid}
_XCLIENT: dict[str, _Handler] = {"XCLIENT": xclientSaid}
_TLS: dict[str, _Handler] = {"STARTTLS": starttlsSaid, "AUTH": authSaid}


def _limitOf(line: bytes) -> int:
    # An initial response may be as long as any (RFC 4954 4).
    isAuth = line[:5].upper() == b"AUTH "
    return MAX_AUTH_LINE if isAuth else MAX_COMMAND_LINE


def _tableOf(hello: dict[str, _Handler]) -> _Table:
    always = _ALWAYS | hello
    return {
        State.START: always | _XCLIENT,
        State.READY: always | _XCLIENT | _MAIL | _TLS,
        State.MAIL: always | _RCPT,
        State.RCPT: always | _RCPT | _DATA,
        State.CHUNKS: always,
    }


_TABLE = _tableOf({"HELO": heloSaid, "EHLO": ehloSaid})
#: RFC 2033 4.1: LHLO stands in the place of both.
_LMTP_TABLE = _tableOf({"LHLO": ehloSaid})
