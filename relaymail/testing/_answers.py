# -*- test-case-name: relaymail.test.testing.test_servers -*-
"""
What a scripted server can answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from relaymail.testing._session import Session

#: About how much of an endless answer is written at once, in bytes.
CHUNK = 4096


class Act(Enum):
    """
    What a server does instead of answering.
    """

    CLOSE = "end the connection"
    RESET = "break the connection"
    SILENCE = "say nothing, now and ever after"
    NOISE = "answer all that comes from here on with bytes that mean nothing"


@dataclass(frozen=True, slots=True)
class Late:
    """
    An answer that takes its time.  What comes in meanwhile waits.

    @ivar seconds: How long it takes.
    @ivar answer: What is done then.
    """

    seconds: float
    answer: Answer


@dataclass(frozen=True, slots=True)
class Drip:
    """
    An answer that comes byte by byte.  What comes in meanwhile waits.

    @ivar seconds: How long each byte takes.
    @ivar answer: What is said so slowly.
    """

    seconds: float
    answer: Answer


@dataclass(frozen=True, slots=True)
class Then:
    """
    Two answers, one after the other: to say something and end the connection,
    or to say more than was asked for.

    @ivar answer: The first.
    @ivar next: What follows it as soon as it is done.
    """

    answer: Answer
    next: Answer


@dataclass(frozen=True, slots=True)
class Raw:
    """
    Bytes as they are, which have no effect whatever they say.

    @ivar data: The bytes; none for a reply that is missing.
    """

    data: bytes


@dataclass(frozen=True, slots=True)
class Endless:
    """
    Bytes again and again, as fast as the client reads, until it ends the
    connection.  What it says is not listened to any more.

    @ivar data: The bytes.
    @ivar seconds: How long to wait between two writes of about L{CHUNK} bytes.
    """

    data: bytes
    seconds: float = 0.01


#: What a server says: one line, or several with C{"\\n"} between them, without
#: the last line end, and not checked in any way; or what it does instead; or
#: what says so, given the session and the argument of the command: L{None} for
#: the answer of a server that is well.
Answer: TypeAlias = (
    "str | Act | Late | Drip | Then | Raw | Endless "
    "| Callable[[Session, str], Answer | None]"
)

#: What is answered and is no command: the greeting, the first line of the data
#: and the end of it.
EVENTS = ("CONNECT", "BODY", ".")
#: An answer to STARTTLS: yes, and then no TLS but noise.
BROKEN_TLS = Then(Raw(b"220 2.0.0 Go on\r\n"), Act.NOISE)
#: What noise is like: neither TLS nor SMTP.
NOISE = b"\x00\xfe\xffnoise\r\n"


@dataclass(frozen=True, slots=True)
class Command:
    """
    A command that is to be answered.

    @ivar verb: The command, C{"CONNECT"}, C{"BODY"} or C{"."}.
    @ivar argument: What follows the verb.
    @ivar usual: What a server that is well answers; empty: nothing.
    @ivar line: The line as it came, or the verb.
    """

    verb: str
    argument: str
    usual: str
    line: str
