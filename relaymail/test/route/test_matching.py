# -*- test-case-name: relaymail.test.route.test_matching -*-
"""
Tests for L{relaymail.route.matching}.
"""

from __future__ import annotations

from ipaddress import ip_network

from twisted.trial.unittest import SynchronousTestCase

from relaymail.envelopes import Origin, Outline
from relaymail.route.matching import criteriaOf, numberOf
from relaymail.route.rules import Routing, Rule

#: A message of somebody who has said who he is.
OUTLINE = Outline(
    "Ann@Example.COM", "Joe@a.Example.org", None, origin=Origin("::ffff:10.1.2.3", "an")
)


class CriteriaTests(SynchronousTestCase):
    """
    What of a rule a message matches.
    """

    def assertMatched(self, rule: Rule, *expected: str) -> None:
        """
        Check what is told of a rule, that the message does match.
        """
        routing = Routing((Rule(recipients=("other.example",)), rule))
        found = routing.match(
            OUTLINE.recipient, OUTLINE.sender, OUTLINE.origin, OUTLINE.isReleased
        )
        assert found is not None
        self.assertEqual(criteriaOf(found, OUTLINE), list(expected))
        self.assertEqual(numberOf(found, routing), 1)

    def test_recipient(self) -> None:
        """
        The closest thing that is named is told.
        """
        patterns = ("*", ".example.org", "a.example.org", "JOE@a.example.org")
        for count, told in (
            (4, "joe@a.example.org"),
            (3, "a.example.org"),
            (2, ".example.org"),
            (1, "*"),
        ):
            rule = Rule(recipients=patterns[:count])
            self.assertMatched(rule, f"recipient {told}")

    def test_sender(self) -> None:
        """
        A sender is named by its address or by its domain.
        """
        rule = Rule(senders=("@example.com", "b@example.com"))
        self.assertMatched(rule, "sender @example.com")
        rule = Rule(senders=("@example.com", "ann@example.com"))
        self.assertMatched(rule, "sender ann@example.com")

    def test_notice(self) -> None:
        """
        Notices have a name of their own.
        """
        rule = Rule(senders=("<>", "@example.com"))
        outline = Outline("", OUTLINE.recipient, None)
        self.assertEqual(criteriaOf(rule, outline), ["sender <>"])

    def test_origin(self) -> None:
        """
        Of several kinds of criteria each is told.
        """
        networks = ("192.0.2.0/24", "10.0.0.0/8")
        rule = Rule(clients=tuple(map(ip_network, networks)), users=("bob", "an"))
        self.assertMatched(rule, "client 10.0.0.0/8", "user an")
        self.assertMatched(Rule(users=("*",)), "user *")

    def test_nothing(self) -> None:
        """
        A rule without criteria is for all mail.
        """
        self.assertMatched(Rule(), "it is for all mail")
