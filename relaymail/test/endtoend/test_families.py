# -*- test-case-name: relaymail.test.endtoend.test_families -*-
"""
Tests for hosts that have addresses of both families, over the loopback interfaces.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectBindError, ConnectionRefusedError
from twisted.internet.protocol import ClientFactory, Factory, Protocol
from twisted.trial.unittest import SkipTest, TestCase

from relaymail.errors import RouteError
from relaymail.replies import TroubleKind
from relaymail.route.connector import Connector
from relaymail.route.hosts import Host
from relaymail.testing.dns import ZoneDNS

#: How many connections are asked for until a socket that takes one is full.
TO_FILL = 4


def silentSocket() -> tuple[socket.socket, list[socket.socket]]:
    """
    Listen where nothing is answered: as many wait to be accepted as may, and the
    system drops who asks then.

    @return: The socket, and those that wait.
    """
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(0)
    waiting = []
    for _ in range(TO_FILL):
        one = socket.socket()
        one.setblocking(False)
        one.connect_ex(listening.getsockname())
        waiting.append(one)
    return listening, waiting


class Client(ClientFactory):
    """
    Remembers where it was connected to.
    """

    noisy = False

    def __init__(self) -> None:
        self.built: list[str] = []

    def buildProtocol(self, addr: Any) -> Protocol:
        """
        Build a protocol.
        """
        self.built.append(addr.host)
        return Protocol()


class FamilyTests(TestCase):
    """
    C{mx.example} has an address of each family.
    """

    timeout = 30

    def setUp(self) -> None:
        try:
            with socket.socket(socket.AF_INET6) as probe:
                probe.bind(("::1", 0))
        except OSError:
            why = "this machine has no IPv6 on its loopback interface"
            raise SkipTest(why) from None
        dns = ZoneDNS()
        dns.zones["mx.example"] = {"A": ["127.0.0.1"], "AAAA": ["::1"]}
        self.connector = Connector(reactor, dns, None, 10.0)
        self.client = Client()

    def listen(self, port: int, *interfaces: str) -> int:
        """
        Listen at addresses.

        @return: The port.
        """
        listening: Any = reactor
        for interface in interfaces:
            factory = Factory.forProtocol(Protocol)
            factory.noisy = False
            opened = listening.listenTCP(port, factory, interface=interface)
            self.addCleanup(opened.stopListening)
            port = opened.getHost().port
        return port

    async def reached(self, port: int, *source: str) -> str:
        """
        Connect.

        @return: The address that was reached, for which one protocol was built.
        """
        host = Host("mx.example", named=True, source=source)
        connecting: Deferred[Any] = self.connector.connect(host, port, self.client)
        protocol = await connecting
        peer: str = protocol.transport.getPeer().host
        protocol.transport.abortConnection()
        self.assertEqual(self.client.built, [peer])
        return peer

    async def test_D02_first(self) -> None:
        """
        IPv4, where both answer.
        """
        port = self.listen(0, "127.0.0.1")
        self.listen(port, "::1")
        self.assertEqual(await self.reached(port), "127.0.0.1")

    async def test_D02_refused(self) -> None:
        """
        IPv6, where IPv4 refuses.
        """
        port = self.listen(0, "::1")
        self.assertEqual(await self.reached(port), "::1")

    async def test_D02_silent(self) -> None:
        """
        IPv6 soon, where IPv4 is silent; nothing of the other is left open.
        """
        silent, waiting = silentSocket()
        for each in (silent, *waiting):
            self.addCleanup(each.close)
        port = self.listen(silent.getsockname()[1], "::1")
        clock: Any = reactor
        before = clock.seconds()
        self.assertEqual(await self.reached(port), "::1")
        self.assertLess(clock.seconds() - before, 5.0)

    async def test_D02_both(self) -> None:
        """
        Where both refuse both are named.
        """
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
            host = Host("mx.example", named=True)
            with self.assertRaises(ConnectionRefusedError) as caught:
                await self.connector.connect(host, port, self.client)
        self.assertEqual(
            str(caught.exception),
            f"connection refused while connecting: port {port} of 127.0.0.1, ::1",
        )
        self.assertEqual(self.client.built, [])

    async def test_source(self) -> None:
        """
        It comes from where it is to come from, and fails where that is not of this
        machine.
        """
        port = self.listen(0, "127.0.0.1")
        self.assertEqual(await self.reached(port, "127.0.0.1"), "127.0.0.1")
        host = Host("mx.example", named=True, source=("192.0.2.7",))
        with self.assertRaises(ConnectBindError) as caught:
            await self.connector.connect(host, port, self.client)
        error: Any = caught.exception
        self.assertIsInstance(error, RouteError)
        self.assertIs(error.trouble.kind, TroubleKind.LOCAL)
        self.assertIn("no address of this machine", error.trouble.detail)
