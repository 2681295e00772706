# -*- test-case-name: relaymail.test.stories.test_asked -*-
"""
Mail of which its sender said more than for whom it is, and hosts that can do it,
cannot, or only say that they can.
"""

from __future__ import annotations

from collections.abc import Sequence
from email import message_from_bytes
from typing import Any

from relaymail.envelopes import (
    NO_PARAMETERS,
    DeliverBy,
    Envelope,
    Letter,
    Parameters,
    RecipientParameters,
)
from relaymail.outcomes import Bounce, Delivered, Outcome
from relaymail.route.hosts import Host
from relaymail.test.stories.harness import (
    FIRST,
    SECOND,
    SENDER,
    Logged,
    StoryTestCase,
    statusOf,
)
from relaymail.testing.doubles import CONTENT
from relaymail.testing.servers import Act, SMTPServer, Then

USUAL = ("PIPELINING", "8BITMIME", "SIZE 1000000")
EIGHT_BIT = b"Subject: x\r\nMIME-Version: 1.0\r\n\r\n\xc3\xa4\r\n"
#: A header cannot be converted.
STUBBORN = b"Subject: \xc3\xa4\r\n\r\n\xc3\xa4\r\n"


class AskedTestCase(StoryTestCase):
    """
    A test with two hosts.
    """

    def setUp(self) -> None:
        super().setUp()
        self.twoHosts()
        self.set(recipientsPerTransaction=100, maxConnections=1)

    def host(self, address: str, *keywords: str, **answers: Any) -> SMTPServer:
        """
        Put a host into the network that offers more than usual.
        """
        return self.world.host(address, answers, keywords=(*USUAL, *keywords))

    def give(
        self,
        parameters: Parameters = NO_PARAMETERS,
        *recipients: str,
        own: Sequence[RecipientParameters] = (),
        content: bytes = CONTENT,
    ) -> list[str]:
        """
        Queue a message.
        """
        to = recipients or ("b@example.org",)
        envelope = Envelope(SENDER, to, parameters, tuple(own))
        names: list[str] = []
        self.world.queue.add(envelope, content).addCallback(names.extend)
        return names

    def assertBounced(self, status: str) -> None:
        """
        The sender was told.
        """
        (notice,) = self.notices()
        self.assertIn(f"Status: {status}", statusOf(notice))
        self.assertEmpty()


class CannotTests(AskedTestCase):
    """
    Hosts that cannot take a message.
    """

    def test_anotherHostCan(self) -> None:
        """
        What the first host cannot take the second one gets, and nothing of it is
        said to the first.
        """
        for parameters, content, keyword in (
            (Parameters(utf8=True), CONTENT, "SMTPUTF8"),
            (NO_PARAMETERS, STUBBORN, ""),
            (Parameters(deliverBy=DeliverBy(9e9, True)), CONTENT, "DELIVERBY"),
        ):
            self.setUp()
            first = self.world.host(FIRST, keywords=("PIPELINING",))
            second = self.host(SECOND, keyword)
            self.give(parameters, content=content)
            self.world.run(1)
            self.assertEqual((len(first.received), len(second.received)), (0, 1))
            said = [line[:4] for line in first.sessions[0].commands]
            self.assertNotIn("." if content is STUBBORN else "MAIL", said)
            self.assertEmpty()

    def test_nobodyCan(self) -> None:
        """
        What no host can take comes back, and why is told in the words of RFC 3463
        and its registry.
        """
        for parameters, content, status in (
            (Parameters(utf8=True), CONTENT, "5.6.7"),
            (Parameters(requireTLS=True), CONTENT, "5.7.30"),
            (Parameters(deliverBy=DeliverBy(9e9, True)), CONTENT, "5.3.3"),
            (Parameters(deliverBy=DeliverBy(1.0, True)), CONTENT, "5.4.7"),
            (NO_PARAMETERS, b"x" * 70 + b"\r\n" * 500_000, "5.3.4"),
            (NO_PARAMETERS, STUBBORN, "5.6.3"),
        ):
            self.setUp()
            keywords = ("PIPELINING", "SIZE 1000000")
            for address in (FIRST, SECOND):
                self.world.host(address, keywords=keywords)
            # Nobody vouches for names of elsewhere that a plain lookup gives.
            mxs = {"mx.a.example": FIRST, "mx.b.example": SECOND}
            self.world.exchange("example.org", mxs)
            with Logged() as logged:
                self.give(parameters, content=content)
                self.world.run(1)
            first, *others = [x for x in logged.outcomes if x.startswith("bounced")]
            self.assertIn(f" status={status} ", first)
            # A notice of mail for TLS only could not go, either.
            self.assertEqual(len(others), int(parameters.requireTLS))
            if not parameters.requireTLS:
                self.assertBounced(status)

    def test_othersGo(self) -> None:
        """
        What comes behind a message that no host takes goes, over the same
        connection where it may.
        """
        self.exchangeOne()
        mx = self.host(FIRST)
        self.give(NO_PARAMETERS, content=b"x" * 1_000_001)
        self.give(NO_PARAMETERS, "c@example.org")
        self.world.run(1)
        self.assertEqual([m.recipients for m in mx.received], [("c@example.org",)])
        self.assertEqual(len(mx.sessions), 1)
        self.assertBounced("5.3.4")

    def exchangeOne(self) -> None:
        """
        Leave example.org one host.
        """
        self.world.exchange("example.org", {"mx1.example.org": FIRST})

    def test_othersGoBehindAConversion(self) -> None:
        """
        So where that only showed while the message was sent.
        """
        self.exchangeOne()
        mx = self.world.host(FIRST, keywords=("PIPELINING",))
        self.give(NO_PARAMETERS, content=STUBBORN)
        self.give(NO_PARAMETERS, "c@example.org")
        self.world.run(1)
        self.assertEqual([m.recipients for m in mx.received], [("c@example.org",)])
        self.assertBounced("5.6.3")

    def test_theHostThatCouldIsDown(self) -> None:
        """
        Where a host that was down may be one that can, the mail is tried again.
        """
        self.host(SECOND)
        self.give(Parameters(utf8=True))
        self.world.run(1)
        self.assertEqual(self.notices(), [])
        self.assertEqual(len(self.world.queue._entries), 1)

    def test_D14_saysItCan(self) -> None:
        """
        A host that does not know what it offered is one that cannot.
        """
        first = self.host(FIRST, "SMTPUTF8", MAIL="555 5.5.4 What")
        second = self.host(SECOND, "SMTPUTF8")
        self.give(Parameters(utf8=True))
        self.world.run(1)
        said = [line for line in first.sessions[0].commands if line[:4] == "MAIL"]
        self.assertEqual([line.split()[2:] for line in said],
                         [["SMTPUTF8", "SIZE=26"], ["SMTPUTF8"]])  # fmt: skip
        self.assertEqual(len(second.received), 1)
        self.assertEmpty()

    def test_converted(self) -> None:
        """
        A host that takes seven bits gets them (RFC 6152 3).
        """
        self.exchangeOne()
        mx = self.world.host(FIRST, keywords=("PIPELINING",))
        self.give(NO_PARAMETERS, content=EIGHT_BIT)
        self.world.run(1)
        [message] = mx.received
        self.assertTrue(message.content.isascii())
        self.assertIn(b"=C3=A4", message.content)
        self.assertEmpty()


class PassedOnTests(AskedTestCase):
    """
    What senders want to be told.
    """

    SAID = (RecipientParameters("SUCCESS", "rfc822;B@example.org"),
            RecipientParameters("NEVER"))  # fmt: skip

    def delivered(self, *keywords: str, **answers: Any) -> list[Delivered]:
        """
        Send for two recipients, of whom different things are said.
        """
        outcomes: list[Any] = []

        def noted(name: str, letter: Letter, outcome: Outcome, told: Any) -> None:
            if letter.sender:
                outcomes.append(outcome)

        self.set(onOutcome=noted)
        self.mx = self.host(FIRST, *keywords, **answers)
        self.give(
            Parameters(ret="FULL"), "b@example.org", "c@example.org", own=self.SAID
        )
        self.world.run(1)
        self.assertEmpty()
        return outcomes

    def test_passedOn(self) -> None:
        """
        A host with DSN is told what each recipient's sender wants to know, in one
        transaction (RFC 3461 5.2.1), and that is noted.
        """
        outcomes = self.delivered("DSN")
        self.assertEqual([outcome.passedOn for outcome in outcomes], [True, True])
        self.assertEqual(
            [line for line in self.mx.sessions[0].commands if line[:4] == "RCPT"],
            [
                "RCPT TO:<b@example.org> NOTIFY=SUCCESS ORCPT=rfc822;B@example.org",
                "RCPT TO:<c@example.org> NOTIFY=NEVER ORCPT=rfc822;c@example.org",
            ],
        )

    def test_notPassedOn(self) -> None:
        """
        Without DSN it is not.
        """
        outcomes = self.delivered()
        self.assertEqual([outcome.passedOn for outcome in outcomes], [False, False])

    def test_D14_onceMoreWithout(self) -> None:
        """
        Nor by a host that answers 555 to it, which is given the mail once more
        without.
        """
        outcomes = self.delivered("DSN", MAIL=["555 What", "250 Ok"])
        self.assertEqual([outcome.passedOn for outcome in outcomes], [False, False])
        self.assertEqual(len(self.mx.received), 1)

    def test_D14_recipientOnceMoreWithout(self) -> None:
        """
        So where it answers 555 to RCPT: who was accepted has the mail, the other
        one gets it in the next transaction.
        """
        answers: Any = {"RCPT c@example.org": ["555 What", "250 Ok"]}
        outcomes = self.delivered("DSN", **answers)
        self.assertEqual([outcome.passedOn for outcome in outcomes], [False, False])
        self.assertEqual(
            [m.recipients for m in self.mx.received],
            [("b@example.org",), ("c@example.org",)],
        )
        self.assertEqual(self.mx.sessions[0].commands[-2], "DATA")
        self.assertIn("RCPT TO:<c@example.org>", self.mx.sessions[0].commands)

    def test_D14_recipientRefusedAllTheSame(self) -> None:
        """
        555 without a reason is a refusal.
        """
        answers: Any = {"RCPT c@example.org": "555 What"}
        outcomes = self.delivered("DSN", **answers)
        self.assertEqual([type(each) for each in outcomes[:2]], [Delivered, Bounce])
        self.assertEqual(len(self.mx.received), 1)


class MailRefusedTests(AskedTestCase):
    """
    Refusals of one sender are not those of the next one.
    """

    def test_D14_lostBehindTheRefusal(self) -> None:
        """
        A connection that ends behind a 550 to MAIL bounces the message that was
        refused; the one behind it goes over another.
        """
        answers: Any = {
            "MAIL": ["550 5.7.1 Not you", "250 Ok"],
            "RCPT": [Act.CLOSE, "250"],
        }
        mx = self.world.host(FIRST, answers, keywords=USUAL)
        self.give()
        self.give(NO_PARAMETERS, "c@example.org")
        self.world.run(1)
        self.assertEqual([m.recipients for m in mx.received], [("c@example.org",)])
        self.assertBounced("5.7.1")

    def test_D18_D26_outOfStepBehindIt(self) -> None:
        """
        What a host says that is out of step bounces nothing: the 550 may have
        been meant for something else.
        """
        answers = {"MAIL": "550 5.7.1 Not you", "RCPT": "250 Ok", "DATA": "250 Ok"}
        self.world.host(FIRST, answers, keywords=USUAL)
        names = [*self.give(), *self.give(NO_PARAMETERS, "c@example.org")]
        self.world.run(1)
        self.assertRetried(*names)


class LimitsTests(AskedTestCase):
    """
    Hosts that say what they bear (RFC 9422).
    """

    FOUR = tuple(f"{name}@example.org" for name in "bcde")

    def counts(self, limits: str, *recipients: str) -> list[int]:
        """
        Send a message.

        @return: How many recipients each transaction had.
        """
        self.mx = self.host(FIRST, f"LIMITS {limits}")
        self.give(NO_PARAMETERS, *(recipients or self.FOUR))
        self.world.run(1)
        self.assertEmpty()
        return [len(message.recipients) for message in self.mx.received]

    def test_recipients(self) -> None:
        """
        No transaction has more recipients than the host takes.
        """
        self.assertEqual(self.counts("RCPTMAX=3"), [3, 1])
        self.assertEqual(len(self.mx.sessions), 1)

    def test_moreThanIsUsual(self) -> None:
        """
        Nor more than this relay puts into one.
        """
        self.set(recipientsPerTransaction=2)
        self.assertEqual(self.counts("RCPTMAX=1000"), [2, 2])

    def test_transactions(self) -> None:
        """
        No connection has more transactions than the host takes: what is left goes
        over another one, at once, and nothing of it counts as an attempt.
        """
        self.set(recipientsPerTransaction=1)
        with Logged() as logged:
            self.assertEqual(self.counts("MAILMAX=2"), [1, 1, 1, 1])
        self.assertEqual([len(s.commands) for s in self.mx.sessions], [8, 8])
        self.assertEqual(self.mx.sessions[0].commands[-1], "QUIT")
        self.assertEqual(len([t for t in logged.outcomes if " attempts=1 " in t]), 4)

    def test_transactionsAndNoMore(self) -> None:
        """
        A connection that has carried all it may is not kept for mail to come.
        """
        self.set(idleTimeout=30)
        self.assertEqual(self.counts("MAILMAX=1"), [4])
        self.assertEqual(self.mx.sessions[0].commands[-1], "QUIT")

    def test_domains(self) -> None:
        """
        No transaction is for more domains than the host takes.
        """
        self.set(smartHosts=(Host(FIRST, 25, named=True),))
        to = ("a@one.example", "b@One.example", "c@two.example", "d@one.example")
        self.assertEqual(self.counts("RCPTDOMAINMAX=1", *to), [2, 1, 1])
        self.enter(type(self.world)(), recipientsPerTransaction=100)
        self.set(smartHosts=(Host(FIRST, 25, named=True),))
        self.assertEqual(self.counts("RCPTDOMAINMAX=2", *to), [4])

    def test_D14_A06_overaskedWithoutEnd(self) -> None:
        """
        A host that bears one transaction and does not know what it offers is not
        asked for it again and again.
        """
        mx = self.host(FIRST, "LIMITS MAILMAX=1", "DSN", RCPT=["555 What", "250 Ok"])
        own = (RecipientParameters("NEVER"),)
        self.give(NO_PARAMETERS, "b@example.org", own=own)
        self.world.run(1)
        self.assertEqual((len(mx.received), len(mx.sessions)), (1, 2))
        self.assertIn("RCPT TO:<b@example.org>", mx.sessions[1].commands)


class LMTPTests(StoryTestCase):
    """
    A mail store that speaks LMTP (RFC 2033).
    """

    def setUp(self) -> None:
        super().setUp()
        self.set(
            recipientsPerTransaction=100,
            smartHosts=(Host(FIRST, 24, lmtp=True, named=True),),
        )

    def store(self, **answers: Any) -> SMTPServer:
        """
        Put it into the network.
        """
        hello = "250-store.example\n250 PIPELINING"
        return self.world.host(FIRST, {"LHLO": hello, **answers})

    def test_D27_eachRecipientGetsItsOwnVerdict(self) -> None:
        """
        The replies to the message are for the recipients that were accepted, in
        their order.
        """
        answers: Any = {
            "RCPT c@example.org": "550 5.1.1 Nobody",
            ".": ["250 2.0.0 Kept\n452 4.2.2 Full\n552 5.2.2 Never", "250 Ok"],
        }
        store = self.store(**answers)
        names = self.relayed(*[f"{name}@example.org" for name in "bcde"])
        self.assertEqual(list(self.world.queue._entries), [names[2]])
        [message, notice] = store.received
        self.assertEqual(message.recipients, ("b@example.org", "d@example.org",
                                              "e@example.org"))  # fmt: skip
        told = statusOf(message_from_bytes(notice.content))
        self.assertIn("550 5.1.1 Nobody", told)
        self.assertIn("552 5.2.2 Never", told)
        self.assertEqual(told.count("Final-Recipient"), 2)

    def test_D25_D27_lostInTheMiddle(self) -> None:
        """
        Who was answered before the connection was lost has the answer; of the
        others it is not known.
        """
        self.store(**{".": Then("250 2.0.0 Kept", Act.CLOSE)})
        with Logged() as logged:
            names = self.relayed("b@example.org", "c@example.org", seconds=1)
        self.assertEqual(list(self.world.queue._entries), names[1:])
        [first, second] = logged.outcomes
        self.assertTrue(first.startswith("delivered "), first)
        self.assertTrue(second.startswith("retry "), second)
        self.assertIn(" ambiguous=yes ", second)

    def test_D26_surplus(self) -> None:
        """
        A reply more than there were recipients ends the session.
        """
        self.store(**{".": "250 a\n250 b"})
        self.relayed(seconds=0)
        self.assertEmpty()
