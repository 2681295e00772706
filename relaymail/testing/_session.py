# -*- test-case-name: relaymail.test.endtoend.test_servers -*-
"""
One connection to a scripted SMTP server; see L{relaymail.testing.servers}.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from twisted.internet.protocol import connectionDone
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure

if TYPE_CHECKING:
    from relaymail.testing.servers import SMTPServer

#: The longest line that is taken, in bytes: longer than any relay sends.
MAX_LINE = 1_000_000


class Act(Enum):
    """
    What a server does instead of answering.
    """

    CLOSE = "end the connection"
    RESET = "break the connection"
    SILENCE = "say nothing, now and ever after"


@dataclass(frozen=True, slots=True)
class Late:
    """
    An answer that takes its time.  What comes in meanwhile waits.

    @ivar seconds: How long it takes.
    @ivar answer: What is done then.
    """

    seconds: float
    answer: str | Act


#: What a server says: one line, or several with C{"\\n"} between them, without
#: the last line end, and not checked in any way; or what it does instead.
Answer = str | Act | Late


@dataclass(frozen=True, slots=True)
class Received:
    """
    A message that a server took.

    @ivar sender: The reverse-path, empty for the null one.
    @ivar recipients: The forward-paths that were accepted.
    @ivar content: The message with CRLF line ends, the dots unstuffed.
    @ivar session: Over which session it came.
    @ivar at: When its end was answered, in seconds of the reactor's clock.
    """

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    session: Session
    at: float


class Session(LineReceiver):
    """
    One connection to a server.

    @ivar commands: The lines that came in outside of the data, those of an
        AUTH exchange excepted.
    @ivar isTLS: Whether it is over TLS.
    @ivar user: Who the client proved to be, or empty.
    """

    MAX_LENGTH = MAX_LINE
    transport: Any

    def __init__(self, server: SMTPServer) -> None:
        self.server = server
        self.commands: list[str] = []
        self.isTLS = server.implicitTLS
        self.user = ""
        self._isSilent = False
        self._lines: list[bytes] | None = None
        self._login: list[str] | None = None
        self._late: Any = None
        self._forget()

    def _forget(self) -> None:
        self._sender: str | None = None
        self._recipients: list[str] = []

    def connectionMade(self) -> None:
        """
        Greet.
        """
        self.server.sessions.append(self)
        self.server.open.add(self)
        self.transport.setTcpNoDelay(True)
        self._answer("CONNECT", "", "220 server.example ESMTP")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Count one connection less.
        """
        if self._late is not None and self._late.active():
            self._late.cancel()
        self.server.lost(self)

    def lineReceived(self, line: bytes) -> None:
        """
        Take a command, or a line of what belongs to one.
        """
        if self._isSilent:
            return
        if self._lines is not None:
            self._dataLine(line)
        elif self._login is not None:
            self._loginLine(line)
        else:
            self._command(line.decode("latin-1"))

    def lineLengthExceeded(self, line: bytes) -> None:
        """
        Break the connection.
        """
        self.transport.abortConnection()

    # Commands.

    def _command(self, line: str) -> None:
        self.commands.append(line)
        verb, _, rest = line.partition(" ")
        verb = verb.upper()
        usual = getattr(self, f"_usual{verb}", None)
        self._answer(verb, rest, usual(rest) if usual else "500 5.5.2 What?")

    def _usualEHLO(self, rest: str) -> str:
        words = ["server.example", *self.server.keywords]
        if self.server.contextFactory is not None and not self.isTLS:
            words.append("STARTTLS")
        if self.server.users:
            words.append("AUTH PLAIN LOGIN")
        return "\n".join([*(f"250-{word}" for word in words[:-1]), f"250 {words[-1]}"])

    def _usualHELO(self, rest: str) -> str:
        return "250 server.example"

    def _usualMAIL(self, rest: str) -> str:
        return "250 2.1.0 Ok" if self._sender is None else "503 5.5.1 Once"

    def _usualRCPT(self, rest: str) -> str:
        return "503 5.5.1 MAIL first" if self._sender is None else "250 2.1.5 Ok"

    def _usualDATA(self, rest: str) -> str:
        return "354 Go on" if self._recipients else "554 5.5.1 No valid recipients"

    def _usualRSET(self, rest: str) -> str:
        return "250 2.0.0 Ok"

    _usualNOOP = _usualRSET

    def _usualQUIT(self, rest: str) -> str:
        return "221 2.0.0 Bye"

    def _usualSTARTTLS(self, rest: str) -> str:
        return "220 2.0.0 Go on"

    def _usualAUTH(self, rest: str) -> str:
        mechanism, _, initial = rest.partition(" ")
        if mechanism.upper() == "PLAIN" and initial:
            return self._judgeLogin(_decoded(initial).split("\0")[1:])
        if mechanism.upper() == "LOGIN" and not initial:
            return "334 VXNlcm5hbWU6"
        return "504 5.5.4 Not so"

    # Their effects, if the answer was positive.

    def _effectEHLO(self, rest: str) -> None:
        self._forget()

    _effectHELO = _effectRSET = _effectEHLO

    def _effectMAIL(self, rest: str) -> None:
        self._sender = _path(rest)

    def _effectRCPT(self, rest: str) -> None:
        self._recipients.append(_path(rest))

    def _effectDATA(self, rest: str) -> None:
        self._lines = []

    def _effectAUTH(self, rest: str) -> None:
        if not self.user:
            self._login = []

    def _effectSTARTTLS(self, rest: str) -> None:
        if self.server.contextFactory is None:
            self.transport.loseConnection()
            return
        self._forget()
        self.clearLineBuffer()
        self.isTLS = True
        self.transport.startTLS(self.server.contextFactory)

    def _effectQUIT(self, rest: str) -> None:
        self.transport.loseConnection()

    # What has several lines.

    def _dataLine(self, line: bytes) -> None:
        assert self._lines is not None
        if line != b".":
            self._lines.append(line[1:] if line.startswith(b".") else line)
            return
        self._content = b"".join(each + b"\r\n" for each in self._lines)
        self._lines = None
        self._answer(".", "", "250 2.0.0 Ok")

    def _loginLine(self, line: bytes) -> None:
        assert self._login is not None
        self._login.append(_decoded(line.decode("latin-1")))
        if len(self._login) == 1:
            self.sendLine(b"334 UGFzc3dvcmQ6")
            return
        said, self._login = self._login, None
        self.sendLine(self._judgeLogin(said).encode("latin-1"))

    def _judgeLogin(self, said: list[str]) -> str:
        user, password = (*said, "", "")[:2]
        if not user or self.server.users.get(user) != password:
            return "535 5.7.8 Wrong name or password"
        self.user = user
        return "235 2.7.0 Welcome"

    # Answers.

    def _answer(self, verb: str, rest: str, usual: Answer) -> None:
        self._do(self.server.told(verb, _path(rest), usual), verb, rest)

    def _do(self, answer: Answer, verb: str, rest: str) -> None:
        match answer:
            case Act.CLOSE:
                self.transport.loseConnection()
            case Act.RESET:
                self.transport.abortConnection()
            case Act.SILENCE:
                self._isSilent = True
            case Late():
                self.pauseProducing()
                self._late = self.server.reactor.callLater(
                    answer.seconds, self._doLate, answer.answer, verb, rest
                )
            case _:
                self._say(str(answer), verb, rest)

    def _doLate(self, answer: str | Act, verb: str, rest: str) -> None:
        self._do(answer, verb, rest)
        self.resumeProducing()

    def _say(self, words: str, verb: str, rest: str) -> None:
        if verb == "." and words.startswith("2"):
            self._keep()
        if verb == ".":
            self._forget()
        self.transport.write(words.replace("\n", "\r\n").encode("latin-1") + b"\r\n")
        positive = "354" if verb == "DATA" else ("2", "334")
        effect = getattr(self, f"_effect{verb}", None)
        if effect is not None and words.startswith(positive):
            effect(rest)

    def _keep(self) -> None:
        self.server.keep(
            Received(
                self._sender or "",
                tuple(self._recipients),
                self._content,
                self,
                self.server.reactor.seconds(),
            )
        )


def _path(rest: str) -> str:
    """
    Give what is between the angle brackets, or nothing.
    """
    return rest.partition("<")[2].rpartition(">")[0]


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text).decode("utf-8")
    except ValueError:
        return ""
