# -*- test-case-name: relaymail.test.outcome.test_lines -*-
"""
The one log line per outcome.

It is C{key=value} all through, for people with C{grep} and for programs; a
value with a space, a double quote or a backslash in it is in double quotes,
with backslashes before those two, and none holds a control
character or a line end, whatever a remote said::

    delivered id=7 from=<a@b.example> to=<c@d.example> host=mx1.d.example
    address=192.0.2.1 tls=TLSv1.3 delay=0.8 attempts=1 status=2.0.0
    reply="250 2.0.0 Ok"

(in one line).  Write it with C{log.info(OUTCOME_FORMAT, **outcomeFields(...))}.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from relaymail.outcomes import Bounce, Delivered, Outcome, Removed, Retry
from relaymail.replies import printable

#: The format for L{twisted.logger}, for the fields of L{outcomeFields}.  The
#: line is one field, made once: a logger fills in each field of a format by
#: itself, which cost more than everything else about the line.
OUTCOME_FORMAT = "{line}"
_LINE = (
    "{outcome} id={id} from={sender} to={recipient} host={host} "
    "address={address} tls={tls} delay={delay:.1f} attempts={attempts} "
    "status={status}{more} reply={reply}"
)
#: What stands where there is nothing to say.
NOTHING = "-"
#: The last second that a date can show, at the end of the year 9999.
MAX_TIME = 253_402_300_799.0

_BARE = re.compile(r'[^\s"\\]+\Z')
_BARE_PATH = re.compile(r'[^\s"\\<>]*\Z')
_WORDS: dict[type[Outcome], str] = {
    Delivered: "delivered",
    Retry: "retry",
    Bounce: "bounced",
    Removed: "removed",
}


def outcomeFields(
    name: str,
    sender: str,
    recipient: str,
    outcome: Outcome,
    delay: float,
    attempts: int,
    nextTime: float | None = None,
) -> dict[str, object]:
    """
    Give the named fields of an outcome's log line.  All text in them is
    safe to show.

    @param name: The name in the queue.
    @param sender: The reverse-path.
    @param recipient: The forward-path.
    @param outcome: What became of the name.
    @param delay: How long the message has been here, in seconds.
    @param attempts: How many attempts were made.
    @param nextTime: When it is tried again, in seconds of the epoch, if it is.

    @return: The fields, for L{OUTCOME_FORMAT}, and the whole line as C{line}.
    """
    fields: dict[str, object] = {
        "outcome": _word(outcome),
        "id": _value(name),
        "sender": _path(sender),
        "recipient": _path(recipient),
        "host": _value(outcome.host),
        "address": _value(outcome.address),
        "tls": _value(outcome.tls),
        "delay": delay,
        "attempts": attempts,
        "status": _value(outcome.status),
        "more": _more(outcome, nextTime),
        "reply": _quoted(printable(outcome.text)),
    }
    fields["line"] = _LINE.format_map(fields)
    return fields


def _word(outcome: Outcome) -> str:
    if isinstance(outcome, Bounce) and outcome.expired:
        return "expired"
    return _WORDS.get(type(outcome), "settled")


def _more(outcome: Outcome, nextTime: float | None) -> str:
    more = f" next={_stamp(nextTime)}" if nextTime is not None else ""
    if isinstance(outcome, Retry) and outcome.ambiguous:
        more += " ambiguous=yes"
    return more


def _stamp(seconds: float) -> str:
    bounded = int(min(max(0.0, seconds), MAX_TIME))
    return datetime.fromtimestamp(bounded, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _value(text: str) -> str:
    safe = printable(text)
    if not safe:
        return NOTHING
    return safe if _BARE.match(safe) and safe != NOTHING else _quoted(safe)


def _path(address: str) -> str:
    safe = printable(address)
    path = f"<{safe}>"
    return path if _BARE_PATH.match(safe) else _quoted(path)


def _quoted(safe: str) -> str:
    escaped = safe.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
