"""
Tests for L{relaymail.oauth2.fetching}; those over real connections are in
L{relaymail.test.endtoend.test_oauth2}.
"""

from __future__ import annotations

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from relaymail.fetching import Answer
from relaymail.oauth2.fetching import Fetcher
from relaymail.test.test_fetching import Transport, makeReactor

URL = "http://127.0.0.1:8080/token?a=b"
FORM = b"client_secret=secret"


class FetcherTests(SynchronousTestCase):
    """
    Asking a token server.
    """

    def test_asked(self) -> None:
        """
        The form is sent as one (RFC 6749 4.4.2), to where it belongs, and the answer
        comes back.
        """
        reactor = makeReactor()
        fetcher = Fetcher(reactor)
        answer = fetcher.post(URL, FORM)
        protocol = reactor.tcpClients[0][2].buildProtocol(None)
        transport = Transport()
        protocol.makeConnection(transport)
        head, _, body = transport.value().partition(b"\r\n\r\n")
        self.assertEqual(body, FORM)
        lines = head.lower().split(b"\r\n")
        self.assertEqual(lines[0], b"post /token?a=b http/1.1")
        self.assertIn(b"content-type: application/x-www-form-urlencoded", lines)
        self.assertIn(b"accept: application/json", lines)
        protocol.dataReceived(b"HTTP/1.1 400 No\r\nContent-Length: 2\r\n\r\n{}")
        self.assertEqual(self.successResultOf(answer), Answer(400, b"{}"))
        stopped = fetcher.stop()
        protocol.connectionLost(Failure(ConnectionDone()))
        self.successResultOf(stopped)
