# -*- test-case-name: relaymail.test.route.test_clearhosts -*-
"""
Tests for L{relaymail.route.clearhosts}.
"""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from relaymail.route.clearhosts import LONGEST, MAX_HOSTS, ClearHosts, mayBeClear
from relaymail.route.hosts import Credentials, Host, TLSNeed

HOST = Host("mx.example.org")


class ClearHostsTests(SynchronousTestCase):
    """
    Tests for L{ClearHosts}.
    """

    def setUp(self) -> None:
        self.known = ClearHosts()

    def test_remembered(self) -> None:
        """
        A host is remembered by its name and port, and by what it is shown, whatever
        else is said of it, for a time; what was known before is no news.
        """
        self.assertIsNone(self.known.find(HOST, 25, 0))
        found = self.known.remember(HOST, 25, "no cipher", 0)
        assert found is not None
        self.assertEqual((found.name, found.port), ("mx.example.org", 25))
        self.assertEqual((found.why, found.until), ("no cipher", LONGEST))
        self.assertIsNone(self.known.remember(HOST, 25, "no cipher", 1))
        other = replace(HOST, name="MX.example.org", helo="x.example")
        self.assertIsNotNone(self.known.find(other, 25, 1))
        self.assertIsNone(self.known.find(HOST, 26, 1))
        self.assertEqual(len(self.known.known(1)), 1)
        self.assertIsNone(self.known.find(HOST, 25, LONGEST + 1))
        self.assertEqual(self.known.known(LONGEST + 1), [])
        self.assertIsNotNone(self.known.remember(HOST, 25, "again", LONGEST + 1))

    def test_A02_onlyWhereTLSIsAnOffer(self) -> None:
        """
        Where TLS is needed, or a secret is given, it makes no difference.
        """
        self.known.remember(HOST, 25, "no cipher", 0)
        for host in (
            *(replace(HOST, tls=need) for need in set(TLSNeed) - {TLSNeed.OFFERED}),
            replace(HOST, credentials=Credentials("u", b"p")),
            replace(HOST, implicitTLS=True),
        ):
            self.assertFalse(mayBeClear(host))
            self.assertIsNone(self.known.find(host, 25, 1), host)
        self.assertTrue(mayBeClear(HOST))

    def test_A02_ownCertificate(self) -> None:
        """
        A host that does not like the certificate that it is shown by some mail gets
        other mail over TLS all the same.
        """
        showing = replace(HOST, certFile="own.pem")
        self.known.remember(showing, 25, "unknown ca", 0)
        self.assertIsNone(self.known.find(HOST, 25, 1))
        self.assertIsNotNone(self.known.find(showing, 25, 1))

    def test_bounded(self) -> None:
        """
        Of too many those are forgotten that were remembered first.
        """
        for number in range(MAX_HOSTS):
            self.known.remember(Host(f"{number}.example"), 25, "", number / 1e6)
        self.known.remember(Host("0.example"), 25, "", 1)
        self.known.remember(HOST, 25, "", 1)
        self.assertEqual(len(self.known.known(1)), MAX_HOSTS)
        self.assertIsNone(self.known.find(Host("1.example"), 25, 1))
        self.assertIsNotNone(self.known.find(Host("0.example"), 25, 1))
