"""
Tests for L{relaymail.deliver.overlapping}: a relayer whose next transaction begins
in the same flight as the end of the message before it, and a server that fails in
between.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from relaymail.deliver.attempts import _AttemptManager
from relaymail.dialogue.patience import PATIENCE
from relaymail.relaymanager import ESMTPManagedRelayer, ESMTPManagedRelayerFactory
from relaymail.replies import Phase
from relaymail.route.hosts import Host, Route
from relaymail.testing.doubles import MailWorld

PEER = IPv4Address("TCP", "192.0.2.9", 25)
HELLO = b"250-mx.example\r\n250 PIPELINING\r\n"
ACCEPTED = b"250 ok\r\n250 ok\r\n354 go\r\n"


def group(number: int) -> bytes:
    """
    Give what begins the transaction of a message.
    """
    return b"MAIL FROM:<a@example.com>\r\nRCPT TO:<%d@x.example>\r\nDATA\r\n" % number


def body(number: int) -> bytes:
    """
    Give a message with its end.
    """
    return b"message %d\r\n.\r\n" % number


class Session:
    """
    A relayer with a batch of messages, whose server is the test.

    @ivar outcomes: C{(kind, name, ambiguous)} of what was settled, in its order.
    @ivar again: How often a host was connected to.
    """

    def __init__(self, count: int = 3, kind: Any = ESMTPManagedRelayer, **kw: Any):
        self.outcomes: list[tuple[str, str, bool]] = []
        self.again = 0
        self.world = MailWorld()
        self.world.queue.onWaiting = None
        manager: Any = self.world.manager
        manager.onOutcome = self._note
        manager._cbExchange = self._connect
        for name, value in kw.items():
            setattr(manager, name, value)
        self.names: list[str] = []
        self.give(count)
        for name in self.names:
            self.world.queue.setRelaying(name)
        attempt = _AttemptManager(manager, False, self.world.machine)
        factory = ESMTPManagedRelayerFactory([], attempt, None, None, b"me")
        factory.protocol = kind
        manager.managed[factory] = list(self.names)
        attempt.begin(factory, Route((Host("mx.example"), Host("mx2.example"))))
        self.attempt, self.factory = attempt, factory
        self.wire = StringTransport()
        self.relayer: Any = factory.buildProtocol(PEER)
        self.relayer.makeConnection(self.wire)

    def give(self, count: int) -> None:
        """
        Queue messages.
        """
        for number in range(len(self.names), len(self.names) + count):
            self.names += self.world.send(
                "a@example.com",
                f"{number}@x.example",
                content=b"message %d\r\n" % number,
            )

    def _note(self, name: str, letter: Any, outcome: Any, told: Any) -> None:
        isAmbiguous = getattr(outcome, "ambiguous", False)
        self.outcomes.append((type(outcome).__name__, name, isAmbiguous))

    def _connect(self, *args: Any) -> None:
        self.again += 1

    def hear(self, *lines: bytes) -> bytes:
        """
        Say lines.

        @return: What the relayer says then.
        """
        self.relayer.dataReceived(b"".join(line + b"\r\n" for line in lines))
        return self.said()

    def said(self) -> bytes:
        """
        Give what the relayer said since this was asked.
        """
        value: bytes = self.wire.value()
        self.wire.clear()
        return value

    def toDot(self) -> bytes:
        """
        Take the first message, up to its end.

        @return: What was said with it.
        """
        self.relayer.dataReceived(b"220 hi\r\n" + HELLO)
        self.wire.clear()
        self.relayer.dataReceived(ACCEPTED)
        return self.said()

    def lose(self) -> None:
        """
        Cut the connection.
        """
        self.relayer.connectionLost(Failure(ConnectionDone()))

    @property
    def told(self) -> list[tuple[str, int, bool]]:
        """
        What was settled, by the numbers of the messages.
        """
        return [(kind, self.names.index(n), a) for kind, n, a in self.outcomes]


class FlightTests(SynchronousTestCase):
    """
    What is in one flight.
    """

    def test_oneWrite(self) -> None:
        """
        A message, its end and the next transaction up to DATA are one write (RFC
        2920 3.1); the last message is followed by nothing.
        """
        session = Session()
        written: list[bytes] = []
        self.patch(session.wire, "write", written.append)
        session.relayer.dataReceived(b"220 hi\r\n" + HELLO)
        for _ in range(3):
            session.relayer.dataReceived(ACCEPTED)
            session.relayer.dataReceived(b"250 taken\r\n")
        self.assertEqual(
            written[1:],
            [
                group(0),
                body(0) + group(1),
                body(1) + group(2),
                body(2),
                b"QUIT\r\n",
            ],
        )
        self.assertEqual([told[:2] for told in session.told],
                         [("Delivered", n) for n in range(3)])  # fmt: skip

    def test_streamed(self) -> None:
        """
        A large message is followed by the next transaction, too.
        """
        session = Session(0)
        content = b"x" * 70 + b"\r\n"
        session.names += session.world.send("a@example.com", "big@x.example",
                                            content=content * 2000)  # fmt: skip
        session.give(1)
        for name in session.names:
            session.world.queue.setRelaying(name)
        session.world.manager.managed[session.factory][:] = session.names
        session.relayer.loadMessages(map(session.world.queue.getPath, session.names))
        session.toDot()
        while session.wire.producer is not None:
            session.wire.producer.resumeProducing()
        self.assertTrue(session.said().endswith(b"\r\n.\r\n" + group(1)))
        self.assertIs(session.relayer.phase, Phase.FINAL)

    def test_moreMessages(self) -> None:
        """
        Where the list is at its end more messages are asked for, and what there is
        without waiting follows.
        """
        session = Session(1)
        session.give(1)
        self.patch(session.attempt, "moreMessages", lambda relay: (
            [session.world.queue.getPath(session.names[1])]
            if len(session.relayer.names) == 1 and not session.outcomes else ()
        ))  # fmt: skip
        session.world.queue.setRelaying(session.names[1])
        session.world.manager.managed[session.factory].append(session.names[1])
        self.assertEqual(session.toDot(), body(0) + group(1))

    def test_notWithout(self) -> None:
        """
        The next transaction waits where it must not or cannot be begun.
        """

        class OwnLetters(ESMTPManagedRelayer):
            def getMailSize(self) -> int | None:
                return super().getMailSize()

        class Resets(ESMTPManagedRelayer):
            resetsAfterMail = True

        class Never(ESMTPManagedRelayer):
            overlaps = False

        class OwnForm(ESMTPManagedRelayer):
            def finishedFileTransfer(self, lastsent: bytes) -> None:
                super().finishedFileTransfer(lastsent)

        for kind in (OwnLetters, Resets, Never, OwnForm):
            self.assertEqual(Session(kind=kind).toDot(), body(0), kind)
        session = Session()
        session.relayer.dataReceived(b"220 hi\r\n" + HELLO)
        session.hear(b"250 ok", b"250 ok")
        session.world.manager.isStopping = True
        session.said()
        self.assertEqual(session.hear(b"354 go"), body(0))

    def test_MAILMAX(self) -> None:
        """
        It is not begun where the host would not take it (RFC 9422 4.1).
        """
        session = Session()
        session.hear(b"220 hi")
        session.hear(b"250-hi", b"250-LIMITS MAILMAX=2", b"250 PIPELINING")
        self.assertEqual(session.hear(ACCEPTED[:-2]), body(0) + group(1))
        self.assertEqual(session.hear(b"250 taken", ACCEPTED[:-2]), body(1))
        self.assertEqual(session.hear(b"250 taken"), b"QUIT\r\n")
        session.lose()
        self.assertEqual(session.again, 2)

    def test_ownSentMail(self) -> None:
        """
        A class that tells by itself what was sent finds its names first on the
        lists.
        """
        seen: list[tuple[str, Any]] = []

        class Tells(ESMTPManagedRelayer):
            def sentMail(self, *args: Any) -> None:
                seen.append((self.names[0], self.messages[0][1]))
                super().sentMail(*args)

        session = Session(kind=Tells)
        session.toDot()
        for _ in range(2):
            session.hear(b"250 taken", ACCEPTED[:-2])
        session.hear(b"250 taken")
        self.assertEqual(
            seen, [(name, f"{n}@x.example") for n, name in enumerate(session.names)]
        )


class FaultTests(SynchronousTestCase):
    """
    Faults while the next transaction is under way.
    """

    def assertUntouched(self, session: Session, *numbers: int) -> None:
        """
        Nothing was settled of these, they go over a new connection to the same
        host, and nothing was said of their content.
        """
        for number in numbers:
            name = session.names[number]
            self.assertIn(name, session.world.manager.managed[session.factory])
            self.assertEqual(session.world.queue.letter(name).attempts, 1)
            self.assertNotIn(b"message %d" % number, session.wire.value())
        host = session.attempt.host
        assert host is not None
        self.assertEqual((session.again, host.name), (2, "mx.example"))

    def test_D23_recordedFirst(self) -> None:
        """
        What the server took is settled before anything is made of what it says
        next, also in the same segment.
        """
        session = Session()
        session.toDot()
        session.hear(b"250 taken", b"550 not you", b"503 no", b"503 no")
        self.assertEqual(session.told, [("Delivered", 0, False), ("Bounce", 1, False)])

    def test_D24_refusedAtTheEnd(self) -> None:
        """
        4yz and 5yz to a message are that message's; the next one goes on.
        """
        for line, kind in ((b"451 later", "Retry"), (b"554 no", "Bounce")):
            session = Session(2)
            session.toDot()
            self.assertEqual(session.hear(line), b"")
            self.assertEqual(session.hear(ACCEPTED[:-2]), body(1))
            session.hear(b"250 taken")
            self.assertEqual(session.told, [(kind, 0, False), ("Delivered", 1, False)])

    def test_D25_421(self) -> None:
        """
        421 to a message ends the session; what is said then answers nothing.
        """
        session = Session()
        session.toDot()
        session.hear(b"421 going")
        self.assertTrue(session.wire.disconnecting)
        self.assertEqual(session.hear(b"250 ok", b"250 ok", b"354 go"), b"")
        session.lose()
        self.assertEqual(session.told, [("Retry", 0, True)])
        self.assertUntouched(session, 1, 2)

    def test_D25_421AndSilence(self) -> None:
        """
        A server that does not close is not waited for.
        """
        session = Session()
        session.toDot()
        session.hear(b"421 going")
        session.world.run(PATIENCE[Phase.QUIT] + 1)
        self.assertTrue(session.wire.disconnected)

    def test_D25_lost(self) -> None:
        """
        The end of the connection in place of the reply to a message: it is that
        message alone of which is not known whether it was taken.
        """
        session = Session()
        session.toDot()
        session.lose()
        self.assertEqual(session.told, [("Retry", 0, True)])
        self.assertUntouched(session, 1, 2)

    def test_D25_garbage(self) -> None:
        """
        So with garbage, and with what makes no sense there.
        """
        for line in (b"what?", b"354 go", b"150 wait", b"777 no"):
            session = Session()
            session.toDot()
            self.assertEqual(session.hear(line, b"250 ok", b"250 ok", b"354 go"), b"")
            self.assertTrue(session.wire.disconnecting)
            session.lose()
            self.assertEqual(session.told, [("Retry", 0, True)], line)
            self.assertUntouched(session, 1, 2)

    def test_D25_D30_silence(self) -> None:
        """
        So with silence; the time is that of the reply to the message.
        """
        session = Session()
        session.toDot()
        session.world.run(PATIENCE[Phase.FINAL] - 1)
        self.assertFalse(session.wire.disconnected)
        session.world.run(2)
        self.assertTrue(session.wire.disconnected)
        session.lose()
        self.assertEqual(session.told, [("Retry", 0, True)])
        self.assertUntouched(session, 1, 2)

    def test_D26_surplus(self) -> None:
        """
        A reply too many behind that to a message shows at DATA: the next message
        is not sent, and is not settled by what was meant for none, be it a
        refusal.
        """
        for line in (b"250 more", b"550 more", b"451 more"):
            session = Session()
            session.toDot()
            said = session.hear(b"250 taken", line, b"250 ok", b"250 ok", b"354 go")
            self.assertEqual(said, b"", line)
            self.assertTrue(session.wire.disconnecting)
            session.lose()
            kinds = {kind for kind, number, _ in session.told if number}
            self.assertEqual(session.told[0], ("Delivered", 0, False))
            self.assertLessEqual(kinds, {"Retry"}, line)

    def test_D26_354TooEarly(self) -> None:
        """
        So is a 354 that answers nothing.
        """
        session = Session()
        session.toDot()
        self.assertEqual(session.hear(b"250 taken", b"354 go"), b"")
        self.assertTrue(session.wire.disconnecting)
        self.assertEqual(session.told, [("Delivered", 0, False)])

    def test_D29_enough(self) -> None:
        """
        A server that had enough after a message says so to the next MAIL, or only
        closes: that message goes over a new connection, and it costs nothing.
        """
        for line in (b"421 enough", None):
            session = Session()
            session.toDot()
            session.hear(b"250 taken", *([line] if line else []))
            session.lose()
            self.assertEqual(session.told, [("Delivered", 0, False)])
            self.assertUntouched(session, 1, 2)

    def test_D13_D14_nextRefused(self) -> None:
        """
        The next message refused is no reason to think again of the first.
        """
        session = Session()
        session.toDot()
        session.hear(b"250 taken", b"550 not you", b"503 no")
        self.assertEqual(session.hear(b"503 no"), group(2))
        self.assertEqual(session.told, [("Delivered", 0, False), ("Bounce", 1, False)])

    def test_D19_nobodyAccepted(self) -> None:
        """
        Where nobody of the next one is accepted, and 354 comes all the same, a dot
        is sent, and nothing with it.
        """
        session = Session()
        session.toDot()
        said = session.hear(b"250 taken", b"250 ok", b"550 no", b"354 go")
        self.assertEqual(said, b".\r\n")
        self.assertEqual(session.hear(b"554 no"), b"RSET\r\n")
        self.assertEqual(session.hear(b"250 ok"), group(2))
        self.assertEqual(session.told, [("Delivered", 0, False), ("Bounce", 1, False)])

    def test_D16_whatIsLeftComesBehind(self) -> None:
        """
        Who was too many waits behind the transaction that has begun, and each gets
        what was said of it.
        """
        session = Session(0, recipientsPerTransaction=10)
        to = ["b@x.example", "c@x.example"]
        session.names += session.world.send("a@example.com", *to, content=b"two\r\n")
        session.give(1)
        for name in session.names:
            session.world.queue.setRelaying(name)
        session.world.manager.managed[session.factory][:] = session.names
        session.relayer.loadMessages(map(session.world.queue.getPath, session.names))
        session.relayer.dataReceived(b"220 hi\r\n" + HELLO)
        session.said()
        said = session.hear(b"250 ok", b"250 ok", b"452 too many", b"354 go")
        self.assertEqual(said, b"two\r\n.\r\n" + group(2))
        session.hear(b"250 taken")
        self.assertEqual(session.relayer.names,
                         [session.world.queue.getPath(session.names[n])
                          for n in (2, 1)])  # fmt: skip
        said = session.hear(ACCEPTED[:-2])
        self.assertIn(b"RCPT TO:<c@x.example>", said)
        session.hear(b"554 no")
        self.assertEqual(session.hear(ACCEPTED[:-2]), b"two\r\n.\r\n")
        session.hear(b"250 taken")
        self.assertEqual(
            session.told,
            [("Delivered", 0, False), ("Bounce", 2, False), ("Delivered", 1, False)],
        )

    def test_P10_stopping(self) -> None:
        """
        A message of which only the envelope was said when the service stops is
        left.
        """
        session = Session()
        session.toDot()
        session.world.manager.isStopping = True
        session.hear(b"250 taken")
        self.assertTrue(session.wire.disconnecting)
        session.lose()
        self.assertEqual(session.told, [("Delivered", 0, False)])
        self.assertEqual(
            session.world.queue.getWaiting(), [session.names[1], session.names[2]]
        )


#: What a server may say, and what it may say instead.
LINES = st.sampled_from(
    [b"250 ok", b"250 ok", b"250 ok", b"354 go", b"354 go", b"250-part", b"421 bye",
     b"451 wait", b"452 many", b"550 no", b"555 what", b"hm"]
)  # fmt: skip


class AnythingTests(SynchronousTestCase):
    """
    What holds whatever a server says.
    """

    def play(self, stream: bytes, step: int) -> Session:
        """
        Say it, so many bytes at a time, and cut the connection.
        """
        session = Session(4)
        self.sent = b""
        session.relayer.dataReceived(b"220 hi\r\n" + HELLO)
        for start in range(0, len(stream), step):
            session.relayer.dataReceived(stream[start : start + step])
        self.sent = session.said()
        session.lose()
        return session

    def serve(self, codes: list[int], step: int) -> tuple[bytes, list[Any]]:
        """
        Answer whatever the relayer says, in flights that are cut.

        @param codes: The answers to MAIL, RCPT and messages, one after the other.
        @param step: How many bytes of an answer come at a time.

        @return: What the relayer said, and what became of the messages.
        """
        session, answers = Session(4), iter(codes)
        session.relayer.dataReceived(b"220 hi\r\n")
        session.said()
        sent, flight, isMessage, isTaken = b"", HELLO, False, False
        while flight:
            for start in range(0, len(flight), step):
                session.relayer.dataReceived(flight[start : start + step])
            said, flight = session.said(), b""
            sent += said
            for line in said.split(b"\r\n")[:-1]:
                code = 250
                if isMessage and line != b".":
                    continue
                if line[:4] in (b"MAIL", b"RCPT") or line == b".":
                    code = next(answers, 250)
                    isTaken = code < 300 and (isTaken or line[:4] == b"MAIL")
                if line == b"DATA":
                    code = 354 if isTaken else 554
                isMessage = code == 354
                flight += b"%d-so\r\n%d said\r\n" % (code, code)
        session.lose()
        return sent, session.told

    @settings(deadline=None, max_examples=80)
    @given(
        st.lists(st.sampled_from([250, 250, 250, 421, 451, 452, 550, 555]), max_size=9),
        st.integers(1, 60),
    )
    def test_A06_segmentsDoNotMatter(self, codes: list[int], step: int) -> None:
        """
        However the bytes of a server are cut, the same bytes are sent, and each
        message becomes the same.
        """
        self.assertEqual(self.serve(codes, step), self.serve(codes, 10_000))

    @settings(deadline=None, max_examples=80)
    @given(st.lists(LINES, max_size=30), st.integers(1, 60))
    def test_P2_P3_P4_accounting(self, lines: list[bytes], step: int) -> None:
        """
        Every message is settled once at most, delivered only if its end was sent,
        and there if it was not settled; no two are of unknown fate.
        """
        session = self.play(b"".join(line + b"\r\n" for line in lines), step)
        settled = [number for _, number, _ in session.told]
        self.assertEqual(len(settled), len(set(settled)))
        for kind, number, _ in session.told:
            if kind == "Delivered":
                self.assertIn(body(number), self.sent)
        ambiguous = [number for _, number, flag in session.told if flag]
        self.assertLessEqual(len(ambiguous), 1)
        managed = session.world.manager.managed.get(session.factory, ())
        resting = [name for _, name, _ in session.outcomes]
        for name in session.names:
            self.assertTrue(name in managed or name in resting, name)
