# -*- test-case-name: relaymail.test.endtoend.test_unixsockets -*-
"""
Tests over real UNIX sockets.
"""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import ClientFactory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from relaymail.errors import RouteError
from relaymail.route.connector import Connector
from relaymail.route.hosts import Host
from relaymail.test.directories import shortDirectory


class Factory(ClientFactory):
    """
    A factory of plain protocols.
    """

    noisy = False
    protocol = Protocol


class ConnectTests(TestCase):
    """
    L{Connector.connect} to a UNIX socket of this machine.
    """

    async def connect(self, path: str) -> Any:
        """
        Connect to a socket.
        """
        from twisted.internet import reactor

        host = Host(path, path=path, lmtp=True, named=True)
        return await Connector(reactor, None).connect(host, 24, Factory())

    async def test_there(self) -> None:
        """
        Whoever listens there is met.
        """
        from twisted.internet import reactor

        path = os.path.join(str(shortDirectory(self)), "s")
        reached: Deferred[Protocol] = Deferred()
        server: Any = ClientFactory()
        server.noisy = False
        server.buildProtocol = lambda _: Noted(reached)
        port = reactor.listenUNIX(path, server)  # type: ignore[attr-defined]
        self.addCleanup(port.stopListening)
        client = await self.connect(path)
        met = await reached
        client.transport.loseConnection()
        await met.ended  # type: ignore[attr-defined]

    async def test_D02_notThere(self) -> None:
        """
        The system's own errors are told in words, too.
        """
        directory = str(shortDirectory(self))
        empty = os.path.join(directory, "nothing")
        left = os.path.join(directory, "left")
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(left)
        plain = os.path.join(directory, "file")
        with open(plain, "w"):
            pass
        for path, words in (
            (empty, "there is no socket"),
            (f"{plain}/x", "not a directory"),
            (left, "nobody listens"),
        ):
            with self.assertRaises(RouteError) as caught:
                await self.connect(path)
            self.assertIn(words, str(caught.exception))


class Noted(Protocol):
    """
    Fires when it is connected, and when it is no more.
    """

    def __init__(self, reached: Deferred[Protocol]) -> None:
        self.reached = reached
        self.ended: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        """
        Tell of it.
        """
        self.reached.callback(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Tell of it.
        """
        self.ended.callback(None)
