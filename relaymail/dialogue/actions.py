# -*- test-case-name: relaymail.test.dialogue.test_server -*-
"""
What a server dialogue wants done, in the order it gives it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from relaymail.dialogue.xclient import ActedFor
from relaymail.envelopes import Envelope
from relaymail.replies import Reply


@dataclass(frozen=True, slots=True)
class Answer:
    """
    Send a reply.
    """

    reply: Reply


@dataclass(frozen=True, slots=True)
class AskSender:
    """
    Judge a sender, the null one included.
    """

    sender: str


@dataclass(frozen=True, slots=True)
class AskRecipient:
    """
    Judge a recipient.
    """

    sender: str
    recipient: str


@dataclass(frozen=True, slots=True)
class Authenticate:
    """
    Begin to authenticate the client.

    @ivar mechanism: By which mechanism, one of those that can be used.
    @ivar initial: The initial response, decoded; L{None} where there is none.
    """

    mechanism: str
    initial: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Respond:
    """
    Go on with what the client responds.

    @ivar response: The response, decoded.
    """

    response: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class AskResponse:
    """
    Send a challenge.

    @ivar challenge: The challenge, not encoded.
    """

    challenge: bytes


@dataclass(frozen=True, slots=True)
class ActFor:
    """
    Take the client for another, for whom it speaks, if there may be one more of
    these.
    """

    actedFor: ActedFor


@dataclass(frozen=True, slots=True)
class TakeData:
    """
    Read the data of a message for this envelope, up to its end.
    """

    envelope: Envelope


@dataclass(frozen=True, slots=True)
class TakeChunk:
    """
    Read a chunk of a message.

    @ivar size: How many octets it has.
    @ivar isLast: Whether it is the last one of its message.
    @ivar envelope: The envelope of the message; L{None}: what is read is thrown
        away.
    """

    size: int
    isLast: bool
    envelope: Envelope | None = None


@dataclass(frozen=True, slots=True)
class DropMessage:
    """
    Forget the chunks of a message that will have no more.
    """


@dataclass(frozen=True, slots=True)
class Store:
    """
    Put the message whose data was read in the queue.
    """

    envelope: Envelope


@dataclass(frozen=True, slots=True)
class StartTLS:
    """
    Begin the handshake, once the reply before it is written.
    """


@dataclass(frozen=True, slots=True)
class Close:
    """
    Close the connection once the replies before it are written.
    """


Action = (
    Answer
    | AskSender
    | AskRecipient
    | Authenticate
    | Respond
    | AskResponse
    | ActFor
    | TakeData
    | TakeChunk
    | DropMessage
    | Store
    | StartTLS
    | Close
)
Actions = tuple[Action, ...]
