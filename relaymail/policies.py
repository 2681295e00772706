# -*- test-case-name: relaymail.test.test_policies -*-
"""
The policies of MTA-STS of destinations (RFC 8461), for a relay: from its start to its
end.
"""

from __future__ import annotations

from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed

from relaymail.configuration import Configuration
from relaymail.route.sts.book import Run, Tell
from relaymail.route.sts.policies import Policies
from relaymail.route.sts.storing import PolicyStore


class PolicyKeeper(Service):
    """
    Lets a relaying manager know the policies of destinations, unless that is not
    wanted.
    """

    def __init__(
        self,
        manager: Any,
        told: Configuration,
        store: PolicyStore,
        run: Run,
        tell: Tell,
    ) -> None:
        """
        @param manager: The manager, which was told all else.
        @param told: What the relay is told.
        @param store: Where policies are kept.
        @param run: Runs what reads and writes files, in a thread.
        @param tell: Is told when policies cannot be kept.
        """
        self._manager = manager
        self._isWanted = told.delivery.mtaSts
        self._store, self._run, self._tell = store, run, tell

    def startService(self) -> None:
        """
        Read what is kept, and begin to answer.
        """
        super().startService()
        if not self._isWanted:
            return
        manager = self._manager
        manager.policies = Policies(
            manager.mxcalc.resolver,
            manager.reactor,
            self._store,
            self._run,
            clock=manager.queue.clock,
            destinations=manager.destinations,
            tell=self._tell,
            chance=manager.chance,
        )
        manager.policies.start()

    def stopService(self) -> Deferred[None]:
        """
        Ask nobody any more.

        @return: Fires when nothing is under way.
        """
        super().stopService()
        policies = policiesOf(self._manager)
        return succeed(None) if policies is None else policies.stop()


def settingsChanged(manager: Any) -> None:
    """
    Let policies be asked for where the manager asks, and at no other addresses than it
    connects to.

    @param manager: The manager, which was told something else.
    """
    policies = policiesOf(manager)
    if policies is not None:
        policies.settingsChanged(manager.mxcalc.resolver, manager.destinations)


def policiesOf(manager: Any) -> Policies | None:
    """
    Give what a relaying manager knows of policies, if anything.
    """
    found: Policies | None = getattr(manager, "policies", None)
    return found
