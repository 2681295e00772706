# -*- test-case-name: relaymail.test.cli.test_sketching -*-
"""
Tests for L{relaymail.cli.sketching}: relays that are only asked.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from relaymail.cli import sketching
from relaymail.cli.sketching import Sketch
from relaymail.configuration import Configuration, configure
from relaymail.configuration.places import stsBeside
from relaymail.route.sts.policy import parsePolicy
from relaymail.route.sts.storing import Kept, PolicyStore
from relaymail.testing.dns import ZoneDNS
from relaymail.testing.network import Network

POLICY = b"version: STSv1\nmode: enforce\nmx: mx.example.org\nmax_age: 86400\n"
ZONES: dict[str, Any] = {
    "example.org": {"MX": [(10, "mx.example.org"), (20, "two.example.net")]},
    "mx.example.org": {"A": ["192.0.2.1"]},
    "two.example.net": {"A": ["127.0.0.1"]},
    "own.example": {"A": ["192.0.2.77"]},
}


class SketchTests(SynchronousTestCase):
    """
    What is asked of a configuration.
    """

    def setUp(self) -> None:
        self.network = Network()
        self.machine = self.network.machine("198.51.100.1", name="here")
        self.patch(sketching, "makeResolver", lambda *_: ZoneDNS(dict(ZONES)))
        self.notes: list[str] = []
        self.patch(sketching, "note", self.notes.append)
        self.queue = os.path.abspath(self.mktemp())

    def told(self, **settings: Any) -> Configuration:
        """
        Give a configuration.
        """
        return configure(
            queue=f"spool:{self.queue}", hostname="relay.example.com", **settings
        )

    def explain(
        self,
        told: Configuration,
        suspensions: Mapping[str, str] | None = None,
        **given: Any,
    ) -> dict[str, Any]:
        """
        Ask.
        """
        sketch = Sketch(told, self.machine, suspensions=suspensions)
        sketch.start()
        found: list[Any] = []
        given = {"recipient": "joe@example.org", **given}
        asked = Deferred.fromCoroutine(sketch.explain(given))
        asked.addCallback(found.append)
        self.network.run(1)
        sketch.stop()
        self.network.run(1)
        self.successResultOf(asked)
        document: dict[str, Any] = found[0][1]
        return document

    def test_hosts(self) -> None:
        """
        The hosts of the DNS come with their addresses, and what is not connected to is
        said.
        """
        document = self.explain(self.told())
        first, second = document["route"]
        self.assertEqual(first["addresses"], ["192.0.2.1"])
        self.assertEqual(first["helo"], "relay.example.com")
        self.assertIn("127.0.0.1", second["problem"])
        self.assertTrue(document["accepted"])

    def test_nothingIsWritten(self) -> None:
        """
        Neither a queue nor anything beside it is made.
        """
        self.explain(self.told())
        self.assertFalse(os.path.exists(self.queue))
        self.assertFalse(os.path.exists(f"{self.queue}-sts"))

    def test_keptPolicy(self) -> None:
        """
        A policy that the relay keeps counts, and is left as it is.
        """
        told = self.told()
        path = stsBeside(told.queue)
        now = self.network.seconds() - 60.0
        kept = Kept("example.org", parsePolicy(POLICY, "7"), now, now)
        PolicyStore(path).save(kept)
        (name,) = os.listdir(path)
        before = os.stat(os.path.join(path, name)).st_mtime_ns
        document = self.explain(told)
        (policy,) = document["policies"]
        self.assertEqual((policy["kind"], policy["mode"]), ("sts", "enforce"))
        self.assertEqual(policy["until"], now + 86400)
        self.assertEqual(
            [left["host"] for left in document["left"]], ["two.example.net"]
        )
        self.assertEqual(document["route"][0]["names"], ["mx.example.org"])
        self.assertEqual(os.listdir(path), [name])
        self.assertEqual(os.stat(os.path.join(path, name)).st_mtime_ns, before)

    def test_withoutSecrets(self) -> None:
        """
        No password is read: the file need not be there.
        """
        host = {
            "url": "smtps://ann@smart.example",
            "password-file": "/nowhere/secret",
        }
        document = self.explain(self.told(smartHosts=[host]))
        self.assertEqual(document["chosen"]["by"], "smart-hosts")
        self.assertEqual(document["route"][0]["login"], "ann with a password")

    def test_suspended(self) -> None:
        """
        What an operator has suspended is.
        """
        document = self.explain(self.told(), {"example.org": "it is mended"})
        self.assertEqual(document["standing"]["state"], "suspended")
        self.assertFalse(document["first"]["isNow"])

    def test_refused(self) -> None:
        """
        Who may not give mail is told so.
        """
        document = self.explain(self.told(), client="203.0.113.9")
        self.assertEqual(document["outcome"]["fate"], "refused")

    def test_ownAddress(self) -> None:
        """
        The addresses that the relay would listen on are its own.
        """
        told = self.told(smtp=["tcp:25:interface=192.0.2.77"])
        document = self.explain(told, recipient="joe@own.example")
        self.assertEqual(document["outcome"]["status"], "5.4.6")
