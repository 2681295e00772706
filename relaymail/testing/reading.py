# -*- test-case-name: relaymail.test.testing.test_ledger -*-
"""
What messages are known by, and what notices say.
"""

from __future__ import annotations

import re
from email import message_from_bytes
from hashlib import blake2b

_TRACE = re.compile(rb"Received:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*", re.IGNORECASE)
_BOUNDARY = re.compile(rb'boundary="([^"]+)"')
_RECIPIENT = re.compile(
    rb"^Final-Recipient: (?:rfc822|utf-8);\s*(\S+)\nAction: (\w+)$", re.MULTILINE
)
_FOLD = re.compile(rb"\r\n[ \t]+")
_ENCODED = re.compile(
    rb"^content-transfer-encoding:[ \t]*(?:base64|quoted-printable)",
    re.MULTILINE | re.IGNORECASE,
)
_REDACTED = re.compile(rb"^    Message-ID: (<[^>\r\n]*>)?", re.MULTILINE)
_ID = re.compile(rb"^message-id:[ \t]*(<[^>\r\n]*>)", re.MULTILINE | re.IGNORECASE)


def identify(content: bytes) -> str:
    """
    Give a short name for a message: equal for equal contents, whatever trace
    fields are before them.

    @param content: The message, canonical CRLF.
    """
    return blake2b(withoutTrace(content), digest_size=5).hexdigest()


def identifyHeader(content: bytes) -> str:
    """
    Give a short name for the header of a message.

    @param content: The message or its header, canonical CRLF.
    """
    header = withoutTrace(content).partition(b"\r\n\r\n")[0]
    return blake2b(header.rstrip(b"\r\n"), digest_size=5).hexdigest()


def isNotice(content: bytes) -> bool:
    """
    Tell whether a message is a notice (RFC 3464).

    @param content: The message, canonical CRLF.
    """
    return bool(_partsOf(content))


def readRedacted(content: bytes) -> bytes | None:
    """
    Read what takes the place of a notice that may go over TLS only, and cannot (RFC
    8689 5).

    @param content: The message, canonical CRLF.

    @return: What the message is called that it is about, empty where it does not say
        so; L{None} for any other message.
    """
    header, _, body = withoutTrace(content).partition(b"\r\n\r\n")
    if not header.startswith(b"From: MAILER-DAEMON@") or b"multipart/" in header:
        return None
    found = _REDACTED.search(body)
    return None if found is None else found[1] or b""


def readNotice(content: bytes) -> tuple[list[str], bytes]:
    """
    Read a notice (RFC 3464).

    @param content: The message, canonical CRLF.

    @return: The recipients of which it says that the message failed, none where it
        is no notice, and what it gives back of the message.
    """
    told, original = readNews(content)
    return [recipient for recipient, action in told if action == "failed"], original


def readNews(content: bytes) -> tuple[list[tuple[str, str]], bytes]:
    """
    Read all of what a notice says (RFC 3464).

    @param content: The message, canonical CRLF.

    @return: Each recipient, with what became of the message for him, none where it
        is no notice, and what it gives back of the message.
    """
    parts = _partsOf(content)
    if not parts:
        return [], b""
    report = _FOLD.sub(b" ", decoded(parts[2].lstrip())).replace(b"\r\n", b"\n")
    told = [
        (recipient.decode("utf-8"), action.decode("ascii"))
        for recipient, action in _RECIPIENT.findall(report)
    ]
    return told, decoded(parts[3].lstrip())


def messageID(content: bytes) -> bytes:
    """
    Give what a message is called in its header, or nothing.

    @param content: The message or its header, canonical CRLF.
    """
    found = _ID.search(content.partition(b"\r\n\r\n")[0])
    return b"" if found is None else found[1]


def decoded(content: bytes) -> bytes:
    """
    Give the body of a message or a part as it was before it was encoded.

    @param content: It, with its header, canonical CRLF.
    """
    header, _, body = content.partition(b"\r\n\r\n")
    if not _ENCODED.search(header):
        return body
    plain = message_from_bytes(header + b"\r\n\r\n")
    encoding = plain["Content-Transfer-Encoding"]
    head = f"Content-Transfer-Encoding: {encoding}\r\n\r\n".encode("ascii")
    decoded = message_from_bytes(head + body).get_payload(decode=True)
    return decoded if isinstance(decoded, bytes) else b""


def _partsOf(content: bytes) -> list[bytes]:
    header = content.partition(b"\r\n\r\n")[0]
    boundary = _BOUNDARY.search(header)
    if boundary is None or b"multipart/report" not in header:
        return []
    parts = content.split(b"\r\n--" + boundary[1])
    return parts if len(parts) >= 4 else []


def withoutTrace(content: bytes) -> bytes:
    """
    Give a message without the fields that relays have put before it.
    """
    start = 0
    while (found := _TRACE.match(content, start)) is not None:
        start = found.end()
    return content[start:]
