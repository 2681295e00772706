# -*- test-case-name: relaymail.test.test_addresses -*-
"""
Mail addresses as they stand in envelopes (RFC 5321 4.1.2, 4.1.3).

An address is a L{str} here: C{local@domain}, without angle brackets, source
route or control characters; the empty one is the null reverse-path.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

import idna

from relaymail.errors import MalformedAddress
from relaymail.replies import printable

#: RFC 5321 4.5.3.1.1: the longest local part, in octets.
MAX_LOCAL = 64
#: RFC 5321 4.5.3.1.2: the longest domain, in octets.
MAX_DOMAIN = 255
#: RFC 5321 4.5.3.1.3: the longest path, with its angle brackets, in octets.
MAX_PATH = 256

#: How much of what is wrong an error shows, in characters.
_SHOWN = 80
#: How many domains, and paths, are remembered in their one form: most mail is
#: for few domains, and each path is asked for when a letter is opened and again
#: when it is sent.
_REMEMBERED = 1024

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_DOT_STRING = re.compile(rf"{_ATOM}(?:\.{_ATOM})*\Z")
_QUOTED_STRING = re.compile(r'"(?:[ !#-\[\]-~]|\\[ -~])*"\Z')
# The same with UTF-8 in it (RFC 6531 3.3).
_UTF8_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+"
_UTF8_DOT_STRING = re.compile(rf"{_UTF8_ATOM}(?:\.{_UTF8_ATOM})*\Z")
_UTF8_QUOTED_STRING = re.compile(r'"(?:[ !#-\[\]-~\u0080-\U0010ffff]|\\[ -~])*"\Z')
# What is behind a backslash, and what has to be (RFC 5321 4.1.2).
_QUOTED_PAIR, _SPECIAL = re.compile(r"\\(.)"), re.compile(r'(["\\])')
_ESCAPED = r"\\\1"
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\Z")
_SOURCE_ROUTE = re.compile(r"@[^:,@\s]+(?:,@[^:,@\s]+)*:")


def parsePath(path: bytes | str, *, utf8: bool = False) -> str:
    """
    Read a path as MAIL and RCPT carry it, between the angle brackets.  A
    source route is dropped (RFC 5321 4.1.1.3, appendix C).

    @param path: The path without its angle brackets.
    @param utf8: See L{checkAddress}.

    @return: The address, empty for the null path, its domain as
        L{normalDomain} gives it where that is a name.

    @raise MalformedAddress: When it is not an address.
    """
    text = addressText(path)
    if not text:
        return ""
    route = _SOURCE_ROUTE.match(text)
    if route:
        text = text[route.end() :]
    return checkAddress(text, utf8=utf8)


def checkAddress(address: bytes | str, *, utf8: bool = False) -> str:
    """
    Check a mailbox and give it in its one form.

    @param address: C{local@domain}.
    @param utf8: Whether its local part may be internationalised (RFC 6531 3.3).  No
        form of it is made another (RFC 6532 3.1); control, format and separator
        characters, which nobody would see, are refused.

    @return: The address with the domain as L{normalDomain} gives it; the
        local part is as it was (RFC 5321 2.4: its case belongs to its host).

    @raise MalformedAddress: When it is not an address that mail can go to.
    """
    text = addressText(address)
    local, at, domain = text.rpartition("@")
    if not at or not local or not domain:
        raise MalformedAddress(
            f"{_shown(text)} is not local-part@domain; nothing was queued"
        )
    if not (
        _DOT_STRING.match(local)
        or _QUOTED_STRING.match(local)
        or (utf8 and _isInternational(local))
    ):
        raise MalformedAddress(
            f"{_shown(local)} is not a local part (RFC 5321 4.1.2); nothing was queued"
        )
    checked = f"{local}@{normalDomain(domain)}"
    # Octets, which characters beyond ASCII have more of.
    more = 0 if local.isascii() else len(local.encode("utf-8")) - len(local)
    if len(local) + more > MAX_LOCAL or len(checked) + more + 2 > MAX_PATH:
        raise MalformedAddress(
            f"{_shown(text)} is longer than RFC 5321 4.5.3.1 allows; nothing was queued"
        )
    return checked


def _isInternational(local: str) -> bool:
    return local.isprintable() and bool(
        _UTF8_DOT_STRING.match(local) or _UTF8_QUOTED_STRING.match(local)
    )


def domainOf(address: bytes | str) -> str:
    """
    Give the domain of an address, in its one form.

    @raise MalformedAddress: When there is none.
    """
    text = addressText(address)
    _, at, domain = text.rpartition("@")
    if not at or not domain:
        raise MalformedAddress(f"{_shown(text)} has no domain to deliver to")
    return normalDomain(domain)


def localKey(local: str) -> str:
    """
    Give a local part in the form in which what an operator says of addresses is
    compared with them: without quotes that it need not have (RFC 5321 4.1.2), so that
    nobody gets round it by writing them, and in lower case.

    @param local: The local part.
    """
    if local.startswith('"') and _UTF8_QUOTED_STRING.match(local):
        bare = _QUOTED_PAIR.sub(r"\1", local[1:-1])
        isPlain = _UTF8_DOT_STRING.match(bare)
        local = bare if isPlain else f'"{_SPECIAL.sub(_ESCAPED, bare)}"'
    return local.lower()


def normalDomain(domain: bytes | str) -> str:
    """
    Give a domain in its one form: lower case, no trailing dot, IDN as
    A-labels (RFC 5890), an address literal as RFC 5321 4.1.3 writes it.

    @raise MalformedAddress: When it is neither a name nor a literal.
    """
    return _normal(addressText(domain))


@lru_cache(maxsize=_REMEMBERED)
def _normal(text: str) -> str:
    if text.startswith("["):
        return f"[{_literal(text)}]"
    name = text.removesuffix(".").lower()
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True).decode("ascii")
        except idna.IDNAError as e:
            raise MalformedAddress(f"{_shown(text)} is not a domain: {_why(e)}") from e
    if len(name) > MAX_DOMAIN or not all(map(_LABEL.match, name.split("."))):
        raise MalformedAddress(f"{_shown(text)} is not a domain name")
    return name


def literalAddress(domain: str) -> str | None:
    """
    Give the network address that an address literal holds (RFC 5321 4.1.3).

    @param domain: A domain as L{normalDomain} gives it.

    @return: The address as text, or L{None} for a domain that is a name.
    """
    if not domain.startswith("["):
        return None
    return domain[1:-1].removeprefix("IPv6:")


def quotePath(address: bytes | str, utf8: bool = False) -> bytes:
    """
    Give an address as MAIL and RCPT carry it, in angle brackets.  A domain that
    is not ASCII goes as A-labels (RFC 5890), which every host takes.

    @param address: The address; the empty one gives C{<>}.
    @param utf8: Whether its local part need not be ASCII, because SMTPUTF8 is
        said (RFC 6531 3.4).

    @raise MalformedAddress: When it holds what would end the path or the
        line, or is not ASCII: nothing of it is written then.
    """
    return _quoted(addressText(address), utf8)


@lru_cache(maxsize=_REMEMBERED)
def _quoted(text: str, utf8: bool) -> bytes:
    if not text.isascii():
        text = _withALabels(text)
        if not (utf8 or text.isascii()):
            raise MalformedAddress(
                f"{_shown(text)} is not ASCII, and SMTPUTF8 is not spoken"
            )
    if not text.isprintable():
        raise MalformedAddress(f"{_shown(text)} holds a control character")
    if text.startswith("<") and text.endswith(">"):
        text = text[1:-1]
    local, _, domain = text.rpartition("@")
    bare = domain if _UTF8_QUOTED_STRING.match(local) else text
    if set(bare) & set("<> "):
        raise MalformedAddress(f"{_shown(text)} holds a space or an angle bracket")
    return b"<" + text.encode("utf-8") + b">"


def _withALabels(text: str) -> str:
    bare = text[1:-1] if text.startswith("<") and text.endswith(">") else text
    local, at, domain = bare.rpartition("@")
    if domain.isascii():
        return text
    return f"{local}{at}{normalDomain(domain)}"


def _literal(text: str) -> str:
    body = text[1:-1]
    tag, colon, rest = body.partition(":")
    try:
        if text[-1] != "]":
            raise ValueError("no closing bracket")
        if colon and tag.lower() == "ipv6":
            # A zone (RFC 4007) means something to its own host only, and may
            # hold anything.
            if "%" in rest:
                raise ValueError("an IPv6 literal has no zone")
            return f"IPv6:{IPv6Address(rest)}"
        found = IPv4Address(body)
    except ValueError as e:
        raise MalformedAddress(
            f"{_shown(text)} is not an address literal: {_why(e)}"
        ) from e
    return str(found)


def _shown(text: bytes | str) -> str:
    # What was wrong is told in one bounded line, however long it is.
    return repr(text[:_SHOWN])


def _why(error: Exception) -> str:
    return printable(str(error), _SHOWN)


def addressText(text: bytes | str) -> str:
    """
    Give what programs give as an address, bytes or text, as text.

    @raise MalformedAddress: When it is neither, or not UTF-8.
    """
    if isinstance(text, str):
        return text
    if not isinstance(text, bytes):
        raise MalformedAddress(
            f"an address is str or bytes, not {type(text).__name__}; nothing was queued"
        )
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as e:
        raise MalformedAddress(f"{_shown(text)} is not text: {e.reason}") from e
