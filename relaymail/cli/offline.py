# -*- test-case-name: relaymail.test.cli.test_offline -*-
"""
What is in a spool, in the documents of the API, while no relay runs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from relaymail.cli.troubles import CommandError, ServiceDown
from relaymail.cli.words import now
from relaymail.inspection import AGE_BOUNDS, AgeRow, DestinationCount, Listed, Selection
from relaymail.queue.spool.survey import Survey


class Offline:
    """
    Reads a spool, and never writes there.

    @ivar path: Where it is.
    """

    def __init__(self, path: str, why: str = "") -> None:
        """
        @param path: Where it is.
        @param why: Why the relay is not asked.

        @raise ServiceDown: When it is not there either.
        """
        self.path = path
        if not os.path.exists(path):
            raise ServiceDown(
                f"{why} There is no spool at {path} to be read either.".strip()
            )
        self._survey = Survey(path)

    def page(self, selection: Selection, limit: int, after: str | None) -> Any:
        """
        Give some entries.
        """
        try:
            page = self._survey.look(selection, limit, after)
        except ValueError as e:
            raise CommandError(f"--after takes the NEXT of a list before: {e}.") from e
        return {
            "entries": [entryOf(each) for each in page.entries],
            "next": page.next,
            "complete": page.isComplete,
        }

    def entry(self, name: str) -> Any:
        """
        Give an entry, or L{None}.
        """
        found = self._survey.entry(name)
        return None if found is None else entryOf(found)

    def destinations(self, limit: int) -> Any:
        """
        Give the largest destinations.
        """
        rows, count = self._survey.destinations(limit)
        suspended = self._survey.suspensions()
        return {
            "destinations": [_destination(row, suspended) for row in rows],
            "count": count,
        }

    def top(self, limit: int) -> Any:
        """
        Give what is queued, by destination and age.
        """
        shape = self._survey.shape(limit)
        return {
            "time": now(),
            "bounds": list(AGE_BOUNDS),
            "sampled": shape.isSampled,
            "rows": [_ages(row) for row in shape.rows],
            "total": _ages(shape.total),
        }

    def status(self) -> Any:
        """
        Give how much is queued.
        """
        return {
            "state": "not running",
            "queue": f"spool:{self.path}",
            "queued": self._survey.shape(1).total.total,
            "totals": self._survey.totals(),
        }


def entryOf(listed: Listed) -> dict[str, Any]:
    """
    Give an entry as the API does.
    """
    return {
        "id": listed.name,
        "message": listed.message,
        "sender": listed.sender,
        "recipient": listed.recipient,
        "destination": listed.destination,
        "size": listed.size,
        "arrived": listed.arrived,
        "attempts": listed.attempts,
        "due": listed.due,
        "state": listed.state.value,
        "status": listed.status,
        "reply": listed.reply,
        "why": listed.why,
        "parameters": listed.parameters,
        "client": listed.origin.host,
        "user": listed.origin.user,
        "released": listed.isReleased,
    }


def _destination(row: DestinationCount, suspended: Mapping[str, str]) -> dict[str, Any]:
    known = {
        "name": row.name,
        "queued": row.queued,
        "resting": row.resting,
        "held": row.held,
    }
    if row.name in suspended:
        known |= {"state": "suspended", "why": suspended[row.name]}
    return known


def _ages(row: AgeRow) -> dict[str, Any]:
    return {"name": row.name, "total": row.total, "ages": list(row.ages)}
