# -*- test-case-name: relaymail.test.test_addresses -*-
"""
Tests for L{relaymail.addresses}.
"""

from __future__ import annotations

import contextlib

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.addresses import (
    MAX_PATH,
    checkAddress,
    domainOf,
    literalAddress,
    localKey,
    normalDomain,
    parsePath,
    quotePath,
)
from relaymail.errors import MalformedAddress

#: What an attacker would build an address from.
pieces = st.lists(
    st.sampled_from(
        [*'@.<>"\\ :[]%,', "a", "x.example", "IPv6:::1", "127.0.0.1", "\r\n", "\0", "ä"]
    ),
    max_size=8,
).map("".join)


class AddressTests(SynchronousTestCase):
    """
    What is an address, and its one form.
    """

    def test_oneForm(self) -> None:
        """
        The domain is normal, the local part is as it was.
        """
        cases: dict[bytes | str, str] = {
            "Bob@Example.COM.": "Bob@example.com",
            b"bob@x.example": "bob@x.example",
            "bob@bücher.example": "bob@xn--bcher-kva.example",
            '"a b"@x.example': '"a b"@x.example',
            '"a@b"@x.example': '"a@b"@x.example',
            "bob@[127.0.0.1]": "bob@[127.0.0.1]",
            "bob@[ipv6:0:0::1]": "bob@[IPv6:::1]",
            "bob@_dmarc.example": "bob@_dmarc.example",
        }
        for given_, wanted in cases.items():
            self.assertEqual(checkAddress(given_), wanted)
            self.assertEqual(checkAddress(wanted), wanted)

    def test_refused(self) -> None:
        """
        What is not an address is refused.
        """
        for text in (
            "",
            "bob",
            "@x.example",
            "bob@",
            "bob@.",
            "bob@x..example",
            ".bob@x.example",
            "a b@x.example",
            "a@b@x.example",
            "bob@x example",
            "bob@[",
            "bob@[]",
            "bob@[127.0.0]",
            "bob@[::1]",
            "bob@[127.0.0.1",
            "bob@" + "x" * 64,
            "b" * 65 + "@x.example",
            b"\xff@x.example",
            "ä@x.example",
            "bob@\ud800.example",
        ):
            self.assertRaises(MalformedAddress, checkAddress, text)

    def test_lengthIsThatOfTheOneForm(self) -> None:
        """
        A domain that grows over the limit as A-labels is refused (RFC 5321
        4.5.3.1.3).
        """
        domain = ".".join(["ü" * 20] * 8) + ".example"
        address = f"{'b' * 64}@{domain}"
        self.assertLess(len(address), MAX_PATH)
        self.assertRaises(MalformedAddress, checkAddress, address)

    def test_A04_sourceRouteIsDropped(self) -> None:
        """
        Only the mailbox behind a source route counts (RFC 5321 C).
        """
        self.assertEqual(parsePath(b"@a.example,@b:u@c.example"), "u@c.example")
        self.assertEqual(parsePath(""), "")
        self.assertRaises(MalformedAddress, parsePath, "@a.example:")

    def test_A04_routesInTheLocalPartStayThere(self) -> None:
        """
        Percent, bang and quoted at-signs do not change the domain.
        """
        for local in ("u%d.example", "d.example!u", '"u@d.example"'):
            self.assertEqual(
                domainOf(parsePath(f"{local}@here.example")), "here.example"
            )
        self.assertRaises(MalformedAddress, parsePath, "u@d.example@here.example")

    def test_domainOf(self) -> None:
        """
        The domain, in its one form, or an error.
        """
        self.assertEqual(domainOf(b"bob@X.Example."), "x.example")
        self.assertRaises(MalformedAddress, domainOf, "bob")
        self.assertRaises(MalformedAddress, domainOf, "bob@")

    def test_A04_localKey(self) -> None:
        """
        However a local part is written, it is compared as the same one.
        """
        for written in ("boss", "BOSS", '"boss"', '"b\\o\\s\\s"'):
            self.assertEqual(localKey(written), "boss")
        for written in ('"a b"', '"\\a\\ b"'):
            self.assertEqual(localKey(written), '"a b"')
        self.assertEqual(localKey('"\\"\\\\\\x"'), '"\\"\\\\x"')
        self.assertEqual(localKey('"a..b"'), '"a..b"')
        for kept in ("", '"', '""', 'a"b"'):
            self.assertEqual(localKey(kept), kept)

    def test_literalAddress(self) -> None:
        """
        A literal gives its address, a name none.
        """
        self.assertEqual(literalAddress("[192.0.2.1]"), "192.0.2.1")
        self.assertEqual(literalAddress("[IPv6:2001:db8::1]"), "2001:db8::1")
        self.assertIsNone(literalAddress("x.example"))

    def test_A03_literalHasNoZone(self) -> None:
        """
        The zone of an IPv6 address could hold anything, and is refused.
        """
        for zone in ("eth0", "x> SIZE=1", "\r\nRCPT TO:<a@b"):
            self.assertRaises(MalformedAddress, normalDomain, f"[IPv6:fe80::1%{zone}]")
        self.assertRaises(MalformedAddress, normalDomain, "[IPv6:127.0.0.1]")

    def test_quotePath(self) -> None:
        """
        An address in angle brackets, which are not doubled.
        """
        self.assertEqual(quotePath("a@b"), b"<a@b>")
        self.assertEqual(quotePath(b"<a@b>"), b"<a@b>")
        self.assertEqual(quotePath(""), b"<>")
        self.assertEqual(quotePath('"a <>b"@c'), b'<"a <>b"@c>')

    def test_A03_quotePathEndsNeitherPathNorLine(self) -> None:
        """
        What would end the path or the line is refused, behind a quoted local
        part as well.
        """
        for text in (
            "a@b> SIZE=1",
            '"a"@b> SIZE=1',
            '"a"@b><c',
            "a@b\r\nDATA",
            "a\0@b",
            "a b@c",
            "ä@b",
        ):
            self.assertRaises(MalformedAddress, quotePath, text)

    def test_quotePathNotASCII(self) -> None:
        """
        A domain that is not ASCII goes as A-labels, whether SMTPUTF8 is said or
        not; a local part goes only where it is (RFC 6531 3.3).
        """
        labels = b"<bob@xn--bcher-kva.example>"
        self.assertEqual(quotePath("bob@b\u00fccher.example"), labels)
        self.assertEqual(quotePath("<bob@b\u00fccher.example>"), labels)
        self.assertEqual(quotePath("bob@b\u00fccher.example", True), labels)
        said = "<b\u00f6b@xn--bcher-kva.example>".encode()
        self.assertEqual(quotePath("b\u00f6b@b\u00fccher.example", True), said)
        for text in (
            "b\u00f6b@b\u00fccher.example",
            "b\u00f6b@b.example",
            "\u00f6@\u2028",
        ):
            self.assertRaises(MalformedAddress, quotePath, text)

    def test_A03_quotePathNotASCIIEndsNothing(self) -> None:
        """
        Nor does such an address end the path or the line.
        """
        for text in (
            "\u00f6> SIZE=1@b",
            "\u00f6@b> SIZE=1",
            "\u00f6\r\n@b",
            "\u00f6\u2028@b",
        ):
            self.assertRaises(MalformedAddress, quotePath, text, True)

    def test_A03_errorsAreBounded(self) -> None:
        """
        An error shows a bounded, printable part of what was wrong.
        """
        for text in ("x\r\n" * 9999, "a@" + "b" * 9999, "a@[" + "\n" * 9999 + "]"):
            for check in (checkAddress, domainOf, quotePath):
                try:
                    check(text)
                except MalformedAddress as e:
                    self.assertLess(len(str(e)), 600)
                    self.assertTrue(str(e).isprintable())

    @settings(deadline=None, max_examples=200)
    @given(pieces)
    @example("a@[IPv6:::1%\r\n]")
    @example("a@b\r\n")
    def test_A03_checkedAddressesAreSafe(self, text: str) -> None:
        """
        An address is refused, or it is in a form that checks as itself, can
        be written in a command and holds no control character.
        """
        try:
            address = parsePath(text)
        except MalformedAddress:
            return
        if address:
            self.assertEqual(checkAddress(address), address)
            self.assertTrue(domainOf(address))
        self.assertTrue(address.isprintable() and address.isascii())
        self.assertEqual(quotePath(address), f"<{address}>".encode())

    @settings(deadline=None, max_examples=100)
    @given(st.one_of(st.text(max_size=30), st.binary(max_size=30)))
    def test_onlyOneKindOfError(self, text: bytes | str) -> None:
        """
        Whatever is given, the error is L{MalformedAddress}.
        """
        for check in (parsePath, checkAddress, domainOf, normalDomain, quotePath):
            with contextlib.suppress(MalformedAddress):
                check(text)


class InternationalTests(SynchronousTestCase):
    """
    Addresses of RFC 6531 3.3.
    """

    def test_taken(self) -> None:
        """
        Local parts of any script are taken where they may be, as they are; the
        domain goes to A-labels.
        """
        for given_, wanted in (
            ("jörg@bücher.example", "jörg@xn--bcher-kva.example"),
            ("用户@例え.example", "用户@xn--r8jz45g.example"),
            ('"jörg x"@b.example', '"jörg x"@b.example'),
            ("o\u0308@b.example", "o\u0308@b.example"),
            ("plain@B.example", "plain@b.example"),
        ):
            self.assertEqual(checkAddress(given_, utf8=True), wanted)
            self.assertEqual(
                parsePath(given_.encode("utf-8"), utf8=True), wanted, given_
            )

    def test_written(self) -> None:
        """
        They are written as they were read, quoted ones too.
        """
        for path in ("<jörg@b.example>", '<"jörg x"@b.example>'):
            address = parsePath(path[1:-1], utf8=True)
            self.assertEqual(quotePath(address, utf8=True), path.encode("utf-8"))

    def test_onlyWhereTheyMayBe(self) -> None:
        """
        Elsewhere they are refused as before.
        """
        self.assertRaises(MalformedAddress, checkAddress, "jörg@b.example")
        self.assertRaises(MalformedAddress, parsePath, "jörg@b.example".encode())

    def test_A03_unseen(self) -> None:
        """
        Control, format and separator characters, surrogates and what is no
        UTF-8 are refused.
        """
        for local in (
            "a\u0085",
            "a\u2028b",
            "a\u00a0b",
            "\u202eb",
            "\ud800",
            "a\u200b",
        ):
            self.assertRaises(
                MalformedAddress, checkAddress, f"{local}@b.example", utf8=True
            )
        for path in (b"a\xff@b.example", b"a\xc0\xae@b", b"\xed\xa0\x80@b"):
            self.assertRaises(MalformedAddress, parsePath, path, utf8=True)

    def test_A05_octetsCount(self) -> None:
        """
        The limits are in octets (RFC 6531 3.1, item 7).
        """
        checkAddress("ö" * 32 + "@b.example", utf8=True)
        self.assertRaises(
            MalformedAddress, checkAddress, "ö" * 33 + "@b.example", utf8=True
        )

    @settings(deadline=None, max_examples=50)
    @given(st.text(max_size=40))
    def test_anyText(self, text: str) -> None:
        """
        Whatever is given is either an address that stays as it is when it is
        checked again, or refused.
        """
        try:
            checked = checkAddress(text, utf8=True)
        except MalformedAddress:
            return
        self.assertEqual(checkAddress(checked, utf8=True), checked)
        self.assertTrue(checked.isprintable())
