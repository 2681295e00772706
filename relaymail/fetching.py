# -*- test-case-name: relaymail.test.test_fetching -*-
"""
Asking over HTTP, within bounds.

What is asked may hold secrets, and who answers is a stranger: nothing of it is logged,
it goes nowhere but to the address that was meant (no redirect is followed, no proxy
of the environment asked), no cookie is kept, nothing is unpacked, and an answer is read
up to a bound in bytes and in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from twisted.internet.defer import Deferred, TimeoutError, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IConsumer, IStreamClientEndpoint
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool, ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

#: How long an answer may take, in seconds, from the first packet to the last byte.
PATIENCE = 30.0
#: How long a connection may take to be made, in seconds.
CONNECT_PATIENCE = 10.0
#: How much is read of the body of an answer, in bytes.
MAX_ANSWER = 65536
#: How much is read of an answer with its header, in bytes: some hundred lines, and a
#: body that is too large.
MAX_HEARD = 4 * MAX_ANSWER
#: How many idle connections to a server are kept, and for how long, in seconds:
#: there is something to be asked by the hour.
MAX_IDLE = 1
IDLE_TIMEOUT = 5

#: What a server is told in any case, and beyond that where there is nothing to tell.
_USUAL = {"User-Agent": "relaymail"}
NO_HEADERS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What came back.

    @ivar status: The status.
    @ivar body: The first L{MAX_ANSWER} bytes of the body, and one more where there
        is more.
    @ivar retryAfter: What stands in C{Retry-After}, if anything.
    @ivar location: What stands in C{Location}, if anything.
    @ivar contentType: What stands in C{Content-Type}, if anything.
    """

    status: int
    body: bytes = field(repr=False)
    retryAfter: str | None = None
    location: str | None = None
    contentType: str | None = None

    @property
    def mediaType(self) -> str:
        """
        What the body is (RFC 9110 8.3.1), in lower case and without parameters;
        empty where that is not said.
        """
        return (self.contentType or "").partition(";")[0].strip().lower()


class Fetcher:
    """
    Asks servers over HTTP.
    """

    def __init__(self, reactor: Any, endpoints: Any = None) -> None:
        """
        @param reactor: Where to connect.
        @param endpoints: Says where a URL leads: an C{IAgentEndpointFactory} provider;
            L{None}: where the system's resolver says, with certificates that the
            system trusts.
        """
        self._reactor = reactor
        self._pool = _Pool(reactor)
        self._pool.maxPersistentPerHost = MAX_IDLE
        self._pool.cachedConnectionTimeout = IDLE_TIMEOUT
        # A request that was sent twice may have used a secret twice that is good
        # for one use.
        self._pool.retryAutomatically = False
        if endpoints is None:
            self._agent = Agent(
                reactor, connectTimeout=CONNECT_PATIENCE, pool=self._pool
            )
        else:
            self._agent = Agent.usingEndpointFactory(reactor, endpoints, self._pool)

    def get(
        self,
        url: str,
        headers: Mapping[str, str] = NO_HEADERS,
        patience: float = PATIENCE,
    ) -> Deferred[Answer]:
        """
        Ask for what is at a URL.

        @param url: Where that is, in ASCII.
        @param headers: What the server is told beyond that.
        @param patience: How long it may take in all, in seconds.

        @return: Fires with the answer, whatever its status is.  Fails as C{Agent} of
            Twisted does, and with a C{TimeoutError} of Twisted's.
        """
        return self._ask(b"GET", url, headers, None, patience)

    def post(
        self,
        url: str,
        body: bytes,
        headers: Mapping[str, str] = NO_HEADERS,
        patience: float = PATIENCE,
    ) -> Deferred[Answer]:
        """
        Send something, and read the answer.

        @param url: Where to, in ASCII.
        @param body: What is sent, as it is.
        @param headers: What the server is told of it, such as its C{Content-Type}.
        @param patience: How long it may take in all, in seconds.

        @return: As of L{get}.
        """
        return self._ask(b"POST", url, headers, _Sent(body), patience)

    def _ask(
        self,
        method: bytes,
        url: str,
        headers: Mapping[str, str],
        body: Any,
        patience: float,
    ) -> Deferred[Answer]:
        d = Deferred.fromCoroutine(self._answerTo(method, url, headers, body))
        return d.addTimeout(patience, self._reactor, _late)

    async def _answerTo(
        self, method: bytes, url: str, headers: Mapping[str, str], body: Any
    ) -> Answer:
        told = {name: [value] for name, value in {**_USUAL, **headers}.items()}
        response: Any = await self._agent.request(
            method, url.encode("ascii"), Headers(told), body
        )
        return Answer(
            response.code,
            await _bodyOf(response),
            _header(response, "Retry-After"),
            _header(response, "Location"),
            _header(response, "Content-Type"),
        )

    def stop(self) -> Deferred[None]:
        """
        Close idle connections.

        @return: Fires when they are closed.
        """
        closed: Deferred[None] = self._pool.closeCachedConnections()
        return closed


def _late(result: Any, patience: float) -> Any:
    """
    Say that it took too long, whatever it is that was broken off.
    """
    if isinstance(result, Failure):
        raise TimeoutError(f"there was no answer in {patience:.0f} seconds")
    return result


class _Pool(HTTPConnectionPool):
    """
    Connections whose beginning and end are not in the log, and on which answers have
    a bound.
    """

    def getConnection(self, key: Any, endpoint: Any) -> Deferred[Any]:
        """
        Give one that is idle, or make one.
        """
        found: Deferred[Any] = super().getConnection(key, _Bounded(endpoint))
        return found


@implementer(IStreamClientEndpoint)
class _Bounded:
    """
    An endpoint whose factories log nothing, and whose connections read no more of an
    answer than there may be: the header of one has no end in Twisted.
    """

    def __init__(self, endpoint: Any) -> None:
        self._endpoint = endpoint

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        """
        Connect.
        """
        protocolFactory.noisy = False
        factory = _Wrapping(protocolFactory)
        connected: Deferred[Any] = self._endpoint.connect(factory)
        return connected.addCallback(lambda wrapper: wrapper.wrappedProtocol)


class _Wrapper(ProtocolWrapper):
    """
    A connection that is cut where the server says too much.
    """

    transport: Any
    _heard = 0

    def dataReceived(self, data: bytes) -> None:
        """
        Pass it on, unless that is too much.
        """
        self._heard += len(data)
        if self._heard > MAX_HEARD:
            self.transport.abortConnection()
        else:
            super().dataReceived(data)

    def write(self, data: bytes) -> None:
        """
        Ask: what comes now is another answer.
        """
        self._heard = 0
        super().write(data)


class _Wrapping(WrappingFactory):
    protocol = _Wrapper
    noisy = False


def _header(response: Any, name: str) -> str | None:
    found: list[str] = response.headers.getRawHeaders(name) or []
    return found[0] if found else None


def _bodyOf(response: Any) -> Deferred[bytes]:
    reading = _Body()
    response.deliverBody(reading)
    return reading.done


@implementer(IBodyProducer)
class _Sent:
    """
    The body of a request, written at once.

    @ivar length: How long it is, in bytes.
    """

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.length = len(body)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """
        Write it.
        """
        consumer.write(self._body)
        return succeed(None)

    def pauseProducing(self) -> None:
        """
        It is written already.
        """

    resumeProducing = stopProducing = pauseProducing


class _Body(Protocol):
    """
    Reads a body up to a bound.
    """

    def __init__(self) -> None:
        self._data = b""
        self.done: Deferred[bytes] = Deferred(lambda _: self._abort())

    def _abort(self) -> None:
        transport: Any = self.transport
        abort = getattr(transport, "abortConnection", None) or transport.loseConnection
        abort()

    def dataReceived(self, data: bytes) -> None:
        """
        Keep it, unless that is too much.
        """
        self._data += data[: MAX_ANSWER + 1 - len(self._data)]
        if len(self._data) > MAX_ANSWER and not self.done.called:
            self.done.callback(self._data)
            self._abort()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        It is complete, or broken off.
        """
        if self.done.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss, ConnectionDone):
            self.done.callback(self._data)
        else:
            self.done.errback(reason)
