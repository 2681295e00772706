# -*- test-case-name: relaymail.test.configuration.test_tables -*-
"""
Tests for L{relaymail.configuration.tables}.
"""

from __future__ import annotations

import math
from ipaddress import ip_network
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relaymail.configuration.tables import (
    DEFAULT_PACE,
    DEFAULT_SIZE,
    DEFAULT_SMTP,
    OPTIONS,
    Configuration,
    Control,
    Delivery,
    Intake,
)
from relaymail.configuration.words import parseQueue
from relaymail.errors import ConfigurationError
from relaymail.intake.limits import DEFAULT_LIMITS
from relaymail.outcome.news import DEFAULT_DELAY_NOTICE
from relaymail.schedule.paces import LARGEST_PACE

#: How many options there may be in the end: who runs a relay is to know them all.
MAX_OPTIONS = 60


class ConfigurationTests(SynchronousTestCase):
    """
    Tests for L{Configuration} and its tables.
    """

    def make(self, **settings: Any) -> Configuration:
        """
        Make one that is right but for the settings given.
        """
        given = {"queue": parseQueue("spool"), "hostname": "relay.example.com"}
        return Configuration(**{**given, **settings})

    def test_defaults(self) -> None:
        """
        What is not said is what the documentation says.
        """
        told = self.make()
        self.assertEqual(told.intake.smtp, (DEFAULT_SMTP,))
        self.assertEqual(
            told.intake.networks, (ip_network("127.0.0.0/8"), ip_network("::1/128"))
        )
        self.assertEqual(told.intake.maxMessageSize, DEFAULT_LIMITS.messageSize)
        self.assertEqual(DEFAULT_SIZE, DEFAULT_LIMITS.messageSize)
        self.assertEqual(DEFAULT_PACE, LARGEST_PACE)
        self.assertEqual(told.delivery.mxPort, 25)
        self.assertEqual(told.delivery.retry, (60, 300, 900, 1800, 3600))
        self.assertEqual(told.delivery.expire, 5 * 86400)
        self.assertEqual(told.delivery.delayNotice, DEFAULT_DELAY_NOTICE)
        self.assertEqual(told.delivery.maxConnections, 100)
        self.assertEqual(told.delivery.allowDestinations, ())

    def test_wrong(self) -> None:
        """
        What cannot be run is refused with a sentence that names it.
        """
        wrong: list[tuple[type, dict[str, Any], str]] = [
            (Intake, {"tlsKey": "key.pem"}, "name both"),
            (Intake, {"maxMessageSize": -1}, "from 0 to"),
            (Delivery, {"dns": "nonsense"}, "dns: 'nonsense' is not a DNS server"),
            (
                Delivery,
                {"retry": ()},
                "retry: an empty list is not a list",
            ),
            (Delivery, {"retry": (60.0, 0.0)}, "durations above 0"),
            (Delivery, {"expire": 0.0}, "expire: 0.0 is not a duration above 0"),
            (Delivery, {"retry": (60.0, math.nan)}, "durations above 0"),
            (Delivery, {"expire": math.inf}, "is not a duration"),
            (Delivery, {"delayNotice": -1.0}, "delay-notice: -1.0 is not a duration"),
            (Delivery, {"delayNotice": math.nan}, "is not a duration, or 0"),
            (Delivery, {"maxConnections": 2.5}, "2.5 is not a whole number"),
            (Delivery, {"mxPort": 0}, "mx-port: 0 is not a port from 1 to 65535"),
            (Delivery, {"mxPort": 65536}, "from 1 to 65535"),
            (Delivery, {"mxPort": None}, "mx-port: nothing was said"),
            (Delivery, {"maxConnections": 0}, "0 is not a whole number from 1"),
            (Delivery, {"maxMessagesPerConnection": 0}, "max-messages-per-connection"),
            (Delivery, {"maxConnectionsPerDestination": 0}, "from 1 to 50000"),
            (Control, {"endpoint": "tcp:8025"}, "needs a token"),
            (Control, {"tokenFile": "a", "tokenEnv": "B"}, "name one"),
            (Control, {"socket": "/" + "s" * 100}, "it has 101 bytes"),
        ]
        for cls, settings, told in wrong:
            error = self.assertRaises(ConfigurationError, cls, **settings)
            self.assertIn(told, str(error))
            self.assertNotIn("\n", str(error))
        for settings, told in (
            ({"hostname": "a b"}, "hostname: 'a b' is not a host name"),
            ({"hostname": "relay.example.com\r\nX"}, "hostname"),
            ({"queue": "spool"}, "queue: 'spool' is not a queue"),
        ):
            error = self.assertRaises(ConfigurationError, self.make, **settings)
            self.assertIn(told, str(error))

    def test_frozen(self) -> None:
        """
        A configuration does not change, and is compared by what it says, not by
        the file it is from.
        """
        told = self.make(delivery=Delivery(mxPort=26))
        self.assertRaises(AttributeError, setattr, told, "hostname", "b.example")
        self.assertEqual(told, self.make(delivery=Delivery(mxPort=26), file="a"))
        self.assertNotEqual(told, self.make())

    def test_controlSocket(self) -> None:
        """
        The control socket is beside the queue, unless another path is said.
        """
        self.assertTrue(self.make().controlSocket.endswith("spool/queue.db-control"))
        place = parseQueue("directory:mail")
        self.assertTrue(self.make(queue=place).controlSocket.endswith("mail/control"))
        other = Control(socket="/run/relay.sock")
        self.assertEqual(self.make(control=other).controlSocket, "/run/relay.sock")

    def test_few(self) -> None:
        """
        There are not too many options, no two share a name, and each is explained.
        """
        self.assertLessEqual(len(OPTIONS), MAX_OPTIONS)
        for names in (
            [one.attribute for one in OPTIONS],
            [one.flag for one in OPTIONS],
        ):
            self.assertEqual(len(names), len(set(names)))
        for one in OPTIONS:
            self.assertTrue(one.said.means.endswith("."), one.path)
            if one.default in (None, "", ()):
                self.assertTrue(one.said.standard, one.path)
