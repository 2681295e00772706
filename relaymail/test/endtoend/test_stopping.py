# -*- test-case-name: relaymail.test.endtoend.test_stopping -*-
"""
Tests for how the relay ends, for what keeps it from starting, and that nothing
is lost by either.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from twisted.internet import task

from relaymail import relaymanager
from relaymail.errors import QueueLocked
from relaymail.queue.directory import Queue
from relaymail.route import resolver
from relaymail.service import Relay
from relaymail.test.endtoend.harness import (
    RECIPIENT,
    SOON,
    EndToEndTestCase,
    exchange,
    submit,
)
from relaymail.test.endtoend.processes import Twistd, entriesOf, until
from relaymail.testing.dns import Fault
from relaymail.testing.servers import Act, Late


class TerminateTests(EndToEndTestCase):
    """
    SIGTERM, and the next start.
    """

    async def test_P10_duringDelivery(self) -> None:
        """
        What is being delivered when SIGTERM comes is delivered, once.
        """
        server = self.startServer({".": Late(0.5, "250 2.0.0 Ok")})
        twistd = await self.makeTwistd("--smarthost", server.address).start()
        await submit(twistd.port)
        await until(
            lambda: server.sessions and "DATA" in server.sessions[0].commands,
            "the delivery began",
        )
        await twistd.terminate()
        self.assertEqual(len(server.received), 1)
        self.assertEqual(twistd.entries(), [])
        await twistd.start()
        await submit(twistd.port, recipients=["c@one.example"])
        await server.whenReceived(2)
        self.assertEqual(
            [m.recipients for m in server.received], [(RECIPIENT,), ("c@one.example",)]
        )
        await twistd.terminate()

    async def test_P10_waiting(self) -> None:
        """
        What waits for its next attempt when SIGTERM comes waits on after the
        next start, and is delivered.
        """
        server = self.startServer({"MAIL": ["451 4.3.0 Not now", "250 2.1.0 Ok"]})
        twistd = self.makeTwistd("--smarthost", server.address, "--retry", "2s")
        await twistd.start()
        await submit(twistd.port)
        await until(lambda: "retry id=" in twistd.log, "it was tried")
        await twistd.terminate()
        self.assertEqual(server.received, [])
        self.assertEqual(len(twistd.entries()), 1)
        await twistd.start()
        await server.whenReceived(1)
        await until(lambda: not twistd.entries(), "it is settled")
        self.assertIn(" attempts=2 ", twistd.log)
        self.assertContents(server.received)

    async def test_P10_silentHost(self) -> None:
        """
        A host that does not answer holds up the end for a bounded time only;
        its mail stays in the queue, and is delivered after the next start.
        """
        self.patch(relaymanager, "STOP_PATIENCE", 0.3)
        self.patch(Relay, "tick", 0.1)
        server = self.startServer({".": [Act.SILENCE, "250 2.0.0 Ok"]})
        relay = self.startRelay(smartHosts=[server.address], retry=SOON)
        relay.manager.phaseTimeouts = None
        await submit(self.portOf(relay))
        await until(
            lambda: server.sessions and "DATA" in server.sessions[0].commands,
            "the message is under way",
        )
        begin = server.reactor.seconds()
        await relay.stopService()
        self.assertLess(server.reactor.seconds() - begin, 5.0)
        self.startRelay(smartHosts=[server.address], retry=SOON)
        await server.whenReceived(1)
        self.assertContents(server.received)

    async def test_P10_silentGreeting(self) -> None:
        """
        A host that has not even greeted does not hold up the end: nothing of
        a message is under way there, and it stays in the queue.
        """
        server = self.startServer({"CONNECT": Act.SILENCE})
        relay = self.startRelay(smartHosts=[server.address])
        relay.manager.phaseTimeouts = None
        await submit(self.portOf(relay))
        await until(lambda: server.open, "it is connected")
        begin = server.reactor.seconds()
        await relay.stopService()
        # Far less than what a transfer that was begun is given.
        self.assertLess(server.reactor.seconds() - begin, 5.0)
        self.assertEqual(len(entriesOf(self.directory / "spool")), 1)


class RefusedStartTests(EndToEndTestCase):
    """
    What keeps a relay from starting is said, and the process ends.
    """

    async def refused(self, twistd: Twistd, words: str) -> None:
        """
        Check that a relay does not start, and says why in one sentence.
        """
        twistd.launch()
        code = await twistd.wait()
        self.assertNotIn(code, (0, None))
        self.assertIn(words, twistd.errors)
        self.assertNotIn("Traceback", twistd.errors)

    async def test_locked(self) -> None:
        """
        A queue that another process relays from.
        """
        server = self.startServer()
        first = await self.makeTwistd("--smarthost", server.address).start()
        second = self.makeTwistd("--smarthost", server.address)
        second.directory = self.directory / "second"
        second.directory.mkdir()
        await self.refused(second, str(first.spool))
        await submit(first.port)
        await server.whenReceived(1)
        await first.terminate()

    async def test_portInUse(self) -> None:
        """
        A port that another process listens on; the mail in the queue is not
        touched.
        """
        other = self.startServer()
        twistd = self.makeTwistd(
            *("--smarthost", other.address),
            *("--smtp", f"tcp:{other.port}:interface=127.0.0.1"),
        )
        await self.refused(twistd, f"tcp:{other.port}")
        self.assertFalse(twistd.spool.exists())

    async def test_noDirectory(self) -> None:
        """
        A directory that cannot be made.
        """
        twistd = self.makeTwistd("--smarthost", "127.0.0.1:1")
        twistd.spool = Path(os.devnull) / "spool"
        await self.refused(twistd, str(twistd.spool))

    async def test_unwritable(self) -> None:
        """
        A directory that this user may not write in.
        """
        twistd = self.makeTwistd("--smarthost", "127.0.0.1:1")
        if os.geteuid() == 0:
            # Who may write everywhere else may not make files there.
            twistd.spool = Path("/proc/self")
        else:
            twistd.spool.mkdir(mode=0o500)
        await self.refused(twistd, str(twistd.spool))

    async def test_A08_writableByOthers(self) -> None:
        """
        A directory that others may write in; it stays as it is.
        """
        twistd = self.makeTwistd("--smarthost", "127.0.0.1:1")
        twistd.spool.mkdir()
        twistd.spool.chmod(0o777)
        await self.refused(twistd, str(twistd.spool))
        self.assertEqual(stat.S_IMODE(twistd.spool.stat().st_mode), 0o777)

    async def test_refusedStartInThisProcess(self) -> None:
        """
        A relay that does not start leaves no port, no thread and no lock
        behind.
        """
        from twisted.internet import reactor

        first = self.startRelay(smtp=())
        second = self.makeRelay()
        second.privilegedStartService()
        port = self.portOf(second)
        self.assertRaises(QueueLocked, second.startService)
        await first.stopService()
        await task.deferLater(reactor, 0.05)
        # The port and the queue are free.
        self.startServer(port=port)
        Queue(str(self.directory / "spool")).lock()


class DNSTests(EndToEndTestCase):
    """
    A DNS that is out of order.
    """

    async def test_D01_silence(self) -> None:
        """
        A name server that does not answer: the mail waits, and is delivered
        when it answers again.
        """
        await self.outOfOrder(Fault.SILENCE)

    async def test_D01_serverFailure(self) -> None:
        """
        A name server that fails: the same.
        """
        await self.outOfOrder(Fault.SERVFAIL)

    async def outOfOrder(self, fault: Fault) -> None:
        """
        Send a message while the name server is out of order.
        """
        self.patch(resolver, "FAILURE_TTL", 0)
        server = self.startServer()
        dns = self.startDNS({"one.example": fault})
        relay = self.startRelay(dns=dns.address, mxPort=server.port, retry=SOON)
        relay.manager.mxcalc.resolver.upstream.timeout = (0.2,)
        await submit(self.portOf(relay))
        await until(
            lambda: [line for line in self.logged() if line.startswith("retry id=")],
            "it was tried",
        )
        dns.zones.zones.update(exchange(("mx.one.example", "127.0.0.1")))
        await server.whenReceived(1)
        await until(lambda: not relay.queue.getRelayed(), "it is settled")
