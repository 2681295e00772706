# -*- test-case-name: relaymail.test.testing.test_doubles -*-
"""
A network in memory, on a clock that only moves when it is told to: whoever is
given it for a reactor relays without a socket and without waiting.

    >>> world = MailWorld()
    >>> mx = world.host("192.0.2.25", {"RCPT c@example.org": "451 4.7.1 Later"})
    >>> world.zones["example.org"] = {"MX": [(10, "mx.example.org")]}
    >>> world.zones["mx.example.org"] = {"A": ["192.0.2.25"]}
    >>> names = world.send("a@example.com", "b@example.org", "c@example.org")
    >>> world.run()
    >>> mx.received[0].recipients
    ('b@example.org',)

The hosts are those of L{relaymail.testing.servers}, the DNS is that of
L{relaymail.testing.dns}, the queue is L{MemoryQueue
<relaymail.queue.memory.MemoryQueue>}.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError, TimeoutError, UserError
from twisted.internet.interfaces import IReactorTCP, ISSLTransport
from twisted.internet.task import Clock
from twisted.protocols.policies import TimeoutMixin
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from twisted.test.iosim import FakeTransport, IOPump
from zope.interface import directlyProvides, implementer

from relaymail.envelopes import Envelope
from relaymail.queue.memory import MemoryQueue
from relaymail.relaymanager import MXCalculator, SmartHostESMTPRelayingManager
from relaymail.route.hosts import TLSNeed
from relaymail.testing.dns import ZoneDNS
from relaymail.testing.servers import Script, Session, SMTPServer

#: How many rounds of moving bytes and making calls come before it is taken that
#: they do not end.
MAX_ROUNDS = 100_000
#: When a world begins, in seconds of the epoch: a date that can be read, in
#: September 2001.
BEGINNING = 1_000_000_000.0
#: A message for whom it does not matter which.
CONTENT = b"Subject: hello\r\n\r\nHello.\r\n"

#: What TLS is given for a factory: the protocol is there already.
_NOTHING: Any = None


class Fate(Enum):
    """
    What becomes of a connection to an address where nobody listens.
    """

    REFUSED = "refused at once"
    SILENT = "no answer till the client gives up"


@implementer(IReactorTCP)
class MemoryNetwork(Clock):
    """
    A reactor, as far as clients need one: time, and TCP connections to
    scripted hosts.

    @ivar hosts: Who listens, or what happens, by the network address;
        an address that is not there refuses.
    @ivar tried: The address and port of every connection that was begun.
    """

    def __init__(self) -> None:
        super().__init__()
        self.hosts: dict[str, SMTPServer | Fate] = {}
        self.tried: list[tuple[str, int]] = []
        self._pumps: list[IOPump] = []

    def connectTCP(
        self,
        host: str,
        port: int,
        factory: Any,
        timeout: float = 30,
        bindAddress: Any = None,
    ) -> Any:
        """
        Connect to a host.

        @param host: Its network address.
        @param port: The port, which is kept in C{tried} only.
        @param factory: Builds the protocol.
        @param timeout: How long a host that is L{Fate.SILENT} is waited for,
            in seconds.
        @param bindAddress: Not used.
        """
        self.tried.append((host, port))
        connecting = _Connecting(self, host, port, factory)
        connecting.start(timeout)
        return connecting

    def listenTCP(
        self, port: int, factory: Any, backlog: int = 50, interface: str = ""
    ) -> Any:
        """
        Nobody listens but the hosts.
        """
        raise NotImplementedError("put an SMTPServer into hosts")

    def run(self, seconds: float = 0) -> None:
        """
        Let all happen that is to happen within some time.

        @param seconds: For how long.
        """
        end = self.seconds() + seconds
        self._settle()
        for _ in range(MAX_ROUNDS):
            due = min((c.getTime() for c in self.getDelayedCalls()), default=end + 1)
            if due > end:
                self.advance(max(end - self.seconds(), 0))
                return self._settle()
            self.advance(max(due - self.seconds(), 0))
            self._settle()
        raise AssertionError("this does not end")

    def connected(self, protocol: Any, server: SMTPServer, address: Any) -> None:
        """
        Join a client and a new session of a server.
        """
        session: Any = Session(server)
        outermost: Any = session
        if server.implicitTLS:
            outermost = TLSMemoryBIOProtocol(
                TLSMemoryBIOFactory(server.contextFactory, False, _NOTHING, self),
                session,
            )
        near = _Transport(protocol, False, peerAddress=address)
        far = _Transport(outermost, True, peerAddress=address)
        near.clock = far.clock = self
        outermost.makeConnection(far)
        protocol.makeConnection(near)
        self._pumps.append(IOPump(protocol, session, near, far, False, self))

    def _settle(self) -> None:
        for _ in range(MAX_ROUNDS):
            self.advance(0)
            moved = [pump.pump(advanceClock=False) for pump in list(self._pumps)]
            isDue = any(c.getTime() <= self.seconds() for c in self.getDelayedCalls())
            if not (any(moved) or isDue):
                break
        else:
            raise AssertionError("this does not end")
        self._pumps = [p for p in self._pumps if not p.clientIO.disconnected]


class _Connecting:
    """
    One connection that is being made.
    """

    def __init__(
        self, network: MemoryNetwork, host: str, port: int, factory: Any
    ) -> None:
        kind = IPv6Address if ":" in host else IPv4Address
        self._network = network
        self._address: Any = kind("TCP", host, port)
        self._host = network.hosts.get(host, Fate.REFUSED)
        self._factory = factory

    def start(self, timeout: float) -> None:
        self._factory.doStart()
        self._factory.startedConnecting(self)
        match self._host:
            case Fate.REFUSED:
                self._later(0, self._fail, ConnectionRefusedError())
            case Fate.SILENT:
                self._later(timeout, self._fail, TimeoutError())
            case server:
                self._later(0, self._succeed, server)

    def stopConnecting(self) -> None:
        self._call.cancel()
        self._fail(UserError())

    disconnect = stopConnecting

    def getDestination(self) -> Any:
        return self._address

    def _later(self, wait: float, do: Callable[..., None], what: Any) -> None:
        self._call = self._network.callLater(wait, do, what)

    def _fail(self, reason: Exception) -> None:
        self._factory.clientConnectionFailed(self, Failure(reason))
        self._factory.doStop()

    def _succeed(self, server: SMTPServer) -> None:
        protocol = self._factory.buildProtocol(self._address)
        if protocol is None:
            return
        client: Any = _innermost(protocol)
        if isinstance(client, TimeoutMixin):
            # The waits of the client are of this clock.
            setattr(client, "callLater", self._network.callLater)  # noqa: B010
        self._network.connected(protocol, server, self._address)


class _Transport(FakeTransport):  # type: ignore[misc]
    """
    A transport in memory whose TLS is real.
    """

    clock: Any = None

    def startTLS(self, contextFactory: Any, beNormal: bool = True) -> None:
        wrapped = self.protocol
        tls = TLSMemoryBIOProtocol(
            TLSMemoryBIOFactory(
                contextFactory, not self.isServer, _NOTHING, self.clock
            ),
            wrapped,
            False,
        )
        directlyProvides(tls, ISSLTransport)
        self.protocol = tls
        tls.makeConnection(self)
        _innermost(wrapped).transport = tls


def _innermost(protocol: Any) -> Any:
    """
    Give what endpoints and TLS were wrapped around.
    """
    for name in ("_wrappedProtocol", "wrappedProtocol"):
        inner = vars(protocol).get(name)
        if inner is not None:
            return _innermost(inner)
    return protocol


class MailWorld:
    """
    A relaying manager with a queue, a DNS and hosts, all in memory.

    @ivar network: The hosts, and the clock.
    @ivar zones: What the DNS knows; see L{ZoneDNS
        <relaymail.testing.dns.ZoneDNS>}.
    @ivar queue: The queue.
    @ivar manager: What relays from the queue.
    """

    def __init__(self, queue: Any = None, manager: Any = None) -> None:
        """
        @param queue: Gives a queue for a clock; L{None} for one in memory.
        @param manager: Gives a relaying manager for a queue; L{None} for one
            that speaks ESMTP, in clear where TLS is not offered.
        """
        self.network = MemoryNetwork()
        self.network.rightNow = BEGINNING
        self.queue = (queue or MemoryQueue)(self.network)
        self.manager = (manager or _esmtpManager)(self.queue)
        self.manager.reactor = self.network
        if self.manager.mxcalc is None:
            dns = ZoneDNS()
            self.zones = dns.zones
            self.manager.mxcalc = MXCalculator(dns, self.network)
            self.manager.mxcalc.shuffle = _keepOrder
        self.manager.chance = _inTheMiddle
        self.queue.onWaiting = self.manager.wake

    def host(
        self, address: str, answers: Script | None = None, **options: Any
    ) -> SMTPServer:
        """
        Put a host into the network.

        @param address: Its network address.
        @param answers: What it says; see L{SMTPServer
            <relaymail.testing.servers.SMTPServer>}.
        @param options: More of what that takes.

        @return: The host.
        """
        server = SMTPServer(answers, **options)
        server.reactor = self.network
        self.network.hosts[address] = server
        return server

    def exchange(self, domain: str, hosts: Mapping[str, str]) -> None:
        """
        Name the mail exchange hosts of a domain in the DNS.

        @param domain: The domain.
        @param hosts: The address of each host by its name, the best first.
        """
        names = list(hosts)
        self.zones[domain] = {"MX": [(10 * n, x) for n, x in enumerate(names, 1)]}
        for name in names:
            self.zones[name] = {"A": [hosts[name]]}

    def send(
        self, sender: str, *recipients: str, content: bytes = CONTENT
    ) -> list[str]:
        """
        Put a message into the queue.

        @param sender: The reverse-path.
        @param recipients: The forward-paths.
        @param content: The message, canonical CRLF.

        @return: The names.
        """
        names: list[str] = []
        added: Deferred[Any] = self.queue.add(Envelope(sender, recipients), content)
        added.addCallback(names.extend)
        return names

    def run(self, seconds: float = 0) -> None:
        """
        Let all happen that is to happen within some time.

        @param seconds: For how long.
        """
        self.network.run(seconds)


def _esmtpManager(queue: Any) -> SmartHostESMTPRelayingManager:
    manager = SmartHostESMTPRelayingManager(queue)
    manager.fArgs = (None, None, b"relay.example.com")
    manager.hostname = "relay.example.com"
    manager.tls = TLSNeed.OFFERED
    return manager


def _keepOrder(records: list[Any]) -> None:
    """
    Leave equals as they are, instead of shuffling them.
    """


def _inTheMiddle() -> float:
    """
    Give the chance that makes no delay longer or shorter.
    """
    return 0.5
