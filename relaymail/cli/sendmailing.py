# -*- test-case-name: relaymail.test.cli.test_sendmailing -*-
"""
What the sendmail command is told, and the message it makes of what it reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from email.utils import formataddr, parseaddr
from typing import IO

from relaymail.addresses import checkAddress
from relaymail.cli.giving import DATA, NO_USER, USAGE, NotGiven
from relaymail.errors import MalformedAddress
from relaymail.headers import splitHeader
from relaymail.machines import Machines
from relaymail.machines.fields import Unreadable, mailboxes
from relaymail.replies import printable

#: The most recipients of one message, as everywhere.
MAX_RECIPIENTS = 10_000
#: The longest name of a person, in characters: what fits a line.
MAX_NAME = 100

_TAKE_VALUE = frozenset("ABCFLNORVXbefhopr")
_MAY_HAVE_VALUE = frozenset("dq")
_FLAGS = frozenset("GIUcimnstvx")
_FIELD = re.compile(rb"[^\r\n]*(?:\r\n[ \t][^\r\n]*)*(?:\r\n|\Z)")
_RECIPIENTS = (b"to", b"cc", b"bcc")
_HIDDEN = frozenset({b"bcc", b"resent-bcc"})


@dataclass(slots=True)
class Told:
    """
    What the command line says.

    @ivar mode: What is to be done: C{m} send, C{s} speak SMTP, C{p} list the
        queue, C{i} nothing.
    @ivar sender: The reverse-path; L{None}: the user.
    @ivar name: The user's full name, or empty.
    @ivar ignoreDots: Whether a dot alone on a line is content.
    @ivar fromHeader: Whether the recipients stand in the header.
    @ivar recipients: Those of the command line.
    """

    mode: str = "m"
    sender: str | None = None
    name: str = ""
    ignoreDots: bool = False
    fromHeader: bool = False
    recipients: list[str] = field(default_factory=list)


def parse(arguments: Sequence[str]) -> Told:
    """
    Read a command line.  Options that mean nothing here are taken and let go, so
    that programs that give them work.

    @raise NotGiven: When there is an option that nobody knows, or that asks for
        what cannot be done.
    """
    told = Told()
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            told.recipients += rest
        elif len(argument) > 1 and argument.startswith("-"):
            _cluster(told, argument[1:], rest)
        else:
            told.recipients.append(argument)
    return told


def _cluster(told: Told, letters: str, rest: Iterator[str]) -> None:
    """
    Read letters that stand together; the first with a value ends them.
    """
    for at, letter in enumerate(letters):
        attached = letters[at + 1 :]
        if letter in _TAKE_VALUE:
            value = attached or next(rest, None)
            if value is None:
                raise NotGiven(USAGE, f"-{letter} needs a value")
            _valued(told, letter, value)
            return
        if letter in _MAY_HAVE_VALUE:
            told.mode = "i" if letter == "q" else told.mode
            return
        if letter not in _FLAGS:
            raise NotGiven(USAGE, f"-{letters} is not known here (at {letter!r})")
        told.ignoreDots |= letter == "i"
        told.fromHeader |= letter == "t"
        if letter == "I":
            told.mode = "i"


def _valued(told: Told, letter: str, value: str) -> None:
    if letter in "fr":
        told.sender = value
    elif letter == "F":
        told.name = value
    elif letter == "o":
        told.ignoreDots |= value.startswith("i")
    elif letter == "b":
        if value not in ("m", "s", "p", "i"):
            raise NotGiven(
                USAGE,
                f"-b{value} cannot be done here; -bm, -bs, -bp and -bi can. The relay "
                "itself is started with relaymail serve",
            )
        told.mode = value


def readMessage(stream: IO[bytes], limit: int, *, ignoreDots: bool) -> bytes:
    """
    Read a message up to its end, or to a dot alone on a line.

    @param limit: The largest message, in octets; 0 for any.
    @param ignoreDots: Whether such a dot is content.

    @raise NotGiven: When it is larger than that.
    """
    pieces, size, isStart = [], 0, True
    while piece := stream.readline(65_536):
        if isStart and not ignoreDots and piece in (b".\n", b".\r\n", b"."):
            break
        isStart = piece.endswith(b"\n")
        pieces.append(piece)
        size += len(piece)
        if limit and size > limit:
            raise NotGiven(
                DATA, f"the message is larger than {limit} octets, the most taken here"
            )
    if pieces and pieces[0].startswith((b"From ", b">From ")):
        # What stands on top of a message in a mailbox file is none of it.
        del pieces[0]
    return b"".join(pieces)


def addressesIn(text: str | bytes, what: str) -> list[str]:
    """
    Read a list of addresses, with or without names.

    @param what: What they are, for errors.

    @raise NotGiven: When it cannot be read.
    """
    value = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
    try:
        return [mailbox.address for mailbox in mailboxes(value)]
    except Unreadable as e:
        shown = printable(value, 80)
        raise NotGiven(DATA, f"{what}, {shown!r}, cannot be read: {e}") from e


def recipientsIn(header: bytes) -> list[str]:
    """
    Read the recipients of a header: those it was resent to, where there are such
    (RFC 5322 3.6.6), else those of To, Cc and Bcc.

    @raise NotGiven: When one of these fields cannot be read.
    """
    fields = [
        (name, value) for name, value in _fields(header) if name.endswith(_RECIPIENTS)
    ]
    resent = [(n, v) for n, v in fields if n in {b"resent-" + r for r in _RECIPIENTS}]
    found = resent or [(n, v) for n, v in fields if n in _RECIPIENTS]
    return [
        address
        for name, value in found
        for address in addressesIn(value, f"the field {name.decode('ascii').title()}")
    ]


def withoutBcc(header: bytes) -> bytes:
    """
    Take the fields out of a header that nobody is to see (RFC 5322 3.6.3).
    """
    return b"".join(
        match[0]
        for match in _FIELD.finditer(header)
        if _nameOf(match[0]) not in _HIDDEN
    )


def checkRecipients(told: Told) -> None:
    """
    See that a command line says who a message is for.

    @raise NotGiven: When it does not.
    """
    if not (told.recipients or told.fromHeader):
        raise NotGiven(
            USAGE, "there is no recipient; name one, or give -t and a To field"
        )


def readRecipients(told: Told, content: bytes, machines: Machines) -> tuple[str, ...]:
    """
    Give the recipients that a command line, and a header where it says so, name.

    @param content: The message, every line with CRLF.

    @raise NotGiven: When there is none, or one cannot be written to.
    """
    found = [
        address
        for argument in told.recipients
        for address in addressesIn(argument, "the recipient")
    ]
    if told.fromHeader:
        found += recipientsIn(splitHeader(content)[0])
    if not found:
        raise NotGiven(DATA, "the header names no recipient in To, Cc or Bcc")
    whole = tuple(dict.fromkeys(_whole(address, machines) for address in found))
    if len(whole) > MAX_RECIPIENTS:
        raise NotGiven(DATA, f"there are more than {MAX_RECIPIENTS} recipients")
    return whole


def readSender(sender: str | None, user: str, machines: Machines) -> str:
    """
    Give the reverse-path.

    @param sender: What the command line says; L{None}: nothing.
    @param user: The user's name.

    @raise NotGiven: When it is no address.
    """
    found = addressesIn(user if sender is None else sender, "the sender")
    if len(found) > 1:
        raise NotGiven(DATA, f"there are {len(found)} senders")
    if not found:
        return ""
    try:
        return ownAddress(found[0], machines)
    except MalformedAddress as e:
        raise NotGiven(DATA, f"the sender: {e}") from e


def ownAddress(address: str, machines: Machines) -> str:
    """
    Give an address its domain: the origin, or this host where there is none.

    @raise MalformedAddress: When it is none.
    """
    if "@" in address or machines.origin:
        return machines.qualify(address)
    return checkAddress(f"{address}@{machines.hostname}")


def author(name: str, address: str) -> str:
    """
    Give the value of a From field.

    @param name: The full name of a person, or empty.
    """
    plain = printable(name, MAX_NAME).replace("…", "")
    try:
        return formataddr((plain, address))
    except UnicodeError:
        return address


def nameIn(text: str) -> str:
    """
    Give the name of a person that stands before an address, or nothing.
    """
    return parseaddr(text)[0]


def _whole(address: str, machines: Machines) -> str:
    try:
        return machines.qualify(address)
    except MalformedAddress as e:
        raise NotGiven(DATA if "@" in address else NO_USER, str(e)) from e


def _fields(header: bytes) -> list[tuple[bytes, bytes]]:
    found = []
    for match in _FIELD.finditer(header):
        _, colon, value = match[0].partition(b":")
        if colon:
            found.append((_nameOf(match[0]), value.removesuffix(b"\r\n")))
    return found


def _nameOf(text: bytes) -> bytes:
    return text.partition(b":")[0].rstrip(b" \t").lower()
