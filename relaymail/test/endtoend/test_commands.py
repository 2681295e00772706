# -*- test-case-name: relaymail.test.endtoend.test_commands -*-
"""
Tests for the command and the relay together: the relay is a process of its own; how
the command does as one, the tests of the tutorial see.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from relaymail.cli.main import main

#: How long a process is waited for, in seconds.
PATIENCE = 30.0
#: How often to look whether the relay answers, in seconds.
GLANCE = 0.1

#: A relay that takes mail on a port of its own choosing, and gives it to nobody.
CONFIGURATION = """\
queue = "spool:mail.db"
hostname = "relay.example.com"

[intake]
smtp = ["tcp:0:interface=127.0.0.1"]

[delivery]
smart-hosts = ["127.0.0.1:1"]
allow-destinations = ["127.0.0.0/8"]
"""


class CommandsTests(SynchronousTestCase):
    """
    Tests for an operator's day.
    """

    def setUp(self) -> None:
        """
        Begin with a configuration.
        """
        # The test's own directory may have a name too long for a socket.
        made = tempfile.TemporaryDirectory()
        self.addCleanup(made.cleanup)
        self.directory = Path(made.name)
        (self.directory / "relaymail.toml").write_text(CONFIGURATION, "utf-8")
        self.environment = {
            "PYTHONPATH": ":".join(os.path.abspath(path) for path in sys.path if path),
            "PATH": os.environ.get("PATH", ""),
        }

    def command(self, *words: str) -> list[str]:
        """
        Give the command line of a command.
        """
        code = "from relaymail.cli.main import main; main(prog_name='relaymail')"
        config = str(self.directory / "relaymail.toml")
        return [sys.executable, "-P", "-c", code, "--config", config, *words]

    def run_(self, *words: str, code: int = 0) -> Result:
        """
        Run a command here, and expect its exit code.
        """
        config = str(self.directory / "relaymail.toml")
        done = CliRunner().invoke(main, ["--config", config, *words])
        self.assertEqual(done.exit_code, code, (words, done.output, done.exception))
        return done

    def runJSON(self, *words: str, code: int = 0) -> Any:
        """
        Run a command, and give its document.
        """
        return json.loads(self.run_(*words, "--json", code=code).stdout)

    def serve(self) -> subprocess.Popen[bytes]:
        """
        Start the relay, and wait until it answers.
        """
        with open(self.directory / "log", "wb") as log:
            process = subprocess.Popen(
                self.command("serve"),
                cwd=self.directory,
                env=self.environment,
                stdout=log,
                stderr=log,
            )
        self.addCleanup(process.wait, PATIENCE)
        self.addCleanup(process.kill)
        end = time.monotonic() + PATIENCE
        while not (self.directory / "mail.db-control").exists():
            self.assertLess(time.monotonic(), end, self.logged())
            self.assertIsNone(process.poll(), self.logged())
            time.sleep(GLANCE)
        return process

    def logged(self) -> str:
        """
        Give what the relay has logged.
        """
        return (self.directory / "log").read_text("utf-8")

    def test_day(self) -> None:
        """
        Mail is sent, looked at, held, released, dropped; destinations are
        suspended and resumed; when the relay is down what was left is seen.
        """
        down = self.run_("reload", code=69)
        self.assertIn("relaymail serve", down.stderr)
        relay = self.serve()
        self.assertEqual(self.runJSON("status")["state"], "running")
        words = ("--from", "a@example.com", "--subject", "\x1b[31mred", "--body", "x")
        self.run_("send", *words, "b@example.org", "c@example.net")
        self.look()
        self.change()
        self.steer()
        told = self.runJSON("explain", "b@example.org")
        self.assertEqual(told["route"][0]["host"], "127.0.0.1")
        self.assertEqual(self.runJSON("reload"), {"changed": []})
        self.compare(told)
        relay.send_signal(signal.SIGTERM)
        relay.wait(PATIENCE)
        self.assertNotIn("Traceback", self.logged())
        self.lookOffline()

    def look(self) -> None:
        """
        Look at what is queued.
        """
        listed = self.runJSON("queue", "list")["entries"]
        found = {entry["recipient"]: entry["id"] for entry in listed}
        self.assertEqual(set(found), {"b@example.org", "c@example.net"})
        self.first, self.second = found["b@example.org"], found["c@example.net"]
        told = self.run_("queue", "show", self.first).stdout
        self.assertIn("Subject: ", told)
        self.assertNotIn("\x1b", told)
        content = self.run_("queue", "show", self.first, "--content").stdout
        self.assertTrue(content.endswith("\nx\n"), content)
        self.assertEqual(self.runJSON("destinations")["count"], 2)
        self.assertEqual(self.runJSON("top")["total"]["total"], 2)

    def change(self) -> None:
        """
        Change what is queued.
        """
        self.run_("queue", "hold", self.first, "--why", "a look")
        (held,) = self.runJSON("queue", "list", "--state", "held")["entries"]
        self.assertEqual((held["id"], held["why"]), (self.first, "a look"))
        self.assertEqual(self.runJSON("queue", "release", "--all")["done"], 1)
        told = self.runJSON("queue", "delete", "--domain", "example.net", "-n")
        self.assertEqual((told["matched"], told["done"]), (1, 0))
        self.run_("queue", "delete", "--domain", "example.net")
        self.assertEqual(self.runJSON("queue", "show", self.second)["state"], "removed")
        self.run_("queue", "flush", self.second, code=1)

    def steer(self) -> None:
        """
        Steer a destination.
        """
        self.run_("destinations", "suspend", "example.org", "--why", "they asked")
        (found,) = self.runJSON("destinations")["destinations"]
        self.assertEqual((found["state"], found["why"]), ("suspended", "they asked"))
        self.run_("destinations", "resume", "example.org")
        self.run_("destinations", "flush", "example.org")

    def compare(self, told: Any) -> None:
        """
        Explain without the relay, ask the host, which is not there, and compare with
        another configuration.

        @param told: What the relay has explained.
        """
        here = self.process("explain", "b@example.org", "--offline")
        for key in ("chosen", "outcome", "accepted", "expire"):
            self.assertEqual(here[key], told[key], key)
        (before,), (after,) = told["route"], here["route"]
        # The relay knows that it failed.
        self.assertEqual({**before, "badUntil": None}, {**after, "badUntil": None})
        tried = self.process("explain", "b@example.org", "--connect", code=1)
        self.assertEqual(tried["taken"]["by"], "")
        self.assertIn("connection refused", tried["taken"]["why"])
        other = self.directory / "other.toml"
        text = CONFIGURATION.replace("127.0.0.1:1", "127.0.0.1:2")
        other.write_text(text, "utf-8")
        queued = self.runJSON("explain", "--config", str(other))
        self.assertEqual(queued["options"], ["delivery.smart-hosts"])
        self.assertEqual(queued["differing"], queued["checked"])
        self.assertEqual(set(queued["kinds"]), {"hosts"})

    def process(self, *words: str, code: int = 0) -> Any:
        """
        Run a command as a process, and give its document.
        """
        done = subprocess.run(
            self.command(*words, "--json"),
            cwd=self.directory,
            env=self.environment,
            capture_output=True,
            timeout=PATIENCE,
        )
        self.assertEqual(done.returncode, code, done.stderr)
        return json.loads(done.stdout)

    def lookOffline(self) -> None:
        """
        Look at the spool.
        """
        done = self.run_("queue", "list")
        self.assertIn("The relay is not running", done.stderr)
        self.assertIn("b@example.org", done.stdout)
        self.assertEqual(self.runJSON("status", code=69)["queued"], 1)
        self.run_("queue", "hold", self.first, code=69)
