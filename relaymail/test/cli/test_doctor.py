# -*- test-case-name: relaymail.test.cli.test_doctor -*-
"""
Tests for L{relaymail.cli.doctor}.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from relaymail.cli import doctor as module
from relaymail.cli.client import Client
from relaymail.cli.doctor import checkRelay, checks, doctor
from relaymail.cli.main import main
from relaymail.cli.settings import Settings
from relaymail.doctor.answers import Answer, Check, Verdict, fail, ok, warn


class DoctorTests(SynchronousTestCase):
    """
    Tests for C{relaymail doctor}.
    """

    def setUp(self) -> None:
        """
        Begin with a machine where all is well.
        """
        self.answers: list[Answer] = [ok("fine")]
        self.wishes: list[Any] = []

        def fake(wish: Any) -> list[Check]:
            self.wishes.append(wish)
            return [Check("disk", lambda: self.answers), Check("b", lambda: [ok("x")])]

        self.patch(module, "checks", fake)

    def run_(self, *arguments: str) -> Result:
        """
        Give the command.
        """
        return CliRunner().invoke(doctor, arguments)

    def test_well(self) -> None:
        """
        Each check has a line, and the code is 0.
        """
        done = self.run_()
        self.assertEqual(done.output, "ok   disk: fine\nok   b: x\nall is well\n")
        self.assertEqual(done.exit_code, 0)

    def test_fails(self) -> None:
        """
        What fails comes with what to do, and the code is 1.
        """
        self.answers = [fail("it is full", "make room"), warn("it is slow", "wait")]
        done = self.run_()
        lines = done.output.splitlines()
        expected = ["fail disk: it is full", "     do: make room"]
        self.assertEqual(lines[:2], expected)
        self.assertEqual(lines[-1], "1 failed, 1 to look at")
        self.assertEqual(done.exit_code, 1)

    def test_strict(self) -> None:
        """
        A warning is no failure, unless that is asked for.
        """
        self.answers = [warn("it is slow", "wait")]
        self.assertEqual(self.run_().exit_code, 0)
        self.assertEqual(self.run_("--strict").exit_code, 1)

    def test_json(self) -> None:
        """
        The same for programs.
        """
        self.answers = [fail("it is full", "make room")]
        done = self.run_("--json")
        told = json.loads(done.output)
        self.assertFalse(told["passed"])
        self.assertEqual(
            told["checks"][0],
            {
                "check": "disk",
                "verdict": "fail",
                "found": "it is full",
                "remedy": "make room",
            },
        )
        self.assertEqual(done.exit_code, 1)

    def test_wishes(self) -> None:
        """
        What is asked for is looked at.
        """
        self.run_("--offline", "--domain", "one.example", "--address", "9.9.9.9")
        (wish,) = self.wishes
        self.assertEqual(wish, module.Wish(True, "one.example", "9.9.9.9"))

    def test_noAddress(self) -> None:
        """
        What is no address is refused.
        """
        done = self.run_("--address", "one.example")
        self.assertEqual(done.exit_code, 2)
        self.assertIn("no network address", done.output)


class ChecksTests(SynchronousTestCase):
    """
    Tests for which checks there are.
    """

    def configure(self, text: str = "") -> str:
        """
        Write a configuration.
        """
        directory = Path(self.mktemp()).absolute()
        directory.mkdir(0o700)
        path = directory / "relaymail.toml"
        path.write_text(f'hostname = "relay.example"\n{text}')
        path.chmod(0o600)
        return str(path)

    def names(self, path: str, isOffline: bool = False) -> list[str]:
        """
        Give the names of the checks for a configuration.
        """
        self.patch(module, "current", lambda: Settings(config=path))
        return [c.name for c in checks(module.Wish(isOffline, "one.example", ""))]

    def test_all(self) -> None:
        """
        All that the issue names is there; without the network, what needs none.
        """
        here = [
            "configuration",
            "entrances",
            "secrets",
            "queue",
            "relay",
            "disk",
            "limits",
        ]
        here += ["clock", "certificate"]
        path = self.configure()
        self.assertEqual(self.names(path, isOffline=True), here)
        away = ["resolver", "port 25", "names", "smart hosts"]
        self.assertEqual(self.names(path), here + away)

    def test_smartHosts(self) -> None:
        """
        With smart hosts nothing else need be reached.
        """
        path = self.configure('[delivery]\nsmart-hosts = ["mail.example"]\n')
        self.assertEqual(self.names(path)[-2:], ["resolver", "smart hosts"])
        path = self.configure('[delivery]\nsmart-hosts = ["192.0.2.1"]\n')
        self.assertEqual(self.names(path)[-2:], ["certificate", "smart hosts"])

    def test_dnssec(self) -> None:
        """
        Where mail is to be protected by DANE it is looked whether that can be.
        """
        path = self.configure('[delivery]\ntls = "dane"\n')
        self.assertEqual(self.names(path)[-2:], ["dnssec", "smart hosts"])
        path = self.configure('[delivery]\ntls = "verify"\n')
        self.assertNotIn("dnssec", self.names(path))

    def test_wrongConfiguration(self) -> None:
        """
        Where the configuration cannot be used that is a failure, and the rest is
        checked all the same.
        """
        path = self.configure("hostnam = 1\n")
        self.patch(module, "current", lambda: Settings(config=path))
        found = checks(module.Wish(True, "one.example", ""))
        (answer,) = found[0].look()
        self.assertIs(answer.verdict, Verdict.FAILURE)
        self.assertIn("hostnam", answer.found)
        self.assertGreater(len(found), 5)

    def test_offline(self) -> None:
        """
        On this machine the command ends with a code, a line for each check, and
        leaves nothing behind.
        """
        path = self.configure()
        before = os.listdir(os.path.dirname(path))
        done = CliRunner().invoke(
            main, ["--config", path, "doctor", "--offline", "--json"]
        )
        told = json.loads(done.output)
        found = {each["check"]: each for each in told["checks"]}
        self.assertEqual(found["configuration"]["verdict"], "ok")
        self.assertIn(path, found["configuration"]["found"])
        self.assertEqual(found["relay"]["verdict"], "warn")
        self.assertEqual(done.exit_code, 0 if told["passed"] else 1)
        self.assertEqual(os.listdir(os.path.dirname(path)), before)

    def test_relayHangs(self) -> None:
        """
        A relay that has the queue and does not answer is a failure.
        """
        settings = Settings(config=self.configure())
        (answer,) = checkRelay(4711, settings)
        self.assertIs(answer.verdict, Verdict.FAILURE)
        self.assertIn("process 4711 relays, but does not answer", answer.found)
        (answer,) = checkRelay(None, settings)
        self.assertIs(answer.verdict, Verdict.WARNING)

    def test_D11_alarms(self) -> None:
        """
        The alarms of a relay that runs are failures.
        """
        alarm = {"key": "token:me", "text": "no consent", "since": 1.0}
        status = {"version": "1", "state": "running", "alarms": [alarm]}
        self.patch(Client, "get", lambda self, path: status)
        well, alarming = checkRelay(4711, Settings(config=self.configure()))
        self.assertIs(well.verdict, Verdict.OK)
        self.assertIs(alarming.verdict, Verdict.FAILURE)
        self.assertIn("an alarm sounds: no consent", alarming.found)
