# -*- test-case-name: relaymail.test.admin.test_recent -*-
"""
Tests for L{relaymail.admin.recent}: what became of mail lately.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relaymail.admin.recent import (
    KINDS,
    LEAST,
    MAX_COUNTED,
    MAX_NAMES,
    MAX_REPLIES,
    OTHER,
    SPAN,
    Past,
    Rates,
    RecentOutcomes,
)
from relaymail.envelopes import Letter
from relaymail.outcome.lines import OutcomeLines
from relaymail.outcomes import Bounce, Delivered, Outcome, Removed, Retry
from relaymail.replies import Phase, Reply, Trouble, TroubleKind

NO_CONTENT: Any = None
THROWN = Trouble(Phase.RESOLVE, TroubleKind.DISCARDED)


def note(
    recent: RecentOutcomes,
    name: str,
    outcome: Outcome,
    recipient: str = "b@example.org",
) -> None:
    """
    Note an outcome, as a relaying manager has it noted.
    """
    letter = Letter(["a@example.com", recipient, None], NO_CONTENT, attempts=2)
    letter.arrived = 1000.0
    fields = OutcomeLines(outcome).fields(name, letter.sender, recipient, 5.5, 2)
    recent.noteOutcome(name, letter, outcome, fields)


def said(code: int, text: bytes) -> Reply:
    """
    Give a reply.
    """
    return Reply(code, (text,))


class RecentTests(SynchronousTestCase):
    """
    The last outcomes.
    """

    def setUp(self) -> None:
        self.recent = RecentOutcomes()

    def test_past(self) -> None:
        """
        It is known what became of a name, when, and by which host.
        """
        reply = said(250, b'2.0.0 "Ok" \\ thanks')
        note(
            self.recent,
            "7",
            Delivered("2.0.0", Phase.FINAL, reply, "mx.example.org", "192.0.2.1"),
        )
        self.assertIn("7", self.recent)
        self.assertEqual(
            self.recent.get("7"),
            Past(
                sender="a@example.com",
                recipient="b@example.org",
                arrived=1000.0,
                attempts=2,
                time=1005.5,
                kind="delivered",
                reply='250 2.0.0 "Ok" \\ thanks',
                status="2.0.0",
                host="mx.example.org",
                address="192.0.2.1",
            ),
        )
        self.assertNotIn("8", self.recent)
        self.assertIsNone(self.recent.get("8"))

    def test_kinds(self) -> None:
        """
        Each kind of outcome is counted by itself; what is tried again is not past.
        """
        reply = said(550, b"no")
        for number, (outcome, kind) in enumerate(
            (
                (Delivered("2.0.0", Phase.FINAL), "delivered"),
                (Retry("4.0.0", Phase.RCPT, reply), "retried"),
                (Bounce("5.1.1", Phase.RCPT, reply), "bounced"),
                (Bounce("5.4.7", Phase.RCPT, reply, expired=True), "expired"),
                (Removed("", Phase.IDLE), "removed"),
                (Removed("", Phase.RESOLVE, THROWN), "discarded"),
            )
        ):
            name = str(number)
            note(self.recent, name, outcome)
            self.assertEqual(self.recent.counts[kind], 1)
            past = self.recent.get(name)
            self.assertEqual(past and past.kind, None if kind == "retried" else kind)
        self.assertEqual(sum(self.recent.counts.values()), len(KINDS))

    def test_lastReply(self) -> None:
        """
        What a destination said last is known.
        """
        note(self.recent, "1", Retry("4.7.1", Phase.RCPT, said(451, b"4.7.1 Later")))
        self.assertEqual(self.recent.lastReply("example.org"), "451 4.7.1 Later")
        note(
            self.recent,
            "1",
            Delivered("2.0.0", Phase.FINAL, said(250, b"Ok")),
            "b@Example.ORG",
        )
        self.assertEqual(self.recent.lastReply("example.org"), "250 Ok")
        self.assertEqual(self.recent.lastReply("example.net"), "")

    def test_A05_names(self) -> None:
        """
        No more names are remembered than there is room for, and the last are.
        """
        outcome = Delivered("2.0.0", Phase.FINAL)
        for number in range(2 * MAX_NAMES):
            note(self.recent, str(number), outcome)
        known = [n for n in range(2 * MAX_NAMES) if str(n) in self.recent]
        self.assertLessEqual(len(known), MAX_NAMES)
        self.assertGreaterEqual(len(known), MAX_NAMES // 2)
        self.assertEqual(known, list(range(known[0], 2 * MAX_NAMES)))

    def test_A05_destinations(self) -> None:
        """
        Only so many destinations are counted by themselves; nothing is lost of the
        others' counts, nor of those that were forgotten.
        """
        outcome = Delivered("2.0.0", Phase.FINAL, said(250, b"Ok"))
        number = MAX_REPLIES + 100
        for _ in range(2):
            for each in range(number):
                note(self.recent, "1", outcome, f"b@d{each}.example")
        counted = self.recent.byDestination
        self.assertEqual(len(counted), MAX_COUNTED + 1)
        self.assertEqual(counted["d0.example"]["delivered"], 2)
        self.assertEqual(counted[OTHER]["delivered"], 2 * (number - MAX_COUNTED))
        self.assertEqual(self.recent.counts["delivered"], 2 * number)
        self.assertLessEqual(len(self.recent._sites), MAX_REPLIES)

    def test_destinationCalledOther(self) -> None:
        """
        A destination that is called as the others are takes nothing from them.
        """
        outcome = Delivered("2.0.0", Phase.FINAL)
        note(self.recent, "1", outcome, "b@other")
        note(self.recent, "2", outcome, "b@other")
        self.assertEqual(self.recent.counts["delivered"], 2)

    def test_A03_printable(self) -> None:
        """
        What a remote said, and who it was said for, is printable.
        """
        reply = said(250, b"\x1b[31mOk\r\nX: y <b>\xff")
        note(
            self.recent,
            "1",
            Delivered("2.0.0", Phase.FINAL, reply, "mx\x1b[31m\n"),
            "b@exa\x1bmple\n.org",
        )
        past = self.recent.get("1")
        assert past is not None
        for text in (past.reply, past.host, *self.recent.byDestination):
            self.assertTrue(text.isprintable(), repr(text))


class RatesTests(SynchronousTestCase):
    """
    How fast counters grow.
    """

    def test_rate(self) -> None:
        """
        The rate is that of the last minute.
        """
        rates = Rates()
        self.assertEqual(rates.perSecond("x"), 0)
        for second in range(0, 301, 10):
            rates.note(second, {"x": second * 2 if second > 200 else 0})
        self.assertAlmostEqual(rates.perSecond("x"), 2.0)
        self.assertEqual(rates.perSecond("y"), 0)

    def test_A05_asksAllTheTime(self) -> None:
        """
        However often it is asked, no more is kept than is needed.
        """
        rates = Rates()
        for number in range(10_000):
            rates.note(number / 50, {"x": number})
        self.assertLessEqual(len(rates._seen), SPAN / LEAST + 3)
        self.assertAlmostEqual(rates.perSecond("x"), 50, delta=1)

    def test_clockSetBack(self) -> None:
        """
        A clock that was set back, or counters that began anew, give no nonsense.
        """
        rates = Rates()
        rates.note(100, {"x": 5})
        rates.note(50, {"x": 6})
        self.assertEqual(rates.perSecond("x"), 0)
        rates.note(60, {"x": 0})
        self.assertEqual(rates.perSecond("x"), 0)


class SettlementTests(SynchronousTestCase):
    """
    What the relaying manager tells.
    """

    def test_listenerThatFails(self) -> None:
        """
        What only listens does not keep mail from being settled.
        """
        from relaymail.testing.doubles import MailWorld

        world = MailWorld()
        world.host("192.0.2.25")
        world.exchange("example.org", {"mx.example.org": "192.0.2.25"})
        manager: Any = world.manager
        manager.onOutcome = lambda *_: 1 / 0
        world.send("a@example.com", "b@example.org")
        world.run(5)
        self.assertEqual(world.queue.getWaiting() + world.queue.getRelayed(), [])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
