# -*- test-case-name: relaymail.test.route.test_fallback -*-
"""
Hosts that get the mail of a destination when its own fail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from relaymail.errors import RouteError
from relaymail.replies import Trouble, TroubleKind
from relaymail.route.hosts import Host, Route, TLSNeed

#: What protects mail that may go over TLS only.
_SECURE = frozenset({TLSNeed.VERIFIED, TLSNeed.DANE})


def withFallback(
    found: Route | Trouble,
    fallback: Sequence[Host],
    requireTLS: bool = False,
    isBad: Callable[[Host], bool] = lambda host: False,
) -> Route:
    """
    Put fallback hosts behind the hosts of a destination.

    They are the whole route where it could not be found out which hosts the
    destination has.  Where it was found out that its mail goes nowhere, or is not to
    go there, they are no way round that.

    @param found: The hosts of the destination, or why none could be named.
    @param fallback: The fallback hosts, in their order.
    @param requireTLS: Whether it is for mail that may go over TLS only (RFC 8689
        4.2.1): then the fallback hosts must show who they are, and those that cannot
        are left out.
    @param isBad: Says of a host whether it failed a short while ago.  Such hosts are
        behind all others, also those of the destination behind the fallback hosts, so
        that one that is dead does not cost each message a time-out.

    @return: The route.

    @raise RouteError: When there is none.
    """
    usable = _secured(fallback) if requireTLS else fallback
    hosts = tuple(sorted(usable, key=isBad))
    if isinstance(found, Trouble):
        if not hosts or found.kind is not TroubleKind.NO_ANSWER:
            raise RouteError(found)
        return Route(hosts)
    if not hosts:
        return found
    return replace(found, hosts=tuple(sorted((*found.hosts, *hosts), key=isBad)))


def _secured(hosts: Iterable[Host]) -> Iterable[Host]:
    # There is no TLS over the socket of a mail store.
    for host in hosts:
        if host.path is None:
            tls = host.tls if host.tls in _SECURE else TLSNeed.VERIFIED
            yield replace(host, tls=tls, requireTLS=True)
