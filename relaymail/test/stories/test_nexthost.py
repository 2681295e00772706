# -*- test-case-name: relaymail.test.stories.test_nexthost -*-
"""
Hosts that do not take mail now: the next one is tried in the same attempt.
"""

from __future__ import annotations

from typing import Any

from relaymail.test.stories.harness import (
    FIRST,
    SECOND,
    SENDER,
    StoryTestCase,
    statusOf,
)
from relaymail.testing.network import Fate
from relaymail.testing.servers import Act


class NextHostTests(StoryTestCase):
    """
    Tests with two hosts, of which the second is well.
    """

    def setUp(self) -> None:
        super().setUp()
        self.twoHosts()
        self.second = self.world.host(SECOND)

    def assertSecondTakes(self, answers: Any, seconds: float = 1) -> None:
        """
        The first host is tried, and the second takes the mail in the same
        attempt.
        """
        self.world.host(FIRST, answers)
        self.world.send(SENDER, "b@example.org")
        self.world.run()
        if seconds:
            self.world.run(seconds)
        self.assertEqual(
            [m.recipients for m in self.second.received], [("b@example.org",)]
        )
        self.assertEqual(self.world.network.tried[:2], [(FIRST, 25), (SECOND, 25)])
        self.assertEmpty()

    def assertBad(self, host: str) -> None:
        """
        A host is remembered as bad.
        """
        self.assertIn(host, self.world.manager.mxcalc.badMXs)

    def test_D02_refusedConnection(self) -> None:
        """
        Connection refused: the next host, and the first is bad.
        """
        self.relayed()
        self.assertEqual(len(self.second.received), 1)
        self.assertBad("mx1.example.org")
        self.assertEmpty()

    def test_D02_silentHost(self) -> None:
        """
        No answer: the next host when the wait is over.
        """
        self.world.network.fates[FIRST] = Fate.SILENT
        self.relayed(seconds=29)
        self.assertEqual(self.second.received, [])
        self.world.run(2)
        self.assertEqual(len(self.second.received), 1)
        self.assertBad("mx1.example.org")

    def test_D02_everyAddressOfAHost(self) -> None:
        """
        The second address of the first host comes before the second host.
        """
        self.world.zones["mx1.example.org"] = {"A": [FIRST, "192.0.2.99"]}
        other = self.world.host("192.0.2.99")
        self.relayed()
        self.assertEqual((len(other.received), len(self.second.received)), (1, 0))

    def test_D04_421InTheGreeting(self) -> None:
        """
        421 instead of a greeting: the next host, and the first is bad.
        """
        self.assertSecondTakes({"CONNECT": "421 4.3.2 Busy"})
        self.assertBad("mx1.example.org")

    def test_D04_450InTheGreeting(self) -> None:
        """
        So with any 4yz.
        """
        self.assertSecondTakes({"CONNECT": "450 4.3.2 Busy"})

    def test_D05_554InTheGreeting(self) -> None:
        """
        5yz instead of a greeting: the next host.
        """
        self.assertSecondTakes({"CONNECT": "554 5.7.1 No"})

    def test_D05_521InTheGreeting(self) -> None:
        """
        So with the 521 of a host that takes no mail (RFC 7504).
        """
        self.assertSecondTakes({"CONNECT": "521 No mail here"})

    def test_D06_garbage(self) -> None:
        """
        What is not SMTP: the next host.
        """
        self.assertSecondTakes({"CONNECT": "SSH-2.0-x"})
        self.assertBad("mx1.example.org")

    def test_D06_closedWithoutAGreeting(self) -> None:
        """
        A connection that ends at once: the next host.
        """
        self.assertSecondTakes({"CONNECT": Act.CLOSE})

    def test_D06_wrongCode(self) -> None:
        """
        A greeting of another code: the next host.
        """
        self.assertSecondTakes({"CONNECT": "250 Hello"})

    def test_D06_silenceInsteadOfAGreeting(self) -> None:
        """
        Silence: the next host after five minutes.
        """
        self.assertSecondTakes({"CONNECT": Act.SILENCE}, seconds=301)

    def test_D08_421ToEHLO(self) -> None:
        """
        421 to EHLO: the next host.
        """
        self.assertSecondTakes({"EHLO": "421 4.3.2 Going"})

    def test_D08_closedAfterEHLO(self) -> None:
        """
        The connection ends at EHLO: the next host.
        """
        self.assertSecondTakes({"EHLO": Act.CLOSE})

    def test_D13_421ToMail(self) -> None:
        """
        421 to MAIL, the first of the session: the next host.
        """
        self.assertSecondTakes({"MAIL": "421 4.3.2 Going"})

    def test_D13_451ToMail(self) -> None:
        """
        4yz to MAIL: the next host, after a QUIT.
        """
        self.assertSecondTakes({"MAIL": "451 4.3.0 Later"})

    def test_D13_closedAtMail(self) -> None:
        """
        The connection ends at the first MAIL: the next host.
        """
        self.assertSecondTakes({"MAIL": Act.CLOSE})

    def test_D30_eachPhaseHasItsPatience(self) -> None:
        """
        A host that falls silent is waited for as long as RFC 5321 4.5.3.2
        asks, and not longer.
        """
        for phase, wait in (("EHLO", 300), ("MAIL", 300)):
            self.setUp()
            self.world.host(FIRST, {phase: Act.SILENCE})
            self.relayed(seconds=wait - 1)
            self.assertEqual(self.second.received, [], phase)
            self.world.run(2)
            self.assertEqual(len(self.second.received), 1, phase)

    def test_severalMessagesGoTogether(self) -> None:
        """
        All names of an attempt go to the next host.
        """
        self.world.host(FIRST, {"MAIL": "451 4.3.0 Later"})
        for _ in range(3):
            self.world.send(SENDER, "b@example.org")
        self.world.run(1)
        self.assertEqual(len(self.second.received), 3)
        self.assertEmpty()

    def test_markGood(self) -> None:
        """
        A host that takes mail is good again.
        """
        self.world.manager.mxcalc.markBad("mx2.example.org")
        self.relayed()
        self.assertNotIn("mx2.example.org", self.world.manager.mxcalc.badMXs)

    def test_badHostComesLast(self) -> None:
        """
        The next message begins with the host that works.
        """
        self.relayed()
        self.world.network.tried.clear()
        self.relayed()
        self.assertEqual(self.world.network.tried, [(SECOND, 25)])


class NoHostTests(StoryTestCase):
    """
    Tests where no host takes the mail.
    """

    def test_D05_allSayNeverBounces(self) -> None:
        """
        Where every host says 5yz in its greeting the mail bounces.
        """
        self.twoHosts()
        self.world.host(FIRST, {"CONNECT": "554 5.7.1 No"})
        self.world.host(SECOND, {"CONNECT": "521 No mail"})
        self.relayed()
        (notice,) = self.notices()
        self.assertIn("Status: 5.3.2", statusOf(notice))
        self.assertIn("smtp; 521 No mail", statusOf(notice))
        self.assertEmpty()

    def test_D05_oneSoftRetries(self) -> None:
        """
        A host that may come back makes it a retry, whichever comes last.
        """
        for first, second in (("554 No", "421 Busy"), ("421 Busy", "554 No")):
            self.enter(type(self.world)())
            self.twoHosts()
            self.world.host(FIRST, {"CONNECT": first})
            self.world.host(SECOND, {"CONNECT": second})
            self.assertRetried(*self.relayed())

    def test_D05_refusedConnectionThenNeverRetries(self) -> None:
        """
        So does a host that was not reached.
        """
        self.twoHosts()
        self.world.host(SECOND, {"CONNECT": "554 No"})
        self.assertRetried(*self.relayed())

    def test_D02_unreachableRetries(self) -> None:
        """
        With no host left the name rests.
        """
        self.assertRetried(*self.relayed(seconds=0))
        self.assertEqual(self.dueIn(), 60)

    def test_D13_lastHostRetries(self) -> None:
        """
        4yz to MAIL at the last host is a retry, and the session goes on with
        the next message.
        """
        mx = self.world.host(FIRST, {"MAIL": ["451 Later", "250 Ok"]})
        names = [*self.world.send(SENDER, "b@example.org")]
        self.world.send(SENDER, "c@example.org", content=b"x\r\n")
        self.world.run()
        self.assertEqual([m.recipients for m in mx.received], [("c@example.org",)])
        self.assertRetried(*names)

    def test_D01_noSuchDomainBounces(self) -> None:
        """
        NXDOMAIN bounces with 5.1.2.
        """
        self.relayed("b@nowhere.example")
        self.assertIn("Status: 5.1.2", statusOf(self.notices()[0]))
        self.assertEmpty()

    def test_D01_nullMXBounces(self) -> None:
        """
        A null MX bounces with 5.1.10.
        """
        self.world.zones["nomail.example"] = {"MX": [(0, "")]}
        self.relayed("b@nomail.example")
        self.assertIn("Status: 5.1.10", statusOf(self.notices()[0]))

    def test_D01_brokenDNSRetries(self) -> None:
        """
        SERVFAIL retries.
        """
        from relaymail.testing.dns import Fault

        self.world.zones["broken.example"] = Fault.SERVFAIL
        self.assertRetried(*self.relayed("b@broken.example"))

    def test_D02_ownHostLoops(self) -> None:
        """
        Where this relay is the best host of a domain the mail bounces with
        5.4.6, and no connection is made.
        """
        self.set(ownNames=("MX.example.org.",))
        self.relayed()
        self.assertIn("Status: 5.4.6", statusOf(self.notices()[0]))
        self.assertNotIn((FIRST, 25), self.world.network.tried)
        self.assertEmpty()

    def test_A04_unroutableRecipientBounces(self) -> None:
        """
        A recipient without a usable domain bounces; others go on.
        """
        mx = self.world.host(FIRST)
        self.relayed("nobody", "b@example.org", "c@bad..name")
        self.assertEqual(len(mx.received), 1)
        told = "".join(statusOf(notice) for notice in self.notices())
        self.assertEqual(told.count("Action: failed"), 2)
        self.assertEmpty()
