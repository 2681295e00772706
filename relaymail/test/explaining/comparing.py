# -*- test-case-name: relaymail.test.explaining.test_agreement -*-
"""
What is explained of a message in a random world, and what then becomes of it.
"""

from __future__ import annotations

from typing import Any

from relaymail.admin.explained import explainedView
from relaymail.assembly import refusalBy
from relaymail.deliver.explaining import Explained, Question, Tried, explain
from relaymail.envelopes import Client, Envelope, Parameters
from relaymail.inspection import NameState
from relaymail.outcome.verdicts import Fate, judge
from relaymail.outcomes import Bounce, Outcome, Removed
from relaymail.route.hosts import Host, TLSNeed
from relaymail.route.rules import Action
from relaymail.schedule.paces import State
from relaymail.test.explaining.worlds import RandomWorld
from relaymail.testing.doubles import CONTENT

#: How long the first attempt may take at the most, in seconds: some hosts, with some
#: addresses each, that are silent.
PATIENCE = 900
#: How often it is looked whether it is over, in seconds.
STEP = 5
#: How long a world is looked at in which nothing is to happen, in seconds.
QUIET = 20
#: What sessions have to be over TLS.
_ENCRYPTED = frozenset({TLSNeed.ENCRYPTED, TLSNeed.VERIFIED, TLSNeed.DANE})


class Disagreement(AssertionError):
    """
    What was explained is not what was done.
    """


class Case:
    """
    A message in a random world.

    @ivar seed: Of which.
    @ivar explained: What was explained.
    @ivar kind: What became of it, in a word.
    """

    def __init__(self, seed: int) -> None:
        """
        @param seed: What all chance comes from.
        """
        self.seed = seed
        self.kind = ""
        self.random = RandomWorld(seed)
        self.world = self.random.world
        self.manager: Any = self.world.manager
        self.explained = self._explain(self.random.question)
        #: The site that its mail was known to go to.
        self._siteBefore = self.manager._theSite(self.explained.lane)
        self.names: list[str] = []

    def deliver(self) -> Outcome:
        """
        Send the message.

        @return: What became of the first attempt.
        """
        self.manager.watch(self.world.network.tried)
        self._send(self.random.question)
        self._untilDone()
        outcome: Outcome = self.manager.outcomes[0]
        return outcome

    def compare(self) -> None:
        """
        Send the message, and compare.

        @raise Disagreement: When something else became of it.
        """
        self._compareRefusal()
        self.manager.watch(self.world.network.tried)
        self.world.network.tried.clear()
        self._send(self.random.question)
        if self.explained.held:
            self._compareHeld()
        elif self.explained.rests is not None:
            self._compareResting()
        elif self._compareWait():
            self._untilDone()
            self._compareAttempt()

    def _explain(self, question: Question) -> Explained:
        found: list[Any] = []
        explain(self.manager, question).addBoth(found.append)
        self.world.run(0)
        assert found, "the answer did not come at once"
        result = found[0]
        if not isinstance(result, Explained):
            result.raiseException()
        assert isinstance(result, Explained)
        # It can be shown, too.
        explainedView(self.manager, result)
        return result

    def _send(self, question: Question) -> None:
        parameters = Parameters(
            requireTLS=question.requireTLS, tlsOptional=question.tlsOptional
        )
        envelope = Envelope(
            question.sender,
            (question.recipient,),
            parameters,
            origin=question.origin,
        )
        self.world.queue.add(envelope, CONTENT).addCallback(self.names.extend)
        self.world.run(0)

    def _untilDone(self) -> None:
        end = self.world.network.seconds() + PATIENCE
        while not self.manager.outcomes and self.world.network.seconds() < end:
            self.world.run(STEP)
        self._check(self.manager.outcomes, "no attempt was over in time")

    # What is compared.

    def _check(self, isRight: Any, *told: object) -> None:
        if not isRight:
            words = " / ".join(map(str, told))
            question = self.random.question
            raise Disagreement(f"seed {self.seed}: {words}; {question}")

    def _same(self, what: str, explained: object, done: object) -> None:
        self._check(explained == done, what, f"explained {explained}", f"done {done}")

    def _compareRefusal(self) -> None:
        question, choice = self.random.question, self.explained.choice
        refuses = choice.rule is not None and choice.rule.action is Action.REFUSE
        client = Client(question.origin.host, user=question.origin.user)
        refusal = refusalBy(self.manager.routing)
        text = refusal and refusal(client, question.sender, question.recipient)
        self._same("refused", refuses, text is not None)

    def _compareHeld(self) -> None:
        self.kind = "held"
        self.world.run(QUIET)
        found: list[Any] = []
        self.world.queue.entry(self.names[0]).addCallback(found.append)
        self._same("state", NameState.HELD, found[0].state)
        self._same("why", self.explained.held, found[0].why)
        self._same("connections", [], self.world.network.tried)

    def _compareResting(self) -> None:
        self.kind = "rests"
        rests = self.explained.rests
        assert rests is not None
        self._same("why", State.SUSPENDED, self.explained.standing.state)
        queue: Any = self.world.queue
        self._same("due", round(rests, 3), round(queue.nextDue() or 0.0, 3))
        self.world.run(min(QUIET, rests - self.world.network.seconds() - 1))
        self._same("connections", [], self.world.network.tried)
        isKnown = self._siteBefore == self.explained.site
        self.kind = "rests" if isKnown else "stands back"
        self._same("routes", 0 if isKnown else 1, len(self.manager.goals))

    def _compareWait(self) -> bool:
        """
        See that it waits for a rate as long as was told, and no longer.

        @return: Whether it is tried then.
        """
        standing, now = self.explained.standing, self.world.network.seconds()
        if standing.state is State.THROTTLED and standing.until is not None:
            self.world.run(standing.until - now - 1)
            self._same("routes before the time", [], self.manager.goals)
            # What is known of hosts may be over by now.
            self.explained = self._explain(self.random.question)
            self.manager.goals.clear()
            self.world.run(2)
            if self.explained.rests is not None:
                self._compareResting()
                return False
        self._check(self.manager.goals, "nothing was begun", standing)
        return True

    def _compareAttempt(self) -> None:
        explained, manager = self.explained, self.manager
        self._same("goal", explained.goal, manager.goals[0])
        outcome: Outcome = manager.outcomes[0]
        ending = explained.ending
        hosts = _once([host for host, _ in manager.steps])
        if ending is not None:
            self.kind = f"ends {type(ending).__name__.lower()}"
            self._same("ending", _shown(ending), _shown(outcome))
            self._same("connections", [], self.manager.begun)
        else:
            self.kind = "tried"
            self._check(manager.begun, "nobody was connected to", _shown(outcome))
            self._compareEnd(hosts, outcome)
        for tried, host in zip(explained.tried, hosts, strict=False):
            self._same("host", _told(tried.host), _told(host))
        self._check(len(hosts) <= len(explained.tried), "more hosts", hosts)
        self._compareAddresses()
        self._compareSessions()

    def _compareEnd(self, hosts: list[Host], outcome: Outcome) -> None:
        """
        See that no host was left out at the end.
        """
        if len(hosts) == len(self.explained.tried) or outcome.evidence is None:
            return
        verdict = judge(outcome.phase, outcome.evidence, lastHost=False)
        told = [tried.host.name for tried in self.explained.tried]
        self._check(verdict.fate is not Fate.NEXT_HOST, "hosts left out", told, hosts)

    def _compareAddresses(self) -> None:
        """
        See that the addresses of each host were begun in their order.
        """
        steps, done = self.manager.steps, self.manager.begun
        ends = [*(start for _, start in steps), len(done)][1:]
        seen: set[str] = set()
        before: Host | None = None
        order = iter(self.explained.tried)
        for (host, start), end in zip(steps, ends, strict=True):
            begun = [address for address, _ in done[start:end]]
            if host != before:
                before = host
                self._compareBegun(next(order), begun, seen)
            seen.update(begun)

    def _compareBegun(self, tried: Tried, begun: list[str], seen: set[str]) -> None:
        expected = list(tried.addresses)
        if not seen.isdisjoint(expected):
            # What failed at the host before is behind the others by now.
            self._check(set(begun) <= set(expected), tried.host.name, begun, expected)
            return
        what = f"addresses of {tried.host.name}"
        self._same(what, expected[: len(begun)], begun)
        self._check(bool(begun) == bool(expected), what, "begun", begun, expected)

    def _compareSessions(self) -> None:
        """
        See that nobody got the message without the TLS that was told.
        """
        recipients = (self.random.question.recipient,)
        for server in self.random.servers:
            for message in server.received:
                if message.recipients != recipients:
                    continue
                self.kind = "delivered"
                host = self.manager.steps[-1][0]
                isTLS = message.session.isTLS
                self._check(isTLS or host.tls not in _ENCRYPTED, "in clear", host)
                isClear = host.tls is TLSNeed.NEVER or host.inClear
                self._check(not (isTLS and isClear), "not in clear", host)


def _once(hosts: list[Host]) -> list[Host]:
    """
    Give hosts without those that were tried once more.
    """
    found: list[Host] = []
    for host in hosts:
        if not found or found[-1] != host:
            found.append(host)
    return found


def _told(host: Host) -> tuple[object, ...]:
    """
    Give all of a host, also what makes no other host of it.
    """
    return (host, host.inClear, host.why)


def _shown(outcome: Outcome) -> tuple[object, ...]:
    """
    Give what counts of an outcome.
    """
    kinds = (Bounce, Removed)
    kind = next((k.__name__ for k in kinds if isinstance(outcome, k)), "Retry")
    return (kind, outcome.status, outcome.phase, outcome.evidence, outcome.host)
