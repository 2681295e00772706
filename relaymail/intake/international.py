# -*- test-case-name: relaymail.test.intake.test_international -*-
"""
Whether a message needs SMTPUTF8 (RFC 6531 3.6), or its client only said so: what
does not need it can go to every host.
"""

from __future__ import annotations

import re
from dataclasses import replace

from relaymail.envelopes import Envelope
from relaymail.headers import splitHeader

# The content has parts, and their headers may be UTF-8 (RFC 6532 3.2).
_COMPOSITE = re.compile(
    rb"^content-type[ \t]*:(?:\s|\([^()]*\))*(?:multipart|message)[ \t]*/",
    re.IGNORECASE | re.MULTILINE,
)


class Utf8Need:
    """
    Looks at one message while it comes in.
    """

    def __init__(self) -> None:
        self._isHeaderASCII = True
        self._isComposite = False
        self._isASCII = True

    def look(self, piece: bytes) -> None:
        """
        Look at the next octets of the content.
        """
        self._isASCII = self._isASCII and piece.isascii()

    def lookAtHeader(self, head: bytes) -> None:
        """
        Look at the begin of the content, which holds its header.
        """
        header, _ = splitHeader(head)
        self._isHeaderASCII = header.isascii()
        self._isComposite = _COMPOSITE.search(header) is not None

    def settled(self, envelope: Envelope) -> Envelope:
        """
        Give the envelope with what is true of it.
        """
        if self._isNeeded(envelope):
            return envelope
        return replace(envelope, parameters=replace(envelope.parameters, utf8=False))

    def _isNeeded(self, envelope: Envelope) -> bool:
        if not self._isHeaderASCII or (self._isComposite and not self._isASCII):
            return True
        return not all(map(str.isascii, (envelope.sender, *envelope.recipients)))
