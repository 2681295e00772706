# -*- test-case-name: relaymail.test.testing.test_network -*-
"""
The transports of protocols in memory.

TLS is real; only what carries it is not.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import ISSLTransport, ITCPTransport, ITLSTransport
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from zope.interface import directlyProvides, implementer

from relaymail.testing.streams import Stream

#: What TLS is given for a factory: the protocol is there already.
_NOTHING: Any = None


@implementer(ITCPTransport, ITLSTransport)
class End(Stream):
    """
    One end of a connection: the transport of a protocol.

    @ivar TLS: Whether TLS was started over it.
    """

    TLS = False
    _tls: Any = None

    def write(self, data: bytes) -> None:
        """
        Send.
        """
        if self._tls is not None:
            self._tls.write(data)
        else:
            self.put(data)

    def writeSequence(self, iovec: Any) -> None:
        """
        Send several pieces.
        """
        self.write(b"".join(iovec))

    def loseConnection(self) -> None:
        """
        Close, once all is sent.
        """
        if self._tls is not None:
            self._tls.loseConnection()
        else:
            self.close()

    def stopProducing(self) -> None:
        """
        Close.
        """
        self.loseConnection()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """
        Have a producer told when to pause and when to go on.
        """
        if self._tls is not None:
            self._tls.registerProducer(producer, streaming)
        else:
            self.attach(producer, streaming)

    def unregisterProducer(self) -> None:
        """
        Forget the producer.
        """
        if self._tls is not None:
            self._tls.unregisterProducer()
        else:
            self.detach()

    def startTLS(self, contextFactory: Any, normal: bool = True) -> None:
        """
        Speak TLS from here on.
        """
        isClient = (self.wire.client is self) is normal
        factory = TLSMemoryBIOFactory(contextFactory, isClient, _NOTHING, self.machine)
        tls = TLSMemoryBIOProtocol(factory, self.protocol, False)
        producer, streaming = self._producer, self._isStreaming
        if producer is not None:
            self.detach()
        self.protocol = self._tls = tls
        self.TLS = True
        directlyProvides(self, ISSLTransport)
        tls.makeConnection(_Beneath(self))
        if producer is not None:
            tls.registerProducer(producer, streaming)

    def getHandle(self) -> Any:
        """
        Give the TLS connection, L{None} in clear.
        """
        return None if self._tls is None else self._tls.getHandle()

    def getPeerCertificate(self) -> Any:
        """
        Give the certificate that the other end showed.
        """
        return None if self._tls is None else self._tls.getPeerCertificate()

    def setTcpNoDelay(self, enabled: bool) -> None:
        """
        Nothing is delayed.
        """

    def getTcpNoDelay(self) -> bool:
        """
        Nothing is delayed.
        """
        return True

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """
        Nobody asks whether a silent peer is still there.
        """

    def getTcpKeepAlive(self) -> bool:
        """
        Nobody asks whether a silent peer is still there.
        """
        return False

    def loseWriteConnection(self) -> None:
        """
        Close; a connection of this network is open both ways or not at all.
        """
        self.loseConnection()


class _Beneath:
    """
    An end as TLS sees it.
    """

    disconnecting = False

    def __init__(self, end: End) -> None:
        self._end = end
        self.write = end.put
        self.loseConnection = end.close
        self.registerProducer = end.attach
        self.unregisterProducer = end.detach

    def writeSequence(self, iovec: Any) -> None:
        self._end.put(b"".join(iovec))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._end, name)
