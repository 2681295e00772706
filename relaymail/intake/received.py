# -*- test-case-name: relaymail.test.intake.test_received -*-
"""
What the relay writes on top of a message, and the loops it sees there (RFC 5321
4.4, 6.3).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from relaymail.dialogue.answers import answer
from relaymail.envelopes import Client, Entrance
from relaymail.errors import Refused
from relaymail.headers import (
    FIELD,
    HEADER_END,
    TLS_REQUIRED,
    dateText,
    isTLSOptional,
    messageId,
)
from relaymail.replies import printable

LOOP = answer(554, "5.4.6", "Too many hops: the message goes round in a loop")
HEADER_TOO_LARGE = answer(552, "5.3.4", "The header is larger than is taken here")

# What would end or open a comment or a word of structured fields.
_UNSAFE = re.compile(r"[^A-Za-z0-9._:\[\]-]")
_MAX_HELO = 255


@dataclass(frozen=True, slots=True)
class Header:
    """
    What is known of a message's header block.

    @ivar hops: How many Received fields it has.
    @ivar hasDate: Whether there is a Date field.
    @ivar hasMessageId: Whether there is a Message-ID field.
    @ivar hasFields: Whether the content begins with a field, or with the empty
        line that ends a header without any.
    @ivar isTLSOptional: Whether it says C{TLS-Required: No} (RFC 8689 3).
    """

    hops: int
    hasDate: bool
    hasMessageId: bool
    hasFields: bool
    isTLSOptional: bool = False


@dataclass(frozen=True, slots=True)
class Stamp:
    """
    The mark that this relay puts on one message.

    @ivar client: Who it came from.
    @ivar hostname: The name of this host.
    @ivar token: What tells this message from all others, letters and digits.
    @ivar at: When it came, in seconds of the epoch.
    @ivar recipient: Its one recipient; empty where there are several, for
        none may learn of the others (RFC 5321 4.4, 7.2).
    @ivar utf8: Whether SMTPUTF8 was said of it.
    """

    client: Client
    hostname: str
    token: str
    at: float
    recipient: str = ""
    utf8: bool = False

    def fields(self, header: Header) -> bytes:
        """
        Give what is to stand before the content: the Received field, for
        clients whose mail begins here the Date and Message-ID that are missing
        (RFC 6409 8.1, 8.3), and the end of the header where the content has none.
        """
        fields = [self.received()]
        if not header.hasDate and _isSubmitting(self.client):
            fields.append(f"Date: {self._date()}\r\n")
        if not header.hasMessageId and _isSubmitting(self.client):
            name = messageId(self.at, self.token, self.hostname)
            fields.append(f"Message-ID: {name}\r\n")
        if not header.hasFields:
            fields.append("\r\n")
        return "".join(fields).encode("utf-8" if self.utf8 else "ascii", "replace")

    def received(self) -> str:
        """
        Give the Received field (RFC 5321 4.4), with its line ends.
        """
        client = self.client
        tls = f"\r\n\t(using {_safe(client.tls)})" if client.tls else ""
        whom = f"\r\n\tfor <{printable(self.recipient)}>" if self.recipient else ""
        if not (self.utf8 or whom.isascii()):
            whom = ""
        return (
            f"Received: from {_safe(client.helo) or 'unknown'}{_origin(client)}{tls}"
            f"\r\n\tby {self.hostname} with {self._protocol()} id {self.token}{whom};"
            f"\r\n\t{self._date()}\r\n"
        )

    def _protocol(self) -> str:
        # RFC 3848, RFC 6531 4.3: the S is for TLS, the A for AUTH; plain SMTP has
        # no such names.
        client = self.client
        if not client.esmtp:
            return "SMTP"
        name = "LMTP" if client.entrance is Entrance.LMTP else "ESMTP"
        if self.utf8:
            name = f"UTF8{name.removeprefix('E')}"
        return name + ("S" if client.tls else "") + ("A" if client.user else "")

    def _date(self) -> str:
        return dateText(int(self.at))


def readHeader(head: bytes, hops: int, limit: int) -> Header:
    """
    Look through a header block.

    @param head: The begin of the content: all of it, or more than C{limit}.
    @param hops: The most Received fields.
    @param limit: The largest block, in octets, with the line end before the
        empty line.

    @raise Refused: When the block is larger than that, or has too many
        Received fields.
    """
    if not head.startswith(b"\r\n") and FIELD.match(head) is None:
        return Header(hops=0, hasDate=False, hasMessageId=False, hasFields=False)
    # With a line end before it every field is found by the same search.
    block = b"\r\n" + head[: limit + 2]
    end = block.find(HEADER_END)
    if end < 0 and len(head) > limit:
        raise Refused(HEADER_TOO_LARGE)
    block = block[: end if end >= 0 else len(block)]
    names = block.lower()
    found = sum(names.count(b"\r\nreceived" + mark) for mark in (b":", b" ", b"\t"))
    if found > hops:
        raise Refused(LOOP)
    return Header(
        hops=found,
        hasDate=b"\r\ndate:" in names,
        hasMessageId=b"\r\nmessage-id:" in names,
        hasFields=True,
        # Nearly no message has it.
        isTLSOptional=TLS_REQUIRED in names and isTLSOptional(block),
    )


def _origin(client: Client) -> str:
    if not client.host:
        return ""
    tag = "IPv6:" if ":" in client.host else ""
    return f" ([{tag}{_safe(client.host)}])"


def _isSubmitting(client: Client) -> bool:
    return client.trusted or bool(client.user) or client.entrance is Entrance.SUBMISSION


def _safe(text: str) -> str:
    return _UNSAFE.sub("?", text[:_MAX_HELO])
