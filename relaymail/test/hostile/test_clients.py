# -*- test-case-name: relaymail.test.hostile.test_clients -*-
"""
Tests for clients that attack the intake (A02 to A05).
"""

from __future__ import annotations

import resource
from dataclasses import replace
from typing import Any

from twisted.internet.defer import gatherResults

from relaymail.intake.limits import DEFAULT_LIMITS, Limits
from relaymail.service import Relay
from relaymail.test.endtoend.harness import EndToEndTestCase
from relaymail.test.endtoend.processes import Twistd
from relaymail.test.hostile.attacks import MAIL, Attacks
from relaymail.test.hostile.wire import Wire, connect

#: Who else could be meant, when mail for somebody here is mail for somebody there.
DISGUISES = [
    b"<@relay.example:u@one.example>",
    b"<@relay.example,@two.example:u@one.example>",
    b"<u%one.example@relay.example>",
    b"<one.example!u@relay.example>",
    b'<"u@one.example"@relay.example>',
    b"<u@one.example@relay.example>",
    b"<u@[127.0.0.1]>",
    b"<u@[IPv6:::1]>",
    b"<u@RELAY.EXAMPLE.>",
    b"<u@relay.example.>",
    b"<u@one.example>",
    b"<postmaster%one.example>",
]
#: How many clients are idle while another is served.
IDLE = 5000
#: How many connect at a time: fewer than may wait to be let in.
AT_ONCE = 40
#: By how much a relay may grow for each of them, in bytes: a session and its
#: transport.
PER_CLIENT = 32_768
#: By how much it may grow for everything else, in bytes.
GROWTH = 48 * 1024 * 1024


def memoryOf(pid: int) -> int:
    """
    Give how much memory a process has, in bytes.
    """
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


class ClientTests(Attacks, EndToEndTestCase):
    """
    Clients that attack.
    """

    def bounded(self, relay: Relay, **limits: Any) -> None:
        """
        Give a relay other limits.
        """
        intake = relay.intake
        known: Limits = replace(intake.limits, **limits)
        intake.settingsChanged(
            intake.acceptance,
            intake.offer.hostname,
            known,
            intake.contextFactory,
            intake.machines,
        )

    async def isServed(self, relay: Relay) -> None:
        """
        See that another client is served.
        """
        wire: Wire = await connect(self.portOf(relay))
        self.assertEqual(await wire.say(*MAIL), [250, 250, 250])
        wire.abort()

    async def test_A03_controls(self) -> None:
        """
        What holds CR, LF or NUL is refused, wherever it stands, and nothing of it
        comes to the next host.
        """
        relay = self.begin()
        wire = await self.open(relay)
        for bad in (b"\r", b"\n", b"\0", b"\x0b", b"\x1b"):
            line = b"EHLO wire" + bad + b".example"
            wire.write(line + b"\r\n")
            self.assertGreaterEqual((await wire.reply()).code, 500, line)
        self.assertEqual(await wire.say(b"EHLO wire.example"), [250])
        for bad in (b"\r", b"\n", b"\0", b"\x0b"):
            for line in (
                b"MAIL FROM:<a%sb@c.example>",
                b"MAIL FROM:<a@c.example> %sX=1",
            ):
                wire.write(line % bad + b"\r\n")
                self.assertGreaterEqual((await wire.reply()).code, 500, line)
        await wire.say(*MAIL, b"DATA")
        wire.write(b"Subject: \0 is content\r\n\r\n.\r\n")
        self.assertEqual((await wire.reply()).code, 250)
        (received,) = await self.server.whenReceived(1)
        self.assertIn(b"Subject: \0 is content", received.content)
        self.assertNotIn(b"wire\n", received.content)

    async def test_A04_strangers(self) -> None:
        """
        Nobody from elsewhere relays, in whatever disguise.
        """
        relay = self.begin(networks="192.0.2.0/24")
        wire = await self.open(relay)
        self.assertEqual(await wire.say(*MAIL[:2]), [250, 250])
        for path in DISGUISES:
            (code,) = await wire.say(b"RCPT TO:" + path)
            self.assertIn(code, (501, 550, 553), path)
        self.assertEqual(await wire.say(b"DATA"), [554])
        self.assertEqual(self.server.sessions, [])

    async def test_A05_line(self) -> None:
        """
        A command without an end is not waited for.
        """
        relay = self.begin()
        wire = await self.open(relay)
        wire.write(b"x" * 10_000_000)
        codes = await wire.closed()
        self.assertEqual(codes, [500])
        await self.isServed(relay)

    async def test_A05_header(self) -> None:
        """
        A header with 100 000 fields is refused, and so is one that is only large.
        """
        relay = self.begin()
        for header in (b"X: y\r\n" * 100_000, b"Received: x\r\n" * 101):
            wire = await self.open(relay)
            await wire.say(*MAIL, b"DATA")
            wire.write(header + b"\r\nbody\r\n.\r\n")
            self.assertIn((await wire.reply()).code, (552, 554))
        self.assertEqual(self.server.sessions, [])

    async def test_A05_recipients(self) -> None:
        """
        Of 1 500 recipients a thousand are taken, and the others told to come later.
        """
        relay = self.begin()
        wire = await self.open(relay)
        await wire.say(*MAIL[:2])
        lines = [b"RCPT TO:<r%d@one.example>" % n for n in range(1500)]
        codes = await wire.say(*lines)
        self.assertEqual(codes, [250] * 1000 + [452] * 500)

    async def test_A05_errors(self) -> None:
        """
        Who brings nothing but errors is sent away.
        """
        relay = self.begin()
        wire = await self.open(relay)
        wire.write(b"WHAT?\r\n" * 1000)
        codes = await wire.closed()
        self.assertEqual(codes[-1], 421)
        self.assertLess(len(codes), DEFAULT_LIMITS.errors + 5)

    async def test_A05_slowly(self) -> None:
        """
        Time is counted for a command, not for a byte.
        """
        relay = self.begin()
        self.bounded(relay, commandSeconds=0.4)
        wire = await self.open(relay)
        from twisted.internet import reactor, task

        given: Any = reactor
        drip = task.LoopingCall(wire.write, b"N")
        drip.clock = given
        dripping = drip.start(0.05)
        self.assertEqual(await wire.closed(), [421])
        drip.stop()
        await dripping

    async def test_A05_unread(self) -> None:
        """
        Who does not read the replies is not read any more; others are served.
        """
        relay = self.begin()
        wire = await self.open(relay)
        wire.transport.pauseProducing()
        for _ in range(200):
            wire.write(b"EHLO wire.example\r\n" * 1000)
        await self.isServed(relay)
        (session,) = [s for s in relay.intake._sessions if s.transport is not None][:1]
        self.assertLess(len(session._buffer), 2 * DEFAULT_LIMITS.readAhead + 65_536)
        wire.abort()


class TLSClientTests(ClientTests):
    """
    The same under TLS.
    """

    isTLS = True

    async def test_A02_injection(self) -> None:
        """
        What comes in clear behind STARTTLS ends the session.
        """
        relay = self.begin()
        wire = await connect(self.portOf(relay))
        await wire.say(b"EHLO wire.example")
        wire.write(b"STARTTLS\r\nMAIL FROM:<evil@wire.example>\r\n")
        self.assertEqual(await wire.closed(), [503])

    async def test_A02_forgotten(self) -> None:
        """
        What was said in clear counts for nothing under TLS.
        """
        relay = self.begin()
        wire = await connect(self.portOf(relay))
        await wire.say(*MAIL)
        await wire.say(b"RSET")
        await wire.startTLS()
        self.assertEqual(await wire.say(b"MAIL FROM:<a@wire.example>"), [503])
        self.assertEqual(
            await wire.say(*MAIL[:1], b"RCPT TO:<b@c.example>"), [250, 503]
        )


class MemoryTests(EndToEndTestCase):
    """
    What attackers can make a relay take of its memory, as a process.
    """

    async def relay(self) -> Twistd:
        """
        Start one.
        """
        server = self.startServer()
        twistd = self.makeTwistd("--smarthost", server.address)
        return await twistd.start()

    async def test_A05_idle(self) -> None:
        """
        Thousands of clients that say nothing cost little, and others are served.
        """
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 2 * IDLE + 500), hard))
        twistd = await self.relay()
        before = memoryOf(twistd.process.pid)
        wires: list[Wire] = []
        while len(wires) < IDLE:
            some = [connected(twistd.port) for _ in range(AT_ONCE)]
            wires += await gatherResults(some)
        grown = memoryOf(twistd.process.pid) - before
        self.assertLess(grown, IDLE * PER_CLIENT)
        wire = await connect(twistd.port)
        self.assertEqual(await wire.say(*MAIL), [250, 250, 250])
        for each in (*wires, wire):
            each.abort()

    async def test_A05_floods(self) -> None:
        """
        Lines, headers and recipients without end leave the memory as it was.
        """
        twistd = await self.relay()
        before = memoryOf(twistd.process.pid)
        for _ in range(5):
            wire = await connect(twistd.port)
            wire.write(b"x" * 10_000_000)
            await wire.closed()
            wire = await connect(twistd.port)
            await wire.say(*MAIL, b"DATA")
            wire.write(b"X: y\r\n" * 500_000 + b"\r\n.\r\n")
            self.assertEqual((await wire.reply()).code, 552)
            wire.abort()
        self.assertLess(memoryOf(twistd.process.pid) - before, GROWTH)


def connected(port: int) -> Any:
    """
    Connect, as a Deferred.
    """
    from twisted.internet.defer import Deferred

    return Deferred.fromCoroutine(connect(port))
