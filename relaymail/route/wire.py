# -*- test-case-name: relaymail.test.route.test_wire -*-
"""
Questions to DNS servers, over the wire.

C{twisted.names} asks and parses.  What is added here is what a relay that runs
for months needs: an answer to another question is no answer, a question over
TCP has its own connection and its own end, no timer runs while nobody asks, and
it is told whether an answer is secure (L{relaymail.route.security}).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from typing import Any, TypeAlias

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError, ConnectionLost
from twisted.internet.protocol import ClientFactory
from twisted.names import client, common, dns
from twisted.names.error import DNSQueryTimeoutError, ResolverError
from twisted.python.failure import Failure

from relaymail.route.aliases import foldName
from relaymail.route.edns import DISLIKES, PAYLOAD, Manners
from relaymail.route.security import (
    Records,
    isTrusted,
    negativeTTL,
    parseNetworks,
    vouched,
)
from relaymail.route.tlsa import TYPE as TLSA

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


#: A name server: its network address and its port.
Server: TypeAlias = tuple[str, int]


class TLSALookups(common.ResolverBase):
    """
    Knows one type of record more than C{twisted.names} does.
    """

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.typeToMethod[TLSA] = self.lookupTLSA

    def lookupTLSA(
        self, name: bytes | str, timeout: Sequence[int] | None = None
    ) -> Deferred[Any]:
        """
        Ask for TLSA records (RFC 6698), whose payload has their C{data}.

        @param name: The name.
        @param timeout: As of the other lookups.
        """
        d: Deferred[Any] = self._lookup(dns.domainString(name), dns.IN, TLSA, timeout)
        return d


class WireResolver(TLSALookups, client.Resolver):
    """
    Asks DNS servers.

    Its answers begin with L{Records}, and the errors that say that there is nothing
    have C{isSecure} and C{ttl} like those.

    @ivar believedOnly: Whether servers whose AD is not believed are left alone where
        there is one whose AD is: who can keep that one silent shall not be able to
        make of what is signed something that is not.
    """

    believedOnly = False

    def __init__(
        self,
        resolv: str | None = None,
        servers: list[Server] | None = None,
        timeout: Sequence[int] = PATIENCE,
        reactor: Any = None,
        trusted: Iterable[object] = (),
    ) -> None:
        """
        The parameters are those of L{client.Resolver
        <twisted.names.client.Resolver>}, and one more.

        @param trusted: The networks of the servers whose AD is believed, beside this
            machine itself.
        """
        self._questions = defer.DeferredSemaphore(MAX_QUESTIONS)
        self._nextLook: float | None = None
        self._trusted = parseNetworks(trusted)
        self._manners = Manners()
        super().__init__(resolv, servers, timeout, reactor)

    @property
    def asked(self) -> list[Server]:
        """
        The servers that are asked, in their order.
        """
        self.maybeParseConfig()
        servers = [*self.servers, *self.dynServers]
        believed = filter(self.trusts, servers) if self.believedOnly else ()
        return list(believed) or servers

    def trusts(self, server: Server) -> bool:
        """
        Tell whether the AD of a server is believed.
        """
        return isTrusted(server[0], self._trusted)

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
        self,
        queries: Sequence[dns.Query],
        timeout: float = TCP_PATIENCE,
        server: Server | None = None,
    ) -> Deferred[dns.Message]:
        """
        Ask over TCP, on a connection that ends with the answer: one that a
        server left half open would swallow every question after this one.

        @param queries: The questions.
        @param timeout: How long it may take, in seconds.
        @param server: Whom; L{None} for any.
        """
        server = self.pickServer() if server is None else server
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

    def _parts(self, message: dns.Message, isTrusted: bool) -> Any:
        if message.trunc:
            return Failure(ResolverError("the answer over TCP was cut short, too"))
        isSecure = isTrusted and bool(message.authenticData)
        ttl = negativeTTL(message.authority)
        code = _codeOf(message)
        if code != dns.OK:
            error: Exception = self.exceptionForCode(code)(
                f"the DNS server answered with code {code}{_MEANINGS.get(code, '')}"
            )
            # Only one code says that there is nothing; SERVFAIL is what bogus
            # answers come to (RFC 4035 5.5), and proves nothing.
            isDenial = code == dns.ENAME
            return Failure(vouched(error, isDenial and isSecure, ttl))
        answers = Records(message.answers, isSecure)
        return (answers, message.authority, message.additional)

    def _lookup(
        self, name: bytes, cls: int, type: int, timeout: Sequence[int] | None = None
    ) -> Deferred[Any]:
        queries = [dns.Query(name, type, cls)]
        return self._questions.run(self._ask, queries, timeout)

    def _ask(
        self, queries: list[dns.Query], timeout: Sequence[int] | None
    ) -> Deferred[Any]:
        return Deferred.fromCoroutine(self._answerTo(queries, timeout))

    async def _answerTo(
        self, queries: list[dns.Query], timeout: Sequence[int] | None
    ) -> Any:
        message, server = await self._datagrams(queries, timeout)
        if _answering(message, queries).trunc:
            # What comes over TCP has an AD of its own.
            message = _answering(await self.queryTCP(queries, server=server), queries)
        return self._parts(message, self.trusts(server))

    async def _datagrams(
        self, queries: list[dns.Query], timeout: Sequence[int] | None
    ) -> tuple[dns.Message, Server]:
        """
        Ask each server in each round until one answers.
        """
        servers = self.asked
        rounds: Any = self.timeout if timeout is None else timeout
        for round, patience in enumerate(rounds):
            for server in servers:
                with contextlib.suppress(DNSQueryTimeoutError):
                    return await self._oneOf(server, queries, patience, round), server
        for server in servers:
            self._manners.silent(server)
        raise defer.TimeoutError(queries)

    async def _oneOf(
        self, server: Server, queries: list[dns.Query], patience: float, round: int
    ) -> dns.Message:
        """
        Ask one server, and once more without EDNS where it dislikes that.
        """
        now, manners = self._reactor.seconds(), self._manners
        if manners.takesEDNS(server, now, round > 0):
            message = await self._datagram(server, queries, patience, True)
            if _codeOf(message) not in DISLIKES:
                manners.liked(server)
                return message
        message = await self._datagram(server, queries, patience, False)
        if _codeOf(message) not in DISLIKES:
            manners.prefersPlain(server, now)
        return message

    async def _datagram(
        self,
        server: Server,
        queries: list[dns.Query],
        patience: float,
        withEDNS: bool,
    ) -> dns.Message:
        protocol = self._connectedProtocol("::" if ":" in server[0] else "")
        protocol.withEDNS = withEDNS
        try:
            return await protocol.query(server, queries, patience)
        finally:
            protocol.transport.stopListening()

    def _connectedProtocol(self, interface: str = "") -> _Datagrams:
        """
        Bind a port for one question, chosen by chance so that nobody can
        answer unseen (RFC 5452 4.5).
        """
        protocol = _Datagrams(self, self._reactor)
        for _ in range(MAX_PORTS):
            port = LOWEST_PORT + dns.randomSource() % (65536 - LOWEST_PORT)
            try:
                self._reactor.listenUDP(port, protocol, interface=interface)
            except CannotListenError:
                continue
            return protocol
        raise ResolverError("no UDP port is free to ask a DNS server from")


#: What is meant by codes that fail (RFC 1035 4.1.1), for people.
_MEANINGS = {
    dns.EFORMAT: " (FORMERR: it did not understand the question)",
    dns.ESERVER: " (SERVFAIL: it failed, or signatures there do not hold)",
    dns.ENOTIMP: " (NOTIMP: it does not answer such questions)",
    dns.EREFUSED: " (REFUSED: it does not answer this machine)",
}


class _Datagrams(dns.DNSDatagramProtocol):
    """
    One question over UDP.

    @ivar withEDNS: Whether it is asked with EDNS.
    """

    noisy = False
    withEDNS = False
    _server: Server = ("", 0)

    def datagramReceived(self, data: bytes, addr: Any) -> None:
        """
        Take an answer of the server that was asked, and of nobody else (RFC 5452 9.1):
        anybody can send to this port, and that server may be believed.
        """
        if _isFrom(self._server, addr):
            super().datagramReceived(data, addr)

    def writeMessage(self, message: dns.Message, address: Server) -> None:
        self._server = address
        _wantingAD(message)
        if self.withEDNS:
            # The class of this record is the size (RFC 6891 6.1.2).
            nothing = dns.UnknownRecord()
            message.additional = [dns.RRHeader(b"", dns.OPT, PAYLOAD, 0, nothing)]
        super().writeMessage(message, address)


class _Stream(dns.DNSProtocol):
    """
    One question over TCP.
    """

    def writeMessage(self, message: dns.Message) -> None:
        super().writeMessage(_wantingAD(message))


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

    def buildProtocol(self, address: object) -> _Stream:
        return _Stream(self, self._reactor)

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


def _isFrom(server: Server, address: Any) -> bool:
    """
    Tell whether a datagram is from a server.
    """
    if address[1] != server[1]:
        return False
    hosts = (server[0], address[0])
    said, found = (ip_address(host.partition("%")[0]) for host in hosts)
    # What is sent to no address in particular goes to this machine.
    return found == said or (said.is_unspecified and found.is_loopback)


def _after(result: Any, clean: Any) -> Any:
    clean()
    return result


def _wantingAD(message: dns.Message) -> dns.Message:
    """
    Say with a question that this relay knows what AD means (RFC 6840 5.7).
    """
    message.authenticData = 1
    return message


def _codeOf(message: dns.Message) -> int:
    """
    Give an answer's code, with the part of it that is in EDNS (RFC 6891 6.1.3).
    """
    extended = (h.ttl >> 24 for h in message.additional if h.type == dns.OPT)
    return next(extended, 0) << 4 | message.rCode


def _answering(message: dns.Message, queries: Sequence[dns.Query]) -> dns.Message:
    """
    Let an answer through if it is one to the questions asked.
    """
    asked = [(foldName(q.name), q.type, q.cls) for q in queries]
    told = [(foldName(q.name), q.type, q.cls) for q in message.queries]
    if not message.answer or (told and told != asked):
        raise ResolverError("the DNS server answered another question")
    return message
