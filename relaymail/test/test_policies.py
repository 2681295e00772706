"""
Tests for L{relaymail.policies}: a relay knows the policies of destinations.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from relaymail import policies, relaymanager
from relaymail.route.sts.policies import Policies
from relaymail.test.route.sts.samples import DOMAIN, Fetches, makePolicy
from relaymail.test.test_reload import ReloadTestCase
from relaymail.test.test_service import TestRelay
from relaymail.testing.dns import ZoneDNS

ZONES = {f"_mta-sts.{DOMAIN}": {"TXT": ["v=STSv1; id=1;"]}}


class PoliciesTests(ReloadTestCase):
    """
    From the start of a relay to its end.
    """

    def setUp(self) -> None:
        """
        Have a web server.
        """
        super().setUp()
        self.fetches = Fetches()
        self.fetches.answers[DOMAIN] = makePolicy()
        self.patch(Policies, "fetcherFactory", self.fetches)
        self.zones = ZoneDNS(ZONES)

    def known(self, relay: TestRelay) -> Policies:
        """
        Give the policies that a relay knows, from a DNS in memory.
        """
        found = policies.policiesOf(relay.manager)
        assert found is not None
        found.resolver = self.zones
        return found

    def test_A08_besideTheQueue(self) -> None:
        """
        They are had when mail goes somewhere, and kept beside the queue, which takes
        them for none of its own.
        """
        for queue in (self.directory, f"directory:{self.directory}2"):
            relay = self.running(queue=queue)
            found = self.known(relay)
            path = Path(found._book.store.path)
            self.assertFalse(path.exists())
            answer = self.successResultOf(found.policyFor(DOMAIN))
            self.assertEqual(answer.policy, makePolicy())
            self.assertEqual(len(list(path.iterdir())), 1)
            relay.queue.readDirectory()
            self.stop(relay)
            self.assertEqual(self.flushLoggedErrors(), [])
            self.assertTrue(self.fetches.isStopped)

    def test_first(self) -> None:
        """
        They are known before the first mail is looked at.
        """
        seen: list[object] = []

        def checkState(manager: Any) -> None:
            seen.append(policies.policiesOf(manager))

        manager = relaymanager.SmartHostESMTPRelayingManager
        self.patch(manager, "checkState", checkState)
        relay = self.running()
        self.assertEqual(seen, [policies.policiesOf(relay.manager)])
        self.assertIsNotNone(seen[0])

    def test_10_2_restart(self) -> None:
        """
        The next process has them, whatever the DNS says.
        """
        relay = self.running()
        self.successResultOf(self.known(relay).policyFor(DOMAIN))
        self.stop(relay)
        self.zones = ZoneDNS()
        relay = self.running()
        answer = self.successResultOf(self.known(relay).policyFor(DOMAIN))
        self.assertEqual(answer.policy, makePolicy())
        self.assertEqual(len(self.fetches.asked), 1)

    def test_reload(self) -> None:
        """
        What changes where the relay asks, and what it connects to, holds for policies.
        """
        relay = self.running()
        found = policies.policiesOf(relay.manager)
        assert found is not None
        self.assertIs(found.resolver, relay.manager.mxcalc.resolver)
        before = found.resolver, found.destinations
        told = self.told(dns="192.0.2.53", allowDestinations=["10.0.0.0/8"])
        self.reload(relay, told)
        self.assertIs(found.resolver, relay.manager.mxcalc.resolver)
        self.assertIs(found.destinations, relay.manager.destinations)
        self.assertIsNot(found.resolver, before[0])
        self.assertNotEqual(found.destinations, before[1])

    def test_without(self) -> None:
        """
        Who does not want them has none.
        """
        relay = self.running(mtaSts=False)
        self.assertIsNone(policies.policiesOf(relay.manager))
        self.reload(relay, self.told(mtaSts=False, expire="2d"))
        self.stop(relay)
