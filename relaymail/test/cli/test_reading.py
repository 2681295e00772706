# -*- test-case-name: relaymail.test.cli.test_reading -*-
"""
Tests for L{relaymail.cli.reading}.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from relaymail.cli.client import Refusal
from relaymail.cli.reading import PAGE, reader
from relaymail.cli.troubles import CommandError, ServiceDown
from relaymail.test.cli.commands import CommandTestCase, entry, page

NOTHING: dict[str, Any] = {
    "sender": None,
    "recipient": None,
    "domain": None,
    "older": None,
    "younger": None,
    "larger": None,
    "smaller": None,
    "state": None,
    "reply": None,
    "ids": (),
}


class ReaderTests(CommandTestCase):
    """
    Tests for L{reader}.
    """

    def paged(self, total: int) -> None:
        """
        Let the relay have so many entries.
        """

        def answer(said: dict[str, str]) -> Any:
            first, most = int(said.get("after", 0)), int(said["limit"])
            last = min(first + most, total)
            each = [entry(id=str(number)) for number in range(first, last)]
            return page(*each, next=str(last) if last < total else None)

        self.answers["GET queue"] = answer

    def pages(self, limit: int | None) -> list[int]:
        """
        Give how many entries each page has.
        """
        return [len(each["entries"]) for each in reader().pages(NOTHING, limit)]

    def test_pages(self) -> None:
        """
        As many pages are read as are needed, and no more.
        """
        self.paged(2 * PAGE + 5)
        self.assertEqual(self.pages(None), [PAGE, PAGE, 5])
        self.assertEqual(self.pages(PAGE + 3), [PAGE, 3])
        self.assertEqual(self.pages(7), [7])

    def test_incomplete(self) -> None:
        """
        A search that took too long goes on.
        """
        given = [page(next="a"), page(entry(), next="b"), page(entry())]
        self.answers["GET queue"] = lambda said: given.pop(0)
        self.assertEqual(self.pages(10), [0, 1, 1])

    def test_endless(self) -> None:
        """
        A relay that does not get on is not asked for ever.
        """
        self.answers["GET queue"] = page(next="a")
        self.assertEqual(self.pages(10), [0, 0])

    def test_missing(self) -> None:
        """
        What is not there is none; other refusals are told.
        """
        self.assertIsNone(reader().entry("a/b"))
        self.assertEqual(self.client.asked, [("GET queue/a%2Fb", {})])
        self.answers["GET queue/7"] = Refusal(503, "Later.")
        self.assertRaises(CommandError, reader().entry, "7")

    def test_elsewhere(self) -> None:
        """
        The spool of a relay elsewhere cannot be read here.
        """
        self.place = replace(self.place, url="http://other:1")
        self.answers["GET status"] = self.down()
        error = self.assertRaises(ServiceDown, reader().status)
        self.assertEqual(str(error), str(self.down()))

    def test_directory(self) -> None:
        """
        A queue of files is shown by a relay that runs, and by nobody else.
        """
        self.place = replace(self.place, isSpool=False)
        self.answers["GET status"] = self.down()
        error = self.assertRaises(ServiceDown, reader().status)
        self.assertIn("is a directory", str(error))

    def test_neither(self) -> None:
        """
        Where there is no spool either, both are told.
        """
        self.answers["GET status"] = self.down()
        error = self.assertRaises(ServiceDown, reader().status)
        self.assertIn("No relay answers there.", str(error))
        self.assertIn("There is no spool", str(error))
