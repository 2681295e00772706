# -*- test-case-name: relaymail.test.dialogue.test_extensions -*-
"""
What a server said it can do, in its reply to EHLO (RFC 5321 4.1.1.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from relaymail.replies import Reply

#: The most digits of a number that a server says; more is no limit to keep to.
_MAX_DIGITS = 9
#: The same for a size (RFC 1870 4).
_MAX_SIZE_DIGITS = 20


@dataclass(frozen=True, slots=True)
class Limits:
    """
    What a server bears in one session (RFC 9422 4).

    @ivar recipients: The most recipients of one transaction; 0 where it did not
        say.
    @ivar transactions: The most transactions of one session; 0 likewise.
    @ivar domains: The most domains of recipients of one transaction; 0 likewise.
    """

    recipients: int = 0
    transactions: int = 0
    domains: int = 0


#: The server did not say.
NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Extensions:
    """
    The keywords of an EHLO reply.

    @ivar keywords: Keyword, in upper case, to the text behind it.
    @ivar sizeLimit: The largest message the server takes, in bytes (RFC 1870 4); 0
        where it did not say.
    """

    keywords: Mapping[bytes, bytes] = field(
        default_factory=lambda: MappingProxyType({})
    )
    sizeLimit: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        """
        Read what is asked for with every message.
        """
        text = self.keywords.get(b"SIZE", b"")
        limit = int(text) if text.isdigit() and len(text) <= _MAX_SIZE_DIGITS else 0
        object.__setattr__(self, "sizeLimit", limit)

    def __contains__(self, keyword: bytes) -> bool:
        return keyword in self.keywords

    @property
    def mechanisms(self) -> tuple[bytes, ...]:
        """
        The SASL mechanisms offered (RFC 4954 3), in the server's order.
        """
        return tuple(self.keywords.get(b"AUTH", b"").upper().split())

    @property
    def leastTime(self) -> int:
        """
        The shortest time in which the server promises to deliver or to return a
        message, in seconds (RFC 2852 3); 0 where it did not say.
        """
        return _number(self.keywords.get(b"DELIVERBY", b""))

    @property
    def limits(self) -> Limits:
        """
        What the server bears; what is not understood of it, or is no number
        above 0, counts as not said.
        """
        said = self.keywords.get(b"LIMITS")
        if said is None:
            return NO_LIMITS
        pairs = [word.upper().partition(b"=") for word in said.split()]
        found = {name: _number(value) for name, _, value in pairs}
        return Limits(
            found.get(b"RCPTMAX", 0),
            found.get(b"MAILMAX", 0),
            found.get(b"RCPTDOMAINMAX", 0),
        )


#: What a peer that was only told HELO can do.
NO_EXTENSIONS = Extensions()


def parseExtensions(reply: Reply) -> Extensions:
    """
    Read the reply to EHLO.  Its first line greets and is left out; a keyword
    counts in any case, and C{AUTH=LOGIN}, an old way to write it, counts as
    C{AUTH LOGIN}.
    """
    keywords: dict[bytes, bytes] = {}
    for line in reply.lines[1:]:
        keyword, _, text = line.strip().partition(b" ")
        keyword = keyword.upper()
        if keyword.startswith(b"AUTH="):
            keyword, text = b"AUTH", keyword[5:] + b" " + text
        if keyword == b"AUTH" and keyword in keywords:
            text = keywords[keyword] + b" " + text
        if keyword:
            keywords[keyword] = text.strip()
    return Extensions(MappingProxyType(keywords))


def _number(text: bytes) -> int:
    return int(text) if text.isdigit() and len(text) <= _MAX_DIGITS else 0
