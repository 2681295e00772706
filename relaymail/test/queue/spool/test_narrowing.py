"""
Tests for L{relaymail.queue.spool.narrowing}.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from relaymail.inspection import NameState, Page, Selection
from relaymail.outcomes import Removed
from relaymail.queue.spool import inspecting, narrowing, searching
from relaymail.queue.spool.narrowing import domainMeant, narrowed
from relaymail.queue.spool.rows import commit
from relaymail.queue.spool.searching import Columns, search
from relaymail.replies import Phase
from relaymail.test.queue.contract import NOW
from relaymail.test.queue.spool.spools import RowsTestCase, SpoolTestCase


class DomainTests(RowsTestCase):
    """
    Which destination is meant.
    """

    def test_domain(self) -> None:
        """
        It is said, or that of the one recipient or of all there.
        """
        for parts, domain in (
            ({}, None),
            ({"domain": "C.example."}, "c.example"),
            ({"recipient": "x@C.example"}, "c.example"),
            ({"recipient": "<x*@c.example>"}, "c.example"),
            ({"recipient": "@c.example"}, "c.example"),
            ({"recipient": "*@c.*"}, None),
            ({"recipient": "x*"}, None),
            ({"recipient": "x@"}, None),
            ({"sender": "x@c.example"}, None),
        ):
            selection: Any = Selection(**parts)  # type: ignore[arg-type]
            self.assertEqual(domainMeant(selection), domain, parts)


class NarrowedTests(RowsTestCase):
    """
    Which names are looked at.
    """

    def setUp(self) -> None:
        """
        Begin with mail that rests, mail that is claimed, and mail that is kept
        back.
        """
        super().setUp()
        rest = self.arrival(1, "a@a.example", "b@b.example", lease=None)
        claimed = self.arrival(11, "c@c.example", "b@b.example")
        kept = self.arrival(21, "a@a.example", "d@d.example", "a@a.example", lease=0.0)
        commit(self.database, self.bodies, [[rest, claimed, kept]])
        self.ask("UPDATE recipient SET held = 'why' WHERE id IN (21, 22)")
        self.ask("UPDATE recipient SET aside = 'why' WHERE id = 23")
        self.ask("UPDATE destination SET held = 1 WHERE name IN (?, ?)", *KEPT)
        self.ask("UPDATE destination SET queued = 2 WHERE name = 'a.example'")

    def narrowed(self, *claimed: int, **parts: Any) -> Sequence[int] | None:
        """
        Say among which numbers all are that are meant.
        """
        return narrowed(self.database, Selection(**parts), claimed)

    def test_any(self) -> None:
        """
        Where no destination is meant, it may be any name.
        """
        self.assertIsNone(self.narrowed())
        self.assertIsNone(self.narrowed(state=NameState.RESTING, olderThan=60.0))

    def test_destination(self) -> None:
        """
        What rests and what is kept back of a destination is known.
        """
        self.assertEqual(self.narrowed(domain="a.example"), [1, 21, 23])
        self.assertEqual(self.narrowed(domain="d.example"), [22])
        self.assertEqual(self.narrowed(recipient="x@d.example"), [22])
        self.assertEqual(self.narrowed(domain="e.example"), [])

    def test_claimed(self) -> None:
        """
        What is claimed is known where whoever claimed it says so; else all are
        looked at, and nothing is overlooked.
        """
        self.assertIsNone(self.narrowed(domain="c.example"))
        self.assertEqual(self.narrowed(11, domain="c.example"), [11])
        self.assertIsNone(self.narrowed(11, domain="b.example"))
        self.assertEqual(self.narrowed(1, 11, 12, domain="b.example"), [2, 12])
        self.assertEqual(self.narrowed(21, 12, 99, domain="d.example"), [22])

    def test_many(self) -> None:
        """
        Where there are many, they are not picked out.
        """
        self.patch(narrowing, "FEW", 5)
        self.assertEqual(self.narrowed(domain="a.example"), [1, 21, 23])
        self.patch(narrowing, "FEW", 4)
        self.assertIsNone(self.narrowed(domain="a.example"))
        self.assertEqual(self.narrowed(domain="e.example"), [])

    def test_indexes(self) -> None:
        """
        Nothing of that reads the table, however much is in it.
        """
        self.steps.clear()
        self.narrowed(domain="a.example")
        asked = [text for verb, text in self.steps if verb == "SELECT"]
        self.assertEqual(len(asked), 4)
        for statement in asked:
            plan = [row[-1] for row in self.ask(f"EXPLAIN QUERY PLAN {statement}")]
            scans = [step for step in plan if step.split()[:2] in SCANS]
            read = [step for step in scans if "INDEX kept" not in step]
            self.assertEqual(read, [], statement)

    def look(self, **parts: Any) -> Page:
        """
        Find what is meant.
        """
        timer = iter(range(1000)).__next__
        return search(
            self.database, Columns(2), Selection(**parts), NOW, 100, None, timer
        )

    def test_found(self) -> None:
        """
        What is found is the same as where all are looked at, and at once.
        """
        self.patch(searching, "SEARCH", -1.0)
        for parts, names in (
            ({"domain": "a.example"}, ["1", "21", "23"]),
            ({"domain": "a.example", "state": NameState.HELD}, ["21"]),
            ({"recipient": "*x@d.example"}, []),
            ({"recipient": "b@a.example"}, []),
            ({"domain": "e.example"}, []),
        ):
            page = self.look(**parts)
            self.assertEqual([found.name for found in page.entries], names)
            self.assertEqual((page.next, page.isComplete), (None, True))


#: How the plan of a query says that the table is read, or an index of it.
SCANS = (["SCAN", "r"], ["SCAN", "recipient"])
#: The destinations of which something is held.
KEPT = ("a.example", "d.example")


class WindowTests(SpoolTestCase):
    """
    What a spool that is open knows to be claimed.
    """

    def found(self, **parts: Any) -> list[str]:
        """
        Give the names that are found, and how many numbers they were among.
        """
        page = self.settle(self.queue.look(Selection(**parts)))
        return [found.name for found in page.entries]

    def test_destination(self) -> None:
        """
        All of a destination is found, wherever it stands.
        """
        names = self.add(*(f"{each}@a.example" for each in "abcde"), "x@b.example")
        self.settle(self.queue.setRelaying(names[0]))
        self.rest(names[1], 60)
        self.settle(self.queue.hold(names[2], "why"))
        self.assertEqual(self.found(domain="a.example"), names[:5])
        self.assertEqual(self.found(recipient="A@a.example"), names[:1])
        self.settle(self.queue.done(names[3], Removed("", Phase.IDLE)))
        self.assertEqual(self.found(domain="a.example"), [*names[:3], names[4]])

    def test_notAsked(self) -> None:
        """
        The database knows only of what is claimed by whom; where so much is in
        the window that it is not looked at, all are looked at.
        """
        names = self.add("a@a.example", "x@b.example")
        asked: list[Any] = []
        look = self.queue._survey.look

        def noted(*arguments: Any) -> Page:
            asked.append(arguments[-1])
            page: Page = look(*arguments)
            return page

        self.patch(self.queue._survey, "look", noted)
        self.assertEqual(self.found(domain="a.example"), names[:1])
        self.patch(inspecting, "MAX_CLAIMED", 1)
        self.assertEqual(self.found(domain="a.example"), names[:1])
        self.assertEqual(self.found(), names)
        self.assertEqual(asked, [[int(names[0])], [], []])
