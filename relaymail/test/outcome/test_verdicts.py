# -*- test-case-name: relaymail.test.outcome.test_verdicts -*-
"""
Tests for L{relaymail.outcome.verdicts}: one for each row of the table of faults
that is a judgement, and the whole matrix.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.outcome.verdicts import (
    TABLE,
    Fate,
    HostState,
    LaneState,
    Said,
    Verdict,
    expired,
    judge,
    kindOf,
    outcomeOf,
)
from relaymail.outcomes import Bounce, Delivered, Retry
from relaymail.replies import Evidence, Phase, Reply, Trouble, TroubleKind

LOST = TroubleKind.LOST
TIMEOUT = TroubleKind.TIMEOUT
GARBAGE = TroubleKind.GARBAGE

replies = st.builds(
    Reply,
    st.integers(min_value=-1, max_value=1000),
    st.lists(
        st.sampled_from([b"", b"2.0.0 ok", b"4.2.1 later", b"5.1.1 no", b"\xff"]),
        max_size=2,
    ).map(tuple),
)
troubles = st.builds(
    Trouble, st.sampled_from(Phase), st.sampled_from(TroubleKind), st.text(max_size=5)
)


class VerdictCase(SynchronousTestCase):
    """
    What the tests of verdicts share.
    """

    def assertFates(
        self,
        phase: Phase,
        evidence: Evidence | TroubleKind | int,
        fates: tuple[Fate, Fate],
        status: str | None = None,
        host: HostState | None = None,
    ) -> Verdict:
        """
        Check what evidence leads to while there are more hosts and at the
        last, and give the verdict at the last.
        """
        if isinstance(evidence, int):
            evidence = Reply(evidence, (b"words",))
        elif isinstance(evidence, TroubleKind):
            evidence = Trouble(phase, evidence)
        early = judge(phase, evidence, lastHost=False)
        last = judge(phase, evidence, lastHost=True)
        self.assertEqual((early.fate, last.fate), fates, f"{phase} {evidence}")
        if status is not None:
            self.assertEqual(last.status, status, f"{phase} {evidence}")
        if host is not None:
            self.assertIs(early.host, host, f"{phase} {evidence}")
            self.assertIs(last.host, host, f"{phase} {evidence}")
        return last


NEXT_RETRY = (Fate.NEXT_HOST, Fate.RETRY)
NEXT_BOUNCE = (Fate.NEXT_HOST, Fate.BOUNCE)
RETRY = (Fate.RETRY, Fate.RETRY)
BOUNCE = (Fate.BOUNCE, Fate.BOUNCE)
AGAIN = (Fate.AGAIN, Fate.AGAIN)
DELIVERED = (Fate.DELIVERED, Fate.DELIVERED)


class FaultRowTests(VerdictCase):
    """
    The rows of the table of faults that are judgements.
    """

    def test_D01_noAnswerRetries(self) -> None:
        """
        A DNS that does not answer is temporary.
        """
        v = judge(Phase.RESOLVE, Trouble(Phase.RESOLVE, TroubleKind.NO_ANSWER))
        self.assertEqual((v.fate, v.status), (Fate.RETRY, "4.4.3"))

    def test_D01_noSuchDomainBounces(self) -> None:
        """
        A domain that does not exist bounces.
        """
        v = judge(Phase.RESOLVE, Trouble(Phase.RESOLVE, TroubleKind.NO_SUCH_DOMAIN))
        self.assertEqual((v.fate, v.status), (Fate.BOUNCE, "5.1.2"))

    def test_D01_nullMXBounces(self) -> None:
        """
        A domain that takes no mail bounces (RFC 7505).
        """
        self.assertFates(Phase.RESOLVE, TroubleKind.NULL_MX, BOUNCE, "5.1.10")

    def test_D01_hostWithoutAddressMeansNextHost(self) -> None:
        """
        One host that cannot be found is no reason not to try the next.
        """
        for kind in (TroubleKind.NO_ANSWER, TroubleKind.NO_SUCH_DOMAIN, TIMEOUT):
            v = judge(Phase.RESOLVE, Trouble(Phase.RESOLVE, kind), lastHost=False)
            self.assertIs(v.fate, Fate.NEXT_HOST)

    def test_D02_noConnectionMeansNextHostThenRetry(self) -> None:
        """
        A host that cannot be reached is bad; the next is tried, then later.
        """
        for kind in (TroubleKind.REFUSED, TroubleKind.UNREACHABLE, TIMEOUT, LOST):
            self.assertFates(Phase.CONNECT, kind, NEXT_RETRY, "4.4.1", HostState.BAD)

    def test_D02_ownAddressBounces(self) -> None:
        """
        A destination that is this relay bounces at once: the hosts behind it
        would send the mail back.
        """
        for phase in (Phase.RESOLVE, Phase.CONNECT):
            self.assertFates(phase, TroubleKind.LOOP, BOUNCE, "5.4.6")

    def test_rulesRefuse(self) -> None:
        """
        What a rule of this relay refuses bounces as that (RFC 3463 3.8).
        """
        self.assertFates(Phase.RESOLVE, TroubleKind.POLICY, BOUNCE, "5.7.1")

    def test_protectionsThatCannotBeHad(self) -> None:
        """
        Mail waits while no host is protected as its destination wants.
        """
        v = judge(Phase.RESOLVE, Trouble(Phase.RESOLVE, TroubleKind.TLS))
        self.assertEqual((v.fate, v.status), (Fate.RETRY, "4.7.5"))

    def test_A07_forbiddenAddressMeansNextHostThenBounce(self) -> None:
        """
        An address that is not to be connected to is passed over; without
        another the mail bounces.
        """
        for phase in (Phase.RESOLVE, Phase.CONNECT):
            self.assertFates(phase, TroubleKind.FORBIDDEN, NEXT_BOUNCE, "5.4.4")

    def test_D04_busyGreetingMeansNextHostThenRetry(self) -> None:
        """
        421 and 4yz instead of a greeting.
        """
        for code in (421, 400, 450, 499):
            self.assertFates(Phase.GREETING, code, NEXT_RETRY, None, HostState.BAD)

    def test_D05_refusingGreetingMeansNextHostThenBounce(self) -> None:
        """
        5yz instead of a greeting bounces only when the last host says so.
        """
        for code in (554, 521, 550):
            self.assertFates(Phase.GREETING, code, NEXT_BOUNCE, "5.3.2")
        own = Reply(554, (b"5.7.1 not from you",))
        self.assertFates(Phase.GREETING, own, NEXT_BOUNCE, "5.7.1")

    def test_D05_notAllHostsRefuse(self) -> None:
        """
        Where an earlier host was only not there, the refusal of the last one
        is no reason to bounce; a refused recipient is.
        """
        reply = Reply(554, (b"5.7.1 not from you",))
        v = judge(Phase.GREETING, reply, mayRecover=True)
        self.assertEqual((v.fate, v.status), (Fate.RETRY, "4.3.2"))
        v = judge(Phase.GREETING, reply, mayRecover=True, lastHost=False)
        self.assertIs(v.fate, Fate.NEXT_HOST)
        self.assertIs(judge(Phase.RCPT, reply, mayRecover=True).fate, Fate.BOUNCE)

    def test_D06_noGreetingMeansNextHostThenRetry(self) -> None:
        """
        Garbage, a wrong code, an end or silence instead of a greeting.
        """
        for evidence in (GARBAGE, LOST, TIMEOUT, 354, 250, 199, 600):
            self.assertFates(Phase.GREETING, evidence, NEXT_RETRY, None, HostState.BAD)

    def test_D07_refusedEHLOMeansNextHostThenRetry(self) -> None:
        """
        What HELO cannot help with is no reason to bounce.
        """
        for code in (500, 501, 502, 504, 550):
            self.assertFates(Phase.EHLO, code, NEXT_RETRY)

    def test_D08_lostEHLOMeansNextHostThenRetry(self) -> None:
        """
        421, 4yz and an end after EHLO.
        """
        for evidence in (421, 451, LOST, TIMEOUT):
            self.assertFates(Phase.EHLO, evidence, NEXT_RETRY)

    def test_D09_failedTLSMeansNextHostThenRetry(self) -> None:
        """
        TLS that is needed and does not come about never bounces.
        """
        for evidence in (454, 501, GARBAGE, TroubleKind.TLS, TIMEOUT, LOST):
            self.assertFates(Phase.STARTTLS, evidence, NEXT_RETRY)
        for phase in (Phase.EHLO, Phase.STARTTLS):
            v = judge(phase, Trouble(Phase.STARTTLS, TroubleKind.TLS))
            self.assertIs(v.lane, LaneState.UNFIT)
        self.assertEqual(v.status, "4.7.5")

    def test_D10_failedSecondEHLOMeansNextHostThenRetry(self) -> None:
        """
        EHLO after TLS that fails, or lacks AUTH now, is judged as EHLO.
        """
        for evidence in (502, 421, LOST, TroubleKind.AUTH, TroubleKind.TLS):
            self.assertFates(Phase.EHLO, evidence, NEXT_RETRY)

    def test_D11_refusedPasswordNeverBounces(self) -> None:
        """
        Whatever happens while authenticating, the next host is tried, and the
        mail is kept; the host comes behind the others for a while.
        """
        kinds: list[TroubleKind | int] = [*TroubleKind, 454, 535, 534, 500, 250, 100]
        for evidence in kinds:
            self.assertFates(Phase.AUTH, evidence, NEXT_RETRY)
        self.assertFates(Phase.AUTH, 535, NEXT_RETRY, "4.7.8")
        self.assertIs(judge(Phase.AUTH, Reply(535)).host, HostState.BAD)

    def test_D13_busyMAILMeansNextHostThenRetry(self) -> None:
        """
        4yz, 421 and 452 to MAIL.
        """
        for code in (421, 450, 451, 452):
            self.assertFates(Phase.MAIL, code, NEXT_RETRY)
        for kind in (LOST, TIMEOUT, GARBAGE):
            self.assertFates(Phase.MAIL, kind, NEXT_RETRY)

    def test_D14_mailRefusedBounces(self) -> None:
        """
        5yz to MAIL bounces everybody.
        """
        for code in (550, 552, 553, 555):
            self.assertFates(Phase.MAIL, code, BOUNCE, "5.1.0", HostState.FINE)

    def test_D15_recipientsAreJudgedAlone(self) -> None:
        """
        4yz to RCPT is tried later, 5yz bounces.
        """
        self.assertFates(Phase.RCPT, 450, RETRY, "4.2.0")
        self.assertFates(Phase.RCPT, 550, BOUNCE, "5.1.1")
        for kind in (LOST, TIMEOUT):
            self.assertFates(Phase.RCPT, kind, RETRY, "4.4.2")

    def test_D16_tooManyRecipientsGoAgainAtOnce(self) -> None:
        """
        452 and 552 after an accepted recipient begin a new transaction.
        """
        for code in (452, 552):
            for lastHost in (False, True):
                v = judge(Phase.RCPT, Reply(code), lastHost=lastHost, accepted=1)
                self.assertEqual((v.fate, v.status), (Fate.AGAIN, "4.5.3"))

    def test_D16_tooManyForTheFirstRetries(self) -> None:
        """
        452 and 552 to the first recipient are temporary (RFC 5321
        4.5.3.1.10), and no loop.
        """
        for code in (452, 552):
            self.assertFates(Phase.RCPT, code, RETRY)

    def test_D17_movedBounces(self) -> None:
        """
        551 is permanent: nobody is redirected.
        """
        self.assertFates(Phase.RCPT, 551, BOUNCE)

    def test_D18_answerOutOfTurnRetries(self) -> None:
        """
        Codes that do not belong after RCPT never deliver and never bounce.
        """
        for evidence in (354, 100, 199, 600, 999, 0, 250, GARBAGE):
            self.assertFates(Phase.RCPT, evidence, RETRY, "4.5.0")

    def test_D20_refusedDATA(self) -> None:
        """
        4yz to DATA is tried later, 5yz bounces.
        """
        for evidence in (450, 421, LOST, TIMEOUT):
            self.assertFates(Phase.DATA, evidence, RETRY)
        self.assertFates(Phase.DATA, 554, BOUNCE, "5.3.0")

    def test_D21_doneInsteadOfGoOnRetries(self) -> None:
        """
        250 to DATA is not a delivery.
        """
        self.assertFates(Phase.DATA, 250, RETRY)

    def test_D22_brokenBody(self) -> None:
        """
        Only a complete 5yz reply during the body bounces.
        """
        self.assertFates(Phase.BODY, 552, BOUNCE)
        for evidence in (LOST, TIMEOUT, GARBAGE, 250, 354, 421, 451, 999):
            self.assertFalse(self.assertFates(Phase.BODY, evidence, RETRY).ambiguous)

    def test_D23_finalReplyDelivers(self) -> None:
        """
        2yz to the end of the data, by its first digit alone.
        """
        for code in (200, 250, 251, 299):
            v = self.assertFates(Phase.FINAL, code, DELIVERED, "2.0.0", HostState.FINE)
            self.assertIs(v.lane, LaneState.FINE)

    def test_D24_finalReplyRefuses(self) -> None:
        """
        4yz to the end of the data is tried later, 5yz bounces; neither is
        ambiguous.
        """
        self.assertFalse(self.assertFates(Phase.FINAL, 451, RETRY).ambiguous)
        self.assertFalse(self.assertFates(Phase.FINAL, 554, BOUNCE).ambiguous)

    def test_D25_unseenFinalReplyIsAmbiguous(self) -> None:
        """
        When the final reply is not seen the message is tried later, not at
        another host, and counted as ambiguous (RFC 1047).
        """
        kinds: list[TroubleKind | int] = [*TroubleKind, 421, 354, 100, 600]
        for evidence in kinds:
            self.assertTrue(self.assertFates(Phase.FINAL, evidence, RETRY).ambiguous)

    def test_D28_troubleAtQUITBlamesNobody(self) -> None:
        """
        What happens at QUIT says nothing against the host, and neither
        delivers nor bounces.
        """
        for evidence in (LOST, TIMEOUT, 421, 500, 221):
            self.assertFates(Phase.QUIT, evidence, RETRY, None, HostState.FINE)

    def test_D29_connectionGoneBetweenTransactionsGoesAgain(self) -> None:
        """
        A connection that ends between transactions costs no attempt.
        """
        for phase in (Phase.RSET, Phase.IDLE):
            for evidence in (421, 451, 500, LOST, TIMEOUT):
                self.assertFates(phase, evidence, AGAIN)

    def test_D30_noTimeoutBounces(self) -> None:
        """
        Silence never bounces, in any phase.
        """
        for phase in Phase:
            v = judge(phase, Trouble(phase, TIMEOUT))
            self.assertIn(v.fate, (Fate.RETRY, Fate.AGAIN))

    def test_D31_expiredKeepsTheLastError(self) -> None:
        """
        Mail that expires bounces with 4.4.7 and what was last heard.
        """
        evidence = Reply(451, (b"4.7.1 greylisted",))
        retry = Retry("4.7.1", Phase.RCPT, evidence, "mx.example", "192.0.2.1", "TLS")
        self.assertEqual(
            expired(retry),
            Bounce(
                "4.4.7",
                Phase.RCPT,
                evidence,
                "mx.example",
                "192.0.2.1",
                "TLS",
                expired=True,
            ),
        )

    def test_D31_expiredTroubleBounces(self) -> None:
        """
        Expiry as evidence is a failure that counts as expired.
        """
        evidence = Trouble(Phase.RESOLVE, TroubleKind.EXPIRED)
        verdict = self.assertFates(
            Phase.RESOLVE, TroubleKind.EXPIRED, BOUNCE, status="4.4.7"
        )
        outcome = outcomeOf(verdict, Phase.RESOLVE, evidence)
        self.assertIsInstance(outcome, Bounce)
        self.assertTrue(isinstance(outcome, Bounce) and outcome.expired)

    def test_P2_noRefusalDelivers(self) -> None:
        """
        Only 2yz to the end of the data delivers.
        """
        delivering = {
            key for key, row in TABLE.items() if Fate.DELIVERED in (row.fate, row.last)
        }
        self.assertEqual(delivering, {(Phase.FINAL, Said.DONE)})


class OtherTroubleTests(VerdictCase):
    """
    What no row of the faults names.
    """

    def test_unsendableBounces(self) -> None:
        """
        A message that cannot be sent bounces before its data's end.
        """
        for phase in (Phase.MAIL, Phase.RCPT, Phase.BODY):
            self.assertFates(phase, TroubleKind.UNSENDABLE, BOUNCE, "5.6.0")

    def test_localFailureRetries(self) -> None:
        """
        A failure of this relay blames no host.
        """
        for phase in set(Phase) - {Phase.AUTH, Phase.FINAL}:
            v = self.assertFates(phase, TroubleKind.LOCAL, RETRY, "4.3.0")
            self.assertIs(v.host, HostState.UNKNOWN)


class MatrixTests(SynchronousTestCase):
    """
    The table is total and consistent.
    """

    def test_total(self) -> None:
        """
        Every phase has a row for every kind of evidence.
        """
        for phase in Phase:
            for kind in (*Said, *TroubleKind):
                self.assertIn((phase, kind), TABLE)

    def test_statusAgreesWithFate(self) -> None:
        """
        The class of a row's status is that of its last fate (RFC 3463 2),
        except for what expired.
        """
        classes = {Fate.DELIVERED: "2", Fate.RETRY: "4", Fate.AGAIN: "4"}
        for (phase, kind), row in TABLE.items():
            if kind is TroubleKind.EXPIRED:
                continue
            wanted = classes.get(row.last, "5")
            self.assertEqual(row.status[0], wanted, f"{phase} {kind}")

    def test_lastHostIsFinal(self) -> None:
        """
        At the last host nothing goes to a next one.
        """
        self.assertNotIn(Fate.NEXT_HOST, {row.last for row in TABLE.values()})

    @settings(deadline=None, max_examples=100)
    @given(
        st.sampled_from(Phase),
        st.one_of(replies, troubles),
        st.booleans(),
        st.integers(min_value=0, max_value=3),
    )
    def test_judgesEverything(
        self, phase: Phase, evidence: Evidence, lastHost: bool, accepted: int
    ) -> None:
        """
        There is a verdict for everything, it has an outcome unless it goes on
        at once, and unknown codes are temporary.
        """
        verdict = judge(phase, evidence, lastHost=lastHost, accepted=accepted)
        outcome = outcomeOf(verdict, phase, evidence)
        going = verdict.fate in (Fate.NEXT_HOST, Fate.AGAIN)
        self.assertEqual(outcome is None, going)
        self.assertFalse(lastHost and verdict.fate is Fate.NEXT_HOST)
        if kindOf(phase, evidence) is Said.ODD:
            self.assertNotIn(verdict.fate, (Fate.DELIVERED, Fate.BOUNCE))
        if phase is Phase.FINAL:
            self.assertIsNot(verdict.fate, Fate.NEXT_HOST)


class OutcomeOfTests(SynchronousTestCase):
    """
    L{outcomeOf} keeps everything that is known.
    """

    def test_delivered(self) -> None:
        """
        The remote's own status, host, address and TLS are kept.
        """
        reply = Reply(250, (b"2.6.0 queued as 7",))
        outcome = outcomeOf(
            judge(Phase.FINAL, reply), Phase.FINAL, reply, "mx", "192.0.2.1", "TLSv1.3"
        )
        self.assertEqual(
            outcome,
            Delivered("2.6.0", Phase.FINAL, reply, "mx", "192.0.2.1", "TLSv1.3"),
        )

    def test_retryIsAmbiguous(self) -> None:
        """
        An unseen final reply is marked in the outcome.
        """
        lost = Trouble(Phase.FINAL, LOST)
        outcome = outcomeOf(judge(Phase.FINAL, lost), Phase.FINAL, lost)
        self.assertEqual(outcome, Retry("4.4.2", Phase.FINAL, lost, ambiguous=True))

    def test_remoteStatusOfAnotherClassIsIgnored(self) -> None:
        """
        A status whose class is not that of the fate is not passed on.
        """
        self.assertEqual(judge(Phase.RCPT, Reply(550, (b"4.2.1 no",))).status, "5.1.1")
        self.assertEqual(judge(Phase.AUTH, Reply(535, (b"5.7.8 no",))).status, "4.7.8")
        own = Reply(550, (b"5.7.26 no",))
        self.assertEqual(judge(Phase.RCPT, own).status, "5.7.26")
