# -*- test-case-name: relaymail.test.bench.test_mail -*-
"""
The mail of a measurement: what the source sends and the sink knows again.

Every message carries the run it belongs to and its number in its first header
field, and every recipient its place in the message.  So the sink can tell each
delivery from each other one, and late mail of an earlier run from this one's.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

#: The header field that names a message.
FIELD = b"X-Relaymail-Bench: "
#: How many digits the number of a message has.
DIGITS = 8
#: The most messages in one run: what the digits can count, and what the times
#: of every delivery (8 octets each) leave in memory.
MAX_MESSAGES = 10_000_000
#: The most recipients of one message: what every relay takes (RFC 5321
#: 4.5.3.1.8), and tenfold for those that take more.
MAX_RECIPIENTS = 1000
#: The most connections at a time: fewer than the usual limit of descriptors.
MAX_SENDERS = 900
#: The smallest message, in octets: its header fits.
MIN_SIZE = 256
#: The largest message, in octets.
MAX_SIZE = 1 << 30

SENDER = b"bench@source.example"

_RECIPIENT = b"r%05d@sink.example"
_RECIPIENT_AT = len(b"RCPT TO:<r")
_RECIPIENT_END = _RECIPIENT_AT + 5
_HEADER = (
    b"From: <bench@source.example>\r\n"
    b"To: <r00000@sink.example>\r\n"
    b"Subject: relaymail bench\r\n"
    b"Date: Thu, 01 Jan 2026 00:00:00 +0000\r\n"
    b"Message-ID: <bench@source.example>\r\n"
    b"\r\n"
)
_LINE = b"The quick relay hands a message to the lazy sink, and keeps nothing back.\r\n"
_DOT = b".\r\n"


@dataclass(frozen=True, slots=True)
class Work:
    """
    What a relay is given to do in one run.

    @ivar size: The octets of each message, header and line ends counted.
    @ivar senders: How many connections give it mail at a time.
    @ivar messages: How many messages there are in all.
    @ivar perConnection: How many of them one connection carries, 0 for all
        of its share.
    @ivar recipients: How many recipients each message has.
    @ivar paced: Whether each message waits until the sink has the one before.
    """

    size: int = 1024
    senders: int = 10
    messages: int = 5000
    perConnection: int = 1
    recipients: int = 1
    paced: bool = False

    @property
    def deliveries(self) -> int:
        """
        How many recipients get a message, in all.
        """
        return self.messages * self.recipients

    def asDict(self) -> dict[str, Any]:
        """
        Give it as what JSON can say.
        """
        return asdict(self)


def envelope(recipients: int) -> tuple[bytes, ...]:
    """
    Give the commands of each message's transaction (RFC 5321 3.3).

    @param recipients: How many recipients it has.
    """
    to = [b"RCPT TO:<" + _RECIPIENT % n + b">\r\n" for n in range(recipients)]
    return (b"MAIL FROM:<" + SENDER + b">\r\n", *to, b"DATA\r\n")


def recipientOf(line: bytes) -> int:
    """
    Give the place of a recipient in its message, or -1 for one that is not
    ours.

    @param line: The whole C{RCPT} command.
    """
    digits = line[_RECIPIENT_AT:_RECIPIENT_END]
    return int(digits) if digits.isdigit() else -1


def marker(tag: str) -> bytes:
    """
    Give what stands before the number in each message of a run.

    @param tag: The name of the run.
    """
    return FIELD + tag.encode("ascii") + b" "


def content(size: int, tag: str) -> bytes:
    """
    Give what follows the number in each message of a run, with the line that
    ends it (RFC 5321 4.1.1.4).

    @param size: The octets of the whole message, without that line.
    @param tag: The name of the run.
    """
    head = b"\r\n" + _HEADER
    room = max(size - len(marker(tag)) - DIGITS - len(head), 0)
    lines = _LINE * (room // len(_LINE))
    left = room - len(lines)
    last = b"x" * (left - 2) + b"\r\n" if left >= 2 else b""
    return head + lines + last + _DOT
