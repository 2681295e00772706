# -*- test-case-name: relaymail.test.testing.test_policies -*-
"""
A web server that gives policies of MTA-STS (RFC 8461), for tests: over HTTPS on
loopback, it gives what it is told to, fails as such servers do, and remembers what it
was asked.

    >>> authority = ThrowawayCA()
    >>> certificate = authority.issue("mta-sts.one.example")
    >>> server = PolicyServer(contextFactory=certificate.contextFactory).start()
    >>> server.publish("one.example", "mx.one.example", mode="enforce")
    >>> zones.zones.update(server.records())             # of a ZoneDNS
    >>> server.trouble = PolicyTrouble.MISSING           # all of them get 404
    >>> server.publish("one.example", mode="none")       # with another id
    >>> zones.zones.update(server.records())

A relay asks it when the port and the authority are told to L{PolicyFetcher
<relaymail.route.sts.fetching.PolicyFetcher>}, and mail may go to loopback:

    >>> case.patch(PolicyFetcher, "port", server.port)
    >>> case.patch(PolicyFetcher, "caFile", authority.write(directory))

L{MemoryPolicies} is where a relay in memory keeps policies.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from itertools import count
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from relaymail.route.sts.fetching import PATH
from relaymail.route.sts.storing import Damaged, Kept

__all__ = ["MemoryPolicies", "PolicyServer", "PolicyTrouble"]

#: How long policies hold where nothing is said, in seconds.
WEEK = 604800
#: How much more than is read of a policy is given by L{PolicyTrouble.LONG}, in bytes.
LONG = 100_000
#: What is given at a time by L{PolicyTrouble.ENDLESS}, in bytes, and how often, in
#: seconds.
PIECE, PAUSE = 4096, 0.01


class PolicyTrouble(Enum):
    """
    What a server does instead of giving a policy.
    """

    MISSING = "404"
    DOWN = "503"
    ELSEWHERE = "it points to another page, where the policy is"
    SILENT = "it says nothing"
    ENDLESS = "the policy has no end"
    LONG = "the policy is too long"
    CUT = "the connection is broken within the policy"
    HTML = "the policy is called text/html"
    UNNAMED = "it is not said what it is"
    GARBAGE = "what is there is no policy"


#: The statuses of troubles.
_STATUSES = {PolicyTrouble.MISSING: 404, PolicyTrouble.DOWN: 503}
#: What is said of what the policy is, if not what it should.
_TYPES: dict[PolicyTrouble, bytes | None] = {
    PolicyTrouble.HTML: b"text/html",
    PolicyTrouble.UNNAMED: None,
}
#: Where L{PolicyTrouble.ELSEWHERE} points to.
ELSEWHERE = "/elsewhere.txt"


class PolicyServer:
    """
    A web server with policies.

    @ivar trouble: What it does instead of giving them; L{None}: it gives them.
    @ivar policies: What it gives, by the domain.
    @ivar asked: What it was asked: the name of the host and the path.
    @ivar headers: What came with the last question, by the name in lower case.
    @ivar contextFactory: What TLS begins with.
    @ivar port: The port, once started.
    """

    port = 0

    def __init__(self, contextFactory: Any) -> None:
        """
        @param contextFactory: What TLS begins with: a certificate for C{mta-sts}
            below each domain is the right one.
        """
        self.contextFactory = contextFactory
        self.trouble: PolicyTrouble | None = None
        self.policies: dict[str, bytes] = {}
        self.asked: list[tuple[str, str]] = []
        self.headers: dict[str, str] = {}
        self._ids: dict[str, str] = {}
        self._numbers = count(1)
        self._reactor: Any = None
        self._port: Any = None
        self._open: set[Any] = set()

    def publish(
        self,
        domain: str,
        *patterns: str,
        mode: str = "enforce",
        maxAge: int = WEEK,
        sameId: bool = False,
    ) -> str:
        """
        Let a domain have a policy.

        @param domain: The domain.
        @param patterns: The hosts that it names.
        @param mode: What it wants.
        @param maxAge: For how long it holds, in seconds.
        @param sameId: Whether the id stays what it was, which it should not.

        @return: The id.
        """
        lines = ["version: STSv1", f"mode: {mode}", *(f"mx: {p}" for p in patterns)]
        lines += [f"max_age: {maxAge}", ""]
        self.policies[domain] = "\r\n".join(lines).encode("ascii")
        if not sameId or domain not in self._ids:
            self._ids[domain] = f"id{next(self._numbers)}"
        return self._ids[domain]

    def records(self, address: str = "127.0.0.1") -> dict[str, Any]:
        """
        Give what the DNS should say, as L{ZoneDNS<relaymail.testing.dns.ZoneDNS>} takes
        it: the ids of policies, and where the server is.

        @param address: Where it is.
        """
        found: dict[str, Any] = {}
        for domain, id in self._ids.items():
            found[f"_mta-sts.{domain}"] = {"TXT": [f"v=STSv1; id={id};".encode()]}
            found[f"mta-sts.{domain}"] = {"A": [address]}
        return found

    def start(self, reactor: Any = None, port: int = 0) -> PolicyServer:
        """
        Listen on loopback.

        @param reactor: An C{IReactorSSL} and C{IReactorTime} provider; L{None} for
            the global one.
        @param port: The port; 0 for one that is free.

        @return: This object.
        """
        if reactor is None:
            from twisted.internet import reactor
        self._reactor = reactor
        site = _Site(_Policies(self), reactor=reactor)
        self._port = reactor.listenSSL(
            port, site, self.contextFactory, interface="127.0.0.1"
        )
        self.port = self._port.getHost().port
        return self

    def stop(self) -> Deferred[None]:
        """
        Listen no more, and break off what is under way.

        @return: Fires when nothing is left; L{start} may follow.
        """
        for request in list(self._open):
            request.transport.abortConnection()
        port, self._port = self._port, None
        stopped: Deferred[None] = maybeDeferred(
            port.stopListening if port is not None else lambda: None
        )
        return stopped

    # Answering.

    def answer(self, request: Any) -> None:
        """
        Answer a question.

        @param request: It, as C{twisted.web} has it.
        """
        name, path = request.getRequestHostname().decode(), request.path.decode()
        self.asked.append((name, path))
        self.headers = {
            key.decode().lower(): values[0].decode()
            for key, values in request.requestHeaders.getAllRawHeaders()
        }
        self._open.add(request)
        request.notifyFinish().addBoth(lambda _: self._open.discard(request))
        body = self.policies.get(name.removeprefix("mta-sts."), b"")
        trouble = self.trouble if path == PATH else None
        if not body or path not in (PATH, ELSEWHERE):
            trouble = PolicyTrouble.MISSING
        self._give(request, body, trouble)

    def _give(self, request: Any, body: bytes, trouble: PolicyTrouble | None) -> None:
        if trouble is PolicyTrouble.SILENT:
            return
        kind = b"text/plain" if trouble is None else _TYPES.get(trouble, b"text/plain")
        # Otherwise it would be called text/html.
        request.defaultContentType = None
        if kind is not None:
            request.setHeader(b"content-type", kind)
        request.setHeader(b"connection", b"close")
        match trouble:
            case PolicyTrouble.MISSING | PolicyTrouble.DOWN:
                request.setResponseCode(_STATUSES[trouble])
            case PolicyTrouble.ELSEWHERE:
                request.redirect(ELSEWHERE.encode())
            case PolicyTrouble.ENDLESS:
                return self._goOn(request)
            case PolicyTrouble.CUT:
                request.setHeader(b"content-length", b"%d" % len(body))
                request.write(body[:-9])
                self._reactor.callLater(PAUSE, request.transport.abortConnection)
                return
            case PolicyTrouble.LONG:
                body += b"note: " + b"x" * LONG + b"\r\n"
            case PolicyTrouble.GARBAGE:
                body = b"<html><body>It works!</body></html>"
        request.write(body)
        request.finish()

    def _goOn(self, request: Any) -> None:
        if request not in self._open:
            return
        request.write(b"note: " + b"x" * PIECE + b"\r\n")
        self._reactor.callLater(PAUSE, self._goOn, request)


class MemoryPolicies:
    """
    A place for policies in memory, in the place of L{PolicyStore
    <relaymail.route.sts.storing.PolicyStore>}.

    @ivar path: What it is called.
    @ivar kept: What is kept, by the domain.
    """

    def __init__(self, path: str = "memory") -> None:
        self.path = path
        self.kept: dict[str, Kept] = {}

    def names(self) -> list[str]:
        """
        Give the domains.
        """
        return sorted(self.kept)

    def load(self, names: Iterable[str]) -> list[Kept | Damaged]:
        """
        Give what is kept of domains.
        """
        return [self.kept[name] for name in names if name in self.kept]

    def save(self, kept: Kept) -> None:
        """
        Keep something.
        """
        self.kept[kept.domain] = kept

    def forget(self, domain: str) -> None:
        """
        Keep nothing of a domain.
        """
        self.kept.pop(domain, None)


class _Site(Site):
    """
    A server that keeps no log.
    """

    noisy = False

    def log(self, request: Any) -> None:
        pass


class _Policies(Resource):
    """
    All pages there are.
    """

    isLeaf = True

    def __init__(self, server: PolicyServer) -> None:
        super().__init__()
        self._server = server

    def render_GET(self, request: Any) -> int:
        self._server.answer(request)
        return int(NOT_DONE_YET)
