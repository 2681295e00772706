# -*- test-case-name: relaymail.test.dialogue.test_patience -*-
"""
How long each phase of a session may take.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from relaymail.replies import Phase

#: How long the client waits in each phase before it gives the session up, in
#: seconds, counted from when the command was written, not from the last byte
#: that came.  RFC 5321 4.5.3.2 sets these as the least; L{Phase.EHLO},
#: L{Phase.STARTTLS}, L{Phase.AUTH} and L{Phase.RSET} are not named there and
#: get what MAIL gets.  Nothing hangs on the answer to QUIT, so it gets little.
PATIENCE: Mapping[Phase, float] = MappingProxyType(
    {
        Phase.CONNECT: 30.0,
        Phase.GREETING: 300.0,
        Phase.EHLO: 300.0,
        Phase.STARTTLS: 300.0,
        Phase.AUTH: 300.0,
        Phase.MAIL: 300.0,
        Phase.RCPT: 300.0,
        Phase.DATA: 120.0,
        Phase.BODY: 180.0,
        Phase.FINAL: 600.0,
        Phase.RSET: 300.0,
        Phase.QUIT: 5.0,
    }
)


def scaled(factor: float) -> Mapping[Phase, float]:
    """
    Give L{PATIENCE} times a factor.

    @param factor: Above 0; below 1 for tests, and for hosts known to be near.
    """
    return MappingProxyType({p: t * factor for p, t in PATIENCE.items()})
