# -*- test-case-name: relaymail.test.admin.test_metrics -*-
"""
Tests for L{relaymail.admin.metrics}: what a monitor collects.
"""

from __future__ import annotations

from typing import Any, cast

from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaymail.admin.metrics import KIND, Snapshot, render
from relaymail.admin.recent import KINDS, MAX_COUNTED, OTHER
from relaymail.inspection import DestinationCount, Listed, NameState
from relaymail.protections import TLSResult
from relaymail.route.sts.policies import Policies
from relaymail.route.sts.storing import PolicyStore
from relaymail.siren import Siren
from relaymail.test.admin.worlds import API, Connection, request
from relaymail.test.route.sts.samples import Fetches, makePolicy
from relaymail.testing.dns import ZoneDNS
from relaymail.testing.policies import MemoryPolicies

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(text: bytes) -> Samples:
    """
    Read what a monitor reads.
    """
    found: Samples = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            key = sample.name, tuple(sorted(sample.labels.items()))
            assert key not in found, key
            found[key] = sample.value
    return found


class MetricsTests(SynchronousTestCase):
    """
    What is collected.
    """

    def setUp(self) -> None:
        self.api = API()
        self.relay = self.api.relay

    def collect(self) -> Samples:
        """
        Collect it.
        """
        answer = self.api.get("/metrics")
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["Content-Type"], KIND)
        return samples(answer.body)

    def test_numbers(self) -> None:
        """
        Totals, outcomes, connections, what is queued and the process are there.
        """
        self.relay.queue.counted = {"accepted": 7, "delivered": 5}
        self.relay.put("", "a@a.example", "b@a.example", "c@b.example")
        manager: Any = self.relay.manager
        manager.hostsInClear = lambda: [object()]
        found = self.collect()
        for name, labels, value in (
            ("relaymail_recipients_total", (("event", "accepted"),), 7),
            ("relaymail_recipients_total", (("event", "delivered"),), 5),
            ("relaymail_state", (("state", "running"),), 1),
            ("relaymail_state", (("state", "full"),), 0),
            ("relaymail_connections", (("direction", "in"),), 3),
            ("relaymail_alarms", (("kind", "auth"),), 0),
            ("relaymail_alarms", (("kind", OTHER),), 0),
            ("relaymail_connections_max", (), 2),
            ("relaymail_broken_tls", (), 1),
            ("relaymail_queued", (), 3),
            ("relaymail_relaying", (), 0),
            ("relaymail_destinations", (), 2),
            (
                "relaymail_destination_queued",
                (("destination", "a.example"), ("state", "active")),
                2,
            ),
            (
                "relaymail_outcomes_total",
                (("destination", OTHER), ("outcome", "delivered")),
                0,
            ),
        ):
            self.assertEqual(found[name, labels], value, name)
        self.assertIn(("process_open_fds", ()), found)

    def test_A05_cardinality(self) -> None:
        """
        However many destinations there are, the number of series is bounded, and
        the sums are right.
        """
        for number in range(3 * MAX_COUNTED):
            name = f"d{number}.example"
            self.relay.queue.extra[name] = Listed(
                name, name, "", f"a@{name}", name, 1, 0.0, 0, 0.0, NameState.WAITING
            )
        found = self.collect()
        queued = [
            v for (n, _), v in found.items() if n == "relaymail_destination_queued"
        ]
        self.assertEqual(sum(queued), 3 * MAX_COUNTED)
        self.assertLessEqual(len(queued), 3 * MAX_COUNTED + 1)
        self.assertLess(len(found), 2500)

    def test_D11_alarms(self) -> None:
        """
        Alarms are counted, whatever they are of: who has many users has no more
        series.
        """
        self.relay.siren = Siren()
        for key in ("auth:a@x.example", "auth:b@x.example", "token:a", "more:a", "a"):
            self.relay.siren.tell(key, "so it is")
        found = self.collect()
        alarms = {labels: n for (name, labels), n in found.items() if "alarm" in name}
        self.assertEqual(
            alarms,
            {
                (("kind", "auth"),): 2,
                (("kind", "token"),): 1,
                (("kind", "dnssec"),): 0,
                (("kind", "mta-sts"),): 0,
                (("kind", OTHER),): 2,
            },
        )

    def test_policies(self) -> None:
        """
        How many policies of MTA-STS are known, and how it went to fetch them, is told
        by names of ours; where none are wanted nothing is.
        """
        names = {name for name, _ in self.collect()}
        self.assertFalse({name for name in names if "sts" in name})
        fetches, store = Fetches(), MemoryPolicies()
        zones = ZoneDNS()
        fetches.answers = {
            "a.example": makePolicy(),
            "b.example": TLSResult.STS_WEBPKI,
            "c.example": makePolicy(),
        }
        for domain in fetches.answers:
            record = [b"v=STSv1; id=1;"]
            zones.zones[f"_mta-sts.{domain}"] = {"TXT": record}
        policies = Policies(zones, Clock(), cast(PolicyStore, store))
        policies.fetcherFactory = fetches
        for domain in fetches.answers:
            self.successResultOf(policies.policyFor(domain))
        self.relay.manager.policies = policies
        found = self.collect()
        told = {key: n for key, n in found.items() if "sts" in key[0]}
        self.assertEqual(
            told,
            {
                ("relaymail_sts_policies", (("mode", "enforce"),)): 2,
                ("relaymail_sts_fetches_total", (("result", "fetched"),)): 2,
                (
                    "relaymail_sts_fetches_total",
                    (("result", "sts-webpki-invalid"),),
                ): 1,
            },
        )
        status = self.api.get("/v1/status").document
        self.assertEqual(status["policies"], {"enforce": 2})

    def test_A03_labels(self) -> None:
        """
        What others chose is printable, and ends no line.
        """
        evil = 'x"} 1\n\x1b[31mrelaymail_queued 7\n'
        counts = dict.fromkeys(KINDS, 1)
        text = render(
            Snapshot(
                state="running",
                started=0,
                totals={evil: 1},
                outcomes={evil: counts},
                queued=1,
                relaying=0,
                destinations=(DestinationCount(evil, 1, 0),),
                number=1,
            )
        )
        self.assertNotIn(b"\x1b", text)
        self.assertEqual(samples(text)["relaymail_queued", ()], 1)

    def test_inAThread(self) -> None:
        """
        It is written out where the reactor does not wait for it.
        """
        ran: list[Any] = []

        def run(function: Any) -> Deferred[bytes]:
            ran.append(function)
            return Deferred()

        self.api.desk.run = run
        connection = Connection(self.api)
        connection.give(request("GET", "/metrics"))
        self.assertEqual((len(ran), connection.sent), (1, b""))
        self.assertIn(b"relaymail_queued", ran[0]())
