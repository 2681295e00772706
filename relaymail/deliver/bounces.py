# -*- test-case-name: relaymail.test.deliver.test_bounces -*-
"""
From failures to notices, in the queue.
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import partial
from typing import Any
from uuid import uuid4

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from relaymail import bounce
from relaymail.envelopes import Letter
from relaymail.outcome.notices import (
    MAX_ORIGINAL,
    Notice,
    compose,
    envelopeOf,
    mayNotify,
)
from relaymail.outcomes import Bounce
from relaymail.queue.pickles import MAX_PICKLE, dumpEnvelope, loadEnvelope

#: How long a name waits whose sender could not be told, in seconds: long
#: enough for somebody to make room on the disk.
_LATER = 300.0


class Bounces:
    """
    Collects the names that failed in one turn of the reactor, and then tells
    their senders: one notice for the failures of one message.

    The notice is added, and the names it is about are done, in one turn, so
    that the queue writes them as one transaction.
    """

    _log = Logger()

    def __init__(self, queue: Any) -> None:
        """
        @param queue: An L{IQueue <relaymail.interfaces.IQueue>} provider.
        """
        self._queue = queue
        self._failed: dict[Hashable, list[tuple[str, Letter, Bounce]]] = {}

    def add(self, name: str, letter: Letter, outcome: Bounce) -> None:
        """
        Take a name that failed; it is claimed.
        """
        key = self._queue.contentKey(name)
        self._failed.setdefault(key, []).append((name, letter, outcome))

    def flush(self, hostname: str) -> None:
        """
        Tell the senders, and be done with the names.

        @param hostname: The name of this relay.
        """
        failed, self._failed = self._failed, {}
        for failures in failed.values():
            try:
                self._settle(failures, hostname)
            except Exception:
                self._log.failure(
                    "The sender of {names} could not be told",
                    names=[name for name, _, _ in failures],
                )
                self._putOff(failures)

    def _settle(
        self, failures: list[tuple[str, Letter, Bounce]], hostname: str
    ) -> None:
        letter = failures[0][1]
        if mayNotify(letter.sender):
            added = self._notify(failures, hostname)
            if isinstance(getattr(added, "result", None), Failure):
                added.addErrback(partial(self._notTold, failures))
                return
            added.addErrback(self._alreadyLogged)
        for name, _, outcome in failures:
            done = self._queue.done(name, outcome)
            if done is not None:
                done.addErrback(partial(self._notDone, name))

    def _notify(
        self, failures: list[tuple[str, Letter, Bounce]], hostname: str
    ) -> Deferred[list[str]]:
        letter = failures[0][1]
        notice = Notice(
            reportingHost=hostname,
            sender=letter.sender,
            failures=[(lost.recipient, outcome) for _, lost, outcome in failures],
            original=self._beginningOf(letter),
            arrived=letter.arrived,
            now=self._queue.clock.seconds(),
            token=uuid4().hex,
        )
        content = compose(notice)
        added: Deferred[list[str]] = self._queue.add(
            envelopeOf(notice, content), content
        )
        return added

    def _beginningOf(self, letter: Letter) -> bytes:
        try:
            with letter.content.open() as file:
                return file.read(MAX_ORIGINAL + 1)
        except Exception:
            self._log.failure("The content of a message that failed cannot be read")
            return b""

    def _notTold(
        self, failures: list[tuple[str, Letter, Bounce]], failure: Failure
    ) -> None:
        self._log.failure(
            "The notice to {sender} could not be queued; the message stays",
            failure,
            sender=failures[0][1].sender,
        )
        self._putOff(failures)

    def _putOff(self, failures: list[tuple[str, Letter, Bounce]]) -> None:
        when = self._queue.clock.seconds() + _LATER
        for name, _, outcome in failures:
            try:
                self._queue.setWaiting(name, when, outcome)
            except KeyError:
                # It was settled before the failure came.
                continue

    def _notDone(self, name: str, failure: Failure) -> None:
        self._log.failure(
            "{name} failed, and could not be taken out of the queue", failure, name=name
        )

    def _alreadyLogged(self, failure: Failure) -> None:
        # The removal that belongs to it is refused and says so.
        self._log.debug("A notice could not be queued: {why}", why=failure.value)


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
