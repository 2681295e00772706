# -*- test-case-name: relaymail.test.stories.test_lanes -*-
"""
Who may have how many connections, and when.
"""

from __future__ import annotations

from typing import Any

from relaymail.schedule.paces import FIRST_PACE
from relaymail.test.stories.harness import FIRST, SECOND, SENDER, StoryTestCase
from relaymail.testing.network import Fate
from relaymail.testing.servers import Act, Late


class BusyTests(StoryTestCase):
    """
    Tests for the limits of a relaying manager.
    """

    def flood(self, count: int, recipient: str = "b@example.org") -> None:
        """
        Queue some messages.
        """
        for number in range(count):
            self.world.send(SENDER, recipient, content=b"%d\r\n" % number)

    def test_neverMoreThanMaxConnections(self) -> None:
        """
        C{maxConnections} is obeyed at every moment.
        """
        self.set(maxConnections=3, maxMessagesPerConnection=2)
        mx = self.world.host(FIRST, {".": Late(1, "250 Ok")})
        self.flood(20)
        most = 0
        for _ in range(30):
            self.world.run(0.5)
            most = max(most, len(mx.open))
        self.assertEqual((most, len(mx.received)), (3, 20))

    def test_maxMessagesPerConnection(self) -> None:
        """
        C{maxMessagesPerConnection} is obeyed.
        """
        self.set(maxMessagesPerConnection=4)
        mx = self.world.host(FIRST)
        self.flood(10)
        self.world.run()
        counts = [sum(m.session is s for m in mx.received) for s in mx.sessions]
        self.assertEqual((sum(counts), max(counts)), (10, 4))

    def test_halfWhileAnotherWaits(self) -> None:
        """
        One destination holds at most half of the connections while another
        waits.
        """
        self.set(maxConnections=6, maxMessagesPerConnection=1)
        self.world.exchange("other.example", {"mx.other.example": SECOND})
        mx = self.world.host(FIRST, {".": Late(5, "250 Ok")})
        other = self.world.host(SECOND, {".": Late(5, "250 Ok")})
        self.flood(20)
        self.flood(20, "b@other.example")
        self.world.run(1)
        self.assertEqual((len(mx.open), len(other.open)), (3, 3))

    def test_A06_silentDestinationsDelayNobody(self) -> None:
        """
        Destinations that are silent hold a connection each, and a good one is
        served at once.
        """
        self.set(maxConnections=10)
        for number in range(5):
            address = f"192.0.2.{100 + number}"
            self.world.exchange(
                f"d{number}.example", {f"mx.d{number}.example": address}
            )
            self.world.network.fates[address] = Fate.SILENT
            self.flood(1, f"b@d{number}.example")
        self.world.run(1)
        mx = self.world.host(FIRST)
        self.relayed(seconds=0)
        self.assertEqual(len(mx.received), 1)

    def test_promptWakeUp(self) -> None:
        """
        New mail is relayed at once, without a tick.
        """
        mx = self.world.host(FIRST)
        self.relayed(seconds=0)
        self.assertEqual(len(mx.received), 1)

    def test_wakeDuringAStart(self) -> None:
        """
        Mail that comes while an attempt is being begun is not lost.
        """
        mx = self.world.host(FIRST)
        calculator = self.world.manager.mxcalc
        getMXs = calculator.getMXs
        sent: list[Any] = []

        def sending(domain: str) -> Any:
            if len(sent) < 5:
                sent.extend(self.world.send(SENDER, "c@example.org"))
            return getMXs(domain)

        self.patch(calculator, "getMXs", sending)
        self.relayed()
        self.assertTrue(sent)
        self.assertEqual(len(mx.received), 1 + len(sent))
        self.assertEmpty()

    def test_fullThenFree(self) -> None:
        """
        What waits for a connection gets the first that is free.
        """
        self.set(maxConnections=1)
        self.world.exchange("other.example", {"mx.other.example": SECOND})
        self.world.host(FIRST, {".": Late(5, "250 Ok")})
        other = self.world.host(SECOND)
        self.flood(1)
        self.world.run(1)
        self.flood(1, "b@other.example")
        self.world.run(3)
        self.assertEqual(other.received, [])
        self.world.run(2)
        self.assertEqual(len(other.received), 1)

    def test_troubleSlowsALane(self) -> None:
        """
        A destination that has trouble gets half of the connections.
        """
        self.set(maxConnections=10, maxMessagesPerConnection=1)
        mx = self.world.host(FIRST, {"CONNECT": Act.CLOSE})
        self.relayed()
        mx.answers["CONNECT"] = "220 Welcome"
        mx.answers["."] = Late(5, "250 Ok")
        self.flood(10)
        self.world.run(1)
        self.assertEqual(len(mx.open), FIRST_PACE // 2)

    def test_D13_policySlowsALane(self) -> None:
        """
        A destination that says 4.7.x gets fewer connections, and is not
        suspended.
        """
        self.set(maxConnections=10, maxMessagesPerConnection=1)
        mx = self.world.host(FIRST, {"RCPT": "450 4.7.1 Not so fast"})
        for _ in range(8):
            self.relayed(seconds=1)
        self.assertEqual(len(mx.sessions), 8)
        mx.answers["RCPT"] = "250 Ok"
        mx.answers["."] = Late(5, "250 Ok")
        self.flood(10)
        self.world.run(1)
        self.assertEqual(len(mx.open), 1)

    def test_growsToALimit(self) -> None:
        """
        A destination that takes mail gets more connections, up to the limit
        for one.
        """
        self.set(maxConnections=50, maxMessagesPerConnection=1, maxConnectionsPerSite=8)
        mx = self.world.host(FIRST, {".": Late(1, "250 Ok")})
        self.flood(200)
        seen = []
        for _ in range(12):
            self.world.run(0.5)
            seen.append(len(mx.open))
        self.assertEqual((seen[0], max(seen), seen[-1]), (FIRST_PACE, 8, 8))

    def test_dueTimers(self) -> None:
        """
        Names come due one by one, each at its time, without a tick.
        """
        mx = self.world.host(FIRST, {"RCPT": ["451 L", "451 L", "250 Ok"]})
        self.relayed("b@example.org", seconds=10)
        self.relayed("c@example.org", seconds=0)
        start = self.world.network.seconds()
        self.world.run(100)
        self.assertEqual([m.at - start for m in mx.received], [50, 60])

    def test_lateAddition(self) -> None:
        """
        A connection that is busy is given what came meanwhile.
        """
        self.set(maxConnections=1)
        mx = self.world.host(FIRST, {".": Late(5, "250 Ok")})
        self.flood(1)
        self.world.run(1)
        self.flood(3)
        self.world.run(30)
        self.assertEqual((len(mx.received), len(mx.sessions)), (4, 1))
