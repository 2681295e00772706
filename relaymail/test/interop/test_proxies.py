# -*- test-case-name: relaymail.test.interop.test_proxies -*-
"""
Other people's proxies in front of the relay.
"""

from __future__ import annotations

import smtplib
import time
from typing import Any

from relaymail.test.endtoend.harness import (
    CLIENT_PATIENCE,
    MESSAGE,
    RECIPIENT,
    SENDER,
)
from relaymail.test.endtoend.test_proxied import anyCertificate
from relaymail.test.endtoend.test_submission import EntrancesTestCase, handIn, overTLS
from relaymail.test.interop.haproxies import SOURCE, HAProxy
from relaymail.test.interop.nginxes import NGINX
from relaymail.test.interop.programs import InteropTestCase

#: From where the client talks.
CLIENT = "127.0.0.3"
#: How HAProxy says for whom it speaks.
WAYS = {
    "one": "send-proxy check-send-proxy",
    "two": "send-proxy-v2 check-send-proxy",
    # With a checksum and an identifier behind the addresses.
    "more": "send-proxy-v2 proxy-v2-options crc32c,unique-id",
}


def give(port: int, startTLS: bool = False) -> str:
    """
    Give a message to a proxy.

    @return: What was said against it, in a code.
    """
    with smtplib.SMTP(
        "127.0.0.1", port, timeout=CLIENT_PATIENCE, source_address=(CLIENT, 0)
    ) as client:
        if startTLS:
            client.starttls(context=anyCertificate())
        try:
            client.sendmail(SENDER, [RECIPIENT], MESSAGE)
        except smtplib.SMTPRecipientsRefused as e:
            return str(e.recipients[RECIPIENT][0])
    return ""


class HAProxyTests(EntrancesTestCase, InteropTestCase):
    """
    HAProxy.
    """

    async def begin(self, networks: str, **more: Any) -> HAProxy:
        """
        Start a relay that trusts some networks, and the proxy in front.
        """
        self.relay = self.start(networks=networks, proxies=SOURCE, **more)
        port = self.port(self.relay, "smtp")
        behind = {name: (port, words) for name, words in WAYS.items()}
        behind["tls"] = self.port(self.relay, "submissions"), WAYS["two"]
        proxy = HAProxy(self.place, behind)
        self.addCleanup(proxy.stop)
        for each in proxy.ports.values():
            await self.listening(each, proxy)
        return proxy

    async def test_client(self) -> None:
        """
        The client that HAProxy speaks for may relay, and is in the log, by each way
        to say so, in clear and with STARTTLS behind it.
        """
        proxy = await self.begin(CLIENT)
        for name in WAYS:
            for startTLS in (False, True):
                said = await self.talk(give, proxy.ports[name], startTLS)
                self.assertEqual(said, "", name)
        told = [line for line in self.logged() if f"taken from {CLIENT} " in line]
        self.assertEqual(len(told), 2 * len(WAYS))

    async def test_implicitTLS(self) -> None:
        """
        What HAProxy says comes before TLS, which it passes on.
        """
        proxy = await self.begin("192.0.2.0/24")
        port = proxy.ports["tls"]
        self.assertEqual(await self.talk(handIn, lambda: overTLS(port)), "")
        await self.server.whenReceived(1)

    async def test_A04_stranger(self) -> None:
        """
        That HAProxy may relay itself is of no use to its clients.
        """
        proxy = await self.begin(SOURCE)
        for name in WAYS:
            self.assertEqual(await self.talk(give, proxy.ports[name]), "550", name)

    async def test_checks(self) -> None:
        """
        HAProxy sees that the relay is there, and the relay finds nothing wrong with
        how it looks.
        """
        proxy = await self.begin(CLIENT)
        await self.talk(time.sleep, 1)
        self.assertNotIn("DOWN", proxy.said)
        self.assertNotIn("PROXY header", "\n".join(self.logged()))


class NGINXTests(EntrancesTestCase, InteropTestCase):
    """
    nginx.
    """

    async def begin(self, networks: str) -> NGINX:
        """
        Start a relay that trusts some networks, and the proxy in front.
        """
        self.relay = self.start(networks=networks, xclient="127.0.0.1")
        proxy = NGINX(self.place, self.port(self.relay, "smtp"))
        self.addCleanup(proxy.stop)
        await self.listening(proxy.port, proxy)
        return proxy

    async def test_client(self) -> None:
        """
        The client that nginx speaks for may relay, and is in the log.
        """
        proxy = await self.begin(CLIENT)
        self.assertEqual(await self.talk(give, proxy.port), "", proxy.said)
        told = [line for line in self.logged() if f"taken from {CLIENT} " in line]
        self.assertEqual(len(told), 1)

    async def test_A04_stranger(self) -> None:
        """
        That nginx may relay itself is of no use to its clients.
        """
        proxy = await self.begin("127.0.0.1")
        self.assertEqual(await self.talk(give, proxy.port), "550", proxy.said)

    async def test_A04_clientIsNoProxy(self) -> None:
        """
        nginx passes on what its client says once it is given mail: who speaks by it
        cannot say for somebody else that he speaks.
        """
        proxy = await self.begin("127.0.0.9")

        def cheat() -> tuple[int, ...]:
            with smtplib.SMTP(
                "127.0.0.1",
                proxy.port,
                timeout=CLIENT_PATIENCE,
                source_address=(CLIENT, 0),
            ) as client:
                client.ehlo()
                client.mail(SENDER)
                refused, _ = client.rcpt(RECIPIENT)
                client.rset()
                taken, _ = client.docmd("XCLIENT", "ADDR=127.0.0.9 LOGIN=ali")
                client.ehlo()
                client.mail(SENDER)
                return refused, taken, client.rcpt(RECIPIENT)[0]

        self.assertEqual(await self.talk(cheat), (550, 502, 550), proxy.said)
