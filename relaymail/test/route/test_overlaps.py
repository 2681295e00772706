# -*- test-case-name: relaymail.test.route.test_overlaps -*-
"""
Tests for L{relaymail.route.overlaps}.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.route import overlaps
from relaymail.route.overlaps import coveredRules
from relaymail.route.rules import Action, Routing, Rule
from relaymail.test.route.test_rules import messages, rules


def told(*said: Rule) -> list[str]:
    """
    Give what is told of rules.
    """
    return [covered.text for covered in coveredRules(Routing(said))]


class CoveredRulesTests(SynchronousTestCase):
    """
    Tests for L{coveredRules}.
    """

    @settings(deadline=None, max_examples=200)
    @given(st.lists(rules, max_size=8), st.lists(messages, max_size=20))
    def test_neverMatched(self, said: list[Rule], sent: list[Any]) -> None:
        """
        No mail matches a rule of which it is said that none does.
        """
        routing = Routing(said)
        never = [covered.rule for covered in coveredRules(routing)]
        for message in sent:
            found = routing.match(*message)
            self.assertFalse(any(found is rule for rule in never))

    def test_covered(self) -> None:
        """
        A wider rule before a narrower one is told of by both names, of each kind of
        criteria.
        """
        net, part = ip_network("192.0.2.0/24"), ip_network("192.0.2.128/25")
        for wide, narrow in (
            (Rule(), Rule(recipients=("*",), users=("ann",))),
            (Rule(recipients=(".org",)), Rule(recipients=("a@x.org", ".x.org"))),
            (Rule(recipients=("x.org",)), Rule(recipients=("a@x.org",))),
            (Rule(senders=("@x.org", "<>")), Rule(senders=("a@x.org", "<>"))),
            (Rule(clients=(net,)), Rule("n", ("x.org",), clients=(part,))),
            (Rule(users=("*",)), Rule(users=("ann", "bob"))),
            (Rule(users=("ann", "bob")), Rule(users=("ann",))),
        ):
            first = told(wide, narrow)
            name = narrow.name or "routes[1]"
            self.assertEqual(
                first,
                [
                    f"the rule {name} is never used: all mail that it is for goes by "
                    "the rule routes[0], before it"
                ],
                (wide, narrow),
            )
            self.assertEqual(told(narrow, wide), [])

    def test_notCovered(self) -> None:
        """
        A rule is used that leaves something over, of whatever kind.
        """
        v6 = (ip_network("::/0"),)
        for first, rule in (
            (Rule(recipients=(".org",)), Rule(recipients=("a@x.org", "org"))),
            (Rule(recipients=("x.org",)), Rule()),
            (Rule(senders=("@x.org",)), Rule(senders=("@y.org", "@x.org"))),
            (Rule(clients=v6), Rule(clients=(ip_network("192.0.2.0/24"),))),
            (Rule(clients=v6), Rule()),
            (Rule(users=("ann",)), Rule(users=("*",))),
            (Rule(users=("*",)), Rule()),
        ):
            self.assertEqual(told(first, rule), [], (first, rule))

    def test_together(self) -> None:
        """
        Several rules may leave nothing of one.
        """
        (text,) = told(
            Rule("one", ("a.example",)),
            Rule("two", ("b.example",)),
            Rule("three", ("b.example", "a.example")),
        )
        self.assertIn("by the rule one and the rule two, before it", text)

    def test_same(self) -> None:
        """
        A rule that is there twice is told of as that.
        """
        (text,) = told(
            Rule("one", ("a.example", "b.example")),
            Rule("two", ("b.example", "a.example"), action=Action.REFUSE),
        )
        self.assertEqual(
            text,
            "the rule two is never used: the rule one, before it, is for the same mail",
        )

    def test_held(self) -> None:
        """
        What is held goes by a later rule when it is released.
        """
        hold = Rule("hold", action=Action.HOLD)
        self.assertEqual(told(hold, Rule("then")), [])
        self.assertEqual(len(told(hold, Rule("then", action=Action.HOLD))), 1)

    def test_bounded(self) -> None:
        """
        It ends however many rules there are: nothing wrong is said then.
        """
        said = [
            Rule(recipients=("a.example",), senders=(f"@{n}.example",))
            for n in (1, 2, 2)
        ]
        self.assertEqual(len(told(*said)), 1)
        self.patch(overlaps, "MAX_COMPARED", 2)
        self.assertEqual(told(*said), [])
