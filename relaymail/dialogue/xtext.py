# -*- test-case-name: relaymail.test.dialogue.test_xtext -*-
"""
Text inside parameters of commands: xtext (RFC 3461 4), and the address forms of
internationalised mail (RFC 6533 3).
"""

from __future__ import annotations

import re

_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*\Z")
_HEX = re.compile(r"\+([0-9A-F]{2})")
_PLAIN = re.compile(rb"[!-*,-<>-~]")
_UNITEXT = re.compile(r"\\x\{([0-9A-F]{2,6})\}|\+([0-9A-F]{2})")
_UTF8_XTEXT = re.compile(
    r"(?:[!-*,-<>-\[\]-~]|[^\x00-\x7f]|\\x\{[0-9A-F]{2,6}\}|\+[0-9A-F]{2})*\Z"
)


def encodeXtext(text: str) -> bytes:
    """
    Encode text, its UTF-8 where it is not ASCII.
    """
    return b"".join(
        bytes((octet,)) if _PLAIN.match(bytes((octet,))) else b"+%02X" % octet
        for octet in text.encode("utf-8")
    )


def decodeXtext(text: str) -> str:
    """
    Decode xtext.

    @raise ValueError: When it is none, or what it stands for is no UTF-8.
    """
    if not _XTEXT.match(text):
        raise ValueError("not xtext (RFC 3461 4)")
    octets = _HEX.sub(lambda found: chr(int(found[1], 16)), text)
    return octets.encode("latin-1").decode("utf-8")


def encodeUnitext(text: str) -> bytes:
    """
    Encode an address for a parameter that must be ASCII: utf-8-addr-xtext (RFC
    6533 3).
    """
    return "".join(
        character
        if "!" <= character <= "~" and character not in "+=\\"
        else f"\\x{{{ord(character):02X}}}"
        for character in text
    ).encode("ascii")


def decodeUnitext(text: str) -> str:
    """
    Decode an address in one of the forms of RFC 6533 3.

    @raise ValueError: When it is in none of them.
    """
    if not _UTF8_XTEXT.match(text):
        raise ValueError("not an address of RFC 6533 3")
    # In one go: what stands for a plus sign begins nothing.
    return _UNITEXT.sub(lambda found: chr(int(found[1] or found[2], 16)), text)
