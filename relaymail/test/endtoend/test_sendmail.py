# -*- test-case-name: relaymail.test.endtoend.test_sendmail -*-
"""
Tests for the sendmail command, with a relay and in a process of its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from typing import Any

from twisted.internet.threads import deferToThread

from relaymail.service import Relay
from relaymail.test.directories import shortDirectory
from relaymail.test.endtoend.harness import EndToEndTestCase
from relaymail.test.endtoend.processes import PATIENCE, until
from relaymail.testing.servers import Received, SMTPServer

COMMAND = (sys.executable, "-m", "relaymail.cli.main", "sendmail")
TEXT = b"To: root\nBcc: c@one.example\nSubject: hi\n\n.hello\n.\nnot this\n"
MACHINES: dict[str, Any] = {
    "origin": "example.org",
    "aliases": {"root": "b@one.example"},
    "rewriteSenders": {"cron@example.org": "robot@example.com"},
}


class SendmailTests(EndToEndTestCase):
    """
    Mail of programs arrives, whether the relay runs or not.
    """

    def start(self, server: SMTPServer) -> Relay:
        """
        Start a relay with a drop directory, and write its configuration.
        """
        drop = self.directory / "drop"
        relay = self.startRelay(smartHosts=[server.address], drop=str(drop), **MACHINES)
        self.write(self.portOf(relay))
        return relay

    def write(self, port: int) -> None:
        """
        Write the configuration that the command reads.
        """
        (self.directory / "relaymail.toml").write_text(
            f'queue = "spool"\nhostname = "relay.example"\n'
            f'[intake]\nsmtp = ["tcp:{port}:interface=127.0.0.1"]\n'
            f'[machines]\norigin = "example.org"\ndrop = "drop"\n'
            f'[control]\nsocket = "{shortDirectory(self)}/nowhere"\n'
        )

    async def run_(self, *words: str, data: bytes = TEXT) -> Any:
        """
        Run the command.
        """
        environment = {
            **os.environ,
            "RELAYMAIL_CONFIG": str(self.directory / "relaymail.toml"),
            "PYTHONPATH": ":".join(filter(None, sys.path)),
        }
        return await deferToThread(
            subprocess.run,
            [*COMMAND, *words],
            input=data,
            capture_output=True,
            env=environment,
            timeout=PATIENCE,
        )

    def check(self, received: list[Received]) -> None:
        """
        Check what arrived.
        """
        recipients = sorted(r for m in received for r in m.recipients)
        self.assertEqual(recipients, ["b@one.example", "c@one.example"])
        for message in received:
            self.assertEqual(message.sender, "robot@example.com")
            self.assertIn(b"\r\nFrom: Ann <robot@example.com>\r\n", message.content)
            self.assertIn(b"\r\nTo: root@example.org\r\n", message.content)
            self.assertIn(b"\r\nMessage-ID: <", message.content)
            self.assertNotIn(b"Bcc", message.content)
            self.assertTrue(message.content.endswith(b"\r\n\r\n.hello\r\n"))

    async def test_running(self) -> None:
        """
        While the relay runs it has the message by SMTP: to whom the aliases
        say, from whom the rewriting says, on the envelope and in the header.
        """
        server = self.startServer()
        self.start(server)
        done = await self.run_("-t", "-fcron", "-FAnn")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"", b""))
        await until(lambda: _count(server.received) >= 2, "both have it")
        self.check(list(server.received))

    async def test_P1_P3_down(self) -> None:
        """
        While it is down the message waits in the drop directory, and is
        delivered when it runs again.
        """
        server = self.startServer()
        relay = self.start(server)
        await relay.stopService()
        done = await self.run_("-t", "-fcron", "-FAnn")
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertEqual(len(list((self.directory / "drop").glob("*.mail"))), 1)
        self.start(server)
        await until(lambda: _count(server.received) >= 2, "both have it")
        self.check(list(server.received))
        self.assertEqual(list((self.directory / "drop").glob("*.mail")), [])
        self.assertIn(b" (dropped by the user ", server.received[0].content)

    async def test_nowhere(self) -> None:
        """
        Where there is no way the message stays with who sends it.
        """
        self.directory.mkdir()
        self.write(1)
        done = await self.run_("a@one.example")
        self.assertEqual(done.returncode, 75)
        self.assertTrue(done.stderr.startswith(b"sendmail: the message was not taken"))
        self.assertEqual(done.stderr.count(b"\n"), 1)

    async def test_bs(self) -> None:
        """
        With -bs a program speaks SMTP with the relay.
        """
        server = self.startServer()
        self.start(server)
        said = (
            b"EHLO x\r\nMAIL FROM:<cron>\r\nRCPT TO:<root>\r\nDATA\r\n"
            b"From: Ann <cron>\r\n\r\nhello\r\n.\r\nQUIT\r\n"
        )
        done = await self.run_("-bs", data=said)
        self.assertEqual(done.returncode, 0)
        self.assertIn(b"\r\n221 ", done.stdout)
        [message] = await server.whenReceived(1)
        self.assertEqual(message.recipients, ("b@one.example",))
        self.assertIn(b"From: Ann <robot@example.com>\r\n", message.content)

    async def test_bsNowhere(self) -> None:
        """
        Where no relay answers, that is said as SMTP says it.
        """
        self.directory.mkdir()
        self.write(1)
        done = await self.run_("-bs", data=b"EHLO x\r\n")
        self.assertEqual(done.returncode, 75)
        self.assertTrue(done.stdout.startswith(b"421 4.3.2 "))


class ControlTests(EndToEndTestCase):
    """
    Mail goes by the control socket where the user may open it.
    """

    async def start(self, server: SMTPServer) -> Any:
        """
        Start a relay, and give what runs commands that find it.
        """
        # The path of a socket is to be short.
        place = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, place)
        socket = os.path.join(place, "control")
        twistd = self.makeTwistd(
            f"--smarthost={server.address}",
            "--allow-destination=127.0.0.0/8",
            f"--control-socket={socket}",
            "--alias=root=b@one.example",
        )
        await twistd.start()
        file = os.path.join(place, "relaymail.toml")
        with open(file, "w") as config:
            # Nothing listens there.
            config.write(
                f'queue = "{twistd.spool}"\nhostname = "relay.example"\n'
                f'intake.smtp = ["tcp:1:interface=127.0.0.1"]\n'
                f'control.socket = "{socket}"\nmachines.origin = "example.org"\n'
            )
        environment = {
            **os.environ,
            "RELAYMAIL_CONFIG": file,
            "PYTHONPATH": ":".join(filter(None, sys.path)),
        }

        def run(*words: str, data: bytes = b"") -> Any:
            return deferToThread(
                subprocess.run,
                [*COMMAND[:-1], *words],
                input=data,
                capture_output=True,
                env=environment,
                timeout=PATIENCE,
            )

        return run

    async def test_send(self) -> None:
        """
        C{relaymail send --wait} says what became of a message.
        """
        server = self.startServer({"RCPT": ["250 2.1.5 Ok", "550 5.1.1 Who?"]})
        run = await self.start(server)
        done = await run("send", "b@one.example", "--body=hi", "-s", "One", "--wait")
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertIn(b"Queued as 1.\n", done.stdout)
        self.assertIn(b"\nb@one.example: delivered", done.stdout)
        done = await run("send", "c@one.example", "--body=hi", "--wait")
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"c@one.example: bounced", done.stdout)
        self.assertIn(b"Who?", done.stdout)

    async def test_sendmail(self) -> None:
        """
        C{relaymail sendmail} gives its message there, and is told what is
        refused.
        """
        server = self.startServer()
        run = await self.start(server)
        done = await run("sendmail", "-t", "-fcron", data=TEXT)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        await until(lambda: _count(server.received) >= 2, "all have it")
        self.assertEqual(
            sorted(r for m in server.received for r in m.recipients),
            ["c@one.example", "root@example.org"],
        )
        done = await run("sendmail", "a@one.example", data=b"x" * 20_000_000)
        self.assertEqual((done.returncode, done.stdout), (65, b""))


def _count(received: list[Received]) -> int:
    return sum(len(message.recipients) for message in received)
