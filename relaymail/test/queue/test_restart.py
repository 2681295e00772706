"""
Tests for what a directory queue knows after a restart.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaymail.queue.records import parseRecord
from relaymail.test.queue.contract import MESSAGE, NOW, RETRY
from relaymail.test.queue.directories import MemoryDirectoryContract


class RestartTests(MemoryDirectoryContract, SynchronousTestCase):
    """
    What survives a crash.
    """

    def test_P3_mailSurvives(self) -> None:
        """
        What was taken waits again after a crash, claimed or not.
        """
        names = self.add("x@b.example", "y@b.example")
        self.queue.setRelaying(names[0])
        self.assertEqual(sorted(self.restart().getWaiting()), sorted(names))
        letter = self.queue.letter(names[0])
        self.assertEqual(letter[:2], ["from@a.example", "x@b.example"])
        self.assertEqual(letter.file.read(), MESSAGE.replace(b"\r\n", b"\n"))
        self.assertEqual(
            self.queue.contentKey(names[0]), self.queue.contentKey(names[1])
        )

    def test_D31_scheduleSurvives(self) -> None:
        """
        Arrival, attempts and the next time are as they were.
        """
        (name,) = self.add("x@b.example")
        self.clock.advance(10)
        self.queue.setRelaying(name)
        self.queue.setWaiting(name, NOW + 900, RETRY)
        self.restart()
        self.assertEqual(self.queue.getWaiting(), [])
        self.assertEqual(self.queue.nextDue(), NOW + 900)
        letter = self.queue.letter(name)
        self.assertEqual((letter.attempts, letter.arrived), (1, NOW))

    def test_D31_arrivalSurvivesWithoutARecord(self) -> None:
        """
        The arrival of a name that was never tried is its file's time.
        """
        self.add("x@b.example")
        self.receive(b"body")
        self.clock.advance(500)
        arrived = {self.restart().letter(n).arrived for n in self.queue.getWaiting()}
        self.assertEqual(arrived, {NOW})

    def test_P9_leasesAreVoidAtStart(self) -> None:
        """
        A name that was claimed when the process died is due at once; its
        attempts are counted.
        """
        (name,) = self.add("x@b.example")
        self.queue.setRelaying(name)
        self.queue.setWaiting(name, NOW + 5, RETRY)
        self.clock.advance(5)
        self.queue.readDirectory()
        self.settle(self.queue.setRelaying(name))
        self.restart()
        self.assertEqual(self.queue.getWaiting(), [name])
        self.assertEqual(self.queue.letter(name).attempts, 2)

    def test_firstClaimOfAFoundNameIsCounted(self) -> None:
        """
        The first claim of mail from elsewhere is written, and nobody waits
        for the disk.
        """
        self.receive(b"body")
        (name,) = self.queue.getWaiting()
        self.queue.lock()
        self.steps.clear()
        self.assertIsNone(self.queue.setRelaying(name))
        self.assertNotIn("sync", [step for step, _ in self.steps])
        self.assertEqual(self.restart().letter(name).attempts, 1)

    def test_firstClaimOfAnAddedNameWritesNothing(self) -> None:
        """
        Added mail is born claimed.
        """
        (name,) = self.add("x@b.example")
        self.queue.lock()
        self.steps.clear()
        self.assertIsNone(self.queue.setRelaying(name))
        self.assertEqual(self.steps, [])

    def test_recordIsReadable(self) -> None:
        """
        NAME-S says what became of the last attempt.
        """
        (name,) = self.add("x@b.example")
        self.queue.setRelaying(name)
        self.queue.setWaiting(name, NOW + 60, RETRY)
        record = parseRecord(self.disk.files()[self.queue.getPath(name) + "-S"])
        assert record is not None
        self.assertEqual(
            (record.status, record.text, record.claimed),
            ("4.3.0", "451 4.3.0 later", False),
        )

    def test_P7_damagedRecordCostsOnlyTheSchedule(self) -> None:
        """
        Mail with a damaged NAME-S is due at once.
        """
        for damage in (b"", b"garbage", b"[" * 5000, b'{"due": NaN}', b"{" * 9000):
            (name,) = self.add("x@b.example")
            self.disk.plant(self.queue.getPath(name) + "-S", damage)
            self.assertIn(name, self.restart().getWaiting())

    def test_P8_dueInTheFarFutureIsNotBelieved(self) -> None:
        """
        A next time that a wrong clock wrote does not bury the mail, and an
        arrival to come counts as now.
        """
        (name,) = self.add("x@b.example")
        self.clock.advance(1e9)
        self.queue.setRelaying(name)
        self.queue.setWaiting(name, NOW + 2e9, RETRY)
        self.queue._entries[name].arrived = NOW + 1e9
        self.queue.setRelaying(*self.waitFor(name))
        self.queue.setWaiting(name, NOW + 2e9, RETRY)
        self.clock.rightNow = NOW
        self.restart()
        due = self.queue.nextDue()
        assert due is not None
        self.assertLess(due, NOW + 8 * 24 * 3600)
        self.assertEqual(self.queue.letter(name).arrived, NOW)

    def waitFor(self, name: str) -> list[str]:
        """
        Wake a resting name.
        """
        self.queue.addMessage(name)
        return [name]

    def test_oldOrphansAreRemoved(self) -> None:
        """
        What was being received when its process died goes after a day; what
        another process is receiving stays.
        """
        for age in (3600, 25 * 3600):
            for suffix in "CH":
                self.disk.plant(f"/spool/{age}-{suffix}", b"", NOW - age)
        for stale in ("gone-S", "gone-T7"):
            self.disk.plant(f"/spool/{stale}", b"")
        self.restart()
        self.assertEqual(self.files(), ["3600-C", "3600-H"])

    def test_damagedJournalIsSetAside(self) -> None:
        """
        A journal that cannot be read does not keep the queue from starting.
        """
        self.disk.plant("/spool/some-J", b"garbage")
        self.restart()
        self.assertEqual(self.files(), ["aside"])
        self.assertIn("some-J", self.disk.names("/spool/aside"))
