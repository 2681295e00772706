# -*- test-case-name: relaymail.test.deliver.test_attempts -*-
"""
Tests for L{relaymail.deliver.attempts}; what a whole attempt does is told in
L{relaymail.test.stories}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from relaymail.envelopes import (
    DeliverBy,
    Envelope,
    Parameters,
    RecipientParameters,
)
from relaymail.errors import RouteError
from relaymail.interfaces import IAttempt
from relaymail.outcomes import Bounce, Delivered, Outcome, Retry
from relaymail.relaymanager import _AttemptManager
from relaymail.replies import Phase, Reply, Trouble, TroubleKind
from relaymail.route.hosts import Host, Route
from relaymail.test.stories.harness import SENDER, Logged
from relaymail.testing.doubles import MailWorld

ROUTE = Route((Host("one.example"), Host("two.example")))
OK = Reply(250, (b"2.0.0 Ok",))
LATER = Reply(451, (b"4.3.0 Later",))
NEVER = Reply(550, (b"5.1.1 Nobody",))


class Factory:
    """
    A factory that builds nothing.
    """

    messages: list[str]


class AttemptTests(SynchronousTestCase):
    """
    Tests for L{_AttemptManager} over two hosts.
    """

    def setUp(self) -> None:
        self.world = MailWorld()
        self.manager = self.world.manager
        self.queue = self.world.queue
        self.queue.onWaiting = None
        self.exchanges: list[tuple[str, int]] = []
        self.patch(
            self.manager,
            "_cbExchange",
            lambda address, port, factory: self.exchanges.append((address, port)),
        )
        self.names = self.world.send(SENDER, "b@x.example", "c@x.example")
        for name in self.names:
            self.queue.setRelaying(name)
        self.attempt = _AttemptManager(self.manager, True, self.world.network)
        self.relay = Factory()
        self.manager.managed[self.relay] = list(self.names)
        self.done = self.attempt.getCompletionDeferred()
        self.attempt.begin(self.relay, ROUTE)

    def settle(self, name: str, evidence: Reply, phase: Phase = Phase.FINAL) -> Any:
        """
        Judge and tell, as a relayer does.
        """
        outcome = self.attempt.judge(phase, evidence)
        assert outcome is not None
        self.attempt.noteOutcome(self.relay, name, outcome)
        tell = {
            Delivered: self.attempt.notifySuccess,
            Bounce: self.attempt.notifyFailure,
            Retry: self.attempt.notifyRetry,
        }
        return tell[type(outcome)](self.relay, self.queue.getPath(name))

    def test_interface(self) -> None:
        """
        It provides L{IAttempt}.
        """
        self.assertTrue(verifyObject(IAttempt, self.attempt))
        self.assertTrue(self.attempt.takesPart)

    def test_begin(self) -> None:
        """
        The first host is tried, at the manager's port, with all paths.
        """
        self.assertEqual(self.exchanges, [("one.example", 25)])
        self.assertEqual(self.attempt.host, ROUTE.hosts[0])
        self.assertEqual(self.relay.messages, self.names)

    def test_verdictsPerName(self) -> None:
        """
        Each name is settled by what was said of it, and is then no longer the
        attempt's.
        """
        self.settle(self.names[0], OK)
        self.assertEqual(self.manager.managed[self.relay], self.names[1:])
        self.settle(self.names[1], LATER)
        self.assertEqual(self.manager.managed[self.relay], [])
        self.assertEqual(list(self.queue._entries), self.names[1:])
        self.assertNoResult(self.done)
        self.attempt.notifyDone(self.relay)
        self.assertIsNone(self.successResultOf(self.done))
        self.assertNotIn(self.relay, self.manager.managed)

    def test_claimsWrittenBeforeTheyAreWaitedFor(self) -> None:
        """
        Who asks for more before it has settled its last message, and has to wait
        for the claims, is given the names when it asks again.
        """
        claim: Deferred[None] = Deferred()

        def takeMore(attempt: Any, relay: Any, limit: int) -> list[str]:
            attempt.waitForClaims([claim])
            return ["more"]

        self.patch(self.manager, "takeMore", takeMore)
        self.assertEqual(self.attempt.moreMessages(self.relay), ())
        self.assertEqual(self.attempt.moreMessages(self.relay), ())
        claim.callback(None)
        self.assertEqual(self.attempt.moreMessages(self.relay), ["more"])

    def test_D15_failuresOfATurnAreToldTogether(self) -> None:
        """
        Names that fail in one turn stay claimed until its end, and come to one
        notice.
        """
        for name in self.names:
            self.settle(name, NEVER, Phase.RCPT)
        self.assertEqual(self.queue.getRelayed(), self.names)
        self.world.run()
        self.assertEqual(self.queue.getRelayed(), [])
        (notice,) = self.queue.getWaiting()
        self.assertEqual(self.queue.getEnvelope(notice), ["", SENDER])

    def test_D02_nextHost(self) -> None:
        """
        A session that ended early is followed by one with the next host; after
        the last the names rest.
        """
        lost = Trouble(Phase.GREETING, TroubleKind.LOST)
        self.attempt.noteSession(self.relay, Phase.GREETING, lost, 0)
        self.attempt.notifyDone(self.relay)
        self.assertEqual(self.exchanges[1:], [("two.example", 25)])
        self.assertNoResult(self.done)
        self.attempt.noteSession(self.relay, Phase.GREETING, lost, 0)
        self.attempt.notifyDone(self.relay)
        self.assertEqual(len(self.exchanges), 2)
        self.successResultOf(self.done)
        self.assertEqual(self.queue.getRelayed(), [])
        self.assertEqual(self.queue.nextDue(), self.queue.clock.seconds() + 60)

    def test_D29_reusedConnection(self) -> None:
        """
        A connection that had carried mail and ends at MAIL: the same host
        again; one that had not: the next.
        """
        for evidence in (
            Reply(421, (b"Bye",)),
            Trouble(Phase.MAIL, TroubleKind.LOST),
        ):
            self.setUp()
            self.attempt.noteSession(self.relay, Phase.MAIL, evidence, 1)
            self.attempt.notifyDone(self.relay)
            self.attempt.noteSession(self.relay, Phase.MAIL, evidence, 0)
            self.attempt.notifyDone(self.relay)
            self.assertEqual(
                [host for host, _ in self.exchanges],
                ["one.example", "one.example", "two.example"],
            )

    def test_D13_judgeKnowsTheLastHost(self) -> None:
        """
        What sends mail on to the next host is a retry at the last.
        """
        self.assertIsNone(self.attempt.judge(Phase.MAIL, LATER))
        self.attempt.noteSession(self.relay, Phase.MAIL, LATER, 0)
        self.attempt.notifyDone(self.relay)
        outcome = self.attempt.judge(Phase.MAIL, LATER)
        self.assertIsInstance(outcome, Retry)
        assert outcome is not None
        self.assertEqual(outcome.host, "two.example")

    def test_outcomeSaysWhere(self) -> None:
        """
        Outcomes name the host, its address and the TLS of the session.
        """
        self.attempt.noteReached(self.relay, "192.0.2.7")
        self.attempt.noteTLS(self.relay, "TLSv1.3")
        outcome: Outcome | None = self.attempt.judge(Phase.FINAL, OK)
        assert outcome is not None
        self.assertEqual(
            (outcome.host, outcome.address, outcome.tls),
            ("one.example", "192.0.2.7", "TLSv1.3"),
        )

    def test_noHostCanBeNamed(self) -> None:
        """
        C{failRoute} settles all names by the trouble.
        """
        trouble = Trouble(Phase.RESOLVE, TroubleKind.NO_SUCH_DOMAIN)
        self.attempt.failRoute(self.relay, Failure(RouteError(trouble)))
        self.world.run()
        self.assertEqual(len(self.queue.getWaiting()), 1)
        self.successResultOf(self.done)

    def test_unknownRelay(self) -> None:
        """
        C{notifyNoConnection} for a factory that nobody knows is logged, and
        nothing else.
        """
        with Logged() as logged:
            self.attempt.notifyNoConnection(Factory())
        self.assertIn("notifyNoConnection passed unknown relay!", logged.texts)

    def test_noTimerForAQueueThatKnows(self) -> None:
        """
        For an L{IQueue} there is no timer of 30 seconds.
        """
        with Logged() as logged:
            self.attempt.notifyNoConnection(self.relay)
        self.assertIn(f"Backing off on delivery of {self.names}", logged.texts)
        self.assertEqual(self.world.network.getDelayedCalls(), [])
        self.assertIn(self.relay, self.manager.managed)

    def test_P10_stopping(self) -> None:
        """
        While the manager stops no host is tried, nothing more is given, and
        what is left waits.
        """
        self.manager.isStopping = True
        refused = Trouble(Phase.CONNECT, TroubleKind.REFUSED)
        self.attempt.noteSession(self.relay, Phase.CONNECT, refused, 0)
        self.assertEqual(list(self.attempt.moreMessages(self.relay)), [])
        self.assertFalse(self.attempt.waitForMessages(self.relay, None))
        with Logged() as logged:
            self.attempt.notifyDone(self.relay)
        self.assertEqual(self.queue.getWaiting(), self.names)
        self.assertEqual(len(self.exchanges), 1)
        self.assertIn(f"Setting {self.names[0]} waiting", logged.texts)

    def test_quiet(self) -> None:
        """
        One that is not noisy says only the outcomes.
        """
        self.attempt.noisy = False
        self.attempt.openLetter(self.queue.getPath(self.names[0]))
        with Logged() as logged:
            self.settle(self.names[0], OK)
            self.settle(self.names[1], NEVER)
            self.attempt.notifyNoConnection(self.relay)
            self.attempt.notifyDone(self.relay)
        self.assertEqual(logged.outcomes, logged.texts)
        self.assertEqual(len(logged.outcomes), 2)

    def test_A03_unsendableAddress(self) -> None:
        """
        A letter whose addresses cannot stand in a command bounces, and is not
        opened.
        """
        (name,) = self.world.send(SENDER, "b\r\nQUIT@x.example")
        self.queue.setRelaying(name)
        self.manager.managed[self.relay].append(name)
        with Logged() as logged:
            self.assertIsNone(self.attempt.openLetter(self.queue.getPath(name)))
        self.assertNotIn(name, self.manager.managed[self.relay])
        self.assertIn("bounced ", logged.outcomes[0])

    def test_LMTPDelivers(self) -> None:
        """
        Who asked for success is told of a delivery by a host that speaks LMTP, and
        of a relay by another one; the name stays claimed until then.
        """
        said = (RecipientParameters("SUCCESS"),)
        for host, action in (
            (Host("lmtp.example", lmtp=True), b"delivered"),
            (Host("mx.example"), b"relayed"),
        ):
            self.setUp()
            self.attempt.begin(self.relay, Route((host,)))
            envelope = Envelope(SENDER, ("b@x.example",), recipientParameters=said)
            (name,) = self.successResultOf(self.queue.add(envelope, b"x\r\n"))
            self.queue.setRelaying(name)
            self.manager.managed[self.relay].append(name)
            self.settle(name, OK)
            self.assertIn(name, self.queue.getRelayed())
            self.world.run()
            (notice,) = self.queue.getWaiting()
            content = self.queue.letter(notice).content.open().read()
            self.assertIn(b"Action: " + action, content)
            self.assertNotIn(name, self.queue.getRelayed())

    def test_late(self) -> None:
        """
        A letter whose time is over bounces before it is opened, one whose sender is
        only told does not.
        """
        for returns in (True, False):
            by = DeliverBy(self.queue.clock.seconds(), returns)
            envelope = Envelope(SENDER, ("b@x.example",), Parameters(deliverBy=by))
            (name,) = self.successResultOf(self.queue.add(envelope, b"x\r\n"))
            self.queue.setRelaying(name)
            self.manager.managed[self.relay].append(name)
            with Logged() as logged:
                letter = self.attempt.openLetter(self.queue.getPath(name))
            self.assertIs(letter is None, returns)
            self.assertEqual(
                ["status=5.4.7" in x for x in logged.outcomes], [True] * returns
            )

    def test_sameReactor(self) -> None:
        """
        Without a reactor the global one is taken, late.
        """
        from twisted.internet import reactor

        self.assertIs(_AttemptManager(self.manager).reactor, reactor)
        self.assertTrue(_AttemptManager(self.manager).noisy)

    def test_noConnectionWithoutASession(self) -> None:
        """
        An app that only calls C{notifyNoConnection} and C{notifyDone} has the
        next host tried.
        """
        self.attempt.notifyNoConnection(self.relay)
        self.attempt.notifyDone(self.relay)
        self.assertEqual([host for host, _ in self.exchanges][1:], ["two.example"])

    def test_refusedConnectionIsUnderstood(self) -> None:
        """
        C{failRoute} takes any failure.
        """
        self.attempt.failRoute(self.relay, Failure(ConnectionRefusedError()))
        self.assertEqual(len(self.queue._entries), 2)
        self.assertEqual(self.queue.getRelayed(), [])
