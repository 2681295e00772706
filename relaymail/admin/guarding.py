# -*- test-case-name: relaymail.test.admin.test_guarding -*-
"""
Who may ask, and with what: every request is judged when its headers are there,
before its body is read.

A page in somebody's browser must not reach the API by the browser: the host that
is asked for must be this one by name (against names that are made to point here),
no origin may be named that was not allowed, and what changes something has a kind
of content that no form can send.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import ip_address

from relaymail.replies import printable

#: The largest body that is taken, in octets, where it is no message: all
#: parameters there are fit many times.
MAX_BODY = 65536

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:/@?#\s]+)(?::[0-9]{1,5})?\Z")
#: How much of what was sent an error shows, in characters.
_SHOWN = 80


class Body(Enum):
    """
    What a request may have as its body; the value is the type (RFC 9110 8.3).
    """

    NONE = ""
    JSON = "application/json"
    MESSAGE = "message/rfc822"


class Refusal(Exception):
    """
    A request is refused.

    @ivar status: The status (RFC 9110 15).
    @ivar error: Why, in one sentence.
    @ivar headers: Header fields for the answer.
    """

    def __init__(
        self, status: int, error: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.headers = dict(headers or {})


@dataclass(frozen=True, slots=True)
class Rules:
    """
    Who may come in by an entrance.

    @ivar hosts: The names by which the API may be asked for, in lower case.
    @ivar origins: The origins (RFC 6454) of pages that may ask.
    @ivar token: What must be shown; L{None}: nothing.
    """

    hosts: frozenset[str] = frozenset(("localhost",))
    origins: frozenset[str] = frozenset()
    token: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Asked:
    """
    What the headers of a request say.

    @ivar hosts: The values of Host.
    @ivar origins: The values of Origin.
    @ivar authorizations: The values of Authorization.
    @ivar kinds: The values of Content-Type.
    @ivar length: The length of the body, in octets; L{None} where that is not
        said.
    """

    hosts: Sequence[bytes] = ()
    origins: Sequence[bytes] = ()
    authorizations: Sequence[bytes] = field(default=(), repr=False)
    kinds: Sequence[bytes] = ()
    length: int | None = 0


def entranceRefusal(asked: Asked, rules: Rules, isOpen: bool) -> Refusal | None:
    """
    Judge whether somebody may ask at all.

    @param isOpen: Whether what is asked for needs no token.

    @return: Why not, or L{None}.
    """
    return (
        hostRefusal(asked.hosts, rules.hosts)
        or _originRefusal(asked.origins, rules.origins)
        or (None if isOpen else tokenRefusal(asked.authorizations, rules.token))
    )


def hostRefusal(hosts: Sequence[bytes], known: frozenset[str]) -> Refusal | None:
    """
    Judge the host that is asked for (RFC 9112 3.2).

    @param known: The names it may have.
    """
    if len(hosts) != 1:
        return Refusal(400, "A request has one Host field, and this one has not.")
    found = _HOST.match(hosts[0].decode("latin-1"))
    if found is not None and plainHost(found[1]) in known:
        return None
    return Refusal(
        421,
        f"{_shown(hosts[0])} is not a name by which this relay is asked: use "
        "localhost, the address, or a name in hosts in [control].",
    )


def plainHost(text: str) -> str:
    """
    Give the one form of a host's name or address.
    """
    bare = text.strip("[]").rstrip(".").lower()
    try:
        return str(ip_address(bare))
    except ValueError:
        return bare


def _originRefusal(origins: Sequence[bytes], allowed: frozenset[str]) -> Refusal | None:
    strange = [o for o in origins if o.decode("latin-1") not in allowed]
    if not strange:
        return None
    return Refusal(
        403,
        f"Pages of {_shown(strange[0])} may not ask this relay; origins in [control] "
        "says which may.",
    )


def tokenRefusal(shown: Sequence[bytes], token: bytes | None) -> Refusal | None:
    """
    Judge what is shown (RFC 6750 2.1).

    @param token: What must be; L{None}: nothing.
    """
    if token is None:
        return None
    kind, _, value = (shown[0] if len(shown) == 1 else b"").partition(b" ")
    # It is compared in any case, and takes the same time for each wrong one.
    isRight = hmac.compare_digest(value.strip(), token)
    if isRight and token and kind.lower() == b"bearer":
        return None
    return Refusal(
        401,
        "This needs the relay's token, as Authorization: Bearer TOKEN.",
        {"WWW-Authenticate": 'Bearer realm="relaymail"'},
    )


def bodyRefusal(asked: Asked, body: Body, most: int) -> Refusal | None:
    """
    Judge the body, by what the headers say of it.

    @param body: What it may be.
    @param most: How large it may be, in octets.
    """
    if body is Body.NONE:
        return None if asked.length == 0 else Refusal(413, "This takes no body.")
    kind = asked.kinds[0] if len(asked.kinds) == 1 else b""
    if kind.partition(b";")[0].strip().lower() != body.value.encode("ascii"):
        return Refusal(415, f"This takes {body.value}, which Content-Type must say.")
    if asked.length is not None and asked.length > most:
        return tooLarge(most)
    return None


def tooLarge(most: int) -> Refusal:
    """
    Say that a body is too large.

    @param most: How large it may be, in octets.
    """
    return Refusal(
        413, f"The body is larger than {most} octets, the most that is taken."
    )


def _shown(text: bytes) -> str:
    return repr(printable(text, _SHOWN))
