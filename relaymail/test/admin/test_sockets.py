# -*- test-case-name: relaymail.test.admin.test_sockets -*-
"""
Tests for L{relaymail.admin.sockets}: where the socket may be.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase

from relaymail.admin import sockets
from relaymail.errors import ConfigurationError


class FakeReactor:
    """
    Listens on nothing.

    @ivar calls: What it was told.
    @ivar masks: What files could not have then.
    """

    def __init__(self, error: Exception | None = None) -> None:
        self.calls: list[tuple[str, int]] = []
        self.masks: list[int] = []
        self._error = error

    def listenUNIX(self, path: str, factory: Any, mode: int) -> object:
        """
        Note it.
        """
        mask = os.umask(0)
        os.umask(mask)
        self.masks.append(mask)
        self.calls.append((path, mode))
        if self._error is not None:
            raise self._error
        return object()


class SocketTests(SynchronousTestCase):
    """
    The place of the socket.
    """

    def setUp(self) -> None:
        self.directory = self.mktemp()
        os.mkdir(self.directory, 0o700)
        # The name of a test makes a path that is too long.
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.directory)
        self.reactor = FakeReactor()

    def refused(self, path: str) -> str:
        """
        Listen where that is not to be.
        """
        with self.assertRaises(ConfigurationError) as caught:
            sockets.listen(path, Factory(), self.reactor)
        told = str(caught.exception)
        self.assertIn(f"cannot open the control socket {path}: ", told)
        return told

    def test_A09_mode(self) -> None:
        """
        The socket is its user's only, from the moment it is there.
        """
        before = os.umask(0o022)
        self.addCleanup(os.umask, before)
        sockets.listen("control", Factory(), self.reactor)
        self.assertEqual(self.reactor.calls, [("control", 0o600)])
        self.assertEqual(self.reactor.masks[0], 0o077)
        self.assertEqual(os.umask(0o022), 0o022)

    def test_tooLong(self) -> None:
        """
        A path that the system does not take is told of, with what to do.
        """
        told = self.refused("x" * 104)
        self.assertIn("has 104 octets, and the system takes 103 at most", told)
        self.assertIn("set socket in [control]", told)
        sockets.check("ü" * 51)
        self.refused("ü" * 52)

    def test_noDirectory(self) -> None:
        """
        A directory that is not there, or is none, is told of.
        """
        self.assertIn("No such file", self.refused("missing/control"))
        with open("file", "w"):
            pass
        self.refused("file/control")

    def test_A08_directoryOfAll(self) -> None:
        """
        There is no socket where everybody could put another; but there may be in a
        directory where everybody has only his own files.
        """
        os.mkdir("open")
        os.chmod("open", 0o777)
        self.assertIn("chmod o-w", self.refused("open/control"))
        os.chmod("open", 0o1777)
        sockets.listen("open/control", Factory(), self.reactor)

    def test_somethingElse(self) -> None:
        """
        What is no socket is not removed.
        """
        for make in (lambda p: open(p, "w").close(), os.mkdir, os.mkfifo):
            make("control")
            self.assertIn("no socket: move it away", self.refused("control"))
            self.assertTrue(os.path.lexists("control"))
            os.rename("control", f"moved-{make!r}"[-20:].replace("/", ""))
        os.symlink("nowhere", "control")
        self.refused("control")
        self.assertEqual(self.reactor.calls, [])

    def test_cannotListen(self) -> None:
        """
        What the system says is passed on.
        """
        why = OSError(13, "Permission denied")
        self.reactor = FakeReactor(CannotListenError(None, "control", why))
        self.assertIn("Permission denied", self.refused("control"))
