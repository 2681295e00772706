# -*- test-case-name: relaymail.test.testing.test_ledger -*-
"""
Tests for L{relaymail.testing.ledger}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaymail.dialogue.sevenbit import SevenBit
from relaymail.outcome.notices import Notice, Told, compose
from relaymail.outcome.redacted import redactedOf
from relaymail.outcomes import Bounce
from relaymail.replies import Phase, Reply
from relaymail.testing.ledger import (
    MAX_PROBLEMS,
    SETTLING,
    Item,
    Ledger,
    Taken,
    identify,
    identifyHeader,
    isNotice,
    readNotice,
    readRedacted,
)

FROM, TO, OTHER = "a@example.com", "b@example.org", "c@example.org"
POSTMASTER = "postmaster@example.com"
MESSAGE = b"Message-ID: <1@example.com>\r\nSubject: x\r\n\r\nHello.\r\n"
STAMP = b"Received: from x\r\n\tby relay.example.com; today\r\n"


def notice(*recipients: str, original: bytes = MESSAGE, token: str = "t") -> bytes:
    """
    Write a notice.
    """
    refused = Bounce("5.1.1", Phase.RCPT, Reply(550, (b"5.1.1 No",)))
    return compose(
        Notice(
            reportingHost="relay.example.com",
            sender=FROM,
            told=[Told(recipient, refused) for recipient in recipients],
            original=STAMP + original,
            arrived=0.0,
            now=1.0,
            token=token,
        )
    )


def redacted(token: str = "t") -> bytes:
    """
    Write what takes the place of a notice.
    """
    made = redactedOf(notice(TO), FROM, "relay.example.com", 1.0, token)
    assert made is not None
    return made[1]


class LedgerTests(SynchronousTestCase):
    """
    Tests for L{Ledger}.
    """

    def setUp(self) -> None:
        self.ledger = Ledger()

    def accept(self, *recipients: str, sender: str = FROM) -> None:
        """
        Accept the message.
        """
        self.ledger.accept(sender, recipients or (TO,), MESSAGE)

    def take(
        self,
        recipient: str = TO,
        content: bytes = STAMP + MESSAGE,
        sender: str = FROM,
        isSeen: bool = True,
        at: float = 0.0,
    ) -> Taken:
        """
        Let a host take the message.
        """
        taken = Taken(at, "mx", lambda: isSeen)
        self.ledger.take(sender, (recipient,), content, taken)
        return taken

    def tell(self, content: bytes) -> None:
        """
        Let a notice come to the sender.
        """
        self.take(FROM, content, "")

    def assertProblems(self, *texts: str) -> None:
        """
        These are the problems, as far as they say so.
        """
        found = self.ledger.balance()
        self.assertEqual(len(found), len(texts), found)
        for text, problem in zip(texts, found, strict=True):
            self.assertIn(text, problem)

    def test_nothing(self) -> None:
        """
        Nothing is in order.
        """
        self.assertProblems()

    def test_delivered(self) -> None:
        """
        So is what was delivered, with a stamp on it.
        """
        self.accept()
        self.take()
        self.assertProblems()
        self.assertEqual(self.ledger.count(MESSAGE, TO), 1)

    def test_P3_lost(self) -> None:
        """
        What is neither delivered, nor bounced, nor queued is lost.
        """
        self.accept(TO, OTHER)
        self.take()
        self.assertProblems(f"to <{OTHER}> is lost")

    def test_removed(self) -> None:
        """
        What somebody wants to be removed need not be anywhere, and may have
        been delivered before; twice it may not.
        """
        self.accept(TO, OTHER)
        self.ledger.mayRemove(FROM, TO, MESSAGE)
        self.ledger.mayRemove(FROM, TO, MESSAGE)
        name = identify(MESSAGE)
        self.assertEqual(self.ledger.balance(), [f"{Item(name, FROM, OTHER)} is lost"])
        for _ in range(2):
            self.ledger.take(FROM, [TO], MESSAGE, Taken(1.0, "mx"))
        (problem,) = self.ledger.balance([(FROM, OTHER, MESSAGE)])
        self.assertIn("was delivered 2 times", problem)

    def test_queued(self) -> None:
        """
        What is queued is not.
        """
        self.accept()
        self.assertEqual(self.ledger.balance([(FROM, TO, MESSAGE)]), [])

    def test_P2_refused(self) -> None:
        """
        What was refused is not to be delivered.
        """
        self.ledger.refuse(FROM, (TO,), MESSAGE)
        self.assertProblems()
        self.take()
        self.assertProblems("was refused")

    def test_refusedAndGivenAgain(self) -> None:
        """
        Unless it was accepted later.
        """
        self.ledger.refuse(FROM, (TO,), MESSAGE)
        self.accept()
        self.take()
        self.assertProblems()

    def test_perhaps(self) -> None:
        """
        What may have been accepted may be delivered, or not.
        """
        self.ledger.mayHaveAccepted(FROM, (TO,), MESSAGE)
        self.assertProblems()
        self.take()
        self.assertProblems()
        self.take()
        self.assertProblems("was delivered 2 times")

    def test_P4_twice(self) -> None:
        """
        Nothing is delivered twice.
        """
        self.accept()
        self.take()
        self.take()
        self.assertProblems("was delivered 2 times, and the relay knew it")

    def test_P4_unseen(self) -> None:
        """
        But where the host's answer did not come.
        """
        self.accept()
        self.take(isSeen=False)
        self.take()
        self.assertProblems()

    def test_P4_forgotten(self) -> None:
        """
        Or was not written down before the relay went down.
        """
        self.accept()
        taken = self.take(at=100.0)
        self.ledger.goDown(101.0, [(FROM, TO, MESSAGE)])
        self.assertTrue(taken.isForgotten)
        self.take()
        self.assertProblems()

    def test_P4_writtenDownTooLate(self) -> None:
        """
        To write it down takes no longer than it must, but where the disk
        fails.
        """
        self.accept()
        self.take(at=100.0)
        late = 101.0 + SETTLING
        self.ledger.goDown(late, [(FROM, TO, MESSAGE)], diskFailed=100.5)
        self.assertProblems()
        self.take(at=200.0)
        self.ledger.goDown(late + 100, [(FROM, TO, MESSAGE)], diskFailed=100.5)
        self.assertProblems("and is queued again")

    def test_P10_stoppedInGoodOrder(self) -> None:
        """
        A relay that is stopped in good order writes down all.
        """
        self.accept()
        self.take(at=100.0)
        self.ledger.goDown(100.0, [(FROM, TO, MESSAGE)], settling=0.0)
        self.assertProblems("and is queued again")

    def test_P4_doubted(self) -> None:
        """
        A relay may only be in doubt where there was no clear answer.
        """
        self.accept()
        self.take(isSeen=False)
        self.ledger.doubt(FROM, TO, MESSAGE)
        self.assertProblems()
        self.take()
        self.ledger.doubt(FROM, TO, MESSAGE)
        self.assertProblems("the relay is in doubt")

    def test_deliveredAndQueued(self) -> None:
        """
        What was delivered does not stay.
        """
        self.accept()
        self.take()
        found = self.ledger.balance([(FROM, TO, MESSAGE)])
        self.assertEqual(len(found), 1)
        self.assertIn("was delivered, and is queued", found[0])

    def test_changed(self) -> None:
        """
        What is delivered is what was accepted, to the last byte.
        """
        self.accept()
        self.take(content=STAMP + MESSAGE + b".\r\n")
        self.assertProblems("changed", "is lost")

    def test_stranger(self) -> None:
        """
        Nothing is delivered that nobody gave.
        """
        self.take(content=b"Subject: spam\r\n\r\n")
        self.assertProblems("was never accepted")

    def test_converted(self) -> None:
        """
        A message that was converted to 7-bit lines on its way is the same, with
        what the relay has put before it; with another body it is not.
        """
        original = MESSAGE.replace(b"Hello", b"H\xe4llo")
        self.ledger.accept(FROM, (TO,), original)
        converter = SevenBit()
        converted = converter.feed(original) + converter.end()
        self.assertIn(b"=E4", converted)
        for content in (converted, STAMP + b"Date: today\r\n" + converted):
            self.assertEqual(self.ledger.nameOf(content), identify(original))
        other = converted.replace(b"=E4", b"=E5")
        self.assertNotEqual(self.ledger.nameOf(other), identify(original))

    def test_dateAndMessageId(self) -> None:
        """
        A message may have been given a date.
        """
        self.accept()
        self.take(content=STAMP + b"Date: today\r\n" + MESSAGE)
        self.assertProblems()

    def test_bounced(self) -> None:
        """
        What a notice tells of has bounced.
        """
        self.accept(TO, OTHER)
        self.tell(notice(TO, OTHER))
        self.assertProblems()
        self.assertEqual(self.ledger.bounces(MESSAGE, TO), 1)

    def test_P5_noticeIsQueued(self) -> None:
        """
        A notice in the queue is one, too.
        """
        self.accept()
        self.assertEqual(self.ledger.balance([("", FROM, notice(TO))]), [])

    def test_replaced(self) -> None:
        """
        Something takes the place of a notice that could not go over TLS: it is
        missed once the notice is gone, and one is enough.
        """
        self.accept()
        old, new = notice(TO), redacted()
        self.ledger.replace(old)
        queued = ("", FROM, old)
        self.assertEqual(self.ledger.balance([queued]), [])
        self.ledger.discard("", FROM, old)
        (found,) = self.ledger.balance([])
        self.assertIn("nothing took its place", found)
        self.assertEqual(self.ledger.balance([("", POSTMASTER, new)]), [])
        self.ledger.take("", [POSTMASTER], new, Taken(1.0, "mx"))
        self.assertEqual(self.ledger.balance([]), [])
        self.ledger.take("", [POSTMASTER], redacted("u"), Taken(1.0, "mx"))
        (found,) = self.ledger.balance([])
        self.assertIn("2 took the place of 1 notices", found)

    def test_replacedForNothing(self) -> None:
        """
        What takes the place of no notice is one too many; nothing needs to take that
        of one that tells of a delay.
        """
        self.accept()
        late = notice(TO).replace(b"Action: failed", b"Action: delayed")
        self.ledger.replace(late)
        self.ledger.discard("", FROM, late)
        waiting = ("", TO, MESSAGE)
        self.assertNotIn("took", "".join(self.ledger.balance([waiting])))
        found = self.ledger.balance([("", POSTMASTER, redacted())])
        self.assertIn("1 took the place of 0 notices", "".join(found))

    def test_noticeTwice(self) -> None:
        """
        Two notices tell of one failure once too often; one that came twice is
        one.
        """
        self.accept()
        for _ in range(2):
            taken = Taken(0.0, "mx", lambda: False)
            self.ledger.take("", (FROM,), notice(TO), taken)
        self.assertProblems()
        self.tell(notice(TO, token="other"))
        self.assertProblems("has failed, and 2 notices")

    def test_deliveredAndBounced(self) -> None:
        """
        Nothing is both.
        """
        self.accept()
        self.take()
        self.tell(notice(TO))
        self.assertProblems("was delivered, and failed")

    def test_failedAndQueued(self) -> None:
        """
        What has failed does not stay.
        """
        self.accept()
        self.tell(notice(TO))
        found = self.ledger.balance([(FROM, TO, MESSAGE)])
        self.assertIn("has failed, and is queued", found[0])

    def test_noticeOfNothing(self) -> None:
        """
        A notice is about something that was accepted.
        """
        self.accept()
        self.take()
        self.tell(notice(OTHER))
        self.assertProblems("what is it?")

    def test_noticeToNobody(self) -> None:
        """
        Nobody tells the null sender.
        """
        self.accept(sender="")
        self.ledger.take("", ("",), notice(TO), Taken(0.0, "mx"))
        self.assertIn("the null sender", self.ledger.balance()[0])

    def test_discarded(self) -> None:
        """
        What has no sender is discarded when it fails, and nothing else is.
        """
        self.accept(sender="")
        self.ledger.discard("", TO, MESSAGE)
        self.assertProblems()
        self.accept()
        self.ledger.discard(FROM, TO, MESSAGE)
        self.assertProblems("was discarded")

    def test_bound(self) -> None:
        """
        Not more problems are told than anybody reads.
        """
        for n in range(2 * MAX_PROBLEMS):
            self.ledger.problem(str(n))
            self.ledger.accept(FROM, (f"{n}@example.org",), MESSAGE)
        self.assertEqual(len(self.ledger.balance()), MAX_PROBLEMS)


class NameTests(SynchronousTestCase):
    """
    Tests for how messages are known.
    """

    def test_identify(self) -> None:
        """
        Trace fields make no difference, all else does.
        """
        self.assertEqual(identify(STAMP + STAMP + MESSAGE), identify(MESSAGE))
        self.assertNotEqual(identify(MESSAGE + b"\r\n"), identify(MESSAGE))

    def test_identifyHeader(self) -> None:
        """
        A header is known without its body.
        """
        header = MESSAGE.partition(b"\r\n\r\n")[0]
        self.assertEqual(identifyHeader(header + b"\r\n"), identifyHeader(MESSAGE))
        self.assertEqual(identifyHeader(STAMP + MESSAGE), identifyHeader(MESSAGE))

    def test_readNotice(self) -> None:
        """
        A notice says whom it is about, and gives the message back.
        """
        long = f"{'x' * 60}.{'y' * 60}@example.org"
        failed, original = readNotice(notice(TO, long))
        self.assertEqual((failed, original), ([TO, long], STAMP + MESSAGE))

    def test_noticeOfADelay(self) -> None:
        """
        One that tells of a delay is a notice, and nothing has failed.
        """
        late = notice(TO).replace(b"Action: failed", b"Action: delayed")
        self.assertEqual(readNotice(late), ([], STAMP + MESSAGE))
        self.assertTrue(isNotice(late))
        self.assertFalse(isNotice(MESSAGE))

    def test_readRedacted(self) -> None:
        """
        What takes the place of a notice names the message; other messages do not.
        """
        self.assertEqual(readRedacted(redacted()), b"<1@example.com>")
        self.assertEqual(readRedacted(STAMP + redacted()), b"<1@example.com>")
        unnamed = redacted().replace(b"<1@example.com>", b"none")
        self.assertEqual(readRedacted(unnamed), b"")
        for content in (MESSAGE, notice(TO), b"", MESSAGE + redacted()):
            self.assertIsNone(readRedacted(content))

    def test_noNotice(self) -> None:
        """
        What is none tells of nobody.
        """
        self.assertEqual(readNotice(MESSAGE), ([], b""))

    def test_item(self) -> None:
        """
        An item can be read.
        """
        self.assertEqual(str(Item("m", FROM, TO)), f"m from <{FROM}> to <{TO}>")
