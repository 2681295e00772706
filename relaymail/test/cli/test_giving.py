# -*- test-case-name: relaymail.test.cli.test_giving -*-
"""
Tests for L{relaymail.cli.giving}.  That it works with a relay is tested end to
end.
"""

from __future__ import annotations

import errno
import json
import os
import smtplib
from typing import Any, ClassVar

from twisted.trial.unittest import SynchronousTestCase

from relaymail.cli import client
from relaymail.cli.giving import (
    DATA,
    LATER,
    MAX_TARGET,
    NO_USER,
    UNAVAILABLE,
    Message,
    NotGiven,
    Ways,
    give,
    smtpAddress,
    waysOf,
)
from relaymail.configuration import configure
from relaymail.dropping.files import prepare, read

MESSAGE = Message("a@b", ("c@d", "e@f"), b"A: b\r\n\r\n.\xff\r\n", "0123456789abcdef")
SMTP = ("127.0.0.1", 2525)


class Response:
    """
    An answer of the API.
    """

    def __init__(self, status: int, document: object) -> None:
        self.status = status
        self._document = document

    def read(self, limit: int) -> bytes:
        """
        Give the document.
        """
        if isinstance(self._document, Exception):
            raise self._document
        return json.dumps(self._document).encode()


class Socket:
    """
    Stands for a connection to the control socket.

    @cvar down: What connecting raises.
    @cvar breaks: What sending raises.
    @cvar answer: What is answered, or what waiting for it raises.
    @cvar asked: What was asked for.
    """

    down: ClassVar[Exception | None] = None
    breaks: ClassVar[Exception | None] = None
    answer: ClassVar[Response | Exception] = Response(201, {"ids": ["1", "2"]})
    asked: ClassVar[list[tuple[Any, ...]]] = []
    timeout = 0.0

    def __init__(self, path: str) -> None:
        self.path = path

    def connect(self) -> None:
        """
        Connect.
        """
        if self.down is not None:
            raise self.down

    def request(self, *on: Any) -> None:
        """
        Note what is asked for.
        """
        self.asked.append(on)
        if self.breaks is not None:
            raise self.breaks

    def getresponse(self) -> Response:
        """
        Answer.
        """
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def close(self) -> None:
        """
        Close.
        """


class Session:
    """
    Stands for a session of C{smtplib}.

    @cvar down: What connecting raises.
    @cvar replies: What is answered, by command.
    @cvar said: What was said.
    """

    down: ClassVar[Exception | None] = None
    replies: ClassVar[dict[str, Any]] = {}
    said: ClassVar[list[tuple[Any, ...]]] = []

    def __init__(self, host: str, port: int, **settings: Any) -> None:
        if self.down is not None:
            raise self.down

    def _say(self, command: str, *on: Any) -> Any:
        self.said.append((command, *on))
        reply = self.replies.get(command, (250, b"2.0.0 Ok"))
        if isinstance(reply, Exception):
            raise reply
        return reply

    def ehlo(self) -> Any:
        """
        Say so.
        """
        return self._say("ehlo")

    def mail(self, sender: str, options: tuple[str, ...]) -> Any:
        """
        Say so.
        """
        return self._say("mail", sender, options)

    def rcpt(self, recipient: str) -> Any:
        """
        Say so.
        """
        return self._say("rcpt", recipient)

    def data(self, content: bytes) -> Any:
        """
        Say so.
        """
        return self._say("data", content)

    def close(self) -> None:
        """
        Hang up.
        """


class GivingTests(SynchronousTestCase):
    """
    The first way that goes is gone.
    """

    def setUp(self) -> None:
        """
        Have a socket, a session and a drop directory in memory.
        """
        for each, changes in (
            (Socket, "down breaks answer"),
            (Session, "down replies"),
        ):
            for name in changes.split():
                self.patch(each, name, getattr(each, name))
        self.patch(Socket, "asked", [])
        self.patch(Session, "said", [])
        self.patch(client, "SocketConnection", Socket)
        self.patch(smtplib, "SMTP", Session)
        self.drop = self.mktemp()
        prepare(self.drop)

    def give(self, *ways: str) -> list[str]:
        """
        Give the message.
        """
        return give(
            Ways(
                "/control" if "socket" in ways else "",
                SMTP if "smtp" in ways else None,
                self.drop if "drop" in ways else None,
            ),
            MESSAGE,
        )

    def fails(self, *ways: str) -> NotGiven:
        """
        Give it, and see that it is not taken.
        """
        error = self.assertRaises(NotGiven, self.give, *ways)
        assert isinstance(error, NotGiven)
        self.assertTrue(str(error).isprintable())
        return error

    def test_socket(self) -> None:
        """
        The control socket is first.
        """
        self.assertEqual(self.give("socket", "smtp", "drop"), ["1", "2"])
        [(method, target, content, _)] = Socket.asked
        self.assertEqual((method, content), ("POST", MESSAGE.content))
        self.assertEqual(
            target, "/v1/messages?sender=a%40b&recipient=c%40d&recipient=e%40f"
        )
        self.assertEqual(Session.said, [])

    def test_socketRefuses(self) -> None:
        """
        What the relay refuses for good is refused, also before it was read.
        """
        self.patch(Socket, "breaks", BrokenPipeError())
        self.patch(Socket, "answer", Response(413, {"error": "it is too large\x1b[2J"}))
        error = self.fails("socket", "smtp", "drop")
        self.assertEqual(error.code, DATA)
        self.assertIn("too large", str(error))
        self.assertEqual(Session.said, [])

    def test_P4_noAnswer(self) -> None:
        """
        Where nobody knows whether the message was taken, nothing else is tried.
        """
        lost = ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
        for answer in (lost, TimeoutError("timed out"), Response(201, lost)):
            self.patch(Socket, "answer", answer)
            error = self.fails("socket", "smtp", "drop")
            self.assertEqual(error.code, LATER)
            self.assertIn("look at its queue", str(error))
        self.patch(Session, "replies", {"data": smtplib.SMTPServerDisconnected("gone")})
        error = self.fails("smtp", "drop")
        self.assertIn("look at its queue", str(error))
        self.assertEqual(Session.said[-1][0], "data")
        self.assertEqual(os.listdir(self.drop), ["aside"])

    def test_smtp(self) -> None:
        """
        Where the socket may not be opened, or says not now, it goes by SMTP, all
        recipients or none.
        """
        ok = Response(201, {"ids": ["1"]})
        for down, answer in (
            (PermissionError(errno.EACCES, "Permission denied"), ok),
            (FileNotFoundError(errno.ENOENT, "No such file or directory"), ok),
            (None, Response(503, {"error": "the relay stops"})),
            (None, Response(403, [])),
        ):
            self.patch(Socket, "down", down)
            self.patch(Socket, "answer", answer)
            self.patch(Session, "said", [])
            self.patch(Session, "replies", {"data": (250, b"2.0.0 Ok: queued as 7")})
            self.assertEqual(self.give("socket", "smtp"), ["7"])
            self.assertEqual(
                Session.said,
                [
                    ("ehlo",),
                    ("mail", "a@b", ("BODY=8BITMIME",)),
                    ("rcpt", "c@d"),
                    ("rcpt", "e@f"),
                    ("data", MESSAGE.content),
                ],
            )

    def test_smtpRefuses(self) -> None:
        """
        What is refused for good ends with the code for it.
        """
        for command, reply, code in (
            ("mail", (501, b"5.1.7 The sender is not an address"), NO_USER),
            ("rcpt", (550, b"5.1.1 No such user"), NO_USER),
            ("rcpt", (550, b"5.7.1 Relaying denied"), UNAVAILABLE),
            ("mail", (552, b"5.3.4 Too large"), DATA),
            ("data", (550, b"5.6.0 A bare LF"), DATA),
            ("data", smtplib.SMTPDataError(554, b"5.5.1 No recipient"), UNAVAILABLE),
        ):
            self.patch(Session, "replies", {command: reply})
            self.assertEqual(self.fails("smtp", "drop").code, code, reply)

    def test_drop(self) -> None:
        """
        While the relay does not run, or has no room, the message is dropped.
        """
        for down, replies in (
            (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), {}),
            (smtplib.SMTPConnectError(421, b"4.3.2 Going down"), {}),
            (None, {"mail": (452, b"4.3.1 No room")}),
            (None, {"data": (452, b"4.3.1 No room")}),
            (None, {"rcpt": smtplib.SMTPServerDisconnected("gone")}),
        ):
            self.patch(Session, "down", down)
            self.patch(Session, "replies", replies)
            self.assertEqual(self.give("smtp", "drop"), [])
            name = f"{MESSAGE.token}.mail"
            found = read(self.drop, name, 0)
            os.unlink(os.path.join(self.drop, name))
            self.assertEqual(found.recipients, MESSAGE.recipients)
            self.assertEqual(found.content, MESSAGE.content)

    def test_nothingGoes(self) -> None:
        """
        Where no way goes it is said what was tried, and to try again later.
        """
        self.patch(Socket, "down", FileNotFoundError(errno.ENOENT, "No such file"))
        self.patch(Session, "down", ConnectionRefusedError(111, "Connection refused"))
        error = self.fails("socket", "smtp")
        self.assertEqual(error.code, LATER)
        for words in ("/control", "127.0.0.1:2525", "no drop directory"):
            self.assertIn(words, str(error))
        os.rmdir(os.path.join(self.drop, "aside"))
        os.rmdir(self.drop)
        self.assertIn("the drop directory", str(self.fails("drop")))

    def test_A05_manyRecipients(self) -> None:
        """
        More recipients than a request has room for go by SMTP.
        """
        many = tuple(f"a{n}@b" for n in range(MAX_TARGET // 10))
        message = Message("", many, b"x\r\n", "00")
        give(Ways("/control", SMTP, None), message)
        self.assertEqual(Socket.asked, [])
        self.assertEqual(len(Session.said), len(many) + 3)

    def test_smtpAddress(self) -> None:
        """
        The relay is met at a port of this machine's own, where it has one.
        """
        for endpoints, address in (
            (["tcp:2525:interface=127.0.0.1"], ("127.0.0.1", 2525)),
            (["tcp:25"], ("127.0.0.1", 25)),
            (["tcp:port=25:interface=0.0.0.0"], ("127.0.0.1", 25)),
            (["tcp:25:interface=\\:\\:1"], ("::1", 25)),
            (["tcp6:25"], ("::1", 25)),
            (["tcp:25:interface=192.0.2.1"], ("192.0.2.1", 25)),
            (["tcp:25:interface=192.0.2.1", "tcp:26"], ("127.0.0.1", 26)),
            (["ssl:465", "systemd:domain=INET:name=x", "unix:/x", "tcp:x"], None),
            ([], None),
        ):
            self.assertEqual(smtpAddress(endpoints), address, endpoints)

    def test_proxies(self) -> None:
        """
        Where the relay would wait for a PROXY header it is not met by SMTP.
        """
        told = {"queue": "spool", "smtp": "tcp:2525:interface=127.0.0.1"}
        for proxies, address in (
            ("192.0.2.10", ("127.0.0.1", 2525)),
            ("127.0.0.2", ("127.0.0.1", 2525)),
            ("127.0.0.0/8", None),
        ):
            found = waysOf(configure(**told, proxies=proxies))
            self.assertEqual(found.smtp, address, proxies)
