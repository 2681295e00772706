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

(in one line).  Write it with C{log.info(OUTCOME_FORMAT,
**OutcomeLines(outcome).fields(...))}.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

from relaymail.outcomes import Bounce, Delivered, Outcome, Removed, Retry
from relaymail.replies import MAX_TEXT, printable

#: The format for L{twisted.logger}, for the fields of L{OutcomeLines}.  The
#: line is one field, made once: a logger fills in each field of a format by
#: itself, which cost more than everything else about the line.
OUTCOME_FORMAT = "{line}"
#: What stands where there is nothing to say.
NOTHING = "-"
#: The last second that a date can show, at the end of the year 9999.
MAX_TIME = 253_402_300_799.0

# How many hosts, addresses and such are remembered as they stand in a line.
_REMEMBERED = 256
_BARE = re.compile(r'[^\s"\\]+\Z')
_BARE_PATH = re.compile(r'[^\s"\\<>]*\Z')
# What nearly every address is: printable ASCII that needs no quotes, and not
# too long to be shown.
_PLAIN_PATH = re.compile(rf"[!#-;=?-\[\]-~]{{0,{MAX_TEXT}}}\Z")
_WORDS: dict[type[Outcome], str] = {
    Delivered: "delivered",
    Retry: "retry",
    Bounce: "bounced",
    Removed: "removed",
}


class OutcomeLines:
    """
    The lines of the names that share an outcome, such as those of one
    transaction: what they have in common is made once.

    @ivar outcome: What became of the names.
    """

    __slots__ = ("_ambiguous", "_beforeDelay", "_shared", "outcome")

    def __init__(self, outcome: Outcome) -> None:
        """
        @param outcome: What became of the names.
        """
        self.outcome = outcome
        self._shared = shared = {
            "outcome": _word(outcome),
            "host": _usual(outcome.host),
            "address": _usual(outcome.address),
            "tls": _usual(outcome.tls),
            "status": _usual(outcome.status),
            # It is printable already.
            "reply": _quoted(outcome.text),
        }
        self._beforeDelay = "host={host} address={address} tls={tls}".format(**shared)
        isAmbiguous = isinstance(outcome, Retry) and outcome.ambiguous
        self._ambiguous = " ambiguous=yes" if isAmbiguous else ""

    def fields(
        self,
        name: str,
        sender: str,
        recipient: str,
        delay: float,
        attempts: int,
        nextTime: float | None = None,
    ) -> dict[str, object]:
        """
        Give the named fields of the line of one name.  All text in them is
        safe to show.

        @param name: The name in the queue.
        @param sender: The reverse-path.
        @param recipient: The forward-path.
        @param delay: How long the message has been here, in seconds.
        @param attempts: How many attempts were made.
        @param nextTime: When it is tried again, in seconds of the epoch, if it
            is.

        @return: The fields, for L{OUTCOME_FORMAT}, and the whole line as
            C{line}.
        """
        shared = self._shared
        at = f" next={_stamp(nextTime)}" if nextTime is not None else ""
        name, more = _value(name), at + self._ambiguous
        sender, recipient = _path(sender), _path(recipient)
        line = (
            f"{shared['outcome']} id={name} from={sender} to={recipient} "
            f"{self._beforeDelay} delay={delay:.1f} attempts={attempts} "
            f"status={shared['status']}{more} reply={shared['reply']}"
        )
        return {
            **shared,
            "id": name,
            "sender": sender,
            "recipient": recipient,
            "delay": delay,
            "attempts": attempts,
            "more": more,
            "line": line,
        }


def _word(outcome: Outcome) -> str:
    if isinstance(outcome, Bounce) and outcome.expired:
        return "expired"
    if isinstance(outcome, Removed) and outcome.isDiscarded:
        return "discarded"
    return _WORDS.get(type(outcome), "settled")


def _stamp(seconds: float) -> str:
    bounded = int(min(max(0.0, seconds), MAX_TIME))
    return datetime.fromtimestamp(bounded, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _value(text: str) -> str:
    if text.isalnum() and len(text) <= MAX_TEXT:
        # As most names are, and it tells without a search.
        return text
    safe = printable(text)
    if not safe:
        return NOTHING
    return safe if _BARE.match(safe) and safe != NOTHING else _quoted(safe)


# For what is the same in the lines of many names.
_usual = lru_cache(maxsize=_REMEMBERED)(_value)


def _path(address: str) -> str:
    if _PLAIN_PATH.match(address):
        return f"<{address}>"
    safe = printable(address)
    path = f"<{safe}>"
    return path if _BARE_PATH.match(safe) else _quoted(path)


def _quoted(safe: str) -> str:
    escaped = safe.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
