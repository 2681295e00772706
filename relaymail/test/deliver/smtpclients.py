# -*- test-case-name: relaymail.test.deliver.test_smtpclient -*-
"""
What the tests of the SMTP clients have in common: a client that records what it
is told, a transport that records what is done to it, and a test case that plays
the server.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import IO, Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.python.util import LineLog
from twisted.trial.unittest import SynchronousTestCase

from relaymail.smtp import ESMTPClient, SMTPClient


@dataclass
class Mail:
    """
    A message to send.

    @ivar isSized: Whether its size is known beforehand.
    """

    sender: Any = b"from@example.com"
    recipients: tuple[Any, ...] = (b"to@example.org",)
    content: bytes = b"Subject: hello\r\n\r\nhello\r\n"
    isSized: bool = True
    isEightBit: bool = False


@dataclass
class Told:
    """
    What C{sentMail} was told.
    """

    code: int
    resp: bytes
    accepted: int
    addresses: list[tuple[Any, int, bytes]]


class Wire(StringTransport):
    """
    A transport that notes what is done to it beyond writing.
    """

    producer: Any = None
    noDelay: bool | None = None
    context: object = None

    def setTcpNoDelay(self, enabled: bool) -> None:
        """
        Note it.
        """
        self.noDelay = enabled

    def startTLS(self, context: object) -> None:
        """
        Note it.
        """
        self.context = context

    def getHandle(self) -> object:
        """
        Give what stands for the TLS connection.
        """
        return self.context

    def pull(self) -> None:
        """
        Ask a pull producer for all it has.
        """
        while self.producer is not None:
            self.producer.resumeProducing()


class Sends(SMTPClient):
    """
    Sends messages from a list, and records what it is told.
    """

    clock: Clock
    file: IO[bytes] | None = None

    def prepare(self, mails: list[Mail]) -> None:
        """
        Set what to send.
        """
        self.mails = mails
        self.told: list[Told] = []
        self.errors: list[BaseException] = []

    def callLater(self, period: float, func: Callable[[], None]) -> IDelayedCall:
        """
        Keep time by the clock of the test.
        """
        return self.clock.callLater(period, func)

    def getMailFrom(self) -> Any:
        """
        Give the sender of the first message left.
        """
        return self.mails[0].sender if self.mails else None

    def getMailTo(self) -> Any:
        """
        Give its recipients.
        """
        return list(self.mails[0].recipients)

    def getMailData(self) -> IO[bytes]:
        """
        Give its content.
        """
        return self.file or BytesIO(self.mails[0].content)

    def getMailSize(self) -> int | None:
        """
        Give its size, if that is known.
        """
        mail = self.mails[0]
        return len(mail.content) if mail.isSized else None

    def isMailEightBit(self) -> bool:
        """
        Say what it is.
        """
        return self.mails[0].isEightBit

    def sentMail(
        self,
        code: int,
        resp: bytes,
        numOk: int,
        addresses: list[tuple[Any, int, bytes]],
        log: LineLog,
    ) -> None:
        """
        Record, and go on to the next.
        """
        self.told.append(Told(code, resp, numOk, addresses))
        del self.mails[0]

    def sendError(self, exc: BaseException) -> None:
        """
        Record.
        """
        self.errors.append(exc)
        super().sendError(exc)


class ESends(Sends, ESMTPClient):
    """
    The same, over ESMTP.
    """


class Relays(ESends):
    """
    The same, the way the relay's own clients are set up.
    """

    resetsAfterMail = False
    forgivesSurplus = False


GREETING = b"220 mx.example.org ESMTP"
PIPELINING = b"250-mx.example.org\r\n250 PIPELINING"
ACCEPTED = b"250 ok\r\n250 ok\r\n354 go"


class ClientCase(SynchronousTestCase):
    """
    Plays the server of a client.
    """

    client: Any
    wire: Wire

    def connect(
        self,
        kind: type[SMTPClient],
        *mails: Mail,
        arguments: tuple[Any, ...] = (),
        **kw: Any,
    ) -> Any:
        """
        Connect a client.

        @param kw: Attributes to set.
        """
        if issubclass(kind, ESMTPClient) and not arguments:
            arguments = (None, None)
        build: Any = kind
        client = build(*arguments, b"me.example.com")
        client.prepare(list(mails))
        client.clock = self.clock = Clock()
        for name, value in kw.items():
            setattr(client, name, value)
        self.client, self.wire = client, Wire()
        client.makeConnection(self.wire)
        return client

    def hear(self, *lines: bytes) -> list[bytes]:
        """
        Say lines to the client, all in one segment.

        @return: The lines it says then.
        """
        self.client.dataReceived(b"".join(line + b"\r\n" for line in lines))
        return self.said()

    def said(self) -> list[bytes]:
        """
        Give the lines the client said since it was asked last.
        """
        value: bytes = self.wire.value()
        self.wire.clear()
        return value.split(b"\r\n")[:-1]

    def lose(self, reason: Exception | None = None) -> None:
        """
        Cut the connection.
        """
        producer, self.wire.producer = self.wire.producer, None
        if producer is not None:
            producer.stopProducing()
        self.client.connectionLost(Failure(reason or ConnectionDone()))

    def toEhlo(self, kind: type[SMTPClient], *mails: Mail, **kw: Any) -> Any:
        """
        Connect a client, and greet it.
        """
        client = self.connect(kind, *mails, **kw)
        self.hear(GREETING)
        return client

    def toGroup(self, kind: type[SMTPClient], *mails: Mail, **kw: Any) -> Any:
        """
        The same, and offer PIPELINING: the first group was said then.
        """
        client = self.toEhlo(kind, *mails, **kw)
        self.group = self.hear(PIPELINING)
        return client

    def toFinal(self, kind: type[SMTPClient], *mails: Mail, **kw: Any) -> Any:
        """
        The same, and accept everything up to the dot.
        """
        client = self.toGroup(kind, *mails, **kw)
        self.body = self.hear(ACCEPTED)
        return client
