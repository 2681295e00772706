# -*- test-case-name: relaymail.test.dialogue.test_commands -*-
"""
Tests for L{relaymail.dialogue.commands}.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.dialogue.commands import (
    MAX_COMMAND_LINE,
    Command,
    MailArgument,
    parseCommand,
    parseHelo,
    parseMail,
    parseRcpt,
)
from relaymail.dialogue.parameters import MailSaid
from relaymail.errors import Refused


class CommandTests(SynchronousTestCase):
    """
    A line is read, or refused with the reply to give.
    """

    def refusal(self, call: Callable[..., Any], *on: object) -> str:
        """
        Give the reply that a call refuses with.
        """
        text: str = self.assertRaises(Refused, call, *on).reply.text
        return text

    def test_verbAndArgument(self) -> None:
        """
        The verb comes in capitals, the argument without spaces around.
        """
        self.assertEqual(
            parseCommand(b"mail  FROM:<a@b>  "), Command("MAIL", b"FROM:<a@b>")
        )
        self.assertEqual(parseCommand(b"QUIT"), Command("QUIT", b""))

    def test_A05_lineLimit(self) -> None:
        """
        A line of the limit is read, one octet more is refused.
        """
        longest = b"NOOP " + b"x" * (MAX_COMMAND_LINE - 7)
        self.assertEqual(parseCommand(longest).verb, "NOOP")
        self.assertIn("500 5.5.2", self.refusal(parseCommand, longest + b"x"))

    def test_A03_controlCharacters(self) -> None:
        """
        No control character gets in, wherever it stands.
        """
        for octet in [*range(32), 127]:
            for line in (b"NOOP %cx", b"NO%cOP", b"MAIL FROM:<a%cb@c>", b"%cNOOP"):
                self.assertIn("5.5.2", self.refusal(parseCommand, line % octet))

    def test_notACommand(self) -> None:
        """
        What does not begin with a verb is refused.
        """
        for line in (b"", b" NOOP", b"<a@b>", b"\xc3\xbc", b"X" * 40):
            self.assertIn("500 5.5.2", self.refusal(parseCommand, line))

    def test_helo(self) -> None:
        """
        Any printable word names a client.
        """
        self.assertEqual(parseHelo(b"[192.0.2.1]"), "[192.0.2.1]")
        for wrong in (b"", b"two words", b"\xff", b"x" * 256):
            self.assertIn("501", self.refusal(parseHelo, wrong))

    def test_mail(self) -> None:
        """
        The path, its spaces and its parameters are read.
        """
        for argument, mail in (
            (b"FROM:<a@b.example>", MailArgument("a@b.example")),
            (b"from: <a@b.example>", MailArgument("a@b.example")),
            (b"FROM:<>", MailArgument("")),
            (
                b"FROM:<a@b> SIZE=12 body=8bitmime",
                MailArgument("a@b", MailSaid(12, "8BITMIME")),
            ),
            (b"FROM:<> BODY=7BIT ", MailArgument("", MailSaid(body="7BIT"))),
            (b'FROM:<"a>b c"@d>', MailArgument('"a>b c"@d')),
        ):
            self.assertEqual(parseMail(argument), mail)

    def test_mailRefused(self) -> None:
        """
        What is no path or no parameter of ours is refused.
        """
        for argument, reply in (
            (b"", "501 5.5.4"),
            (b"TO:<a@b>", "501 5.5.4"),
            (b"FROM:a@b", "501 5.5.4"),
            (b"FROM:<a@b", "501 5.5.4"),
            (b"FROM:<a@b>SIZE=1", "501 5.5.4"),
            (b"FROM:<a>", "501 5.1.7"),
            (b"FROM:<a@b> SIZE", "501 5.5.4"),
            (b"FROM:<a@b> SIZE=-1", "501 5.5.4"),
            (b"FROM:<a@b> SIZE=" + b"9" * 21, "501 5.5.4"),
            (b"FROM:<a@b> SIZE=1 SIZE=1", "501 5.5.4"),
            (b"FROM:<a@b> BODY=BINARYMIME", "501 5.5.4"),
            (b"FROM:<a@b> X=1=2", "501 5.5.4"),
            (b"FROM:<a@b> RET=FULL", "555 5.5.4"),
            (b"FROM:<a@b> SMTPUTF8", "555 5.5.4"),
            (b"FROM:<\xc3\xbc@b>", "553 5.6.7"),
        ):
            self.assertIn(reply, self.refusal(parseMail, argument))

    def test_A04_sourceRoutes(self) -> None:
        """
        A source route is dropped: what is judged is where mail would go.
        """
        self.assertEqual(
            parseRcpt(b"TO:<@here,@there:u@far.example>", "here")[0], "u@far.example"
        )

    def test_A04_twoDomains(self) -> None:
        """
        C{u@d@here} and C{d!u} are no addresses; a quoted one goes to its domain.
        """
        for path in (b"u@d@here", b"d!u", b"u@", b"@here", b"u@[127.0.0.1"):
            self.assertIn(
                "501 5.1.3", self.refusal(parseRcpt, b"TO:<%s>" % path, "here")
            )
        self.assertEqual(parseRcpt(b'TO:<"u@d"@HERE.>', "here")[0], '"u@d"@here')

    def test_postmaster(self) -> None:
        """
        The postmaster without a domain is ours (RFC 5321 4.5.1).
        """
        for path in (b"TO:<postmaster>", b"TO:<PostMaster>"):
            self.assertEqual(
                parseRcpt(path, "relay.example")[0].lower(), "postmaster@relay.example"
            )

    def test_rcptRefused(self) -> None:
        """
        RCPT has no null path and no parameters.
        """
        for argument, reply in (
            (b"TO:<>", "501 5.1.3"),
            (b"FROM:<a@b>", "501 5.5.4"),
            (b"TO:<a@b> NOTIFY=NEVER", "555 5.5.4"),
        ):
            self.assertIn(reply, self.refusal(parseRcpt, argument, "here"))

    @settings(deadline=None, max_examples=50)
    @given(st.binary(max_size=80))
    def test_A03_anyBytes(self, argument: bytes) -> None:
        """
        Whatever comes is either printable ASCII without angle trouble, or
        refused.
        """
        for parse in (parseMail, lambda a: parseRcpt(a, "here")):
            for lead in (b"FROM:<", b"TO:<", b""):
                try:
                    found = parse(lead + argument + b"@x>")
                except Refused:
                    continue
                path = found.sender if isinstance(found, MailArgument) else found[0]
                self.assertTrue(path.isascii() and path.isprintable(), path)
