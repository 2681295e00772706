# -*- test-case-name: relaymail.test.stories.test_stopping -*-
"""
The relay is told to stop: nothing is lost, and nothing takes for ever.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.names import dns

from relaymail.relaymanager import STOP_PATIENCE, SmartHostESMTPRelayingManager
from relaymail.test.stories.harness import (
    FIRST,
    SECOND,
    SENDER,
    StoryTestCase,
    smartManager,
)
from relaymail.testing.doubles import MailWorld
from relaymail.testing.network import Fate
from relaymail.testing.servers import Act, Late


class StopTests(StoryTestCase):
    """
    Tests for C{stop}.
    """

    def stopped(self) -> list[Any]:
        """
        Stop.

        @return: A list that is no longer empty when it has stopped.
        """
        fired: list[Any] = []
        self.world.manager.stop().addBoth(fired.append)
        self.world.run()
        return fired

    def assertPutBack(self, *names: str) -> None:
        """
        These names wait as if nothing had been begun.
        """
        self.assertEqual(self.world.queue.getRelayed(), [])
        self.assertEqual(self.world.queue.getWaiting(), list(names))
        self.assertEqual(self.world.manager.managed, {})

    def test_P10_nothingToDo(self) -> None:
        """
        Without a connection it has stopped at once, and no call is left.
        """
        self.assertEqual(self.stopped(), [None])
        self.assertEqual(self.world.network.getDelayedCalls(), [])

    def test_P10_whatIsInFlightEnds(self) -> None:
        """
        The message that is being sent is sent; the others are put back.
        """
        self.set(maxConnections=1)
        mx = self.world.host(FIRST, {".": Late(5, "250 Ok")})
        names = [*self.world.send(SENDER, "b@example.org")]
        names += self.world.send(SENDER, "c@example.org", content=b"other\r\n")
        self.world.run(1)
        fired = self.stopped()
        self.assertEqual(fired, [])
        self.world.run(5)
        self.assertEqual(fired, [None])
        self.assertEqual(len(mx.received), 1)
        self.assertPutBack(names[1])

    def test_P10_withinItsPatience(self) -> None:
        """
        A host that is silent is not waited for any longer.
        """
        self.world.host(FIRST, {"MAIL": Act.SILENCE})
        names = self.relayed(seconds=1)
        fired = self.stopped()
        self.world.run(STOP_PATIENCE - 1)
        self.assertEqual(fired, [])
        self.world.run(2)
        self.assertEqual(fired, [None])
        self.assertPutBack(*names)

    def test_P10_silentAfterTheDot(self) -> None:
        """
        One that is silent after the dot may have the message: the name rests.
        """
        self.world.host(FIRST, {".": Act.SILENCE})
        names = self.relayed(seconds=1)
        fired = self.stopped()
        self.world.run(STOP_PATIENCE + 1)
        self.assertEqual(fired, [None])
        self.assertRetried(*names)

    def test_P10_whileConnecting(self) -> None:
        """
        A connection that is being made is given up at once, every address of
        its host.
        """
        self.world.zones["mx.example.org"] = {"A": [FIRST, SECOND]}
        self.world.network.fates[FIRST] = Fate.SILENT
        self.world.network.fates[SECOND] = Fate.SILENT
        names = self.relayed(seconds=1)
        self.assertEqual(self.stopped(), [None])
        tried = [(FIRST, 25), (SECOND, 25)]
        self.assertEqual(self.world.network.tried, tried)
        self.assertEqual(self.world.machine.dialings, set())
        self.assertPutBack(*names)

    def test_P10_noNextHost(self) -> None:
        """
        Nor is the next host tried.
        """
        self.twoHosts()
        self.world.network.fates[FIRST] = Fate.SILENT
        self.world.network.fates[SECOND] = Fate.SILENT
        names = self.relayed(seconds=1)
        self.assertEqual(self.stopped(), [None])
        self.assertEqual(self.world.network.tried, [(FIRST, 25)])
        self.assertPutBack(*names)

    def test_P10_whileResolving(self) -> None:
        """
        A lookup that does not end is not waited for beyond the patience, and
        what it says later begins nothing.
        """
        found: Deferred[Any] = Deferred()
        calculator = self.world.manager.mxcalc
        self.patch(calculator, "getMXs", lambda domain: found)
        names = self.relayed(seconds=1)
        fired = self.stopped()
        self.world.run(STOP_PATIENCE + 1)
        self.assertEqual(fired, [None])
        self.assertPutBack(*names)
        if not found.called:
            found.callback([dns.Record_MX(name="mx.example.org")])
        self.world.run(60)
        self.assertEqual(self.world.network.tried, [])
        self.assertPutBack(*names)

    def test_P10_keptConnectionsQuit(self) -> None:
        """
        Connections that are kept are ended with QUIT.
        """
        self.set(idleTimeout=100)
        mx = self.world.host(FIRST)
        self.relayed(seconds=1)
        self.assertEqual(self.stopped(), [None])
        self.assertEqual(mx.sessions[0].commands[-1], "QUIT")
        self.assertEqual(self.world.network.getDelayedCalls(), [])

    def test_P10_nothingStartsAfterwards(self) -> None:
        """
        Neither new mail, nor mail that comes due, nor a tick begin anything.
        """
        mx = self.world.host(FIRST, {"MAIL": ["451 Later", "250 Ok"]})
        self.relayed()
        fired = self.stopped()
        self.world.send(SENDER, "b@example.org")
        self.world.run(1000)
        self.world.manager.wake()
        self.assertIsNone(self.world.manager.checkState())
        self.world.run(1000)
        self.assertEqual(fired, [None])
        self.assertEqual(len(mx.sessions), 1)

    def test_P10_noticesAreQueued(self) -> None:
        """
        Who has failed just now is told: the notice is in the queue.
        """
        self.world.host(FIRST, {"RCPT": Late(1, "550 No")})
        self.relayed(seconds=0.5)
        fired = self.stopped()
        self.world.run(5)
        self.assertEqual(fired, [None])
        (name,) = self.world.queue.getWaiting()
        self.assertEqual(self.world.queue.getEnvelope(name), ["", SENDER])

    def test_P10_overriddenHook(self) -> None:
        """
        A connection that an app's own C{_cbExchange} made ends as well.
        """

        class Direct(SmartHostESMTPRelayingManager):
            def _cbExchange(self, address: str, port: int, factory: Any) -> None:
                self.reactor.connectTCP(FIRST, port, factory)

        self.enter(MailWorld(manager=smartManager(Direct)))
        self.world.host(FIRST, {"MAIL": Act.SILENCE})
        names = self.relayed(seconds=1)
        fired = self.stopped()
        self.world.run(STOP_PATIENCE + 1)
        self.assertEqual(fired, [None])
        self.assertPutBack(*names)
