# -*- test-case-name: relaymail.test.route.test_tlsa -*-
"""
TLSA records (RFC 6698): what a host's certificate is to be.
"""

from __future__ import annotations

from dataclasses import dataclass

#: RFC 6698 2.1.1, 7.2: the certificate of a trust anchor, or of the host itself.
TRUST_ANCHOR, END_ENTITY = 2, 3
#: RFC 6698 2.1.2: the whole certificate, or its public key.
CERTIFICATE, PUBLIC_KEY = 0, 1
#: RFC 6698 2.1.3: the length of what stands there, in bytes, by how it is compared;
#: L{None} for any.
LENGTHS: dict[int, int | None] = {0: None, 1: 32, 2: 64}
#: The number of the type of record (RFC 6698 7.1).
TYPE = 52
#: How many records of one host are looked at: with a rollover of several keys there
#: are eight.
MAX_RECORDS = 40


@dataclass(frozen=True, slots=True, order=True)
class TLSA:
    """
    A TLSA record.

    @ivar usage: What the certificate is of (RFC 6698 2.1.1).
    @ivar selector: What of it is compared.
    @ivar matching: How it is compared.
    @ivar data: With what.
    """

    usage: int
    selector: int
    matching: int
    data: bytes

    def __str__(self) -> str:
        """
        Give it as it stands in a zone file (RFC 6698 2.2).
        """
        return f"{self.usage} {self.selector} {self.matching} {self.data.hex()}"

    @property
    def isUsable(self) -> bool:
        """
        Whether it means something between mail hosts (RFC 7672 3.1).
        """
        if self.usage not in (TRUST_ANCHOR, END_ENTITY):
            return False
        if self.selector not in (CERTIFICATE, PUBLIC_KEY):
            return False
        if self.matching not in LENGTHS or not self.data:
            return False
        length = LENGTHS[self.matching]
        return length is None or len(self.data) == length


def parseTLSA(data: bytes) -> TLSA | None:
    """
    Read the data of a record as it goes over the wire (RFC 6698 2.1).

    @return: It, or L{None} where it is too short to be one.
    """
    return TLSA(data[0], data[1], data[2], bytes(data[3:])) if len(data) > 3 else None
