# -*- test-case-name: relaymail.test.testing.test_servers -*-
"""
One connection to a scripted SMTP server; see L{relaymail.testing.servers}.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twisted.internet.protocol import connectionDone
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure

from relaymail.testing._answers import EVENTS, NOISE, Act, Command, Raw
from relaymail.testing._performer import Performer

if TYPE_CHECKING:
    from relaymail.testing.servers import SMTPServer

#: The longest line that is taken, in bytes: longer than any relay sends.
MAX_LINE = 1_000_000
#: The longest message that is taken, in bytes: some of them fit into memory.
MAX_CONTENT = 200_000_000
#: How many exchanges of a session are kept, the last ones.
MAX_EXCHANGES = 1000

#: What an answer begins with that has the command's usual effect, where it is
#: not any 2yz.
_POSITIVE: dict[str, str | tuple[str, ...]] = {
    "DATA": "354",
    "STARTTLS": "220",
    "AUTH": ("235", "334"),
}


#: The mechanisms that show a token, and what is said of one that is not taken (RFC
#: 7628 3.2.2).
_BEARERS = ("OAUTHBEARER", "XOAUTH2")
_BAD_TOKEN = b'{"status": "invalid_token", "scope": "mail"}'


@dataclass(frozen=True, slots=True)
class Received:
    """
    A message that a server took.

    @ivar sender: The reverse-path, empty for the null one.
    @ivar recipients: The forward-paths that were accepted.
    @ivar content: The message with CRLF line ends, the dots unstuffed.
    @ivar session: Over which session it came.
    @ivar at: When its end was answered, in seconds of the reactor's clock.
    @ivar answer: What was said to its end; empty for one that was taken without
        a word.
    """

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    session: Session
    at: float
    answer: str = ""


class Session(LineReceiver):
    """
    One connection to a server.

    @ivar server: The server.
    @ivar commands: The lines that came in outside of the data, those of an
        AUTH exchange excepted.
    @ivar exchanges: The last L{MAX_EXCHANGES
        <relaymail.testing._session.MAX_EXCHANGES>} commands, each with its
        answer: the line, C{"CONNECT"}, C{"BODY"} or C{"."}, and the words, or
        what was done instead in round brackets.
    @ivar isTLS: Whether it is over TLS.
    @ivar user: Who the client proved to be, or empty.
    @ivar sender: The reverse-path, L{None} where MAIL was not accepted.
    @ivar recipients: The forward-paths that were accepted.
    @ivar taken: How many messages of this session were taken.
    """

    MAX_LENGTH = MAX_LINE
    transport: Any

    def __init__(self, server: SMTPServer) -> None:
        self.server = server
        self.commands: list[str] = []
        self.exchanges: list[tuple[str, str]] = []
        self.isTLS = server.implicitTLS
        self.user = ""
        self.taken = 0
        self._performer = Performer(self)
        self._isOver = False
        self._lines: list[bytes] | None = None
        self._size = 0
        self._content: bytes | None = None
        self._login: list[str] | None = None
        self._claimed = ""
        self._refusal = ""
        self._isBearer = self._isBearing = False
        self._forget()

    def _forget(self) -> None:
        self.sender: str | None = None
        self.recipients: list[str] = []

    @property
    def client(self) -> str:
        """
        The network address of the client.
        """
        return str(self.transport.getPeer().host)

    def seconds(self) -> float:
        """
        Give the time of the reactor's clock, in seconds.
        """
        return float(self.server.reactor.seconds())

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
        self._isOver = True
        self._performer.stop()
        self.server.lost(self)

    def lineReceived(self, line: bytes) -> None:
        """
        Take a command, or a line of what belongs to one.
        """
        if self._isOver:
            return
        if self._lines is not None:
            self._dataLine(line)
        elif self._login is not None:
            self._loginLine(line)
        elif self._isBearing:
            self._bearerLine(line)
        else:
            self._command(line.decode("latin-1"))

    def rawDataReceived(self, data: bytes) -> None:
        """
        Answer whatever it is with noise.
        """
        self.transport.write(NOISE)

    def lineLengthExceeded(self, line: bytes) -> None:
        """
        Break the connection.
        """
        self.transport.abortConnection()

    def take(self, answer: str = "") -> None:
        """
        Take the message whose end has come, which a positive answer to it does
        by itself; nothing where there is none.

        @param answer: What was said to its end.
        """
        content, self._content = self._content, None
        if content is None:
            return
        self.taken += 1
        self.server.keep(
            Received(
                self.sender or "",
                tuple(self.recipients),
                content,
                self,
                self.seconds(),
                answer,
            )
        )

    # Commands.

    def _command(self, line: str) -> None:
        self.commands.append(line)
        verb, _, rest = line.partition(" ")
        verb = verb.upper()
        if verb in EVENTS:
            verb = ""  # as a command it means nothing
        usual = getattr(self, f"_usual{verb}", None)
        self._answer(verb, rest, usual(rest) if usual else "500 5.5.2 What?", line)

    def _usualEHLO(self, rest: str) -> str:
        words = ["server.example", *self.server.keywords]
        if self.server.contextFactory is not None and not self.isTLS:
            words.append("STARTTLS")
        mechanisms = ["PLAIN", "LOGIN"] if self.server.users else []
        if self.server.tokens is not None:
            mechanisms += _BEARERS
        if mechanisms:
            words.append(" ".join(["AUTH", *mechanisms]))
        return "\n".join([*(f"250-{word}" for word in words[:-1]), f"250 {words[-1]}"])

    def _usualHELO(self, rest: str) -> str:
        return "250 server.example"

    def _usualMAIL(self, rest: str) -> str:
        return "250 2.1.0 Ok" if self.sender is None else "503 5.5.1 Once"

    def _usualRCPT(self, rest: str) -> str:
        return "503 5.5.1 MAIL first" if self.sender is None else "250 2.1.5 Ok"

    def _usualDATA(self, rest: str) -> str:
        return "354 Go on" if self.recipients else "554 5.5.1 No valid recipients"

    def _usualRSET(self, rest: str) -> str:
        return "250 2.0.0 Ok"

    _usualNOOP = _usualRSET

    def _usualQUIT(self, rest: str) -> str:
        return "221 2.0.0 Bye"

    def _usualSTARTTLS(self, rest: str) -> str:
        return "220 2.0.0 Go on"

    def _usualAUTH(self, rest: str) -> str:
        mechanism, _, initial = rest.partition(" ")
        self._refusal, self._isBearer = "", mechanism.upper() in _BEARERS
        if self._isBearer:
            return self._judgeToken(_decoded(initial)) if initial else "334 "
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
        self.sender = _path(rest)

    def _effectRCPT(self, rest: str) -> None:
        self.recipients.append(_path(rest))

    def _effectDATA(self, rest: str) -> None:
        self._lines, self._size, self._content = [], 0, None

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
        if line == b".":
            self._content = b"".join(each + b"\r\n" for each in self._lines)
            self._lines = None
            self._answer(".", "", "250 2.0.0 Ok")
            return
        isFirst = not self._lines
        self._lines.append(line[1:] if line.startswith(b".") else line)
        self._size += len(line)
        if self._size > MAX_CONTENT:
            self.transport.abortConnection()
        elif isFirst:
            self._answer("BODY", "", "")

    def _loginLine(self, line: bytes) -> None:
        assert self._login is not None
        self._login.append(_decoded(line.decode("latin-1")))
        if len(self._login) == 1:
            self.sendLine(b"334 UGFzc3dvcmQ6")
            return
        said, self._login = self._login, None
        answer = self._judgeLogin(said)
        self.sendLine(answer.encode("latin-1"))
        self._haveEffect(Command("AUTH", "", "", "AUTH"), answer)

    def _bearerLine(self, line: bytes) -> None:
        self._isBearing = False
        # What follows a refusal says nothing (RFC 7628 3.2.3).
        answer = self._refusal or self._judgeToken(_decoded(line.decode("latin-1")))
        self.sendLine(answer.encode("latin-1"))
        self._haveEffect(Command("AUTH", "", "", "AUTH"), answer)

    def _judgeToken(self, said: str) -> str:
        """
        Judge the response of XOAUTH2 or OAUTHBEARER (RFC 7628 3.1).
        """
        fields = said.split("\1")
        name = next((f for f in fields if f.startswith(("user=", "n,a="))), "")
        token = next((f for f in fields if f.startswith("auth=Bearer ")), "")
        self._claimed = name.rpartition("a=")[2].rpartition("user=")[2].rstrip(",")
        isGood = self.server.tokens
        if isGood is not None and isGood(self._claimed, token[len("auth=Bearer ") :]):
            return "235 2.7.0 Welcome"
        self._refusal = "535 5.7.8 Wrong token"
        return f"334 {b64encode(_BAD_TOKEN).decode('ascii')}"

    def _judgeLogin(self, said: list[str]) -> str:
        user, password = (*said, "", "")[:2]
        self._claimed = user
        if not user or self.server.users.get(user) != password:
            return "535 5.7.8 Wrong name or password"
        return "235 2.7.0 Welcome"

    # Answers.

    def _answer(self, verb: str, rest: str, usual: str, line: str = "") -> None:
        command = Command(verb, rest, usual, line or verb)
        answer = self.server.told(self, command, _path(rest))
        if answer:
            self._performer.perform(command, answer)

    # What is done, as the performer has it.

    def said(self, command: Command, answer: str | Raw) -> None:
        """
        Have the effect of what was written just now.

        @param command: What it answers.
        @param answer: What it is.
        """
        isWords = isinstance(answer, str)
        words = answer if isinstance(answer, str) else repr(answer.data)
        self._note(command, words)
        if isWords:
            self._haveEffect(command, words)

    def act(self, command: Command, act: Act, note: str = "") -> None:
        """
        Do something instead of answering.

        @param command: What it answers.
        @param act: What is done.
        @param note: What is kept of it.
        """
        self._isOver = act is not Act.NOISE
        match act:
            case Act.CLOSE:
                self.transport.loseConnection()
            case Act.RESET:
                self.transport.abortConnection()
            case Act.NOISE:
                self.setRawMode()
        self._note(command, note or f"({act.name})")

    def _note(self, command: Command, answer: str) -> None:
        if len(self.exchanges) >= MAX_EXCHANGES:
            del self.exchanges[0]
        self.exchanges.append((command.line, answer))
        self.server.onExchange(self, command.line, answer)

    def _haveEffect(self, command: Command, words: str) -> None:
        verb = command.verb
        isPositive = words.startswith(_POSITIVE.get(verb, "2"))
        if verb == ".":
            if isPositive:
                self.take(words)
            self._content = None
            self._forget()
        elif verb == "AUTH" and isPositive:
            self._proved(words)
        elif isPositive:
            effect = getattr(self, f"_effect{verb}", None)
            if effect is not None:
                effect(command.argument)

    def _proved(self, words: str) -> None:
        if not words.startswith("334"):
            self.user = self._claimed
        elif self._isBearer:
            self._isBearing = True
        else:
            self._login = []


def _path(rest: str) -> str:
    """
    Give what is between the angle brackets, or nothing.
    """
    return rest.partition("<")[2].rpartition(">")[0]


def _decoded(text: str) -> str:
    try:
        return b64decode(text).decode("utf-8")
    except ValueError:
        return ""
