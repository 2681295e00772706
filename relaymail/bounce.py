# -*- test-case-name: relaymail.test.test_bounce -*-
"""
Bounce messages the way Twisted's documented C{twisted.mail.bounce} gives them,
for the apps that call it.  The relay's own are
L{relaymail.outcome.notices}.
"""

from __future__ import annotations

from email.utils import formatdate
from socket import gethostname
from typing import IO
from uuid import uuid4

from relaymail.replies import printable

__all__ = ["BOUNCE_FORMAT", "generateBounce"]

#: What stands before the original message; looked up when called.
BOUNCE_FORMAT = """\
From: postmaster@{failedDomain}
To: {failedFrom}
Subject: Returned Mail: see transcript for details
Message-ID: {messageID}
Content-Type: multipart/report; report-type=delivery-status;
    boundary="{boundary}"

--{boundary}

{transcript}

--{boundary}
Content-Type: message/delivery-status
Arrival-Date: {ctime}
Final-Recipient: RFC822; {failedTo}
"""

_TRANSCRIPT = """\
Your message could not be delivered to {failedTo}.
The failure is permanent, and it will not be tried again.
"""

#: How much of the original is read at once, in bytes or characters.
_CHUNK = 65536


def generateBounce(
    message: IO[bytes] | IO[str],
    failedFrom: bytes | str,
    failedTo: bytes | str,
    transcript: bytes | str = "",
    encoding: str = "utf-8",
) -> tuple[bytes, bytes, bytes]:
    """
    Make a bounce message for a message that could not be delivered.

    Bytes that are not of C{encoding} come out as they went in.  Addresses
    stand in the bounce as one bounded, printable line each.

    @param message: The message, a binary or text file, read from where it
        stands to its end.
    @param failedFrom: Who sent it.
    @param failedTo: Who did not get it.
    @param transcript: What happened, in words.
    @param encoding: The encoding of text, in and out.

    @return: The sender of the bounce, which is the null one, its recipient
        and its content.
    """
    sender = _asText(failedFrom, encoding)
    recipient = _oneLine(_asText(failedTo, encoding))
    domain = _domainOf(recipient)
    unique = uuid4().hex
    head = BOUNCE_FORMAT.format(
        boundary=f"=_{unique}",
        ctime=formatdate(),
        failedAddress=_addressOf(recipient),
        failedDomain=domain,
        failedFrom=_oneLine(sender),
        failedTo=recipient,
        message=message,
        messageID=f"<{unique}.bounce@{gethostname()}>",
        transcript=_asText(transcript, encoding)
        or _TRANSCRIPT.format(failedTo=recipient),
    )
    content = bytearray(_asBytes(head, encoding))
    while chunk := message.read(_CHUNK):
        content += _asBytes(chunk, encoding)
    return b"", _asBytes(sender, encoding), bytes(content)


def _addressOf(recipient: str) -> str:
    _, opened, rest = recipient.rpartition("<")
    return rest.partition(">")[0] if opened else recipient


def _domainOf(recipient: str) -> str:
    # Without a domain the whole stands for it: better than no bounce.
    address = _addressOf(recipient)
    return address.rpartition("@")[2] or address


def _oneLine(text: str) -> str:
    # Undecodable bytes are no printable characters; here they become spaces.
    return printable(text)


def _asText(text: bytes | str, encoding: str) -> str:
    return text if isinstance(text, str) else text.decode(encoding, "surrogateescape")


def _asBytes(text: bytes | str, encoding: str) -> bytes:
    return text if isinstance(text, bytes) else text.encode(encoding, "surrogateescape")
