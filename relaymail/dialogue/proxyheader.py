# -*- test-case-name: relaymail.test.dialogue.test_proxyheader -*-
"""
What a proxy says first of the client it speaks for: the PROXY protocol, versions 1
and 2, as HAProxy's document C{proxy-protocol.txt} has it; its sections are named
here.

Rules:

  - The first octets say which version it is; what is neither is malformed at once.
  - A header has a bound, and nothing behind it is looked at.
  - What the document says that a receiver must drop is malformed, never guessed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv6Address, ip_address
from typing import NamedTuple

#: The longest header of version 1, with its CRLF, in octets (2.1).
MAX_TEXT = 107
#: The most that may stand behind the fixed part of one of version 2, in octets: the
#: addresses and what else is told of the connection, a certificate's names among it.
MAX_BINARY = 4096
#: The fixed part of a header of version 2, in octets (2.2).
_FIXED = 16

_TEXT = b"PROXY "
_BINARY = b"\r\n\r\n\x00\r\nQUIT\n"
_PORT = re.compile(rb"(?:0|[1-9][0-9]{0,4})\Z")
_MAX_PORT = 65535


class Said(Enum):
    """
    What a proxy says of a connection.
    """

    #: It speaks for a client, and says which.
    CLIENT = "client"
    #: It speaks for somebody, and does not say for whom by a network address.
    UNKNOWN = "unknown"
    #: It speaks for itself, to see that we are there.
    LOCAL = "local"


class Endpoint(NamedTuple):
    """
    One end of a connection.
    """

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Header:
    """
    What a proxy said.

    @ivar said: Of what.
    @ivar source: Where the client is, where it said so: a network address as text,
        IPv4 always as such.
    @ivar destination: Where the client has connected to, where it said so.
    """

    said: Said
    source: Endpoint | None = None
    destination: Endpoint | None = None


@dataclass(frozen=True, slots=True)
class Malformed:
    """
    What was received is no header.

    @ivar why: What is wrong, in words of our own.
    """

    why: str


_UNKNOWN = Header(Said.UNKNOWN)
_LOCAL = Header(Said.LOCAL)


class HeaderReader:
    """
    Takes what a proxy sends, in pieces that are cut anywhere, up to the end of the
    header.

    @ivar rest: What was received behind it.
    """

    __slots__ = ("_data", "rest")

    def __init__(self) -> None:
        self.rest = b""
        self._data = b""

    def feed(self, data: bytes) -> Header | Malformed | None:
        """
        Take what was received.

        @param data: The next octets; nothing may be fed after the end.

        @return: What the proxy said, what is wrong, or L{None} where more is
            needed.
        """
        self._data += data
        if _BINARY.startswith(self._data[: len(_BINARY)]):
            found = self._readBinary()
        elif _TEXT.startswith(self._data[: len(_TEXT)]):
            found = self._readText()
        else:
            found = Malformed("it does not begin as a header of version 1 or 2 does")
        if found is not None:
            self._data = b""
        return found

    def _readText(self) -> Header | Malformed | None:
        end = self._data.find(b"\r\n", 0, MAX_TEXT)
        if end < 0:
            if len(self._data) < MAX_TEXT:
                return None
            return Malformed(f"it has no line end within {MAX_TEXT} octets")
        line, self.rest = self._data[:end], self._data[end + 2 :]
        return _text(line)

    def _readBinary(self) -> Header | Malformed | None:
        data = self._data
        if len(data) > len(_BINARY) and data[12] >> 4 != 2:
            return Malformed(f"its version is {data[12] >> 4}")
        if len(data) < _FIXED:
            return None
        size = int.from_bytes(data[14:_FIXED])
        if size > MAX_BINARY:
            return Malformed(f"it has {size} octets, and at most {MAX_BINARY} are read")
        if len(data) < _FIXED + size:
            return None
        self.rest = data[_FIXED + size :]
        return _binary(data[12] & 15, data[13], data[_FIXED : _FIXED + size])


def _text(line: bytes) -> Header | Malformed:
    """
    Read a header of version 1 (2.1).
    """
    _, family, *words = line.split(b" ")
    if family == b"UNKNOWN":
        return _UNKNOWN
    if family not in (b"TCP4", b"TCP6") or len(words) != 4:
        return Malformed("it is not TCP4 or TCP6 with two addresses and two ports")
    version = 4 if family == b"TCP4" else 6
    ends = [_endOf(words[at], words[at + 2], version) for at in (0, 1)]
    source, destination = ends
    if source is None or destination is None:
        return Malformed(f"an address or a port of it is none of TCP{version}")
    return Header(Said.CLIENT, source, destination)


def _endOf(host: bytes, port: bytes, version: int) -> Endpoint | None:
    try:
        address = ip_address(host.decode("ascii"))
    except ValueError:
        return None
    # A zone is of the proxy's machine, and means nothing here.
    if address.version != version or b"%" in host:
        return None
    if not _PORT.match(port) or int(port) > _MAX_PORT:
        return None
    return Endpoint(_hostOf(address), int(port))


def _binary(command: int, family: int, body: bytes) -> Header | Malformed:
    """
    Read what stands behind the fixed part of a header of version 2 (2.2).
    """
    if command == 0:
        # The block is to be discarded, whatever it says.
        return _LOCAL
    if command != 1:
        return Malformed(f"its command is {command}")
    if family in _NAMELESS:
        return _UNKNOWN if len(body) >= _NAMELESS[family] else _CUT
    size = _STREAMS.get(family)
    if size is None:
        return Malformed(f"its family and protocol are {family:#04x}")
    if len(body) < 2 * size + 4:
        return _CUT
    hosts = body[:size], body[size : 2 * size]
    ports = body[2 * size : 2 * size + 2], body[2 * size + 2 : 2 * size + 4]
    source, destination = (
        Endpoint(_hostOf(ip_address(host)), int.from_bytes(port))
        for host, port in zip(hosts, ports, strict=True)
    )
    return Header(Said.CLIENT, source, destination)


def _hostOf(address: object) -> str:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


_CUT = Malformed("it is too short for its addresses")
#: TCP over IPv4 and IPv6, and how long an address is.
_STREAMS = {0x11: 4, 0x21: 16}
#: Of unspecified family, and a UNIX socket of the proxy's machine; and how long
#: their addresses are.
_NAMELESS = {0x00: 0, 0x31: 216}
