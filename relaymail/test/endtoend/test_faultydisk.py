# -*- test-case-name: relaymail.test.endtoend.test_faultydisk -*-
"""
Tests with a disk that does not keep what it is told to: from some moment on, what
is to be synced is answered EIO.

What can be promised then: what was answered 250 before is not lost, and nothing
is answered 250 any more.  The message whose own commit failed is answered 451; it
is in the log of the database all the same, and whether the next start finds it
there is for SQLite and the disk to decide: it may be delivered once.  What is
refused after that is nowhere.  What was delivered when that could not be written
any more comes once more after the next start.
"""

from __future__ import annotations

import subprocess
from collections import Counter

from relaymail.queue.opening import SPOOL_FILE
from relaymail.test.endtoend.giving import NOT_NOW, WELL, Told, give
from relaymail.test.endtoend.harness import EndToEndTestCase
from relaymail.test.endtoend.load import numberOf
from relaymail.test.endtoend.processes import Twistd, until
from relaymail.test.endtoend.test_durability import strace
from relaymail.testing.servers import Late, SMTPServer

#: How large a message is, in bytes; and one of which a few fill the log.
SIZE = 2000
LARGE = 250_000
#: How many of them make the log so long that it is copied into the database.
FILLING = 80
#: What the log says.
DAMAGED = "is damaged, or its disk is"


class FaultyDiskTests(EndToEndTestCase):
    """
    Tests with a process whose system calls fail.
    """

    async def begin(self, retry: str = "1s") -> tuple[SMTPServer, Twistd]:
        """
        Start a server that takes nothing now, and a relay.
        """
        self.tracer = strace()
        server = self.startServer({"MAIL": NOT_NOW})
        twistd = self.makeTwistd("--smarthost", server.address, "--retry", retry)
        return server, await twistd.start()

    async def breakDisk(self, twistd: Twistd, when: str = "1+", path: str = "") -> None:
        """
        Let syncs fail from now on.

        @param when: Which of them, as C{strace} wants it.
        @param path: Of which file; empty for all.
        """
        said = self.directory / "strace"
        command = [self.tracer, "-f", "-p", str(twistd.process.pid), "-o", "/dev/null"]
        command += ["-e", "trace=fsync,fdatasync"]
        command += ["-e", f"inject=fsync,fdatasync:error=EIO:when={when}"]
        command += ["-P", path] if path else []
        with said.open("wb") as errors:
            tracer = subprocess.Popen(command, stderr=errors)
        self.addCleanup(tracer.wait)
        self.addCleanup(twistd.clean)
        await until(lambda: " attached" in said.read_text(), "it is watched")

    def numbers(self, server: SMTPServer) -> Counter[int]:
        """
        Give what the server has, and how often.
        """
        return Counter(numberOf(received.content) for received in server.received)

    def assertRefused(self, told: Told) -> None:
        """
        Check that nothing was taken, and that it was said.
        """
        self.assertEqual(told.accepted, [])
        for code, text in told.refusals:
            self.assertEqual((code, text[:5]), (451, b"4.3.0"), text)

    def assertLoud(self, twistd: Twistd) -> None:
        """
        Check that the log says it, once.
        """
        self.assertEqual(twistd.log.count(DAMAGED), 1)

    async def startAgain(self, server: SMTPServer, twistd: Twistd) -> Counter[int]:
        """
        Kill the relay, start it on a disk that is well, and see what comes.
        """
        twistd.kill()
        server.answers["MAIL"] = WELL
        await twistd.start()
        await until(lambda: not twistd.entries(), "the queue drains", 30.0)
        (again,) = (await give(twistd.port, range(1000, 1001), SIZE)).accepted
        await until(lambda: again in self.numbers(server), "mail is taken again")
        await twistd.terminate()
        found = self.numbers(server)
        del found[again]
        return found

    async def test_P1_P2_P3_syncFails(self) -> None:
        """
        From some moment on no sync succeeds: the message that finds that out is
        answered 451, and those after it are at MAIL.  Nothing that was answered
        250 is lost; what was refused does not come, but for the first.
        """
        server, twistd = await self.begin()
        told = await give(twistd.port, range(5), SIZE)
        self.assertEqual(len(told.accepted), 5)
        await self.breakDisk(twistd)
        refused = await give(twistd.port, range(100, 104), SIZE)
        self.assertRefused(refused)
        self.assertLessEqual(len(refused.atEnd), 1)
        self.assertGreaterEqual(len(refused.atMail), 3)
        self.assertLoud(twistd)
        found = await self.startAgain(server, twistd)
        del found[100]
        self.assertEqual(found, Counter(told.accepted))

    async def test_P1_P3_oneSyncFails(self) -> None:
        """
        One sync that fails is enough, even if those after it seem to succeed:
        what the disk has let go it does not tell of again.
        """
        server, twistd = await self.begin()
        told = await give(twistd.port, range(5), SIZE)
        await self.breakDisk(twistd, "1")
        refused = await give(twistd.port, range(100, 104), SIZE)
        self.assertRefused(refused)
        self.assertLoud(twistd)
        found = await self.startAgain(server, twistd)
        del found[100]
        self.assertEqual(found, Counter(told.accepted))

    async def test_P1_P3_P4_underWay(self) -> None:
        """
        Mail is under way when the syncs begin to fail: it arrives, it is not
        lost, and comes once more at most.
        """
        server, twistd = await self.begin()
        server.answers["MAIL"] = WELL
        server.answers["."] = Late(1.0, "250 2.0.0 Ok")
        told = await give(twistd.port, range(5), SIZE)
        self.assertEqual(len(told.accepted), 5)
        await self.breakDisk(twistd)
        await server.whenReceived(1)
        await until(lambda: DAMAGED in twistd.log, "it is noticed")
        self.assertRefused(await give(twistd.port, range(100, 104), SIZE))
        self.assertLoud(twistd)
        server.answers["."] = "250 2.0.0 Ok"
        found = await self.startAgain(server, twistd)
        self.assertEqual(set(found), set(told.accepted))
        self.assertLessEqual(max(found.values()), 2)

    async def test_P1_P3_databaseSyncFails(self) -> None:
        """
        The log is well, but what is copied from it into the database does not
        get there, once: no mail is taken either, for the next time it would seem
        to get there.  So the log is left as it is when the relay is stopped, too.
        """
        server, twistd = await self.begin("5s")
        await self.breakDisk(twistd, "1", str(twistd.spool / SPOOL_FILE))
        told = await give(twistd.port, range(FILLING), LARGE)
        self.assertTrue(told.accepted)
        self.assertTrue(told.refusals)
        self.assertLoud(twistd)
        log = twistd.spool / f"{SPOOL_FILE}-wal"
        before = log.read_bytes()
        await twistd.terminate()
        self.assertEqual(hash(log.read_bytes()), hash(before))
        found = await self.startAgain(server, twistd)
        self.assertEqual(found, Counter(told.accepted))
