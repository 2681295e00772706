"""
Tests for L{relaymail.deliver.protected}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from relaymail.deliver.protected import destinationOf, resultOf
from relaymail.errors import RouteError
from relaymail.protections import Applied, PolicyKind, TLSResult, TLSSession
from relaymail.replies import Phase, Reply, Trouble, TroubleKind
from relaymail.route.hosts import Host, Route, TLSNeed
from relaymail.route.terms import Terms, Way
from relaymail.schedule.goals import LimitedLane
from relaymail.test.stories.harness import FIRST, StoryTestCase
from relaymail.testing.certificates import selfSigned
from relaymail.testing.doubles import ADDRESS
from relaymail.testing.servers import BROKEN_TLS, KEYWORDS

NAME = "mx.example.org"
NONE = Applied(PolicyKind.NONE, "example.org")
STS = Applied(PolicyKind.STS, "example.org", ("version: STSv1",), ("mx.*",))


class DecidingTests(SynchronousTestCase):
    """
    Of which sessions is told, and what.
    """

    def test_destinations(self) -> None:
        """
        Only domains have policies, and only for mail whose sender minds them.
        """
        for lane, destination in (
            ("example.org", "example.org"),
            (LimitedLane("example.org", ()), "example.org"),
            (Way("example.org", Terms()), "example.org"),
            (Way("example.org", requireTLS=True), "example.org"),
            (Way("example.org", tlsOptional=True), ""),
            ((Host("relay.example"),), ""),
            (Way((Host("relay.example"),)), ""),
            (None, ""),
        ):
            self.assertEqual(destinationOf(lane), destination, lane)

    def test_results(self) -> None:
        """
        What is known to be wrong with TLS is that; what else ended STARTTLS is TLS
        that was refused, or failed; all else is not of TLS.
        """
        expired = Trouble(Phase.STARTTLS, TroubleKind.TLS, "", TLSResult.EXPIRED)
        lost = Trouble(Phase.STARTTLS, TroubleKind.LOST)
        refused = Reply(454, (b"Not now",))
        for phase, evidence, result in (
            (Phase.STARTTLS, expired, TLSResult.EXPIRED),
            (Phase.CONNECT, expired, TLSResult.EXPIRED),
            (Phase.STARTTLS, lost, TLSResult.FAILED),
            (Phase.STARTTLS, refused, TLSResult.NO_STARTTLS),
            (Phase.MAIL, refused, None),
            (Phase.GREETING, lost, None),
        ):
            self.assertIs(resultOf(phase, evidence), result, (phase, evidence))


class SessionsTests(StoryTestCase):
    """
    Each session with a host of a destination is told of once.
    """

    def setUp(self) -> None:
        super().setUp()
        self.told: list[TLSSession] = []
        self.route(Host(NAME, tls=TLSNeed.OFFERED))

    def route(self, *hosts: Host, applied: tuple[Applied, ...] = (NONE,)) -> None:
        """
        Name the hosts of all destinations, and their policies.
        """
        route = Route(hosts, applied=applied)
        self.set(hostsFor=lambda goal: succeed(route), onTLSSession=self.told.append)

    def serve(self, **options: Any) -> None:
        """
        Put a host there that offers TLS.
        """
        certificate = selfSigned(NAME)
        self.world.host(FIRST, contextFactory=certificate.contextFactory, **options)

    def assertTold(self, *results: TLSResult | None) -> None:
        """
        Check what became of the sessions that were told of.
        """
        self.assertEqual([session.result for session in self.told], list(results))

    def test_protected(self) -> None:
        """
        One that was as it should be is told of, with where it led.
        """
        self.serve()
        self.relayed()
        self.assertEqual(
            self.told,
            [TLSSession("example.org", (NONE,), NAME, FIRST, ADDRESS)],
        )

    def test_ownPolicies(self) -> None:
        """
        The TLSA records of another host are not told with it.
        """
        other = Applied(PolicyKind.DANE, "other.example.org")
        self.route(Host(NAME, tls=TLSNeed.OFFERED), applied=(other, STS))
        self.serve()
        self.relayed()
        self.assertEqual([session.applied for session in self.told], [(STS,)])

    def test_oneSession(self) -> None:
        """
        It is one session however many messages go over it.
        """
        self.serve()
        self.set(idleTimeout=60)
        self.relayed(seconds=5)
        self.relayed("c@example.org", seconds=5)
        self.relayed("d@example.org", seconds=5)
        self.assertTold(None)

    def test_notOffered(self) -> None:
        """
        A host without TLS is told of as that.
        """
        self.world.host(FIRST)
        self.relayed()
        self.assertTold(TLSResult.NO_STARTTLS)
        self.assertIn("does not offer", self.told[0].why)

    def test_failedThenInClear(self) -> None:
        """
        TLS that failed is told of once, and not that the mail then went in clear.
        """
        server = self.world.host(
            FIRST, {"STARTTLS": BROKEN_TLS}, keywords=(*KEYWORDS, "STARTTLS")
        )
        self.relayed(seconds=60)
        self.assertEqual(len(server.received), 1)
        self.assertTold(TLSResult.FAILED)
        self.assertEqual(self.told[0].ownAddress, ADDRESS)

    def test_refused(self) -> None:
        """
        STARTTLS that is offered and refused is TLS that is not to be had.
        """
        self.world.host(
            FIRST, {"STARTTLS": "454 4.7.0 No"}, keywords=(*KEYWORDS, "STARTTLS")
        )
        self.route(Host(NAME, tls=TLSNeed.ENCRYPTED), applied=(STS,))
        self.relayed(seconds=5)
        self.assertTold(TLSResult.NO_STARTTLS)
        self.assertEqual(self.told[0].applied, (STS,))
        self.assertIn("454", self.told[0].why)

    def test_othersFail(self) -> None:
        """
        What ends before TLS, or has nothing to do with it, is not told of.
        """
        self.world.host(FIRST, {"EHLO": "421 4.3.2 Busy"})
        self.relayed(seconds=5)
        self.assertTold()

    def test_operatorsHosts(self) -> None:
        """
        Hosts that the operator named are no destination's, nor is what he wants in
        clear anybody's fault.
        """
        self.serve()
        self.route(Host(NAME, named=True))
        self.relayed()
        self.route(Host(NAME, tls=TLSNeed.NEVER))
        self.relayed("c@example.org")
        self.assertTold()

    def test_noPoliciesKnown(self) -> None:
        """
        Of routes of which no policy is known nothing is told.
        """
        self.serve()
        self.route(Host(NAME), applied=())
        self.relayed()
        self.assertTold()

    def test_noHostLeft(self) -> None:
        """
        Policies that leave no host are told of, too.
        """
        why = Trouble(Phase.RESOLVE, TroubleKind.TLS, "no host", TLSResult.FAILED)

        def hostsFor(goal: Any) -> Deferred[Route]:
            return fail(RouteError(why, (STS,)))

        self.set(hostsFor=hostsFor)
        self.relayed(seconds=5)
        (session,) = self.told
        self.assertEqual(
            (session.destination, session.applied, session.host, session.result),
            ("example.org", (STS,), "", TLSResult.FAILED),
        )

    def test_nobodyListens(self) -> None:
        """
        Mail goes also where nobody wants to be told.
        """
        self.serve()
        self.set(onTLSSession=None)
        self.relayed()
        self.assertEqual(self.world.queue.getWaiting(), [])
        self.assertTold()
