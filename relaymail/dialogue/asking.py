# -*- test-case-name: relaymail.test.dialogue.test_asking -*-
"""
What a host is asked for with a message: the parameters of MAIL and RCPT, from
what the sender said and what the host offers, and what the host cannot take.

Rules:

  - SIZE is said where it is known (RFC 1870 3); a message that is larger than the
    host takes is not offered.
  - Content with bytes above 127 goes as BODY=8BITMIME (RFC 6152 3), and is
    converted for a host without it; SMTPUTF8 brings 8BITMIME with it (RFC 6531
    3.1).
  - BODY=BINARYMIME goes with BDAT (RFC 3030 3), and is converted for a host that
    lacks either.
  - SMTPUTF8 (RFC 6531), REQUIRETLS (RFC 8689, only over TLS with a certificate
    that was verified) and BY in mode R (RFC 2852) are needed: a host without them
    cannot take the message.
  - RET, ENVID, NOTIFY and ORCPT (RFC 3461 5.2.1), MT-PRIORITY (RFC 6710) and BY
    in mode N are passed on to a host that offers them.
  - HOLDFOR and HOLDUNTIL are not: the message was held here (RFC 4865).
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from relaymail.dialogue.extensions import Extensions
from relaymail.dialogue.parameters import MAX_ORCPT
from relaymail.dialogue.xtext import encodeUnitext, encodeXtext
from relaymail.envelopes import (
    NO_PARAMETERS,
    DeliverBy,
    Parameters,
    RecipientParameters,
)
from relaymail.replies import TroubleKind

#: RFC 2852 4: a time has at most nine digits, in seconds.
_MOST_TIME = 999_999_999


class Form(Enum):
    """
    How the content of a message goes to a host.
    """

    AS_IT_IS = "as it is"
    SEVEN_BIT = "converted to seven bits"
    CHUNKED = "in chunks of any bytes"


#: What binary content is said with.
BINARY = b"BODY=BINARYMIME"
#: What internationalised mail is said with.
UTF8 = b"SMTPUTF8"
#: What mail is said with that may go over TLS only.
REQUIRETLS = b"REQUIRETLS"

# What a host lacks that does not know a parameter without which the message
# must not go; that of BY is not a whole word.
_LACKS = {
    BINARY: TroubleKind.NO_CONVERSION,
    UTF8: TroubleKind.NO_SMTPUTF8,
    REQUIRETLS: TroubleKind.NO_REQUIRETLS,
}


class Terms(NamedTuple):
    """
    On what terms a host is given a message.

    @ivar needed: The parameters of MAIL without which it must not go.
    @ivar optional: Those that may be left out if the host does not know them.
    @ivar form: How its content goes.
    """

    needed: tuple[bytes, ...]
    optional: tuple[bytes, ...]
    form: Form

    @property
    def lacking(self) -> TroubleKind:
        """
        What a host lacks that knows one of the needed parameters, at least, not.
        """
        first = self.needed[0]
        return _LACKS.get(first, TroubleKind.NO_DELIVERBY)


#: There is nothing to say.
_NOTHING = Terms((), (), Form.AS_IT_IS)


def askFor(
    parameters: Parameters,
    extensions: Extensions,
    size: int | None = None,
    eightBit: bool = False,
    now: float = 0.0,
    isVerified: bool = False,
) -> Terms | TroubleKind:
    """
    Give the terms for a message and a host.

    @param parameters: What its sender said of the message.
    @param extensions: What the host said it can do.
    @param size: The size of the content in bytes, or L{None} if that is not
        known.
    @param eightBit: Whether it has bytes above 127.
    @param now: The time, in seconds of the queue's clock.
    @param isVerified: Whether the session is over TLS with a certificate that
        was verified.

    @return: The terms, or why the host cannot take it.
    """
    limit = extensions.sizeLimit
    if limit and size is not None and size > limit:
        return TroubleKind.TOO_LARGE
    if parameters is NO_PARAMETERS and not eightBit:
        # Nearly all mail is so.
        if size is None or b"SIZE" not in extensions:
            return _NOTHING
        return Terms((), (b"SIZE=%d" % size,), Form.AS_IT_IS)
    form = _formOf(parameters, extensions, eightBit)
    optional = []
    if size is not None and b"SIZE" in extensions and form is not Form.SEVEN_BIT:
        optional.append(b"SIZE=%d" % size)
    if eightBit and form is Form.AS_IT_IS:
        optional.append(b"BODY=8BITMIME")
    needed = _needed(parameters, extensions, form, now, isVerified)
    if isinstance(needed, TroubleKind):
        return needed
    optional += _optional(parameters, extensions, now)
    return Terms(tuple(needed), tuple(optional), form)


def askForRecipient(recipient: str, said: RecipientParameters) -> bytes:
    """
    Give what is added to RCPT for a host that has DSN (RFC 3461 5.2.1), with the
    space before it.

    @param recipient: The address.
    @param said: What the sender said of it; without an original recipient the
        address is that.  One that is too long in ASCII is left out: else a host
        would refuse the recipient for it.
    """
    kind, _, original = said.orcpt.partition(";")
    if not said.orcpt:
        kind, original = "rfc822" if recipient.isascii() else "utf-8", recipient
    isUTF8 = kind.lower() == "utf-8"
    encoded = encodeUnitext(original) if isUTF8 else encodeXtext(original)
    notify = b" NOTIFY=" + said.notify.encode("ascii") if said.notify else b""
    orcpt = kind.encode("ascii") + b";" + encoded
    return notify if len(orcpt) > MAX_ORCPT else notify + b" ORCPT=" + orcpt


def _formOf(parameters: Parameters, extensions: Extensions, eightBit: bool) -> Form:
    if parameters.body == "BINARYMIME":
        isTaken = b"BINARYMIME" in extensions and b"CHUNKING" in extensions
        return Form.CHUNKED if isTaken else Form.SEVEN_BIT
    if not eightBit or b"8BITMIME" in extensions:
        return Form.AS_IT_IS
    if parameters.utf8 and b"SMTPUTF8" in extensions:
        return Form.AS_IT_IS
    return Form.SEVEN_BIT


def _needed(
    parameters: Parameters,
    extensions: Extensions,
    form: Form,
    now: float,
    isVerified: bool,
) -> list[bytes] | TroubleKind:
    needed = [BINARY] if form is Form.CHUNKED else []
    if parameters.utf8:
        if b"SMTPUTF8" not in extensions:
            return TroubleKind.NO_SMTPUTF8
        needed.append(UTF8)
    if parameters.requireTLS:
        if not isVerified or b"REQUIRETLS" not in extensions:
            return TroubleKind.NO_REQUIRETLS
        needed.append(REQUIRETLS)
    by = parameters.deliverBy
    if by is not None and by.returns:
        return _mustBeDelivered(needed, by, extensions, now)
    return needed


def _mustBeDelivered(
    needed: list[bytes], by: DeliverBy, extensions: Extensions, now: float
) -> list[bytes] | TroubleKind:
    remaining = int(by.at - now)
    if remaining <= 0:
        return TroubleKind.LATE
    if b"DELIVERBY" not in extensions or remaining < extensions.leastTime:
        return TroubleKind.NO_DELIVERBY
    return [*needed, _by(remaining, by)]


def _optional(
    parameters: Parameters, extensions: Extensions, now: float
) -> list[bytes]:
    words = []
    if b"DSN" in extensions:
        # RFC 8689 5: of mail that may go over TLS only, no more is given back.
        ret = "HDRS" if parameters.requireTLS else parameters.ret
        if ret:
            words.append(b"RET=" + ret.encode("ascii"))
        if parameters.envid:
            words.append(b"ENVID=" + encodeXtext(parameters.envid))
    if parameters.priority and b"MT-PRIORITY" in extensions:
        words.append(b"MT-PRIORITY=%d" % parameters.priority)
    by = parameters.deliverBy
    if by is not None and not by.returns and b"DELIVERBY" in extensions:
        words.append(_by(int(by.at - now), by))
    return words


def _by(remaining: int, by: DeliverBy) -> bytes:
    # RFC 2852 4: in mode N the time may be over.
    remaining = max(min(remaining, _MOST_TIME), -_MOST_TIME)
    trace = b"T" if by.traced else b""
    return b"BY=%d;%s%s" % (remaining, b"R" if by.returns else b"N", trace)
