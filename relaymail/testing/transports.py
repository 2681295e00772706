# -*- test-case-name: relaymail.test.testing.test_network -*-
"""
The transports of protocols in memory.

TLS is real; only what carries it is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import ISSLTransport, ITCPTransport, ITLSTransport
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from zope.interface import directlyProvides, implementer

from relaymail.testing.streams import Stream

if TYPE_CHECKING:
    from relaymail.testing.machine import Machine

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
    _asking: _Asking | None = None

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
        if self._tls is None:
            return self.attach(producer, streaming)
        if streaming:
            self._tls.registerProducer(producer, True)
            return
        self._asking = _Asking(producer, self.machine)
        self._tls.registerProducer(self._asking, True)
        self._asking.resumeProducing()

    def unregisterProducer(self) -> None:
        """
        Forget the producer.
        """
        if self._tls is None:
            return self.detach()
        if self._asking is not None:
            self._asking.end()
            self._asking = None
        self._tls.unregisterProducer()

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
            self.registerProducer(producer, streaming)

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


class _Asking:
    """
    Asks a producer for more as long as there is room: TLS has those only that
    are told to pause and to go on, and what Twisted asks with takes its time
    from the global reactor.
    """

    def __init__(self, producer: Any, machine: Machine) -> None:
        self._producer = producer
        self._machine = machine
        self._isPaused = True
        self._isOver = False
        self._isAsked = False

    def resumeProducing(self) -> None:
        self._isPaused = False
        self._askSoon()

    def pauseProducing(self) -> None:
        self._isPaused = True

    def stopProducing(self) -> None:
        self.end()
        self._producer.stopProducing()

    def end(self) -> None:
        self._isOver = True

    def _askSoon(self) -> None:
        if not self._isAsked:
            self._isAsked = True
            self._machine.callLater(0, self._ask)

    def _ask(self) -> None:
        self._isAsked = False
        if not self._isPaused and not self._isOver:
            self._producer.resumeProducing()
            self._askSoon()
