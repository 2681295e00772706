# -*- test-case-name: relaymail.test.endtoend.test_servers -*-
"""
Tests for L{relaymail.testing.servers}.
"""

from __future__ import annotations

import base64
from typing import Any

from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.trial.unittest import SynchronousTestCase

from relaymail.testing.servers import Act, Late, Script, Session, SMTPServer


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


def isEnding(session: Session) -> bool:
    """
    Tell whether a session is being ended by the server.
    """
    return bool(session.transport.disconnecting)


class ServerTests(SynchronousTestCase):
    """
    Talks to a server in memory.
    """

    def start(
        self, answers: Script | None = None, **settings: Any
    ) -> tuple[SMTPServer, Session]:
        """
        Start a server and connect to it.
        """
        self.reactor = MemoryReactorClock()
        self.server = SMTPServer(answers, **settings).start(self.reactor)
        return self.server, self.connect()

    def connect(self) -> Session:
        """
        Connect to the server.
        """
        factory: Any = self.reactor.tcpServers[0][1]
        session: Session = factory.buildProtocol(None)
        session.makeConnection(Transport())
        return session

    def heard(self, session: Session) -> list[str]:
        """
        Give the lines that were said since the last look.
        """
        transport: Any = session.transport
        said = transport.value().decode("latin-1").split("\r\n")[:-1]
        transport.clear()
        return list(said)

    def say(self, session: Session, *lines: str) -> list[str]:
        """
        Say some lines at once, and give what is answered.
        """
        self.heard(session)
        session.dataReceived("".join(f"{line}\r\n" for line in lines).encode())
        return self.heard(session)

    def test_takesMail(self) -> None:
        """
        A server without a script takes a pipelined message, and unstuffs its
        dots.
        """
        server, session = self.start()
        waiting = server.whenReceived(1)
        self.assertEqual(self.heard(session), ["220 server.example ESMTP"])
        self.assertIn("250-PIPELINING", self.say(session, "EHLO me"))
        group = ["MAIL FROM:<a@b>", "RCPT TO:<c@d>", "RCPT TO:<e@d>", "DATA"]
        codes = [line[:3] for line in self.say(session, *group)]
        self.assertEqual(codes, ["250", "250", "250", "354"])
        self.assertNoResult(waiting)
        self.assertEqual(
            self.say(session, "Subject: x", "", "..", "..a", ".", "QUIT"),
            ["250 2.0.0 Ok", "221 2.0.0 Bye"],
        )
        (message,) = self.successResultOf(waiting)
        self.assertEqual((message.sender, message.recipients), ("a@b", ("c@d", "e@d")))
        self.assertEqual(message.content, b"Subject: x\r\n\r\n.\r\n.a\r\n")
        self.assertIs(message.session, session)
        self.assertEqual(session.commands[-1], "QUIT")
        self.assertTrue(isEnding(session))

    def test_order(self) -> None:
        """
        What comes out of order is refused, and has no effect.
        """
        _, session = self.start()
        said = self.say(session, "RCPT TO:<c@d>", "DATA", "WHAT")
        self.assertEqual([line[:3] for line in said], ["503", "554", "500"])

    def test_script(self) -> None:
        """
        A script says what is answered: to a command, to one address, and one
        after the other; only positive answers have effects.
        """
        server, session = self.start(
            {
                "CONNECT": "220-two\n220 lines",
                "RCPT x@d": ["451 later", "250 now"],
                "RCPT": "550 never",
            }
        )
        self.assertEqual(self.heard(session), ["220-two", "220 lines"])
        self.assertEqual(
            self.say(session, "MAIL FROM:<a@b>", "RCPT TO:<x@d>", "RCPT TO:<y@d>"),
            ["250 2.1.0 Ok", "451 later", "550 never"],
        )
        self.assertEqual(self.say(session, "DATA")[0][:3], "554")
        again = ["RSET", "MAIL FROM:<a@b>", "RCPT TO:<x@d>", "RCPT TO:<x@d>", "DATA"]
        codes = [line[:3] for line in self.say(session, *again)]
        self.assertEqual(codes, ["250", "250", "250", "250", "354"])
        self.say(session, ".")
        self.assertEqual(server.received[0].recipients, ("x@d", "x@d"))

    def test_refusedAtTheEnd(self) -> None:
        """
        What is not answered 2yz at its end was not taken.
        """
        server, session = self.start({".": ["451 no", "250 yes"]})
        group = ["MAIL FROM:<a@b>", "RCPT TO:<c@d>", "DATA", "."]
        self.say(session, *group)
        self.assertEqual(server.received, [])
        self.say(session, *group)
        self.assertEqual(len(server.received), 1)

    def test_acts(self) -> None:
        """
        Instead of answering it closes, breaks, or ignores the connection.
        """
        _, closed = self.start({"EHLO": Act.CLOSE, "HELO": Act.RESET, "X": Act.SILENCE})
        broken, silent = self.connect(), self.connect()
        self.assertEqual(self.say(closed, "EHLO me", "NOOP"), [])
        self.assertTrue(isEnding(closed))
        self.say(broken, "HELO me")
        self.assertTrue(broken.transport.aborted)
        self.assertEqual(self.say(silent, "X", "NOOP"), [])
        self.assertFalse(isEnding(silent))

    def test_late(self) -> None:
        """
        An answer may be late; what is said meanwhile waits.
        """
        _, session = self.start({"NOOP": Late(2.0, "250 at last")})
        self.assertEqual(self.say(session, "NOOP", "RSET"), [])
        self.reactor.advance(1.9)
        self.assertEqual(self.heard(session), [])
        self.reactor.advance(0.1)
        self.assertEqual(self.heard(session), ["250 at last", "250 2.0.0 Ok"])

    def test_login(self) -> None:
        """
        PLAIN and LOGIN are taken with the right password only.
        """
        _, session = self.start(users={"me": "secret"})
        self.assertIn("AUTH PLAIN LOGIN", self.say(session, "EHLO me")[-1])

        def encoded(text: str) -> str:
            return base64.b64encode(text.encode()).decode()

        wrong = self.say(session, "AUTH PLAIN " + encoded("\0me\0wrong"))
        self.assertEqual((wrong[0][:3], session.user), ("535", ""))
        words = ["AUTH LOGIN", encoded("me"), encoded("secret")]
        codes = [line[:3] for line in self.say(session, *words)]
        self.assertEqual((codes, session.user), (["334", "334", "235"], "me"))
        other = self.connect()
        self.say(other, "AUTH PLAIN " + encoded("\0me\0secret"))
        self.assertEqual(other.user, "me")
        self.assertEqual(self.say(other, "AUTH CRAM-MD5")[0][:3], "504")

    def test_promiseNotKept(self) -> None:
        """
        Without anything to begin TLS with, the connection ends after the 220.
        """
        _, session = self.start()
        self.assertEqual(self.say(session, "STARTTLS")[0][:3], "220")
        self.assertTrue(isEnding(session))

    def test_stop(self) -> None:
        """
        Stopping breaks the connections that are open, and waits for them.
        """
        server, session = self.start()
        stopped = server.stop()
        self.assertNoResult(stopped)
        self.assertTrue(session.transport.aborted)
        session.connectionLost()
        self.successResultOf(stopped)

    def test_address(self) -> None:
        """
        The address is one that C{--smarthost} takes.
        """
        server, _ = self.start()
        self.assertEqual(server.address, f"127.0.0.1:{server.port}")
