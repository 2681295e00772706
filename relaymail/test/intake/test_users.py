"""
Tests for L{relaymail.intake.users}.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from relaymail.dialogue.sasl.scram import SHA256, Verifier, matches, verifierOf
from relaymail.errors import ConfigurationError
from relaymail.intake import users
from relaymail.intake.users import Clear, UsersFile, lineFor, parseUsers

#: The user of RFC 7677 3, as kept by others that use this form.
RFC = (
    "user:SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
    "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
)


def line(user: str, password: str, *, isClear: bool = False) -> str:
    """
    Make a line.
    """
    return lineFor(user, password.encode(), isClear=isClear, iterations=4096) + "\n"


class LinesTests(SynchronousTestCase):
    """
    Tests for L{lineFor} and L{parseUsers}.
    """

    def test_example(self) -> None:
        """
        What is kept of the password of RFC 7677 3 is what others keep.
        """
        found = parseUsers(RFC.encode())
        salt = bytes.fromhex("5b6d99689d12358eeca04b141236fa81")
        self.assertEqual(found, {"user": verifierOf(SHA256, b"pencil", salt, 4096)})
        self.assertEqual(lineFor("user", b"pencil", salt=salt, iterations=4096), RFC)

    def test_forms(self) -> None:
        """
        Both forms are read; comments and empty lines say nothing.
        """
        text = "# users\n\r\n" + line("tim@example.com", "pw") + "  \n"
        text += "tom:CLEAR$pw: with $ and #\r\n"
        found = parseUsers(text.encode())
        self.assertEqual(list(found), ["tim@example.com", "tom"])
        self.assertEqual(found["tom"], Clear(b"pw: with $ and #"))
        tim = found["tim@example.com"]
        assert isinstance(tim, Verifier)
        self.assertTrue(matches(tim, SHA256, b"pw"))
        self.assertFalse(matches(tim, SHA256, b"Pw"))

    def test_salt(self) -> None:
        """
        Equal passwords differ.
        """
        self.assertNotEqual(line("tim", "pw"), line("tim", "pw"))
        self.assertEqual(line("tim", "pw", isClear=True), "tim:CLEAR$pw\n")

    def test_prepared(self) -> None:
        """
        However a name or a password is typed, it is the same (RFC 4013).
        """
        self.assertEqual(line("t\u00adim", "p\u00aa", isClear=True), "tim:CLEAR$pa\n")

    def test_A03_names(self) -> None:
        """
        What cannot be a name or a password makes no line.
        """
        for name in ("", "a:b", "a\nb", "#a", " a", "a\x07", "x" * 400):
            self.assertRaises(ConfigurationError, line, name, "pw")
        for password in ("", "p\nw", "x" * 2000):
            self.assertRaises(ConfigurationError, line, "tim", password)
        with self.assertRaises(ConfigurationError):
            lineFor("tim", b"\xff")

    def test_A09_errors(self) -> None:
        """
        Errors name the line, and nothing of what is secret.
        """
        for bad in (
            "s3cret",
            "tim:s3cret",
            "tim:CLEAR$",
            "tim:CLEAR$s3cret\x07",
            "tim:MD5$s3cret",
            "tim:SCRAM-SHA-256$s3cret",
            "tim:SCRAM-SHA-256$4096:s3cret$s3cret:s3cret",
            RFC.replace("4096", "4095"),
            RFC.replace("4096", "9" * 10),
            RFC.replace("WG5d", "WG=d"),
            RFC.replace("WG5d", ""),
            RFC.replace("W22ZaJ0SNY7soEsUEjb6gQ==", ""),
            RFC.replace(":", ""),
            "a b\x07:CLEAR$s3cret",
        ):
            text = f"ok:CLEAR$fine\n\n{bad}\n".encode()
            error = self.assertRaises(ConfigurationError, parseUsers, text)
            self.assertIn("line 3:", str(error))
            self.assertNotIn("s3cret", str(error))
            self.assertIsNone(error.__cause__)
            self.assertTrue(error.__suppress_context__)

    def test_twice(self) -> None:
        """
        A user is there once.
        """
        text = b"tim:CLEAR$a\nt\xc2\xadim:CLEAR$b\n"
        error = self.assertRaises(ConfigurationError, parseUsers, text)
        self.assertIn("line 2: 'tim' was there before", str(error))

    def test_notUTF8(self) -> None:
        """
        The file is UTF-8.
        """
        error = self.assertRaises(ConfigurationError, parseUsers, b"\n\xff:CLEAR$a")
        self.assertIn("line 2", str(error))

    def test_A09_repr(self) -> None:
        """
        No password is in a C{repr}.
        """
        self.assertNotIn("s3cret", repr(Clear(b"s3cret")))

    @given(st.binary(max_size=80))
    @settings(max_examples=100, deadline=None)
    def test_anything(self, text: bytes) -> None:
        """
        Whatever is in the file, nothing but the declared error is raised.
        """
        with contextlib.suppress(ConfigurationError):
            parseUsers(b"tim:SCRAM-SHA-256$" + text)


class FileTests(SynchronousTestCase):
    """
    Tests for L{UsersFile}.
    """

    def setUp(self) -> None:
        self.path = self.mktemp()
        self.write(line("tim", "pw"))

    def write(self, text: str, mode: int = 0o600) -> None:
        """
        Write the file.
        """
        path = Path(self.path)
        path.unlink(missing_ok=True)
        path.write_text(text, "utf-8")
        os.chmod(self.path, mode)

    def test_found(self) -> None:
        """
        What is kept of a user is given.
        """
        found = UsersFile(self.path)
        self.assertTrue(matches(found.verifier("tim"), SHA256, b"pw"))
        self.assertFalse(found.hasClear)
        self.assertIsNone(found.password("tim"))

    def test_unknown(self) -> None:
        """
        Who is not there looks like who is, the same each time, but no password fits.
        """
        found = UsersFile(self.path)
        one, two = found.verifier("tom"), found.verifier("jim")
        self.assertEqual(one, found.verifier("tom"))
        self.assertNotEqual(one.salt, two.salt)
        tim = found.verifier("tim")
        self.assertEqual(one.iterations, tim.iterations)
        self.assertEqual(len(one.salt), len(tim.salt))
        self.assertEqual(len(one.storedKey), len(tim.storedKey))
        self.assertFalse(matches(one, SHA256, b"pw"))
        self.assertNotEqual(UsersFile(self.path).verifier("tom"), one)

    def test_clear(self) -> None:
        """
        A password in clear fits too; and all names take equally long then.
        """
        self.write(line("tim", "pw") + line("tom", "secret", isClear=True))
        found = UsersFile(self.path)
        self.assertTrue(found.hasClear)
        self.assertEqual(found.password("tom"), b"secret")
        self.assertIsNone(found.password("tim"))
        made: list[bytes] = []

        def noting(*args: object) -> Verifier:
            made.append(args[1])  # type: ignore[arg-type]
            return verifierOf(*args)  # type: ignore[arg-type]

        self.patch(users, "verifierOf", noting)
        self.assertTrue(matches(found.verifier("tom"), SHA256, b"secret"))
        self.assertTrue(matches(found.verifier("tim"), SHA256, b"pw"))
        self.assertFalse(matches(found.verifier("jim"), SHA256, b"nobody"))
        self.assertEqual(made, [b"secret", b"nobody", b"nobody"])

    def test_readAgain(self) -> None:
        """
        What was changed counts at once.
        """
        found = UsersFile(self.path)
        self.write(line("tom", "new"))
        self.assertTrue(matches(found.verifier("tom"), SHA256, b"new"))
        self.assertFalse(matches(found.verifier("tim"), SHA256, b"pw"))

    def test_changedWrongly(self) -> None:
        """
        A change that cannot be read is told once, and what was there before counts,
        until it is changed again.
        """
        found = UsersFile(self.path)
        self.write("tim:nonsense")
        with capturedLogs() as events:
            for _ in range(3):
                self.assertTrue(matches(found.verifier("tim"), SHA256, b"pw"))
            os.remove(self.path)
            for _ in range(3):
                self.assertTrue(matches(found.verifier("tim"), SHA256, b"pw"))
        told = [event["error"] for event in events]
        self.assertEqual(len(told), 2, told)
        self.assertIn("line 1", told[0])
        self.assertIn("No such file", told[1])
        self.write(line("tim", "other"))
        self.assertTrue(matches(found.verifier("tim"), SHA256, b"other"))

    def test_A08_rights(self) -> None:
        """
        A file that others can change is not used, nor one with passwords in clear
        that everybody can read.
        """
        for mode in (0o620, 0o602, 0o666):
            self.write(line("tim", "pw"), mode)
            error = self.assertRaises(ConfigurationError, UsersFile, self.path)
            self.assertIn("others can write it", str(error))
        self.write(line("tim", "pw"), 0o644)
        UsersFile(self.path)
        self.write(line("tim", "pw", isClear=True), 0o644)
        error = self.assertRaises(ConfigurationError, UsersFile, self.path)
        self.assertIn("everybody can read it", str(error))
        self.write(line("tim", "pw", isClear=True), 0o640)
        UsersFile(self.path)

    def test_A08_noFile(self) -> None:
        """
        What is no file is not read, nor what is too large.
        """
        error = self.assertRaises(ConfigurationError, UsersFile, self.mktemp())
        self.assertIn("No such file", str(error))
        os.mkfifo(self.path + "f")
        for path in (self.path + "f", os.path.dirname(self.path) or "."):
            self.assertRaises(ConfigurationError, UsersFile, path)
        self.patch(users, "MAX_SIZE", 10)
        error = self.assertRaises(ConfigurationError, UsersFile, self.path)
        self.assertIn("larger than 10", str(error))

    def test_empty(self) -> None:
        """
        A file without users is one.
        """
        self.write("# nobody yet\n")
        self.assertFalse(matches(UsersFile(self.path).verifier("tim"), SHA256, b"pw"))
