# -*- test-case-name: relaymail.test.tlsreports.test_mailing -*-
"""
A report as a message (RFC 8460 5.3).
"""

from __future__ import annotations

from binascii import b2a_base64
from datetime import UTC, datetime

from relaymail.headers import dateText
from relaymail.tlsreports.report import KIND, Report, packed

# RFC 2045 6.8: how many bytes make a line of base64.
_LINE = 57


def messageOf(report: Report, sender: str, recipient: str, now: float) -> bytes:
    """
    Write a report as a message, canonical CRLF.

    It says C{TLS-Required: No} (RFC 8689 3): that the TLS of a domain is broken is no
    reason not to tell it so (RFC 8460 5.3).

    @param sender: Who it is from.
    @param recipient: Who gets it.
    @param now: When it is written, in seconds of the epoch.
    """
    boundary = f"=_{report.ident}=".replace("@", "-")[:70]
    host = sender.rpartition("@")[2]
    header = [
        f"From: <{sender}>",
        f"To: <{recipient}>",
        f"Subject: Report Domain: {report.domain}",
        f" Submitter: {report.submitter}",
        f" Report-ID: <{report.ident}@{host}>",
        f"Date: {dateText(int(now))}",
        f"Message-ID: <{report.ident}@{host}>",
        f"TLS-Report-Domain: {report.domain}",
        f"TLS-Report-Submitter: {report.submitter}",
        "TLS-Required: No",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        'Content-Type: multipart/report; report-type="tlsrpt";',
        f' boundary="{boundary}"',
        "",
        f"--{boundary}",
        "Content-Type: text/plain; charset=us-ascii",
        "",
        *_words(report),
        "",
        f"--{boundary}",
        f"Content-Type: {KIND}",
        "Content-Transfer-Encoding: base64",
        "Content-Disposition: attachment;",
        f' filename="{report.fileName}"',
        "",
        "",
    ]
    data = packed(report)
    body = b"".join(
        b2a_base64(data[at : at + _LINE], newline=False) + b"\r\n"
        for at in range(0, len(data), _LINE)
    )
    end = f"--{boundary}--\r\n".encode("ascii")
    return "\r\n".join(header).encode("ascii", "replace") + body + end


def _words(report: Report) -> list[str]:
    fine = sum(tally.fine for tally in report.tallies.values())
    failed = sum(tally.failures for tally in report.tallies.values())
    day = f"{datetime.fromtimestamp(report.begin, UTC):%Y-%m-%d}"
    return [
        "This is a report on how mail sessions with the hosts of the domain",
        f"{report.domain}",
        f"were protected on {day} (UTC), because its DNS asks for it (RFC 8460).",
        "",
        f"As its policies want: {fine}",
        f"Not so: {failed}",
        "",
        "The details are attached, as JSON packed with gzip.",
    ]
