"""
Tests for L{relaymail.route.sts.policy}: the tables of RFC 8461 3.1, 3.2 and 4.1.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.route.sts.policy import (
    MAX_AGE,
    MAX_PATTERNS,
    MAX_RECORD,
    MAX_SIZE,
    MalformedPolicy,
    MalformedRecord,
    STSMode,
    STSPolicy,
    parsePolicy,
    parseRecord,
)

#: The example of RFC 8461 3.2.
POLICY = (
    b"version: STSv1\r\n"
    b"mode: enforce\r\n"
    b"mx: mail.example.com\r\n"
    b"mx: *.example.net\r\n"
    b"mx: backupmx.example.com\r\n"
    b"max_age: 604800\r\n"
)

#: Any text that could stand in a line.
TEXTS = st.text(st.characters(codec="utf-8"), max_size=40)


def policy(**said: str | None) -> bytes:
    """
    Give a policy with some of its fields set, or left out.
    """
    fields = {
        "version": "STSv1",
        "mode": "enforce",
        "mx": "mail.example.com",
        "max_age": "86400",
        **said,
    }
    lines = (f"{key}: {value}\n" for key, value in fields.items() if value is not None)
    return "".join(lines).encode()


class RecordTests(SynchronousTestCase):
    """
    RFC 8461 3.1: the records in the DNS.
    """

    def assertId(self, expected: str | None, *records: bytes) -> None:
        """
        Check which id records of a string each have.
        """
        self.assertEqual(parseRecord([[r] for r in records]), expected, records)

    def assertMalformed(self, words: str, *records: bytes) -> None:
        """
        Check that records of a string each cannot be used, and that it is said why.
        """
        with self.assertRaises(MalformedRecord) as caught:
            parseRecord([[r] for r in records])
        self.assertIn(words, str(caught.exception), records)

    def test_3_1_record(self) -> None:
        """
        A record has a version and an id, and perhaps a delimiter at the end.
        """
        for record in (
            b"v=STSv1; id=20160831085700Z;",
            b"v=STSv1; id=20160831085700Z",
            b"v=STSv1;id=20160831085700Z;",
            b"v=STSv1 \t; \tid=20160831085700Z \t; \t",
        ):
            self.assertId("20160831085700Z", record)

    def test_3_1_extensions(self) -> None:
        """
        Fields that nobody knows are passed over, wherever they stand.
        """
        self.assertId("1", b"v=STSv1; a_.-9=!:<>~; id=1; b=2;")

    def test_3_1_duplicates(self) -> None:
        """
        Of two ids the first one counts (RFC 8461 3.2).
        """
        self.assertId("1", b"v=STSv1; id=1; id=2;")

    def test_3_1_strings(self) -> None:
        """
        The strings of a record are put together with nothing between them.
        """
        self.assertEqual(parseRecord([[b"v=STS", b"v1; id=1", b"23;"]]), "123")

    def test_3_1_none(self) -> None:
        """
        Records that do not begin with the version are about something else.
        """
        for record in (
            b"",
            b"v=spf1 -all",
            b"v=STSv1",
            b"v=STSv11; id=1;",
            b"v=STSv2; id=1;",
            b"V=STSv1; id=1;",
            b"v=stsv1; id=1;",
            b" v=STSv1; id=1;",
            b"id=1; v=STSv1;",
        ):
            self.assertId(None, record)
        self.assertIsNone(parseRecord([]))

    def test_3_1_others(self) -> None:
        """
        They do not count beside the one that does.
        """
        self.assertId("1", b"v=spf1 -all", b"v=STSv1; id=1;", b"v=STSv2; id=2;")

    def test_3_1_several(self) -> None:
        """
        Two that do are none, and be they equal.
        """
        self.assertMalformed("2 of them", b"v=STSv1; id=1;", b"v=STSv1; id=2;")
        self.assertMalformed("2 of them", b"v=STSv1; id=1;", b"v=STSv1; id=1;")
        self.assertMalformed("2 of them", b"v=STSv1; id=1;", b"v=STSv1;")

    def test_3_1_grammar(self) -> None:
        """
        One that does not follow the grammar is none.
        """
        for words, record in (
            ("no id", b"v=STSv1;"),
            ("no id", b"v=STSv1; ID=1;"),
            ("no field", b"v=STSv1; id;"),
            ("no field", b"v=STSv1; id=;"),
            ("no field", b"v=STSv1;; id=1;"),
            ("no field", b"v=STSv1; id=1;;"),
            ("no field", b"v=STSv1; id =1;"),
            ("no field", b"v=STSv1; id= 1;"),
            ("no field", b"v=STSv1; id=1 2;"),
            ("no field", b"v=STSv1; id=1; a=b=c;"),
            ("no field", b"v=STSv1; id=1; _a=b;"),
            ("no field", b"v=STSv1; id=1; " + b"a" * 33 + b"=b;"),
            ("no field", b"v=STSv1; id=1; a=\xc3\xa4;"),
            ("no field", b"v=STSv1; id=1\n;"),
            ("is no id", b"v=STSv1; id=1-2;"),
            ("is no id", b"v=STSv1; id=" + b"1" * 33 + b";"),
            ("longer", b"v=STSv1; id=1; a=" + b"x" * MAX_RECORD),
        ):
            self.assertMalformed(words, record)

    @settings(deadline=None, max_examples=50)
    @given(st.lists(st.lists(st.binary(max_size=40), max_size=3), max_size=3))
    def test_anything(self, records: list[list[bytes]]) -> None:
        """
        Any bytes have an id, or none, or are said to be wrong in one readable line.
        """
        for given_ in (records, [[b"v=STSv1;", *strings] for strings in records]):
            try:
                found = parseRecord(given_)
            except MalformedRecord as e:
                self.assertTrue(str(e).isprintable())
            else:
                self.assertTrue(found is None or found.isalnum())


class PolicyTests(SynchronousTestCase):
    """
    RFC 8461 3.2: what the web server gives.
    """

    def assertMalformed(self, words: str, body: bytes) -> None:
        """
        Check that something is no policy, and that it is said why.
        """
        with self.assertRaises(MalformedPolicy) as caught:
            parsePolicy(body)
        self.assertIn(words, str(caught.exception), body)

    def test_3_2_policy(self) -> None:
        """
        The fields are read; the lines are kept as they are.
        """
        self.assertEqual(
            parsePolicy(POLICY, "id1"),
            STSPolicy(
                STSMode.ENFORCE,
                ("mail.example.com", "*.example.net", "backupmx.example.com"),
                604800,
                "id1",
                tuple(POLICY.decode().split("\r\n")[:-1]),
            ),
        )

    def test_3_2_lineEnds(self) -> None:
        """
        Lines end in CRLF or LF, the last one in nothing, too, with spaces before that.
        """
        expected = parsePolicy(POLICY)
        for body in (
            POLICY.replace(b"\r\n", b"\n"),
            POLICY.removesuffix(b"\r\n"),
            POLICY.replace(b"\r\n", b" \t\r\n"),
            POLICY.replace(b"\r\n", b"\n", 2),
            POLICY + b"\r\n\n",
        ):
            self.assertEqual(parsePolicy(body), expected)

    def test_3_2_delimiters(self) -> None:
        """
        There may be spaces after the colon, and need not.
        """
        expected = parsePolicy(POLICY)
        for between in (b":", b":\t \t"):
            found = parsePolicy(POLICY.replace(b": ", between))
            self.assertEqual(found.patterns, expected.patterns)
            self.assertEqual(found.maxAge, expected.maxAge)

    def test_3_2_order(self) -> None:
        """
        The fields stand in any order.
        """
        lines = POLICY.splitlines(keepends=True)
        found = parsePolicy(b"".join(reversed(lines)))
        self.assertEqual(set(found.patterns), set(parsePolicy(POLICY).patterns))
        self.assertIs(found.mode, STSMode.ENFORCE)

    def test_3_2_extensions(self) -> None:
        """
        Fields that nobody knows are passed over; they may hold UTF-8 and colons.
        """
        found = parsePolicy(POLICY + b"note_1.x-y: f\xc3\xbcr uns: alle\r\n")
        self.assertEqual(found.patterns, parsePolicy(POLICY).patterns)
        self.assertEqual(found.lines[-1], "note_1.x-y: für uns: alle")

    def test_3_2_duplicates(self) -> None:
        """
        Of fields that stand there twice the first one counts, but for mx.
        """
        found = parsePolicy(
            POLICY + b"mode: none\nmax_age: 1\nversion: STSv2\nmx: d.example\n"
        )
        self.assertIs(found.mode, STSMode.ENFORCE)
        self.assertEqual(found.maxAge, 604800)
        self.assertEqual(len(found.patterns), 4)
        self.assertMalformed("STSv2", b"version: STSv2\n" + POLICY)

    def test_3_2_modes(self) -> None:
        """
        There are three modes.
        """
        for mode in STSMode:
            self.assertIs(parsePolicy(policy(mode=mode.value)).mode, mode)
        for word in ("Enforce", "report", "enforce,testing", "e"):
            self.assertMalformed("enforce, testing, none", policy(mode=word))

    def test_3_2_missing(self) -> None:
        """
        All fields are to be there.
        """
        for key in ("version", "mode", "max_age"):
            self.assertMalformed(f"has no {key}", policy(**{key: None}))
        self.assertMalformed("has no version", b"")

    def test_3_2_keysHaveTheirCase(self) -> None:
        """
        A key in another case is one that nobody knows.
        """
        self.assertMalformed(
            "has no version", POLICY.replace(b"version", b"Version", 1)
        )

    def test_3_2_hosts(self) -> None:
        """
        One that asks for something names hosts; one that ends that need not.
        """
        for mode in ("enforce", "testing"):
            self.assertMalformed("names no mx", policy(mode=mode, mx=None))
        for mx in (None, "mail.example.com", "what ever"):
            found = parsePolicy(policy(mode="none", mx=mx))
            self.assertEqual((found.mode, found.patterns), (STSMode.NONE, ()))

    def test_3_2_patterns(self) -> None:
        """
        A pattern is a name, with or without a star for its leftmost label.
        """
        for mx in ("a.example", "*.example", "xn--bcher-kva.example", "A.Example."):
            self.assertEqual(parsePolicy(policy(mx=mx)).patterns, (mx,))
        for mx in (
            "*",
            "*.",
            "a.*.example",
            "*a.example",
            "*.*.example",
            ".example",
            "a..example",
            "[192.0.2.1]",
            "a.example, b.example",
            "bücher.example",
            "-",
        ):
            self.assertMalformed("no name of hosts", policy(mx=mx))

    def test_3_2_maxAge(self) -> None:
        """
        It holds from no time to a year.
        """
        for value in (0, 1, 86400, MAX_AGE):
            self.assertEqual(parsePolicy(policy(max_age=str(value))).maxAge, value)
        for text in (str(MAX_AGE + 1), "-1", "1.5", "1d", "0" * 11, "9" * 10, "\uff11"):
            self.assertMalformed("no number of seconds", policy(max_age=text))

    def test_3_2_grammar(self) -> None:
        """
        A line that is no field makes it no policy.
        """
        for line in (
            b"<html>",
            b"mode enforce",
            b"mode : enforce",
            b"note:",
            b" note: 1",
            b"# note",
            b"_a: 1",
            b"a" * 33 + b": 1",
            b"note: a\x00b",
            b"note: a\rb",
            b": 1",
        ):
            self.assertMalformed("no line of one", POLICY + line + b"\n")
        self.assertMalformed("no UTF-8", POLICY + b"note: \xff\n")

    def test_3_3_size(self) -> None:
        """
        It has a bound, and so has the number of hosts.
        """
        longest = POLICY + b"\n" * (MAX_SIZE - len(POLICY))
        self.assertEqual(parsePolicy(longest), parsePolicy(POLICY))
        self.assertMalformed("longer than", longest + b"\n")
        most = policy(mx=None) + b"mx: a.example\n" * MAX_PATTERNS
        self.assertEqual(parsePolicy(most).patterns, ("a.example",))
        self.assertMalformed("more than", most + b"mx: b.example\n")

    @settings(deadline=None, max_examples=50)
    @given(st.lists(st.sampled_from(POLICY.decode().splitlines()) | TEXTS, max_size=8))
    def test_anything(self, lines: list[str]) -> None:
        """
        Any lines are a policy that says what it should, or are said to be wrong in
        one readable line.
        """
        try:
            found = parsePolicy("\n".join(lines).encode())
        except MalformedPolicy as e:
            self.assertTrue(str(e).isprintable())
        else:
            self.assertLessEqual(0, found.maxAge)
            self.assertEqual(found.mode is STSMode.NONE, not found.patterns)
            for pattern in found.patterns:
                host = pattern.replace("*", "any")
                self.assertTrue(found.matches(host), host)


class MatchTests(SynchronousTestCase):
    """
    RFC 8461 4.1: which hosts a policy means.
    """

    def assertMatches(self, pattern: str, *hosts: str, isMeant: bool = True) -> None:
        """
        Check whether a pattern means hosts.
        """
        found = STSPolicy(STSMode.ENFORCE, ("other.example.org", pattern), 1)
        for host in hosts:
            self.assertEqual(found.matches(host), isMeant, (pattern, host))

    def test_4_1_names(self) -> None:
        """
        A name means itself, whatever its case and with or without a dot at the end.
        """
        for pattern in ("mail.example.com", "MAIL.example.com", "mail.example.com."):
            self.assertMatches(
                pattern, "mail.example.com", "Mail.Example.COM", "mail.example.com."
            )
            self.assertMatches(
                pattern,
                "example.com",
                "a.mail.example.com",
                "mail.example.com.net",
                "mail-example.com",
                "",
                ".",
                isMeant=False,
            )

    def test_4_1_star(self) -> None:
        """
        A star stands for exactly one label, the leftmost one.
        """
        self.assertMatches(
            "*.example.com", "mail.example.com", "B.EXAMPLE.com.", "_x.example.com"
        )
        self.assertMatches(
            "*.example.com",
            "example.com",
            "foo.bar.example.com",
            ".example.com",
            "mailexample.com",
            "mail.example.com.net",
            "*.example.com",
            isMeant=False,
        )

    def test_4_1_international(self) -> None:
        """
        Names that are not ASCII are compared by their A-labels.
        """
        for host in ("bücher.example", "xn--bcher-kva.example", "BÜCHER.example"):
            self.assertMatches("xn--bcher-kva.example", host)
            self.assertMatches("*.example", host)

    def test_4_1_literals(self) -> None:
        """
        A network address is no name.
        """
        self.assertMatches("*.0.2.1", "[192.0.2.1]", isMeant=False)

    @settings(deadline=None, max_examples=50)
    @given(st.from_regex(r"[a-z0-9]{1,8}(\.[a-z0-9]{1,8}){0,4}", fullmatch=True))
    def test_anyName(self, name: str) -> None:
        """
        Whatever the name, a pattern means it, and one label below it by a star only.
        """
        self.assertMatches(name, name, name.upper())
        self.assertMatches(f"*.{name}", f"x.{name}")
        self.assertMatches(f"*.{name}", name, f"y.x.{name}", isMeant=False)
        self.assertMatches(name, f"x.{name}", isMeant=False)
