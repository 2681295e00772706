"""
Tests for L{relaymail.route.hosts}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaymail.route.hosts import Credentials, Host, Route, TLSNeed


class HostTests(SynchronousTestCase):
    """
    Hosts are plain values.
    """

    def test_A09_passwordIsNotShown(self) -> None:
        """
        The password is in no C{repr}, that of a route included.
        """
        host = Host("a", credentials=Credentials("me", b"hush"))
        for shown in (repr(host.credentials), repr(host), repr(Route((host,)))):
            self.assertIn("me", shown)
            self.assertNotIn("hush", shown)

    def test_lanesDifferWithWhatSessionsNeed(self) -> None:
        """
        Connections are not shared across hosts, credentials or TLS needs.
        """
        lanes = {
            Route(hosts).lane
            for hosts in (
                (Host("a"),),
                (Host("a"), Host("b")),
                (Host("a", tls=TLSNeed.VERIFIED),),
                (Host("a", credentials=Credentials("me", b"x")),),
                (Host("a", credentials=Credentials("me", b"y")),),
                (Host("a", port=26),),
            )
        }
        self.assertEqual(len(lanes), 6)
        self.assertEqual(Route((Host("a"),)).lane, Route((Host("a"),)).lane)

    def test_lanesOfEquals(self) -> None:
        """
        The order in which equals stand by chance makes no difference, which of two
        is preferred does, and so does all that sessions need; by which numbers it is
        said does not.
        """
        a, b, secure = Host("a"), Host("b"), Host("b", tls=TLSNeed.VERIFIED)
        equals = Route((a, b), ranks=(10, 10)).lane
        for hosts, ranks, isSame in (
            ((b, a), (10, 10), True),
            ((b, a), (5, 5), True),
            ((a, b), (10, 20), False),
            ((b, a), (10, 20), False),
            ((a, b), (), False),
            ((a, b), (10,), False),
            ((a, secure), (10, 10), False),
            ((a,), (10,), False),
        ):
            self.assertIs(Route(hosts, ranks=ranks).lane == equals, isSame)
        preferred = Route((a, b), ranks=(10, 20)).lane
        # One that does not work stands behind the others.
        self.assertEqual(Route((b, a), ranks=(20, 10)).lane, preferred)
        self.assertEqual(Route((a, b), ranks=(1, 7)).lane, preferred)
        self.assertNotEqual(Route((a, b), ranks=(2, 1)).lane, preferred)

    def test_ranked(self) -> None:
        """
        Hosts of which it is not said how they are preferred come after the others.
        """
        a, b, c, d = map(Host, "abcd")
        route = Route((b, c, a, d), 5.0).ranked({"a": 10, "b": 20, "x": 30})
        self.assertEqual((route.ranks, route.until), ((20, 32, 10, 34), 5.0))
        self.assertEqual(Route((a, b)).ranked({}).lane, Route((a, b)).ranked({}).lane)
        self.assertNotEqual(
            Route((a, b)).ranked({}).lane, Route((b, a)).ranked({}).lane
        )
