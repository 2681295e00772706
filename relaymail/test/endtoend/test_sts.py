"""
Tests that a relay finds policies of MTA-STS (RFC 8461) over real connections: a DNS
server and web servers with TLS on loopback.
"""

from __future__ import annotations

from typing import Any

from incremental import Version
from twisted._version import __version__ as TWISTED
from twisted.trial.unittest import SkipTest

from relaymail.policies import policiesOf
from relaymail.protections import TLSResult
from relaymail.route.sts import fetching, policies
from relaymail.route.sts.fetching import PolicyFetcher
from relaymail.route.sts.policies import Policies
from relaymail.route.sts.policy import Found, STSMode
from relaymail.service import Relay
from relaymail.test.endtoend.harness import EndToEndTestCase
from relaymail.test.endtoend.processes import until
from relaymail.testing.certificates import Throwaway, ThrowawayCA, selfSigned
from relaymail.testing.dns import Fault
from relaymail.testing.policies import PolicyServer, PolicyTrouble

DOMAIN = "one.example"
HOST = f"mta-sts.{DOMAIN}"
#: How long to wait for what usually takes a minute, in seconds.
MOMENT = 0.3


class STSTestCase(EndToEndTestCase):
    """
    A domain with a policy.
    """

    def setUp(self) -> None:
        """
        Start its servers.
        """
        super().setUp()
        if Version("Twisted", 25, 5, 0) > TWISTED:
            # Its web server changes a TLS context that is in use already.
            raise SkipTest("HTTPS servers of this Twisted need an older pyOpenSSL")
        self.authority = ThrowawayCA()
        self.patch(PolicyFetcher, "caFile", self.authority.write(self.directory))
        self.dns = self.startDNS({})
        # What has changed in the DNS is to be seen at once.
        self.dns.zones.ttl = 0
        self.serve(self.authority.issue(HOST))
        self.first = self.publish("mx.one.example")

    def serve(self, certificate: Throwaway) -> None:
        """
        Start a web server with a certificate, in the place of the one there was.
        """
        self.web = PolicyServer(contextFactory=certificate.contextFactory).start()
        self.addCleanup(self.web.stop)
        self.patch(PolicyFetcher, "port", self.web.port)

    def publish(self, *patterns: str, **said: Any) -> str:
        """
        Let the domain have a policy, and give its id.
        """
        id = self.web.publish(DOMAIN, *patterns, **said)
        self.dns.zones.zones.update(self.web.records())
        return id

    def relay(self, **settings: Any) -> Relay:
        """
        Start a relay that asks these servers.
        """
        return self.startRelay(dns=self.dns.address, **settings)

    def known(self, relay: Relay) -> Policies:
        """
        Give what a relay knows of policies.
        """
        found = policiesOf(relay.manager)
        assert found is not None
        return found

    async def found(self, relay: Relay, domain: str = DOMAIN) -> Found:
        """
        Give what a relay finds for mail.
        """
        return await self.known(relay).policyFor(domain)


class FetchTests(STSTestCase):
    """
    Fetching a policy (RFC 8461 3.3).
    """

    async def test_3_3_right(self) -> None:
        """
        It is found, with the id of the record; nothing is asked for but the policy, by
        nobody in particular.
        """
        found = await self.found(self.relay())
        policy = found.policy
        assert policy is not None
        self.assertEqual((policy.mode, policy.id), (STSMode.ENFORCE, self.first))
        self.assertTrue(policy.matches("mx.one.example"))
        self.assertEqual(self.web.asked, [(HOST, "/.well-known/mta-sts.txt")])
        self.assertEqual(set(self.web.headers), {"host", "user-agent"})

    async def assertNone(self, result: TLSResult, words: str) -> None:
        """
        Check that a relay that knows nothing yet finds no policy, and knows why.
        """
        relay = self.relay(queue=self.mktemp())
        found = await self.found(relay)
        self.assertEqual((found.policy, found.problem), (None, result), found.why)
        self.assertIn(words, found.why)
        await relay.stopService()

    async def test_3_3_certificates(self) -> None:
        """
        A certificate that is for another name (the domain itself, or a star above),
        that has expired, or that nobody vouches for, is that of somebody else.
        """
        for certificate in (
            self.authority.issue(DOMAIN),
            self.authority.issue("*.mta-sts.one.example", "mta-sts.two.example"),
            self.authority.issue("127.0.0.1"),
            self.authority.issue(HOST, expired=True),
            ThrowawayCA().issue(HOST),
            selfSigned(HOST),
        ):
            self.serve(certificate)
            self.publish("mx.one.example")
            await self.assertNone(TLSResult.STS_WEBPKI, "certificate")
            self.assertEqual(self.web.asked, [])

    async def test_3_3_starCertificate(self) -> None:
        """
        One that is for all names below the domain is the right one.
        """
        self.serve(self.authority.issue(f"*.{DOMAIN}"))
        self.publish("mx.one.example")
        self.assertIsNotNone((await self.found(self.relay())).policy)

    async def test_3_3_troubles(self) -> None:
        """
        Whatever else a server gives is no policy.
        """
        fetch = TLSResult.STS_FETCH
        for trouble, result, words in (
            (PolicyTrouble.MISSING, fetch, "HTTP 404"),
            (PolicyTrouble.DOWN, fetch, "HTTP 503"),
            (PolicyTrouble.ELSEWHERE, fetch, "points to /elsewhere.txt"),
            (PolicyTrouble.ENDLESS, fetch, "longer than 65536 bytes"),
            (PolicyTrouble.LONG, fetch, "longer than 65536 bytes"),
            (PolicyTrouble.CUT, fetch, HOST),
            (PolicyTrouble.HTML, fetch, "text/html and not text/plain"),
            (PolicyTrouble.UNNAMED, fetch, "not text/plain"),
            (PolicyTrouble.GARBAGE, TLSResult.STS_INVALID, "no policy"),
        ):
            self.web.trouble = trouble
            await self.assertNone(result, words)
        self.assertEqual({path for _, path in self.web.asked}, {fetching.PATH})

    async def test_3_3_silent(self) -> None:
        """
        A server that is silent is not waited for longer than so.
        """
        self.patch(fetching, "PATIENCE", MOMENT)
        self.web.trouble = PolicyTrouble.SILENT
        await self.assertNone(TLSResult.STS_FETCH, "no answer")

    async def test_3_3_notThere(self) -> None:
        """
        One that cannot be reached, or has no address, has none.
        """
        await self.web.stop()
        await self.assertNone(TLSResult.STS_FETCH, HOST)
        self.dns.zones.zones[HOST] = Fault.NXDOMAIN
        await self.assertNone(TLSResult.STS_FETCH, HOST)

    async def test_A04_ownNetwork(self) -> None:
        """
        A domain cannot let the relay ask its own network.
        """
        relay = self.relay(allowDestinations=[])
        found = await self.found(relay)
        self.assertIs(found.problem, TLSResult.STS_FETCH)
        self.assertIn("127.0.0.1 is loopback", found.why)
        self.assertEqual(self.web.asked, [])

    async def test_5_1_slow(self) -> None:
        """
        Mail goes without a first policy that is slow, which is there for the next.
        """
        self.patch(policies, "PATIENCE", MOMENT)
        self.web.trouble = PolicyTrouble.SILENT
        relay = self.relay()
        self.assertIsNone((await self.found(relay)).policy)
        self.web.trouble = None
        # The one that is under way has no end of its own.
        await relay.stopService()
        relay = self.relay()
        self.assertIsNotNone((await self.found(relay)).policy)


class StoryTests(STSTestCase):
    """
    What becomes of a policy.
    """

    async def test_8_story(self) -> None:
        """
        A policy is found and kept over a restart; then the DNS, the web server, and its
        certificate are in somebody else's hands, and it holds all the same; it is
        changed, and ended by its owner.
        """
        self.patch(policies, "SOONEST", 0.0)
        relay = self.relay()
        self.assertIsNotNone((await self.found(relay)).policy)
        await relay.stopService()

        self.dns.zones.zones.clear()
        relay = self.relay()
        found = await self.found(relay)
        assert found.policy is not None
        self.assertEqual(found.policy.id, self.first)
        self.assertIn("no record of a policy any more", found.why)

        self.dns.zones.zones[f"_mta-sts.{DOMAIN}"] = Fault.SERVFAIL
        # The resolver remembers for a while that there was none.
        await relay.stopService()
        relay = self.relay()
        self.assertIsNotNone((await self.found(relay)).policy)

        await self.web.stop()
        right = self.web
        self.serve(selfSigned(HOST))
        self.publish("evil.example", mode="none")
        self.dns.zones.zones[f"_mta-sts.{DOMAIN}"] = {"TXT": [b"v=STSv1; id=evil;"]}
        await relay.stopService()
        relay = self.relay()
        found = await self.found(relay)
        assert found.policy is not None
        self.assertEqual(found.policy.id, self.first)
        self.assertIs(found.problem, TLSResult.STS_WEBPKI)
        self.assertIn("holds until", "\n".join(self.logged()))
        await self.web.stop()

        self.web = right.start()
        self.patch(PolicyFetcher, "port", self.web.port)
        second = self.publish("*.new.example", mode="testing")
        policy = (await self.found(relay)).policy
        assert policy is not None
        self.assertEqual((policy.id, policy.mode), (second, STSMode.TESTING))

        self.publish(mode="none", maxAge=86400)
        self.assertIsNone((await self.found(relay)).policy)
        self.assertEqual(self.known(relay).counts(), {"none": 1})

    async def test_5_1_recheck(self) -> None:
        """
        Before mail is refused a policy is looked at again, though its id is the same.
        """
        self.patch(policies, "RECHECK_AFTER", 0.0)
        relay = self.relay()
        await self.found(relay)
        self.publish("mx.two.example", sameId=True)
        found = await self.known(relay).recheck(DOMAIN)
        assert found.policy is not None
        self.assertTrue(found.policy.matches("mx.two.example"))

    async def test_P10_stopped(self) -> None:
        """
        A relay that is stopped while a web server thinks ends, and leaves nothing.
        """
        self.web.trouble = PolicyTrouble.SILENT
        relay = self.relay()
        waiting = self.known(relay).policyFor(DOMAIN)
        await until(lambda: self.web.asked, "it is asked")
        await relay.stopService()
        self.assertIsNone((await waiting).policy)
        await until(lambda: not self.web._open, "the connection is closed")
