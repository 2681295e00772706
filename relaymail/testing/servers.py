# -*- test-case-name: relaymail.test.testing.test_servers -*-
"""
SMTP servers for tests: they listen on loopback, say what they are told to say,
and keep what they are given.

    >>> server = SMTPServer().start()              # takes everything
    >>> server = SMTPServer({                      # says what it is told
    ...     "CONNECT": "220 mx.example.org ESMTP",
    ...     "MAIL": "250 2.1.0 Ok",
    ...     "RCPT b@example.org": ["451 4.7.1 Later", "250 2.1.5 Ok"],
    ...     ".": Late(0.5, "250 2.0.0 Ok"),
    ...     "QUIT": Act.CLOSE,
    ... }).start()
    >>> d = server.whenReceived(1)                 # fires with server.received

An answer's key is the command: C{"EHLO"}, C{"STARTTLS"}, C{"MAIL"}, C{"MAIL
a@b.example"} for one sender only, C{"RCPT c@d.example"}, C{"DATA"}; C{"CONNECT"}
is the greeting, C{"BODY"} the first line of the data and C{"."} the end of it;
C{"*"} is every command that has no other.  What has no key gets the answer of a
server that is well.  A positive answer has its usual effect, whether it was told
or not, and no other answer has one.

An answer may be words; L{Act}: something that is done instead; L{Late} or
L{Drip}: it takes its time; L{Then}: one after the other; L{Raw}: bytes without
an effect; L{Endless}; and a function of the session and the command's argument
that gives one of these, or L{None} for the answer of a server that is well.
That is enough for most scripts of one's own:

    >>> def onlyOnce(session, argument):
    ...     if session.taken:
    ...         return Then("421 4.7.0 One message is enough", Act.CLOSE)
    ...     return None
    >>> server = SMTPServer({"MAIL": onlyOnce}).start()

More of them have a name in L{relaymail.testing.scripts}.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ServerFactory

from relaymail.testing._answers import (
    BROKEN_TLS,
    EVENTS,
    Act,
    Answer,
    Command,
    Drip,
    Endless,
    Late,
    Raw,
    Then,
)
from relaymail.testing._session import Received, Session

__all__ = [
    "BROKEN_TLS",
    "KEYWORDS",
    "Act",
    "Answer",
    "Command",
    "Drip",
    "Endless",
    "Late",
    "Raw",
    "Received",
    "SMTPServer",
    "Script",
    "Session",
    "Then",
]

#: What a server offers when nothing else is said.
KEYWORDS = ("PIPELINING", "8BITMIME", "SIZE 10240000", "ENHANCEDSTATUSCODES")
#: The answers by what they answer; those of a list are given one after the
#: other, over all sessions, and the last of them ever after.
Script: TypeAlias = "Mapping[str, Answer | Sequence[Answer]]"


class SMTPServer:
    """
    An SMTP server: over the network, or on a machine in memory.

    @ivar answers: What it says; may be changed at any time.
    @ivar keywords: What EHLO offers; STARTTLS and AUTH are added where there is
        a C{contextFactory} and where there are C{users} or C{tokens}.
    @ivar contextFactory: What TLS begins with.  Without one, a 220 to STARTTLS
        is a promise that is not kept: the connection ends.
    @ivar implicitTLS: Whether TLS begins with the connection.
    @ivar users: Passwords by user names.
    @ivar tokens: Says whether a token is good, for the name of a user and the token
        (OAUTHBEARER and XOAUTH2); L{None}: tokens are not taken.  See L{TokenServer
        <relaymail.testing.tokens.TokenServer>}.
    @ivar received: The messages that were taken, in their order.
    @ivar sessions: All connections, in their order.
    @ivar open: Those that are open.
    @ivar host: The network address it listens on.
    @ivar port: The port, once started.
    @ivar reactor: What it listens with, once started.
    @ivar onExchange: Called with the session, the command and the answer, both
        as L{Session.exchanges} has them, after each answer was written.
    @ivar onReceived: Called with each message that was taken, after the answer
        to its end was written.
    """

    reactor: Any = None
    host = "127.0.0.1"
    port = 0

    def __init__(
        self,
        answers: Script | None = None,
        *,
        keywords: Sequence[str] = KEYWORDS,
        contextFactory: Any = None,
        implicitTLS: bool = False,
        users: Mapping[str, str] | None = None,
        tokens: Callable[[str, str], bool] | None = None,
    ) -> None:
        self.answers: dict[str, Answer | Sequence[Answer]] = dict(answers or {})
        self.keywords = keywords
        self.contextFactory = contextFactory
        self.implicitTLS = implicitTLS
        self.users = dict(users or {})
        self.tokens = tokens
        self.received: list[Received] = []
        self.sessions: list[Session] = []
        self.open: set[Session] = set()
        self.onExchange: Callable[[Session, str, str], None] = _ignore
        self.onReceived: Callable[[Received], None] = _ignore
        self._given: Counter[str] = Counter()
        self._waiting: list[tuple[int, Deferred[list[Received]]]] = []
        self._empty: list[Deferred[None]] = []
        self._port: Any = None

    @property
    def address(self) -> str:
        """
        C{"IP:PORT"}, the way C{--smarthost} takes it.
        """
        return f"{self.host}:{self.port}"

    def start(
        self, reactor: Any = None, interface: str = "127.0.0.1", port: int = 0
    ) -> SMTPServer:
        """
        Listen: after L{stop}, or after the machine went down, again.  What was
        received stays.

        @param reactor: An C{IReactorTCP}, C{IReactorTime} and, where TLS begins
            with the connection, C{IReactorSSL} provider, or L{None} for the
            global one.
        @param interface: The network address to listen on.
        @param port: The port; 0 for one that is free.

        @return: This object.
        """
        if reactor is None:
            from twisted.internet import reactor
        self.reactor, self.host = reactor, interface
        # Those of a machine that went down never end.
        self.open.clear()
        if self.implicitTLS:
            self._port = reactor.listenSSL(
                port, _Factory(self), self.contextFactory, interface=interface
            )
        else:
            self._port = reactor.listenTCP(port, _Factory(self), interface=interface)
        self.port = self._port.getHost().port
        return self

    def stop(self) -> Deferred[None]:
        """
        Stop listening, and break the connections that are open.

        @return: Fires when there is nothing left; L{start} may follow.
        """
        port, self._port = self._port, None
        stopped: Deferred[Any] = defer.maybeDeferred(
            port.stopListening if port is not None else lambda: None
        )
        return stopped.addCallback(lambda _: self._breakAll())

    def _breakAll(self) -> Deferred[None]:
        done: Deferred[None] = Deferred()
        self._empty.append(done)
        # In their order: that of a set is not the same in every process.
        for session in [each for each in self.sessions if each in self.open]:
            session.transport.abortConnection()
        self._tellEmpty()
        return done

    def whenReceived(self, count: int) -> Deferred[list[Received]]:
        """
        Wait for messages.

        @param count: How many.

        @return: Fires with C{received} when there are so many, or more.
        """
        done: Deferred[list[Received]] = Deferred()
        self._waiting.append((count, done))
        self._tellReceived()
        return done

    # What the sessions ask and tell.

    def told(self, session: Session, command: Command, path: str) -> Answer:
        """
        Give the answer to a command; a subclass may give another one.

        @param session: Where it came.
        @param command: The command.
        @param path: The address in it, if there is one.

        @return: The answer; empty: none.
        """
        key = self._keyOf(command.verb, path)
        told = self.answers.get(key, command.usual)
        if isinstance(told, str) or not isinstance(told, Sequence):
            return told
        index = min(self._given[key], len(told) - 1)
        self._given[key] += 1
        answer: Answer = told[index]
        return answer

    def _keyOf(self, verb: str, path: str) -> str:
        key = f"{verb} {path}"
        if key in self.answers:
            return key
        if verb in self.answers or verb in EVENTS:
            return verb
        return "*"

    def keep(self, message: Received) -> None:
        """
        Keep a message that was taken.
        """
        self.received.append(message)
        self.onReceived(message)
        self._tellReceived()

    def lost(self, session: Session) -> None:
        """
        Count a session that is over.
        """
        self.open.discard(session)
        self._tellEmpty()

    def _tellReceived(self) -> None:
        ready = [d for count, d in self._waiting if len(self.received) >= count]
        self._waiting = [(c, d) for c, d in self._waiting if d not in ready]
        for done in ready:
            done.callback(self.received)

    def _tellEmpty(self) -> None:
        if self.open:
            return
        waiting, self._empty = self._empty, []
        for done in waiting:
            done.callback(None)


class _Factory(ServerFactory):
    noisy = False

    def __init__(self, server: SMTPServer) -> None:
        self.server = server

    def buildProtocol(self, addr: Any) -> Session:
        return Session(self.server)


def _ignore(*told: object) -> None:
    """
    Nobody wants to know.
    """
