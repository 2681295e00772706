"""
Tests for L{relaymail.testing.tokens}.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.trial.unittest import SynchronousTestCase

from relaymail.testing.tokens import TokenServer


class TokenServerTests(SynchronousTestCase):
    """
    A server of tokens.
    """

    def setUp(self) -> None:
        """
        Start it.
        """
        self.reactor: Any = MemoryReactorClock()
        self.reactor.advance(1000.0)
        self.server = TokenServer().start(self.reactor, 8080)
        self.addCleanup(self.server.stop)

    def ask(self, **form: str) -> StringTransport:
        """
        Send a form.
        """
        body = urlencode(form).encode("ascii")
        protocol = self.server._site.buildProtocol(None)
        transport = StringTransport()
        protocol.makeConnection(transport)
        protocol.dataReceived(
            b"POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\n\r\n%s"
            % (len(body), body)
        )
        return transport

    def answer(self, **form: str) -> tuple[int, dict[str, Any]]:
        """
        Send a form, and give the status and the document that come back.
        """
        head, _, body = self.ask(**form).value().partition(b"\r\n\r\n")
        start = body.find(b"{")
        return int(head.split()[1]), json.loads(body[start : body.rfind(b"}") + 1])

    def refresh(self, token: str) -> tuple[int, dict[str, Any]]:
        """
        Give a refresh token.
        """
        return self.answer(grant_type="refresh_token", refresh_token=token)

    def test_given(self) -> None:
        """
        A service gets a token, which is good for a while.
        """
        status, said = self.answer(grant_type="client_credentials", client_id="c")
        self.assertEqual((status, said["token_type"]), (200, "Bearer"))
        self.assertEqual(said["access_token"], "token-1")
        self.assertEqual(self.server.forms[0]["client_id"], "c")
        self.assertTrue(self.server.isGood("token-1"))
        self.assertFalse(self.server.isGood("token-2"))
        self.reactor.advance(3600)
        self.assertFalse(self.server.isGood("token-1"))

    def test_clients(self) -> None:
        """
        A client that is known says its secret.
        """
        self.server.clients = {"c": "s"}
        form = {"grant_type": "client_credentials", "client_id": "c"}
        self.assertEqual(
            self.answer(**form, client_secret="x"), (401, {"error": "invalid_client"})
        )
        self.assertEqual(self.answer(**form, client_secret="s")[0], 200)

    def test_consent(self) -> None:
        """
        A refresh token is good until it is revoked.
        """
        self.assertEqual(self.refresh("refresh-1")[0], 200)
        self.server.revoke()
        self.assertFalse(self.server.isGood("token-1"))
        status, said = self.refresh("refresh-1")
        self.assertEqual((status, said["error"]), (400, "invalid_grant"))
        self.server.consent("refresh-2")
        self.assertEqual(self.refresh("refresh-2")[0], 200)

    def test_rotates(self) -> None:
        """
        Each use of a refresh token makes another one of it.
        """
        self.server.rotates = True
        newer = self.refresh("refresh-1")[1]["refresh_token"]
        self.assertEqual(self.refresh("refresh-1")[0], 400)
        self.assertEqual(self.refresh(newer)[0], 200)

    def test_troubles(self) -> None:
        """
        It is down, says nonsense, or nothing until it is told to.
        """
        self.server.trouble = TokenServer.DOWN
        self.assertIn(b"503", self.ask().value())
        self.server.trouble = TokenServer.GARBAGE
        self.assertIn(b"[[[[", self.ask().value())
        self.server.trouble = TokenServer.SLOW
        asked = self.ask(grant_type="client_credentials")
        self.assertEqual(asked.value(), b"")
        self.server.trouble = None
        self.assertIn(b"token-1", asked.value())

    def test_other(self) -> None:
        """
        What is not asked so is refused.
        """
        self.assertEqual(
            self.answer(grant_type="password")[1], {"error": "unsupported_grant_type"}
        )

    def test_address(self) -> None:
        """
        It says where it is.
        """
        port = self.reactor.tcpServers[0][0]
        self.assertEqual(port, 8080)
        self.assertTrue(self.server.url.startswith("http://127.0.0.1:"))
        self.assertTrue(self.server.url.endswith("/token"))
