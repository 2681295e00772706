# -*- test-case-name: relaymail.test.simulation.test_worlds -*-
"""
Random worlds: what they are made of comes from a seed, and what must become of
each message is known beforehand.

All that is broken is mended within a day and a half, and mail is tried for five
days: so every recipient that can be reached at all gets his mail, however often
it was refused for the time being, and one who never could does not.
"""

from __future__ import annotations

import errno
import functools
import random
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from attrs import evolve
from twisted.internet.defer import maybeDeferred
from twisted.python.failure import Failure

from relaymail.deliver.steering import LONGEST_REST
from relaymail.envelopes import Parameters
from relaymail.errors import ConfigurationError, QueueError
from relaymail.inspection import Listed, NameState, Page, Selection
from relaymail.schedule.rates import Rate
from relaymail.test.simulation.contents import makeBody
from relaymail.test.simulation.moods import EARLY, MOODS
from relaymail.test.simulation.sayings import (
    SLOWNESS,
    Said,
    abilities,
    canAny,
    checkKept,
    fewer,
    limitsIn,
    optionally,
    say,
)
from relaymail.testing.assertions import Message
from relaymail.testing.certificates import Throwaway, selfSigned
from relaymail.testing.clients import Drop, Manner, Misdeed, ResetAfterDot, Stall
from relaymail.testing.dns import Fault
from relaymail.testing.ledger import Item
from relaymail.testing.links import Link
from relaymail.testing.network import Fate
from relaymail.testing.relays import DIRECTORY, SPOOL
from relaymail.testing.servers import SMTPServer
from relaymail.testing.world import World

HOUR, DAY = 3600.0, 86400.0
#: How long messages are given to the relay, and how long things break, in
#: seconds.
WRITING, BREAKING = 6 * HOUR, 36 * HOUR
#: How long a world lasts, in seconds: until the last notice about the last
#: message has expired, too.
LASTING = 13 * DAY
#: Who writes; nobody is told of what fails for the last one.
SENDERS = ("a@example.com", "b@example.com", "")
#: How the addresses of hosts begin.
PREFIXES = ("192.0.2.", "192.0.2.", "2001:db8::")
#: The addresses of smart hosts, and how many worlds have them.
SMART = ("203.0.113.1", "203.0.113.2")
SMART_ONES = 0.15
#: The address of the smart host of one sender, who that is, and how many worlds have
#: it where not all mail goes to smart hosts.
OWN, OWNER = "203.0.113.3", SENDERS[1]
OWN_ONES = 0.3
#: In how many worlds senders say more of their mail than for whom it is, and hosts
#: differ in what they can do; and in how many of those the smart hosts speak LMTP.
TALKATIVE, STORES = 0.6, 0.4
#: How many messages have addresses there that are not ASCII.
FOREIGN = 0.05
#: How many worlds have their queue in a directory; the others have a spool.
DIRECTORIES = 0.4
#: How many worlds have domains that share their hosts, and how many domains there
#: have those of the one before.
SHARING, SHARED = 0.5, 0.6
#: In how many worlds the hosts offer STARTTLS.
TLS_ONES = 0.1

#: What of the disk fails, and how.
DISK_ERRORS = (errno.EIO, errno.ENOSPC, errno.EMFILE)
#: What goes wrong with the database, besides what it takes a person to mend.
DATABASE_ERRORS = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE)
DISK_OPERATIONS = ("create", "write", "finish", "sync", "rename", "link", "unlink")


#: In how many of the worlds with a spool somebody tells it what to do, and how often
#: at most.
OPERATED = 0.4
ORDERS = 150
#: What he says of names, and of destinations.
NAME_ORDERS = (
    *("hold", "hold", "release", "hasten", "requeue"),
    *("bounceNow", "removeNow"),
)
PLACE_ORDERS = ("suspend", "resume", "flush")
#: How often he has the relay read its configuration again, and where it takes mail,
#: too, then.
RELOADS = 0.05
ANOTHER = "tcp:2626:interface=198.51.100.1"
#: Why.
WHY = "the operator wished it"


class Fortune(Enum):
    """
    What must become of a message for a recipient.
    """

    DELIVERED = "delivered"
    FAILED = "failed"
    #: A host may be able to take it, and in time, or not.
    OPEN = "delivered or failed"
    #: An operator wanted it to fail, or to be removed, and it may have been too
    #: late for that.
    EITHER = "either"


@dataclass(frozen=True, slots=True)
class Domain:
    """
    A domain that mail goes to.

    @ivar name: Its name.
    @ivar hosts: The addresses of its hosts, the best first.
    @ivar isReachable: Whether it ever takes mail.
    """

    name: str
    hosts: tuple[str, ...]
    isReachable: bool = True


class RandomWorld:
    """
    A world from a seed.

    @ivar world: The world.
    @ivar chance: Where its making comes from.
    @ivar fortunes: What must become of each message for each recipient.
    @ivar orders: How many orders of an operator were carried out.
    """

    def __init__(self, seed: int, messages: int = 12) -> None:
        """
        @param seed: Where all comes from.
        @param messages: How many messages there are.
        """
        self.chance = random.Random(f"world {seed}")
        self._smart = SMART if self.chance.random() < SMART_ONES else ()
        self._contextFactory = (
            _certificate().contextFactory if self.chance.random() < TLS_ONES else None
        )
        self._isDirectory = random.Random(f"queue {seed}").random() < DIRECTORIES
        self._sayings = random.Random(f"said {seed}")
        self._headers = random.Random(f"headers {seed}")
        self._isTalkative = self._sayings.random() < TALKATIVE
        isStore = self._isTalkative and self._sayings.random() < STORES
        self._isStore = isStore and bool(self._smart)
        hasOwn = self._isTalkative and self._sayings.random() < OWN_ONES
        self._own = (OWN,) if hasOwn and not self._smart else ()
        self.world = World(
            seed,
            queue=DIRECTORY if self._isDirectory else SPOOL,
            # Most messages of these worlds are small: half of them are in files.
            largestRow=500,
            maxConnections=self.chance.choice((2, 3, 100)),
            maxMessagesPerConnection=self.chance.choice((1, 3, 100)),
            smartHosts=[f"{self._scheme}://{address}:25" for address in self._smart],
            senderHosts=[f"{OWNER}=smtp://{address}" for address in self._own],
        )
        self.fortunes: list[tuple[Message, str, Fortune]] = []
        if self._isTalkative:
            # Mail for one destination may go to several sites, and waits for both.
            self.world.witness.lateness += LONGEST_REST
        self._said: dict[str, Said] = {}
        self._isBroken = False
        self._servers: dict[str, SMTPServer] = {}
        self._usual: dict[str, dict[str, Any]] = {}
        link = self._link()
        self.world.network.setLink(link)
        self._moods = (*MOODS, EARLY) if link.segment is None else MOODS
        if self._isStore:
            self._moods = tuple(mood for mood in self._moods if "." not in mood)
        self._sharing = random.Random(f"shared {seed}")
        self._isSharing = self._sharing.random() < SHARING
        self._exchanges: dict[str, str] = {}
        for address in (*self._smart, *self._own):
            self._host(address, f"smart{address[-1]}.example")
        self.domains = [self._domain(n) for n in range(self.chance.randint(2, 5))]
        self.domains.append(Domain("nowhere.example", self._smart, False))
        for _ in range(messages):
            self._at(WRITING, self._write)
        for _ in range(self.chance.randint(0, 20)):
            self._at(self.chance.choice((WRITING, BREAKING)), self._break)
        for _ in range(self.chance.randint(0, 8)):
            self._at(BREAKING / 6, self._planCrash)
        for _ in range(self.chance.randint(0, 3)):
            self._at(BREAKING / 2, self._breakDisk)
        for _ in range(self.chance.choice((0, 0, 1, 3))):
            self._at(BREAKING / 4, self._stop)
        self.orders = 0
        self._operator = random.Random(f"operator {seed}")
        if not self._isDirectory and self._operator.random() < OPERATED:
            for _ in range(self._operator.randint(1, ORDERS)):
                within = self._operator.choice((WRITING, BREAKING))
                self._later(self._operator.uniform(0, within), self._operate)
        self._later(BREAKING, self._mendAll)

    @property
    def _scheme(self) -> str:
        return "lmtp" if self._isStore else "smtp"

    def live(self) -> None:
        """
        Let it all happen, looking at the books now and then.

        @raise AssertionError: When something is wrong.
        """
        for _ in range(6):
            self.world.run(WRITING / 3)
            self._look()
        self.world.run(BREAKING + DAY)
        self._look()
        self._callTheRoll()
        self.world.run(LASTING)
        # What a crash left over is cleared away at a start.
        self.world.node.restart = 5.0
        self.world.crash()
        self.world.run(60)
        self.world.assertSettled()
        for message, recipient, fortune in self.fortunes:
            self._checkFortune(message, recipient, fortune)
            said = self._said.get(self.world.ledger.nameOf(message.content))
            if said is not None and recipient in message.accepted:
                self._checkSaid(message, recipient, said)
        self._checkLimits()

    def _callTheRoll(self) -> None:
        """
        See that every domain's best host is used again, now that all are well.
        """
        for domain in self.domains:
            if domain.isReachable:
                message = self.world.send("a@example.com", f"roll@{domain.name}")
                self.world.run(60)
                self.world.assertDelivered(message, f"roll@{domain.name}")
                best = self._servers[domain.hosts[0]].received[-1:]
                if not best or not best[0].content.endswith(message.content):
                    self.world.fail(f"{domain.name}'s best host was not used")

    def _look(self) -> None:
        if self.world.node.relay is not None:
            self.world.assertNothingLost()
            checkKept(self.world, self._said)

    def _checkFortune(self, message: Message, recipient: str, fortune: Fortune) -> None:
        ledger, content = self.world.ledger, message.content
        delivered = ledger.count(content, recipient)
        if recipient not in message.accepted or fortune is Fortune.EITHER:
            return
        if fortune is Fortune.OPEN:
            fortune = Fortune.DELIVERED if delivered else Fortune.FAILED
        isDelivered = fortune is Fortune.DELIVERED
        if bool(delivered) is not isDelivered:
            self.world.fail(f"{recipient}: {delivered} times, but {fortune}")
        isSilent = ledger.isSilent(message.sender, recipient, content)
        if not isDelivered and message.sender and not isSilent:
            self.world.assertBounced(message, recipient)
        if isDelivered and ledger.bounces(content, recipient):
            self.world.fail(f"{recipient} bounced, but {fortune}")

    def _checkSaid(self, message: Message, recipient: str, said: Said) -> None:
        """
        See that what was said of a message was heeded.
        """
        ledger, parameters = self.world.ledger, said.parameters
        item = Item(ledger.nameOf(message.content), message.sender, recipient)
        times = [taken.at for taken in ledger.taken.get(item, ())]
        if parameters.requireTLS and times:
            self.world.fail(f"{item} went without TLS")
        held, by = parameters.holdUntil, parameters.deliverBy
        # An operator may have hastened it.
        isEarly = held is not None and times and min(times) < held and not self.orders
        if held is not None and isEarly:
            self.world.fail(f"{item} went {held - min(times):.0f} s too early")
        if by is not None and by.returns and times and max(times) > by.at + SLOWNESS:
            self.world.fail(f"{item} went {max(times) - by.at:.0f} s too late")
        own = said.own[message.recipients.index(recipient)] if said.own else None
        if own is None or not own.wantsSuccess or not message.sender or not times:
            return
        told = sum(
            len(ledger.news.get((item, action), ()))
            for action in ("relayed", "delivered")
        )
        hosts = self._hostsFor(message.sender, recipient)
        isPassedOn = canAny(hosts, "DSN")
        if not told and not isPassedOn and not self._isBroken and not self.orders:
            self.world.fail(f"nobody was told that {item} was delivered")

    def _checkLimits(self) -> None:
        """
        See that hosts were given no more than they said they bear (RFC 9422).
        """
        for address, server in self._servers.items():
            for session in server.sessions:
                mails, most = limitsIn(session)
                if max(mails, default=0) > most.get("RCPTMAX", 1000):
                    self.world.fail(f"{address} was given {max(mails)} recipients")
                if len(mails) > most.get("MAILMAX", 1000):
                    self.world.fail(f"{address} was given {len(mails)} messages")

    # How it is made.

    def _hostsFor(self, sender: str, recipient: str) -> list[Sequence[str]]:
        """
        Give what each of the hosts can do that a message may go to.
        """
        (domain,) = [d for d in self.domains if recipient.endswith(f"@{d.name}")]
        hosts = self._own if self._own and sender == OWNER else domain.hosts
        return [self._servers[address].keywords for address in hosts]

    def _link(self) -> Link:
        chance = self.chance
        return Link(
            latency=chance.choice((0.0, 0.001, 0.05, 0.3)),
            loss=chance.choice((0.0, 0.0, 0.02)),
            segment=chance.choice((None, None, 1448, 200, 7)),
            ragged=chance.random() < 0.5,
        )

    def _domain(self, number: int) -> Domain:
        chance = self.chance
        name = f"d{number}.example"
        if self._smart:
            return Domain(name, self._smart)
        if self._exchanges and self._isSharing and self._sharing.random() < SHARED:
            self.world.exchange(name, self._exchanges)
            return Domain(name, tuple(self._exchanges.values()))
        prefix = chance.choice(PREFIXES)
        addresses = tuple(
            f"{prefix}{10 * number + n + 1}" for n in range(chance.choice((1, 1, 2, 3)))
        )
        hosts = {f"mx{n}.{name}": each for n, each in enumerate(addresses)}
        self.world.exchange(name, hosts)
        for host, address in hosts.items():
            self._host(address, host)
        self._exchanges = hosts
        return Domain(name, addresses)

    def _host(self, address: str, name: str) -> None:
        keywords: tuple[str, ...] = ("PIPELINING", "8BITMIME", "SIZE 10000000")
        if self.chance.random() < 0.3:
            keywords = ("8BITMIME",)
        self._usual[address] = {}
        if self._isTalkative:
            keywords = abilities(self._sayings)
        if self._isStore:
            words = ("store.example", *keywords)
            self._usual[address] = {
                "LHLO": "\n".join([*(f"250-{w}" for w in words), "250 ETRN"]),
                ".": fewer(self._sayings, self.world.network.seconds() + BREAKING),
            }
        self._servers[address] = self.world.host(
            address,
            name=name,
            keywords=keywords,
            contextFactory=self._contextFactory,
            answers=dict(self._usual[address]),
        )

    def _at(self, within: float, call: Callable[[], None]) -> None:
        self._later(self.chance.uniform(0, within), call)

    def _later(self, seconds: float, call: Callable[[], object]) -> None:
        self.world.network.callLater(seconds, call)

    # What happens.

    def _write(self) -> None:
        chance, world = self.chance, self.world
        sender = chance.choice(SENDERS)
        recipients, fortunes = [], []
        isForeign = self._isTalkative and self._sayings.random() < FOREIGN
        for n in range(chance.choice((1, 1, 2, 3, 6))):
            domain = chance.choice(self.domains)
            isKnown = domain.isReachable and chance.random() < 0.8
            recipient = f"{'user' if isKnown else 'gone'}{n}.{chance.randint(0, 99)}"
            if isForeign:
                recipient = f"gr\u00f6\u00dfe.{recipient}"
            recipient += f"@{domain.name}"
            recipients.append(recipient)
            fortunes.append(Fortune.DELIVERED if isKnown else Fortune.FAILED)
            if not isKnown:
                self._refuse(domain, recipient)
        body = makeBody(chance)
        content = world.compose(sender, body)
        said = None
        if self._isTalkative:
            now = world.network.seconds()
            said = say(self._sayings, now, recipients, content.isascii())
            message = world.send(
                sender,
                *recipients,
                content=content,
                parameters=said.parameters,
                own=said.own,
                origin=said.origin,
            )
            self._said[world.ledger.nameOf(content)] = said
        else:
            content = optionally(self._headers, content)
            message = world.send(sender, *recipients, content=content)
        for recipient, fortune in zip(recipients, fortunes, strict=True):
            if said is not None and fortune is Fortune.DELIVERED:
                fortune = self._fortune(sender, recipient, said.parameters)
            self.fortunes.append((message, recipient, fortune))

    def _fortune(self, sender: str, recipient: str, asked: Parameters) -> Fortune:
        """
        Say what must become of a message that a host would take as such.
        """
        hosts = self._hostsFor(sender, recipient)
        by = asked.deliverBy
        if asked.requireTLS or (asked.utf8 and not canAny(hosts, "SMTPUTF8")):
            return Fortune.FAILED
        if by is not None and by.returns:
            return Fortune.OPEN if canAny(hosts, "DELIVERBY") else Fortune.FAILED
        # A host that does not know EHLO for a while cannot do it.
        return Fortune.OPEN if asked.utf8 else Fortune.DELIVERED

    def _manners(self, size: int) -> tuple[Manner, Misdeed | None]:
        """
        Say how a client speaks, and what it does that it should not.
        """
        chance = self.chance
        misdeeds = (
            Drop(after=chance.randint(0, size)),
            Stall(after=chance.randint(0, size), seconds=chance.choice((10, 400))),
            ResetAfterDot(),
        )
        manner = Manner(
            hello=chance.choice(("EHLO client.example", "HELO client.example")),
            isPipelining=chance.random() < 0.5,
            piece=chance.choice((None, None, 100)),
        )
        isBad = chance.random() < 0.3
        return manner, chance.choice(misdeeds) if isBad else None

    def _refuse(self, domain: Domain, recipient: str) -> None:
        """
        Let nobody know a recipient.
        """
        # A server has the bytes of an address, as characters.
        key = f"RCPT {recipient}".encode().decode("latin-1")
        for address in (*domain.hosts, *self._own):
            self._usual[address][key] = "550 5.1.1 Who is that?"
            self._servers[address].answers.update(self._usual[address])

    def _break(self) -> None:
        chance = self.chance
        address = chance.choice(list(self._servers))
        for_ = chance.choice((60.0, HOUR, HOUR, 8 * HOUR))
        what = chance.random()
        if what < 0.1:
            self._breakAddress(address, for_)
        elif what < 0.2:
            self._breakName(for_)
        elif what < 0.3:
            self.world.network.cutNext(address, received=chance.randint(0, 1000))
        elif what < 0.4:
            self.world.network.cutNext(address, sent=chance.randint(0, 400))
        else:
            mood = chance.choice(self._moods)
            server = self._servers[address]
            self.world.note(f"{address} is in the mood {mood}")
            server.answers.clear()
            server.answers.update({**mood, **self._usual[address]})
            self._later(for_, lambda: self._mend(address))

    def _breakAddress(self, address: str, seconds: float) -> None:
        fates = self.world.network.fates
        fates[address] = self.chance.choice(list(Fate))
        self._later(seconds, lambda: fates.pop(address, None))

    def _breakName(self, seconds: float) -> None:
        if self._smart:
            return
        zones = self.world.zones
        name = self.chance.choice([d.name for d in self.domains if d.isReachable])
        usual = zones[name]
        if isinstance(usual, Fault):
            return
        zones[name] = self.chance.choice((Fault.SERVFAIL, Fault.SILENCE, Fault.REFUSED))
        self._later(seconds, lambda: zones.__setitem__(name, usual))

    def _mend(self, address: str) -> None:
        answers = self._servers[address].answers
        answers.clear()
        answers.update(self._usual[address])

    def _mendAll(self) -> None:
        for address in self._servers:
            self._mend(address)
        self.world.network.mend()
        self._mendDisk()
        self._letGo()
        self.world.node.machine.points.crashAt = None

    def _planCrash(self) -> None:
        node, chance = self.world.node, self.chance
        node.cutsPower = chance.random() < 0.5
        node.restart = chance.choice((0.0, 5.0, HOUR))
        node.machine.points.crashAfter(chance.choice((0, 3, 20, 100, 300)))

    def _stop(self) -> None:
        """
        Stop the relay in good order, and start it again.
        """
        if self.world.node.relay is not None:
            self.world.note("the relay is stopped")
            self.world.stop().addCallback(
                lambda _: self._later(self.chance.choice((0.0, HOUR)), self._start)
            )

    def _start(self) -> None:
        self.world.node.start()

    def _breakDisk(self) -> None:
        chance, disk = self.chance, self.world.node.disk
        self._isBroken = True
        if not self._isDirectory and chance.random() < 0.5:
            code = chance.choice(DATABASE_ERRORS)
            self.world.note(f"the database fails to commit: {code}")
            self.world.node.databases.fail(code, chance.choice((1, 2, 10, None)))
        elif chance.random() < 0.25:
            self.world.note("the disk is full")
            disk.capacity = disk.used.bytes + chance.choice((0, 300, 5000))
        else:
            operation = chance.choice(DISK_OPERATIONS)
            error = chance.choice(DISK_ERRORS)
            self.world.note(f"the disk fails to {operation}: {error}")
            disk.fail(operation, error, times=chance.choice((1, 2, 10, None)))
        self._later(chance.choice((1.0, HOUR)), self._mendDisk)

    def _operate(self) -> None:
        """
        Let somebody tell the relay something.
        """
        self._asRelay(self._tell)

    def _asRelay(self, call: Callable[[Any], None]) -> None:
        """
        Do something in the process of the relay, if there is one.
        """

        def now() -> None:
            relay = self.world.node.relay
            if relay is not None and hasattr(relay, "manager"):
                call(relay)

        self.world.node.machine.callLater(0, now)

    def _tell(self, relay: Any) -> None:
        chance = self._operator
        if chance.random() < RELOADS:
            self._reload(relay)
            return
        if chance.random() < 0.2:
            order, place = chance.choice(PLACE_ORDERS), chance.choice(self.domains)
            self._order(relay.manager, order, place.name)
            return
        found = relay.queue.look(Selection(), 1000)
        found.addCallback(self._tellOne, relay)
        found.addErrback(self._refused)

    def _reload(self, relay: Any) -> None:
        """
        Let the relay read another configuration.
        """
        chance, told = self._operator, self.world.node.configuration
        hosts = list(told.delivery.smartHosts)
        chance.shuffle(hosts)
        delivery = evolve(
            told.delivery,
            smartHosts=tuple(hosts),
            maxConnections=chance.choice((1, 3, 100)),
            maxConnectionsPerDestination=chance.choice((1, 20)),
            maxMessagesPerConnection=chance.choice((1, 3, 100)),
            senderRates=chance.choice(((), ((SENDERS[0], Rate(5, 60.0)),))),
        )
        intake = evolve(
            told.intake, smtp=(*told.intake.smtp, *chance.choice(((), (ANOTHER,))))
        )
        self._order(relay, "reload", evolve(told, delivery=delivery, intake=intake))

    def _tellOne(self, page: Page, relay: Any) -> None:
        if not page.entries:
            return
        one = self._operator.choice(page.entries)
        order = self._operator.choice(NAME_ORDERS)
        if order in ("bounceNow", "removeNow"):
            self._giveUp(relay, one, order)
        else:
            why = (WHY,) if order == "hold" else ()
            self._order(relay.queue, order, one.name, *why)

    def _giveUp(self, relay: Any, one: Listed, order: str) -> None:
        """
        Have a message given up, unless it is the relay's own.
        """
        if not one.sender or one.state is NameState.ASIDE:
            return
        with relay.queue.letter(one.name).file as file:
            content = file.read()
        ledger = self.world.ledger
        if order == "removeNow":
            ledger.mayRemove(one.sender, one.recipient, content)
        name = ledger.nameOf(content)
        self.fortunes = [
            (message, recipient, Fortune.EITHER)
            if recipient == one.recipient and ledger.nameOf(message.content) == name
            else (message, recipient, fortune)
            for message, recipient, fortune in self.fortunes
        ]
        self._order(relay.manager, order, one.name, WHY)

    def _order(self, whom: Any, order: str, *arguments: object) -> None:
        self.world.note(f"{order} {' '.join(map(str, arguments))[:200]}")
        told = maybeDeferred(getattr(whom, order), *arguments)
        told.addCallbacks(self._obeyed, self._refused)

    def _obeyed(self, _: object) -> None:
        self.orders += 1

    def _refused(self, failure: Failure) -> None:
        failure.trap(KeyError, QueueError, ConfigurationError)

    def _letGo(self) -> None:
        """
        Let all be sent that was kept back, and all be told as at first, as soon as
        there is somebody to.
        """
        if self.world.node.relay is None:
            self._later(HOUR, self._letGo)
        else:
            self._asRelay(self._releaseAll)

    def _releaseAll(self, relay: Any) -> None:
        relay.reload(self.world.node.configuration).addErrback(self._refused)
        for destination in relay.queue.suspensions():
            relay.manager.resume(destination)
        found = relay.queue.look(Selection(state=NameState.HELD), 1000)
        found.addCallback(
            lambda page: [relay.queue.release(one.name) for one in page.entries]
        )

    def _mendDisk(self) -> None:
        self.world.node.repair()


@functools.cache
def _certificate() -> Throwaway:
    return selfSigned("mx.example")
