"""
Tests for L{relaymail.fetching}; those over real connections are in
L{relaymail.test.endtoend.test_oauth2} and L{relaymail.test.endtoend.test_sts}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import TimeoutError
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IReactorPluggableNameResolver
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import alsoProvides

from relaymail.fetching import MAX_ANSWER, PATIENCE, Answer, Fetcher

URL = "http://127.0.0.1:8080/token?a=b"
BODY = b"secret: \x00\r\n.\r"
HEADERS = {"Content-Type": "application/gzip"}


class Transport(StringTransport):
    """
    A transport that knows whether it was aborted.
    """

    isAborted = False

    def abortConnection(self) -> None:
        """
        Break the connection.
        """
        self.isAborted = True
        self.loseConnection()


class Resolver:
    """
    A resolver for which a network address is its own name.
    """

    def resolveHostName(
        self, receiver: Any, hostName: str, portNumber: int = 0, *rest: Any, **more: Any
    ) -> Any:
        """
        Give the address.
        """
        receiver.resolutionBegan(self)
        receiver.addressResolved(IPv4Address("TCP", hostName, portNumber))
        receiver.resolutionComplete()
        return receiver


def makeReactor() -> Any:
    """
    Make a reactor in memory that knows such names.
    """
    reactor: Any = MemoryReactorClock()
    reactor.nameResolver = Resolver()
    alsoProvides(reactor, IReactorPluggableNameResolver)
    return reactor


class FetcherTests(SynchronousTestCase):
    """
    Asking over HTTP.
    """

    def setUp(self) -> None:
        """
        Ask, and connect.
        """
        self.reactor = makeReactor()
        self.fetcher = Fetcher(self.reactor)
        self.answer = self.fetcher.post(URL, BODY, HEADERS)
        host, port, _, timeout, _ = self.reactor.tcpClients[0]
        self.assertEqual((host, port, timeout), ("127.0.0.1", 8080, 10))
        self.connect()

    def connect(self) -> None:
        """
        Let the connection be made that was asked for last.
        """
        self.factory = self.reactor.tcpClients[-1][2]
        self.protocol: Any = self.factory.buildProtocol(None)
        self.transport = Transport()
        self.protocol.makeConnection(self.transport)

    def hear(self, *lines: bytes, body: bytes = b"") -> None:
        """
        Hear from the server.
        """
        self.protocol.dataReceived(b"\r\n".join([*lines, b"", body]))

    def said(self) -> tuple[list[bytes], bytes]:
        """
        Give what was asked: the lines of the header, in lower case, and the body.
        """
        head, _, body = self.transport.value().partition(b"\r\n\r\n")
        return head.lower().split(b"\r\n"), body

    def test_posted(self) -> None:
        """
        What is sent is sent as it is, with what is told of it.
        """
        lines, body = self.said()
        self.assertEqual(body, BODY)
        self.assertEqual(lines[0], b"post /token?a=b http/1.1")
        self.assertIn(b"content-type: application/gzip", lines)
        self.assertIn(b"content-length: 13", lines)
        self.assertIn(b"host: 127.0.0.1:8080", lines)

    def test_got(self) -> None:
        """
        What is asked for is asked for without a body, without a cookie though one was
        given, and without a wish to have it packed.
        """
        self.hear(b"HTTP/1.1 200 OK", b"Set-Cookie: a=b; Path=/", b"Content-Length: 0")
        self.successResultOf(self.answer)
        self.protocol.connectionLost(Failure(ConnectionDone()))
        answer = self.fetcher.get(URL)
        self.connect()
        lines, body = self.said()
        self.assertEqual(lines[0], b"get /token?a=b http/1.1")
        self.assertEqual(body, b"")
        names = {line.partition(b":")[0] for line in lines[1:]}
        self.assertEqual(names, {b"host", b"user-agent"})
        self.hear(
            b"HTTP/1.1 404 No",
            b"Content-Type: Text/Plain ; charset=x",
            b"Content-Encoding: gzip",
            b"Content-Length: 2",
            body=b"{}",
        )
        found = self.successResultOf(answer)
        self.assertEqual((found.status, found.body), (404, b"{}"))
        self.assertEqual(found.mediaType, "text/plain")

    def test_patience(self) -> None:
        """
        Who asks says how long it may take.
        """
        answer = self.fetcher.get(URL, patience=5)
        self.reactor.advance(5)
        self.failureResultOf(answer, TimeoutError)
        self.assertNoResult(self.answer)

    def test_once(self) -> None:
        """
        Nothing is asked twice: over a connection that was idle, and is lost before
        there is an answer, neither.
        """
        self.hear(b"HTTP/1.1 200 OK", b"Content-Length: 0")
        self.successResultOf(self.answer)
        self.transport.clear()
        answer = self.fetcher.get(URL)
        self.assertIn(b"GET ", self.transport.value())
        self.protocol.connectionLost(Failure(ConnectionDone()))
        self.failureResultOf(answer)
        self.assertEqual(len(self.reactor.tcpClients), 1)

    def test_noURL(self) -> None:
        """
        What is no URL is asked nobody.
        """
        for url in ("http://127.0.0.1/\r\nX: y", "http://127.0.0.1/\u00e4"):
            self.failureResultOf(self.fetcher.get(url))
        self.assertEqual(len(self.reactor.tcpClients), 1)

    def test_silent(self) -> None:
        """
        That a connection begins and ends is not in the log.
        """
        with capturedLogs() as events:
            self.factory.doStart()
            self.factory.doStop()
        self.assertEqual(events, [])

    def test_answered(self) -> None:
        """
        What comes back is given, whatever its status is.
        """
        self.hear(
            b"HTTP/1.1 429 Slow",
            b"Retry-After: 7",
            b"Content-Length: 2",
            body=b"{}",
        )
        self.assertEqual(self.successResultOf(self.answer), Answer(429, b"{}", "7"))
        self.assertEqual(Answer(200, b"").mediaType, "")

    def test_noRedirect(self) -> None:
        """
        What points elsewhere is not followed: secrets would go there.
        """
        self.hear(
            b"HTTP/1.1 307 There",
            b"Location: http://127.0.0.2/",
            b"Content-Length: 0",
        )
        answer = self.successResultOf(self.answer)
        self.assertEqual((answer.status, answer.location), (307, "http://127.0.0.2/"))
        self.assertEqual(len(self.reactor.tcpClients), 1)

    def test_A06_endless(self) -> None:
        """
        A body without end is read up to a bound.
        """
        self.hear(b"HTTP/1.1 200 OK", body=b"x" * 1000)
        self.assertNoResult(self.answer)
        for _ in range(70):
            self.protocol.dataReceived(b"x" * 1000)
        answer = self.successResultOf(self.answer)
        self.assertEqual(len(answer.body), MAX_ANSWER + 1)
        self.assertTrue(self.transport.disconnecting)

    def test_A06_endlessHeader(self) -> None:
        """
        So is a header, in fields without end, or in one.
        """
        for more in (b"X-A: " + b"y" * 1000 + b"\r\n", b" " + b"y" * 1000 + b"\r\n"):
            self.setUp()
            self.protocol.dataReceived(b"HTTP/1.1 200 OK\r\nX-A: b\r\n")
            for _ in range(300):
                self.protocol.dataReceived(more)
            self.assertTrue(self.transport.isAborted)
            self.protocol.connectionLost(Failure(ConnectionAborted()))
            self.failureResultOf(self.answer)

    def test_untilTheEnd(self) -> None:
        """
        A body without a length ends with the connection.
        """
        self.hear(b"HTTP/1.1 200 OK", body=b"{}")
        self.protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.successResultOf(self.answer), Answer(200, b"{}"))

    def test_brokenOff(self) -> None:
        """
        A body that is cut short is none.
        """
        self.hear(b"HTTP/1.1 200 OK", b"Content-Length: 9", body=b"{}")
        self.protocol.connectionLost(Failure(ConnectionLost()))
        self.failureResultOf(self.answer)

    def test_A06_slow(self) -> None:
        """
        A server that is silent, before the answer or in it, is not waited for.
        """
        self.hear(b"HTTP/1.1 200 OK", b"Content-Length: 9", body=b"{")
        self.reactor.advance(PATIENCE - 1)
        self.assertNoResult(self.answer)
        self.reactor.advance(2)
        self.failureResultOf(self.answer, TimeoutError)
        self.assertTrue(self.transport.disconnecting)

    def test_A09_nothingLogged(self) -> None:
        """
        Nothing of what was asked is logged or shown.
        """
        with capturedLogs() as events:
            self.hear(b"HTTP/1.1 200 OK", b"Content-Length: 6", body=b"secret")
            answer = self.successResultOf(self.answer)
            stopped = self.fetcher.stop()
            self.protocol.connectionLost(Failure(ConnectionDone()))
            self.successResultOf(stopped)
        said = " ".join([repr(answer), *map(str, map(formatEvent, events))])
        self.assertNotIn("secret", said)
