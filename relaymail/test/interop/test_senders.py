# -*- test-case-name: relaymail.test.interop.test_senders -*-
"""
Other people's clients and servers give mail to the relay.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from relaymail.service import Relay
from relaymail.test.certificates import writeCertificate
from relaymail.test.endtoend.harness import MESSAGE, RECIPIENT, SENDER, submit
from relaymail.test.endtoend.processes import until
from relaymail.test.interop.postfixes import Postfix
from relaymail.test.interop.programs import InteropTestCase, find, run
from relaymail.testing.servers import Received, SMTPServer


class SenderTestCase(InteropTestCase):
    """
    Has a relay that gives all mail to a server that shows it.
    """

    def begin(self, **settings: Any) -> Relay:
        """
        Start the relay, with a certificate, and the server behind it.
        """
        key, certificate = writeCertificate(self.directory, "127.0.0.1")
        self.server: SMTPServer = self.startServer()
        told = {
            "smartHosts": [self.server.address],
            "tlsKey": key,
            "tlsCert": certificate,
            **settings,
        }
        self.relay = self.startRelay(**told)
        return self.relay

    async def arrives(self, count: int = 1) -> list[Received]:
        """
        Wait for messages behind the relay, and until they are settled.
        """
        received = await self.server.whenReceived(count)
        await until(lambda: not self.relay.queue.getRelayed(), "it is settled")
        return list(received)

    def path(self, content: bytes = MESSAGE) -> str:
        """
        Give the path of a file with a message, its lines ending as on this system.
        """
        path = self.place / "message"
        path.write_bytes(content.replace(b"\r\n", b"\n"))
        return str(path)


class SwaksTests(SenderTestCase):
    """
    Swaks.
    """

    async def swaks(self, port: int, *options: str) -> bytes:
        """
        Have it send the usual message.

        @return: What it says.
        """
        words = [find("swaks"), "--server", "127.0.0.1", "--port", str(port)]
        words += ["--from", SENDER, "--to", RECIPIENT, "--helo", "client.example"]
        # It adds a line end of its own.
        path = self.path(MESSAGE.removesuffix(b"\r\n"))
        words += ["--data", f"@{path}", "--timeout", "15", *options]
        done = await self.running(run, words)
        said: bytes = done.stdout
        return said

    async def test_plain(self) -> None:
        """
        It sends in clear.
        """
        relay = self.begin()
        await self.swaks(self.portOf(relay))
        self.assertContents(await self.arrives())

    async def test_pipelined(self) -> None:
        """
        It sends its commands in a group (RFC 2920).
        """
        relay = self.begin()
        await self.swaks(self.portOf(relay), "--pipeline")
        self.assertContents(await self.arrives())

    async def test_starttls(self) -> None:
        """
        It sends over TLS (RFC 3207).
        """
        relay = self.begin()
        said = await self.swaks(self.portOf(relay), "--tls")
        self.assertIn(b"TLS started", said)
        (received,) = await self.arrives()
        self.assertIn(b" with ESMTPS", received.content.partition(b"\r\nFrom:")[0])


class MsmtpTests(SenderTestCase):
    """
    Msmtp.
    """

    async def msmtp(self, port: int, options: Sequence[str] = ()) -> None:
        """
        Have it send the usual message.
        """
        words = [find("msmtp"), "--host=127.0.0.1", f"--port={port}"]
        words += [f"--from={SENDER}", "--timeout=15", *options, "--", RECIPIENT]
        given = MESSAGE.replace(b"\r\n", b"\n")
        await self.running(run, words, given)

    async def test_plain(self) -> None:
        """
        It sends in clear.
        """
        relay = self.begin()
        await self.msmtp(self.portOf(relay))
        self.assertContents(await self.arrives())

    async def test_starttls(self) -> None:
        """
        It sends over TLS.
        """
        relay = self.begin()
        options = ["--tls=on", "--tls-starttls=on", "--tls-certcheck=off"]
        await self.msmtp(self.portOf(relay), options)
        (received,) = await self.arrives()
        self.assertIn(b" with ESMTPS", received.content.partition(b"\r\nFrom:")[0])


class PostfixTests(SenderTestCase):
    """
    Postfix has the relay as its smart host.
    """

    async def postfix(self, port: int, **settings: str) -> Postfix:
        """
        Start one.
        """
        told = {"relayhost": f"[127.0.0.1]:{port}", **settings}
        postfix = Postfix(self.place, told)
        self.addCleanup(postfix.stop)
        await self.listening(postfix.port, postfix)
        return postfix

    async def test_plain(self) -> None:
        """
        It sends in clear.
        """
        relay = self.begin()
        postfix = await self.postfix(self.portOf(relay))
        await submit(postfix.port)
        (received,) = await self.arrives()
        self.assertIn(b"\r\n..two dots\r\n", received.content)

    async def test_starttls(self) -> None:
        """
        It sends over TLS where it is told to insist on that.
        """
        relay = self.begin()
        told = {"smtp_tls_security_level": "encrypt"}
        postfix = await self.postfix(self.portOf(relay), **told)
        await submit(postfix.port)
        (received,) = await self.arrives()
        self.assertIn(b" with ESMTPS", received.content.partition(b"\r\nFrom:")[0])
