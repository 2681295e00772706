# -*- test-case-name: relaymail.test.dialogue.test_bothsides -*-
"""
The client's dialogue against the server's, with nothing between them: what a client
asks for is what the server understands, and both count replies alike.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.dialogue.actions import (
    Actions,
    Answer,
    AskRecipient,
    AskSender,
    Store,
    TakeChunk,
)
from relaymail.dialogue.answers import answer
from relaymail.dialogue.asking import Form, Terms, askFor, askForRecipient
from relaymail.dialogue.extensions import Extensions, parseExtensions
from relaymail.dialogue.server import Offer, ServerDialogue
from relaymail.dialogue.stuffing import DotStuffer
from relaymail.dialogue.transaction import (
    Action,
    Finish,
    Say,
    SendBody,
    SendNothing,
    Transaction,
)
from relaymail.dialogue.unstuffing import Unstuffing
from relaymail.envelopes import (
    NO_PARAMETERS,
    DeliverBy,
    Entrance,
    Envelope,
    Parameters,
    RecipientParameters,
)
from relaymail.replies import Phase, Reply, TroubleKind
from relaymail.test.dialogue.talking import Known

#: The time of both.
NOW = 1_000_000_000.0
OFFER = Offer("mx.example.org", isBinarySafe=True, deliverBySeconds=0)
TO = ("b@d.example", "c@d.example")


@dataclass
class Server:
    """
    The server's dialogue, with a judgement.

    It refuses recipients that begin with C{no}, and puts off those that begin with
    C{later}.

    @ivar stored: What it took.
    """

    offer: Offer = OFFER
    entrance: Entrance = Entrance.RELAY
    tls: bool = False
    stored: list[tuple[Envelope, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._dialogue = ServerDialogue(
            self.offer, tls=self.tls, around=Known(), entrance=self.entrance
        )
        self._dialogue.greeting()
        hello = b"LHLO" if self.entrance is Entrance.LMTP else b"EHLO"
        [self._greeting] = self.hear(hello + b" me.example.com")

    @property
    def extensions(self) -> Extensions:
        """
        What it offers.
        """
        return parseExtensions(self._greeting)

    def hear(
        self, line: bytes, behind: bool = False, content: bytes = b""
    ) -> list[Reply]:
        """
        Give its replies to a command.
        """
        return self._serve(self._dialogue.heard(line, behind=behind), content)

    def take(self, content: bytes) -> list[Reply]:
        """
        Give its replies to a message.
        """
        return self._serve(self._dialogue.dataEnded(), content)

    def _serve(self, actions: Actions, content: bytes) -> list[Reply]:
        replies = []
        for action in actions:
            match action:
                case Answer(said):
                    replies.append(said)
                case AskSender() | AskRecipient():
                    replies += self._serve(self._judge(action), content)
                case TakeChunk(size):
                    assert size == len(content)
                    replies += self._serve(self._dialogue.chunkEnded(), content)
                case Store(envelope):
                    self.stored.append((envelope, content))
                    replies += self._serve(self._dialogue.queued("1"), content)
        return replies

    def _judge(self, action: AskSender | AskRecipient) -> Actions:
        if isinstance(action, AskRecipient):
            if action.recipient.startswith("no"):
                return self._dialogue.refused(answer(550, "5.1.1", "No"))
            if action.recipient.startswith("later"):
                return self._dialogue.refused(answer(451, "4.2.0", "Wait"))
        return self._dialogue.accepted()


@dataclass
class Client:
    """
    The client's dialogue.

    @ivar finish: How its transaction ended.
    """

    server: Server
    pipelined: bool = True

    def send(
        self, envelope: Envelope, content: bytes, isVerified: bool = False
    ) -> TroubleKind | None:
        """
        Send a message.

        @return: Why it was not offered; L{None} where it was.
        """
        said, extensions = envelope.parameters, self.server.extensions
        size, eightBit = len(content), not content.isascii()
        terms = askFor(said, extensions, size, eightBit, NOW, isVerified)
        if isinstance(terms, TroubleKind):
            return terms
        self.finish = self._talk(self._begin(envelope, terms), content, terms)
        return None

    def _begin(self, envelope: Envelope, terms: Terms) -> Transaction:
        recipients = envelope.recipients
        own = [askForRecipient(to, envelope.parametersOf(index))
               for index, to in enumerate(recipients)]  # fmt: skip
        paths = [f"<{to}>".encode() for to in recipients]
        self.transaction = Transaction(
            f"<{envelope.sender}>".encode(),
            paths,
            terms,
            self.pipelined,
            own if envelope.recipientParameters else (),
            self.server.entrance is Entrance.LMTP,
        )
        return self.transaction

    def _talk(self, transaction: Transaction, content: bytes, terms: Terms) -> Finish:
        lines: deque[bytes] = deque()
        todo: deque[Action] = deque(transaction.begin())
        while todo:
            replies: list[Reply] = []
            match todo.popleft():
                case Say(said, _):
                    lines.extend(said)
                case SendBody() | SendNothing() as action:
                    body = content if action == SendBody() else b""
                    transaction.bodySent()
                    replies = self._sendBody(body, terms.form)
                case Finish() as finish:
                    return finish
                case broken:
                    raise AssertionError(f"out of step: {broken}")
            for each in replies:
                todo.extend(transaction.heard(each))
            while lines:
                self._say(transaction, lines, todo)
        raise AssertionError("the dialogue stopped")

    def _say(
        self, transaction: Transaction, lines: deque[bytes], todo: deque[Action]
    ) -> None:
        phase = transaction.phase
        for each in self.server.hear(lines.popleft(), bool(lines)):
            todo.extend(transaction.heard(each))
        if not self.pipelined and phase is Phase.MAIL and not todo:
            todo.extend(transaction.nameNext())

    def _sendBody(self, content: bytes, form: Form) -> list[Reply]:
        if form is Form.CHUNKED:
            return self.server.hear(b"BDAT %d LAST" % len(content), content=content)
        stuffer, unstuffing = DotStuffer(), Unstuffing()
        received = unstuffing.feed(stuffer.stuff(content) + stuffer.end())
        assert unstuffing.ended
        return self.server.take(received)


class BothSidesTests(SynchronousTestCase):
    """
    A message for both windows.
    """

    def arrives(
        self, envelope: Envelope, content: bytes = b".a\r\n..\r\n", **kw: bool
    ) -> Envelope:
        """
        Send a message with either window.

        @return: Its envelope as it arrived, the same both times.
        """
        found = []
        for pipelined in (True, False):
            server = Server(tls=kw.get("isVerified", False))
            client = Client(server, pipelined)
            self.assertIs(client.send(envelope, content, **kw), None)
            self.assertEqual(client.finish.reply.code, 250)
            [(arrived, received)] = server.stored
            self.assertEqual(received, content)
            found.append(arrived)
        self.assertEqual(found[0], found[1])
        return found[0]

    def test_plain(self) -> None:
        """
        Of plain mail nothing is said but the addresses.
        """
        plain = Envelope("a@b.example", TO)
        self.assertEqual(self.arrives(plain), plain)

    def test_eightBit(self) -> None:
        """
        8BITMIME (RFC 6152): bytes above 127 are announced and arrive.
        """
        arrived = self.arrives(Envelope("a@b.example", TO), b"\xe4\r\n")
        self.assertEqual(arrived.parameters, Parameters("8BITMIME"))

    def test_binary(self) -> None:
        """
        CHUNKING and BINARYMIME (RFC 3030): every byte arrives as it is.
        """
        said = Envelope("a@b.example", TO, Parameters("BINARYMIME"))
        content = b"\0\r\n.\r\n\n\rBDAT 5 LAST\r\n\xff"
        self.assertEqual(self.arrives(said, content), said)

    def test_DSN(self) -> None:
        """
        DSN (RFC 3461): what is said arrives, with the address for who was named
        as no other.
        """
        own = (RecipientParameters("SUCCESS,DELAY", "rfc822;B+x@d.example"),
               RecipientParameters("NEVER"))  # fmt: skip
        parameters = Parameters(ret="HDRS", envid="a b+c")
        arrived = self.arrives(Envelope("a@b.example", TO, parameters, own))
        self.assertEqual(arrived.parameters, parameters)
        wanted = (own[0], replace(own[1], orcpt="rfc822;c@d.example"))
        self.assertEqual(arrived.recipientParameters, wanted)

    def test_SMTPUTF8(self) -> None:
        """
        SMTPUTF8 (RFC 6531): so do addresses that are not ASCII.
        """
        said = Envelope(
            "\u00e4@b.example", ("\u00f6@d.example",), Parameters(utf8=True)
        )
        self.assertEqual(self.arrives(said), said)

    def test_SMTPUTF8AndDSN(self) -> None:
        """
        The same with an original recipient (RFC 6533 3).
        """
        own = (RecipientParameters("NEVER", "utf-8;\u00fc\\=+@d.example"),)
        said = Envelope(
            "a@b.example", ("\u00f6@d.example",), Parameters(utf8=True), own
        )
        self.assertEqual(self.arrives(said), said)

    def test_REQUIRETLS(self) -> None:
        """
        REQUIRETLS (RFC 8689): it is said under TLS that was verified, and offered
        under TLS only; no more than the header is to come back.
        """
        said = Envelope("a@b.example", TO, Parameters(ret="HDRS", requireTLS=True))
        self.assertEqual(self.arrives(said, isVerified=True), said)
        wanted = TroubleKind.NO_REQUIRETLS
        self.assertIs(Client(Server()).send(said, b"", isVerified=True), wanted)
        self.assertIs(Client(Server(tls=True)).send(said, b""), wanted)

    def test_DELIVERBY(self) -> None:
        """
        DELIVERBY (RFC 2852): the rest of the time arrives.
        """
        for by in (DeliverBy(NOW + 120, True), DeliverBy(NOW - 5, False, True)):
            said = Envelope("a@b.example", TO, Parameters(deliverBy=by))
            self.assertEqual(self.arrives(said), said)
        hasty = Server(replace(OFFER, deliverBySeconds=180))
        by = DeliverBy(NOW + 120, True)
        said = Envelope("a@b.example", TO, Parameters(deliverBy=by))
        self.assertIs(Client(hasty).send(said, b""), TroubleKind.NO_DELIVERBY)

    def test_MTPRIORITY(self) -> None:
        """
        MT-PRIORITY (RFC 6710): less than usual arrives.
        """
        said = Envelope("a@b.example", TO, Parameters(priority=-4))
        self.assertEqual(self.arrives(said), said)

    def test_FUTURERELEASE(self) -> None:
        """
        FUTURERELEASE (RFC 4865): what was held is not held again.
        """
        said = Envelope("a@b.example", TO, Parameters(holdUntil=NOW + 5))
        self.assertEqual(self.arrives(said).parameters, NO_PARAMETERS)

    def test_SIZE(self) -> None:
        """
        SIZE (RFC 1870): what is too large for the server is not offered.
        """
        server = Server(Offer("mx.example.org", messageSize=5))
        client = Client(server)
        self.assertIs(client.send(Envelope("a@b.example", TO), b"123456"),
                      TroubleKind.TOO_LARGE)  # fmt: skip
        self.assertIs(client.send(Envelope("a@b.example", TO), b"123\r\n"), None)

    def test_LIMITS(self) -> None:
        """
        LIMITS (RFC 9422): how many recipients the server takes is read.
        """
        server = Server(replace(OFFER, recipients=7))
        self.assertEqual(server.extensions.limits.recipients, 7)

    @settings(deadline=None, max_examples=60)
    @given(
        st.builds(
            Parameters,
            body=st.sampled_from(["", "BINARYMIME"]),
            ret=st.sampled_from(["", "FULL", "HDRS"]),
            envid=st.text(st.characters(min_codepoint=32, max_codepoint=126),
                          max_size=20),
            utf8=st.booleans(),
            priority=st.integers(-9, 0),
            deliverBy=st.none() | st.builds(
                DeliverBy, st.integers(1, 99999).map(lambda n: NOW + n),
                st.booleans(), st.booleans()),
        ),
        st.sampled_from(["", "NEVER", "SUCCESS", "SUCCESS,FAILURE", "DELAY"]),
        st.sampled_from(["rfc822;x@y.example", "utf-8;\u00e4@y.example"]),
    )  # fmt: skip
    def test_anything(self, parameters: Parameters, notify: str, orcpt: str) -> None:
        """
        Whatever a sender says, the server understands it as it was meant.
        """
        own = (RecipientParameters(notify, orcpt), RecipientParameters("", orcpt))
        said = Envelope("a@b.example", TO, parameters, own)
        self.assertEqual(self.arrives(said), said)


class LMTPTests(SynchronousTestCase):
    """
    The same over LMTP (RFC 2033).
    """

    def test_D27_replyForEach(self) -> None:
        """
        There is a reply to the message for each recipient that was accepted, with
        DATA and with BDAT.
        """
        to = ("b@d.example", "no@d.example", "c@d.example", "later@d.example")
        for pipelined in (True, False):
            for body in ("", "BINARYMIME"):
                server = Server(entrance=Entrance.LMTP)
                client = Client(server, pipelined)
                client.send(Envelope("a@b.example", to, Parameters(body)), b"x\r\n")
                codes = [reply.code for reply in client.transaction.finals]
                self.assertEqual((client.finish.phase, codes), (Phase.FINAL, [250] * 2))
                self.assertEqual(server.stored[0][0].recipients, TO)

    def test_D19_nobody(self) -> None:
        """
        Where nobody was accepted there is none.
        """
        for pipelined in (True, False):
            client = Client(Server(entrance=Entrance.LMTP), pipelined)
            client.send(Envelope("a@b.example", ("no@d.example",)), b"x\r\n")
            self.assertEqual(
                (client.finish.phase, client.finish.reply.code), (Phase.RCPT, 550)
            )
            self.assertEqual(client.transaction.finals, [])
