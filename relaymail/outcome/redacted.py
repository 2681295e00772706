# -*- test-case-name: relaymail.test.outcome.test_redacted -*-
"""
What is told of mail that may go over TLS only where not even the notice of it can
go that way (RFC 8689 5).

A notice about such mail is such mail itself.  Where the way back does not offer that,
what failed must not be lost without a word, and nothing of it may be read on the way:
so another message takes the notice's place, which may go in clear.  It is for the
postmaster of the sender's domain, for the sender's address would say who wrote; it
names the message by its Message-ID alone; and of what became of it there are the
codes of RFC 3463, but no recipient, host, or word that a host has said, any of which
could name whom it was for.  It is no delivery status notification (RFC 3464): one
cannot be without a recipient.

It is made of the notice itself, which is all there is, perhaps days later: so it is
made once at most, for it is none that this could be done with again.
"""

from __future__ import annotations

import re
import textwrap

from relaymail.envelopes import Envelope, Parameters
from relaymail.headers import headerOf
from relaymail.outcome.fields import FOLD, dated, folded, joined, plain
from relaymail.outcome.verdicts import REQUIRETLS_STATUS
from relaymail.outcomes import Bounce, Outcome
from relaymail.replies import Trouble, TroubleKind

#: The largest notice that is read, in bytes: one of ten thousand recipients, with
#: what hosts said of each, is smaller.
MAX_NOTICE = 16 * 1024 * 1024
#: What it is about.
SUBJECT = "Mail that may go over TLS only could not be delivered"

#: How a notice of this relay begins; one that came in has trace fields there (RFC
#: 5321 4.4).
_OWN = b"From: MAILER-DAEMON@"
_BOUNDARY = re.compile(rb'^ boundary="([^"\r\n]+)"\r?$', re.MULTILINE)
_FAILED = re.compile(rb"^Action: failed\r?$", re.MULTILINE)
_STATUS = re.compile(rb"^Status: ([245]\.[0-9]{1,3}\.[0-9]{1,3})\r?$", re.MULTILINE)
#: A name that stands in one line of ASCII as it is (RFC 5322 3.6.4).
_MESSAGE_ID = re.compile(
    rb"^Message-ID[ \t]*:[ \t]*(?:\r\n[ \t]+)?(<[!-;=?-~]{1,250}>)[ \t]*\r?$",
    re.MULTILINE | re.IGNORECASE,
)
#: How many parts a notice has.
_PARTS = 3
#: What the second number of a status is about (RFC 3463 3).
_ABOUT = {
    "1": "an address",
    "2": "a mailbox",
    "3": "a mail system",
    "4": "the network or the routing",
    "5": "the protocol",
    "6": "the content",
    "7": "security or a policy",
}
_TOLD = (
    "Somebody of your domain sent mail that may go over TLS only (REQUIRETLS, RFC "
    "8689), and it could not be delivered. Its sender is told of that over TLS only, "
    "too, and the way back to your domain does not offer it. So this goes to you "
    "instead, and says no more than may be read by others:"
)
_ADVICE = (
    "Please tell whoever sent it. Such notices come back in full when the hosts that "
    "take mail for your domain offer REQUIRETLS, with a certificate that can be "
    "verified."
)


def isForWantOfTLS(outcome: Outcome) -> bool:
    """
    Tell whether mail that may go over TLS only failed because there was no such way
    for it, or none that worked as long as it was tried.
    """
    evidence = outcome.evidence
    if not isinstance(outcome, Bounce):
        return False
    if not isinstance(evidence, Trouble):
        return outcome.status == REQUIRETLS_STATUS
    if evidence.kind is TroubleKind.TLS:
        return outcome.expired
    return evidence.kind is TroubleKind.NO_REQUIRETLS


def redactedOf(
    notice: bytes, recipient: str, host: str, now: float, token: str
) -> tuple[Envelope, bytes] | None:
    """
    Make what takes the place of a notice.

    @param notice: The notice, at most L{MAX_NOTICE} bytes of it.
    @param recipient: Who should have got it.
    @param host: The name of this relay.
    @param now: The time, in seconds of the epoch.
    @param token: What no other notice of this relay has, letters and digits.

    @return: The envelope and the message, canonical CRLF; L{None} where it is no
        notice of this relay, or does not tell of a failure.
    """
    _, at, domain = recipient.rpartition("@")
    parts = _partsOf(notice)
    if not (at and domain) or parts is None or _FAILED.search(parts[1]) is None:
        return None
    to = f"postmaster@{domain}"
    found = _MESSAGE_ID.search(_withoutHeader(parts[2]))
    name = found[1].decode("ascii") if found else ""
    statuses = dict.fromkeys(each.decode("ascii") for each in _STATUS.findall(parts[1]))
    isUTF8 = not to.isascii()
    content = joined(
        [*_header(to, host, now, token), *_words(name, list(statuses), host)], isUTF8
    )
    body = "" if content.isascii() else "8BITMIME"
    return Envelope("", (to,), Parameters(body, utf8=isUTF8)), content


def _partsOf(notice: bytes) -> list[bytes] | None:
    """
    Give the parts of a notice of this relay.
    """
    # The directory gives its lines as it has them.
    text = notice.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    boundary = _BOUNDARY.search(headerOf(text))
    if boundary is None or not text.startswith(_OWN):
        return None
    parts = text.split(b"--" + boundary[1])[1:]
    return parts if len(parts) > _PARTS else None


def _withoutHeader(part: bytes) -> bytes:
    """
    Give the header of the message that is in a part.
    """
    content = part.partition(b"\r\n\r\n")[2]
    return content.partition(b"\r\n\r\n")[0]


def _header(to: str, host: str, now: float, token: str) -> list[str]:
    return [
        f"From: MAILER-DAEMON@{plain(host)}",
        *folded("To", to),
        f"Subject: {SUBJECT}",
        f"Date: {dated(now)}",
        f"Message-ID: <{token}.notice@{plain(host)}>",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        f"Content-Type: text/plain; charset={'us-ascii' if to.isascii() else 'utf-8'}",
        f"Content-Transfer-Encoding: {'7bit' if to.isascii() else '8bit'}",
        "",
    ]


def _words(name: str, statuses: list[str], host: str) -> list[str]:
    lines = textwrap.wrap(f"This is the mail relay {plain(host)}. {_TOLD}", FOLD)
    lines += ["", f"    Message-ID: {name or 'none that can be shown'}"]
    for status in statuses:
        about = _ABOUT.get(status.split(".")[1], "something else")
        lines.append(f"    Status: {status} ({about})")
    return [*lines, "", *textwrap.wrap(_ADVICE, FOLD)]
