# -*- test-case-name: relaymail.test.endtoend.test_proxied -*-
"""
Tests for a relay behind a proxy, over real connections: the client says what the
proxy would, and goes on as C{smtplib}.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
from pathlib import Path
from typing import Any

from twisted.internet.threads import deferToThread

from relaymail.service import Relay
from relaymail.test.certificates import writeCertificate
from relaymail.test.dialogue.test_proxyheader import B4, TLV, addresses, binary
from relaymail.test.endtoend.harness import (
    CLIENT_PATIENCE,
    MESSAGE,
    RECIPIENT,
    SENDER,
    EndToEndTestCase,
)

#: What is said of a client at 192.0.2.1.
HEADERS = {
    "version 1": b"PROXY TCP4 192.0.2.1 203.0.113.9 4321 25\r\n",
    "version 2": B4,
    "version 2 with more": binary(addresses("192.0.2.1", "203.0.113.9") + TLV),
}
STRANGER = b"PROXY TCP4 198.51.100.7 203.0.113.9 4321 25\r\n"


def anyCertificate() -> ssl.SSLContext:
    """
    Make what a client begins TLS with that looks at no certificate.
    """
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Announcing(smtplib.SMTP):
    """
    A client that says first what a proxy would.
    """

    def __init__(self, header: bytes, port: int, isTLS: bool = False) -> None:
        self.header = header
        self.isTLS = isTLS
        super().__init__("127.0.0.1", port, timeout=CLIENT_PATIENCE)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        # As smtplib.SMTP_SSL has it, too.
        made = socket.create_connection((host, port), timeout)
        made.sendall(self.header)
        return anyCertificate().wrap_socket(made) if self.isTLS else made


class ProxiedTests(EndToEndTestCase):
    """
    A relay whose proxy is this machine.
    """

    def start(self, **settings: Any) -> Relay:
        """
        Start a relay that trusts clients, and not its proxy.
        """
        server = self.startServer()
        key, cert = writeCertificate(Path(self.directory))
        return self.startRelay(
            smartHosts=[server.address],
            proxies="127.0.0.1",
            networks="192.0.2.0/24",
            tlsKey=key,
            tlsCert=cert,
            **settings,
        )

    async def give(self, relay: Relay, header: bytes, **more: Any) -> str:
        """
        Give the relay a message.

        @return: The version of TLS, or what the relay said of the recipient.
        """

        def send() -> str:
            port = self.portOf(relay)
            with Announcing(header, port) as client:
                if more.get("startTLS"):
                    client.starttls(context=anyCertificate())
                try:
                    client.sendmail(SENDER, [RECIPIENT], MESSAGE)
                except smtplib.SMTPRecipientsRefused as e:
                    return str(e.recipients[RECIPIENT][0])
                version = getattr(client.sock, "version", str)
                return str(version())

        said: str = await deferToThread(send)
        return said

    async def test_inClear(self) -> None:
        """
        Mail is taken from the client that is named, and its address is in the
        Received field and the log.
        """
        relay = self.start()
        for name, header in HEADERS.items():
            self.assertEqual(await self.give(relay, header), "", name)
        told = [line for line in self.logged() if "taken from 192.0.2.1" in line]
        self.assertEqual(len(told), len(HEADERS))

    async def test_startTLS(self) -> None:
        """
        STARTTLS works behind the header.
        """
        relay = self.start()
        for name, header in HEADERS.items():
            version = await self.give(relay, header, startTLS=True)
            self.assertEqual(version[:4], "TLSv", name)

    async def test_A04_stranger(self) -> None:
        """
        A client that may not relay may not do so by a proxy.
        """
        self.assertEqual(await self.give(self.start(), STRANGER), "550")

    async def test_xclient(self) -> None:
        """
        Another kind of proxy says with XCLIENT for whom it speaks; the client that a
        PROXY header names may not, unless it is one of those.
        """
        relay = self.start(xclient="192.0.2.0/24")

        def give(header: bytes) -> tuple[int, str]:
            with Announcing(header, self.portOf(relay)) as client:
                client.ehlo()
                code, _ = client.docmd("XCLIENT", "ADDR=198.51.100.7 PORT=25")
                client.ehlo()
                client.mail(SENDER)
                said, _ = client.rcpt(RECIPIENT)
                return code, str(said)

        mayAct = await deferToThread(give, HEADERS["version 2"])
        self.assertEqual(mayAct, (220, "550"))
        mayNot = await deferToThread(give, STRANGER)
        self.assertEqual(mayNot[1], "550")
        self.assertNotEqual(mayNot[0], 220)

    async def test_noHeader(self) -> None:
        """
        A proxy that says nothing of its client is not answered.
        """
        relay = self.start()

        def talk() -> bytes:
            address = ("127.0.0.1", self.portOf(relay))
            with socket.create_connection(address, CLIENT_PATIENCE) as made:
                made.sendall(b"EHLO me\r\n")
                try:
                    return made.recv(100)
                except ConnectionResetError:
                    return b""

        self.assertEqual(await deferToThread(talk), b"")
        self.assertIn("PROXY header", "\n".join(self.logged()))
