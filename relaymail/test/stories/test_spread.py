# -*- test-case-name: relaymail.test.stories.test_spread -*-
"""
Hosts of equal preference: each has its part of the mail (RFC 5321 5.1).
"""

from __future__ import annotations

from collections import Counter
from random import Random

from relaymail.test.stories.harness import FIRST, SECOND, SENDER, StoryTestCase
from relaymail.testing.dns import Fault

ATTEMPTS = 1000


class SpreadTests(StoryTestCase):
    """
    Tests for which host gets what.
    """

    def setUp(self) -> None:
        super().setUp()
        self.world.zones["mx1.example.org"] = {"A": [FIRST]}
        self.world.zones["mx2.example.org"] = {"A": [SECOND]}
        self.first, self.second = self.world.host(FIRST), self.world.host(SECOND)

    def parts(self, *preferences: int) -> Counter[str]:
        """
        Send a thousand messages over a connection each, and give how many each host
        was given.
        """
        hosts = ("mx1.example.org", "mx2.example.org")
        records = list(zip(preferences, hosts, strict=True))
        self.world.zones["example.org"] = {"MX": records}
        self.world.manager.mxcalc.shuffle = Random(2026).shuffle
        for _ in range(ATTEMPTS):
            self.world.send(SENDER, "b@example.org")
            self.world.run(0.1)
        self.assertEmpty()
        self.assertEqual(len(self.first.received) + len(self.second.received), ATTEMPTS)
        return Counter(address for address, _ in self.world.network.tried)

    def test_equalsShareEvenly(self) -> None:
        """
        Each of two equals is the first that is tried in 45 to 55 of 100 attempts.
        """
        parts = self.parts(10, 10)
        self.assertEqual(parts.total(), ATTEMPTS)
        for address in (FIRST, SECOND):
            self.assertTrue(0.45 <= parts[address] / ATTEMPTS <= 0.55, parts)

    def test_thePreferredOneGetsAll(self) -> None:
        """
        A host that is preferred gets all, as long as it takes it.
        """
        self.assertEqual(self.parts(10, 20), {FIRST: ATTEMPTS})

    def test_itIsOfEqualsOnly(self) -> None:
        """
        Equals behind a host whose name leads nowhere share what it does not take, and
        it is not asked for again while it is bad.
        """
        self.world.zones["mx0.example.org"] = Fault.SERVFAIL
        self.world.zones["example.org"] = {
            "MX": [
                (5, "mx0.example.org"),
                (10, "mx1.example.org"),
                (10, "mx2.example.org"),
            ]
        }
        self.world.manager.mxcalc.shuffle = Random(7).shuffle
        for _ in range(100):
            self.world.send(SENDER, "b@example.org")
            self.world.run(0.1)
        parts = [len(host.received) for host in (self.first, self.second)]
        self.assertEqual(sum(parts), 100)
        self.assertGreater(min(parts), 35)
        asked = [name for name, _ in self.world.manager.mxcalc.resolver.asked]
        self.assertLessEqual(asked.count("mx0.example.org"), 2)
