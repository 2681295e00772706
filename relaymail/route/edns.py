# -*- test-case-name: relaymail.test.route.test_edns -*-
"""
Which name servers are asked with EDNS (RFC 6891), and which are better not.

EDNS lets an answer of ordinary length come in one datagram.  AD does not need it (RFC
6840 5.7), so that a server which does not like it costs a connection for a long answer
and nothing else.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TypeVar

#: The largest datagram that servers may answer with, in bytes: what goes through every
#: network in one piece.
PAYLOAD = 1232
#: The answer codes by which a server says that it does not know EDNS, or not this
#: version of it (RFC 6891 6.1.3, 7): FORMERR, NOTIMP, BADVERS.
DISLIKES = frozenset({1, 4, 16})
#: How long a server that does not like EDNS is asked without it, in seconds.
PLAIN_FOR = 60 * 60
#: Of how many servers is remembered what they like; there are three at a time at most,
#: but the system's list may change for ever.
MAX_SERVERS = 50

#: A server: its address and its port.
Server = Hashable

_Value = TypeVar("_Value")


class Manners:
    """
    Remembers of name servers whether they like EDNS.

    All times are in seconds of one clock.
    """

    def __init__(self) -> None:
        self._plainUntil: dict[Server, float] = {}
        self._fine: dict[Server, None] = {}

    def takesEDNS(self, server: Server, now: float, hasBeenSilent: bool) -> bool:
        """
        Tell whether a question is to be asked with EDNS.

        @param server: Whom.
        @param now: The time.
        @param hasBeenSilent: Whether it did not answer this question: somebody on the
            way may throw such questions away, unless one came through before.
        """
        if now < self._plainUntil.get(server, now):
            return False
        return not hasBeenSilent or server in self._fine

    def liked(self, server: Server) -> None:
        """
        Remember that a server answered a question with EDNS.
        """
        self._plainUntil.pop(server, None)
        _keep(self._fine, server, None)

    def prefersPlain(self, server: Server, now: float) -> None:
        """
        Remember that a server answered a question only once it came without EDNS.
        """
        self._fine.pop(server, None)
        _keep(self._plainUntil, server, now + PLAIN_FOR)

    def silent(self, server: Server) -> None:
        """
        Forget what a server liked, for it says nothing at all now.
        """
        self._fine.pop(server, None)


def _keep(memory: dict[Server, _Value], server: Server, value: _Value) -> None:
    memory[server] = value
    while len(memory) > MAX_SERVERS:
        del memory[next(iter(memory))]
