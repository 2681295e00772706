# -*- test-case-name: relaymail.test.intake.test_names -*-
"""
What the addresses that a client gives stand for: something else only where the
client is one of our own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relaymail.machines import Machines


class TrustedNames:
    """
    The names that machines use, for the client of one session.
    """

    def __init__(self, machines: Machines, isTrusted: Callable[[], bool]) -> None:
        """
        @param machines: What was said of them.
        @param isTrusted: Tells whether the client is one of our own; it is
            asked when the client gives addresses, for behind a proxy nobody
            knows before.
        """
        self._machines = machines
        self._isTrusted = isTrusted

    def qualify(self, address: str) -> str:
        """
        Give the address that is meant by one without a domain, or nothing.

        @raise MalformedAddress: When it is none.
        """
        return self._machines.qualify(address) if self._isTrusted() else ""

    def expand(self, recipient: str) -> tuple[str, ...]:
        """
        Give the addresses that stand in the place of a recipient.
        """
        if not self._isTrusted():
            return (recipient,)
        return self._machines.expand(recipient)

    def rewriteSender(self, sender: str) -> str:
        """
        Give the sender that stands in the place of another.
        """
        return self._machines.rewriteSender(sender) if self._isTrusted() else sender

    def headerRewriter(self) -> Callable[[bytes], bytes] | None:
        """
        Give what rewrites the header of a message, or L{None} where it stays.
        """
        if not (self._machines.changesHeaders and self._isTrusted()):
            return None
        return self._machines.rewriteHeader
