# -*- test-case-name: relaymail.test.configuration.test_words -*-
"""
Tests for L{relaymail.configuration.words}.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from relaymail.configuration import words
from relaymail.configuration.words import (
    chooseHostname,
    parseFile,
    parseNamedRate,
    parseNumber,
    parsePath,
    parseQueue,
    parseSize,
)
from relaymail.errors import ConfigurationError
from relaymail.queue.place import QueueKind, QueuePlace
from relaymail.schedule.rates import Rate


class QueueTests(SynchronousTestCase):
    """
    Tests for L{parseQueue}.
    """

    def setUp(self) -> None:
        """
        Choose a path.
        """
        self.path = os.path.abspath(self.mktemp())

    def spool(self, path: str) -> QueuePlace:
        """
        Give the place of a spool.
        """
        return QueuePlace(QueueKind.SPOOL, path)

    def test_kinds(self) -> None:
        """
        The kind may be said; nothing needs to be there.
        """
        directory = QueuePlace(QueueKind.DIRECTORY, self.path)
        self.assertEqual(parseQueue(f"directory:{self.path}"), directory)
        self.assertEqual(parseQueue(f"spool:{self.path}"), self.spool(self.path))
        self.assertEqual(parseQueue(str(directory)), directory)

    def test_nothingYet(self) -> None:
        """
        A bare path where nothing is, or nothing but an empty directory, is
        that of a spool; nothing is made.
        """
        inside = self.spool(self.path + "/queue.db")
        self.assertEqual(parseQueue(self.path), inside)
        self.assertFalse(os.path.exists(self.path))
        os.mkdir(self.path)
        self.assertEqual(parseQueue(self.path), inside)
        self.assertEqual(os.listdir(self.path), [])

    def test_recognised(self) -> None:
        """
        A bare path is recognised by what is there.
        """
        os.mkdir(self.path)
        Path(self.path, "1_1.0_1_1-D").write_bytes(b"")
        self.assertEqual(
            parseQueue(self.path), QueuePlace(QueueKind.DIRECTORY, self.path)
        )
        Path(self.path, "queue.db").write_bytes(b"")
        inside = self.spool(self.path + "/queue.db")
        self.assertEqual(parseQueue(self.path), inside)
        self.assertEqual(parseQueue(inside.path), inside)
        sqlite3.connect(inside.path).execute("CREATE TABLE t (a)").connection.close()
        self.assertEqual(parseQueue(inside.path), inside)

    def test_file(self) -> None:
        """
        Something else is none, and is left alone.
        """
        path = Path(self.path)
        path.write_text("precious")
        for text, told in (
            (self.path, "no database"),
            (f"directory:{path}", "is not a directory"),
        ):
            error = self.assertRaises(ConfigurationError, parseQueue, text)
            self.assertIn(told, str(error))
        self.assertEqual(path.read_text(), "precious")
        os.mkfifo(self.path + "f")
        self.assertRaises(ConfigurationError, parseQueue, self.path + "f")
        os.mkdir(self.path + "d")
        self.assertRaises(ConfigurationError, parseQueue, f"spool:{path}d")

    def test_danglingLink(self) -> None:
        """
        A link to nowhere is no queue.
        """
        os.symlink("nowhere", self.path)
        self.assertRaises(ConfigurationError, parseQueue, self.path)

    def test_outOfSight(self) -> None:
        """
        A queue that only another user can see is a spool, as far as who sends mail
        can know.
        """

        def refuse(path: str) -> QueuePlace:
            raise PermissionError(13, "Permission denied")

        self.patch(words, "recognise", refuse)
        self.assertEqual(parseQueue(self.path), self.spool(f"{self.path}/queue.db"))
        Path(self.path).write_text("")
        self.assertEqual(parseQueue(self.path), self.spool(self.path))

    def test_unknownKind(self) -> None:
        """
        A kind of queue that is not known is told of.
        """
        for text in ("maildir:/var/spool/mail", "postgresql://host/db"):
            error = self.assertRaises(ConfigurationError, parseQueue, text)
            self.assertIn("of a kind that is not known", str(error))

    def test_nothing(self) -> None:
        """
        No path is no queue.
        """
        for text in ("", "directory:", "spool:", "a\0b"):
            self.assertRaises(ConfigurationError, parseQueue, text)


class SmallTests(SynchronousTestCase):
    """
    Tests for the small readers.
    """

    def test_numbers(self) -> None:
        """
        Whole numbers are read, nothing else.
        """
        self.assertEqual(parseNumber("the port", "25"), 25)
        for text in ("", "-1", "1.5", "x", "\u0663", "1" * 10):
            self.assertRaises(ConfigurationError, parseNumber, "the port", text)

    def test_hostname(self) -> None:
        """
        The first name that is a full one is chosen.
        """
        self.assertEqual(
            chooseHostname(["vm", "bad name.example", "a.example.com", "b.example"]),
            "a.example.com",
        )
        self.assertEqual(chooseHostname(["vm"]), "localhost.localdomain")


class FileTests(SynchronousTestCase):
    """
    Tests for L{parseFile} and L{parsePath}.
    """

    def test_file(self) -> None:
        """
        A file must be there, as far as can be seen.
        """
        path = os.path.abspath(self.mktemp())
        os.mkdir(path)
        for text in ("", path, f"{path}/a", "a\0b"):
            self.assertRaises(ConfigurationError, parseFile, text)
        Path(path, "a").write_text("")
        self.assertEqual(parseFile("a", path), f"{path}/a")

        def refuse(path: str) -> None:
            raise PermissionError(13, "Permission denied")

        self.patch(os, "stat", refuse)
        self.assertEqual(parseFile("b", path), f"{path}/b")

    def test_path(self) -> None:
        """
        Nothing needs to be at a path.
        """
        self.assertEqual(parsePath("../b", "/a/c"), "/a/b")
        for text in ("", "a\0b"):
            self.assertRaises(ConfigurationError, parsePath, text)


class SizeTests(SynchronousTestCase):
    """
    Tests for L{parseSize}.
    """

    def test_sizes(self) -> None:
        """
        A number of octets, or of a multiple.
        """
        sizes = [parseSize(text) for text in ("0", "7", " 8k", "2M", "1G")]
        self.assertEqual(sizes, [0, 7, 8192, 2 * 1024**2, 1024**3])

    def test_wrong(self) -> None:
        """
        Anything else is refused with what to write.
        """
        for text in ("", "M", "-1", "1.5M", "5 apples", "1T", "9" * 14):
            error = self.assertRaises(ConfigurationError, parseSize, text)
            self.assertIn("such as 50M", str(error))


class NamedRateTests(SynchronousTestCase):
    """
    Tests for L{parseNamedRate}.
    """

    def test_names(self) -> None:
        """
        A rate is of a domain, of an address, or of each.
        """
        for text, name in (
            ("Example.ORG=5/s", "example.org"),
            ("A.B@Example.org = 5/s", "a.b@example.org"),
            ("b\u00fccher.example=5/s", "xn--bcher-kva.example"),
            ("*=5/s", "*"),
        ):
            self.assertEqual(parseNamedRate(text), (name, Rate(5, 1)))

    def test_wrong(self) -> None:
        """
        What names nothing, or is no rate, is refused with what to write.
        """
        for text, told in (
            ("5/s", "write such as example.org=100/m"),
            ("=5/s", "write such as example.org=100/m"),
            ("a b=5/s", "'a b' does not say what the rate is of"),
            ("example.org=", "is not a rate"),
            ("example.org=fast", "'fast' is not a rate"),
            ("*=0/s", "'0/s' is not a rate"),
        ):
            error = self.assertRaises(ConfigurationError, parseNamedRate, text)
            self.assertIn(told, str(error))
