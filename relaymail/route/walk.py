# -*- test-case-name: relaymail.test.route.test_walk -*-
"""
One walk along a route: which host is tried, and which is next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace

from relaymail.route.clearhosts import mayBeClear
from relaymail.route.hosts import Host, Route


class Walk:
    """
    The state of one attempt's way along its route.

    @ivar route: The route.
    @ivar host: The host being tried, or L{None} before the first.
    """

    def __init__(
        self, route: Route, whyInClear: Callable[[Host], str] | None = None
    ) -> None:
        """
        @param route: The hosts, the best first.
        @param whyInClear: Says why a host is not spoken to over TLS though it is
            offered; empty: it is.
        """
        self.route = route
        self._whyInClear = whyInClear
        self.host: Host | None = None
        self._ahead = deque(route.hosts)

    @property
    def isLast(self) -> bool:
        """
        Whether no further host can be tried.
        """
        return not self._ahead

    def goOn(self) -> Host | None:
        """
        Go on to the next host.

        @return: It, or L{None} at the end of the route.
        """
        self.host = self._ahead.popleft() if self._ahead else None
        if self.host is not None and self._whyInClear is not None:
            why = self._whyInClear(self.host)
            if why:
                self.host = replace(self.host, inClear=True, why=why)
        return self.host

    def again(self) -> None:
        """
        Make the host that is being tried the next one too.
        """
        if self.host is not None:
            self._ahead.appendleft(self.host)

    def againInClear(self) -> bool:
        """
        Make the host that is being tried the next one too, this time without
        TLS, if TLS was only used because it was offered (RFC 7435 3).

        @return: Whether that may be.
        """
        host = self.host
        if host is None or host.inClear or not mayBeClear(host):
            return False
        self._ahead.appendleft(replace(host, inClear=True))
        return True
