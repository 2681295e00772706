# -*- test-case-name: relaymail.test.outcome.test_notices -*-
"""
The second part of a notice: the same for programs (RFC 3464 2), also where
addresses are not ASCII (RFC 6533 3).
"""

from __future__ import annotations

import re

from relaymail.outcome.fields import dated, folded, plain
from relaymail.outcome.news import News, Notice, Told
from relaymail.outcome.verdicts import EXPIRED_STATUS
from relaymail.outcomes import Bounce
from relaymail.replies import Reply

_STATUS = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}\Z")
#: RFC 3463 2, 3.1: what each is where nothing better is known.
_UNKNOWN = {
    News.FAILED: "5.0.0",
    News.DELAYED: "4.0.0",
    News.RELAYED: "2.0.0",
    News.DELIVERED: "2.0.0",
}


def reportOf(notice: Notice) -> list[str]:
    """
    Write the part for programs.

    @return: Its lines, without their ends.
    """
    lines: list[str] = []
    if notice.parameters.envid:
        # RFC 3461 6.3: not as xtext.
        lines += folded("Original-Envelope-Id", notice.parameters.envid)
    lines += folded("Reporting-MTA", f"dns; {notice.reportingHost}")
    lines.append(f"Arrival-Date: {dated(notice.arrived)}")
    for told in notice.told:
        lines += ["", *_recipient(told, notice)]
    return lines


def _recipient(told: Told, notice: Notice) -> list[str]:
    """
    Write the fields for one recipient (RFC 3464 2.3).
    """
    outcome = told.outcome
    lines: list[str] = []
    kind, _, address = told.orcpt.partition(";")
    if address:
        lines += folded("Original-Recipient", f"{kind};{address}")
    kind = "rfc822" if told.recipient.isascii() else "utf-8"
    lines += [
        *folded("Final-Recipient", f"{kind}; {told.recipient}"),
        f"Action: {notice.news.value}",
        f"Status: {_status(told, notice.news)}",
    ]
    if outcome.host:
        lines += folded("Remote-MTA", f"dns; {outcome.host}")
    elif outcome.address:
        lines += folded("Remote-MTA", f"dns; [{outcome.address}]")
    if outcome.evidence is not None:
        # RFC 3464 2.3.6: only what an SMTP peer said is of type smtp.
        kind = "smtp" if isinstance(outcome.evidence, Reply) else "X-Relaymail"
        lines += folded("Diagnostic-Code", f"{kind}; {plain(outcome.text)}")
    lines.append(f"Last-Attempt-Date: {dated(notice.now)}")
    if told.until is not None:
        lines.append(f"Will-Retry-Until: {dated(told.until)}")
    return lines


def _status(told: Told, news: News) -> str:
    """
    Give the status, whose class must be that of the news (RFC 3464 2.3.4), but for
    what only had no more time.
    """
    status = told.outcome.status
    if isinstance(told.outcome, Bounce) and told.outcome.expired:
        return EXPIRED_STATUS
    fits = _STATUS.match(status) and (
        news is News.FAILED or status[0] == _UNKNOWN[news][0]
    )
    return status if fits else _UNKNOWN[news]
