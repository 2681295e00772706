"""
Tests for L{relaymail.tlsreports.posting}, over HTTPS on loopback.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from incremental import Version
from twisted._version import __version__ as TWISTED
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SkipTest, TestCase
from twisted.web.client import ResponseNeverReceived
from twisted.web.resource import Resource
from twisted.web.server import Site

from relaymail.errors import RouteError
from relaymail.route.destinations import DestinationPolicy
from relaymail.testing.certificates import ThrowawayCA
from relaymail.testing.dns import ZoneDNS
from relaymail.tlsreports.posting import Poster

NAME = "reports.example.org"


class Page(Resource):
    """
    Takes what is sent to it.

    @ivar taken: What it was sent: the type and the bytes.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[tuple[bytes, bytes]] = []

    def render_POST(self, request: Any) -> bytes:
        """
        Take it.
        """
        kind = request.requestHeaders.getRawHeaders(b"content-type")[0]
        self.taken.append((kind, request.content.read()))
        request.setResponseCode(201)
        return b""


class PosterTests(TestCase):
    """
    Reports are sent over HTTPS, to servers that are who they say.
    """

    def setUp(self) -> None:
        """
        Begin to listen.
        """
        if Version("Twisted", 25, 5, 0) > TWISTED:
            # Its web server changes a TLS context that is in use already.
            raise SkipTest("HTTPS servers of this Twisted need an older pyOpenSSL")
        self.authority = ThrowawayCA()
        self.page = Page()
        self.manager = SimpleNamespace(
            reactor=reactor,
            mxcalc=SimpleNamespace(resolver=ZoneDNS({NAME: {"A": ["127.0.0.1"]}})),
            destinations=None,
        )
        self.poster = Poster(self.manager)
        self.poster.caFile = self.authority.write(self.mktemp())
        self.addCleanup(self.poster.stop)

    def send(self, certified: str = NAME) -> Deferred[Any]:
        """
        Send something to a server with a certificate for a name.
        """
        site = Site(self.page)
        context = self.authority.issue(certified).contextFactory
        listen: Any = reactor
        port = listen.listenSSL(0, site, context, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        url = f"https://{NAME}:{port.getHost().port}/x"
        return self.poster.post(url, b"\x1f\x8b", "application/tlsrpt+gzip")

    async def test_sent(self) -> None:
        """
        What is sent arrives as what it is.
        """
        answer = await self.send()
        self.assertEqual(answer.status, 201)
        self.assertEqual(self.page.taken, [(b"application/tlsrpt+gzip", b"\x1f\x8b")])

    async def test_wrongServer(self) -> None:
        """
        A server that is not the one gets nothing.
        """
        with self.assertRaises(ResponseNeverReceived):
            await self.send("other.example.org")
        self.assertEqual(self.page.taken, [])

    async def test_A04_ownNetwork(self) -> None:
        """
        Nobody makes the relay ask its own network.
        """
        self.manager.destinations = DestinationPolicy()
        with self.assertRaises(RouteError):
            await self.send()
        self.assertEqual(self.page.taken, [])
