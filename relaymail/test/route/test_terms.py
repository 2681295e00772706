"""
Tests for L{relaymail.route.terms}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaymail.route.hosts import Host
from relaymail.route.levels import TLSLevel
from relaymail.route.terms import NO_TERMS, Terms, Way


class WayTests(SynchronousTestCase):
    """
    Ways are keys, and are shown to people.
    """

    def test_differ(self) -> None:
        """
        Mail that goes on other terms goes another way.
        """
        ways = {
            Way("example.org"),
            Way("example.org", NO_TERMS),
            Way("example.org", Terms(TLSLevel.DANE)),
            Way("example.org", requireTLS=True),
            Way("example.org", tlsOptional=True),
            Way("example.net"),
            Way((Host("relay.example"),)),
        }
        self.assertEqual(len(ways), 7)
        self.assertIn(Way("example.org", Terms(TLSLevel.DANE)), ways)

    def test_shown(self) -> None:
        """
        It says where it leads, and on which terms.
        """
        hosts = (Host("a.example"), Host("b.example"))
        self.assertEqual(str(Way("example.org")), "example.org")
        self.assertEqual(
            str(Way(hosts, Terms(TLSLevel.VERIFY), requireTLS=True)),
            "a.example, b.example (TLS verify, over TLS only)",
        )
        self.assertEqual(
            str(Way("example.org", tlsOptional=True)),
            "example.org (TLS is not required)",
        )
