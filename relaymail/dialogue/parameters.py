# -*- test-case-name: relaymail.test.dialogue.test_parameters -*-
"""
The parameters of MAIL and RCPT, as a server reads them (RFC 5321 4.1.1.11).

A parameter is known only where its extension is offered: else it is answered 555,
and 501 where its value is wrong or it is there twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from relaymail.addresses import checkAddress
from relaymail.dialogue.answers import answer
from relaymail.dialogue.xtext import decodeUnitext, decodeXtext
from relaymail.envelopes import (
    NOTHING_SAID,
    DeliverBy,
    Parameters,
    RecipientParameters,
)
from relaymail.errors import MalformedAddress, Refused

#: The most parameters of one command; we know thirteen.
MAX_PARAMETERS = 20
#: The most digits of a SIZE (RFC 1870 6).
MAX_SIZE_DIGITS = 20
#: The longest ENVID, as it is written (RFC 3461 4.4).
MAX_ENVID = 100
#: The longest ORCPT, as it is written (RFC 3461 4.2).
MAX_ORCPT = 500

_PARAMETER = re.compile(rb"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~\x80-\xff]+))?\Z")
_ADDRESS_TYPE = re.compile(r"[A-Za-z0-9-]+\Z")
_SECONDS = re.compile(r"[0-9]{1,9}\Z")
_DATE_TIME = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)\Z", re.ASCII
)
_BY = re.compile(r"([+-]?[0-9]{1,9});([NR])(T?)\Z", re.IGNORECASE)
_PRIORITY = re.compile(r"-?[1-9]\Z|0\Z")
_NOTIFIED = ("SUCCESS", "FAILURE", "DELAY")

SYNTAX = answer(501, "5.5.4", "A parameter cannot be read")
_UNKNOWN = answer(555, "5.5.4", "A parameter is not known here")
_NEEDS_TLS = answer(530, "5.7.10", "REQUIRETLS is for mail that comes over TLS")
_TOO_LATE = answer(501, "5.5.4", "The message would be held for longer than is done")
_HELD_TWICE = answer(501, "5.5.4", "Say either HOLDFOR or HOLDUNTIL")
_BY_NOW = answer(501, "5.5.4", "BY with R needs a time that is to come")
_BY_TOO_SOON = answer(553, "5.5.4", "Less time is left than is needed here")

#: What is offered where nothing is said: what needs no extension of its session.
BASIC: frozenset[str] = frozenset({"SIZE", "8BITMIME"})

_Reader = Callable[[str | None], object]


@dataclass(frozen=True, slots=True)
class MailSaid:
    """
    What MAIL says beyond the sender, as it was said.

    @ivar size: The size declared, in octets (RFC 1870 6), or L{None}.
    @ivar body: C{"7BIT"}, C{"8BITMIME"} (RFC 6152 3), C{"BINARYMIME"} (RFC 3030 3)
        or empty.
    @ivar ret: C{"FULL"}, C{"HDRS"} (RFC 3461 4.3) or empty.
    @ivar envid: The envelope's name (RFC 3461 4.4), decoded.
    @ivar utf8: Whether it says SMTPUTF8 (RFC 6531 3.4).
    @ivar requireTLS: Whether it says REQUIRETLS (RFC 8689 2).
    @ivar priority: The priority (RFC 6710 4), L{None} where there is none.
    @ivar holdFor: How long to hold the message, in seconds (RFC 4865 4), or L{None}.
    @ivar holdUntil: Until when, in seconds of the epoch, or L{None}.
    @ivar by: By when it is to be delivered (RFC 2852 4), C{at} in seconds from now,
        or L{None}.
    @ivar submitter: Who it is from, as AUTH says it (RFC 4954 5): this relay takes
        nobody's word for that.
    """

    size: int | None = None
    body: str = ""
    ret: str = ""
    envid: str = ""
    utf8: bool = False
    requireTLS: bool = False
    priority: int | None = None
    holdFor: int | None = None
    holdUntil: float | None = None
    by: DeliverBy | None = None
    submitter: str = ""


#: MAIL has no parameters.
NOTHING = MailSaid()


def readMail(text: bytes, offered: Container[str] = BASIC) -> MailSaid:
    """
    Read the parameters of MAIL.

    @param text: What stands behind the path.
    @param offered: The keywords of the extensions that are offered.

    @raise Refused: When one is not known, or is wrong.
    """
    if not text:
        return NOTHING
    if not text.isascii():
        raise Refused(SYNTAX)
    found = _read(text, offered, _MAIL)
    said = MailSaid(**found)
    if said.body == "BINARYMIME" and "BINARYMIME" not in offered:
        raise Refused(SYNTAX)
    if said.holdFor is not None and said.holdUntil is not None:
        raise Refused(_HELD_TWICE)
    return said


def readRcpt(
    text: bytes, offered: Container[str] = BASIC, *, utf8: bool = False
) -> RecipientParameters:
    """
    Read the parameters of RCPT.

    @param text: What stands behind the path.
    @param offered: See L{readMail}.
    @param utf8: Whether MAIL said SMTPUTF8.

    @raise Refused: See L{readMail}.
    """
    if not text:
        return NOTHING_SAID
    if not (utf8 or text.isascii()):
        raise Refused(SYNTAX)
    return RecipientParameters(**_read(text, offered, _RCPT))


def parametersOf(
    said: MailSaid, now: Callable[[], float], longest: int, shortest: int
) -> Parameters:
    """
    Give what is kept of what MAIL said.

    @param said: That.
    @param now: Gives the time, in seconds of the queue's clock.
    @param longest: For how long a message is held at most, in seconds.
    @param shortest: In how many seconds it is delivered at best (RFC 2852 3).

    @raise Refused: When it cannot be done.
    """
    kept = Parameters(
        body=said.body,
        ret=said.ret,
        envid=said.envid,
        utf8=said.utf8,
        requireTLS=said.requireTLS,
        priority=said.priority or 0,
    )
    if said.holdFor is None and said.holdUntil is None and said.by is None:
        return kept
    time = now()
    by = said.by
    if by is not None:
        if by.returns and by.at < shortest:
            raise Refused(_BY_TOO_SOON)
        by = replace(by, at=time + by.at)
    return replace(kept, deliverBy=by, holdUntil=_holdUntil(said, time, longest))


def _holdUntil(said: MailSaid, time: float, longest: int) -> float | None:
    until = said.holdUntil if said.holdFor is None else time + said.holdFor
    if until is not None and until > time + longest:
        raise Refused(_TOO_LATE)
    return until


def _read(
    text: bytes,
    offered: Container[str],
    table: Mapping[str, tuple[str, str, _Reader]],
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    words = text.split()
    if len(words) > MAX_PARAMETERS:
        raise Refused(SYNTAX)
    for word in words:
        match = _PARAMETER.match(word)
        if match is None:
            raise Refused(SYNTAX)
        extension, name, reader = table.get(
            match[1].decode("ascii").upper(), ("", "", _nothing)
        )
        if extension not in offered:
            raise Refused(_NEEDS_TLS if _isInClear(extension, offered) else _UNKNOWN)
        if name in found:
            raise Refused(SYNTAX)
        try:
            value = None if match[2] is None else match[2].decode("utf-8")
            found[name] = reader(value)
        except ValueError as e:
            raise Refused(SYNTAX) from e
    return found


def _isInClear(extension: str, offered: Container[str]) -> bool:
    return extension == "REQUIRETLS" and "STARTTLS" in offered


def _given(text: str | None) -> str:
    if text is None:
        raise ValueError("a value is missing")
    return text


def _nothing(text: str | None) -> bool:
    if text is not None:
        raise ValueError("there is no value")
    return True


def _oneOf(*words: str) -> _Reader:
    def read(text: str | None) -> str:
        word = _given(text).upper()
        if word not in words:
            raise ValueError("not one of them")
        return word

    return read


def _size(text: str | None) -> int:
    digits = _given(text)
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > MAX_SIZE_DIGITS:
        raise ValueError("not a size")
    return int(digits)


def _envid(text: str | None) -> str:
    if len(_given(text)) > MAX_ENVID:
        raise ValueError("too long")
    envid = decodeXtext(_given(text))
    if not (envid.isascii() and envid.isprintable()):
        raise ValueError("not printable (RFC 3461 4.4)")
    return envid


def _holdFor(text: str | None) -> int:
    if not _SECONDS.match(_given(text)):
        raise ValueError("not a number of seconds (RFC 4865 4.2)")
    return int(_given(text))


def _dateTime(text: str | None) -> float:
    if not _DATE_TIME.match(_given(text)):
        raise ValueError("not a time (RFC 3339 5.6)")
    return datetime.fromisoformat(_given(text)).timestamp()


def _by(text: str | None) -> DeliverBy:
    match = _BY.match(_given(text))
    if match is None:
        raise ValueError("not by-time;mode (RFC 2852 4)")
    seconds, returns = int(match[1]), match[2].upper() == "R"
    if returns and seconds <= 0:
        raise Refused(_BY_NOW)
    return DeliverBy(float(seconds), returns, bool(match[3]))


def _priority(text: str | None) -> int:
    if not _PRIORITY.match(_given(text)):
        raise ValueError("not a priority (RFC 6710 4.1)")
    return int(_given(text))


def _submitter(text: str | None) -> str:
    mailbox = decodeXtext(_given(text))
    if mailbox == "<>":
        return ""
    try:
        return checkAddress(mailbox)
    except MalformedAddress as e:
        raise ValueError("not a mailbox (RFC 4954 5)") from e


def _notify(text: str | None) -> str:
    words = _given(text).upper().split(",")
    if words == ["NEVER"]:
        return "NEVER"
    if not (_given(text).isascii() and set(words) <= set(_NOTIFIED)):
        raise ValueError("not what is notified (RFC 3461 4.1)")
    return ",".join(word for word in _NOTIFIED if word in words)


def _orcpt(text: str | None) -> str:
    kind, semicolon, address = _given(text).partition(";")
    if not (semicolon and address and _ADDRESS_TYPE.match(kind)):
        raise ValueError("not type;address (RFC 3461 4.2)")
    if len(_given(text).encode("utf-8")) > MAX_ORCPT:
        raise ValueError("too long")
    isUTF8 = kind.lower() == "utf-8"
    decoded = decodeUnitext(address) if isUTF8 else decodeXtext(address)
    if kind.lower() == "rfc822" and not decoded.isascii():
        # So Postfix has it, 3.7 for one, of addresses that are not ASCII; what
        # it means is plain, and it must not cost the message.
        kind, isUTF8 = "utf-8", True
    # What it stands for goes into notices, and to other hosts.
    decoded.encode("utf-8" if isUTF8 else "ascii")
    if not decoded.isprintable():
        raise ValueError("not printable")
    return f"{kind};{decoded}"


#: Parameter to the keyword of its extension, the field for it, and what reads it.
_MAIL: Mapping[str, tuple[str, str, _Reader]] = {
    "SIZE": ("SIZE", "size", _size),
    "BODY": ("8BITMIME", "body", _oneOf("7BIT", "8BITMIME", "BINARYMIME")),
    "SMTPUTF8": ("SMTPUTF8", "utf8", _nothing),
    "RET": ("DSN", "ret", _oneOf("FULL", "HDRS")),
    "ENVID": ("DSN", "envid", _envid),
    "REQUIRETLS": ("REQUIRETLS", "requireTLS", _nothing),
    "HOLDFOR": ("FUTURERELEASE", "holdFor", _holdFor),
    "HOLDUNTIL": ("FUTURERELEASE", "holdUntil", _dateTime),
    "BY": ("DELIVERBY", "by", _by),
    "MT-PRIORITY": ("MT-PRIORITY", "priority", _priority),
    "AUTH": ("AUTH", "submitter", _submitter),
}
_RCPT: Mapping[str, tuple[str, str, _Reader]] = {
    "NOTIFY": ("DSN", "notify", _notify),
    "ORCPT": ("DSN", "orcpt", _orcpt),
}
