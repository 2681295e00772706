# -*- test-case-name: relaymail.test.route.sts.test_fetching -*-
"""
Fetching policies of MTA-STS (RFC 8461 3.3).

Who writes the records of a domain chooses whom this relay asks for its policy: it asks
nobody whom it may not give mail to.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.python.failure import Failure
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from relaymail.fetching import Answer, Fetcher
from relaymail.protections import TLSResult
from relaymail.replies import Phase, TroubleKind
from relaymail.route.connector import Connector
from relaymail.route.destinations import DestinationPolicy
from relaymail.route.endpoints import WebEndpoint
from relaymail.route.sts.lookup import HOST
from relaymail.route.sts.policy import (
    MAX_SIZE,
    MalformedPolicy,
    STSPolicy,
    Unfetched,
    parsePolicy,
)
from relaymail.route.troubles import troubleOf

#: Where a policy is (RFC 8461 3.2).
PATH = "/.well-known/mta-sts.txt"
#: How long it may take to be had, in seconds (RFC 8461 3.3: a minute).
PATIENCE = 60.0
#: How long a connection may take to be made, in seconds.
CONNECT_PATIENCE = 10.0

#: What went wrong with TLS that has to do with who it is who answers.
_CERTIFICATE = {TLSResult.WRONG_NAME, TLSResult.EXPIRED, TLSResult.NOT_TRUSTED}


@implementer(IAgentEndpointFactory)
class PolicyFetcher:
    """
    Fetches policies.

    @cvar port: The port of the servers.
    @cvar caFile: A file of certificates (PEM) that are trusted instead of the
        system's; L{None}: the system's.

    @ivar connector: What finds the addresses of the servers, and connects to those that
        may be connected to.
    """

    port: int = 443
    caFile: str | None = None

    def __init__(
        self, reactor: Any, resolver: Any, destinations: DestinationPolicy | None
    ) -> None:
        """
        @param reactor: Where to connect.
        @param resolver: The resolver; see L{lookupAddresses
            <relaymail.route.lookup.lookupAddresses>}.
        @param destinations: Which addresses are connected to; L{None} for all.
        """
        self.connector = Connector(reactor, resolver, destinations, CONNECT_PATIENCE)
        self._fetcher = Fetcher(reactor, self)

    def fetch(self, domain: str, id: str) -> Deferred[STSPolicy]:
        """
        Fetch a policy.

        @param domain: Whose it is: a name without anything that is not ASCII.
        @param id: Which one it is, as the record says.

        @return: Fires with it; fails with L{Unfetched}.
        """
        return Deferred.fromCoroutine(self._fetch(domain, id))

    async def _fetch(self, domain: str, id: str) -> STSPolicy:
        url = f"https://{HOST}.{domain}{PATH}"
        try:
            answer = await self._fetcher.get(url, patience=PATIENCE)
        except CancelledError:
            raise
        except Exception as e:
            raise _unfetched(url, e) from e
        return judge(url, answer, id)

    def endpointForURI(self, uri: Any) -> IStreamClientEndpoint:
        """
        Say how the server of a URL is connected to; see C{IAgentEndpointFactory}.
        """
        endpoint: IStreamClientEndpoint = WebEndpoint(
            self.connector, uri.host.decode("ascii"), self.port, type(self).caFile
        )
        return endpoint

    def stop(self) -> Deferred[None]:
        """
        Close what is open.

        @return: Fires when it is closed.
        """
        return self._fetcher.stop()


def judge(url: str, answer: Answer, id: str) -> STSPolicy:
    """
    Say what an answer is worth (RFC 8461 3.2, 3.3).

    @param url: Where it came from.
    @param answer: The answer.
    @param id: What the record says.

    @return: The policy in it.

    @raise Unfetched: When there is none.
    """
    if answer.status != 200:
        told = f"{url}: HTTP {answer.status}"
        if 300 <= answer.status <= 399:
            told += f", which points to {answer.location or 'nowhere'}; "
            told += "nobody may point elsewhere there"
        raise Unfetched(TLSResult.STS_FETCH, told)
    if answer.mediaType != "text/plain":
        # As what users of a web server may put there is mostly not.
        kind = answer.mediaType or "nothing that it would name"
        raise Unfetched(TLSResult.STS_FETCH, f"{url} is {kind} and not text/plain")
    if len(answer.body) > MAX_SIZE:
        raise Unfetched(TLSResult.STS_FETCH, f"{url} is longer than {MAX_SIZE} bytes")
    try:
        return parsePolicy(answer.body, id)
    except MalformedPolicy as e:
        raise Unfetched(TLSResult.STS_INVALID, f"{url} is no policy: {e}") from e


def _unfetched(url: str, error: Exception) -> Unfetched:
    """
    Say why there was no answer.
    """
    reasons = getattr(error, "reasons", None)
    if reasons:
        # As Twisted wraps what happened to a connection.
        error = reasons[0].value
    if isinstance(error, TimeoutError):
        return Unfetched(TLSResult.STS_FETCH, f"{url}: {error}")
    trouble = troubleOf(Failure(error), Phase.CONNECT)
    isWho = trouble.result in _CERTIFICATE or (
        trouble.kind is TroubleKind.TLS and "certificate" in trouble.detail
    )
    result = TLSResult.STS_WEBPKI if isWho else TLSResult.STS_FETCH
    return Unfetched(result, f"{url}: {trouble.text}")
