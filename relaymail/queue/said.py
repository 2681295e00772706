# -*- test-case-name: relaymail.test.queue.test_said -*-
"""
What MAIL and RCPT said, as a queue that outlives the process writes it down: only
what was said, as a JSON object.

What is read back is not believed before it was looked at: a part that cannot be
right counts as never said.  It never costs the mail.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from itertools import combinations
from typing import Any

from relaymail.envelopes import (
    NO_ORIGIN,
    NO_PARAMETERS,
    NOTHING_SAID,
    DeliverBy,
    Origin,
    Parameters,
    RecipientParameters,
)
from relaymail.replies import printable

#: The longest name of a transaction, in characters (RFC 3461 4.4).
MAX_ENVID = 100
#: The longest name of an original recipient, in characters (RFC 3461 4.2).
MAX_ORCPT = 500
#: The longest text of an origin, in characters: an address, and a name of an account
#: that nobody would type.
MAX_ORIGIN = 500
#: How many origins are remembered as they are read: much mail comes from few places.
_ORIGINS = 1024
#: The longest object that is looked at, in characters: some numbers and words.
MAX_OPTIONS = 4 * 1024
#: The most urgent, and with its sign turned the least (RFC 6710 5).
MAX_PRIORITY = 9

_BODIES = frozenset(("", "7BIT", "8BITMIME", "BINARYMIME"))
_RETURNS = frozenset(("", "FULL", "HDRS"))
_NOTICES = ("SUCCESS", "FAILURE", "DELAY")
_NOTIFY = frozenset(
    ("NEVER", *(",".join(some) for n in range(4) for some in combinations(_NOTICES, n)))
)


def saysMore(parameters: Parameters) -> bool:
    """
    Tell whether MAIL said more than what the body is.
    """
    return parameters is not NO_PARAMETERS and bool(
        parameters.ret
        or parameters.envid
        or parameters.utf8
        or parameters.requireTLS
        or parameters.priority
        or parameters.holdUntil is not None
        or parameters.deliverBy is not None
        or parameters.tlsOptional
    )


def heldUntil(parameters: Parameters, now: float) -> float | None:
    """
    Give until when mail rests that comes now, or L{None} where it may go at once
    (RFC 4865 4).

    @param now: The time, in seconds.
    """
    until = parameters.holdUntil
    return until if until is not None and until > now else None


def optionsOf(parameters: Parameters) -> dict[str, Any]:
    """
    Give what was said of when to send it, and of how it need not be protected.
    """
    fields: dict[str, Any] = {}
    if parameters.priority:
        fields["priority"] = parameters.priority
    if parameters.holdUntil is not None:
        fields["holdUntil"] = parameters.holdUntil
    by = parameters.deliverBy
    if by is not None:
        fields["deliverBy"] = [by.at, by.returns, by.traced]
    if parameters.tlsOptional:
        fields["tlsOptional"] = True
    return fields


def fieldsOf(parameters: Parameters) -> dict[str, Any]:
    """
    Give what MAIL said.
    """
    if parameters is NO_PARAMETERS:
        return {}
    fields = {
        "body": parameters.body,
        "ret": parameters.ret,
        "envid": parameters.envid,
        "utf8": parameters.utf8,
        "requiretls": parameters.requireTLS,
    }
    said = {name: value for name, value in fields.items() if value}
    return {**said, **optionsOf(parameters)}


def fieldsOfRecipient(parameters: RecipientParameters) -> dict[str, Any]:
    """
    Give what RCPT said.
    """
    fields = {"notify": parameters.notify, "orcpt": parameters.orcpt}
    return {name: value for name, value in fields.items() if value}


def parametersIn(fields: Mapping[str, Any]) -> Parameters:
    """
    Read what MAIL said.
    """
    found = Parameters(
        _oneOf(fields.get("body"), _BODIES),
        _oneOf(fields.get("ret"), _RETURNS),
        _text(fields.get("envid"), MAX_ENVID),
        fields.get("utf8") is True,
        fields.get("requiretls") is True,
        _priority(fields.get("priority")),
        seconds(fields.get("holdUntil")),
        _deliverBy(fields.get("deliverBy")),
        fields.get("tlsOptional") is True,
    )
    return NO_PARAMETERS if found == NO_PARAMETERS else found


def recipientParametersIn(fields: Mapping[str, Any]) -> RecipientParameters:
    """
    Read what RCPT said.
    """
    notify = _oneOf(fields.get("notify"), _NOTIFY)
    orcpt = _text(fields.get("orcpt"), MAX_ORCPT)
    return RecipientParameters(notify, orcpt) if notify or orcpt else NOTHING_SAID


def originText(origin: Origin) -> str:
    """
    Give an origin as one text: the address and, behind a space, the user.  No
    address has a space.
    """
    host, user = origin.host, origin.user
    both = _text(f"{host} {user}", MAX_ORIGIN) if user else ""
    return both or _text(host, MAX_ORIGIN)


def originIn(text: object) -> Origin:
    """
    Read an origin.
    """
    return _originIn(text) if text and isinstance(text, str) else NO_ORIGIN


def optionsIn(text: str) -> Mapping[str, Any] | None:
    """
    Read an object.

    @return: It, or L{None} where it is damaged.
    """
    if not isinstance(text, str) or len(text) > MAX_OPTIONS:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def shown(
    parameters: Parameters, said: RecipientParameters, isTold: bool = False
) -> str:
    """
    Give what was said as people read it, in one line; what the body is only where
    that is unusual.

    @param isTold: Whether the sender was told that it is late.
    """
    by, held = parameters.deliverBy, parameters.holdUntil
    words = [
        "BODY=BINARYMIME" if parameters.body == "BINARYMIME" else "",
        "SMTPUTF8" if parameters.utf8 else "",
        "REQUIRETLS" if parameters.requireTLS else "",
        "TLS-Required: No" if parameters.tlsOptional else "",
        parameters.ret and f"RET={parameters.ret}",
        parameters.envid and f"ENVID={printable(parameters.envid)}",
        f"MT-PRIORITY={parameters.priority}" if parameters.priority else "",
        said.notify and f"NOTIFY={said.notify}",
        said.orcpt and f"ORCPT={printable(said.orcpt)}",
        "" if held is None else f"hold until {_moment(held)}",
        "" if by is None else _shownBy(by),
        "its sender was told that it is late" if isTold else "",
    ]
    return " ".join(word for word in words if word)


def areSound(text: str) -> bool:
    """
    Tell whether what L{optionsOf} gave is written here, all of it.
    """
    fields = optionsIn(text)
    return fields is not None and optionsOf(parametersIn(fields)) == fields


def seconds(value: object) -> float | None:
    """
    Read a time, or give L{None} where it is none.
    """
    if type(value) not in (int, float):
        return None
    try:
        found = float(value)  # type: ignore[arg-type]
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


@lru_cache(maxsize=_ORIGINS)
def _originIn(text: str) -> Origin:
    host, _, user = _text(text, MAX_ORIGIN).partition(" ")
    return Origin(host, user) if host or user else NO_ORIGIN


def _moment(seconds: float) -> str:
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        # So far away that nobody lives to see it.
        return f"second {seconds:.0f}"
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def _shownBy(by: DeliverBy) -> str:
    late = "or return it" if by.returns else "or say so"
    return f"deliver by {_moment(by.at)} {late}" + (", traced" if by.traced else "")


def _oneOf(value: object, legal: frozenset[str]) -> str:
    return value if isinstance(value, str) and value in legal else ""


def _text(value: object, limit: int) -> str:
    isSound = isinstance(value, str) and len(value) <= limit and value.isprintable()
    return str(value) if isSound else ""


def _priority(value: object) -> int:
    # True is a number, too.
    if type(value) is not int or not -MAX_PRIORITY <= value <= MAX_PRIORITY:
        return 0
    return value


def _deliverBy(value: object) -> DeliverBy | None:
    if not isinstance(value, list) or len(value) != 3:
        return None
    at = seconds(value[0])
    if at is None or not all(isinstance(flag, bool) for flag in value[1:]):
        return None
    return DeliverBy(at, value[1], value[2])
