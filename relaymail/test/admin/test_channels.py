# -*- test-case-name: relaymail.test.admin.test_channels -*-
"""
Tests for L{relaymail.admin.channels}: the connections of the control API.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.testing import StringTransport
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from relaymail.admin.channels import (
    HEADER_PATIENCE,
    IDLE,
    MAX_CONNECTIONS,
    STOP_PATIENCE,
)
from relaymail.admin.operations import LONG_PATIENCE, PATIENCE
from relaymail.test.admin.worlds import API, Connection, readAnswers, request


class ConnectionTests(SynchronousTestCase):
    """
    One connection.
    """

    def setUp(self) -> None:
        self.api = API()
        self.connection = Connection(self.api)
        self.give = self.connection.give

    def isCut(self) -> bool:
        """
        Tell whether the connection was cut.
        """
        return bool(self.connection.transport.disconnecting)

    def pass_(self, seconds: float) -> None:
        """
        Let time go by.
        """
        for _ in range(int(seconds)):
            self.api.relay.world.run(1)

    def test_kept(self) -> None:
        """
        A connection is kept for the next request, one that was refused too.
        """
        for path in ("/health", "/nothing", "/health"):
            self.give(request("GET", path))
        answers = readAnswers(self.connection.sent, "GET", "GET", "GET")
        self.assertEqual([a.status for a in answers], [200, 404, 200])
        self.assertFalse(self.isCut())

    def test_pipelined(self) -> None:
        """
        Requests that come at once are answered one after the other.
        """
        waiting: Deferred[Any] = Deferred()
        self.patch(self.api.relay.queue, "totals", lambda: waiting)
        self.give(request("GET", "/v1/status") + request("GET", "/nothing"))
        self.assertEqual(self.connection.sent, b"")
        waiting.callback({})
        answers = readAnswers(self.connection.sent, "GET", "GET")
        self.assertEqual([a.status for a in answers], [200, 404])

    def test_closed(self) -> None:
        """
        A connection that is to be closed is.
        """
        self.give(request("GET", "/health", Connection="close"))
        self.assertTrue(self.isCut())

    def test_A05_slowHeader(self) -> None:
        """
        Headers that come octet by octet are waited for within a bound.
        """
        data = request("GET", "/health", X="y" * 1000)
        for number in range(int(HEADER_PATIENCE)):
            self.assertFalse(self.isCut(), number)
            self.give(data[number : number + 1])
            self.pass_(1)
        self.assertTrue(self.isCut())

    def test_A05_slowBody(self) -> None:
        """
        So are bodies; a message has longer.
        """
        for path, kind, patience in (
            ("/v1/queue/flush", "application/json", PATIENCE),
            ("/v1/messages?sender=&recipient=b@x", "message/rfc822", LONG_PATIENCE),
        ):
            self.connection = Connection(self.api)
            self.connection.give(
                request("POST", path, Content_Type=kind, Content_Length="20000")
            )
            for _ in range(int(patience) - 1):
                self.connection.give(b"x")
                self.pass_(1)
            self.assertFalse(self.isCut())
            self.connection.give(b"x")
            self.pass_(2)
            self.assertTrue(self.isCut())

    def test_idle(self) -> None:
        """
        A connection over which nothing comes is closed.
        """
        self.give(request("GET", "/health"))
        self.pass_(IDLE - 1)
        self.assertFalse(self.isCut())
        self.pass_(2)
        self.assertTrue(self.isCut())

    def test_slowAnswer(self) -> None:
        """
        An answer that never comes is waited for within a bound.
        """
        self.patch(self.api.relay.queue, "totals", Deferred)
        self.give(request("GET", "/v1/status"))
        self.pass_(PATIENCE - 1)
        self.assertFalse(self.isCut())
        self.pass_(2)
        self.assertTrue(self.isCut())

    def test_A05_largeHeader(self) -> None:
        """
        Headers are bounded in size and number.
        """
        many = {f"X_{number}": "y" for number in range(1000)}
        for headers in ({"X": "y" * 20_000}, many, {"Content_Length": "9" * 5000}):
            connection = Connection(self.api)
            connection.give(request("GET", "/health", b"", **headers))
            self.assertIn(connection.sent[:13], (b"HTTP/1.1 400 ", b""))
            self.assertTrue(connection.transport.disconnecting)

    def test_smuggling(self) -> None:
        """
        A body whose length is said twice, or in two ways, is refused.
        """
        for headers in (
            {"Content_Length": "5", "Transfer_Encoding": "chunked"},
            {"Content_Length": "-5"},
            {"Content_Length": "+5"},
            {"Transfer_Encoding": "gzip"},
        ):
            connection = Connection(self.api)
            connection.give(request("POST", "/v1/reload", b"", **headers))
            self.assertTrue(connection.sent.startswith(b"HTTP/1.1 400 "), headers)

    def test_noRequest(self) -> None:
        """
        What is no request is refused.
        """
        for data in (b"EHLO me\r\n", b"\x16\x03\x01\r\n", b"GET /\r\n"):
            connection = Connection(self.api)
            connection.give(data)
            self.assertTrue(connection.sent.startswith(b"HTTP/1.1 400 "), data)

    def test_A05_unreadAnswers(self) -> None:
        """
        Who asks and asks, and reads no answer, is read no more: what is written
        does not grow, and it goes on when the answers are fetched.
        """
        transport = self.connection.transport
        ask = request("GET", "/health")
        self.give(ask)
        # The transport has no more room, as it says while it is written to.
        write = transport.write

        def fill(data: bytes) -> None:
            write(data)
            self.connection.channel.pauseProducing()

        self.patch(transport, "write", fill)
        self.give(ask * 50)
        self.assertEqual(self.connection.sent.count(b"HTTP/1.1 200 "), 2)
        self.assertEqual(transport.producerState, "paused")
        self.patch(transport, "write", write)
        self.connection.channel.resumeProducing()
        self.assertEqual(self.connection.sent.count(b"HTTP/1.1 200 "), 51)
        self.assertEqual(transport.producerState, "producing")
        self.assertFalse(self.isCut())

    def test_A05_unreadLastAnswer(self) -> None:
        """
        Who does not fetch the last answer is cut within a bound.
        """
        aborted: list[bool] = []
        self.patch(
            self.connection.transport, "abortConnection", lambda: aborted.append(True)
        )
        self.give(request("GET", "/health", Connection="close"))
        self.pass_(IDLE - 1)
        self.assertEqual(aborted, [])
        self.pass_(2)
        self.assertEqual(aborted, [True])

    def test_noTimersLeft(self) -> None:
        """
        A connection that has ended leaves no timer.
        """
        before = len(self.api.clock.getDelayedCalls())
        connection = Connection(self.api)
        connection.give(request("GET", "/health"))
        connection.channel.connectionLost(None)
        self.connection.channel.connectionLost(None)
        self.assertLessEqual(len(self.api.clock.getDelayedCalls()), before)


class FactoryTests(SynchronousTestCase):
    """
    All connections.
    """

    def setUp(self) -> None:
        self.api = API()

    def test_A05_connections(self) -> None:
        """
        There are not too many; one more is told so, and has room when one has gone.
        """
        open_ = [Connection(self.api) for _ in range(MAX_CONNECTIONS)]
        more = Connection(self.api)
        (answer,) = readAnswers(more.sent, "GET")
        self.assertEqual(answer.status, 503)
        self.assertEqual(answer.document, {"error": "There are too many connections."})
        self.assertTrue(more.transport.disconnecting)
        open_.pop().channel.connectionLost(None)
        last = Connection(self.api)
        last.give(request("GET", "/health"))
        self.assertEqual(readAnswers(last.sent, "GET")[0].status, 200)

    def test_A09_turnedAway(self) -> None:
        """
        That somebody was not let in is in the log, but not as often as he tries, and
        never with what he has shown.
        """
        events: list[Any] = []
        note: Any = events.append
        globalLogPublisher.addObserver(note)
        self.addCleanup(globalLogPublisher.removeObserver, note)
        self.api.withToken()
        for second in range(130):
            self.api.get("/v1/status", Authorization=f"Bearer guess-{second}")
            self.api.relay.world.run(1)
        lines = [formatEvent(event) for event in events]
        told = [line for line in lines if line.startswith("Not let in")]
        self.assertEqual(len(told), 3)
        self.assertIn("60 requests since this was last said, the last from ", told[1])
        self.assertNotIn("guess", "".join(lines))

    def test_A05_cut(self) -> None:
        """
        That somebody was too slow is in the log, but not for each connection.
        """
        events: list[Any] = []
        note: Any = events.append
        globalLogPublisher.addObserver(note)
        self.addCleanup(globalLogPublisher.removeObserver, note)
        for _ in range(5):
            for _ in range(10):
                Connection(self.api).give(b"GET /health HTTP/1.1\r\n")
            self.api.relay.world.run(HEADER_PATIENCE + 1)
        lines = [formatEvent(event) for event in events]
        told = [line for line in lines if "low" in line]
        self.assertEqual(len(told), 2, told)
        self.assertIn("cut: 40 connections since this was last said", told[1])

    def test_hostsOfTheConnection(self) -> None:
        """
        The API may be asked for by the address of the connection.
        """
        for address, host in (
            (IPv4Address("TCP", "192.0.2.7", 8025), "192.0.2.7:8025"),
            (IPv6Address("TCP", "2001:db8::7", 8025), "[2001:DB8::7]:8025"),
        ):
            transport = StringTransport(hostAddress=address)
            connection = Connection(self.api, transport)
            connection.give(request("GET", "/health", Host=host))
            connection.give(request("GET", "/health", Host="192.0.2.8"))
            answers = readAnswers(connection.sent, "GET", "GET")
            self.assertEqual([a.status for a in answers], [200, 421])
        local = StringTransport(hostAddress=UNIXAddress("/run/control"))  # type: ignore[arg-type]
        connection = Connection(self.api, local)
        connection.give(request("GET", "/health", Host="localhost"))
        connection.give(request("GET", "/health", Host="192.168.1.1"))
        answers = readAnswers(connection.sent, "GET", "GET")
        self.assertEqual([a.status for a in answers], [200, 421])

    def test_stop(self) -> None:
        """
        Who is idle is let go; a request that is under way may end.
        """
        waiting: Deferred[Any] = Deferred()
        self.patch(self.api.relay.queue, "totals", lambda: waiting)
        idle, busy = Connection(self.api), Connection(self.api)
        busy.give(request("GET", "/v1/status"))
        stopped = self.api.factory.stop()
        self.assertTrue(idle.transport.disconnecting)
        idle.channel.connectionLost(None)
        self.assertFalse(busy.transport.disconnecting)
        waiting.callback({})
        self.assertEqual(readAnswers(busy.sent, "GET")[0].status, 200)
        self.assertTrue(busy.transport.disconnecting)
        self.assertNoResult(stopped)
        busy.channel.connectionLost(None)
        self.successResultOf(stopped)

    def test_stopWithinABound(self) -> None:
        """
        A request that does not end is cut.
        """
        self.patch(self.api.relay.queue, "totals", Deferred)
        busy = Connection(self.api)
        busy.give(request("GET", "/v1/status"))
        stopped = self.api.factory.stop()
        self.api.relay.world.run(STOP_PATIENCE)
        self.assertTrue(busy.transport.disconnecting)
        busy.channel.connectionLost(None)
        self.successResultOf(stopped)

    def test_stopWithNobody(self) -> None:
        """
        Where nobody is connected it ends at once.
        """
        self.successResultOf(self.api.factory.stop())

    def test_notWhileStopping(self) -> None:
        """
        Nobody comes in any more when the relay goes down.
        """
        self.api.desk.isStopping = True
        connection = Connection(self.api)
        self.assertIn(b" 503 ", connection.sent)
