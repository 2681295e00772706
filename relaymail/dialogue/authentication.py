# -*- test-case-name: relaymail.test.dialogue.test_authentication -*-
"""
What is said while a client authenticates (RFC 4954 4): its side as a server reads
it, ours as it is written.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error

from relaymail.dialogue.answers import answer
from relaymail.errors import Refused

#: The longest line while a client authenticates, with its CRLF, in octets (RFC 4954
#: 4).
MAX_AUTH_LINE = 12_288

# RFC 4422 3.1.
_MECHANISM = re.compile(rb"[A-Za-z0-9_-]{1,20}\Z")

_SYNTAX = answer(501, "5.5.4", "Say AUTH with a mechanism")
_NOT_BASE64 = answer(501, "5.5.2", "A response is base64")
CANCELLED = answer(501, "5.7.0", "Authentication is cancelled")
AUTH_LINE_TOO_LONG = answer(500, "5.5.6", "The response is too long")


def parseAuth(argument: bytes) -> tuple[str, bytes | None]:
    """
    Read the argument of AUTH.

    @return: The mechanism, in capitals; and the initial response, L{None} where
        there is none.

    @raise Refused: When it cannot be read.
    """
    mechanism, _, initial = argument.partition(b" ")
    if not _MECHANISM.match(mechanism):
        raise Refused(_SYNTAX)
    name = mechanism.decode("ascii").upper()
    initial = initial.strip(b" ")
    if not initial:
        return name, None
    # An empty response, which is not the same as none.
    return name, b"" if initial == b"=" else _decoded(initial)


def parseResponse(line: bytes) -> bytes:
    """
    Read a response to a challenge.

    @param line: The line without its CRLF.

    @raise Refused: When it cancels the exchange, or is not base64.
    """
    if line == b"*":
        raise Refused(CANCELLED)
    return _decoded(line)


def challengeLine(challenge: bytes) -> bytes:
    """
    Give a challenge as it is sent.
    """
    return b"334 " + b64encode(challenge) + b"\r\n"


def _decoded(text: bytes) -> bytes:
    if len(text) > MAX_AUTH_LINE - 2:
        raise Refused(AUTH_LINE_TOO_LONG)
    try:
        return b64decode(text, validate=True)
    except Error as e:
        raise Refused(_NOT_BASE64) from e
