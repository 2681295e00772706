# -*- test-case-name: relaymail.test.hostile.test_hosts -*-
"""
Tests for hosts that attack whoever gives them mail (A01, A02, A06): their mail waits,
within a bound, and that of others does not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import Factory
from twisted.protocols.basic import LineReceiver

from relaymail.certificates import loadTLS
from relaymail.envelopes import Envelope
from relaymail.service import Relay
from relaymail.test.certificates import writeCertificate
from relaymail.test.endtoend.harness import EndToEndTestCase, exchange, submit
from relaymail.test.endtoend.processes import until
from relaymail.testing.scripts import (
    Slip,
    acceptsEverything,
    endlessReply,
    garbage,
    outOfStep,
    silentAfter,
    tarpit,
)
from relaymail.testing.servers import Act, Raw, SMTPServer, Then

#: Where a session may be attacked.
PLACES = ("CONNECT", "EHLO", "MAIL", "RCPT", "DATA", ".")
#: A line that has no end that anybody would wait for.
LONG = Raw(b"250 " + b"x" * 10_000_000 + b"\r\n")

#: Servers that attack, by what they do.
ATTACKS: dict[str, Callable[..., SMTPServer]] = {
    "endlessGreeting": lambda **o: endlessReply("CONNECT", **o),
    "endlessKeywords": lambda **o: endlessReply("EHLO", **o),
    "endlessReplyToTheDot": lambda **o: endlessReply(".", **o),
    "longLine": lambda **o: SMTPServer({"RCPT": LONG}, **o),
    "drip": lambda **o: tarpit(0.3, **o),
    "garbage": lambda **o: garbage(**o),
    "wrongCodeWithin": lambda **o: SMTPServer(
        {"MAIL": Raw(b"250-a\r\n251 b\r\n")}, **o
    ),
    "extraReplies": lambda **o: outOfStep(Slip.SURPLUS, **o),
    "missingReply": lambda **o: outOfStep(Slip.MISSING, **o),
    "replyBeforeTheDot": lambda **o: outOfStep(Slip.EARLY, **o),
    "yesToEverything": lambda **o: acceptsEverything(**o),
    "silentAtTheDot": lambda **o: silentAfter(".", **o),
}
for _place in PLACES:
    _answer = Then("421 4.7.0 Go away", Act.CLOSE)
    ATTACKS[f"421At{_place}"] = lambda p=_place, a=_answer, **o: SMTPServer({p: a}, **o)
    ATTACKS[f"resetAt{_place}"] = lambda p=_place, **o: SMTPServer({p: Act.RESET}, **o)


class HostTestCase(EndToEndTestCase):
    """
    Has two destinations: one that is well, and one that attacks.
    """

    isTLS: ClassVar[bool] = False

    def options(self) -> dict[str, Any]:
        """
        Give what both servers are told.
        """
        if not self.isTLS:
            return {}
        context = loadTLS(*writeCertificate(self.directory, "mx.two.example"))
        return {"contextFactory": context}

    def begin(self, port: int) -> Relay:
        """
        Start a relay whose mail for one destination goes to one address, and that
        for the other to the other.
        """
        zones = exchange(("mx.one.example", "127.0.0.1"))
        zones |= exchange(("mx.two.example", "127.0.0.2"), domain="two.example")
        return self.startRelay(dns=self.startDNS(zones).address, mxPort=port)

    async def attacked(self, relay: Relay, good: SMTPServer) -> None:
        """
        Send a message to both, and check what becomes of it.
        """
        await submit(self.portOf(relay), recipients=["b@two.example", "b@one.example"])
        await good.whenReceived(1)
        await until(lambda: not relay.queue.getRelayed(), "it is settled")
        found = [line for line in self.logged() if " to=<b@two.example> " in line]
        self.assertTrue(found)
        for line in found:
            self.assertTrue(line.startswith("retry id="), line)
            self.assertLess(len(line), 2000)
            self.assertTrue(line.isprintable(), line)
        self.assertEqual(len(good.received), 1)


class AttackTests(HostTestCase):
    """
    Each of the attacks.
    """

    async def attack(self, name: str) -> None:
        """
        Try one.
        """
        good = self.startServer()
        bad = ATTACKS[name](**self.options()).start(
            interface="127.0.0.2", port=good.port
        )
        self.addCleanup(bad.stop)
        await self.attacked(self.begin(good.port), good)
        self.assertEqual(bad.received, [])
        if any(place in name for place in ("MAIL", "RCPT", "DATA", "At.")):
            self.assertEqual(bad.sessions[0].isTLS, self.isTLS)


def _test(name: str) -> Callable[[AttackTests], Any]:
    async def test(self: AttackTests) -> None:
        await self.attack(name)

    return test


for _name in ATTACKS:
    setattr(AttackTests, f"test_A06_{_name.replace('.', 'TheDot')}", _test(_name))


class TLSAttackTests(AttackTests):
    """
    The same under TLS, but for what comes before it.
    """

    isTLS = True


class Trickster(LineReceiver):
    """
    A server that says the least there is to say, until its trick comes.

    @cvar said: The last command of each session.
    """

    transport: Any
    trick: str = ""
    said: ClassVar[list[bytes]] = []

    def connectionMade(self) -> None:
        """
        Greet.
        """
        self.sendLine(b"220 trickster")

    def lineReceived(self, line: bytes) -> None:
        """
        Answer.
        """
        verb = line[:4].upper()
        self.said.append(verb)
        if verb == b"EHLO":
            self.sendLine(b"250-trickster")
            self.sendLine(
                b"250 STARTTLS" if self.trick == "inject" else b"250 8BITMIME"
            )
        elif verb == b"STAR":
            self.transport.write(b"220 go on\r\n250-trickster\r\n250 PIPELINING\r\n")
            self.trick = "after"
            self.transport.startTLS(self.factory.context)
        elif verb == b"DATA":
            self.sendLine(b"354 go on")
            self.transport.pauseProducing()
        else:
            self.sendLine(b"250 ok")


class TrickTests(HostTestCase):
    """
    Tricks that need a server of their own.
    """

    async def trickster(self, port: int, trick: str) -> None:
        """
        Start one.
        """
        from twisted.internet import reactor

        given: Any = reactor
        factory: Any = Factory.forProtocol(
            type("Tricks", (Trickster,), {"trick": trick, "said": []})
        )
        key, certificate = writeCertificate(self.directory, "mx.two.example")
        factory.context = loadTLS(key, certificate)
        self.said = factory.protocol.said
        endpoint = TCP4ServerEndpoint(given, port, interface="127.0.0.2")
        listening = await endpoint.listen(factory)
        self.addCleanup(listening.stopListening)

    async def test_A06_D22_neverReads(self) -> None:
        """
        A host that asks for the message and does not read it is given up.
        """
        good = self.startServer()
        await self.trickster(good.port, "deaf")
        relay = self.begin(good.port)
        content = b"Subject: large\r\n\r\n" + b"x" * 70 + b"\r\n" * 3_000_000
        envelope = Envelope("a@sender.example", ("b@two.example",))
        await relay.queue.add(envelope, content)
        relay.manager.wake()
        await until(
            lambda: [line for line in self.logged() if line.startswith("retry id=")],
            "it is put off",
        )
        await submit(self.portOf(relay))
        await good.whenReceived(1)

    async def test_A02_injected(self) -> None:
        """
        What comes in clear behind the 220 to STARTTLS is not taken for what was said
        under TLS.
        """
        good = self.startServer()
        await self.trickster(good.port, "inject")
        relay = self.begin(good.port)
        await submit(self.portOf(relay), recipients=["b@two.example"])
        await until(lambda: b"DATA" in self.said, "the message is offered")
        # Not in one go, as PIPELINING would allow, and greeted once more.
        self.assertEqual(
            self.said, [b"EHLO", b"STAR", b"EHLO", b"MAIL", b"RCPT", b"DATA"]
        )


class StuffingTests(HostTestCase):
    """
    What leaves has one kind of line end, and its dots are doubled.
    """

    async def test_A01_boundaries(self) -> None:
        """
        Wherever pieces are cut, a dot at the begin of a line does not end the data,
        and no CR or LF leaves alone.
        """
        good = self.startServer()
        relay = self.begin(good.port)
        sizes = range(65_536 - 6, 65_536 + 3)
        for size in sizes:
            filler = b"x" * (size - 14)
            content = b"Subject: x\r\n\r\n" + filler + b"\r\n.\r\n\r\n..\rx\ny\r\n.z"
            envelope = Envelope("a@sender.example", ("b@one.example",))
            await relay.queue.add(envelope, content + b"w" * 70_000)
        relay.manager.wake()
        received = await good.whenReceived(len(sizes))
        for message in received:
            body = message.content.partition(b"x\r\n")[2].lstrip(b"\r\nx")
            self.assertIn(b"\r\n..\r\nx\r\ny\r\n.z", message.content)
            self.assertEqual(
                message.content.count(b"\n"), message.content.count(b"\r\n")
            )
            self.assertNotIn(b"MAIL", body)
