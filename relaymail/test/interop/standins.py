# -*- test-case-name: relaymail.test.interop.test_postfixtaking -*-
"""
What stands between the relay and other people's servers, or beside them.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.protocols import portforward
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import Site

from relaymail.testing.tokens import TokenServer


class Owners(Resource):
    """
    Says by HTTP whose a token is.

    @ivar shown: The tokens that it was asked about.
    """

    isLeaf = True

    def __init__(self, tokens: TokenServer, owner: str) -> None:
        """
        @param tokens: Where they come from.
        @param owner: Whose all of them are.
        """
        super().__init__()
        self._tokens = tokens
        self._owner = owner
        self.shown: list[str] = []

    def start(self, case: TestCase) -> str:
        """
        Listen till a test ends.

        @return: The URL, which the token is to end.
        """
        return f"http://127.0.0.1:{_listen(case, Site(self))}/?token="

    def render_GET(self, request: Any) -> bytes:
        """
        Answer.
        """
        token = request.args[b"token"][0].decode("ascii")
        self.shown.append(token)
        request.setHeader(b"connection", b"close")
        if self._tokens.isGood(token):
            return json.dumps({"email": self._owner}).encode("ascii")
        request.setResponseCode(401)
        return b"{}"


class _Ours(portforward.ProxyServer):
    """
    The end that the relay sees, which asks for no more than there is.
    """

    def dataReceived(self, data: bytes) -> None:
        """
        Pass on what the relay says.
        """
        between: Any = self.factory
        between.said += data
        super().dataReceived(data.replace(b"BODY=BINARYMIME", b"BODY=8BITMIME"))


class _Theirs(portforward.ProxyClient):
    """
    The end that the server sees.
    """

    def dataReceived(self, data: bytes) -> None:
        """
        Pass on what the server says, and promise more.
        """
        more = b"250-BINARYMIME\r\n250 CHUNKING\r\n"
        super().dataReceived(data.replace(b"250 CHUNKING\r\n", more))


class _TheirFactory(portforward.ProxyClientFactory):
    noisy = False
    protocol = _Theirs


_Ours.clientProtocolFactory = _TheirFactory


class Between(portforward.ProxyFactory):
    """
    Listens in, and says to the relay that a Postfix offers BINARYMIME.

    @ivar said: What the relay has said.
    @ivar connections: How many connections it has made.
    """

    noisy = False
    protocol = _Ours

    def __init__(self, port: int) -> None:
        """
        @param port: Where the server is.
        """
        super().__init__("127.0.0.1", port)
        self.said = b""
        self.connections = 0

    def buildProtocol(self, addr: Any) -> Any:
        """
        Count one more.
        """
        self.connections += 1
        return super().buildProtocol(addr)

    def start(self, case: TestCase) -> int:
        """
        Listen till a test ends.

        @return: The port.
        """
        return _listen(case, self)


def _listen(case: TestCase, factory: Any) -> int:
    from twisted.internet import reactor

    listening: Any = reactor
    port = listening.listenTCP(0, factory, interface="127.0.0.1")
    case.addCleanup(port.stopListening)
    number: int = port.getHost().port
    return number
