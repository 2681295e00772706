"""
Tests for L{relaymail.queue.spool.searching}.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from relaymail.inspection import Listed, NameState, Page, Selection
from relaymail.queue.spool import searching
from relaymail.queue.spool.rows import commit
from relaymail.queue.spool.searching import Columns, find, search
from relaymail.test.queue.contract import NOW
from relaymail.test.queue.spool.spools import RowsTestCase


class SearchTestCase(RowsTestCase):
    """
    Some mail, and what looks for it.
    """

    version = 2

    def setUp(self) -> None:
        """
        Begin with three messages: at a time each, of a size each.
        """
        super().setUp()
        self.seconds = 0.0
        senders = ("ann@a.example", "Bob_x@b.example", "")
        for index, sender in enumerate(senders):
            number = 1 + 10 * index
            arrival = self.arrival(
                number,
                "x@c.example",
                "Y@d.example",
                sender=sender,
                content=b"x" * (100 * (index + 1)),
                lease=None,
            )
            commit(self.database, self.bodies, [[arrival]])
            self.ask(
                "UPDATE message SET arrived = ? WHERE id = ?",
                NOW - 100 * (3 - index),
                number,
            )

    def timer(self) -> float:
        """
        Tell the seconds of these tests.
        """
        return self.seconds

    def search(self, limit: int = 100, after: str | None = None, **parts: Any) -> Page:
        """
        Look for what is said.
        """
        return search(
            self.database,
            Columns(self.version),
            Selection(**parts),
            NOW,
            limit,
            after,
            self.timer,
        )

    def names(self, **parts: Any) -> list[str]:
        """
        Give the names that are found.
        """
        page = self.search(**parts)
        self.assertEqual((page.next, page.isComplete), (None, True))
        return [found.name for found in page.entries]


class SelectionTests(SearchTestCase):
    """
    What is found.
    """

    def test_all(self) -> None:
        """
        Where nothing is said everything is found, in the order of arrival, and
        with what is known of it.
        """
        page = self.search()
        found = page.entries
        self.assertEqual([x.name for x in found], ["1", "2", "11", "12", "21", "22"])
        self.assertEqual(
            found[3],
            Listed(
                "12",
                "11",
                "Bob_x@b.example",
                "Y@d.example",
                "d.example",
                200,
                NOW - 200,
                0,
                NOW,
                NameState.WAITING,
            ),
        )

    def test_addresses(self) -> None:
        """
        An address is found whatever its case, by any part of it and by its
        domain; nothing but the asterisk is special.
        """
        for sender, names in {
            "ANN@a.example": ["1", "2"],
            "<ann@a.example>": ["1", "2"],
            "@b.example": ["11", "12"],
            "*@b.*": ["11", "12"],
            "<>": ["21", "22"],
            "bobyx@b.example": [],
            "%": [],
            "*_*": ["11", "12"],
            "*": ["1", "2", "11", "12", "21", "22"],
            "b.example": [],
        }.items():
            self.assertEqual(self.names(sender=sender), names, sender)
        self.assertEqual(self.names(recipient="y@d.example"), ["2", "12", "22"])

    def test_rest(self) -> None:
        """
        The destination, the age, the size and the last reply are looked at, and
        all that is said must be true.
        """
        self.ask("UPDATE recipient SET reply = '452 Mailbox_100% full' WHERE id = 11")
        for parts, names in (
            ({"domain": "D.example."}, ["2", "12", "22"]),
            ({"olderThan": 200.0}, ["1", "2", "11", "12"]),
            ({"youngerThan": 100.0}, ["21", "22"]),
            ({"largerThan": 200}, ["11", "12", "21", "22"]),
            ({"smallerThan": 199}, ["1", "2"]),
            ({"reply": "BOX_100%"}, ["11"]),
            ({"reply": "b%1"}, []),
            ({"domain": "d.example", "sender": "<>"}, ["22"]),
            ({"names": ("22", "1", "nobody", "99", "9" * 40)}, ["1", "22"]),
            ({"names": ("22", "1"), "domain": "c.example"}, ["1"]),
            ({"names": ("nobody",)}, []),
        ):
            self.assertEqual(self.names(**parts), names, parts)

    def test_states(self) -> None:
        """
        It is found by where it stands, as far as the rows say; whoever keeps
        it back says why.
        """
        self.ask("UPDATE recipient SET lease = ?, due = ? WHERE id = 1", NOW, NOW + 9)
        self.ask("UPDATE recipient SET due = ? WHERE id = 2", NOW + 9)
        self.ask("UPDATE recipient SET lease = 0, held = 'mine' WHERE id = 11")
        self.ask("UPDATE recipient SET lease = 0, aside = 'torn' WHERE id = 12")
        for state, names in {
            NameState.WAITING: ["1", "21", "22"],
            NameState.RESTING: ["2"],
            NameState.RELAYING: [],
            NameState.HELD: ["11"],
            NameState.ASIDE: ["12"],
        }.items():
            self.assertEqual(self.names(state=state), names, state)
            found = self.search(state=state).entries
            self.assertEqual({x.state for x in found}, {state} if names else set())
        whys = [x.why for x in self.search().entries]
        self.assertEqual(whys, ["", "", "mine", "torn", "", ""])

    def test_anew(self) -> None:
        """
        What has begun anew is as old as that.
        """
        self.ask("UPDATE recipient SET since = ? WHERE id = 1", NOW)
        self.assertEqual(self.names(olderThan=300.0), ["2"])
        self.assertEqual(self.search().entries[0].arrived, NOW)

    def test_withoutItsMessage(self) -> None:
        """
        A row whose message is gone is found all the same.
        """
        self.ask("DELETE FROM message WHERE id = 1")
        found = self.search().entries[0]
        self.assertEqual((found.sender, found.size, found.arrived), ("", 0, NOW))

    def test_find(self) -> None:
        """
        One name is found at once, and what is none is not.
        """
        columns = Columns(self.version)
        found = find(self.database, columns, "12", NOW)
        self.assertEqual(found, self.search().entries[3])
        for name in ("13", "nobody", "", "9" * 40, "\u0662"):
            self.assertIsNone(find(self.database, columns, name, NOW))


class PageTests(SearchTestCase):
    """
    How much is found at a time.
    """

    def walk(self, limit: int, **parts: Any) -> list[list[str]]:
        """
        Look page after page.
        """
        pages, after = [], None
        for _ in range(20):
            page = self.search(limit, after, **parts)
            pages.append([found.name for found in page.entries])
            after = page.next
            if after is None:
                return pages
        raise AssertionError("it does not end")

    def test_pages(self) -> None:
        """
        One page goes on where the one before ended, and the last says so.
        """
        self.assertEqual(self.walk(4), [["1", "2", "11", "12"], ["21", "22"]])
        self.assertEqual(self.walk(3), [["1", "2", "11"], ["12", "21", "22"]])
        self.assertEqual(self.walk(2, domain="d.example"), [["2", "12"], ["22"]])

    def test_bound(self) -> None:
        """
        A search that takes too long says how far it came, and goes on there.
        """
        self.patch(searching, "STRETCH", 2)

        def timer() -> float:
            self.seconds += 0.09
            return self.seconds

        self.timer: Callable[[], float] = timer  # type: ignore[method-assign]
        page = self.search(sender="nobody")
        self.assertEqual(page, Page((), "12", False))
        self.assertEqual(self.search(sender="nobody", after="12"), Page(()))
        page = self.search(1, sender="<>")
        self.assertEqual((page.entries, page.isComplete), ((), False))

    def test_whatIsKeptIsFoundAtOnce(self) -> None:
        """
        What is held, or was set aside, is found without looking at the rest.
        """
        self.ask("UPDATE recipient SET lease = 0, held = 'mine' WHERE id = 22")
        self.ask("UPDATE recipient SET lease = 0, aside = 'torn' WHERE id = 21")
        self.patch(searching, "STRETCH", 1)
        self.patch(searching, "SEARCH", -1.0)
        for state, number in ((NameState.ASIDE, "21"), (NameState.HELD, "22")):
            page = self.search(1, number, state=state)
            self.assertEqual(page.entries, ())
            after = str(int(number) - 1)
            (found,) = self.search(1, after, state=state).entries
            self.assertEqual(found.name, number)
            first = self.search(9, "0", state=state)
            self.assertIn(first.next, ("21", "22"))

    def test_few(self) -> None:
        """
        What is found by its name is found in one go.
        """
        self.patch(searching, "SEARCH", -1.0)
        page = self.search(names=("2", "21", "99", "x"))
        self.assertEqual([found.name for found in page.entries], ["2", "21"])
        self.assertEqual((page.next, page.isComplete), (None, True))

    def test_gaps(self) -> None:
        """
        Where names have gone, nothing is looked for.
        """
        self.patch(searching, "STRETCH", 2)
        self.ask("UPDATE recipient SET id = id + 1000000 WHERE id > 20")
        self.steps.clear()
        self.assertEqual(len(self.search().entries), 6)
        self.assertEqual(len(self.steps), 2 * 3 + 1)

    def test_enough(self) -> None:
        """
        What has found all that was asked for is complete, wherever it ended.
        """
        self.patch(searching, "STRETCH", 2)
        self.patch(searching, "SEARCH", -1.0)
        page = self.search(2)
        self.assertEqual((len(page.entries), page.next), (2, "2"))
        self.assertTrue(page.isComplete)

    def test_nowhere(self) -> None:
        """
        What is no place to go on from is refused.
        """
        for after in ("nobody", "-1", "", "9" * 40):
            self.assertRaises(ValueError, self.search, after=after)


class OldVersionTests(SelectionTests):
    """
    A database of the first version, in which nothing is kept back.
    """

    version = 1

    def setUp(self) -> None:
        """
        Take away what it did not have.
        """
        super().setUp()
        self.ask("DROP INDEX kept")
        for column in ("held", "since"):
            self.ask(f"ALTER TABLE recipient DROP COLUMN {column}")

    def test_states(self) -> None:
        """
        Nothing is held there.
        """
        self.assertEqual(self.names(state=NameState.HELD), [])
        self.assertEqual(len(self.names(state=NameState.WAITING)), 6)

    def test_anew(self) -> None:
        """
        Nothing has begun anew there.
        """
        self.assertEqual(self.names(olderThan=300.0), ["1", "2"])
