# -*- test-case-name: relaymail.test.test_policies -*-
"""
The policies of MTA-STS of destinations (RFC 8461), for a relay: from its start to its
end.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed

from relaymail.configuration import Configuration
from relaymail.route.sts.book import Run, Tell
from relaymail.route.sts.policies import Policies
from relaymail.route.sts.storing import PolicyStore


def start(
    manager: Any, told: Configuration, store: PolicyStore, run: Run, tell: Tell
) -> None:
    """
    Let a relaying manager know the policies of destinations, unless that is not
    wanted.

    @param manager: The manager, which was told all else.
    @param told: What the relay is told.
    @param store: Where policies are kept.
    @param run: Runs what reads and writes files, in a thread.
    @param tell: Is told when policies cannot be kept.
    """
    if not told.delivery.mtaSts:
        return
    manager.policies = Policies(
        manager.mxcalc.resolver,
        manager.reactor,
        store,
        run,
        clock=manager.queue.clock,
        destinations=manager.destinations,
        tell=tell,
        chance=manager.chance,
    )
    manager.policies.start()


def settingsChanged(manager: Any) -> None:
    """
    Let policies be asked for where the manager asks, and at no other addresses than it
    connects to.

    @param manager: The manager, which was told something else.
    """
    policies = policiesOf(manager)
    if policies is not None:
        policies.settingsChanged(manager.mxcalc.resolver, manager.destinations)


def stop(manager: Any) -> Deferred[None]:
    """
    Let nobody be asked for policies any more.

    @param manager: The manager.

    @return: Fires when nothing is under way.
    """
    policies = policiesOf(manager)
    return succeed(None) if policies is None else policies.stop()


def policiesOf(manager: Any) -> Policies | None:
    """
    Give what a relaying manager knows of policies, if anything.
    """
    found: Policies | None = getattr(manager, "policies", None)
    return found
