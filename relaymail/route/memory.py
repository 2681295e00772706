# -*- test-case-name: relaymail.test.route.test_memory -*-
"""
Which of the hosts that the operator named did not work.
"""

from __future__ import annotations

from collections.abc import Iterable

from relaymail.route.hosts import Host

#: How long such a host comes after the others, in seconds.  It is short: the
#: operator gave the order, and there are few of them.
BAD_TIME = 60.0
#: How many such hosts are remembered before those are forgotten whose time is over:
#: passwords change, and hosts with them.
MAX_HOSTS = 1000


class NamedHosts:
    """
    Puts hosts that did not work behind those that did, for a while.
    """

    def __init__(self) -> None:
        self._badUntil: dict[Host, float] = {}

    def markBad(self, host: Host, now: float) -> None:
        """
        Remember that a host did not work.

        @param now: The time, in seconds.
        """
        if len(self._badUntil) >= MAX_HOSTS:
            left = ((one, end) for one, end in self._badUntil.items() if end > now)
            self._badUntil = dict(left)
        self._badUntil[host] = now + BAD_TIME

    def markGood(self, host: Host) -> None:
        """
        Remember that a host works.
        """
        self._badUntil.pop(host, None)

    def inOrder(self, hosts: Iterable[Host], now: float) -> list[Host]:
        """
        Give the hosts in the order in which they are to be tried.

        @param now: The time, in seconds.
        """
        return sorted(hosts, key=lambda host: self._badUntil.get(host, now) > now)
