# -*- test-case-name: relaymail.test.testing.test_clients -*-
"""
What scripted clients are given, and what they give back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

_DOT = re.compile(rb"(?:\A|(?<=\r\n))\.")


@dataclass(frozen=True, slots=True)
class Drop:
    """
    Close the connection within the content.

    @ivar after: After how many bytes of it, as they are sent.
    """

    after: int


@dataclass(frozen=True, slots=True)
class Stall:
    """
    Send nothing for a time within the content, and then go on.

    @ivar after: After how many bytes of it, as they are sent.
    @ivar seconds: For how long.
    """

    after: int
    seconds: float


@dataclass(frozen=True, slots=True)
class ResetAfterDot:
    """
    Send all of the content, and break the connection without having read what
    is said to it.

    @ivar seconds: How long to wait before, so that it gets under way.
    """

    seconds: float = 0.01


Misdeed: TypeAlias = Drop | Stall | ResetAfterDot


@dataclass(frozen=True, slots=True)
class Mail:
    """
    A message to be given to a server.

    @ivar sender: The reverse-path, empty for the null one.
    @ivar recipients: The forward-paths.
    @ivar content: The message, canonical CRLF.
    @ivar misdeed: What the client does wrong with it.
    """

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    misdeed: Misdeed | None = None

    @property
    def data(self) -> bytes:
        """
        The content as it is sent: its dots stuffed, and the one that ends it
        (RFC 5321 4.5.2).
        """
        text = _DOT.sub(b"..", self.content)
        if text and not text.endswith(b"\r\n"):
            text += b"\r\n"
        return text + b".\r\n"


@dataclass(frozen=True, slots=True)
class Manner:
    """
    How a client speaks.

    @ivar hello: How it greets: C{"EHLO name"} or C{"HELO name"}.
    @ivar isPipelining: Whether MAIL, RCPT and DATA are sent at once where the
        server offers that (RFC 2920).
    @ivar contextFactory: What STARTTLS begins with, and that it does; L{None}:
        it does not.
    @ivar piece: How many bytes of content are written at once; L{None} for all.
    @ivar pace: How long to wait between two pieces, in seconds.
    @ivar isDeaf: Whether it never reads: it writes all it has, the content too,
        and waits for the end of the connection.
    """

    hello: str = "EHLO client.example"
    isPipelining: bool = True
    contextFactory: Any = None
    piece: int | None = None
    pace: float = 0.0
    isDeaf: bool = False


class State(Enum):
    """
    What became of a message.
    """

    TAKEN = "the end of its content was answered 2yz"
    REFUSED = "it was refused, all of it"
    UNKNOWN = "its end was sent, and the answer was not seen"
    UNSENT = "its end was not sent"


@dataclass(frozen=True, slots=True)
class Submission:
    """
    What became of a message that a client had for a server.

    @ivar mail: The message.
    @ivar state: What became of it.
    @ivar accepted: The recipients for whom the server took it: RCPT and the end
        of the content were answered 2yz.
    @ivar perhaps: Those for whom it may have been taken: RCPT was answered 2yz,
        the answer to the end of the content was not seen.
    @ivar refused: All others, each with the reply that refused it; the empty
        one where the session was over before.
    @ivar reply: The reply to the end of the content, L{None} where none was
        seen.
    @ivar exchanges: What was said in the session by then, since the message
        before: the line, C{"CONNECT"} or C{"."}, and the reply.
    @ivar at: When this was clear, in seconds of the reactor's clock.
    @ivar reason: Why the session ended, where it did before its time.
    """

    mail: Mail
    state: State
    accepted: tuple[str, ...] = ()
    perhaps: tuple[str, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()
    reply: str | None = None
    exchanges: tuple[tuple[str, str], ...] = ()
    at: float = 0.0
    reason: str = ""
