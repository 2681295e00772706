# -*- test-case-name: relaymail.test.admin.test_views -*-
"""
What is known, as documents: plain values in which all text from outside is one
printable line, whoever shows it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from relaymail.alarms import Alarm
from relaymail.inspection import (
    AGE_BOUNDS,
    AgeRow,
    DestinationCount,
    Listed,
    Page,
    Shape,
)
from relaymail.replies import printable
from relaymail.schedule.paces import Standing

#: How much of a header is shown, in octets, and in lines.
MAX_HEADER = 16384
MAX_HEADER_LINES = 200
#: How long a line of it may be, in characters (RFC 5322 2.1.1).
MAX_HEADER_LINE = 998
#: How long the text of an alarm may be, in characters.
MAX_ALARM = 2000

#: How much is shown of what MAIL and RCPT said, in characters: all of it, but for
#: what nobody may say.
MAX_PARAMETERS = 1024

Document = dict[str, Any]


def entryView(entry: Listed) -> Document:
    """
    Show what is known of a name.
    """
    return {
        "id": printable(entry.name),
        "message": printable(entry.message),
        "sender": printable(entry.sender),
        "recipient": printable(entry.recipient),
        "destination": printable(entry.destination),
        "size": entry.size,
        "arrived": entry.arrived,
        "attempts": entry.attempts,
        "due": entry.due,
        "state": entry.state.value,
        "status": printable(entry.status),
        "reply": printable(entry.reply),
        "why": printable(entry.why),
        "parameters": printable(entry.parameters, MAX_PARAMETERS),
        "client": printable(entry.origin.host),
        "user": printable(entry.origin.user),
        "released": entry.isReleased,
    }


def pageView(page: Page) -> Document:
    """
    Show some names.
    """
    return {
        "entries": [entryView(entry) for entry in page.entries],
        "next": page.next,
        "complete": page.isComplete,
    }


def alarmView(alarm: Alarm) -> Document:
    """
    Show an alarm.
    """
    return {
        "key": printable(alarm.key),
        "text": printable(alarm.text, MAX_ALARM),
        "since": alarm.since,
    }


def standingView(standing: Standing) -> Document:
    """
    Show how a destination stands.
    """
    return {
        "state": standing.state.value,
        "why": printable(standing.why),
        "until": standing.until,
        "allowed": standing.allowed,
    }


def destinationView(
    count: DestinationCount, standing: Standing, connections: int
) -> Document:
    """
    Show how much mail a destination has, and how it stands.

    @param connections: How many connections there are to it.
    """
    return {
        "name": printable(count.name),
        "queued": count.queued,
        "resting": count.resting,
        "held": count.held,
        "connections": connections,
        **standingView(standing),
    }


def ageView(row: AgeRow) -> Document:
    """
    Show how old the mail of a destination is.
    """
    return {
        "name": printable(row.name),
        "total": row.total,
        "ages": list(row.ages),
    }


def shapeView(shape: Shape, rows: Iterable[Document]) -> Document:
    """
    Show what is queued, by destination and age.

    @param rows: The destinations.
    """
    return {
        "bounds": list(AGE_BOUNDS),
        "sampled": shape.isSampled,
        "rows": list(rows),
        "total": ageView(shape.total),
    }


def headerView(start: bytes) -> str:
    """
    Show the header of a message (RFC 5322 2.2), its lines printable.

    @param start: The first octets of it.
    """
    lines: list[str] = []
    for line in start[:MAX_HEADER].replace(b"\r\n", b"\n").split(b"\n"):
        if not line or len(lines) >= MAX_HEADER_LINES:
            break
        # What goes on in the next line begins with a space (RFC 5322 2.2.3).
        indent = " " if line[:1] in b" \t" else ""
        lines.append(indent + printable(line, MAX_HEADER_LINE))
    return "\n".join(lines)


def addressView(address: Any) -> str:
    """
    Show an address that is listened on.
    """
    host, port = getattr(address, "host", None), getattr(address, "port", None)
    if host is None:
        return printable(getattr(address, "name", None) or str(address))
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
