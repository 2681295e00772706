# -*- test-case-name: relaymail.test.test_daemon -*-
"""
Tests for L{relaymail.daemon}.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any, ClassVar

from twisted.application.service import Service
from twisted.internet.defer import Deferred

from relaymail.admin.server import ControlSettings
from relaymail.configuration import configure
from relaymail.daemon import TwistdRelay
from relaymail.errors import ConfigurationError
from relaymail.notify import Notifier
from relaymail.route.senderhosts import SmartRoutes
from relaymail.test.stories.harness import Logged
from relaymail.test.test_service import Guard, InlineWorker, RelayTestCase

#: Where a service manager is, in these tests.
ENVIRONMENT = {"NOTIFY_SOCKET": "/run/manager"}


class TestDaemon(TwistdRelay):
    """
    A relay without threads, whose service manager keeps what it is told.
    """

    workerFactory: ClassVar[Any] = InlineWorker
    guardFactory: ClassVar[Any] = Guard
    checkPrivileges: ClassVar[Any] = staticmethod(lambda: ["Mind."])

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.heard: list[str] = []
        self.controls: list[ControlSettings] = []
        vars(self)["notifierFactory"] = self._notifierFor
        vars(self)["controlFactory"] = self._controlFor

    def _controlFor(self, relay: Any, settings: ControlSettings, reactor: Any) -> Any:
        self.controls.append(settings)
        return Service()

    def _notifierFor(self, reactor: Any) -> Notifier:
        return Notifier(reactor, dict(ENVIRONMENT), lambda: 5.0, self._hear)

    def _hear(self, address: str, data: bytes) -> None:
        self.heard.append(data.decode().split("\n")[0])


class TwistdRelayTests(RelayTestCase):
    """
    Tests for L{TwistdRelay}.
    """

    def daemon(self, **settings: Any) -> TestDaemon:
        """
        Make a relay, which is stopped when the test ends.
        """
        reactor: Any = self.reactor
        reactor.callFromThread = lambda function: function()
        told = {"hostname": "relay.example.com", "queue": self.directory, "smtp": ()}
        relay = TestDaemon(
            configure(**told),
            None,
            lambda: configure(**{**told, **settings}),
            reactor,
        )
        self.addCleanup(self.stop, relay)
        return relay

    def test_managerIsTold(self) -> None:
        """
        A service manager is told when all runs, and when it stops.
        """
        relay = self.daemon()
        relay.privilegedStartService()
        self.assertEqual(relay.heard, [])
        relay.startService()
        self.assertEqual(relay.heard, ["READY=1"])
        self.stop(relay)
        self.assertEqual(relay.heard, ["READY=1", "STOPPING=1"])

    def test_control(self) -> None:
        """
        It is asked by a socket beside its queue, which nobody has asked for, and
        where else it was told.
        """
        token = Path(self.mktemp())
        token.write_text("0123456789abcdef\n")
        relay = self.daemon()
        relay.startService()
        (found,) = relay.controls
        path = f"{self.directory}/queue.db-control"
        self.assertEqual(found, ControlSettings(socket=path, isOptional=True))
        told = configure(
            queue=self.mktemp(),
            socket="/run/relay",
            endpoint="tcp:8025",
            tokenFile=str(token.absolute()),
            hosts=["relay.example.com"],
            origins=["https://board.example.com"],
        )
        self.assertEqual(
            TestDaemon(told)._controlSettings(),
            ControlSettings(
                socket="/run/relay",
                endpoint="tcp:8025",
                token=b"0123456789abcdef",
                hosts=("relay.example.com",),
                origins=("https://board.example.com",),
            ),
        )

    def test_reload(self) -> None:
        """
        It is told of a reload too, whether it succeeds or not.
        """
        relay = self.daemon(retry="7s")
        relay.startService()
        self.assertEqual(self.successResultOf(relay.reload()), ["delivery.retry"])
        self.assertEqual(relay.heard[1:], ["RELOADING=1", "READY=1"])
        other = configure(queue=self.mktemp(), hostname="relay.example.com")
        self.failureResultOf(relay.reload(other), ConfigurationError)
        self.assertEqual(relay.heard[3:], ["RELOADING=1", "READY=1"])

    def test_stopsMeanwhile(self) -> None:
        """
        It is not told that the relay is ready again when that was stopped
        meanwhile.
        """
        relay = self.daemon()
        relay.startService()
        read: Deferred[Any] = Deferred()
        self.patch(relay, "_readRoutes", lambda told: read)
        reloaded = relay.reload()
        self.stop(relay)
        read.callback(SmartRoutes())
        self.failureResultOf(reloaded, ConfigurationError)
        self.assertEqual(relay.heard[1:], ["RELOADING=1", "STOPPING=1"])

    def test_signalWhileItStops(self) -> None:
        """
        A signal does not end a relay that is being stopped.
        """
        before = signal.getsignal(signal.SIGHUP)
        relay = self.daemon()
        relay.startService()
        ended: Deferred[Any] = Deferred()
        self.patch(relay.manager, "stop", lambda: ended)
        stopped = relay.stopService()
        self.assertIsNot(signal.getsignal(signal.SIGHUP), before)
        os.kill(os.getpid(), signal.SIGHUP)
        ended.callback(None)
        self.reactor.advance(1)
        self.successResultOf(stopped)
        self.assertIs(signal.getsignal(signal.SIGHUP), before)

    def test_signal(self) -> None:
        """
        At SIGHUP the configuration is read again; afterwards the signal is what
        it was.
        """
        before = signal.getsignal(signal.SIGHUP)
        relay = self.daemon(retry="7s")
        relay.startService()
        os.kill(os.getpid(), signal.SIGHUP)
        self.assertEqual(relay.configuration.delivery.retry, (7.0,))
        self.stop(relay)
        self.assertIs(signal.getsignal(signal.SIGHUP), before)

    def test_signalledInVain(self) -> None:
        """
        What is wrong then is logged, and the relay goes on.
        """
        relay = self.daemon(queue=self.mktemp())
        relay.startService()
        with Logged() as logged:
            os.kill(os.getpid(), signal.SIGHUP)
        self.assertIn("The configuration was not taken: queue cannot", logged.texts[-1])

    def test_privileges(self) -> None:
        """
        What an operator should know of them is logged.
        """
        with Logged() as logged:
            self.daemon().startService()
        self.assertEqual(logged.texts[0], "Mind.")

    def test_privilegesStay(self) -> None:
        """
        Where they cannot be given up nothing is started.
        """
        relay = self.daemon()

        def refuse() -> list[str]:
            raise ConfigurationError("root is left")

        self.patch(relay, "checkPrivileges", refuse)
        self.assertRaises(ConfigurationError, relay.startService)
        self.assertFalse(os.path.exists(self.directory))
