"""
Tests for L{relaymail.route.sts.fetching}: RFC 8461 3.2 and 3.3; those over real
connections are in L{relaymail.test.endtoend.test_sts}.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.error import ConnectError, ConnectionDone
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseNeverReceived

from relaymail.fetching import Answer
from relaymail.protections import TLSResult
from relaymail.route.destinations import DestinationPolicy
from relaymail.route.sts.fetching import PATIENCE, PolicyFetcher, judge
from relaymail.route.sts.policy import MAX_SIZE, Unfetched
from relaymail.test.route.sts.samples import makePolicy
from relaymail.testing.dns import Fault, ZoneDNS

URL = "https://mta-sts.one.example/.well-known/mta-sts.txt"
BODY = "\n".join(makePolicy().lines).encode()
PLAIN = "text/plain"


class JudgeTests(SynchronousTestCase):
    """
    What an answer is worth.
    """

    def assertUnfetched(self, result: TLSResult, words: str, answer: Answer) -> None:
        """
        Check that there is no policy in an answer, and that it is said why.
        """
        with self.assertRaises(Unfetched) as caught:
            judge(URL, answer, "1")
        self.assertIs(caught.exception.result, result)
        self.assertIn(words, caught.exception.why)
        self.assertIn(URL, caught.exception.why)
        self.assertTrue(caught.exception.why.isprintable())

    def test_3_3_right(self) -> None:
        """
        Status 200, text/plain with whatever parameters, and a policy.
        """
        for kind in (PLAIN, "text/plain; charset=utf-8", "Text/Plain;x=y"):
            answer = Answer(200, BODY, contentType=kind)
            self.assertEqual(judge(URL, answer, "1"), makePolicy())

    def test_3_3_status(self) -> None:
        """
        Any other status is none, also those of success.
        """
        for status in (201, 204, 206, 301, 400, 403, 404, 410, 429, 500, 503):
            answer = Answer(status, BODY, contentType=PLAIN)
            self.assertUnfetched(TLSResult.STS_FETCH, f"HTTP {status}", answer)

    def test_3_3_redirect(self) -> None:
        """
        What points elsewhere is not followed, and said.
        """
        for status in (301, 302, 303, 307, 308):
            answer = Answer(
                status, BODY, location="https://x.example/\n", contentType=PLAIN
            )
            self.assertUnfetched(
                TLSResult.STS_FETCH, "points to https://x.example/", answer
            )

    def test_3_2_mediaType(self) -> None:
        """
        Another media type, or none, is none.
        """
        for kind in ("text/html", "application/octet-stream", "", None):
            answer = Answer(200, BODY, contentType=kind)
            self.assertUnfetched(TLSResult.STS_FETCH, "not text/plain", answer)

    def test_3_3_size(self) -> None:
        """
        One that is too long is none.
        """
        body = BODY + b"\n" * MAX_SIZE
        answer = Answer(200, body[: MAX_SIZE + 1], contentType=PLAIN)
        self.assertUnfetched(TLSResult.STS_FETCH, "longer than", answer)

    def test_3_2_invalid(self) -> None:
        """
        What is no policy is called so in reports.
        """
        answer = Answer(200, b"<html>", contentType=PLAIN)
        self.assertUnfetched(TLSResult.STS_INVALID, "no policy", answer)


class PolicyFetcherTests(SynchronousTestCase):
    """
    Who is asked.
    """

    def setUp(self) -> None:
        """
        Have a web server.
        """
        self.zones = ZoneDNS({"mta-sts.one.example": {"A": ["192.0.2.7"]}})
        self.reactor: Any = MemoryReactorClock()
        self.fetcher = PolicyFetcher(
            self.reactor, self.zones, DestinationPolicy((ip_network("10.1.0.0/16"),))
        )

    def fail_(self, d: Any) -> Unfetched:
        """
        Give why there is no policy.
        """
        failure = self.failureResultOf(d, Unfetched)
        return failure.value  # type: ignore[no-any-return]

    def test_3_3_server(self) -> None:
        """
        The server is C{mta-sts} below the domain, port 443, at the addresses that
        the relay's resolver gives; nothing is said in clear.
        """
        d = self.fetcher.fetch("one.example", "1")
        (host, port, *_), *others = self.reactor.tcpClients
        self.assertEqual((host, port, others), ("192.0.2.7", 443, []))
        self.assertEqual(
            set(self.zones.asked),
            {("mta-sts.one.example", "A"), ("mta-sts.one.example", "AAAA")},
        )
        self.assertNoResult(d)
        self.reactor.advance(PATIENCE)
        error = self.fail_(d)
        self.assertIs(error.result, TLSResult.STS_FETCH)

    def test_A04_ownNetwork(self) -> None:
        """
        A server in the relay's own network is not asked, unless mail may go there.
        """
        for address in ("127.0.0.1", "10.2.0.1", "169.254.169.254", "192.168.0.1"):
            self.zones.zones["mta-sts.one.example"] = {"A": [address]}
            error = self.fail_(self.fetcher.fetch("one.example", "1"))
            self.assertIs(error.result, TLSResult.STS_FETCH)
            self.assertIn(address, error.why)
        self.assertEqual(self.reactor.tcpClients, [])
        self.zones.zones["mta-sts.one.example"] = {"A": ["10.1.0.1"]}
        self.fetcher.fetch("one.example", "1").addErrback(lambda _: None)
        self.assertEqual(self.reactor.tcpClients[0][0], "10.1.0.1")

    def test_D01_noAddress(self) -> None:
        """
        A server without an address, or whose address cannot be had, cannot be asked.
        """
        for fault in (Fault.NXDOMAIN, Fault.SERVFAIL):
            self.zones.zones["mta-sts.one.example"] = fault
            error = self.fail_(self.fetcher.fetch("one.example", "1"))
            self.assertIs(error.result, TLSResult.STS_FETCH)
            self.assertIn("mta-sts.one.example", error.why)

    def test_3_3_certificate(self) -> None:
        """
        What is wrong with its certificate is called so in reports, and what else
        happens to a connection is not.
        """
        untrusted = SSL.Error([("SSL routines", "", "certificate verify failed")])
        for error, result in (
            (untrusted, TLSResult.STS_WEBPKI),
            (VerificationError(errors=[]), TLSResult.STS_WEBPKI),
            (
                SSL.Error([("SSL routines", "", "wrong version number")]),
                TLSResult.STS_FETCH,
            ),
            (ConnectionDone(), TLSResult.STS_FETCH),
            (ConnectError(), TLSResult.STS_FETCH),
        ):
            for reason in (error, ResponseNeverReceived([Failure(error)])):
                self.patch(
                    self.fetcher._fetcher, "get", lambda *a, e=reason, **k: _fail(e)
                )
                found = self.fail_(self.fetcher.fetch("one.example", "1"))
                self.assertIs(found.result, result, error)
                self.assertIn(URL, found.why)

    def test_stop(self) -> None:
        """
        It is stopped.
        """
        self.assertIsNone(self.successResultOf(self.fetcher.stop()))


def _fail(error: Exception) -> Any:
    raise error
