# -*- test-case-name: relaymail.test.stories.test_found -*-
"""
What the simulations have found in the relay, each told as a story.
"""

from __future__ import annotations

import errno

from relaymail.queue.directory import PUT_BACK
from relaymail.queue.removals import TRY_AGAIN
from relaymail.testing.cases import WorldTestCase
from relaymail.testing.relays import DIRECTORY, RESTART, SPOOL, TICK
from relaymail.testing.world import World

HOST, TO, OTHER = "192.0.2.25", "b@example.org", "c@example.org"


class FoundTests(WorldTestCase):
    """
    A world with a host for example.org, and a disk that fails.
    """

    def setUp(self) -> None:
        self.enter(0)

    def enter(self, seed: int) -> None:
        """
        Begin in the world of a seed.
        """
        self.world = World(seed, queue=DIRECTORY)
        self.mx = self.world.host(HOST)
        self.world.exchange("example.org", {"mx.example.org": HOST})
        self.disk = self.world.node.disk

    def stored(self) -> list[str]:
        """
        Give the files on the disk.
        """
        return [path.removeprefix(f"{SPOOL}/") for path in self.disk.files()]

    def test_P2_journalThatCannotBeRemoved(self) -> None:
        """
        A journal that stays when all that it says is done does not make
        accepted mail refused.
        """
        self.disk.fail("unlink", errno.EIO, "*-J", times=None)
        message = self.world.send("a@example.com", TO, OTHER)
        self.world.run(10)
        self.assertEqual(message.accepted, (TO, OTHER))
        self.world.assertDelivered(message, OTHER)
        self.world.assertNothingLost()
        self.disk.repair()
        self.world.crash()
        self.world.run(RESTART)
        self.world.assertSettled()

    def test_P5_journalOfABounceThatCannotBeRemoved(self) -> None:
        """
        Nor does it cost the notice about a message that is gone.
        """
        self.mx.answers["RCPT"] = "550 5.1.1 No"
        self.disk.fail("unlink", errno.EIO, "*-J", times=None)
        message = self.world.send("a@example.com", TO)
        self.world.run(10)
        self.world.assertBounced(message, TO)
        self.world.assertNothingLost()

    def test_P4_killedThenPowerCut(self) -> None:
        """
        What a killed relay had removed and not synced stays removed when the
        power is cut later.
        """
        # It is left to chance how much of what was not synced is lost.
        for seed in range(8):
            self.enter(seed)
            message = self.world.send("a@example.com", TO)
            self.disk.onOperation = self._killAtRemoval
            self.world.run(RESTART + 10)
            self.assertEqual(len(self.world.node.crashes), 1)
            self.world.assertDelivered(message, TO)
            self.world.crash(power=True)
            self.world.run(RESTART + 3600)
            self.world.assertDelivered(message, TO)
            self.world.assertNothingLost()

    def _killAtRemoval(self, operation: str, path: str) -> None:
        if (
            operation == "unlink"
            and path.endswith("-H")
            and not self.world.node.crashes
        ):
            self.world.node.machine.points.crashAfter(0)

    def test_P5_noticeThatHadNoRoom(self) -> None:
        """
        A message whose notice could not be written is tried again in its time,
        with nobody else to wake the relay.
        """
        nowhere = "b@nowhere.example"
        message = self.world.send("a@example.com", nowhere)
        self.disk.fail("finish", errno.ENOSPC, after=2)
        self.world.run(10)
        self.world.assertQueued(message, nowhere)
        self.world.run(PUT_BACK)
        self.assertLess(PUT_BACK + 10, TICK)
        self.world.assertBounced(message, nowhere)
        self.world.assertSettled()

    def test_P3_removalThatFails(self) -> None:
        """
        What was delivered and cannot be removed is removed when the disk is
        well again, and is not sent twice.
        """
        self.disk.fail("unlink", errno.EMFILE, times=None)
        message = self.world.send("a@example.com", TO)
        self.world.run(10)
        self.assertNotEqual(self.stored(), [])
        self.disk.repair()
        self.assertLess(TRY_AGAIN, TICK)
        self.world.run(TRY_AGAIN)
        self.assertEqual(self.stored(), [])
        self.world.crash()
        self.world.run(3600)
        self.world.assertDelivered(message, TO)
        self.world.assertSettled()

    def test_P1_startOnADiskThatCannotSync(self) -> None:
        """
        A relay does not start on what it cannot make durable; whoever starts
        services starts it later.
        """
        self.mx.answers["RCPT"] = "451 4.7.1 Later"
        message = self.world.send("a@example.com", TO)
        self.world.run(10)
        self.disk.fail("sync", errno.EIO, SPOOL)
        self.world.crash()
        self.world.run(RESTART)
        self.assertRaises(AssertionError, lambda: self.world.relay)
        self.world.run(RESTART)
        self.world.assertQueued(message, TO)

    def test_P3_claimBeforeMailOverAKeptConnection(self) -> None:
        """
        An attempt is written down before its MAIL, over a connection that is
        there already, too.
        """
        self.world.node.latency = 0.1
        self.world.crash()
        self.world.run(RESTART)
        written: list[int] = []

        def look(session: object, argument: str) -> str:
            written.append(self.attemptsFor(OTHER))
            return "451 4.7.1 Later" if len(written) < 3 else "250 2.1.5 Ok"

        self.mx.answers[f"RCPT {OTHER}"] = look
        message = self.world.send("a@example.com", OTHER)
        self.world.run(10)
        for _ in range(2):
            due = self.world.relay.queue.nextDue()
            assert due is not None
            self.world.run(due - self.world.network.seconds() - 1)
            self.world.send("a@example.com", TO)
            self.world.run(60)
        self.assertEqual(len(self.mx.sessions), 3)
        # The first claim of mail that has just come is not written.
        self.assertEqual(written, [0, 2, 3])
        self.world.assertDelivered(message, OTHER)
        self.world.assertSettled()

    def attemptsFor(self, recipient: str) -> int:
        """
        Give how many attempts for a recipient are written down.
        """
        queue = self.world.relay.queue
        (name,) = (
            n for n in queue.getRelayed() if queue.getEnvelope(n)[1] == recipient
        )
        return self.world.spool.attempts(name)
