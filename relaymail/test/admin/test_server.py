# -*- test-case-name: relaymail.test.admin.test_server -*-
"""
Tests for L{relaymail.admin.server}: the control API as a service.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.trial.unittest import SynchronousTestCase

from relaymail.admin import sockets
from relaymail.admin.server import SAMPLE, ControlService, ControlSettings
from relaymail.errors import ConfigurationError
from relaymail.test.admin.worlds import TOKEN, FakeRelay, readAnswers, request

ENDPOINT = "tcp:8025:interface=127.0.0.1"


class ServiceTests(SynchronousTestCase):
    """
    The service.
    """

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.relay = FakeRelay()
        self.patch(sockets, "check", lambda path: None)

    def service(self, **settings: Any) -> ControlService:
        """
        Make a service.
        """
        return ControlService(
            self.relay, ControlSettings(**settings), self.reactor, maybeDeferred
        )

    def ask(self, factory: Any, **headers: str) -> int:
        """
        Ask an entrance for the status.
        """
        transport = StringTransport()
        channel = factory.buildProtocol(None)
        channel.makeConnection(transport)
        channel.dataReceived(request("GET", "/v1/status", b"", **headers))
        channel.connectionLost(None)
        return readAnswers(transport.value(), "GET")[0].status

    def test_socket(self) -> None:
        """
        The socket needs no token.
        """
        service = self.service(socket="/run/control")
        self.assertEqual(self.reactor.unixServers, [])
        service.startService()
        ((path, factory, _, mode, *_),) = self.reactor.unixServers
        self.assertEqual((path, mode), ("/run/control", 0o600))
        self.assertEqual(self.ask(factory), 200)
        self.assertEqual(self.reactor.tcpServers, [])
        self.successResultOf(service.stopService())
        self.assertEqual(service.ports, [])

    def test_endpoint(self) -> None:
        """
        TCP needs the token, and the right host.
        """
        service = self.service(
            endpoint=ENDPOINT, token=TOKEN, hosts=("Relay.Example.com",)
        )
        service.startService()
        ((port, factory, *_),) = self.reactor.tcpServers
        self.assertEqual(port, 8025)
        bearer = {"Authorization": f"Bearer {TOKEN.decode()}"}
        self.assertEqual(self.ask(factory), 401)
        self.assertEqual(self.ask(factory, **bearer), 200)
        self.assertEqual(self.ask(factory, Host="relay.example.com", **bearer), 200)
        self.assertEqual(self.ask(factory, Host="evil.example", **bearer), 421)
        self.assertEqual(len(service.addresses), 1)

    def test_newSettings(self) -> None:
        """
        Who may come in is what the settings say now.
        """
        service = self.service(endpoint=ENDPOINT, token=TOKEN)
        service.startService()
        factory = self.reactor.tcpServers[0][1]
        service.settings = ControlSettings(endpoint=ENDPOINT, token=TOKEN[::-1])
        bearer = {"Authorization": f"Bearer {TOKEN.decode()}"}
        self.assertEqual(self.ask(factory, **bearer), 401)
        service.settings = ControlSettings(endpoint=ENDPOINT)
        for shown in ("Bearer ", "Bearer", f"Bearer {TOKEN.decode()}"):
            self.assertEqual(self.ask(factory, Authorization=shown), 401)

    def test_noToken(self) -> None:
        """
        Without a token, or with one that could be guessed, TCP is not served.
        """
        for token in (None, b"", b"short"):
            service = self.service(
                socket="/run/control", endpoint=ENDPOINT, token=token
            )
            with self.assertRaises(ConfigurationError) as caught:
                service.startService()
            self.assertIn("at least 16 octets", str(caught.exception))
            self.assertEqual(service.ports, [])
            self.assertFalse(service.running)
        self.assertEqual(self.reactor.tcpServers, [])

    def test_cannotListen(self) -> None:
        """
        An endpoint that cannot be had keeps the relay from starting.
        """

        def listenTCP(*_: Any, **__: Any) -> Any:
            raise OSError(98, "Address already in use")

        self.patch(self.reactor, "listenTCP", listenTCP)
        with self.assertRaises(ConfigurationError) as caught:
            self.service(endpoint=ENDPOINT, token=TOKEN).startService()
        self.assertIn("Address already in use", str(caught.exception))

    def test_optionalSocket(self) -> None:
        """
        A socket that nobody has asked for does not keep the relay from starting.
        """

        def check(path: str) -> None:
            raise ConfigurationError("cannot open the control socket: too long")

        self.patch(sockets, "check", check)
        service = self.service(socket="/run/control", isOptional=True)
        service.startService()
        self.assertEqual(service.ports, [])
        self.assertTrue(service.running)
        with self.assertRaises(ConfigurationError):
            self.service(socket="/run/control").startService()

    def test_outcomes(self) -> None:
        """
        While it runs it notes what becomes of mail, and how fast the counters grow.
        """
        service = self.service()
        service.startService()
        self.assertEqual(self.relay.manager.onOutcome, service.desk.recent.noteOutcome)
        self.relay.queue.counted = {"accepted": 20}
        self.reactor.advance(SAMPLE)
        self.relay.world.run(SAMPLE)
        self.reactor.advance(SAMPLE)
        self.assertEqual(service.desk.rates.perSecond("accepted"), 20 / SAMPLE)
        self.successResultOf(service.stopService())
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_startedAgain(self) -> None:
        """
        A service that was stopped can be started again.
        """
        service = self.service(socket="/run/control")
        for _ in range(2):
            service.startService()
            factory = self.reactor.unixServers[-1][1]
            self.assertEqual(self.ask(factory), 200)
            self.successResultOf(service.stopService())

    def test_A09_tokenIsNotShown(self) -> None:
        """
        The token is in no representation.
        """
        settings = ControlSettings(endpoint=ENDPOINT, token=TOKEN)
        self.assertNotIn(TOKEN.decode(), repr(settings))
