# -*- test-case-name: relaymail.test.route.test_senderhosts -*-
"""
Tests for L{relaymail.route.senderhosts}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaymail.route.hosts import Host
from relaymail.route.senderhosts import SmartRoutes, hostsOfSender

NEWS, SHOP, FOREIGN = (Host("a.example"),), (Host("b.example"),), (Host("c.example"),)
HOSTS = {
    "news@example.com": NEWS,
    "@example.com": SHOP,
    "@xn--bcher-kva.example": FOREIGN,
}


class HostsOfSenderTests(SynchronousTestCase):
    """
    Tests for L{hostsOfSender}.
    """

    def assertHosts(self, sender: str, hosts: tuple[Host, ...]) -> None:
        """
        These are the hosts of a sender.
        """
        self.assertIs(hostsOfSender(sender, HOSTS), hosts)

    def test_addressGoesFirst(self) -> None:
        """
        An address goes before its domain, whatever the case.
        """
        self.assertHosts("News@Example.COM", NEWS)
        self.assertHosts('"news"@example.com', NEWS)
        self.assertHosts("orders@example.com", SHOP)

    def test_domainInAnyForm(self) -> None:
        """
        A domain is the same in all of its forms.
        """
        self.assertHosts("a@bücher.example", FOREIGN)
        self.assertHosts("a@XN--BCHER-KVA.example", FOREIGN)

    def test_others(self) -> None:
        """
        Others have none: those below a domain, who is nobody, and what is no
        address.
        """
        for sender in ("", "a@example.org", "a@mail.example.com", "x", "@", "a@-.-"):
            self.assertEqual(hostsOfSender(sender, HOSTS), ())


class SmartRoutesTests(SynchronousTestCase):
    """
    Tests for L{SmartRoutes}.
    """

    def test_everyHost(self) -> None:
        """
        All of them are given, each once.
        """
        self.assertEqual(SmartRoutes(SHOP, HOSTS).everyHost, (*SHOP, *NEWS, *FOREIGN))

    def test_equal(self) -> None:
        """
        Two are equal that say the same.
        """
        self.assertEqual(SmartRoutes(NEWS, HOSTS), SmartRoutes(NEWS, dict(HOSTS)))
        self.assertNotEqual(SmartRoutes(NEWS), SmartRoutes(SHOP))

    def test_hosts(self) -> None:
        """
        All hosts are those of all mail, and those of senders.
        """
        routes = SmartRoutes(NEWS, {"a@example.com": SHOP, "@example.org": FOREIGN})
        self.assertEqual(routes.everyHost, (*NEWS, *SHOP, *FOREIGN))
