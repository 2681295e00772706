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
    ConnectBindError,
    ConnectionRefusedError,
    NoProtocol,
    NoRouteError,
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
from relaymail.outcome.verdicts import Fate as Verdicts
from relaymail.outcome.verdicts import HostState, judge
from relaymail.replies import Phase, Trouble, TroubleKind
from relaymail.route.connector import Connector
from relaymail.route.destinations import DestinationPolicy
from relaymail.route.hosts import Host, TLSNeed
from relaymail.route.memory import AddressMemory
from relaymail.route.racing import MAX_AT_ONCE, MAX_TRIES, STAGGER
from relaymail.testing.dns import Fault, ZoneDNS
from relaymail.testing.links import Link
from relaymail.testing.machine import EVERY_PORT, Machine
from relaymail.testing.network import Fate, Network
from relaymail.testing.servers import SMTPServer


class Factory(ClientFactory):
    """
    A factory of plain protocols.
    """

    noisy = False
    protocol = Protocol

    def __init__(self) -> None:
        #: The addresses for which it was asked.
        self.built: list[str] = []

    def buildProtocol(self, addr: Any) -> Any:
        """
        Build a protocol, or what stands for it.
        """
        self.built.append(getattr(addr, "host", ""))
        return self.protocol()


class Changing:
    """
    A L{DestinationPolicy} that changes.
    """

    kind: TroubleKind | None = None

    def trouble(self, address: str, port: int) -> Trouble | None:
        """
        Judge as it is now.
        """
        if self.kind is None:
            return None
        return Trouble(Phase.CONNECT, self.kind, "it has changed")


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
        policy: Any = None,
        memory: AddressMemory | None = None,
        factory: Any = None,
        **addresses: list[str],
    ) -> Any:
        """
        Connect to a host with these addresses.
        """
        if addresses:
            self.resolver.zones["mx.example"] = addresses
        if isinstance(host, str):
            host = Host(host)
        connector = Connector(self.machine, self.resolver, policy, 7.0, memory)
        return connector.connect(host, 25, factory or Factory())

    def listen(self, address: str) -> SMTPServer:
        """
        Put a host there.
        """
        machine = self.network.machine(address)
        machine.closePort((address, EVERY_PORT))
        return SMTPServer().start(machine, address, EVERY_PORT)

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

    def test_D02_familiesInTurn(self) -> None:
        """
        An address of the other family is tried soon after the first, and the first
        that answers is it: the others are given up.
        """
        self.network.fates["192.0.2.1"] = Fate.SILENT
        self.listen("2001:db8::1")
        d = self.connect(A=["192.0.2.1", "192.0.2.2"], AAAA=["2001:db8::1"])
        self.network.run(0.2)
        self.assertEqual(self.tried, ["192.0.2.1"])
        self.network.run(0.1)
        self.assertEqual(self.tried, ["192.0.2.1", "2001:db8::1"])
        self.assertIsNotNone(self.successResultOf(d))
        self.assertEqual(self.machine.dialings, set())
        self.assertEqual(self.network.getDelayedCalls(), [])

    def test_D02_atOnceAfterAFailure(self) -> None:
        """
        The next address is tried as soon as the one before has failed.
        """
        self.network.fates["192.0.2.1"] = Fate.UNREACHABLE
        self.listen("192.0.2.3")
        d = self.connect(A=["192.0.2.1", "192.0.2.2", "192.0.2.3"])
        self.network.run(0.01)
        self.assertIsNotNone(self.successResultOf(d))
        self.assertEqual(self.tried, ["192.0.2.1", "192.0.2.2", "192.0.2.3"])

    def test_D02_silentOneIsTriedLastThen(self) -> None:
        """
        An address that was overtaken by another one comes after it the next time.
        """
        self.network.fates["192.0.2.1"] = Fate.SILENT
        self.listen("2001:db8::1")
        memory = AddressMemory()
        for _ in range(2):
            self.network.tried.clear()
            self.connect(memory=memory, A=["192.0.2.1"], AAAA=["2001:db8::1"])
            self.network.run(1)
        self.assertEqual(self.tried, ["2001:db8::1"])

    def test_D02_allSilent(self) -> None:
        """
        A host whose addresses are all silent costs one time-out, and a little.
        """
        addresses = [f"192.0.2.{n}" for n in range(1, MAX_TRIES + 1)]
        for address in addresses:
            self.network.fates[address] = Fate.SILENT
        d = self.connect(A=addresses)
        self.network.run(6.9)
        self.assertNoResult(d)
        self.assertEqual(self.tried, addresses[:MAX_AT_ONCE])
        self.network.run(1)
        failure = self.failureResultOf(d, TimeoutError)
        self.assertEqual(
            failure.value.trouble.text,
            "timed out while connecting: port 25 of 192.0.2.1, 192.0.2.2, 192.0.2.3; "
            "too late for 192.0.2.4, 192.0.2.5, 192.0.2.6",
        )
        self.assertEqual(self.machine.dialings, set())
        self.assertEqual(self.network.getDelayedCalls(), [])

    def test_D02_mostTellingReason(self) -> None:
        """
        It fails with what says most of the host, whichever address came last, and
        names them all.
        """
        self.network.fates |= {
            "192.0.2.2": Fate.SILENT,
            "2001:db8::1": Fate.UNREACHABLE,
        }
        for first, second in (("192.0.2.1", "192.0.2.2"), ("192.0.2.2", "192.0.2.1")):
            d = self.connect(A=[first, second], AAAA=["2001:db8::1"])
            self.network.run(8)
            error = self.failureResultOf(d, ConnectionRefusedError, RouteError).value
            self.assertEqual(
                error.trouble.text,
                "connection refused while connecting: port 25 of 192.0.2.1; timed "
                "out: 192.0.2.2; host unreachable: 2001:db8::1 (Network is "
                "unreachable)",
            )
            self.assertEqual(str(error), error.trouble.text)

    def test_D02_oneAddress(self) -> None:
        """
        So does a host that has one address only.
        """
        for fate, kind, told in (
            (Fate.REFUSED, ConnectionRefusedError, "connection refused while {}"),
            (Fate.SILENT, TimeoutError, "timed out while {}"),
            (
                Fate.UNREACHABLE,
                NoRouteError,
                "host unreachable while {} (Network is unreachable)",
            ),
        ):
            self.network.fates["192.0.2.1"] = fate
            d = self.connect(A=["192.0.2.1"])
            self.network.run(7)
            error = self.failureResultOf(d, kind).value
            where = "connecting: port 25 of 192.0.2.1"
            self.assertEqual(error.trouble.text, told.format(where))
            self.assertIs(error.trouble.phase, Phase.CONNECT)

    def test_D02_oneProtocolOnly(self) -> None:
        """
        When two answer in the same moment the factory is asked for one protocol, for
        the address that was reached, and the other connection is closed.
        """
        self.network.setLink(Link(latency=1))
        servers = [self.listen("192.0.2.1"), self.listen("2001:db8::1")]
        second = self.network.machine("2001:db8::1")
        self.network.setLink(Link(latency=1 - STAGGER / 2), self.machine, second)
        factory = Factory()
        d = self.connect(factory=factory, A=["192.0.2.1"], AAAA=["2001:db8::1"])
        self.network.run(10)
        self.assertEqual(len(self.tried), 2)
        protocol = self.successResultOf(d)
        self.assertEqual(factory.built, ["192.0.2.1"])
        self.assertEqual(protocol.transport.getPeer().host, "192.0.2.1")
        self.assertEqual([len(server.sessions) for server in servers], [1, 1])
        self.assertEqual([len(server.open) for server in servers], [1, 0])

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
        self.assertEqual(self.tried, ["192.0.2.1", "192.0.2.2"])
        self.assertEqual(self.machine.dialings, set())
        self.assertEqual(self.network.getDelayedCalls(), [])

    def test_P10_cancelledBetweenTwo(self) -> None:
        """
        Nor is the next one begun that was to be begun later.
        """
        self.network.fates["192.0.2.1"] = Fate.SILENT
        d = self.connect(A=["192.0.2.1", "192.0.2.2"])
        self.network.run(0.1)
        d.cancel()
        self.network.run(60)
        self.failureResultOf(d)
        self.assertEqual(self.tried, ["192.0.2.1"])
        self.assertEqual(self.network.getDelayedCalls(), [])

    def test_A04_askedWhenItIsConnectedTo(self) -> None:
        """
        What may be connected to is asked again for what is begun later.
        """
        policy = Changing()
        self.network.fates["192.0.2.1"] = Fate.SILENT
        self.listen("192.0.2.2")
        d = self.connect(policy=policy, A=["192.0.2.1", "192.0.2.2"])
        policy.kind = TroubleKind.FORBIDDEN
        self.network.run(8)
        error = self.failureResultOf(d, TimeoutError).value
        self.assertIn("192.0.2.2 (it has changed)", error.trouble.detail)
        self.assertEqual(self.tried, ["192.0.2.1"])

    def test_A04_ownAddressMeanwhile(self) -> None:
        """
        One that is this relay meanwhile ends it (5.4.6), with nothing left open.
        """
        policy = Changing()
        self.network.fates["192.0.2.1"] = Fate.SILENT
        d = self.connect(policy=policy, A=["192.0.2.1", "192.0.2.2", "192.0.2.3"])
        policy.kind = TroubleKind.LOOP
        self.network.run(1)
        error = self.failureResultOf(d, RouteError).value
        self.assertIs(error.trouble.kind, TroubleKind.LOOP)
        self.assertEqual(self.machine.dialings, set())
        self.assertEqual(self.network.getDelayedCalls(), [])

    def test_nobodyWantsIt(self) -> None:
        """
        Where the factory builds nothing no other address is tried.
        """
        for addresses in (["192.0.2.1"], ["192.0.2.1", "192.0.2.2"]):
            self.network.tried.clear()
            self.listen("192.0.2.1")
            factory = Factory()
            factory.protocol = lambda: None  # type: ignore[assignment,return-value]
            d = self.connect(factory=factory, A=addresses)
            self.network.run(1)
            self.failureResultOf(d, NoProtocol)
            self.assertEqual(self.tried, ["192.0.2.1"])
            self.assertEqual(factory.built, ["192.0.2.1"])

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


class SourceTests(SynchronousTestCase):
    """
    Connections that come from an address of the operator's choice.
    """

    SOURCES = ("198.51.100.7", "2001:db8:1::7")

    def setUp(self) -> None:
        self.network = Network()
        self.machine = self.network.machine(
            "198.51.100.1", "2001:db8:1::1", *self.SOURCES
        )
        self.resolver = ZoneDNS()

    def connect(self, *source: str, **addresses: list[str]) -> Any:
        """
        Connect from an address.
        """
        self.resolver.zones["mx.example"] = addresses
        connector = Connector(self.machine, self.resolver)
        host = Host("mx.example", source=source)
        connecting = connector.connect(host, 25, Factory())
        self.network.run(1)
        return connecting

    def listen(self, address: str) -> None:
        """
        Put a host there.
        """
        SMTPServer().start(self.network.machine(address), address, EVERY_PORT)

    def test_ofItsFamily(self) -> None:
        """
        It is the one of the family of the address that is connected to.
        """
        for address, kind in (("192.0.2.1", "A"), ("2001:db8::1", "AAAA")):
            self.listen(address)
            protocol = self.successResultOf(
                self.connect(*self.SOURCES, **{kind: [address]})
            )
            source = self.SOURCES[kind == "AAAA"]
            self.assertEqual(protocol.transport.getHost().host, source)

    def test_otherFamilyIsLeftOut(self) -> None:
        """
        Addresses are not connected to for whose family there is none.
        """
        self.listen("2001:db8::1")
        protocol = self.successResultOf(
            self.connect(self.SOURCES[1], A=["192.0.2.1"], AAAA=["2001:db8::1"])
        )
        self.assertEqual(protocol.transport.getHost().host, self.SOURCES[1])
        self.assertEqual(self.network.tried, [("2001:db8::1", 25)])

    def test_D02_noneOfItsFamily(self) -> None:
        """
        Where none is left it says so; it is not the host that is wrong.
        """
        connecting = self.connect(self.SOURCES[0], AAAA=["2001:db8::1"])
        trouble = self.failureResultOf(connecting, RouteError).value.trouble
        self.assertEqual(
            trouble.detail,
            "mx.example has IPv6 addresses only (2001:db8::1), and connections to it "
            "are to come from 198.51.100.7: name an IPv6 address of this machine "
            "beside the IPv4 one",
        )
        verdict = judge(trouble.phase, trouble, lastHost=False)
        self.assertIs(verdict.fate, Verdicts.NEXT_HOST)
        self.assertIs(verdict.host, HostState.UNKNOWN)
        self.assertIs(judge(trouble.phase, trouble).fate, Verdicts.RETRY)
        self.assertEqual(self.network.tried, [])

    def test_D02_notOfThisMachine(self) -> None:
        """
        One that this machine has not is this relay's failure: the mail waits, and
        the host is not to blame.
        """
        for addresses in (["192.0.2.1"], ["192.0.2.1", "192.0.2.2"]):
            connecting = self.connect("203.0.113.9", A=addresses)
            error = self.failureResultOf(connecting, ConnectBindError).value
            trouble = error.trouble
            self.assertEqual(
                (trouble.phase, trouble.kind), (Phase.CONNECT, TroubleKind.LOCAL)
            )
            self.assertIn(
                "192.0.2.1 (connections are to come from 203.0.113.9, which is no "
                "address of this machine: Cannot assign requested address)",
                trouble.detail,
            )
            verdict = judge(trouble.phase, trouble)
            self.assertIs(verdict.fate, Verdicts.RETRY)
            self.assertIs(verdict.host, HostState.UNKNOWN)

    def test_socket(self) -> None:
        """
        Sockets have no such address.
        """
        reactor = MemoryReactorClock()
        host = Host("/run/lmtp", path="/run/lmtp", lmtp=True, source=self.SOURCES)
        Connector(reactor, None).connect(host, 24, Factory())
        self.assertEqual(len(reactor.unixClients), 1)


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
