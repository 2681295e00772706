"""
Tests for L{relaymail.tlsreports.service}: a relay reports.
"""

from __future__ import annotations

from pathlib import Path

from relaymail.configuration import configure
from relaymail.protections import TLSResult
from relaymail.test.test_reload import ReloadTestCase
from relaymail.test.tlsreports.samples import session
from relaymail.tlsreports.reporter import LOOK
from relaymail.tlsreports.service import Reports, submitterOf


class SubmitterTests(ReloadTestCase):
    """
    Who reports.
    """

    def test_who(self) -> None:
        """
        Whoever is named, else the postmaster, and nobody where there is no such
        address or it is not wanted.
        """
        for settings, sender in (
            ({"hostname": "relay.example.com"}, "postmaster@relay.example.com"),
            ({"hostname": "relay"}, ""),
            (
                {"hostname": "relay", "tlsReportContact": "tls@b.example"},
                "tls@b.example",
            ),
            ({"hostname": "relay.example.com", "tlsReports": False}, ""),
        ):
            told = configure(queue="spool", smtp=(), **settings)
            found = submitterOf(told)
            self.assertEqual("" if found is None else found.sender, sender, settings)
            if found is not None:
                self.assertEqual(found.contact, f"mailto:{sender}")
                self.assertEqual(found.domain, sender.partition("@")[2])


class ReportsTests(ReloadTestCase):
    """
    From the start of a relay to its end.
    """

    def test_A08_besideTheQueue(self) -> None:
        """
        What is counted is kept beside the queue, which takes it for none of its own,
        and is there when the relay starts again.
        """
        for queue in (self.directory, f"directory:{self.directory}2"):
            relay = self.running(queue=queue)
            relay.manager.onTLSSession(session(result=TLSResult.FAILED))
            relay.queue.readDirectory()
            self.stop(relay)
            self.assertIsNone(relay.manager.onTLSSession)
            found = list(Path(relay.reports._directory.path).iterdir())
            self.assertEqual(len(found), 1)
            again = self.running(queue=queue)
            reporter = again.reports.reporter
            assert reporter is not None
            self.assertIn(
                "example.org",
                {d for day, _ in reporter._over.values() for d in day.domains}
                | set(reporter._day.domains),
            )
            self.stop(again)
            self.assertEqual(self.flushLoggedErrors(), [])

    def test_notWanted(self) -> None:
        """
        Where it is not wanted nobody listens.
        """
        relay = self.running(tlsReports=False)
        self.assertIsNone(relay.reports.reporter)
        self.assertIsNone(relay.manager.onTLSSession)
        self.stop(relay)

    def test_sends(self) -> None:
        """
        Reports are given to the relay's own queue.
        """
        relay = self.running()
        self.assertIsInstance(relay.reports, Reports)
        content = b"Subject: x\r\n\r\n"
        sent = relay.reports._send("a@b.example", ["c@d.example"], content)
        self.reactor.advance(0)
        self.assertEqual(len(self.successResultOf(sent)), 1)
        self.stop(relay)

    def test_reload(self) -> None:
        """
        Other name servers are asked from then on.
        """
        relay = self.running()
        reporter = relay.reports.reporter
        assert reporter is not None
        self.reload(relay, self.told(dns="192.0.2.53:53"))
        self.assertIs(reporter.resolver, relay.manager.mxcalc.resolver)
        self.reactor.advance(LOOK)
        self.stop(relay)
