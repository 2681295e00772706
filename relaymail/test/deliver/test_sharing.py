# -*- test-case-name: relaymail.test.deliver.test_sharing -*-
"""
Tests for L{relaymail.deliver.sharing}; what comes of it is told in
L{relaymail.test.stories.test_sites}.
"""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from relaymail.deliver.sharing import USUAL, knownOf
from relaymail.route.hosts import Host, Route
from relaymail.route.tlsa import TLSA
from relaymail.schedule.sites import Known, MXSite
from relaymail.test.stories.harness import FIRST, Logged, StoryTestCase

ONE, TWO = Host("mx1.example.org"), Host("mx2.example.org")
SMART = Host("smart.example", named=True)
BOTH = MXSite(("mx1.example.org", "mx2.example.org"))


class KnownTests(SynchronousTestCase):
    """
    Tests for L{knownOf}.
    """

    def test_sites(self) -> None:
        """
        The hosts of a domain's own are its site, those included that are not tried
        now; those that the operator named are not.
        """
        rows: list[tuple[Route, MXSite | None]] = [
            (Route((ONE, TWO), 5.0), BOTH),
            (Route((TWO, ONE), 5.0), BOTH),
            (Route((ONE,), 5.0, left=((TWO.name, "why"),)), BOTH),
            (Route((ONE, TWO, SMART), 5.0), BOTH),
            (Route((SMART,), 5.0), None),
            (Route((ONE, TWO)), None),
        ]
        for route, site in rows:
            expected = None if site is None else Known(site, route.lane, 5.0)
            self.assertEqual(knownOf(route), expected)

    def test_A05_weight(self) -> None:
        """
        Hosts weigh more the more there are, and the longer their TLSA records.
        """
        long = replace(ONE, tlsa=(TLSA(3, 0, 0, b"x" * 10 * USUAL),))
        for hosts, weight in (((ONE,), 1), ((ONE, TWO), 2), ((long, TWO), 12)):
            known = knownOf(Route(hosts, 5.0))
            assert known is not None
            self.assertEqual(known.weight, weight)


class StandingBackTests(StoryTestCase):
    """
    Tests for what is put back as it was.
    """

    def test_asBefore(self) -> None:
        """
        What an attempt gives back that stands back waits, and has had no attempt; its
        end is told.
        """
        manager = self.world.manager
        mx = self.world.host(FIRST)
        ended: list[object] = []

        def standBack(address: str, port: int, factory: object) -> None:
            del manager._cbExchange
            (attempt,) = [f.manager for f in manager.managed]
            attempt.getCompletionDeferred().addCallback(ended.append)
            attempt.standBack(factory)
            (name,) = self.world.queue.getWaiting()
            self.assertEqual(self.world.queue.letter(name).attempts, 0)
            self.assertEqual(manager.managed, {})

        manager._cbExchange = standBack  # type: ignore[method-assign]
        with Logged() as logged:
            self.relayed()
        self.assertEqual((ended, len(mx.received)), ([None], 1))
        self.assertIn(" attempts=1 ", logged.outcomes[0])
        self.assertEmpty()
