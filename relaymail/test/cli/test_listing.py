# -*- test-case-name: relaymail.test.cli.test_listing -*-
"""
Tests for L{relaymail.cli.listing}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from relaymail.cli import listing
from relaymail.test.cli.commands import HOSTILE, CommandTestCase, entry, page

NOW = 1_000_000_300.0


class ListTests(CommandTestCase):
    """
    Tests for C{relaymail queue list}.
    """

    def setUp(self) -> None:
        """
        Let it be some time.
        """
        super().setUp()
        self.patch(listing, "now", lambda: NOW)

    def test_table(self) -> None:
        """
        Each entry is a line, with its age and when it is tried.
        """
        self.answers["GET queue"] = page(
            entry(), entry(id="8", sender="", state="held", why="spam?")
        )
        lines = self.run_("queue", "list").stdout.splitlines()
        self.assertEqual(len(lines), 3)
        self.assertEqual(
            lines[1].split()[:8],
            ["7", "5m", "2.0K", "resting", "2", "5m", "a@example.com", "b@example.org"],
        )
        self.assertTrue(lines[1].endswith("450 later"))
        self.assertIn("<>", lines[2])
        self.assertTrue(lines[2].endswith("spam?"))
        self.assertEqual(self.client.asked, [("GET queue", {"limit": "100"})])

    def test_asks(self) -> None:
        """
        The relay is asked what was asked for.
        """
        self.answers["GET queue"] = page()
        words = ("--domain", "example.org", "--limit", "5", "--after", "x", "7")
        done = self.run_("queue", "list", *words)
        self.assertEqual(done.stderr, "Nothing of that is queued.\n")
        self.assertEqual(
            self.client.asked[0][1],
            {"domain": "example.org", "id": ["7"], "limit": "5", "after": "x"},
        )

    def test_more(self) -> None:
        """
        It is told when there is more, and how to see it.
        """
        self.answers["GET queue"] = page(entry(), next="5")
        self.assertIn("--after 5", self.run_("queue", "list", "--limit", "1").stderr)

    def test_json(self) -> None:
        """
        One document has all pages.
        """
        given = [page(entry(), next="a"), page(entry(id="8", reply=HOSTILE))]
        self.answers["GET queue"] = lambda said: given.pop(0)
        told = self.runJSON("queue", "list", "--all")
        self.assertEqual([each["id"] for each in told["entries"]], ["7", "8"])
        self.assertEqual(told["entries"][1]["reply"], HOSTILE)
        self.assertEqual((told["next"], told["complete"]), (None, True))

    def test_jsonNothing(self) -> None:
        """
        Nothing is a document, too.
        """
        self.answers["GET queue"] = page()
        self.assertEqual(self.runJSON("queue", "list")["entries"], [])

    def test_parametersShown(self) -> None:
        """
        What the sender asked for is shown; a relay that does not tell of it is none
        the worse.
        """
        self.answers["GET queue/7"] = entry(parameters="SMTPUTF8 RET=HDRS")
        self.assertIn("SMTPUTF8 RET=HDRS", self.run_("queue", "show", "7").stdout)
        self.answers["GET queue/7"] = before = entry()
        del before["parameters"]
        self.assertNotIn("parameters", self.run_("queue", "show", "7").stdout)

    def test_originShown(self) -> None:
        """
        So is where it came from, and that it was released by hand; also by a relay
        that does not tell of it.
        """
        for said, shown in (
            ({"client": "192.0.2.1"}, "came from:    192.0.2.1\n"),
            ({"client": "192.0.2.1", "user": "al"}, "came from:    192.0.2.1 as al\n"),
            ({"user": "al"}, "came from:    this host as al\n"),
            ({"released": True}, "state:        resting, released by hand\n"),
            ({"user": HOSTILE}, "came from:    this host as "),
        ):
            self.answers["GET queue/7"] = entry(**said)
            self.assertIn(shown, self.run_("queue", "show", "7").stdout)
        self.answers["GET queue/7"] = before = entry()
        for name in ("client", "user", "released"):
            del before[name]
        told = self.run_("queue", "show", "7").stdout
        self.assertNotIn("came from", told)
        self.assertIn("state:        resting\n", told)

    def test_hostile(self) -> None:
        """
        What others wrote is one line that no terminal obeys.
        """
        self.answers["GET queue"] = page(
            entry(sender=HOSTILE, recipient=HOSTILE, reply=HOSTILE, why=HOSTILE)
        )
        self.assertEqual(len(self.run_("queue", "list").stdout.splitlines()), 2)

    @settings(deadline=None, max_examples=30)
    @given(st.text(max_size=40), st.text(max_size=40))
    def test_anyText(self, address: str, reply: str) -> None:
        """
        Whatever others wrote, an entry is one line that no terminal obeys.
        """
        self.answers["GET queue"] = page(entry(recipient=address, reply=reply))
        self.assertEqual(self.run_("queue", "list").stdout.count("\n"), 2)


class ShowTests(CommandTestCase):
    """
    Tests for C{relaymail queue show}.
    """

    def test_entry(self) -> None:
        """
        All that is known is shown, and the header.
        """
        self.answers["GET queue/7"] = entry(
            standing={"state": "throttled", "why": "it said 421", "until": NOW},
            header="Subject: x\n y\n",
        )
        told = self.run_("queue", "show", "7").stdout
        for words in ("b@example.org", "450 later", "throttled", "it said 421"):
            self.assertIn(words, told)
        self.assertTrue(told.endswith("\n\nSubject: x\n y\n"), told)

    def test_outcome(self) -> None:
        """
        Of what is done it tells what became of it.
        """
        self.answers["GET queue/7"] = {
            "id": "7",
            "state": "delivered",
            "outcome": {"reply": "250 ok", "time": NOW},
        }
        told = self.run_("queue", "show", "7").stdout
        self.assertIn("delivered", told)
        self.assertIn("250 ok", told)
        self.assertIn("2001-09-09", told)

    def test_missing(self) -> None:
        """
        What is not there is a failure.
        """
        done = self.run_("queue", "show", "9", code=1)
        self.assertIn("There is no 9 in the queue", done.stderr)

    def test_json(self) -> None:
        """
        The document is the API's.
        """
        self.answers["GET queue/7"] = entry()
        self.assertEqual(self.runJSON("queue", "show", "7"), entry())

    def test_content(self) -> None:
        """
        In a pipe the content is as it is.
        """
        self.answers["GET queue/7/content"] = [b"A: b\r\n\r\n\x1b", b"[31m\xff\r\n"]
        from click.testing import CliRunner

        from relaymail.cli.main import main

        done = CliRunner().invoke(main, ["queue", "show", "7", "--content"])
        self.assertEqual(done.stdout_bytes, b"A: b\r\n\r\n\x1b[31m\xff\r\n")
        self.run_("queue", "show", "7", "--content", "--json", code=2)

    def test_contentShown(self) -> None:
        """
        On a terminal it is made safe.
        """
        self.patch(listing, "isTerminal", lambda: True)
        self.answers["GET queue/7/content"] = [b"A: b\r\n c\r\n\r", b"\n\x1b[31mx"]
        told = self.run_("queue", "show", "7", "--content").stdout
        self.assertEqual(told, "A: b\n c\n\n[31mx\n")

    def test_hostile(self) -> None:
        """
        What others wrote is safe to see.
        """
        standing = {"state": HOSTILE, "why": HOSTILE, "until": None}
        self.answers["GET queue/7"] = entry(
            reply=HOSTILE, sender=HOSTILE, header=HOSTILE, standing=standing
        )
        self.run_("queue", "show", "7")
        self.answers["GET queue/7"] = {
            "id": HOSTILE,
            "state": HOSTILE,
            "outcome": {HOSTILE: HOSTILE},
        }
        self.run_("queue", "show", "7")
