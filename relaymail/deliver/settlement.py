# -*- test-case-name: relaymail.test.deliver.test_settlement -*-
"""
What an attempt makes of each of its names, in the queue and in the log.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from relaymail.deliver.bounces import Bounces
from relaymail.envelopes import Letter
from relaymail.errors import UnreadableEntry
from relaymail.outcome.lines import OUTCOME_FORMAT, OutcomeLines
from relaymail.outcome.news import News, mayNotify, newsOfDelivery
from relaymail.outcomes import Delivered, Outcome

_O = TypeVar("_O", bound=Outcome)

#: What is told what became of an attempt for a name: the name, its letter, the
#: outcome, and what the log says of it.  It is called for every recipient.
OnOutcome = Callable[[str, Letter, Outcome, dict[str, Any]], None]

#: How long a name waits that could not be read for want of something, in
#: seconds.
_LATER = 30.0


class Settlement:
    """
    The letters of an attempt, and what is known of them.
    """

    _log = Logger()

    def __init__(self, queue: Any, onOutcome: OnOutcome | None = None) -> None:
        """
        @param queue: An L{IQueue <relaymail.interfaces.IQueue>} provider.
        @param onOutcome: What is told what becomes of each name.
        """
        self._queue = queue
        self._onOutcome = onOutcome
        self._letters: dict[str, Letter] = {}
        self._outcomes: dict[str, Outcome] = {}
        # The names of a transaction share their outcome.
        self._lines: OutcomeLines | None = None
        # A logger is made anew whenever its class attribute is looked up.
        self._tell = self._log.info

    def open(self, name: str) -> Letter | None:
        """
        Give a letter that can be sent, to its last byte.

        @return: It, or L{None} where it cannot be read: it is then set aside,
            or put back where that may pass.
        """
        letter = self.letter(name)
        try:
            # Reads the content where nobody did so yet.
            bool(letter is not None and letter.content.eightBit)
        except Exception as e:
            self._unreadable(name, e)
            return None
        return letter

    def letter(self, name: str) -> Letter | None:
        """
        Give a letter.

        @return: See L{open}.
        """
        letter = self._letters.get(name)
        if letter is not None:
            return letter
        try:
            letter = self._letters[name] = self._queue.letter(name)
        except Exception as e:
            self._unreadable(name, e)
        return letter

    def note(self, name: str, outcome: Outcome) -> None:
        """
        Remember what became of a name, until it is settled.
        """
        self._outcomes[name] = outcome

    def noted(self, name: str, kind: type[_O], otherwise: _O) -> _O:
        """
        Give what became of a name.

        @param kind: What it must be.
        @param otherwise: What to give where it is not.
        """
        outcome = self._outcomes.get(name)
        return outcome if isinstance(outcome, kind) else otherwise

    def delivered(
        self,
        name: str,
        bounces: Bounces | None = None,
        isTimed: bool = False,
        isFinal: bool = False,
    ) -> bool:
        """
        Take a name that was delivered out of the queue, or hand it over where its
        sender wants to be told.

        @param bounces: What tells senders; L{None}: none is told.
        @param isTimed: Whether the host was told by when it is to be there.
        @param isFinal: Whether the host put it where its recipient reads it.

        @return: Whether it was handed over.
        """
        outcome = self._outcomes.pop(name, None)
        letter = self._letters.pop(name, None) or self._unopened(name)
        if outcome is not None and letter is not None:
            self._record(name, letter, outcome)
            if letter.recipientParameters.notify or letter.parameters.deliverBy:
                news = _newsOf(letter, outcome, isTimed, isFinal)
                if bounces is not None and news is not None:
                    bounces.add(name, letter, outcome, news)
                    return True
        self._watch(name, self._queue.done(name, outcome))
        return False

    def _unopened(self, name: str) -> Letter | None:
        """
        Give a letter that was not opened here.
        """
        try:
            letter: Letter = self._queue.letter(name)
        except Exception:
            # It goes all the same; there is only no line for it.
            return None
        return letter

    def failed(self, name: str, letter: Letter, outcome: Any, bounces: Bounces) -> None:
        """
        Hand over a name that is never delivered.
        """
        self.forget(name)
        self._record(name, letter, outcome)
        bounces.add(name, letter, outcome)

    def removed(self, name: str, outcome: Outcome) -> Deferred[None] | None:
        """
        Take a name out of the queue that somebody does not want to be sent,
        whether it can be read or not.

        @return: Fires when that would survive a power cut; L{None}: it does.
        """
        letter = self._letters.pop(name, None) or self._unopened(name)
        self.forget(name)
        if letter is not None:
            self._record(name, letter, outcome)
        written: Deferred[None] | None = self._queue.done(name, outcome)
        return written

    def discarded(self, name: str, outcome: Outcome) -> None:
        """
        Take a name out of the queue that a rule throws away.
        """
        self._watch(name, self.removed(name, outcome))

    def retried(self, name: str, letter: Letter, outcome: Outcome, when: float) -> None:
        """
        Let a name rest until it is tried again.
        """
        self.forget(name)
        self._record(name, letter, outcome, when)
        self._watch(name, self._queue.setWaiting(name, when, outcome))

    def delayed(
        self,
        name: str,
        letter: Letter,
        outcome: Outcome,
        bounces: Bounces,
        when: float,
        until: float,
    ) -> None:
        """
        Hand over a name that rests, as L{retried} does, when its sender was told
        that it is late.

        @param when: When it is tried again, in seconds.
        @param until: Until when it is, in seconds.
        """
        self.forget(name)
        self._record(name, letter, outcome, when)
        bounces.add(name, letter, outcome, News.DELAYED, when, until)

    def forget(self, name: str) -> None:
        """
        Know nothing more of a name.
        """
        self._outcomes.pop(name, None)
        self._letters.pop(name, None)

    def _unreadable(self, name: str, error: Exception) -> None:
        self._log.failure("{name} cannot be read", name=name)
        self.forget(name)
        if isinstance(error, UnreadableEntry):
            self._queue.setAside(name, str(error))
        elif not isinstance(error, KeyError):
            # Such as a want of descriptors, which passes.
            self._queue.setWaiting(name, self._queue.clock.seconds() + _LATER)

    def _record(
        self, name: str, letter: Letter, outcome: Outcome, when: float | None = None
    ) -> None:
        lines = self._lines
        if lines is None or lines.outcome is not outcome:
            lines = self._lines = OutcomeLines(outcome)
        delay = max(self._queue.clock.seconds() - letter.arrived, 0.0)
        fields = lines.fields(
            name, letter.sender, letter.recipient, delay, letter.attempts, when
        )
        self._tell(OUTCOME_FORMAT, **fields)
        if self._onOutcome is not None:
            try:
                self._onOutcome(name, letter, outcome, fields)
            except Exception:
                # What only listens does not keep mail from being settled.
                self._log.failure("What became of {name} was not noted", name=name)

    def _watch(self, name: str, written: Any) -> None:
        if isinstance(written, Deferred):
            written.addErrback(self._notWritten, name)

    def _notWritten(self, failure: Failure, name: str) -> None:
        self._log.failure("What became of {name} was not written", failure, name=name)


def _newsOf(
    letter: Letter, outcome: Outcome, isTimed: bool, isFinal: bool
) -> News | None:
    if not mayNotify(letter.sender):
        return None
    passedOn = isinstance(outcome, Delivered) and outcome.passedOn
    parameters, said = letter.parameters, letter.recipientParameters
    return newsOfDelivery(parameters, said, passedOn, isTimed, isFinal)


def nameIn(path: Any) -> str:
    """
    Give the name in a path of L{IQueue.getPath
    <relaymail.interfaces.IQueue.getPath>}.
    """
    if type(path) is str:
        return path.rpartition(os.sep)[2]
    name: str = os.path.basename(path)
    return name
