# -*- test-case-name: relaymail.test.cli.test_called -*-
"""
The names by which programs call the command, through links to it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

#: What these names say, before what they are told.
NAMES: dict[str, tuple[str, ...]] = {
    "sendmail": (),
    "mailq": ("-bp",),
    "newaliases": ("-bi",),
}


def calledAs(name: str, arguments: Sequence[str]) -> list[str] | None:
    """
    Give what C{relaymail} is told when it is called by another name, as by a link
    from C{/usr/sbin/sendmail}; L{None} where that is its own.

    @param name: What it is called: C{sys.argv[0]}.
    @param arguments: What it is told.
    """
    before = NAMES.get(os.path.basename(name))
    return None if before is None else ["sendmail", *before, *arguments]
