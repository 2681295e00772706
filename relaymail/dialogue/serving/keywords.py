# -*- test-case-name: relaymail.test.dialogue.test_keywords -*-
"""
What the reply to EHLO offers (RFC 5321 4.1.1.1): nothing that is not honoured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from relaymail.dialogue.serving.offers import Offer
from relaymail.dialogue.serving.session import Session
from relaymail.dialogue.xclient import ATTRIBUTES

#: The last time that can be written (RFC 3339 5.6), in seconds of the epoch.
_LAST = 253_402_300_799
#: To what the time is rounded down until which mail is held, in seconds: replies
#: that are the same are made once.
_ROUNDED = 60
#: How many replies are remembered: nearly all clients are offered the same.
_REMEMBERED = 32


class Case(NamedTuple):
    """
    What it depends on what is offered.

    @ivar offer: What is offered.
    @ivar isUnderTLS: Whether the session is under TLS.
    @ivar heldUntil: Until when mail may be held, in seconds of the epoch; 0 for not
        at all.
    @ivar mechanisms: The mechanisms by which the client can say who it is.
    @ivar isProxy: Whether it may say for whom it speaks.
    """

    offer: Offer
    isUnderTLS: bool
    heldUntil: int
    mechanisms: tuple[str, ...]
    isProxy: bool


class Offered(NamedTuple):
    """
    What is offered.

    @ivar keywords: The keywords, and the text behind each.
    @ivar lines: The lines of the reply that tell it.
    """

    keywords: Mapping[str, str]
    lines: tuple[str, ...]


def offeredTo(session: Session) -> Offered:
    """
    Give what is offered to a client.
    """
    around, offer = session.around, session.offer
    held = 0
    # RFC 4865 is an extension of submission.
    if offer.holdSeconds and session.isSubmitting:
        held = min(int(around.now()) + offer.holdSeconds, _LAST)
        held -= held % _ROUNDED
    return _offeredIn(
        Case(offer, session.isUnderTLS, held, around.mechanisms(), session.mayActFor)
    )


@lru_cache(maxsize=_REMEMBERED)
def _offeredIn(case: Case) -> Offered:
    texts = ((keyword, textFor(case)) for keyword, textFor in _KEYWORDS)
    found = {keyword: text for keyword, text in texts if text is not None}
    lines = (f"{word} {text}" if text else word for word, text in found.items())
    return Offered(MappingProxyType(found), tuple(lines))


def _always(case: Case) -> str:
    return ""


def _size(case: Case) -> str:
    return str(case.offer.messageSize or "")


def _starttls(case: Case) -> str | None:
    return "" if case.offer.tls and not case.isUnderTLS else None


def _binarymime(case: Case) -> str | None:
    return "" if case.offer.isBinarySafe else None


def _limits(case: Case) -> str:
    return f"RCPTMAX={case.offer.recipients}"


def _requiretls(case: Case) -> str | None:
    return "" if case.isUnderTLS else None


def _futurerelease(case: Case) -> str | None:
    if not case.heldUntil:
        return None
    last = datetime.fromtimestamp(case.heldUntil, UTC)
    return f"{case.offer.holdSeconds} {last:%Y-%m-%dT%H:%M:%SZ}"


def _deliverby(case: Case) -> str | None:
    least = case.offer.deliverBySeconds
    return None if least is None else str(least or "")


def _auth(case: Case) -> str | None:
    return " ".join(case.mechanisms) or None


def _xclient(case: Case) -> str | None:
    return ATTRIBUTES if case.isProxy else None


#: Keyword to what gives the text behind it; L{None} where it is not offered.
_KEYWORDS: tuple[tuple[str, Callable[[Case], str | None]], ...] = (
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
