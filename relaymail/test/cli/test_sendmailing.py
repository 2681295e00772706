# -*- test-case-name: relaymail.test.cli.test_sendmailing -*-
"""
Tests for L{relaymail.cli.sendmailing}.
"""

from __future__ import annotations

from io import BytesIO

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.cli.giving import DATA, NO_USER, USAGE, NotGiven
from relaymail.cli.sendmailing import (
    MAX_RECIPIENTS,
    Told,
    addressesIn,
    author,
    checkRecipients,
    nameIn,
    parse,
    readMessage,
    readRecipients,
    readSender,
    recipientsIn,
    withoutBcc,
)
from relaymail.machines import Machines
from relaymail.machines.fields import mailboxes

NO_ORIGIN = Machines(hostname="relay.example")
ORIGIN = Machines("example.org", hostname="relay.example")


class ParseTests(SynchronousTestCase):
    """
    The command line of sendmail.
    """

    def test_options(self) -> None:
        """
        Options stand alone or together, their values behind them or apart.
        """
        for line, told in (
            ("a@b c", Told(recipients=["a@b", "c"])),
            ("-t", Told(fromHeader=True)),
            ("-i", Told(ignoreDots=True)),
            ("-oi", Told(ignoreDots=True)),
            ("-ti", Told(fromHeader=True, ignoreDots=True)),
            ("-oitrue -t", Told(fromHeader=True, ignoreDots=True)),
            ("-froot@x -- -a", Told(sender="root@x", recipients=["-a"])),
            ("-f root@x", Told(sender="root@x")),
            ("-r root@x", Told(sender="root@x")),
            ("-tifroot@x", Told(fromHeader=True, ignoreDots=True, sender="root@x")),
            ("-F Ann a", Told(name="Ann", recipients=["a"])),
            ("-FAnn a", Told(name="Ann", recipients=["a"])),
            ("-oem -odb -om -o7 a", Told(recipients=["a"])),
            (
                "-em -B8BITMIME -Ndelay,failure -R hdrs -V id -v a",
                Told(recipients=["a"]),
            ),
            ("-N never -h 20 -L tag -O A=b -X log -p TCP:x a", Told(recipients=["a"])),
            ("-bm a", Told(recipients=["a"])),
            ("-bs", Told(mode="s")),
            ("-bp", Told(mode="p")),
            ("-bi", Told(mode="i")),
            ("-I", Told(mode="i")),
            ("-q", Told(mode="i")),
            ("-q30m", Told(mode="i")),
            ("-d8.100 -G -U -n -m -c -s -x a", Told(recipients=["a"])),
            ("a -t b", Told(fromHeader=True, recipients=["a", "b"])),
            ("- a", Told(recipients=["-", "a"])),
        ):
            self.assertEqual(parse(line.split()), told, line)
        self.assertEqual(parse(["-f", ""]), Told(sender=""))

    def test_wrong(self) -> None:
        """
        What nobody knows, or cannot be done, is told.
        """
        for line in ("-Z", "--to", "-f", "-bd", "-bv a", "-bt", "-Mq", "-tZ"):
            error = self.assertRaises(NotGiven, parse, line.split())
            self.assertEqual(error.code, USAGE)
            self.assertTrue(str(error).isprintable())

    @given(st.lists(st.text("-tifoFbq @a\n", max_size=5), max_size=4))
    @settings(deadline=None, max_examples=100)
    def test_anything(self, arguments: list[str]) -> None:
        """
        Every command line is read, or refused in one line.
        """
        try:
            parse(arguments)
        except NotGiven as e:
            self.assertTrue(str(e).isprintable())


class ReadTests(SynchronousTestCase):
    """
    What is read.
    """

    def read(self, data: bytes, limit: int = 0, ignoreDots: bool = False) -> bytes:
        """
        Read a message.
        """
        return readMessage(BytesIO(data), limit, ignoreDots=ignoreDots)

    def test_dots(self) -> None:
        """
        A dot alone on a line ends the message, unless it is said that it does
        not.
        """
        for end in (b".\n", b".\r\n", b"."):
            self.assertEqual(self.read(b"a\n" + end), b"a\n")
        self.assertEqual(self.read(b"a\n.\nb\n"), b"a\n")
        self.assertEqual(self.read(b"a\n.\nb\n", ignoreDots=True), b"a\n.\nb\n")
        self.assertEqual(self.read(b".a\n..\n . \n"), b".a\n..\n . \n")
        long = b"x" * 65_536 + b".\n"
        self.assertEqual(self.read(long + b"b\n"), long + b"b\n")

    def test_mailbox(self) -> None:
        """
        The line on top of a message in a mailbox file is left out.
        """
        self.assertEqual(
            self.read(b"From a@b Mon\nA: b\n\nFrom x\n"), b"A: b\n\nFrom x\n"
        )

    def test_A05_size(self) -> None:
        """
        What is larger than the largest message is refused before all is read.
        """
        self.assertEqual(len(self.read(b"x" * 100, 100)), 100)
        stream = BytesIO(b"x\n" * 1_000_000)
        error = self.assertRaises(NotGiven, readMessage, stream, 100, ignoreDots=False)
        self.assertEqual(error.code, DATA)
        self.assertLess(stream.tell(), 200)


class AddressTests(SynchronousTestCase):
    """
    Who a message is from and for.
    """

    def test_recipientsIn(self) -> None:
        """
        They stand in To, Cc and Bcc; where it was resent, in the fields for
        that only (RFC 5322 3.6.6).
        """
        header = b"To: a@b,\r\n Ann <c@d>\r\nSubject: To: x@y\r\ncc : e\r\nBCC: f@g\r\n"
        self.assertEqual(recipientsIn(header), ["a@b", "c@d", "e", "f@g"])
        resent = header + b"Resent-To: h@i\r\nResent-Bcc: j@k\r\n"
        self.assertEqual(recipientsIn(resent), ["h@i", "j@k"])
        self.assertEqual(recipientsIn(b"To: nobody:;\r\n"), [])

    def test_withoutBcc(self) -> None:
        """
        Nobody is to see the Bcc fields, folded or not; all others stay.
        """
        header = b"To: a\r\nBcc: b,\r\n c\r\nX-Bcc: d\r\nresent-BCC : e\r\nA: f\r\n"
        self.assertEqual(withoutBcc(header), b"To: a\r\nX-Bcc: d\r\nA: f\r\n")

    def test_readRecipients(self) -> None:
        """
        They are those of the command line, and of the header where it is said
        so, each once, with their domains.
        """
        content = b"To: a@b, root\r\nBcc: c@d\r\n\r\nTo: x@y\r\n"
        told = Told(recipients=["Ann <a@b>, e"], fromHeader=True)
        self.assertEqual(
            readRecipients(told, content, ORIGIN),
            ("a@b", "e@example.org", "root@example.org", "c@d"),
        )
        told.fromHeader = False
        self.assertEqual(
            readRecipients(told, content, ORIGIN), ("a@b", "e@example.org")
        )

    def test_noRecipients(self) -> None:
        """
        None, one that cannot be read or written to, and too many are told.
        """
        many = [f"a{n}@b" for n in range(MAX_RECIPIENTS + 1)]
        for told, content, code in (
            (Told(recipients=[""]), b"", DATA),
            (Told(fromHeader=True), b"Subject: x\r\n", DATA),
            (Told(fromHeader=True), b"To: one two\r\n", DATA),
            (Told(recipients=["one two"]), b"", DATA),
            (Told(recipients=["a@b..c"]), b"", DATA),
            (Told(recipients=["\udcff@b"]), b"", DATA),
            (Told(recipients=["root"]), b"", NO_USER),
            (Told(recipients=many), b"", DATA),
        ):
            error = self.assertRaises(
                NotGiven, readRecipients, told, content, NO_ORIGIN
            )
            self.assertEqual(error.code, code, told)
            self.assertTrue(str(error).isprintable())

    def test_checkRecipients(self) -> None:
        """
        It is known before anything is read where nobody is named.
        """
        self.assertEqual(
            self.assertRaises(NotGiven, checkRecipients, Told()).code, USAGE
        )
        checkRecipients(Told(fromHeader=True))
        checkRecipients(Told(recipients=["a"]))

    def test_readSender(self) -> None:
        """
        The sender is the user where nothing is said; one without a domain gets
        the origin, or this host where there is none.
        """
        for sender, machines, whole in (
            (None, ORIGIN, "cron@example.org"),
            (None, NO_ORIGIN, "cron@relay.example"),
            ("root", NO_ORIGIN, "root@relay.example"),
            ("Ann <a@B.example>", NO_ORIGIN, "a@b.example"),
            ("", ORIGIN, ""),
            ("<>", ORIGIN, ""),
        ):
            self.assertEqual(readSender(sender, "cron", machines), whole)
        for sender in ("a b", "a@b, c@d", "a@b\r\nc"):
            error = self.assertRaises(NotGiven, readSender, sender, "cron", ORIGIN)
            self.assertEqual(error.code, DATA)

    @given(st.text(max_size=150))
    @settings(deadline=None, max_examples=100)
    def test_A03_author(self, name: str) -> None:
        """
        Whatever a person is called, the From field is one line of ASCII with
        one address.
        """
        value = author(name, "a@b.example")
        self.assertTrue(value.isascii() and value.isprintable(), value)
        self.assertEqual(
            [m.address for m in mailboxes(value.encode())], ["a@b.example"]
        )

    def test_names(self) -> None:
        """
        Names are written as mail has them, and read.
        """
        self.assertEqual(author("Ann B.", "a@b"), '"Ann B." <a@b>')
        self.assertEqual(author("", "a@b"), "a@b")
        self.assertEqual(nameIn("Ann <a@b>"), "Ann")
        self.assertEqual(nameIn("a@b"), "")
        self.assertEqual(addressesIn("a@b", "x"), ["a@b"])
