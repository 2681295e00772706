# -*- test-case-name: relaymail.test.cli.test_explaining -*-
"""
Tests for L{relaymail.cli.explaining}: C{relaymail explain} without a relay.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from relaymail.cli import explaining, sketching
from relaymail.test.cli.commands import CommandTestCase
from relaymail.testing.dns import ZoneDNS
from relaymail.testing.doubles import MailWorld


class HereCase(CommandTestCase):
    """
    Commands in a small world.
    """

    def setUp(self) -> None:
        super().setUp()
        self.zones: dict[str, Any] = {
            "example.org": {"MX": [(10, "mx.example.org")]},
            "mx.example.org": {"A": ["192.0.2.1"]},
        }
        self.world = MailWorld()
        self.network, self.machine = self.world.network, self.world.machine
        self.patch(sketching, "makeResolver", lambda *_: ZoneDNS(self.zones))
        self.patch(explaining, "inReactor", self._inReactor)
        self.spool = self.mktemp()
        self.file = self.write("")

    def _inReactor(self, work: Callable[[Any], Deferred[Any]]) -> None:
        ends: list[Any] = []
        work(self.machine).addBoth(ends.append)
        self.network.run(60)
        (end,) = ends
        if isinstance(end, Failure):
            end.raiseException()

    def write(self, text: str) -> str:
        """
        Write a configuration file.

        @return: Its path.
        """
        path = Path(self.mktemp())
        path.write_text(
            f'queue = "spool:{Path(self.spool).absolute()}"\n'
            f'hostname = "relay.example.com"\n{text}',
            "utf-8",
        )
        return str(path)


class OfflineTests(HereCase):
    """
    Tests for C{relaymail explain --offline}.
    """

    def explain(self, *words: str, code: int = 0) -> Any:
        """
        Ask.
        """
        return self.run_(
            "--config", self.file, "explain", *words, "--offline", code=code
        )

    def test_asked(self) -> None:
        """
        The DNS is asked, and no relay is.
        """
        done = self.explain("joe@example.org", "--from", "ann@example.com")
        self.assertIn("192.0.2.1", done.stdout)
        self.assertIn("The relay was not asked", done.stderr)
        self.assertEqual(self.client.asked, [])

    def test_exitCode(self) -> None:
        """
        Mail that goes nowhere is a failure.
        """
        self.assertIn("5.1.2", self.explain("joe@nowhere.example", code=1).stdout)

    def test_noAddress(self) -> None:
        """
        What is no address is told as such.
        """
        self.assertIn("'joe'", self.explain("joe", code=1).stderr)

    def test_down(self) -> None:
        """
        Where no relay answers it is told what can be asked instead.
        """
        self.answers["GET explain"] = self.down()
        done = self.run_("explain", "joe@example.org", code=69)
        self.assertIn("--offline", done.stderr)
