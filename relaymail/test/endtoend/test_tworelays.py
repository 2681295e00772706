# -*- test-case-name: relaymail.test.endtoend.test_tworelays -*-
"""
Tests for two relays, the first of which gives its mail to the second: by each kind of
URL, over real TCP and TLS and UNIX sockets.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from email import message_from_bytes
from typing import Any

from relaymail.envelopes import (
    NO_PARAMETERS,
    NOTHING_SAID,
    DeliverBy,
    Envelope,
    Letter,
    Parameters,
    RecipientParameters,
)
from relaymail.intake.users import lineFor
from relaymail.service import Relay
from relaymail.test.directories import shortDirectory
from relaymail.test.endtoend.harness import (
    MESSAGE,
    RECIPIENT,
    SENDER,
    EndToEndTestCase,
    exchange,
    payload,
)
from relaymail.test.endtoend.processes import until
from relaymail.testing.certificates import ThrowawayCA
from relaymail.testing.servers import KEYWORDS

USER, PASSWORD = "me", "correct horse"
#: Each is a port that the system chooses; what they are called must differ.
PORTS = {
    "smtp": "tcp:0:interface=127.0.0.1",
    "submission": "tcp:port=0:interface=127.0.0.1",
    "submissions": "tcp:0:backlog=50:interface=127.0.0.1",
    "lmtp": "tcp:0:backlog=51:interface=127.0.0.1",
}
OTHER = "käthe@one.example"
#: Nothing of it is a line of a text, and it is more than is sent at once.
BINARY = MESSAGE + b"\0\r\n.\r\nQUIT\r\nBDAT 1\r\n" + bytes(range(256)) * 1500
EIGHT_BIT = MESSAGE + "Grüße\r\n".encode() * 20_000
#: What was said of the recipients.
OWN = (
    RecipientParameters("NEVER", "rfc822;b+c@elsewhere.example"),
    RecipientParameters("SUCCESS,DELAY", "utf-8;käthe@elsewhere.example"),
)


class TwoRelaysTestCase(EndToEndTestCase):
    """
    Two relays.
    """

    def setUp(self) -> None:
        """
        Make an authority, and files of a user and of a password.
        """
        super().setUp()
        self.directory.mkdir(parents=True)
        authority = ThrowawayCA()
        self.ca = authority.write(self.directory)
        issued = authority.issue("127.0.0.1", "second.example")
        self.key, self.cert = issued.write(self.directory)
        self.users = self.directory / "users"
        self.users.touch(0o600)
        self.users.write_text(lineFor(USER, PASSWORD.encode(), iterations=4096) + "\n")
        self.password = self.directory / "password"
        self.password.touch(0o600)
        self.password.write_text(PASSWORD)

    def startSecond(self, **settings: Any) -> Relay:
        """
        Start the second, with ports of all kinds; its smart host refuses connections.
        """
        told: dict[str, Any] = {
            "smartHosts": ["smtp://127.0.0.1:1"],
            "retry": ["1h"],
            **PORTS,
            **settings,
        }
        self.second = self.startRelay(
            queue=self.directory / "second",
            hostname="second.example",
            users=self.users,
            tlsKey=self.key,
            tlsCert=self.cert,
            **told,
        )
        return self.second

    def startFirst(self, url: str) -> Relay:
        """
        Start the first, which gives all its mail there.
        """
        return self.startRelay(queue=self.directory / "first", smartHosts=[url])

    def url(self, scheme: str, kind: str, user: str = "") -> str:
        """
        Describe a port of the second.
        """
        openings = zip(self.second.addresses, self.second.openings, strict=True)
        (port,) = (at.port for at, opening in openings if opening.kind == kind)
        more = [f"ca-file={self.ca}"] if scheme not in ("smtp", "lmtp") else []
        if user:
            more.append(f"password-file={self.password}")
        who = f"{user}@" if user else ""
        return f"{scheme}://{who}127.0.0.1:{port}?{'&'.join(more)}".rstrip("?")

    async def give(
        self, relay: Relay, envelope: Envelope, content: bytes = MESSAGE
    ) -> None:
        """
        Give a message to a relay, as a program does that it is part of.
        """
        await relay.queue.add(envelope, content)
        relay.manager.wake()

    def taken(self) -> list[dict[str, Any]]:
        """
        Give what was logged of the messages that the second took.
        """
        return [each for each in self.events if "taken" in each and "names" in each]

    async def letters(self, count: int = 1) -> list[Letter]:
        """
        Give what the second has in its queue, once it took some messages.
        """
        await until(lambda: len(self.taken()) >= count, "the second has it")
        self.assertEqual(len(self.taken()), count)
        names = [name for each in self.taken() for name in each["names"]]
        return [self.second.queue.letter(name) for name in names]

    def assertPassed(
        self, letters: Sequence[Letter], envelope: Envelope, content: bytes
    ) -> None:
        """
        These are the letters of a message.
        """
        self.assertEqual(
            [each.recipient for each in letters], list(envelope.recipients)
        )
        for index, each in enumerate(letters):
            self.assertEqual(each.sender, envelope.sender)
            said = each.parameters
            by, wanted = said.deliverBy, envelope.parameters.deliverBy
            if by is not None and wanted is not None:
                # It takes a moment, and goes in whole seconds.
                self.assertApproximates(by.at, wanted.at, 10)
                said = replace(said, deliverBy=replace(by, at=wanted.at))
            self.assertEqual(said, envelope.parameters)
            self.assertEqual(each.recipientParameters, envelope.parametersOf(index))
            each.file.seek(0)
            self.assertTrue(payload(each.file.read()) == content)


class PassedTests(TwoRelaysTestCase):
    """
    What is said of mail, and the mail, by each kind of URL.
    """

    async def passes(self, url: str, *, isVerified: bool = False) -> list[Any]:
        """
        Pass three messages on: one of which all there is is said, one of which
        nothing is, and one with eight bits.

        @return: The clients, as the second saw them.
        """
        first = self.startFirst(url)
        at = first.queue.clock.seconds() + 10_000
        parameters = Parameters(
            "BINARYMIME",
            "HDRS",
            "e=1 +2",
            utf8=True,
            requireTLS=isVerified,
            priority=4,
            deliverBy=DeliverBy(at, returns=True),
        )
        whole = Envelope("jürgen@sender.example", (RECIPIENT, OTHER), parameters, OWN)
        plain = Envelope(SENDER, (RECIPIENT,), NO_PARAMETERS, (NOTHING_SAID,))
        eight = replace(plain, parameters=Parameters(body="8BITMIME"))
        for number, (envelope, content) in enumerate(
            ((whole, BINARY), (plain, MESSAGE), (eight, EIGHT_BIT)), 1
        ):
            await self.give(first, envelope, content)
            letters = await self.letters(number)
            last = letters[-len(envelope.recipients) :]
            self.assertPassed(last, envelope, content)
        await until(lambda: not first.queue.getRelayed(), "the first has nothing")
        self.assertEqual(first.queue.getWaiting(), [])
        return [each["client"] for each in self.taken()]

    async def test_smtp(self) -> None:
        """
        In clear.
        """
        self.startSecond()
        await self.passes(self.url("smtp", "smtp"))

    async def test_startTLS(self) -> None:
        """
        With STARTTLS, and a certificate that is looked at.
        """
        self.startSecond()
        url = self.url("smtp+starttls", "smtp")
        clients = await self.passes(url, isVerified=True)
        self.assertEqual({client.tls for client in clients}, {"TLSv1.3"})

    async def test_submission(self) -> None:
        """
        With STARTTLS, and as a user, which only users may.
        """
        self.startSecond(networks="192.0.2.0/24")
        url = self.url("smtp+starttls", "submission", USER)
        clients = await self.passes(url, isVerified=True)
        self.assertEqual({client.user for client in clients}, {USER})

    async def test_submissions(self) -> None:
        """
        With TLS from the first octet on, and as a user.
        """
        self.startSecond(networks="192.0.2.0/24")
        url = self.url("smtps", "submissions", USER)
        clients = await self.passes(url, isVerified=True)
        self.assertEqual({client.user for client in clients}, {USER})
        self.assertEqual({client.tls for client in clients}, {"TLSv1.3"})

    async def test_lmtp(self) -> None:
        """
        By LMTP.
        """
        self.startSecond()
        clients = await self.passes(self.url("lmtp", "lmtp"))
        self.assertEqual({client.entrance.value for client in clients}, {"lmtp"})

    async def test_lmtpUnix(self) -> None:
        """
        By LMTP, over a UNIX socket.
        """
        path = os.path.join(str(shortDirectory(self)), "lmtp")
        self.startSecond(lmtp=f"unix:{path}:mode=600")
        clients = await self.passes(f"lmtp+unix://{path}")
        self.assertEqual({client.entrance.value for client in clients}, {"lmtp"})


class NoticeTests(TwoRelaysTestCase):
    """
    What senders asked to be told comes back (RFC 3461).
    """

    async def passOn(self, *keywords: str) -> tuple[Any, Any]:
        """
        Pass a message on to a host by both.

        @param keywords: What the host offers besides.

        @return: That host, and that of the sender.
        """
        there = self.startServer(keywords=(*KEYWORDS, *keywords))
        home = self.startServer(host="127.0.0.2", port=there.port)
        zones = exchange(("mx.one.example", "127.0.0.1"))
        zones |= exchange(("mx.sender.example", "127.0.0.2"), domain="sender.example")
        dns = self.startDNS(zones).address
        self.startSecond(smartHosts=[], dns=dns, mxPort=there.port)
        first = self.startFirst(self.url("smtp+starttls", "smtp"))
        own = RecipientParameters("SUCCESS", "rfc822;before@elsewhere.example")
        parameters = Parameters(envid="id 1")
        await self.give(first, Envelope(SENDER, (RECIPIENT,), parameters, (own,)))
        await there.whenReceived(1)
        return there, home

    async def test_relayed(self) -> None:
        """
        Where the last host cannot tell, the relay before it does.
        """
        _, home = await self.passOn()
        (message,) = await home.whenReceived(1)
        self.assertEqual((message.sender, message.recipients), ("", (SENDER,)))
        parts: Any = message_from_bytes(message.content).get_payload()
        status = parts[1].as_string()
        for line in (
            "Action: relayed",
            "Original-Recipient: rfc822;before@elsewhere.example",
            "Original-Envelope-Id: id 1",
            "Reporting-MTA: dns; second.example",
        ):
            self.assertIn(line, status)
        self.assertEqual(len(home.received), 1)

    async def test_passedOn(self) -> None:
        """
        Where it can it is asked to, and nobody else tells.
        """
        there, home = await self.passOn("DSN")
        second = self.second.queue
        await until(lambda: not second.getRelayed(), "it is settled")
        said = [
            line
            for session in there.sessions
            for line in session.commands
            if line.startswith(("MAIL", "RCPT"))
        ]
        self.assertIn("ENVID=id+201", said[0])
        self.assertIn("NOTIFY=SUCCESS ORCPT=rfc822;before@elsewhere.example", said[1])
        self.assertEqual(home.received, [])
