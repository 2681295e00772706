# -*- test-case-name: relaymail.test.endtoend.test_client -*-
"""
Tests for L{relaymail.cli.client}, over real sockets.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relaymail.cli import client as module
from relaymail.cli.client import Client, Refusal, quoted
from relaymail.cli.finding import Place
from relaymail.cli.troubles import CommandError, ServiceDown
from relaymail.test.cli.commands import HOSTILE


class Handler(BaseHTTPRequestHandler):
    """
    Answers what the server is told to answer.
    """

    server: FakeServer

    def _answer(self) -> None:
        said = int(self.headers.get("Content-Length") or 0)
        self.server.asked.append(
            (self.command, self.path, dict(self.headers), self.rfile.read(said))
        )
        if self.server.octets is not None:
            self.wfile.write(self.server.octets)
            self.close_connection = True
            return
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.answer)))
        self.end_headers()
        self.wfile.write(self.server.answer)

    do_GET = do_POST = _answer

    def log_message(self, format: str, *args: Any) -> None:
        """
        Say nothing.
        """

    def address_string(self) -> str:
        """
        Give the address, which a socket of this machine does not have.
        """
        return "local"


class FakeServer(HTTPServer):
    """
    A relay that answers what it is told to.

    @ivar asked: What was asked: method, target, header fields and body.
    @ivar answer: The body of each answer.
    @ivar status: Its status.
    @ivar octets: What is sent in the place of an answer.
    """

    answer = b'{"state": "running"}'
    status = 200
    octets: bytes | None = None

    def __init__(self, address: Any, family: socket.AddressFamily) -> None:
        self.address_family = family
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        super().__init__(address, Handler)

    def server_bind(self) -> None:
        """
        Take the address, and look up no name for it.
        """
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "localhost", 0


class ServedTestCase(SynchronousTestCase):
    """
    A case with a relay on a socket.

    @ivar path: Where the socket is.
    """

    def setUp(self) -> None:
        """
        Choose where it is.
        """
        # The test's own directory may have a name too long for a socket.
        made = tempfile.TemporaryDirectory()
        self.addCleanup(made.cleanup)
        self.path = os.path.join(made.name, "control")

    def serve(self, address: Any = None, family: Any = socket.AF_UNIX) -> FakeServer:
        """
        Start the relay.
        """
        server = FakeServer(address or self.path, family)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        self.addCleanup(thread.join, 10)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server


class ClientTests(ServedTestCase):
    """
    Tests for L{Client}.
    """

    def setUp(self) -> None:
        """
        Make a client.
        """
        super().setUp()
        self.client = Client(Place("queue", True, self.path))

    def test_get(self) -> None:
        """
        A question is asked of the API, by the name of this machine.
        """
        server = self.serve()
        query = {"domain": "a b&c", "id": ["1", "2"]}
        self.assertEqual(self.client.get("queue", query), {"state": "running"})
        method, target, fields, _ = server.asked[0]
        self.assertEqual(
            (method, target), ("GET", "/v1/queue?domain=a+b%26c&id=1&id=2")
        )
        self.assertEqual(fields["Host"], "localhost")
        self.assertNotIn("Authorization", fields)

    def test_post(self) -> None:
        """
        A request is JSON.
        """
        server = self.serve()
        self.client.post(f"destinations/{quoted('a/b')}/suspend", {"why": "é"})
        method, target, fields, body = server.asked[0]
        self.assertEqual((method, target), ("POST", "/v1/destinations/a%2Fb/suspend"))
        self.assertEqual(fields["Content-Type"], "application/json")
        self.assertEqual(json.loads(body), {"why": "é"})

    def test_send(self) -> None:
        """
        A message is sent as it is.
        """
        server = self.serve()
        query = {"sender": "", "recipient": ["b@c.example"]}
        self.client.send("messages", query, b"A: b\r\n\r\n\xff")
        _, target, fields, body = server.asked[0]
        self.assertEqual(target, "/v1/messages?sender=&recipient=b%40c.example")
        self.assertEqual(fields["Content-Type"], "message/rfc822")
        self.assertEqual(body, b"A: b\r\n\r\n\xff")

    def test_content(self) -> None:
        """
        Content comes in pieces.
        """
        self.serve().answer = b"x" * 200_000
        pieces = list(self.client.content("queue/7/content"))
        self.assertGreater(len(pieces), 1)
        self.assertEqual(b"".join(pieces), b"x" * 200_000)

    def test_refused(self) -> None:
        """
        What the relay says against it is told, safe to see.
        """
        server = self.serve()
        for status, code in ((404, 1), (409, 1), (503, 75)):
            server.status = status
            server.answer = json.dumps({"error": f"No. {HOSTILE}"}).encode()
            error = self.assertRaises(Refusal, self.client.get, "queue/7")
            self.assertEqual((error.status, error.exit_code), (status, code))
            self.assertTrue(str(error).startswith("No. "))
            self.assertTrue(str(error).isprintable())

    def test_refusedOtherwise(self) -> None:
        """
        A refusal in other words has its status.
        """
        server = self.serve()
        server.status = 502
        for server.answer in (b"<html>", b"[]", b'{"error": 5}', b"[" * 100_000):
            error = self.assertRaises(Refusal, self.client.get, "status")
            self.assertTrue(str(error).startswith(("502", "5")), str(error))

    def test_noJSON(self) -> None:
        """
        What answers something else is no relay.
        """
        server = self.serve()
        for server.answer in (b"", b"hello", b"[]", b"\xff\xfe", b"[" * 100_000):
            error = self.assertRaises(CommandError, self.client.get, "status")
            self.assertIn("no relay of this version", str(error))

    def test_tooLong(self) -> None:
        """
        An answer without end is not read to its end.
        """
        self.patch(module, "MAX_ANSWER", 10)
        self.serve()
        error = self.assertRaises(CommandError, self.client.get, "status")
        self.assertIn("too long", str(error))

    def test_noHTTP(self) -> None:
        """
        What speaks another language is told, too.
        """
        server = self.serve()
        for octets in (
            b"",
            b"220 smtp\r\n",
            b"HTTP/1.1 200 OK\r\nA: " + b"x" * 100_000,
        ):
            server.octets = octets
            self.assertRaises(ServiceDown, self.client.get, "status")

    def test_down(self) -> None:
        """
        Where nobody is, it is told what to do.
        """
        error = self.assertRaises(ServiceDown, self.client.get, "status")
        self.assertEqual(error.exit_code, 69)
        for words in (self.path, "No such file", "relaymail serve"):
            self.assertIn(words, str(error))

    def test_left(self) -> None:
        """
        A socket that a relay left behind is nobody.
        """
        left = socket.socket(socket.AF_UNIX)
        self.addCleanup(left.close)
        left.bind(self.path)
        error = self.assertRaises(ServiceDown, self.client.get, "status")
        self.assertIn("refused", str(error))

    def test_forbidden(self) -> None:
        """
        A socket of somebody else is told as that.
        """

        def connect(connection: Any) -> None:
            raise PermissionError(13, "Permission denied")

        self.patch(module.SocketConnection, "connect", connect)
        error = self.assertRaises(CommandError, self.client.get, "status")
        self.assertEqual(error.exit_code, 1)
        self.assertIn("be the user that the relay runs as", str(error))

    def test_slow(self) -> None:
        """
        A relay that does not answer is not waited for without end.
        """
        self.patch(module, "PATIENCE", 0.05)
        silent = socket.socket(socket.AF_UNIX)
        self.addCleanup(silent.close)
        silent.bind(self.path)
        silent.listen()
        error = self.assertRaises(CommandError, self.client.get, "status")
        self.assertEqual(error.exit_code, 75)
        self.assertIn("did not answer", str(error))

    def test_longPath(self) -> None:
        """
        A path that no socket can have is told.
        """
        client = Client(Place("queue", True, "/" + "x" * 200))
        error = self.assertRaises(CommandError, client.get, "status")
        self.assertIn("longer than", str(error))

    def test_url(self) -> None:
        """
        Elsewhere it shows the token.
        """
        server = self.serve(("127.0.0.1", 0), socket.AF_INET)
        port = server.server_address[1]
        client = Client(Place("", True, "", f"http://127.0.0.1:{port}", "secret"))
        client.get("status")
        self.assertEqual(server.asked[0][2]["Authorization"], "Bearer secret")
        server.status = 401
        error = self.assertRaises(Refusal, client.get, "status")
        self.assertIn("--token-file", str(error))

    def test_readable(self) -> None:
        """
        It is told when the token can be read on the way.
        """
        for url, isSo in (
            ("http://relay.example.com:8025", True),
            ("HTTP://192.0.2.1:8025", True),
            ("https://relay.example.com:8025", False),
            ("http://127.0.0.1:8025", False),
            ("http://localhost:8025", False),
            ("http://[::1]:8025", False),
            ("http://127.evil.example", True),
            ("http://127.0.0.1@evil.example:8025", True),
            ("http://127.0.0.1.evil.example:8025", True),
            (None, False),
        ):
            self.assertIs(module.isReadable(url), isSo, url)
        said: list[str] = []
        self.patch(module, "note", said.append)
        Client(Place("", True, "", "http://192.0.2.1:1", "secret"))
        self.assertEqual(len(said), 1)
        self.assertNotIn("secret", said[0])

    def test_wrongURL(self) -> None:
        """
        What is no place is told before anything is asked.
        """
        for url in (
            "host",
            "ftp://h",
            "http://",
            "http://h:x",
            "http://[",
            "http://h/p",
        ):
            client = Client(Place("", True, "", url))
            error = self.assertRaises(CommandError, client.get, "status")
            self.assertIn("write http://HOST:PORT", str(error))
