# -*- test-case-name: relaymail.test.route.test_fallback -*-
"""
Tests for L{relaymail.route.fallback}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaymail.errors import RouteError
from relaymail.replies import Phase, Trouble, TroubleKind
from relaymail.route.fallback import withFallback
from relaymail.route.hosts import Host, Route, TLSNeed

A, B = Host("a.example"), Host("b.example")
ONE = Host("one.example", 587, named=True)
TWO = Host("two.example", tls=TLSNeed.NEVER, named=True)
STORE = Host("/run/lmtp", path="/run/lmtp", lmtp=True, named=True)


class FallbackTests(SynchronousTestCase):
    """
    Tests for L{withFallback}.
    """

    def test_behind(self) -> None:
        """
        They come behind the hosts of the destination, in their order, and what is
        said of the route stays.
        """
        found = Route((A, B), until=7.0, left=(("c.example", "no certificate"),))
        route = withFallback(found, (ONE, TWO))
        self.assertEqual(route.hosts, (A, B, ONE, TWO))
        self.assertEqual((route.until, route.left), (found.until, found.left))

    def test_none(self) -> None:
        """
        Where there are none the route is as it was.
        """
        found = Route((A,))
        self.assertIs(withFallback(found, ()), found)

    def test_bad(self) -> None:
        """
        Hosts that failed lately come behind all others; where all did it is as ever.
        """
        for bad, hosts in (
            ((A,), (B, ONE, TWO, A)),
            ((ONE,), (A, B, TWO, ONE)),
            ((A, B), (ONE, TWO, A, B)),
            ((A, B, ONE), (TWO, A, B, ONE)),
            ((A, B, ONE, TWO), (A, B, ONE, TWO)),
        ):
            route = withFallback(Route((A, B)), (ONE, TWO), isBad=bad.__contains__)
            self.assertEqual(route.hosts, hosts)
        trouble = Trouble(Phase.RESOLVE, TroubleKind.NO_ANSWER)
        route = withFallback(trouble, (ONE, TWO), isBad=(ONE,).__contains__)
        self.assertEqual(route.hosts, (TWO, ONE))

    def test_D01_alone(self) -> None:
        """
        They are the route where the lookup had no answer.
        """
        trouble = Trouble(Phase.RESOLVE, TroubleKind.NO_ANSWER)
        self.assertEqual(withFallback(trouble, (ONE, TWO)).hosts, (ONE, TWO))

    def test_D01_noWayRound(self) -> None:
        """
        They are not where it had one, whatever that was, or where there are none.
        """
        for kind in TroubleKind:
            hosts = () if kind is TroubleKind.NO_ANSWER else (ONE, TWO)
            trouble = Trouble(Phase.RESOLVE, kind)
            with self.assertRaises(RouteError) as caught:
                withFallback(trouble, hosts)
            self.assertIs(caught.exception.trouble, trouble)

    def test_requireTLS(self) -> None:
        """
        For mail that may go over TLS only they must show certificates, and those
        without TLS are left out.
        """
        dane = Host("dane.example", tls=TLSNeed.DANE, named=True)
        own = Host("a.example", tls=TLSNeed.VERIFIED, requireTLS=True)
        route = withFallback(Route((own,)), (ONE, STORE, TWO, dane), requireTLS=True)
        self.assertEqual(
            [(host.name, host.tls) for host in route.hosts],
            [
                ("a.example", TLSNeed.VERIFIED),
                ("one.example", TLSNeed.VERIFIED),
                ("two.example", TLSNeed.VERIFIED),
                ("dane.example", TLSNeed.DANE),
            ],
        )
        self.assertTrue(all(host.requireTLS for host in route.hosts))
        trouble = Trouble(Phase.RESOLVE, TroubleKind.NO_ANSWER)
        with self.assertRaises(RouteError):
            withFallback(trouble, (STORE,), requireTLS=True)
