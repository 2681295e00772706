# -*- test-case-name: relaymail.test.configuration.test_structuring -*-
"""
Tests for L{relaymail.configuration.structuring}.
"""

from __future__ import annotations

import os
from ipaddress import ip_network

from twisted.trial.unittest import SynchronousTestCase

from relaymail.configuration import configure
from relaymail.errors import ConfigurationError
from relaymail.route.hosts import Host
from relaymail.schedule.rates import Rate


class ConfigureTests(SynchronousTestCase):
    """
    Tests for L{configure}.
    """

    def test_words(self) -> None:
        """
        Settings are read from the words a person writes.
        """
        told = configure(
            queue="spool",
            hostname="relay.example.com",
            smtp="tcp:25",
            smartHosts=["one.example.com", Host("two.example.com", 26)],
            retry="1m,2h",
            expire="2d",
            destinationRates=["Example.ORG=100/m", ("example.net", Rate(1, 1))],
            maxMessageSize="50M",
            senderRates="News@Example.com=1000/h",
            networks="192.0.2.0/24, ::1",
            allowDestinations=["10.0.0.0/8", "127.0.0.1"],
        )
        self.assertEqual(told.queue.path, os.path.abspath("spool/queue.db"))
        self.assertEqual(told.intake.smtp, ("tcp:25",))
        self.assertEqual(
            [(h.name, h.port) for h in told.delivery.smartHosts],
            [("one.example.com", 25), ("two.example.com", 26)],
        )
        self.assertEqual(told.delivery.retry, (60, 7200))
        self.assertEqual(told.delivery.expire, 2 * 86400)
        self.assertEqual(
            told.delivery.destinationRates,
            (("example.org", Rate(100, 60)), ("example.net", Rate(1, 1))),
        )
        self.assertEqual(told.intake.maxMessageSize, 50 * 1024 * 1024)
        self.assertEqual(
            told.delivery.senderRates, (("news@example.com", Rate(1000, 3600)),)
        )
        self.assertEqual(
            told.intake.networks, (ip_network("192.0.2.0/24"), ip_network("::1/128"))
        )
        self.assertEqual(
            told.delivery.allowDestinations,
            (ip_network("10.0.0.0/8"), ip_network("127.0.0.1/32")),
        )

    def test_unknownSetting(self) -> None:
        """
        A setting that does not exist is an error.
        """
        self.assertRaises(
            TypeError, configure, queue="spool", hostname="a.example", nonsense=1
        )

    def test_missingFile(self) -> None:
        """
        A key that is not there is told of.
        """
        error = self.assertRaises(
            ConfigurationError, configure, queue="spool", tlsKey="nowhere.pem"
        )
        self.assertEqual(str(error), "tlsKey: 'nowhere.pem' is not a file")
