# -*- test-case-name: relaymail.test.deliver.test_routing -*-
"""
Tests for L{relaymail.deliver.routing}.

How mail then goes, the stories of smart hosts tell.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import succeed

from relaymail.deliver.routing import withTLS
from relaymail.envelopes import Outline, Parameters
from relaymail.errors import RouteError
from relaymail.outcome.verdicts import HostState
from relaymail.replies import TroubleKind
from relaymail.route.hosts import Host, Route, TLSNeed
from relaymail.route.router import TLSOnly
from relaymail.schedule.goals import goalOf
from relaymail.schedule.rates import Rate
from relaymail.test.stories.harness import StoryTestCase

FIRST = (Host("a.example", named=True), Host("b.example", named=True))
NEWS = (Host("news.example", tls=TLSNeed.NEVER, named=True),)
SECURE = Parameters(requireTLS=True)


class SiteTests(StoryTestCase):
    """
    Where mail goes.
    """

    def test_siteFor(self) -> None:
        """
        To its sender's smart hosts, else to those of everybody, else to the
        destination's own.
        """
        siteFor, editor = self.world.manager.siteFor, "a@news.example"
        self.assertEqual(siteFor("example.org", editor), "example.org")
        self.set(senderHosts={"@news.example": NEWS})
        self.assertEqual(siteFor("example.org", editor), NEWS)
        self.assertEqual(siteFor("example.org", "a@example.com"), "example.org")
        self.set(smartHosts=list(FIRST))
        self.assertEqual(siteFor("example.org", editor), NEWS)
        self.assertEqual(siteFor("example.org"), FIRST)

    def test_sitesOf(self) -> None:
        """
        Mail for a destination may go to the hosts of all senders, each of which is
        named once.
        """
        manager = self.world.manager
        self.assertEqual(manager.sitesOf("example.org"), ("example.org",))
        self.set(senderHosts={"@news.example": NEWS, "a@news.example": NEWS})
        self.assertEqual(manager.sitesOf("example.org"), ("example.org", NEWS))
        self.set(smartHosts=NEWS)
        self.assertEqual(manager.sitesOf("example.org"), (NEWS,))
        self.assertEqual(withTLS((NEWS,)), (NEWS, TLSOnly(NEWS)))

    def test_lanes(self) -> None:
        """
        The lane of mail that may go over TLS only is beside that of the other,
        also where there is a rate.
        """
        manager: Any = self.world.manager
        plain = Outline("a@example.com", "b@example.org", 1)
        secure = Outline("a@example.com", "b@example.org", 1, parameters=SECURE)
        self.assertEqual(manager._laneOf(plain), "example.org")
        self.assertEqual(manager._laneOf(secure), TLSOnly("example.org"))
        self.set(destinationRates={"*": Rate(1, 60.0)})
        self.assertEqual(goalOf(manager._laneOf(secure)), TLSOnly("example.org"))


class HostsTests(StoryTestCase):
    """
    By which hosts.
    """

    def route(self, site: Any) -> tuple[Host, ...]:
        """
        Give the hosts of a site.
        """
        manager: Any = self.world.manager
        route: Route = self.successResultOf(manager._routeTo(site))
        return route.hosts

    def trouble(self, site: Any) -> Any:
        """
        Give why a site has none.
        """
        manager: Any = self.world.manager
        error: Any = self.failureResultOf(manager._routeTo(site), RouteError).value
        return error.trouble

    def test_named(self) -> None:
        """
        Those that were named, whatever is named for all mail, and those that did not
        work behind the others.
        """
        self.set(smartHosts=NEWS)
        self.assertEqual(self.route(FIRST), FIRST)
        self.world.manager.noteHost(FIRST[0], HostState.BAD)
        self.assertEqual(self.route(FIRST), FIRST[::-1])
        self.assertEqual(self.route("example.org"), NEWS)

    def test_namedOverTLSOnly(self) -> None:
        """
        A named host must show a certificate that is valid for it, and is remembered
        apart from how it is for other mail.
        """
        first, second = self.route(TLSOnly(FIRST))
        for host, named in ((first, FIRST[0]), (second, FIRST[1])):
            self.assertEqual(host.name, named.name)
            self.assertIs(host.tls, TLSNeed.VERIFIED)
            self.assertTrue(host.requireTLS)
        self.world.manager.noteHost(first, HostState.BAD)
        self.assertEqual(self.route(TLSOnly(FIRST)), (second, first))
        self.assertEqual(self.route(FIRST), FIRST)

    def test_socketOverTLSOnly(self) -> None:
        """
        There is no TLS over a socket.
        """
        socket = Host("/run/lmtp", path="/run/lmtp", lmtp=True, named=True)
        (left,) = self.route(TLSOnly((socket, *NEWS)))
        self.assertEqual(left.name, "news.example")
        trouble = self.trouble(TLSOnly((socket,)))
        self.assertIs(trouble.kind, TroubleKind.NO_REQUIRETLS)
        self.assertIn("socket", trouble.detail)

    def test_foundOverTLSOnly(self) -> None:
        """
        The hosts that a plain lookup gives are not known for certain.
        """
        trouble = self.trouble(TLSOnly("example.org"))
        self.assertIs(trouble.kind, TroubleKind.NO_REQUIRETLS)
        self.assertIn("a smart host that is named can take it", trouble.detail)

    def test_ownWayToNameHosts(self) -> None:
        """
        A program's own C{hostsFor} is asked for the domain in both cases; of its
        hosts those that are named may be used over TLS only.
        """
        asked: list[Any] = []
        hosts = (Host("own.example", named=True), Host("found.example"))

        def hostsFor(destination: Any) -> Any:
            asked.append(destination)
            return succeed(Route(hosts))

        self.patch(self.world.manager, "hostsFor", hostsFor)
        self.assertEqual(self.route("example.org"), hosts)
        (host,) = self.route(TLSOnly("example.org"))
        self.assertEqual((host.name, host.tls), ("own.example", TLSNeed.VERIFIED))
        self.assertEqual(asked, ["example.org", "example.org"])
