# -*- test-case-name: relaymail.test.test_ports -*-
"""
The kinds of ports that the intake has, as an operator tells them apart.
"""

from __future__ import annotations

from dataclasses import dataclass

from relaymail.envelopes import Entrance


@dataclass(frozen=True, slots=True)
class Opening:
    """
    Something to listen on, and what is spoken there.

    @ivar endpoint: The description of the endpoint, as Twisted's are.
    @ivar entrance: By which kind of port clients come in there.
    @ivar isTLS: Whether TLS begins at once, before anything is said (RFC 8314
        3.3).
    """

    endpoint: str
    entrance: Entrance = Entrance.RELAY
    isTLS: bool = False

    @property
    def kind(self) -> str:
        """
        What this is called, as the option is that names it: C{"smtp"},
        C{"submission"}, C{"submissions"} or C{"lmtp"}.
        """
        if self.entrance is Entrance.RELAY:
            return "smtp"
        return f"{self.entrance.value}s" if self.isTLS else self.entrance.value
