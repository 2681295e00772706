# -*- test-case-name: relaymail.test.admin.test_exploring -*-
"""
Tests for L{relaymail.admin.exploring}: where mail would go.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from relaymail.assembly import refusalBy
from relaymail.deliver.explaining import PATIENCE
from relaymail.machines import Machines
from relaymail.outcome.verdicts import LaneState
from relaymail.route.clearhosts import LONGEST
from relaymail.route.destinations import DestinationPolicy
from relaymail.route.hosts import Credentials, Host, TLSNeed
from relaymail.route.rules import Action, Routing, Rule
from relaymail.schedule.rates import Rate
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
        found = self.explain("recipient=joe@Example.ORG&sender=ann@example.com")
        route = found.pop("route")
        shown = ("host", "port", "tls", "addresses", "preference", "sni", "helo")
        tls = "encrypted where the host offers it"
        self.assertEqual(
            [[host[key] for key in shown] for host in route],
            [
                [
                    "a.example.org",
                    25,
                    tls,
                    ["192.0.2.1", "2001:db8::1", "192.0.2.2"],
                    1,
                    "a.example.org",
                    "relay.example.com",
                ],
                ["b.example.org", 25, tls, [], 2, "b.example.org", "relay.example.com"],
            ],
        )
        self.assertEqual(route[0]["problem"], "")
        self.assertEqual(
            route[1]["problem"],
            "no such domain while looking up the destination: b.example.org has no "
            "network address",
        )
        until = found.pop("until")
        self.assertGreater(until, self.api.relay.world.network.seconds())
        self.assertEqual(
            found,
            {
                "recipient": "joe@example.org",
                "sender": "ann@example.com",
                "client": "",
                "user": "",
                "size": 0,
                "requireTLS": False,
                "tlsOptional": False,
                "aliases": [],
                "destination": "example.org",
                "accepted": True,
                "rule": "the mail exchange hosts of example.org, from the DNS",
                "chosen": {
                    "by": "mx",
                    "number": None,
                    "name": "",
                    "action": "deliver",
                    "matched": [],
                },
                "goal": "example.org",
                "outcome": {"fate": "tried", "status": "", "why": ""},
                "problem": "",
                "left": [],
                "policies": [
                    {
                        "kind": "no-policy-found",
                        "domain": "example.org",
                        "mode": "",
                        "lines": [],
                        "problem": "",
                        "why": "",
                        "fetched": None,
                        "until": None,
                    }
                ],
                "lookups": [
                    {
                        "kind": "MX",
                        "name": "example.org",
                        "state": "insecure",
                        "why": "",
                    }
                ],
                "site": {
                    "name": "a.example.org, b.example.org",
                    "others": [],
                    "count": 0,
                },
                "limits": {
                    "connections": 0,
                    "allowed": 5,
                    "total": 0,
                    "most": 2,
                    "rates": [],
                },
                "first": {"isNow": True, "when": None, "why": ""},
                "standing": {"state": "ready", "why": "", "until": None, "allowed": 5},
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
        self.assertEqual(host["tls"], f"{TLSNeed.VERIFIED.value}, from the start")
        self.assertEqual(host["login"], "ann with a password")
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
        self.assertTrue(found["rule"].startswith("the route ann:"), found["rule"])
        self.assertEqual([host["host"] for host in found["route"]], ["/run/lmtp"])
        found = self.explain("recipient=joe@no.example")
        self.assertTrue(found["rule"].startswith("the route no:"), found["rule"])
        self.assertEqual(found["route"], [])
        self.assertIn("a rule of this relay refuses it", found["problem"])
        self.assertIn("Never.", found["problem"])
        found = self.explain("recipient=joe@example.org&client=192.0.2.1")
        self.assertTrue(found["rule"].startswith("the route routes[2]:"), found["rule"])

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
        self.assertEqual(found["chosen"]["by"], "sender-hosts")
        self.assertEqual(found["chosen"]["matched"], ["sender @news.example"])
        (host,) = found["route"]
        shown = [host[key] for key in ("host", "port", "addresses", "tls", "names")]
        tls = "over a socket of this machine"
        self.assertEqual(shown, ["/run/lmtp", 0, ["/run/lmtp"], tls, []])
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

    def test_suspendedUntil(self) -> None:
        """
        One that fails is tried again when its time comes.
        """
        for _ in range(10):
            self.manager.noteLane("example.org", LaneState.FAILING, "no answer")
        first = self.explain("recipient=joe@example.org")["first"]
        self.assertFalse(first["isNow"])
        self.assertGreater(first["when"], self.api.relay.world.network.seconds())
        self.assertIn("no answer", first["why"])

    def test_rates(self) -> None:
        """
        Rates are shown, and when they are used up until when.
        """
        self.manager.destinationRates = {"*": Rate(1, 60.0)}
        found = self.explain("recipient=joe@example.org")
        (rate,) = found["limits"]["rates"]
        self.assertEqual((rate["rate"], rate["left"]), ("1/m", 1))
        self.api.relay.world.host("192.0.2.1")
        self.api.relay.queue.onWaiting = self.manager.wake
        self.api.relay.world.send("ann@example.com", "joe@example.org")
        self.api.relay.world.run(1)
        found = self.explain("recipient=joe@example.org")
        self.assertIn("used up", found["first"]["why"])
        self.assertGreater(found["first"]["when"], 0)

    def test_rules(self) -> None:
        """
        What a route does with mail is told, and what the message has that it wants.
        """
        self.manager.routing = Routing(
            (
                Rule(
                    "spam",
                    senders=("@spam.example",),
                    clients=(ip_network("127.0.0.0/8"),),
                    action=Action.REFUSE,
                    text="Not that",
                ),
                Rule(recipients=(".example.org",), action=Action.DISCARD),
                Rule("mine", users=("*",), action=Action.HOLD, text="look"),
            )
        )
        intake = self.api.relay.intake
        intake.refusal = refusalBy(self.manager.routing)
        found = self.explain(
            "recipient=joe@example.org&sender=a@spam.example&client=127.1.2.3"
        )
        self.assertEqual(
            found["chosen"],
            {
                "by": "route",
                "number": 0,
                "name": "spam",
                "action": "refuse",
                "matched": ["sender @spam.example", "client 127.0.0.0/8"],
            },
        )
        self.assertEqual(
            found["outcome"],
            {"fate": "refused", "status": "5.7.1", "why": "550 5.7.1 Not that"},
        )
        found = self.explain("recipient=joe@a.example.org&client=127.1.2.3")
        self.assertEqual(found["chosen"]["matched"], ["recipient .example.org"])
        self.assertEqual(found["chosen"]["name"], "routes[1]")
        self.assertEqual(found["outcome"]["fate"], "discarded")
        found = self.explain("recipient=joe@example.org&user=ann")
        self.assertEqual(found["chosen"]["matched"], ["user *"])
        self.assertEqual(found["outcome"]["why"], "held by the rule mine: look")
        self.assertFalse(found["first"]["isNow"])

    def test_bouncesAtOnce(self) -> None:
        """
        What would bounce without anybody being spoken with is told, with its status.
        """
        self.zones["null.example"] = {"MX": [(0, "")]}
        for query, status in (
            ("recipient=joe@null.example", "5.1.10"),
            ("recipient=joe@nowhere.example", "5.1.2"),
        ):
            outcome = self.explain(query)["outcome"]
            self.assertEqual((outcome["fate"], outcome["status"]), ("bounces", status))

    def test_requireTLS(self) -> None:
        """
        Mail that may go over TLS only goes to no host that nobody vouches for.
        """
        self.zones["two.example"] = {"MX": [(10, "a.example.org")]}
        outcome = self.explain("recipient=joe@two.example&requireTLS=true")["outcome"]
        self.assertEqual((outcome["fate"], outcome["status"]), ("bounces", "5.7.30"))
        outcome = self.explain("recipient=joe@two.example&tlsOptional=true")["outcome"]
        self.assertEqual(outcome["fate"], "tried")

    def test_size(self) -> None:
        """
        What is larger than is taken is refused.
        """
        most = self.api.relay.intake.limits.messageSize
        found = self.explain(f"recipient=joe@example.org&size={most + 1}")
        self.assertEqual(found["outcome"]["status"], "5.3.4")
        self.assertFalse(found["accepted"])
        found = self.explain(f"recipient=joe@example.org&size={most}")
        self.assertTrue(found["accepted"])

    def test_room(self) -> None:
        """
        A relay that is full takes nothing.
        """
        self.api.relay.intake.room = False
        self.assertFalse(self.explain("recipient=joe@example.org")["accepted"])

    def test_badHost(self) -> None:
        """
        A host that failed is behind the others, until it is told when.
        """
        self.zones["b.example.org"] = {"A": ["192.0.2.9"]}
        self.manager.mxcalc.markBad("a.example.org")
        route = self.explain("recipient=joe@example.org")["route"]
        self.assertEqual(
            [host["host"] for host in route], ["b.example.org", "a.example.org"]
        )
        self.assertIsNone(route[0]["badUntil"])
        self.assertGreater(route[1]["badUntil"], 0)

    def test_inClear(self) -> None:
        """
        That a host is spoken to in clear because its TLS fails is told.
        """
        self.manager.clearHosts.remember(
            Host("a.example.org"), 25, "no good", self.api.relay.world.network.seconds()
        )
        host = self.explain("recipient=joe@example.org")["route"][0]
        self.assertTrue(host["inClear"])
        self.assertIn("no good", host["why"])
        self.assertEqual((host["tls"], host["sni"]), ("in clear", ""))
        now = self.api.relay.world.network.seconds()
        self.assertEqual(host["clearUntil"], now + LONGEST)

    def test_aliases(self) -> None:
        """
        Who gets what is for an alias is told.
        """
        self.api.relay.intake.machines = Machines(
            "example.com", {"root": ("ops@example.net",)}
        )
        found = self.explain("recipient=root@example.com")
        self.assertEqual(found["aliases"], ["ops@example.net"])

    def test_site(self) -> None:
        """
        Other destinations with the same hosts are named.
        """
        self.zones["other.example"] = self.zones["example.org"]
        self.api.relay.world.host("192.0.2.1")
        self.api.relay.queue.onWaiting = self.manager.wake
        self.api.relay.world.send("ann@example.com", "joe@other.example")
        self.api.relay.world.run(1)
        site = self.explain("recipient=joe@example.org")["site"]
        self.assertEqual((site["others"], site["count"]), (["other.example"], 1))

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
        self.assertIn(
            "the DNS did not answer within 24 seconds", answer.document["problem"]
        )
        self.assertEqual(answer.document["outcome"]["fate"], "waits")
