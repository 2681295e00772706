# -*- test-case-name: relaymail.test.test_submission -*-
"""
From what a program gives to what the queue takes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from email.message import Message

from relaymail.addresses import checkAddress
from relaymail.envelopes import Envelope, Parameters
from relaymail.errors import MalformedAddress, MalformedMessage

#: A message: with its header, and with any line ends.
Content = bytes | str | Message

#: The most recipients of one message: a program that has more has a list, and
#: each of them is a name in memory and on the disk.
MAX_RECIPIENTS = 10_000

_LINE_END = re.compile(rb"\r\n|\r|\n")


def compose(
    sender: bytes | str | None,
    recipients: bytes | str | Iterable[bytes | str],
    content: Content,
) -> tuple[Envelope, bytes]:
    """
    Check a message, and put it into the form the queue takes.

    @param sender: The reverse-path, empty or L{None} for none.
    @param recipients: One address or several.
    @param content: The message.

    @return: The envelope, and the content with canonical line ends.

    @raise MalformedAddress: When an address cannot be written to, or there is
        none to write to.
    @raise MalformedMessage: When the content is no message.
    """
    if isinstance(recipients, bytes | str):
        recipients = [recipients]
    if not isinstance(recipients, Iterable):
        raise MalformedAddress(
            f"the recipients are one address or several, not "
            f"{type(recipients).__name__}; nothing was queued"
        )
    paths = list(recipients)
    if not 1 <= len(paths) <= MAX_RECIPIENTS:
        raise MalformedAddress(
            f"a message needs 1 to {MAX_RECIPIENTS} recipients, not {len(paths)}; "
            "nothing was queued"
        )
    data = canonical(content)
    envelope = Envelope(
        sender=checkAddress(sender) if sender else "",
        recipients=tuple(checkAddress(path) for path in paths),
        parameters=Parameters("" if data.isascii() else "8BITMIME"),
    )
    return envelope, data


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
        return message.as_bytes()
    except Exception as e:
        # It raises what its parts raise.
        raise MalformedMessage(
            f"the message cannot be written out ({type(e).__name__}: {e}); "
            "nothing was queued"
        ) from e
