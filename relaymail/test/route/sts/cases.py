# -*- test-case-name: relaymail.test.route.sts.test_policies -*-
"""
A DNS, web servers and a clock in memory, for tests of policies.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaymail.route.sts.policies import (
    LOOK_EVERY,
    Policies,
)
from relaymail.route.sts.policy import Found
from relaymail.route.sts.storing import PolicyStore
from relaymail.test.route.sts.samples import DOMAIN, Fetches, makePolicy
from relaymail.testing.dns import ZoneDNS

NOW = 1_000_000.0
RECORD = f"_mta-sts.{DOMAIN}"


class PoliciesTestCase(SynchronousTestCase):
    """
    A DNS, web servers and a clock.
    """

    def setUp(self) -> None:
        """
        Begin with a domain that has a policy.
        """
        self.clock = Clock()
        self.clock.advance(NOW)
        self.zones = ZoneDNS()
        self.fetches = Fetches()
        self.store = PolicyStore(str(Path(self.mktemp()).absolute()))
        self.chance = 0.0
        self.publish("1")
        self.policies = self.make()

    def make(self, run: Any = maybeDeferred) -> Policies:
        """
        Make what is tested, over the same files.
        """
        found = Policies(
            self.zones, self.clock, self.store, run, chance=lambda: self.chance
        )
        found.fetcherFactory = self.fetches
        return found

    def publish(self, id: str, **said: Any) -> None:
        """
        Let the domain have a policy.
        """
        self.zones.zones[RECORD] = {"TXT": [f"v=STSv1; id={id};"]}
        self.fetches.answers[DOMAIN] = makePolicy(id, **said)

    def found(self, domain: str = DOMAIN) -> Found:
        """
        Give what is found at once.
        """
        return self.successResultOf(self.policies.policyFor(domain))

    def foundId(self) -> str | None:
        """
        Give the id of the policy that is found at once.
        """
        policy = self.found().policy
        return None if policy is None else policy.id

    def pass_(self, seconds: float) -> None:
        """
        Let time pass, in small steps.
        """
        for _ in range(round(seconds / LOOK_EVERY)):
            self.clock.advance(LOOK_EVERY)

    @property
    def asked(self) -> list[str]:
        """
        The ids that were fetched.
        """
        return [id for _, id in self.fetches.asked]
