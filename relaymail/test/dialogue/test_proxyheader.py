# -*- test-case-name: relaymail.test.dialogue.test_proxyheader -*-
"""
Tests for L{relaymail.dialogue.proxyheader}.
"""

from __future__ import annotations

from ipaddress import ip_address
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.dialogue.proxyheader import (
    MAX_BINARY,
    MAX_TEXT,
    Endpoint,
    Header,
    HeaderReader,
    Malformed,
    Said,
)

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V4 = b"PROXY TCP4 192.0.2.1 203.0.113.9 4321 25\r\n"
V6 = b"PROXY TCP6 2001:db8::1 2001:db8::9 4321 25\r\n"
FOUND = Header(Said.CLIENT, Endpoint("192.0.2.1", 4321), Endpoint("203.0.113.9", 25))
FOUND_6 = Header(
    Said.CLIENT, Endpoint("2001:db8::1", 4321), Endpoint("2001:db8::9", 25)
)


def binary(
    body: bytes, family: int = 0x11, command: int = 0x21, size: int | None = None
) -> bytes:
    """
    Make a header of version 2.
    """
    length = len(body) if size is None else size
    return SIGNATURE + bytes([command, family]) + length.to_bytes(2) + body


def addresses(one: str, other: str, ports: tuple[int, int] = (4321, 25)) -> bytes:
    """
    Make the addresses of one.
    """
    packed = ip_address(one).packed + ip_address(other).packed
    return packed + ports[0].to_bytes(2) + ports[1].to_bytes(2)


B4 = binary(addresses("192.0.2.1", "203.0.113.9"))
B6 = binary(addresses("2001:db8::1", "2001:db8::9"), 0x21)
#: More than one kind of what may stand behind the addresses.
TLV = b"\x02\0\x04mail" + b"\x04\0\x02\0\0"


def read(data: bytes) -> tuple[Header | Malformed | None, bytes]:
    """
    Read it in one piece.
    """
    reader = HeaderReader()
    return reader.feed(data), reader.rest


class TextTests(SynchronousTestCase):
    """
    Headers of version 1.
    """

    def test_client(self) -> None:
        """
        The client's address and port are told, and what follows is left.
        """
        self.assertEqual(read(V4 + b"EHLO x\r\n"), (FOUND, b"EHLO x\r\n"))
        self.assertEqual(read(V6), (FOUND_6, b""))

    def test_unknown(self) -> None:
        """
        Of a client that is not known nothing else that stands there counts.
        """
        for line in (b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN ffff:: x 1 2 3\r\n"):
            self.assertEqual(read(line), (Header(Said.UNKNOWN), b""))

    def test_mapped(self) -> None:
        """
        IPv4 is IPv4, also where it is written as IPv6.
        """
        found, _ = read(b"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:203.0.113.9 4321 25\r\n")
        self.assertEqual(found, FOUND)

    def test_malformed(self) -> None:
        """
        Everything else is malformed.
        """
        for line in (
            b"EHLO me\r\n",
            b"proxy TCP4 192.0.2.1 203.0.113.9 4321 25\r\n",
            b"PROXY  TCP4 192.0.2.1 203.0.113.9 4321 25\r\n",
            b"PROXY TCP4  192.0.2.1 203.0.113.9 4321 25\r\n",
            b"PROXY TCP4 192.0.2.1 203.0.113.9 4321\r\n",
            b"PROXY TCP4 192.0.2.1 203.0.113.9 4321 25 \r\n",
            b"PROXY TCP4 192.0.2.1 203.0.113.9 4321 025\r\n",
            b"PROXY TCP4 192.0.2.1 203.0.113.9 4321 65536\r\n",
            b"PROXY TCP4 192.0.2.1 203.0.113.9 -1 25\r\n",
            b"PROXY TCP4 192.0.2.1 203.0.113.9 4321 2\xb25\r\n",
            b"PROXY TCP4 192.0.2.1 203.0.113.9 4321 25\n25\r\n",
            b"PROXY TCP4 192.0.2.256 203.0.113.9 4321 25\r\n",
            b"PROXY TCP4 2001:db8::1 2001:db8::9 4321 25\r\n",
            b"PROXY TCP6 192.0.2.1 203.0.113.9 4321 25\r\n",
            b"PROXY TCP6 fe80::1%eth0 fe80::2 4321 25\r\n",
            b"PROXY UDP4 192.0.2.1 203.0.113.9 4321 25\r\n",
            b"PROXY \r\n",
            b"PROXY " + b"x" * MAX_TEXT,
        ):
            self.assertIsInstance(read(line)[0], Malformed, line)

    def test_longest(self) -> None:
        """
        A line of just the greatest length is read; one octet more is not.
        """
        line = b"PROXY UNKNOWN ".ljust(MAX_TEXT - 2, b"x")
        self.assertEqual(read(line + b"\r\n")[0], Header(Said.UNKNOWN))
        self.assertIsInstance(read(line + b"x\r\n")[0], Malformed)

    def test_atOnce(self) -> None:
        """
        What cannot become a header is malformed before more of it has come.
        """
        for data in (b"E", b"PROXX", b"\r\n\r\n\0\r\nQUIT\r"):
            self.assertIsInstance(read(data)[0], Malformed, data)


class BinaryTests(SynchronousTestCase):
    """
    Headers of version 2.
    """

    def test_client(self) -> None:
        """
        The client's address and port are told, and what follows is left.
        """
        self.assertEqual(read(B4 + b"EHLO x\r\n"), (FOUND, b"EHLO x\r\n"))
        self.assertEqual(read(B6), (FOUND_6, b""))

    def test_more(self) -> None:
        """
        What else is told of the connection is passed over.
        """
        more = binary(addresses("192.0.2.1", "203.0.113.9") + TLV)
        self.assertEqual(read(more + b"x"), (FOUND, b"x"))

    def test_mapped(self) -> None:
        """
        IPv4 is IPv4, also where it comes as IPv6.
        """
        body = addresses("::ffff:192.0.2.1", "::ffff:203.0.113.9")
        self.assertEqual(read(binary(body, 0x21))[0], FOUND)

    def test_local(self) -> None:
        """
        A proxy that speaks for itself says nothing else that counts.
        """
        for body, family in ((b"", 0), (TLV, 0x11), (b"x" * 12, 0x7F)):
            found = read(binary(body, family, 0x20))
            self.assertEqual(found, (Header(Said.LOCAL), b""))

    def test_nameless(self) -> None:
        """
        Neither a family that is not said nor a socket of the proxy's machine is an
        address.
        """
        self.assertEqual(read(binary(TLV, 0))[0], Header(Said.UNKNOWN))
        self.assertEqual(read(binary(b"/" * 216, 0x31))[0], Header(Said.UNKNOWN))

    def test_malformed(self) -> None:
        """
        What the document has receivers drop is malformed.
        """
        body = addresses("192.0.2.1", "203.0.113.9")
        for data in (
            binary(body, command=0x11),
            binary(body, command=0x22),
            binary(body, command=0x31),
            binary(body, family=0x12),
            binary(body, family=0x01),
            binary(body, family=0x41),
            binary(body, family=0x21),
            binary(body[:-1]),
            binary(b"x" * 215, family=0x31),
            binary(b"", size=MAX_BINARY + 1),
        ):
            self.assertIsInstance(read(data)[0], Malformed, data)

    def test_longest(self) -> None:
        """
        The greatest length is read.
        """
        body = addresses("192.0.2.1", "203.0.113.9").ljust(MAX_BINARY, b"x")
        self.assertEqual(read(binary(body) + b"y"), (FOUND, b"y"))


#: Bytes that are made of what matters.
PARTS = st.sampled_from(
    (
        *(b"PROXY ", b"TCP4 ", b"UNKNOWN", b"\r\n", b" ", b"1.2.3.4", b"::1"),
        *(SIGNATURE, b"\x20", b"\x21", b"\x11", b"\0\x0c", b"\xff\xff", b"\0" * 12),
    )
)
ANYTHING = st.one_of(
    st.binary(max_size=300), st.lists(PARTS, max_size=12).map(b"".join)
)


class AnyInputTests(SynchronousTestCase):
    """
    Whatever comes, however it is cut.
    """

    @settings(deadline=None, max_examples=50)
    @given(st.sampled_from([V4, V6, B4, B6]), st.data())
    def test_A05_anyCut(self, header: bytes, data: st.DataObject) -> None:
        """
        A header is the same wherever it is cut, and nothing of what follows is
        lost.
        """
        whole = header + b"EHLO me\r\n"
        cuts = data.draw(st.lists(st.integers(0, len(whole)), max_size=8))
        places = [0, *sorted(cuts), len(whole)]
        reader, fed = HeaderReader(), 0
        found: Header | Malformed | None = None
        for begin, end in pairwise(places):
            found, fed = reader.feed(whole[begin:end]), end
            if found is not None:
                break
        self.assertIn(found, (FOUND, FOUND_6))
        self.assertEqual(reader.rest + whole[fed:], b"EHLO me\r\n")

    @settings(deadline=None, max_examples=200)
    @given(ANYTHING)
    def test_A05_anything(self, garbage: bytes) -> None:
        """
        Nothing that comes raises, and no more than the bound is ever kept; octet
        by octet it is the same as at once.
        """
        reader = HeaderReader()
        found: Header | Malformed | None = None
        for at in range(len(garbage)):
            found = reader.feed(garbage[at : at + 1])
            if found is not None:
                break
        self.assertEqual(type(found), type(read(garbage)[0]))

    def test_A05_bounded(self) -> None:
        """
        What never ends is malformed within the bound.
        """
        for start in (b"PROXY TCP4 ", b"PROXY UNKNOWN "):
            reader, fed = HeaderReader(), len(start)
            found = reader.feed(start)
            while found is None and fed <= MAX_TEXT:
                found, fed = reader.feed(b"x"), fed + 1
            self.assertIsInstance(found, Malformed)
