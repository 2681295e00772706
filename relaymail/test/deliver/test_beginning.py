"""
Tests for L{relaymail.deliver.beginning}: what is asked of a server with a message,
and what happens to one that it cannot take.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from relaymail.envelopes import (
    NO_PARAMETERS,
    DeliverBy,
    Parameters,
    RecipientParameters,
)
from relaymail.replies import Phase, Trouble, TroubleKind
from relaymail.test.deliver.smtpclients import GREETING, ClientCase, Mail, Relays, Told

TWO = (b"one@example.org", b"two@example.org")
SAID = (RecipientParameters("NEVER"), RecipientParameters())
LATIN = "Subject: \u00e4\r\n\r\n\u00e4\r\n".encode("latin-1")


@dataclass
class Said(Mail):
    """
    A message of which more is said.
    """

    parameters: Parameters = NO_PARAMETERS
    own: Sequence[RecipientParameters] = ()


class Asks(Relays):
    """
    Sends such messages.
    """

    mails: list[Any]

    def getMailParameters(self) -> Parameters:
        """
        Give what is said of the first.
        """
        said: Parameters = self.mails[0].parameters
        return said

    def getRecipientParameters(self, count: int) -> Sequence[RecipientParameters]:
        """
        Give what is said of its recipients.
        """
        own: Sequence[RecipientParameters] = self.mails[0].own
        return own

    def _queueTime(self) -> float:
        return 1000.0


class Case(ClientCase):
    """
    Greets with keywords.
    """

    def offer(self, *keywords: bytes, mails: Sequence[Mail], **kw: Any) -> list[bytes]:
        """
        Connect, and offer this.

        @return: What the client says then.
        """
        self.toEhlo(Asks, *mails, **kw)
        return self.hear(b"250-hi", *(b"250-" + k for k in keywords), b"250 HELP")


class AskingTests(Case):
    """
    What is said.
    """

    def test_group(self) -> None:
        """
        MAIL and each RCPT have their parameters in one group.
        """
        mail = Said(recipients=TWO, parameters=Parameters(ret="HDRS"), own=SAID)
        self.assertEqual(
            self.offer(b"PIPELINING", b"DSN", mails=[mail]),
            [
                b"MAIL FROM:<from@example.com> RET=HDRS",
                b"RCPT TO:<one@example.org> NOTIFY=NEVER ORCPT=rfc822;one@example.org",
                b"RCPT TO:<two@example.org> ORCPT=rfc822;two@example.org",
                b"DATA",
            ],
        )

    def test_oneAtATime(self) -> None:
        """
        So do they a command at a time.
        """
        mail = Said(recipients=TWO, parameters=Parameters(envid="x"), own=())
        said = self.offer(b"DSN", mails=[mail])
        said += self.hear(b"250 ok")
        self.assertEqual(
            said,
            [
                b"MAIL FROM:<from@example.com> ENVID=x",
                b"RCPT TO:<one@example.org> ORCPT=rfc822;one@example.org",
            ],
        )

    def test_plainMail(self) -> None:
        """
        Mail of which nothing is said has no parameters but SIZE, whatever the
        server offers.
        """
        said = self.offer(
            b"PIPELINING", b"DSN", b"SIZE", b"SMTPUTF8", b"REQUIRETLS", mails=[Said()]
        )
        self.assertEqual(
            said[:2],
            [b"MAIL FROM:<from@example.com> SIZE=25", b"RCPT TO:<to@example.org>"],
        )

    def test_utf8(self) -> None:
        """
        With SMTPUTF8 local parts go as UTF-8 (RFC 6531 3.3), in either window.
        """
        for keywords in ((b"PIPELINING",), ()):
            mail = Said(
                sender="\u00e4@x.example",
                recipients=("\u00f6@b\u00fc.example",),
                parameters=Parameters(utf8=True),
            )
            said = self.offer(b"SMTPUTF8", *keywords, mails=[mail])
            if not keywords:
                said += self.hear(b"250 ok")
            self.assertEqual(said[0], "MAIL FROM:<\u00e4@x.example> SMTPUTF8".encode())
            self.assertEqual(said[1], "RCPT TO:<\u00f6@xn--b-eha.example>".encode())

    def test_deliverBy(self) -> None:
        """
        What is left of the time is said.
        """
        said = Parameters(deliverBy=DeliverBy(1060.0, returns=True))
        lines = self.offer(b"DELIVERBY", mails=[Said(parameters=said)])
        self.assertEqual(lines, [b"MAIL FROM:<from@example.com> BY=60;R"])

    def test_requireTLS(self) -> None:
        """
        REQUIRETLS is said over TLS that was verified, and over nothing else.
        """
        mail = Said(parameters=Parameters(requireTLS=True))
        for isVerified, isTLS, wanted in (
            (True, True, b"MAIL FROM:<from@example.com> REQUIRETLS"),
            (True, False, b"QUIT"),
            (False, True, b"QUIT"),
        ):
            self.toEhlo(Asks, mail, isVerified=isVerified)
            self.client._tlsMode = isTLS
            self.assertEqual(self.hear(b"250-hi", b"250 REQUIRETLS"), [wanted])


class CannotTakeTests(Case):
    """
    A server that cannot take a message.
    """

    def test_tooLarge(self) -> None:
        """
        A message larger than the server takes is told without a word to the
        server; the next one is sent.
        """
        mails = [Said(), Said(content=b"x\r\n")]
        said = self.offer(b"SIZE 24", mails=mails)
        self.assertEqual(said, [b"MAIL FROM:<from@example.com> SIZE=3"])
        [told] = self.client.told
        self.assertEqual((told.code, told.accepted, told.addresses), (552, 0, []))
        self.assertIn(b"25 bytes, it takes 24", told.resp)

    def test_requireTLSNotOffered(self) -> None:
        """
        A message that may go over TLS only is told of with why it cannot.
        """
        mail = Said(parameters=Parameters(requireTLS=True))
        self.toEhlo(Asks, mail, isVerified=True)
        self.client._tlsMode = True
        self.assertEqual(self.hear(b"250 hi"), [b"QUIT"])
        [told] = self.client.told
        self.assertIn(b"the host does not offer REQUIRETLS", told.resp)

    def test_many(self) -> None:
        """
        However many there are.
        """
        said = self.offer(b"SIZE 24", mails=[Said() for _ in range(3000)])
        self.assertEqual((said, len(self.client.told)), ([b"QUIT"], 3000))

    def test_D14_neededAndNotKnown(self) -> None:
        """
        A server that does not know what it offers, and what is needed, cannot
        take the message; in either window, and the session goes on.
        """
        for keywords in ((b"PIPELINING",), ()):
            mails = [Said(parameters=Parameters(utf8=True)), Said()]
            said = self.offer(b"SMTPUTF8", b"SIZE", *keywords, mails=mails)
            self.assertEqual(said[0][-17:], b" SMTPUTF8 SIZE=25")
            answers = [b"555 what"] + [b"503 no"] * (2 if keywords else 0)
            said = self.hear(*answers)
            self.assertEqual(said[0][-9:], b" SMTPUTF8")
            said = self.hear(*answers)
            [told] = self.client.told
            self.assertEqual(told.code, 554)
            self.assertIn(b"555 what", told.resp)
            # Nothing is said to it any more that may be left out.
            self.assertEqual(said[0], b"MAIL FROM:<from@example.com>")

    def test_D14_recipientOverasked(self) -> None:
        """
        555 to RCPT with parameters: nothing more is said, in this session, that
        may be left out.
        """
        mail = Said(own=SAID[:1])
        self.offer(b"DSN", b"PIPELINING", mails=[mail, mail])
        said = self.hear(b"250 ok", b"555 what", b"554 nobody")
        self.assertEqual(said, [b"RSET"])
        said = self.hear(b"250 ok")
        self.assertEqual(said[1], b"RCPT TO:<to@example.org>")


class FormTests(Case):
    """
    In which form messages go.
    """

    def test_sevenBit(self) -> None:
        """
        A server without 8BITMIME gets 7-bit lines, and hears no size (RFC 6152
        3), at once and piece by piece.
        """
        for isSized in (True, False):
            content = LATIN.replace(b"Subject: \xe4", b"Subject: a\r\nMIME-Version: 1.0"
                        b"\r\nContent-Type: text/plain; charset=latin1")  # fmt: skip
            mail = Said(content=content, isEightBit=True, isSized=isSized)
            said = self.offer(b"SIZE", b"PIPELINING", mails=[mail])
            self.assertEqual(said[0], b"MAIL FROM:<from@example.com>")
            self.client.dataReceived(b"250 ok\r\n250 ok\r\n354 go\r\n")
            self.wire.pull()
            sent = self.wire.value()
            self.assertTrue(sent.isascii() and sent.endswith(b"\r\n.\r\n"), sent)
            self.assertIn(b"=E4", sent)
            self.assertIs(self.client.phase, Phase.FINAL)

    def test_cannotConvert(self) -> None:
        """
        What cannot be converted is not sent: the session ends before the dot.
        """
        for isSized in (True, False):
            mail = Said(content=LATIN, isEightBit=True, isSized=isSized)
            self.offer(b"PIPELINING", mails=[mail])
            self.client.dataReceived(b"250 ok\r\n250 ok\r\n354 go\r\n")
            self.wire.pull()
            self.lose()
            self.assertNotIn(b"\r\n.\r\n", self.wire.value())
            evidence = self.client.evidence
            assert isinstance(evidence, Trouble)
            self.assertIs(evidence.kind, TroubleKind.NO_CONVERSION)
            self.assertEqual(self.client.told, [])

    def test_ownForm(self) -> None:
        """
        A subclass that gives messages a form of its own sends what it gives; but
        no binary content as lines.
        """

        class Own(Asks):
            def transformChunk(self, chunk: bytes) -> bytes:
                return chunk.upper()

        self.toEhlo(Own, Said(content=b"\xe4\r\n", isEightBit=True))
        self.hear(b"250-hi", b"250 PIPELINING")
        self.client.dataReceived(b"250 ok\r\n250 ok\r\n354 go\r\n")
        self.assertEqual(self.wire.value(), b"\xe4\r\n.\r\n")
        self.toEhlo(Own, Said(parameters=Parameters("BINARYMIME")))
        self.hear(b"250 hi")
        self.assertEqual(self.client.told[0].code, 554)


BINARY = b"Subject: x\r\n\r\n\0\r\x80\n.\r\n.\r\nend"


class ChunkTests(Case):
    """
    Binary messages (RFC 3030).
    """

    def begin(self, mail: Said, *keywords: bytes) -> list[bytes]:
        """
        Begin with a server that takes them.
        """
        return self.offer(b"BINARYMIME", b"CHUNKING", *keywords, mails=[mail])

    def mail(self, content: bytes = BINARY) -> Said:
        """
        Make one.
        """
        return Said(content=content, parameters=Parameters("BINARYMIME"))

    def test_BDAT(self) -> None:
        """
        The message goes as it is behind BDAT (RFC 3030 2), with either window,
        and its one reply decides.
        """
        for keywords in ((b"PIPELINING",), ()):
            said = self.begin(self.mail(), *keywords)
            self.assertEqual(said[0], b"MAIL FROM:<from@example.com> BODY=BINARYMIME")
            self.assertNotIn(b"DATA", said)
            for _ in range(2):
                self.client.dataReceived(b"250 ok\r\n")
            sent = self.wire.value()
            self.assertTrue(sent.endswith(b"BDAT %d LAST\r\n" % len(BINARY) + BINARY))
            self.wire.clear()
            self.assertEqual(self.hear(b"250 taken"), [b"QUIT"])
            results = [(b"to@example.org", 250, b"ok")]
            self.assertEqual(self.client.told, [Told(250, b"taken", 1, results)])

    def test_streamed(self) -> None:
        """
        A large one goes piece by piece, as one chunk.
        """
        content = BINARY * 10_000
        self.begin(self.mail(content), b"PIPELINING")
        self.client.dataReceived(b"250 ok\r\n250 ok\r\n")
        self.wire.clear()
        self.wire.producer.resumeProducing()
        self.assertEqual(len(self.wire.value()), 65_536 + len(b"BDAT 260000 LAST\r\n"))
        self.assertIs(self.client.phase, Phase.BODY)
        self.wire.pull()
        self.assertEqual(self.wire.value()[-len(content) :], content)
        self.assertIs(self.client.phase, Phase.FINAL)

    def test_A01_changedMeanwhile(self) -> None:
        """
        A message that is not as long as was said is not finished, and nothing of
        it is read as commands.
        """
        for length in (len(BINARY) - 1, len(BINARY) + 1):
            self.begin(self.mail(), b"PIPELINING")
            self.patch(self.client, "getMailSize", lambda size=length: size)
            self.client._transaction = self.client._newTransaction()
            self.client._transaction.begin()
            self.client.dataReceived(b"250 ok\r\n250 ok\r\n")
            self.assertTrue(self.wire.disconnecting)
            self.lose()
            evidence = self.client.evidence
            assert isinstance(evidence, Trouble)
            self.assertIs(evidence.kind, TroubleKind.LOCAL)
            self.assertNotIn(b"BDAT", self.wire.value())

    def test_D24_refused(self) -> None:
        """
        A refusal of the chunk is that of the message.
        """
        self.begin(self.mail(), b"PIPELINING")
        self.client.dataReceived(b"250 ok\r\n250 ok\r\n")
        self.hear(b"452 full")
        self.assertEqual((self.client.told[0].code, self.client.transactions), (452, 0))


class LMTPTests(Case):
    """
    Sessions of LMTP (RFC 2033).
    """

    def test_greeting(self) -> None:
        """
        LHLO greets, and there is no other word for it.
        """
        self.connect(Asks, Said(), lmtp=True)
        self.assertEqual(self.hear(GREETING), [b"LHLO me.example.com"])
        self.assertEqual(self.hear(b"500 what"), [b"QUIT"])
        self.assertEqual(self.client.evidencePhase, Phase.EHLO)

    def test_D27_replyForEach(self) -> None:
        """
        The message is over when each recipient that was accepted was answered.
        """
        mail = Said(recipients=TWO)
        self.offer(b"PIPELINING", mails=[mail, Said()], lmtp=True)
        self.hear(b"250 ok", b"250 ok", b"250 ok", b"354 go")
        self.assertEqual(self.hear(b"452 full"), [])
        self.assertEqual(self.client.told, [])
        said = self.hear(b"250 kept")
        self.assertEqual(said[0], b"MAIL FROM:<from@example.com>")
        self.assertEqual((self.client.told[0].code, self.client.transactions), (250, 1))
