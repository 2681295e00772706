"""
Tests for L{relaymail.testing.keeping}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaymail.keeping import PrivateDirectory
from relaymail.testing.keeping import MemoryFiles


class FilesTests(SynchronousTestCase):
    """
    Files in memory are as those on the disk.
    """

    def test_alike(self) -> None:
        """
        What is written is read, up to a bound, until it is removed.
        """
        directory: PrivateDirectory | MemoryFiles
        for directory in (PrivateDirectory(self.mktemp()), MemoryFiles()):
            self.assertEqual(directory.names(), [])
            self.assertIsNone(directory.read("b.json", 9))
            directory.remove("b.json")
            directory.write("b.json", b"1234")
            directory.write("a.json", b"1")
            directory.write("b.json", b"12345")
            self.assertEqual(directory.names(), ["a.json", "b.json"])
            self.assertEqual(directory.read("b.json", 9), b"12345")
            self.assertEqual(directory.read("b.json", 2), b"123")
            directory.remove("a.json")
            self.assertEqual(directory.names(), ["b.json"])
