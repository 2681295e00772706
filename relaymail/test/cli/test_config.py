# -*- test-case-name: relaymail.test.cli.test_config -*-
"""
Tests for L{relaymail.cli.config}.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock

from relaymail.configuration import files
from relaymail.configuration.describing import asRst
from relaymail.configuration.tables import OPTIONS
from relaymail.envelopes import Envelope
from relaymail.queue.opening import openSpool
from relaymail.test.cli.commands import CommandTestCase


class ConfigCase(CommandTestCase):
    """
    A case with a directory, and no file of this machine's.
    """

    def setUp(self) -> None:
        super().setUp()
        self.directory = Path(os.path.abspath(self.mktemp()))
        self.directory.mkdir()
        environment = {k: v for k, v in os.environ.items() if k != files.VARIABLE}
        self.patch(os, "environ", environment)
        self.patch(files, "SYSTEM_FILE", str(self.directory / "system.toml"))
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.directory)

    def write(self, text: str) -> str:
        """
        Write the configuration file.
        """
        path = self.directory / "relay.toml"
        path.write_text(text)
        return str(path)


class DescribeTests(ConfigCase):
    """
    Tests for C{relaymail config describe}.
    """

    def test_all(self) -> None:
        """
        Without a name all options are explained.
        """
        told = self.run_("config", "describe").stdout
        for one in OPTIONS:
            self.assertIn(f"{one.path}\n", told)

    def test_some(self) -> None:
        """
        One is found by its path, its key or its flag, several by their table.
        """
        for name in ("delivery.mx-port", "mx-port"):
            told = self.run_("config", "describe", name).stdout
            self.assertEqual(told.split("\n")[0], "delivery.mx-port")
        document = self.runJSON("config", "describe", "smarthost")
        self.assertEqual([each["path"] for each in document], ["delivery.smart-hosts"])
        tables = {
            each["table"] for each in self.runJSON("config", "describe", "[intake]")
        }
        self.assertEqual(tables, {"intake"})

    def test_page(self) -> None:
        """
        The part of the page is printed.
        """
        self.assertEqual(self.run_("config", "describe", "--rst").stdout, asRst())

    def test_unknown(self) -> None:
        """
        What there is not is told of, with the nearest.
        """
        told = self.run_("config", "describe", "mx-prot", code=1).stderr
        self.assertIn("did you mean mx-port?", told)


class ShowTests(ConfigCase):
    """
    Tests for C{relaymail config show}.
    """

    def test_differences(self) -> None:
        """
        What differs is shown as it may be written, with the file it is from.
        """
        path = self.write("[delivery]\nmx-port = 26\nmax-connections = 100\n")
        done = self.run_("config", "show", "--config", path)
        self.assertEqual(done.stdout, "[delivery]\nmx-port = 26\n")
        self.assertIn(path, done.stderr)
        self.assertEqual(
            self.runJSON("config", "show", "--config", path),
            {"file": path, "options": {"delivery": {"mx-port": 26}}},
        )

    def test_everything(self) -> None:
        """
        The defaults are shown on demand.
        """
        self.assertEqual(self.run_("config", "show").stdout, "")
        told = tomllib.loads(self.run_("config", "show", "--all").stdout)
        self.assertEqual(told["delivery"]["max-connections"], 100)

    def test_A09_secrets(self) -> None:
        """
        Where a password is kept is shown; it is not read for that.
        """
        path = self.write(
            "[[delivery.smart-hosts]]\nurl = 'smtps://a.example'\nuser = 'me'\n"
            "password-command = 'touch ran'\n"
        )
        told = self.run_("config", "show", "--config", path).stdout
        self.assertIn("touch ran", told)
        self.assertFalse(os.path.exists("ran"))

    def test_wrong(self) -> None:
        """
        Each mistake is a line.
        """
        path = self.write("[delivery]\nmx-port = 0\nretry = []\n")
        told = self.run_("config", "show", "--config", path, code=1).stderr
        self.assertEqual(told.count("\n"), 2)
        self.assertIn(f"relaymail: {path}:2: delivery.mx-port: 0 is not a port", told)


class CheckTests(ConfigCase):
    """
    Tests for C{relaymail config check}.
    """

    def test_right(self) -> None:
        """
        Nothing is wrong with the defaults.
        """
        told = self.run_("config", "check").stdout
        self.assertEqual(told, "the defaults: nothing is wrong\n")
        self.assertEqual(
            self.runJSON("config", "check"), {"file": None, "problems": []}
        )

    def test_wrong(self) -> None:
        """
        All mistakes are told, and the exit code says so.
        """
        path = self.write("[delivery]\nmx-prot = 0\n[intake]\nnetworks = 'all'\n")
        told = self.run_("config", "check", "--config", path, code=1)
        self.assertIn("did you mean mx-port?", told.stderr)
        self.assertIn(f"{path}:4: intake.networks: 'all' is not", told.stderr)
        self.assertEqual(told.stdout, "")
        document = self.runJSON("config", "check", "--config", path, code=1)
        self.assertEqual(len(document["problems"]), 2)

    def test_within(self) -> None:
        """
        What options name is looked into.
        """
        Path("key.pem").write_text("no key")
        path = self.write(
            """
            hostname = "relay.example.com"
            [intake]
            smtp = ["tcp:25", "pigeon:1", "systemd:domain=INET:index=7"]
            tls-key = "key.pem"
            tls-cert = "key.pem"
            [control]
            endpoint = "pigeon:2"
            token-file = "nowhere"
            [delivery]
            smart-hosts = [
              "smtps://me@a.example?password-env=NOT_THERE",
              "relay.example.com",
            ]
            """
        )
        problems = self.runJSON("config", "check", "--config", path, code=1)["problems"]
        for problem, told in zip(
            problems,
            (
                "intake.smtp: 'pigeon:1' is not an endpoint",
                "intake.tls-key: ",
                "delivery.smart-hosts[0]: The password for me at a.example cannot be",
                "control.endpoint: 'pigeon:2' is not an endpoint",
                "control: The control token cannot be read from the file",
                "delivery.smart-hosts: the smart host relay.example.com:25 is this",
            ),
            strict=True,
        ):
            self.assertTrue(problem.startswith(told), problem)

    def test_users(self) -> None:
        """
        A file of users that cannot be used is a problem; the password in it is not
        told.
        """
        Path("users").write_text("me:correct horse\n")
        Path("users").chmod(0o600)
        said = """
            hostname = "relay.example.com"
            [intake]
            users = "users"
            """
        path = self.write(said)
        problems = self.runJSON("config", "check", "--config", path, code=1)["problems"]
        self.assertIn("intake.users: the users file", problems[0])
        self.assertIn("line 1: behind the name there is neither", problems[0])
        self.assertNotIn("horse", str(problems))

    def test_routes(self) -> None:
        """
        Of routes it is said what is wrong, on which line, and what is most likely
        meant otherwise.
        """
        path = self.write("[delivery]\n[[delivery.routes]]\nvia = 'mx'\ntls = 'x'\n")
        told = self.run_("config", "check", "--config", path, code=1).stderr
        self.assertIn(f"{path}:4: delivery.routes[0].tls: 'x' is no level of", told)
        Path("ca.pem").write_text("no certificate")
        path = self.write("""
            hostname = "relay.example.com"
            [intake]
            smtp = "tcp:25"
            [delivery]
            fallback-hosts = ["smtps://me@a.example?password-env=NOT_THERE"]
            [[delivery.routes]]
            via = "relay.example.com"
            [[delivery.routes]]
            via = "smtps://me@a.example?password-env=NOT_THERE"
            [[delivery.routes]]
            to = "a.example"
            ca-file = "ca.pem"
            """)
        problems = self.runJSON("config", "check", "--config", path, code=1)["problems"]
        covered = "is never used: "
        for problem, told in zip(
            problems,
            (
                "delivery.routes[1]: The password for me at a.example cannot be",
                "delivery.fallback-hosts[0]: The password for me at a.example",
                "delivery.routes[2]: ",
                "delivery.routes[0]: the smart host relay.example.com:25 is this relay",
                f"delivery.routes: the rule routes[1] {covered}the rule routes[0]",
                f"delivery.routes: the rule routes[2] {covered}all mail that it is for",
            ),
            strict=True,
        ):
            self.assertTrue(problem.startswith(told), problem)

    def test_kindsOfPorts(self) -> None:
        """
        What is wrong with any kind of port is said; so is what is most likely meant
        otherwise.
        """
        path = self.write("""
            hostname = "relay.example.com"
            [intake]
            submission = ["tcp:587"]
            lmtp = ["pigeon:3"]
            """)
        problems = self.runJSON("config", "check", "--config", path, code=1)["problems"]
        for problem, told in zip(
            problems,
            (
                "intake.lmtp: 'pigeon:3' is not an endpoint",
                "intake.submission takes mail of those only who say who they are",
                "intake.submission: passwords are not taken in clear",
            ),
            strict=True,
        ):
            self.assertTrue(problem.startswith(told), problem)


class AgainstQueueTests(ConfigCase):
    """
    Tests for C{relaymail config check --against-queue}.
    """

    def fill(self, *recipients: str) -> None:
        """
        Queue a message.
        """
        clock = Clock()
        spool = openSpool(str(self.directory / "spool" / "queue.db"), clock)
        spool.noisy = False
        spool.lock()
        envelope = Envelope("a@example.com", recipients)
        added = spool.add(envelope, b"Subject: x\r\n\r\ny\r\n")
        clock.pump([1.0] * 5)
        self.successResultOf(added)
        spool.stop()

    def check(self, text: str = "", code: int = 1) -> Any:
        """
        Check the queue under a configuration.
        """
        path = self.write(f'queue = "spool"\nhostname = "relay.example.com"\n{text}')
        words = ("config", "check", "--against-queue", "--config", path)
        shown = self.run_(*words, code=code).stdout
        document = self.runJSON(*words, code=code)
        for row in document["unroutable"]:
            self.assertIn(row["name"], shown)
        return document

    def test_unroutable(self) -> None:
        """
        What would have no route is told, and that is no success.
        """
        self.fill("b@example.org", "c@[10.0.0.1]", "d@[10.0.0.1]", "e@localhost")
        told = self.check()
        self.assertEqual((told["checked"], told["destinations"]), (3, 3))
        self.assertEqual(
            [(row["name"], row["queued"]) for row in told["unroutable"]],
            [("[10.0.0.1]", 2), ("localhost", 1)],
        )
        self.assertIn("DNS", told["notChecked"])
        allowed = "[delivery]\nallow-destinations = ['10.0.0.0/8']\n"
        (row,) = self.check(allowed)["unroutable"]
        self.assertEqual(row["name"], "localhost")

    def test_smartHost(self) -> None:
        """
        A smart host takes it all.
        """
        self.fill("c@[10.0.0.1]", "e@localhost")
        told = self.check("[delivery]\nsmart-hosts = ['a.example']\n", code=0)
        self.assertEqual(told["unroutable"], [])

    def test_noQueue(self) -> None:
        """
        Where there is no queue yet nothing is queued, and none is made.
        """
        self.assertEqual(self.check(code=0)["destinations"], 0)
        self.assertFalse(os.path.exists("spool"))

    def test_other(self) -> None:
        """
        Other queues are not looked at, and that is said.
        """
        path = self.write('queue = "directory:mail"\n')
        words = ("config", "check", "--against-queue", "--config", path)
        self.assertIn("reads spools only", self.run_(*words, code=1).stderr)
