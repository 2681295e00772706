# -*- test-case-name: relaymail.test.outcome.test_lines -*-
"""
Tests for L{relaymail.outcome.lines}.
"""

from __future__ import annotations

import re
import shlex

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.logger import formatEvent
from twisted.trial.unittest import SynchronousTestCase

from relaymail.outcome.lines import OUTCOME_FORMAT, OutcomeLines
from relaymail.outcomes import Bounce, Delivered, Outcome, Removed, Retry
from relaymail.replies import Phase, Reply, Trouble, TroubleKind

#: One value, the way a program reads the line: bare, or in double quotes.
PAIR = re.compile(r' [a-z]+=(?:"(?:[^"\\]|\\.)*"|[^\s"\\]+)')
WHOLE = re.compile(rf"[a-z]+(?:{PAIR.pattern}){{10}}\Z")
OK = Reply(250, (b"2.0.0 Ok",))
DELIVERED = Delivered("2.0.0", Phase.FINAL, OK, "mx1.example", "192.0.2.1", "TLSv1.3")


def render(
    outcome: Outcome,
    name: str = "7",
    sender: str = "a@b.example",
    recipient: str = "c@d.example",
    nextTime: float | None = None,
) -> str:
    """
    Give the line as Twisted's logger does.
    """
    lines = OutcomeLines(outcome)
    fields = lines.fields(name, sender, recipient, 0.84, 1, nextTime)
    return formatEvent({"log_format": OUTCOME_FORMAT, **fields})


class LineTests(SynchronousTestCase):
    """
    What a line says.
    """

    def test_delivered(self) -> None:
        """
        Everything that is known of a delivery, in one line.
        """
        self.assertEqual(
            render(DELIVERED),
            "delivered id=7 from=<a@b.example> to=<c@d.example> host=mx1.example "
            "address=192.0.2.1 tls=TLSv1.3 delay=0.8 attempts=1 status=2.0.0 "
            'reply="250 2.0.0 Ok"',
        )

    def test_D25_ambiguousRetry(self) -> None:
        """
        A retry says when, and whether a duplicate may come of it.
        """
        lost = Trouble(Phase.FINAL, TroubleKind.LOST)
        line = render(
            Retry("4.4.2", Phase.FINAL, lost, ambiguous=True), nextTime=1_000_000_000.9
        )
        self.assertTrue(line.startswith("retry id=7 "))
        self.assertIn(
            " host=- address=- tls=- delay=0.8 attempts=1 status=4.4.2 "
            "next=2001-09-09T01:46:40Z ambiguous=yes "
            'reply="connection lost while waiting for the reply',
            line,
        )

    def test_shared(self) -> None:
        """
        Names that share an outcome have lines of their own.
        """
        lines = OutcomeLines(DELIVERED)
        told = [
            lines.fields(name, "a@b.example", f"{name}@d.example", 0.84, 1)
            for name in ("7", "8")
        ]
        for name, fields in zip(("7", "8"), told, strict=True):
            self.assertEqual(
                fields["line"], render(DELIVERED, name, recipient=f"{name}@d.example")
            )
            self.assertEqual(fields["id"], name)
            self.assertEqual(fields["recipient"], f"<{name}@d.example>")
            self.assertEqual(fields["host"], "mx1.example")

    def test_words(self) -> None:
        """
        Each outcome has its word; mail that expired has another than mail
        that was refused.
        """
        cases: dict[str, Outcome] = {
            "bounced": Bounce("5.1.1", Phase.RCPT),
            "expired": Bounce("4.4.7", Phase.RCPT, expired=True),
            "removed": Removed("5.0.0", Phase.IDLE),
            "discarded": Removed(
                "5.7.1", Phase.RESOLVE, Trouble(Phase.RESOLVE, TroubleKind.DISCARDED)
            ),
        }
        for word, outcome in cases.items():
            self.assertEqual(render(outcome).split()[0], word)

    def test_nullSender(self) -> None:
        """
        The null sender is as it is in the envelope.
        """
        self.assertIn(" from=<> ", render(DELIVERED, sender=""))

    def test_A03_textCannotForgeAKey(self) -> None:
        """
        Quotes, spaces, brackets and line ends stay inside their value.
        """
        reply = Reply(550, (b'no" to=<x@y> \\\r\ndelivered id=9', b"{id}"))
        line = render(
            Bounce("5.1.1", Phase.RCPT, reply, "a host=b"),
            sender='"a> to=<z@q> "@b.example',
        )
        self.assertNotIn("\n", line)
        words = shlex.split(line)
        self.assertEqual(words[2], 'from=<"a> to=<z@q> "@b.example>')
        self.assertEqual(words[3:5], ["to=<c@d.example>", "host=a host=b"])
        self.assertTrue(words[-1].startswith('reply=550 no" to=<x@y> \\'))

    @settings(deadline=None, max_examples=50)
    @given(st.text(max_size=40), st.text(max_size=700), st.binary(max_size=700))
    def test_A03_oneBoundedPrintableLine(
        self, name: str, address: str, text: bytes
    ) -> None:
        """
        Whatever comes from outside, the line is one, printable and bounded,
        with as many values as there are keys.
        """
        outcome = Bounce("5.1.1", Phase.RCPT, Reply(550, (text,)), address)
        line = render(outcome, name, address, address)
        self.assertTrue(line.isprintable())
        self.assertLess(len(line), 6000)
        self.assertTrue(WHOLE.match(line), line)
        self.assertEqual(len(PAIR.findall(line)), 10)
