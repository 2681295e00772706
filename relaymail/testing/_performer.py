# -*- test-case-name: relaymail.test.testing.test_servers -*-
"""
How a scripted server's answers are done over a connection.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from relaymail.testing._answers import (
    CHUNK,
    Act,
    Answer,
    Command,
    Drip,
    Endless,
    Late,
    Raw,
    Then,
)

if TYPE_CHECKING:
    from relaymail.testing._session import Session

#: How many answers one answer may lead to at once: a script that goes beyond
#: goes round in circles.
MAX_STEPS = 1000


@dataclass(frozen=True, slots=True)
class _Rest:
    """
    What is left of an answer that comes byte by byte.

    @ivar answer: The whole.
    @ivar data: The bytes of it.
    @ivar index: Which of them is next.
    """

    answer: str | Raw
    data: bytes
    index: int


_Step: TypeAlias = "Answer | _Rest"


class Performer:
    """
    Does the answers of one session, one after the other, each as long as it
    takes; while it takes time the session reads nothing.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._command = Command("", "", "", "")
        #: What is to be done, each with how long one byte takes.
        self._todo: deque[tuple[_Step, float]] = deque()
        self._call: Any = None
        self._flow: _Flow | None = None

    def perform(self, command: Command, answer: Answer) -> None:
        """
        Answer a command; nothing else may be going on.

        @raise RuntimeError: When the script goes round in circles.
        """
        self._command = command
        self._todo.append((answer, 0.0))
        self._goOn()

    def stop(self) -> None:
        """
        Leave undone what is not done yet.
        """
        self._todo.clear()
        if self._call is not None:
            self._call.cancel()
            self._call = None
        if self._flow is not None:
            self._flow.stopProducing()

    def _goOn(self) -> None:
        for _ in range(MAX_STEPS):
            if not self._todo or self._call is not None:
                return
            self._do(*self._todo.popleft())
        self.stop()
        self._session.act(self._command, Act.RESET)
        raise RuntimeError(
            f"the answer to {self._command.verb} led to {MAX_STEPS} others: the "
            "script goes round in circles, and the session ends"
        )

    def _do(self, step: _Step, pace: float) -> None:
        match step:
            case Late():
                self._next(step.answer, pace)
                self._wait(step.seconds)
            case Drip():
                self._next(step.answer, step.seconds)
            case Then():
                self._next(step.next, pace)
                self._next(step.answer, pace)
            case _Rest():
                self._writeOne(step, pace)
            case str() | Raw():
                self._say(step, pace)
            case Endless():
                self._begin(step, pace)
            case Act():
                self._todo.clear()
                self._session.act(self._command, step)
            case _:
                told = step(self._session, self._command.argument)
                told = self._command.usual if told is None else told
                self._next(told or Raw(b""), pace)

    def _next(self, step: _Step, pace: float) -> None:
        self._todo.appendleft((step, pace))

    def _say(self, answer: str | Raw, pace: float) -> None:
        data = answer.data if isinstance(answer, Raw) else _bytesOf(answer)
        if pace and data:
            self._next(_Rest(answer, data, 0), pace)
            self._wait(pace)
            return
        if data:
            self._session.transport.write(data)
        self._session.said(self._command, answer)

    def _writeOne(self, rest: _Rest, pace: float) -> None:
        index = rest.index
        self._session.transport.write(rest.data[index : index + 1])
        if index + 1 == len(rest.data):
            self._session.said(self._command, rest.answer)
            return
        self._next(replace(rest, index=index + 1), pace)
        self._wait(pace)

    def _begin(self, answer: Endless, pace: float) -> None:
        self._todo.clear()
        self._session.act(self._command, Act.SILENCE, f"(ENDLESS) {answer.data!r}")
        self._flow = _Flow(self._session, answer, pace)
        self._flow.resumeProducing()

    def _wait(self, seconds: float) -> None:
        if not self._session.paused:
            self._session.pauseProducing()
        reactor = self._session.server.reactor
        self._call = reactor.callLater(seconds, self._waited)

    def _waited(self) -> None:
        self._call = None
        self._goOn()
        if self._call is None:
            self._session.resumeProducing()


@implementer(IPushProducer)
class _Flow:
    """
    Writes the same again and again, as the transport takes it.
    """

    def __init__(self, session: Session, answer: Endless, pace: float) -> None:
        self._session = session
        data = answer.data
        # The pieces of one round, and how long to wait after each.
        self._pieces = [data * max(1, CHUNK // len(data))]
        self._seconds = answer.seconds
        if pace:
            self._pieces = [bytes((byte,)) for byte in data]
            self._seconds = pace
        self._index = 0
        self._call: Any = None
        session.transport.registerProducer(self, True)

    def resumeProducing(self) -> None:
        """
        Write on.
        """
        if self._call is None:
            reactor = self._session.server.reactor
            self._call = reactor.callLater(self._seconds, self._write)

    def pauseProducing(self) -> None:
        """
        Wait till the client has read.
        """
        self.stopProducing()

    def stopProducing(self) -> None:
        """
        Write no more.
        """
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def _write(self) -> None:
        self._call = None
        piece = self._pieces[self._index % len(self._pieces)]
        self._index += 1
        # The transport may tell to pause while it is written to.
        self.resumeProducing()
        self._session.transport.write(piece)


def _bytesOf(words: str) -> bytes:
    return words.replace("\n", "\r\n").encode("latin-1") + b"\r\n"
