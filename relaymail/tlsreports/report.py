# -*- test-case-name: relaymail.test.tlsreports.test_report -*-
"""
A report: what a domain is told of a day (RFC 8460 4).
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from relaymail.protections import Applied, PolicyKind
from relaymail.tlsreports.counting import DAY, Failure, Tallies, Tally

#: The type of a report's content (RFC 8460 5.4, 6.4).
KIND = "application/tlsrpt+gzip"
#: The most that a report has before it is packed, in bytes: receivers have bounds.
#: What is beyond is left out, the counts stay.
MAX_REPORT = 5_000_000

_NOT_NAME = re.compile(r"[^A-Za-z0-9.-]+")


@dataclass(frozen=True, slots=True)
class Report:
    """
    A report.

    @ivar domain: The domain that it is of.
    @ivar begin: When its day began, in seconds of the epoch.
    @ivar submitter: The domain of who reports.
    @ivar contact: How people reach who reports.
    @ivar ident: What tells it from all others.
    @ivar tallies: What became of the sessions, by policy.
    """

    domain: str
    begin: int
    submitter: str
    contact: str
    ident: str
    tallies: Tallies

    @property
    def end(self) -> int:
        """
        When the last second of its day begins, in seconds of the epoch.
        """
        return self.begin + DAY - 1

    @property
    def fileName(self) -> str:
        """
        The name of its file (RFC 8460 5.1).
        """
        words = (self.submitter, self.domain, str(self.begin), str(self.end))
        name = "!".join(_NOT_NAME.sub("-", word) for word in words)
        return f"{name}!{_NOT_NAME.sub('-', self.ident)}.json.gz"


def documentOf(report: Report) -> dict[str, Any]:
    """
    Give a report as the JSON object of RFC 8460 4.4.
    """
    return {
        "organization-name": report.submitter,
        "date-range": {
            "start-datetime": _moment(report.begin),
            "end-datetime": _moment(report.end),
        },
        "contact-info": report.contact,
        "report-id": report.ident,
        "policies": [_policy(*each, report.domain) for each in report.tallies.items()],
    }


def packed(report: Report) -> bytes:
    """
    Give a report as it is sent.
    """
    document = documentOf(report)
    data = json.dumps(document).encode("ascii")
    if len(data) > MAX_REPORT:
        for policy in document["policies"]:
            policy["failure-details"] = policy.get("failure-details", [])[:1]
        data = json.dumps(document).encode("ascii")
    # No time of packing is in it: one report is always the same bytes.
    return gzip.compress(data, mtime=0)


def _policy(policy: Applied, tally: Tally, domain: str) -> Mapping[str, Any]:
    said: dict[str, Any] = {"policy-type": policy.kind.value}
    if policy.kind is not PolicyKind.NONE:
        said["policy-string"] = list(policy.lines)
    said["policy-domain"] = policy.domain or domain
    if policy.patterns:
        said["mx-host"] = list(policy.patterns)
    told: dict[str, Any] = {
        "policy": said,
        "summary": {
            "total-successful-session-count": tally.fine,
            "total-failure-session-count": tally.failures,
        },
    }
    if tally.failed:
        told["failure-details"] = [_failure(*each) for each in tally.failed.items()]
    return told


def _failure(failure: Failure, count: int) -> dict[str, Any]:
    fields = {
        "result-type": failure.result.value,
        "sending-mta-ip": failure.ownAddress,
        "receiving-mx-hostname": failure.host,
        "receiving-mx-helo": failure.helo,
        "receiving-ip": failure.address,
        "failure-reason-code": failure.why,
    }
    told: dict[str, Any] = {name: value for name, value in fields.items() if value}
    told["failed-session-count"] = count
    return told


def _moment(at: int) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"
