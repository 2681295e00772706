# -*- test-case-name: relaymail.test.cli.test_main -*-
"""
Tests for L{relaymail.cli.main}.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from relaymail import __version__
from relaymail.cli.lazy import LazyGroup, Part
from relaymail.cli.main import PARTS, main


def parts(group: LazyGroup, *words: str) -> Iterator[tuple[list[str], Part]]:
    """
    Give all parts of a group, and of the groups in it, with their names.
    """
    for part in group.parts.values():
        yield [*words, part.name], part
        command = part.load()
        if isinstance(command, LazyGroup):
            yield from parts(command, *words, part.name)


def paths(group: LazyGroup) -> Iterator[list[str]]:
    """
    Give the words of each command.
    """
    for words, _ in parts(group):
        yield words


class MainTests(SynchronousTestCase):
    """
    Tests for the command.
    """

    def test_version(self) -> None:
        """
        It tells its version.
        """
        done = CliRunner().invoke(main, ["--version"])
        self.assertEqual(done.output, f"relaymail {__version__}\n")

    def test_help(self) -> None:
        """
        It names its parts.
        """
        done = CliRunner().invoke(main, ["--help"])
        self.assertEqual(done.exit_code, 0)
        self.assertIn("bench         Measure how fast a relay is.", done.output)
        self.assertNotIn("import", done.output)

    def test_importsLittle(self) -> None:
        """
        The help imports nothing of Twisted, and no part.
        """
        found = self.imported(["--help"])
        self.assertFalse([name for name in found if name.startswith("twisted")])
        parts = {f"relaymail.cli.{part.where.partition(':')[0]}" for part in PARTS}
        self.assertEqual(parts & found, set())

    def test_noReactor(self) -> None:
        """
        No part imports the reactor when it is imported, nor a resolver or a server.
        """
        commands = [[*words, "--help"] for words in paths(main)]
        self.assertIn(["queue", "list", "--help"], commands)
        found = self.imported(*commands)
        for name in ("twisted.internet.reactor", "twisted.names", "twisted.web"):
            self.assertNotIn(name, found)

    def imported(self, *commands: list[str]) -> set[str]:
        """
        Give the modules that some commands import in a process of their own.
        """
        code = (
            "import json, sys; from click.testing import CliRunner; "
            "from relaymail.cli.main import main; "
            "codes = [CliRunner().invoke(main, words).exit_code "
            "for words in json.loads(sys.argv[1])]; "
            "print(json.dumps([codes, list(sys.modules)]))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, json.dumps(commands)],
            env={"PYTHONPATH": ":".join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        codes, modules = json.loads(done.stdout)
        self.assertEqual(set(codes), {0})
        return set(modules)
