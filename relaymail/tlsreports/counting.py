# -*- test-case-name: relaymail.test.tlsreports.test_counting -*-
"""
How the sessions of a day are counted, by domain and policy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from relaymail.protections import Applied, PolicyKind, TLSResult, TLSSession
from relaymail.replies import printable

#: The seconds of a day: those of reports begin at midnight UTC (RFC 8460 4.1).
DAY = 24 * 60 * 60
#: How many domains are counted in a day; the others are not told.
MAX_DOMAINS = 20_000
#: How long all that is kept of a day may be, in characters, and what each entry is
#: counted as beyond its text: strangers write the policies, and make up hosts and
#: domains to have them.  What there is no room for is not told.
MAX_SIZE, ENTRY = 5 * 1024 * 1024, 50
#: How many policies of a domain: it may have changed within the day, and has one for
#: each of its hosts with TLSA records.
MAX_POLICIES = 20
#: How many kinds of failure with a policy: by host, address and reason.
MAX_FAILURES = 50
#: How much is kept of what a policy says, in characters, a line each.
MAX_LINES, MAX_LINE = 100, 500
#: How much is kept of a reason, in characters.
MAX_WHY = 200


@dataclass(frozen=True, slots=True)
class Failure:
    """
    A kind of failure (RFC 8460 4.3).

    @ivar result: What went wrong.
    @ivar ownAddress: The network address of this relay, empty where none was.
    @ivar host: The name of the host.
    @ivar helo: What it calls itself.
    @ivar address: Its network address, empty where none was reached.
    @ivar why: What is known beyond that.
    """

    result: TLSResult
    ownAddress: str = ""
    host: str = ""
    helo: str = ""
    address: str = ""
    why: str = ""


@dataclass(slots=True)
class Tally:
    """
    What became of the sessions under one policy.

    @ivar fine: How many were as the policy wants them.
    @ivar failed: How many were not, by kind.
    """

    fine: int = 0
    failed: dict[Failure, int] = field(default_factory=dict)

    @property
    def failures(self) -> int:
        """
        How many were not, in all.
        """
        return sum(self.failed.values())

    def note(self, failure: Failure | None) -> None:
        """
        Count a session.

        @param failure: What went wrong; L{None}: nothing.
        """
        if failure is None:
            self.fine += 1
            return
        if failure not in self.failed and len(self.failed) >= MAX_FAILURES:
            failure = Failure(failure.result)
            if failure not in self.failed and len(self.failed) >= 2 * MAX_FAILURES:
                return
        self.failed[failure] = self.failed.get(failure, 0) + 1


#: The tallies of a domain, by the policy.
Tallies = dict[Applied, Tally]


class Day:
    """
    The sessions of one day.

    @ivar begin: When it began, in seconds of the epoch.
    @ivar domains: The tallies by domain.
    @ivar size: How long that is, in characters.
    """

    def __init__(self, begin: int) -> None:
        self.begin = begin
        self.domains: dict[str, Tallies] = {}
        self.size = 0

    @property
    def end(self) -> int:
        """
        When its last second begins, in seconds of the epoch.
        """
        return self.begin + DAY - 1

    def note(self, session: TLSSession) -> None:
        """
        Count a session, under each policy that was applied.
        """
        domain = session.destination
        tallies = self.domains.get(domain)
        if tallies is None:
            if len(self.domains) >= MAX_DOMAINS or not self._takes(len(domain)):
                return
            tallies = self.domains[domain] = {}
        for applied in session.applied:
            policy = _bounded(applied)
            tally = tallies.get(policy)
            if tally is None:
                if len(tallies) >= MAX_POLICIES or not self._takes(_sizeOf(policy)):
                    continue
                tally = tallies[policy] = Tally()
            self._count(tally, _failureOf(session, applied))
        if not tallies:
            del self.domains[domain]

    def _count(self, tally: Tally, failure: Failure | None) -> None:
        isNew = failure is not None and failure not in tally.failed
        if failure is not None and isNew and not self._takes(_lengthOf(failure)):
            failure = Failure(failure.result)
        tally.note(failure)

    def _takes(self, length: int) -> bool:
        """
        Make room for something, if there is any left.
        """
        length += ENTRY
        if self.size + length > MAX_SIZE:
            return False
        self.size += length
        return True


def _sizeOf(policy: Applied) -> int:
    texts = (policy.domain, *policy.lines, *policy.patterns)
    return sum(map(len, texts))


def _lengthOf(failure: Failure) -> int:
    texts = (failure.ownAddress, failure.host, failure.helo, failure.address)
    return sum(map(len, texts)) + len(failure.why)


def dayOf(now: float) -> int:
    """
    Give when the day of a time began, in seconds of the epoch.
    """
    return int(now // DAY) * DAY


def _bounded(applied: Applied) -> Applied:
    """
    Give what tells a policy from others: not what is wrong with it.
    """
    return Applied(
        applied.kind,
        printable(applied.domain, MAX_LINE),
        tuple(printable(line, MAX_LINE) for line in applied.lines[:MAX_LINES]),
        tuple(printable(name, MAX_LINE) for name in applied.patterns[:MAX_LINES]),
    )


def _failureOf(session: TLSSession, applied: Applied) -> Failure | None:
    """
    Say how a session failed under a policy: what is wrong with the policy itself
    counts first.
    """
    result, why = applied.problem, applied.why
    if result is None:
        result, why = session.result, session.why
    if result is None:
        return None
    return Failure(
        result,
        session.ownAddress,
        printable(session.host, MAX_LINE),
        printable(session.helo, MAX_LINE),
        session.address,
        printable(why, MAX_WHY),
    )


# What is kept on the disk.


def written(day: Day) -> dict[str, Any]:
    """
    Give a day as it can be written down.
    """
    return {"begin": day.begin, "domains": dict(_domains(day))}


def _domains(day: Day) -> Iterator[tuple[str, Any]]:
    for domain, tallies in day.domains.items():
        yield domain, [_writtenTally(*each) for each in tallies.items()]


def _writtenTally(policy: Applied, tally: Tally) -> dict[str, Any]:
    return {
        "kind": policy.kind.value,
        "domain": policy.domain,
        "lines": policy.lines,
        "patterns": policy.patterns,
        "fine": tally.fine,
        "failed": [
            [f.result.value, f.ownAddress, f.host, f.helo, f.address, f.why, count]
            for f, count in tally.failed.items()
        ],
    }


def readDay(said: Mapping[str, Any]) -> Day:
    """
    Read a day that was written down.

    @raise ValueError: When it is none.
    """
    try:
        day = Day(dayOf(float(said["begin"])))
        for domain, tallies in said["domains"].items():
            found = [_readTally(each) for each in tallies[:MAX_POLICIES]]
            day.domains[str(domain)] = dict(found)
            day.size += len(domain) + sum(_sizeOfAll(*each) for each in found)
            if len(day.domains) >= MAX_DOMAINS:
                break
    except (LookupError, TypeError, AttributeError, OverflowError) as e:
        raise ValueError(f"it is no day of sessions ({e})") from e
    return day


def _sizeOfAll(policy: Applied, tally: Tally) -> int:
    failures = sum(_lengthOf(failure) + ENTRY for failure in tally.failed)
    return _sizeOf(policy) + failures + ENTRY


def _readTally(said: Mapping[str, Any]) -> tuple[Applied, Tally]:
    policy = Applied(
        PolicyKind(said["kind"]),
        str(said["domain"]),
        tuple(map(str, said["lines"])),
        tuple(map(str, said["patterns"])),
    )
    tally = Tally(_count(said["fine"]))
    for result, *words, count in said["failed"][: 2 * MAX_FAILURES]:
        own, host, helo, address, why = map(str, words)
        failure = Failure(TLSResult(result), own, host, helo, address, why)
        tally.failed[failure] = _count(count)
    return policy, tally


def _count(said: Any) -> int:
    if not isinstance(said, int) or said < 0:
        raise ValueError(f"{said!r} is no count")
    return said
