# -*- test-case-name: relaymail.test.endtoend.test_mailservice -*-
"""
Tests for Twisted's own mail service with a L{DomainQueuer
<relaymail.relay.DomainQueuer>}: it takes mail, and the relay sends it.
"""

from __future__ import annotations

from typing import Any

from twisted.cred.checkers import AllowAnonymousAccess
from twisted.mail.mail import MailService

from relaymail.relay import DomainQueuer
from relaymail.relaymanager import Queue
from relaymail.service import Relay
from relaymail.test.endtoend.harness import (
    RECIPIENT,
    SENDER,
    EndToEndTestCase,
    submit,
)
from relaymail.test.endtoend.processes import until
from relaymail.testing.servers import SMTPServer


class MailServiceTests(EndToEndTestCase):
    """
    Mail comes in by Twisted's server and goes out by the relay.
    """

    def serve(self, queue: Any) -> int:
        """
        Start Twisted's mail service over a queue.

        @return: Its port.
        """
        from twisted.internet import reactor

        mail: Any = MailService()
        mail.smtpPortal.registerChecker(AllowAnonymousAccess())
        mail.setQueue(queue)
        mail.domains.setDefaultDomain(DomainQueuer(mail))
        anyReactor: Any = reactor
        factory = mail.getESMTPFactory()
        factory.noisy = False
        port = anyReactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        number: int = port.getHost().port
        return number

    async def arrives(self, server: SMTPServer) -> None:
        """
        Check that the message for two recipients arrives.
        """
        await server.whenReceived(2)
        self.assertEqual({m.sender for m in server.received}, {SENDER})
        self.assertEqual(
            sorted(m.recipients for m in server.received),
            [(RECIPIENT,), ("c@one.example",)],
        )
        self.assertContents(server.received)

    async def test_sameQueue(self) -> None:
        """
        The service feeds the very queue that a relay in this process empties.
        """
        server = self.startServer()
        relay = self.startRelay(smartHosts=[server.address], smtp=())
        port = self.serve(relay.queue)
        await submit(port, recipients=[RECIPIENT, "c@one.example"])
        await self.arrives(server)
        await until(lambda: not relay.queue.getRelayed(), "it is settled")

    async def test_sameDirectory(self) -> None:
        """
        The service feeds a queue of its own in the directory of the relay's,
        which looks there now and then.
        """
        self.patch(Relay, "tick", 0.2)
        server = self.startServer()
        place = f"directory:{self.directory / 'spool'}"
        relay = self.startRelay(smartHosts=[server.address], smtp=(), queue=place)
        port = self.serve(Queue(relay.queue.directory))
        await submit(port, recipients=[RECIPIENT, "c@one.example"])
        await self.arrives(server)
        await until(lambda: not relay.queue.getRelayed(), "it is settled")
        self.assertEqual(relay.queue.getWaiting(), [])

    async def test_otherProcess(self) -> None:
        """
        A relay in a process of its own sends what the service has queued.
        """
        server = self.startServer()
        twistd = self.makeTwistd("--smarthost", server.address)
        twistd.isDirectory = True
        twistd.spool.mkdir(mode=0o700)
        port = self.serve(Queue(str(twistd.spool)))
        await submit(port, recipients=[RECIPIENT, "c@one.example"])
        self.assertEqual(len(twistd.entries()), 2)
        await twistd.start()
        await self.arrives(server)
        await until(lambda: not twistd.entries(), "it is settled")
        await twistd.terminate()
