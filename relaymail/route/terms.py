# -*- test-case-name: relaymail.test.route.test_terms -*-
"""
On which terms mail goes, and which way that makes.
"""

from __future__ import annotations

from dataclasses import dataclass

from relaymail.route.hosts import Host
from relaymail.route.levels import TLSLevel


@dataclass(frozen=True, slots=True)
class Terms:
    """
    What an operator says of sessions with the hosts of destinations.

    @ivar level: How well they are to be protected.
    @ivar names: Hosts that are known for certain to be those of the destination: a
        name, or C{.domain} for all below it; for L{TLSLevel.VERIFY}.
    @ivar caFile: The path of a file of certificates (PEM) that are trusted instead of
        the system's.
    @ivar certFile: The path of the certificate (PEM) that this relay shows.
    @ivar keyFile: The path of its key.
    @ivar source: The addresses that connections come from, one for each family.
    @ivar helo: What this relay calls itself; empty: as everywhere.
    @ivar fallback: The hosts that get the mail when those of its destination fail.
    """

    level: TLSLevel = TLSLevel.OPPORTUNISTIC
    names: tuple[str, ...] = ()
    caFile: str | None = None
    certFile: str | None = None
    keyFile: str | None = None
    source: tuple[str, ...] = ()
    helo: str = ""
    fallback: tuple[Host, ...] = ()


#: Nothing was said.
NO_TERMS = Terms()


@dataclass(frozen=True, slots=True)
class Way:
    """
    Where mail goes that does not go as all other mail to its goal: a site beside that
    of the other mail.

    @ivar goal: A destination, or the hosts that get its mail.
    @ivar terms: On which terms; L{None}: those of all mail.
    @ivar requireTLS: Whether it is for mail that may go over TLS only (RFC 8689 2).
    @ivar tlsOptional: Whether it is for mail that goes also where what the destination
        wants of TLS cannot be had (RFC 8689 3).
    """

    goal: str | tuple[Host, ...]
    terms: Terms | None = None
    requireTLS: bool = False
    tlsOptional: bool = False

    def __hash__(self) -> int:
        """
        Hash what differs: ways are keys of what is asked for each message.
        """
        return hash((self.goal, self.requireTLS))

    def __str__(self) -> str:
        """
        Give it as people read it.
        """
        goal = self.goal
        told = goal if isinstance(goal, str) else ", ".join(h.name for h in goal)
        said = []
        if self.terms is not None:
            said.append(f"TLS {self.terms.level.value}")
        if self.requireTLS:
            said.append("over TLS only")
        if self.tlsOptional:
            said.append("TLS is not required")
        return f"{told} ({', '.join(said)})" if said else told
