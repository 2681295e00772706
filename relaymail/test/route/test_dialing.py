# -*- test-case-name: relaymail.test.route.test_dialing -*-
"""
Tests for L{relaymail.route.dialing}, with a reactor that connects when it is told
to.

How it goes over a network is in L{relaymail.test.route.test_connector}.
"""

from __future__ import annotations

import errno
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError
from twisted.internet.error import (
    ConnectBindError,
    ConnectError,
    ConnectionRefusedError,
    TCPTimedOutError,
    TimeoutError,
    UserError,
    getConnectError,
)
from twisted.internet.protocol import ClientFactory, Protocol
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from relaymail.errors import RouteError
from relaymail.replies import TroubleKind
from relaymail.route.dialing import Addresses, NotReached, Target
from relaymail.route.hosts import Host
from relaymail.route.memory import AddressMemory
from relaymail.route.racing import STAGGER

FIRST, SECOND = "192.0.2.1", "192.0.2.2"


class Factory(ClientFactory):
    """
    A factory that counts what it is asked for.
    """

    noisy = False
    protocol = Protocol

    def __init__(self) -> None:
        self.built: list[str] = []

    def buildProtocol(self, addr: Any) -> Any:
        """
        Build a protocol.
        """
        self.built.append(addr.host)
        return Protocol()


class AddressesTests(SynchronousTestCase):
    """
    Tests for L{Addresses}.
    """

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.memory = AddressMemory()
        self.factory = Factory()
        host = Host("mx.example", source=("198.51.100.7", "2001:db8:1::7"))
        target = Target(self.reactor, host, 25, 30.0, None)
        addresses = Addresses(target, [FIRST, SECOND], self.memory)
        self.connecting = addresses.connect(self.factory)

    def reach(self, number: int) -> Any:
        """
        Connect to an address, as a reactor does.
        """
        host, port, factory, _, _ = self.reactor.tcpClients[number]
        protocol = factory.buildProtocol(IPv4Address("TCP", host, port))
        if protocol is not None:
            protocol.makeConnection(StringTransport())
        return protocol

    def refuse(self, number: int) -> None:
        """
        Refuse a connection.
        """
        factory: Any = self.reactor.tcpClients[number][2]
        factory.clientConnectionFailed(None, Failure(ConnectionRefusedError()))

    def hosts(self) -> list[str]:
        """
        The addresses that were begun.
        """
        return [client[0] for client in self.reactor.tcpClients]

    def test_arguments(self) -> None:
        """
        Each is connected to with its own time-out, from where it is to come from.
        """
        self.assertEqual(
            [(h, p, t, b) for h, p, _, t, b in self.reactor.tcpClients],
            [(FIRST, 25, 30.0, ("198.51.100.7", 0))],
        )

    def test_D02_first(self) -> None:
        """
        When the first connects in time nothing else is begun, and no call is left.
        """
        self.reach(0)
        self.assertIsInstance(self.successResultOf(self.connecting), Protocol)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.reactor.advance(60)
        self.assertEqual(self.hosts(), [FIRST])

    def test_D02_second(self) -> None:
        """
        When the second connects first the other is given up, and what it says then
        builds nothing.
        """
        self.reactor.advance(STAGGER)
        self.assertEqual(self.hosts(), [FIRST, SECOND])
        self.reach(1)
        self.assertIsInstance(self.successResultOf(self.connecting), Protocol)
        first, second = self.reactor.connectors
        self.assertTrue(first.stoppedConnecting)
        self.assertFalse(second.stoppedConnecting)
        factory: Any = self.reactor.tcpClients[0][2]
        factory.clientConnectionFailed(None, Failure(UserError()))
        self.assertEqual(self.factory.built, [SECOND])

    def test_D02_tooLate(self) -> None:
        """
        A reactor that reaches one that was given up builds nothing.
        """
        self.reactor.advance(STAGGER)
        self.reach(1)
        with self.assertRaises(Exception):  # noqa: B017
            # Twisted's own endpoint has been told that it is cancelled.
            self.assertIsNone(self.reach(0))
        self.assertEqual(self.factory.built, [SECOND])

    def test_D02_refused(self) -> None:
        """
        The next is begun when one is refused; when all are it fails.
        """
        self.refuse(0)
        self.assertEqual(self.hosts(), [FIRST, SECOND])
        self.assertNoResult(self.connecting)
        self.refuse(1)
        error = self.failureResultOf(self.connecting, NotReached).value
        self.assertIsInstance(error, ConnectionRefusedError)
        self.assertIsInstance(error, ConnectError)
        self.assertIsInstance(error, RouteError)
        self.assertIs(error.trouble.kind, TroubleKind.REFUSED)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_D02_remembered(self) -> None:
        """
        Those that failed, and those that were overtaken, come last the next time.
        """
        self.refuse(0)
        found = self.memory.inOrder([FIRST, SECOND], self.reactor.seconds())
        self.assertEqual(found, [SECOND, FIRST])
        self.setUp()
        self.reactor.advance(STAGGER)
        self.reach(1)
        found = self.memory.inOrder([FIRST, SECOND], self.reactor.seconds())
        self.assertEqual(found, [SECOND, FIRST])

    def test_P10_cancel(self) -> None:
        """
        When it is cancelled all are given up, and nothing is remembered of them.
        """
        self.reactor.advance(STAGGER)
        self.connecting.cancel()
        self.failureResultOf(self.connecting, CancelledError)
        for connector in self.reactor.connectors:
            self.assertTrue(connector.stoppedConnecting)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        found = self.memory.inOrder([FIRST, SECOND], self.reactor.seconds())
        self.assertEqual(found, [FIRST, SECOND])

    def test_startedAndStopped(self) -> None:
        """
        The factory is told of the beginning and the end of each.
        """
        self.reactor.advance(STAGGER)
        for _, _, factory, _, _ in self.reactor.tcpClients:
            factory.doStart()
        self.assertEqual(self.factory.numPorts, 2)
        for _, _, factory, _, _ in self.reactor.tcpClients:
            factory.doStop()
        self.assertEqual(self.factory.numPorts, 0)


class WhyNotTests(SynchronousTestCase):
    """
    Tests for L{Target.whyNot}.
    """

    def why(self, error: Exception, *source: str) -> tuple[TroubleKind, str]:
        """
        Say it of an address.
        """
        host = Host("mx.example", source=source)
        target = Target(MemoryReactorClock(), host, 25, 30.0, None)
        trouble = target.whyNot(Failure(error), "2001:db8::1")
        return trouble.kind, trouble.detail

    def test_D02_words(self) -> None:
        """
        It is what the system says, and whose fault that is.
        """
        full = ConnectBindError(errno.EMFILE, "Too many open files")
        none = ConnectBindError(errno.EAFNOSUPPORT, "Address family not supported")
        foreign = ConnectBindError(errno.EADDRNOTAVAIL, "Cannot assign address")
        away = getConnectError((errno.EHOSTUNREACH, "No route to host"))
        unreachable, local = TroubleKind.UNREACHABLE, TroubleKind.LOCAL
        source = "2001:db8:1::7"
        for error, sources, expected in (
            (full, (), (local, "Too many open files")),
            (full, (source,), (local, "Too many open files")),
            (none, (), (unreachable, "Address family not supported")),
            (away, (source,), (unreachable, "No route to host")),
            (
                foreign,
                (source,),
                (
                    local,
                    f"connections are to come from {source}, which is no address of "
                    "this machine: Cannot assign address",
                ),
            ),
            (TimeoutError(), (), (TroubleKind.TIMEOUT, "")),
            (TCPTimedOutError(), (), (TroubleKind.TIMEOUT, "")),
            (ConnectionRefusedError(), (), (TroubleKind.REFUSED, "")),
            (KeyError("x"), (), (local, "'x'")),
        ):
            self.assertEqual(self.why(error, *sources), expected)
