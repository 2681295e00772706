"""
What the tests of policies have in common.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed

from relaymail.protections import TLSResult
from relaymail.route.sts.policy import STSPolicy, Unfetched, parsePolicy
from relaymail.route.sts.storing import Kept

DOMAIN = "one.example"
WEEK = 604800


def makePolicy(
    id: str = "1", mode: str = "enforce", maxAge: int = WEEK, mx: str = "mx.one.example"
) -> STSPolicy:
    """
    Make a policy, as it would be read.
    """
    said = f"version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: {maxAge}\n"
    return parsePolicy(said.encode(), id)


def makeKept(
    domain: str = DOMAIN, fetched: float = 0.0, used: float | None = None, **said: Any
) -> Kept:
    """
    Make what is kept of a domain.
    """
    return Kept(domain, makePolicy(**said), fetched, fetched if used is None else used)


class Fetches:
    """
    In the place of what fetches policies.

    @ivar answers: What there is, by the domain: a policy, what is wrong, or L{None} for
        what does not come.
    @ivar asked: What was asked for: domains and ids.
    @ivar pending: What does not come, by the domain.
    @ivar made: What it was made with.
    @ivar isStopped: Whether it was stopped.
    """

    def __init__(self) -> None:
        self.answers: dict[str, STSPolicy | TLSResult | None] = {}
        self.asked: list[tuple[str, str]] = []
        self.pending: dict[str, Deferred[STSPolicy]] = {}
        self.made: list[tuple[Any, ...]] = []
        self.isStopped = False

    def __call__(self, *settings: Any) -> Fetches:
        """
        Be made.
        """
        self.made.append(settings)
        return self

    def fetch(self, domain: str, id: str) -> Deferred[STSPolicy]:
        """
        Fetch one.
        """
        self.asked.append((domain, id))
        answer = self.answers[domain]
        if answer is None:
            self.pending[domain] = Deferred()
            return self.pending[domain]
        if isinstance(answer, TLSResult):
            return fail(Unfetched(answer, "it is broken"))
        return succeed(answer)

    def stop(self) -> Deferred[None]:
        """
        Stop.
        """
        self.isStopped = True
        return succeed(None)
