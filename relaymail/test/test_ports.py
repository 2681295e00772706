# -*- test-case-name: relaymail.test.test_ports -*-
"""
Tests for L{relaymail.ports}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from relaymail import ports
from relaymail.envelopes import Entrance
from relaymail.errors import ConfigurationError
from relaymail.intake.entrances import Opening
from relaymail.ports import Door, Hall, Ports, checkEndpoint
from relaymail.testing.network import Network


class DoorTests(SynchronousTestCase):
    """
    Tests for L{Door}.
    """

    def test_closed(self) -> None:
        """
        Nobody is let in before there is anything to talk to.
        """
        door = Door(Hall(None), Opening("tcp:25"))
        self.assertIsNone(door.buildProtocol(None))

    def test_open(self) -> None:
        """
        Then it is as what is behind it says.
        """
        hall, protocol = Hall(None), Protocol()
        hall.build = lambda address: protocol
        self.assertIs(Door(hall, Opening("tcp:25")).buildProtocol(None), protocol)

    def test_entrance(self) -> None:
        """
        What is behind it is told by which kind of port somebody comes, but for that
        of relays.
        """
        hall, asked = Hall(None), []

        def build(address: Any, **more: Any) -> Any:
            asked.append(more)

        hall.build = build
        for entrance in Entrance:
            Door(hall, Opening("tcp:25", entrance)).buildProtocol(None)
        self.assertEqual(
            asked,
            [{}, {"entrance": Entrance.SUBMISSION}, {"entrance": Entrance.LMTP}],
        )


class PortsTests(SynchronousTestCase):
    """
    Tests for L{Ports}.
    """

    FIRST, SECOND, TAKEN = (
        Opening(f"tcp:{port}:interface=192.0.2.1") for port in (25, 2525, 587)
    )

    def setUp(self) -> None:
        machine = Network().machine("192.0.2.1")
        self.ports, self.others = Ports(machine), Ports(machine)
        self.others.listen([self.TAKEN])

    def numbers(self) -> list[int]:
        """
        Give the numbers of the ports.
        """
        return [address.port for address in self.ports.addresses]

    def test_listen(self) -> None:
        """
        What is listened on is told, and not listened on twice.
        """
        self.assertEqual(self.ports.listen([self.FIRST]), [self.FIRST.endpoint])
        self.assertEqual(self.ports.listen([self.FIRST]), [])
        self.assertEqual(self.numbers(), [25])

    def test_allOrNone(self) -> None:
        """
        Where one of several cannot be had none of them is kept, and those that
        were there are left.
        """
        self.ports.listen([self.FIRST])
        wanted = [self.SECOND, self.TAKEN]
        error = self.assertRaises(ConfigurationError, self.ports.listen, wanted)
        self.assertIn(f"cannot listen on {self.TAKEN.endpoint!r}", str(error))
        self.assertEqual(self.numbers(), [25])
        self.others.listen([self.SECOND])

    def test_unreadable(self) -> None:
        """
        Where one of several cannot be read, or cannot be asked for, none of the
        others is kept either.
        """

        class Broken:
            def listen(self, factory: Any) -> Any:
                raise OSError(9, "Bad file descriptor")

        wanted = [self.FIRST, Opening("nosuch:1")]
        self.assertRaises(ConfigurationError, self.ports.listen, wanted)
        self.assertEqual(self.numbers(), [])
        real = ports.checkEndpoint
        self.patch(
            ports,
            "checkEndpoint",
            lambda text, reactor: Broken() if text == "bad" else real(text, reactor),
        )
        wanted = [self.FIRST, Opening("bad")]
        error = self.assertRaises(ConfigurationError, self.ports.listen, wanted)
        self.assertIn("Bad file descriptor", str(error))
        self.assertEqual(self.numbers(), [])
        self.others.listen([self.FIRST])

    def test_close(self) -> None:
        """
        One of several can be closed, and all of them.
        """
        self.ports.listen([self.FIRST, self.SECOND])
        self.successResultOf(self.ports.close([self.FIRST.endpoint]))
        self.assertEqual(self.numbers(), [2525])
        self.successResultOf(self.ports.close())
        self.assertEqual(self.ports.listening, [])
        self.others.listen([self.FIRST, self.SECOND])

    def test_order(self) -> None:
        """
        The addresses can be put into an order.
        """
        self.ports.listen([self.FIRST, self.SECOND])
        self.ports.order([self.SECOND.endpoint, self.FIRST.endpoint])
        self.assertEqual(self.numbers(), [2525, 25])
        self.assertEqual(self.ports.openings, [self.SECOND, self.FIRST])

    def test_otherKind(self) -> None:
        """
        What is listened on can become another kind of port, unless another one
        cannot be had.
        """
        self.ports.listen([self.FIRST])
        other = Opening(self.FIRST.endpoint, Entrance.SUBMISSION)
        wanted = [other, self.TAKEN]
        self.assertRaises(ConfigurationError, self.ports.listen, wanted)
        self.assertEqual(self.ports.openings, [self.FIRST])
        self.assertEqual(self.ports.listen([other]), [])
        self.assertEqual(self.ports.openings, [other])

    def test_kinds(self) -> None:
        """
        Each kind has the name of its option.
        """
        openings = [
            Opening("tcp:25"),
            Opening("tcp:587", Entrance.SUBMISSION),
            Opening("tcp:465", Entrance.SUBMISSION, True),
            Opening("unix:/run/lmtp", Entrance.LMTP),
        ]
        kinds = [each.kind for each in openings]
        self.assertEqual(kinds, ["smtp", "submission", "submissions", "lmtp"])


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
