# -*- test-case-name: relaymail.test.machines.test_fields -*-
"""
Tests for L{relaymail.machines.fields}.
"""

from __future__ import annotations

import re
from email.utils import getaddresses

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.machines.fields import MAX_FIELD, MAX_LINE, Unreadable, change, mailboxes


def found(value: bytes) -> list[str]:
    """
    Give the addresses of a field.
    """
    return [mailbox.address for mailbox in mailboxes(value)]


def toOther(address: str) -> str:
    """
    Change addresses of one host.
    """
    return address.replace("@in.internal", "@out.example")


_SPACES = st.sampled_from([b" ", b"", b"\r\n ", b" (a, <b> \\) (c)) ", b"\t"])
_BARE = st.sampled_from([b"a@in.internal", b"root", b'"x y"@in.internal', b"a.b@c.d"])
_NAMES = st.sampled_from(
    [b"", b"Ann B. ", b'"a, <b>; \\"" ', b"=?utf-8?q?x?= ", b"\xc3\xa9 "]
)


@st.composite
def boxes(draw: st.DrawFn) -> bytes:
    """
    Make one mailbox.
    """
    address, before, behind = draw(_BARE), draw(_SPACES), draw(_SPACES)
    if draw(st.booleans()):
        return before + draw(_NAMES) + b"<" + address + b">" + behind
    return before + address + behind


class FieldTests(SynchronousTestCase):
    """
    Addresses are found where they stand, and changed there.
    """

    def test_found(self) -> None:
        """
        Addresses with and without names, in groups, with routes, comments and
        folds are found.
        """
        for value, addresses in (
            (b" a@b.example", ["a@b.example"]),
            (b" root (Cron Daemon)", ["root"]),
            (b" Ann B. Dot <a@b>, c@d", ["a@b", "c@d"]),
            (b' "a, <x@y>" <a@b>', ["a@b"]),
            (b" team: a@b,\r\n c <d@e>;, f@g", ["a@b", "d@e", "f@g"]),
            (b" undisclosed-recipients:;", []),
            (b" <@x.example,@y:a@b>", ["a@b"]),
            (b" <>", []),
            (b" a . b @ c . d", ["a.b@c.d"]),
            (b' "x y"@b', ['"x y"@b']),
            (b" a@[192.0.2.1]", ["a@[192.0.2.1]"]),
            (b" , a@b,", ["a@b"]),
            (b" (a (nested \\) one)) a@b", ["a@b"]),
            (b"", []),
        ):
            self.assertEqual(found(value), addresses, value)

    def test_unreadable(self) -> None:
        """
        What cannot be read is not guessed at, and not changed.
        """
        for value in (
            b" Cron Daemon",
            b" a@in.internal b@c",
            b" <a@in.internal> x",
            b" <a@in.internal> <b@c>",
            b" <a@in.internal",
            b" a@in.internal@c",
            b" a@",
            b" @in.internal",
            b" (a a@in.internal",
            b' "a a@in.internal',
            b" team: a@in.internal",
            b" a@in.internal;",
            b" a: b: c@in.internal;;",
            b" a@in.internal\x00",
            b" <@x a@in.internal>",
            b" a..b@in.internal",
            b" a@[in.internal",
            b" a@b <c@in.internal>",
            b" a@in.internal\\",
            b" a@in.internal," * (MAX_FIELD // 10),
        ):
            self.assertRaises(Unreadable, mailboxes, value)
            self.assertEqual(change(value, toOther), value)

    def test_changed(self) -> None:
        """
        What is around a changed address stays, octet for octet.
        """
        for value, other in (
            (b" a@in.internal", b" a@out.example"),
            (
                b' "in, \xc3\xa9" (x@in.internal)\r\n <a@in.internal> (y), b@c',
                b' "in, \xc3\xa9" (x@in.internal)\r\n <a@out.example> (y), b@c',
            ),
            (b" t : a @ in.internal ;", b" t : a@out.example ;"),
            (b" \xc3\xa9@in.internal", b" \xc3\xa9@in.internal"),
        ):
            self.assertEqual(change(value, toOther), other)

    @given(st.lists(boxes(), max_size=5))
    @settings(deadline=None, max_examples=100)
    def test_A03_lists(self, parts: list[bytes]) -> None:
        """
        Every list is read, gets no line that was not there, and is changed in
        nothing but its addresses; once is as good as twice.
        """
        value = b",".join(parts)
        once = change(value, toOther)
        self.assertEqual(found(once), [toOther(a) for a in found(value)])
        self.assertEqual(len(found(value)), len(parts))
        self.assertEqual(once.count(b"\r\n"), value.count(b"\r\n"))
        self.assertEqual(change(once, toOther), once)

    @given(st.binary(max_size=40), st.text('<>,;:@."() \\ab[]', max_size=30))
    @settings(deadline=None, max_examples=200)
    def test_A03_anything(self, octets: bytes, text: str) -> None:
        """
        Whatever is given, it is read or left alone.
        """
        for value in (octets, text.encode()):
            other = change(value, lambda address: "x@y.example")
            self.assertEqual(
                re.findall(rb"[\r\n]", other), re.findall(rb"[\r\n]", value)
            )

    def test_asOthersRead(self) -> None:
        """
        The standard library finds the same addresses.
        """
        value = b' Ann <a@b.example>, "x, y" <c@d.example>, t: e@f.example;'
        self.assertEqual(found(value), [a for _, a in getaddresses([value.decode()])])

    def test_longLines(self) -> None:
        """
        Where a line becomes too long it is folded between addresses; where that
        does not help the field stays.
        """
        value = b" " + b", ".join([b"a@in.internal"] * 70)
        other = change(value, lambda address: f"a@{'b' * 60}.example")
        self.assertEqual(len(found(other)), 70)
        self.assertTrue(all(len(line) < MAX_LINE for line in other.split(b"\r\n")))
        self.assertNotRegex(other, rb"\r\n[ \t]*(\r\n|$)")
        value = b' "' + b"x" * 970 + b'" <a@in.internal>'
        longer = change(value, lambda address: f"a@{'b' * 60}.example")
        self.assertEqual(longer, value)
