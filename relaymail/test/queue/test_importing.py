"""
Tests for L{relaymail.queue.importing}.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaymail.envelopes import (
    NO_ORIGIN,
    NO_PARAMETERS,
    NOTHING_SAID,
    Envelope,
    Origin,
    Parameters,
    RecipientParameters,
)
from relaymail.errors import QueueLocked
from relaymail.outcomes import Retry
from relaymail.queue.directory import Queue
from relaymail.queue.importing import importDirectory
from relaymail.queue.spool.spool import Spool
from relaymail.replies import Phase, Reply
from relaymail.test.queue.test_said import ALL

NOW = 1_700_000_000.0
CONTENT = b"Subject: one\r\n\r\n.\r\nlast\r\n"
LATER = Retry("4.3.0", Phase.RCPT, Reply(451, (b"4.3.0 later",)))


class ImportTests(SynchronousTestCase):
    """
    Tests for L{importDirectory}.
    """

    def setUp(self) -> None:
        """
        Begin with a directory with mail, and a spool without.
        """
        self.clock = Clock()
        self.clock.advance(NOW)
        self.directory = self.mktemp()
        os.mkdir(self.directory, 0o700)
        os.mkdir(path := self.mktemp(), 0o700)
        self.path = path + "/queue.db"

    def queue(self) -> Queue:
        """
        Open the directory.
        """
        return Queue(self.directory, self.clock)

    def spool(self) -> Spool:
        """
        Open the spool, until the test ends.
        """
        spool = Spool(self.path, self.clock)
        self.addCleanup(spool.stop)
        return spool

    def test_P3_everythingThatWasSaid(self) -> None:
        """
        What was said of the message and of each recipient comes over, and who was
        told.
        """
        queue = self.queue()
        said = (RecipientParameters("NEVER"), RecipientParameters("DELAY", "x;y"))
        recipients = ("b@one.example", "c@two.example")
        for parameters in (ALL, Parameters("8BITMIME"), NO_PARAMETERS):
            envelope = Envelope("a@example.com", recipients, parameters, said)
            _, two = self.successResultOf(queue.add(envelope, CONTENT))
            queue.told(two)
        (plain,) = self.add(queue, "d@one.example")
        queue.told(plain)
        self.successResultOf(queue.stop())
        spool = self.spool()
        self.assertEqual(importDirectory(self.queue(), spool), 7)
        self.clock.advance(0)
        found = {}
        for name in [*spool.getWaiting(), *spool.getResting()]:
            letter = spool.letter(name)
            key = (letter.recipient, letter.parameters)
            found[key] = (letter.recipientParameters, letter.isTold)
        for parameters in (ALL, Parameters("8BITMIME"), NO_PARAMETERS):
            for index, recipient in enumerate(recipients):
                expected = (said[index], bool(index))
                self.assertEqual(found[recipient, parameters], expected)
        plainly = ("d@one.example", Parameters("8BITMIME"))
        self.assertEqual(found[plainly], (NOTHING_SAID, True))
        held = [due for due in spool.getResting().values() if due > NOW]
        self.assertEqual(held, [ALL.holdUntil] * 2)

    def test_P3_whereItCameFrom(self) -> None:
        """
        Where each message came from comes over.
        """
        queue = self.queue()
        origins = {"b@one.example": Origin("192.0.2.1", "al"), "c@x.y": NO_ORIGIN}
        for recipient, origin in origins.items():
            envelope = Envelope("a@example.com", (recipient,), origin=origin)
            self.successResultOf(queue.add(envelope, CONTENT))
        self.successResultOf(queue.stop())
        spool = self.spool()
        self.assertEqual(importDirectory(self.queue(), spool), 2)
        found = [spool.outline(name) for name in spool.getResting()]
        self.assertEqual({each.recipient: each.origin for each in found}, origins)

    def add(self, queue: Any, *recipients: str, content: bytes = CONTENT) -> list[str]:
        """
        Have a message taken.
        """
        envelope = Envelope("a@example.com", recipients, Parameters("8BITMIME"))
        names: list[str] = self.successResultOf(queue.add(envelope, content))
        return names

    def test_P3_everythingThatIsKnown(self) -> None:
        """
        Contents, recipients, attempts, times and what was said last come over,
        and the directory is empty.
        """
        queue = self.queue()
        _, two = self.add(queue, "b@one.example", "c@Two.example")
        self.add(queue, "d@one.example", content=b"x\r\n" * 50_000)
        queue.setRelaying(two)
        queue.setWaiting(two, NOW + 600, LATER)
        self.successResultOf(queue.stop())
        self.clock.advance(60)
        spool, told = self.spool(), list[int]()
        self.assertEqual(importDirectory(self.queue(), spool, told.append), 3)
        self.assertEqual(told, [2, 3])
        self.assertEqual(os.listdir(self.directory), [])
        names = {spool.getEnvelope(n)[1]: n for n in spool.getResting()}
        spool.readDirectory()
        names.update((spool.getEnvelope(n)[1], n) for n in spool.getWaiting())
        self.assertEqual(
            set(names), {"b@one.example", "c@Two.example", "d@one.example"}
        )
        self.assertEqual(spool.getResting(), {names["c@Two.example"]: NOW + 600})
        tried = spool.letter(names["c@Two.example"])
        self.assertEqual((tried.attempts, tried.arrived), (1, NOW))
        self.assertEqual(tried.parameters.body, "8BITMIME")
        self.assertEqual(tried.file.read(), CONTENT)
        self.assertEqual(
            spool.contentKey(names["b@one.example"]),
            spool.contentKey(names["c@Two.example"]),
        )
        large = spool.letter(names["d@one.example"]).file
        self.assertEqual(large.read(), b"x\r\n" * 50_000)

    def test_P4_interrupted(self) -> None:
        """
        Who begins again takes nothing twice.
        """
        queue = self.queue()
        self.add(queue, "b@one.example")
        self.patch(queue, "done", lambda name: 1 / 0)
        spool = self.spool()
        self.assertRaises(ZeroDivisionError, importDirectory, queue, spool)
        queue.stop()
        self.assertEqual(importDirectory(self.queue(), spool), 0)
        self.assertEqual(os.listdir(self.directory), [])
        spool.readDirectory()
        self.assertEqual(len(spool.getWaiting()), 1)
        self.assertEqual(spool.arriving.imported(), set())

    def test_P7_unreadable(self) -> None:
        """
        What cannot be read is set aside, and the others come.
        """
        queue = self.queue()
        bad, _ = self.add(queue, "b@one.example", "c@two.example")
        Path(self.directory, f"{bad}-H").write_bytes(b"no pickle")
        spool = self.spool()
        self.assertEqual(importDirectory(self.queue(), spool), 1)
        self.assertEqual(os.listdir(self.directory), ["aside"])

    def test_locked(self) -> None:
        """
        Nothing is taken from under a relay.
        """
        queue = self.queue()
        self.add(queue, "b@one.example")
        queue.lock()
        self.assertRaises(QueueLocked, importDirectory, self.queue(), self.spool())
        self.assertEqual(len(queue.getWaiting()), 1)
