# -*- test-case-name: relaymail.test.route.test_connector -*-
"""
Tests for L{relaymail.route.connector}.
"""

from __future__ import annotations

import errno
import os
from ipaddress import ip_network
from typing import Any

from twisted.internet.address import UNIXAddress
from twisted.internet.error import (
    ConnectionRefusedError,
    TCPTimedOutError,
    TimeoutError,
    getConnectError,
)
from twisted.internet.protocol import ClientFactory, Protocol
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from relaymail.errors import ConfigurationError, RouteError
from relaymail.replies import Phase, TroubleKind
from relaymail.route.connector import MAX_TRIES, Connector
from relaymail.route.destinations import DestinationPolicy
from relaymail.route.hosts import Host, TLSNeed
from relaymail.testing.dns import Fault, ZoneDNS
from relaymail.testing.machine import EVERY_PORT, Machine
from relaymail.testing.network import Fate, Network
from relaymail.testing.servers import SMTPServer


class Factory(ClientFactory):
    """
    A factory of plain protocols.
    """

    noisy = False
    protocol = Protocol


class ConnectTests(SynchronousTestCase):
    """
    Tests for L{Connector.connect}.
    """

    def setUp(self) -> None:
        self.network = Network()
        self.machine = self.network.machine("198.51.100.1")
        self.resolver = ZoneDNS()

    def connect(
        self,
        host: Host | str = "mx.example",
        policy: DestinationPolicy | None = None,
        **addresses: list[str],
    ) -> Any:
        """
        Connect to a host with these addresses.
        """
        if addresses:
            self.resolver.zones["mx.example"] = addresses
        if isinstance(host, str):
            host = Host(host)
        connector = Connector(self.machine, self.resolver, policy, 7.0)
        return connector.connect(host, 25, Factory())

    def listen(self, address: str) -> None:
        """
        Put a host there.
        """
        SMTPServer().start(self.network.machine(address), address, EVERY_PORT)

    @property
    def tried(self) -> list[str]:
        """
        The addresses that were tried.
        """
        return [address for address, _ in self.network.tried]

    def test_first(self) -> None:
        """
        The first address that answers is it.
        """
        self.listen("192.0.2.1")
        d = self.connect(A=["192.0.2.1", "192.0.2.2"])
        self.network.run()
        self.assertIsNotNone(self.successResultOf(d))
        self.assertEqual(self.network.tried, [("192.0.2.1", 25)])

    def test_socketHasNoAddresses(self) -> None:
        """
        What stands for the addresses of a socket is its path; nobody is asked.
        """
        host = Host("/run/lmtp", path="/run/lmtp", lmtp=True)
        connector = Connector(self.machine, self.resolver)
        addresses = connector.addressesFor(host, 24)
        self.assertEqual(self.successResultOf(addresses), ["/run/lmtp"])
        self.assertEqual(self.resolver.asked, [])

    def test_literal(self) -> None:
        """
        A network address needs no lookup.
        """
        self.listen("192.0.2.1")
        self.connect("192.0.2.1")
        self.network.run()
        self.assertEqual((self.tried, self.resolver.asked), (["192.0.2.1"], []))

    def test_D02_eachInOrder(self) -> None:
        """
        Addresses are tried one after the other, IPv6 ones too, each for as
        long as the time-out says.
        """
        self.network.fates["192.0.2.2"] = Fate.SILENT
        self.listen("2001:db8::1")
        d = self.connect(A=["192.0.2.1", "192.0.2.2"], AAAA=["2001:db8::1"])
        self.network.run(6.9)
        self.assertEqual(self.tried, ["192.0.2.1", "192.0.2.2"])
        self.assertNoResult(d)
        self.network.run(0.2)
        self.assertEqual(self.tried[2:], ["2001:db8::1"])
        self.assertIsNotNone(self.successResultOf(d))

    def test_D02_lastReason(self) -> None:
        """
        It fails with the last address's reason.
        """
        self.network.fates["192.0.2.2"] = Fate.SILENT
        d = self.connect(A=["192.0.2.1", "192.0.2.2"])
        self.network.run(7)
        self.failureResultOf(d, TimeoutError)
        d = self.connect(A=["192.0.2.2", "192.0.2.1"])
        self.network.run(7)
        self.failureResultOf(d, ConnectionRefusedError)

    def test_A07_bounded(self) -> None:
        """
        No more than L{MAX_TRIES} addresses are tried.
        """
        d = self.connect(A=[f"192.0.2.{n}" for n in range(1, 200)])
        self.network.run()
        self.failureResultOf(d, ConnectionRefusedError)
        self.assertEqual(len(self.tried), MAX_TRIES)

    def test_noAddress(self) -> None:
        """
        Without an address it fails with a L{RouteError} that says whether
        that may pass.
        """
        error = self.failureResultOf(self.connect(), RouteError).value
        self.assertIs(error.trouble.kind, TroubleKind.NO_SUCH_DOMAIN)
        self.resolver.zones["mx.example"] = Fault.SERVFAIL
        error = self.failureResultOf(self.connect(), RouteError).value
        self.assertIs(error.trouble.kind, TroubleKind.NO_ANSWER)
        self.assertEqual(self.tried, [])

    def test_A04_forbiddenAddressesAreLeftOut(self) -> None:
        """
        Addresses that are not to be connected to are passed over.
        """
        self.listen("198.51.100.7")
        policy = DestinationPolicy(allowed=(ip_network("198.51.100.0/24"),))
        self.connect(policy=policy, A=["127.0.0.1", "10.0.0.1", "198.51.100.7"])
        self.network.run()
        self.assertEqual(self.tried, ["198.51.100.7"])

    def test_A04_allForbidden(self) -> None:
        """
        Where none is left it fails, and nothing was tried.
        """
        d = self.connect(policy=DestinationPolicy(), A=["127.0.0.1", "10.0.0.1"])
        error = self.failureResultOf(d, RouteError).value
        self.assertIs(error.trouble.kind, TroubleKind.FORBIDDEN)
        self.assertEqual(self.tried, [])

    def test_A04_oneOwnAddressIsALoop(self) -> None:
        """
        A host that is this relay under one address is it under all.
        """
        policy = DestinationPolicy(
            ownAddresses=frozenset({"198.51.100.9"}), ownPorts=frozenset({25})
        )
        d = self.connect(policy=policy, A=["8.8.8.8", "198.51.100.9"])
        error = self.failureResultOf(d, RouteError).value
        self.assertIs(error.trouble.kind, TroubleKind.LOOP)
        self.assertEqual(self.tried, [])

    def test_A04_namedHostsAreNotFiltered(self) -> None:
        """
        A host that the operator named is connected to wherever it is.
        """
        self.listen("127.0.0.1")
        host = Host("mx.example", named=True)
        self.connect(host, policy=DestinationPolicy(), A=["127.0.0.1"])
        self.network.run()
        self.assertEqual(self.tried, ["127.0.0.1"])

    def test_P10_cancel(self) -> None:
        """
        What is cancelled tries nothing further.
        """
        self.network.fates["192.0.2.1"] = Fate.SILENT
        d = self.connect(A=["192.0.2.1", "192.0.2.2"])
        self.network.run(1)
        d.cancel()
        self.network.run(60)
        self.failureResultOf(d)
        self.assertEqual(self.tried, ["192.0.2.1"])
        self.assertEqual(self.network.getDelayedCalls(), [])

    def test_implicitTLS(self) -> None:
        """
        Where TLS starts with the connection the protocol is wrapped in it.
        """
        for tls, isWrapped in ((TLSNeed.ENCRYPTED, True), (TLSNeed.NEVER, False)):
            built: list[Any] = []
            connectTCP = Machine.connectTCP

            def connect(host: str, port: int, factory: Any, **kw: Any) -> Any:
                built.append(factory._wrappedFactory)  # noqa: B023
                return connectTCP(self.machine, host, port, factory, **kw)  # noqa: B023

            self.patch(self.machine, "connectTCP", connect)
            d = self.connect(
                Host("mx.example", tls=tls, implicitTLS=True), A=["192.0.2.1"]
            )
            self.network.run()
            self.failureResultOf(d, ConnectionRefusedError)
            self.assertEqual(isinstance(built[0], TLSMemoryBIOFactory), isWrapped)

    def test_implicitTLSWithoutItsCertificates(self) -> None:
        """
        A file of certificates that is not there fails the connection.
        """
        host = Host(
            "mx.example", tls=TLSNeed.VERIFIED, implicitTLS=True, caFile=self.mktemp()
        )
        d = self.connect(host, A=["192.0.2.1", "192.0.2.2"])
        self.failureResultOf(d, ConfigurationError)
        self.assertEqual(self.tried, [])


class SocketTests(SynchronousTestCase):
    """
    L{Connector.connect} to a UNIX socket, in memory.
    """

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        connector = Connector(self.reactor, None, None, 7.0)
        host = Host("/run/lmtp", path="/run/lmtp", lmtp=True, named=True)
        self.connecting = connector.connect(host, 24, Factory())

    def test_path(self) -> None:
        """
        It is connected to by its path, for as long as the time-out says.
        """
        [(path, factory, timeout, _)] = self.reactor.unixClients
        self.assertEqual((path, timeout), ("/run/lmtp", 7.0))
        protocol = factory.buildProtocol(UNIXAddress("/run/lmtp"))
        protocol.makeConnection(StringTransport())
        self.assertIsInstance(self.successResultOf(self.connecting), Protocol)

    def failBy(self, number: int) -> Any:
        """
        Fail as the system does.
        """
        [(_, factory, _, _)] = self.reactor.unixClients
        reason = Failure(getConnectError((number, os.strerror(number))))
        factory.clientConnectionFailed(None, reason)
        return self.connecting

    def test_D02_words(self) -> None:
        """
        What keeps from it is told in words that say what to do.
        """
        for number, kind, words in (
            (errno.ENOENT, TroubleKind.UNREACHABLE, "there is no socket /run/lmtp"),
            (errno.EACCES, TroubleKind.UNREACHABLE, "may not use the socket"),
            (errno.ECONNREFUSED, TroubleKind.REFUSED, "nobody listens on the socket"),
            (errno.ENOTSOCK, TroubleKind.UNREACHABLE, "is not a socket"),
        ):
            self.setUp()
            error = self.failureResultOf(self.failBy(number), RouteError).value
            self.assertIs(error.trouble.kind, kind)
            self.assertIs(error.trouble.phase, Phase.CONNECT)
            self.assertIn(words, error.trouble.detail)

    def test_D02_others(self) -> None:
        """
        Any other reason is as it came.
        """
        self.failureResultOf(self.failBy(errno.ETIMEDOUT), TCPTimedOutError)
