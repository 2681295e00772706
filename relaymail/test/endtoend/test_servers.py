"""
Tests for L{relaymail.testing.servers} and L{relaymail.testing.clients} over real
sockets.
"""

from __future__ import annotations

from dataclasses import replace

from twisted.internet.ssl import optionsForClientTLS
from twisted.trial.unittest import TestCase

from relaymail.testing.certificates import ThrowawayCA
from relaymail.testing.clients import (
    Mail,
    Manner,
    ResetAfterDot,
    State,
    send,
    sendAll,
)
from relaymail.testing.scripts import dropsAfterTheDot, endlessReply
from relaymail.testing.servers import BROKEN_TLS, Drip, SMTPServer

MAIL = Mail("a@sender.example", ("b@one.example",), b"Subject: x\r\n\r\n.\r\nHello\r\n")


class LoopbackTests(TestCase):
    """
    Servers and clients on loopback, with the global reactor.
    """

    timeout = 30

    def start(self, server: SMTPServer) -> SMTPServer:
        """
        Start a server.
        """
        self.addCleanup(server.stop)
        return server.start()

    async def test_tls(self) -> None:
        """
        A message goes over TLS, which the server was asked for, byte by byte.
        """
        authority = ThrowawayCA()
        context = authority.issue("mx.one.example").contextFactory
        server = self.start(
            SMTPServer({".": Drip(0.001, "250")}, contextFactory=context)
        )
        creator = optionsForClientTLS("mx.one.example", trustRoot=authority.trustRoot)
        manner = Manner(contextFactory=creator, piece=1)
        sent = await sendAll(None, server.host, server.port, [MAIL, MAIL], manner)
        self.assertEqual([each.state for each in sent], [State.TAKEN] * 2)
        self.assertEqual([m.content for m in server.received], [MAIL.content] * 2)
        self.assertTrue(server.received[0].session.isTLS)

    async def test_faults(self) -> None:
        """
        The faults of both sides are the same as in memory.
        """
        certificate = ThrowawayCA().issue("mx.one.example")
        for server, mail, manner, state in (
            (dropsAfterTheDot(), MAIL, Manner(), State.UNKNOWN),
            (
                SMTPServer(),
                replace(MAIL, misdeed=ResetAfterDot()),
                Manner(),
                State.UNKNOWN,
            ),
            (endlessReply("EHLO"), MAIL, Manner(), State.UNSENT),
            (
                SMTPServer(
                    {"STARTTLS": BROKEN_TLS}, contextFactory=certificate.contextFactory
                ),
                MAIL,
                Manner(contextFactory=optionsForClientTLS("mx.one.example")),
                State.UNSENT,
            ),
        ):
            self.start(server)
            sent = await send(None, server.host, server.port, mail, manner)
            self.assertIs(sent.state, state, sent)
            await server.stop()
