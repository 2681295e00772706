# -*- test-case-name: relaymail.test.intake.test_writing -*-
"""
Tests that the intake's replies are sent at once, and together where several are
due.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaymail.test.intake.harness import LOCAL, MAIL, RCPT, TO_DATA, Intake
from relaymail.test.sockets import Pair


class WritingTests(SynchronousTestCase):
    """
    The intake on a real connection.
    """

    def setUp(self) -> None:
        """
        Connect a client.
        """
        self.protocol = Intake().factory.buildProtocol(LOCAL)
        self.pair = Pair(self.protocol)
        self.addCleanup(self.pair.close)

    def test_atOnce(self) -> None:
        """
        Whoever waits for a reply gets it before the reactor's next turn.
        """
        self.assertEqual(self.pair.received(), b"220 relay.example ESMTP\r\n")
        self.protocol.dataReceived(b"HELO c\r\n")
        self.assertEqual(self.pair.received(), b"250 relay.example\r\n")
        self.assertEqual(self.pair.reactor.writers, set())

    def test_together(self) -> None:
        """
        The replies to commands that came together are sent together (RFC 2920
        3.2).
        """
        self.protocol.dataReceived(b"HELO c\r\n" + MAIL + RCPT)
        self.pair.received()
        self.assertIsNone(self.pair.transport.doWrite())
        said = self.pair.peer.recv(1 << 16)
        self.assertEqual(said.count(b"\r\n"), 3)

    def test_goAhead(self) -> None:
        """
        Nothing is held back until something more comes.
        """
        self.protocol.dataReceived(TO_DATA)
        self.assertIn(b"\r\n354 ", self.pair.turns())

    def test_lastWords(self) -> None:
        """
        The farewell is sent with what ends the connection, and before it ends.
        """
        self.pair.received()
        self.protocol.dataReceived(b"QUIT\r\n")
        self.assertEqual(self.pair.received(), b"")
        self.assertEqual(self.pair.turns()[:4], b"221 ")
