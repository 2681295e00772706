# -*- test-case-name: relaymail.test.stories.test_inclear -*-
"""
Hosts whose TLS is broken, and what is remembered of them.
"""

from __future__ import annotations

from typing import Any

from relaymail.replies import Trouble
from relaymail.route.clearhosts import LONGEST
from relaymail.route.hosts import Host, TLSNeed
from relaymail.test.stories.harness import FIRST, SECOND, Logged, StoryTestCase
from relaymail.testing.servers import KEYWORDS, Act, SMTPServer

OFFERING = (*KEYWORDS, "STARTTLS")
PATIENCE = 3600.0


class InClearTests(StoryTestCase):
    """
    A host that offers TLS with which nothing can be done.
    """

    def broken(self, answers: Any = None, at: str = FIRST) -> SMTPServer:
        """
        Put one there.
        """
        return self.world.host(at, answers, keywords=OFFERING)

    def tls(self, mx: SMTPServer) -> list[bool]:
        """
        Tell of each session whether TLS was tried.
        """
        return ["STARTTLS" in session.commands for session in mx.sessions]

    def test_D09_remembered(self) -> None:
        """
        The next message does not fail first, for an hour; then TLS is tried again.
        The log says it once, and why.
        """
        mx = self.broken()
        with Logged() as logged:
            for _ in range(3):
                self.relayed(seconds=0)
        self.assertEqual(len(mx.received), 3)
        self.assertEqual(self.tls(mx), [True, False, False, False])
        (told,) = [line for line in logged.texts if "offers TLS, and it fails" in line]
        self.assertIn("mx.example.org port 25 ", told)
        self.assertIn("connection lost while starting TLS", told)
        self.assertIn("again in 60 minutes", told)
        self.world.run(LONGEST)
        self.relayed(seconds=0)
        self.assertEqual(self.tls(mx)[-2:], [True, False])

    def test_D09_toldToTheManager(self) -> None:
        """
        Whoever asks the relaying manager is told which hosts they are, and why.
        """
        self.broken({"STARTTLS": "454 4.7.0 No entropy"})
        self.assertEqual(self.world.manager.hostsInClear(), [])
        self.relayed()
        (found,) = self.world.manager.hostsInClear()
        self.assertEqual((found.name, found.port), ("mx.example.org", 25))
        self.assertIn("454 4.7.0 No entropy", found.why)
        self.world.run(LONGEST)
        self.assertEqual(self.world.manager.hostsInClear(), [])

    def test_D09_notBecauseItDied(self) -> None:
        """
        A host that does not answer in clear either is no host whose TLS fails.
        """
        mx = self.broken({"STARTTLS": Act.CLOSE, "CONNECT": None})
        died: list[int] = []

        def greeting(session: Any, argument: str) -> Any:
            died.append(1)
            return Act.CLOSE if len(died) > 1 else None

        mx.answers["CONNECT"] = greeting
        self.relayed()
        self.assertEqual(self.world.manager.hostsInClear(), [])
        del mx.answers["CONNECT"], mx.answers["STARTTLS"]
        self.world.run(PATIENCE)
        self.assertEqual(len(mx.received), 1)

    def test_D09_notTheNextHost(self) -> None:
        """
        Nor is the next host one because the one before was.
        """
        self.twoHosts()
        greetings: list[Any] = [None, Act.CLOSE]
        first = self.broken({"CONNECT": lambda session, _: greetings.pop(0)})
        second = self.world.host(SECOND)
        self.relayed()
        self.assertEqual((len(first.received), len(second.received)), (0, 1))
        self.assertEqual(len(first.sessions), 2)
        self.assertEqual(self.world.manager.hostsInClear(), [])

    def test_A02_needsAreNotForgotten(self) -> None:
        """
        What is known of it does not bring mail to it in clear that needs TLS.
        """
        mx = self.broken()
        self.relayed()
        self.assertEqual(len(mx.received), 1)
        for need in (TLSNeed.ENCRYPTED, TLSNeed.VERIFIED, TLSNeed.DANE):
            self.set(smartHosts=(Host("mx.example.org", tls=need, named=True),))
            sessions = len(mx.sessions)
            self.relayed(seconds=1)
            self.assertEqual(len(mx.received), 1)
            self.assertEqual(self.tls(mx)[sessions:], [True], need)

    def test_namedHostsKeepTheirOrder(self) -> None:
        """
        A smart host that is known by it is still known when it does not work: the
        other one is asked first then.
        """
        first, second = Host("one.example", named=True), Host("two.example", named=True)
        self.set(smartHosts=(first, second))
        self.world.zones["one.example"] = {"A": [FIRST]}
        self.world.zones["two.example"] = {"A": [SECOND]}
        one, two = self.broken(), self.world.host(SECOND)
        self.relayed()
        self.assertEqual((len(one.received), len(two.received)), (1, 0))
        one.answers["CONNECT"] = "421 4.3.2 Going down"
        self.relayed()
        sessions = len(one.sessions)
        self.relayed()
        self.assertEqual((len(one.received), len(two.received)), (1, 2))
        self.assertEqual(len(one.sessions), sessions)

    def test_evidenceIsWhatFailedLast(self) -> None:
        """
        What is remembered is one printable line, whatever the host said.
        """
        self.broken({"STARTTLS": "454 4.7.0 " + "x" * 480 + "\x1b[31m"})
        self.relayed()
        (found,) = self.world.manager.hostsInClear()
        self.assertTrue(found.why.isprintable())
        self.assertLess(len(found.why), 600)
        self.assertNotIsInstance(found.why, Trouble)
