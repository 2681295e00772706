# -*- test-case-name: relaymail.test.outcome.test_news -*-
"""
Tests for L{relaymail.outcome.news}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaymail.envelopes import (
    NO_PARAMETERS,
    NOTHING_SAID,
    DeliverBy,
    Parameters,
    RecipientParameters,
)
from relaymail.outcome.news import (
    DEFAULT_DELAY_NOTICE,
    News,
    endOf,
    isDelayNews,
    isTooLate,
    newsOfDelivery,
)

SUCCESS = RecipientParameters("SUCCESS,FAILURE")
FAILURE = RecipientParameters("FAILURE")
DELAY = RecipientParameters("DELAY")
NEVER = RecipientParameters("NEVER")
ALL = (NOTHING_SAID, SUCCESS, FAILURE, DELAY, NEVER)


class DeliveryTests(SynchronousTestCase):
    """
    What is told of deliveries.
    """

    def asked(
        self,
        by: DeliverBy | None,
        passedOn: bool = False,
        isTimed: bool = False,
        isFinal: bool = False,
    ) -> str:
        """
        Give the first letters of what is told to each.
        """
        parameters = Parameters(deliverBy=by)
        news = [
            newsOfDelivery(parameters, said, passedOn, isTimed, isFinal) for said in ALL
        ]
        letters = {News.RELAYED: "r", News.DELIVERED: "d", None: "-"}
        return "".join(letters[each] for each in news)

    def test_success(self) -> None:
        """
        Who asked for success hears of it where nobody else tells (RFC 3461 5.2.2),
        and from the host that has the mailbox.
        """
        self.assertEqual(self.asked(None), "-r---")
        self.assertEqual(self.asked(None, passedOn=True), "-----")
        self.assertEqual(self.asked(None, isFinal=True), "-d---")
        self.assertEqual(self.asked(None, passedOn=True, isFinal=True), "-----")

    def test_traced(self) -> None:
        """
        Who traces hears of each relay, unless of nothing (RFC 2852 4.1.4).
        """
        for returns in (True, False):
            by = DeliverBy(9.0, returns, traced=True)
            self.assertEqual(self.asked(by, passedOn=True, isTimed=True), "rrrr-")
            self.assertEqual(self.asked(by, isTimed=True, isFinal=True), "-d---")

    def test_unwatched(self) -> None:
        """
        In mode N it is told that nobody keeps an eye on the time from there on.
        """
        self.assertEqual(self.asked(DeliverBy(9.0), passedOn=True), "rrrr-")
        self.assertEqual(self.asked(DeliverBy(9.0), isTimed=True), "-r---")
        self.assertEqual(self.asked(DeliverBy(9.0), True, isTimed=True), "-----")
        by = DeliverBy(9.0, returns=True)
        self.assertEqual(self.asked(by), "-r---")


class DelayTests(SynchronousTestCase):
    """
    What is told of delays.
    """

    def told(self, now: float, wait: float, **said: object) -> str:
        """
        Give to whom it is told.
        """
        parameters = Parameters(**said)  # type: ignore[arg-type]
        return "".join(
            "y" if isDelayNews(parameters, each, 100.0, now, wait) else "-"
            for each in ALL
        )

    def test_D32_afterATime(self) -> None:
        """
        Everybody is told who did not say otherwise, when the time is over.
        """
        self.assertEqual(self.told(109.9, 10.0), "-----")
        self.assertEqual(self.told(110.0, 10.0), "y--y-")

    def test_D32_onlyWhoAsked(self) -> None:
        """
        Without a time those who asked for it are, after the usual one.
        """
        usual = 100.0 + DEFAULT_DELAY_NOTICE
        self.assertEqual(self.told(usual - 1, 0.0), "-----")
        self.assertEqual(self.told(usual, 0.0), "---y-")

    def test_deadline(self) -> None:
        """
        At the time of mode N all are told but those who want to hear nothing.
        """
        self.assertEqual(self.told(199.0, 1000.0, deliverBy=DeliverBy(200.0)), "-----")
        self.assertEqual(self.told(200.0, 1000.0, deliverBy=DeliverBy(200.0)), "yyyy-")


class TimeTests(SynchronousTestCase):
    """
    Times of which senders say that mail is to be there by then.
    """

    def test_isTooLate(self) -> None:
        """
        Mode R is over then, mode N never.
        """
        returned = Parameters(deliverBy=DeliverBy(200.0, returns=True))
        self.assertFalse(isTooLate(returned, 199.0))
        self.assertTrue(isTooLate(returned, 200.0))
        self.assertFalse(isTooLate(Parameters(deliverBy=DeliverBy(200.0)), 300.0))
        self.assertFalse(isTooLate(NO_PARAMETERS, 1e9))

    def test_endOf(self) -> None:
        """
        Mail is tried until it expires, or is returned.
        """
        for returns, end in ((True, 200.0), (False, 300.0)):
            parameters = Parameters(deliverBy=DeliverBy(200.0, returns))
            self.assertEqual(endOf(parameters, 300.0), end)
            self.assertEqual(endOf(parameters, 100.0), 100.0)
        self.assertEqual(endOf(NO_PARAMETERS, 300.0), 300.0)
