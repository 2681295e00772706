# -*- test-case-name: relaymail.test.dialogue.sasl.test_preparing -*-
"""
Names and passwords, so prepared that they are the same however they were typed:
SASLprep (RFC 4013).
"""

from __future__ import annotations

import stringprep
from unicodedata import ucd_3_2_0 as unicode

from relaymail.dialogue.sasl.errors import UnusableSecret

#: What must not be there after the mapping (RFC 4013 2.3).
_PROHIBITED = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def saslprep(text: str, *, isStored: bool = False) -> str:
    """
    Prepare a name or a password.

    @param isStored: Whether it is kept: it then has no character that Unicode 3.2
        does not know, for what that is the same as may change (RFC 4013 2.5).

    @raise UnusableSecret: When it has a character that it must not have, or mixes
        directions of writing, or nothing is left of it.
    """
    if not (text.isascii() and text.isprintable()):
        text = _mapped(text)
        _check(text, isStored)
    if not text:
        raise UnusableSecret("it is empty (RFC 4013 2.3)")
    return text


def prepared(secret: bytes, *, isStored: bool = False) -> bytes:
    """
    Prepare a name or a password that is UTF-8.

    @param isStored: See L{saslprep}.

    @raise UnusableSecret: When it cannot be, or is no UTF-8.
    """
    try:
        text = secret.decode("utf-8")
    except UnicodeDecodeError:
        # The error itself would have the secret in it.
        raise UnusableSecret("it is no UTF-8") from None
    return saslprep(text, isStored=isStored).encode("utf-8")


def _mapped(text: str) -> str:
    """
    Map (RFC 4013 2.1) and normalise (RFC 4013 2.2).
    """
    mapped = "".join(
        " " if stringprep.in_table_c12(each) else each
        for each in text
        if not stringprep.in_table_b1(each)
    )
    return unicode.normalize("NFKC", mapped)


def _check(text: str, isStored: bool) -> None:
    if any(isIn(each) for each in text for isIn in _PROHIBITED):
        raise UnusableSecret("it has a character that it must not have (RFC 4013 2.3)")
    if isStored and any(stringprep.in_table_a1(each) for each in text):
        raise UnusableSecret("it has a character that is too new (RFC 4013 2.5)")
    if any(stringprep.in_table_d1(each) for each in text):
        # From right to left (RFC 3454 6).
        edges = stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])
        if not edges or any(stringprep.in_table_d2(each) for each in text):
            raise UnusableSecret("it mixes directions of writing (RFC 3454 6)")
