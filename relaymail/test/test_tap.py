# -*- test-case-name: relaymail.test.test_tap -*-
"""
Tests for L{relaymail.tap} and the plugin.
"""

from __future__ import annotations

import io
import os
import sys
from ipaddress import ip_network
from pathlib import Path
from typing import Any, cast

from twisted.application.service import (
    Application,
    IServiceCollection,
    IServiceMaker,
)
from twisted.logger import FileLogObserver, ILogObserver
from twisted.plugin import IPlugin
from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from relaymail import __version__, tap
from relaymail.configuration import Configuration
from relaymail.errors import QueueLocked
from relaymail.queue.opening import QueueKind, QueuePlace
from relaymail.schedule.rates import Rate
from relaymail.service import Relay
from relaymail.test.certificates import writeCertificate


def parse(*words: str) -> Configuration:
    """
    Parse a command line.
    """
    options = tap.Options()
    options.parseOptions(["--hostname", "relay.example.com", *words])
    return options.configuration


class PluginTests(SynchronousTestCase):
    """
    Tests for the plugin.
    """

    def test_plugin(self) -> None:
        """
        The plugin names the module that holds the options and makes the
        service.
        """
        from twisted.plugins import relaymail_plugin

        maker = relaymail_plugin.relaymail
        self.assertTrue(IServiceMaker.providedBy(maker))
        self.assertTrue(IPlugin.providedBy(maker))
        self.assertEqual(maker.tapname, "relaymail")
        self.assertIs(maker.options, tap.Options)
        self.assertIs(maker.makeService, tap.makeService)


class OptionsTests(SynchronousTestCase):
    """
    Tests for L{tap.Options}.
    """

    def test_defaults(self) -> None:
        """
        Without options the relay takes mail from this machine, on a port that
        needs no privilege.
        """
        told = parse()
        self.assertEqual(
            told,
            Configuration(
                queue=QueuePlace(QueueKind.SPOOL, os.path.abspath("spool/queue.db")),
                hostname="relay.example.com",
            ),
        )
        self.assertEqual(told.intake.smtp, ("tcp:2525:interface=127.0.0.1",))

    def test_everything(self) -> None:
        """
        Each option has its place; what may be repeated keeps its order.
        """
        key, cert = writeCertificate(Path(self.mktemp()))
        told = parse(
            *("--smtp", "tcp:25", "--smtp", "unix:relay.sock"),
            *("--queue", "directory:mail"),
            *(
                "--smarthost",
                "two.example.com:26",
                "--smarthost",
                "smtps://one.example",
            ),
            *("--dns", "192.0.2.53:53"),
            *("--mx-port", "2626"),
            *("--retry", "1s,1m"),
            *("--expire", "1d"),
            *("--max-connections", "7"),
            *("--max-messages-per-connection", "8"),
            *("--max-connections-per-destination", "9"),
            *("--destination-rate", "*=5/s", "--destination-rate", "a.example=1/m"),
            *("--sender-rate", "b@c.example=2/h"),
            *("--max-message-size", "20M"),
            *("--tls-key", key, "--tls-cert", cert),
            *("--networks", "192.0.2.0/24"),
            *("--allow-destination", "10.0.0.0/8", "--allow-destination", "::1"),
        )
        self.assertEqual(told.intake.smtp, ("tcp:25", "unix:relay.sock"))
        self.assertEqual(
            told.queue, QueuePlace(QueueKind.DIRECTORY, os.path.abspath("mail"))
        )
        self.assertEqual(
            [(h.name, h.port) for h in told.delivery.smartHosts],
            [("two.example.com", 26), ("one.example", 465)],
        )
        self.assertEqual(told.delivery.dns, "192.0.2.53:53")
        self.assertEqual(told.delivery.mxPort, 2626)
        self.assertEqual(told.delivery.retry, (1, 60))
        self.assertEqual(told.delivery.expire, 86400)
        self.assertEqual(told.delivery.maxConnections, 7)
        self.assertEqual(told.delivery.maxMessagesPerConnection, 8)
        self.assertEqual(told.delivery.maxConnectionsPerDestination, 9)
        self.assertEqual(told.intake.maxMessageSize, 20 * 1024 * 1024)
        self.assertEqual(
            told.delivery.destinationRates,
            (("*", Rate(5, 1)), ("a.example", Rate(1, 60))),
        )
        self.assertEqual(told.delivery.senderRates, (("b@c.example", Rate(2, 3600)),))
        self.assertEqual(
            (told.intake.tlsKey, told.intake.tlsCert),
            tuple(map(os.path.abspath, (key, cert))),
        )
        self.assertEqual(told.intake.networks, (ip_network("192.0.2.0/24"),))
        self.assertEqual(
            told.delivery.allowDestinations,
            (ip_network("10.0.0.0/8"), ip_network("::1/128")),
        )

    def test_wrong(self) -> None:
        """
        A value that cannot be used is told of in one sentence, before
        anything is opened.
        """
        Path("a-file").write_text("precious")
        for words, told in [
            (("--smtp", "tcp:nonsense"), "'tcp:nonsense' is not an endpoint"),
            (("--smtp", "carrier-pigeon:1"), "is not an endpoint"),
            (("--queue", "a-file"), "no database"),
            (("--queue", "directory:a-file"), "is not a directory"),
            (("--queue", "postgresql://host/db"), "of a kind that is not known"),
            (("--hostname", "not a name"), "'not a name'"),
            (("--smarthost", "smtp://me:secret@host"), "password"),
            (("--smarthost", "ftp://host"), "is not a smart host"),
            (("--dns", "dns.example.com"), "is not a DNS server"),
            (("--mx-port", "smtp"), "--mx-port must be a whole number"),
            (("--mx-port", "99999"), "from 1 to 65535"),
            (("--retry", "1m,later"), "'later' is not a duration"),
            (("--expire", "never"), "'never' is not a duration"),
            (("--max-connections", "0"), "0 is not a whole number from 1"),
            (("--max-messages-per-connection", "-1"), "whole number"),
            (("--max-connections-per-destination", "0"), "a whole number from 1"),
            (("--max-message-size", "much"), "'much' is not a size"),
            (("--destination-rate", "a.example"), "is not a table of rates"),
            (("--destination-rate", "a.example="), "is not a rate"),
            (("--sender-rate", "=5/s"), "does not say what the rate is of"),
            (("--tls-key", "nowhere.pem"), "'nowhere.pem' is not a file"),
            (("--networks", "everybody"), "'everybody' is not a network"),
            (("--allow-destination", "home"), "'home' is not a network"),
            (("surplus",), "Wrong number of arguments"),
        ]:
            error = self.assertRaises(usage.UsageError, parse, *words)
            self.assertIn(told, str(error))
            self.assertNotIn("\n", str(error))
            self.assertNotIn("secret", str(error))

    def test_wrongUnderTwistd(self) -> None:
        """
        Under C{twistd} a wrong option ends the process: with a sentence, and
        with an exit code other than 0.
        """
        for words in (["--retry", "later"], ["--nonsense"]):
            options = tap.Options()
            options.parent = usage.Options()
            error = self.assertRaises(SystemExit, options.parseOptions, words)
            self.assertTrue(str(error.code).startswith("relaymail: "))

    def test_version(self) -> None:
        """
        The version is that of relaymail.
        """
        output = io.StringIO()
        self.patch(sys, "stdout", output)
        self.assertRaises(SystemExit, parse, "--version")
        self.assertEqual(output.getvalue(), f"relaymail {__version__}\n")


class MakeServiceTests(SynchronousTestCase):
    """
    Tests for L{tap.makeService}.
    """

    def setUp(self) -> None:
        """
        Keep the process's hook as it is.
        """
        self.patch(sys, "excepthook", lambda *told: self.others.append(told))
        self.output = io.StringIO()
        self.patch(sys, "__stderr__", self.output)
        self.others: list[object] = []

    def test_makesARelay(self) -> None:
        """
        The service is a relay that was told what the options say; nothing is
        opened.
        """
        options = tap.Options()
        queue = os.path.abspath(self.mktemp())
        options.parseOptions(["--queue", queue])
        relay = tap.makeService(options)
        self.assertIsInstance(relay, Relay)
        self.assertIs(relay.configuration, options.configuration)
        self.assertFalse(os.path.exists(queue))

    def test_logsUnderTwistd(self) -> None:
        """
        Under C{twistd} the application gets the relay's log observer before
        its log begins; elsewhere the log is nobody's business.
        """
        options = tap.Options()
        options.parseOptions(["--queue", self.mktemp()])
        for parent, kind in (
            ({"syslog": 0, "nodaemon": 1}, FileLogObserver),
            (None, type(None)),
        ):
            options.parent = cast("Any", parent)
            application: Any = Application("relaymail")
            relay = tap.makeService(options)
            relay.setServiceParent(application)
            self.assertIs(relay.parent, IServiceCollection(application))
            observer = application.getComponent(ILogObserver, None)
            self.assertIsInstance(observer, kind)

    def test_plainly(self) -> None:
        """
        What relaymail cannot start with is said in its one sentence; every
        other exception is told as before.
        """
        hook = tap.plainly(sys.excepthook)
        hook(QueueLocked, QueueLocked("the queue is in use"), None)
        self.assertEqual(self.output.getvalue(), "relaymail: the queue is in use\n")
        other = ValueError("other")
        hook(ValueError, other, None)
        self.assertEqual(self.others, [(ValueError, other, None)])
