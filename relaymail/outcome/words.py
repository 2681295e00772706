# -*- test-case-name: relaymail.test.outcome.test_notices -*-
"""
The first part of a notice: words for people (RFC 6522 3).
"""

from __future__ import annotations

import textwrap

from relaymail.outcome.fields import FOLD, dated, plain
from relaymail.outcome.news import News, Notice, Told
from relaymail.outcome.verdicts import LATE_STATUS
from relaymail.outcomes import Bounce, Outcome
from relaymail.replies import Reply

#: What the notice is about.
SUBJECTS = {
    News.FAILED: "Your message could not be delivered",
    News.DELAYED: "Your message is delayed",
    News.RELAYED: "Your message was passed on",
    News.DELIVERED: "Your message was delivered",
}
_TOLD = {
    News.FAILED: "could not be delivered to the recipients below. It will not be "
    "tried again for them.",
    News.DELAYED: "could not be delivered to the recipients below yet. It is being "
    "tried again: there is no need to send it once more.",
    News.RELAYED: "was passed on to the next mail system for the recipients below. "
    "You may not be told when that has delivered it.",
    News.DELIVERED: "was delivered to the recipients below.",
}


def wordsOf(notice: Notice) -> list[str]:
    """
    Write the part for people.

    @return: Its lines, without their ends.
    """
    host = plain(notice.reportingHost)
    told = (
        f"This is the mail relay {host}. Your message, which arrived here on "
        f"{dated(notice.arrived)}, {_TOLD[notice.news]}"
    )
    lines = textwrap.wrap(told, FOLD)
    for each in notice.told:
        lines += ["", f"<{plain(each.recipient)}>"]
        lines += [f"    {line}" for line in _reason(each)]
    lines += ["", "What follows is the same for programs, and your message."]
    return lines


def _reason(told: Told) -> list[str]:
    outcome, lines = told.outcome, list[str]()
    if isinstance(outcome, Bounce) and outcome.expired:
        lines.append("was tried for too long; this is what was heard last:")
    elif outcome.status == LATE_STATUS:
        lines.append("was not delivered by the time that was asked for:")
    if isinstance(outcome.evidence, Reply):
        lines.append(f"{_host(outcome)} answered, while {outcome.phase.value}:")
    elif outcome.host or outcome.address:
        lines.append(f"the host was {_host(outcome)}, and the trouble:")
    lines.append(plain(outcome.text) or f"failed while {outcome.phase.value}")
    if told.until is not None:
        lines.append(f"is tried until {dated(told.until)}")
    return lines


def _host(outcome: Outcome) -> str:
    name, address = plain(outcome.host), plain(outcome.address)
    if name and address and name != address:
        return f"{name} ({address})"
    return name or address or "the host"
