# -*- test-case-name: relaymail.test.tlsreports.test_reporter -*-
"""
Who counts sessions, and tells domains of them.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from relaymail.keeping import PrivateDirectory
from relaymail.protections import TLSSession
from relaymail.replies import printable
from relaymail.route.texts import textsOf
from relaymail.route.troubles import isNoSuchName
from relaymail.tlsreports.counting import DAY, Day, dayOf, readDay, written
from relaymail.tlsreports.mailing import messageOf
from relaymail.tlsreports.records import PREFIX, Places, parseRecords
from relaymail.tlsreports.report import KIND, Report, packed
from relaymail.tlsreports.schedule import GIVE_UP, firstTime, nextTime

#: How often it is looked whether a day is over or a report is due, in seconds.
LOOK = 60.0
#: How often what was counted is written down, in seconds: so much is lost when the
#: machine goes down, and nobody's mail.
KEEP = 300.0
#: How many reports are under way at a time.
MAX_AT_ONCE = 5
#: How many reports of a day one host, or all addresses of one domain, get: whoever
#: answers for any name can want reports on as many domains as he likes, and want them
#: sent to somebody else.
MAX_TO_ONE = 1000
#: How long one may take, in seconds: its question, its requests and its messages.
PATIENCE = 180.0
#: How long what is under way may go on when the relay stops, in seconds.
STOP_PATIENCE = 5.0
#: How much of a file of counts is read, in bytes.
MAX_FILE = 64 * 1024 * 1024
#: How many files of days are looked at: one is counted, and those before it are told.
MAX_DAYS = 4

_NAME = "day-{begin:d}.json"

#: Gives a message to the queue: who it is from, who gets it, and its bytes.
Send = Callable[[str, Sequence[str], bytes], Any]
#: Runs what reads and writes files, in a thread.
Run = Callable[[Callable[[], Any]], "Deferred[Any]"]


class Poster(Protocol):
    """
    What sends reports over HTTPS.
    """

    def post(self, url: str, content: bytes, kind: str) -> Deferred[Any]:
        """
        Send something.

        @param kind: The type of its content.

        @return: Fires with an answer, which has a C{status}.
        """


@dataclass(frozen=True, slots=True)
class Submitter:
    """
    Who reports.

    @ivar domain: The domain that reports are from.
    @ivar sender: The address that their messages are from.
    @ivar contact: How people reach who reports.
    """

    domain: str
    sender: str
    contact: str


@dataclass(slots=True)
class _Untold:
    """
    A domain that may want to be told of a day.

    @ivar due: When, in seconds of the epoch.
    @ivar failures: How often it could not be.
    @ivar isUnderWay: Whether it is being told.
    @ivar told: The places that took the report.
    """

    due: float
    failures: int = 0
    isUnderWay: bool = False
    told: set[str] = field(default_factory=set)


class Reporter:
    """
    Counts how sessions began, and tells the domains that want to know.

    @ivar submitter: Who reports.
    """

    log = Logger()
    chance: Callable[[], float] = staticmethod(random.random)

    def __init__(
        self,
        submitter: Submitter,
        resolver: Any,
        reactor: Any,
        directory: PrivateDirectory,
        run: Run,
        send: Send,
        poster: Poster,
    ) -> None:
        """
        @param resolver: An L{IResolver<twisted.internet.interfaces.IResolver>}
            provider, of which C{lookupText} is used.
        @param reactor: Tells the time.
        @param directory: Where counts are kept across restarts.
        @param run: Runs what reads and writes files.
        @param send: Gives a message to the queue.
        @param poster: Sends over HTTPS.
        """
        self.submitter = submitter
        self.resolver = resolver
        self._reactor = reactor
        self._directory = directory
        self._run = run
        self._send = send
        self._poster = poster
        self._day = Day(dayOf(reactor.seconds()))
        self._over: dict[int, tuple[Day, dict[str, _Untold]]] = {}
        self._tellings: set[Deferred[Any]] = set()
        self._changed: set[int] = set()
        #: How many reports each host and each domain got, by the day.
        self._got: dict[int, Counter[str]] = {}
        self._kept = reactor.seconds()
        self._call: Any = None
        self._isStopped = True

    def note(self, session: TLSSession) -> None:
        """
        Count a session.
        """
        self._roll()
        self._day.note(session)
        self._changed.add(self._day.begin)

    # Beginning and end.

    def start(self) -> Deferred[None]:
        """
        Begin to tell, also what was counted before a restart.

        @return: Fires when that was read.  It never fails.
        """
        self._isStopped = False
        self._later()
        read = self._run(self._read)
        read.addCallback(self._takeIn)
        return read.addErrback(self._failed, "What was counted could not be read")

    def stop(self) -> Deferred[None]:
        """
        Tell nothing more, and write down what was counted.

        @return: Fires when that is done, within a bound.  It never fails.
        """
        self._isStopped = True
        if self._call is not None:
            self._call.cancel()
            self._call = None
        for telling in list(self._tellings):
            telling.cancel()
        kept = self._keep()
        kept.addTimeout(STOP_PATIENCE, self._reactor)
        return kept.addErrback(self._failed, "What was counted could not be written")

    def _later(self) -> None:
        if not self._isStopped:
            self._call = self._reactor.callLater(LOOK, self._look)

    def _look(self) -> None:
        self._call = None
        now = self._reactor.seconds()
        try:
            self._roll()
            self._tellDue(now)
            if now - self._kept >= KEEP:
                kept = self._keep()
                kept.addErrback(self._failed, "What was counted could not be written")
        except Exception:
            self.log.failure("Reports could not be looked after; it is tried again")
        self._later()

    def _roll(self) -> None:
        """
        Begin a new day where that is time.
        """
        begin = dayOf(self._reactor.seconds())
        if begin > self._day.begin:
            over, self._day = self._day, Day(begin)
            self._isOver(over)

    def _isOver(self, day: Day) -> None:
        end = day.begin + DAY
        untold = {
            domain: _Untold(firstTime(end, self.chance())) for domain in day.domains
        }
        self._over[day.begin] = day, untold

    # Telling.

    def _tellDue(self, now: float) -> None:
        for begin, (day, untold) in list(self._over.items()):
            if not untold or now > day.begin + DAY + GIVE_UP:
                del self._over[begin]
                self._got.pop(begin, None)
                self._changed.add(begin)
                continue
            for domain, state in list(untold.items()):
                if len(self._tellings) >= MAX_AT_ONCE:
                    return
                if state.due <= now and not state.isUnderWay:
                    self._begin(day, domain, state)

    def _begin(self, day: Day, domain: str, state: _Untold) -> None:
        state.isUnderWay = True
        telling = Deferred.fromCoroutine(self._tell(day, domain, state))
        telling.addTimeout(PATIENCE, self._reactor)
        self._tellings.add(telling)
        telling.addBoth(self._told, telling, day, domain, state)

    def _told(
        self, result: Any, telling: Any, day: Day, domain: str, state: _Untold
    ) -> None:
        self._tellings.discard(telling)
        state.isUnderWay = False
        if self._isStopped:
            return
        untold = self._over[day.begin][1] if day.begin in self._over else {}
        if isinstance(result, Failure):
            state.failures += 1
            now = self._reactor.seconds()
            when = nextTime(day.begin + DAY, state.failures, now)
            self.log.info(
                "{domain} could not be told how its sessions were protected, {next}: "
                "{why}",
                domain=domain,
                next="and is not" if when is None else "and is tried again",
                why=printable(result.getErrorMessage()),
            )
            if when is not None:
                state.due = when
                return
        untold.pop(domain, None)
        day.domains.pop(domain, None)
        self._changed.add(day.begin)

    async def _tell(self, day: Day, domain: str, state: _Untold) -> None:
        places = await self._placesOf(domain)
        if not places:
            return
        submitter, ident = self.submitter, f"{day.begin}.{domain}"
        whose = (submitter.domain, submitter.contact, ident)
        report = Report(domain, day.begin, *whose, day.domains[domain])
        failed = []
        for url in places.urls:
            if url not in state.told and self._mayGet(url, report):
                failed.append(await self._post(url, report, state))
        for address in places.addresses:
            if address not in state.told and self._mayGet(address, report):
                await self._mail(address, report, state)
        if any(failed):
            raise Untold("; ".join(filter(None, failed)))

    def _mayGet(self, where: str, report: Report) -> bool:
        """
        Tell whether a place is to get one more report.
        """
        got = self._got.setdefault(report.begin, Counter())
        whose = urlsplit(where).hostname or where.rpartition("@")[2]
        got[whose] += 1
        if got[whose] == MAX_TO_ONE + 1:
            self.log.warn(
                "{whose} is where {most} domains and more want reports; it gets none "
                "of the others today, {domain} the first of them",
                whose=printable(whose),
                most=MAX_TO_ONE,
                domain=report.domain,
            )
        return got[whose] <= MAX_TO_ONE

    async def _placesOf(self, domain: str) -> Places:
        try:
            texts = await textsOf(self.resolver.lookupText, f"{PREFIX}{domain}")
        except Exception as e:
            if isNoSuchName(e):
                return Places()
            raise
        return parseRecords(b"".join(strings) for strings in texts)

    async def _post(self, url: str, report: Report, state: _Untold) -> str:
        """
        Send a report over HTTPS.

        @return: Why it was not taken; empty: it was.
        """
        try:
            answer = await self._poster.post(url, packed(report), KIND)
        except Exception as e:
            return printable(f"{url}: {e or type(e).__name__}")
        if not 200 <= answer.status < 300:
            return printable(f"{url} answered with status {answer.status}")
        self._noteTold(url, report, state)
        return ""

    async def _mail(self, address: str, report: Report, state: _Untold) -> None:
        sender, now = self.submitter.sender, self._reactor.seconds()
        content = messageOf(report, sender, address, now)
        await maybeDeferred(self._send, sender, [address], content)
        self._noteTold(address, report, state)

    def _noteTold(self, where: str, report: Report, state: _Untold) -> None:
        state.told.add(where)
        self.log.info(
            "{domain} was told how its sessions were protected, at {where}",
            domain=report.domain,
            where=printable(where),
        )

    # What is on the disk.

    def _keep(self) -> Deferred[Any]:
        self._kept = self._reactor.seconds()
        changed, self._changed = self._changed, set()
        days = {day.begin: day for day, _ in self._over.values()}
        days[self._day.begin] = self._day
        # What is written is made here: it changes on.
        texts = {
            begin: json.dumps(written(days[begin])).encode("ascii")
            if begin in days and days[begin].domains
            else None
            for begin in changed
        }
        return self._run(lambda: self._write(texts))

    def _write(self, texts: dict[int, bytes | None]) -> None:
        for begin, text in texts.items():
            name = _NAME.format(begin=begin)
            if text is None:
                self._directory.remove(name)
            else:
                self._directory.write(name, text)

    def _read(self) -> list[Day]:
        days: list[Day] = []
        names = self._directory.names()
        for name in sorted(names, reverse=True)[:MAX_DAYS]:
            data = self._directory.read(name, MAX_FILE)
            try:
                days.append(readDay(json.loads(data or b"")))
            except ValueError as e:
                self.log.error(
                    "{name} in {path} has no counts of sessions, and is left out: "
                    "{why}",
                    name=name,
                    path=self._directory.path,
                    why=printable(str(e)),
                )
        for name in sorted(names, reverse=True)[MAX_DAYS:]:
            self._directory.remove(name)
        return days

    def _takeIn(self, days: list[Day]) -> None:
        for day in days:
            if day.begin == self._day.begin:
                _merge(self._day, day)
            elif day.begin < self._day.begin and day.begin not in self._over:
                self._isOver(day)
                self._changed.add(day.begin)

    def _failed(self, failure: Failure, what: str) -> None:
        self.log.failure(what, failure)


class Untold(Exception):
    """
    Not every place of a domain took a report; the message says why.
    """


def _merge(day: Day, before: Day) -> None:
    """
    Add what was counted before a restart.
    """
    day.size += before.size
    for domain, tallies in before.domains.items():
        into = day.domains.setdefault(domain, {})
        for policy, tally in tallies.items():
            known = into.setdefault(policy, tally)
            if known is tally:
                continue
            known.fine += tally.fine
            for failure, count in tally.failed.items():
                known.failed[failure] = known.failed.get(failure, 0) + count
