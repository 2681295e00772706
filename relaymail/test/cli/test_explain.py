# -*- test-case-name: relaymail.test.cli.test_explain -*-
"""
Tests for L{relaymail.cli.explain} and L{relaymail.cli.explained}.
"""

from __future__ import annotations

from typing import Any

from relaymail.test.cli.commands import HOSTILE, CommandTestCase


def host(**known: Any) -> dict[str, Any]:
    """
    Make a host as the API gives it.
    """
    usual: dict[str, Any] = {
        "host": "mx.example.org",
        "port": 25,
        "addresses": ["192.0.2.1", "2001:db8::1"],
        "tls": "encrypted",
        "why": "the operator says so",
        "names": ["mx.example.org"],
        "sni": "mx.example.org",
        "tlsa": ["3 1 1 aa"],
        "requireTLS": False,
        "protocol": "smtp",
        "named": False,
        "source": [],
        "helo": "relay.example.com",
        "certificate": "",
        "trusts": "",
        "login": "",
        "preference": 1,
        "badUntil": None,
        "inClear": False,
        "clearUntil": None,
        "problem": "",
    }
    return {**usual, **known}


def explained(**known: Any) -> dict[str, Any]:
    """
    Make an explanation as the API gives it.
    """
    usual: dict[str, Any] = {
        "recipient": "b@example.org",
        "sender": "",
        "client": "",
        "user": "",
        "size": 0,
        "requireTLS": False,
        "tlsOptional": False,
        "aliases": [],
        "destination": "example.org",
        "accepted": True,
        "rule": "the mail exchange hosts",
        "goal": "example.org",
        "chosen": {
            "by": "mx",
            "number": None,
            "name": "",
            "action": "deliver",
            "matched": [],
        },
        "outcome": {"fate": "tried", "status": "", "why": ""},
        "problem": "",
        "route": [host()],
        "left": [],
        "policies": [],
        "lookups": [],
        "until": None,
        "site": {"name": "mx.example.org", "others": [], "count": 0},
        "limits": {
            "connections": 1,
            "allowed": 5,
            "total": 2,
            "most": 20,
            "rates": [],
        },
        "first": {"isNow": False, "when": None, "why": "they asked"},
        "standing": {
            "state": "suspended",
            "why": "they asked",
            "until": None,
            "allowed": 0,
        },
        "retry": [60, 300],
        "expire": 432000,
    }
    return {**usual, **known}


class ExplainTests(CommandTestCase):
    """
    Tests for C{relaymail explain}.
    """

    def shown(self, *words: str, code: int = 0, **known: Any) -> str:
        """
        Give what is printed for an answer.
        """
        self.answers["GET explain"] = explained(**known)
        return self.run_("explain", "b@example.org", *words, code=code).stdout

    def test_shown(self) -> None:
        """
        The hosts stand below what decides them.
        """
        told = self.shown("--from", "a@example.com")
        for words in (
            "1. mx.example.org port 25",
            "192.0.2.1 2001:db8::1",
            "encrypted: the operator says so",
            "3 1 1 aa",
            "1m, 5m",
            "5d",
            "suspended, they asked",
            "1 of 5 that its hosts may have; 2 of 20 in all",
        ):
            self.assertIn(words, told)
        query = {"recipient": "b@example.org", "sender": "a@example.com"}
        self.assertEqual(self.client.asked, [("GET explain", query)])

    def test_asked(self) -> None:
        """
        What is said of the mail is passed on.
        """
        words = "--size 12 --client 10.0.0.1 --user ann --require-tls --tls-optional"
        self.shown(*words.split())
        ((_, query),) = self.client.asked
        self.assertEqual(
            query,
            {
                "recipient": "b@example.org",
                "client": "10.0.0.1",
                "user": "ann",
                "size": "12",
                "requireTLS": "true",
                "tlsOptional": "true",
            },
        )

    def test_rule(self) -> None:
        """
        What the mail has that a route wants stands behind it.
        """
        chosen = {"by": "route", "matched": ["recipient .org", "user ann"]}
        told = self.shown(rule="the route x", chosen=chosen)
        self.assertIn("the route x (recipient .org, user ann)", told)

    def test_fates(self) -> None:
        """
        Mail that goes nowhere is a failure, mail that is held is none.
        """
        for fate, words, code in (
            ("bounces", "bounces at once (5.1.2): no such domain", 1),
            ("waits", "it waits, and is tried again (5.1.2)", 1),
            ("refused", "it is not taken (5.1.2)", 1),
            ("discarded", "thrown away", 1),
            ("held", "held until somebody releases it", 0),
        ):
            outcome = {"fate": fate, "status": "5.1.2", "why": "no such domain"}
            told = self.shown(code=code, route=[], outcome=outcome)
            self.assertIn(words, told)

    def test_limits(self) -> None:
        """
        Rates, sites that are shared, and the time of the first attempt are shown.
        """
        rate = {"side": "sender", "name": "x.example", "rate": "5/m", "left": 0}
        limits = {"connections": 0, "allowed": 1, "total": 0, "most": 9}
        told = self.shown(
            limits={**limits, "rates": [rate]},
            site={"name": "mx", "others": ["a.example", "b.example"], "count": 5},
            first={"isNow": False, "when": 1e9, "why": "the rate is used up"},
            until=1e9,
        )
        self.assertIn("rate of the sender: 5/m for x.example, 0 left now", told)
        self.assertIn("mx, shared with a.example, b.example and 3 more", told)
        self.assertRegex(told, r"first attempt: +at 2001-09-0.*: the rate is used up")

    def test_policies(self) -> None:
        """
        Policies, lookups and hosts that are not tried are shown.
        """
        policy = {
            "kind": "sts",
            "domain": "example.org",
            "mode": "enforce",
            "lines": ["version: STSv1"],
            "problem": "sts-policy-fetch-error",
            "why": "no answer",
            "until": 1e9,
        }
        none = {"kind": "no-policy-found", "domain": "example.org"}
        lookup = {"kind": "MX", "name": "example.org", "state": "secure", "why": ""}
        told = self.shown(
            policies=[policy, none],
            lookups=[lookup],
            left=[{"host": "mx2.example.org", "why": "not in the policy"}],
        )
        for words in (
            "MTA-STS of example.org, mode enforce, kept until 2001-09-0",
            "sts-policy-fetch-error, no answer",
            "     version: STSv1",
            "MX of example.org: secure",
            "mx2.example.org: not in the policy",
        ):
            self.assertIn(words, told)
        self.assertNotIn("no-policy-found", told)

    def test_host(self) -> None:
        """
        What is special of a host is shown.
        """
        special = host(
            requireTLS=True,
            protocol="lmtp",
            login="ann with a token",
            source=["192.0.2.7"],
            preference=2,
            badUntil=1e9,
            clearUntil=1e9,
            problem="no address",
            trusts="/ca.pem",
            certificate="/own.pem",
        )
        told = self.shown(route=[special])
        for words in (
            "must be offered",
            "LMTP",
            "ann with a token",
            "192.0.2.7",
            "behind the others until 2001-09-0",
            "after 2001-09-0",
            "no address",
            "/ca.pem",
            "/own.pem",
        ):
            self.assertIn(words, told)

    def test_json(self) -> None:
        """
        The document is the API's.
        """
        self.answers["GET explain"] = explained()
        self.assertEqual(self.runJSON("explain", "b@example.org"), explained())

    def test_hostile(self) -> None:
        """
        What the DNS says is safe to see.
        """
        evil = host(host=HOSTILE, addresses=[HOSTILE], problem=HOSTILE, why=HOSTILE)
        self.answers["GET explain"] = explained(
            route=[evil],
            rule=HOSTILE,
            left=[{"host": HOSTILE, "why": HOSTILE}],
            policies=[{"kind": "sts", "domain": HOSTILE, "lines": [HOSTILE]}],
            lookups=[{"kind": "MX", "name": HOSTILE, "state": "x", "why": HOSTILE}],
        )
        self.run_("explain", HOSTILE)
