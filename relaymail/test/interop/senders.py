# -*- test-case-name: relaymail.test.interop -*-
"""
A relay that other people's clients and servers give mail to.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from relaymail.intake.users import lineFor
from relaymail.service import Relay
from relaymail.test.endtoend.harness import MESSAGE
from relaymail.test.endtoend.processes import until
from relaymail.test.interop.programs import InteropTestCase
from relaymail.testing.certificates import ThrowawayCA
from relaymail.testing.servers import Received, SMTPServer

#: The name of the relay, which its certificate is for, as its address is.
HOSTNAME = "relay.example"
USER, PASSWORD = "me@sender.example", "correct horse"
#: Somebody whose password is kept as it is, for CRAM-MD5.
CLEAR_USER = "old@sender.example"
#: Any ports of this machine: one endpoint is for one kind of mail, and so they
#: differ in something that is not noticed.
SUBMISSION, SUBMISSIONS, LMTP = (
    f"tcp:0:interface=127.0.0.1:backlog={backlog}" for backlog in (51, 52, 53)
)
#: How often the passwords are hashed: as little as SCRAM takes, for speed.
_ITERATIONS = 4096
#: Networks that this machine is in none of.
ELSEWHERE = "192.0.2.0/24"
#: What the server behind the relay offers, so that all can be passed on.
KEYWORDS = ("PIPELINING", "8BITMIME", "SIZE 10240000", "DSN", "SMTPUTF8")

_WITH = re.compile(rb"\sby relay\.example with (\S+) id ")


class SenderTestCase(InteropTestCase):
    """
    Has a relay that gives all mail to a server that shows it.

    @ivar ca: The path of the certificate of the authority that the relay's is from.
    """

    def begin(self, keywords: Sequence[str] = KEYWORDS, **settings: Any) -> Relay:
        """
        Start the relay, with a certificate, and the server behind it.

        @param keywords: What that server offers.
        """
        authority = ThrowawayCA()
        self.ca = authority.write(self.place)
        key, certificate = authority.issue(HOSTNAME, "127.0.0.1").write(self.directory)
        self.server: SMTPServer = self.startServer(keywords=keywords)
        told = {
            "smartHosts": [self.server.address],
            "tlsKey": key,
            "tlsCert": certificate,
            **settings,
        }
        self.relay = self.startRelay(**told)
        return self.relay

    def beginForUsers(self, **settings: Any) -> Relay:
        """
        Start a relay that takes mail from its users only, and from nobody because of
        where it comes from.
        """
        users = self.directory / "users"
        self.directory.mkdir(parents=True, exist_ok=True)
        users.touch(0o600)
        password = PASSWORD.encode("utf-8")
        lines = [
            lineFor(USER, password, iterations=_ITERATIONS),
            lineFor(CLEAR_USER, password, isClear=True),
        ]
        users.write_text("".join(f"{line}\n" for line in lines))
        told = {
            "users": str(users),
            "networks": ELSEWHERE,
            "submission": [SUBMISSION],
            "submissions": [SUBMISSIONS],
            **settings,
        }
        return self.begin(**told)

    def portFor(self, kind: str) -> int:
        """
        Give the port of a kind: C{"submission"}, C{"lmtp"} and so on.
        """
        for opening, address in zip(
            self.relay.openings, self.relay.addresses, strict=True
        ):
            if opening.kind == kind:
                port: int = address.port
                return port
        raise AssertionError(f"there is no port for {kind}")

    async def arrives(self, count: int = 1) -> list[Received]:
        """
        Wait for messages behind the relay, and until they are settled.
        """
        try:
            await until(lambda: len(self.server.received) >= count, "it arrives")
        except AssertionError as e:
            raise AssertionError(f"{e}: {self.logged()}") from None
        await until(lambda: not self.relay.queue.getRelayed(), "it is settled")
        return list(self.server.received)

    async def arrivesWith(self, protocol: str) -> Received:
        """
        Wait for the one message, and check how the relay says it came (RFC 3848).
        """
        (received,) = await self.arrives()
        found = _WITH.findall(received.content)
        self.assertEqual([each.decode("ascii") for each in found], [protocol])
        return received

    def assertFrom(self, user: str) -> None:
        """
        Check that the relay knew who the last message was from.
        """
        taken = [line for line in self.logged() if ": taken from " in line]
        self.assertIn(f" user={user}", taken[-1])

    def said(self, verb: str) -> list[str]:
        """
        Give the commands of a kind that the relay said to the server behind it.
        """
        return [
            command
            for session in self.server.sessions
            for command in session.commands
            if command.upper().startswith(verb)
        ]

    def path(self, content: bytes = MESSAGE) -> str:
        """
        Give the path of a file with a message, its lines ending as on this system.
        """
        path = self.place / "message"
        path.write_bytes(content.replace(b"\r\n", b"\n"))
        return str(path)
