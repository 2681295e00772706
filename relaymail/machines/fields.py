# -*- test-case-name: relaymail.test.machines.test_fields -*-
"""
The addresses in a field of a header (RFC 5322 3.4), found where they stand.

Only an address that is changed is written anew: names, comments, groups, spaces
and line ends around it stay as they are, octet for octet.  Where a field cannot
be read nothing of it is changed: what somebody else may be able to read is not
broken here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

#: The largest field that is read, in octets: a few thousand addresses.  Reading
#: takes a microsecond for each word.
MAX_FIELD = 65_536
#: The longest line, without its CRLF, that is made here (RFC 5322 2.1.1).
MAX_LINE = 998

_TOKEN = re.compile(
    rb"(?P<space>(?:[ \t]|\r\n(?=[ \t]))+)"
    rb'|(?P<quoted>"(?:[^"\\]|\\.)*")'
    rb"|(?P<literal>\[[^\[\]\\\r\n]*\])"
    rb"|(?P<atom>[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\xff-]+)"
    rb"|(?P<special>[<>,;:@.])",
    re.DOTALL,
)
_COMMENT_PART = re.compile(rb"[^()\\]+|\\.|[()]", re.DOTALL)
_LINE_END = re.compile(rb"[ \t]*(?:\r\n|\Z)")
_FOLD = b"\r\n\t"


class Unreadable(ValueError):
    """
    A field is not what RFC 5322 3.4 says.
    """


@dataclass(frozen=True, slots=True)
class Mailbox:
    """
    An address in a field.

    @ivar start: Where it begins in the field's value.
    @ivar end: Where it ends.
    @ivar address: It, without what may stand between its parts; without a
        domain where it has none.
    """

    start: int
    end: int
    address: str


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    start: int
    end: int
    text: bytes

    @property
    def isWord(self) -> bool:
        return self.kind in ("atom", "quoted")


@dataclass(frozen=True, slots=True)
class _Found:
    mailboxes: list[Mailbox]
    commas: list[int]


def mailboxes(value: bytes) -> list[Mailbox]:
    """
    Find the addresses of a field.

    @param value: What follows the colon, folded or not.

    @raise Unreadable: When it cannot be read.
    """
    return _find(value).mailboxes


def change(value: bytes, how: Callable[[str], str]) -> bytes:
    """
    Change the addresses of a field.

    @param value: What follows the colon, folded or not.
    @param how: Gives for an address, which may be without a domain, the one to
        stand in its place: printable ASCII without line ends.

    @return: The value with these; itself where it cannot be read, or the lines
        would be too long however they are folded.
    """
    try:
        found = _find(value)
    except Unreadable:
        return value
    edits = []
    for mailbox in found.mailboxes:
        if not mailbox.address.isascii():
            continue
        other = how(mailbox.address)
        if other != mailbox.address:
            edits.append((mailbox.start, mailbox.end, other.encode("ascii")))
    if not edits:
        return value
    changed = _edited(value, edits)
    if _isTooLong(changed):
        edits += [(comma, comma, _FOLD) for comma in found.commas]
        changed = _edited(value, sorted(edits))
    return value if _isTooLong(changed) else changed


def _edited(value: bytes, edits: Sequence[tuple[int, int, bytes]]) -> bytes:
    parts, last = [], 0
    for start, end, text in edits:
        parts += [value[last:start], text]
        last = end
    return b"".join([*parts, value[last:]])


def _isTooLong(value: bytes) -> bool:
    # The longest name of a field whose addresses are changed has 8 letters.
    return any(len(line) > MAX_LINE - 10 for line in value.split(b"\r\n"))


def _find(value: bytes) -> _Found:
    """
    Read a list of addresses, some of them in groups.
    """
    found = _Found([], [])
    tokens = iter(_tokens(value))
    pending: list[_Token] = []
    isClosed = inGroup = False
    for token in tokens:
        if token.text == b"<":
            if isClosed:
                raise Unreadable("a second address without a comma")
            _phrase(pending)
            found.mailboxes.extend(_angle(_until(b">", tokens)))
            pending, isClosed = [], True
        elif token.text in (b",", b";"):
            found.mailboxes.extend(_bare(pending))
            pending, isClosed = [], token.text == b";"
            if isClosed and not inGroup:
                raise Unreadable("the end of no group")
            inGroup = inGroup and not isClosed
            if not isClosed and not _LINE_END.match(value, token.end):
                found.commas.append(token.end)
        elif token.text == b":":
            if inGroup or isClosed or not pending:
                raise Unreadable("a colon that begins no group")
            _phrase(pending)
            pending, inGroup = [], True
        elif isClosed:
            raise Unreadable("something behind an address")
        else:
            pending.append(token)
    found.mailboxes.extend(_bare(pending))
    if inGroup:
        raise Unreadable("a group without an end")
    return found


def _tokens(value: bytes) -> list[_Token]:
    """
    Cut a value up; what means nothing, space and comments, is left out.
    """
    if len(value) > MAX_FIELD:
        raise Unreadable("too long")
    found, at = [], 0
    while at < len(value):
        if value[at : at + 1] == b"(":
            at = _endOfComment(value, at)
            continue
        match = _TOKEN.match(value, at)
        if match is None:
            raise Unreadable(f"what stands at {at} is no part of an address")
        kind = str(match.lastgroup)
        if kind != "space":
            found.append(_Token(kind, at, match.end(), match[0]))
        at = match.end()
    return found


def _endOfComment(value: bytes, at: int) -> int:
    depth = 0
    while True:
        part = _COMMENT_PART.match(value, at)
        if part is None:
            raise Unreadable("a comment without an end")
        depth += {b"(": 1, b")": -1}.get(part[0], 0)
        at = part.end()
        if not depth:
            return at


def _until(end: bytes, tokens: Iterator[_Token]) -> list[_Token]:
    inner: list[_Token] = []
    for token in tokens:
        if token.text == end:
            return inner
        inner.append(token)
    raise Unreadable("an angle bracket without an end")


def _phrase(tokens: Sequence[_Token]) -> None:
    # A dot in a name is old syntax (RFC 5322 4.1), and common.
    if not all(token.isWord or token.text == b"." for token in tokens):
        raise Unreadable("a name that is none")


def _angle(inner: list[_Token]) -> list[Mailbox]:
    if inner and inner[0].text == b"@":
        # A source route (RFC 5322 4.4) means nothing any more; it stays.
        colon = next((i for i, t in enumerate(inner) if t.text == b":"), None)
        if colon is None:
            raise Unreadable("a route without an address")
        inner = inner[colon + 1 :]
    return _bare(inner)


def _bare(tokens: list[_Token]) -> list[Mailbox]:
    """
    Read an address that stands alone, or none.
    """
    if not tokens:
        return []
    at = next((i for i, t in enumerate(tokens) if t.text == b"@"), len(tokens))
    local, domain = tokens[:at], tokens[at + 1 :]
    if not _isDotted(local, "atom", "quoted"):
        raise Unreadable("a local part that is none")
    isLiteral = len(domain) == 1 and domain[0].kind == "literal"
    if at < len(tokens) and not (isLiteral or _isDotted(domain, "atom")):
        raise Unreadable("a domain that is none")
    text = b"".join(token.text for token in tokens)
    address = text.decode("utf-8", "surrogateescape")
    return [Mailbox(tokens[0].start, tokens[-1].end, address)]


def _isDotted(tokens: Sequence[_Token], *kinds: str) -> bool:
    return (
        len(tokens) % 2 == 1
        and all(token.kind in kinds for token in tokens[::2])
        and all(token.text == b"." for token in tokens[1::2])
    )
