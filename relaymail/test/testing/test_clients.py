"""
Tests for L{relaymail.testing.clients}.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet.protocol import Factory
from twisted.protocols.basic import LineReceiver
from twisted.trial.unittest import SynchronousTestCase

from relaymail.testing.clients import (
    Drop,
    Mail,
    Manner,
    ResetAfterDot,
    Stall,
    State,
    Submission,
    sendAll,
)
from relaymail.testing.links import Link
from relaymail.testing.network import Fate, Network
from relaymail.testing.scripts import (
    Slip,
    acceptsEverything,
    busy,
    closesAfter,
    dropsAfterTheDot,
    endlessReply,
    garbage,
    outOfStep,
    refusesRecipients,
    silentAfter,
)
from relaymail.testing.servers import Act, Late, SMTPServer, Then

SERVER = "192.0.2.25"
MAIL = Mail("a@b", ("c@d", "e@d"), b"Subject: x\r\n\r\n.hi\r\n..\r\n")
ONE_BY_ONE = Manner(isPipelining=False)


class ClientTests(SynchronousTestCase):
    """
    Sends mail over a network in memory.
    """

    def setUp(self) -> None:
        self.network = Network(1)
        self.machine = self.network.machine(SERVER)
        self.client = self.network.machine("192.0.2.1")
        self.began = self.network.seconds()

    def send(
        self, server: SMTPServer, *mails: Mail, manner: Manner | None = None
    ) -> list[Submission]:
        """
        Send messages to a server.
        """
        self.server = server.start(self.machine, SERVER, 25)
        self.addCleanup(server.stop)
        sent = sendAll(self.client, SERVER, 25, mails, manner or Manner())
        self.network.run(1000)
        return self.successResultOf(sent)

    def assertStates(self, submissions: list[Submission], *states: State) -> None:
        """
        Fail unless the messages have come to this.
        """
        self.assertEqual([each.state for each in submissions], list(states))

    def test_taken(self) -> None:
        """
        Messages are taken as they are, whatever way they are sent.
        """
        for manner in (
            Manner(),
            ONE_BY_ONE,
            Manner(hello="HELO me"),
            Manner(piece=1),
            Manner(piece=5, pace=2.0),
        ):
            sent = self.send(
                SMTPServer(), MAIL, replace(MAIL, content=b""), manner=manner
            )
            self.assertStates(sent, State.TAKEN, State.TAKEN)
            self.assertEqual(sent[0].accepted, MAIL.recipients)
            self.assertEqual((sent[0].refused, sent[0].perhaps), ((), ()))
            self.assertEqual(sent[0].reply, "250 2.0.0 Ok")
            self.assertEqual(sent[1].exchanges[0], ("MAIL FROM:<a@b>", "250 2.1.0 Ok"))
            received = self.server.received
            self.assertEqual([m.content for m in received], [MAIL.content, b""])
            self.assertEqual(received[0].recipients, MAIL.recipients)
            self.assertEqual(self.server.sessions[0].commands[-1], "QUIT")
            self.successResultOf(self.server.stop())

    def test_pipelining(self) -> None:
        """
        A group is sent at once only where it was offered, and the client likes
        to.
        """
        for manner, keywords, seconds in (
            (Manner(), ("PIPELINING",), 1),
            (ONE_BY_ONE, ("PIPELINING",), 4),
            (Manner(), ("SIZE",), 4),
        ):
            self.network.setLink(Link(latency=0.5))
            server = SMTPServer(keywords=keywords)
            (sent,) = self.send(server, MAIL, manner=manner)
            # The connection, the greeting, EHLO and the dot take 1 s each.
            self.assertEqual(sent.at - self.began, 3.0 + seconds)
            self.successResultOf(server.stop())
            self.began = self.network.seconds()

    def test_D15_refused(self) -> None:
        """
        Who was refused is told of with the reply; those who were not have the
        message.
        """
        for manner in (Manner(), ONE_BY_ONE):
            (sent,) = self.send(refusesRecipients("e@d"), MAIL, manner=manner)
            self.assertIs(sent.state, State.TAKEN)
            self.assertEqual(sent.accepted, ("c@d",))
            self.assertEqual(sent.refused, (("e@d", "550 5.1.1 No such user here"),))
            self.successResultOf(self.server.stop())

    def test_refusedEverywhere(self) -> None:
        """
        It is refused by MAIL, all RCPT, DATA and the dot, at once or one by
        one; and the next one is sent.
        """
        for manner in (Manner(), ONE_BY_ONE):
            for verb in ("MAIL", "RCPT", "DATA", "."):
                times = 2 if verb == "RCPT" else 1
                script: Any = {verb: [*["550 no"] * times, *[_well] * 2]}
                sent = self.send(SMTPServer(script), MAIL, MAIL, manner=manner)
                self.assertStates(sent, State.REFUSED, State.TAKEN)
                replies = {reply for _, reply in sent[0].refused}
                self.assertIn("550 no", replies | {sent[0].reply}, verb)
                self.assertEqual([each for each, _ in sent[0].refused], ["c@d", "e@d"])
                self.assertEqual(len(self.server.received), 1)
                self.successResultOf(self.server.stop())

    def test_D19_354ForNobody(self) -> None:
        """
        Where a server wants the content though all were refused, it gets a
        dot.
        """
        server = SMTPServer({"RCPT": "550 no", "DATA": "354 Go on", ".": "554 no"})
        self.assertStates(self.send(server, MAIL), State.REFUSED)
        self.assertEqual(server.sessions[0].exchanges[-2], (".", "554 no"))

    def test_D25_unknown(self) -> None:
        """
        Without an answer to the dot it is not known who has the message; it is
        known that the next one was not sent.
        """
        for took in (True, False):
            sent = self.send(dropsAfterTheDot(took=took), MAIL, MAIL)
            self.assertStates(sent, State.UNKNOWN, State.UNSENT)
            self.assertEqual((sent[0].accepted, sent[0].reply), ((), None))
            self.assertEqual(sent[0].perhaps, MAIL.recipients)
            self.assertEqual(sent[1].refused, (("c@d", ""), ("e@d", "")))
            self.assertIn("connection lost", sent[0].reason)
            self.successResultOf(self.server.stop())

    def test_drop(self) -> None:
        """
        It closes the connection within the content: the message is taken only
        if that was all of it.
        """
        size = len(MAIL.data)
        for after, state in (
            (0, State.UNSENT),
            (size - 1, State.UNSENT),
            (size, State.UNKNOWN),
        ):
            sent = self.send(SMTPServer(), replace(MAIL, misdeed=Drop(after)), MAIL)
            self.assertStates(sent, state, State.UNSENT)
            self.assertEqual(len(self.server.received), state is State.UNKNOWN)
            self.successResultOf(self.server.stop())

    def test_resetAfterDot(self) -> None:
        """
        It breaks the connection without having read the answer.
        """
        (sent,) = self.send(SMTPServer(), replace(MAIL, misdeed=ResetAfterDot()))
        self.assertStates([sent], State.UNKNOWN)
        self.assertEqual(len(self.server.received), 1)

    def test_stall(self) -> None:
        """
        It pauses, and goes on; the whole session is bounded.
        """
        (sent,) = self.send(SMTPServer(), replace(MAIL, misdeed=Stall(5, 200)))
        self.assertStates([sent], State.TAKEN)
        self.assertEqual(sent.at - self.began, 200)
        self.successResultOf(self.server.stop())
        for after, state in ((5, State.UNSENT), (999, State.UNKNOWN)):
            self.began = self.network.seconds()
            mail = replace(MAIL, misdeed=Stall(after, 500))
            (sent,) = self.send(SMTPServer({".": Late(400, "250")}), mail)
            self.assertStates([sent], state)
            self.assertEqual(sent.at - self.began, 300)
            self.successResultOf(self.server.stop())

    def test_timeout(self) -> None:
        """
        A silent server is waited for so long, and no longer.
        """
        for verb, state in (("CONNECT", State.UNSENT), (".", State.UNKNOWN)):
            self.began = self.network.seconds()
            (sent,) = self.send(silentAfter(verb), MAIL)
            self.assertStates([sent], state)
            self.assertEqual(sent.at - self.began, 300)
            self.assertIn("300", sent.reason)
            self.successResultOf(self.server.stop())

    def test_notConnected(self) -> None:
        """
        Where nobody listens, or answers, nothing is sent.
        """
        for fate in Fate:
            self.network.fates[SERVER] = fate
            sent = self.send(SMTPServer(), MAIL, MAIL)
            self.assertStates(sent, State.UNSENT, State.UNSENT)
            self.assertIn("no connection", sent[0].reason)
            self.successResultOf(self.server.stop())

    def test_badServers(self) -> None:
        """
        Nothing that a server says instead of what it should makes a message
        taken.
        """
        for server in (
            busy(),
            busy(554),
            garbage(),
            endlessReply(),
            acceptsEverything(),
            *map(outOfStep, Slip),
            SMTPServer({".": "what?"}),
            SMTPServer({"EHLO": Act.CLOSE}),
        ):
            for manner in (Manner(), ONE_BY_ONE):
                sent = self.send(server, MAIL, MAIL, manner=manner)
                self.assertEqual([each.accepted for each in sent], [(), ()])
                self.assertEqual(server.received, [])
                self.successResultOf(server.stop())

    def test_early(self) -> None:
        """
        What is said before the end of the content is not the answer to it.
        """
        for reply, state in (("250 ok", State.UNSENT), ("421 no", State.REFUSED)):
            server = SMTPServer({"DATA": Then("354 Go on", Late(1, reply))})
            mail = replace(MAIL, misdeed=Stall(3, 10))
            self.assertStates(self.send(server, mail), state)
            self.assertEqual(server.received, [])
            self.successResultOf(server.stop())

    def test_closed(self) -> None:
        """
        A connection that ends between two messages leaves no doubt.
        """
        sent = self.send(closesAfter(1), MAIL, MAIL)
        self.assertStates(sent, State.TAKEN, State.REFUSED)

    def test_deaf(self) -> None:
        """
        A client may say everything without listening.
        """
        ear = _Ear()
        self.machine.listenTCP(25, Factory.forProtocol(lambda: ear))
        sent = sendAll(self.client, SERVER, 25, [MAIL] * 3, Manner(isDeaf=True))
        self.network.run(1)
        self.assertEqual(ear.lines.count(b"MAIL FROM:<a@b>"), 3)
        self.assertNoResult(sent)
        self.network.run(300)
        self.assertStates(self.successResultOf(sent), *[State.UNKNOWN] * 3)
        self.assertEqual(ear.transport.peer.received, 0)

    def test_dots(self) -> None:
        """
        Dots at the beginning of lines are doubled, others are not; the last
        line has its end.
        """
        for content, data in (
            (b"", b".\r\n"),
            (b".", b"..\r\n.\r\n"),
            (b"a.\r\n.\r\n..b", b"a.\r\n..\r\n...b\r\n.\r\n"),
            (b"a\n.b\r\n", b"a\n.b\r\n.\r\n"),
        ):
            self.assertEqual(replace(MAIL, content=content).data, data)


class _Ear(LineReceiver):
    """
    Answers nothing but much to each line.
    """

    transport: Any

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def lineReceived(self, line: bytes) -> None:
        self.lines.append(line)
        self.sendLine(b"250 ok")


def _well(session: Any, argument: str) -> None:
    """
    Give the answer of a server that is well.
    """
