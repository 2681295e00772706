"""
What the tests of the intake's hands share: a queue that does what it is told,
and an intake with clients on transports in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import IO, Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress, ISSLTransport, ITCPTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from zope.interface import alsoProvides, directlyProvides

from relaymail.envelopes import Entrance, Envelope
from relaymail.intake.acceptance import NetworkAcceptance
from relaymail.intake.limits import DEFAULT_LIMITS, Limits
from relaymail.intake.server import IntakeFactory, IntakeProtocol

LOCAL = IPv4Address("TCP", "127.0.0.1", 40000)
STRANGER = IPv4Address("TCP", "192.0.2.9", 40000)

MAIL = b"MAIL FROM:<a@b.example>\r\n"
RCPT = b"RCPT TO:<c@d.example>\r\n"
TO_DATA = b"EHLO client.example\r\n" + MAIL + RCPT + b"DATA\r\n"
CONTENT = b"Date: today\r\nMessage-ID: <1@x>\r\nSubject: hi\r\n\r\nhello\r\n"


class FakeQueue:
    """
    Notes what is added.

    @ivar added: The envelopes and contents, in their order.
    @ivar waits: The Deferreds given where C{slow}.
    @ivar slow: Whether C{add} waits to be fired.
    @ivar trouble: What C{add} raises, if anything.
    @ivar room: What C{hasRoom} says.
    @ivar damage: What it raises, if anything.
    """

    def __init__(self) -> None:
        self.added: list[tuple[Envelope, bytes]] = []
        self.waits: list[Deferred[list[str]]] = []
        self.slow = False
        self.trouble: Exception | None = None
        self.room = True
        self.damage: Exception | None = None

    def hasRoom(self) -> bool:
        """
        Tell whether there is room.
        """
        if self.damage is not None:
            raise self.damage
        return self.room

    def add(self, envelope: Envelope, content: bytes | IO[bytes]) -> Deferred[Any]:
        """
        Note a message.
        """
        if self.trouble is not None:
            raise self.trouble
        read = content if isinstance(content, bytes) else content.read()
        self.added.append((envelope, read))
        if not self.slow:
            return succeed([f"Q{len(self.added)}"])
        self.waits.append(Deferred())
        return self.waits[-1]


class Wire(StringTransport):
    """
    A transport in memory that notes what is asked of it.
    """

    noDelay = False
    tls: object = None

    def __init__(self, peerAddress: IAddress) -> None:
        super().__init__(peerAddress=peerAddress)
        alsoProvides(self, ITCPTransport)

    def setTcpNoDelay(self, enabled: bool) -> None:
        """
        Note it.
        """
        self.noDelay = enabled

    def startTLS(self, contextFactory: object) -> None:
        """
        Note it, and be under TLS from now on.
        """
        self.tls = contextFactory
        directlyProvides(self, ISSLTransport)

    def getHandle(self) -> Wire | None:
        """
        Stand for the TLS connection, once there is one.
        """
        return self if self.tls is not None else None

    def get_protocol_version_name(self) -> str:
        """
        Tell a version.
        """
        return "TLSv1.3"

    def clog(self) -> None:
        """
        Tell the protocol that its client does not read.
        """
        assert self.producer is not None
        self.producer.pauseProducing()

    def unclog(self) -> None:
        """
        Tell it that the client has read.
        """
        assert self.producer is not None
        self.producer.resumeProducing()

    @property
    def closed(self) -> bool:
        """
        Whether it was closed or cut.
        """
        return bool(self.disconnecting or self.aborting)

    @property
    def aborting(self) -> bool:
        """
        Whether it was cut.
        """
        return bool(self.disconnected)


class Peer:
    """
    A client of the intake.
    """

    def __init__(self, protocol: Any, wire: Wire) -> None:
        self.protocol = protocol
        self.wire = wire
        protocol.makeConnection(wire)

    def say(self, data: bytes) -> str:
        """
        Send bytes, and give what was answered since the last time.
        """
        self.protocol.dataReceived(data)
        return self.heard()

    def heard(self) -> str:
        """
        Give what was answered since the last time.
        """
        value: bytes = self.wire.value()
        self.wire.clear()
        return value.decode("ascii")

    def codes(self, data: bytes = b"") -> list[str]:
        """
        Send bytes, and give the codes of the replies.
        """
        said = self.say(data) if data else self.heard()
        return [line[:3] for line in said.splitlines() if line[3] == " "]

    def vanish(self) -> None:
        """
        Lose the connection.
        """
        from twisted.internet.error import ConnectionLost
        from twisted.python.failure import Failure

        self.protocol.connectionLost(Failure(ConnectionLost()))


class Intake:
    """
    An intake with a queue that does what it is told, on a clock that stands.
    """

    def __init__(
        self,
        limits: Limits = DEFAULT_LIMITS,
        acceptance: Any = None,
        contextFactory: Any = None,
        authentication: Any = None,
        **more: Any,
    ) -> None:
        self.queue = FakeQueue()
        self.clock = Clock()
        self.clock.advance(1_000_000_000)
        self.factory = IntakeFactory(
            self.queue,  # type: ignore[arg-type]
            acceptance or NetworkAcceptance(),
            "relay.example",
            limits,
            contextFactory,
            self.clock,
            authentication=authentication,
            **more,
        )

    def connect(
        self,
        address: IAddress = LOCAL,
        greet: bool = True,
        entrance: Entrance = Entrance.RELAY,
    ) -> Peer:
        """
        Connect a client and read the greeting.
        """
        protocol = self.factory.buildProtocol(address, entrance)
        peer = Peer(protocol, Wire(peerAddress=address))
        if greet:
            assert isinstance(protocol, IntakeProtocol)
            spoken = "LMTP" if entrance is Entrance.LMTP else "ESMTP"
            assert peer.heard() == f"220 relay.example {spoken}\r\n"
        return peer


class Judge(NetworkAcceptance):
    """
    An acceptance that answers with Deferreds.

    @ivar asked: Those not answered yet.
    """

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Deferred[None]] = []
        self.cancelled = 0

    def _ask(self, *on: object) -> Deferred[None]:
        def note(_: object) -> None:
            self.cancelled += 1

        self.asked.append(Deferred(note))
        return self.asked[-1]

    acceptSender: Callable[..., Any] = _ask
    acceptRecipient: Callable[..., Any] = _ask
