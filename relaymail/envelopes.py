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
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from relaymail.interfaces import IContent


@dataclass(frozen=True, slots=True)
class Parameters:
    """
    What MAIL said of the message beyond its sender.

    @ivar body: C{"8BITMIME"}, C{"7BIT"} or empty where nothing was said
        (RFC 6152 3).
    """

    body: str = ""


@dataclass(frozen=True, slots=True)
class Envelope:
    """
    Who a message is from and for (RFC 5321 2.3.1).

    @ivar sender: The reverse-path, empty for a notice.
    @ivar recipients: The forward-paths, in the order given, at least one.
    @ivar parameters: What MAIL said beyond the sender.
    """

    sender: str
    recipients: tuple[str, ...]
    parameters: Parameters = Parameters()


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
    """

    host: str
    port: int = 0
    helo: str = ""
    esmtp: bool = False
    tls: str = ""
    trusted: bool = False


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
    """

    sender: str
    recipient: str
    key: Hashable
    attempts: int = 0
    arrived: float = 0.0


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
    """

    def __init__(
        self,
        items: Iterable[Any],
        content: IContent,
        parameters: Parameters = Parameters(),
        attempts: int = 0,
        arrived: float = 0.0,
    ) -> None:
        super().__init__(items)
        self.content = content
        self.parameters = parameters
        self.attempts = attempts
        self.arrived = arrived

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
