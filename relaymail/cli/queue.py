# -*- test-case-name: relaymail.test.cli.test_listing -*-
"""
C{relaymail queue}: what is queued.
"""

from __future__ import annotations

import click

from relaymail.cli.lazy import LazyGroup, Part
from relaymail.cli.settings import ALONE

#: Its parts.
PARTS = (
    Part("list", "listing:listQueue", "List what is queued."),
    Part("show", "listing:showEntry", "Show all that is known of a recipient's mail."),
    Part("flush", "changing:flush", "Try mail now."),
    Part("hold", "changing:hold", "Keep mail back until it is released."),
    Part("release", "changing:release", "Keep mail back no longer."),
    Part("requeue", "changing:requeue", "Begin anew with mail."),
    Part("bounce", "changing:bounce", "Give mail up, and tell its senders."),
    Part("delete", "changing:delete", "Drop mail, and tell nobody."),
    Part("import", "importing:importMail", "Take mail over from a directory.", ALONE),
)


@click.group(cls=LazyGroup, parts=PARTS, short_help="Show and change what is queued.")
def queue() -> None:
    """
    Show and change what is queued.

    Each recipient of a message has an ID of its own. Which are meant is said by
    IDs, by filters, or both: those are meant that fit all that is said.
    """
