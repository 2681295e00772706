# -*- test-case-name: relaymail.test.deliver.test_trying -*-
"""
Tests for L{relaymail.deliver.trying}: attempts that send nothing.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relaymail.deliver.explaining import Explained, Question, explain
from relaymail.deliver.rehearsing import Step
from relaymail.deliver.trying import Mail, Trial, attempt, mailOf, shownVerdict
from relaymail.envelopes import Parameters
from relaymail.outcome.verdicts import Fate
from relaymail.outcomes import Delivered
from relaymail.replies import Phase
from relaymail.route.hosts import Credentials, Host, TLSNeed
from relaymail.schedule.paces import State
from relaymail.test.explaining.comparing import Case
from relaymail.test.stories.harness import FIRST, SECOND, SENDER, StoryTestCase
from relaymail.testing.servers import BROKEN_TLS, KEYWORDS

#: How many random worlds are compared.
WORLDS = 80


def tried(world: Any, explained: Explained, mail: Mail) -> tuple[Trial, list[Any]]:
    """
    Go along a route.

    @return: What came of it, and what was told.
    """
    told: list[tuple[str, Step]] = []
    ends: list[Any] = []
    attempt(
        world.manager,
        explained,
        mail,
        lambda host, step: told.append((host.name, step)),
    ).addBoth(ends.append)
    world.run(600)
    (end,) = ends
    if not isinstance(end, Trial):
        end.raiseException()
    assert isinstance(end, Trial)
    return end, told


class TryingTests(StoryTestCase):
    """
    Hosts that are asked, and get nothing.
    """

    def go(self, question: Question | None = None, size: int = 0) -> Trial:
        """
        Explain, and try.
        """
        question = question or Question("b@example.org", SENDER)
        ends: list[Explained] = []
        explain(self.world.manager, question).addCallback(ends.append)
        self.world.run(1)
        (explained,) = ends
        trial, self.told = tried(self.world, explained, mailOf(question, size))
        self.assertEqual(self.world.queue._entries, {})
        return trial

    def steps(self, name: str) -> list[str]:
        """
        Give what was told of steps of a name.
        """
        return [step.told for _, step in self.told if step.name == name]

    def test_taken(self) -> None:
        """
        The session ends behind RCPT, and says who would have taken the mail.
        """
        mx = self.world.host(FIRST)
        trial = self.go(size=100)
        assert trial.taker is not None
        self.assertEqual(trial.taker.name, "mx.example.org")
        (session,) = mx.sessions
        self.assertEqual(
            [command.split(":")[0] for command in session.commands[1:]],
            ["MAIL FROM", "RCPT TO", "QUIT"],
        )
        self.assertIn("SIZE=100", session.commands[1])
        self.assertEqual(mx.received, [])
        self.assertEqual(self.steps("RCPT"), ["250 2.1.5 Ok"])
        self.assertEqual(shownVerdict(trial), "")

    def test_nextHost(self) -> None:
        """
        The next host is asked where an attempt would ask it, and else not.
        """
        self.twoHosts()
        for first, hosts in (
            ({"CONNECT": "554 5.3.2 No"}, 2),
            ({"MAIL": "451 4.3.0 Later"}, 2),
            ({"RCPT": "550 5.1.1 Nobody"}, 1),
            ({"MAIL": "550 5.7.1 Go away"}, 1),
        ):
            self.world.host(FIRST, first)
            self.world.host(SECOND)
            trial = self.go()
            self.assertEqual(len(trial.sessions), hosts, first)
            self.assertEqual(trial.taker is not None, hosts == 2)

    def test_refused(self) -> None:
        """
        A recipient that is refused would bounce.
        """
        self.world.host(FIRST, {"RCPT": "550 5.1.1 Nobody"})
        trial = self.go()
        assert trial.verdict is not None
        self.assertIs(trial.verdict.fate, Fate.BOUNCE)
        self.assertEqual(
            shownVerdict(trial), "it would bounce (5.1.1): 550 5.1.1 Nobody"
        )

    def test_tooLarge(self) -> None:
        """
        A message that the host says is too large is not offered to it.
        """
        mx = self.world.host(FIRST, keywords=("SIZE 1000",))
        trial = self.go(size=1001)
        assert trial.verdict is not None
        self.assertEqual(trial.verdict.status, "5.3.4")
        self.assertEqual([c[:4] for c in mx.sessions[0].commands], ["EHLO", "QUIT"])
        self.assertIn("takes 1000", self.steps("MAIL")[0])

    def test_inClear(self) -> None:
        """
        A host whose TLS fails is asked once more in clear, where mail would be.
        """
        self.world.host(
            FIRST, {"STARTTLS": BROKEN_TLS}, keywords=(*KEYWORDS, "STARTTLS")
        )
        trial = self.go()
        self.assertEqual([s.host.inClear for s in trial.sessions], [False, True])
        self.assertTrue(trial.sessions[1].isTaken)

    def test_secrets(self) -> None:
        """
        No step tells a secret.
        """
        secret = "correct-horse"
        host = Host(
            "mx.example.org",
            tls=TLSNeed.NEVER,
            credentials=Credentials("me", secret.encode()),
            named=True,
            authInClear=True,
        )
        self.set(smartHosts=(host,))
        mx = self.world.host(FIRST, users={"me": secret})
        trial = self.go()
        self.assertIsNotNone(trial.taker)
        self.assertIn("AUTH PLAIN", mx.sessions[0].commands[1])
        shown = str(self.told)
        for form in (secret, "AG1lAGNvcnJlY3QtaG9yc2U="):
            self.assertNotIn(form, shown)

    def test_parameters(self) -> None:
        """
        What the mail says of its protection is said.
        """
        question = Question("b@example.org", SENDER, requireTLS=True)
        self.assertEqual(mailOf(question).parameters, Parameters(requireTLS=True))
        self.assertIsNone(mailOf(question).size)


class AgreementTests(SynchronousTestCase):
    """
    What is tried, and what is done.
    """

    def test_worlds(self) -> None:
        """
        In random worlds the host that would take the mail is the one that gets it, and
        mail that none would take comes to what was told.
        """
        compared = 0
        for seed in range(5000, 5000 + WORLDS):
            case = Case(seed)
            found = case.explained
            isNow = found.rests is None and found.standing.state is State.READY
            if not isNow or not found.tried or found.held:
                continue
            compared += 1
            trial, _ = tried(case.world, found, mailOf(case.random.question))
            outcome = Case(seed).deliver()
            if trial.taker is not None:
                self.assertEqual(outcome.host, trial.taker.name, seed)
                if not isinstance(outcome, Delivered):
                    self.assertIn(outcome.phase, (Phase.DATA, Phase.BODY, Phase.FINAL))
                continue
            assert trial.verdict is not None
            self.assertEqual(
                (outcome.status, outcome.evidence),
                (trial.verdict.status, trial.evidence),
                seed,
            )
        self.assertGreater(compared, WORLDS / 3)
