"""
Tests for L{relaymail.deliver.senders}.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import (
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,
)
from twisted.internet.testing import MemoryReactorClock
from twisted.mail._except import (
    AUTHDeclinedError,
    AUTHRequiredError,
    SMTPClientError,
    SMTPConnectError,
    SMTPDeliveryError,
    SMTPProtocolError,
    TLSRequiredError,
)
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from relaymail.smtp import (
    ESMTPSender,
    ESMTPSenderFactory,
    SMTPSender,
    SMTPSenderFactory,
    sendmail,
)
from relaymail.test.deliver.smtpclients import Wire

MESSAGE = b"Subject: hello\n\n.hello\nworld"
ON_THE_WIRE = b"Subject: hello\r\n\r\n..hello\r\nworld\r\n.\r\n"


class Connector:
    """
    Counts how often it is asked to connect again.
    """

    def __init__(self, connect: Callable[[], None] | None = None) -> None:
        self.connects = 0
        self._connect = connect

    def connect(self) -> None:
        """
        Count.
        """
        self.connects += 1
        if self._connect is not None:
            self._connect()


class Case(SynchronousTestCase):
    """
    Plays the server of a sender.
    """

    def build(self, factory: SMTPSenderFactory) -> Any:
        """
        Build a sender, and connect it.
        """
        self.factory, self.wire = factory, Wire()
        self.sender: Any = factory.buildProtocol(None)
        self.sender.makeConnection(self.wire)
        return self.sender

    def hear(self, *lines: bytes) -> bytes:
        """
        Say lines, and give what is said then.
        """
        for line in lines:
            self.sender.dataReceived(line + b"\r\n")
            self.wire.pull()
        value: bytes = self.wire.value()
        self.wire.clear()
        return value

    def lose(self, connector: Any = None, reason: Exception | None = None) -> None:
        """
        Cut the connection.
        """
        failure = Failure(reason or ConnectionDone())
        self.sender.connectionLost(failure)
        self.factory.clientConnectionLost(connector, failure)


class SMTPSenderFactoryTests(Case):
    """
    Tests for L{SMTPSenderFactory} and L{SMTPSender}.
    """

    def make(self, to: Any = b"to@example.org", **kw: Any) -> SMTPSenderFactory:
        """
        Make a factory.
        """
        self.result: Deferred[Any] = Deferred()
        file = kw.pop("file", None) or BytesIO(MESSAGE)
        return SMTPSenderFactory(b"from@example.com", to, file, self.result, **kw)

    def test_sent(self) -> None:
        """
        The Deferred fires with the number of recipients and each one's reply.
        """
        to = [b"one@example.org", "two@example.org"]
        self.build(self.make(to))
        said = self.hear(
            b"220 hi", b"250 hi", b"250 ok", b"250 ok", b"550 no", b"354 go"
        )
        self.assertTrue(said.endswith(b"DATA\r\n" + ON_THE_WIRE))
        self.hear(b"250 taken")
        results = [
            (b"one@example.org", 250, b"ok"),
            (b"two@example.org", 550, b"no"),
        ]
        self.assertEqual(self.successResultOf(self.result), (1, results))
        self.assertIsNone(self.factory.currentProtocol)
        self.assertEqual(self.hear(b"250 reset"), b"QUIT\r\n")
        self.hear(b"221 bye")
        connector: Any = Connector()
        self.lose(connector)
        self.assertEqual(connector.connects, 0)

    def test_refused(self) -> None:
        """
        It fails with what was refused, by whom and why.
        """
        self.build(self.make([b"one@example.org", b"two@example.org"]))
        self.hear(b"220 hi", b"250 hi", b"250 ok", b"550 unknown", b"551 moved")
        error = self.failureResultOf(self.result, SMTPDeliveryError).value
        self.assertEqual((error.code, len(error.addresses)), (551, 2))
        self.assertIn(b"one@example.org: 550 unknown", error.log)
        self.assertIn(b"two@example.org: 551 moved", str(error).encode())

    def test_refusedAtTheEnd(self) -> None:
        """
        So it does when the message is refused.
        """
        self.build(self.make())
        self.hear(b"220 hi", b"250 hi", b"250 ok", b"250 ok", b"354 go", b"554 spam")
        error = self.failureResultOf(self.result, SMTPDeliveryError).value
        self.assertEqual((error.code, error.resp), (554, b"spam"))

    def test_nullSender(self) -> None:
        """
        The sender may be the null one.
        """
        result: Deferred[Any] = Deferred()
        self.build(SMTPSenderFactory(b"", b"a@b", BytesIO(), result))
        self.assertTrue(self.hear(b"220 hi", b"250 hi").endswith(b"MAIL FROM:<>\r\n"))

    def test_retries(self) -> None:
        """
        A connection that fails or ends is tried again from the start of the
        message, and then given up.
        """
        factory = self.make(retries=2)
        connector: Any = Connector()
        self.build(factory)
        self.hear(b"220 hi", b"250 hi", b"250 ok", b"250 ok", b"354 go")
        self.assertNotEqual(factory.file.tell(), 0)
        self.lose(connector, ConnectionLost())
        self.assertEqual((connector.connects, factory.file.tell()), (1, 0))
        failure = Failure(ConnectionRefusedError())
        factory.clientConnectionFailed(connector, failure)
        self.assertEqual(connector.connects, 2)
        self.assertNoResult(self.result)
        factory.clientConnectionFailed(connector, failure)
        error = self.failureResultOf(self.result, SMTPConnectError).value
        self.assertIn("Unable to connect to SMTP server", str(error))
        self.assertIs(error.__cause__, failure.value)
        self.assertEqual(connector.connects, 2)

    def test_D22_lostInTheMessage(self) -> None:
        """
        A connection that ends while the message is sent is tried again too.
        """
        factory = self.make(file=BytesIO(b"x" * 100_000), retries=1)
        connector: Any = Connector()
        for _ in range(2):
            self.build(factory)
            self.hear(b"220 hi", b"250 hi", b"250 ok", b"250 ok")
            self.assertNoResult(self.result)
            self.sender.dataReceived(b"354 go\r\n")
            self.wire.producer.resumeProducing()
            self.wire.producer.stopProducing()
            self.lose(connector, ConnectionLost())
        self.assertEqual(connector.connects, 1)
        self.failureResultOf(self.result, SMTPConnectError)

    def test_retriesEndAtOnce(self) -> None:
        """
        Also where connecting fails before C{connect} returns.
        """
        factory = self.make(retries=5)
        failure = Failure(ConnectionRefusedError())
        connector: Any = Connector(
            lambda: factory.clientConnectionFailed(connector, failure)
        )
        factory.clientConnectionFailed(connector, failure)
        self.assertEqual(connector.connects, 5)
        self.failureResultOf(self.result, SMTPConnectError)

    def test_reasonOfTheLoss(self) -> None:
        """
        The error tells what the sender knows of the loss.
        """
        self.build(self.make(retries=0))
        self.lose(None, ValueError("the certificate is another's"))
        error = self.failureResultOf(self.result, SMTPConnectError).value
        self.assertIn("the certificate is another's", str(error))

    def test_greetingRefused(self) -> None:
        """
        A server that refuses to greet is tried again, then told.
        """
        connector: Any = Connector()
        factory = self.make(retries=1)
        for _ in range(2):
            self.assertNoResult(self.result)
            self.build(factory)
            self.hear(b"421 busy")
            self.lose(connector)
        error = self.failureResultOf(self.result, SMTPConnectError).value
        self.assertEqual((error.code, connector.connects), (421, 1))

    def test_A06_garbage(self) -> None:
        """
        A server that talks garbage is not tried again.
        """
        connector: Any = Connector()
        self.build(self.make())
        self.hear(b"hello?")
        self.failureResultOf(self.result, SMTPProtocolError)
        self.lose(connector)
        self.assertEqual(connector.connects, 0)

    def test_timeout(self) -> None:
        """
        The factory's timeout is the sender's.
        """
        factory = self.make(timeout=30)
        self.assertEqual(factory.buildProtocol(None).timeout, 30)

    def test_fileThatCannotBeRewound(self) -> None:
        """
        A file that was read and cannot be rewound ends the sending.
        """

        class Pipe(BytesIO):
            def seek(self, *args: Any) -> int:
                raise OSError("not a file that can seek")

        factory = self.make(file=Pipe(MESSAGE))
        connector: Any = Connector()
        factory.clientConnectionFailed(connector, Failure(ConnectionRefusedError()))
        self.failureResultOf(self.result, OSError)

    def test_fileThatCannotBeRead(self) -> None:
        """
        So does one that cannot be read, and no dot is sent.
        """

        class Bad(BytesIO):
            def read(self, *args: Any) -> bytes:
                raise OSError("no such disk")

        self.build(self.make(file=Bad()))
        said = self.hear(b"220 hi", b"250 hi", b"250 ok", b"250 ok", b"354 go")
        self.assertTrue(said.endswith(b"DATA\r\n"))
        self.assertTrue(self.wire.disconnecting)
        self.failureResultOf(self.result, OSError)

    def test_A03_address(self) -> None:
        """
        A recipient that cannot be written fails; the server is told nothing of
        it.
        """
        self.build(self.make(b"a@b>\r\nRCPT TO:<c@d"))
        said = self.hear(b"220 hi", b"250 hi", b"250 ok")
        self.assertTrue(said.endswith(b"QUIT\r\n"))
        self.assertNotIn(b"c@d", said)
        error = self.failureResultOf(self.result, SMTPClientError).value
        self.assertIn("control character", str(error))

    def test_badRetries(self) -> None:
        """
        The number of retries is a number.
        """
        self.assertRaises(TypeError, self.make, retries="5")

    def test_protocol(self) -> None:
        """
        A subclass may have a sender of its own.
        """

        class Own(SMTPSender):
            pass

        factory = self.make()
        factory.protocol = Own
        sender = factory.buildProtocol(None)
        self.assertIsInstance(sender, Own)
        self.assertIs(factory.currentProtocol, sender)


class ESMTPSenderTests(Case):
    """
    Tests for L{ESMTPSenderFactory} and L{ESMTPSender}.
    """

    def make(self, **kw: Any) -> ESMTPSenderFactory:
        """
        Make a factory with a user and a password.
        """
        self.result: Deferred[Any] = Deferred()
        return ESMTPSenderFactory(
            b"tim", b"horse", b"from@example.com", b"to@example.org",
            BytesIO(MESSAGE), self.result, **kw
        )  # fmt: skip

    def test_defaults(self) -> None:
        """
        By default nothing goes without TLS.
        """
        self.build(self.make())
        self.hear(b"220 hi", b"250-hi", b"250 AUTH PLAIN")
        self.failureResultOf(self.result, TLSRequiredError)

    def test_notInClear(self) -> None:
        """
        Where TLS is not required, the password is still not sent in clear.
        """
        self.build(self.make(requireTransportSecurity=False))
        self.assertNotIn(b"AUTH", self.hear(b"220 hi", b"250-hi", b"250 AUTH PLAIN"))
        self.failureResultOf(self.result, AUTHRequiredError)

    def test_inClearIfSaid(self) -> None:
        """
        It is if that is said.
        """
        factory = self.make(requireTransportSecurity=False)
        factory.authenticateInClear = True
        self.build(factory)
        self.assertIn(b"AUTH PLAIN", self.hear(b"220 hi", b"250-hi", b"250 AUTH PLAIN"))
        self.hear(b"535 no", b"535 no")
        error = self.failureResultOf(self.result, AUTHDeclinedError).value
        self.assertNotIn(b"horse", error.log)

    def test_order(self) -> None:
        """
        The mechanism that shows least is tried first.
        """
        sender = self.make(hostname="mx.example.org").buildProtocol(None)
        assert isinstance(sender, ESMTPSender)
        names = [a.getName() for a in sender.authenticators]
        self.assertEqual(names, [b"CRAM-MD5", b"LOGIN", b"PLAIN"])
        self.assertIsNotNone(sender.context)

    def test_pipelining(self) -> None:
        """
        PIPELINING is used.
        """
        self.build(
            self.make(requireTransportSecurity=False, requireAuthentication=False)
        )
        said = self.hear(b"220 hi", b"250-hi", b"250 PIPELINING")
        self.assertTrue(said.endswith(b"DATA\r\n"))


class SendmailTests(SynchronousTestCase):
    """
    Tests for L{sendmail}.
    """

    def send(self, message: Any = MESSAGE, **kw: Any) -> Deferred[Any]:
        """
        Send by a reactor in memory.
        """
        self.reactor = MemoryReactorClock()
        kw = {"reactor": self.reactor, **kw}
        to: list[bytes | str] = ["one@example.org", b"two@example.org"]
        return sendmail("mx.example.org", "from@example.com", to, message, **kw)

    def connect(self) -> None:
        """
        Let the connection be made.
        """
        self.factory: Any = self.reactor.tcpClients[-1][2]
        sender: Any = self.factory.buildProtocol(None)
        self.sender: Any = sender
        self.wire = Wire()
        self.sender.makeConnection(self.wire)

    def play(self, *lines: bytes) -> bytes:
        """
        Play the server.
        """
        for line in lines:
            self.sender.dataReceived(line + b"\r\n")
            self.wire.pull()
        value: bytes = self.wire.value()
        return value

    def test_sent(self) -> None:
        """
        A message goes to several recipients, lines ended in CRLF.
        """
        result = self.send(senderDomainName="me.example.com", port=26)
        self.assertEqual(self.reactor.tcpClients[0][:2], ("mx.example.org", 26))
        self.connect()
        said = self.play(
            b"220 hi", b"250-hi", b"250 8BITMIME", b"250 ok", b"250 ok", b"250 ok",
            b"354 go", b"250 taken",
        )  # fmt: skip
        self.assertTrue(said.startswith(b"EHLO me.example.com\r\n"))
        self.assertIn(ON_THE_WIRE, said)
        self.assertEqual(self.successResultOf(result)[0], 2)

    def test_heloFallback(self) -> None:
        """
        A server without EHLO will do.
        """
        self.send()
        self.connect()
        said = self.play(b"220 hi", b"502 what", b"250 hi")
        self.assertIn(b"\r\nHELO ", said)
        self.assertTrue(said.endswith(b"MAIL FROM:<from@example.com>\r\n"))

    def test_file(self) -> None:
        """
        The message may be a file, or what C{bytes} takes.
        """
        for message in (BytesIO(MESSAGE), bytearray(MESSAGE)):
            self.send(message)
            self.connect()
            said = self.play(b"220 hi", b"250-hi", b"250 PIPELINING", b"250 ok",
                             b"250 ok", b"250 ok", b"354 go")  # fmt: skip
            self.assertTrue(said.endswith(ON_THE_WIRE))

    def test_cancelBefore(self) -> None:
        """
        Cancelled before there is a connection: connecting is given up.
        """
        result = self.send()
        result.cancel()
        self.failureResultOf(result, CancelledError)
        [connector] = self.reactor.connectors
        self.assertTrue(connector._disconnected)

    def test_cancelDuring(self) -> None:
        """
        Cancelled while the message is sent: cut off, and not tried again.
        """
        result = self.send(BytesIO(b"x" * 100_000))
        self.connect()
        self.play(b"220 hi", b"250-hi", b"250 PIPELINING")
        self.sender.dataReceived(b"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n")
        producer = self.wire.producer
        result.cancel()
        self.failureResultOf(result, CancelledError)
        self.assertTrue(self.wire.disconnected)
        producer.stopProducing()
        self.sender.connectionLost(Failure(ConnectionLost()))
        self.factory.clientConnectionLost(Connector(), Failure(ConnectionLost()))

    def test_A03_domain(self) -> None:
        """
        A name to greet with that holds a command is refused before anything
        is connected.
        """
        self.assertRaises(ValueError, self.send, senderDomainName="me\r\nQUIT")
        self.assertEqual(self.reactor.tcpClients, [])

    def test_globalReactor(self) -> None:
        """
        By default it is the program's reactor, which is not asked for before.
        """
        from twisted.internet import reactor

        connected = []
        self.patch(reactor, "connectTCP", lambda *a, **k: connected.append(a))
        sendmail(b"mx.example.org", b"a@b.example", b"c@d.example", MESSAGE)
        self.assertEqual(connected[0][:2], (b"mx.example.org", 25))
