# -*- test-case-name: relaymail.test.route.test_tlssessions -*-
"""
TLS sessions that are taken up again (RFC 8446 2.2, RFC 5077): the next connection to
the same host is spared most of the work of a handshake.

A session is as good as the connection that it is of, and no better: it is offered
only where all that is asked of the host is the same, and what the handshake saw of
the host then is looked at again (L{peerCheckFor
<relaymail.route.tlscontexts.peerCheckFor>}).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from relaymail.route.hosts import Host

#: How many hosts sessions are kept of; each is some kilobytes, with the certificates
#: that the host showed.
MAX_HOSTS = 500
#: How many of one address of a host: as many connections can begin at once.
MAX_EACH = 4
#: How long a session may be taken up, in seconds: longer, and somebody who got hold of
#: the host's secrets could read more (RFC 9325 3.3).
LONGEST = 3600.0


@dataclass(frozen=True, slots=True)
class _Kept:
    session: Any
    context: Any
    until: float


class TLSSessions:
    """
    The sessions that can be taken up.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Host, str], list[_Kept]] = OrderedDict()

    def __len__(self) -> int:
        """
        Say how many there are.
        """
        return sum(map(len, self._kept.values()))

    def keep(
        self, host: Host, address: str, session: Any, context: Any, now: float
    ) -> None:
        """
        Keep the session of a connection that is over.

        @param host: The host, and all that was asked of it.
        @param address: Its network address; empty for whichever it has.
        @param session: The session.
        @param context: What the connection was made with.
        @param now: The time, in seconds.
        """
        key = host, address
        kept = self._kept.setdefault(key, [])
        kept.append(_Kept(session, context, now + LONGEST))
        del kept[:-MAX_EACH]
        self._kept.move_to_end(key)
        if len(self._kept) > MAX_HOSTS:
            self._kept.popitem(last=False)

    def take(self, host: Host, address: str, context: Any, now: float) -> Any:
        """
        Give a session to offer, the newest there is.  Each is offered once, so that
        nobody can tell by it which connections are ours (RFC 8446 C.4).

        @param host: The host, and all that is asked of it.
        @param address: Its network address; empty for whichever it has.
        @param context: What the connection is made with: where a file was replaced
            it is another one, and the sessions of the one before are worth nothing.
        @param now: The time, in seconds.

        @return: It, or L{None} where there is none.
        """
        kept = self._kept.get((host, address))
        while kept:
            found = kept.pop()
            if not kept:
                del self._kept[host, address]
            if found.context is context and found.until > now:
                return found.session
        return None
