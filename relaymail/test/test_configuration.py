# -*- test-case-name: relaymail.test.test_configuration -*-
"""
Tests for L{relaymail.configuration}.
"""

from __future__ import annotations

import math
import os
import sqlite3
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relaymail.configuration import (
    DEFAULT_SMTP,
    Configuration,
    chooseHostname,
    configure,
    parseNamedRate,
    parseNumber,
    parseQueue,
    parseSize,
)
from relaymail.errors import ConfigurationError
from relaymail.queue.opening import QueueKind, QueuePlace
from relaymail.route.hosts import Host
from relaymail.schedule.rates import Rate


class ConfigurationTests(SynchronousTestCase):
    """
    Tests for L{Configuration}.
    """

    def make(self, **settings: Any) -> Configuration:
        """
        Make one that is right but for the settings given.
        """
        given = {
            "queue": parseQueue("spool"),
            "hostname": "relay.example.com",
            **settings,
        }
        return Configuration(**given)

    def test_defaults(self) -> None:
        """
        What is not said is what the documentation says.
        """
        told = self.make()
        self.assertEqual(told.smtp, (DEFAULT_SMTP,))
        self.assertEqual(told.mxPort, 25)
        self.assertEqual(told.retry, (60, 300, 900, 1800, 3600))
        self.assertEqual(told.expire, 5 * 86400)
        self.assertEqual(told.maxConnections, 100)
        self.assertEqual(
            told.networks, (ip_network("127.0.0.0/8"), ip_network("::1/128"))
        )
        self.assertEqual(told.allowDestinations, ())

    def test_wrong(self) -> None:
        """
        What cannot be run is refused with a sentence that names it.
        """
        wrong: list[tuple[dict[str, Any], str]] = [
            ({"hostname": "a b"}, "hostname 'a b'"),
            ({"hostname": "relay.example.com\r\nX"}, "hostname"),
            ({"queue": "spool"}, "no queue"),
            ({"dns": "nonsense"}, "DNS server"),
            ({"tlsKey": "key.pem"}, "name both or neither"),
            ({"retry": ()}, "delays"),
            ({"retry": (60.0, 0.0)}, "delays"),
            ({"expire": 0.0}, "expires"),
            ({"retry": (60.0, math.nan)}, "delays"),
            ({"expire": math.inf}, "expires"),
            ({"maxConnections": 2.5}, "and whole"),
            ({"mxPort": 0}, "MX port"),
            ({"mxPort": 65536}, "MX port"),
            ({"maxConnections": 0}, "number of connections"),
            ({"maxMessagesPerConnection": 0}, "messages per connection"),
            ({"maxConnectionsPerSite": 0}, "connections per destination"),
            ({"maxMessageSize": -1}, "must be from 0 to"),
        ]
        for settings, told in wrong:
            error = self.assertRaises(ConfigurationError, self.make, **settings)
            self.assertIn(told, str(error))
            self.assertNotIn("\n", str(error))


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
        self.assertEqual(told.smtp, ("tcp:25",))
        self.assertEqual(
            [(h.name, h.port) for h in told.smartHosts],
            [("one.example.com", 25), ("two.example.com", 26)],
        )
        self.assertEqual(told.retry, (60, 7200))
        self.assertEqual(told.expire, 2 * 86400)
        self.assertEqual(
            told.destinationRates,
            (("example.org", Rate(100, 60)), ("example.net", Rate(1, 1))),
        )
        self.assertEqual(told.maxMessageSize, 50 * 1024 * 1024)
        self.assertEqual(told.senderRates, (("news@example.com", Rate(1000, 3600)),))
        self.assertEqual(
            told.networks, (ip_network("192.0.2.0/24"), ip_network("::1/128"))
        )
        self.assertEqual(
            told.allowDestinations,
            (ip_network("10.0.0.0/8"), ip_network("127.0.0.1/32")),
        )

    def test_A09_password(self) -> None:
        """
        A password is read from where it is kept, and shows nowhere.
        """
        secret = Path(self.mktemp())
        secret.write_bytes(b"hunter2\n")
        told = configure(
            queue="spool",
            hostname="relay.example.com",
            smartHosts=f"smtps://me@mail.example.com?password-file={secret}",
        )
        credentials = told.smartHosts[0].credentials
        assert credentials is not None
        self.assertEqual(credentials.password, b"hunter2")
        self.assertNotIn("hunter2", repr(told))

    def test_passwordFromEnvironment(self) -> None:
        """
        A password may stand in a variable of the environment.
        """
        self.patch(os, "environb", {b"RELAY_PASSWORD": b"hunter2"})
        host = "smtps://me@mail.example.com?password-env=RELAY_PASSWORD"
        told = configure(queue="s", hostname="a.example", smartHosts=host)
        credentials = told.smartHosts[0].credentials
        assert credentials is not None
        self.assertEqual(credentials.password, b"hunter2")

    def test_noPassword(self) -> None:
        """
        A password that is not there is told of.
        """
        host = "smtps://me@mail.example.com?password-file=nowhere"
        error = self.assertRaises(
            ConfigurationError, configure, queue="s", hostname="a.b", smartHosts=host
        )
        self.assertIn("cannot be read", str(error))

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
        self.assertEqual(str(error), "'nowhere.pem' is not a file")


class QueueTests(SynchronousTestCase):
    """
    Tests for L{parseQueue}.
    """

    def setUp(self) -> None:
        """
        Choose a path.
        """
        self.path = os.path.abspath(self.mktemp())

    def spool(self, path: str) -> QueuePlace:
        """
        Give the place of a spool.
        """
        return QueuePlace(QueueKind.SPOOL, path)

    def test_kinds(self) -> None:
        """
        The kind may be said; nothing needs to be there.
        """
        directory = QueuePlace(QueueKind.DIRECTORY, self.path)
        self.assertEqual(parseQueue(f"directory:{self.path}"), directory)
        self.assertEqual(parseQueue(f"spool:{self.path}"), self.spool(self.path))
        self.assertEqual(parseQueue(str(directory)), directory)

    def test_nothingYet(self) -> None:
        """
        A bare path where nothing is, or nothing but an empty directory, is
        that of a spool; nothing is made.
        """
        inside = self.spool(self.path + "/queue.db")
        self.assertEqual(parseQueue(self.path), inside)
        self.assertFalse(os.path.exists(self.path))
        os.mkdir(self.path)
        self.assertEqual(parseQueue(self.path), inside)
        self.assertEqual(os.listdir(self.path), [])

    def test_recognised(self) -> None:
        """
        A bare path is recognised by what is there.
        """
        os.mkdir(self.path)
        Path(self.path, "1_1.0_1_1-D").write_bytes(b"")
        self.assertEqual(
            parseQueue(self.path), QueuePlace(QueueKind.DIRECTORY, self.path)
        )
        Path(self.path, "queue.db").write_bytes(b"")
        inside = self.spool(self.path + "/queue.db")
        self.assertEqual(parseQueue(self.path), inside)
        self.assertEqual(parseQueue(inside.path), inside)
        sqlite3.connect(inside.path).execute("CREATE TABLE t (a)").connection.close()
        self.assertEqual(parseQueue(inside.path), inside)

    def test_file(self) -> None:
        """
        Something else is none, and is left alone.
        """
        path = Path(self.path)
        path.write_text("precious")
        for text, told in (
            (self.path, "no database"),
            (f"directory:{path}", "is not a directory"),
        ):
            error = self.assertRaises(ConfigurationError, parseQueue, text)
            self.assertIn(told, str(error))
        self.assertEqual(path.read_text(), "precious")
        os.mkfifo(self.path + "f")
        self.assertRaises(ConfigurationError, parseQueue, self.path + "f")
        os.mkdir(self.path + "d")
        self.assertRaises(ConfigurationError, parseQueue, f"spool:{path}d")

    def test_danglingLink(self) -> None:
        """
        A link to nowhere is no queue.
        """
        os.symlink("nowhere", self.path)
        self.assertRaises(ConfigurationError, parseQueue, self.path)

    def test_unknownKind(self) -> None:
        """
        A kind of queue that is not known is told of.
        """
        for text in ("maildir:/var/spool/mail", "postgresql://host/db"):
            error = self.assertRaises(ConfigurationError, parseQueue, text)
            self.assertIn("of a kind that is not known", str(error))

    def test_nothing(self) -> None:
        """
        No path is no queue.
        """
        for text in ("", "directory:", "spool:", "a\0b"):
            self.assertRaises(ConfigurationError, parseQueue, text)


class SmallTests(SynchronousTestCase):
    """
    Tests for the small readers.
    """

    def test_numbers(self) -> None:
        """
        Whole numbers are read, nothing else.
        """
        self.assertEqual(parseNumber("the port", "25"), 25)
        for text in ("", "-1", "1.5", "x", "\u0663", "1" * 10):
            self.assertRaises(ConfigurationError, parseNumber, "the port", text)

    def test_hostname(self) -> None:
        """
        The first name that is a full one is chosen.
        """
        self.assertEqual(
            chooseHostname(["vm", "bad name.example", "a.example.com", "b.example"]),
            "a.example.com",
        )
        self.assertEqual(chooseHostname(["vm"]), "localhost.localdomain")


class SizeTests(SynchronousTestCase):
    """
    Tests for L{parseSize}.
    """

    def test_sizes(self) -> None:
        """
        A number of octets, or of a multiple.
        """
        sizes = [parseSize(text) for text in ("0", "7", " 8k", "2M", "1G")]
        self.assertEqual(sizes, [0, 7, 8192, 2 * 1024**2, 1024**3])

    def test_wrong(self) -> None:
        """
        Anything else is refused with what to write.
        """
        for text in ("", "M", "-1", "1.5M", "5 apples", "1T", "9" * 14):
            error = self.assertRaises(ConfigurationError, parseSize, text)
            self.assertIn("such as 50M", str(error))


class NamedRateTests(SynchronousTestCase):
    """
    Tests for L{parseNamedRate}.
    """

    def test_names(self) -> None:
        """
        A rate is of a domain, of an address, or of each.
        """
        for text, name in (
            ("Example.ORG=5/s", "example.org"),
            ("A.B@Example.org = 5/s", "a.b@example.org"),
            ("b\u00fccher.example=5/s", "xn--bcher-kva.example"),
            ("*=5/s", "*"),
        ):
            self.assertEqual(parseNamedRate(text), (name, Rate(5, 1)))

    def test_wrong(self) -> None:
        """
        What names nothing, or is no rate, is refused with what to write.
        """
        for text, told in (
            ("5/s", "write such as example.org=100/m"),
            ("=5/s", "write such as example.org=100/m"),
            ("a b=5/s", "'a b=5/s' does not say what the rate is of"),
            ("example.org=", "is not a rate"),
            ("example.org=fast", "'fast' is not a rate"),
            ("*=0/s", "'0/s' is not a rate"),
        ):
            error = self.assertRaises(ConfigurationError, parseNamedRate, text)
            self.assertIn(told, str(error))
