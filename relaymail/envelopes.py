# -*- test-case-name: relaymail.test.test_envelopes -*-
"""
Envelope, content and letter.

An L{Envelope} is who mail is from and for.  An L{IContent
<relaymail.interfaces.IContent>} is its bytes, stored once however many the
recipients are.  A L{Letter} is one name's view of both: a list C{[sender,
recipient, file]}, which is what the relayers of the seed hold, that also knows
where it stands.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from relaymail.interfaces import IContent


class Entrance(Enum):
    """
    By which kind of port a client came in.
    """

    #: Mail between relays, and of the networks that are trusted.
    RELAY = "relay"
    #: Mail of people and programs, who say who they are (RFC 6409).
    SUBMISSION = "submission"
    #: Mail of a relay before this one, a reply for each recipient (RFC 2033).
    LMTP = "lmtp"


@dataclass(frozen=True, slots=True)
class DeliverBy:
    """
    Until when a message is of use (RFC 2852).

    @ivar at: When that is, in seconds of the queue's clock.
    @ivar returns: Whether it is returned if it was not delivered by then (mode
        R); else its sender is told that it is late, and it goes on (mode N).
    @ivar traced: Whether the sender wants to be told of each relay it passes.
    """

    at: float
    returns: bool = False
    traced: bool = False


@dataclass(frozen=True, slots=True)
class Parameters:
    """
    What MAIL said of the message beyond its sender.

    @ivar body: C{"8BITMIME"}, C{"7BIT"} (RFC 6152 3), C{"BINARYMIME"} (RFC 3030
        3), or empty where nothing was said.
    @ivar ret: How much of it a notice of failure is to return: C{"FULL"},
        C{"HDRS"} (RFC 3461 4.3) or empty.
    @ivar envid: What its sender calls the transaction (RFC 3461 4.4), decoded.
    @ivar utf8: Whether it is internationalised (RFC 6531 3.4): an address or its
        header is not ASCII.
    @ivar requireTLS: Whether it may go over TLS only (RFC 8689 2).
    @ivar priority: How urgent it is, from -9 to 9 (RFC 6710 5).
    @ivar holdUntil: Before when it is not to be sent (RFC 4865 4), in seconds of
        the queue's clock; L{None}: at once.
    @ivar deliverBy: Until when it is of use (RFC 2852 4), if that was said.
    @ivar tlsOptional: Whether its header says C{TLS-Required: No} (RFC 8689 3): it
        goes also where what the destination wants of TLS cannot be had.
    """

    body: str = ""
    ret: str = ""
    envid: str = ""
    utf8: bool = False
    requireTLS: bool = False
    priority: int = 0
    holdUntil: float | None = None
    deliverBy: DeliverBy | None = None
    tlsOptional: bool = False


@dataclass(frozen=True, slots=True)
class RecipientParameters:
    """
    What RCPT said beyond the recipient.

    @ivar notify: Of what its sender wants to be told (RFC 3461 4.1): C{"NEVER"},
        or some of C{"SUCCESS"}, C{"FAILURE"} and C{"DELAY"}, joined by commas, in
        this order; empty where nothing was said.
    @ivar orcpt: Who the sender named as the recipient (RFC 3461 4.2), as
        C{TYPE;ADDRESS}, decoded; empty where nothing was said.
    """

    notify: str = ""
    orcpt: str = ""

    @property
    def wantsSuccess(self) -> bool:
        """
        Whether the sender is to be told of the delivery.
        """
        return "SUCCESS" in self.notify

    @property
    def wantsFailure(self) -> bool:
        """
        Whether the sender is to be told of a failure, which is so where nothing
        was said (RFC 3461 4.1).
        """
        return not self.notify or "FAILURE" in self.notify

    @property
    def wantsDelay(self) -> bool:
        """
        Whether the sender may be told of a delay; where nothing was said that is
        left to the relay (RFC 3461 4.1).
        """
        return not self.notify or "DELAY" in self.notify


#: MAIL said nothing beyond the sender.
NO_PARAMETERS = Parameters()
#: RCPT said nothing beyond the recipient.
NOTHING_SAID = RecipientParameters()


@dataclass(frozen=True, slots=True)
class Origin:
    """
    Where a message came in from.

    @ivar host: The network address of the client, as text; empty where it came from
        no network: from a program of this machine, or from the relay itself.
    @ivar user: Who the client had authenticated as, empty where it had not.
    """

    host: str = ""
    user: str = ""


#: It came from no network, and of nobody who said who he is.
NO_ORIGIN = Origin()


@dataclass(frozen=True, slots=True)
class Envelope:
    """
    Who a message is from and for (RFC 5321 2.3.1).

    @ivar sender: The reverse-path, empty for a notice.
    @ivar recipients: The forward-paths, in the order given, at least one.
    @ivar parameters: What MAIL said beyond the sender.
    @ivar recipientParameters: What each RCPT said beyond the recipient, in the
        order of the recipients; empty where none said anything.
    @ivar origin: Where it came in from.
    """

    sender: str
    recipients: tuple[str, ...]
    parameters: Parameters = NO_PARAMETERS
    recipientParameters: tuple[RecipientParameters, ...] = ()
    origin: Origin = NO_ORIGIN

    def parametersOf(self, index: int) -> RecipientParameters:
        """
        Give what RCPT said of a recipient.

        @param index: Its place among the recipients.
        """
        said = self.recipientParameters
        return said[index] if said else NOTHING_SAID


@dataclass(frozen=True, slots=True)
class Client:
    """
    Who is talking to the intake.

    @ivar host: The network address, as text.
    @ivar port: The port, 0 where the transport has none.
    @ivar helo: What it called itself, empty before HELO or EHLO.
    @ivar esmtp: Whether it said EHLO.
    @ivar tls: The TLS version, empty in clear.
    @ivar trusted: Whether it comes from one of the relay's own networks.
    @ivar user: Who it has authenticated as, empty where it has not.
    @ivar entrance: By which kind of port it came in.
    """

    host: str
    port: int = 0
    helo: str = ""
    esmtp: bool = False
    tls: str = ""
    trusted: bool = False
    user: str = ""
    entrance: Entrance = Entrance.RELAY


@dataclass(frozen=True, slots=True)
class Outline:
    """
    What is to be known of a waiting name to decide when it goes where.

    @ivar sender: The reverse-path, empty for a notice.
    @ivar recipient: The forward-path.
    @ivar key: What is equal for the names of one message.
    @ivar attempts: How many attempts were begun.
    @ivar arrived: When the message was accepted, in seconds of the queue's
        clock.
    @ivar parameters: What MAIL said beyond the sender.
    @ivar origin: Where the message came in from.
    @ivar isReleased: Whether an operator released it after it was held: no rule
        holds it again.
    """

    sender: str
    recipient: str
    key: Hashable
    attempts: int = 0
    arrived: float = 0.0
    parameters: Parameters = NO_PARAMETERS
    origin: Origin = NO_ORIGIN
    isReleased: bool = False


class Letter(list[Any]):
    """
    One name's view of an envelope and a content: C{[sender, recipient, file]}.

    @ivar content: The content, an L{IContent
        <relaymail.interfaces.IContent>}; letters of one message have equal
        ones.
    @ivar parameters: What MAIL said beyond the sender.
    @ivar attempts: How many attempts were begun, this one included once the
        name is claimed.
    @ivar arrived: When the message was accepted, in seconds of the queue's
        clock.
    @ivar recipientParameters: What RCPT said beyond the recipient.
    @ivar isTold: Whether the sender was told that this one is late.
    """

    def __init__(
        self,
        items: Iterable[Any],
        content: IContent,
        parameters: Parameters = NO_PARAMETERS,
        attempts: int = 0,
        arrived: float = 0.0,
        recipientParameters: RecipientParameters = NOTHING_SAID,
        isTold: bool = False,
    ) -> None:
        super().__init__(items)
        self.content = content
        self.parameters = parameters
        self.attempts = attempts
        self.arrived = arrived
        self.recipientParameters = recipientParameters
        self.isTold = isTold

    @property
    def sender(self) -> str:
        """
        The reverse-path, empty for a notice.
        """
        return str(self[0])

    @property
    def recipient(self) -> str:
        """
        The forward-path.
        """
        return str(self[1])

    @property
    def file(self) -> IO[bytes]:
        """
        The content, opened for reading in binary; it takes no descriptor
        before its first read.
        """
        file: IO[bytes] = self[2]
        return file
