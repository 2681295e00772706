# -*- test-case-name: relaymail.test.cli.test_authhash -*-
"""
C{relaymail auth}: users and their passwords.
"""

from __future__ import annotations

import click

from relaymail.cli.lazy import LazyGroup, Part
from relaymail.cli.settings import ALONE, HERE

#: Its parts.
PARTS = (
    Part("hash", "authhash:hashPassword", "Make a line for the users file.", ALONE),
    Part("test", "authtest:test", "Log in at smart hosts, and say how it goes.", HERE),
)


@click.group(cls=LazyGroup, parts=PARTS, short_help="See to users and their passwords.")
def auth() -> None:
    """
    See to users and their passwords.
    """
