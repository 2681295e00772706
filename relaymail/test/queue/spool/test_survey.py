"""
Tests for L{relaymail.queue.spool.survey}.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from relaymail.envelopes import NO_ORIGIN
from relaymail.errors import QueueUnusable
from relaymail.inspection import DestinationCount, NameState, Page, Selection
from relaymail.queue.spool import survey
from relaymail.queue.spool.rows import commit
from relaymail.queue.spool.schema import QueueDamaged, openSpool
from relaymail.queue.spool.survey import Survey
from relaymail.test.queue.contract import NOW
from relaymail.test.queue.spool.spools import RowsTestCase


class SurveyTests(RowsTestCase):
    """
    Reading the file of a spool.
    """

    def setUp(self) -> None:
        """
        Begin with two names, of which one is claimed.
        """
        super().setUp()
        changes = [
            self.arrival(1, "x@c.example", lease=None),
            self.arrival(2, "y@d.example"),
        ]
        commit(self.database, self.bodies, [changes])
        self.ask("INSERT INTO suspension VALUES ('c.example', 'it is slow')")
        self.survey = Survey(self.path, now=lambda: NOW)
        self.addCleanup(self.survey.close)

    def files(self) -> dict[str, bytes]:
        """
        Read what is beside each other.
        """
        directory = Path(self.path).parent
        return {path.name: path.read_bytes() for path in directory.iterdir()}

    def assertFound(self) -> None:
        """
        All there is is found.
        """
        page = self.survey.look(Selection())
        self.assertEqual(
            [(found.name, found.state) for found in page.entries],
            [("1", NameState.WAITING), ("2", NameState.WAITING)],
        )
        self.assertEqual(self.survey.entry("2"), page.entries[1])
        self.assertIsNone(self.survey.entry("3"))
        self.assertEqual(
            self.survey.destinations(1), ([DestinationCount("c.example", 1, 1)], 2)
        )
        self.assertEqual(self.survey.shape().total.total, 2)
        self.assertEqual(self.survey.totals(), {"accepted": 2})
        self.assertEqual(self.survey.suspensions(), {"c.example": "it is slow"})

    def test_whileItIsOpen(self) -> None:
        """
        It is read beside whoever writes it, who is not kept from that.
        """
        self.assertFound()
        commit(self.database, self.bodies, [[self.arrival(3, "z@e.example")]])
        self.assertEqual(len(self.survey.look(Selection()).entries), 3)

    def test_whenItWasClosed(self) -> None:
        """
        What nobody has open is read, and stays as it is, to the last file.
        """
        self.database.close()
        before = self.files()
        self.assertFound()
        self.survey.close()
        self.assertEqual(self.files(), before)

    def test_afterACrash(self) -> None:
        """
        What is only in the log is found, and the log stays.
        """
        kept = self.files()
        self.database.close()
        for name, data in kept.items():
            (Path(self.path).parent / name).write_bytes(data)
        self.assertFound()
        self.survey.close()
        for name in ("queue", "queue-wal"):
            self.assertEqual(self.files()[name], kept[name])

    def test_oldVersion(self) -> None:
        """
        A spool of the first version is read without being changed.
        """
        self.ask("DROP TABLE suspension")
        self.ask("DROP INDEX kept")
        for table, column in (
            ("recipient", "held"),
            ("recipient", "since"),
            ("recipient", "told"),
            ("recipient", "origin"),
            ("recipient", "released"),
            ("destination", "held"),
        ):
            self.ask(f"ALTER TABLE {table} DROP COLUMN {column}")
        self.ask("PRAGMA user_version = 1")
        self.assertEqual(len(self.survey.look(Selection()).entries), 2)
        self.assertEqual(self.survey.destinations()[1], 2)
        self.assertEqual(self.survey.suspensions(), {})
        self.assertEqual(self.ask("PRAGMA user_version"), [(1,)])

    def test_secondVersion(self) -> None:
        """
        So is one of the second, of which it is shown what was said.
        """
        self.ask("ALTER TABLE recipient RENAME COLUMN told TO none")
        self.ask("UPDATE message SET ret = 'HDRS', options = '{\"priority\": 4}'")
        self.ask("PRAGMA user_version = 2")
        found = self.survey.look(Selection()).entries
        self.assertEqual([e.parameters for e in found], ["RET=HDRS MT-PRIORITY=4"] * 2)
        self.assertEqual(self.survey.entry("1"), found[0])
        self.assertEqual(self.survey.suspensions(), {"c.example": "it is slow"})
        self.assertEqual(self.ask("PRAGMA user_version"), [(2,)])

    def test_thirdVersion(self) -> None:
        """
        And one of the third, of which it is shown who was told.
        """
        for column in ("origin", "released"):
            self.ask(f"ALTER TABLE recipient RENAME COLUMN {column} TO no{column}")
        self.ask("UPDATE recipient SET told = 1")
        self.ask("PRAGMA user_version = 3")
        found = self.survey.look(Selection()).entries
        told = ["its sender was told that it is late"] * 2
        self.assertEqual([each.parameters for each in found], told)
        self.assertEqual({each.origin for each in found}, {NO_ORIGIN})
        self.assertEqual(self.survey.entry("1"), found[0])
        self.assertEqual(self.ask("PRAGMA user_version"), [(3,)])

    def test_relaying(self) -> None:
        """
        What was claimed waits: nothing is being relayed, and it is not looked for.
        """
        found = self.survey.look(Selection(state=NameState.WAITING))
        self.assertEqual(len(found.entries), 2)
        found = self.survey.look(Selection(state=NameState.RELAYING))
        self.assertEqual(found, Page(()))

    def test_limits(self) -> None:
        """
        Not more is given than there is a bound for, whatever is asked for.
        """
        self.patch(survey, "LARGEST", 1)
        self.assertEqual(len(self.survey.look(Selection(), 5).entries), 1)
        self.assertEqual(len(self.survey.destinations(5)[0]), 1)
        self.assertEqual(len(self.survey.shape(5).rows), 1)
        self.assertEqual(len(self.survey.look(Selection(), -5).entries), 1)

    def test_itIsNoSpool(self) -> None:
        """
        What is no spool, or one of a later version, is refused and says why.
        """
        other = self.path + "-other"
        with sqlite3.connect(other) as database:
            database.execute("CREATE TABLE x (y)")
        database.close()
        later = openSpool(self.path + "-later")
        later.execute("PRAGMA user_version = 99")
        later.close()
        Path(self.path + "-torn").write_bytes(b"x" * 5000)
        os.mkdir(self.path + "-directory")
        for name, words, kind in (
            ("other", "no spool of relaymail", QueueUnusable),
            ("later", "version 99", QueueUnusable),
            ("torn", "not a database", QueueDamaged),
            ("directory", "is not there, or no file", QueueUnusable),
            ("missing", "is not there, or no file", QueueUnusable),
        ):
            error = self.assertRaises(kind, Survey(f"{self.path}-{name}").totals)
            self.assertIn(words, str(error))
            self.assertIn(name, str(error))

    def test_itIsOpenedAgain(self) -> None:
        """
        It may be asked again when it was closed.
        """
        with self.survey:
            self.assertFound()
        self.assertFound()

    def test_pathsAreTakenAsTheyAre(self) -> None:
        """
        A path may have characters that mean something in an address.
        """
        self.database.close()
        path = self.path + "?mode=memory#x %41"
        os.rename(self.path, path)
        self.survey = Survey(path, now=lambda: NOW)
        self.assertFound()
