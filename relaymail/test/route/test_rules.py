# -*- test-case-name: relaymail.test.route.test_rules -*-
"""
Tests for L{relaymail.route.rules}.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.envelopes import NO_ORIGIN, Origin
from relaymail.errors import ConfigurationError
from relaymail.route.hosts import Host
from relaymail.route.patterns import parseRecipient, parseSender
from relaymail.route.rules import Action, Routing, Rule, checkedRule
from relaymail.route.terms import Terms

SHOP = (Host("shop.example", named=True),)
DOMAINS = ("example.org", "mail.example.org", "a.mail.example.org", "example.net")
PEOPLE = ("ann", "bob")
NETWORKS = ("192.0.2.0/24", "192.0.2.128/25", "192.0.2.7/32", "2001:db8::/32")
HOSTS = (
    "",
    "192.0.2.7",
    "192.0.2.200",
    "198.51.100.1",
    "::ffff:192.0.2.7",
    "2001:db8::1",
)
USERS = ("", "ann", "bob")

addresses = st.builds("{}@{}".format, st.sampled_from(PEOPLE), st.sampled_from(DOMAINS))
recipients = (
    addresses
    | st.sampled_from(DOMAINS)
    | st.sampled_from(DOMAINS).map(".{}".format)
    | st.just("*")
)
senders = (
    addresses
    | st.sampled_from(DOMAINS).map("@{}".format)
    | st.sampled_from(("<>", "*"))
)


def some(values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    """
    Give criteria of one kind, often none.
    """
    return st.just(()) | st.lists(values, max_size=3).map(tuple)


rules = st.builds(
    Rule,
    recipients=some(recipients),
    senders=some(senders),
    clients=some(st.sampled_from(NETWORKS).map(ip_network)),
    users=some(st.sampled_from((*USERS[1:], "*"))),
    action=st.sampled_from((Action.DELIVER, Action.REFUSE, Action.HOLD)),
)
origins = st.builds(Origin, st.sampled_from(HOSTS), st.sampled_from(USERS))
messages = st.tuples(addresses, addresses | st.just(""), origins, st.booleans())


def naive(
    rules: tuple[Rule, ...],
    recipient: str,
    sender: str,
    origin: Origin,
    isReleased: bool,
) -> Rule | None:
    """
    Give the first rule that matches, by looking at each.
    """
    for rule in rules:
        if isReleased and rule.action is Action.HOLD:
            continue
        if (
            (not rule.recipients or any(isFor(r, recipient) for r in rule.recipients))
            and (not rule.senders or any(isFrom(s, sender) for s in rule.senders))
            and (not rule.clients or any(isIn(origin.host, c) for c in rule.clients))
            and (not rule.users or any(isOf(origin.user, u) for u in rule.users))
        ):
            return rule
    return None


def isFor(pattern: str, recipient: str) -> bool:
    """
    Tell whether a recipient is one of a pattern.
    """
    domain = recipient.partition("@")[2]
    isBelow = pattern.startswith(".") and domain.endswith(pattern)
    return pattern in ("*", recipient, domain) or isBelow


def isFrom(pattern: str, sender: str) -> bool:
    """
    Tell whether a sender is one of a pattern.
    """
    return pattern in ("*", sender or "<>", f"@{sender.partition('@')[2]}")


def isIn(host: str, network: Any) -> bool:
    """
    Tell whether a host is in a network.
    """
    address: Any = ip_address(host) if host else None
    address = getattr(address, "ipv4_mapped", None) or address
    return address is not None and address in network


def isOf(user: str, pattern: str) -> bool:
    """
    Tell whether a user is one of a pattern.
    """
    return bool(user) and pattern in ("*", user)


class MatchTests(SynchronousTestCase):
    """
    Tests for L{Routing.match}.
    """

    @settings(deadline=None, max_examples=200)
    @given(st.lists(rules, max_size=8), messages)
    def test_asIfEachWasLookedAt(self, said: list[Rule], message: Any) -> None:
        """
        The first rule holds that matches, however many are looked at.
        """
        routing = Routing(said)
        self.assertIs(routing.match(*message), naive(routing.rules, *message))

    def test_forAll(self) -> None:
        """
        A rule without criteria is for all mail, notices too.
        """
        routing = Routing([Rule()])
        self.assertEqual(routing.match("a@example.org", ""), Rule("routes[0]"))

    def test_kindsHoldTogether(self) -> None:
        """
        Criteria of different kinds have to hold all, of one kind one is enough.
        """
        rule = Rule(
            recipients=("example.org", "example.net"),
            senders=("ann@example.com", "<>"),
            clients=(ip_network("192.0.2.0/24"),),
            users=("ann",),
        )
        routing, origin = Routing([rule]), Origin("192.0.2.1", "ann")
        for matches, recipient, sender, where in (
            (True, "a@example.net", "", origin),
            (True, "a@Example.ORG", "ANN@example.com", origin),
            (False, "a@example.com", "", origin),
            (False, "a@example.org", "bob@example.com", origin),
            (False, "a@example.org", "", Origin("192.0.3.1", "ann")),
            (False, "a@example.org", "", Origin("192.0.2.1", "bob")),
            (False, "a@example.org", "", NO_ORIGIN),
        ):
            found = routing.match(recipient, sender, where)
            self.assertEqual(found is not None, matches, (recipient, sender, where))

    def test_A04_quotes(self) -> None:
        """
        Quotes that a local part need not have are no way round a rule (RFC 5321
        4.1.2).
        """
        refusing = Rule(recipients=("ceo@one.example",), action=Action.REFUSE)
        holding = Rule(senders=('"boss"@one.example',), action=Action.HOLD)
        routing = Routing([refusing, holding])
        for recipient in ('"ceo"@one.example', '"C\\eo"@ONE.example.'):
            rule = routing.match(recipient, "a@two.example")
            assert rule is not None
            self.assertIs(rule.action, Action.REFUSE)
        for sender in ("boss@one.example", '"\\boss"@one.example'):
            rule = routing.match("b@two.example", sender)
            assert rule is not None
            self.assertIs(rule.action, Action.HOLD)

    def test_below(self) -> None:
        """
        A dot before a domain is for those below it, not for itself.
        """
        routing = Routing([Rule(recipients=(".example.org",))])
        self.assertIsNone(routing.match("a@example.org", ""))
        self.assertIsNotNone(routing.match("a@x.example.org", ""))
        self.assertIsNotNone(routing.match("a@y.x.example.org", ""))
        self.assertIsNone(routing.match("a@yexample.org", ""))

    def test_literal(self) -> None:
        """
        An address literal is a domain, and below none.
        """
        routing = Routing([Rule(recipients=("[192.0.2.1]",))])
        self.assertIsNotNone(routing.match("a@[192.0.2.1]", ""))
        self.assertIsNone(routing.match("a@[192.0.2.2]", ""))

    def test_released(self) -> None:
        """
        What was held and released goes by the next rule.
        """
        hold, rest = Rule("hold", action=Action.HOLD), Rule("rest", hosts=SHOP)
        routing = Routing([hold, rest])
        self.assertEqual(routing.match("a@b.example", ""), hold)
        self.assertEqual(routing.match("a@b.example", "", isReleased=True), rest)
        self.assertTrue(routing.mayHold)
        self.assertFalse(Routing([rest]).mayHold)

    def test_noAddress(self) -> None:
        """
        What is no address matches no rule, what is from none only those for all
        senders, or for just that.
        """
        routing = Routing([Rule("here", senders=("@example.com",)), Rule("all")])
        self.assertIsNone(routing.match("nobody", ""))
        found = routing.match("a@example.org", "root")
        self.assertEqual(found and found.name, "all")

    def test_manyRules(self) -> None:
        """
        Ten thousand rules by domain are not gone through for a message.
        """
        routing = Routing(Rule(recipients=(f"d{n}.example",)) for n in range(10_000))
        lists = routing._index.candidates(("a@d7.example", "d7.example"), (), "")
        self.assertEqual(list(lists), [7])
        found = routing.match("a@d9999.example", "")
        self.assertEqual(found and found.name, "routes[9999]")
        self.assertIsNone(routing.match("a@d.example", ""))

    def test_equal(self) -> None:
        """
        Rules that say the same are equal.
        """
        rule = Rule(recipients=("example.org",))
        self.assertEqual(Routing([rule]), Routing([rule]))
        self.assertEqual(hash(Routing([rule])), hash(Routing([rule])))
        self.assertNotEqual(Routing([rule]), Routing())
        self.assertFalse(Routing())
        self.assertTrue(Routing([rule]))


class RulesOfTests(SynchronousTestCase):
    """
    Tests for L{Routing.rulesOf}.
    """

    def names(self, said: list[Rule], domain: str = "mail.example.org") -> list[str]:
        """
        Give the names of the rules for a domain.
        """
        return [rule.name for rule in Routing(said).rulesOf(domain)]

    def test_some(self) -> None:
        """
        Those for its addresses, for it, for what is above it, and for everybody, up
        to one that leaves no mail of it.
        """
        said = [
            Rule("one", ("ann@mail.example.org", "mail.example.org"), ("<>",)),
            Rule("other", ("example.org",)),
            Rule("sender", senders=("@example.com",)),
            Rule("held", ("mail.example.org",), action=Action.HOLD),
            Rule("above", (".org",)),
            Rule("never"),
        ]
        self.assertEqual(self.names(said), ["one", "sender", "held", "above"])
        self.assertEqual(self.names(said, "a.net"), ["sender", "never"])

    @settings(deadline=None, max_examples=100)
    @given(st.lists(rules, max_size=8), messages)
    def test_allThatMatch(self, said: list[Rule], message: Any) -> None:
        """
        Whatever mail for a domain matches is among them.
        """
        routing = Routing(said)
        found = routing.match(*message)
        domain = message[0].partition("@")[2]
        if found is not None:
            self.assertIn(found.name, [r.name for r in routing.rulesOf(domain)])


class CheckTests(SynchronousTestCase):
    """
    What makes no rule.
    """

    def test_patterns(self) -> None:
        """
        Criteria are read in any form, and stand there in one.
        """
        for text, pattern in (
            (" Example.ORG ", "example.org"),
            (".bücher.example", ".xn--bcher-kva.example"),
            ("Ann@Example.org", "ann@example.org"),
            ("[192.0.2.1]", "[192.0.2.1]"),
            ("*", "*"),
        ):
            self.assertEqual(parseRecipient(text), pattern)
        for text, pattern in (
            ("@Example.org", "@example.org"),
            ("<>", "<>"),
            ("*", "*"),
            ("Ann@bücher.example", "ann@xn--bcher-kva.example"),
        ):
            self.assertEqual(parseSender(text), pattern)
        rule = checkedRule(Rule(recipients=("A.example", "a.example", "b.example")))
        self.assertEqual(rule.recipients, ("a.example", "b.example"))

    def test_wrongPatterns(self) -> None:
        """
        What says nothing of whom mail is for or from is refused.
        """
        for text in ("", ".", "a b", "a@", "*.a.org", "..org", "@a.org", "*@a.org"):
            error = self.assertRaises(ConfigurationError, parseRecipient, text)
            self.assertIn("does not say for whom mail is", str(error))
        for text in ("", "example.org", "a@", "@", "@*", "*@a.example"):
            error = self.assertRaises(ConfigurationError, parseSender, text)
            self.assertIn("does not say who mail is from", str(error))

    def test_contradictions(self) -> None:
        """
        What a rule says of mail that goes nowhere, or of hosts that it names none of,
        is refused.
        """
        for rule, words in (
            (Rule(action=Action.REFUSE, hosts=SHOP), "to refuse goes to no host"),
            (Rule(action=Action.HOLD, terms=Terms()), "to hold goes to no host"),
            (Rule(hosts=SHOP, terms=Terms()), "names hosts of its own"),
            (Rule(text="no"), "nobody is told of mail that it is to deliver"),
            (Rule(text="no", action=Action.DISCARD), "nobody is told"),
            (Rule(text="n\nö", action=Action.REFUSE), "printable ASCII"),
            (Rule(text="n" * 401, action=Action.REFUSE), "longer than 400 characters"),
            (Rule("a\nb"), "no text on one line"),
            (Rule("n" * 201), "its name is longer than 200 characters"),
        ):
            error = self.assertRaises(ConfigurationError, Routing, [rule])
            self.assertIn(words, str(error))
