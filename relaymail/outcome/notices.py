# -*- test-case-name: relaymail.test.outcome.test_notices -*-
"""
Notices: what a sender is told when mail could not be delivered (RFC 3464).

A notice is an ordinary message from the null sender, for the queue to take as
durably as any other.  It has three parts (RFC 6522): words for people, the same
for programs, and the message it is about, or its header.

Text from outside (what the remote said, addresses, names) stands in it as one
bounded line of printable ASCII, so that it cannot add a field, a part or a
line of its own.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from relaymail.envelopes import Envelope, Parameters
from relaymail.outcome.verdicts import EXPIRED_STATUS
from relaymail.outcomes import Bounce
from relaymail.replies import Reply, printable

#: How much of a message is given back, in bytes: enough to know it again; a
#: notice is not to be a way to send large things to people who did not ask.
MAX_ORIGINAL = 50_000
#: RFC 5322 2.1.1, RFC 2045 2.7: the longest line, in bytes without CRLF.
MAX_LINE = 998
#: Where the lines of a notice are folded, in characters (RFC 5322 2.1.1).
FOLD = 76
#: How much of a token is used, in characters: a boundary has at most 70 (RFC
#: 2046 5.1.1).
MAX_TOKEN = 40
#: The last second that a date can show, at the end of the year 9999.
MAX_TIME = 253_402_300_799.0

_STATUS = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}\Z")
_LINE_END = re.compile(rb"\r\n|\r|\n")
_NOT_TOKEN = re.compile(r"[^A-Za-z0-9.-]+")


@dataclass(frozen=True, slots=True)
class Notice:
    """
    What a notice is made of.

    @ivar reportingHost: The name of this relay.
    @ivar sender: Who sent the message, and gets the notice; never empty.
    @ivar failures: The recipients that failed, with what became of them, at
        least one.
    @ivar original: The first bytes of the message, with CRLF or LF: all of it
        or, when it is longer, at least one more than L{MAX_ORIGINAL}.
    @ivar arrived: When the message was accepted, in seconds of the epoch.
    @ivar now: The time, in seconds of the epoch.
    @ivar token: What no other notice of this relay has, for the Message-ID
        and the boundary.
    """

    reportingHost: str
    sender: str
    failures: Sequence[tuple[str, Bounce]]
    original: bytes
    arrived: float
    now: float
    token: str


def mayNotify(sender: str) -> bool:
    """
    Tell whether a sender may be told of a failure: not the null sender, who
    sends notices (RFC 5321 6.1, 4.5.5).

    @param sender: The reverse-path.

    @return: Whether a notice may be sent.
    """
    return sender.strip() not in ("", "<>")


def compose(notice: Notice) -> bytes:
    """
    Write a notice.

    @param notice: What it is made of.

    @return: The message, canonical CRLF, no line over L{MAX_LINE}.

    @raise ValueError: When the sender must not be told, or nothing failed.
    """
    if not mayNotify(notice.sender) or not notice.failures:
        raise ValueError("a notice needs a failure, and a sender who is not null")
    kind, original = _original(notice.original)
    encoding = _encoding(original)
    parts = [
        _lines(
            ["Content-Type: text/plain; charset=us-ascii", "", *_words(notice)],
        ),
        _lines(["Content-Type: message/delivery-status", "", *_report(notice)]),
        _lines([f"Content-Type: {kind}", f"Content-Transfer-Encoding: {encoding}", ""])
        + original,
    ]
    boundary = _boundary(notice.token, b"".join(parts))
    mark = f"\r\n--{boundary}".encode("ascii")
    header = _lines([*_header(notice, boundary, encoding), ""])
    body = b"".join(mark + b"\r\n" + part for part in parts)
    return header + body.removeprefix(b"\r\n") + mark + b"--\r\n"


def envelopeOf(notice: Notice, content: bytes) -> Envelope:
    """
    Give the envelope to queue a notice with.

    @param notice: What the notice is made of.
    @param content: What L{compose} made of it.

    @return: The envelope, from the null sender (RFC 5321 6.1).
    """
    body = "" if content.isascii() else "8BITMIME"
    return Envelope("", (notice.sender,), Parameters(body))


def _header(notice: Notice, boundary: str, encoding: str) -> list[str]:
    host = _plain(notice.reportingHost)
    token = _NOT_TOKEN.sub("-", notice.token)[:MAX_TOKEN]
    return [
        f"From: MAILER-DAEMON@{host}",
        *_folded("To", notice.sender),
        "Subject: Your message could not be delivered",
        f"Date: {_date(notice.now)}",
        f"Message-ID: <{token}.notice@{host}>",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        "Content-Type: multipart/report; report-type=delivery-status;",
        f' boundary="{boundary}"',
        f"Content-Transfer-Encoding: {encoding}",
    ]


def _words(notice: Notice) -> list[str]:
    host = _plain(notice.reportingHost)
    told = (
        f"This is the mail relay {host}. Your message, which arrived here on "
        f"{_date(notice.arrived)}, could not be delivered to the recipients below. "
        "It will not be tried again for them."
    )
    lines = textwrap.wrap(told, FOLD)
    for recipient, outcome in notice.failures:
        lines += ["", f"<{_plain(recipient)}>"]
        lines += [f"    {line}" for line in _reason(outcome)]
    lines += ["", "What follows is the same for programs, and your message."]
    return lines


def _reason(outcome: Bounce) -> list[str]:
    lines: list[str] = []
    if outcome.expired:
        lines.append("was tried for too long; this is what was heard last:")
    if isinstance(outcome.evidence, Reply):
        lines.append(f"{_host(outcome)} answered, while {outcome.phase.value}:")
    elif outcome.host or outcome.address:
        lines.append(f"the host was {_host(outcome)}, and the trouble:")
    lines.append(_plain(outcome.text) or f"failed while {outcome.phase.value}")
    return lines


def _host(outcome: Bounce) -> str:
    name, address = _plain(outcome.host), _plain(outcome.address)
    if name and address and name != address:
        return f"{name} ({address})"
    return name or address or "the host"


def _report(notice: Notice) -> list[str]:
    lines = [
        *_folded("Reporting-MTA", f"dns; {notice.reportingHost}"),
        f"Arrival-Date: {_date(notice.arrived)}",
    ]
    for recipient, outcome in notice.failures:
        lines += ["", *_recipient(recipient, outcome, notice.now)]
    return lines


def _recipient(recipient: str, outcome: Bounce, now: float) -> list[str]:
    """
    Write the fields for one recipient (RFC 3464 2.3).
    """
    lines = [
        *_folded("Final-Recipient", f"rfc822; {recipient}"),
        "Action: failed",
        f"Status: {_status(outcome)}",
    ]
    if outcome.host:
        lines += _folded("Remote-MTA", f"dns; {outcome.host}")
    elif outcome.address:
        lines += _folded("Remote-MTA", f"dns; [{outcome.address}]")
    if outcome.evidence is not None:
        # RFC 3464 2.3.6: only what an SMTP peer said is of type smtp.
        kind = "smtp" if isinstance(outcome.evidence, Reply) else "X-Relaymail"
        lines += _folded("Diagnostic-Code", f"{kind}; {outcome.text}")
    lines.append(f"Last-Attempt-Date: {_date(now)}")
    return lines


def _status(outcome: Bounce) -> str:
    if outcome.expired:
        return EXPIRED_STATUS
    return outcome.status if _STATUS.match(outcome.status) else "5.0.0"


def _original(original: bytes) -> tuple[str, bytes]:
    """
    Give the type and the bytes of the third part: the whole message where it
    is short enough and such that it may stand in a part unencoded (RFC 2045
    2.7, 2.8), its header where not.
    """
    text = _LINE_END.sub(b"\r\n", original[: MAX_ORIGINAL + 1])
    lines = text.split(b"\r\n")
    if (
        len(original) <= MAX_ORIGINAL
        and b"\0" not in text
        and max(map(len, lines)) <= MAX_LINE
    ):
        return "message/rfc822", text
    end = lines.index(b"") if b"" in lines else len(lines)
    header = b"".join(line[:MAX_LINE] + b"\r\n" for line in lines[:end])
    return "text/rfc822-headers", header.replace(b"\0", b"?")


def _encoding(content: bytes) -> str:
    return "7bit" if content.isascii() else "8bit"


def _boundary(token: str, content: bytes) -> str:
    """
    Give a boundary that is not in C{content}.  No two candidates begin at one
    place, so there is one among as many as the content has bytes, and one.
    """
    stem = _NOT_TOKEN.sub("-", token)[:MAX_TOKEN]
    candidates = (f"=_{stem}_{n}=" for n in range(len(content) + 1))
    return next(b for b in candidates if b.encode("ascii") not in content)


def _folded(name: str, value: str) -> list[str]:
    """
    Write a field, folded between words (RFC 5322 2.2.3).
    """
    return textwrap.wrap(
        f"{name}: {_plain(value)}",
        FOLD,
        subsequent_indent=" ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _plain(text: str) -> str:
    """
    Make text from outside one bounded line of printable ASCII.
    """
    narrow = printable(text).encode("ascii", "replace").decode("ascii")
    return " ".join(narrow.split())


def _lines(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")


def _date(seconds: float) -> str:
    """
    Give a time as RFC 5322 3.3 writes it; one that no calendar has is the
    nearest that it has.
    """
    bounded = min(max(0.0, seconds), MAX_TIME)
    return format_datetime(datetime.fromtimestamp(int(bounded), UTC))
