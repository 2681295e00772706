# -*- test-case-name: relaymail.test.endtoend.test_control -*-
"""
Tests for the control API over real sockets, asked by a client of the standard
library.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from relaymail.admin.server import ControlService, ControlSettings
from relaymail.errors import ConfigurationError
from relaymail.test.admin.worlds import TOKEN, FakeRelay

#: How long a client waits, in seconds.
PATIENCE = 20.0
#: A message that is not small.
LARGE = b"Subject: large\r\n\r\n" + b"0123456789\r\n" * 500_000


class Local(http.client.HTTPConnection):
    """
    A connection over a socket in the file system.
    """

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        """
        Connect.
        """
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(self._path)


def ask(
    connection: http.client.HTTPConnection, method: str, path: str, *more: Any
) -> tuple[int, bytes]:
    """
    Ask, and read the answer.
    """
    connection.request(method, path, *more)
    response = connection.getresponse()
    return response.status, response.read()


class ControlTests(TestCase):
    """
    The API, as the command uses it.
    """

    def setUp(self) -> None:
        self.relay = FakeRelay()
        # The directory of a test has a name that is too long for a socket.
        self.directory = tempfile.mkdtemp(prefix="control-")
        self.addCleanup(shutil.rmtree, self.directory)
        self.path = os.path.join(self.directory, "control")

    def start(self, **settings: Any) -> ControlService:
        """
        Start the service.
        """
        service = ControlService(self.relay, ControlSettings(**settings))
        service.startService()
        self.addCleanup(service.stopService)
        return service

    def client(self, talk: Callable[[Any], Any]) -> Deferred[Any]:
        """
        Have a client talk, in a thread, over the socket.
        """

        def run() -> Any:
            connection = Local(self.path)
            try:
                return talk(connection)
            finally:
                connection.close()

        return deferToThread(run)

    async def test_socket(self) -> None:
        """
        The socket is its user's only, answers several requests over a connection,
        and is gone when the service ends.
        """
        service = self.start(socket=self.path)
        mode = os.lstat(self.path).st_mode
        self.assertTrue(stat.S_ISSOCK(mode))
        self.assertEqual(stat.S_IMODE(mode), 0o600)

        def talk(connection: Any) -> Any:
            ports = set()
            answers = []
            for _ in range(3):
                answers.append(ask(connection, "GET", "/v1/status"))
                ports.add(connection.sock.fileno())
            return answers, ports

        answers, ports = await self.client(talk)
        self.assertEqual(len(ports), 1)
        for status, body in answers:
            self.assertEqual(status, 200)
            self.assertEqual(json.loads(body)["state"], "running")
        await service.stopService()
        self.assertFalse(os.path.lexists(self.path))

    async def test_messages(self) -> None:
        """
        A large message is taken, and comes back as it was.
        """
        self.start(socket=self.path)

        def talk(connection: Any) -> Any:
            path = "/v1/messages?sender=a@example.com&recipient=b@example.org"
            kind = {"Content-Type": "message/rfc822"}
            status, body = ask(connection, "POST", path, LARGE, kind)
            (name,) = json.loads(body)["ids"]
            return status, ask(connection, "GET", f"/v1/queue/{name}/content")

        status, (found, content) = await self.client(talk)
        self.assertEqual((status, found), (201, 200))
        self.assertEqual(content, LARGE)

    async def test_A05_tooLarge(self) -> None:
        """
        A client that sends too much, whether it says so before or not, reads why it
        was refused, though it sends all the same.
        """
        self.start(socket=self.path)
        kind = {"Content-Type": "application/json"}

        def talk(connection: Any) -> Any:
            said = ask(connection, "POST", "/v1/queue/flush", b"x" * 3_000_000, kind)
            connection.close()
            chunks = iter([b"x" * 100_000] * 30)
            unsaid = ask(connection, "POST", "/v1/queue/flush", chunks, kind)
            return said, unsaid

        for status, body in await self.client(talk):
            self.assertEqual(status, 413)
            self.assertIn("larger than 65536 octets", json.loads(body)["error"])

    async def test_metrics(self) -> None:
        """
        What a monitor collects is written in a thread of the reactor's.
        """
        self.start(socket=self.path)
        status, body = await self.client(lambda c: ask(c, "GET", "/metrics"))
        self.assertEqual(status, 200)
        self.assertIn(b"\nrelaymail_queued 0.0\n", body)

    async def test_tcp(self) -> None:
        """
        Over TCP the token is needed, but not to know whether the relay is alive.
        """
        service = self.start(endpoint="tcp:0:interface=127.0.0.1", token=TOKEN)
        (address,) = service.addresses

        def talk() -> Any:
            connection = http.client.HTTPConnection(
                "127.0.0.1", address.port, timeout=PATIENCE
            )
            bearer = {"Authorization": f"Bearer {TOKEN.decode()}"}
            try:
                return [
                    ask(connection, "GET", path, None, headers)[0]
                    for path, headers in (
                        ("/health", {}),
                        ("/v1/status", {}),
                        ("/v1/status", bearer),
                        ("/v1/status", {**bearer, "Origin": "https://evil.example"}),
                        ("/v1/status", {**bearer, "Host": "evil.example"}),
                    )
                ]
            finally:
                connection.close()

        self.assertEqual(await deferToThread(talk), [200, 401, 200, 403, 421])

    async def test_stale(self) -> None:
        """
        A socket that was left behind is replaced; one that is used is not.
        """
        left = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        left.bind(self.path)
        left.close()
        self.start(socket=self.path)
        status, _ = await self.client(lambda c: ask(c, "GET", "/health"))
        self.assertEqual(status, 200)
        with self.assertRaises(ConfigurationError) as caught:
            self.start(socket=self.path)
        self.assertIn("another process listens there", str(caught.exception))
        status, _ = await self.client(lambda c: ask(c, "GET", "/health"))
        self.assertEqual(status, 200)

    async def test_hangsUp(self) -> None:
        """
        A client that goes away in the midst of anything harms nobody.
        """
        self.start(socket=self.path)
        (name,) = self.relay.put("", "b@example.org", content=LARGE)

        def talk(connection: Any) -> None:
            for data in (
                b"GET /v1/st",
                b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\n",
                b"GET /v1/queue/%s/content HTTP/1.1\r\nHost: localhost\r\n\r\n"
                % name.encode(),
            ):
                connection.connect()
                connection.sock.sendall(data)
                if b"content" in data:
                    connection.sock.recv(1000)
                connection.close()

        await self.client(talk)
        status, _ = await self.client(lambda c: ask(c, "GET", "/health"))
        self.assertEqual(status, 200)
        self.assertEqual(self.flushLoggedErrors(Failure), [])
