# -*- test-case-name: relaymail.test.cli.test_status -*-
"""
Tests for L{relaymail.cli.status}.
"""

from __future__ import annotations

import time

from relaymail.test.cli.commands import HOSTILE, CommandTestCase

STATUS = {
    "version": "0.1.0",
    "hostname": "relay.example.com",
    "queue": "spool:/var/spool/relaymail/queue.db",
    "started": 1_000_000_000.0,
    "uptime": 7300.0,
    "addresses": ["127.0.0.1:2525", ["::1", 2525]],
    "state": "running",
    "trouble": None,
    "configuration": None,
    "connections": {"in": 1, "out": 2},
    "queued": 12345,
    "totals": {"accepted": 5, "bounced": 0},
}


def _give(answer: object) -> object:
    if isinstance(answer, Exception):
        raise answer
    return answer


class StatusTests(CommandTestCase):
    """
    Tests for C{relaymail status}.
    """

    def test_shown(self) -> None:
        """
        It is told in lines.
        """
        self.answers["GET status"] = STATUS
        told = self.run_("status").stdout
        for words in ("running", "127.0.0.1:2525, ::1:2525", "2h", "12,345", "5 acc"):
            self.assertIn(words, told)
        self.assertNotIn("trouble", told)

    def test_kinds(self) -> None:
        """
        What is spoken somewhere is told where it is not SMTP between relays.
        """
        kinds = {"entrances": ["smtp", "submissions"]}
        self.answers["GET status"] = {**STATUS, **kinds}
        told = self.run_("status").stdout
        self.assertIn("127.0.0.1:2525, ::1:2525 (submissions)", told)

    def test_dnssec(self) -> None:
        """
        Whether the name servers validate is told where it is known.
        """
        self.answers["GET status"] = {**STATUS, "dnssec": "they validate"}
        self.assertIn("they validate", self.run_("status").stdout)
        self.answers["GET status"] = {**STATUS, "dnssec": None}
        self.assertNotIn("DNSSEC", self.run_("status").stdout)

    def test_policies(self) -> None:
        """
        So is how many policies of MTA-STS are kept.
        """
        kept = {"enforce": 1200, "testing": 3}
        self.answers["GET status"] = {**STATUS, "policies": kept}
        self.assertIn("1,200 enforce, 3 testing", self.run_("status").stdout)
        self.answers["GET status"] = {**STATUS, "policies": {}}
        self.assertNotIn("MTA-STS", self.run_("status").stdout)

    def test_D11_alarms(self) -> None:
        """
        Alarms are told, each with since when.
        """
        alarms = [
            {"key": "auth:me@x", "text": "x does not let me in", "since": 1e9},
            {"key": "token:me", "text": "no \x1bconsent", "since": 1e9},
        ]
        self.answers["GET status"] = {**STATUS, "alarms": alarms}
        told = self.run_("status").stdout
        self.assertIn("x does not let me in (since 2001-09-09", told)
        self.assertIn("consent (since 2001-09-09", told)
        self.assertNotIn("\x1b", told)
        self.answers["GET status"] = {**STATUS, "alarms": []}
        self.assertNotIn("alarm", self.run_("status").stdout)

    def test_json(self) -> None:
        """
        The document is the API's.
        """
        self.answers["GET status"] = STATUS
        self.assertEqual(self.runJSON("status"), STATUS)

    def test_wait(self) -> None:
        """
        A relay that is being started is waited for.
        """
        told: list[object] = [self.down(), self.down(), STATUS, STATUS]
        slept: list[float] = []
        self.patch(time, "sleep", slept.append)
        self.patch(self.client, "get", lambda path: _give(told.pop(0)))
        self.run_("status", "--wait", "20")
        self.assertEqual((told, len(slept)), ([], 2))

    def test_waitInVain(self) -> None:
        """
        When the time is over it is told that it does not run.
        """
        now = [0.0]
        self.patch(time, "monotonic", lambda: now[0])
        self.patch(time, "sleep", lambda s: now.__setitem__(0, now[0] + s))
        self.answers["GET status"] = self.down()
        self.run_("status", "--wait", "3", code=69)
        self.assertGreaterEqual(now[0], 3)

    def test_hostile(self) -> None:
        """
        What is wrong may hold others' words.
        """
        self.answers["GET status"] = {
            **STATUS,
            "trouble": HOSTILE,
            "totals": {HOSTILE: 1},
        }
        self.run_("status")

    def test_settings(self) -> None:
        """
        The options that all commands have say which relay is meant.
        """
        self.answers["GET status"] = STATUS
        self.run_("--config", "a.toml", "status", "--url", "http://h:1")
        self.assertEqual(
            (self.settings[0].config, self.settings[0].url), ("a.toml", "http://h:1")
        )


class ReloadTests(CommandTestCase):
    """
    Tests for C{relaymail reload}.
    """

    def test_changed(self) -> None:
        """
        It says what has changed.
        """
        self.answers["POST reload"] = {"changed": ["intake.networks", HOSTILE]}
        self.assertIn("Changed: intake.networks, ", self.run_("reload").stdout)

    def test_same(self) -> None:
        """
        It says when nothing has.
        """
        self.answers["POST reload"] = {"changed": []}
        said = self.run_("reload").stdout
        self.assertIn("No option has changed. Passwords", said)
        self.assertEqual(self.runJSON("reload"), {"changed": []})

    def test_down(self) -> None:
        """
        It needs the relay.
        """
        self.answers["POST reload"] = self.down()
        self.run_("reload", code=69)
