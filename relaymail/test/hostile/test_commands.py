# -*- test-case-name: relaymail.test.hostile.test_commands -*-
"""
Tests for clients that attack the intake by its extensions (A01, A03 to A05): chunks,
AUTH, parameters, and what proxies say.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory

from relaymail.intake import proxied
from relaymail.intake.limits import DEFAULT_LIMITS
from relaymail.intake.users import lineFor
from relaymail.service import Relay
from relaymail.test.endtoend.harness import EndToEndTestCase
from relaymail.test.hostile.attacks import MAIL, Attacks
from relaymail.test.hostile.wire import Wire, connect

#: What would be commands, if somebody took it for such.
COMMANDS = (
    b"RSET\r\nMAIL FROM:<evil@wire.example>\r\nRCPT TO:<e@one.example>\r\nDATA\r\n"
)
BINARY = b"MAIL FROM:<a@wire.example> BODY=BINARYMIME"
HEADER = b"Subject: x\r\n\r\n"
#: As much as a message may have here.
SMALL = 100_000


class CommandsTestCase(Attacks, EndToEndTestCase):
    """
    A relay that is attacked.
    """

    async def greeted(self, relay: Relay) -> Wire:
        """
        Connect, and say EHLO.
        """
        wire: Wire = await self.open(relay)
        self.assertEqual(await wire.say(MAIL[0]), [250])
        return wire

    async def isServed(self, relay: Relay) -> None:
        """
        See that another client is served.
        """
        wire = await self.greeted(relay)
        self.assertEqual(await wire.say(MAIL[1]), [250])
        wire.abort()


class ChunkTests(CommandsTestCase):
    """
    BDAT (RFC 3030).
    """

    async def test_A01_noSize(self) -> None:
        """
        Where nobody knows how much follows, nothing more is read.
        """
        relay = self.begin()
        for size in (b"-1", b"0x10", b"", b"1 2", b"1e9", b"LAST", b"+7", b"9" * 30):
            wire = await self.greeted(relay)
            await wire.say(*MAIL[1:])
            wire.write(b"BDAT " + size + b"\r\n" + COMMANDS)
            self.assertEqual(await wire.closed(), [501], size)
        await self.isServed(relay)

    async def test_A01_tooLarge(self) -> None:
        """
        Octets that nobody would want to throw away end the session; fewer are
        thrown away, and what is behind them is the next command.
        """
        relay = self.begin(maxMessageSize=SMALL)
        wire = await self.greeted(relay)
        await wire.say(*MAIL[1:])
        wire.write(b"BDAT 99999999999\r\n" + COMMANDS)
        self.assertEqual(await wire.closed(), [552])
        wire = await self.greeted(relay)
        await wire.say(*MAIL[1:])
        large = COMMANDS * (SMALL // len(COMMANDS) + 1)
        wire.write(b"BDAT %d LAST\r\n" % len(large), large, b"NOOP\r\n")
        self.assertEqual([(await wire.reply()).code for _ in "12"], [552, 250])
        wire.abort()
        await self.isServed(relay)

    async def test_A01_neverCommands(self) -> None:
        """
        Octets of a chunk are never commands, whoever may not send it, and whatever
        was forgotten before.
        """
        relay = self.begin()
        chunk = b"BDAT %d LAST\r\n" % len(COMMANDS) + COMMANDS
        for before, code in (
            ((), 503),
            (MAIL[1:2], 503),
            ((MAIL[1], b"RCPT TO:<broken"), 503),
            ((*MAIL[1:], b"BDAT 0", b"MAIL FROM:<x@y.example>"), 250),
        ):
            wire = await self.greeted(relay)
            await wire.say(*before)
            wire.write(chunk, b"NOOP\r\n")
            codes = [(await wire.reply()).code for _ in "12"]
            self.assertEqual(codes, [code, 250], before)
            wire.abort()
        (received,) = await self.server.whenReceived(1)
        self.assertEqual(received.recipients, ("b@one.example",))
        self.assertIn(COMMANDS, received.content)

    async def test_A01_outOfOrder(self) -> None:
        """
        Between chunks there is no other message; what lacks its LAST is none.
        """
        relay = self.begin()
        wire = await self.greeted(relay)
        await wire.say(*MAIL[1:])
        self.assertEqual(await wire.say(b"BDAT 6\r\nab\r\n"), [250])
        self.assertEqual(await wire.say(b"DATA", *MAIL[1:]), [503] * 3)
        self.assertEqual(await wire.say(b"RSET", b"BDAT 2 LAST\r\n"), [250, 503])
        self.assertEqual(await wire.say(*MAIL[1:]), [250, 250])
        # Cut short, and gone.
        wire.write(b"BDAT 1000 LAST\r\n" + HEADER)
        wire.abort()
        await self.isServed(relay)
        self.assertEqual(relay.queue.getWaiting() + relay.queue.getRelayed(), [])
        self.assertEqual(self.server.received, [])

    async def test_A01_smuggled(self) -> None:
        """
        What ends no chunk ends no message: to a host that has no BDAT it goes with
        its dots doubled.
        """
        relay = self.begin()
        wire = await self.greeted(relay)
        content = HEADER + b"x\r\n.\r\n" + COMMANDS + b".\r\n"
        await wire.say(*MAIL[1:])
        wire.write(b"BDAT %d LAST\r\n" % len(content), content)
        self.assertEqual((await wire.reply()).code, 250)
        (received,) = await self.server.whenReceived(1)
        self.assertTrue(received.content.endswith(b"x\r\n.\r\n" + COMMANDS + b".\r\n"))
        said = [line for s in self.server.sessions for line in s.commands]
        self.assertNotIn("evil", " ".join(said))

    async def test_A05_nothing(self) -> None:
        """
        Chunks of nothing do not go on for ever.
        """
        relay = self.begin()
        wire = await self.greeted(relay)
        await wire.say(*MAIL[1:])
        wire.write(b"BDAT 0\r\n" * 1000)
        codes = await wire.closed()
        self.assertEqual(codes[-1], 421)
        known = DEFAULT_LIMITS.idleCommands + DEFAULT_LIMITS.errors
        self.assertLess(len(codes), known + 5)


class ParameterTests(CommandsTestCase):
    """
    What MAIL and RCPT say besides.
    """

    async def refused(self, relay: Relay, before: int, *lines: bytes) -> None:
        """
        Say lines that are refused, and change nothing.

        @param before: How many lines of L{MAIL} come before each.
        """
        for line in lines:
            wire = await self.greeted(relay)
            await wire.say(*MAIL[1 : 1 + before])
            (code,) = await wire.say(line)
            self.assertIn(code, (500, 501, 550, 553, 555), line)
            self.assertEqual(await wire.say(b"NOOP"), [250], line)
            wire.abort()
        for logged in self.logged():
            self.assertTrue(logged.isprintable(), logged)

    async def test_A03_malformedUTF8(self) -> None:
        """
        What is not UTF-8, or not the only way to write it, is no address.
        """
        bad = (
            b"\xff\xfe", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc3",
            b"\xe2\x80", b"\x80", "\u2028".encode(), "\u0085".encode(),
        )  # fmt: skip
        relay = self.begin()
        await self.refused(
            relay, 0, *(b"MAIL FROM:<%sx@wire.example> SMTPUTF8" % each for each in bad)
        )
        await self.refused(
            relay, 0, *(b"MAIL FROM:<x@a%s.example> SMTPUTF8" % each for each in bad)
        )
        wire = await self.greeted(relay)
        await wire.say(MAIL[1] + b" SMTPUTF8")
        for each in bad:
            (code,) = await wire.say(b"RCPT TO:<%sx@one.example>" % each)
            self.assertIn(code, (501, 550, 553), each)

    async def test_A03_utf8NotSaid(self) -> None:
        """
        Nor is anything but ASCII read where SMTPUTF8 was not said.
        """
        name = "käthe".encode()
        relay = self.begin()
        await self.refused(relay, 0, b"MAIL FROM:<%s@wire.example>" % name)
        await self.refused(relay, 1, b"RCPT TO:<%s@wire.example>" % name)

    async def test_A03_xtext(self) -> None:
        """
        What xtext hides is looked at: no line end, NUL or escape comes through, and
        nothing that is too long.
        """
        relay = self.begin()
        bad = (
            b"a+0D+0AX-Evil:+20x", b"a+00", b"a+1B[2J", b"a+0a", b"a+zz", b"a+", b"a+4",
            b"a+FF", b"", b"x" * 101, b"\xc3\xa4",
        )  # fmt: skip
        await self.refused(relay, 0, *(MAIL[1] + b" ENVID=" + each for each in bad))
        long = b"x" * 501
        await self.refused(
            relay,
            1,
            *(MAIL[2] + b" ORCPT=rfc822;" + each for each in (*bad[:-2], long)),
            *(MAIL[2] + b" ORCPT=" + each for each in (b"x", b";x", b"+0D+0A;x")),
            *(
                MAIL[2] + b" ORCPT=utf-8;a\\x{%s}b@x.example" % each
                for each in (b"0A", b"D800", b"FFFFFF", b"2028", b"1B", b"")
            ),
            MAIL[2] + b" NOTIFY=NEVER,SUCCESS",
            MAIL[2] + b" NOTIFY=SUCCESS NOTIFY=SUCCESS",
        )

    async def test_A03_numbers(self) -> None:
        """
        Numbers that are none, or absurd, are refused, and ask for nothing.
        """
        bad = (
            b"SIZE=-1", b"SIZE=" + b"9" * 30, b"SIZE=1e3", b"BY=;R", b"BY=0;R",
            b"BY=-5;R", b"BY=9999999999;R", b"BY=5;X", b"MT-PRIORITY=10",
            b"MT-PRIORITY=--1", b"MT-PRIORITY=99999999999999999999", b"HOLDFOR=-1",
            b"HOLDFOR=999999999", b"HOLDUNTIL=never", b"BODY=9BITMIME", b"RET=ALL",
            b"SIZE=1 SIZE=1", b"XYZZY=1", b"SMTPUTF8=1", b"=1",
        )  # fmt: skip
        await self.refused(self.begin(), 0, *(MAIL[1] + b" " + each for each in bad))


class AuthTests(CommandsTestCase):
    """
    Clients that authenticate, or not quite.
    """

    def beginUsers(self, **more: Any) -> Relay:
        """
        Start a relay with a user, that trusts nobody.
        """
        users = self.directory / "users"
        self.directory.mkdir(parents=True, exist_ok=True)
        users.touch(0o600)
        users.write_text(lineFor("me", b"correct horse", iterations=4096) + "\n")
        return self.begin(users=users, networks="192.0.2.0/24", **more)

    @property
    def mechanism(self) -> bytes:
        """
        One that is offered.
        """
        return b"PLAIN" if self.isTLS else b"SCRAM-SHA-256"

    async def test_A05_garbage(self) -> None:
        """
        What is no base64, or says nothing, is refused, and what follows is read as
        commands again.
        """
        relay = self.beginUsers()
        foreign = b64encode(b"\xff\0me\0\xff")
        for initial in (
            b"!!!!", b"=", b"====", b"eA", b"e A==", b"AA==", b"\xff", foreign
        ):  # fmt: skip
            wire = await self.greeted(relay)
            (code,) = await wire.say(b"AUTH %s %s" % (self.mechanism, initial))
            self.assertIn(code, (500, 501, 535), initial)
            self.assertEqual(await wire.say(b"NOOP"), [250])
            self.assertEqual(await wire.say(b"AUTH " + self.mechanism), [334])
            (code,) = await wire.say(initial)
            self.assertIn(code, (500, 501, 535), initial)
            self.assertEqual(await wire.say(b"NOOP"), [250])
            wire.abort()

    async def test_A05_long(self) -> None:
        """
        A response is not waited for without end.
        """
        relay = self.beginUsers()
        for data in (b"A" * 12_288 + b"\r\n", b"A" * 5_000_000):
            wire = await self.greeted(relay)
            self.assertEqual(await wire.say(b"AUTH " + self.mechanism), [334])
            wire.write(data)
            self.assertEqual(await wire.closed(), [500])
        await self.isServed(relay)

    async def test_A05_flood(self) -> None:
        """
        Who tries again and again is sent away, and others are served.
        """
        relay = self.beginUsers()
        wire = await self.greeted(relay)
        said = b64encode(b"\0me\0wrong" if self.isTLS else b"garbage")
        wire.write((b"AUTH %s %s\r\n" % (self.mechanism, said)) * 1000)
        codes = await wire.closed()
        self.assertEqual(codes[-1], 421)
        self.assertLess(len(codes), DEFAULT_LIMITS.errors + 5)
        if self.isTLS:
            self.assertEqual(codes, [535] * DEFAULT_LIMITS.authFailures + [421])

    async def test_A03_A09_names(self) -> None:
        """
        Names with what terminals obey, or UTF-8 that is none, are nobody's, and one
        line of the log; secrets are in none.
        """
        relay = self.beginUsers()
        for name in (b"me\r\nX: y", b"\x1b[2J", b"\xff\xfe", "a\u2028b".encode(), b""):
            wire = await self.greeted(relay)
            if self.isTLS:
                said = b"\0" + name + b"\0swordfish"
            else:
                said = b"n,,n=" + name + b",r=nonce"
            code = (await wire.say(b"AUTH %s %s" % (self.mechanism, b64encode(said))))[
                0
            ]
            if code == 334:
                proof = b64encode(b"c=biws,r=nonce,p=swordfish")
                (code,) = await wire.say(proof)
            self.assertIn(code, (501, 535), name)
            wire.abort()
        for line in self.logged():
            self.assertTrue(line.isprintable(), line)
            self.assertNotIn("swordfish", line)
            self.assertLess(len(line), 1000)

    async def test_A04_notQuite(self) -> None:
        """
        Who began to authenticate, and did not, may not relay.
        """
        relay = self.beginUsers()
        wire = await self.greeted(relay)
        await wire.say(b"AUTH " + self.mechanism)
        self.assertEqual(await wire.say(b"*"), [501])
        self.assertEqual(await wire.say(*MAIL[1:]), [250, 550])


class ProxyTests(CommandsTestCase):
    """
    Who says that it speaks for others.
    """

    async def test_A04_XCLIENTOfStrangers(self) -> None:
        """
        Nobody speaks for others but those who are named.
        """
        for settings in ({}, {"xclient": "192.0.2.0/24"}):
            relay = self.begin(
                queue=self.directory / str(len(settings)),
                networks="192.0.2.0/24",
                **settings,
            )
            wire: Wire = await self.open(relay)
            wire.write(MAIL[0] + b"\r\n")
            self.assertNotIn(b"XCLIENT", b" ".join((await wire.reply()).lines))
            for said in (b"ADDR=192.0.2.1", b"ADDR=127.0.0.1 LOGIN=me", b"", b"=" * 99):
                (code,) = await wire.say(b"XCLIENT " + said)
                self.assertIn(code, (500, 501, 502, 550), said)
            self.assertEqual(await wire.say(*MAIL[1:]), [250, 550])
            wire.abort()

    async def test_A03_XCLIENTOfProxies(self) -> None:
        """
        Whoever may speaks for clients, but not with what a log or a field could not
        have.
        """
        relay = self.begin(xclient="127.0.0.1", networks="192.0.2.0/24")
        wire = await self.greeted(relay)
        for said in (
            b"ADDR=", b"ADDR=1", b"ADDR=::1", b"ADDR=IPV6:fe80::1%25eth0",
            b"ADDR=192.0.2.1\0", b"HELO=a+0D+0Ab", b"HELO=a+20b", b"LOGIN=a+00",
            b"NAME=a+1B", b"PORT=99999", b"PORT=-1", b"PROTO=HTTP", b"EVIL=1",
            b"ADDR=192.0.2.1 ADDR=192.0.2.2", b"HELO=" + b"x" * 300,
        ):  # fmt: skip
            (code,) = await wire.say(b"XCLIENT " + said)
            self.assertIn(code, (500, 501), said)
        self.assertEqual(await wire.say(b"RSET", *MAIL[1:]), [250, 250, 550])
        wire.abort()

    async def test_A04_PROXYOfStrangers(self) -> None:
        """
        Where no proxy is named its header is no command, and ends the session.
        """
        relay = self.begin(networks="192.0.2.0/24")
        for header in (
            b"PROXY TCP4 192.0.2.1 203.0.113.9 4321 25\r\n",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xcb\0\x71\x09\x10\xe1\0\x19",
        ):
            wire = await connect(self.portOf(relay))
            wire.write(header, b"\r\nEHLO wire.example\r\n")
            wire.write(b"".join(line + b"\r\n" for line in MAIL[1:]), b"QUIT\r\n")
            codes = await wire.closed()
            self.assertEqual(codes[-1], 502)
            self.assertGreaterEqual(min(codes), 500)


class TLSChunkTests(ChunkTests):
    """
    The same under TLS.
    """

    isTLS = True


class TLSParameterTests(ParameterTests):
    """
    The same under TLS.
    """

    isTLS = True


class TLSAuthTests(AuthTests):
    """
    The same under TLS.
    """

    isTLS = True


class TLSProxyTests(ProxyTests):
    """
    The same under TLS.
    """

    isTLS = True


class HeaderTests(EndToEndTestCase):
    """
    Headers of the PROXY protocol, where a proxy is expected.
    """

    async def test_A05_hostile(self) -> None:
        """
        What is no header, has no end, or does not come is cut without a word, and
        who comes behind is served.
        """
        self.patch(proxied, "HEADER_SECONDS", 0.4)
        server = self.startServer()
        relay = self.startRelay(smartHosts=[server.address], proxies="127.0.0.1")
        binary = b"\r\n\r\n\0\r\nQUIT\n"
        for data in (
            b"EHLO wire.example\r\n",
            b"PROXY " + b"x" * 1_000_000,
            b"PROXY TCP4 127.0.0.1 127.0.0.1 1\r\n",
            b"PROXY TCP4 999.0.0.1 127.0.0.1 1 1\r\n",
            b"PROXY TCP6 fe80::1%eth0 ::1 1 1\r\n",
            b"PROXY TCP4 127.0.0.1 127.0.0.1 1 1\n" + b"x" * 200,
            binary + b"\x11\x11\0\x0c" + b"x" * 12,
            binary + b"\x21\x11\xff\xff" + b"x" * 100_000,
            binary + b"\x2f\x11\0\x0c" + b"x" * 12,
            binary + b"\x21\x11\0\x02xx",
            b"P",
            b"",
            binary[:5],
        ):
            wire = await raw(self.portOf(relay))
            wire.write(data)
            self.assertEqual(await wire.closed(), [], data[:40])
        wire = await raw(self.portOf(relay))
        wire.write(b"PROXY TCP4 127.0.0.1 127.0.0.1 1 1\r\n")
        self.assertEqual((await wire.reply()).code, 220)
        wire.abort()
        for line in self.logged():
            self.assertTrue(line.isprintable(), line)

    async def test_A05_drip(self) -> None:
        """
        Time is counted for a header, not for an octet.
        """
        from twisted.internet import reactor, task

        self.patch(proxied, "HEADER_SECONDS", 0.4)
        server = self.startServer()
        relay = self.startRelay(smartHosts=[server.address], proxies="127.0.0.1")
        wire = await raw(self.portOf(relay))
        wire.write(b"PROXY TCP4 ")
        given: Any = reactor
        drip = task.LoopingCall(wire.write, b"1")
        drip.clock = given
        dripping = drip.start(0.05)
        self.assertEqual(await wire.closed(), [])
        drip.stop()
        await dripping


async def raw(port: int) -> Wire:
    """
    Connect, and wait for nothing.
    """
    from twisted.internet import reactor

    given: Any = reactor
    endpoint = TCP4ClientEndpoint(given, "127.0.0.1", port)
    wire: Any = await endpoint.connect(Factory.forProtocol(Wire))
    found: Wire = wire
    return found
