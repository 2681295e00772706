# -*- test-case-name: relaymail.test.queue.test_records -*-
"""
What the directory queue knows of a name beyond its envelope, as it stands in
NAME-S: one JSON object.  And what a journal says is to be finished.

A record that cannot be understood is as good as none: the name is due at once
and its attempts begin at 0 again.  It never costs the mail.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from relaymail.envelopes import (
    NO_ORIGIN,
    NO_PARAMETERS,
    NOTHING_SAID,
    Origin,
    Parameters,
    RecipientParameters,
)
from relaymail.queue.said import (
    fieldsOf,
    fieldsOfRecipient,
    originIn,
    originText,
    parametersIn,
    recipientParametersIn,
    seconds,
)
from relaymail.replies import printable

#: The longest record that is looked at, in bytes: some numbers and words, a text of
#: at most L{relaymail.replies.MAX_TEXT} characters, and what MAIL and RCPT said and
#: where it came from, of at most L{relaymail.queue.said.MAX_ORCPT} each, escaped.
MAX_RECORD = 32 * 1024
#: The longest journal that is looked at, in bytes: more than a batch writes,
#: 200 changes of messages with 10 000 recipients each.
MAX_JOURNAL = 256 * 1024 * 1024
#: More attempts than any schedule makes; a larger count is damage.
MAX_ATTEMPTS = 1_000_000
#: The longest enhanced status (RFC 3463 2) is C{5.999.999}.
MAX_STATUS = 9

#: The subdirectory for what cannot be used.
ASIDE = "aside"
#: What is in the directory besides, and no mail: the socket where the relay is asked,
#: the tokens of smart hosts, the policies of other domains, and what is counted for
#: reports to them.
OTHERS = frozenset({ASIDE, "control", "tokens", "sts", "tls-reports"})

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}\Z")
_OWN = re.compile(r"-(?:[HCS]|T\d+|J0?)\Z")
_STATEMENT = re.compile(r"-T\d+\Z")


@dataclass(frozen=True, slots=True)
class Record:
    """
    Where a name stands.

    @ivar arrived: When the message was accepted, in seconds.
    @ivar due: When it is to be tried, in seconds.
    @ivar attempts: How many attempts were begun.
    @ivar claimed: Whether C{due} is only the end of a lease, which is void
        when the process that took it has gone.
    @ivar status: The enhanced status of the last outcome, or empty.
    @ivar text: What was said last, or empty.
    @ivar parameters: What MAIL said beyond the sender.
    @ivar recipientParameters: What RCPT said beyond the recipient.
    @ivar isTold: Whether the sender was told that it is late.
    @ivar origin: Where the message came in from.
    """

    arrived: float
    due: float
    attempts: int = 0
    claimed: bool = False
    status: str = ""
    text: str = ""
    parameters: Parameters = NO_PARAMETERS
    recipientParameters: RecipientParameters = NOTHING_SAID
    isTold: bool = False
    origin: Origin = NO_ORIGIN


@dataclass(frozen=True, slots=True)
class Journal:
    """
    A change of several names that was decided and is to be finished.

    @ivar arrive: The names whose content is to be renamed into place.
    @ivar leave: The names that are to go.
    @ivar tell: The drafts of records that say that somebody was told: each is to be
        renamed to what it is a draft of.
    """

    arrive: tuple[str, ...] = ()
    leave: tuple[str, ...] = ()
    tell: tuple[str, ...] = ()


def isName(name: str) -> bool:
    """
    Tell whether a queue may have a name like this: no path, nothing hidden,
    no character that a log or a shell would trip over.
    """
    return _NAME.match(name) is not None


def isOwnFile(file: str) -> bool:
    """
    Tell whether a queue makes files of a name like this, contents that were taken
    excepted.
    """
    return _OWN.search(file) is not None and isName(file)


def recordOf(draft: str) -> str | None:
    """
    Give the record that a draft becomes, or L{None} for what is no draft of one.
    """
    name = _STATEMENT.sub("", draft)
    return f"{name}-S" if name != draft and isName(name) else None


def formatRecord(record: Record) -> bytes:
    """
    Write a record.

    @return: One line of JSON, at most L{MAX_RECORD} bytes.
    """
    fields: dict[str, Any] = {
        "arrived": record.arrived,
        "due": record.due,
        "attempts": record.attempts,
    }
    if record.claimed:
        fields["claimed"] = True
    if record.status or record.text:
        fields["status"] = record.status
        fields["text"] = printable(record.text)
    fields.update(fieldsOf(record.parameters))
    fields.update(fieldsOfRecipient(record.recipientParameters))
    if record.isTold:
        fields["told"] = True
    if record.origin != NO_ORIGIN:
        fields["origin"] = originText(record.origin)
    return json.dumps(fields).encode("ascii") + b"\n"


def parseRecord(data: bytes) -> Record | None:
    """
    Read a record.

    @return: It, or L{None} where it is damaged and counts as missing.
    """
    fields = _object(data, MAX_RECORD)
    arrived = seconds(fields.get("arrived"))
    due = seconds(fields.get("due"))
    attempts = fields.get("attempts")
    if arrived is None or due is None:
        return None
    if type(attempts) is not int or not 0 <= attempts <= MAX_ATTEMPTS:
        return None
    return Record(
        arrived,
        due,
        attempts,
        fields.get("claimed") is True,
        _text(fields.get("status"))[:MAX_STATUS],
        _text(fields.get("text")),
        parametersIn(fields),
        recipientParametersIn(fields),
        fields.get("told") is True,
        originIn(fields.get("origin")),
    )


def formatJournal(journal: Journal) -> bytes:
    """
    Write a journal.
    """
    fields = {"arrive": journal.arrive, "leave": journal.leave}
    if journal.tell:
        fields["tell"] = journal.tell
    return json.dumps(fields).encode("ascii") + b"\n"


def parseJournal(data: bytes) -> Journal | None:
    """
    Read a journal.

    @return: It, or L{None} where it is damaged.
    """
    fields = _object(data, MAX_JOURNAL)
    arrive, leave = _names(fields.get("arrive")), _names(fields.get("leave"))
    # One that was written before there was this has none.
    tell = _names(fields.get("tell", []))
    if arrive is None or leave is None or tell is None:
        return None
    return Journal(arrive, leave, tell) if all(map(recordOf, tell)) else None


def _object(data: bytes, limit: int) -> Mapping[str, Any]:
    if len(data) > limit:
        return {}
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _text(value: object) -> str:
    return printable(value) if isinstance(value, str) else ""


def _names(value: object) -> tuple[str, ...] | None:
    if not isinstance(value, list):
        return None
    if not all(isinstance(name, str) and isName(name) for name in value):
        return None
    return tuple(value)
