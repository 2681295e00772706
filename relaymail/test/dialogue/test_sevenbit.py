# -*- test-case-name: relaymail.test.dialogue.test_sevenbit -*-
"""
Tests for L{relaymail.dialogue.sevenbit} and L{relaymail.dialogue.encodings}, read
back with the standard library's parser.
"""

from __future__ import annotations

from collections.abc import Iterable
from email import message_from_bytes
from email.message import Message
from itertools import pairwise
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.dialogue import sevenbit
from relaymail.dialogue.encodings import MAX_ENCODED, MAX_LINE
from relaymail.dialogue.sevenbit import (
    MAX_DEPTH,
    MAX_HEADER,
    MAX_SAID,
    CannotConvert,
    SevenBit,
)

TOP = b"From: a@a.example\r\nSubject: x\r\n"
MIME = TOP + b"MIME-Version: 1.0\r\n"


def converted(content: bytes, cuts: Iterable[int] = ()) -> bytes:
    """
    Convert a message that comes in pieces.
    """
    seven = SevenBit()
    places = sorted({min(cut, len(content)) for cut in cuts} | {0, len(content)})
    pieces = [seven.feed(content[a:b]) for a, b in pairwise(places)]
    return b"".join([*pieces, seven.end()])


def mixed(*parts: bytes, kind: bytes = b"mixed", boundary: bytes = b"b1") -> bytes:
    """
    Make a multipart, with its header, of parts with theirs.
    """
    head = b'Content-Type: multipart/%s;\r\n boundary="%s"\r\n\r\n' % (kind, boundary)
    body = b"".join(b"--%s\r\n%s\r\n" % (boundary, part) for part in parts)
    return head + b"This is MIME.\r\n" + body + b"--%s--\r\n" % boundary


def part(kind: bytes, body: bytes, encoding: bytes = b"8bit") -> bytes:
    """
    Make a part.
    """
    said = b"Content-Transfer-Encoding: %s\r\n" % encoding if encoding else b""
    return b"Content-Type: %s\r\n%s\r\n%s" % (kind, said, body)


def decoded(content: bytes) -> list[tuple[str, Any]]:
    """
    Give the types of all parts, with what is in those that have none themselves.
    """
    found: list[tuple[str, Any]] = []
    for each in message_from_bytes(content).walk():
        body = None if each.is_multipart() else each.get_payload(decode=True)
        found.append((each.get_content_type(), body))
    return found


class SevenBitCase(SynchronousTestCase):
    """
    What the tests share.
    """

    def convert(self, content: bytes) -> bytes:
        """
        Convert a message, and check what holds for each that was.
        """
        out = converted(content)
        self.assertTrue(out.isascii())
        bare = out.replace(b"\r\n", b"")
        for octet in (b"\r", b"\n", b"\0"):
            self.assertNotIn(octet, bare)
        self.assertLessEqual(max(map(len, out.split(b"\r\n"))), MAX_LINE)
        self.assertTrue(out.endswith(b"\r\n"))
        self.assertEqual(decoded(out), decoded(content))
        return out

    def header(self, content: bytes) -> Message:
        """
        Convert a message, and give its header.
        """
        return message_from_bytes(self.convert(content))


class LeafTests(SevenBitCase):
    """
    Messages of one part.
    """

    def test_textIsQuoted(self) -> None:
        """
        8-bit text is quoted-printable then, and says so once (RFC 6152 3).
        """
        text = "Grüße — und\ttabs \r\nlast\r\n".encode()
        for encoding in (b"8bit", b"8BIT (as it is)", b"7bit", b""):
            message = MIME + part(b"text/plain; charset=utf-8", text, encoding)
            header = self.header(message)
            self.assertEqual(
                header.get_all("Content-Transfer-Encoding"), ["quoted-printable"]
            )
            self.assertIn(b"Gr=C3=BC=C3=9Fe", self.convert(message))

    def test_whatIsNoMIMEBecomesIt(self) -> None:
        """
        Text without MIME fields gets them (RFC 1428 3), one with them no more.
        """
        header = self.header(TOP + b"\r\nGr\xfc\xdfe\r\n")
        self.assertEqual(header.get_all("MIME-Version"), ["1.0"])
        self.assertEqual(header["Content-Type"], "text/plain; charset=unknown-8bit")
        header = self.header(MIME + part(b"text/html", b"\xfc\r\n"))
        self.assertEqual(header.get_all("MIME-Version"), ["1.0"])
        self.assertEqual(header.get_all("Content-Type"), ["text/html"])

    def test_otherContentIsBase64(self) -> None:
        """
        What is no text is base64 then, with every byte it had.
        """
        body = bytes(range(1, 256)).replace(b"\r", b"").replace(b"\n", b"") * 5
        out = self.convert(MIME + part(b"application/x-any", body + b"\r\n"))
        self.assertIn(b"Content-Transfer-Encoding: base64", out)
        lines = out.partition(b"\r\n\r\n")[2].split(b"\r\n")
        self.assertLessEqual(max(map(len, lines)), MAX_ENCODED)

    def test_binary(self) -> None:
        """
        Binary content (RFC 3030 3) keeps its bare CR, LF and NUL, text too.
        """
        body = b"\0\r\r\n\n\xff" * 700 + b"no end"
        for kind in (b"image/png", b"text/plain"):
            message = MIME + part(kind, body, b"binary")
            out = self.convert(message)
            self.assertEqual(decoded(out)[0][1], body)

    def test_bareLineEndsInText(self) -> None:
        """
        Text that is not said to be binary keeps them as well.
        """
        body = b"a\rb\nc\0d \r\n"
        out = converted(MIME + part(b"text/plain", body))
        self.assertIn(b"a=0Db=0Ac=00d=20\r\n", out)
        self.assertEqual(decoded(out)[0][1], body)

    def test_encodedAlready(self) -> None:
        """
        What is encoded stays as it is, byte for byte.
        """
        for encoding, body in (
            (b"quoted-printable", b"Gr=C3=BC=C3=9Fe \r\n--\r\n" + b"x" * 900 + b"\r\n"),
            (b"Base64", b"R3LDvMOfZQ==\r\n-- not base64\r\n"),
        ):
            message = MIME + part(b"text/plain", body, encoding)
            self.assertEqual(self.convert(message), message)

    def test_encodedBadly(self) -> None:
        """
        Lines of that which cannot be sent are made such that they can be.
        """
        body = b"a=C3=BC \r\n\xfc" + b"=C3=BC" * 700 + b" x=\r\n-- \r\n"
        out = self.convert(MIME + part(b"text/plain", body, b"quoted-printable"))
        self.assertIn(b"\r\na=C3=BC \r\n=FC=C3=BC", out)
        body = b"R3LDvMOfZQ==\r\n" + b"R3LD-\xfc" * 400 + b"\r\n"
        out = converted(MIME + part(b"text/plain", body, b"base64"))
        self.assertIn(b"\r\nR3LDvMOfZQ==\r\nR3LDR3LDR3LD", out)
        self.assertTrue(out.isascii())

    def test_longLines(self) -> None:
        """
        Text lines of any length are cut by soft line ends (RFC 2045 6.7).
        """
        body = b"".join(b"x%d=\xe4-" % n for n in range(5000)) + b"\r\n"
        out = self.convert(MIME + part(b"text/plain", body))
        lines = out.partition(b"\r\n\r\n")[2].split(b"\r\n")
        self.assertLessEqual(max(map(len, lines)), MAX_ENCODED)

    def test_unknownEncoding(self) -> None:
        """
        What is in an encoding that nobody knows stays, while it is 7-bit.
        """
        message = MIME + part(b"text/plain", b"begin 644 x\r\n", b"x-uuencode")
        self.assertEqual(self.convert(message), message)
        message = MIME + part(b"text/plain", b"begin \xff\r\n", b"x-uuencode")
        self.assertRaises(CannotConvert, converted, message)

    def test_headerOnly(self) -> None:
        """
        A message may have no body, and no header.
        """
        for message in (TOP, TOP + b"\r\n", MIME):
            self.assertTrue(converted(message).startswith(TOP))
        self.assertEqual(converted(b""), b"")
        self.assertEqual(decoded(converted(b"\r\n\xe4\r\n"))[0][1], b"\xe4\r\n")

    def test_noEmptyLine(self) -> None:
        """
        A body may begin without an empty line before it.
        """
        out = converted(TOP + b"Gr\xfc\xdfe an alle\r\n")
        self.assertEqual(decoded(out)[0][1], b"Gr\xfc\xdfe an alle\r\n")


class HeaderTests(SevenBitCase):
    """
    What is made of headers.
    """

    def test_A03_eightBitHeader(self) -> None:
        """
        Bytes above 127 in a header cannot be converted, and no bare CR, LF or NUL
        goes out.
        """
        for bad in (b"\xe4", b"a\rb", b"a\nb", b"\0"):
            message = b"Subject: " + bad + b"\r\n\r\nx\r\n"
            self.assertRaises(CannotConvert, converted, message)
            inner = MIME + mixed(b"X: " + bad + b"\r\n\r\nx")
            self.assertRaises(CannotConvert, converted, inner)

    def test_A05_largeHeader(self) -> None:
        """
        A header is bounded, in one line or in many.
        """
        for line in (b"X: y\r\n", b"X: y" * 500 + b"\r\n", b"X: y"):
            seven = SevenBit()
            count = MAX_HEADER // len(line)
            self.assertRaises(CannotConvert, seven.feed, line * 2 * count)

    def test_A05_longFields(self) -> None:
        """
        What would take a quarter of an hour to read is not read.
        """
        for begin, more in (
            (b'Content-Type: multipart/mixed; "', b";" * 900),
            (b"Content-Transfer-Encoding: ", b"(" * 900),
            (b"Content-Transfer-Encoding: ", b"("),
        ):
            field = begin + (more + b"\r\n ") * (MAX_SAID // (len(more) + 3) + 1)
            message = MIME + mixed(field + b"\r\n\r\nx")
            self.assertRaises(CannotConvert, converted, message)
        others = b"X-Other: " + (b"(;" * 400 + b"\r\n ") * 300
        self.convert(TOP + others + b"y\r\n\r\n\xe4\r\n")

    def test_longLine(self) -> None:
        """
        A long line of a header is folded where it has spaces (RFC 5322 2.2.3).
        """
        message = TOP + b"References:" + b" <x@y.example>" * 200 + b"\r\n\r\n\xe4\r\n"
        lines = self.convert(message).split(b"\r\n")
        self.assertLessEqual(max(map(len, lines)), MAX_LINE)
        self.assertRaises(
            CannotConvert, converted, b"X: " + b"y" * 1000 + b"\r\n\r\n\xe4\r\n"
        )

    def test_otherFieldsStay(self) -> None:
        """
        All other fields stay byte for byte, in their order.
        """
        fields = b"X:  y \r\n\tz\r\nContent-Transfer-Encoding:\r\n 8bit\r\nY: z\r\n"
        out = self.convert(MIME + fields + b"\r\n\xe4\r\n")
        self.assertIn(b"X:  y \r\n\tz\r\nY: z\r\nContent-Transfer-Encoding: q", out)

    def test_mboxLine(self) -> None:
        """
        A line that mbox files have before a message is kept.
        """
        out = converted(b"From a@a.example today\r\nX: y\r\n\r\n\xe4\r\n")
        self.assertTrue(out.startswith(b"From a@a.example today\r\nX: y\r\n"))


class PartsTests(SevenBitCase):
    """
    Messages of several parts.
    """

    def test_eachPart(self) -> None:
        """
        Each part is written as it needs.
        """
        out = self.convert(
            MIME
            + b"Content-Transfer-Encoding: 8bit\r\n"
            + mixed(
                part(b"text/plain", b"\xe4\r\n\r\n"),
                part(b"image/png", b"\xff\xd8\r\nx", b"binary"),
                part(b"text/html", b"=C3=BC", b"quoted-printable"),
                part(b"text/plain", b"", b""),
                b"\r\nno header",
                part(b"image/gif", b"R0lG", b"base64"),
            )
        )
        self.assertEqual(
            [
                each["Content-Transfer-Encoding"]
                for each in message_from_bytes(out).walk()
            ],
            ["7bit", "quoted-printable", "base64"]
            + ["quoted-printable"] * 3
            + ["base64"],
        )

    def test_nested(self) -> None:
        """
        Multiparts in multiparts, messages in parts, digests.
        """
        inner = mixed(part(b"text/plain", b"\xe4"), kind=b"alternative", boundary=b"b2")
        message = TOP + b"\r\nGr\xfc\xdfe\r\n"
        digest = mixed(b"\r\n" + message, kind=b"digest", boundary=b"b3")
        out = self.convert(
            MIME + mixed(inner, part(b"message/rfc822", message), digest)
        )
        walked = message_from_bytes(out).walk()
        kinds = [each.get_content_type() for each in walked]
        self.assertEqual(kinds.count("message/rfc822"), 2)
        self.assertEqual(out.count(b"charset=unknown-8bit"), 2)
        self.assertNotIn(b"8bit\r\n\r\n", out.replace(b"unknown-8bit", b""))

    def test_boundaryOfTheOuterEndsTheInner(self) -> None:
        """
        A boundary line of what is around ends all that is within (RFC 2046 5.1.2).
        """
        inner = mixed(part(b"text/plain", b"\xe4"), boundary=b"b2")
        inner = inner[: inner.index(b"--b2--")]
        self.convert(MIME + mixed(inner, part(b"text/plain", b"\xf6")))

    def test_A03_noBoundaryComesToBe(self) -> None:
        """
        A soft line end or a quoted byte makes no line a boundary line.
        """
        for boundary in (b"b1", b"b=00", b"b=E4", b"b="):
            body = b"x" * 75 + b"--" + boundary + b"\r\n--b\xe4\r\n--b\r\n"
            body += b"-" * 74 + b"---" + boundary + b"\r\n--b" + b"\xe4" * 70
            for encoding in (b"8bit", b"quoted-printable", b"base64"):
                message = MIME + mixed(
                    part(b"text/plain", body, encoding), boundary=boundary
                )
                out = converted(message)
                self.assertEqual(len(decoded(out)), 2)
                if encoding == b"8bit":
                    self.assertEqual(decoded(out), decoded(message))

    def test_signed(self) -> None:
        """
        What is signed or encrypted stays, and cannot be converted where it has
        8-bit text (RFC 1847 2.1).
        """
        for kind in (b"signed", b"encrypted"):
            clean = mixed(part(b"text/plain", b"x  "), kind=kind)
            self.assertEqual(converted(MIME + clean), MIME + clean)
            around = MIME + mixed(
                clean.replace(b"b1", b"b2"), part(b"text/plain", b"\xe4")
            )
            self.assertIn(clean.replace(b"b1", b"b2"), self.convert(around))
            bad = MIME + mixed(part(b"text/plain", b"\xe4"), kind=kind)
            error = self.assertRaises(CannotConvert, converted, bad)
            self.assertIn("RFC 1847", str(error))

    def test_reports(self) -> None:
        """
        Parts that may not be encoded stay (RFC 2046 5.2); those of
        internationalised reports may be (RFC 6533).
        """
        fields = b"Reporting-MTA: dns; x.example\r\n\r\nAction: failed\r\n"
        message = MIME + mixed(part(b"message/delivery-status", fields, b"7bit"))
        self.assertEqual(self.convert(message), message)
        for kind in (b"message/delivery-status", b"message/partial"):
            message = MIME + mixed(part(kind, b"X: \xe4\r\n\r\n"))
            self.assertRaises(CannotConvert, converted, message)
        report = part(b"message/global-delivery-status", "X: ä\r\n".encode())
        self.assertIn(b"WDogw6QNCg==", converted(MIME + mixed(report)))

    def test_preamble(self) -> None:
        """
        Nobody reads what is around the parts: a line of it that cannot be sent is
        left empty.  Where there is no part after all, that would lose the message.
        """
        message = MIME + mixed(part(b"text/plain", b"\xe4"))
        message = message.replace(b"This is MIME.", b"Das ist f\xfcr\r\nMIME.")
        out = converted(message + b"sch\xf6n" + b"x" * 2000 + b"\r\nend\r\n")
        self.assertIn(b"\r\n\r\n\r\nMIME.\r\n--b1\r\n", out)
        self.assertTrue(out.endswith(b"--b1--\r\n\r\nend\r\n"))
        alone = MIME + b"Content-Type: multipart/mixed; boundary=no\r\n\r\n\xe4\r\n"
        self.assertRaises(CannotConvert, converted, alone)
        inner = alone.partition(b"1.0\r\n")[2]
        self.assertRaises(CannotConvert, converted, MIME + mixed(inner))

    def test_noBoundaryNamed(self) -> None:
        """
        A multipart that does not say where its parts begin stays, while it can.
        """
        message = MIME + b"Content-Type: multipart/mixed\r\n\r\nx\r\n"
        self.assertEqual(self.convert(message), message)
        self.assertRaises(CannotConvert, converted, message + b"\xe4\r\n")

    def test_A05_depth(self) -> None:
        """
        How deep parts are nested is bounded, and messages in messages keep
        nothing.
        """
        deep = b"".join(
            b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n)
            for n in range(MAX_DEPTH + 1)
        )
        self.assertRaises(CannotConvert, converted, MIME + deep)
        many = b"Content-Type: message/rfc822\r\n\r\n" * 2000
        self.assertIn(b"=E4\r\n", converted(MIME + many + b"\r\n\xe4\r\n"))

    def test_A05_manyParts(self) -> None:
        """
        How many parts there are is bounded.
        """
        few = MIME + mixed(*[b"\r\nx"] * 10)
        self.convert(few)
        self.patch(sevenbit, "MAX_PARTS", 10)
        self.assertRaises(CannotConvert, converted, few)

    def test_noEnd(self) -> None:
        """
        A message that ends within a part, or in a boundary line, is as good.
        """
        whole = MIME + mixed(part(b"text/plain", b"\xe4"), part(b"a/b", b"x\r\n"))
        ends = range(len(MIME), len(whole))
        for end in (end for end in ends if whole[end - 1 : end] != b"\r"):
            out = converted(whole[:end])
            self.assertTrue(out.isascii())
        self.convert(whole[:-2])


WORDS = st.sampled_from(
    [
        *(b"--b1", b"--b2", b"--b1--", b"--b2--", b"\r\n", b"\r\n\r\n", b" ", b"-"),
        *(b"x" * 70, b"z" * 1023, b"\xe4\xf6", b"=E4", b".", b"y", b"=", b"--"),
        *(b"\r", b"\n", b"\0"),
        *(b"Content-Type: multipart/mixed; boundary=b%d" % n for n in (1, 2)),
        *(b"Content-Type: " + kind for kind in (b"image/png", b"message/rfc822")),
        *(b"Content-Transfer-Encoding: " + how for how in (b"binary", b"base64")),
        b"Content-Transfer-Encoding: quoted-printable",
    ]
)


class AnythingTests(SynchronousTestCase):
    """
    What holds for any message.
    """

    @settings(deadline=None, max_examples=200)
    @given(st.lists(WORDS, max_size=40).map(b"".join), st.lists(st.integers(0, 900)))
    @example(b"\r\n" + b"x" * 1023 + b"\r\n\r\r\n", [1024, 1025, 1026, 1027, 1028])
    def test_cutsDoNotMatter(self, content: bytes, cuts: list[int]) -> None:
        """
        However a message is cut, the same comes out: lines of ASCII.
        """
        try:
            out = converted(content)
        except CannotConvert:
            self.assertRaises(CannotConvert, converted, content, cuts)
            return
        self.assertEqual(converted(content, cuts), out)
        self.assertEqual(converted(content, range(len(content))), out)
        self.assertTrue(out.isascii())
        self.assertLessEqual(max(map(len, out.split(b"\r\n"))), MAX_LINE)
        bare = out.replace(b"\r\n", b"")
        self.assertEqual([x for x in (b"\r", b"\n", b"\0") if x in bare], [])
        self.assertTrue(not out or out.endswith(b"\r\n"))

    @settings(deadline=None, max_examples=100)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from([b"text/plain", b"image/png"]),
                st.sampled_from([b"8bit", b"binary", b""]),
                st.lists(
                    st.one_of(
                        st.binary(max_size=90).map(
                            lambda b: b.replace(b"\r", b"").replace(b"\n", b"")
                        ),
                        st.sampled_from([b"--b1 x", b"-" * 160, b" ", b"--b", b"\t"]),
                    ),
                    max_size=8,
                ).map(b"\r\n".join),
            ),
            min_size=1,
            max_size=4,
        )
    )
    def test_sameParts(self, parts: list[tuple[bytes, bytes, bytes]]) -> None:
        """
        Read back, the parts are what they were.
        """
        content = MIME + mixed(*(part(kind, body, how) for kind, how, body in parts))
        self.assertEqual(decoded(converted(content)), decoded(content))

    @settings(deadline=None, max_examples=100)
    @given(st.binary(max_size=3000))
    def test_binaryIsKept(self, body: bytes) -> None:
        """
        Binary content comes out as it went in.
        """
        out = converted(MIME + part(b"image/png", body, b"binary"))
        self.assertEqual(decoded(out), [("image/png", body)])
