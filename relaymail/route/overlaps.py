# -*- test-case-name: relaymail.test.route.test_overlaps -*-
"""
Rules that no mail ever matches, because those before them match all of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from relaymail.route.patterns import ALL, isAny, recipientKeys, senderKeys
from relaymail.route.rules import Action, Index, Network, Routing, Rule

#: How many times two rules are compared: what ten thousand rules by domain need is far
#: below, and it is done while a relay starts.
MAX_COMPARED = 200_000


@dataclass(frozen=True, slots=True)
class Covered:
    """
    A rule that no mail matches.

    @ivar rule: The rule.
    @ivar by: The rules before it that match all that it would, at least one.
    @ivar isSame: Whether it has the criteria of the one before it.
    """

    rule: Rule
    by: tuple[Rule, ...]
    isSame: bool = False

    @property
    def text(self) -> str:
        """
        What is to be told of it.
        """
        names = " and ".join(f"the rule {rule.name}" for rule in self.by)
        if self.isSame:
            why = f"{names}, before it, is for the same mail"
        else:
            why = f"all mail that it is for goes by {names}, before it"
        return f"the rule {self.rule.name} is never used: {why}"


def coveredRules(routing: Routing) -> Iterator[Covered]:
    """
    Give the rules that no mail ever matches, in their order: not each of them, if
    there are very many, but none that any mail matches.
    """
    finder = _Finder(routing.rules)
    for index, rule in enumerate(routing.rules):
        found = finder.coverOf(rule)
        if found:
            isSame = len(found) == 1 and _criteria(found[0]) == _criteria(rule)
            yield Covered(rule, found, isSame)
        finder.add(index, rule)


class _Finder:
    """
    The rules before one, and which of them cover it.
    """

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self._rules = rules
        self._index = Index()
        self._left = MAX_COMPARED

    def add(self, index: int, rule: Rule) -> None:
        """
        Know a rule, too.
        """
        self._index.add(index, rule)

    def coverOf(self, rule: Rule) -> tuple[Rule, ...]:
        """
        Give the rules that together match all mail that a rule matches; none where
        there is some that they do not.
        """
        found: dict[int, Rule] = {}
        recipients = (ALL,) if isAny(rule.recipients) else rule.recipients
        for recipient in recipients:
            index = self._coverFor(recipient, rule)
            if index is None:
                return ()
            found[index] = self._rules[index]
        return tuple(found[index] for index in sorted(found))

    def _coverFor(self, recipient: str, rule: Rule) -> int | None:
        to = () if recipient == ALL else recipientKeys(recipient)
        by = () if isAny(rule.senders) else senderKeys(rule.senders[0])
        user = rule.users[0] if rule.users else ""
        for index in self._index.candidates(to, by, user):
            self._left -= 1
            if self._left < 0:
                return None
            if _covers(self._rules[index], rule):
                # That it is for the recipient it was found by, or it is for all.
                return index
        return None


def _covers(first: Rule, rule: Rule) -> bool:
    """
    Tell whether a rule matches all mail that another does, of those recipients that
    it is found by.
    """
    if first.action is Action.HOLD and rule.action is not Action.HOLD:
        # What is released goes by the one behind it.
        return False
    return (
        _coverSenders(first, rule)
        and _coverUsers(first.users, rule.users)
        and _coverClients(first.clients, rule.clients)
    )


def _coverSenders(first: Rule, rule: Rule) -> bool:
    if isAny(first.senders):
        return True
    if isAny(rule.senders):
        return False
    known = frozenset(first.senders)
    return all(not known.isdisjoint(senderKeys(each)) for each in rule.senders)


def _coverUsers(first: tuple[str, ...], users: tuple[str, ...]) -> bool:
    if not first:
        return True
    if not users:
        return False
    return ALL in first or set(users) <= set(first)


def _coverClients(first: tuple[Network, ...], clients: tuple[Network, ...]) -> bool:
    if not first:
        return True
    return bool(clients) and all(
        any(_isWithin(each, network) for network in first) for each in clients
    )


def _isWithin(network: Network, other: Network) -> bool:
    if network.version != other.version:
        return False
    return network.prefixlen >= other.prefixlen and network.network_address in other


def _criteria(rule: Rule) -> tuple[frozenset[object], ...]:
    kinds: Iterable[tuple[object, ...]] = (
        rule.recipients,
        rule.senders,
        rule.clients,
        rule.users,
    )
    return tuple(map(frozenset, kinds))
