# -*- test-case-name: relaymail.test.testing.test_servers -*-
"""
Sessions with scripted servers, line by line, without a network.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.trial.unittest import SynchronousTestCase

from relaymail.testing.servers import Session, SMTPServer


class Transport(StringTransport):
    """
    A transport in memory that knows how it was ended.
    """

    aborted = False

    def setTcpNoDelay(self, enabled: bool) -> None:
        """
        Nothing is delayed.
        """

    def abortConnection(self) -> None:
        """
        Break the connection.
        """
        self.aborted = True
        self.loseConnection()


class TalkTestCase(SynchronousTestCase):
    """
    Talks to a server in memory.
    """

    def use(self, server: SMTPServer) -> None:
        """
        Start a server.
        """
        self.reactor = MemoryReactorClock()
        self.server = server.start(self.reactor)

    def connect(self) -> Session:
        """
        Connect to the server.
        """
        factory: Any = self.reactor.tcpServers[-1][1]
        session: Session = factory.buildProtocol(None)
        session.makeConnection(Transport())
        return session

    def heardBytes(self, session: Session) -> bytes:
        """
        Give what was said since the last look.
        """
        said: bytes = session.transport.value()
        session.transport.clear()
        return said

    def heard(self, session: Session) -> list[str]:
        """
        Give the lines that were said since the last look.
        """
        return self.heardBytes(session).decode("latin-1").split("\r\n")[:-1]

    def say(self, session: Session, *lines: str) -> list[str]:
        """
        Say some lines at once, and give what is answered.
        """
        self.heard(session)
        session.dataReceived("".join(f"{line}\r\n" for line in lines).encode())
        return self.heard(session)

    def codes(self, session: Session, *lines: str) -> list[str]:
        """
        Say some lines at once, and give the codes of what is answered.
        """
        return [line[:3] for line in self.say(session, *lines)]
