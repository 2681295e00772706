# -*- test-case-name: relaymail.test.hostile.test_offers -*-
"""
Tests for hosts that attack whoever gives them mail by what they offer (A02, A06): by
EHLO's keywords, challenges, and replies to chunks and to LMTP.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Any, ClassVar

from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import Factory
from twisted.protocols.basic import LineReceiver

from relaymail.certificates import loadTLS
from relaymail.envelopes import NO_PARAMETERS, Envelope, Parameters
from relaymail.service import Relay
from relaymail.test.certificates import writeCertificate
from relaymail.test.endtoend.harness import MESSAGE, EndToEndTestCase, submit
from relaymail.test.endtoend.processes import until

#: The name of a host's trick, by the line that it is the answer to.
Tricks = dict[bytes, bytes | Sequence[bytes]]
BINARY = Parameters(body="BINARYMIME")
#: Ten thousand mechanisms, in lines that may be as long.
MANY = tuple(
    b"AUTH " + b" ".join(b"X%d" % n for n in range(first, first + 1000))
    for first in range(0, 10_000, 1000)
)


class Trickster(LineReceiver):
    """
    A host that does as one should, but for its tricks.

    @cvar tricks: What it answers to a verb; those of a list one after the other,
        and the last of them ever after.  C{*} is the verb of all lines of AUTH.
    """

    MAX_LENGTH = 1_000_000
    transport: Any
    factory: Any

    def __init__(self) -> None:
        self._octets = 0
        self._isMessage = self._isAuth = False
        self._asked: dict[bytes, int] = {}
        self._count = 0

    def connectionMade(self) -> None:
        """
        Greet.
        """
        self.factory.sessions.append(self)
        self.said: list[bytes] = []
        self._say(b"CONNECT", b"220 trickster")

    def lineReceived(self, line: bytes) -> None:
        """
        Answer.
        """
        if self._isMessage:
            if line == b".":
                self._isMessage = False
                self._final()
            return
        verb = b"*" if self._isAuth else line[:4].upper()
        self.said.append(line)
        if verb in (b"EHLO", b"LHLO"):
            self._count = 0
            keywords = b"".join(b"250-%s\r\n" % each for each in self._keywords())
            self._say(verb, keywords + b"250 HELP")
        elif verb == b"STAR":
            self._say(verb, b"220 go on")
            self.transport.startTLS(self.factory.context)
            self.isTLS = True
        elif verb == b"RCPT":
            self._count += 1
            self._say(verb, b"250 ok")
        elif verb == b"DATA":
            self._isMessage = True
            self._say(verb, b"354 go on")
        elif verb == b"BDAT":
            self._octets = int(line.split()[1])
            if b"BDAT" in self.factory.tricks:
                # Before it has a single octet of it.
                self._say(verb, b"")
            self.setRawMode()
        elif verb in (b"AUTH", b"*"):
            self._isAuth = self._say(verb, b"235 ok").startswith(b"334")
        elif verb == b"QUIT":
            self.transport.loseConnection()
        else:
            self._say(verb, b"250 ok")

    isTLS = False

    def rawDataReceived(self, data: bytes) -> None:
        """
        Take a chunk.
        """
        size = min(len(data), self._octets)
        self._octets -= size
        if not self._octets:
            self._final()
            self.setLineMode(data[size:])

    def _keywords(self) -> list[bytes]:
        first: list[bytes] = [b"trickster", *self.factory.keywords]
        if self.factory.context is not None and not self.isTLS:
            first.append(b"STARTTLS")
        return first

    def _final(self) -> None:
        said = b"\r\n".join([b"250 ok"] * (self._count if self.factory.lmtp else 1))
        self._count = 0
        self._say(b".", said)

    def _say(self, verb: bytes, usual: bytes) -> bytes:
        trick: Any = self.factory.tricks.get(verb, usual)
        if not isinstance(trick, bytes):
            at = self._asked.get(verb, 0)
            self._asked[verb] = at + 1
            trick = trick[min(at, len(trick) - 1)]
        if trick == b"CLOSE":
            self.transport.loseConnection()
        elif b"NONCE" in trick:
            first = b64decode(self.said[-1].split()[-1])
            own = first.rpartition(b"r=")[2] + b"server"
            trick = b"334 " + b64encode(trick.replace(b"NONCE", own))
            self.transport.write(trick + b"\r\n")
        elif trick:
            self.transport.write(trick + b"\r\n")
        said: bytes = trick
        return said


class OffersTestCase(EndToEndTestCase):
    """
    A relay whose smart host is a trickster.
    """

    isTLS: ClassVar[bool] = False

    def setUp(self) -> None:
        """
        Make a certificate.
        """
        super().setUp()
        self.key, self.certificate = writeCertificate(self.directory, "127.0.0.1")

    async def begin(
        self,
        tricks: Tricks | None = None,
        keywords: Sequence[bytes] = (b"PIPELINING",),
        *,
        lmtp: bool = False,
        user: str = "",
    ) -> Relay:
        """
        Start both.
        """
        from twisted.internet import reactor

        factory: Any = Factory.forProtocol(Trickster)
        factory.noisy, factory.sessions, factory.context = False, [], None
        factory.tricks, factory.keywords, factory.lmtp = tricks or {}, keywords, lmtp
        more = []
        if self.isTLS:
            factory.context = loadTLS(self.key, self.certificate)
            more.append(f"ca-file={self.certificate}")
        if user:
            password = self.directory / "password"
            password.write_text("swordfish")
            password.chmod(0o600)
            more.append(f"password-file={password}")
            if not self.isTLS:
                more.append("auth=clear")
            user += "@"
        given: Any = reactor
        endpoint = TCP4ServerEndpoint(given, 0, interface="127.0.0.1")
        listening = await endpoint.listen(factory)
        self.addCleanup(listening.stopListening)
        self.factory = factory
        port = listening.getHost().port
        scheme = "lmtp" if lmtp else "smtp+starttls" if self.isTLS else "smtp"
        url = f"{scheme}://{user}127.0.0.1:{port}?{'&'.join(more)}".rstrip("?")
        number = len(list(self.directory.iterdir()))
        self.relay = self.startRelay(
            smartHosts=[url], retry=["1h"], queue=self.directory / f"spool{number}"
        )
        self.events.clear()
        return self.relay

    async def give(
        self,
        parameters: Parameters = NO_PARAMETERS,
        to: tuple[str, ...] = ("b@one.example",),
    ) -> list[str]:
        """
        Give it a message, and wait till it is settled.

        @return: The first word of what is logged of each recipient.
        """
        await self.relay.queue.add(Envelope("", to, parameters), MESSAGE)
        self.relay.manager.wake()

        def lines() -> list[str]:
            return [line for line in self.logged() if " to=<" in line]

        await until(lambda: len(lines()) >= len(to), "it is settled")
        for line in self.logged():
            self.assertTrue(line.isprintable(), line)
            self.assertLess(len(line), 3000, line)
            self.assertNotIn("swordfish", line)
        return sorted(line.split()[0] for line in lines())

    async def stop(self) -> None:
        """
        See that the relay takes mail, and stop it.
        """
        await submit(self.portOf(self.relay), "")
        await self.relay.stopService()

    def heard(self) -> bytes:
        """
        Give all that the host was told.
        """
        return b"\n".join(line for each in self.factory.sessions for line in each.said)


class KeywordTests(OffersTestCase):
    """
    Keywords of EHLO.
    """

    async def test_A06_absurd(self) -> None:
        """
        What makes no sense counts as not said, and mail goes.
        """
        for keywords in (
            (b"SIZE 0", b"SIZE"),
            (b"SIZE -1",),
            (b"SIZE " + b"9" * 400,),
            (b"SIZE ten", b"SIZE 0x10"),
            (b"LIMITS RCPTMAX=0 MAILMAX=-1 RCPTDOMAINMAX=",),
            (b"LIMITS = == RCPTMAX RCPTMAX=x", b"LIMITS"),
            (b"LIMITS RCPTMAX=" + b"9" * 400,),
            (b"DELIVERBY x", b"DELIVERBY -1", b"\xff\xfe \xff", b"", b" "),
            MANY,
            (b"AUTH=" + b"A" * 12_000, b"AUTH", b"AUTH  "),
            tuple(b"X%d" % number for number in range(120)),
        ):
            await self.begin(keywords=keywords)
            self.assertEqual(await self.give(), ["delivered"], keywords[:2])
            await self.stop()

    async def test_A06_mechanisms(self) -> None:
        """
        Ten thousand mechanisms are looked through, and one of them is used.
        """
        await self.begin(keywords=(*MANY, b"AUTH PLAIN"), user="me")
        self.assertEqual(await self.give(), ["delivered"])
        self.assertIn(b"AUTH PLAIN ", self.heard())

    async def test_A06_tooMany(self) -> None:
        """
        A reply without end is not waited for, and nothing is said to its host.
        """
        for keywords in ([b"X"] * 10_000, [b"AUTH " + b"x" * 500_000]):
            await self.begin(keywords=keywords, user="me")
            self.assertEqual(await self.give(), ["retry"])
            self.assertNotIn(b"AUTH", self.heard())
            await self.stop()


def _challenge(data: bytes) -> bytes:
    return b"334 " + b64encode(data)


class ChallengeTests(OffersTestCase):
    """
    Challenges that nobody should answer.
    """

    async def refused(self, mechanism: bytes, *challenges: bytes) -> bytes:
        """
        See that mail waits, and is not given.

        @return: What was said.
        """
        await self.begin(
            {b"AUTH": challenges, b"*": challenges[1:] or b"501 no"},
            [b"AUTH " + mechanism],
            user="me",
        )
        self.assertEqual(await self.give(), ["retry"], challenges[0][:40])
        said = self.heard()
        self.assertNotIn(b"MAIL", said)
        self.assertLessEqual(len(said.split(b"\n")), 20)
        await self.stop()
        return said

    async def test_A06_SCRAM(self) -> None:
        """
        A server that does not keep to the mechanism, or says yes before it has proved
        that it knows the password, gets no mail, and learns nothing.
        """
        nonce = b"r=nonce,s=QSXCR+Q6sek8bf92,i=4096"
        for challenge in (
            b"235 2.7.0 Welcome",
            _challenge(b""),
            _challenge(nonce),
            _challenge(b"\xff\xfe\0\r\n"),
            _challenge(b"r=" + b"x" * 40_000),
            _challenge(b"m=ext," + nonce),
            _challenge(b"v=AAAA"),
            b"334 not base64!",
            b"334",
            b"354 go on",
            b"250 ok",
            b"334-a\r\n334 b",
        ):
            said = await self.refused(b"SCRAM-SHA-256", challenge)
            self.assertNotIn(b64encode(b"swordfish"), said)

    async def test_A06_SCRAMWork(self) -> None:
        """
        A password is not computed for years, nor in a way that gives it away.
        """
        for said in (
            b"r=NONCE,s=QSXCR+Q6sek8bf92,i=2000000000",
            b"r=NONCE,s=QSXCR+Q6sek8bf92,i=1",
            b"r=NONCE,s=QSXCR+Q6sek8bf92,i=-4096",
            b"r=NONCE,s=QSXCR+Q6sek8bf92,i=" + b"9" * 1000,
            b"r=NONCE,s=,i=4096",
            b"r=NONCE,s=" + b"QUJD" * 400 + b",i=4096",
            b"r=NONCE,s=!!!!,i=4096",
            b"s=QSXCR+Q6sek8bf92,r=NONCE,i=4096",
        ):
            heard = await self.refused(b"SCRAM-SHA-256", said)
            # What would begin with the channel binding, and have the proof.
            self.assertNotIn(b"\nYz1", heard, said)
        self.assertTrue(b64encode(b"c=biws,r=").startswith(b"Yz1"))

    async def test_A06_endless(self) -> None:
        """
        Challenges do not go on for ever.
        """
        await self.refused(b"LOGIN", *[b"334 "] * 2, *[b"334 VXNlcm5hbWU6"] * 50)

    async def test_A06_CRAM(self) -> None:
        """
        A challenge that is none is not answered.
        """
        for challenge in (b"334 !!!", b"334 " + b"A" * 500_000, b"hm", b"CLOSE"):
            await self.refused(b"CRAM-MD5", challenge)


class ChunkReplyTests(OffersTestCase):
    """
    Replies to chunks.
    """

    chunking = (b"PIPELINING", b"CHUNKING", b"BINARYMIME", b"8BITMIME")

    async def test_A06_chunks(self) -> None:
        """
        A reply that comes too early, too often or not at all, or means something
        else, delivers nothing.
        """
        tricks: dict[str, Tricks] = {
            "354": {b".": b"354 go on"},
            "334": {b".": b"334 "},
            "100": {b".": b"100 so far"},
            "garbage": {b".": b"hm"},
            "silent": {b".": b""},
            "gone": {b".": b"CLOSE"},
            "mixed": {b".": b"250-ok\r\n550 no"},
            "early": {b"RCPT": b"250 ok\r\n250 ok"},
            "421": {b".": b"421 bye"},
        }
        for name, trick in tricks.items():
            await self.begin(trick, self.chunking)
            self.assertEqual(await self.give(BINARY), ["retry"], name)
            await self.stop()
        await self.begin(None, self.chunking)
        self.assertEqual(await self.give(BINARY), ["delivered"])


class LMTPReplyTests(OffersTestCase):
    """
    Replies to messages by LMTP.
    """

    async def test_A06_D27_LMTP(self) -> None:
        """
        Each recipient has the reply that is its own, and none that lacks one is
        delivered; what is said too often is nobody's.
        """
        to = ("b@one.example", "c@one.example", "d@one.example")
        for finals, wanted in (
            (b"250 ok", ["delivered", "retry", "retry"]),
            (b"250 ok\r\n250 ok\r\n354 go", ["delivered", "delivered", "retry"]),
            (b"250 ok\r\nhm\r\n250 ok", ["delivered", "retry", "retry"]),
            (b"250 ok\r\n550 no\r\n451 wait", ["bounced", "delivered", "retry"]),
            (b"250 ok\r\n250 ok\r\n250 ok\r\n550 no\r\n550 no", ["delivered"] * 3),
            (b"", ["retry"] * 3),
            (b"CLOSE", ["retry"] * 3),
        ):
            for keywords in ((b"PIPELINING",), ()):
                await self.begin({b".": finals}, keywords, lmtp=True)
                found = await self.give(to=to)
                self.assertEqual(found, wanted, finals)
                await self.stop()


class TLSKeywordTests(KeywordTests):
    """
    The same under TLS.
    """

    isTLS = True


class TLSChallengeTests(ChallengeTests):
    """
    The same under TLS.
    """

    isTLS = True


class TLSChunkReplyTests(ChunkReplyTests):
    """
    The same under TLS.
    """

    isTLS = True
