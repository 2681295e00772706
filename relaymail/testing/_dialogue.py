# -*- test-case-name: relaymail.test.testing.test_clients -*-
"""
One session of a scripted client; see L{relaymail.testing.clients}.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure

from relaymail.testing._submissions import (
    Drop,
    Mail,
    Manner,
    ResetAfterDot,
    Stall,
    State,
    Submission,
)

#: The longest line of a reply, in bytes; RFC 5321 4.5.3.1.5 allows for 512.
MAX_LINE = 10_000
#: How many lines a reply has at most, and how many replies wait to be asked for.
MAX_REPLY_LINES = 1000
MAX_REPLIES = 10_000
#: How many exchanges are kept for one message: those of more recipients than a
#: server takes.
MAX_EXCHANGES = 5000

_LINE = re.compile(r"([2-5][0-9]{2})([ -]|\Z)")


class _Over(Exception):
    """
    The session is over.
    """


@dataclass(slots=True)
class _Draft:
    """
    What is known of a message so far.
    """

    mail: Mail
    answers: list[str] = field(default_factory=list)
    refusal: str = ""
    written: int = 0
    isBlind: bool = False
    reply: str | None = None

    def submission(self, **more: Any) -> Submission:
        """
        Say what became of it.
        """
        state = self._state()
        accepted, perhaps, refused = [], [], []
        for recipient, answer in zip(self.mail.recipients, self._padded(), strict=True):
            if not (self.isBlind or _isYes(answer)):
                refused.append((recipient, answer or self.refusal))
            elif state is State.TAKEN:
                accepted.append(recipient)
            elif state is State.UNKNOWN:
                perhaps.append(recipient)
            else:
                refused.append((recipient, self.reply or self.refusal))
        return Submission(
            self.mail,
            state,
            tuple(accepted),
            tuple(perhaps),
            tuple(refused),
            self.reply,
            **more,
        )

    @property
    def isSent(self) -> bool:
        """
        Whether all of the content was written: the server may have it.
        """
        return self.written >= len(self.mail.data)

    def _padded(self) -> list[str]:
        missing = len(self.mail.recipients) - len(self.answers)
        return [*self.answers, *[""] * missing]

    def _state(self) -> State:
        isAccepted = self.isBlind or any(map(_isYes, self.answers))
        if self.refusal or not (isAccepted or "" in self._padded()):
            return State.REFUSED
        if self.reply is not None:
            return State.TAKEN if _isYes(self.reply) else State.REFUSED
        return State.UNKNOWN if self.isSent else State.UNSENT


class Dialogue(LineReceiver):
    """
    One session.

    @ivar done: Fires with what became of each message.
    """

    MAX_LENGTH = MAX_LINE
    transport: Any
    _log = Logger()

    def __init__(self, reactor: Any, mails: Sequence[Mail], manner: Manner) -> None:
        self.done: Deferred[list[Submission]] = Deferred()
        self._reactor = reactor
        self._mails = deque(mails)
        self._manner = manner
        self._submissions: list[Submission] = []
        self._exchanges: list[tuple[str, str]] = []
        self._lines: list[str] = []
        self._replies: deque[str] = deque()
        self._waiting: Deferred[str] | None = None
        self._pause: Deferred[None] | None = None
        self._calls: dict[str, Any] = {}
        self._reason = ""
        self._canPipeline = False

    # What the factory and the transport say.

    def limit(self, seconds: float) -> None:
        """
        Break the connection after some time.
        """
        if not self.done.called:
            self._calls["limit"] = self._reactor.callLater(
                seconds, self._timedOut, seconds
            )

    def notConnected(self, reason: Failure) -> None:
        """
        There is no connection, and will be none.
        """
        self._end(f"no connection: {reason.getErrorMessage()}")
        self._finish()

    def connectionMade(self) -> None:
        """
        Begin.
        """
        if self.done.called:
            self.transport.abortConnection()
            return
        self.transport.setTcpNoDelay(True)
        if self._manner.isDeaf:
            self.transport.pauseProducing()
        Deferred.fromCoroutine(self._run()).addErrback(self._failed)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        End what was under way.
        """
        self._end(f"connection lost: {reason.getErrorMessage()}")
        self._finish()

    def lineReceived(self, line: bytes) -> None:
        """
        Take a line of a reply.
        """
        if self._reason:
            return
        text = line.decode("latin-1")
        self._lines.append(text)
        found = _LINE.match(text)
        if found is None or len(self._lines) > MAX_REPLY_LINES:
            self._giveUp(f"what was said is no reply: {text[:100]!r}")
        elif found[2] != "-":
            reply, self._lines = "\n".join(self._lines), []
            self._replies.append(reply)
            self._tell()
            if len(self._replies) > MAX_REPLIES:
                self._giveUp("too many replies")

    def lineLengthExceeded(self, line: bytes) -> None:
        """
        Break the connection.
        """
        self._giveUp("a line is too long")

    def _timedOut(self, seconds: float) -> None:
        if self.transport is None:
            self.notConnected(Failure(_Over(f"it took more than {seconds} s")))
        else:
            self._giveUp(f"the session took more than {seconds} s")

    def _giveUp(self, reason: str) -> None:
        self._end(reason)
        self.transport.abortConnection()

    def _end(self, reason: str) -> None:
        """
        Let nothing go on.
        """
        self._reason = self._reason or reason
        self._tell()
        pause, self._pause = self._pause, None
        if pause is not None:
            pause.errback(_Over())

    def _finish(self) -> None:
        """
        Say what became of everything, the connection being no more.
        """
        calls, self._calls = self._calls, {}
        for call in calls.values():
            if call.active():
                call.cancel()
        while self._mails:
            self._settle(_Draft(self._mails.popleft()))
        if not self.done.called:
            self.done.callback(self._submissions)

    def _failed(self, failure: Failure) -> None:
        if failure.check(_Over) is None:
            self._log.failure("a scripted client failed", failure=failure)
            self._giveUp(f"the client failed: {failure.value}")

    # The dialogue.

    async def _run(self) -> None:
        if self._manner.isDeaf:
            await self._shout()
            return
        await self._expect("CONNECT", "2")
        await self._greet()
        if self._manner.contextFactory is not None:
            await self._startTLS()
            await self._greet()
        while self._mails:
            await self._give(_Draft(self._mails.popleft()))
        self.sendLine(b"QUIT")
        self._note("QUIT", await self._read())
        self.transport.loseConnection()

    async def _greet(self) -> None:
        reply = await self._say(self._manner.hello, "2")
        words = {line[4:].upper() for line in reply.split("\n")[1:]}
        self._canPipeline = self._manner.isPipelining and "PIPELINING" in words

    async def _startTLS(self) -> None:
        await self._say("STARTTLS", "220")
        # What came in clear behind it is nobody's word (RFC 3207 6).
        self._replies.clear()
        self.clearLineBuffer()
        self.transport.startTLS(self._manner.contextFactory)

    async def _give(self, draft: _Draft) -> None:
        """
        Go through one transaction, and settle it whatever happens.
        """
        try:
            await self._transact(draft)
            if self._mails and draft.submission().state is not State.TAKEN:
                await self._say("RSET", "2")
        finally:
            self._settle(draft)

    async def _transact(self, draft: _Draft) -> None:
        lines = _envelope(draft.mail)
        window = len(lines) if self._canPipeline else 1
        replies: list[str] = []
        while len(replies) < len(lines):
            group = lines[len(replies) : len(replies) + window]
            self.transport.write("".join(f"{line}\r\n" for line in group).encode())
            for line in group:
                reply = await self._read()
                replies.append(reply)
                self._note(line, reply)
                self._learn(draft, line, reply)
            if window == 1 and self._isDecided(draft, lines, replies):
                return
        if not replies[-1].startswith("354"):
            draft.refusal = draft.refusal or replies[-1]
            return
        await self._sendContent(draft)
        reply = await self._read()
        self._note(".", reply)
        draft.reply = reply

    def _learn(self, draft: _Draft, line: str, reply: str) -> None:
        if line.startswith("MAIL") and not _isYes(reply):
            draft.refusal = reply
        elif line.startswith("RCPT"):
            # Without a sender no recipient is meant.
            draft.answers.append(draft.refusal or reply)

    def _isDecided(self, draft: _Draft, lines: list[str], replies: list[str]) -> bool:
        """
        Tell whether nothing is left to be said: MAIL was refused, or all
        recipients.
        """
        isLast = len(replies) == len(lines) - 1
        return bool(draft.refusal) or (isLast and not any(map(_isYes, draft.answers)))

    async def _sendContent(self, draft: _Draft) -> None:
        if draft.refusal or not any(map(_isYes, draft.answers)):
            # A server that says 354 for nobody gets nothing (RFC 2920 3.1).
            self.transport.write(b".\r\n")
            return
        # What came with the 354 is read first.
        await self._wait(0)
        data, misdeed = draft.mail.data, draft.mail.misdeed
        stop = misdeed.after if isinstance(misdeed, Drop | Stall) else len(data)
        await self._write(draft, data[:stop])
        if isinstance(misdeed, Drop):
            self._end("the client closed the connection within the content")
            self.transport.loseConnection()
            raise _Over
        if isinstance(misdeed, Stall):
            await self._wait(misdeed.seconds)
            await self._write(draft, data[stop:])
        if isinstance(misdeed, ResetAfterDot):
            self.transport.pauseProducing()
            await self._wait(misdeed.seconds)
            self._giveUp("the client broke the connection after the dot")
            raise _Over

    async def _shout(self) -> None:
        """
        Say everything without listening.
        """
        self.sendLine(self._manner.hello.encode())
        while self._mails:
            draft = _Draft(self._mails.popleft(), isBlind=True)
            lines = "".join(f"{line}\r\n" for line in _envelope(draft.mail))
            self.transport.write(lines.encode())
            try:
                await self._write(draft, draft.mail.data)
            finally:
                self._settle(draft)

    async def _write(self, draft: _Draft, data: bytes) -> None:
        """
        Write a part of the content, piece by piece.
        """
        piece = self._manner.piece or max(len(data), 1)
        for start in range(0, len(data), piece):
            if start:
                await self._wait(self._manner.pace)
            if self._replies:
                self._interrupted(draft)
            draft.written += len(data[start : start + piece])
            self.transport.write(data[start : start + piece])

    def _interrupted(self, draft: _Draft) -> None:
        """
        End the session, for the server has said something before its time.
        """
        reply = self._replies.popleft()
        self._note("", reply)
        if not _isYes(reply):
            draft.refusal = reply
        self._giveUp(f"the server said {reply!r} before the end of the content")
        raise _Over

    # Its words.

    async def _say(self, line: str, code: str) -> str:
        self.sendLine(line.encode("latin-1"))
        return await self._expect(line, code)

    async def _expect(self, command: str, code: str) -> str:
        reply = await self._read()
        self._note(command, reply)
        if not reply.startswith(code):
            self._end(f"the server said {reply!r} to {command!r}")
            self.transport.loseConnection()
            raise _Over
        return reply

    def _read(self) -> Deferred[str]:
        self._waiting = Deferred()
        waiting = self._waiting
        self._tell()
        return waiting

    def _tell(self) -> None:
        """
        Give the next reply to who waits for it, or that there is none.
        """
        waiting = self._waiting
        if waiting is None or not (self._replies or self._reason):
            return
        self._waiting = None
        if self._replies:
            waiting.callback(self._replies.popleft())
        else:
            waiting.errback(_Over())

    def _wait(self, seconds: float) -> Deferred[None]:
        if self._reason:
            return fail(_Over())
        pause = self._pause = Deferred[None]()
        self._calls["pause"] = self._reactor.callLater(seconds, self._waited)
        return pause

    def _waited(self) -> None:
        pause, self._pause = self._pause, None
        if pause is not None:
            pause.callback(None)

    def _note(self, command: str, reply: str) -> None:
        if len(self._exchanges) < MAX_EXCHANGES:
            self._exchanges.append((command, reply))

    def _settle(self, draft: _Draft) -> None:
        exchanges, self._exchanges = self._exchanges, []
        self._submissions.append(
            draft.submission(
                exchanges=tuple(exchanges),
                at=self._reactor.seconds(),
                reason=self._reason,
            )
        )


def _envelope(mail: Mail) -> list[str]:
    recipients = (f"RCPT TO:<{recipient}>" for recipient in mail.recipients)
    return [f"MAIL FROM:<{mail.sender}>", *recipients, "DATA"]


def _isYes(reply: str | None) -> bool:
    return reply is not None and reply.startswith("2")
