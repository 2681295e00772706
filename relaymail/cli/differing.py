# -*- test-case-name: relaymail.test.cli.test_comparing -*-
"""
What would become of mail under another configuration than the one that holds: of one
message, and of all that is queued.

Of a message both are explained, and the answers compared.  Of what is queued it is
asked of each where its mail goes, on which terms, and what limits it; that says which
hosts get it as soon as the DNS has spoken, which is not asked for each destination.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.task import Clock

from relaymail.cli.sketching import Sketch
from relaymail.cli.words import clean
from relaymail.configuration import Configuration
from relaymail.envelopes import Origin, Outline, Parameters
from relaymail.errors import MalformedAddress
from relaymail.route.hosts import Host
from relaymail.route.router import NoWay, shownSite
from relaymail.route.terms import Terms, Way
from relaymail.schedule.goals import goalOf, limitsOf

#: How many recipients' mail is looked at: some hundred megabytes of a spool's pages.
MAX_ENTRIES = 100_000
#: How many groups of mail with the same difference are told apart.
MAX_GROUPS = 1_000
#: How many of each are named.
MAX_EXAMPLES = 3
#: How many ways of mail are remembered: much of it is alike.
MAX_KNOWN = 10_000

#: What of a host in an explanation says where mail goes, and how.
_HOST = (
    "port",
    "addresses",
    "tls",
    "names",
    "tlsa",
    "requireTLS",
    "protocol",
    "source",
    "helo",
    "certificate",
    "trusts",
    "login",
    "preference",
    "problem",
)

#: One difference: what it is of, what holds now, and what would hold then.
Difference = tuple[str, str, str]


# Of one message.


def differencesOf(now: Mapping[str, Any], then: Mapping[str, Any]) -> list[Difference]:
    """
    Say in what two explanations of a message differ.
    """
    before, after = dict(_facts(now)), dict(_facts(then))
    return [
        (what, before.get(what, ""), after.get(what, ""))
        for what in dict.fromkeys((*before, *after))
        if before.get(what, "") != after.get(what, "")
    ]


def _facts(told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """
    Give what counts in an explanation, as text.
    """
    outcome = told["outcome"]
    words = (outcome["fate"], outcome["status"], outcome["why"])
    yield "outcome", " ".join(filter(None, words))
    yield "rule", told["rule"]
    yield "goes to", told["goal"]
    # Those that are as good as others stand in any order.
    hosts = sorted(told["route"], key=lambda h: (h["preference"] or 0, h["host"]))
    isOrdered = all(host["preference"] is None for host in hosts)
    hosts = told["route"] if isOrdered else hosts
    yield "hosts", ", ".join(host["host"] for host in hosts)
    for host in hosts:
        for key in _HOST:
            shown = host[key]
            if isinstance(shown, list):
                shown = " ".join(sorted(map(str, shown)))
            yield f"{host['host']}: {key}", "" if shown is None else str(shown)
    yield "not tried", ", ".join(sorted(left["host"] for left in told["left"]))
    for rate in told["limits"]["rates"]:
        yield f"rate of the {rate['side']} {rate['name']}", rate["rate"]
    yield "connections", str(told["limits"]["allowed"])
    yield "retried after", " ".join(map(str, told["retry"]))
    yield "given up after", str(told["expire"])


# Of what is queued.


@dataclass(frozen=True, slots=True)
class Course:
    """
    Where mail goes, as far as it can be said without the DNS.

    @ivar goal: Where to, for people.
    @ivar hosts: The hosts that are named for it, with the ports.
    @ivar terms: On which terms it goes to those of its destination; L{None}: it does
        not.
    @ivar limits: What limits it.
    """

    goal: str
    hosts: tuple[tuple[Host, int], ...] = ()
    terms: Terms | None = None
    limits: tuple[str, ...] = ()

    def parts(self) -> Iterator[tuple[str, str]]:
        """
        Give it in parts, as text.
        """
        yield "goes to", self.goal
        yield (
            "hosts",
            ", ".join(f"{_hostText(h)} port {port}" for h, port in self.hosts),
        )
        yield "terms", "" if self.terms is None else _termsText(self.terms)
        yield "rates", ", ".join(self.limits)


def courseOf(manager: Any, outline: Outline) -> Course:
    """
    Say where mail goes.

    @param manager: The relaying manager that would deliver it.
    @param outline: What is known of the mail.
    """
    lane = manager.laneFor(outline)
    goal = goalOf(lane)
    limits = tuple(map(str, limitsOf(lane)))
    bare = goal.goal if isinstance(goal, Way) else goal
    if isinstance(bare, tuple):
        hosts = tuple((host, host.port or manager.PORT) for host in bare)
        return Course("hosts that are named", hosts, None, limits)
    aim = None if isinstance(goal, NoWay) else manager.aimFor(goal)
    if aim is None:
        return Course(shownSite(goal), (), None, limits)
    shown = f"the hosts of {aim.destination}, port {manager.PORT}"
    return Course(shown, (), aim.terms, limits)


def _termsText(terms: Terms) -> str:
    words = [f"TLS {terms.level.value}"]
    words += [f"names {' '.join(terms.names)}"] if terms.names else []
    words += [f"trusts {terms.caFile}"] if terms.caFile else []
    words += [f"shows {terms.certFile}"] if terms.certFile else []
    words += [f"from {' '.join(terms.source)}"] if terms.source else []
    words += [f"as {terms.helo}"] if terms.helo else []
    fallback = ", ".join(map(_hostText, terms.fallback))
    words += [f"then {fallback}"] if fallback else []
    return ", ".join(words)


def _hostText(host: Host) -> str:
    words = [host.path or host.name, host.tls.value]
    words += ["from the start"] if host.implicitTLS else []
    words += [f"user {host.credentials.user}"] if host.credentials else []
    words += [f"trusts {host.caFile}"] if host.caFile else []
    words += [f"shows {host.certFile}"] if host.certFile else []
    words += [f"from {' '.join(host.source)}"] if host.source else []
    words += [f"as {host.helo}"] if host.helo else []
    return f"{words[0]} ({', '.join(words[1:])})"


@dataclass(slots=True)
class Group:
    """
    Queued mail for a destination with the same differences.

    @ivar destination: The destination.
    @ivar differences: The differences.
    @ivar count: For how many recipients it is.
    @ivar examples: The names of some.
    """

    destination: str
    differences: tuple[Difference, ...]
    count: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Comparison:
    """
    Two configurations, and what is queued.

    @ivar isComplete: Whether all was looked at.
    @ivar checked: For how many recipients mail was looked at.
    @ivar differing: For how many of them something differs.
    @ivar groups: What differs, by the destination and the differences.
    """

    isComplete: bool = True
    checked: int = 0
    differing: int = 0
    groups: dict[tuple[str, tuple[Difference, ...]], Group] = field(
        default_factory=dict
    )

    def note(self, entry: Mapping[str, Any], found: tuple[Difference, ...]) -> None:
        """
        Take something into account.

        @param entry: It, as the API has it.
        @param found: In what it differs.
        """
        self.checked += 1
        if not found:
            return
        self.differing += 1
        destination = clean(entry["destination"])
        key = destination, found
        if key not in self.groups and len(self.groups) >= MAX_GROUPS:
            return
        group = self.groups.setdefault(key, Group(destination, found))
        group.count += 1
        if len(group.examples) < MAX_EXAMPLES:
            group.examples.append(clean(entry["id"]))

    @property
    def largest(self) -> list[Group]:
        """
        The groups, the largest first.
        """
        return sorted(self.groups.values(), key=lambda g: (-g.count, g.destination))

    def kinds(self) -> Counter[str]:
        """
        Count what differs, by what it is.
        """
        found: Counter[str] = Counter()
        for group in self.groups.values():
            for what, _, _ in group.differences:
                found[what] += group.count
        return found


def compareQueued(
    now: Configuration, then: Configuration, entries: Iterable[Mapping[str, Any]]
) -> Comparison:
    """
    Say what would differ for what is queued.

    @param now: The configuration that holds.
    @param then: The other one.
    @param entries: What is queued, as the API has it; no more than L{MAX_ENTRIES} of
        them are looked at.

    @raise ConfigurationError: When one of the configurations cannot be used.
    """
    clock = Clock()
    managers = [Sketch(told, clock).manager for told in (now, then)]
    known: dict[Outline, tuple[Difference, ...]] = {}
    comparison = Comparison()
    for entry in entries:
        if comparison.checked >= MAX_ENTRIES:
            comparison.isComplete = False
            break
        outline = outlineOf(entry)
        found = known.get(outline)
        if found is None:
            if len(known) >= MAX_KNOWN:
                known.clear()
            found = known[outline] = _differ(managers, outline)
        comparison.note(entry, found)
    return comparison


def _differ(managers: list[Any], outline: Outline) -> tuple[Difference, ...]:
    try:
        before, after = (courseOf(manager, outline) for manager in managers)
    except MalformedAddress:
        # It goes nowhere, under any.
        return ()
    if before == after:
        return ()
    pairs = zip(before.parts(), after.parts(), strict=True)
    found = tuple((what, a, b) for (what, a), (_, b) in pairs if a != b)
    # There may be more to a host than is shown.
    return found or (("hosts", "as described now", "as described there"),)


def outlineOf(entry: Mapping[str, Any]) -> Outline:
    """
    Give what decides where something goes that is queued.

    @param entry: It, as the API has it.
    """
    said = entry.get("parameters") or ""
    parameters = Parameters(
        requireTLS="REQUIRETLS" in said.split(), tlsOptional="TLS-Required: No" in said
    )
    origin = Origin(entry.get("client") or "", entry.get("user") or "")
    return Outline(
        entry["sender"],
        entry["recipient"],
        None,
        parameters=parameters,
        origin=origin,
        isReleased=bool(entry.get("released")),
    )
