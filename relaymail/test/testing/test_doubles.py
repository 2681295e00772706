# -*- test-case-name: relaymail.test.testing.test_doubles -*-
"""
Tests for L{relaymail.testing.doubles}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import ConnectionRefusedError, TimeoutError
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase

from relaymail.testing.doubles import Fate, MailWorld, MemoryNetwork


class NetworkTests(SynchronousTestCase):
    """
    Tests for L{MemoryNetwork}.
    """

    def connect(self, world: MemoryNetwork, address: str) -> Any:
        """
        Connect there.
        """
        kind = TCP6ClientEndpoint if ":" in address else TCP4ClientEndpoint
        return kind(world, address, 25, 5).connect(Factory.forProtocol(Protocol))

    def test_fates(self) -> None:
        """
        Nobody refuses; silence lasts as long as the client waits.
        """
        network = MemoryNetwork()
        network.hosts["192.0.2.2"] = Fate.SILENT
        refused, silent = (self.connect(network, f"192.0.2.{n}") for n in (1, 2))
        network.run(4)
        self.failureResultOf(refused, ConnectionRefusedError)
        self.assertNoResult(silent)
        network.run(1)
        self.failureResultOf(silent, TimeoutError)
        self.assertEqual(network.tried, [("192.0.2.1", 25), ("192.0.2.2", 25)])

    def test_cancel(self) -> None:
        """
        A connection that is being made can be given up.
        """
        network = MemoryNetwork()
        network.hosts["2001:db8::1"] = Fate.SILENT
        d = self.connect(network, "2001:db8::1")
        d.cancel()
        self.failureResultOf(d)
        self.assertEqual(network.getDelayedCalls(), [])

    def test_time(self) -> None:
        """
        Calls are made in their order, each at its time, within the time given.
        """
        network, seen = MemoryNetwork(), []
        for wait in (3, 1, 5):
            network.callLater(wait, lambda: seen.append(network.seconds()))
        network.run(4)
        self.assertEqual((seen, network.seconds()), ([1, 3], 4))

    def test_world(self) -> None:
        """
        The example of the module works.
        """
        world = MailWorld()
        mx = world.host("192.0.2.25", {"RCPT c@example.org": "451 4.7.1 Later"})
        world.zones["example.org"] = {"MX": [(10, "mx.example.org")]}
        world.zones["mx.example.org"] = {"A": ["192.0.2.25"]}
        names = world.send("a@example.com", "b@example.org", "c@example.org")
        world.run()
        self.assertEqual(mx.received[0].recipients, ("b@example.org",))
        self.assertEqual(list(world.queue._entries), names[1:])
