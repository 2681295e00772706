# -*- test-case-name: relaymail.test.route.test_resolver -*-
"""
Questions to DNS servers, over the wire.

C{twisted.names} asks and parses.  What is added here is what a relay that runs
for months needs: an answer to another question is no answer, a question over
TCP has its own connection and its own end, and no timer runs while nobody
asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError, ConnectionLost
from twisted.internet.protocol import ClientFactory
from twisted.names import client, dns
from twisted.names.error import ResolverError
from twisted.python.failure import Failure

from relaymail.route.aliases import foldName

#: How long each server is waited for before the question is asked again, in
#: seconds: lost packets are made good soon, a slow server has its chance, and
#: it is over in less than a client of ours would give up in.
PATIENCE = (2, 5, 10)
#: How long an answer over TCP is waited for, with the connection, in seconds.
TCP_PATIENCE = 10
#: How many questions are asked at a time: each one takes a descriptor.
MAX_QUESTIONS = 200
#: How many ports are tried for a question, each by chance: most are free.
MAX_PORTS = 100
#: The lowest port that needs no privilege.
LOWEST_PORT = 1024
#: How often the system's list of servers is looked at again, in seconds.
REREAD = 60


class WireResolver(client.Resolver):
    """
    Asks DNS servers.

    The parameters are those of L{client.Resolver
    <twisted.names.client.Resolver>}.
    """

    def __init__(
        self,
        resolv: str | None = None,
        servers: list[tuple[str, int]] | None = None,
        timeout: Sequence[int] = PATIENCE,
        reactor: Any = None,
    ) -> None:
        self._questions = defer.DeferredSemaphore(MAX_QUESTIONS)
        self._nextLook: float | None = None
        super().__init__(resolv, servers, timeout, reactor)

    def maybeParseConfig(self) -> None:
        """
        Read the system's list of servers, if it was not read just now.
        """
        now = self._reactor.seconds()
        if self.resolv is None or (self._nextLook is not None and now < self._nextLook):
            return
        self._nextLook = now + REREAD
        try:
            with self._openFile(self.resolv) as lines:
                self.parseConfig(lines.readlines())
        except FileNotFoundError:
            self.parseConfig(())

    def parseConfig(self, resolvConf: Sequence[bytes]) -> None:
        """
        Take the servers from the lines of a resolver file.

        @param resolvConf: The lines.
        """
        rows = (line.split() for line in resolvConf)
        servers = [
            (row[1].decode("ascii", "replace"), dns.PORT)
            for row in rows
            if len(row) > 1 and row[0] == b"nameserver"
        ]
        self.dynServers: Any = servers or [("127.0.0.1", dns.PORT)]

    def queryTCP(
        self, queries: Sequence[dns.Query], timeout: float = TCP_PATIENCE
    ) -> Deferred[dns.Message]:
        """
        Ask over TCP, on a connection that ends with the answer: one that a
        server left half open would swallow every question after this one.

        @param queries: The questions.
        @param timeout: How long it may take, in seconds.
        """
        server = self.pickServer()
        if server is None:
            return defer.fail(ResolverError("no DNS server is known"))
        factory = _OneQuestion(list(queries), timeout, self._reactor)
        connector = self._reactor.connectTCP(*server, factory, timeout)
        return factory.answered.addBoth(_after, connector.disconnect)

    def messageReceived(self, message: dns.Message, *args: Any) -> None:
        """
        Ignore an answer that was not asked for, or comes too late: what has
        the wrong number ends up here.
        """

    def _connectedProtocol(self, interface: str = "") -> dns.DNSDatagramProtocol:
        """
        Bind a port for one question, chosen by chance so that nobody can
        answer unseen (RFC 5452 4.5).
        """
        protocol = dns.DNSDatagramProtocol(self, self._reactor)
        protocol.noisy = False
        for _ in range(MAX_PORTS):
            port = LOWEST_PORT + dns.randomSource() % (65536 - LOWEST_PORT)
            try:
                self._reactor.listenUDP(port, protocol, interface=interface)
            except CannotListenError:
                continue
            return protocol
        raise ResolverError("no UDP port is free to ask a DNS server from")

    def filterAnswers(self, message: dns.Message) -> Any:
        """
        Give the three sections of an answer, or the failure that its code
        stands for; a truncated answer is asked for again over TCP.

        @param message: The answer.
        """
        if message.trunc:
            d = self.queryTCP(message.queries)
            return d.addCallback(_answering, message.queries).addCallback(self._parts)
        return self._parts(message)

    def _parts(self, message: dns.Message) -> Any:
        if message.trunc:
            return Failure(ResolverError("the answer over TCP was cut short, too"))
        if message.rCode != dns.OK:
            error = self.exceptionForCode(message.rCode)
            return Failure(error(f"the DNS server answered with code {message.rCode}"))
        return (message.answers, message.authority, message.additional)

    def _lookup(
        self, name: bytes, cls: int, type: int, timeout: Sequence[int] | None = None
    ) -> Deferred[Any]:
        self.maybeParseConfig()
        queries = [dns.Query(name, type, cls)]
        return self._questions.run(self._ask, queries, timeout)

    def _ask(
        self, queries: list[dns.Query], timeout: Sequence[int] | None
    ) -> Deferred[Any]:
        d: Deferred[Any] = self.queryUDP(queries, timeout)
        d.addCallback(_answering, queries)
        return d.addCallback(self.filterAnswers)


class _OneQuestion(ClientFactory):
    """
    One question over one TCP connection; also what C{twisted.names} calls the
    controller of that connection.

    @ivar answered: Fires with the answer.
    """

    noisy = False

    def __init__(self, queries: list[dns.Query], timeout: float, reactor: Any) -> None:
        self.answered: Deferred[dns.Message] = Deferred()
        self._queries = queries
        self._timeout = timeout
        self._reactor = reactor

    def buildProtocol(self, address: object) -> dns.DNSProtocol:
        return dns.DNSProtocol(self, self._reactor)

    def connectionMade(self, protocol: dns.DNSProtocol) -> None:
        protocol.query(self._queries, self._timeout).addBoth(self._settle)

    def messageReceived(self, message: dns.Message, *args: Any) -> None:
        """
        Ignore what was not asked for.
        """

    def connectionLost(self, protocol: dns.DNSProtocol) -> None:
        self._settle(Failure(ConnectionLost("the DNS server closed the connection")))

    def clientConnectionFailed(self, connector: object, reason: Failure) -> None:
        self._settle(reason)

    def _settle(self, result: dns.Message | Failure) -> None:
        if not self.answered.called:
            self.answered.callback(result)


def _after(result: Any, clean: Any) -> Any:
    clean()
    return result


def _answering(message: dns.Message, queries: Sequence[dns.Query]) -> dns.Message:
    """
    Let an answer through if it is one to the questions asked.
    """
    asked = [(foldName(q.name), q.type, q.cls) for q in queries]
    told = [(foldName(q.name), q.type, q.cls) for q in message.queries]
    if not message.answer or (told and told != asked):
        raise ResolverError("the DNS server answered another question")
    return message
