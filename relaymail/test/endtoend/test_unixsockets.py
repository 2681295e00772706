# -*- test-case-name: relaymail.test.endtoend.test_unixsockets -*-
"""
Tests over real UNIX sockets.
"""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import (
    ClientFactory,
    Factory,
    Protocol,
    connectionDone,
)
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from relaymail.errors import RouteError
from relaymail.route.connector import Connector
from relaymail.route.hosts import Host
from relaymail.test.directories import shortDirectory
from relaymail.test.endtoend.harness import EndToEndTestCase, submit
from relaymail.test.endtoend.processes import until


class Plain(ClientFactory):
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
        return await Connector(reactor, None).connect(host, 24, Plain())

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


class Store(LineReceiver):
    """
    A mail store that has room for everybody but C{full@}.

    @ivar commands: What it was told.
    """

    commands: list[str]
    _recipients: list[str]
    _inData = False

    def connectionMade(self) -> None:
        """
        Greet.
        """
        self.commands = getattr(self.factory, "commands")  # noqa: B009
        self._recipients = []
        self.sendLine(b"220 store.example LMTP")

    def lineReceived(self, line: bytes) -> None:
        """
        Answer a command, and the end of the data once for each recipient (RFC 2033
        4.2).
        """
        if self._inData:
            if line == b".":
                self._inData = False
                for recipient in self._recipients:
                    isFull = "full@" in recipient
                    self.sendLine(b"552 5.2.2 Full" if isFull else b"250 2.0.0 Kept")
                self._recipients = []
            return
        words = line.decode("ascii")
        self.commands.append(words)
        verb = words[:4].upper()
        if verb == "RCPT":
            self._recipients.append(words)
        self._inData = verb == "DATA"
        answers = {"LHLO": b"250-store.example\r\n250 PIPELINING", "DATA": b"354 Go on"}
        known = verb in ("MAIL", "RCPT", "RSET", "QUIT", *answers)
        self.sendLine(answers.get(verb, b"250 Ok" if known else b"500 5.5.1 What?"))


class DeliverTests(EndToEndTestCase):
    """
    Mail that goes to a mail store by its socket.
    """

    async def test_eachRecipient(self) -> None:
        """
        A relay gives mail to a mail store by its socket; each recipient has its own
        reply.
        """
        from twisted.internet import reactor

        path = os.path.join(str(shortDirectory(self)), "lmtp")
        factory: Any = Factory.forProtocol(Store)
        factory.commands = []
        port = reactor.listenUNIX(path, factory)  # type: ignore[attr-defined]
        self.addCleanup(port.stopListening)
        relay = self.startRelay(smartHosts=[f"lmtp+unix://{path}"])
        recipients = ["b@one.example", "full@one.example"]
        await submit(relay.addresses[0].port, "", recipients)

        def outcomes() -> list[str]:
            return [line for line in self.logged() if f"host={path}" in line]

        await until(lambda: len(outcomes()) == 2, "both are settled")
        delivered, bounced = sorted(outcomes(), key=lambda line: "to=<full" in line)
        self.assertIn("delivered ", delivered)
        self.assertIn("5.2.2", bounced)
        self.assertEqual(factory.commands[0], "LHLO relay.example")
