# -*- test-case-name: relaymail.test.deliver.test_smtpclient -*-
"""
One session of an SMTP client: lines in and out, time, and how it ends.

What is said in a session is L{relaymail.deliver.smtpclient}'s.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import Any

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.protocol import connectionDone
from twisted.mail._except import SMTPClientError, SMTPProtocolError, SMTPTimeoutError
from twisted.protocols.basic import LineReceiver
from twisted.protocols.policies import TimeoutMixin
from twisted.python.failure import Failure
from twisted.python.util import LineLog

from relaymail.dialogue.replyreader import MalformedReply, ReplyReader
from relaymail.dialogue.transaction import Transaction
from relaymail.errors import MalformedAddress
from relaymail.prompt import promptly
from relaymail.replies import Evidence, Phase, Reply, Trouble, TroubleKind
from relaymail.route.troubles import troubleOf

#: The codes of replies that say done (RFC 5321 4.2.1).
SUCCESS = range(200, 300)
#: Whatever the server says.
ANY = range(0, 1000)
#: Why a session ends whose server says more than it was asked.
UNASKED = "the server answered what was not asked"


class Session(LineReceiver, TimeoutMixin):
    """
    A connection to a server, over which one command after the other is said.

    @cvar debug: Whether the dialogue is kept in C{log}.
    @cvar timeout: Seconds without a line from the server after which the
        connection is given up; L{None} for no such limit.
    @cvar phaseTimeouts: Where C{timeout} is L{None}: seconds for each phase
        (L{PATIENCE <relaymail.dialogue.patience.PATIENCE>}), or L{None} for
        no limit.

    @ivar identity: The name to greet with.
    @ivar log: The last lines of the dialogue, secrets left out.
    @ivar code: The code of the reply being handled, else -1.
    @ivar resp: The lines of the reply being handled.
    @ivar phase: What is going on.
    @ivar evidence: What ended the session, once it has ended.
    @ivar evidencePhase: What was going on then.
    """

    debug = True
    timeout: float | None = None
    phaseTimeouts: Mapping[Phase, float] | None = None
    phase = Phase.CONNECT
    evidence: Evidence | None = None
    evidencePhase: Phase | None = None
    transport: Any
    _transaction: Transaction | None = None
    _expected: Container[int] = ()
    _okresponse: Callable[..., Any]
    _failresponse: Callable[..., Any]

    def __init__(self, identity: bytes | str | None, logsize: int = 10) -> None:
        """
        @param identity: The name to greet with, ASCII.
        @param logsize: How many lines of the dialogue to keep.

        @raise MalformedAddress: When the name cannot stand in a command.
        """
        self.identity = checkedIdentity(identity or b"")
        self.code = -1
        self.resp: list[bytes] = []
        self.log = LineLog(logsize)
        self._failureReason: Failure | None = None
        self._reader = ReplyReader()

    # The connection.

    def connectionMade(self) -> None:
        """
        Begin to keep time.
        """
        # The message and its dot may be two writes; with Nagle's algorithm the
        # second would wait for the peer's delayed acknowledgement.
        setNoDelay = getattr(self.transport, "setTcpNoDelay", None)
        if setNoDelay is not None:
            setNoDelay(True)
        promptly(self.transport)
        if self.timeout is not None:
            self.setTimeout(self.timeout)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Let go of what the connection held.
        """
        self._failureReason = reason
        self._note(_lossEvidence(self.phase, reason))
        self.setTimeout(None)

    def timeoutConnection(self) -> None:
        """
        Give the session up, without waiting for what is still to be written:
        a peer that does not read would hold it for ever.
        """
        if self.line_mode:
            self._note(Trouble(self.phase, TroubleKind.TIMEOUT))
            self.setRawMode()
            told = b"Timeout waiting for SMTP server response"
            self.sendError(SMTPTimeoutError(-1, told, self.log.str()))
        if self.transport is not None:
            self.transport.abortConnection()

    # Lines.

    def sendLine(self, line: bytes) -> None:
        """
        Send a line, and keep it in the log.
        """
        if self.debug:
            self.log.append(b">>> " + line)
        self.transport.write(line + self.delimiter)

    def lineReceived(self, line: bytes) -> Any:
        """
        Take a line of the server's.
        """
        if self.timeout is not None:
            self.resetTimeout()
        if self.debug:
            self.log.append(b"<<< " + self._shown(line))
        try:
            reply = self._reader.read(line)
        except MalformedReply as e:
            return self._brokenOff(f"Invalid response from SMTP server: {e}")
        if reply is None:
            return None
        self.code, self.resp = reply.code, list(reply.lines)
        why = self._replyReceived(reply)
        self.code, self.resp = -1, []
        return why

    def rawDataReceived(self, data: bytes) -> None:
        """
        Take no notice of what comes once the session is over.
        """

    def lineLengthExceeded(self, line: bytes) -> None:
        """
        Close a session whose server sends a line without end.
        """
        self._brokenOff("Invalid response from SMTP server: a line without end")

    def _shown(self, line: bytes) -> bytes:
        """
        Give a line of the server's as it is kept in the log.
        """
        return line

    def _replyReceived(self, reply: Reply) -> Any:
        respond = (
            self._okresponse if reply.code in self._expected else self._failresponse
        )
        return respond(reply.code, b"\n".join(reply.lines))

    # The end.

    def sendError(self, exc: BaseException) -> None:
        """
        End the session because of an error: with QUIT where the server still
        listens, at once where it does not.

        @param exc: The error, an L{SMTPClientError
            <twisted.mail.smtp.SMTPClientError>} if it came from the dialogue.
        """
        if isinstance(exc, SMTPClientError) and not exc.isFatal:
            self._disconnectFromServer()
        else:
            self.smtpState_disconnect(-1, None)

    def smtpState_disconnect(self, code: int, resp: bytes | None) -> None:
        """
        The server said goodbye, or there is no more to say to it: close, and
        listen to nothing that comes until the connection is gone.
        """
        self.setRawMode()
        if self.transport is not None:
            self.transport.loseConnection()

    def _disconnectFromServer(self) -> None:
        self._transaction = None
        self._await(Phase.QUIT, ANY, self.smtpState_disconnect)
        self.sendLine(b"QUIT")

    def _break(self, reply: Reply, phase: Phase) -> None:
        self.phase = phase
        self._note(reply)
        self._outOfStep(f"Unexpected response from SMTP server: {reply.text}")

    def _brokenOff(self, why: str) -> None:
        self._note(Trouble(self.phase, TroubleKind.GARBAGE, why))
        self._outOfStep(why)

    def _outOfStep(self, why: str) -> None:
        # Nothing that comes now answers anything: it must not be heard.
        self.clearLineBuffer()
        self.setRawMode()
        isSending = self.phase is Phase.BODY
        self.sendError(SMTPProtocolError(-1, why, self.log.str()))
        if isSending:
            # Or the rest of the message would still be read and written.
            self.transport.abortConnection()

    # What is kept in one place.

    def _await(
        self, phase: Phase, expected: Container[int], respond: Callable[..., Any]
    ) -> None:
        self._expected, self._okresponse = expected, respond
        self._enter(phase)

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        if self.timeout is None and self.phaseTimeouts is not None:
            self.setTimeout(self.phaseTimeouts.get(phase))

    def _note(self, evidence: Evidence) -> None:
        if self.evidence is None:
            self.evidence, self.evidencePhase = evidence, self.phase

    def _hasUnread(self) -> bool:
        """
        Tell whether the server said more than was asked, a whole reply or the
        begin of one.
        """
        return bool(self._buffer or self._reader.lines)


def replyOf(code: int, resp: bytes | str | None) -> Reply:
    """
    Make a reply of what the C{smtpState_} methods are given.

    @param code: The code.
    @param resp: The text of the lines, LF between them.
    """
    text = resp.encode() if isinstance(resp, str) else resp or b""
    return Reply(code, tuple(text.split(b"\n")))


def checkedIdentity(identity: bytes | str) -> bytes:
    """
    Check a name to greet with (RFC 5321 4.1.1.1).

    @raise MalformedAddress: When it holds what would end the command, or is not
        ASCII: nothing of it is written then.
    """
    given = identity.encode("ascii") if isinstance(identity, str) else identity
    if not all(0x20 < octet < 0x7F for octet in given):
        raise MalformedAddress(
            f"{given[:80]!r} is not a name to greet with (RFC 5321 4.1.1.1); "
            "nothing was sent"
        )
    return given


def _lossEvidence(phase: Phase, reason: Failure) -> Trouble:
    if reason.check(ConnectionDone, ConnectionLost):
        return Trouble(phase, TroubleKind.LOST, reason.getErrorMessage())
    trouble = troubleOf(reason, phase)
    if trouble.kind is TroubleKind.TLS:
        # A certificate may be refused when the handshake is already over.
        return trouble
    kind = TroubleKind.TLS if phase is Phase.STARTTLS else TroubleKind.LOST
    told = f"{type(reason.value).__name__}: {reason.getErrorMessage()}"
    return Trouble(phase, kind, told)
