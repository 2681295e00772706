# -*- test-case-name: relaymail.test.test_replies -*-
"""
What a peer said, and what went wrong instead of an answer.

A delivery ends in evidence: a L{Reply} that was read, or a L{Trouble} that
took its place.  Both are plain values, so that the one judge
(L{relaymail.outcome.verdicts}) needs neither a network nor a L{Failure
<twisted.python.failure.Failure>}.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from relaymail.protections import TLSResult

#: The longest text of a reply that is kept, logged or put in a notice, in
#: characters: a reply is one readable line wherever it is stored.
MAX_TEXT = 512

_STATUS = re.compile(rb"^([245])\.(\d{1,3})\.(\d{1,3})(?:\s+|$)")


class Phase(Enum):
    """
    Where in the walk to a mail exchange host something happened.

    The value is the phrase that a person reads after "while".
    """

    RESOLVE = "looking up the destination"
    CONNECT = "connecting"
    GREETING = "waiting for the greeting"
    EHLO = "sending EHLO"
    STARTTLS = "starting TLS"
    AUTH = "authenticating"
    MAIL = "sending MAIL FROM"
    RCPT = "sending RCPT TO"
    DATA = "sending DATA"
    BODY = "sending the message"
    FINAL = "waiting for the reply to the end of the message"
    RSET = "sending RSET"
    IDLE = "keeping the connection for the next message"
    QUIT = "sending QUIT"


class TroubleKind(Enum):
    """
    The kinds of trouble that stand where a reply should.

    The value is the phrase a person reads.
    """

    REFUSED = "connection refused"
    UNREACHABLE = "host unreachable"
    TIMEOUT = "timed out"
    LOST = "connection lost"
    GARBAGE = "not SMTP"
    TLS = "TLS failed"
    AUTH = "authentication failed"
    NO_ANSWER = "the DNS did not answer"
    NO_SUCH_DOMAIN = "no such domain"
    NULL_MX = "the domain takes no mail"
    LOOP = "the destination is this relay"
    FORBIDDEN = "the destination's address is not one to deliver to"
    UNSENDABLE = "the message or its addresses cannot be sent"
    EXPIRED = "the message was in the queue for too long"
    LATE = "the time in which the message was to be delivered is over"
    TOO_LARGE = "the message is larger than the host takes"
    NO_SMTPUTF8 = "the host does not take internationalised mail"
    NO_REQUIRETLS = "TLS cannot be promised all the way, as the sender wants it"
    NO_DELIVERBY = "the host cannot promise to deliver in time"
    NO_CONVERSION = "the host does not take such content, and it cannot be converted"
    POLICY = "a rule of this relay refuses it"
    DISCARDED = "a rule of this relay throws it away"
    LOCAL = "a failure of this relay"
    OPERATOR = "taken out of the queue by the operator of this relay"


#: What somebody decided, or wants: nothing that was being tried has to do with it.
_DECIDED = frozenset(
    {
        TroubleKind.OPERATOR,
        TroubleKind.POLICY,
        TroubleKind.DISCARDED,
        TroubleKind.NO_REQUIRETLS,
    }
)


@dataclass(frozen=True, slots=True)
class Reply:
    """
    One complete SMTP reply (RFC 5321 4.2).

    @ivar code: The three digits, C{200} to C{599} from a peer that keeps to
        the standard.
    @ivar lines: The text of each line, without code, separator and line end.
    """

    code: int
    lines: tuple[bytes, ...] = ()

    @property
    def positive(self) -> bool:
        """
        Whether the first digit says done (RFC 5321 4.2.1).
        """
        return 200 <= self.code <= 299

    @property
    def transient(self) -> bool:
        """
        Whether the first digit says not now.
        """
        return 400 <= self.code <= 499

    @property
    def permanent(self) -> bool:
        """
        Whether the first digit says never.
        """
        return 500 <= self.code <= 599

    @property
    def status(self) -> str | None:
        """
        The enhanced status code (RFC 3463, RFC 2034) at the start of the
        text, such as C{"5.1.1"}; L{None} where there is none or where its
        class disagrees with the reply's first digit (it is then ignored).
        """
        found = _STATUS.match(self.lines[0]) if self.lines else None
        if found is None or int(found[1]) != self.code // 100:
            return None
        return b".".join(found.groups()).decode("ascii")

    @property
    def text(self) -> str:
        """
        The whole reply as one bounded, printable line, code first.
        """
        return printable(b"%d %s" % (self.code, b" ".join(self.lines)))


@dataclass(frozen=True, slots=True)
class Trouble:
    """
    What happened instead of a reply.

    @ivar phase: Where it happened.
    @ivar kind: What it was.
    @ivar detail: What is known beyond that, as one printable line.
    @ivar result: What it is called in reports, where it is one of TLS.
    """

    phase: Phase
    kind: TroubleKind
    detail: str = ""
    result: TLSResult | None = None

    @property
    def text(self) -> str:
        """
        The trouble as one bounded, printable line.
        """
        told = self.kind.value
        if self.kind not in _DECIDED:
            told = f"{told} while {self.phase.value}"
        return printable(f"{told}: {self.detail}" if self.detail else told)


#: What a verdict is given on.
Evidence = Reply | Trouble


def printable(text: bytes | str, limit: int = MAX_TEXT) -> str:
    """
    Make text from outside safe to store, log and show: one line, printable
    characters only, bounded.

    @param text: The text; bytes are read as UTF-8, what is not UTF-8 as
        escapes.
    @param limit: The largest number of characters to give.

    @return: The text with every control, format and separator character
        replaced by a space, cut at C{limit} with an ellipsis.
    """
    if isinstance(text, bytes):
        text = text[: limit * 4].decode("utf-8", "backslashreplace")
    if len(text) <= limit and text.isprintable():
        # Nearly everything is, and this is on the way of every message.
        return text.strip()
    safe = "".join(c if c.isprintable() else " " for c in text[: limit + 1]).strip()
    return safe if len(safe) <= limit else safe[: limit - 1] + "…"
