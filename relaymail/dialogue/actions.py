# -*- test-case-name: relaymail.test.dialogue.test_server -*-
"""
What a server dialogue wants done, in the order it gives it.
"""

from __future__ import annotations

from dataclasses import dataclass

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
class TakeData:
    """
    Read the data of a message for this envelope, up to its end.
    """

    envelope: Envelope


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


Action = Answer | AskSender | AskRecipient | TakeData | Store | StartTLS | Close
Actions = tuple[Action, ...]
