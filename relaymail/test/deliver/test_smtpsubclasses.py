"""
Tests for L{relaymail.smtp}: clients written against Twisted's, which override
its states and use its members, C{_expected}, C{_okresponse} and
C{_failresponse}.
"""

from __future__ import annotations

from typing import Any

from twisted.protocols.basic import FileSender

from relaymail.smtp import SUCCESS, ESMTPClient, SMTPClient, quoteaddr
from relaymail.test.deliver.smtpclients import ClientCase, ESends, Mail, Sends, Told

TWO = (b"one@example.org", b"two@example.org")
RESULTS = [(TWO[0], 250, b"ok"), (TWO[1], 550, b"no")]
BODY = [b"Subject: hello", b"", b"hello", b"."]


class OwnFrom(ESends):
    """
    Says MAIL in its own words.
    """

    def smtpState_from(self, code: int, resp: bytes) -> None:
        """
        Ask for a return of the header only.
        """
        self._from = self.getMailFrom()
        self._failresponse = self.smtpTransferFailed
        if self._from is None:
            return self._disconnectFromServer()
        self.sendLine(b"MAIL FROM:" + quoteaddr(self._from) + b" RET=HDRS")
        self._expected = [250]
        self._okresponse = self.smtpState_to


class OwnTo(ESends):
    """
    Names the first recipient by itself, and leaves the rest to the base class.
    """

    def smtpState_to(self, code: int, resp: bytes) -> None:
        """
        Want no notice for the first.
        """
        self.toAddresses = iter(self.getMailTo())
        self.toAddressesResult = []
        self.successAddresses = []
        self._okresponse = self.smtpState_toOrData
        self._expected = range(0, 1000)
        self.lastAddress = next(self.toAddresses)
        self.sendLine(b"RCPT TO:" + quoteaddr(self.lastAddress) + b" NOTIFY=NEVER")


class OwnToOrData(ESends):
    """
    Names all recipients by itself, as the seed does.
    """

    def smtpState_toOrData(self, code: int, resp: bytes) -> None:
        """
        Take an answer; name the next, or say DATA.
        """
        if self.lastAddress is not None:
            self.toAddressesResult.append((self.lastAddress, code, resp))
            if code in SUCCESS:
                self.successAddresses.append(self.lastAddress)
        self.lastAddress = next(iter(self.toAddresses), None)
        if self.lastAddress is not None:
            return self.sendLine(b"RCPT TO:" + quoteaddr(self.lastAddress))
        if not self.successAddresses:
            return self.smtpState_msgSent(code, b"nobody wants it")
        self.sendLine(b"DATA")
        self._expected = [354]
        self._okresponse = self.smtpState_data


class OwnData(ESends):
    """
    Sends the message by itself, with the seed's helpers.
    """

    def smtpState_data(self, code: int, resp: bytes) -> None:
        """
        Send it piece by piece, and listen with an ear of its own.
        """
        sending = FileSender().beginFileTransfer(
            self.getMailData(), self.transport, self.transformChunk
        )
        sending.addCallbacks(self.finishedFileTransfer, self.sendError)
        self._expected = SUCCESS
        self._okresponse = self.ownSent

    def ownSent(self, code: int, resp: bytes) -> None:
        """
        Note it, and go on.
        """
        self.noted = resp
        self.smtpState_msgSent(code, resp)


class OwnBytes(ESends):
    """
    Writes the message and the dot without any help.
    """

    def smtpState_data(self, code: int, resp: bytes) -> None:
        """
        Write it.
        """
        self.transport.write(self.getMailData().read())
        self.sendLine(b".")
        self._expected = SUCCESS
        self._okresponse = self.smtpState_msgSent


class OwnSent(ESends):
    """
    Goes on to the next message without RSET.
    """

    def smtpState_msgSent(self, code: int, resp: bytes) -> None:
        """
        Tell, and begin the next.
        """
        if self._from is not None:
            self.sentMail(
                code, resp, len(self.successAddresses), self.toAddressesResult, self.log
            )
        self.toAddressesResult = []
        self._from = None
        self.smtpState_from(code, resp)


class Counting(ESends):
    """
    Looks at every step and leaves the work to the base class.
    """

    def prepare(self, mails: list[Mail]) -> None:
        """
        Begin to count.
        """
        super().prepare(mails)
        self.steps: list[str] = []

    def smtpState_from(self, code: int, resp: bytes) -> None:
        """
        Count.
        """
        self.steps.append("from")
        super().smtpState_from(code, resp)

    def smtpState_to(self, code: int, resp: bytes) -> None:
        """
        Count.
        """
        self.steps.append("to")
        super().smtpState_to(code, resp)

    def smtpState_toOrData(self, code: int, resp: bytes) -> None:
        """
        Count, with what the seed's members say.
        """
        codes = [c for _, c, _ in self.toAddressesResult]
        self.steps.append(f"toOrData {code} {self.lastAddress!r} {codes}")
        super().smtpState_toOrData(code, resp)

    def smtpState_data(self, code: int, resp: bytes) -> None:
        """
        Count.
        """
        self.steps.append(f"data {self.successAddresses}")
        super().smtpState_data(code, resp)

    def smtpState_msgSent(self, code: int, resp: bytes) -> None:
        """
        Count.
        """
        self.steps.append(f"msgSent {code}")
        super().smtpState_msgSent(code, resp)


class OverrideTests(ClientCase):
    """
    Each way leads a message, of two recipients one of which is refused, to the
    same end; the server has PIPELINING, which is not used.
    """

    def play(self, kind: type[Any], last: bytes = b"250 taken") -> Any:
        """
        Send it.
        """
        client = self.toEhlo(kind, Mail(recipients=TWO, isSized=False))
        self.lines = self.hear(b"250-hi", b"250 PIPELINING")
        for line in (b"250 ok", b"250 ok", b"550 no", b"354 go"):
            self.assertEqual(len(self.lines), 1, self.lines)
            self.heard = self.lines
            self.lines = self.hear(line)
        self.wire.pull()
        self.lines += self.said()
        self.assertEqual(self.lines, BODY)
        self.after = self.hear(last)
        return client

    def test_eachDelivers(self) -> None:
        """
        Delivered, with a result per recipient, and told once.
        """
        for kind in (OwnFrom, OwnTo, OwnToOrData, OwnData, OwnBytes, OwnSent, Counting):
            client = self.play(kind)
            self.assertEqual(client.told, [Told(250, b"taken", 1, RESULTS)], kind)
            self.assertEqual(self.after, [b"QUIT" if kind is OwnSent else b"RSET"])
            self.hear(b"250 ok")
            self.hear(b"221 bye")
            self.assertTrue(self.wire.disconnecting)
            self.assertEqual(client.errors, [])

    def test_eachIsRefused(self) -> None:
        """
        Refused at the end, with a result per recipient, and told once.
        """
        for kind in (OwnFrom, OwnTo, OwnToOrData, OwnData, OwnBytes, OwnSent, Counting):
            client = self.play(kind, b"554 spam")
            self.assertEqual(client.told, [Told(554, b"spam", 1, RESULTS)], kind)
            self.assertEqual(client.errors, [])

    def test_D21_eachIsBroken(self) -> None:
        """
        2yz to DATA delivers with none of them.
        """
        for kind in (OwnFrom, OwnTo, OwnToOrData, OwnData, OwnBytes, OwnSent, Counting):
            client = self.toEhlo(kind, Mail(recipients=TWO))
            for line in (b"250 hi", b"250 ok", b"250 ok", b"550 no", b"250 what"):
                said = self.hear(line)
            self.assertEqual((said, client.told), ([], []), kind)
            self.assertTrue(self.wire.disconnecting)
            self.assertEqual(len(client.errors), 1)

    def test_D19_nobodyAccepted(self) -> None:
        """
        Nobody accepted: told without DATA.
        """
        for kind in (OwnFrom, OwnTo, OwnToOrData, OwnData, Counting):
            client = self.toEhlo(kind, Mail(recipients=TWO))
            for line in (b"250 hi", b"250 ok", b"450 no", b"550 no"):
                said = self.hear(line)
            self.assertEqual(said, [b"RSET"])
            codes = [code for _, code, _ in client.told[0].addresses]
            self.assertEqual((client.told[0].code, codes), (550, [450, 550]))

    def test_severalMessages(self) -> None:
        """
        The next message begins with nothing of the one before.
        """
        for kind in (OwnFrom, OwnTo, OwnToOrData, OwnData, OwnBytes, Counting):
            client = self.toEhlo(kind, Mail(isSized=False), Mail(isSized=False))
            self.hear(b"250 hi")
            for _ in range(2):
                for line in (b"250 ok", b"250 ok", b"354 go"):
                    self.hear(line)
                self.wire.pull()
                self.said()
                self.hear(b"250 taken")
                said = self.hear(b"250 reset")
            self.assertEqual(said, [b"QUIT"])
            results = [(b"to@example.org", 250, b"ok")]
            self.assertEqual(client.told, [Told(250, b"taken", 1, results)] * 2, kind)

    def test_ownWords(self) -> None:
        """
        What a subclass says is what is said.
        """
        self.toEhlo(OwnFrom, Mail())
        self.assertEqual(
            self.hear(b"250 hi"), [b"MAIL FROM:<from@example.com> RET=HDRS"]
        )
        self.toEhlo(OwnTo, Mail(recipients=TWO))
        self.hear(b"250 hi")
        self.assertEqual(
            self.hear(b"250 ok"), [b"RCPT TO:<one@example.org> NOTIFY=NEVER"]
        )
        self.assertEqual(self.hear(b"250 ok"), [b"RCPT TO:<two@example.org>"])

    def test_ownEar(self) -> None:
        """
        An C{_okresponse} of its own is called.
        """
        self.assertEqual(self.play(OwnData).noted, b"taken")

    def test_members(self) -> None:
        """
        At every step the seed's members say what they say in the seed.
        """
        client = self.play(Counting)
        self.assertEqual(
            client.steps,
            [
                "from",
                "to",
                "toOrData 0 None []",
                "toOrData 250 b'one@example.org' []",
                "toOrData 550 b'two@example.org' [250]",
                "data [b'one@example.org']",
                "msgSent 250",
            ],
        )

    def test_ownFailure(self) -> None:
        """
        A C{_failresponse} of its own is called.
        """

        class Listens(Sends):
            refused: bytes = b""

            def smtpState_from(self, code: int, resp: bytes) -> None:
                super().smtpState_from(code, resp)
                self._failresponse = self.mailRefused

            def mailRefused(self, code: int, resp: bytes) -> None:
                self.refused = resp
                self.smtpState_msgSent(code, resp)

        client = self.toEhlo(Listens, Mail())
        self.hear(b"250 hi")
        self.assertEqual(self.hear(b"550 not you"), [b"RSET"])
        self.assertEqual(client.refused, b"not you")
        self.assertEqual(client.told, [Told(550, b"not you", 0, [])])

    def test_ownTransferFailed(self) -> None:
        """
        C{smtpTransferFailed} is called for what is refused.
        """

        class Alarms(Sends):
            alarms: tuple[int, ...] = ()

            def smtpTransferFailed(self, code: int, resp: bytes) -> None:
                self.alarms += (code,)
                super().smtpTransferFailed(code, resp)

        client = self.toEhlo(Alarms, Mail())
        for line in (b"250 hi", b"250 ok", b"250 ok", b"452 full"):
            self.hear(line)
        self.assertEqual((client.alarms, client.told[0].code), ((452,), 452))

    def test_ownTransformChunk(self) -> None:
        """
        A message that a subclass brings into its form by itself is ended
        right, also where its last line has no end.
        """

        class Converts(ESends):
            def transformChunk(self, chunk: bytes) -> bytes:
                return chunk.replace(b"\n", b"\r\n").replace(b"\r\n.", b"\r\n..")

        cases = [
            (b"a\n.b", b"a\r\n..b\r\n.\r\n"),
            (b"a\n", b"a\r\n.\r\n"),
            (b"", b".\r\n"),
        ]
        for isSized in (True, False):
            for content, wanted in cases:
                client = self.toEhlo(Converts, Mail(content=content, isSized=isSized))
                self.hear(b"250-hi", b"250 PIPELINING")
                client.dataReceived(b"250 ok\r\n250 ok\r\n354 go\r\n")
                self.wire.pull()
                self.assertEqual(self.wire.value(), wanted)

    def test_chunkOfAnInstance(self) -> None:
        """
        So is one that is put in the place of a client's own method.
        """
        client = self.toEhlo(ESends, Mail(content=b"a\r\n"))
        self.patch(client, "transformChunk", lambda chunk: chunk.upper())
        self.hear(b"250-hi", b"250 PIPELINING")
        client.dataReceived(b"250 ok\r\n250 ok\r\n354 go\r\n")
        self.assertEqual(self.wire.value(), b"A\r\n.\r\n")

    def test_ownFinish(self) -> None:
        """
        A subclass may end the message in its own words, with PIPELINING too.
        """

        class Ends(ESends):
            def finishedFileTransfer(self, lastsent: bytes) -> None:
                self.sendLine(b"-- ")
                self.sendLine(b".")

        client = self.toEhlo(Ends, Mail())
        self.hear(b"250-hi", b"250 PIPELINING")
        said = self.hear(b"250 ok", b"250 ok", b"354 go")
        self.assertEqual(said[-2:], [b"-- ", b"."])
        self.hear(b"250 taken")
        self.assertEqual(client.told[0].code, 250)

    def test_ownHelo(self) -> None:
        """
        A subclass may greet in its own words, and need not use EHLO.
        """

        class Greets(Sends):
            def smtpState_helo(self, code: int, resp: bytes) -> None:
                self.sendLine(b"HELO somebody.else")
                self._expected = SUCCESS
                self._okresponse = self.smtpState_from

        self.connect(Greets, Mail())
        self.assertEqual(self.hear(b"220 hi"), [b"HELO somebody.else"])
        self.assertEqual(self.hear(b"250 hi"), [b"MAIL FROM:<from@example.com>"])

    def test_ownSendLine(self) -> None:
        """
        A subclass that overrides C{sendLine} sees every command.
        """

        class Sees(ESends):
            seen: tuple[bytes, ...] = ()

            def sendLine(self, line: bytes) -> None:
                self.seen += (line[:4],)
                super().sendLine(line)

        client = self.toEhlo(Sees, Mail())
        self.hear(b"250-hi", b"250 PIPELINING")
        for line in (b"250 ok", b"250 ok", b"354 go"):
            self.hear(line)
        self.assertEqual(client.seen, (b"EHLO", b"MAIL", b"RCPT", b"DATA"))

    def test_readsLinesByItself(self) -> None:
        """
        A subclass may look at lines before they count.
        """

        class Hears(Sends):
            heard: tuple[bytes, ...] = ()

            def lineReceived(self, line: bytes) -> Any:
                self.heard += (line,)
                return super().lineReceived(line)

        client = self.connect(Hears)
        self.hear(b"220 hi", b"250 hi")
        self.assertEqual(client.heard, (b"220 hi", b"250 hi"))


class ESMTPOverrideTests(ClientCase):
    """
    The same for the states of ESMTP.
    """

    def test_serverConfig(self) -> None:
        """
        A subclass may read the keywords by itself.
        """

        class Reads(ESends):
            def esmtpState_serverConfig(self, code: int, resp: bytes) -> None:
                items = {}
                for line in resp.splitlines():
                    word, _, rest = line.partition(b" ")
                    items[word] = rest or None
                self.items = items
                self.tryTLS(code, resp, items)

        client = self.toEhlo(Reads, Mail())
        self.assertEqual(
            self.hear(b"250-hi", b"250-SIZE 10", b"250 PIPELINING"),
            [b"MAIL FROM:<from@example.com>"],
        )
        self.assertEqual(client.items[b"SIZE"], b"10")

    def test_itemsOfTryTLS(self) -> None:
        """
        C{tryTLS} and C{authenticate} get the keywords, and may be overridden.
        """

        class Looks(ESends):
            seen: Any = ()

            def tryTLS(self, code: int, resp: bytes, items: Any) -> None:
                self.seen += (("tls", dict(items)),)
                super().tryTLS(code, resp, items)

            def authenticate(self, code: int, resp: bytes, items: Any) -> None:
                self.seen += (("auth", dict(items)),)
                self.smtpState_from(code, resp)

        client = self.toEhlo(Looks, Mail())
        self.hear(b"250-hi", b"250-auth PLAIN Login", b"250 StartTLS")
        items = {b"AUTH": b"PLAIN Login", b"STARTTLS": None}
        self.assertEqual(client.seen, (("tls", items), ("auth", items)))

    def test_ownStep(self) -> None:
        """
        A subclass may put a command of its own between EHLO and MAIL.
        """

        class Announces(ESMTPClient):
            def tryTLS(self, code: int, resp: bytes, items: Any) -> None:
                if b"XCLIENT" not in items:
                    return super().tryTLS(code, resp, items)
                self.sendLine(b"XCLIENT ADDR=192.0.2.1")
                self._expected = [220]
                self._okresponse = self.esmtpState_ehlo

        class Sending(Announces, ESends):
            pass

        self.toEhlo(Sending, Mail())
        self.assertEqual(
            self.hear(b"250-hi", b"250 XCLIENT"), [b"XCLIENT ADDR=192.0.2.1"]
        )
        self.assertEqual(self.hear(b"220 again"), [b"EHLO me.example.com"])
        self.assertEqual(self.hear(b"250 hi"), [b"MAIL FROM:<from@example.com>"])

    def test_bases(self) -> None:
        """
        The classes are what C{isinstance} in such programs expects.
        """
        self.assertTrue(issubclass(ESMTPClient, SMTPClient))
