"""
Tests for L{relaymail.tlsreports.report}.
"""

from __future__ import annotations

import gzip
import json

from twisted.trial.unittest import SynchronousTestCase

from relaymail.protections import TLSResult, TLSSession
from relaymail.test.tlsreports.samples import DANE, MARCH, NONE, STS, session
from relaymail.tlsreports import report as reporting
from relaymail.tlsreports.counting import Day
from relaymail.tlsreports.report import Report, documentOf, packed


def sample(*sessions: TLSSession) -> Report:
    """
    Make a report of some sessions.
    """
    day = Day(MARCH)
    for each in sessions:
        day.note(each)
    tallies = day.domains["example.org"]
    whose = ("relay.example", "mailto:tls@relay.example", "1.example.org")
    return Report("example.org", MARCH, *whose, tallies)


class ReportTests(SynchronousTestCase):
    """
    Reports are the objects of RFC 8460 4.4.
    """

    def test_document(self) -> None:
        """
        It has who reports, of which day, and under each policy what went well and
        what did not.
        """
        failed = session(STS, result=TLSResult.EXPIRED, why="in May")
        document = documentOf(sample(session(STS), session(STS), failed, failed))
        self.assertEqual(
            document,
            {
                "organization-name": "relay.example",
                "date-range": {
                    "start-datetime": "2026-03-01T00:00:00Z",
                    "end-datetime": "2026-03-01T23:59:59Z",
                },
                "contact-info": "mailto:tls@relay.example",
                "report-id": "1.example.org",
                "policies": [
                    {
                        "policy": {
                            "policy-type": "sts",
                            "policy-string": list(STS.lines),
                            "policy-domain": "example.org",
                            "mx-host": ["*.example.org"],
                        },
                        "summary": {
                            "total-successful-session-count": 2,
                            "total-failure-session-count": 2,
                        },
                        "failure-details": [
                            {
                                "result-type": "certificate-expired",
                                "sending-mta-ip": "198.51.100.1",
                                "receiving-mx-hostname": "mx.example.org",
                                "receiving-mx-helo": "mx.example.org",
                                "receiving-ip": "192.0.2.25",
                                "failed-session-count": 2,
                                "failure-reason-code": "in May",
                            }
                        ],
                    }
                ],
            },
        )

    def test_policies(self) -> None:
        """
        TLSA records are those of a host; where there is no policy none is said.
        """
        told = documentOf(sample(session(DANE), session(NONE)))["policies"]
        self.assertEqual(
            [each["policy"] for each in told],
            [
                {
                    "policy-type": "tlsa",
                    "policy-string": ["3 1 1 00ff"],
                    "policy-domain": "mx.example.org",
                },
                {"policy-type": "no-policy-found", "policy-domain": "example.org"},
            ],
        )
        self.assertNotIn("failure-details", told[0])

    def test_packed(self) -> None:
        """
        It is sent as JSON, packed, and the same report is always the same bytes.
        """
        report = sample(session(STS))
        data = packed(report)
        self.assertEqual(json.loads(gzip.decompress(data)), documentOf(report))
        self.assertEqual(packed(sample(session(STS))), data)

    def test_tooLarge(self) -> None:
        """
        Of one that is too large the counts stay.
        """
        failures = [
            session(STS, result=TLSResult.FAILED, why=str(n) * 20) for n in range(9)
        ]
        self.patch(reporting, "MAX_REPORT", 1000)
        (told,) = json.loads(gzip.decompress(packed(sample(*failures))))["policies"]
        self.assertEqual(told["summary"]["total-failure-session-count"], 9)
        self.assertEqual(len(told["failure-details"]), 1)

    def test_fileName(self) -> None:
        """
        Its file is named as RFC 8460 5.1 says, and by nothing else.
        """
        self.assertEqual(
            sample(session()).fileName,
            "relay.example!example.org!1772323200!1772409599!1.example.org.json.gz",
        )
        odd = Report("a/../b\r\n", MARCH, "me", "", "x y", {})
        self.assertEqual(odd.fileName, "me!a-..-b-!1772323200!1772409599!x-y.json.gz")
