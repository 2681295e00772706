# -*- test-case-name: relaymail.test.cli.test_connecting -*-
"""
Tests for L{relaymail.cli.connecting}: C{relaymail explain --connect}.
"""

from __future__ import annotations

import os
from typing import Any

from relaymail.cli import authtest
from relaymail.test.cli.test_explaining import HereCase

SECRET = "correct-horse"
SMART = """
[[delivery.smart-hosts]]
url = "smtp://ann@mx.example.org"
tls = "never"
auth = "clear"
password-env = "EXPLAIN_PASSWORD"
"""
TOKENS = """
[[delivery.smart-hosts]]
url = "smtps://ann@mx.example.org"
[delivery.smart-hosts.oauth2]
provider = "google"
client-id = "x"
client-secret-env = "EXPLAIN_PASSWORD"
refresh-token-env = "EXPLAIN_PASSWORD"
"""


class ConnectTests(HereCase):
    """
    Hosts that are asked.
    """

    def explain(self, *words: str, code: int = 0) -> Any:
        """
        Ask.
        """
        words = ("joe@example.org", "--connect", *words)
        return self.run_("--config", self.file, "explain", *words, code=code)

    def test_taken(self) -> None:
        """
        Each step is shown, and which host would take the mail; none gets it.
        """
        mx = self.world.host("192.0.2.1")
        done = self.explain("--from", "ann@example.com", "--size", "77").stdout
        for words in (
            "mx.example.org port 25",
            "ok    MAIL",
            "ok    RCPT",
            "mx.example.org would take the mail; nothing was sent",
        ):
            self.assertIn(words, done)
        (session,) = mx.sessions
        self.assertEqual(
            session.commands,
            [
                "EHLO relay.example.com",
                "MAIL FROM:<ann@example.com> SIZE=77",
                "RCPT TO:<joe@example.org>",
                "QUIT",
            ],
        )
        self.assertEqual(mx.received, [])

    def test_refused(self) -> None:
        """
        What a host refuses would bounce, which is a failure.
        """
        self.world.host("192.0.2.1", {"RCPT": "550 5.1.1 Nobody"})
        done = self.explain(code=1).stdout
        self.assertIn("FAIL  RCPT        550 5.1.1 Nobody", done)
        self.assertIn("it would bounce (5.1.1): 550 5.1.1 Nobody", done)

    def test_json(self) -> None:
        """
        Programs get the sessions, and who would have taken the mail.
        """
        self.world.host("192.0.2.1")
        words = ("explain", "joe@example.org", "--connect")
        told = self.runJSON("--config", self.file, *words)
        self.assertEqual(told["taken"], {"by": "mx.example.org", "why": ""})
        (session,) = told["sessions"]
        self.assertEqual((session["port"], session["taken"]), (25, True))
        names = [step["step"] for step in session["steps"]]
        self.assertEqual(
            names, ["resolve", "connect", "greeting", "EHLO", "MAIL", "RCPT"]
        )

    def test_nobody(self) -> None:
        """
        Where no host would be asked none is.
        """
        self.zones.clear()
        done = self.explain(code=1).stdout
        self.assertIn("no host was connected to", done)
        self.assertEqual(self.network.tried, [])

    def test_notWithoutBeingAsked(self) -> None:
        """
        Without C{--connect} nobody is connected to.
        """
        words = ("explain", "joe@example.org", "--offline")
        self.run_("--config", self.file, *words)
        self.assertEqual(self.network.tried, [])

    def test_secret(self) -> None:
        """
        The secret of a smart host is used, and not shown.
        """
        os.environ["EXPLAIN_PASSWORD"] = SECRET
        self.addCleanup(os.environ.pop, "EXPLAIN_PASSWORD")
        self.file = self.write(SMART)
        mx = self.world.host("192.0.2.1", users={"ann": SECRET})
        done = self.explain("--json")
        self.assertEqual(mx.sessions[0].user, "ann")
        self.assertEqual(mx.received, [])
        for form in (SECRET, "AGFubgBjb3JyZWN0LWhvcnNl"):
            self.assertNotIn(form, done.stdout + done.stderr)

    def test_otherUsersTokens(self) -> None:
        """
        A refresh token that a server gives is not lost: no token is asked for where
        it cannot be kept.
        """
        os.environ["EXPLAIN_PASSWORD"] = SECRET
        self.addCleanup(os.environ.pop, "EXPLAIN_PASSWORD")
        self.file = self.write(TOKENS)
        self.patch(authtest, "ownerOf", lambda path: os.geteuid() + 1)
        done = self.explain(code=1)
        self.assertIn("a refresh token that came with it would be lost", done.stderr)
        self.assertEqual(self.network.tried, [])
