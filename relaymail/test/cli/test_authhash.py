"""
Tests for L{relaymail.cli.auth} and L{relaymail.cli.authhash}.
"""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from relaymail.cli import authhash
from relaymail.cli.main import main
from relaymail.dialogue.sasl.scram import SHA256, Verifier, matches
from relaymail.intake.users import parseUsers


class HashTests(SynchronousTestCase):
    """
    Tests for C{relaymail auth hash}.
    """

    def run_(self, *arguments: str, input: str | bytes = "pä\n") -> Result:
        """
        Give the command.
        """
        return CliRunner().invoke(main, ["auth", "hash", *arguments], input=input)

    def assertKept(self, line: str, password: str) -> Verifier:
        """
        Check that a line is Tim's, with a password that is hashed.
        """
        kept = parseUsers(line.encode())["tim"]
        assert isinstance(kept, Verifier)
        self.assertTrue(matches(kept, SHA256, password.encode()))
        self.assertNotIn(password, line)
        return kept

    def test_standardInput(self) -> None:
        """
        The password is what stands on standard input; the line is all that is
        printed.
        """
        done = self.run_("tim", "--iterations", "4096")
        self.assertEqual(done.exit_code, 0, done.output)
        self.assertEqual(done.stderr, "")
        self.assertEqual(done.stdout.count("\n"), 1)
        self.assertEqual(self.assertKept(done.stdout, "pä").iterations, 4096)
        self.assertNotEqual(self.run_("tim").stdout, self.run_("tim").stdout)

    def test_usual(self) -> None:
        """
        Usually it is hashed often.
        """
        found = self.assertKept(self.run_("tim").stdout, "pä")
        self.assertEqual(found.iterations, 100_000)

    def test_asked(self) -> None:
        """
        On a terminal it is asked for, twice, and not where the line goes.
        """

        class Terminal:
            def isatty(self) -> bool:
                """
                It is one.
                """
                return True

        class System:
            stdin = Terminal()

        self.patch(authhash, "sys", System)
        done = self.run_("tim", input="correct-horse\ncorrect-horse\n")
        self.assertEqual(done.exit_code, 0, done.output)
        self.assertKept(done.stdout, "correct-horse")
        self.assertIn("Repeat", done.stderr)
        self.assertNotIn("correct", done.stderr)
        done = self.run_("tim", input="correct-horse\nother\n")
        self.assertNotEqual(done.exit_code, 0)
        self.assertIn("do not match", done.stderr)

    def test_file(self) -> None:
        """
        It may be in a file.
        """
        path = self.mktemp()
        Path(path).write_bytes(b"correct-horse\r\n")
        done = self.run_("tim", "--password-file", path)
        self.assertKept(done.stdout, "correct-horse")
        self.assertEqual(self.run_("tim", "--password-file", "none").exit_code, 2)
        done = self.run_("tim", "--password-file", "-")
        self.assertKept(done.stdout, "pä")

    def test_clear(self) -> None:
        """
        It is kept as it is where that is said.
        """
        self.assertEqual(self.run_("tim", "--clear").stdout, "tim:CLEAR$pä\n")

    def test_JSON(self) -> None:
        """
        Programs get JSON.
        """
        done = self.run_("tim", "--clear", "--json")
        self.assertEqual(
            json.loads(done.stdout), {"user": "tim", "line": "tim:CLEAR$pä"}
        )

    def test_wrong(self) -> None:
        """
        What cannot be used is told, without the password.
        """
        for user, password, told in (
            ("a:b", "s3cret\n", "a name has no colon"),
            ("tim", "", "there is none"),
            ("tim", "\n", "there is none"),
            ("tim", "s3cret\nmore\n", "more than one"),
            ("tim", "s3cret" * 300, "too long"),
            ("tim", "s3cret\x07\n", "the password cannot be used"),
            ("tim", b"s3cret\xff", "no UTF-8"),
        ):
            done = self.run_(user, input=password)
            self.assertEqual(done.exit_code, 1)
            self.assertIn(told, done.stderr)
            self.assertNotIn("s3cret", done.output)
            self.assertEqual(done.stdout, "")
        self.assertEqual(self.run_("tim", "--iterations", "100").exit_code, 2)
