# -*- test-case-name: relaymail.test.deliver.test_bounces -*-
"""
From what became of mail to notices, in the queue.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from uuid import uuid4

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from relaymail import bounce
from relaymail.envelopes import Envelope, Letter
from relaymail.outcome.news import News, Notice, Told, mayNotify
from relaymail.outcome.notices import compose, envelopeOf
from relaymail.outcome.original import MAX_ORIGINAL
from relaymail.outcome.redacted import MAX_NOTICE, isForWantOfTLS, redactedOf
from relaymail.outcomes import Bounce, Outcome
from relaymail.queue.pickles import MAX_PICKLE, dumpEnvelope, loadEnvelope
from relaymail.replies import printable

#: How long a name waits whose sender could not be told, in seconds: long
#: enough for somebody to make room on the disk.
_LATER = 300.0
#: How many of the names that a notice is about a log line has.
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class _Settled:
    """
    A claimed name that is settled when its sender is told.

    @ivar name: The name.
    @ivar letter: Its letter.
    @ivar outcome: What became of it.
    @ivar when: When it is tried again, in seconds, if it is.
    @ivar until: Until when it is, in seconds.
    """

    name: str
    letter: Letter
    outcome: Outcome
    when: float | None = None
    until: float | None = None

    @property
    def told(self) -> Told:
        """
        What its sender is told.
        """
        orcpt = self.letter.recipientParameters.orcpt
        return Told(self.letter.recipient, self.outcome, orcpt, self.until)


class Bounces:
    """
    Collects the names in one turn of the reactor of which senders are told, and
    then tells them: one notice for what became of one message.

    The notice is added, and the names it is about are settled, in one turn, so
    that the queue writes them as one transaction.  So it is with what takes the
    place of a notice that may go over TLS only, and cannot (RFC 8689 5).
    """

    _log = Logger()

    def __init__(self, queue: Any) -> None:
        """
        @param queue: An L{IQueue <relaymail.interfaces.IQueue>} provider.
        """
        self._queue = queue
        self._settled: dict[tuple[Hashable, News], list[_Settled]] = {}

    def add(
        self,
        name: str,
        letter: Letter,
        outcome: Outcome,
        news: News = News.FAILED,
        when: float | None = None,
        until: float | None = None,
    ) -> None:
        """
        Take a name; it is claimed.

        @param outcome: What became of it.
        @param news: What its sender is told; of a failure nothing where it did not
            want that (RFC 3461 4.1).
        @param when: When it is tried again, in seconds, if it is.
        @param until: Until when it is, in seconds.
        """
        key = (self._queue.contentKey(name), news)
        settled = _Settled(name, letter, outcome, when, until)
        self._settled.setdefault(key, []).append(settled)

    def flush(self, hostname: str) -> None:
        """
        Tell the senders, and settle the names.

        @param hostname: The name of this relay.
        """
        settled, self._settled = self._settled, {}
        for (_, news), names in settled.items():
            wanted: list[_Settled] = []
            for each in names:
                if self._mayTell(each.letter, news):
                    wanted.append(each)
                elif not (_isNotice(each, news) and self._replace(each, hostname)):
                    self._settle(each, news, isTold=False)
            if wanted:
                self._tellOf(
                    wanted, news, partial(self._notice, wanted, news, hostname)
                )

    def _replace(self, each: _Settled, hostname: str) -> bool:
        """
        Let something else take the place of a notice that may go over TLS only.

        @return: Whether that is to be.
        """
        content = self._beginningOf(each.letter, MAX_NOTICE)
        now, token = self._queue.clock.seconds(), uuid4().hex
        made = redactedOf(content, each.letter.recipient, hostname, now, token)
        if made is None or not isinstance(each.outcome, Bounce):
            return False
        outcome = replace(each.outcome, isReplaced=True)
        self._tellOf([replace(each, outcome=outcome)], News.FAILED, lambda: made)
        return True

    def _mayTell(self, letter: Letter, news: News) -> bool:
        if news is News.DELAYED and not hasattr(self._queue, "told"):
            # A queue of a program that cannot remember it would tell of it anew
            # with each attempt.
            return False
        return _isWanted(letter, news)

    def _tellOf(
        self,
        names: list[_Settled],
        news: News,
        make: Callable[[], tuple[Envelope, bytes]],
    ) -> None:
        try:
            added: Deferred[list[str]] = self._queue.add(*make())
        except Exception:
            self._log.failure(
                "The sender of {names} could not be told",
                names=[each.name for each in names],
            )
            return self._notTold(names, news)
        if isinstance(getattr(added, "result", None), Failure):
            added.addErrback(partial(self._notAdded, names, news))
            return None
        added.addErrback(self._alreadyLogged)
        if news is not News.FAILED:
            # Of what failed the lines of the outcomes say enough.
            self._log.info(
                "notice action={action} to=<{to}> about={names}",
                action=news.value,
                to=printable(names[0].letter.sender),
                names=",".join(each.name for each in names[:_SHOWN]),
            )
        for each in names:
            self._settle(each, news, isTold=True)
        return None

    def _settle(self, each: _Settled, news: News, isTold: bool) -> None:
        try:
            if news is not News.DELAYED:
                written = [self._queue.done(each.name, each.outcome)]
            else:
                # That it was told first: once it rests it may be out of the window.
                written = [self._queue.told(each.name)] if isTold else []
                written.append(
                    self._queue.setWaiting(each.name, each.when, each.outcome)
                )
        except Exception:
            self._log.failure("{name} could not be settled; it stays", name=each.name)
            self._putOff(each)
            return
        for change in written:
            if isinstance(change, Deferred):
                change.addErrback(self._notSettled, each.name)

    def _notice(
        self, names: list[_Settled], news: News, hostname: str
    ) -> tuple[Envelope, bytes]:
        letter = names[0].letter
        notice = Notice(
            reportingHost=hostname,
            sender=letter.sender,
            told=[each.told for each in names],
            original=self._beginningOf(letter),
            arrived=letter.arrived,
            now=self._queue.clock.seconds(),
            token=uuid4().hex,
            news=news,
            parameters=letter.parameters,
        )
        content = compose(notice)
        return envelopeOf(notice, content), content

    def _beginningOf(self, letter: Letter, size: int = MAX_ORIGINAL + 1) -> bytes:
        try:
            with letter.content.open() as file:
                return file.read(size)
        except Exception:
            self._log.failure("The content of a message that failed cannot be read")
            return b""

    def _notAdded(self, names: list[_Settled], news: News, failure: Failure) -> None:
        self._log.failure(
            "The notice to {sender} of mail that is {news} could not be queued; {then}",
            failure,
            sender=names[0].letter.sender,
            news=news.value,
            then="it stays" if news is News.FAILED else "it goes on without",
        )
        self._notTold(names, news)

    def _notTold(self, names: list[_Settled], news: News) -> None:
        """
        Go on without the notice: what failed stays, to fail again later; what was
        delivered is gone all the same.
        """
        for each in names:
            if news is News.FAILED:
                self._putOff(each)
            else:
                self._settle(each, news, isTold=False)

    def _putOff(self, each: _Settled) -> None:
        when = self._queue.clock.seconds() + _LATER
        try:
            self._queue.setWaiting(each.name, when, each.outcome)
        except KeyError:
            # It was settled before the failure came.
            return

    def _notSettled(self, failure: Failure, name: str) -> None:
        self._log.failure(
            "What became of {name} could not be written", failure, name=name
        )

    def _alreadyLogged(self, failure: Failure) -> None:
        # What belongs to it is refused and says so.
        self._log.debug("A notice could not be queued: {why}", why=failure.value)


def _isNotice(each: _Settled, news: News) -> bool:
    """
    Tell whether a letter may be a notice that may go over TLS only, and cannot.
    """
    letter = each.letter
    if news is not News.FAILED or letter.sender or not letter.parameters.requireTLS:
        return False
    return isForWantOfTLS(each.outcome)


def _isWanted(letter: Letter, news: News) -> bool:
    """
    Tell whether the sender of a letter is to be told of it.
    """
    if not mayNotify(letter.sender):
        return False
    return news is not News.FAILED or letter.recipientParameters.wantsFailure


def queueNotice(queue: Any, name: str) -> None:
    """
    Queue a notice the seed's way, for a queue that is no L{IQueue
    <relaymail.interfaces.IQueue>}.
    """
    with queue.getEnvelopeFile(name) as file:
        sender, recipient = map(str, loadEnvelope(file.read(MAX_PICKLE)))
    if not sender:
        return
    with open(queue.getPath(name) + "-D", "rb") as content:
        source, target, notice = bounce.generateBounce(content, sender, recipient)
    envelopeFile, message = queue.createNewMessage()
    with envelopeFile:
        envelopeFile.write(dumpEnvelope([source.decode(), target.decode()]))
    for line in notice.splitlines():
        message.lineReceived(line)
    message.eomReceived()
