# -*- test-case-name: relaymail.test.hostile.test_framing -*-
"""
Tests for clients that try to have something else read than they say (A01).
"""

from __future__ import annotations

from itertools import product

from relaymail.test.endtoend.harness import EndToEndTestCase
from relaymail.test.hostile.attacks import MAIL, Anybody, Attacks
from relaymail.test.hostile.wire import Wire

#: What a sender of mail may be fooled by to take it for a line end.
ENDS = [b"\n", b"\r", b"\r\n", b"\r\r\n", b"\n\r", b"\0", b"\x0b", b"\x0c"]
ENDS += [b"\x85", b"\xc2\x85", b"\xe2\x80\xa8", b"\r\0\n", b"\r\x0b\n"]
#: All ways to put a dot between two of them, but the one that ends the data.
DOTS = [(a + b"." + b) for a, b in product(ENDS, ENDS) if (a, b) != (b"\r\n",) * 2]
#: Those that end it nevertheless, because CRLF.CRLF is in there.
REAL = [dot for dot in DOTS if b"\r\n.\r\n" in dot]
SMUGGLED = (
    b"MAIL FROM:<evil@wire.example>\r\nRCPT TO:<smuggled@one.example>\r\nDATA\r\n"
)

#: How many messages in a row may be refused.
PATIENT = 15


class FramingTests(Attacks, EndToEndTestCase):
    """
    Only CRLF.CRLF ends the data.
    """

    async def send(self, wire: Wire, content: bytes) -> list[int]:
        """
        Send a message on an open session, a command behind it.
        """
        codes = await wire.say(*MAIL[1:], b"DATA")
        self.assertEqual(codes, [250, 250, 354])
        wire.write(content, b"\r\n.\r\n", b"NOOP\r\n")
        return [(await wire.reply()).code, (await wire.reply()).code]

    async def test_A01_smuggling(self) -> None:
        """
        Whatever stands around a dot, what follows it in the data of somebody who
        is not trusted is no command: the message is refused, and nothing else
        happened; where it has no lone CR or LF it is content.
        """
        relay = self.begin()
        relay.intake.acceptance = Anybody()
        taken = 0
        for number, dot in enumerate(dot for dot in DOTS if dot not in REAL):
            if number % PATIENT == 0:
                wire = await self.open(relay)
                await wire.say(MAIL[0])
            codes = await self.send(wire, b"Subject: x\r\n\r\nx" + dot + SMUGGLED)
            isBare = _isBare(dot)
            self.assertEqual(codes, [550 if isBare else 250, 250], dot)
            taken += not isBare
        received = await self.server.whenReceived(taken)
        self.assertEqual(
            {message.recipients for message in received}, {("b@one.example",)}
        )
        self.assertEqual(len(received), taken)

    async def test_A01_normalised(self) -> None:
        """
        From those who are trusted it is taken with its line ends put right, and is
        as little a command.
        """
        relay = self.begin()
        wire = await self.open(relay)
        await wire.say(MAIL[0])
        dots = [dot for dot in DOTS if dot not in REAL]
        for dot in dots:
            codes = await self.send(wire, b"Subject: x\r\n\r\nx" + dot + SMUGGLED)
            self.assertEqual(codes, [250, 250], dot)
        received = await self.server.whenReceived(len(dots))
        for message in received:
            self.assertEqual(message.recipients, ("b@one.example",))
            content = message.content
            self.assertEqual(content.count(b"\r\n"), content.count(b"\n"))
            self.assertEqual(content.count(b"\r\n"), content.count(b"\r"))
            self.assertIn(b"smuggled", content)

    async def test_A01_longLine(self) -> None:
        """
        A line that is too long is refused at the end of the data, and not before.
        """
        relay = self.begin()
        wire = await self.open(relay)
        await wire.say(MAIL[0])
        content = b"Subject: x\r\n\r\n" + b"x" * 5_000_000 + b"\r\nQUIT"
        self.assertEqual(await self.send(wire, content), [550, 250])

    async def test_A01_everyCut(self) -> None:
        """
        It makes no difference where the data is cut.
        """
        relay = self.begin()
        content = b"Subject: x\r\n\r\n..\r\n.x\r\n\r\n..\r\n"
        whole = content + b".\r\n"
        wire = await self.open(relay)
        await wire.say(MAIL[0])
        for cut in range(1, len(whole)):
            await wire.say(*MAIL[1:], b"DATA")
            wire.write(whole[:cut], whole[cut:])
            self.assertEqual((await wire.reply()).code, 250)
        received = await self.server.whenReceived(len(whole) - 1)
        bodies = {m.content.partition(b"\r\n\r\n")[2] for m in received}
        self.assertEqual(bodies, {b".\r\nx\r\n\r\n.\r\n"})


class TLSFramingTests(FramingTests):
    """
    The same under TLS.
    """

    isTLS = True


def _isBare(dot: bytes) -> bool:
    rest = dot.replace(b"\r\n", b"")
    return b"\r" in rest or b"\n" in rest
