# -*- test-case-name: relaymail.test.stories.test_suspension -*-
"""
Destinations that do not serve, or that an operator suspends; rates; and why mail
waits.
"""

from __future__ import annotations

from typing import Any

from relaymail.envelopes import DeliverBy, Envelope, Parameters
from relaymail.errors import MalformedAddress
from relaymail.route.hosts import Host, TLSNeed
from relaymail.schedule.paces import (
    FIRST_PACE,
    LONGEST_SUSPENSION,
    MANY_FAILURES,
    PROBE,
    State,
)
from relaymail.schedule.rates import Rate
from relaymail.test.stories.harness import FIRST, SECOND, SENDER, Logged, StoryTestCase
from relaymail.testing.network import Fate
from relaymail.testing.servers import Act, Late

#: For how long a destination is suspended at first, in seconds.
FIRST_SUSPENSION = 60.0


class FailingTests(StoryTestCase):
    """
    A destination that does not serve.
    """

    def setUp(self) -> None:
        super().setUp()
        self.set(
            maxMessagesPerConnection=20,
            retrySchedule=(60.0, 300.0, 3600.0),
            chance=lambda: 0.5,
        )
        self.mx = self.world.host(FIRST)
        self.world.network.fates[FIRST] = Fate.REFUSED

    def failOften(self) -> None:
        """
        Let it fail until it is suspended.
        """
        for _ in range(MANY_FAILURES):
            self.relayed(seconds=1)

    def tried(self) -> int:
        """
        Tell how often it was tried to connect.
        """
        return sum(FIRST in str(where) for where in self.world.network.tried)

    def state(self) -> State:
        """
        Tell how the destination stands.
        """
        return self.world.manager.standingOf("example.org").state

    def test_costsLittle(self) -> None:
        """
        However much mail there is, what fails is tried now and then, a little
        at a time, and less often the longer it fails.
        """
        for number in range(300):
            self.world.send(SENDER, "b@example.org", content=b"%d\r\n" % number)
        self.world.run(3600)
        self.assertTrue(MANY_FAILURES < self.tried() < 60)
        self.assertEqual(self.state(), State.SUSPENDED)
        before = self.tried()
        self.world.run(3600)
        self.assertLessEqual(self.tried() - before, 3600 / LONGEST_SUSPENSION * 1.3 + 1)

    def test_newMailRests(self) -> None:
        """
        Mail that comes while a destination is suspended is not tried before
        that is over, and no attempt is counted.
        """
        self.failOften()
        before = self.tried()
        (name,) = self.relayed(seconds=FIRST_SUSPENSION / 2)
        self.assertEqual(self.tried(), before)
        self.assertEqual(self.world.queue.letter(name).attempts, 0)
        self.assertEqual(self.world.queue.getWaiting(), [])

    def test_othersDoNotNotice(self) -> None:
        """
        Mail for other destinations goes at once.
        """
        self.failOften()
        self.world.exchange("other.example", {"mx.other.example": SECOND})
        other = self.world.host(SECOND)
        self.relayed("b@other.example", seconds=0)
        self.assertEqual(len(other.received), 1)

    def test_recovers(self) -> None:
        """
        When a suspended destination serves again, what waits goes, no later
        than the longest suspension.
        """
        self.failOften()
        for number in range(3 * PROBE):
            self.world.send(SENDER, "b@example.org", content=b"%d\r\n" % number)
        self.world.run(FIRST_SUSPENSION * 3)
        del self.world.network.fates[FIRST]
        self.world.run(LONGEST_SUSPENSION * 1.2 + 60)
        self.assertEqual(len(self.mx.received), 3 * PROBE + MANY_FAILURES)
        self.assertEqual(self.state(), State.READY)
        self.assertEmpty()

    def test_goesOnAtOnce(self) -> None:
        """
        The first delivery lets go all that rests because of the suspension.
        """
        self.failOften()
        self.world.run(200)
        del self.world.network.fates[FIRST]
        for number in range(3 * PROBE):
            self.world.send(SENDER, "b@example.org", content=b"%d\r\n" % number)
        while not self.mx.received:
            self.world.run(1)
        self.world.run(5)
        self.assertGreaterEqual(len(self.mx.received), 3 * PROBE)

    def test_saidOnce(self) -> None:
        """
        A line says that it is suspended, for how long, and why.
        """
        with Logged() as logged:
            self.failOften()
        lines = [text for text in logged.texts if "is tried again in" in text]
        self.assertEqual(len(lines), 1)
        self.assertIn("example.org fails and is tried again in 60 s: ", lines[0])
        self.assertIn("refused", lines[0])

    def test_D31_oldMailIsGivenUp(self) -> None:
        """
        Mail whose time is over bounces, although its destination is suspended.
        """
        self.set(expireAfter=1800.0)
        for number in range(100):
            self.world.send(SENDER, "b@example.org", content=b"%d\r\n" % number)
        self.world.run(1800 + LONGEST_SUSPENSION * 1.3)
        self.assertEqual(len(self.home.received), 100)
        self.assertEmpty()

    def test_D31_returnedInTime(self) -> None:
        """
        Mail that is to be returned if it is not there by a time is returned then,
        although its destination is suspended.
        """
        self.failOften()
        by = self.world.network.seconds() + 30
        asked = Parameters(deliverBy=DeliverBy(by, returns=True))
        envelope = Envelope(SENDER, ("late@example.org",), asked)
        self.world.queue.add(envelope, b"Soon!\r\n")
        self.world.run(29)
        self.assertEqual(self.home.received, [])
        self.world.run(2)
        self.assertIn(b"late@example.org", self.home.received[0].content)
        # The attempt that has it returned, and no more.
        self.assertEqual(self.tried(), MANY_FAILURES + 1)

    def test_answersAreNoFailures(self) -> None:
        """
        A destination that refuses every recipient serves.
        """
        del self.world.network.fates[FIRST]
        self.mx.answers["RCPT"] = "550 5.1.1 nobody"
        self.failOften()
        self.assertEqual(self.state(), State.READY)

    def test_D13_mailRefusedForNow(self) -> None:
        """
        A destination that wants no mail of one sender now serves; and one whose
        policy that is gets fewer connections.
        """
        del self.world.network.fates[FIRST]
        for text, why in (
            ("451 4.1.8 Who are you?", ""),
            ("451 4.7.1 Slower", "4.7.1"),
        ):
            self.mx.answers["MAIL"] = text
            self.failOften()
            standing = self.world.manager.standingOf("example.org")
            self.assertEqual(standing.state, State.READY)
            self.assertIn(why, standing.why)

    def test_oneConnectionIsOneFailure(self) -> None:
        """
        A connection that is lost with many recipients counts once.
        """
        del self.world.network.fates[FIRST]
        self.mx.answers["."] = Act.CLOSE
        self.set(recipientsPerTransaction=20)
        self.relayed(*(f"b{number}@example.org" for number in range(20)))
        self.assertEqual(len(self.mx.sessions), 1)
        standing = self.world.manager.standingOf("example.org")
        self.assertEqual(standing.allowed, FIRST_PACE // 2)
        self.assertIn("connection lost", standing.why)


class SuspendTests(StoryTestCase):
    """
    A destination that an operator suspends.
    """

    def test_untilItIsResumed(self) -> None:
        """
        Nothing goes to it and nothing expires, until it is resumed.
        """
        self.set(expireAfter=3600.0)
        mx = self.world.host(FIRST)
        self.world.manager.suspend("example.org", "they asked us to")
        self.relayed(seconds=7200)
        self.assertEqual((mx.sessions, self.home.received), ([], []))
        standing = self.world.manager.standingOf("example.org")
        self.assertEqual(
            (standing.state, standing.why), (State.SUSPENDED, "they asked us to")
        )
        self.world.manager.resume("example.org")
        self.world.run(1)
        self.assertEqual(len(mx.received), 1)

    def test_anyWayToWriteIt(self) -> None:
        """
        A domain is meant however it is written, and nothing else is one.
        """
        manager = self.world.manager
        names: list[Any] = ["Example.ORG", b"example.org", "example.org."]
        for name in names:
            manager.suspend(name)
            self.assertIsNotNone(manager.suspendedUntil("example.org"), name)
            self.assertIsNotNone(manager.suspendedUntil(name), name)
            manager.resume(name)
            self.assertIsNone(manager.suspendedUntil("example.org"), name)
        self.assertRaises(MalformedAddress, manager.suspend, "not a domain")
        self.assertIsNone(manager.suspendedUntil("not a domain"))

    def test_P3_takenByAProgram(self) -> None:
        """
        What a program has taken itself is left to it.
        """
        self.set(maxConnections=10, maxMessagesPerConnection=1)
        self.world.host(FIRST, {".": Late(60, "250 Ok")})
        for _ in range(FIRST_PACE):
            self.relayed(seconds=0)
        (name,) = self.relayed(seconds=1)
        (other,) = self.relayed(seconds=1)
        self.world.queue.setRelaying(name)
        self.world.manager.suspend("example.org")
        self.assertEqual(list(self.world.queue.getResting()), [other])
        self.assertIn(name, self.world.queue.getRelayed())

    def test_whatIsUnderWayEnds(self) -> None:
        """
        What is being sent is sent, and what waited behind it rests.
        """
        self.set(maxConnections=1, maxMessagesPerConnection=1)
        mx = self.world.host(FIRST, {".": Late(5, "250 Ok")})
        self.relayed(seconds=1)
        (name,) = self.relayed(seconds=1)
        self.world.manager.suspend("example.org")
        self.world.run(60)
        self.assertEqual(len(mx.received), 1)
        self.assertRetried(name)

    def test_smartHosts(self) -> None:
        """
        With smart hosts, too, it is one destination that rests, whether its mail
        came before that or after it, and then goes with the others.
        """
        self.set(smartHosts=(Host("mx.example.org", tls=TLSNeed.NEVER),))
        mx = self.world.host(FIRST)
        self.world.send(SENDER, "a@one.example", "b@two.example")
        with Logged() as logged:
            self.world.manager.suspend("one.example", "no reason")
        self.assertIn("one.example is suspended: no reason", logged.texts)
        self.world.send(SENDER, "c@one.example", "d@two.example")
        self.world.run(600)
        sent = [to for message in mx.received for to in message.recipients]
        self.assertEqual(sorted(sent), ["b@two.example", "d@two.example"])
        standing = self.world.manager.standingOf("one.example")
        self.assertEqual(standing.why, "no reason")
        self.world.manager.resume("one.example")
        self.world.run(10)
        self.assertEqual(len(mx.received), 4)


class RateTests(StoryTestCase):
    """
    Rates.
    """

    def flood(
        self, count: int, sender: str = SENDER, to: str = "b@example.org"
    ) -> None:
        """
        Queue some messages.
        """
        for number in range(count):
            self.world.send(sender, to, content=b"%d\r\n" % number)

    def test_destination(self) -> None:
        """
        No more goes to a destination than its rate allows, over several
        connections or one, and all of it goes in the end.
        """
        self.set(destinationRates={"example.org": Rate(5, 60.0)}, maxConnections=10)
        mx = self.world.host(FIRST)
        self.flood(12)
        self.world.run(1)
        self.assertEqual(len(mx.received), 5)
        self.world.run(60)
        self.assertEqual(len(mx.received), 10)
        standing = self.world.manager.standingOf("example.org")
        self.assertEqual(standing.state, State.THROTTLED)
        self.assertIn("5/m for the destination example.org", standing.why)
        self.world.run(60)
        self.assertEqual(len(mx.received), 12)
        self.assertEmpty()

    def test_sender(self) -> None:
        """
        A sender's rate holds wherever the mail goes, and for nobody else.
        """
        self.set(senderRates={"bulk.example": Rate(4, 60.0)}, maxConnections=10)
        self.world.exchange("other.example", {"mx.other.example": SECOND})
        mx, other = self.world.host(FIRST), self.world.host(SECOND)
        for to in ("b@example.org", "b@other.example"):
            self.flood(6, "news@bulk.example", to)
        self.flood(3)
        self.world.run(1)
        senders = [m.sender for m in (*mx.received, *other.received)]
        self.assertEqual(senders.count("news@bulk.example"), 4)
        self.assertEqual(senders.count(SENDER), 3)
        self.world.run(180)
        self.assertEqual(len(mx.received) + len(other.received), 15)
        self.assertEmpty()

    def test_allConnectionsAreBusy(self) -> None:
        """
        A rate that leaves something again while every connection is in use waits
        for one, and keeps nobody busy.
        """
        self.set(destinationRates={"example.org": Rate(1, 10.0)}, maxConnections=2)
        self.world.exchange("other.example", {"mx.other.example": SECOND})
        mx = self.world.host(FIRST)
        self.world.host(SECOND, {".": Late(60, "250 Ok")})
        self.flood(2)
        self.world.run(1)
        self.flood(2, to="b@other.example")
        self.world.run(20)
        self.assertEqual(len(mx.received), 1)
        self.world.run(60)
        self.assertEqual(len(mx.received), 2)

    def test_keptConnection(self) -> None:
        """
        A connection that is kept for mail to come is not kept from what a rate
        holds back, nor closed for it.
        """
        self.set(
            destinationRates={"example.org": Rate(1, 10.0)},
            idleTimeout=30,
            maxConnections=10,
        )
        mx = self.world.host(FIRST)
        self.flood(3)
        self.world.run(25)
        self.assertEqual((len(mx.received), len(mx.sessions)), (3, 1))
