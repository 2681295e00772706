# -*- test-case-name: relaymail.test.endtoend.test_fulldisk -*-
"""
Tests with a disk that is full: a small file system in memory, which is mounted
for each test.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections import Counter

from twisted.internet import task
from twisted.trial.unittest import SkipTest

from relaymail.queue.room import BELIEVED, SPARE_BYTES, SPARE_INODES
from relaymail.test.endtoend.giving import NOT_NOW, WELL, Told, give
from relaymail.test.endtoend.harness import EndToEndTestCase
from relaymail.test.endtoend.load import numberOf
from relaymail.test.endtoend.processes import Twistd, until
from relaymail.testing.servers import SMTPServer

#: How much mail there is room for, in bytes.
ROOM = 8 * 1024 * 1024
#: How large a message is, in bytes: it is in the database; and one that is in a
#: file of its own.
SMALL = 200 * 1024
LARGE = 300 * 1024
#: How many messages are tried: far more than there is room for.
MANY = 3 * ROOM // SMALL
#: How long the relay needs at most to see that there is room again, in seconds.
SOON = 5 * BELIEVED

#: How many files may be made.
INODES = 40
#: What takes the room that somebody else needs.
FILLING = "filling"


class FullDiskTests(EndToEndTestCase):
    """
    Tests with a relay whose queue is on a file system of its own.
    """

    timeout = 120

    def mount(self, twistd: Twistd, *options: str) -> None:
        """
        Mount a file system where the queue of a relay is to be.

        @raise SkipTest: Where that is not allowed.
        """
        twistd.spool.mkdir()
        told = ",".join(["mode=0700", *options])
        command = ["mount", "-t", "tmpfs", "-o", told, "relaymail-test"]
        try:
            subprocess.run(
                [*command, str(twistd.spool)], capture_output=True, check=True
            )
        except (OSError, subprocess.CalledProcessError) as e:
            said = getattr(e, "stderr", b"").decode("utf-8", "replace").strip()
            raise SkipTest(f"no file system may be mounted here: {e} {said}") from e
        # Lazily: whoever has a file open in it still has it.
        self.addCleanup(
            subprocess.run, ["umount", "--lazy", str(twistd.spool)], check=True
        )

    async def begin(
        self, *options: str, retry: str = "1s"
    ) -> tuple[SMTPServer, Twistd]:
        """
        Start a server that takes nothing now, and a relay with a small disk.
        """
        server = self.startServer({"MAIL": NOT_NOW})
        twistd = self.makeTwistd("--smarthost", server.address, "--retry", "1s")
        self.mount(twistd, *options)
        await twistd.start()
        return server, twistd

    def free(self, twistd: Twistd) -> int:
        """
        Tell how much room there is, in bytes.
        """
        found = os.statvfs(twistd.spool)
        return found.f_bavail * found.f_frsize

    def fill(self, twistd: Twistd) -> None:
        """
        Take all the room there is.
        """
        with (
            (twistd.spool / FILLING).open("wb", buffering=0) as file,
            contextlib.suppress(OSError),
        ):
            while file.write(b"\0" * 4096):
                pass

    def assertRefusals(self, refusals: list[tuple[int, bytes]]) -> None:
        """
        Check that there are some, and what they say.
        """
        self.assertTrue(refusals)
        for code, text in refusals:
            self.assertEqual((code, text.split()[0]), (452, b"4.3.1"), text)

    async def settled(self, twistd: Twistd, seconds: float = 30.0) -> None:
        """
        Wait until the queue is empty.
        """
        await until(lambda: not twistd.entries(), "the queue drains", seconds)

    def numbers(self, server: SMTPServer) -> list[int]:
        """
        Give what the server has, in order.
        """
        return sorted(numberOf(received.content) for received in server.received)

    async def takesAgain(self, twistd: Twistd, server: SMTPServer, number: int) -> None:
        """
        Check that mail is taken again, and delivered.
        """

        end = server.reactor.seconds() + SOON
        while not (
            told := await give(twistd.port, range(number, number + 1), SMALL)
        ).accepted:
            self.assertLess(server.reactor.seconds(), end, "mail is taken again")
            self.assertRefusals(told.refusals)
            await task.deferLater(server.reactor, BELIEVED / 4)
        await until(lambda: number in self.numbers(server), "it is delivered")

    async def drained(self, server: SMTPServer, twistd: Twistd, told: Told) -> None:
        """
        Check that the queue drains when the server becomes well, that nothing
        was lost, nothing came twice and nothing that was refused came, and that
        mail is taken again, all by the same process.
        """
        server.answers["MAIL"] = WELL
        await self.settled(twistd)
        self.assertEqual(self.numbers(server), told.accepted)
        await self.takesAgain(twistd, server, 1000)
        self.assertEqual(twistd.starts, 1)
        await twistd.terminate()

    async def test_P2_P3_P6_full(self) -> None:
        """
        There is no more room than is to be kept free: what is in the database.
        """
        await self.full(SMALL)

    async def test_P2_P3_P6_fullOfFiles(self) -> None:
        """
        The same with messages that are in files of their own.
        """
        await self.full(LARGE)

    async def full(self, size: int) -> None:
        """
        Send more than there is room for, faster than the room is measured.
        """
        server, twistd = await self.begin(f"size={SPARE_BYTES + ROOM}")
        told = await give(twistd.port, range(MANY), size)
        self.assertTrue(told.accepted)
        self.assertRefusals(told.refusals)
        self.assertTrue(told.atMail, "it is said before the message is sent")
        self.assertGreater(self.free(twistd), SPARE_BYTES - ROOM)
        await self.drained(server, twistd, told)

    async def test_P2_P3_P6_noInodes(self) -> None:
        """
        There is room, but no more files can be made.
        """
        server, twistd = await self.begin(
            "size=256m", f"nr_inodes={SPARE_INODES + INODES}"
        )
        told = await give(twistd.port, range(SPARE_INODES + 2 * INODES), LARGE)
        self.assertGreaterEqual(len(told.accepted), 1)
        self.assertRefusals(told.refusals)
        await self.drained(server, twistd, told)

    async def filled(self, count: int) -> tuple[SMTPServer, Twistd, Told]:
        """
        Queue some messages, and then let somebody else take the rest of the
        disk: more is refused.
        """
        server, twistd = await self.begin("size=64m")
        told = await give(twistd.port, range(count), SMALL)
        self.assertEqual(len(told.accepted), count)
        self.fill(twistd)
        self.assertEqual(self.free(twistd), 0)
        refused = await give(twistd.port, range(100, 103), SMALL)
        self.assertEqual(refused.accepted, [])
        self.assertRefusals(refused.refusals)
        return server, twistd, told

    async def test_P3_P4_P6_lastByte(self) -> None:
        """
        Somebody else has filled the disk up to its last byte: what is queued is
        delivered all the same, once.  What became of it is written as soon as
        there is room again.
        """
        server, twistd, told = await self.filled(5)
        server.answers["MAIL"] = WELL
        await server.whenReceived(5)
        await task.deferLater(server.reactor, BELIEVED)
        self.assertEqual(self.numbers(server), told.accepted)
        (twistd.spool / FILLING).unlink()
        await self.takesAgain(twistd, server, 1000)
        await self.settled(twistd, SOON)
        twistd.kill()
        await twistd.start()
        await self.takesAgain(twistd, server, 1001)
        self.assertEqual(self.numbers(server), [*told.accepted, 1000, 1001])
        await twistd.terminate()

    async def test_P3_P4_P6_lastByteAndKilled(self) -> None:
        """
        The same, and the relay is killed before it could write down what it
        delivered: nothing is lost, and each message comes twice at most.  A relay
        starts on a full disk, too.
        """
        server, twistd, told = await self.filled(5)
        server.answers["MAIL"] = WELL
        await server.whenReceived(5)
        server.answers["MAIL"] = NOT_NOW
        twistd.kill()
        await twistd.start()
        twistd.kill()
        (twistd.spool / FILLING).unlink()
        server.answers["MAIL"] = WELL
        await twistd.start()
        await self.settled(twistd)
        found = Counter(self.numbers(server))
        self.assertEqual(sorted(found), told.accepted)
        self.assertLessEqual(max(found.values()), 2)
        await self.takesAgain(twistd, server, 1000)
        await twistd.terminate()
