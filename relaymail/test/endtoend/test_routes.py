# -*- test-case-name: relaymail.test.endtoend.test_routes -*-
"""
Tests for routes: a relay on loopback sends each message where the first rule says that
it matches.
"""

from __future__ import annotations

import smtplib
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.threads import deferToThread

from relaymail.configuration import configure
from relaymail.inspection import NameState, Selection
from relaymail.intake.users import lineFor
from relaymail.route.hosts import Host, TLSNeed
from relaymail.route.rules import Action, Rule
from relaymail.service import Relay
from relaymail.test.endtoend.harness import (
    CLIENT_PATIENCE,
    MESSAGE,
    RECIPIENT,
    SENDER,
    SOON,
    EndToEndTestCase,
    exchange,
    submit,
)
from relaymail.test.endtoend.processes import until
from relaymail.testing.servers import SMTPServer

#: What goes on the usual way, and its zones.
USUAL = exchange(("mx.one.example", "127.0.0.1"))


class RoutesTests(EndToEndTestCase):
    """
    Tests for C{delivery.routes}.
    """

    def setUp(self) -> None:
        """
        Start a host that gets what no rule matches.
        """
        super().setUp()
        self.usual = self.startServer()
        self.special = self.startServer()
        self.dns = self.startDNS(USUAL)

    def relay(self, *routes: Any, **more: Any) -> Relay:
        """
        Start a relay with routes; C{special} in one is the special host.
        """
        told = [
            each.replace("special", f"smtp://{self.special.address}?tls=never")
            if isinstance(each, str)
            else each
            for each in routes
        ]
        usual = {"dns": self.dns.address, "mxPort": self.usual.port, "retry": SOON}
        return self.startRelay(**usual, routes=told, **more)

    def said(self, words: str) -> list[str]:
        """
        Give the lines of the log with some words.
        """
        return [line for line in self.logged() if words in line]

    async def give(
        self, relay: Relay, login: tuple[str, str] | None = None, source: str = ""
    ) -> None:
        """
        Give a relay a message as a client with an address, or as a user.
        """

        def send() -> None:
            with smtplib.SMTP(
                "127.0.0.1",
                self.portOf(relay),
                timeout=CLIENT_PATIENCE,
                source_address=(source, 0) if source else None,
            ) as client:
                if login is not None:
                    client.login(*login)
                client.sendmail(SENDER, [RECIPIENT], MESSAGE)

        await deferToThread(send)

    async def arrived(self, server: SMTPServer, count: int = 1) -> None:
        """
        So many messages came to a host, and nothing is in the queue.
        """
        await server.whenReceived(count)
        self.assertEqual(len(server.received), count)

    async def test_recipients(self) -> None:
        """
        Each recipient goes by its own route.
        """
        relay = self.relay(f"to={RECIPIENT} via=special")
        await submit(self.portOf(relay), recipients=[RECIPIENT, "c@one.example"])
        await self.arrived(self.special)
        await self.arrived(self.usual)
        self.assertEqual(self.special.received[0].recipients, (RECIPIENT,))
        self.assertEqual(self.usual.received[0].recipients, ("c@one.example",))

    async def test_ofAProgram(self) -> None:
        """
        A program gives rules.
        """
        host = Host("127.0.0.1", self.special.port, TLSNeed.NEVER, named=True)
        relay = self.relay(
            Rule(recipients=("one.example",), hosts=(host,)),
            Rule(senders=("@sender.example",), action=Action.DISCARD),
        )
        await relay.send(SENDER, [RECIPIENT, "c@two.example"], MESSAGE)
        await self.arrived(self.special)
        await until(lambda: self.said("discarded id="), "the other is thrown away")
        self.assertEqual(self.special.received[0].recipients, (RECIPIENT,))

    async def test_senders(self) -> None:
        """
        The first of several routes holds.
        """
        relay = self.relay(
            "from=x@sender.example via=refuse",
            "from=@sender.example via=special",
            "to=* via=hold",
        )
        await submit(self.portOf(relay))
        await self.arrived(self.special)

    async def test_clients(self) -> None:
        """
        It counts from which address it came.
        """
        relay = self.relay("client=127.0.0.2 via=special", networks="127.0.0.0/8")
        await self.give(relay, source="127.0.0.2")
        await self.arrived(self.special)
        await self.give(relay)
        await self.arrived(self.usual)

    async def test_users(self) -> None:
        """
        It counts who gave it.
        """
        users = Path(self.mktemp())
        users.touch(0o600)
        users.write_text(f"{lineFor('ann', b'pw', iterations=4096)}\n")
        relay = self.relay("user=ann via=special", users=users)
        relay.intake.allowsClearAuth = True
        await self.give(relay, ("ann", "pw"))
        await self.arrived(self.special)
        await self.give(relay)
        await self.arrived(self.usual)

    async def test_lmtp(self) -> None:
        """
        A route may lead to a mail store.
        """
        store = self.makeRelay(
            queue=self.directory / "store",
            smtp=(),
            lmtp=["tcp:port=0:interface=127.0.0.1"],
            smartHosts=[self.special.address],
        )
        store.privilegedStartService()
        store.startService()
        port = self.portOf(store)
        relay = self.relay(f"to=one.example via=lmtp://127.0.0.1:{port}?tls=never")
        await submit(self.portOf(relay))
        await self.arrived(self.special)
        self.assertIn(b" with LMTP", self.special.received[0].content)

    async def test_refused(self) -> None:
        """
        What is refused is not taken from clients; what a program gives is returned.
        """
        relay = self.relay(
            "to=one.example via=refuse 'text=Nobody is there'",
            "to=sender.example via=special",
        )
        with self.assertRaises(smtplib.SMTPRecipientsRefused) as caught:
            await submit(self.portOf(relay))
        self.assertEqual(
            caught.exception.recipients, {RECIPIENT: (550, b"5.7.1 Nobody is there")}
        )
        await relay.send(SENDER, RECIPIENT, MESSAGE)
        (notice,) = await self.special.whenReceived(1)
        self.assertEqual((notice.sender, notice.recipients), ("", (SENDER,)))
        self.assertIn(b"Status: 5.7.1", notice.content)
        self.assertIn(b"Nobody is there", notice.content)
        self.assertEqual(self.usual.sessions, [])

    async def test_discarded(self) -> None:
        """
        What is thrown away is taken, counted and told of in the log, and goes nowhere.
        """
        relay = self.relay("name=junk to=one.example via=discard")
        self.assertEqual(await submit(self.portOf(relay)), {})
        await until(lambda: self.said("discarded id="), "it is thrown away")
        (line,) = self.said("discarded id=")
        self.assertIn("a rule of this relay throws it away", line)
        self.assertIn("junk", line)
        totals: dict[str, int] = {}
        while "discarded" not in totals:
            totals = await relay.queue.totals()
        self.assertEqual((totals["discarded"], totals["accepted"]), (1, 1))
        self.assertEqual(self.usual.sessions, [])

    async def test_heldAndReleased(self) -> None:
        """
        What is held waits over a restart, and goes by the next route when it is
        released; it is not held again, whatever becomes of it.
        """
        routes = ("name=look via=hold text=Who?", "via=special")
        relay = self.relay(*routes)
        await submit(self.portOf(relay))
        await until(lambda: self.said("is held by the rule look: Who?"), "it is held")
        (entry,) = await self.held(relay)
        self.assertEqual(entry.why, "by the rule look: Who?")
        await relay.stopService()
        relay = self.relay(*routes)
        (entry,) = await self.held(relay)
        self.special.answers["RCPT"] = ["451 4.7.1 Later", "250 2.1.5 Ok"]
        await relay.queue.release(entry.name)
        await self.arrived(self.special)
        self.assertEqual(len(self.said("is held by")), 1)
        self.assertEqual(self.usual.sessions, [])

    async def held(self, relay: Relay) -> list[Any]:
        """
        Give what is held.
        """
        entries: list[Any] = []
        while not entries:
            # It is said before it is written.
            found = await relay.queue.look(Selection(state=NameState.HELD))
            entries = list(found.entries)
        return entries

    async def test_reload(self) -> None:
        """
        What waits goes where it goes by routes that are new.
        """
        relay = self.relay("to=one.example via=smtp://127.0.0.1:9")
        await submit(self.portOf(relay))
        await until(lambda: self.said("retry id="), "it was tried")
        told = relay.configuration
        routes = configure(
            queue=told.queue, routes=f"via=smtp://{self.special.address}"
        ).delivery.routes
        changed = await relay.reload(
            attrs.evolve(told, delivery=attrs.evolve(told.delivery, routes=routes))
        )
        self.assertEqual(changed, ["delivery.routes"])
        await self.arrived(self.special)
        routes = configure(queue=told.queue, routes="via=refuse").delivery.routes
        await relay.reload(
            attrs.evolve(told, delivery=attrs.evolve(told.delivery, routes=routes))
        )
        with self.assertRaises(smtplib.SMTPRecipientsRefused):
            await submit(self.portOf(relay))

    async def test_sourceAndName(self) -> None:
        """
        A route may come from an address of its own, and under another name.
        """
        relay = self.relay(
            "to=one.example source=127.0.0.7 helo=bulk.example",
            "via=special source=127.0.0.8 helo=other.example",
        )
        await submit(self.portOf(relay), recipients=[RECIPIENT, "c@two.example"])
        await self.arrived(self.usual)
        await self.arrived(self.special)
        for server, address, name in (
            (self.usual, "127.0.0.7", "bulk.example"),
            (self.special, "127.0.0.8", "other.example"),
        ):
            (session,) = server.sessions
            self.assertEqual(session.client, address)
            self.assertEqual(session.commands[0], f"EHLO {name}")

    async def test_usualSourceAndName(self) -> None:
        """
        The same may hold for all mail.
        """
        relay = self.relay(
            "to=two.example via=special", source="127.0.0.7", helo="out.example"
        )
        await submit(self.portOf(relay), recipients=[RECIPIENT, "c@two.example"])
        await self.arrived(self.usual)
        await self.arrived(self.special)
        for server in (self.usual, self.special):
            (session,) = server.sessions
            self.assertEqual(session.client, "127.0.0.7")
            self.assertEqual(session.commands[0], "EHLO out.example")

    async def test_fallback(self) -> None:
        """
        What the hosts of a destination do not take goes to those that stand behind
        them.
        """
        relay = self.relay("to=one.example fallback=special")
        self.usual.answers["CONNECT"] = "421 4.3.2 Not now"
        await submit(self.portOf(relay))
        await self.arrived(self.special)
