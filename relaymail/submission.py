# -*- test-case-name: relaymail.test.test_submission -*-
"""
From what a program gives to what the queue takes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from email.message import Message
from itertools import islice

from relaymail.addresses import addressText, checkAddress
from relaymail.envelopes import Envelope, Parameters
from relaymail.errors import MalformedAddress, MalformedMessage
from relaymail.headers import headerOf, isTLSOptional
from relaymail.machines import Machines

#: A message: with its header, and with any line ends.
Content = bytes | str | Message

#: The most recipients of one message: a program that has more has a list, and
#: each of them is a name in memory and on the disk.
MAX_RECIPIENTS = 10_000

_LINE_END = re.compile(rb"\r\n|\r|\n")
# One that does not fold a field (RFC 5322 2.2.3).
_NEXT_FIELD = re.compile(rb"(?:\r\n|\r(?!\n)|\n)(?![ \t])")


def compose(
    sender: bytes | str | None,
    recipients: bytes | str | Iterable[bytes | str],
    content: Content,
    machines: Machines | None = None,
    at: float = 0.0,
    token: str = "",
) -> tuple[Envelope, bytes]:
    """
    Check a message, and put it into the form the queue takes.

    @param sender: The reverse-path, empty or L{None} for none.
    @param recipients: One address or several.
    @param content: The message.
    @param machines: What is put in where it is missing, and what names stand
        for; L{None}: nothing, and they are what they say.
    @param at: When the message was given, in seconds of the epoch, for its Date.
    @param token: What tells it from all others, letters and digits, for its
        Message-ID.

    @return: The envelope, each recipient once in the order they were given, and
        the content with canonical line ends.

    @raise MalformedAddress: When an address cannot be written to, or there is
        none to write to.
    @raise MalformedMessage: When the content is no message.
    """
    paths = _several(recipients)
    data = canonical(content)
    if machines is None:
        reversePath = checkAddress(sender) if sender else ""
        forwardPaths = tuple(dict.fromkeys(map(checkAddress, paths)))
    else:
        whole = machines.qualify(addressText(sender)) if sender else ""
        reversePath = machines.rewriteSender(whole)
        forwardPaths = machines.resolve(map(addressText, paths))
        data = machines.complete(data, at, token)
    _checkCount(len(forwardPaths))
    body = "" if data.isascii() else "8BITMIME"
    said = Parameters(body, tlsOptional=isTLSOptional(headerOf(data)))
    return Envelope(reversePath, forwardPaths, said), data


def _several(recipients: bytes | str | Iterable[bytes | str]) -> list[bytes | str]:
    if isinstance(recipients, bytes | str):
        return [recipients]
    if not isinstance(recipients, Iterable):
        raise MalformedAddress(
            f"the recipients are one address or several, not "
            f"{type(recipients).__name__}; nothing was queued"
        )
    # One more is enough to know that they are too many.
    paths = list(islice(recipients, MAX_RECIPIENTS + 1))
    _checkCount(len(paths))
    return paths


def _checkCount(count: int) -> None:
    if not 1 <= count <= MAX_RECIPIENTS:
        many = str(count) if count <= MAX_RECIPIENTS else "more"
        raise MalformedAddress(
            f"a message needs 1 to {MAX_RECIPIENTS} recipients, not {many}; "
            "nothing was queued"
        )


def canonical(content: Content) -> bytes:
    """
    Give a message as bytes whose every line ends in CRLF, the last one too.

    @raise MalformedMessage: When it is no message.
    """
    if isinstance(content, Message):
        content = _written(content)
    if isinstance(content, str):
        try:
            content = content.encode("utf-8")
        except UnicodeEncodeError as e:
            raise MalformedMessage(
                f"the message holds what UTF-8 cannot: {e.reason}; nothing was queued"
            ) from e
    if not isinstance(content, bytes):
        raise MalformedMessage(
            f"a message is bytes, str or an EmailMessage, not "
            f"{type(content).__name__}; nothing was queued"
        )
    data = _LINE_END.sub(b"\r\n", content)
    return data if data.endswith(b"\r\n") else data + b"\r\n"


def _written(message: Message) -> bytes:
    """
    Write a message of the standard library out.

    @raise MalformedMessage: When it holds what cannot be written.
    """
    try:
        if any(map(_breaksOut, message.walk())):
            raise ValueError("a field holds a line end that begins another field")
        return message.as_bytes()
    except Exception as e:
        # It raises what its parts raise.
        raise MalformedMessage(
            f"the message cannot be written out ({type(e).__name__}: {e}); "
            "nothing was queued"
        ) from e


def _breaksOut(part: Message) -> bool:
    """
    Tell whether a field is written as more than one: what is encoded in it (RFC
    2047) is decoded when it is folded, and not every version of Python looks at
    what comes out of that.
    """
    policy = part.policy
    end = policy.linesep.encode("ascii")
    return any(
        _NEXT_FIELD.search(policy.fold_binary(name, value).removesuffix(end))
        for name, value in part.raw_items()
    )
