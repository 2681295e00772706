# -*- test-case-name: relaymail.test.configuration.test_routes -*-
"""
Tests for L{relaymail.configuration.routes}.
"""

from __future__ import annotations

import tomllib
from ipaddress import ip_network
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relaymail.configuration import Configuration, configure
from relaymail.configuration.routes import RouteTable, hostsOf
from relaymail.configuration.showing import show, shownOptions
from relaymail.configuration.structuring import Layer, structure
from relaymail.errors import ConfigurationError
from relaymail.route.hosts import Host
from relaymail.route.levels import TLSLevel
from relaymail.route.rules import Action, Rule
from relaymail.route.terms import Terms

#: Nearly everything that can be said.
FILE = f"""
[delivery]
tls = "dane"

[[delivery.routes]]
name = "partner"
to = ["Example.ORG", ".example.org", "ann@example.net"]
from = "@example.com"
client = "192.0.2.0/24"
user = ["ann", "*"]
tls = "verify"
names = [".mx.example.org", "mx.example.net"]
ca-file = '{__file__}'
client-cert = '{__file__}'
client-key = '{__file__}'
source = ["192.0.2.1", "2001:db8::1"]
helo = "out.example.com"
fallback = "smtps://me@backup.example?password-env=PW"

[[delivery.routes]]
to = "spam.example"
via = "refuse"
text = "No mail goes there."

[[delivery.routes]]
from = ["<>", "bot@example.com"]
via = "discard"

[[delivery.routes]]
name = "look first"
via = "hold"

[[delivery.routes]]
to = "*"
via = ["lmtp+unix:///run/lmtp", {{ url = "smtp://mail.example", tls = "encrypted" }}]
source = "192.0.2.1"
"""


def read(text: str) -> Configuration:
    """
    Read a file.
    """
    return structure([Layer(tomllib.loads(text), lambda at: f"{at}: ", "/etc")])


class ReadTests(SynchronousTestCase):
    """
    How routes are read and shown.
    """

    def routes(self, *said: Any) -> tuple[Any, ...]:
        """
        Give routes of a program.
        """
        return configure(queue="s", hostname="a.example", routes=said).delivery.routes

    def test_file(self) -> None:
        """
        A file says everything.
        """
        first, refused, discarded, held, last = read(FILE).delivery.routes
        assert isinstance(first, RouteTable)
        self.assertEqual(first.name, "partner")
        self.assertEqual(
            first.recipients, ("example.org", ".example.org", "ann@example.net")
        )
        self.assertEqual(first.senders, ("@example.com",))
        self.assertEqual(first.clients, (ip_network("192.0.2.0/24"),))
        self.assertEqual(first.users, ("ann", "*"))
        self.assertEqual((first.action, first.via), (Action.DELIVER, ()))
        self.assertIs(first.tls, TLSLevel.VERIFY)
        self.assertEqual(first.names, (".mx.example.org", "mx.example.net"))
        files = (first.caFile, first.clientCert, first.clientKey)
        self.assertEqual(files, (__file__,) * 3)
        self.assertEqual(first.source, ("192.0.2.1", "2001:db8::1"))
        self.assertEqual(first.helo, "out.example.com")
        self.assertEqual([h.name for h in hostsOf(first)], ["backup.example"])
        self.assertEqual(
            refused,
            RouteTable(
                recipients=("spam.example",),
                action=Action.REFUSE,
                text="No mail goes there.",
            ),
        )
        self.assertEqual(discarded.senders, ("<>", "bot@example.com"))
        self.assertIs(discarded.action, Action.DISCARD)
        self.assertIs(held.action, Action.HOLD)
        self.assertEqual([h.name for h in hostsOf(last)], ["/run/lmtp", "mail.example"])

    def test_readBack(self) -> None:
        """
        What is shown is the same when it is read.
        """
        told = read(FILE)
        self.assertEqual(read(show(told)), told)
        shown = shownOptions(told)["delivery"]["routes"]
        self.assertEqual(
            shown[1:4],
            [
                {
                    "to": ["spam.example"],
                    "via": "refuse",
                    "text": "No mail goes there.",
                },
                {"from": ["<>", "bot@example.com"], "via": "discard"},
                {"name": "look first", "via": "hold"},
            ],
        )

    def test_rules(self) -> None:
        """
        A program gives rules, which can be shown as well, but for what only a program
        can say.
        """
        backup = Host("backup.example", 26, named=True)
        rule = Rule(
            "mine",
            ("Example.org",),
            terms=Terms(TLSLevel.DANE_ONLY, helo="a.example", fallback=(backup,)),
        )
        (found,) = self.routes(rule)
        self.assertEqual(found.recipients, ("example.org",))
        self.assertEqual(hostsOf(found), (backup,))
        told = configure(queue="s", hostname="a.example", routes=[rule])
        (table,) = read(show(told)).delivery.routes
        assert isinstance(table, RouteTable)
        self.assertEqual((table.name, table.recipients), ("mine", ("example.org",)))
        self.assertIs(table.tls, TLSLevel.DANE_ONLY)
        self.assertEqual([h.name for h in hostsOf(table)], ["backup.example"])
        (shown,) = self.routes(Rule(hosts=(backup,)))
        self.assertEqual(hostsOf(shown), (backup,))

    def test_words(self) -> None:
        """
        In one line there are words; a key that is there twice has both values.
        """
        (route,) = self.routes(
            "to=a.example,b.example client=192.0.2.0/24 client=::1 'user=two words' "
            "via=smtps://me@h.example?password-env=PW via=mail.example"
        )
        self.assertEqual(route.recipients, ("a.example", "b.example"))
        self.assertEqual(len(route.clients), 2)
        self.assertEqual(route.users, ("two words",))
        self.assertEqual([h.name for h in route.via], ["h.example", "mail.example"])

    def test_terms(self) -> None:
        """
        What a route does not say of how mail goes is as for all mail.
        """
        base = Terms(TLSLevel.DANE, source=("192.0.2.9",), helo="b.example")
        self.assertIsNone(RouteTable(recipients=("a.example",)).termsOver(base, ()))
        terms = RouteTable(tls=TLSLevel.VERIFY, source=()).termsOver(base, ())
        self.assertEqual(terms, Terms(TLSLevel.VERIFY, helo="b.example"))
        backup = (Host("backup.example"),)
        terms = RouteTable(fallback=backup).termsOver(base, backup)
        assert terms is not None
        self.assertEqual((terms.fallback, terms.level), (backup, TLSLevel.DANE))


class WrongTests(SynchronousTestCase):
    """
    What is wrong with routes.
    """

    def problems(self, *said: Any) -> list[str]:
        """
        Give what is told of them.
        """
        error = self.assertRaises(
            ConfigurationError,
            structure,
            [Layer({"delivery": {"routes": list(said)}}, lambda at: f"{at[2:]}: ")],
        )
        return str(error).split("\n")

    def test_eachHasItsLine(self) -> None:
        """
        Each wrong value is told of in one line, with the number of its table and its
        key.
        """
        good = {"to": "a.example", "via": "mx"}
        for said, at, words in (
            ({"to": "a b"}, "'to'", "does not say for whom mail is"),
            ({"to": ["a.example", 5]}, "'to', 1", "is not a list of recipients"),
            ({"to": []}, "'to'", "an empty list is not a list of recipients: write"),
            ({"to": "@a.example"}, "'to'", "write example.org, .example.org for"),
            ({"from": "*@a.example"}, "'from'", "write an address, @example.org"),
            ({"from": ["example.com"]}, "'from', 0", "does not say who mail is from"),
            ({"client": "here"}, "'client'", "'here' is not a network"),
            ({"client": 5}, "'client'", "is not a list of networks"),
            ({"user": [""]}, "'user', 0", "is not a list of users"),
            ({"via": []}, "'via'", "is not a way for mail: write mx, refuse"),
            ({"via": 25}, "'via'", "is not a way for mail"),
            ({"via": "reject"}, "'via'", "'reject' is no word of via: write refuse; a"),
            ({"via": "DROP"}, "'via'", "write discard; a host of that name is smtp:"),
            ({"via": "refused"}, "'via'", "write refuse;"),
            ({"via": "http://a"}, "'via'", "its scheme is none of"),
            ({"via": ["hold", "a.example"]}, "'via', 0", "stands alone"),
            ({"tls": "strong"}, "'tls'", "is no level of TLS: write one of none"),
            ({"tls": True}, "'tls'", "true is not a level of TLS"),
            ({"names": "[192.0.2.1]"}, "'names'", "is not a list of host names"),
            ({"names": "192.0.2.1"}, "'names'", "is not a list of host names"),
            ({"names": "a b"}, "'names'", "is no name of hosts"),
            ({"ca-file": "nowhere.pem"}, "'ca-file'", "is not a file"),
            ({"source": "here"}, "'source'", "is not a list of network addresses"),
            ({"source": "0.0.0.0"}, "'source'", "0.0.0.0 is no address that"),
            ({"source": ["::1", "::2"]}, "'source'", "two addresses of one family"),
            ({"helo": "a b"}, "'helo'", "is no domain"),
            ({"fallback": "http://a"}, "'fallback'", "its scheme is none of"),
            ({"text": "x" * 401}, "'text'", "at most 400 are taken"),
            ({"text": "a\nb"}, "'text'", "is not a text"),
            ({"form": "a@a.example"}, "'form'", "did you mean from?"),
            ({"via_": 1}, "'via_'", "did you mean via?"),
            ({"nonsense": 1}, "'nonsense'", "there are name, to, from"),
            ({"password": "hush"}, "'password'", "a secret never stands in a route"),
        ):
            (line,) = self.problems(good, {**good, **said})
            self.assertTrue(line.startswith(f"(1, {at}"), line)
            self.assertIn(words, line)

    def test_together(self) -> None:
        """
        What contradicts itself is told of, and so is a route that says nothing.
        """
        for said, words in (
            ({"to": "a.example"}, "(0,): it does not say where the mail goes"),
            ({"via": "hold", "tls": "none"}, "'tls'): mail that it is to hold goes to"),
            (
                {"via": "a.example", "tls": "none"},
                "'tls'): it is for the hosts of",
            ),
            ({"via": "mx", "client-cert": __file__}, "name both client-cert and"),
            ({"via": "mx", "text": "x"}, "nobody is told of mail"),
            ({"via": "refuse", "text": "nö"}, "printable ASCII"),
            (5, "is not a list of routes"),
            ("a.example", "is not a list of routes"),
            ("to='a", "it cannot be split into words"),
        ):
            (line,) = self.problems(said)
            self.assertIn(words, line)

    def test_hostsLikeWords(self) -> None:
        """
        A host may be called like a word, or nearly, where that is what is said.
        """
        for text in ("smtp://reject", "mailhub", "drop.example", "hold.example:26"):
            (route,) = configure(queue="s", routes=[{"via": text}]).delivery.routes
            self.assertEqual(len(hostsOf(route)), 1, text)

    def test_all(self) -> None:
        """
        Several problems are told of at once.
        """
        self.assertEqual(len(self.problems({"to": "", "tls": "x", "y": 1}, {})), 4)

    def test_twice(self) -> None:
        """
        No two routes have one name.
        """
        (line,) = self.problems(*[{"name": "a", "via": "mx"}] * 2)
        self.assertIn("2 routes have the name 'a'", line)

    def test_A09_secretsAreNotTold(self) -> None:
        """
        A password that was written there is not in the message.
        """
        for said in (
            {"via": "smtps://me:hush@a.example"},
            {"fallback": ["smtps://me:hush@a.example"]},
            {"via": "mx", "password": "hush"},
            "to=a via=smtps://me:hush@a.example",
            "hush",
        ):
            for line in self.problems(said):
                self.assertNotIn("hush", line)
