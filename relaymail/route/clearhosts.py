# -*- test-case-name: relaymail.test.route.test_clearhosts -*-
"""
Hosts that offer TLS with which nothing can be done: mail for which TLS is only used
where it works goes there in clear (RFC 7435 3), and it is not tried, and does not
fail, first each time.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TypeAlias

from relaymail.route.hosts import Host, TLSNeed

#: How long TLS is not tried, in seconds: somebody in between who breaks it once gains
#: no more than this.
LONGEST = 3600.0
#: How many hosts are remembered; those that have been so the longest are forgotten.
MAX_HOSTS = 5000


def mayBeClear(host: Host) -> bool:
    """
    Tell whether mail may go to a host in clear although it offers TLS: not where
    anything was asked for, nor where a secret is given.
    """
    return host.tls is TLSNeed.OFFERED and not host.credentials and not host.implicitTLS


@dataclass(frozen=True, slots=True)
class InClear:
    """
    A host that mail goes to in clear although it offers TLS.

    @ivar name: Its name.
    @ivar port: The port.
    @ivar why: What was wrong with its TLS, as one printable line.
    @ivar until: Until when it is not tried again, in seconds of the reactor's clock.
    """

    name: str
    port: int
    why: str
    until: float


#: What tells them apart.
_Key: TypeAlias = tuple[str, int, str | None]


def _keyOf(host: Host, port: int) -> _Key:
    # It may be the certificate that this relay shows that a host does not like: that
    # is nothing that is wrong with its TLS for other mail.
    return host.name.lower(), port, host.certFile


class ClearHosts:
    """
    Remembers them.
    """

    def __init__(self) -> None:
        self._found: OrderedDict[_Key, InClear] = OrderedDict()

    def remember(self, host: Host, port: int, why: str, now: float) -> InClear | None:
        """
        Remember that TLS with a host fails, and mail can be given to it without.

        @param why: What was wrong, as one printable line.
        @param now: The time, in seconds.

        @return: What is known now, or L{None} where it is no news.
        """
        isNews = self.find(host, port, now) is None
        key = _keyOf(host, port)
        found = InClear(host.name, port, why, now + LONGEST)
        self._found[key] = found
        self._found.move_to_end(key)
        if len(self._found) > MAX_HOSTS:
            self._found.popitem(last=False)
        return found if isNews else None

    def find(self, host: Host, port: int, now: float) -> InClear | None:
        """
        Look a host up.

        @return: What is known, or L{None} where TLS with it is to be tried.
        """
        if not self._found or not mayBeClear(host):
            return None
        key = _keyOf(host, port)
        found = self._found.get(key)
        if found is not None and found.until <= now:
            del self._found[key]
            return None
        return found

    def known(self, now: float) -> list[InClear]:
        """
        Give all of them.
        """
        return [found for found in self._found.values() if found.until > now]
