# -*- test-case-name: relaymail.test.endtoend.test_delivery -*-
"""
Tests that mail goes through: from a program's client to a server.
"""

from __future__ import annotations

from typing import Any, ClassVar

from relaymail import relaymanager
from relaymail.service import Relay
from relaymail.test.endtoend.harness import (
    MESSAGE,
    RECIPIENT,
    SENDER,
    EndToEndTestCase,
    exchange,
    submit,
)
from relaymail.test.endtoend.processes import until
from relaymail.testing.servers import SMTPServer


class ThroughTests(EndToEndTestCase):
    """
    One message, from C{smtplib} to a server.
    """

    async def through(self, port: int, server: SMTPServer) -> None:
        """
        Give a relay a message, and check that it arrives.
        """
        self.assertEqual((await submit(port)), {})
        received = await server.whenReceived(1)
        self.assertEqual(
            [(m.sender, m.recipients) for m in received], [(SENDER, (RECIPIENT,))]
        )
        self.assertContents(received)

    async def test_smartHost(self) -> None:
        """
        A relay in this process gives a message to its smart host.
        """
        server = self.startServer()
        relay = self.startRelay(smartHosts=[server.address])
        await self.through(self.portOf(relay), server)

    async def test_mailExchange(self) -> None:
        """
        A relay in this process finds the mail exchange host in the DNS.
        """
        server = self.startServer()
        dns = self.startDNS(exchange(("mx.one.example", "127.0.0.1")))
        relay = self.startRelay(dns=dns.address, mxPort=server.port)
        await self.through(self.portOf(relay), server)

    async def test_noMailExchange(self) -> None:
        """
        A domain without MX records is its own host (RFC 5321 5.1).
        """
        server = self.startServer()
        dns = self.startDNS({"one.example": {"A": ["127.0.0.1"]}})
        relay = self.startRelay(dns=dns.address, mxPort=server.port)
        await self.through(self.portOf(relay), server)

    async def test_twistdSmartHost(self) -> None:
        """
        C{twistd -n relaymail --smarthost} does the same.
        """
        server = self.startServer()
        twistd = await self.makeTwistd("--smarthost", server.address).start()
        await self.through(twistd.port, server)
        await until(lambda: not twistd.entries(), "the queue is empty")
        self.assertIn("delivered id=", twistd.log)
        await twistd.terminate()

    async def test_twistdMailExchange(self) -> None:
        """
        C{twistd -n relaymail --dns} does the same.
        """
        server = self.startServer()
        dns = self.startDNS(exchange(("mx.one.example", "127.0.0.1")))
        twistd = await self.makeTwistd(
            *("--dns", dns.address, "--mx-port", str(server.port)),
            *("--allow-destination", "127.0.0.0/8"),
        ).start()
        await self.through(twistd.port, server)
        await twistd.terminate()

    async def test_A04_loopbackIsRefused(self) -> None:
        """
        Without C{--allow-destination} nothing is sent to an address of this
        machine that the DNS gave; the sender is told.
        """
        server = self.startServer()
        dns = self.startDNS(
            {
                **exchange(("mx.one.example", "127.0.0.1")),
                **exchange(("mx.sender.example", "127.0.0.1"), domain="sender.example"),
            }
        )
        relay = self.startRelay(
            dns=dns.address, mxPort=server.port, allowDestinations=()
        )
        await submit(self.portOf(relay))
        await until(lambda: self.outcomes("bounced id="), "the message bounced")
        self.assertEqual(server.sessions, [])

    async def test_send(self) -> None:
        """
        A program gives the relay a message with C{relay.send}.
        """
        server = self.startServer()
        relay = self.startRelay(smartHosts=[server.address], smtp=())
        names = await relay.send(SENDER, [RECIPIENT, "c@one.example"], MESSAGE)
        self.assertEqual(len(names), 2)
        (received,) = await server.whenReceived(1)
        self.assertEqual(received.recipients, (RECIPIENT, "c@one.example"))
        self.assertEqual(received.content, MESSAGE)

    def outcomes(self, words: str) -> list[str]:
        """
        Give the lines of the log with some words.
        """
        return [line for line in self.logged() if words in line]


class Recording(relaymanager._AttemptManager):
    """
    An attempt manager that writes down what it is told.
    """

    told: ClassVar[list[tuple[Any, str, bool]]] = []

    def notifySuccess(self, relay: Any, message: str) -> None:
        """
        Note the factory, the path, and whether the factory is a managed one.
        """
        self.told.append((relay, message, relay in self.manager.managed))
        super().notifySuccess(relay, message)


class AttemptManagerTests(EndToEndTestCase):
    """
    Programs put an attempt manager of their own in the place of
    L{relaymanager._AttemptManager}.
    """

    async def test_replaced(self) -> None:
        """
        It is told of a success with the factory and the path, while the
        factory is in C{managed}.
        """
        Recording.told.clear()
        self.patch(relaymanager, "_AttemptManager", Recording)
        server = self.startServer()
        relay: Relay = self.startRelay(smartHosts=[server.address])
        await submit(self.portOf(relay))
        await server.whenReceived(1)
        await until(lambda: Recording.told, "notifySuccess was called")
        ((factory, path, managed),) = Recording.told
        self.assertTrue(managed)
        self.assertIsInstance(factory, relaymanager.ESMTPManagedRelayerFactory)
        self.assertEqual(path, relay.queue.getPath(path))
        await until(lambda: not relay.queue.getRelayed(), "it is settled")
