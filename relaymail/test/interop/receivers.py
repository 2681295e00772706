# -*- test-case-name: relaymail.test.interop -*-
"""
A relay that gives mail to other people's servers.
"""

from __future__ import annotations

import re
import smtplib
from collections.abc import Callable, Sequence
from email.message import Message
from pathlib import Path
from typing import Any

from twisted.internet.defer import ensureDeferred, gatherResults
from twisted.internet.threads import deferToThread

from relaymail.service import Relay
from relaymail.test.endtoend.harness import (
    CLIENT_PATIENCE,
    MESSAGE,
    RECIPIENT,
    SENDER,
)
from relaymail.test.endtoend.processes import until
from relaymail.test.interop.programs import InteropTestCase, messagesIn
from relaymail.test.interop.standins import Between
from relaymail.testing.certificates import ThrowawayCA

USER, PASSWORD = "me@one.example", "correct horse"
#: The usual message behind its header, its lines ending as on this system.
BODY = MESSAGE.partition(b"\r\n\r\n")[2].replace(b"\r\n", b"\n")
#: For whom the servers take mail: our recipient, and our sender for notices.
DOMAINS = tuple(address.partition("@")[2] for address in (RECIPIENT, SENDER))


_FOLDED = re.compile(r"\n[ \t]+")


class ReceiverTestCase(InteropTestCase):
    """
    Sends mail to a server, and looks at what arrives.

    @ivar relay: The relay.
    @ivar server: The server.
    """

    relay: Relay

    async def started(self, kind: Any, *given: Any, **more: Any) -> Any:
        """
        Start a server and wait until it takes mail.
        """
        self.server = kind(self.place, *given, **more)
        self.addCleanup(self.server.stop)
        await self.listening(self.server.port, self.server)
        return self.server

    def certified(self, owner: int = 0) -> tuple[str, str]:
        """
        Make a certificate for the server, and have C{self.ca} vouch for it.

        @param owner: Who reads the key.

        @return: The paths of the key and of the certificate.
        """
        authority = ThrowawayCA()
        self.ca = authority.write(self.place)
        certificate = authority.issue("127.0.0.1", "localhost")
        key, path = certificate.write(self.place / "tls")
        for each in (key, path):
            Path(each).chmod(0o644)
        return key, path

    def login(self, user: str = USER, password: str = PASSWORD) -> str:
        """
        Give the URL of the server for somebody with a password, over TLS with a
        certificate that is checked.
        """
        path = self.place / "password"
        path.write_text(f"{password}\n")
        name = user.replace("@", "%40")
        place = f"{name}@127.0.0.1:{self.server.port}"
        return f"smtp+starttls://{place}?password-file={path}&ca-file={self.ca}"

    def url(self) -> str:
        """
        Give the plain URL of the server.
        """
        return f"smtp://127.0.0.1:{self.server.port}"

    def begin(self, url: Any = "", **more: Any) -> int:
        """
        Start the relay.

        @param url: Where it gives its mail, a URL or a table; empty: to the server.

        @return: Its port.
        """
        self.relay = self.startRelay(smartHosts=[url or self.url()], **more)
        return self.portOf(self.relay)

    async def give(
        self,
        to: Sequence[str] = (RECIPIENT,),
        content: bytes = MESSAGE,
        mail: Sequence[str] = (),
        rcpt: Sequence[str] = (),
        sender: str = SENDER,
    ) -> None:
        """
        Give the relay a message.

        @param mail: The parameters of MAIL.
        @param rcpt: Those of each RCPT.
        """

        def send(client: smtplib.SMTP) -> None:
            client.sendmail(sender, list(to), content, list(mail), list(rcpt))

        await self.talk(send)

    async def talk(self, send: Callable[[smtplib.SMTP], Any]) -> Any:
        """
        Do something with a client of the relay.
        """
        port = self.portOf(self.relay)

        def connected() -> Any:
            with smtplib.SMTP("127.0.0.1", port, timeout=CLIENT_PATIENCE) as client:
                client.ehlo()
                return send(client)

        return await deferToThread(connected)

    async def taken(self, count: int = 1) -> list[bytes]:
        """
        Wait for messages at the server, and until the relay has settled all.
        """
        try:
            contents = await self.arrived(self.server.mail, count)
            await until(self._isEmpty, "it is settled")
        except AssertionError as e:
            said = "\n".join(self.logged())
            raise AssertionError(f"{e}: {self.server.said}\n{said}") from None
        return contents

    async def sent(self, url: Any = "") -> bytes:
        """
        Send the usual message, and give what arrives, which must be that.
        """
        self.begin(url)
        await self.give()
        (content,) = await self.taken()
        self.assertTrue(content.endswith(b"\n\n" + BODY), content)
        return content

    async def giveMany(self, scheme: str) -> None:
        """
        Check that many messages go over in one session, each once, the commands for
        the next one in the flight of the end of the last (RFC 2920 3.1).

        @param scheme: That of the URL.
        """
        between = Between(self.server.port)
        self.begin(f"{scheme}://127.0.0.1:{between.start(self)}", maxConnections=1)
        marks = [b"message %d\r\n" % number for number in range(20)]
        await gatherResults(
            [ensureDeferred(self.give(content=MESSAGE + mark)) for mark in marks]
        )
        contents = await self.taken(len(marks))
        ends = sorted(content.splitlines()[-1] + b"\r\n" for content in contents)
        self.assertEqual(ends, sorted(marks))
        self.assertIn(b"\r\n.\r\nMAIL FROM:", between.said)
        self.assertLess(between.connections, 5)

    async def report(self) -> Message:
        """
        Wait for a report to our sender (RFC 3464), and give it.
        """
        try:
            await until(self._reports, "a report arrives")
        except AssertionError as e:
            said = "\n".join(self.logged())
            raise AssertionError(f"{e}: {self.server.said}\n{said}") from None
        await until(self._isEmpty, "it is settled")
        (report,) = self._reports()
        return report

    def assertReported(self, report: Message, *fields: str) -> None:
        """
        Check what a report says of a message and its one recipient.
        """
        (status,) = [
            part
            for part in report.walk()
            if part.get_content_type().endswith("delivery-status")
        ]
        text = status.as_bytes().decode("utf-8", "surrogateescape")
        said = _FOLDED.sub(" ", text).split("\n")
        for field in fields:
            self.assertTrue([line for line in said if line.startswith(field)], said)

    def outcomes(self, kind: str) -> list[str]:
        """
        Give the lines of the log about recipients that fared in some way.
        """
        return [line for line in self.logged() if line.startswith(f"{kind} id=")]

    def _reports(self) -> list[Message]:
        messages = messagesIn(self.server.mail)
        return [m for m in messages if m.get_content_type() == "multipart/report"]

    def _isEmpty(self) -> bool:
        queue = self.relay.queue
        return not (queue.getRelayed() or queue.getWaiting())
