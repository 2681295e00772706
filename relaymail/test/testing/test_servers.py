# -*- test-case-name: relaymail.test.testing.test_servers -*-
"""
Tests for L{relaymail.testing.servers}.
"""

from __future__ import annotations

import base64
from typing import Any

from twisted.internet.ssl import optionsForClientTLS
from twisted.trial.unittest import SynchronousTestCase

from relaymail.test.testing.talk import TalkTestCase
from relaymail.testing._session import MAX_EXCHANGES
from relaymail.testing.certificates import ThrowawayCA
from relaymail.testing.clients import Mail, Manner, State, send
from relaymail.testing.network import Network
from relaymail.testing.servers import (
    BROKEN_TLS,
    KEYWORDS,
    Act,
    Answer,
    Drip,
    Endless,
    Late,
    Raw,
    Received,
    Script,
    Session,
    SMTPServer,
    Then,
)

#: A whole transaction, to be said at once.
GROUP = ("MAIL FROM:<a@b>", "RCPT TO:<c@d>", "DATA", "hello", ".")


def isEnding(session: Session) -> bool:
    """
    Tell whether a session is being ended by the server.
    """
    return bool(session.transport.disconnecting)


class ServerTests(TalkTestCase):
    """
    Talks to a server in memory.
    """

    def start(
        self, answers: Script | None = None, **settings: Any
    ) -> tuple[SMTPServer, Session]:
        """
        Start a server and connect to it.
        """
        self.use(SMTPServer(answers, **settings))
        return self.server, self.connect()

    def test_takesMail(self) -> None:
        """
        A server without a script takes a pipelined message, and unstuffs its
        dots.
        """
        server, session = self.start()
        waiting = server.whenReceived(1)
        self.assertEqual(self.heard(session), ["220 server.example ESMTP"])
        self.assertIn("250-PIPELINING", self.say(session, "EHLO me"))
        group = ["MAIL FROM:<a@b>", "RCPT TO:<c@d>", "RCPT TO:<e@d>", "DATA"]
        codes = [line[:3] for line in self.say(session, *group)]
        self.assertEqual(codes, ["250", "250", "250", "354"])
        self.assertNoResult(waiting)
        self.assertEqual(
            self.say(session, "Subject: x", "", "..", "..a", ".", "QUIT"),
            ["250 2.0.0 Ok", "221 2.0.0 Bye"],
        )
        (message,) = self.successResultOf(waiting)
        self.assertEqual((message.sender, message.recipients), ("a@b", ("c@d", "e@d")))
        self.assertEqual(message.content, b"Subject: x\r\n\r\n.\r\n.a\r\n")
        self.assertIs(message.session, session)
        self.assertEqual(session.commands[-1], "QUIT")
        self.assertTrue(isEnding(session))

    def test_order(self) -> None:
        """
        What comes out of order is refused, and has no effect.
        """
        _, session = self.start()
        said = self.say(session, "RCPT TO:<c@d>", "DATA", "WHAT")
        self.assertEqual([line[:3] for line in said], ["503", "554", "500"])

    def test_script(self) -> None:
        """
        A script says what is answered: to a command, to one address, and one
        after the other; only positive answers have effects.
        """
        server, session = self.start(
            {
                "CONNECT": "220-two\n220 lines",
                "RCPT x@d": ["451 later", "250 now"],
                "RCPT": "550 never",
            }
        )
        self.assertEqual(self.heard(session), ["220-two", "220 lines"])
        self.assertEqual(
            self.say(session, "MAIL FROM:<a@b>", "RCPT TO:<x@d>", "RCPT TO:<y@d>"),
            ["250 2.1.0 Ok", "451 later", "550 never"],
        )
        self.assertEqual(self.say(session, "DATA")[0][:3], "554")
        again = ["RSET", "MAIL FROM:<a@b>", "RCPT TO:<x@d>", "RCPT TO:<x@d>", "DATA"]
        codes = [line[:3] for line in self.say(session, *again)]
        self.assertEqual(codes, ["250", "250", "250", "250", "354"])
        self.say(session, ".")
        self.assertEqual(server.received[0].recipients, ("x@d", "x@d"))

    def test_refusedAtTheEnd(self) -> None:
        """
        What is not answered 2yz at its end was not taken.
        """
        server, session = self.start({".": ["451 no", "250 yes"]})
        group = ["MAIL FROM:<a@b>", "RCPT TO:<c@d>", "DATA", "."]
        self.say(session, *group)
        self.assertEqual(server.received, [])
        self.say(session, *group)
        self.assertEqual(len(server.received), 1)

    def test_acts(self) -> None:
        """
        Instead of answering it closes, breaks, or ignores the connection.
        """
        _, closed = self.start({"EHLO": Act.CLOSE, "HELO": Act.RESET, "X": Act.SILENCE})
        broken, silent = self.connect(), self.connect()
        self.assertEqual(self.say(closed, "EHLO me", "NOOP"), [])
        self.assertTrue(isEnding(closed))
        self.say(broken, "HELO me")
        self.assertTrue(broken.transport.aborted)
        self.assertEqual(self.say(silent, "X", "NOOP"), [])
        self.assertFalse(isEnding(silent))

    def test_late(self) -> None:
        """
        An answer may be late; what is said meanwhile waits.
        """
        _, session = self.start({"NOOP": Late(2.0, "250 at last")})
        self.assertEqual(self.say(session, "NOOP", "RSET"), [])
        self.reactor.advance(1.9)
        self.assertEqual(self.heard(session), [])
        self.reactor.advance(0.1)
        self.assertEqual(self.heard(session), ["250 at last", "250 2.0.0 Ok"])

    def test_login(self) -> None:
        """
        PLAIN and LOGIN are taken with the right password only.
        """
        _, session = self.start(users={"me": "secret"})
        self.assertIn("AUTH PLAIN LOGIN", self.say(session, "EHLO me")[-1])

        def encoded(text: str) -> str:
            return base64.b64encode(text.encode()).decode()

        wrong = self.say(session, "AUTH PLAIN " + encoded("\0me\0wrong"))
        self.assertEqual((wrong[0][:3], session.user), ("535", ""))
        words = ["AUTH LOGIN", encoded("me"), encoded("secret")]
        codes = [line[:3] for line in self.say(session, *words)]
        self.assertEqual((codes, session.user), (["334", "334", "235"], "me"))
        other = self.connect()
        self.say(other, "AUTH PLAIN " + encoded("\0me\0secret"))
        self.assertEqual(other.user, "me")
        self.assertEqual(self.say(other, "AUTH CRAM-MD5")[0][:3], "504")

    def test_tokens(self) -> None:
        """
        OAUTHBEARER and XOAUTH2 are taken with a good token only; why not is said
        before the refusal (RFC 7628 3.2.2).
        """
        _, session = self.start(tokens=lambda user, token: (user, token) == ("me", "t"))
        self.assertIn("AUTH OAUTHBEARER XOAUTH2", self.say(session, "EHLO me")[-1])

        def encoded(text: str) -> str:
            return base64.b64encode(text.replace("|", "\1").encode()).decode()

        good = encoded("user=me|auth=Bearer t||")
        wrong = encoded("n,a=me,|host=x|port=1|auth=Bearer x||")
        codes = [x[:3] for x in self.say(session, f"AUTH OAUTHBEARER {wrong}", "AQ==")]
        self.assertEqual((codes, session.user), (["334", "535"], ""))
        codes = [line[:3] for line in self.say(session, "AUTH XOAUTH2", good)]
        self.assertEqual((codes, session.user), (["334", "235"], "me"))
        other = self.connect()
        self.say(other, f"AUTH XOAUTH2 {good}")
        self.assertEqual(other.user, "me")
        codes = [x[:3] for x in self.say(self.connect(), "AUTH XOAUTH2", wrong, "")]
        self.assertEqual(codes, ["334", "334", "535"])

    def test_promiseNotKept(self) -> None:
        """
        Without anything to begin TLS with, the connection ends after the 220.
        """
        _, session = self.start()
        self.assertEqual(self.say(session, "STARTTLS")[0][:3], "220")
        self.assertTrue(isEnding(session))

    def test_stop(self) -> None:
        """
        Stopping breaks the connections that are open, and waits for them.
        """
        server, session = self.start()
        stopped = server.stop()
        self.assertNoResult(stopped)
        self.assertTrue(session.transport.aborted)
        session.connectionLost()
        self.successResultOf(stopped)

    def test_address(self) -> None:
        """
        The address is one that C{--smarthost} takes.
        """
        server, _ = self.start()
        self.assertEqual(server.address, f"127.0.0.1:{server.port}")

    # Answers that are more than words.

    def test_function(self) -> None:
        """
        An answer may be a function of the session and the argument; L{None} is
        the answer of a server that is well.
        """
        asked = []

        def onlyOnce(session: Session, argument: str) -> Answer | None:
            asked.append(argument)
            return Late(1.0, "450 later") if session.taken else None

        _, session = self.start({"MAIL": [onlyOnce], "RCPT": lambda s, a: a[-5:]})
        self.assertEqual(self.say(session, "MAIL FROM:<a@b> SIZE=5")[0][:3], "250")
        self.assertEqual(self.say(session, "RCPT TO:<c@d>"), ["<c@d>"])
        self.server.answers.pop("RCPT")
        self.codes(session, *GROUP[1:])
        self.assertEqual(self.say(session, "MAIL FROM:<x@b>"), [])
        self.reactor.advance(1)
        self.assertEqual(self.heard(session), ["450 later"])
        self.assertEqual(asked, ["FROM:<a@b> SIZE=5", "FROM:<x@b>"])

    def test_circle(self) -> None:
        """
        A script that goes round in circles is told so, and the session ends.
        """

        def again(session: Session, argument: str) -> Answer:
            return again

        _, session = self.start({"NOOP": again})
        error = self.assertRaises(RuntimeError, self.say, session, "NOOP")
        self.assertIn("NOOP", str(error))
        self.assertTrue(session.transport.aborted)

    def test_then(self) -> None:
        """
        One answer after the other: words and an end, or more words than were
        asked for.
        """
        _, session = self.start(
            {
                "NOOP": Then("250 one", Then(Late(1, "250 two"), "250 three")),
                "QUIT": Then("421 no", Then(Act.CLOSE, "250 never")),
            }
        )
        self.assertEqual(self.say(session, "NOOP", "RSET"), ["250 one"])
        self.reactor.advance(1)
        self.assertEqual(self.heard(session), ["250 two", "250 three", "250 2.0.0 Ok"])
        self.assertEqual(self.say(session, "QUIT", "NOOP"), ["421 no"])
        self.assertTrue(isEnding(session))

    def test_drip(self) -> None:
        """
        An answer comes byte by byte, and has its effect with the last one;
        what is said meanwhile waits.
        """
        server, session = self.start({".": Drip(2.0, Late(1.0, "250 ok"))})
        self.assertEqual(self.codes(session, *GROUP, "NOOP")[-1], "354")
        self.reactor.advance(1.0)
        self.assertEqual(self.heardBytes(session), b"")
        for byte in b"250 ok\r":
            self.reactor.advance(2.0)
            self.assertEqual(self.heardBytes(session), bytes((byte,)))
        self.assertEqual(server.received, [])
        self.reactor.advance(2.0)
        self.assertEqual(self.heardBytes(session), b"\n250 2.0.0 Ok\r\n")
        self.assertEqual(len(server.received), 1)

    def test_lostMeanwhile(self) -> None:
        """
        Nothing is left to be done once the connection is lost.
        """
        for answer in (Late(9, "250"), Drip(9, "250"), Endless(b"x"), Act.NOISE):
            server, session = self.start({".": answer})
            self.say(session, *GROUP)
            session.connectionLost()
            self.assertEqual(self.reactor.getDelayedCalls(), [])
            self.assertEqual((server.received, server.open), ([], set()))

    def test_raw(self) -> None:
        """
        Bytes have no effect; none is an answer that is missing.
        """
        _, session = self.start({"MAIL": Raw(b"250 ok\n"), "NOOP": Raw(b"")})
        session.dataReceived(b"NOOP\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n")
        said = self.heardBytes(session)
        self.assertTrue(said.endswith(b"250 ok\n503 5.5.1 MAIL first\r\n"), said)

    def test_A06_endlessLine(self) -> None:
        """
        A line that has no end, slowly if it is told to.
        """
        _, session = self.start({"CONNECT": Drip(3.0, Endless(b"22"))})
        self.reactor.pump([3.0] * 5)
        self.assertEqual(self.heardBytes(session), b"22222")
        self.assertEqual(self.say(session, "QUIT"), [])

    def test_noise(self) -> None:
        """
        Noise is what all that comes is answered with.
        """
        _, session = self.start({"NOOP": Act.NOISE})
        self.heard(session)
        for _ in range(2):
            session.dataReceived(b"NOOP\r\n")
            session.dataReceived(b"\x16\x03\x01")
            self.assertIn(b"\xfe\xff", self.heardBytes(session))

    def test_D22_early(self) -> None:
        """
        The first line of the data may be answered; the others may not.
        """
        server, session = self.start({"BODY": "552 5.3.4 Too big"})
        said = self.codes(session, *GROUP[:3], "one", "two", ".")
        self.assertEqual(said, ["250", "250", "354", "552", "250"])
        self.assertEqual(server.received[0].content, b"one\r\ntwo\r\n")

    def test_others(self) -> None:
        """
        What has no key of its own has that of the others; greeting and data
        are no commands.
        """
        _, session = self.start({"*": "250 well", "NOOP": "252 noop"})
        self.assertEqual(self.heard(session), ["220 server.example ESMTP"])
        self.assertEqual(self.say(session, "WHAT", "NOOP"), ["250 well", "252 noop"])
        self.server.answers = {".": Act.RESET, "CONNECT": Act.RESET}
        self.assertEqual(self.codes(session, ".", "CONNECT x"), ["500", "500"])

    # What is kept.

    def test_exchanges(self) -> None:
        """
        What was said is kept, and told as soon as it was answered; only so
        much of it is kept.
        """
        server, session = self.start({"NOOP": ["250 ok", Act.SILENCE]})
        told: list[tuple[str, str]] = []
        server.onExchange = lambda s, command, answer: told.append((command, answer))
        self.say(session, "noop x", "RSET", *GROUP, "NOOP")
        expected = [
            ("noop x", "250 ok"),
            ("RSET", "250 2.0.0 Ok"),
            ("MAIL FROM:<a@b>", "250 2.1.0 Ok"),
            ("RCPT TO:<c@d>", "250 2.1.5 Ok"),
            ("DATA", "354 Go on"),
            (".", "250 2.0.0 Ok"),
            ("NOOP", "(SILENCE)"),
        ]
        self.assertEqual(told, expected)
        greeting = ("CONNECT", "220 server.example ESMTP")
        self.assertEqual(session.exchanges, [greeting, *expected])
        other = self.connect()
        self.say(other, *[f"RSET {index}" for index in range(MAX_EXCHANGES + 5)])
        self.assertEqual(len(other.exchanges), MAX_EXCHANGES)
        self.assertEqual(other.exchanges[0][0], "RSET 5")

    def test_answerIsWrittenFirst(self) -> None:
        """
        When somebody is told that a message was taken, the answer to its end
        has been written, and nothing of the next one.
        """
        server, session = self.start()
        told: list[tuple[Received, bytes]] = []
        server.onReceived = lambda message: told.append(
            (message, session.transport.value()[-14:])
        )
        self.say(session, *GROUP, *GROUP)
        self.assertEqual([said for _, said in told], [b"250 2.0.0 Ok\r\n"] * 2)
        self.assertEqual([message.answer for message, _ in told], ["250 2.0.0 Ok"] * 2)
        self.assertEqual(session.taken, 2)

    def test_segments(self) -> None:
        """
        However the bytes of a pipelined group come, the answers are the same.
        """
        data = "".join(f"{line}\r\n" for line in (*GROUP, "NOOP", "QUIT")).encode()
        said = set()
        for size in (1, 2, 3, 7, 50, len(data)):
            server, session = self.start(
                {"RCPT": Late(1, "250 ok"), "NOOP": Drip(0.1, "250 slow")}
            )
            for start in range(0, len(data), size):
                session.dataReceived(data[start : start + size])
            self.reactor.pump([0.5, 0.6] + [0.1] * 11)
            said.add(self.heardBytes(session))
            self.assertEqual(server.received[0].content, b"hello\r\n")
        self.assertEqual(len(said), 1, said)

    def test_passwordOfNoEffect(self) -> None:
        """
        Nobody is logged in who was told that he is not.
        """
        _, session = self.start({"AUTH": "535 5.7.8 No"}, users={"me": "x"})
        said = base64.b64encode(b"\0me\0x").decode()
        self.assertEqual(self.codes(session, f"AUTH PLAIN {said}"), ["535"])
        self.assertEqual(session.user, "")

    def test_startAgain(self) -> None:
        """
        It starts again after it was stopped; what was received stays.
        """
        server, session = self.start()
        self.say(session, *GROUP)
        server.stop()
        server.start(self.reactor)
        self.say(self.connect(), *GROUP)
        self.assertEqual(len(server.received), 2)


class MachineTests(SynchronousTestCase):
    """
    A server on a machine in memory.
    """

    MAIL = Mail("a@b", ("c@d",), b"hello\r\n")

    def setUp(self) -> None:
        self.network = Network(1)
        self.machine = self.network.machine("192.0.2.25")
        self.client = self.network.machine("192.0.2.1")

    def send(self, **manner: Any) -> Any:
        """
        Send a message to the server.
        """
        sent = send(self.client, "192.0.2.25", 25, self.MAIL, Manner(**manner))
        self.network.run(400)
        return self.successResultOf(sent)

    def test_machineGoesDown(self) -> None:
        """
        It can be started again after its machine went down, and stopped.
        """
        server = SMTPServer({"DATA": Act.SILENCE}).start(self.machine, "192.0.2.25", 25)
        self.network.callLater(1, self.machine.cutPower)
        self.assertIs(self.send().state, State.UNSENT)
        server.answers.clear()
        self.machine.boot()
        server.start(self.machine, "192.0.2.25", 25)
        self.assertIs(self.send().state, State.TAKEN)
        self.successResultOf(server.stop())

    def test_tls(self) -> None:
        """
        TLS works, in a session that is asked for it.
        """
        authority = ThrowawayCA()
        server = SMTPServer(contextFactory=authority.issue("mx.example").contextFactory)
        server.start(self.machine, "192.0.2.25", 25)
        context = optionsForClientTLS("mx.example", trustRoot=authority.trustRoot)
        self.assertIs(self.send(contextFactory=context).state, State.TAKEN)
        self.assertTrue(server.received[0].session.isTLS)

    def assertNoTLS(self, answer: Answer, context: Any = None) -> None:
        """
        Fail unless TLS does not come to be, and nothing is said in clear.
        """
        server = SMTPServer(
            {"STARTTLS": answer},
            keywords=(*KEYWORDS, "STARTTLS"),
            contextFactory=context,
        ).start(self.machine, "192.0.2.25", 25)
        creator = optionsForClientTLS("mx.example")
        sent = self.send(contextFactory=creator)
        self.assertIs(sent.state, State.UNSENT)
        self.assertNotEqual(sent.reason, "")
        self.assertEqual(server.sessions[0].commands[-1], "STARTTLS")

    def test_D09_brokenTLS(self) -> None:
        """
        TLS may be promised, and be noise.
        """
        self.assertNoTLS(BROKEN_TLS)

    def test_A02_injection(self) -> None:
        """
        Bytes in clear may come behind the 220; who throws them away has TLS.
        """
        authority = ThrowawayCA()
        server = SMTPServer(
            {"STARTTLS": "220 Go on\n250 injected"},
            contextFactory=authority.issue("mx.example").contextFactory,
        ).start(self.machine, "192.0.2.25", 25)
        context = optionsForClientTLS("mx.example", trustRoot=authority.trustRoot)
        sent = self.send(contextFactory=context)
        self.assertIn(
            ("STARTTLS", "220 Go on\n250 injected"), server.sessions[0].exchanges
        )
        self.assertIs(sent.state, State.TAKEN)
        self.assertTrue(server.received[0].session.isTLS)
