# -*- test-case-name: relaymail.test.route.test_rules -*-
"""
Rules: where mail goes that does not go as all other mail.

A rule has criteria of four kinds: for whom mail is, who it is from, from which network
it came, and of which user.  Criteria of different kinds have to hold all, of several
of one kind one is enough, and a rule that has none is for all mail.  The first rule
that a message matches says where it goes; what matches none goes as if there were no
rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache
from heapq import merge
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from relaymail.addresses import domainOf, localKey
from relaymail.envelopes import NO_ORIGIN, Origin
from relaymail.errors import ConfigurationError, MalformedAddress
from relaymail.route.hosts import Host
from relaymail.route.patterns import (
    ALL,
    isAny,
    keysOfSender,
    parentsOf,
    parseRecipient,
    parseSender,
    recipientKeys,
)
from relaymail.route.terms import Terms

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

#: The longest text of a rule, in characters: with the codes before it, it fits into
#: one line of a reply (RFC 5321 4.5.3.1.5).
MAX_TEXT = 400
#: The longest name of a rule, in characters.
MAX_NAME = 200
#: How many network addresses are remembered as what they are: the same few come
#: again and again.
_REMEMBERED = 1024


class Action(Enum):
    """
    What is done with mail that matches a rule.
    """

    #: It goes to the hosts of the rule, or to those of its destination.
    DELIVER = "deliver"
    #: It is not taken; what is queued bounces.
    REFUSE = "refuse"
    #: It is taken, and thrown away; nobody is told.
    DISCARD = "discard"
    #: It is kept back until an operator releases it.
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class Rule:
    """
    One rule.

    @ivar name: What people call it; L{Routing} names those that have none by their
        number.
    @ivar recipients: For whom mail is: a domain, C{.domain} for each domain below it,
        an address, or C{"*"}.
    @ivar senders: Who it is from: an address, C{@domain} for all addresses there,
        C{"<>"} for notices, or C{"*"}.
    @ivar clients: The networks that it came from.
    @ivar users: The users who gave it; C{"*"} for each that has authenticated.
    @ivar action: What is done with it.
    @ivar hosts: The hosts that get it; none: those of its destination.
    @ivar terms: On which terms it goes to those of its destination; L{None}: on those
        of all mail.
    @ivar text: What is said to whom it is refused, or why it is held.
    """

    name: str = ""
    recipients: tuple[str, ...] = ()
    senders: tuple[str, ...] = ()
    clients: tuple[Network, ...] = ()
    users: tuple[str, ...] = ()
    action: Action = Action.DELIVER
    hosts: tuple[Host, ...] = ()
    terms: Terms | None = None
    text: str = ""

    def takesAllOf(self, domain: str) -> bool:
        """
        Tell whether all mail for a domain matches it, and none goes by a later one.

        @param domain: As L{normalDomain<relaymail.addresses.normalDomain>} gives it.
        """
        if self.action is Action.HOLD or self.clients or self.users:
            return False
        if not isAny(self.senders):
            return False
        keys = recipientKeys(domain)
        return isAny(self.recipients) or any(key in self.recipients for key in keys)


class Routing:
    """
    Some rules, in their order.

    @ivar rules: The rules, each with a name.
    @ivar mayHold: Whether one of them holds mail.
    """

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        """
        @param rules: The rules, the first first.

        @raise ConfigurationError: When one of them cannot be used.
        """
        self.rules = tuple(_named(rule, index) for index, rule in enumerate(rules))
        self.mayHold = any(rule.action is Action.HOLD for rule in self.rules)
        self._index = Index(self.rules)
        self._rests = [_Rest.of(rule) for rule in self.rules]
        self._asksSender = any(rest.senders is not None for rest in self._rests)
        self._asksMore = any(
            "@" in pattern or pattern.startswith(".")
            for rule in self.rules
            for pattern in rule.recipients
        )
        self._without = [
            index for index, rule in enumerate(self.rules) if isAny(rule.recipients)
        ]
        self._within: dict[str, list[int]] = {}
        for index, rule in enumerate(self.rules):
            if not isAny(rule.recipients):
                for pattern in rule.recipients:
                    domain = pattern.rpartition("@")[2]
                    self._within.setdefault(domain, []).append(index)

    def __bool__(self) -> bool:
        return bool(self.rules)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Routing) and self.rules == other.rules

    def __hash__(self) -> int:
        return hash(len(self.rules))

    def match(
        self,
        recipient: str,
        sender: str,
        origin: Origin = NO_ORIGIN,
        isReleased: bool = False,
    ) -> Rule | None:
        """
        Give the first rule that a message matches, for one recipient; L{None} where
        there is none, or the recipient is no address.

        @param recipient: The forward-path.
        @param sender: The reverse-path, empty for a notice.
        @param origin: Where it came in from.
        @param isReleased: Whether an operator released it: it is not held then.
        """
        try:
            to = self._keysOf(recipient)
        except MalformedAddress:
            return None
        by = keysOfSender(sender) if self._asksSender else ()
        for index in self._index.candidates(to, by, origin.user):
            rule = self.rules[index]
            if isReleased and rule.action is Action.HOLD:
                continue
            if self._rests[index].hold(by, origin):
                return rule
        return None

    def _keysOf(self, recipient: str) -> tuple[str, ...]:
        # It is asked for each message, and most rules are by domain.
        domain = domainOf(recipient)
        if not self._asksMore:
            return (domain,)
        return recipientKeys(f"{localKey(recipient.rpartition('@')[0])}@{domain}")

    def rulesOf(self, domain: str) -> Iterator[Rule]:
        """
        Give the rules that some mail for a domain may match, in their order, up to the
        first one that all of it does.

        @param domain: As L{normalDomain<relaymail.addresses.normalDomain>} gives it.
        """
        lists = [self._within.get(key, []) for key in (domain, *parentsOf(domain))]
        last = -1
        for index in merge(self._without, *lists):
            if index == last:
                continue
            last, rule = index, self.rules[index]
            yield rule
            if rule.takesAllOf(domain):
                return

    def leavesSome(self, domain: str) -> bool:
        """
        Tell whether there may be mail for a domain that matches none of them.

        @param domain: As in L{rulesOf}.
        """
        return not any(rule.takesAllOf(domain) for rule in self.rulesOf(domain))


class Index:
    """
    Where rules are found that may be matched: each under the criteria of one kind, its
    recipients if it has some.
    """

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        """
        @param rules: The rules, the first first.
        """
        self._recipients: dict[str, list[int]] = {}
        self._senders: dict[str, list[int]] = {}
        self._users: dict[str, list[int]] = {}
        self._others: list[int] = []
        for index, rule in enumerate(rules):
            self.add(index, rule)

    def add(self, index: int, rule: Rule) -> None:
        """
        Add a rule that comes after all others.

        @param index: Its number.
        """
        for patterns, found in (
            (rule.recipients, self._recipients),
            (rule.senders, self._senders),
            (rule.users, self._users),
        ):
            if not isAny(patterns):
                for pattern in patterns:
                    found.setdefault(pattern, []).append(index)
                return
        self._others.append(index)

    def candidates(
        self, to: Iterable[str], by: Iterable[str], user: str
    ) -> Iterable[int]:
        """
        Give the numbers of the rules that may be matched, in their order; some may be
        given several times.

        @param to: What stands in rules that are for the recipient.
        @param by: What stands in rules that are for the sender.
        @param user: The user, empty for none.
        """
        lists = [self._recipients[key] for key in to if key in self._recipients]
        if self._senders:
            lists += [self._senders[key] for key in by if key in self._senders]
        if user and user in self._users:
            lists.append(self._users[user])
        if self._others:
            lists.append(self._others)
        if len(lists) <= 1:
            return lists[0] if lists else ()
        return merge(*lists)


@dataclass(frozen=True, slots=True)
class _Rest:
    """
    The criteria of a rule beyond its recipients, which it is found by.

    @ivar senders: The senders; L{None}: any.
    @ivar users: The users; L{None}: anybody.
    @ivar clients: The networks; none: anywhere.
    """

    senders: frozenset[str] | None
    users: frozenset[str] | None
    clients: tuple[Network, ...]

    @classmethod
    def of(cls, rule: Rule) -> _Rest:
        """
        Give those of a rule.
        """
        senders = None if isAny(rule.senders) else frozenset(rule.senders)
        users = frozenset(rule.users) if rule.users else None
        return cls(senders, users, rule.clients)

    def hold(self, by: tuple[str, ...], origin: Origin) -> bool:
        """
        Tell whether they hold all.
        """
        if self.senders is not None and self.senders.isdisjoint(by):
            return False
        if self.users is not None:
            user = origin.user
            if not user or not (user in self.users or ALL in self.users):
                return False
        if not self.clients:
            return True
        address = _networkAddress(origin.host)
        return address is not None and any(address in each for each in self.clients)


@lru_cache(maxsize=_REMEMBERED)
def _networkAddress(host: str) -> Address | None:
    try:
        address = ip_address(host)
    except ValueError:
        return None
    # IPv4 as IPv6 sockets tell it (RFC 4291 2.5.5.2).
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


def _named(rule: Rule, index: int) -> Rule:
    rule = checkedRule(rule)
    return rule if rule.name else replace(rule, name=f"routes[{index}]")


def checkedRule(rule: Rule) -> Rule:
    """
    Check a rule, and give it with its criteria in their one form.

    @raise ConfigurationError: When it cannot be used.
    """
    delivers = rule.action is Action.DELIVER
    if not delivers and (rule.hosts or rule.terms is not None):
        raise ConfigurationError(
            f"mail that it is to {rule.action.value} goes to no host: it names none, "
            "and no terms for them"
        )
    if rule.hosts and rule.terms is not None:
        raise ConfigurationError(
            "its terms are for the hosts of destinations, and it names hosts of its "
            "own: say with each of those how mail goes there"
        )
    if rule.text and rule.action in (Action.DELIVER, Action.DISCARD):
        raise ConfigurationError(
            f"nobody is told of mail that it is to {rule.action.value}: its text is "
            "for what it refuses or holds"
        )
    if not rule.name.isprintable() or len(rule.name) > MAX_NAME:
        raise ConfigurationError(
            f"its name is longer than {MAX_NAME} characters, or no text on one line"
        )
    if len(rule.text) > MAX_TEXT:
        raise ConfigurationError(f"its text is longer than {MAX_TEXT} characters")
    if not (rule.text.isascii() and rule.text.isprintable()):
        raise ConfigurationError(
            "its text has characters that no reply of SMTP has: write printable ASCII "
            "(RFC 5321 4.2)"
        )
    return replace(
        rule,
        recipients=tuple(dict.fromkeys(map(parseRecipient, rule.recipients))),
        senders=tuple(dict.fromkeys(map(parseSender, rule.senders))),
    )
