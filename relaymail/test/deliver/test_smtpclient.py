"""
Tests for L{relaymail.deliver.smtpclient}: the dialogue with an orderly server.

What a server may do wrong is tested in L{relaymail.test.deliver.test_smtphostile}, and
what subclasses may do in L{relaymail.test.deliver.test_smtpsubclasses}.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

from twisted.mail._except import SMTPClientError, SMTPConnectError
from twisted.mail.smtp import Address
from twisted.trial.unittest import SynchronousTestCase

from relaymail.errors import MalformedAddress
from relaymail.replies import Phase, Reply, Trouble, TroubleKind
from relaymail.smtp import SMTPClient, quoteaddr
from relaymail.test.deliver.smtpclients import (
    ACCEPTED,
    GREETING,
    PIPELINING,
    ClientCase,
    ESends,
    Mail,
    Relays,
    Sends,
    Told,
)

TWO = (b"one@example.org", b"two@example.org")


class QuoteaddrTests(SynchronousTestCase):
    """
    Tests for L{quoteaddr}.
    """

    def test_forms(self) -> None:
        """
        An address may be given in many forms.
        """
        for given, wanted in (
            (b"a@b", b"<a@b>"),
            ("a@b", b"<a@b>"),
            (b"<a@b>", b"<a@b>"),
            ("A. B. <a@b>", b"<a@b>"),
            ("J\u00fcrgen <a@b>", b"<a@b>"),
            (Address(b"a@b"), b"<a@b>"),
            (b"", b"<>"),
            ("<>", b"<>"),
            ('"a b"@c', b'<"a b"@c>'),
        ):
            self.assertEqual(quoteaddr(given), wanted)

    def test_A03_injection(self) -> None:
        """
        What would end the path or the line is refused.
        """
        for given in (
            "a@b\r\nRCPT TO:<c@d>",
            "a@b>\r\nRCPT TO:<c@d",
            b"a@b\nDATA",
            b"a@b\0",
            "a@b> SIZE=1",
            "<a@b> <",
            "a b@c",
            "a@b\u2028c",
            "<<a@b>>x",
            b"\xff@b",
            "\u00e4@b",
        ):
            self.assertRaises(MalformedAddress, quoteaddr, given)


class SessionTests(ClientCase):
    """
    A session with an orderly server, a command at a time.
    """

    def test_dialogue(self) -> None:
        """
        A message is sent a command at a time; RSET follows, then QUIT.
        """
        client = self.connect(Sends, Mail(recipients=TWO))
        self.assertEqual(self.said(), [])
        self.assertEqual(self.hear(b"220 hi"), [b"HELO me.example.com"])
        self.assertEqual(self.hear(b"250 hi"), [b"MAIL FROM:<from@example.com>"])
        self.assertEqual(self.hear(b"250 ok"), [b"RCPT TO:<one@example.org>"])
        self.assertEqual(self.hear(b"250 ok"), [b"RCPT TO:<two@example.org>"])
        self.assertEqual(self.hear(b"550 no"), [b"DATA"])
        body = [b"Subject: hello", b"", b"hello", b"."]
        self.assertEqual(self.hear(b"354 go"), body)
        self.assertEqual(self.hear(b"250 taken"), [b"RSET"])
        results = [(TWO[0], 250, b"ok"), (TWO[1], 550, b"no")]
        self.assertEqual(client.told, [Told(250, b"taken", 1, results)])
        self.assertEqual(self.hear(b"250 ok"), [b"QUIT"])
        self.hear(b"221 bye")
        self.assertTrue(self.wire.disconnecting)
        self.assertEqual((client.errors, client.transactions), ([], 1))

    def test_D03_severalLinesOfGreeting(self) -> None:
        """
        A greeting may have several lines.
        """
        self.connect(Sends, Mail())
        self.assertEqual(self.hear(b"220-a", b"220-b", b"220 c")[0][:4], b"HELO")

    def test_greetingInPieces(self) -> None:
        """
        A reply may come a byte at a time.
        """
        client = self.connect(Sends, Mail())
        for octet in b"220 hello\r\n":
            self.assertEqual(self.said(), [])
            client.dataReceived(bytes([octet]))
        self.assertEqual(self.said(), [b"HELO me.example.com"])

    def test_noDelay(self) -> None:
        """
        Nagle's algorithm is off.
        """
        self.connect(Sends)
        self.assertIs(self.wire.noDelay, True)

    def test_nothingToSend(self) -> None:
        """
        Without a message the client quits.
        """
        self.connect(Sends)
        self.hear(GREETING)
        self.assertEqual(self.hear(b"250 hi"), [b"QUIT"])

    def test_D28_quitIsNotImportant(self) -> None:
        """
        However QUIT is answered, it is no error; what was delivered stays so.
        """
        for end in (b"221 bye", b"500 what?", b"421 gone", None):
            client = self.toFinal(Relays, Mail())
            self.assertEqual(self.hear(b"250 ok"), [b"QUIT"])
            if end is not None:
                self.hear(end)
            self.lose()
            self.assertEqual(len(client.told), 1)
            self.assertEqual((client.told[0].code, client.errors), (250, []))
            self.assertEqual(client.evidencePhase, Phase.QUIT)

    def test_D12_anySuccessToMail(self) -> None:
        """
        Any 2yz to MAIL goes on (RFC 5321 4.2), with either window.
        """
        self.toEhlo(ESends, Mail())
        self.hear(b"250 hi")
        self.assertEqual(self.hear(b"200 ok"), [b"RCPT TO:<to@example.org>"])
        client = self.toGroup(ESends, Mail())
        self.hear(b"251 ok", b"252 ok", b"354 go")
        self.assertEqual(client.phase, Phase.FINAL)

    def test_codeAndResp(self) -> None:
        """
        While a reply is handled, C{code} and C{resp} tell it.
        """

        class Looks(Relays):
            def sentMail(self, *args: object, **kw: object) -> None:
                self.seen = self.code, self.resp
                self.mails.clear()

        client = self.toFinal(Looks, Mail())
        self.hear(b"250-one", b"250 two")
        self.assertEqual(client.seen, (250, [b"one", b"two"]))
        self.assertEqual((client.code, client.resp), (-1, []))

    def test_log(self) -> None:
        """
        The dialogue is kept, a pipelined group too, unless C{debug} is false.
        """
        client = self.toGroup(ESends, Mail())
        self.assertIn(b">>> DATA", client.log.str())
        self.assertIn(b"<<< 250 PIPELINING", client.log.str())
        client = self.toGroup(ESends, Mail(), debug=False)
        self.assertEqual(client.log.str(), b"")


class PipeliningTests(ClientCase):
    """
    A session with a server that has PIPELINING.
    """

    def test_oneWrite(self) -> None:
        """
        MAIL, every RCPT and DATA are one write.
        """
        client = self.toEhlo(Relays, Mail(recipients=TWO))
        writes: list[bytes] = []
        self.patch(self.wire, "write", writes.append)
        client.dataReceived(PIPELINING + b"\r\n")
        self.assertEqual(
            writes,
            [
                b"MAIL FROM:<from@example.com>\r\nRCPT TO:<one@example.org>\r\n"
                b"RCPT TO:<two@example.org>\r\nDATA\r\n"
            ],
        )

    def test_anyCase(self) -> None:
        """
        The keyword counts in any case.
        """
        self.toEhlo(Relays, Mail())
        self.assertEqual(len(self.hear(b"250-hi", b"250 pipelining")), 3)

    def test_withoutItOneAtATime(self) -> None:
        """
        Without it the window is 1.
        """
        self.toEhlo(Relays, Mail())
        self.assertEqual(len(self.hear(b"250-hi", b"250 8BITMIME")), 1)

    def test_D15_eachRecipientItsOwn(self) -> None:
        """
        Each recipient has its own reply, wherever the segments are cut.
        """
        to = (*TWO, b"three@example.org")
        stream = b"250 ok\r\n250 yes\r\n451 later\r\n550-no\r\n550 never\r\n354 go\r\n"
        for cut in range(len(stream)):
            client = self.toGroup(Relays, Mail(recipients=to))
            client.dataReceived(stream[:cut])
            client.dataReceived(stream[cut:])
            self.assertEqual(self.said()[-1], b".")
            self.hear(b"250 taken")
            results = [
                (to[0], 250, b"yes"),
                (to[1], 451, b"later"),
                (to[2], 550, b"no\nnever"),
            ]
            self.assertEqual(client.told, [Told(250, b"taken", 1, results)])

    def test_nextMessage(self) -> None:
        """
        The next message follows on the same connection, without RSET if that
        is not wanted.
        """
        client = self.toFinal(Relays, Mail(), Mail(sender=b""))
        self.assertEqual(self.hear(b"250 ok")[0], b"MAIL FROM:<>")
        self.hear(ACCEPTED)
        self.assertEqual(self.hear(b"250 ok"), [b"QUIT"])
        self.assertEqual([told.code for told in client.told], [250, 250])
        self.assertEqual(client.transactions, 2)

    def test_D19_loneDot(self) -> None:
        """
        If nobody was accepted and 354 comes, a dot is sent and no byte of the
        message; the open transaction is reset.
        """
        client = self.toGroup(Relays, Mail(), Mail())
        self.assertEqual(self.hear(b"250 ok", b"550 no", b"354 go"), [b"."])
        self.assertEqual(self.hear(b"250 how nice"), [b"RSET"])
        self.assertEqual((client.told[0].code, client.told[0].accepted), (550, 0))
        self.assertEqual(len(self.hear(b"250 ok")), 3)
        self.assertEqual(client.transactions, 0)

    def test_D13_D14_mailRefused(self) -> None:
        """
        MAIL refused is told once the group is answered; the next message
        follows.
        """
        for code in (451, 550):
            client = self.toGroup(Relays, Mail(), Mail())
            said = self.hear(b"%d no" % code, b"503 what", b"503 what")
            self.assertEqual(client.told, [Told(code, b"no", 0, [])])
            self.assertEqual(said[0], b"MAIL FROM:<from@example.com>")

    def test_D14_withoutParameters(self) -> None:
        """
        555 says MAIL once more, bare.
        """
        self.toEhlo(Relays, Mail())
        said = self.hear(b"250-hi", b"250-SIZE", b"250 PIPELINING")
        self.assertEqual(said[0], b"MAIL FROM:<from@example.com> SIZE=25")
        said = self.hear(b"555 what", b"503 no", b"503 no")
        self.assertEqual(said[0], b"MAIL FROM:<from@example.com>")
        self.toEhlo(Relays, Mail())
        self.hear(b"250-hi", b"250 SIZE")
        self.assertEqual(self.hear(b"555 what"), [b"MAIL FROM:<from@example.com>"])

    def test_D20_dataRefused(self) -> None:
        """
        DATA refused is told with what the recipients were told; RSET follows.
        """
        client = self.toGroup(Relays, Mail())
        self.assertEqual(self.hear(b"250 ok", b"250 ok", b"451 disk"), [b"RSET"])
        results = [(b"to@example.org", 250, b"ok")]
        self.assertEqual(client.told, [Told(451, b"disk", 1, results)])

    def test_D24_refusedAtTheEnd(self) -> None:
        """
        So is the message refused.
        """
        client = self.toFinal(Relays, Mail())
        self.hear(b"554 spam")
        self.assertEqual((client.told[0].code, client.transactions), (554, 0))

    def test_D24_sentAway(self) -> None:
        """
        421 in answer to the message ends the session too, and does not touch
        the next message.
        """
        client = self.toFinal(Relays, Mail(), Mail())
        self.assertEqual(self.hear(b"421 going down"), [b"QUIT"])
        self.assertEqual((client.told[0].code, len(client.told)), (421, 1))
        self.assertEqual(client.evidence, Reply(421, (b"going down",)))
        self.assertEqual(client.evidencePhase, Phase.RSET)


class ParameterTests(ClientCase):
    """
    What is said with MAIL.
    """

    def mail(self, *keywords: bytes, **kw: Any) -> bytes:
        """
        Give MAIL, as it is said to a server that has these keywords.
        """
        self.toEhlo(Relays, Mail(**kw))
        return self.hear(b"250-hi", *(b"250-" + k for k in keywords), b"250 HELP")[0]

    def test_size(self) -> None:
        """
        The size is declared where it is known (RFC 1870 3).
        """
        self.assertEqual(self.mail(b"size 0"), b"MAIL FROM:<from@example.com> SIZE=25")
        bare = b"MAIL FROM:<from@example.com>"
        self.assertEqual(self.mail(b"SIZE", isSized=False), bare)
        self.assertEqual(self.mail(), bare)

    def test_eightBit(self) -> None:
        """
        Eight bits are declared where there are some (RFC 6152 3).
        """
        said = self.mail(b"8BITMIME", isEightBit=True)
        self.assertEqual(said, b"MAIL FROM:<from@example.com> BODY=8BITMIME")
        bare = b"MAIL FROM:<from@example.com>"
        self.assertEqual(self.mail(b"8BITMIME"), bare)
        self.assertEqual(self.mail(isEightBit=True), bare)

    def test_heloHasNone(self) -> None:
        """
        What an earlier EHLO said is not used after HELO.
        """
        client = self.toEhlo(Relays, Mail())
        client.smtpState_helo(250, b"")
        self.said()
        self.assertEqual(
            self.hear(b"250-hi", b"250 SIZE"), [b"MAIL FROM:<from@example.com>"]
        )

    def test_A03_unsendable(self) -> None:
        """
        An address that cannot be written ends the session before a byte of it
        is.
        """
        bad = b"a@b>\r\nRCPT TO:<c@d"
        for mail in (Mail(sender=bad), Mail(recipients=(b"a@b", bad))):
            client = self.toGroup(Relays, mail)
            self.assertEqual(self.group, [b"QUIT"])
            [error] = client.errors
            self.assertIsInstance(error, SMTPClientError)
            assert isinstance(client.evidence, Trouble)
            self.assertEqual(client.evidence.kind, TroubleKind.UNSENDABLE)

    def test_A03_unsendableInLockStep(self) -> None:
        """
        So it is a command at a time, after MAIL.
        """
        client = self.toEhlo(Sends, Mail(recipients=(b"a@b\0",)))
        self.hear(b"250 hi")
        self.assertEqual(self.hear(b"250 ok"), [b"QUIT"])
        self.assertEqual(len(client.errors), 1)

    def test_A03_identity(self) -> None:
        """
        The name to greet with cannot hold another command.
        """
        for name in (b"a\r\nQUIT", "a\nb", b"a\0", b"a b", b"\xff", "\u00e4"):
            self.assertRaises(ValueError, SMTPClient, name)
        self.assertEqual(SMTPClient(None).identity, b"")
        self.assertEqual(SMTPClient("a.example").identity, b"a.example")


class BodyTests(ClientCase):
    """
    How the message goes out.
    """

    def test_A01_stuffed(self) -> None:
        """
        Dots are doubled and line ends are CRLF, streamed or at once.
        """
        for isSized in (True, False):
            mail = Mail(content=b".a\n..\r\n.\r\nb\rc", isSized=isSized)
            self.toGroup(Relays, mail)
            self.client.dataReceived(ACCEPTED + b"\r\n")
            self.wire.pull()
            self.assertEqual(self.wire.value(), b"..a\r\n...\r\n..\r\nb\r\nc\r\n.\r\n")

    def test_oneWriteOfTheMessage(self) -> None:
        """
        A small message goes to the transport in one piece with its end, so
        that it is not two packets.
        """
        client = self.toGroup(Relays, Mail(content=b"one\n.two"))
        written: list[bytes] = []
        self.patch(self.wire, "write", written.append)
        client.dataReceived(ACCEPTED + b"\r\n")
        self.assertEqual(written, [b"one\r\n..two\r\n.\r\n"])
        self.assertEqual(client.phase, Phase.FINAL)

    def test_streamed(self) -> None:
        """
        A large message is read as the transport asks for it.
        """
        mail = Mail(content=b"0123456789abcd\r\n" * 8192)
        client = self.toGroup(Relays, mail)
        client.dataReceived(ACCEPTED + b"\r\n")
        self.assertEqual(self.wire.value(), b"")
        self.wire.producer.resumeProducing()
        self.assertEqual(len(self.wire.value()), 65_536)
        self.assertEqual(client.phase, Phase.BODY)
        self.wire.pull()
        self.assertEqual(self.wire.value(), mail.content + b".\r\n")
        self.assertEqual(client.phase, Phase.FINAL)

    def test_mailFile(self) -> None:
        """
        The file is at hand while the message is sent, and let go then.
        """
        client = self.toGroup(Relays, Mail(isSized=False))
        client.dataReceived(ACCEPTED + b"\r\n")
        self.assertIsInstance(client.mailFile, BytesIO)
        self.wire.pull()
        self.hear(b"250 ok")
        self.assertIsNone(client.mailFile)

    def test_unreadable(self) -> None:
        """
        A message that cannot be read is not ended with a dot: the connection
        is closed, the trouble is ours, and the error is told.
        """

        class Bad(BytesIO):
            def read(self, size: int | None = -1) -> bytes:
                if self.tell() == 0 and size != -1:
                    return super().read(8)
                raise OSError("the disk is gone")

        for isSized in (True, False):
            client = self.toGroup(Relays, Mail(isSized=isSized), file=Bad(b"x" * 99))
            client.dataReceived(ACCEPTED + b"\r\n")
            self.wire.pull()
            self.assertNotIn(b".", self.said())
            self.assertTrue(self.wire.disconnecting)
            self.lose()
            trouble = Trouble(Phase.BODY, TroubleKind.LOCAL, "the disk is gone")
            self.assertEqual(client.evidence, trouble)
            self.assertEqual([str(e) for e in client.errors], ["the disk is gone"])
            self.assertEqual(client.told, [])


class RefusalTests(ClientCase):
    """
    A server that refuses the session.
    """

    def test_D04_D05_greeting(self) -> None:
        """
        A refusal for a greeting is noted and told.
        """
        for kind in (Sends, ESends):
            for code in (421, 450, 521, 554):
                client = self.connect(kind, Mail())
                self.hear(b"%d go away" % code)
                self.assertEqual(client.evidence, Reply(code, (b"go away",)))
                self.assertEqual(client.evidencePhase, Phase.GREETING)
                [error] = client.errors
                self.assertIsInstance(error, SMTPConnectError)
                self.assertEqual(error.code, code)
                self.assertTrue(self.wire.disconnecting)

    def test_D06_wrongGreeting(self) -> None:
        """
        A greeting with another code is no greeting.
        """
        for line in (b"250 hello", b"354 go", b"999 ?"):
            client = self.connect(ESends, Mail())
            self.assertEqual(self.hear(line), [])
            self.assertEqual(len(client.errors), 1)

    def test_heloRefused(self) -> None:
        """
        HELO refused ends the session.
        """
        client = self.connect(Sends, Mail())
        self.hear(GREETING)
        self.assertEqual(self.hear(b"550 go away"), [])
        self.assertEqual(client.evidencePhase, Phase.EHLO)
        self.assertIsInstance(client.errors[0], SMTPConnectError)

    def test_D29_resetRefused(self) -> None:
        """
        RSET refused ends the session; the next message is not begun.
        """
        for line in (b"421 enough", b"500 what"):
            client = self.toFinal(ESends, Mail(), Mail())
            self.assertEqual(self.hear(b"250 ok"), [b"RSET"])
            self.assertEqual(self.hear(line), [b"QUIT"])
            self.assertEqual(client.evidencePhase, Phase.RSET)
            self.assertEqual(len(client.told), 1)

    def test_subclassMustSay(self) -> None:
        """
        What a subclass has to give has no default.
        """
        client = SMTPClient(b"me")
        for method in (client.getMailFrom, client.getMailTo, client.getMailData):
            self.assertRaises(NotImplementedError, method)
        self.assertRaises(
            NotImplementedError, client.sentMail, 250, b"", 1, [], client.log
        )
