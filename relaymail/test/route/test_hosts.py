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
