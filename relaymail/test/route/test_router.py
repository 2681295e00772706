# -*- test-case-name: relaymail.test.route.test_router -*-
"""
Tests for L{relaymail.route.router}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import fail, succeed
from twisted.names import dns
from twisted.trial.unittest import SynchronousTestCase

from relaymail.errors import RouteError
from relaymail.replies import TroubleKind
from relaymail.route.hosts import Host, Route, TLSNeed
from relaymail.route.router import (
    Discarding,
    Holding,
    NoWay,
    Refusing,
    Unroutable,
    refuse,
    routeFor,
    shownSite,
)


class Many:
    """
    What knows all hosts of a domain.
    """

    def __init__(self, *records: tuple[int, str]) -> None:
        self.records = [dns.Record_MX(*record) for record in records]
        self.asked: list[str] = []

    def getMXs(self, domain: str) -> Any:
        """
        Give them.
        """
        self.asked.append(domain)
        return succeed(list(self.records))


class One:
    """
    What knows one host of a domain, and is no subclass of anything.
    """

    def getMX(self, domain: str) -> Any:
        """
        Give it, without a Deferred.
        """
        return dns.Record_MX(name=f"mx.{domain}")


class RouteForTests(SynchronousTestCase):
    """
    Tests for L{routeFor}.
    """

    def names(self, *args: Any, **kw: Any) -> list[str]:
        """
        Give the names of a route.
        """
        route = self.successResultOf(routeFor(*args, **kw))
        return [host.name for host in route.hosts]

    def test_allHostsInOrder(self) -> None:
        """
        All hosts, in the order given, text without a trailing dot, with the
        TLS need, and not counted as named.
        """
        mxcalc = Many((10, "a.example."), (20, "B.example"))
        route = self.successResultOf(
            routeFor("example.org", mxcalc, tls=TLSNeed.ENCRYPTED)
        )
        self.assertEqual(mxcalc.asked, ["example.org"])
        self.assertEqual(
            [(h.name.lower(), h.tls, h.named, h.port) for h in route.hosts],
            [
                ("a.example", TLSNeed.ENCRYPTED, False, None),
                ("b.example", TLSNeed.ENCRYPTED, False, None),
            ],
        )

    def test_getMXOnly(self) -> None:
        """
        An object with C{getMX} only gives one host; its answer need not be a
        Deferred.
        """
        self.assertEqual(self.names("example.org", One()), ["mx.example.org"])

    def test_smartHosts(self) -> None:
        """
        Smart hosts are the route, and nobody is asked.
        """
        smart = (Host("one.example", 587), Host("two.example"))
        route = self.successResultOf(routeFor("example.org", None, smart))
        self.assertEqual(route, Route(smart))

    def test_ownHost(self) -> None:
        """
        This relay, and what is not better than it, is left out.
        """
        mxcalc = Many((10, "a.example"), (20, "me.example"), (30, "c.example"))
        self.assertEqual(
            self.names("example.org", mxcalc, ownNames=["ME.example"]), ["a.example"]
        )

    def test_D02_onlyOwnHostIsALoop(self) -> None:
        """
        Where that leaves none it is a loop.
        """
        d = routeFor("example.org", Many((1, "me.example")), ownNames=["me.example"])
        error = self.failureResultOf(d, RouteError).value
        self.assertIs(error.trouble.kind, TroubleKind.LOOP)

    def test_failure(self) -> None:
        """
        What the calculator fails with comes through, also where it raises.
        """

        class Failing:
            def getMXs(self, domain: str) -> Any:
                return fail(KeyError(domain))

        class Raising:
            def getMX(self, domain: str) -> Any:
                raise KeyError(domain)

        self.failureResultOf(routeFor("x.example", Failing()), KeyError)
        self.failureResultOf(routeFor("x.example", Raising()), KeyError)

    def test_unroutable(self) -> None:
        """
        What has no destination fails with words that name it.
        """
        error = self.failureResultOf(refuse(Unroutable("no body")))
        self.assertIs(error.value.trouble.kind, TroubleKind.UNSENDABLE)
        self.assertIn("no body", str(error.value))

    def test_rules(self) -> None:
        """
        What a rule lets go nowhere fails with what the rule says of it.
        """
        ways: list[tuple[NoWay, TroubleKind, str]] = [
            (Refusing("spam", "No spam."), TroubleKind.POLICY, "No spam."),
            (Refusing("spam"), TroubleKind.POLICY, ""),
            (Discarding("junk"), TroubleKind.DISCARDED, "junk"),
            (Holding("new"), TroubleKind.LOCAL, "the rule new holds it, which this"),
        ]
        for way, kind, words in ways:
            trouble = self.failureResultOf(refuse(way)).value.trouble
            self.assertIs(trouble.kind, kind)
            self.assertIn(words, trouble.detail)
        self.assertEqual(
            [shownSite(way) for way, _, _ in ways[1:]],
            [
                "refused by the rule spam",
                "thrown away by the rule junk",
                "held by the rule new",
            ],
        )
        self.assertEqual(Holding("new").why, "by the rule new")
        self.assertEqual(Holding("new", "Look!").why, "by the rule new: Look!")
