# -*- test-case-name: relaymail.test.test_reload -*-
"""
Tests for L{Relay.reload<relaymail.service.Relay.reload>}.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.error import CannotListenError

from relaymail.configuration import Configuration, configure, readFile
from relaymail.dropping.files import write
from relaymail.dropping.service import INTERVAL
from relaymail.errors import ConfigurationError
from relaymail.test.test_service import (
    CLIENT,
    InlineWorker,
    RelayTestCase,
    TestRelay,
)

PORT = "tcp:2525:interface=127.0.0.1"
OTHER = "tcp:2526:interface=127.0.0.1"


class ReloadTestCase(RelayTestCase):
    """
    Tells relays something else while they run.
    """

    def told(self, **settings: Any) -> Configuration:
        """
        Make a configuration that differs from that of the relay as it is said.
        """
        usual = {"hostname": "relay.example.com", "queue": self.directory, "smtp": PORT}
        return configure(**{**usual, **settings})

    def running(self, **settings: Any) -> TestRelay:
        """
        Start a relay.
        """
        return self.start(**{"smtp": PORT, **settings})

    def refused(self, relay: TestRelay, **settings: Any) -> str:
        """
        Have a relay refuse a configuration, and see that it does what it did.

        @return: Why.
        """
        before, ports = relay.configuration, relay.ports
        why = self.notReloaded(relay, self.told(**settings))
        self.assertIs(relay.configuration, before)
        self.assertEqual(relay.ports, ports)
        self.assertEqual(relay.manager.retrySchedule, before.delivery.retry)
        return why

    def reload(self, relay: TestRelay, told: Configuration | None = None) -> list[str]:
        """
        Have a relay read its configuration again.

        @return: What has changed.
        """
        changed: list[str] = self.successResultOf(relay.reload(told))
        return changed

    def notReloaded(self, relay: TestRelay, told: Configuration | None = None) -> str:
        """
        Have a relay refuse to do so.

        @return: Why.
        """
        failure = self.failureResultOf(relay.reload(told), ConfigurationError)
        return str(failure.value)


class ReloadTests(ReloadTestCase):
    """
    What a relay is told while it runs.
    """

    def test_settings(self) -> None:
        """
        What has changed is told, and holds for what comes and what goes.
        """
        relay = self.running()
        changed = self.reload(
            relay,
            self.told(
                hostname="new.example.com",
                retry="7s",
                expire="2d",
                smartHosts=["smtp://mail.example.net"],
                maxConnections=7,
                networks="192.0.2.0/24",
                maxMessageSize="1M",
            ),
        )
        self.assertEqual(
            sorted(changed),
            [
                "delivery.expire",
                "delivery.max-connections",
                "delivery.retry",
                "delivery.smart-hosts",
                "hostname",
                "intake.max-message-size",
                "intake.networks",
            ],
        )
        manager, intake = relay.manager, relay.intake
        self.assertEqual(manager.retrySchedule, (7.0,))
        self.assertEqual(manager.expireAfter, 2 * 86400)
        self.assertEqual(manager.maxConnections, 7)
        self.assertEqual([h.name for h in manager.smartHosts], ["mail.example.net"])
        self.assertEqual(manager.hostname, "new.example.com")
        self.assertEqual(intake.offer.hostname, "new.example.com")
        self.assertEqual(intake.limits.messageSize, 1024**2)
        self.assertTrue(intake.acceptance.isTrusted("192.0.2.5"))
        self.assertFalse(intake.acceptance.isTrusted("127.0.0.1"))

    def test_senderHosts(self) -> None:
        """
        Whose mail goes where is changed while it runs, and a password that is new
        counts as a change there, too.
        """
        secret = Path(self.mktemp())
        secret.write_bytes(b"old")
        hosts = {"@News.example": f"smtps://me@a.example?password-file={secret}"}
        relay = self.running(senderHosts=hosts)
        manager = relay.manager
        (old,) = manager.siteFor("example.org", "x@news.example")
        self.assertEqual(old.credentials.password, b"old")
        secret.write_bytes(b"new")
        self.assertEqual(self.reload(relay, self.told(senderHosts=hosts)), [])
        (new,) = manager.siteFor("example.org", "x@news.example")
        self.assertEqual(new.credentials.password, b"new")
        self.assertEqual(self.reload(relay, self.told()), ["delivery.sender-hosts"])
        site = manager.siteFor("example.org", "x@news.example")
        self.assertEqual(site, "example.org")

    def test_dropDirectory(self) -> None:
        """
        They hold for what is dropped into a directory, too.
        """
        drop = os.path.abspath(self.mktemp())
        relay = self.running(drop=drop, maxMessageSize="10K")
        self.reload(
            relay,
            self.told(drop=drop, maxMessageSize="1M", hostname="new.example.com"),
        )
        content = b"Subject: large\r\n\r\n" + 2000 * b"0123456789\r\n"
        write(drop, "a@example.com", ("b@example.net",), content, "0123456789abcdef")
        taken: list[bytes] = []

        def take(sender: Any, recipients: Any, content: bytes) -> Any:
            taken.append(content)
            return succeed(["1"])

        self.patch(relay, "_send", take)
        for _ in range(3):
            self.reactor.advance(INTERVAL)
        self.assertIn(b"by new.example.com (dropped", taken[0])

    def test_nothingNew(self) -> None:
        """
        The same again changes nothing.
        """
        relay = self.running()
        self.assertEqual(self.reload(relay, self.told()), [])

    def test_newCertificate(self) -> None:
        """
        A certificate in the place of one that ran out is taken, and connections
        that wait are not given up for it.
        """
        relay = self.running()
        context = object()
        self.patch(relay, "loadTLS", lambda key, cert: context)
        told: list[Any] = []
        self.patch(relay.manager, "settingsChanged", lambda: told.append(1))
        self.assertEqual(self.reload(relay, self.told()), [])
        self.assertIs(relay.intake.contextFactory, context)
        self.assertEqual(told, [])

    def test_newPassword(self) -> None:
        """
        So is the password of a smart host.
        """
        secret = Path(self.mktemp())
        secret.write_text("one")
        host = f"smtps://me@mail.example.net?password-file={secret.absolute()}"
        relay = self.running(smartHosts=[host])
        secret.write_text("two")
        self.assertEqual(self.reload(relay, self.told(smartHosts=[host])), [])
        (found,) = relay.manager.smartHosts
        self.assertEqual(found.credentials.password, b"two")

    def test_resolver(self) -> None:
        """
        Another name server is asked from then on; the same one is kept with all
        it has learnt.
        """
        relay = self.running()
        before = relay.manager.mxcalc
        self.reload(relay, self.told(retry="7s"))
        self.assertIs(relay.manager.mxcalc, before)
        self.reload(relay, self.told(dns="192.0.2.53:53"))
        self.assertIsNot(relay.manager.mxcalc, before)

    def test_ports(self) -> None:
        """
        New ports are opened, and those that are not named any more are closed.
        """
        relay = self.running()
        (old,) = relay.ports
        self.reload(relay, self.told(smtp=[OTHER, PORT]))
        self.assertEqual([a.port for a in relay.addresses], [2526, 2525])
        self.assertIs(relay.ports[1], old)
        self.reload(relay, self.told(smtp=OTHER))
        self.assertEqual([a.port for a in relay.addresses], [2526])

    def test_newPortLetsIn(self) -> None:
        """
        There is somebody behind a new port.
        """
        relay = self.running()
        self.reload(relay, self.told(smtp=OTHER))
        factory = self.reactor.tcpServers[-1][1]
        self.assertIsNotNone(factory.buildProtocol(CLIENT))

    def test_portIsTaken(self) -> None:
        """
        Where a new port cannot be had, all is as it was.
        """
        relay = self.running()

        def listenTCP(*arguments: Any, **keywords: Any) -> Any:
            raise CannotListenError("", 2526, OSError(98, "Address already in use"))

        self.patch(self.reactor, "listenTCP", listenTCP)
        why = self.refused(relay, smtp=OTHER, retry="7s")
        self.assertIn("Address already in use; nothing was changed", why)

    def test_certificateIsGone(self) -> None:
        """
        Where TLS cannot be begun with what is named, all is as it was.
        """
        path = self.mktemp()
        with open(path, "w") as file:
            file.write("no key")
        relay = self.running()
        self.assertIn(path, self.refused(relay, tlsKey=path, tlsCert=path, retry="7s"))

    def test_onlyARestartCan(self) -> None:
        """
        The queue cannot be changed while it is used, and then nothing is.
        """
        relay = self.running()
        why = self.refused(relay, queue=self.mktemp(), retry="7s")
        self.assertIn("queue cannot be changed while the relay runs", why)

    def test_systemdSocket(self) -> None:
        """
        A socket that systemd would have handed over at the start is not looked for
        later: its number may be that of something else by now.
        """
        adopted: list[Any] = []
        self.patch(self.reactor, "adoptStreamPort", lambda *a: adopted.append(a))
        why = self.refused(self.running(), smtp=[PORT, "systemd:domain=INET:index=0"])
        self.assertIn("restart", why)
        self.assertEqual(adopted, [])

    def test_readAgain(self) -> None:
        """
        Without a configuration it is read where it was read before.
        """
        relay = self.running()
        relay.reread = lambda: self.told(retry="7s")
        self.assertEqual(self.reload(relay), ["delivery.retry"])

    def test_file(self) -> None:
        """
        A relay of a program reads the file again that its configuration is from.
        """
        path = Path(self.mktemp())
        text = f"queue = {self.directory!r}\nhostname = 'relay.example.com'\n"
        path.write_text(text + "[intake]\nsmtp = []\n")
        relay = TestRelay(readFile(str(path)), reactor=self.reactor)
        self.addCleanup(self.stop, relay)
        relay.startService()
        self.assertEqual(self.reload(relay), [])
        path.write_text(text + "[intake]\nsmtp = []\n[delivery]\nexpire = '1d'\n")
        self.assertEqual(self.reload(relay), ["delivery.expire"])

    def test_nothingToRead(self) -> None:
        """
        Where there is nothing to read, that is said.
        """
        why = self.notReloaded(self.running())
        self.assertIn("not started with a file", why)

    def test_notRunning(self) -> None:
        """
        A relay that does not run is told nothing.
        """
        self.assertIn("not running", self.notReloaded(self.make(), self.told()))

    def test_mailThatWaits(self) -> None:
        """
        The manager places anew what waits.
        """
        relay = self.running()
        told: list[Any] = []
        self.patch(relay.manager, "settingsChanged", lambda: told.append(1))
        self.reload(relay, self.told(smartHosts=["192.0.2.77"]))
        self.assertEqual(told, [1])


class SlowReader(InlineWorker):
    """
    A thread that does nothing before it is told to.
    """

    def __init__(self, reactor: Any) -> None:
        """
        @param reactor: Not used.
        """
        super().__init__(reactor)
        self.jobs: list[tuple[Deferred[Any], Any]] = []
        self.isStopped = False

    def run(self, function: Any) -> Deferred[Any]:
        """
        See L{Worker.run<relaymail.worker.Worker.run>}.
        """
        done: Deferred[Any] = Deferred()
        self.jobs.append((done, function))
        return done

    def stop(self) -> None:
        """
        See L{Worker.stop<relaymail.worker.Worker.stop>}.
        """
        self.isStopped = True

    def work(self) -> None:
        """
        Do what is to be done.
        """
        while self.jobs:
            done, function = self.jobs.pop(0)
            maybeDeferred(function).chainDeferred(done)


class SlowReloadTests(ReloadTestCase):
    """
    What happens while passwords are read.
    """

    HOST = "192.0.2.77"

    def slow(self) -> tuple[TestRelay, list[SlowReader]]:
        """
        Start a relay that reads passwords in a thread that waits.
        """
        relay, readers = self.running(), []

        def make(reactor: Any) -> SlowReader:
            readers.append(SlowReader(reactor))
            return readers[-1]

        vars(relay)["workerFactory"] = make
        return relay, readers

    def test_passwordTakesItsTime(self) -> None:
        """
        While a command prints a password the relay goes on as it was; the thread
        ends with it.
        """
        relay, readers = self.slow()
        reloaded = relay.reload(self.told(smartHosts=[self.HOST], smtp=OTHER))
        self.assertNoResult(reloaded)
        self.assertEqual(relay.manager.smartHosts, ())
        self.assertEqual([a.port for a in relay.addresses], [2525])
        readers[0].work()
        self.successResultOf(reloaded)
        self.assertEqual([h.name for h in relay.manager.smartHosts], [self.HOST])
        self.assertTrue(readers[0].isStopped)

    def test_oneAfterTheOther(self) -> None:
        """
        What was asked for last holds in the end, however long the first takes.
        """
        relay, readers = self.slow()
        first = relay.reload(self.told(smartHosts=[self.HOST], retry="7s"))
        second = relay.reload(self.told(retry="9s"))
        self.assertEqual(len(readers), 1)
        readers[0].work()
        readers[1].work()
        self.successResultOf(first)
        self.assertEqual(
            self.successResultOf(second), ["delivery.smart-hosts", "delivery.retry"]
        )
        self.assertEqual(relay.manager.retrySchedule, (9.0,))

    def test_stoppedMeanwhile(self) -> None:
        """
        A relay that was stopped meanwhile opens no port.
        """
        relay, readers = self.slow()
        reloaded = relay.reload(self.told(smtp=OTHER))
        self.stop(relay)
        before = len(self.reactor.tcpServers)
        readers[0].work()
        failure = self.failureResultOf(reloaded, ConfigurationError)
        self.assertIn("not running", str(failure.value))
        self.assertEqual(len(self.reactor.tcpServers), before)

    def test_passwordIsGone(self) -> None:
        """
        Where a password cannot be read, all is as it was, and the next time is
        another one.
        """
        missing = os.path.abspath(self.mktemp())
        host = f"smtps://me@mail.example.net?password-file={missing}"
        relay, readers = self.slow()
        reloaded = relay.reload(self.told(smartHosts=[host], smtp=OTHER))
        readers[0].work()
        failure = self.failureResultOf(reloaded, ConfigurationError)
        self.assertIn(missing, str(failure.value))
        self.assertEqual([a.port for a in relay.addresses], [2525])
        again = relay.reload(self.told(retry="7s"))
        readers[1].work()
        self.assertEqual(self.successResultOf(again), ["delivery.retry"])
