# -*- test-case-name: relaymail.test.dialogue.test_server -*-
"""
What a session cannot know by itself: the client's connection, and the time.
"""

from __future__ import annotations

from relaymail.envelopes import NO_ORIGIN, Origin


class Surroundings:
    """
    What is asked about a session's client.  The answers here are those about a
    client of whom nothing is known.
    """

    def isTrusted(self) -> bool:
        """
        Tell whether the client is in one of the relay's own networks.
        """
        return False

    def isLocal(self) -> bool:
        """
        Tell whether the client is a program of this host, on a UNIX socket.
        """
        return False

    def mechanisms(self) -> tuple[str, ...]:
        """
        Give the mechanisms by which the client can say who it is, the best first.
        """
        return ()

    def mechanismsUnderTLS(self) -> tuple[str, ...]:
        """
        Give those by which it could if it were under TLS.
        """
        return ()

    def mayActFor(self) -> bool:
        """
        Tell whether the peer is a proxy that may say for whom it speaks.
        """
        return False

    def origin(self) -> Origin:
        """
        Give where a message comes in from that is taken now.
        """
        return NO_ORIGIN

    def now(self) -> float:
        """
        Give the time of the queue's clock, in seconds.
        """
        return 0.0


#: Those of a client of whom nothing is known.
NOTHING_KNOWN = Surroundings()
