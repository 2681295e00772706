# -*- test-case-name: relaymail.test.cli.test_sketching -*-
"""
A relay that is only made to be asked: what would take mail and what would deliver it,
as the relay makes them of the same configuration.  It listens nowhere, has an empty
queue in memory, writes nothing, and is never started.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred

from relaymail.admin.exploring import explained
from relaymail.assembly import intakeRules, makeCalculator, makeManager
from relaymail.cli.output import note
from relaymail.configuration import Configuration
from relaymail.configuration.endpoints import ownAddresses
from relaymail.configuration.places import stsBeside
from relaymail.configuration.secrets import bareRoutes
from relaymail.deliver.explaining import Explained
from relaymail.intake.server import IntakeFactory
from relaymail.policies import PolicyKeeper
from relaymail.queue.memory import MemoryQueue
from relaymail.route.resolver import makeResolver
from relaymail.route.senderhosts import SmartRoutes
from relaymail.route.sts.storing import Kept, PolicyStore


class ReadOnlyStore(PolicyStore):
    """
    Reads the policies that a relay keeps, and keeps none.
    """

    def save(self, kept: Kept) -> None:
        """
        Keep nothing.
        """

    def forget(self, domain: str) -> None:
        """
        Forget nothing.
        """


@dataclass(frozen=True, slots=True)
class Listened:
    """
    An address that a relay would listen on.

    @ivar host: The network address.
    @ivar port: The port.
    """

    host: str
    port: int


class Sketch:
    """
    A relay to be asked.

    @ivar told: What it is told.
    @ivar manager: What would deliver.
    @ivar intake: What would take mail.
    """

    def __init__(
        self,
        told: Configuration,
        reactor: Any,
        routes: SmartRoutes | None = None,
        suspensions: Mapping[str, str] | None = None,
    ) -> None:
        """
        @param told: What it is told.
        @param reactor: Where the DNS is asked.
        @param routes: Where mail goes; L{None}: as the configuration says, without
            secrets.
        @param suspensions: The destinations that are suspended, each with why.

        @raise ConfigurationError: When it cannot be made.
        """
        self.told = told
        routes = bareRoutes(told) if routes is None else routes
        queue = MemoryQueue(reactor)
        calculator = makeCalculator(told, reactor, makeResolver)
        manager = makeManager(
            queue, told, routes, _addresses(told), calculator, reactor
        )
        self.manager = manager
        self.intake = IntakeFactory(
            queue, **intakeRules(told, None, None, routes.routing), clock=reactor
        )
        for domain, why in (suspensions or {}).items():
            manager.suspend(domain, why)
        store = ReadOnlyStore(stsBeside(told.queue))
        self._keeper = PolicyKeeper(manager, told, store, maybeDeferred, _tell)

    def start(self) -> None:
        """
        Read the policies that the relay keeps.
        """
        self._keeper.startService()

    def stop(self) -> Deferred[None]:
        """
        Ask nobody any more.

        @return: Fires when nothing is under way.
        """
        self.manager.stop()
        return self._keeper.stopService()

    async def explain(
        self, given: Mapping[str, Any]
    ) -> tuple[Explained, dict[str, Any]]:
        """
        Say what would become of mail, as L{explained}.
        """
        return await explained(self.manager, self.intake, given)


def _addresses(told: Configuration) -> list[Listened]:
    """
    Give the addresses that the relay would listen on, as far as is known.
    """
    hosts, ports = ownAddresses(each.endpoint for each in told.intake.openings)
    return [Listened(host, port) for host in sorted(hosts) for port in sorted(ports)]


def _tell(key: str, text: str | None) -> None:
    if text is not None:
        note(text)
