# -*- test-case-name: relaymail.test.endtoend.test_hosts -*-
"""
Tests for hosts that do not work: the next one gets the mail in the same
attempt, and other mail does not wait for them.
"""

from __future__ import annotations

from relaymail.dialogue.patience import PATIENCE
from relaymail.test.endtoend.harness import (
    SOON,
    EndToEndTestCase,
    exchange,
    submit,
)
from relaymail.test.endtoend.processes import until
from relaymail.testing.servers import Act, Answer, Late, SMTPServer

#: How many destinations are silent while one is good.
SILENT = 50


class NextHostTests(EndToEndTestCase):
    """
    The second mail exchange host is used in the same attempt.
    """

    async def second(
        self, answers: dict[str, Answer] | None, keywords: tuple[str, ...] = ()
    ) -> SMTPServer | None:
        """
        Send a message where the first host does what it is told, and check
        that the second gets it, once, in the first attempt.

        @param answers: What the first host says; L{None} for no host there.

        @return: The first host.
        """
        good = self.startServer(host="127.0.0.2")
        bad = None
        if answers is not None:
            bad = self.startServer(answers, port=good.port, keywords=keywords)
        hosts = (("mx1.one.example", "127.0.0.1"), ("mx2.one.example", "127.0.0.2"))
        dns = self.startDNS(exchange(*hosts))
        relay = self.startRelay(dns=dns.address, mxPort=good.port)
        await submit(self.portOf(relay))
        await good.whenReceived(1)
        await until(lambda: not relay.queue.getRelayed(), "it is settled")
        self.assertContents(good.received)
        self.assertEqual(len(good.received), 1)
        lines = [line for line in self.logged() if "id=" in line and "reply=" in line]
        self.assertEqual(len(lines), 1, lines)
        self.assertTrue(lines[0].startswith("delivered "), lines[0])
        self.assertIn("host=mx2.one.example address=127.0.0.2 ", lines[0])
        self.assertIn(" attempts=1 ", lines[0])
        if bad is not None:
            self.assertEqual(len(bad.sessions), 1)
            self.assertEqual(bad.received, [])
        return bad

    async def test_D02_refused(self) -> None:
        """
        The first host refuses the connection.
        """
        await self.second(None)

    async def test_D04_421(self) -> None:
        """
        The first host greets with 421.
        """
        await self.second({"CONNECT": "421 4.3.2 Not now"})

    async def test_D05_554(self) -> None:
        """
        The first host greets with 554.
        """
        await self.second({"CONNECT": "554 5.3.2 Never"})

    async def test_D06_silence(self) -> None:
        """
        The first host says nothing.
        """
        bad = await self.second({"CONNECT": Act.SILENCE})
        assert bad is not None
        self.assertEqual(bad.sessions[0].commands, [])

    async def test_D06_garbage(self) -> None:
        """
        The first host talks garbage.
        """
        await self.second({"CONNECT": "\x00\xff%% HTTP/1.1 400 Bad Request"})

    async def test_D06_closed(self) -> None:
        """
        The first host closes the connection instead of greeting.
        """
        await self.second({"CONNECT": Act.CLOSE})

    async def test_D08_closedAfterEHLO(self) -> None:
        """
        The first host closes the connection after EHLO.
        """
        await self.second({"EHLO": Act.CLOSE})

    async def test_D08_421AfterEHLO(self) -> None:
        """
        The first host says 421 to EHLO.
        """
        await self.second({"EHLO": "421 4.3.2 Not now", "HELO": "421 4.3.2 Not now"})

    async def test_D08_silentAfterEHLO(self) -> None:
        """
        The first host says nothing after EHLO.
        """
        await self.second({"EHLO": Act.SILENCE})

    async def test_D13_laterAfterMAIL(self) -> None:
        """
        The first host says 451 to MAIL.
        """
        await self.second({"MAIL": "451 4.3.0 Trouble"})

    async def test_D02_threeHosts(self) -> None:
        """
        The third host is used where two do not work.
        """
        good = self.startServer(host="127.0.0.3")
        self.startServer({"EHLO": Act.RESET}, host="127.0.0.2", port=good.port)
        hosts = [(f"mx{n}.one.example", f"127.0.0.{n}") for n in (1, 2, 3)]
        dns = self.startDNS(exchange(*hosts))
        relay = self.startRelay(dns=dns.address, mxPort=good.port)
        await submit(self.portOf(relay))
        await good.whenReceived(1)
        await until(lambda: not relay.queue.getRelayed(), "it is settled")

    async def test_D02_nextSmartHost(self) -> None:
        """
        The next smart host is used in the same way.
        """
        bad = self.startServer({"CONNECT": "421 4.3.2 Not now"})
        good = self.startServer()
        relay = self.startRelay(smartHosts=[bad.address, good.address])
        await submit(self.portOf(relay))
        await good.whenReceived(1)
        await until(lambda: not relay.queue.getRelayed(), "it is settled")
        self.assertEqual(len(bad.sessions), 1)


class AmbiguousTests(EndToEndTestCase):
    """
    What may have been taken is not for another host (RFC 1047).
    """

    async def ambiguous(self, answer: Answer) -> None:
        """
        Send a message whose last reply is not one, and check that the same
        attempt does not go on at the second host.
        """
        second = self.startServer(host="127.0.0.2")
        first = self.startServer({".": [answer, "250 2.0.0 Ok"]}, port=second.port)
        hosts = (("mx1.one.example", "127.0.0.1"), ("mx2.one.example", "127.0.0.2"))
        dns = self.startDNS(exchange(*hosts))
        relay = self.startRelay(dns=dns.address, mxPort=first.port, retry=SOON)
        await submit(self.portOf(relay))
        await until(
            lambda: [line for line in self.logged() if "ambiguous=yes" in line],
            "the attempt is over",
        )
        self.assertEqual(second.sessions, [])
        await until(lambda: first.received or second.received, "it was sent again")
        await until(lambda: not relay.queue.getRelayed(), "it is settled")
        self.assertEqual(len(first.received) + len(second.received), 1)

    async def test_P4_D25_closed(self) -> None:
        """
        The host closes the connection instead of the last reply.
        """
        await self.ambiguous(Act.CLOSE)

    async def test_P4_D25_silence(self) -> None:
        """
        The host does not reply at the end.
        """
        await self.ambiguous(Act.SILENCE)

    async def test_P4_D25_garbage(self) -> None:
        """
        The host talks garbage at the end.
        """
        await self.ambiguous("%%%% what")


class SilentTests(EndToEndTestCase):
    """
    Other destinations do not notice a host that does not answer.
    """

    async def test_A06_silentDestinations(self) -> None:
        """
        The mail of a good destination is delivered while fifty others are
        silent.
        """
        silent = self.startServer({"CONNECT": Act.SILENCE}, host="127.0.0.2")
        good = self.startServer(port=silent.port)
        zones = exchange(("mx.one.example", "127.0.0.1"))
        domains = [f"silent{n}.example" for n in range(SILENT)]
        for domain in domains:
            zones |= exchange((f"mx.{domain}", "127.0.0.2"), domain=domain)
        dns = self.startDNS(zones)
        relay = self.startRelay(dns=dns.address, mxPort=good.port)
        relay.manager.phaseTimeouts = PATIENCE
        port = self.portOf(relay)
        await submit(port, recipients=[f"b@{domain}" for domain in domains])
        await until(lambda: len(silent.open) == SILENT, "all are being tried")
        await submit(port)
        given = good.reactor.seconds()
        await good.whenReceived(1)
        delay = good.received[0].at - given
        self.assertEqual(len(silent.open), SILENT)
        self.assertLess(delay, 5.0)
        # What ends by itself need not be waited for.
        await silent.stop()

    async def test_D02_slowHost(self) -> None:
        """
        A host that takes its time, but answers, gets the mail.
        """
        server = self.startServer(
            {"CONNECT": Late(0.1, "220 slow"), "EHLO": Late(0.1, "250 slow")}
        )
        relay = self.startRelay(smartHosts=[server.address])
        await submit(self.portOf(relay))
        await server.whenReceived(1)
        await until(lambda: not relay.queue.getRelayed(), "it is settled")
