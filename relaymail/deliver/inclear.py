# -*- test-case-name: relaymail.test.stories.test_inclear -*-
"""
Hosts whose TLS fails, and that get their mail in clear where that may be (RFC 7435 3).
"""

from __future__ import annotations

from typing import Any

from twisted.logger import Logger

from relaymail.replies import Evidence
from relaymail.route.clearhosts import LONGEST, ClearHosts
from relaymail.route.hosts import Host
from relaymail.route.walk import Walk


class InClearMixin:
    """
    What an attempt knows of them, for an attempt manager.
    """

    _log = Logger()

    manager: Any
    reactor: Any
    _walk: Walk | None
    _tlsFailed = ""

    def _whyInClear(self, host: Host) -> str:
        """
        Say why a host is not spoken to over TLS; empty: it is.
        """
        known: ClearHosts | None = getattr(self.manager, "clearHosts", None)
        if known is None:
            return ""
        found = known.find(host, self._portOf(host), self.reactor.seconds())
        return f"in clear, because its TLS fails: {found.why}" if found else ""

    def _tryInClear(self, evidence: Evidence) -> bool:
        """
        Have the host tried once more in clear, if that may be.

        @param evidence: What was wrong with its TLS.
        """
        if self._walk is None or not self._walk.againInClear():
            return False
        self._tlsFailed = evidence.text
        return True

    def _worksInClear(self) -> None:
        """
        Remember that a host, whose TLS has failed a moment ago, speaks in clear: it
        was its TLS, and not the host.
        """
        why, self._tlsFailed = self._tlsFailed, ""
        known: ClearHosts | None = getattr(self.manager, "clearHosts", None)
        host = self._walk.host if self._walk is not None else None
        if known is None or host is None:
            return
        port = self._portOf(host)
        if known.remember(host, port, why, self.reactor.seconds()) is not None:
            self._log.warn(
                "{host} port {port} offers TLS, and it fails ({why}): mail goes there "
                "in clear, and TLS is tried again in {minutes:.0f} minutes; where mail "
                'must not go in clear, a route with tls = "encrypt" keeps it back',
                host=host.name,
                port=port,
                why=why,
                minutes=LONGEST / 60,
            )

    def _portOf(self, host: Host) -> int:
        port: int = host.port or self.manager.PORT
        return port
