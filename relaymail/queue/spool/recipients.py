# -*- test-case-name: relaymail.test.queue.spool.test_rows -*-
"""
A recipient with its message, as the database of a spool has them.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

#: Gives the columns of a L{Row}.
COLUMNS = (
    "SELECT r.id, r.message, r.address, r.destination, r.due, r.attempts, r.lease, "
    "r.status, r.reply, m.recipients, m.sender, m.size, m.body, m.eightbit, "
    "coalesce(r.since, m.arrived), m.content IS NULL, r.held, r.aside, "
    "r.told, m.ret, m.envid, m.utf8, m.requiretls, m.options, r.orcpt, r.notify, "
    "r.origin, r.released "
    "FROM recipient r LEFT JOIN message m ON m.id = r.message "
)
_ONE = COLUMNS + "WHERE r.id = ?"


@dataclass(frozen=True, slots=True)
class Row:
    """
    A recipient with its message, as the database has them.

    @ivar id: The recipient's number.
    @ivar message: The message's.
    @ivar address: The forward-path.
    @ivar destination: Its domain.
    @ivar due: When it is due, in seconds.
    @ivar attempts: How many attempts were begun.
    @ivar lease: Until when it is claimed, in seconds; L{None}: it rests.
    @ivar status: The enhanced status of the last outcome, or empty.
    @ivar reply: What was said last, or empty.
    @ivar recipients: How many recipients the message had; L{None} where there
        is no message.
    @ivar sender: The reverse-path.
    @ivar size: The size of the content, in bytes.
    @ivar body: What MAIL said of it (RFC 6152).
    @ivar eightbit: Whether a byte above 127 is in it.
    @ivar arrived: When it was accepted, in seconds.
    @ivar isApart: Whether the content is in a file of its own.
    @ivar held: Why an operator keeps it back; L{None}: nobody does.
    @ivar aside: Why it was set aside; L{None}: it was not.
    @ivar told: Whether its sender was told that it is late.
    @ivar ret: What else MAIL said of the message, as L{Parameters
        <relaymail.envelopes.Parameters>} have it; so C{envid}, C{utf8} and
        C{requiretls}.
    @ivar options: What MAIL said besides, as JSON.
    @ivar orcpt: What RCPT said, as L{RecipientParameters
        <relaymail.envelopes.RecipientParameters>} have it; so C{notify}.
    @ivar origin: Where it came in from, as L{originText
        <relaymail.queue.said.originText>} gives it.
    @ivar released: Whether an operator released it after it was held.
    """

    id: int
    message: int
    address: str
    destination: str
    due: float
    attempts: int
    lease: float | None
    status: str
    reply: str
    recipients: int | None
    sender: str
    size: int
    body: str
    eightbit: int
    arrived: float
    isApart: int
    held: str | None = None
    aside: str | None = None
    told: int = 0
    ret: str | None = ""
    envid: str | None = ""
    utf8: int | None = 0
    requiretls: int | None = 0
    options: str | None = ""
    orcpt: str = ""
    notify: str = ""
    origin: str = ""
    released: int = 0


def findRow(
    database: sqlite3.Connection, number: int, withAside: bool = False
) -> Row | None:
    """
    Look for a recipient.

    @param withAside: Whether to find one that was set aside, too.
    """
    found = database.execute(_ONE, (number,)).fetchone()
    row = None if found is None else Row(*found)
    return None if row is None or (row.aside is not None and not withAside) else row
