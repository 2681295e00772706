# -*- test-case-name: relaymail.test.outcome.test_notices -*-
"""
Notices: what a sender is told of a message (RFC 3464).

A notice is an ordinary message from the null sender, for the queue to take as
durably as any other.  It has three parts (RFC 6522): words for people
(L{relaymail.outcome.words}), the same for programs (L{relaymail.outcome.report}),
and the message it is about, or its header (L{relaymail.outcome.original}).

Where an address or the message's header is not ASCII, its parts are of the types of
RFC 6533.  It is internationalised mail itself only where the sender's own address is
not ASCII: all else stands in its body, which any host takes, also one that the message
could not go to because it takes no such mail.

A notice is protected on its way as the message was (RFC 8689 5): of one that may go
over TLS only it goes over TLS only, and if there is no such way back, something else
takes its place (L{relaymail.outcome.redacted}); of one that goes where the protection
that its destination wants cannot be had, so does the notice, and its header says it.
"""

from __future__ import annotations

import re

from relaymail.envelopes import Envelope, Parameters
from relaymail.outcome.fields import MAX_LINE as MAX_LINE
from relaymail.outcome.fields import dated, folded, joined, plain
from relaymail.outcome.news import News as News
from relaymail.outcome.news import Notice as Notice
from relaymail.outcome.news import Told as Told
from relaymail.outcome.news import mayNotify as mayNotify
from relaymail.outcome.original import MAX_ORIGINAL as MAX_ORIGINAL
from relaymail.outcome.original import originalOf
from relaymail.outcome.report import reportOf
from relaymail.outcome.words import SUBJECTS, wordsOf

#: How much of a token is used, in characters: a boundary has at most 70 (RFC
#: 2046 5.1.1).
MAX_TOKEN = 40

_NOT_TOKEN = re.compile(r"[^A-Za-z0-9.-]+")


def compose(notice: Notice) -> bytes:
    """
    Write a notice.

    @param notice: What it is made of.

    @return: The message, canonical CRLF, no line over L{MAX_LINE}.

    @raise ValueError: When the sender must not be told, or of nobody.
    """
    if not mayNotify(notice.sender) or not notice.told:
        raise ValueError("a notice needs a recipient, and a sender who is not null")
    original = originalOf(notice)
    isUTF8 = notice.hasForeignAddress or original.isUTF8
    words = joined(wordsOf(notice), isUTF8)
    report = joined(reportOf(notice), isUTF8)
    parts = [
        _part(
            f"text/plain; charset={'us-ascii' if words.isascii() else 'utf-8'}", words
        ),
        _part(
            f"message/{'' if report.isascii() else 'global-'}delivery-status", report
        ),
        _part(original.kind, original.content),
    ]
    content = b"".join(parts)
    boundary = _boundary(notice.token, content)
    mark = f"\r\n--{boundary}".encode("ascii")
    header = joined(
        [*_header(notice, boundary, _encoding(content)), ""], _isUTF8(notice)
    )
    body = b"".join(mark + b"\r\n" + part for part in parts)
    return header + body.removeprefix(b"\r\n") + mark + b"--\r\n"


def envelopeOf(notice: Notice, content: bytes) -> Envelope:
    """
    Give the envelope to queue a notice with.

    @param notice: What the notice is made of.
    @param content: What L{compose} made of it.

    @return: The envelope, from the null sender (RFC 5321 6.1).
    """
    said = notice.parameters
    parameters = Parameters(
        body="" if content.isascii() else "8BITMIME",
        utf8=_isUTF8(notice),
        requireTLS=said.requireTLS,
        tlsOptional=_isTLSOptional(notice),
    )
    return Envelope("", (notice.sender,), parameters)


def _isUTF8(notice: Notice) -> bool:
    return not notice.sender.isascii()


def _isTLSOptional(notice: Notice) -> bool:
    return notice.parameters.tlsOptional and not notice.parameters.requireTLS


def _header(notice: Notice, boundary: str, encoding: str) -> list[str]:
    host = plain(notice.reportingHost)
    token = _NOT_TOKEN.sub("-", notice.token)[:MAX_TOKEN]
    return [
        f"From: MAILER-DAEMON@{host}",
        *folded("To", notice.sender),
        f"Subject: {SUBJECTS[notice.news]}",
        f"Date: {dated(notice.now)}",
        f"Message-ID: <{token}.notice@{host}>",
        "Auto-Submitted: auto-replied",
        *(["TLS-Required: No"] if _isTLSOptional(notice) else []),
        "MIME-Version: 1.0",
        "Content-Type: multipart/report; report-type=delivery-status;",
        f' boundary="{boundary}"',
        f"Content-Transfer-Encoding: {encoding}",
    ]


def _part(kind: str, content: bytes) -> bytes:
    encoding = _encoding(content)
    header = [f"Content-Type: {kind}", f"Content-Transfer-Encoding: {encoding}", ""]
    return joined(header, False) + content


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
