"""
Tests for L{relaymail.tlsreports.mailing}.
"""

from __future__ import annotations

import gzip
import json
from email import message_from_bytes, policy

from twisted.trial.unittest import SynchronousTestCase

from relaymail.protections import TLSResult
from relaymail.test.tlsreports.samples import MARCH, STS, session
from relaymail.test.tlsreports.test_report import sample
from relaymail.tlsreports.counting import DAY
from relaymail.tlsreports.mailing import messageOf
from relaymail.tlsreports.report import documentOf


class MessageTests(SynchronousTestCase):
    """
    A report as a message (RFC 8460 5.3).
    """

    def test_message(self) -> None:
        """
        It has the fields and parts that it is to have; what reads mail finds the
        report in it.
        """
        report = sample(session(STS), session(STS, result=TLSResult.EXPIRED))
        data = messageOf(report, "tls@relay.example", "rpt@example.org", MARCH + DAY)
        self.assertTrue(data.isascii())
        self.assertNotIn(b"\n", data.replace(b"\r\n", b""))
        self.assertTrue(all(len(line) < 998 for line in data.split(b"\r\n")))
        message = message_from_bytes(data, policy=policy.SMTP)
        self.assertEqual(message["From"], "tls@relay.example")
        self.assertEqual(message["To"], "rpt@example.org")
        self.assertEqual(
            message["Subject"],
            "Report Domain: example.org Submitter: relay.example "
            "Report-ID: <1.example.org@relay.example>",
        )
        self.assertEqual(message["TLS-Report-Domain"], "example.org")
        self.assertEqual(message["TLS-Report-Submitter"], "relay.example")
        self.assertEqual(message["TLS-Required"], "No")
        self.assertEqual(message["Date"], "Mon, 02 Mar 2026 00:00:00 +0000")
        self.assertEqual(message.get_content_type(), "multipart/report")
        self.assertEqual(message.get_param("report-type"), "tlsrpt")
        words, attached = message.iter_parts()  # type: ignore[attr-defined]
        self.assertIn("Not so: 1", words.get_content())
        self.assertEqual(attached.get_content_type(), "application/tlsrpt+gzip")
        self.assertEqual(attached.get_filename(), report.fileName)
        found = json.loads(gzip.decompress(attached.get_content()))
        self.assertEqual(found, documentOf(report))
