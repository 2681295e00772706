# -*- test-case-name: relaymail.test.explaining.test_agreement -*-
"""
What is explained is what is done.
"""

from __future__ import annotations

from collections import Counter

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from relaymail.deliver import explaining
from relaymail.deliver.routing import RoutingMixin
from relaymail.relaymanager import _AttemptManager
from relaymail.test.explaining.comparing import Case, Disagreement

#: How many cases there are in each test of a part; one takes some fifteen milliseconds.
PART = 60
#: How many have to be of each kind, of all in a part, for the worlds to be of use.
KINDS = ("tried", "delivered", "ends bounce", "ends retry", "ends removed", "rests")


class AgreementTests(SynchronousTestCase):
    """
    In random worlds.  A case that fails is tried again by C{python -m
    relaymail.test.explaining --cases 1 --seed SEED}.
    """

    def agree(self, first: int) -> Counter[str]:
        """
        Compare in some worlds.

        @param first: The seed of the first.

        @return: How many were of which kind.
        """
        kinds: Counter[str] = Counter()
        for seed in range(first, first + PART):
            case = Case(seed)
            case.compare()
            kinds[case.kind] += 1
        return kinds

    def test_first(self) -> None:
        """
        The goal, the hosts, their addresses and the TLS that was needed, what bounces,
        waits, is held or thrown away, and with which words, are as explained.  All of
        that happens in some world.
        """
        kinds = self.agree(0)
        for kind in KINDS:
            self.assertGreater(kinds[kind], 0, kind)

    def test_second(self) -> None:
        """
        In more of them.
        """
        self.agree(1000)

    def test_third(self) -> None:
        """
        In more of them.
        """
        self.agree(2000)

    def test_fourth(self) -> None:
        """
        In more of them.
        """
        self.agree(3000)


class DisagreementTests(SynchronousTestCase):
    """
    That what differs is found.
    """

    def disagree(self, words: str) -> None:
        """
        Check that some world shows a difference.

        @param words: What it is called there.
        """
        for seed in range(4 * PART):
            try:
                Case(seed).compare()
            except Disagreement as e:
                self.assertIn(words, str(e))
                return
        self.fail("nothing was found")

    def test_ending(self) -> None:
        """
        An explanation that takes every host for one that can be reached is found.
        """
        self.patch(explaining, "_ending", lambda *_: None)
        self.disagree("nobody was connected to")

    def test_hosts(self) -> None:
        """
        An explanation whose hosts are in another order is found.
        """
        walked = explaining._Explaining._walked

        def turned(self: object, route: object) -> object:
            return walked(self, route)[::-1]  # type: ignore[arg-type]

        self.patch(explaining._Explaining, "_walked", turned)
        self.disagree("host / explained")

    def test_addresses(self) -> None:
        """
        An explanation whose addresses are in another order is found.
        """
        known = RoutingMixin.addressesFor

        def turned(self: object, host: object) -> Deferred[list[str]]:
            found = known(self, host)  # type: ignore[arg-type]
            return found.addCallback(lambda addresses: addresses[::-1])

        self.patch(RoutingMixin, "addressesFor", turned)
        self.disagree("addresses of")

    def test_engine(self) -> None:
        """
        A relaying manager that takes the first host for the last one is found.
        """
        self.patch(_AttemptManager, "_isLastHost", lambda _: True)
        self.disagree("hosts left out")
