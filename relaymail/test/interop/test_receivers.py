# -*- test-case-name: relaymail.test.interop.test_receivers -*-
"""
The relay gives mail to other people's servers.
"""

from __future__ import annotations

from typing import Any

from relaymail.test.endtoend.harness import MESSAGE, RECIPIENT, submit
from relaymail.test.endtoend.processes import until
from relaymail.test.interop.exims import Exim
from relaymail.test.interop.postfixes import Postfix, mailboxes
from relaymail.test.interop.programs import InteropTestCase

BODY = MESSAGE.partition(b"\r\n\r\n")[2].replace(b"\r\n", b"\n")


class ReceiverTestCase(InteropTestCase):
    """
    Sends mail to a server, and looks at what arrives.
    """

    async def started(self, kind: Any, *given: Any) -> Any:
        """
        Start a server and wait until it takes mail.
        """
        server = kind(self.place, *given)
        self.addCleanup(server.stop)
        await self.listening(server.port, server)
        return server

    async def sent(self, server: Any, url: str) -> bytes:
        """
        Send the usual message to a server, and give what arrives.
        """
        relay = self.startRelay(smartHosts=[url])
        await submit(self.portOf(relay))
        try:
            (content,) = await self.arrived(server.mail)
        except AssertionError as e:
            raise AssertionError(f"{e}: {server.said}{self.logged()}") from None
        await until(lambda: not relay.queue.getRelayed(), "it is settled")
        return content


class PostfixTests(ReceiverTestCase):
    """
    Postfix takes mail from the relay.
    """

    async def start(self, **settings: str) -> Postfix:
        """
        Start one that delivers what is for our recipient.
        """
        domain = RECIPIENT.partition("@")[2]
        told = {**mailboxes(self.place, domain), **settings}
        postfix: Postfix = await self.started(Postfix, told)
        return postfix

    async def test_plain(self) -> None:
        """
        Mail arrives as it was sent.
        """
        postfix = await self.start()
        content = await self.sent(postfix, f"smtp://127.0.0.1:{postfix.port}")
        self.assertTrue(content.endswith(BODY), content)


class EximTests(ReceiverTestCase):
    """
    Exim takes mail from the relay.
    """

    async def test_plain(self) -> None:
        """
        Mail arrives as it was sent.
        """
        exim = await self.started(Exim)
        content = await self.sent(exim, f"smtp://127.0.0.1:{exim.port}")
        self.assertTrue(content.endswith(BODY), content)
