# -*- test-case-name: relaymail.test.intake.test_writing -*-
"""
Tests for when the replies of the intake are sent.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaymail.test.intake.harness import LOCAL, TO_DATA, Intake
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

    def test_endOfTurn(self) -> None:
        """
        Replies are sent at the end of the turn, those to commands that came
        together in one piece (RFC 2920 3.2); the operating system is asked for
        nothing.
        """
        self.assertEqual(self.pair.endTurn(), b"220 relay.example ESMTP\r\n")
        self.protocol.dataReceived(TO_DATA)
        self.pair.reactor.advance(0)
        said = self.pair.peer.recv(1 << 16)
        self.assertIn(b"\r\n354 ", said)
        self.assertEqual(self.pair.reactor.writers, set())

    def test_lastWords(self) -> None:
        """
        The farewell is sent before the connection ends.
        """
        self.pair.endTurn()
        self.protocol.dataReceived(b"QUIT\r\n")
        self.assertEqual(self.pair.endTurn()[:4], b"221 ")
        self.assertEqual(self.pair.reactor.readers, set())
