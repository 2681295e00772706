# -*- test-case-name: relaymail.test.oauth2.test_fetching -*-
"""
Asking a token server over HTTP.

What is asked holds secrets: nothing of it is logged, it goes nowhere but to the
configured address (no redirect is followed), and over TLS whose certificate is
valid.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import treq
from treq.client import HTTPClient
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IConsumer, IStreamClientEndpoint
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool, ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from relaymail.oauth2.requests import MAX_ANSWER

#: How long an answer may take, in seconds, from the first packet to the last byte.
PATIENCE = 30.0
#: How long a connection may take to be made, in seconds.
CONNECT_PATIENCE = 10.0
#: How much is read of an answer with its header, in bytes: some hundred lines, and a
#: body that is too large.
MAX_HEARD = 4 * MAX_ANSWER
#: How many idle connections to a server are kept, and for how long, in seconds:
#: tokens are had by the hour.
MAX_IDLE = 1
IDLE_TIMEOUT = 5

_HEADERS: dict[bytes | str, list[bytes | str]] = {
    b"Content-Type": [b"application/x-www-form-urlencoded"],
    b"Accept": [b"application/json"],
    b"User-Agent": [b"relaymail"],
}


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What came back.

    @ivar status: The status.
    @ivar body: The first L{MAX_ANSWER} bytes of the body, and one more where there
        is more.
    @ivar retryAfter: What stands in C{Retry-After}, if anything.
    @ivar location: What stands in C{Location}, if anything.
    """

    status: int
    body: bytes = field(repr=False)
    retryAfter: str | None = None
    location: str | None = None


class Fetcher:
    """
    Asks token servers.
    """

    def __init__(self, reactor: Any) -> None:
        """
        @param reactor: Where to connect.
        """
        self._reactor = reactor
        self._pool = _Pool(reactor)
        self._pool.maxPersistentPerHost = MAX_IDLE
        self._pool.cachedConnectionTimeout = IDLE_TIMEOUT
        # A request that was sent twice may have used a refresh token twice.
        self._pool.retryAutomatically = False
        agent = Agent(reactor, connectTimeout=CONNECT_PATIENCE, pool=self._pool)
        self._client = HTTPClient(agent)

    def post(self, url: str, form: bytes) -> Deferred[Answer]:
        """
        Send a form, and read the answer.

        @param url: Where to.
        @param form: The body.

        @return: Fires with the answer.  Fails as C{treq.post} does, and with a
            C{TimeoutError} of Twisted's.
        """
        d = Deferred.fromCoroutine(self._post(url, form))
        return d.addTimeout(PATIENCE, self._reactor)

    async def _post(self, url: str, form: bytes) -> Answer:
        response = await self._client.post(
            url,
            data=_Form(form),
            headers=_HEADERS,
            allow_redirects=False,
            unbuffered=True,
        )
        return Answer(
            response.code,
            await _bodyOf(response),
            _header(response, "Retry-After"),
            _header(response, "Location"),
        )

    def stop(self) -> Deferred[None]:
        """
        Close idle connections.

        @return: Fires when they are closed.
        """
        closed: Deferred[None] = self._pool.closeCachedConnections()
        return closed


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


def _header(response: treq.response._Response, name: str) -> str | None:
    found: list[str] = response.headers.getRawHeaders(name) or []
    return found[0] if found else None


def _bodyOf(response: Any) -> Deferred[bytes]:
    reading = _Body()
    response.deliverBody(reading)
    return reading.done


@implementer(IBodyProducer)
class _Form:
    """
    The body of a request, written at once.

    @ivar length: How long it is, in bytes.
    """

    def __init__(self, form: bytes) -> None:
        self._form = form
        self.length = len(form)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """
        Write it.
        """
        consumer.write(self._form)
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
