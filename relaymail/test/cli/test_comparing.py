# -*- test-case-name: relaymail.test.cli.test_comparing -*-
"""
Tests for L{relaymail.cli.comparing} and L{relaymail.cli.differing}: C{relaymail
explain --config OTHER}.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.task import Clock

from relaymail.cli import differing
from relaymail.cli.finding import Place
from relaymail.envelopes import Envelope, Origin
from relaymail.queue.spool.spool import Spool
from relaymail.test.cli.commands import entry, page
from relaymail.test.cli.test_explaining import HereCase
from relaymail.test.queue.contract import MESSAGE, NOW
from relaymail.test.queue.spool.spools import runNow

STRICT = """
[delivery]
tls = "encrypt"
"""
REFUSING = """
[[delivery.routes]]
name = "no"
to = ["example.org"]
from = ["@spam.example"]
via = "refuse"
[[delivery.routes]]
name = "smart"
client = ["10.0.0.0/8"]
via = ["smtp://smart.example.net"]
"""
RATES = """
[delivery]
retry = ["10m"]
destination-rates = ["*=5/m"]
"""


class DifferenceTests(HereCase):
    """
    What would differ.
    """

    def compare(self, other: str, *words: str, code: int = 0) -> Any:
        """
        Compare with another configuration.
        """
        other = self.write(other)
        said = ("--config", self.file, "explain", "--config", other, *words)
        return self.run_(*said, code=code)

    def test_address(self) -> None:
        """
        Of one message each difference is told, with what holds now and then.
        """
        done = self.compare(STRICT, "joe@example.org")
        lines = [line.strip() for line in done.stdout.splitlines()]
        self.assertIn("for joe@example.org there would differ:", lines)
        at = lines.index("mx.example.org: tls")
        self.assertEqual(
            lines[at + 1 : at + 3],
            [
                "now:  encrypted where the host offers it",
                "then: encrypted, the certificate not looked at",
            ],
        )
        self.assertIn("options that differ in", lines[0])
        self.assertIn("delivery.tls", lines[0])
        self.assertIn("Nothing was changed", done.stderr)
        self.assertEqual(self.client.asked, [])

    def test_same(self) -> None:
        """
        Where nothing differs that is told.
        """
        done = self.compare("", "joe@example.org").stdout
        self.assertIn("for joe@example.org nothing would differ", done)

    def test_rule(self) -> None:
        """
        What would be refused is told as such, and depends on who sends it.
        """
        words = ("joe@example.org", "--from", "a@spam.example")
        told = self.runJSON(
            "--config", self.file, "explain", "--config", self.write(REFUSING), *words
        )
        what = {each["what"]: each for each in told["differences"]}
        self.assertEqual(what["outcome"]["now"], "tried")
        self.assertIn("refused", what["outcome"]["then"])
        self.assertEqual(told["now"]["outcome"]["fate"], "tried")
        done = self.compare(REFUSING, "joe@example.org").stdout
        self.assertIn("nothing would differ", done)

    def test_limits(self) -> None:
        """
        When it is tried again, and how fast it goes, is compared, too.
        """
        done = self.compare(RATES, "joe@example.org").stdout
        self.assertIn("retried after", done)
        self.assertIn("rate of the destination example.org", done)

    def test_queued(self) -> None:
        """
        What is queued is grouped by its destination and by what differs.
        """
        self.answers["GET queue"] = page(
            entry(id="1", sender="a@spam.example"),
            entry(id="2", sender="b@spam.example"),
            entry(id="3"),
            entry(id="4", recipient="x@other.example", client="10.1.1.1"),
            entry(id="5", recipient="x@other.example", user="ann"),
        )
        done = self.compare(REFUSING).stdout
        self.assertIn("3 of 5 recipients would go otherwise", done)
        self.assertIn("example.org: 2, such as 1, 2", done)
        self.assertIn("then: refused by the rule no", done)
        self.assertIn("smart.example.net", done)
        self.assertNotIn(", 3", done)

    def test_queuedJSON(self) -> None:
        """
        Programs get all groups, and the sums.
        """
        self.answers["GET queue"] = page(
            *(entry(id=str(n)) for n in range(5)),
            entry(id="6", parameters="REQUIRETLS", released=True),
        )
        told = self.runJSON(
            "--config", self.file, "explain", "--config", self.write(STRICT)
        )
        self.assertEqual((told["checked"], told["differing"]), (6, 6))
        self.assertEqual(told["kinds"], {"terms": 6})
        (group,) = told["groups"]
        self.assertEqual(group["examples"], ["0", "1", "2"])
        self.assertEqual(
            group["differences"],
            [{"what": "terms", "now": "TLS opportunistic", "then": "TLS encrypt"}],
        )
        self.assertTrue(told["complete"])

    def test_bounds(self) -> None:
        """
        No more is looked at than is bounded, which is said.
        """
        self.patch(differing, "MAX_ENTRIES", 2)
        self.patch(differing, "MAX_GROUPS", 1)
        self.patch(differing, "MAX_KNOWN", 1)
        self.answers["GET queue"] = page(
            *(entry(id=str(n), recipient=f"x@{n}.example") for n in range(4))
        )
        for each in self.answers["GET queue"]["entries"]:
            each["destination"] = each["recipient"].partition("@")[2]
        told = self.runJSON(
            "--config", self.file, "explain", "--config", self.write(STRICT)
        )
        self.assertEqual((told["checked"], told["differing"]), (2, 2))
        self.assertEqual(len(told["groups"]), 1)
        self.assertFalse(told["complete"])

    def test_offline(self) -> None:
        """
        The spool is read where no relay is to be asked, or none answers.
        """
        clock = Clock()
        clock.advance(NOW)
        spool = Spool(os.path.abspath(self.spool), clock, run=runNow)
        spool.lock()
        origin = Origin("10.2.3.4", "")
        adding = spool.add(
            Envelope("a@example.com", ("b@one.example",), origin=origin), MESSAGE
        )
        clock.advance(0)
        self.successResultOf(adding)
        spool.stop()
        done = self.compare(REFUSING, "--offline").stdout
        self.assertIn("1 of 1 recipient would go otherwise", done)
        self.assertIn("smart.example.net", done)
        self.assertEqual(self.client.asked, [])
        self.answers["GET queue"] = self.down()
        self.place = Place(os.path.abspath(self.spool), True, self.mktemp())
        self.assertIn("1 of 1 recipient", self.compare(REFUSING).stdout)

    def test_unroutable(self) -> None:
        """
        What is no address goes nowhere under any configuration.
        """
        self.answers["GET queue"] = page(entry(recipient="nobody"))
        self.assertIn("0 of 1 recipient ", self.compare(STRICT).stdout)

    def test_wrong(self) -> None:
        """
        Another configuration that cannot be used is told as such.
        """
        done = self.compare("x = 1\n", "joe@example.org", code=1)
        self.assertIn("x", done.stderr)

    def test_usage(self) -> None:
        """
        What makes no sense is refused.
        """
        self.compare(STRICT, "joe@example.org", "--connect", code=2)
        self.compare(STRICT, "--from", "a@example.com", code=2)
        self.run_("explain", code=2)
