# -*- test-case-name: relaymail.test.stories.test_fallback -*-
"""
Hosts that get the mail of a destination when its own do not take it.
"""

from __future__ import annotations

from typing import Any

from relaymail.route.hosts import Host, TLSNeed
from relaymail.route.levels import TLSLevel
from relaymail.route.memory import BAD_TIME
from relaymail.route.terms import Terms
from relaymail.test.stories.harness import (
    FIRST,
    SECOND,
    Logged,
    StoryTestCase,
    statusOf,
)
from relaymail.test.stories.test_deadhosts import DeadTestCase
from relaymail.testing.dns import Fault
from relaymail.testing.network import Fate

#: The addresses of the fallback hosts.
BACK, BACKUP = "192.0.2.81", "192.0.2.82"


def fallback(*addresses: str) -> Terms:
    """
    Give the terms of mail that may fall back to hosts.
    """
    hosts = [Host(a, tls=TLSNeed.NEVER, named=True) for a in addresses]
    return Terms(TLSLevel.OPPORTUNISTIC, fallback=tuple(hosts))


class FallbackTests(StoryTestCase):
    """
    Tests with one mail exchange host, and a fallback host that is well.
    """

    def setUp(self) -> None:
        super().setUp()
        self.set(terms=fallback(BACK))
        self.back = self.world.host(BACK)

    def mail(self, *recipients: str) -> list[str]:
        """
        Queue a message, and let a while pass.

        @return: The addresses that were tried for it.
        """
        self.world.network.tried.clear()
        self.relayed(*recipients)
        return [address for address, _ in self.world.network.tried]

    def test_notNeeded(self) -> None:
        """
        It gets nothing while the host of the destination takes the mail.
        """
        first = self.world.host(FIRST)
        self.assertEqual(self.mail(), [FIRST])
        self.assertEqual((len(first.received), len(self.back.received)), (1, 0))

    def test_D02_refusedConnection(self) -> None:
        """
        It gets the mail, in the same attempt, of a host that cannot be reached.
        """
        self.assertEqual(self.mail(), [FIRST, BACK])
        self.assertEqual(len(self.back.received), 1)
        self.assertEmpty()

    def test_D05_hostThatServesNobody(self) -> None:
        """
        And of one that says so, for now or for ever: there is a further host.
        """
        answers: Any
        for answers in (
            {"CONNECT": "421 4.3.2 Busy"},
            {"CONNECT": "554 5.7.1 No"},
            {"MAIL": "451 4.3.0 Later"},
        ):
            self.setUp()
            self.world.host(FIRST, answers)
            self.assertEqual(self.mail(), [FIRST, BACK], answers)
            self.assertEqual(len(self.back.received), 1)
            self.assertEmpty()

    def test_D15_refusedRecipient(self) -> None:
        """
        What the host of the destination refuses is not tried elsewhere.
        """
        self.world.host(FIRST, {"RCPT b@example.org": "550 5.1.1 Nobody"})
        self.relayed()
        (notice,) = self.notices()
        self.assertIn("Status: 5.1.1", statusOf(notice))
        self.assertEqual(self.back.received, [])

    def test_D01_noAnswer(self) -> None:
        """
        It gets the mail of a destination whose hosts could not be found out.
        """
        self.world.zones["broken.example"] = Fault.SERVFAIL
        self.assertEqual(self.mail("b@broken.example"), [BACK])
        self.assertEqual(len(self.back.received), 1)
        self.assertEmpty()

    def test_D01_noWayRound(self) -> None:
        """
        It gets none of a destination that is not there, takes no mail, or is this
        relay.
        """
        self.world.zones["nomail.example"] = {"MX": [(0, "")]}
        self.set(ownNames=("mx.example.org",))
        for domain, status in (
            ("nowhere.example", "5.1.2"),
            ("nomail.example", "5.1.10"),
            ("example.org", "5.4.6"),
        ):
            self.home.received.clear()
            self.relayed(f"b@{domain}")
            (notice,) = self.notices()
            self.assertIn(f"Status: {status}", statusOf(notice))
        self.assertEqual(self.back.received, [])

    def test_D02_allFail(self) -> None:
        """
        When it fails too the mail waits, whatever the destination's own host said.
        """
        self.world.network.fates[BACK] = Fate.REFUSED
        self.world.host(FIRST, {"CONNECT": "554 5.7.1 No"})
        with Logged() as logged:
            self.assertRetried(*self.relayed())
        (line,) = logged.outcomes
        self.assertIn(f"host={BACK}", line)


class DeadMXTests(DeadTestCase):
    """
    The only mail exchange host is dead, and there is a fallback host.
    """

    def setUp(self) -> None:
        super().setUp()
        self.set(terms=fallback(SECOND))

    def test_D02_oneTimeOut(self) -> None:
        """
        It costs one time-out, and the fallback host gets all mail while it is bad.
        """
        self.assertSkippedFor(self.world.manager.mxcalc.timeOutBadMX)

    def test_D02_comesBack(self) -> None:
        """
        It is used again when it works.
        """
        self.assertComesBack(self.world.manager.mxcalc.timeOutBadMX)


class DeadFallbackTests(DeadTestCase):
    """
    The mail exchange host refuses, and the first of two fallback hosts is dead.
    """

    def setUp(self) -> None:
        super().setUp()
        self.world.exchange("example.org", {"mx.example.org": BACKUP})
        self.world.network.fates[BACKUP] = Fate.REFUSED
        self.set(terms=fallback(FIRST, SECOND))

    def test_D02_oneTimeOut(self) -> None:
        """
        It costs one time-out, and is skipped while it is bad.
        """
        self.assertSkippedFor(BAD_TIME)

    def test_D02_comesBack(self) -> None:
        """
        It is used again when it works.
        """
        self.assertComesBack(BAD_TIME)
