# -*- test-case-name: relaymail.test.stories.test_sites -*-
"""
Domains that share their hosts.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred

from relaymail.relaymanager import SmartHostESMTPRelayingManager
from relaymail.route.hosts import Route, TLSNeed
from relaymail.schedule.paces import FIRST_PACE
from relaymail.schedule.rates import Rate
from relaymail.schedule.sites import MXSite
from relaymail.test.stories.harness import (
    FIRST,
    SECOND,
    SENDER,
    THIRD,
    Logged,
    StoryTestCase,
)
from relaymail.testing.dns import Fault
from relaymail.testing.doubles import MailWorld
from relaymail.testing.network import Fate
from relaymail.testing.servers import Act, Late

#: How long what was looked up holds, in seconds.
TTL = 300.0
BIG = MXSite(("mx1.big.example", "mx2.big.example"))
SMTP = ("PIPELINING", "8BITMIME", "SIZE 1000000")


class RememberingManager(SmartHostESMTPRelayingManager):
    """
    A relaying manager that knows how long what was looked up holds.

    @ivar ttl: How long that is, in seconds.
    @ivar asked: For which goals hosts were looked up.
    @ivar needs: What sessions with the hosts of some goals need.
    """

    tls = TLSNeed.OFFERED
    ttl = TTL

    def __init__(self, queue: Any) -> None:
        super().__init__(queue, 100, 100)
        self.fArgs = (None, None, b"relay.example.com")
        self.hostname = "relay.example.com"
        self.asked: list[Any] = []
        self.needs: dict[Any, TLSNeed] = {}

    def hostsFor(self, destination: Any) -> Deferred[Route]:
        """
        Look up the hosts of a domain.
        """
        self.asked.append(destination)
        found = maybeDeferred(super().hostsFor, destination)
        return found.addCallback(self._lasting, destination)

    def _lasting(self, route: Route, goal: Any) -> Route:
        need = self.needs.get(goal, self.tls)
        return replace(
            route,
            until=self._theReactor().seconds() + self.ttl,
            hosts=tuple(replace(host, tls=need) for host in route.hosts),
        )


class SiteStoryTestCase(StoryTestCase):
    """
    A test in a world with a provider whose two hosts take mail for many domains.

    @ivar first: Its first host.
    @ivar second: Its second host.
    @ivar most: How many connections there were to both at most.
    """

    def setUp(self) -> None:
        self.enter(MailWorld(manager=RememberingManager))
        self.manager: Any = self.world.manager
        self.first = self.world.host(FIRST, keywords=SMTP)
        self.second = self.world.host(SECOND, keywords=SMTP)
        self.most = 0
        for host in (self.first, self.second):
            host.onExchange = self.count

    def count(self, *_: Any) -> None:
        """
        Count the connections that there are.
        """
        now = len(self.first.open) + len(self.second.open)
        self.most = max(self.most, now)

    def domain(self, name: str, preferences: tuple[int, int] = (10, 20)) -> None:
        """
        Make a domain whose mail the provider takes.
        """
        zones = self.world.zones
        hosts = ("mx1.big.example", "mx2.big.example")
        zones[name] = {"MX": list(zip(preferences, hosts, strict=True))}
        zones["mx1.big.example"] = {"A": [FIRST]}
        zones["mx2.big.example"] = {"A": [SECOND]}

    def domains(self, *numbers: int) -> list[str]:
        """
        Make domains.
        """
        names = [f"d{number}.example" for number in numbers]
        for name in names:
            self.domain(name)
        return names

    def post(self, *domains: str) -> None:
        """
        Queue a message of its own for somebody at each domain.
        """
        for domain in domains:
            self.world.send(SENDER, f"b@{domain}", content=domain.encode() + b"\r\n")

    @property
    def sessions(self) -> int:
        """
        How many connections there were to both hosts.
        """
        return len(self.first.sessions) + len(self.second.sessions)

    def arrived(self) -> list[str]:
        """
        Give the recipients whom mail has reached, each as often as it has.
        """
        messages = (*self.first.received, *self.second.received)
        return [recipient for m in messages for recipient in m.recipients]


class BurstTests(SiteStoryTestCase):
    """
    Tests for the first mail to many domains of one provider.
    """

    def burst(self, count: int) -> list[str]:
        """
        Queue mail for that many new domains at once.
        """
        domains = self.domains(*range(count))
        self.post(*domains)
        return [f"b@{domain}" for domain in domains]

    def test_noMoreConnectionsThanASiteMayHave(self) -> None:
        """
        Three hundred domains of which nothing is known: at no time are there more
        connections than one site may have, and a few carry all of the mail, each
        message once.
        """
        self.first.answers["."] = Late(2, "250 Ok")
        recipients = self.burst(300)
        for _ in range(200):
            self.world.run(1)
            known = self.manager._work.scheduler.paces.allowed(BIG)
            self.assertLessEqual(self.manager.connectionsTo("d0.example"), known)
            self.assertLessEqual(len(self.first.open), known)
        self.assertEqual(sorted(self.arrived()), sorted(recipients))
        self.assertLessEqual(self.most, self.manager.maxConnectionsPerSite)
        self.assertLessEqual(self.sessions, 40)
        self.assertEqual(self.second.sessions, [])
        self.assertEmpty()

    def test_aHostThatBearsLittle(self) -> None:
        """
        Where a site may have no more than two connections, there never are more.
        """
        self.set(maxConnectionsPerSite=2)
        self.first.answers["."] = Late(1, "250 Ok")
        recipients = self.burst(60)
        self.world.run(120)
        self.assertEqual(sorted(self.arrived()), sorted(recipients))
        self.assertEqual(self.most, 2)
        self.assertLessEqual(self.sessions, 4)

    def test_standingBackCostsNothing(self) -> None:
        """
        Mail whose site turned out to have no room goes as soon as there is some: it
        counts as its first attempt, and each domain is looked up once.
        """
        self.set(maxConnectionsPerSite=1)
        self.first.answers["."] = Late(0.1, "250 Ok")
        with Logged() as logged:
            self.burst(10)
            self.world.run(5)
        self.assertEqual(len(self.arrived()), 10)
        self.assertEqual(self.sessions, 1)
        self.assertEqual(len(logged.outcomes), 10)
        for line in logged.outcomes:
            self.assertIn(" attempts=1 ", line)
        self.assertEqual(len(set(self.manager.asked)), len(self.manager.asked))

    def test_othersGoOn(self) -> None:
        """
        Other sites do not wait for the many domains of one that is slow.
        """
        self.set(maxConnections=10)
        self.first.answers["CONNECT"] = Act.SILENCE
        other = self.world.host(THIRD)
        self.burst(100)
        self.world.run(1)
        for name in ("one.example", "two.example"):
            self.world.exchange(name, {f"mx.{name}": THIRD})
            self.post(name)
        self.world.run(1)
        self.assertEqual(len(other.received), 2)
        self.assertLessEqual(self.most, FIRST_PACE)

    def test_limitedDestinations(self) -> None:
        """
        What goes to each domain is limited by its own rate, whoever's connection it
        goes over.
        """
        self.set(destinationRates={"d0.example": Rate(2, 60.0), "*": Rate(100, 60.0)})
        self.domains(0, 1)
        self.post(*["d0.example", "d1.example"] * 5)
        self.world.run(50)
        self.assertEqual(self.arrived().count("b@d0.example"), 3)
        self.assertEqual(self.arrived().count("b@d1.example"), 5)
        self.world.run(100)
        self.assertEqual(len(self.arrived()), 10)


class ReuseTests(SiteStoryTestCase):
    """
    Tests for connections that carry the mail of several domains.
    """

    def setUp(self) -> None:
        super().setUp()
        self.set(idleTimeout=30)
        self.domains(0, 1, 2)

    def test_aKeptConnectionTakesIt(self) -> None:
        """
        Mail for another domain goes over the connection that waits, whether its
        hosts are known or not: then they are looked up first.
        """
        for name in ("d0.example", "d1.example", "d1.example", "d0.example"):
            self.post(name)
            self.world.run(2)
        self.assertEqual((len(self.arrived()), self.sessions), (4, 1))
        self.assertEqual(self.manager.asked, ["d0.example", "d1.example"])

    def test_lookedUpAgain(self) -> None:
        """
        What was looked up too long ago is looked up again, and then the mail goes
        over the connection that waits all the same.
        """
        self.set(idleTimeout=10 * TTL)
        for name in ("d1.example", "d0.example"):
            self.post(name)
            self.world.run(TTL + 1)
        self.manager.asked.clear()
        self.post("d0.example")
        self.world.run(1)
        self.assertEqual((len(self.arrived()), self.sessions), (3, 1))
        self.assertEqual(self.manager.asked, ["d0.example"])

    def test_P3_holdsForNoTime(self) -> None:
        """
        What holds for no time is good for the mail that it was looked up for, which
        waits for no connection that could not take it.
        """
        self.set(ttl=0.0)
        for name in ("d0.example", "d1.example", "d0.example"):
            self.post(name)
            self.world.run(2)
        self.assertEqual((len(self.arrived()), self.sessions), (3, 3))
        self.assertEqual(len(self.manager.asked), 3)

    def test_oneDomainInATransaction(self) -> None:
        """
        Recipients of several domains are not named in one transaction: hosts that
        take mail for many domains may not take that.
        """
        self.set(recipientsPerTransaction=100, maxConnectionsPerSite=1)
        domains = ["d0.example", "d1.example", "d2.example"]
        self.world.send(
            SENDER, *(f"{user}@{domain}" for domain in domains for user in "abc")
        )
        self.world.run(5)
        found = [sorted(m.recipients) for m in self.first.received]
        self.assertEqual(
            sorted(found), [[f"{u}@{domain}" for u in "abc"] for domain in domains]
        )
        self.assertEqual(self.sessions, 1)

    def test_whatSessionsNeedKeepsApart(self) -> None:
        """
        Mail that needs another kind of session never goes over a connection that was
        made for less, nor for more.
        """
        self.manager.needs["d1.example"] = TLSNeed.ENCRYPTED
        for name in ("d0.example", "d1.example", "d0.example", "d1.example"):
            self.post(name)
            self.world.run(2)
        self.assertEqual(self.arrived(), ["b@d0.example"] * 2)
        self.assertIn("d1.example", self.manager.asked)
        # It had connections of its own, which were in clear.
        self.assertGreater(self.sessions, 1)

    def test_ownNeedsMayChange(self) -> None:
        """
        Where a domain's mail is found to need another kind of session, it does not
        go on over the connection it had.
        """
        self.set(maxConnectionsPerSite=2)
        self.post("d0.example")
        self.world.run(1)
        self.manager.needs["d0.example"] = TLSNeed.ENCRYPTED
        # Somebody else's attempt looks it up; here it is looked up for nothing.
        found: list[Route] = []
        self.manager.hostsFor("d0.example").addCallback(found.append)
        self.manager._learn("d0.example", found[0])
        self.post("d0.example")
        self.world.run(1)
        self.assertEqual(len(self.arrived()), 1)
        self.assertGreater(self.sessions, 1)

    def test_preferenceKeepsApart(self) -> None:
        """
        A domain that prefers the other host has its mail sent there.
        """
        self.domain("d1.example", (20, 10))
        for name in ("d0.example", "d1.example"):
            self.post(name)
            self.world.run(2)
        self.assertEqual([len(h.received) for h in (self.first, self.second)], [1, 1])

    def test_equalsAreShared(self) -> None:
        """
        The order in which equals stand by chance keeps nobody apart.
        """
        self.manager.mxcalc.shuffle = Random(7).shuffle
        for number in range(10):
            self.domain(f"d{number}.example", (10, 10))
            self.post(f"d{number}.example")
            self.world.run(2)
        self.assertEqual((len(self.arrived()), self.sessions), (10, 1))

    def test_ownMailFirst(self) -> None:
        """
        A connection goes on with the mail of its own domain first.
        """
        self.set(maxConnectionsPerSite=1)
        self.post("d0.example", "d1.example", "d2.example")
        self.world.run(1)
        self.first.received.clear()
        self.first.answers["."] = [Late(1, "250 Ok"), "250 Ok"]
        self.manager._kept.letOldestGo()
        self.world.run(1)
        self.post("d1.example")
        self.world.run(0.5)
        self.post("d0.example", "d2.example", "d1.example")
        self.world.run(20)
        self.assertEqual(self.arrived()[:2], ["b@d1.example"] * 2)
        self.assertEqual(len(self.arrived()), 4)

    def test_outcomesNameTheRightOne(self) -> None:
        """
        What is refused is refused for the recipient it was said of.
        """
        self.first.answers["RCPT b@d1.example"] = "550 5.1.1 Who is that?"
        self.set(maxConnectionsPerSite=1)
        with Logged() as logged:
            self.post("d0.example", "d1.example", "d2.example")
            self.world.run(2)
        outcomes = {
            line.partition("to=<b@")[2].partition(".")[0]: line.split()[0]
            for line in logged.outcomes
            if "to=<b@" in line
        }
        self.assertEqual(
            outcomes, {"d0": "delivered", "d1": "bounced", "d2": "delivered"}
        )
        self.assertEqual(len(self.notices()), 1)

    def test_settingsChanged(self) -> None:
        """
        What was begun before the relay was told something else takes no more.
        """
        self.set(maxConnectionsPerSite=1)
        self.first.answers["."] = [Late(2, "250 Ok"), "250 Ok"]
        self.post("d0.example")
        self.world.run(1)
        self.post("d0.example", "d1.example")
        self.manager.settingsChanged()
        self.world.run(5)
        self.assertEqual(len(self.arrived()), 3)
        counts = [
            sum(m.session is s for m in self.first.received)
            for s in self.first.sessions
        ]
        self.assertEqual(counts[0], 1)


class FailingTests(SiteStoryTestCase):
    """
    Tests for sites that fail.
    """

    def breakDown(self) -> list[str]:
        """
        Let the provider fail, until it is suspended.
        """
        for address in (FIRST, SECOND):
            self.world.network.fates[address] = Fate.REFUSED
        domains = self.domains(*range(8))
        for domain in domains[:6]:
            self.post(domain)
            self.world.run(1)
        return domains

    def test_allOfItRests(self) -> None:
        """
        A provider that fails is suspended for all of its domains: what comes for one
        that is known already is not tried, and what comes for a new one is not
        either once that is known to be one of them.
        """
        domains = self.breakDown()
        manager = self.manager
        for domain in domains[:6]:
            self.assertIsNotNone(manager.suspendedUntil(domain))
        before = len(self.world.network.tried)
        self.post(domains[0], domains[7])
        self.world.run(5)
        self.assertEqual(len(self.world.network.tried), before)
        self.assertIsNotNone(manager.suspendedUntil(domains[7]))
        self.assertIn("5 times in a row", manager.standingOf(domains[7]).why)

    def test_allOfItGoesOn(self) -> None:
        """
        When it serves again, all of them are served.
        """
        self.breakDown()
        self.world.network.fates.clear()
        self.world.run(3600)
        self.assertEqual(len(self.arrived()), 6)
        self.assertEmpty()

    def test_movedAway(self) -> None:
        """
        A domain whose mail rests because its provider fails goes on as soon as it is
        known to have other hosts.
        """
        self.breakDown()
        other = self.world.host(THIRD)
        self.world.exchange("d0.example", {"mx.other.example": THIRD})
        found: list[Route] = []
        self.manager.hostsFor("d0.example").addCallback(found.append)
        self.post("d0.example")
        self.world.run(1)
        self.assertEqual(other.received, [])
        self.manager._learn("d0.example", found[0])
        self.world.run(1)
        self.assertEqual(len(other.received), 1)

    def test_noAnswerIsNotTheirFault(self) -> None:
        """
        A domain whose hosts cannot be looked up any more is by itself: the others
        are served.
        """
        domains = self.domains(*range(8))
        for domain in domains:
            self.post(domain)
        self.world.run(5)
        for domain in domains[:6]:
            self.world.zones[domain] = Fault.SERVFAIL
            self.post(domain)
            self.world.run(1)
        self.assertIsNone(self.manager.suspendedUntil(domains[7]))
        self.post(domains[7])
        self.world.run(1)
        self.assertEqual(self.arrived().count("b@d7.example"), 2)

    def test_whatOneNeedsIsNotTheirFault(self) -> None:
        """
        Mail that needs more than the provider can do is no reason not to send it other
        mail: only that domain's rests.
        """
        domains = self.domains(*range(8))
        self.manager.needs[domains[0]] = TLSNeed.ENCRYPTED
        self.post(*domains[1:])
        self.world.run(1)
        for _ in range(6):
            self.post(domains[0])
            self.world.run(1)
        self.assertIsNotNone(self.manager.suspendedUntil(domains[0]))
        self.assertIn("in a row", self.manager.standingOf(domains[0]).why)
        for domain in domains[1:]:
            self.assertIsNone(self.manager.suspendedUntil(domain))
            self.assertNotIn("in a row", self.manager.standingOf(domain).why)
        self.manager.needs.clear()
        self.world.run(3600)
        self.assertEqual(self.arrived().count("b@d0.example"), 6)
        self.assertEmpty()

    def test_anOperatorMeansTheDomain(self) -> None:
        """
        What an operator suspends is the domain, and not the others of its provider.
        """
        domains = self.domains(0, 1)
        self.post(*domains)
        self.world.run(1)
        self.manager.suspend(domains[0])
        self.post(*domains)
        self.world.run(1)
        self.assertEqual(self.arrived().count("b@d0.example"), 1)
        self.assertEqual(self.arrived().count("b@d1.example"), 2)
        self.assertEqual(self.manager.standingOf(domains[0]).why, "by the operator")
        self.manager.resume(domains[0])
        self.world.run(1)
        self.assertEqual(self.arrived().count("b@d0.example"), 2)

    def test_theOperatorForgives(self) -> None:
        """
        A provider that is resumed for one of its domains is tried again.
        """
        domains = self.breakDown()
        self.world.network.fates.clear()
        self.manager.resume(domains[0])
        for domain in domains[:6]:
            self.assertIsNone(self.manager.suspendedUntil(domain))
