# -*- test-case-name: relaymail.test.dialogue.test_keywords -*-
"""
What the reply to EHLO offers (RFC 5321 4.1.1.1): nothing that is not honoured.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from relaymail.dialogue.serving.session import Session
from relaymail.dialogue.xclient import ATTRIBUTES

#: The last time that can be written (RFC 3339 5.6), in seconds of the epoch.
_LAST = 253_402_300_799


def keywordsOf(session: Session) -> dict[str, str]:
    """
    Give the keywords that are offered to a client, in the order they are told, and
    the text behind each.
    """
    found = {}
    for keyword, textFor in _KEYWORDS:
        text = textFor(session)
        if text is not None:
            found[keyword] = text
    return found


def _always(session: Session) -> str:
    return ""


def _size(session: Session) -> str:
    return str(session.offer.messageSize or "")


def _starttls(session: Session) -> str | None:
    return "" if session.offer.tls and not session.isUnderTLS else None


def _binarymime(session: Session) -> str | None:
    return "" if session.offer.isBinarySafe else None


def _limits(session: Session) -> str:
    return f"RCPTMAX={session.offer.recipients}"


def _requiretls(session: Session) -> str | None:
    return "" if session.isUnderTLS else None


def _futurerelease(session: Session) -> str | None:
    # RFC 4865 is an extension of submission.
    seconds = session.offer.holdSeconds
    if not seconds or not session.isSubmitting:
        return None
    last = min(session.around.now() + seconds, _LAST)
    return f"{seconds} {datetime.fromtimestamp(last, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _deliverby(session: Session) -> str | None:
    least = session.offer.deliverBySeconds
    return None if least is None else str(least or "")


def _auth(session: Session) -> str | None:
    return " ".join(session.around.mechanisms()) or None


def _xclient(session: Session) -> str | None:
    return ATTRIBUTES if session.around.mayActFor() else None


#: Keyword to what gives the text behind it; L{None} where it is not offered.
_KEYWORDS: tuple[tuple[str, Callable[[Session], str | None]], ...] = (
    ("PIPELINING", _always),
    ("SIZE", _size),
    ("8BITMIME", _always),
    ("STARTTLS", _starttls),
    ("ENHANCEDSTATUSCODES", _always),
    ("DSN", _always),
    ("SMTPUTF8", _always),
    ("CHUNKING", _always),
    ("BINARYMIME", _binarymime),
    ("LIMITS", _limits),
    ("REQUIRETLS", _requiretls),
    ("FUTURERELEASE", _futurerelease),
    ("DELIVERBY", _deliverby),
    ("MT-PRIORITY", _always),
    ("AUTH", _auth),
    ("XCLIENT", _xclient),
)
