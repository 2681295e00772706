# -*- test-case-name: relaymail.test.admin.test_exploring -*-
"""
Tests for L{relaymail.admin.exploring}: where mail would go.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from relaymail.admin.exploring import PATIENCE
from relaymail.route.destinations import DestinationPolicy
from relaymail.route.hosts import Credentials, Host, TLSNeed
from relaymail.route.rules import Action, Routing, Rule
from relaymail.test.admin.worlds import API, Connection, readAnswers, request


class ExplainTests(SynchronousTestCase):
    """
    What is explained.
    """

    def setUp(self) -> None:
        self.api = API()
        self.manager = self.api.relay.manager
        self.zones = self.api.relay.world.zones
        self.zones["example.org"] = {
            "MX": [(20, "b.example.org"), (10, "a.example.org")]
        }
        self.zones["a.example.org"] = {
            "A": ["192.0.2.1", "192.0.2.2"],
            "AAAA": ["2001:db8::1"],
        }

    def explain(self, query: str) -> Any:
        """
        Ask.
        """
        answer = self.api.get(f"/v1/explain?{query}")
        self.assertEqual(answer.status, 200, answer.body)
        return answer.document

    def test_exchanges(self) -> None:
        """
        The mail exchange hosts come in the order in which they would be tried, with
        their addresses, or why they have none.
        """
        self.manager.expireAfter = 1000.0
        self.manager.retrySchedule = (60.0, 300.0)
        self.assertEqual(
            self.explain("recipient=joe@Example.ORG&sender=ann@example.com"),
            {
                "recipient": "joe@example.org",
                "sender": "ann@example.com",
                "destination": "example.org",
                "accepted": True,
                "route": [
                    {
                        "host": "a.example.org",
                        "port": 25,
                        "tls": "encrypted where the host offers it",
                        "addresses": ["192.0.2.1", "2001:db8::1", "192.0.2.2"],
                        "problem": "",
                    },
                    {
                        "host": "b.example.org",
                        "port": 25,
                        "tls": "encrypted where the host offers it",
                        "addresses": [],
                        "problem": "no such domain while looking up the destination: "
                        "b.example.org has no network address",
                    },
                ],
                "rule": "the mail exchange hosts of example.org, from the DNS",
                "standing": {"state": "ready", "why": "", "until": None, "allowed": 5},
                "problem": "",
                "retry": [60.0, 300.0],
                "expire": 1000.0,
            },
        )

    def test_malformed(self) -> None:
        """
        What is no address is refused; of a queue nothing is said.
        """
        answer = self.api.get("/v1/explain?recipient=joe@")
        self.assertEqual(answer.status, 400)
        self.assertEqual(answer.document, {"error": "'joe@' is not local-part@domain."})

    def test_smartHosts(self) -> None:
        """
        Smart hosts are named, with their ports, and never with their passwords.
        """
        self.manager.smartHosts = (
            Host(
                "a.example.org",
                465,
                TLSNeed.VERIFIED,
                implicitTLS=True,
                credentials=Credentials("ann", b"Secret1"),
                named=True,
            ),
        )
        answer = self.api.get("/v1/explain?recipient=joe@example.net")
        self.assertNotIn(b"Secret1", answer.body)
        document = answer.document
        self.assertEqual(document["rule"], "all mail goes to the smart hosts")
        (host,) = document["route"]
        self.assertEqual((host["host"], host["port"]), ("a.example.org", 465))
        self.assertEqual(host["tls"], "TLS from the start")
        self.assertEqual(len(host["addresses"]), 3)

    def test_routes(self) -> None:
        """
        What a rule says is named by its name, also where it is that there is no way.
        """
        store = Host("/run/lmtp", None, TLSNeed.NEVER, path="/run/lmtp", lmtp=True)
        self.manager.routing = Routing(
            [
                Rule("ann", ("ann@example.org",), hosts=(store,)),
                Rule("no", ("no.example",), action=Action.REFUSE, text="Never."),
                Rule(clients=(ip_network("192.0.2.0/24"),), action=Action.DISCARD),
            ]
        )
        found = self.explain("recipient=ann@example.org")
        self.assertEqual(found["rule"], "the rule ann")
        self.assertEqual([host["host"] for host in found["route"]], ["/run/lmtp"])
        found = self.explain("recipient=joe@no.example")
        self.assertEqual((found["rule"], found["route"]), ("the rule no (refuse)", []))
        self.assertIn("a rule of this relay refuses it", found["problem"])
        self.assertIn("Never.", found["problem"])
        found = self.explain("recipient=joe@example.org&client=192.0.2.1")
        self.assertEqual(found["rule"], "the rule routes[2] (discard)")

    def test_senderHosts(self) -> None:
        """
        The mail of a sender that has smart hosts of its own goes there.
        """
        socket = Host("/run/lmtp", None, TLSNeed.NEVER, path="/run/lmtp", lmtp=True)
        self.manager.senderHosts = {"@news.example": (socket,)}
        found = self.explain("recipient=joe@example.org&sender=a@news.example")
        self.assertEqual(
            found["rule"],
            "mail of a@news.example goes to the smart hosts of that sender",
        )
        self.assertEqual(
            found["route"],
            [
                {
                    "host": "/run/lmtp",
                    "port": 0,
                    "tls": "over a socket of this machine",
                    "addresses": ["/run/lmtp"],
                    "problem": "",
                }
            ],
        )
        found = self.explain("recipient=joe@example.org&sender=a@example.com")
        self.assertIn("the mail exchange hosts of example.org", found["rule"])

    def test_nowhere(self) -> None:
        """
        What has no hosts has a problem.
        """
        answer = self.explain("recipient=joe@nowhere.example")
        self.assertEqual(answer["route"], [])
        self.assertIn("no such domain", answer["problem"])
        self.assertIs(answer["accepted"], True)

    def test_forbidden(self) -> None:
        """
        An address that is not connected to is not shown as one that is.
        """
        self.zones["a.example.org"] = {"A": ["127.0.0.1"]}
        self.manager.destinations = DestinationPolicy()
        host = self.explain("recipient=joe@example.org")["route"][0]
        self.assertEqual(host["addresses"], [])
        self.assertIn("127.0.0.1", host["problem"])

    def test_notAccepted(self) -> None:
        """
        Whether it would be taken depends on who gives it.
        """
        answer = self.explain("recipient=joe@example.org&client=203.0.113.9")
        self.assertIs(answer["accepted"], False)
        self.assertEqual(answer["problem"], "550 5.7.1 Relaying denied")

    def test_suspended(self) -> None:
        """
        A destination that is suspended is told as such.
        """
        self.manager.suspend("example.org", "it is mended")
        standing = self.explain("recipient=joe@example.org")["standing"]
        self.assertEqual(
            (standing["state"], standing["why"]), ("suspended", "it is mended")
        )

    def test_noAddress(self) -> None:
        """
        What is no address is refused.
        """
        for query in ("recipient=joe", "recipient=joe@x%00", "sender=a@b.example", ""):
            self.assertEqual(self.api.get(f"/v1/explain?{query}").status, 400, query)

    def test_silentDNS(self) -> None:
        """
        A DNS that does not answer is waited for within a bound.
        """
        self.patch(self.manager, "hostsFor", lambda _: Deferred())
        connection = Connection(self.api)
        connection.give(request("GET", "/v1/explain?recipient=joe@example.org"))
        self.api.relay.world.run(PATIENCE + 1)
        (answer,) = readAnswers(connection.sent, "GET")
        self.assertEqual(
            answer.document["problem"], "the DNS did not answer within 20 seconds"
        )
