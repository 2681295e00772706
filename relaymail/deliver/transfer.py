# -*- test-case-name: relaymail.test.deliver.test_smtpclient -*-
"""
What a session does for L{relaymail.dialogue.transaction}: it says the commands,
sends the message and tells how that went.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any

from twisted.internet.error import ConnectionAborted
from twisted.internet.protocol import connectionDone
from twisted.mail._except import SMTPConnectError
from twisted.python.failure import Failure
from twisted.python.util import LineLog

from relaymail.deliver.bodies import BodySender, Stuffing, stuffingFor
from relaymail.deliver.session import ANY, SUCCESS, UNASKED, Session
from relaymail.dialogue.asking import Form
from relaymail.dialogue.encodings import CannotConvert
from relaymail.dialogue.stuffing import DotStuffer
from relaymail.dialogue.transaction import (
    PARAMETERS_UNKNOWN,
    SERVICE_CLOSING,
    Action,
    Break,
    Finish,
    Say,
    SendBody,
    SendNothing,
    Transaction,
)
from relaymail.envelopes import Parameters
from relaymail.replies import Phase, Reply, Trouble, TroubleKind

#: A message up to this many bytes, of a size known beforehand, is written at
#: once rather than piece by piece as the transport asks for it.
_AT_ONCE = 65_536

_EARLY = "the server answered before it had the message"


class Transfer(Session):
    """
    A session that transfers messages.

    @cvar resetsAfterMail: Whether RSET follows every message, as the seed
        does; otherwise it follows only where a transaction was left open.

    @ivar transactions: How many messages were transferred.
    @ivar toAddresses: The recipients still to be named to the server.
    @ivar toAddressesResult: C{(address, code, resp)} for each recipient of
        the message that was answered.
    @ivar successAddresses: The recipients the server accepted.
    @ivar lastAddress: The recipient named last.
    @ivar mailFile: The message being sent.
    """

    resetsAfterMail = True
    _isPipelined = False

    if TYPE_CHECKING:
        smtpState_from: Callable[[int, bytes], Any]
        smtpState_to: Callable[[int, bytes], Any]
        smtpState_toOrData: Callable[[int, bytes], Any]
        smtpState_data: Callable[[int, bytes], Any]
        smtpState_msgSent: Callable[[int, bytes], Any]
        getMailData: Callable[[], IO[bytes]]
        getMailSize: Callable[[], int | None]
        sentMail: Callable[
            [int, bytes, int, list[tuple[Any, int, bytes]], LineLog], Any
        ]
        _transactionAt: Callable[[Phase], Transaction]
        forgivesSurplus: bool
        getMailParameters: Callable[[], Parameters]
        _cannotTake: Callable[[Trouble], None]
        _askLess: Callable[[], None]
        _sayBehind: Callable[[], bytes]
        _goOn: Callable[[], None]
        _goAway: Callable[[], None]

    def __init__(self, identity: bytes | str | None, logsize: int = 10) -> None:
        """
        @param identity: The name to greet with, ASCII.
        @param logsize: How many lines of the dialogue to keep.

        @raise MalformedAddress: When the name cannot stand in a command.
        """
        Session.__init__(self, identity, logsize)
        self.toAddresses: Iterator[Any] = iter(())
        self.toAddressesResult: list[tuple[Any, int, bytes]] = []
        self.successAddresses: list[Any] = []
        self.lastAddress: Any = None
        self.mailFile: IO[bytes] | None = None
        self.transactions = 0
        self._from: Any = None
        self._recipients: list[Any] = []
        self._finals: Sequence[Reply] = ()
        self._isOverasked = False
        self._stuffer: Stuffing = DotStuffer()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Let go of what the connection held, the message too.
        """
        Session.connectionLost(self, reason)
        self.mailFile = None

    # What the transaction wants done.

    def _perform(self, actions: Sequence[Action]) -> None:
        for action in actions:
            _PERFORM[type(action)](self, action)
        if not actions and self._transaction is not None:
            self._enter(self._transaction.phase)

    def _say(self, said: Say) -> None:
        lines, phase = said.lines, said.phase
        if not self._isPipelined and not self.forgivesSurplus and self._hasUnread():
            # It was said before this was asked.
            return self._brokenOff(UNASKED)
        if phase is Phase.MAIL:
            self._await(phase, SUCCESS, self.smtpState_to)
        elif phase is Phase.RCPT:
            self._await(phase, ANY, self.smtpState_toOrData)
            self.lastAddress = next(self.toAddresses, None)
        else:
            self._await(phase, (354,), self.smtpState_data)
        if len(lines) == 1:
            return self.sendLine(lines[0])
        if self.debug:
            for line in lines:
                self.log.append(b">>> " + line)
        self.transport.write(b"\r\n".join(lines) + b"\r\n")

    def _sayNothing(self, _: SendNothing) -> None:
        self.sendLine(b".")
        self._dotSent()

    def _finish(self, finish: Finish) -> None:
        reply, phase = finish.reply, finish.phase
        transaction, self._transaction = self._transaction, None
        if transaction is not None:
            self._noteAnswers(transaction)
            if transaction.results:
                self._noteResults(transaction)
        if finish.broken:
            self._tell(phase, reply)
            self._endAfter(reply)
            self.setRawMode()
            self.transport.abortConnection()
            return
        self.phase = phase
        if phase is Phase.MAIL and reply.code == PARAMETERS_UNKNOWN:
            needed = (transaction or _NONE).terms
            if needed.needed:
                # It offered what it does not know, and without it must not go.
                trouble = Trouble(phase, needed.lacking, reply.text)
                self._cannotTake(trouble)
                return self._afterwards(phase, reply)
        if self._isPipelined or phase is Phase.FINAL:
            return self._report(phase, reply)
        self.smtpState_msgSent(reply.code, b"\n".join(reply.lines))

    # How it went.

    def _noteAnswers(self, transaction: Transaction) -> None:
        self._finals = transaction.finals
        self._isOverasked = transaction.isOverasked
        if transaction.isBare or self._isOverasked:
            self._askLess()

    def _noteResults(self, transaction: Transaction) -> None:
        self.toAddressesResult, self.successAddresses = [], []
        answers = zip(self._recipients, transaction.results, strict=False)
        for address, (_, reply) in answers:
            self._noteResult(address, reply)

    def _noteResult(self, address: Any, reply: Reply) -> None:
        resp = b"\n".join(reply.lines)
        self.toAddressesResult.append((address, reply.code, resp))
        if reply.positive:
            self.successAddresses.append(address)

    def _report(self, phase: Phase, reply: Reply) -> None:
        self._transaction = None
        if phase is Phase.FINAL and reply.positive:
            self.transactions += 1
        self._tell(phase, reply)
        self._afterwards(phase, reply)

    def _afterwards(self, phase: Phase, reply: Reply) -> None:
        if reply.code == SERVICE_CLOSING:
            return self._sentAway(reply)
        if self.resetsAfterMail or phase in (Phase.RCPT, Phase.DATA):
            self._await(Phase.RSET, SUCCESS, self.smtpState_from)
            self._failresponse = self._resetRefused
            return self.sendLine(b"RSET")
        self._goOn()

    def _tell(self, phase: Phase, reply: Reply) -> None:
        accepted, results = len(self.successAddresses), self.toAddressesResult
        self.mailFile = None
        self.phase = phase
        if self._from is not None:
            resp = b"\n".join(reply.lines)
            self.sentMail(reply.code, resp, accepted, results, self.log)
        self.toAddressesResult, self._from = [], None

    def _endAfter(self, reply: Reply) -> None:
        # What was said of this message ends the session too (RFC 5321 3.8); the
        # messages behind it are not to blame: it is noted as between two.
        self.phase = Phase.RSET
        self._note(reply)

    def _sentAway(self, reply: Reply) -> None:
        self._endAfter(reply)
        self._goAway()

    def _resetRefused(self, code: int, resp: bytes) -> None:
        self._sentAway(Reply(code, tuple(resp.split(b"\n"))))

    # The message.

    def _beginBody(self, _: SendBody) -> None:
        if self._hasUnread():
            # Whatever that is, it must never be taken for the reply to the dot.
            return self._brokenOff(_EARLY)
        form = (self._transaction or _NONE).terms.form
        self.mailFile = file = self.getMailData()
        size = self.getMailSize()
        if form is Form.AS_IT_IS:
            self._stuffer = DotStuffer()
        else:
            isBinary = self.getMailParameters().body == "BINARYMIME"
            self._stuffer = stuffingFor(form, size, isBinary)
        isWhole = size is not None and size <= _AT_ONCE
        if isWhole and not hasOwnForm(self):
            return self._sendWhole(file)
        self._await(Phase.BODY, SUCCESS, self.smtpState_msgSent)
        if isWhole:
            return self._sendAtOnce(file)
        sending = BodySender().beginFileTransfer(
            file, self.transport, self.transformChunk
        )
        sending.addCallbacks(self._bodySent, self._bodyFailed)

    def _sendWhole(self, file: IO[bytes]) -> None:
        self.phase = Phase.BODY
        stuffer = self._stuffer
        try:
            # In one piece with its end: one packet where it fits in one.
            message = stuffer.stuff(file.read()) + stuffer.end()
        except Exception:
            return self._bodyFailed(Failure())
        self.transport.write(message + self._sayBehind())
        self._expected, self._okresponse = SUCCESS, self.smtpState_msgSent
        self._dotSent()

    def _sendAtOnce(self, file: IO[bytes]) -> None:
        try:
            body = file.read()
        except Exception:
            return self._bodyFailed(Failure())
        self.transport.write(self.transformChunk(body))
        self._bodySent(body[-1:])

    def _bodySent(self, lastsent: bytes) -> None:
        if self._transaction is None or not self.line_mode:
            # The server ended the transaction while the last piece was read.
            return
        if self._hasUnread():
            return self._brokenOff(_EARLY)
        try:
            self.finishedFileTransfer(lastsent)
        except Exception:
            return self._bodyFailed(Failure())
        if self.phase is not Phase.FINAL:
            # A subclass ended the message in its own way.
            self._dotSent()
        elif not hasOwnForm(self):
            self.transport.write(self._sayBehind())

    def _bodyFailed(self, failure: Failure) -> None:
        if self._transaction is None or not self.line_mode:
            return
        error: BaseException = failure.value or Exception()
        if isinstance(error, ConnectionAborted):
            # That the connection is gone is noted by connectionLost.
            told = b"Lost the connection while sending the message"
            error = SMTPConnectError(-1, told, self.log.str())
        else:
            cannot = isinstance(error, CannotConvert)
            kind = TroubleKind.NO_CONVERSION if cannot else TroubleKind.LOCAL
            self._note(Trouble(Phase.BODY, kind, str(error)))
        self.setRawMode()
        self.sendError(error)

    def transformChunk(self, chunk: bytes) -> bytes:
        """
        Give a piece of the message in its form on the wire, and begin to wait
        anew: a message that moves is not late (RFC 5321 4.5.3.2.5).
        """
        if self.timeout is not None:
            self.resetTimeout()
        else:
            self._enter(Phase.BODY)
        return self._stuffer.stuff(chunk)

    def finishedFileTransfer(self, lastsent: bytes) -> None:
        """
        End the message.

        @param lastsent: The last byte written.  The dot-stuffing knows better
            whether a line end is missing, unless a subclass does that itself.
        """
        tail = self._stuffer.end()
        isOpen = bool(lastsent) and lastsent != b"\n" and not tail.startswith(b"\r\n")
        if isOpen and isinstance(self._stuffer, DotStuffer):
            tail = b"\r\n" + tail
        self.transport.write(tail)
        self._dotSent()

    def _dotSent(self) -> None:
        """
        Note, once, that the next reply is that to the message.
        """
        transaction = self._transaction
        if transaction is not None and transaction.phase is Phase.BODY:
            transaction.bodySent()
        elif transaction is not None:
            # A subclass came so far by itself.
            self._transactionAt(Phase.FINAL)
        self._enter(Phase.FINAL)

    def _breakOff(self, it: Break) -> None:
        self._break(it.reply, it.phase)


# Stands for the transaction that a subclass leads by itself.
_NONE = Transaction(b"")

_PERFORM: dict[type[Action], Callable[[Transfer, Any], None]] = {
    Say: Transfer._say,
    SendBody: Transfer._beginBody,
    SendNothing: Transfer._sayNothing,
    Finish: Transfer._finish,
    Break: Transfer._breakOff,
}


_FORM = (Transfer.transformChunk, Transfer.finishedFileTransfer)


def hasOwnForm(client: Transfer) -> bool:
    """
    Tell whether somebody gives messages a form, or an end, of their own.
    """
    steps = (client.transformChunk, client.finishedFileTransfer)
    return tuple([getattr(step, "__func__", None) for step in steps]) != _FORM
