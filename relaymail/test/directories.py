# -*- test-case-name: relaymail.test.configuration.test_places -*-
"""
Directories for tests that have sockets in them.
"""

from __future__ import annotations

from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from twisted.trial.unittest import SynchronousTestCase


def shortDirectory(case: SynchronousTestCase) -> Path:
    """
    Make a directory with a short path, which is removed when the test ends: the
    system bounds the length of the path of a socket, and those that trial makes may
    be anywhere.
    """
    directory = Path(mkdtemp(prefix="relaymail-"))
    case.addCleanup(rmtree, directory, ignore_errors=True)
    return directory
