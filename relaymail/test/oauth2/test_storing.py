"""
Tests for L{relaymail.oauth2.storing}.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relaymail.oauth2.storing import Stored, TokenStore, Unstorable, digestOf

ACCOUNT = "https://login.example/token\nclient\nrelay@example.com\nscope"
STORED = Stored(b"token-1", 1000.0, 4600.0, b"refresh-1", digestOf(b"refresh-0"), "s")


class TokenStoreTests(SynchronousTestCase):
    """
    Tokens on the disk.
    """

    def setUp(self) -> None:
        """
        Begin with none.
        """
        self.above = Path(self.mktemp()).absolute()
        self.above.mkdir(mode=0o700)
        self.path = self.above / "tokens"
        self.store = TokenStore(str(self.path))

    def file(self) -> Path:
        """
        Give the file of the account.
        """
        (found,) = self.path.iterdir()
        return found

    def test_kept(self) -> None:
        """
        What is kept comes back, and what comes later stands for it.
        """
        self.assertIsNone(self.store.load(ACCOUNT))
        self.assertFalse(self.path.exists())
        self.store.save(ACCOUNT, STORED)
        self.assertEqual(self.store.load(ACCOUNT), STORED)
        self.assertIsNone(self.store.load("another"))
        newer = replace(STORED, token=b"", refresh=b"refresh-2")
        self.store.save(ACCOUNT, newer)
        self.assertEqual(TokenStore(str(self.path)).load(ACCOUNT), newer)
        self.assertEqual(self.file().name, f"{digestOf(ACCOUNT.encode())}.json")

    def test_A08_first(self) -> None:
        """
        What it would be beside is made, too, for this user alone: C{relaymail auth
        test} may come before the relay, and a refresh token that it was given is the
        only one.
        """
        path = self.above / "queue" / "below" / "tokens"
        TokenStore(str(path)).save(ACCOUNT, STORED)
        self.assertEqual(TokenStore(str(path)).load(ACCOUNT), STORED)
        for made in (path.parent, path.parent.parent):
            self.assertEqual(stat.S_IMODE(made.stat().st_mode), 0o700)

    def test_forget(self) -> None:
        """
        An account is forgotten, also one that is not there.
        """
        self.store.forget(ACCOUNT)
        self.store.save(ACCOUNT, STORED)
        self.store.forget(ACCOUNT)
        self.assertIsNone(self.store.load(ACCOUNT))

    def test_A08_closed(self) -> None:
        """
        Nobody else may read or enter, whatever the umask is.
        """
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        self.store.save(ACCOUNT, STORED)
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o700)
        self.assertEqual(stat.S_IMODE(self.file().stat().st_mode), 0o600)

    def test_A08_open(self) -> None:
        """
        A directory or a file that others may use is not used.
        """
        self.store.save(ACCOUNT, STORED)
        self.file().chmod(0o640)
        self.assertRaises(Unstorable, self.store.load, ACCOUNT)
        self.path.chmod(0o750)
        self.assertRaises(Unstorable, self.store.load, ACCOUNT)
        self.assertRaises(Unstorable, self.store.save, ACCOUNT, STORED)

    def test_A08_links(self) -> None:
        """
        A link is not followed: neither that of the directory, nor that of a file,
        nor that of a draft.
        """
        self.store.save(ACCOUNT, STORED)
        other = self.above / "other"
        other.write_bytes(b"mine")
        file = self.file()
        draft = Path(f"{file}.new")
        draft.symlink_to(other)
        self.store.save(ACCOUNT, STORED)
        file.unlink()
        file.symlink_to(other)
        self.assertRaises(OSError, self.store.load, ACCOUNT)
        self.assertEqual(other.read_bytes(), b"mine")
        moved = self.path.rename(self.above / "moved")
        self.path.symlink_to(moved)
        self.assertRaises(OSError, self.store.load, ACCOUNT)
        self.assertRaises(OSError, self.store.save, ACCOUNT, STORED)

    def test_unreadable(self) -> None:
        """
        What is no such file is worth nothing, and does not keep the next from being
        written.
        """
        self.store.save(ACCOUNT, STORED)
        for data in (
            b"",
            b"{}",
            b"[]",
            b"\xff",
            b"[" * 60000,
            b" " * 70000,
            b'{"token": 1, "fetched": 1, "expires": 1, "refresh": "", "origin": ""}',
            self.file().read_bytes().replace(b"token-1", b"\\u00e4"),
        ):
            self.file().write_bytes(data)
            self.assertIsNone(self.store.load(ACCOUNT))
        self.store.save(ACCOUNT, STORED)
        self.assertEqual(self.store.load(ACCOUNT), STORED)

    def test_P1_order(self) -> None:
        """
        The file is written out before it has its name, and its name before
        anything else is done.
        """
        self.store.save(ACCOUNT, STORED)
        done: list[str] = []

        def noted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
            def note(*args: Any, **more: Any) -> Any:
                done.append(name)
                return function(*args, **more)

            return note

        for name in ("fsync", "rename"):
            self.patch(os, name, noted(name, getattr(os, name)))
        self.store.save(ACCOUNT, STORED)
        self.assertEqual(done, ["fsync", "rename", "fsync"])

    def test_A09_noSecretIsShown(self) -> None:
        """
        What is kept does not show itself.
        """
        self.assertNotIn("token-1", repr(STORED))
        self.assertNotIn("refresh-1", repr(STORED))
