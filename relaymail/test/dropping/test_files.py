# -*- test-case-name: relaymail.test.dropping.test_files -*-
"""
Tests for L{relaymail.dropping.files}.
"""

from __future__ import annotations

import errno
import json
import os
import stat

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.dropping import files
from relaymail.dropping.files import (
    ASIDE,
    MAX_ENVELOPE,
    Dropped,
    Foreign,
    Malformed,
    isMessage,
    isUnfinished,
    prepare,
    read,
    remove,
    setAside,
    write,
)
from relaymail.errors import QueueFull, QueueUnusable

TOKEN = "0123456789abcdef"
NAME = f"{TOKEN}.mail"


class FilesTests(SynchronousTestCase):
    """
    Messages are left, and read.
    """

    def setUp(self) -> None:
        """
        Make a directory.
        """
        self.path = self.mktemp()
        prepare(self.path)

    def put(self, data: bytes, name: str = NAME) -> str:
        """
        Put any file there.
        """
        path = os.path.join(self.path, name)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def test_leftAndRead(self) -> None:
        """
        What was left is read: envelope, content and who wrote it, in a file of
        one's own that is complete or not there.
        """
        path = write(self.path, "a@b", ("c@d", "e"), b"A: b\r\n\r\n\xff\n", TOKEN)
        self.assertEqual(os.path.basename(path), NAME)
        self.assertEqual(
            read(self.path, NAME, 100),
            Dropped("a@b", ("c@d", "e"), b"A: b\r\n\r\n\xff\n", os.geteuid()),
        )
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        self.assertEqual(sorted(os.listdir(self.path)), [NAME, ASIDE])
        remove(self.path, NAME)
        remove(self.path, NAME)
        self.assertRaises(FileNotFoundError, read, self.path, NAME, 100)

    @given(st.text(max_size=9), st.lists(st.text(max_size=9)), st.binary(max_size=50))
    @settings(deadline=None, max_examples=30)
    def test_A03_anything(self, sender: str, whom: list[str], content: bytes) -> None:
        """
        Whatever is left is read as it was; no address ends the envelope.
        """
        path = write(self.path, sender, tuple(whom), content, TOKEN)
        found = read(self.path, NAME, 0)
        os.unlink(path)
        self.assertEqual(found.sender, sender)
        self.assertEqual(found.recipients, tuple(whom))
        self.assertEqual(found.content, content)

    def test_names(self) -> None:
        """
        Messages are known by their names, and those not finished.
        """
        self.assertTrue(isMessage(NAME))
        self.assertTrue(isUnfinished(f".{TOKEN}.tmp"))
        for name in (ASIDE, f"{NAME}\n", "../x.mail", "x.mail", f".{TOKEN}.mail"):
            self.assertFalse(isMessage(name) or isUnfinished(name), name)

    def test_P1_order(self) -> None:
        """
        A message gets its name when it is on the disk, and is said to be there
        when the name is.
        """
        done: list[str] = []

        def note(name: str) -> None:
            real = getattr(os, name)

            def noted(*on: object, **more: object) -> object:
                done.append(name)
                return real(*on, **more)

            self.patch(os, name, noted)

        for name in ("write", "fsync", "rename"):
            note(name)
        write(self.path, "", ("c@d",), b"x", TOKEN)
        self.assertEqual(done, ["write", "fsync", "rename", "fsync"])

    def test_directoryNotReadable(self) -> None:
        """
        Who may not list the directory syncs the file once more instead.
        """
        synced: list[int] = []
        real = os.open

        def opened(path: str, flags: int, mode: int = 0o777) -> int:
            if path == self.path:
                raise PermissionError(errno.EACCES, "Permission denied")
            return real(path, flags, mode)

        self.patch(os, "open", opened)
        self.patch(os, "fsync", synced.append)
        write(self.path, "", ("c@d",), b"x", TOKEN)
        self.assertEqual(len(synced), 2)
        self.assertEqual(synced[0], synced[1])

    def test_P6_noRoom(self) -> None:
        """
        Where there is no room that is told, and nothing is left.
        """

        def full(descriptor: int, data: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        self.patch(os, "write", full)
        error = self.assertRaises(
            QueueFull, write, self.path, "", ("c@d",), b"x", TOKEN
        )
        self.assertIn("there is no room", str(error))
        self.assertEqual(os.listdir(self.path), [ASIDE])

    def test_noDirectory(self) -> None:
        """
        A directory that is missing is told of.
        """
        missing = os.path.join(self.path, "missing")
        self.assertRaises(QueueUnusable, write, missing, "", ("c@d",), b"x", TOKEN)

    def test_otherUser(self) -> None:
        """
        In the directory of somebody else a file is readable for its group,
        where files get the group of the directory; where they do not, the
        administrator gives the file away and others are told what to do.
        """
        given: list[tuple[int, int]] = []
        real = os.geteuid()
        self.patch(os, "geteuid", lambda: real + 1)
        error = self.assertRaises(
            QueueUnusable, write, self.path, "", ("c@d",), b"x", TOKEN
        )
        self.assertIn("chmod 3733", str(error))
        self.assertEqual(os.listdir(self.path), [ASIDE])
        os.chmod(self.path, 0o3733)
        path = write(self.path, "", ("c@d",), b"x", TOKEN)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o640)
        self.patch(os, "geteuid", lambda: 0)
        self.patch(os, "fchown", lambda fd, user, group: given.append((user, group)))
        status = os.stat(self.path)
        files._share(0, self.path, os.stat_result((0o40700, 0, 0, 1, 77, *status[5:])))
        self.assertEqual(given, [(77, -1)])

    def test_A08_foreign(self) -> None:
        """
        Links, FIFOs, directories, files with two names and what may not be read
        are not read.
        """
        target = self.put(b"secret", "target")
        path = os.path.join(self.path, NAME)
        for make in (
            lambda: os.symlink(target, path),
            lambda: os.mkfifo(path),
            lambda: os.mkdir(path),
            lambda: os.link(target, path),
        ):
            make()
            self.assertRaises(Foreign, read, self.path, NAME, 100)
            if os.path.isdir(path):
                os.rmdir(path)
            else:
                os.unlink(path)

        def refuse(path: str, flags: int) -> int:
            raise PermissionError(errno.EACCES, "Permission denied")

        self.patch(os, "open", refuse)
        error = self.assertRaises(Foreign, read, self.path, NAME, 100)
        self.assertIn("Permission denied", str(error))

    def test_A08_descriptorsRunOut(self) -> None:
        """
        When descriptors run out that says nothing of the file.
        """

        def refuse(path: str, flags: int) -> int:
            raise OSError(errno.EMFILE, "Too many open files")

        self.patch(os, "open", refuse)
        self.assertRaises(QueueFull, read, self.path, NAME, 100)

    def test_malformed(self) -> None:
        """
        What is no message is told so, whatever it is.
        """
        good = {"version": 1, "sender": "a", "recipients": ["b"]}
        for line in (
            b"",
            b"x\r\n",
            b"[]",
            b"[" * 5000,
            b"\xff",
            json.dumps({**good, "version": 2}).encode(),
            json.dumps({**good, "sender": None}).encode(),
            json.dumps({**good, "recipients": "b"}).encode(),
            json.dumps({**good, "recipients": [["b"]]}).encode(),
        ):
            self.put(line + b"\nx")
            error = self.assertRaises(Malformed, read, self.path, NAME, 100)
            self.assertTrue(str(error).isprintable())

    def test_A05_large(self) -> None:
        """
        A message over the limit is not taken, and one far over it not read.
        """
        write(self.path, "a", ("b",), b"x" * 101, TOKEN)
        self.assertRaises(Malformed, read, self.path, NAME, 100)
        self.assertEqual(len(read(self.path, NAME, 101).content), 101)
        with open(os.path.join(self.path, NAME), "ab") as file:
            file.truncate(MAX_ENVELOPE + 200)
        self.assertRaises(Malformed, read, self.path, NAME, 100)

    def test_setAside(self) -> None:
        """
        What cannot be read goes into a directory of its own.
        """
        self.put(b"x")
        setAside(self.path, NAME)
        self.assertEqual(os.listdir(os.path.join(self.path, ASIDE)), [NAME])

    def test_A08_aside(self) -> None:
        """
        What others have put where files are put aside is not used.
        """
        aside = os.path.join(self.path, ASIDE)
        os.rmdir(aside)
        os.symlink(self.mktemp(), aside)
        self.assertRaises(QueueUnusable, prepare, self.path)
        os.unlink(aside)
        os.mkdir(aside)
        real = os.lstat(aside)
        told = os.stat_result([*real[:4], os.geteuid() + 1, *real[5:]])
        lstat = os.lstat
        self.patch(os, "lstat", lambda p: told if p == aside else lstat(p))
        self.assertRaises(QueueUnusable, prepare, self.path)
        self.patch(os, "lstat", lstat)
        prepare(self.path)

    def test_A08_prepare(self) -> None:
        """
        A directory is made for this user alone; one where others could remove
        mail, or where we could not, is refused.
        """
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o700)
        os.chmod(self.path, 0o3733)
        prepare(self.path)
        os.chmod(self.path, 0o2733)
        error = self.assertRaises(QueueUnusable, prepare, self.path)
        self.assertIn("chmod 3733", str(error))
        os.chmod(self.path, 0o700)
        self.assertRaises(QueueUnusable, prepare, self.put(b""))
        real = os.geteuid()
        self.patch(os, "geteuid", lambda: real + 1)
        error = self.assertRaises(QueueUnusable, prepare, self.path)
        self.assertIn("chown", str(error))
