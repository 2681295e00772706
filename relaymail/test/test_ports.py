# -*- test-case-name: relaymail.test.test_ports -*-
"""
Tests for L{relaymail.ports}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from relaymail.errors import ConfigurationError
from relaymail.ports import Door, Ports, checkEndpoint


class DoorTests(SynchronousTestCase):
    """
    Tests for L{Door}.
    """

    def test_closed(self) -> None:
        """
        Nobody is let in before there is anything to talk to.
        """
        self.assertIsNone(Door().buildProtocol(None))

    def test_open(self) -> None:
        """
        Then it is as what is behind it says.
        """
        door, protocol = Door(), Protocol()
        door.build = lambda address: protocol
        self.assertIs(door.buildProtocol(None), protocol)


class PortsTests(TestCase):
    """
    Tests for L{Ports}, with real ports.
    """

    ANY = "tcp:0:interface=127.0.0.1"

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.ports = Ports(reactor)
        self.addCleanup(self.ports.close)

    def taken(self) -> str:
        """
        Give an endpoint that cannot be had.
        """
        other = Ports(self.ports._reactor)
        self.addCleanup(other.close)
        other.listen([self.ANY])
        return f"tcp:{other.addresses[0].port}:interface=127.0.0.1"

    def test_listen(self) -> None:
        """
        What is listened on is told, and not listened on twice.
        """
        self.assertEqual(self.ports.listen([self.ANY]), [self.ANY])
        first = self.ports.addresses
        self.assertEqual(self.ports.listen([self.ANY]), [])
        self.assertEqual(self.ports.addresses, first)

    def test_allOrNone(self) -> None:
        """
        Where one of several cannot be had none of them is kept, and those that
        were there are left.
        """
        self.ports.listen([self.ANY])
        before = self.ports.addresses
        wanted = ["tcp:0:interface=127.0.0.1:backlog=5", self.taken()]
        error = self.assertRaises(ConfigurationError, self.ports.listen, wanted)
        self.assertIn("cannot listen on", str(error))
        self.assertEqual(self.ports.addresses, before)

    async def test_close(self) -> None:
        """
        One of several can be closed.
        """
        second = "tcp:0:interface=127.0.0.1:backlog=5"
        self.ports.listen([self.ANY, second])
        kept = self.ports.addresses[1]
        await self.ports.close([self.ANY])
        self.assertEqual(self.ports.addresses, [kept])
        await self.ports.close()
        self.assertEqual(self.ports.listening, [])

    def test_order(self) -> None:
        """
        The addresses can be put into an order.
        """
        second = "tcp:0:interface=127.0.0.1:backlog=5"
        self.ports.listen([self.ANY, second])
        one, other = self.ports.addresses
        self.ports.order([second, self.ANY])
        self.assertEqual(self.ports.addresses, [other, one])


class CheckEndpointTests(SynchronousTestCase):
    """
    Tests for L{checkEndpoint}.
    """

    def test_good(self) -> None:
        """
        What can be listened on is an endpoint.
        """
        reactor: Any = MemoryReactorClock()
        self.assertTrue(hasattr(checkEndpoint("tcp:25", reactor), "listen"))

    def test_bad(self) -> None:
        """
        What cannot is told in one sentence, with an example.
        """
        for text in ("", "25", "tcp", "tcp:x", "nosuch:1"):
            error = self.assertRaises(ConfigurationError, checkEndpoint, text)
            self.assertIn("write such as tcp:25", str(error))
