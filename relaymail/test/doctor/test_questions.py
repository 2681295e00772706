# -*- test-case-name: relaymail.test.doctor.test_questions -*-
"""
Tests for L{relaymail.doctor.questions}.  What answers is Twisted's own DNS.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.names import dns
from twisted.trial.unittest import SynchronousTestCase

from relaymail.doctor.questions import (
    Asker,
    Kind,
    NoAnswer,
    Server,
    makeQuestion,
    readAnswer,
    systemServers,
)

#: What a name has, by kind.
Zones = Mapping[tuple[str, int], list[dns.IEncodableRecord]]


class FakeDNS:
    """
    A name server that answers at once.

    @ivar zones: What it knows.
    @ivar code: The code of all its answers, where it is not 0.
    @ivar asked: What it was asked.
    """

    def __init__(self, zones: Zones | None = None, code: int = 0) -> None:
        self.zones = zones or {}
        self.code = code
        self.asked: list[tuple[str, int]] = []

    def __call__(self, server: Server, question: bytes, wait: float) -> bytes:
        message = dns.Message()
        message.fromStr(question)
        (query,) = message.queries
        name = str(query.name)
        self.asked.append((name, query.type))
        message.answer = 1
        records = self.zones.get((name, query.type))
        message.rCode = self.code or (0 if records is not None else dns.ENAME)
        message.answers = [
            dns.RRHeader(name, record.TYPE, ttl=60, payload=record)
            for record in records or ()
        ]
        message.additional = []
        return message.toStr()


def asker(fake: FakeDNS) -> Asker:
    """
    Make what asks a name server that takes no time.
    """
    return Asker(("192.0.2.53", 53), fake, lambda: 0.0)


class AskingTests(SynchronousTestCase):
    """
    Tests for L{Asker}.
    """

    def test_hosts(self) -> None:
        """
        Mail exchange hosts come in their order, and a null MX (RFC 7505) is none.
        """
        fake = FakeDNS(
            {
                ("one.example", dns.MX): [
                    dns.Record_MX(20, "b.example"),
                    dns.Record_MX(5, "a.example"),
                ],
                ("null.example", dns.MX): [dns.Record_MX(0, "")],
            }
        )
        self.assertEqual(asker(fake).hosts("one.example"), ["a.example", "b.example"])
        self.assertEqual(asker(fake).hosts("null.example"), [])

    def test_addresses(self) -> None:
        """
        A name has addresses of both kinds; records of another kind between them
        are passed over.
        """
        fake = FakeDNS(
            {
                ("a.example", dns.A): [
                    dns.Record_CNAME("b.example"),
                    dns.Record_A("192.0.2.1"),
                ],
                ("a.example", dns.AAAA): [dns.Record_AAAA("2001:db8::1")],
            }
        )
        found = asker(fake).addresses("a.example")
        self.assertEqual(found, ["192.0.2.1", "2001:db8::1"])

    def test_names(self) -> None:
        """
        An address is asked for by its name in reverse.
        """
        fake = FakeDNS(
            {("1.2.0.192.in-addr.arpa", dns.PTR): [dns.Record_PTR("mail.example")]}
        )
        self.assertEqual(asker(fake).names("192.0.2.1"), ["mail.example"])
        asker(fake).names("2001:db8::1")
        self.assertTrue(fake.asked[-1][0].endswith("8.b.d.0.1.0.0.2.ip6.arpa"))

    def test_codes(self) -> None:
        """
        What went wrong is said in words.
        """
        for code, words in ((2, "SERVFAIL"), (5, "REFUSED"), (9, "code 9")):
            told = asker(FakeDNS(code=code)).ask("a.example", Kind.A)
            self.assertIn(words, told.trouble)

    def test_silence(self) -> None:
        """
        A server that does not answer is asked twice, and then that is said.
        """
        asked: list[float] = []

        def silent(server: Server, question: bytes, wait: float) -> bytes:
            asked.append(wait)
            raise TimeoutError("timed out")

        made = Asker(("2001:db8::53", 53), silent)
        error = self.assertRaises(NoAnswer, made.ask, "a.example", Kind.A)
        self.assertIn("asked [2001:db8::53]:53: nothing came back", str(error))
        self.assertEqual(asked, [3.0, 3.0])

    def test_nonsense(self) -> None:
        """
        What is no answer is said to be none.
        """
        made = Asker(("192.0.2.53", 53), lambda *_: b"x")
        error = self.assertRaises(NoAnswer, made.ask, "a.example", Kind.A)
        self.assertIn("cannot be read", str(error))


class BytesTests(SynchronousTestCase):
    """
    Tests for what is sent and what comes back.
    """

    def test_question(self) -> None:
        """
        A question asks for recursion, and has room for a long answer.
        """
        message = dns.Message()
        message.fromStr(makeQuestion(4711, "one.example.", Kind.MX))
        self.assertEqual((message.id, message.recDes), (4711, True))
        (query,) = message.queries
        self.assertEqual((str(query.name), query.type), ("one.example", dns.MX))
        (room,) = message.additional
        self.assertEqual((room.type, room.cls), (dns.OPT, 4096))

    def test_otherLetters(self) -> None:
        """
        A name of other letters is asked for as DNS has it.
        """
        self.assertIn(b"xn--bcher-kva", makeQuestion(1, "bücher.example", Kind.A))

    def test_A07_loop(self) -> None:
        """
        A name that points to itself ends.
        """
        data = bytes(2) + b"\x80\0" + b"\0\1\0\0\0\0\0\0" + b"\xc0\x0c"
        self.assertRaises(ValueError, readAnswer, data, Kind.A)

    def test_A07_thousands(self) -> None:
        """
        More records than are looked at are refused.
        """
        data = bytes(2) + b"\x80\0" + b"\0\0\xff\xff\0\0\0\0"
        self.assertRaises(ValueError, readAnswer, data, Kind.A)

    @settings(max_examples=200, deadline=None)
    @given(st.binary(max_size=80), st.sampled_from(list(Kind)))
    def test_A07_anything(self, data: bytes, kind: Kind) -> None:
        """
        Whatever comes back is read, or is no answer.
        """
        try:
            code, records = readAnswer(b"\0\0\x80\0\0\1\0\1\0\0\0\0" + data, kind)
        except (ValueError, IndexError):
            return
        self.assertEqual(code, 0)
        self.assertLessEqual(len(records), 1)

    def test_system(self) -> None:
        """
        The servers of the system are those in its file, at most three.
        """
        path = self.mktemp()
        lines = ["# nameserver 1", "search x", "nameserver 192.0.2.1 # x", "nameserver"]
        lines += [f"nameserver 192.0.2.{n}" for n in (2, 3, 4)]
        Path(path).write_text("\n".join(lines))
        expected = [(f"192.0.2.{n}", 53) for n in (1, 2, 3)]
        self.assertEqual(systemServers(path), expected)
