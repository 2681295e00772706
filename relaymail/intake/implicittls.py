# -*- test-case-name: relaymail.test.intake.test_proxied -*-
"""
TLS from the first octet on (RFC 8314 3.3), on connections that are there already:
what a proxy says of the client comes before it, in clear.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IProtocol, IReactorTime, ITransport
from twisted.internet.protocol import Factory
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory

from relaymail.prompt import promptly

# Nothing is asked of it; TLS wants one to wrap.
_NOTHING = Factory()


class _Secured(BufferingTLSTransport):
    """
    TLS that writes at the end of a turn, as connections in clear do.
    """

    def makeConnection(self, transport: ITransport) -> None:
        promptly(transport)
        super().makeConnection(transport)


class ImplicitTLS:
    """
    Puts TLS around protocols, as the server.

    @ivar contextFactory: What it is begun with.
    """

    def __init__(self, contextFactory: Any, clock: IReactorTime) -> None:
        """
        @param contextFactory: What it is begun with, as for STARTTLS.
        @param clock: What tells the time.
        """
        self.contextFactory = contextFactory
        self._factory = TLSMemoryBIOFactory(contextFactory, False, _NOTHING, clock)

    def around(self, protocol: IProtocol) -> IProtocol:
        """
        Give what is to be connected in the place of a protocol, whose transport it
        will be.
        """
        return _Secured(self._factory, protocol)
