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
from relaymail.configuration import Configuration, files
from relaymail.configuration.tables import OPTIONS
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

    def setUp(self) -> None:
        """
        Have no file of this machine's.
        """
        environment = {k: v for k, v in os.environ.items() if k != files.VARIABLE}
        self.patch(os, "environ", environment)
        self.patch(files, "SYSTEM_FILE", os.path.abspath("system.toml"))

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
        users = Path(self.mktemp()).absolute()
        users.touch(0o600)
        told = parse(
            *("--smtp", "tcp:25", "--smtp", "unix:relay.sock"),
            *("--queue", "directory:mail"),
            *(
                "--smarthost",
                "two.example.com:26",
                "--smarthost",
                "smtps://one.example",
            ),
            *("--sender-host", "@news.example=one.example"),
            *("--sender-host", "@News.example=smtps://me@two.example?password-env=P"),
            *("--sender-host", "Ann@b.example=lmtp+unix:///run/lmtp"),
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
            *("--submission", "tcp:587", "--submission", "tcp6:587"),
            *("--submissions", "tcp:465", "--lmtp", "unix:lmtp.sock"),
            *(
                "--users",
                str(users),
                "--proxies",
                "192.0.2.10",
                "--xclient",
                "192.0.2.11",
            ),
            *("--allow-destination", "10.0.0.0/8", "--allow-destination", "::1"),
        )
        self.assertEqual(told.intake.smtp, ("tcp:25", "unix:relay.sock"))
        self.assertEqual(told.intake.submission, ("tcp:587", "tcp6:587"))
        self.assertEqual(told.intake.submissions, ("tcp:465",))
        self.assertEqual(told.intake.lmtp, ("unix:lmtp.sock",))
        self.assertEqual(told.intake.users, str(users))
        self.assertEqual(told.intake.proxies, (ip_network("192.0.2.10"),))
        self.assertEqual(told.intake.xclient, (ip_network("192.0.2.11"),))
        self.assertEqual(
            told.queue, QueuePlace(QueueKind.DIRECTORY, os.path.abspath("mail"))
        )
        self.assertEqual(
            [(h.name, h.port) for h in told.delivery.smartHosts],
            [("two.example.com", 26), ("one.example", 465)],
        )
        self.assertEqual(
            [
                (sender, [host.name for host in hosts])
                for sender, hosts in told.delivery.senderHosts
            ],
            [
                ("@news.example", ["one.example", "two.example"]),
                ("ann@b.example", ["/run/lmtp"]),
            ],
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
            (("--smtp", "nonsense:25"), "'nonsense:25' is not an endpoint"),
            (("--lmtp", "nonsense:24"), "'nonsense:24' is not an endpoint"),
            (("--submission", "tcp:587"), "name the file of users"),
            (("--users", "a-file"), "users file"),
            (("--smtp", "carrier-pigeon:1"), "is not an endpoint"),
            (("--queue", "a-file"), "no database"),
            (("--queue", "directory:a-file"), "is not a directory"),
            (("--queue", "postgresql://host/db"), "of a kind that is not known"),
            (("--hostname", "not a name"), "'not a name'"),
            (("--smarthost", "smtp://me:secret@host"), "password"),
            (("--smarthost", "ftp://host"), "is not a smart host"),
            (("--dns", "dns.example.com"), "is not a DNS server"),
            (("--mx-port", "smtp"), "--mx-port: 'smtp' is not a port"),
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

    def test_file(self) -> None:
        """
        The options hold over the configuration file, and the paths of each begin
        where it is.
        """
        folder = Path(os.path.abspath(self.mktemp()))
        folder.mkdir()
        file = folder / "relay.toml"
        file.write_text(
            'queue = "spool"\nhostname = "file.example"\n[delivery]\nmx-port = 26\n'
            'smart-hosts = ["a.example"]\n[machines]\norigin = "b.example"\n'
        )
        told = parse(
            *("--config", str(file), "--smarthost", "c.example", "--drop", "drop"),
            *("--origin", ""),
        )
        self.assertEqual(told.file, str(file))
        self.assertEqual(told.queue.path, f"{folder}/spool/queue.db")
        self.assertEqual(told.hostname, "relay.example.com")
        self.assertEqual(told.delivery.mxPort, 26)
        self.assertEqual([h.name for h in told.delivery.smartHosts], ["c.example"])
        self.assertEqual(told.machines.drop, os.path.abspath("drop"))
        self.assertEqual(told.machines.origin, "")

    def test_reread(self) -> None:
        """
        What the file says by now can be read again, from wherever the process is.
        """
        file = Path("reread.toml")
        file.write_text("[delivery]\nmx-port = 26\nmax-connections = 7\n")
        options = tap.Options()
        options.parseOptions(["--config", str(file), "--max-connections", "8"])
        file.write_text("[delivery]\nmx-port = 27\n")
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir("/")
        self.assertEqual(options.configuration.delivery.mxPort, 26)
        told = options.reread()
        self.assertEqual(told.delivery.mxPort, 27)
        self.assertEqual(told.delivery.maxConnections, 8)
        self.assertEqual(told.queue, options.configuration.queue)

    def test_wrongFile(self) -> None:
        """
        All that is wrong in the file and on the command line is told of.
        """
        Path("wrong.toml").write_text("[delivery]\nmx-prot = 1\n")
        words = ("--config", "wrong.toml", "--expire", "never")
        error = self.assertRaises(usage.UsageError, parse, *words)
        first, second = sorted(str(error).split("\n"))
        self.assertIn("--expire: 'never' is not a duration", first)
        self.assertIn("wrong.toml:2: delivery.mx-prot: ", second)

    def test_othersFile(self) -> None:
        """
        The service does not start where there is a file of another user, as if
        there was none.
        """
        Path("relaymail.toml").symlink_to("nowhere")
        self.addCleanup(os.unlink, "relaymail.toml")
        self.assertIn("is not read", str(self.assertRaises(usage.UsageError, parse)))

    def test_newOptions(self) -> None:
        """
        The options of machines and of the control API have flags, too.
        """
        told = parse(
            *("--alias", "root=a@b.example", "--alias", "ops=root"),
            *("--rewrite-sender", "@c.example=d@e.example"),
            *("--control-endpoint", "tcp:8025", "--control-token-env", "TOKEN"),
            *("--control-socket", "control.sock", "--control-host", "f.example"),
            *("--control-origin", "https://g.example"),
        )
        self.assertEqual(
            told.machines.aliases, (("root", ("a@b.example",)), ("ops", ("root",)))
        )
        self.assertEqual(told.machines.rewriteSenders, (("@c.example", "d@e.example"),))
        self.assertEqual(told.control.endpoint, "tcp:8025")
        self.assertEqual(told.control.tokenEnv, "TOKEN")
        self.assertEqual(told.control.hosts, ("f.example",))
        self.assertEqual(told.control.origins, ("https://g.example",))
        self.assertEqual(told.controlSocket, os.path.abspath("control.sock"))

    def test_help(self) -> None:
        """
        Every option is in the help, with its default.
        """
        text = " ".join(tap.Options().getUsage(100).split())
        for one in OPTIONS:
            self.assertIn(f"--{one.flag}=", text)
        self.assertIn("The port of mail exchange hosts. [default: 25]", text)

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
