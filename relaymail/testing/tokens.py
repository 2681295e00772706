# -*- test-case-name: relaymail.test.testing.test_tokens -*-
"""
A server that gives tokens (RFC 6749), for tests: over HTTP on loopback, it gives
what it is told to, fails as such servers do, and remembers what it was asked.

    >>> tokens = TokenServer(lifetime=60).start()
    >>> tokens.url                                       # the token-url
    >>> tokens.trouble = TokenServer.DOWN                # all of them get 503
    >>> tokens.revoke()                                  # invalid_grant from now on
    >>> tokens.consent("refresh-2")                      # until there is this one
    >>> tokens.isGood("token-1")                         # as a mail host asks it
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

__all__ = ["TokenServer"]

#: The longest form that is read, in bytes.
MAX_FORM = 100_000


class TokenServer:
    """
    A token server.

    @cvar DOWN: Trouble: it is down, and says so.
    @cvar GARBAGE: Trouble: what it says is no answer.
    @cvar SLOW: Trouble: it says nothing, until it has another trouble, or none.

    @ivar lifetime: How long tokens are good for, in seconds.
    @ivar rotates: Whether each use of a refresh token makes another one of it, and
        the one before worthless.
    @ivar trouble: What it answers instead of what it should: a status and a body.
    @ivar forms: What it was asked, in the order of arrival.
    @ivar clients: The secrets of clients, by their names; none: any will do.
    @ivar refreshTokens: Those that are good.
    @ivar ends: The tokens it has given, and when each of them ends, in seconds of the
        reactor's clock.
    @ivar contextFactory: What TLS begins with, if it does.
    @ivar port: The port, once started.
    """

    DOWN = (503, b"<html>Service Unavailable</html>")
    GARBAGE = (200, b"\x00\xff[[[[")
    SLOW = (0, b"")

    reactor: Any = None
    port = 0

    def __init__(
        self,
        *,
        lifetime: float = 3600.0,
        rotates: bool = False,
        refreshToken: str = "refresh-1",
        clients: Mapping[str, str] | None = None,
        contextFactory: Any = None,
    ) -> None:
        """
        @param lifetime: See C{lifetime}.
        @param rotates: See C{rotates}.
        @param refreshToken: What somebody has consented to.
        @param clients: See C{clients}.
        @param contextFactory: What TLS begins with; L{None}: it speaks in clear.
        """
        self.contextFactory = contextFactory
        self.lifetime = lifetime
        self.rotates = rotates
        self.refreshTokens = {refreshToken}
        self.clients = dict(clients or {})
        self.forms: list[dict[str, str]] = []
        self.ends: dict[str, float] = {}
        self._trouble: tuple[int, bytes] | None = None
        self._rotations = 0
        self._held: list[Any] = []
        self._port: Any = None
        self._site: Any = None

    @property
    def url(self) -> str:
        """
        The token URL.
        """
        scheme = "http" if self.contextFactory is None else "https"
        return f"{scheme}://127.0.0.1:{self.port}/token"

    @property
    def trouble(self) -> tuple[int, bytes] | None:
        """
        See the class.
        """
        return self._trouble

    @trouble.setter
    def trouble(self, value: tuple[int, bytes] | None) -> None:
        self._trouble = value
        held, self._held = self._held, []
        for request in held:
            self._answer(request)

    def start(self, reactor: Any = None, port: int = 0) -> TokenServer:
        """
        Listen on loopback.

        @param reactor: An C{IReactorTCP} and C{IReactorTime} provider; L{None} for
            the global one.
        @param port: The port; 0 for one that is free.

        @return: This object.
        """
        if reactor is None:
            from twisted.internet import reactor
        self.reactor = reactor
        self._site = _Site(_Tokens(self), reactor=reactor)
        if self.contextFactory is None:
            self._port = reactor.listenTCP(port, self._site, interface="127.0.0.1")
        else:
            self._port = reactor.listenSSL(
                port, self._site, self.contextFactory, interface="127.0.0.1"
            )
        self.port = self._port.getHost().port
        return self

    def stop(self) -> Deferred[None]:
        """
        Listen no more, and break the connections that are open.

        @return: Fires when nothing is left; L{start} may follow.
        """
        for request in self._held:
            request.transport.abortConnection()
        self._held = []
        port, self._port = self._port, None
        stopped: Deferred[None] = maybeDeferred(
            port.stopListening if port is not None else lambda: None
        )
        return stopped

    def isGood(self, token: str) -> bool:
        """
        Tell whether a token is one that was given, and has not ended.
        """
        end = self.ends.get(token)
        return end is not None and bool(self.reactor.seconds() < end)

    def expire(self) -> None:
        """
        Let all tokens that were given end now.
        """
        self.ends = dict.fromkeys(self.ends, 0.0)

    def revoke(self) -> None:
        """
        Let no refresh token be good any more, and no token.
        """
        self.refreshTokens.clear()
        self.expire()

    def consent(self, refreshToken: str) -> None:
        """
        Let a refresh token be good.
        """
        self.refreshTokens.add(refreshToken)

    def asked(self, request: Any) -> None:
        """
        Take a request.
        """
        body = request.content.read(MAX_FORM).decode("latin-1")
        self.forms.append(dict(parse_qsl(body, encoding="utf-8")))
        request.form = self.forms[-1]
        self._answer(request)

    def _answer(self, request: Any) -> None:
        if self._trouble is self.SLOW:
            self._held.append(request)
            return
        if self._trouble is not None:
            status, body = self._trouble
        else:
            status, said = self._judge(request.form)
            body = json.dumps(said).encode("ascii")
        request.setResponseCode(status)
        request.setHeader(b"content-type", b"application/json")
        request.setHeader(b"connection", b"close")
        request.write(body)
        request.finish()

    def _judge(self, form: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        client = form.get("client_id", "")
        if self.clients and self.clients.get(client) != form.get("client_secret"):
            return 401, {"error": "invalid_client"}
        if form.get("grant_type") == "client_credentials":
            return 200, self._grant()
        if form.get("grant_type") != "refresh_token":
            return 400, {"error": "unsupported_grant_type"}
        given = form.get("refresh_token")
        if given not in self.refreshTokens:
            told = "Token has been expired or revoked."
            return 400, {"error": "invalid_grant", "error_description": told}
        if not self.rotates:
            return 200, self._grant()
        self._rotations += 1
        newer = f"rotated-{self._rotations}"
        self.refreshTokens.remove(given)
        self.refreshTokens.add(newer)
        return 200, {**self._grant(), "refresh_token": newer}

    def _grant(self) -> dict[str, Any]:
        token = f"token-{len(self.ends) + 1}"
        self.ends[token] = self.reactor.seconds() + self.lifetime
        return {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": self.lifetime,
        }


class _Site(Site):
    """
    A server that keeps no log.
    """

    noisy = False

    def log(self, request: Any) -> None:
        pass


class _Tokens(Resource):
    """
    The one page there is.
    """

    isLeaf = True

    def __init__(self, server: TokenServer) -> None:
        super().__init__()
        self._server = server

    def render_POST(self, request: Any) -> int:
        self._server.asked(request)
        return int(NOT_DONE_YET)
