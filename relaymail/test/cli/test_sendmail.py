# -*- test-case-name: relaymail.test.cli.test_sendmail -*-
"""
Tests for L{relaymail.cli.sendmail}.
"""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from email import message_from_bytes
from io import BytesIO

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from relaymail.cli import sendmail
from relaymail.cli.giving import (
    CONFIG,
    DATA,
    LATER,
    NO_USER,
    OK,
    OS_ERROR,
    USAGE,
    Message,
    NotGiven,
    Ways,
)
from relaymail.cli.sendmail import Setup, run
from relaymail.errors import ConfigurationError
from relaymail.machines import Machines

SETUP = Setup(
    Machines("example.org", hostname="relay.example"), Ways("", None, None), 1000
)


class SendmailTests(SynchronousTestCase):
    """
    A message is made of what is read, and given.
    """

    def setUp(self) -> None:
        """
        Note what is given and said.
        """
        self.given: list[Message] = []
        self.said: list[str] = []
        self.trouble: Exception | None = None
        self.patch(sendmail, "give", self.give)
        self.patch(sendmail, "_say", self.said.append)
        self.patch(sendmail, "user", lambda: ("cron", "Cron, Daemon"))

    def give(self, ways: Ways, message: Message) -> list[str]:
        """
        Note a message.
        """
        if self.trouble is not None:
            raise self.trouble
        self.given.append(message)
        return ["1"]

    def run_(self, line: str, data: bytes) -> int:
        """
        Run the command.
        """
        return run(line.split(), SETUP, BytesIO(data))

    def test_message(self) -> None:
        """
        What is missing is added, and what is there stays.
        """
        self.assertEqual(
            self.run_("root ann@b.example", b"Subject: x\n\nhi\n.\nno\n"), OK
        )
        [message] = self.given
        self.assertEqual(message.sender, "cron@example.org")
        self.assertEqual(message.recipients, ("root@example.org", "ann@b.example"))
        read = message_from_bytes(message.content)
        self.assertEqual(read["from"], '"Cron, Daemon" <cron@example.org>')
        self.assertIn(f".{message.token}@relay.example>", read["message-id"])
        self.assertTrue(read["date"].endswith("+0000"))
        self.assertTrue(message.content.endswith(b"Subject: x\r\n\r\nhi\r\n"))
        self.assertEqual(self.said, [])

    def test_fromHeader(self) -> None:
        """
        With -t the recipients are in the header, and nobody sees those of Bcc;
        without it the header stays as it is.
        """
        text = (
            b"From: a@b\nTo: root\nBcc: ann@b.example\nDate: x\nMessage-ID: y\n\nhi\n"
        )
        self.run_("-t -i -f x@y -F Ann", text)
        self.run_("c@d", text)
        first, second = self.given
        self.assertEqual(first.sender, "x@y")
        self.assertEqual(first.recipients, ("root@example.org", "ann@b.example"))
        self.assertEqual(
            first.content,
            b"From: a@b\r\nTo: root@example.org\r\n"
            b"Date: x\r\nMessage-ID: y\r\n\r\nhi\r\n",
        )
        self.assertIn(b"Bcc: ann@b.example\r\n", second.content)

    def test_noHeader(self) -> None:
        """
        A text without header is a body; a null sender has an author all the
        same.
        """
        self.assertEqual(self.run_("-f <> -F Ann root", b"disk is full\n"), OK)
        [message] = self.given
        self.assertEqual(message.sender, "")
        self.assertTrue(message.content.startswith(b"From: Ann <cron@example.org>\r\n"))
        self.assertTrue(message.content.endswith(b"\r\n\r\ndisk is full\r\n"))

    def test_codes(self) -> None:
        """
        What goes wrong ends with the code for it, and one line.
        """
        for line, data, code in (
            ("", b"x", USAGE),
            ("-Z root", b"x", USAGE),
            ("-t", b"Subject: x\n\n", DATA),
            ("a@b..c", b"x", DATA),
            ("root", b"x" * 2000, DATA),
        ):
            self.assertEqual(self.run_(line, data), code, line)
        for trouble, code in (
            (NotGiven(LATER, "the relay\nis down"), LATER),
            (NotGiven(NO_USER, "no such user"), NO_USER),
            (OSError(5, "Input/output error"), OS_ERROR),
        ):
            self.trouble = trouble
            self.assertEqual(self.run_("root", b"x"), code)
        self.assertEqual(len(self.said), 8)

    def test_configuration(self) -> None:
        """
        A configuration that cannot be read ends with the code for it.
        """

        def refuse(config: str | None) -> Setup:
            raise ConfigurationError(f"{config} cannot be read")

        self.patch(sendmail, "readSetup", refuse)
        code = run(["root"], None, BytesIO(b"x"), config="my.toml")
        self.assertEqual((code, self.said), (CONFIG, ["my.toml cannot be read"]))

    def test_nothing(self) -> None:
        """
        To make the table of aliases, or to send what waits, is nothing to do.
        """
        for line in ("-bi", "-q", "-I"):
            self.assertEqual(self.run_(line, b""), OK)
        self.assertEqual((self.given, self.said), ([], []))

    def test_command(self) -> None:
        """
        What stands on the command line comes as it is, dashes too.
        """
        self.patch(sendmail, "readSetup", lambda config: SETUP)
        done = CliRunner().invoke(
            sendmail.sendmail,
            ["-oi", "-froot", "--", "-x@b.example"],
            input=b"hi\n",
            standalone_mode=False,
        )
        self.assertEqual((done.return_value, done.exception), (OK, None))
        self.assertEqual(self.given[0].sender, "root@example.org")
        self.assertEqual(self.given[0].recipients, ("-x@b.example",))

    def test_help(self) -> None:
        """
        It tells its options.
        """
        done = CliRunner().invoke(sendmail.sendmail, ["--help"])
        self.assertIn("-oi", done.output)

    def test_importsLittle(self) -> None:
        """
        It imports nothing of Twisted.
        """
        code = (
            "import sys, relaymail.cli.sendmail, relaymail.cli.sendmailing, "
            "relaymail.dropping.files, relaymail.submission, relaymail.cli.client\n"
            "print([m for m in sys.modules if m.split('.')[0] == 'twisted'])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONPATH": ":".join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        self.assertEqual(done.stdout, "[]\n")


class UserTests(SynchronousTestCase):
    """
    Who runs the command.
    """

    def test_names(self) -> None:
        """
        The system knows the name; the full name is what it has before a comma,
        or what the environment says.
        """
        entry = type("Entry", (), {"pw_name": "ann", "pw_gecos": "Ann B.,Room 1"})
        self.patch(pwd, "getpwuid", lambda number: entry)
        self.patch(os, "environ", {})
        self.assertEqual(sendmail.user(), ("ann", "Ann B."))
        self.patch(os, "environ", {"NAME": "Ann"})
        self.assertEqual(sendmail.user(), ("ann", "Ann"))

    def test_noName(self) -> None:
        """
        A user without a name is told to try again.
        """

        def nobody(number: int) -> object:
            raise KeyError(number)

        self.patch(pwd, "getpwuid", nobody)
        self.assertEqual(self.assertRaises(NotGiven, sendmail.user).code, LATER)
