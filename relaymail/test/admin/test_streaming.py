# -*- test-case-name: relaymail.test.admin.test_streaming -*-
"""
Tests for L{relaymail.admin.streaming}: a file on its way to a client.
"""

from __future__ import annotations

import io
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relaymail.admin.streaming import CHUNK, FileProducer
from relaymail.test.admin.worlds import API, Connection, readAnswers, request


class Slow:
    """
    A consumer that has room for one piece at a time.
    """

    def __init__(self) -> None:
        self.producer: Any = None
        self.got: list[bytes] = []

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """
        Begin.
        """
        self.producer = producer

    def unregisterProducer(self) -> None:
        """
        End.
        """
        self.producer = None

    def write(self, data: bytes) -> None:
        """
        Take a piece, and no more.
        """
        self.got.append(data)
        self.producer.pauseProducing()


class Broken(io.BytesIO):
    """
    A file whose second piece cannot be read.
    """

    def read(self, size: int | None = -1) -> bytes:
        """
        Read, once.
        """
        if self.tell():
            raise OSError("the disk is gone")
        return super().read(size)


class StreamingTests(SynchronousTestCase):
    """
    The stream.
    """

    def setUp(self) -> None:
        self.ended: list[Any] = []
        self.slow = Slow()

    def begin(self, file: io.BytesIO) -> None:
        """
        Begin to send a file.
        """
        FileProducer(file, self.slow, self.ended.append).begin()

    def test_A05_piecewise(self) -> None:
        """
        No more is read than the client takes, and the file is closed at the end.
        """
        data = b"0123456789" * CHUNK
        file = io.BytesIO(data)
        self.begin(file)
        self.assertEqual(file.tell(), CHUNK)
        while self.slow.producer is not None:
            self.slow.producer.resumeProducing()
        self.assertEqual(b"".join(self.slow.got), data)
        self.assertEqual(self.ended, [None])
        self.assertTrue(file.closed)

    def test_stopped(self) -> None:
        """
        Where nobody reads any more the file is closed.
        """
        file = io.BytesIO(b"x" * CHUNK * 3)
        self.begin(file)
        self.slow.producer.stopProducing()
        self.slow.producer.resumeProducing()
        self.assertTrue(file.closed)
        self.assertEqual(self.ended, [])

    def test_broken(self) -> None:
        """
        A file that cannot be read ends with why.
        """
        file = Broken(b"x" * CHUNK * 3)
        self.begin(file)
        self.slow.producer.resumeProducing()
        (failure,) = self.ended
        self.assertTrue(failure.check(OSError))
        self.assertTrue(file.closed)


class ContentTests(SynchronousTestCase):
    """
    A content, over a connection.
    """

    def setUp(self) -> None:
        self.api = API()
        self.content = b"0123456789\r\n" * 30_000
        (self.name,) = self.api.relay.put("", "b@example.org", content=self.content)
        self.connection = Connection(self.api)

    def ask(self) -> None:
        """
        Ask for the content.
        """
        self.connection.give(request("GET", f"/v1/queue/{self.name}/content"))

    def test_kept(self) -> None:
        """
        After a content the connection serves the next request.
        """
        self.ask()
        self.connection.give(request("GET", "/health"))
        content, health = readAnswers(self.connection.sent, "GET", "GET")
        self.assertEqual(content.body, self.content)
        self.assertEqual(health.status, 200)

    def test_brokenContent(self) -> None:
        """
        A content that cannot be read to its end ends the connection, so that nobody
        takes it for the whole.
        """
        letter = self.api.relay.queue.letter(self.name)
        broken = Broken(b"x" * CHUNK * 3)
        self.patch(type(letter.content), "open", lambda _: broken)
        self.ask()
        self.assertTrue(self.connection.transport.disconnected)
        self.assertNotIn(b"\r\n0\r\n\r\n", self.connection.sent)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)

    def test_goneWhileItIsSent(self) -> None:
        """
        Who hangs up leaves no open file.
        """
        file = io.BytesIO(self.content)
        letter = self.api.relay.queue.letter(self.name)
        self.patch(type(letter.content), "open", lambda _: file)
        channel = self.connection.channel
        self.patch(
            self.connection.transport,
            "writeSequence",
            lambda _: channel.pauseProducing(),
        )
        self.ask()
        self.assertFalse(file.closed)
        channel.connectionLost(None)
        self.assertTrue(file.closed)
