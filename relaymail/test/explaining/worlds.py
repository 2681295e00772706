# -*- test-case-name: relaymail.test.explaining.test_agreement -*-
"""
Random worlds, with destinations of all kinds and a relaying manager that is told
anything that an operator may tell it.
"""

from __future__ import annotations

import atexit
import random
import shutil
import tempfile
from collections.abc import Callable, Hashable, Sequence
from functools import cache
from ipaddress import ip_network
from typing import Any

from twisted.internet.defer import Deferred, succeed
from zope.interface import classImplementsOnly

from relaymail.deliver.explaining import Question
from relaymail.envelopes import Origin
from relaymail.interfaces import IQueue
from relaymail.outcome.verdicts import LaneState
from relaymail.outcomes import Outcome
from relaymail.protections import TLSResult
from relaymail.queue.memory import MemoryQueue
from relaymail.relaymanager import SmartHostESMTPRelayingManager
from relaymail.route.destinations import DestinationPolicy
from relaymail.route.hosts import Credentials, Host, TLSNeed
from relaymail.route.levels import TLSLevel
from relaymail.route.rules import Action, Routing, Rule
from relaymail.route.sts.policy import NOTHING, Found, STSMode, STSPolicy
from relaymail.route.terms import Terms
from relaymail.schedule.rates import Rate
from relaymail.testing.certificates import Throwaway, ThrowawayCA
from relaymail.testing.dns import Fault, Special, ZoneDNS
from relaymail.testing.doubles import MailWorld
from relaymail.testing.network import Fate
from relaymail.testing.servers import BROKEN_TLS, KEYWORDS, SMTPServer

OWN = "relay.example.com"
DOMAINS = ("one.example", "a.one.example", "two.example", "three.example")
HOSTS = (
    "mx1.one.example",
    "mx2.one.example",
    "mx.two.example",
    "in.provider.example",
    "out.provider.example",
)
SENDERS = ("", "ann@here.example", "bob@here.example", "eve@there.example")
CLIENTS = ("", "10.1.2.3", "192.168.1.2", "2001:db8:1::9")
USERS = ("", "ann", "bob")
#: Addresses that hosts have, some of which nobody answers at, and one that mail is
#: not sent to.
ADDRESSES = (
    *(f"192.0.2.{n}" for n in range(1, 9)),
    *(f"2001:db8::{n}" for n in range(1, 5)),
    "127.0.0.1",
)
#: What sessions with hosts that are named may need.
_NAMED_NEEDS = tuple(need for need in TLSNeed if need is not TLSNeed.DANE)
#: What hosts answer.
ANSWERS: tuple[dict[str, Any], ...] = (
    {},
    {},
    {},
    {"CONNECT": "554 5.3.2 No mail here"},
    {"CONNECT": "421 4.3.2 Not now"},
    {"STARTTLS": BROKEN_TLS},
    {"STARTTLS": "454 4.7.0 Not now"},
    {"RCPT": "550 5.1.1 Nobody"},
    {"RCPT": "451 4.2.0 Later"},
    {"MAIL": "530 5.7.0 No"},
)


@cache
def authority() -> ThrowawayCA:
    """
    Give the authority that relays trust.
    """
    return ThrowawayCA()


@cache
def authorityFile() -> str:
    """
    Give the path of its certificate.
    """
    directory = tempfile.mkdtemp(prefix="relaymail-explaining-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return authority().write(directory)


@cache
def certificate(*names: str) -> Throwaway:
    """
    Give a certificate.
    """
    return authority().issue(*names)


@cache
def stranger() -> Throwaway:
    """
    Give a certificate of nobody that is known.
    """
    return ThrowawayCA("Stranger").issue(*HOSTS)


class PlainQueue(MemoryQueue):
    """
    A queue in memory that holds nothing.
    """


classImplementsOnly(PlainQueue, IQueue)


class Policies:
    """
    Policies of MTA-STS by the domain.

    @ivar found: Those there are.
    @ivar newer: What the domain has by now, where that is something else.
    """

    def __init__(self) -> None:
        self.found: dict[str, Found] = {}
        self.newer: dict[str, Found] = {}

    def policyFor(self, domain: str) -> Deferred[Found]:
        """
        Give what is known.
        """
        return succeed(self.found.get(domain, NOTHING))

    def recheck(self, domain: str) -> Deferred[Found]:
        """
        Give what there is by now.
        """
        return succeed(self.newer.get(domain, self.found.get(domain, NOTHING)))

    def kept(self, domain: str) -> None:
        """
        Give nothing: it is on no disk.
        """


class WatchedManager(SmartHostESMTPRelayingManager):
    """
    Notes what it does.

    @ivar goals: The goals that a route was asked for.
    @ivar steps: The hosts that were tried, each with the addresses that had been
        connected to by then.
    @ivar outcomes: What became of each attempt.
    """

    goals: list[Hashable]
    steps: list[tuple[Host, int]]
    outcomes: list[Outcome]
    tried: list[tuple[str, int]]
    _end: int | None = None

    def watch(self, tried: list[tuple[str, int]]) -> None:
        """
        Begin to note.

        @param tried: What the network notes.
        """
        self.goals, self.steps, self.outcomes, self.tried = [], [], [], tried
        self.onOutcome = self._note

    @property
    def begun(self) -> list[tuple[str, int]]:
        """
        The addresses that were connected to until the first attempt was over.
        """
        return self.tried[: self._end]

    def _note(self, name: str, letter: Any, outcome: Outcome, line: Any) -> None:
        if not self.outcomes:
            self._end = len(self.tried)
        self.outcomes.append(outcome)

    def _routeTo(self, site: Hashable) -> Any:
        if self.onOutcome is not None:
            self.goals.append(site)
        return super()._routeTo(site)

    def _cbExchange(self, address: str, port: int, factory: Any) -> None:
        if not self.outcomes:
            self.steps.append((factory.manager.host, len(self.tried)))
        super()._cbExchange(address, port, factory)


class RandomWorld:
    """
    A world, and a message to be sent there.

    @ivar world: The world.
    @ivar question: The message.
    @ivar servers: The hosts in it.
    """

    def __init__(self, seed: int) -> None:
        """
        @param seed: What all chance comes from.
        """
        self._dice = random.Random(seed)
        queue = PlainQueue if self._chance(0.3) else MemoryQueue
        self.world = MailWorld(queue=queue, manager=_manager)
        self.manager: Any = self.world.manager
        self.zones: ZoneDNS = self.manager.mxcalc.resolver
        self.policies = Policies()
        self.servers: list[SMTPServer] = []
        self._makeHosts()
        for domain in DOMAINS:
            self._makeDomain(domain)
        self._tellManager()
        self.question = self._question()
        if queue is MemoryQueue and self._chance(0.4):
            self._sendBefore()
        self._makePast()

    def _chance(self, part: float) -> bool:
        return self._dice.random() < part

    def _some(self, values: Sequence[Any], most: int) -> tuple[Any, ...]:
        return tuple(self._dice.sample(values, self._dice.randint(1, most)))

    # Who is there.

    def _makeHosts(self) -> None:
        zones: Any = self.world.zones
        for address in ADDRESSES[:-1]:
            self._makeServer(address)
        for name in HOSTS:
            if self._chance(0.16):
                zones[name] = self._dice.choice((Fault.SERVFAIL, {}))
                continue
            records: dict[str, Any] = {}
            for address in self._some(ADDRESSES, 4):
                kind = "AAAA" if ":" in address else "A"
                records.setdefault(kind, []).append(address)
            zones[name] = self._entry(records)
            self._makeTLSA(name)

    def _makeServer(self, address: str) -> None:
        kind = self._dice.random()
        if kind < 0.25:
            self.world.network.fates[address] = self._dice.choice(list(Fate))
            return
        shown = self._dice.choice((None, stranger(), certificate(*HOSTS, *DOMAINS)))
        if kind > 0.5:
            shown = certificate(*HOSTS, *DOMAINS)
        keywords = KEYWORDS + (("REQUIRETLS",) if self._chance(0.7) else ())
        server = self.world.host(
            address,
            self._dice.choice(ANSWERS),
            keywords=keywords,
            contextFactory=shown and shown.contextFactory,
        )
        self.servers.append(server)

    def _entry(self, records: dict[str, Any]) -> Any:
        return Special(records, isSigned=self._chance(0.6), isBogus=self._chance(0.03))

    def _makeTLSA(self, name: str) -> None:
        good, wrong = certificate(*HOSTS, *DOMAINS), stranger()
        records = self._dice.choice(
            (
                None,
                None,
                [str(good.tlsa(3, 1, 1))],
                [str(wrong.tlsa(3, 1, 1))],
                [str(wrong.tlsa(3, 1, 1)), str(good.tlsa(3, 1, 1))],
                [f"1 1 1 {'00' * 32}"],
                Fault.SERVFAIL,
            )
        )
        if records is Fault.SERVFAIL:
            self.world.zones[f"_25._tcp.{name}"] = records
        elif records is not None:
            self.world.zones[f"_25._tcp.{name}"] = self._entry({"TLSA": records})

    def _makeDomain(self, domain: str) -> None:
        kind = self._dice.random()
        zones = self.world.zones
        if kind < 0.06:
            return
        if kind < 0.12:
            zones[domain] = self._entry({"MX": [(0, "")]})
        elif kind < 0.18:
            zones[domain] = Fault.SERVFAIL
        elif kind < 0.26:
            zones[domain] = self._entry({"A": list(self._some(ADDRESSES[:6], 2))})
        elif kind < 0.3:
            zones[domain] = self._entry({"CNAME": ["three.example"]})
        else:
            names = [*self._some(HOSTS, 3)]
            if self._chance(0.08):
                names.insert(self._dice.randrange(len(names) + 1), OWN)
            prefer = [10 * self._dice.randint(1, 3) for _ in names]
            records = list(zip(prefer, names, strict=True))
            zones[domain] = self._entry({"MX": records})
        self._makePolicy(domain)

    def _makePolicy(self, domain: str) -> None:
        if self._chance(0.4):
            self.policies.found[domain] = self._policy()
        if self._chance(0.1):
            self.policies.newer[domain] = self._policy()

    def _policy(self) -> Found:
        if self._chance(0.15):
            return Found(None, TLSResult.STS_FETCH, "the web server is silent")
        mode = self._dice.choice((STSMode.ENFORCE, STSMode.ENFORCE, *STSMode))
        patterns = self._some((*HOSTS, "*.one.example", "*.provider.example"), 3)
        lines = ("version: STSv1", f"mode: {mode.value}")
        return Found(STSPolicy(mode, patterns, 86_400, "1", lines))

    # What the operator says.

    def _tellManager(self) -> None:
        manager, dice = self.manager, self._dice
        manager.ownNames = (OWN,)
        manager.tls = TLSNeed.OFFERED
        manager.policies = self.policies if self._chance(0.8) else None
        manager.terms = self._terms() if self._chance(0.9) else None
        manager.connectTimeout = 30.0
        documentation = ("192.0.2.0/24", "2001:db8::/32")
        if self._chance(0.5):
            allowed = tuple(map(ip_network, documentation))
            manager.destinations = DestinationPolicy(allowed)
        if self._chance(0.15):
            manager.smartHosts = self._named()
        if self._chance(0.2):
            keys = ("ann@here.example", "@here.example", "@there.example")
            manager.senderHosts = {key: self._named() for key in self._some(keys, 2)}
        if self._chance(0.6):
            manager.routing = Routing(self._rule() for _ in range(dice.randint(1, 4)))
        if self._chance(0.15):
            manager.destinationRates = {"*": Rate(dice.choice((1, 5)), 600.0)}
            manager.senderRates = {"here.example": Rate(1, 300.0)}

    def _terms(self) -> Terms:
        dice = self._dice
        return Terms(
            level=dice.choice(list(TLSLevel)),
            names=self._some(HOSTS, 2) if self._chance(0.2) else (),
            caFile=authorityFile(),
            source=("198.51.100.1",) if self._chance(0.1) else (),
            helo="other.example.com" if self._chance(0.1) else "",
            fallback=self._named() if self._chance(0.25) else (),
        )

    def _named(self) -> tuple[Host, ...]:
        return tuple(
            Host(
                name,
                tls=self._dice.choice(_NAMED_NEEDS),
                credentials=Credentials("u", b"p") if self._chance(0.1) else None,
                caFile=authorityFile(),
                named=True,
            )
            for name in self._some((*HOSTS, "192.0.2.1"), 3)
        )

    def _rule(self) -> Rule:
        criteria: dict[str, Any] = {}
        choices: tuple[tuple[str, Sequence[Any], float], ...] = (
            ("recipients", (*DOMAINS, ".one.example", "joe@two.example", "*"), 0.6),
            ("senders", ("<>", "@here.example", "ann@here.example", "*"), 0.4),
            ("clients", tuple(map(ip_network, ("10.0.0.0/8", "2001:db8::/32"))), 0.2),
            ("users", ("*", "ann"), 0.2),
        )
        for kind, values, part in choices:
            if self._chance(part):
                criteria[kind] = self._some(values, 2)
        action = Action.DELIVER
        if self._chance(0.3):
            action = self._dice.choice(list(Action))
        if action is not Action.DELIVER:
            isTold = action in (Action.REFUSE, Action.HOLD) and self._chance(0.5)
            return Rule(action=action, text="Not so" if isTold else "", **criteria)
        if self._chance(0.3):
            return Rule(hosts=self._named(), **criteria)
        terms = self._terms() if self._chance(0.7) else None
        return Rule(terms=terms, **criteria)

    def _question(self) -> Question:
        dice = self._dice
        origin = Origin(dice.choice(CLIENTS), dice.choice(USERS))
        domains = (*DOMAINS, "nowhere.example", "[192.0.2.1]", "[IPv6:2001:db8::1]")
        weights = [6] * len(DOMAINS) + [1, 1, 1]
        domain = dice.choices(domains, weights)[0]
        return Question(
            f"joe@{domain}",
            dice.choice(SENDERS),
            origin,
            requireTLS=self._chance(0.2),
            tlsOptional=self._chance(0.15),
        )

    # What has happened before.

    def _makePast(self) -> None:
        manager, now = self.manager, self.world.network.seconds()
        domain = self.question.recipient.rpartition("@")[2]
        pasts: list[tuple[float, Callable[[], object]]] = [
            (0.15, lambda: manager.mxcalc.markBad(self._dice.choice(HOSTS))),
            (0.05, lambda: manager.suspend(domain, "by way of trial")),
            (0.2, lambda: self._fail(manager)),
            (0.1, lambda: self._useUp(manager, now)),
            (0.1, lambda: self._clear(manager, now)),
        ]
        for part, happen in pasts:
            if self._chance(part):
                happen()
        named = [h for hosts in manager.senderHosts.values() for h in hosts]
        for host in (*manager.smartHosts, *named):
            if self._chance(0.2):
                manager._named.markBad(host, now)

    def _sendBefore(self) -> None:
        """
        Send mail before, to whom the message is for or to others, so that something is
        known of their hosts, addresses and sites.
        """
        for _ in range(self._dice.randint(1, 3)):
            for number in range(self._dice.choice((1, 6))):
                to = f"x{number}@{self._dice.choice(DOMAINS)}"
                self.world.send(self._dice.choice(SENDERS), to)
            self.world.run(self._dice.choice((30, 200)))
        while self.manager.managed:
            self.world.run(30)
        for name in list(self.world.queue._entries):
            self.manager.removeNow(name, "that was before")
        self.world.run(1)

    def _fail(self, manager: Any) -> None:
        questions = [self.question]
        if self._chance(0.5):
            questions = [Question(f"x@{domain}") for domain in DOMAINS]
        for question in questions:
            lane = manager.laneFor(question.outline(0.0))
            for _ in range(self._dice.choice((1, 10))):
                manager.noteLane(lane, LaneState.FAILING, "no good")

    def _useUp(self, manager: Any, now: float) -> None:
        limits = getattr(manager.laneFor(self.question.outline(0.0)), "limits", ())
        manager._work.scheduler.rates.take(limits, 1, now)

    def _clear(self, manager: Any, now: float) -> None:
        host = Host(self._dice.choice(HOSTS))
        manager.clearHosts.remember(host, 25, "TLS failed", now)


def _manager(queue: Any) -> WatchedManager:
    manager = WatchedManager(queue)
    manager.fArgs = (None, None, OWN.encode("ascii"))
    manager.hostname = OWN
    return manager
