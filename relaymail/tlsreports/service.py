# -*- test-case-name: relaymail.test.tlsreports.test_service -*-
"""
Reports on TLS, for a relay: from its start to its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger

from relaymail.addresses import domainOf
from relaymail.configuration import Configuration
from relaymail.keeping import PrivateDirectory
from relaymail.tlsreports.posting import Poster
from relaymail.tlsreports.reporter import Reporter, Submitter


class Reports(Service):
    """
    Tells domains how the sessions of a relay with their hosts were protected, unless
    that is not wanted.

    @cvar posterFactory: Makes what sends over HTTPS, for the relaying manager.
    @ivar reporter: What does it, while it is done.
    """

    log = Logger()
    posterFactory: Any = Poster

    def __init__(self, relay: Any, directory: PrivateDirectory) -> None:
        """
        @param relay: The L{Relay<relaymail.service.Relay>}.
        @param directory: Where counts are kept.
        """
        self._relay = relay
        self._directory = directory
        self._poster: Any = None
        self.reporter: Reporter | None = None

    def startService(self) -> None:
        """
        Begin to count, and to tell.
        """
        super().startService()
        submitter = submitterOf(self._relay.configuration)
        if submitter is None:
            return
        manager = self._relay.manager
        self._poster = self.posterFactory(manager)
        self.reporter = Reporter(
            submitter,
            manager.mxcalc.resolver,
            manager.reactor,
            self._directory,
            self._relay.runInWorker,
            self._send,
            self._poster,
        )
        self.reporter.chance = manager.chance
        self.reporter.start()
        manager.onTLSSession = self.reporter.note

    def stopService(self) -> Deferred[Any] | None:
        """
        Count and tell no more.

        @return: Fires when what was counted is written down.
        """
        super().stopService()
        reporter, self.reporter = self.reporter, None
        if reporter is None:
            return None
        self._relay.manager.onTLSSession = None
        return gatherResults([reporter.stop(), self._poster.stop()])

    def settingsChanged(self) -> None:
        """
        Ask the name servers that the relay asks now.
        """
        if self.reporter is not None:
            self.reporter.resolver = self._relay.manager.mxcalc.resolver

    def _send(self, sender: str, recipients: Sequence[str], content: bytes) -> Any:
        return self._relay.send(sender, recipients, content)


def submitterOf(configuration: Configuration) -> Submitter | None:
    """
    Say who reports, L{None} where nobody does: it is not wanted, or there is no
    address that could be answered.
    """
    delivery = configuration.delivery
    if not delivery.tlsReports:
        return None
    contact = delivery.tlsReportContact
    if not contact:
        if "." not in configuration.hostname.strip("[]."):
            return None
        contact = f"postmaster@{configuration.hostname}"
    return Submitter(domainOf(contact), contact, f"mailto:{contact}")
