"""
Tests for L{relaymail.smtp}: its face, and its clients against the intake.
"""

from __future__ import annotations

import inspect

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.mail.interfaces import IClientAuthentication
from twisted.test.iosim import FakeTransport, connect, makeFakeClient
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from relaymail import smtp
from relaymail.intake.acceptance import NetworkAcceptance
from relaymail.intake.server import IntakeFactory
from relaymail.queue.memory import MemoryQueue
from relaymail.test.deliver.smtpclients import Mail, Relays


class FaceTests(SynchronousTestCase):
    """
    What the module gives.
    """

    def test_names(self) -> None:
        """
        All that is promised is there, and documented.
        """
        for name in smtp.__all__:
            self.assertTrue(name == "SUCCESS" or inspect.getdoc(getattr(smtp, name)))

    def test_success(self) -> None:
        """
        C{SUCCESS} is every 2yz.
        """
        self.assertIn(250, smtp.SUCCESS)
        self.assertNotIn(300, smtp.SUCCESS)

    def test_authenticators(self) -> None:
        """
        The mechanisms are those of Twisted's interface.
        """
        for kind in (
            smtp.PLAINAuthenticator,
            smtp.LOGINAuthenticator,
            smtp.CramMD5ClientAuthenticator,
        ):
            verifyObject(IClientAuthentication, kind(b"tim"))


class TwoSidedTests(SynchronousTestCase):
    """
    The clients against relaymail's own intake.
    """

    def relay(self, *mails: Mail, kind: type[Relays] = Relays) -> Relays:
        """
        Send messages, until the client is done.
        """
        self.clock = Clock()
        self.clock.advance(1_000_000_000)
        self.queue = MemoryQueue(self.clock)
        factory = IntakeFactory(
            self.queue, NetworkAcceptance(), "mx.example.org", clock=self.clock
        )
        client = kind(None, None, b"me.example.com")
        client.prepare(list(mails))
        client.clock = self.clock
        address = IPv4Address("TCP", "127.0.0.1", 50_000)
        server = factory.buildProtocol(address)
        pump = connect(
            server,
            FakeTransport(server, isServer=True, peerAddress=address),
            client,
            makeFakeClient(client),
            clock=self.clock,
        )
        pump.flush()
        return client

    def contents(self) -> list[tuple[str, str, bytes]]:
        """
        Give what is in the queue: sender, recipient, and what follows the
        header fields that the intake adds.
        """
        letters = [self.queue.letter(n) for n in self.queue.getWaiting()]
        return [(x.sender, x.recipient, x.content.open().read()) for x in letters]

    def test_P3_delivered(self) -> None:
        """
        Messages arrive byte for byte, one after the other on one connection.
        """
        bodies = [b".\r\n..\r\n.a\r\n", b"x" * 900 + b"\r\n.", b"\r\n\r\n.\r\n"]
        mails = [
            Mail(content=b"Subject: %d\r\n\r\n" % i + body, isSized=bool(i % 2))
            for i, body in enumerate(bodies)
        ]
        client = self.relay(*mails)
        self.assertEqual([told.code for told in client.told], [250, 250, 250])
        self.assertEqual((client.errors, client.transactions), ([], 3))
        found = self.contents()
        self.assertEqual(len(found), 3)
        for (sender, recipient, content), mail in zip(found, mails, strict=True):
            self.assertEqual(sender, "from@example.com")
            self.assertEqual(recipient, "to@example.org")
            whole = mail.content + (b"" if mail.content.endswith(b"\r\n") else b"\r\n")
            self.assertTrue(content.endswith(whole), content)

    def test_D15_someRefused(self) -> None:
        """
        A recipient that the intake refuses does not stop the others.
        """
        client = self.relay(Mail(recipients=(b"good@example.org", b"nodomain")))
        codes = [code for _, code, _ in client.told[0].addresses]
        self.assertEqual((codes[0], codes[1] // 100), (250, 5))
        self.assertEqual([r for _, r, _ in self.contents()], ["good@example.org"])

    def test_D19_allRefused(self) -> None:
        """
        Where all are refused, the next message goes all the same.
        """
        client = self.relay(Mail(recipients=(b"nodomain",)), Mail())
        self.assertEqual([t.code // 100 for t in client.told], [5, 2])
        self.assertEqual(len(self.contents()), 1)

    def test_lockStep(self) -> None:
        """
        So it does a command at a time.
        """

        class Own(Relays):
            def smtpState_data(self, code: int, resp: bytes) -> None:
                super().smtpState_data(code, resp)

        client = self.relay(Mail(), Mail(), kind=Own)
        self.assertFalse(client._isPipelined)
        self.assertEqual(len(self.contents()), 2)

    def test_D14_tooLarge(self) -> None:
        """
        A message that is declared larger than the intake takes is refused at
        MAIL, and not sent.
        """
        mail = Mail(content=b"x" * 20_000_000, isSized=True)
        client = self.relay(mail)
        self.assertEqual((client.told[0].code, client.told[0].addresses), (552, []))
