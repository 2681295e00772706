# -*- test-case-name: relaymail.test.interop.test_swaks -*-
"""
Swaks gives mail to the relay.
"""

from __future__ import annotations

from relaymail.test.endtoend.harness import MESSAGE, RECIPIENT, SENDER
from relaymail.test.interop.programs import find, run
from relaymail.test.interop.senders import (
    CLEAR_USER,
    ELSEWHERE,
    LMTP,
    PASSWORD,
    USER,
    SenderTestCase,
)

#: Whom a proxy speaks for, and a stranger.
CLIENT, STRANGER = "192.0.2.1", "198.51.100.7"


class SwaksTests(SenderTestCase):
    """
    Swaks.
    """

    async def swaks(
        self, port: int, *options: str, to: str = RECIPIENT, fails: bool = False
    ) -> str:
        """
        Have it send the usual message.

        @param port: To which port; 0 where the options say where to.
        @param fails: Whether it must not succeed.

        @return: What it says.
        """
        place = ["--server", "127.0.0.1", "--port", str(port)] if port else []
        words = [find("swaks"), *place]
        words += ["--from", SENDER, "--to", to, "--helo", "client.example"]
        # It adds a line end of its own.
        path = self.path(MESSAGE.removesuffix(b"\r\n"))
        words += ["--data", f"@{path}", "--timeout", "15", *options]
        done = await self.running(run, words, mayFail=fails)
        said: str = done.stdout.decode("utf-8", "replace")
        self.assertEqual(bool(done.returncode), fails, said)
        return said

    async def test_plain(self) -> None:
        """
        It sends in clear, or with HELO only.
        """
        relay = self.begin()
        await self.swaks(self.portOf(relay))
        await self.arrivesWith("ESMTP")
        await self.swaks(self.portOf(relay), "--protocol", "SMTP")
        _, second = await self.arrives(2)
        self.assertIn(b"by relay.example with SMTP id", second.content)
        self.assertContents(self.server.received)

    async def test_pipelined(self) -> None:
        """
        It sends its commands in a group (RFC 2920).
        """
        relay = self.begin()
        to = "b@one.example,c@one.example,d@one.example"
        said = await self.swaks(self.portOf(relay), "--pipeline", to=to)
        (received,) = await self.arrives()
        self.assertContents([received])
        self.assertEqual(",".join(received.recipients), to)
        # It shows all that it says before it shows a reply to it.
        commands = said.index(" -> DATA"), said.index("<-  250 2.1.0")
        self.assertLess(*commands)

    async def test_starttls(self) -> None:
        """
        It sends over TLS (RFC 3207), with a certificate that it checks.
        """
        relay = self.begin()
        trust = ("--tls-verify", "--tls-ca-path", self.ca)
        said = await self.swaks(self.portOf(relay), "--tls", *trust)
        self.assertIn("TLS started", said)
        await self.arrivesWith("ESMTPS")
        self.assertContents(self.server.received)

    async def test_authentication(self) -> None:
        """
        It says who it is in each way that both know: PLAIN and LOGIN over TLS of
        both kinds, CRAM-MD5 also without TLS.
        """
        self.beginForUsers()
        ways = [
            ("submission", "PLAIN", USER, "ESMTPSA", ("--tls",)),
            ("submissions", "LOGIN", USER, "ESMTPSA", ("--tls-on-connect",)),
            ("submission", "CRAM-MD5", CLEAR_USER, "ESMTPA", ()),
            ("submissions", "CRAM-MD5", CLEAR_USER, "ESMTPSA", ("--tls-on-connect",)),
        ]
        for count, (kind, mechanism, user, protocol, options) in enumerate(ways, 1):
            login = ("--auth", mechanism, "-au", user, "-ap", PASSWORD)
            said = await self.swaks(self.portFor(kind), *login, *options)
            self.assertIn(f" -> AUTH {mechanism}", said.replace("~>", "->"))
            received = (await self.arrives(count))[-1]
            with_ = f"by relay.example with {protocol} id"
            self.assertIn(with_.encode("ascii"), received.content)
            self.assertFrom(user)

    async def test_notOffered(self) -> None:
        """
        It sends nothing where it is to say its password in clear, or in a way that
        is not offered.
        """
        self.beginForUsers()
        for mechanism in ("PLAIN", "LOGIN", "DIGEST-MD5", "CRAM-SHA1"):
            login = ("--auth", mechanism, "-au", USER, "-ap", PASSWORD)
            said = await self.swaks(self.portFor("submission"), *login, fails=True)
            self.assertNotIn("MAIL FROM", said)

    async def test_xclient(self) -> None:
        """
        Whoever may speak for a client does so with XCLIENT: what counts is the
        client, not who speaks for it.
        """
        relay = self.begin(networks="192.0.2.0/24", xclient="127.0.0.1")
        helo = ("--xclient-helo", "proxied.example")
        await self.swaks(self.portOf(relay), "--xclient-addr", CLIENT, *helo)
        received = await self.arrivesWith("ESMTP")
        # It says EHLO once more, of its own.
        origin = f"Received: from client.example ([{CLIENT}])\r\n"
        self.assertTrue(received.content.startswith(origin.encode("ascii")))
        stranger = ("--xclient-addr", STRANGER)
        said = await self.swaks(self.portOf(relay), *stranger, fails=True)
        self.assertIn("<** 550 5.7.1", said)

    async def test_xclientLogin(self) -> None:
        """
        The user that is named may send mail.
        """
        relay = self.beginForUsers(xclient="127.0.0.1")
        port = self.portFor("submission")
        await self.swaks(port, "--xclient-addr", STRANGER, "--xclient-login", USER)
        await self.arrivesWith("ESMTPA")
        self.assertFrom(USER)
        said = await self.swaks(port, "--xclient-addr", STRANGER, fails=True)
        self.assertIn("<** 530", said)
        self.assertEqual(len(relay.queue.getWaiting()), 0)

    async def test_xclientNotOffered(self) -> None:
        """
        Others are not offered it.
        """
        relay = self.begin(xclient=ELSEWHERE)
        who = ("--xclient-addr", CLIENT)
        said = await self.swaks(self.portOf(relay), *who, fails=True)
        self.assertNotIn("XCLIENT", said.partition("*** ")[0])
        self.assertNotIn("MAIL FROM", said)

    async def test_proxy(self) -> None:
        """
        It says for whom it speaks in both versions of the PROXY protocol, with TLS
        behind the header, too.
        """
        relay = self.begin(networks="192.0.2.0/24", proxies="127.0.0.1")
        port = self.portOf(relay)
        for count, options in enumerate(((), ("--tls",), _VERSION_2), 1):
            await self.swaks(port, *_proxied(CLIENT, options), *options)
            received = (await self.arrives(count))[-1]
            origin = f"Received: from client.example ([{CLIENT}])"
            self.assertTrue(received.content.startswith(origin.encode("ascii")))
        for options in ((), _VERSION_2):
            words = (*_proxied(STRANGER, options), *options)
            self.assertIn("<** 550 5.7.1", await self.swaks(port, *words, fails=True))

    async def test_lmtp(self) -> None:
        """
        It speaks LMTP by TCP and by a UNIX socket, and reads a reply for each
        recipient.
        """
        path = str(self.place / "lmtp")
        self.begin(lmtp=[LMTP, f"unix:{path}"])
        to = "b@one.example,c@one.example"
        port = self.portFor("lmtp")
        for count, options in enumerate(((), ("--socket", path)), 1):
            said = await self.swaks(
                0 if options else port, "--protocol", "LMTP", *options, to=to
            )
            self.assertEqual(said.count("250 2.0.0 Ok: queued as"), 2, said)
            received = (await self.arrives(count))[-1]
            self.assertIn(b"by relay.example with LMTP id", received.content)
        self.assertContents(self.server.received)


_VERSION_2 = ("--proxy-version", "2")


def _proxied(address: str, options: tuple[str, ...]) -> tuple[str, ...]:
    """
    Give the options that say for whom a proxy speaks.
    """
    family = "AF_INET" if options == _VERSION_2 else "TCP4"
    source = ("--proxy-source", address, "--proxy-source-port", "4321")
    dest = ("--proxy-dest", "203.0.113.9", "--proxy-dest-port", "25")
    return ("--proxy-family", family, *source, *dest)
