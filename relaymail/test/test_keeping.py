"""
Tests for L{relaymail.keeping}; that files are written in the right order, and are
closed to others, is told in L{relaymail.test.oauth2.test_storing}, too.
"""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from relaymail.keeping import PrivateDirectory, Unstorable, nameOf

KEY = nameOf("one.example")


class PrivateDirectoryTests(SynchronousTestCase):
    """
    Small files that are this relay's alone.
    """

    def setUp(self) -> None:
        """
        Begin with none.
        """
        self.path = Path(self.mktemp()).absolute()
        self.files = PrivateDirectory(str(self.path))

    def test_kept(self) -> None:
        """
        What is kept comes back, until it is removed; no directory is made before
        there is something.
        """
        self.assertEqual((self.files.names(), self.files.read(KEY, 9)), ([], None))
        self.files.remove(KEY)
        self.assertRaises(FileNotFoundError, self.files.check)
        self.files.write(KEY, b"one")
        self.files.write(KEY, b"two")
        self.files.check()
        self.assertEqual(self.files.names(), [KEY])
        self.assertEqual(self.files.read(KEY, 9), b"two")
        self.files.remove(KEY)
        self.assertEqual((self.files.names(), self.files.read(KEY, 9)), ([], None))

    def test_A06_bound(self) -> None:
        """
        Of a long file no more is read than shows that it is too long.
        """
        self.files.write(KEY, b"x" * 100)
        self.assertEqual(self.files.read(KEY, 10), b"x" * 11)

    def test_P1_drafts(self) -> None:
        """
        What a process that was killed has begun is no file, and in nobody's way.
        """
        self.files.write(KEY, b"one")
        (self.path / f"{KEY}.new").write_bytes(b"tw")
        self.assertEqual(self.files.names(), [KEY])
        self.files.write(KEY, b"three")
        self.assertEqual(os.listdir(self.path), [KEY])

    def test_A08_foreign(self) -> None:
        """
        What is no file, or one that others may use, is not read, and nothing waits
        for it.
        """
        self.files.write(KEY, b"one")
        self.path.joinpath(KEY).chmod(0o644)
        self.assertRaises(Unstorable, self.files.read, KEY, 9)
        fifo = nameOf("fifo")
        os.mkfifo(self.path / fifo, 0o600)
        self.assertRaises(Unstorable, self.files.read, fifo, 9)
        self.path.chmod(0o755)
        for function in (self.files.names, self.files.check):
            self.assertRaises(Unstorable, function)

    def test_names(self) -> None:
        """
        A key is not told by the name of its file, whatever it is.
        """
        names = {nameOf(key) for key in ("a", "../a", "\x00", "\udc80", "a" * 9999)}
        self.assertEqual(len(names), 5)
        for name in names:
            self.assertRegex(name, r"\A[0-9a-f]{64}\.json\Z")
