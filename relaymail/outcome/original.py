# -*- test-case-name: relaymail.test.outcome.test_notices -*-
"""
The third part of a notice: the message it is about, or its header (RFC 6522 3, RFC
6533 5).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from relaymail.outcome.fields import MAX_LINE
from relaymail.outcome.news import News, Notice

#: How much of a message is given back, in bytes: enough to know it again; a
#: notice is not to be a way to send large things to people who did not ask.
MAX_ORIGINAL = 50_000

_LINE_END = re.compile(rb"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Original:
    """
    What is given back of a message.

    @ivar kind: The type of the part.
    @ivar content: Its bytes, canonical CRLF.
    @ivar isUTF8: Whether it is of internationalised mail (RFC 6532).
    """

    kind: str
    content: bytes
    isUTF8: bool


def originalOf(notice: Notice) -> Original:
    """
    Say what is given back: the whole message where its sender did not want less
    (RFC 3461 4.3), nor that it goes over TLS only (RFC 8689 5), it is short enough,
    and such that it may stand in a part unencoded (RFC 2045 2.7, 2.8); its header
    where not, and where nothing has failed.
    """
    said = notice.parameters
    text = _LINE_END.sub(b"\r\n", notice.original[: MAX_ORIGINAL + 1])
    lines = text.split(b"\r\n")
    end = lines.index(b"") if b"" in lines else len(lines)
    header = b"".join(line[:MAX_LINE] + b"\r\n" for line in lines[:end])
    isForeign = said.utf8 and not header.isascii()
    isWhole = (
        len(notice.original) <= MAX_ORIGINAL
        and b"\0" not in text
        and max(map(len, lines)) <= MAX_LINE
        and notice.news is News.FAILED
        and not (said.ret == "HDRS" or said.requireTLS)
    )
    if isWhole and (not isForeign or _asUTF8(header) == header):
        kind = "message/global" if isForeign else "message/rfc822"
        return Original(kind, text, isForeign)
    header = header.replace(b"\0", b"?")
    if not isForeign:
        return Original("text/rfc822-headers", header, False)
    return Original("message/global-headers", _asUTF8(header), True)


def _asUTF8(text: bytes) -> bytes:
    return text.decode("utf-8", "ignore").encode("utf-8")
