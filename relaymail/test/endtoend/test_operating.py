# -*- test-case-name: relaymail.test.endtoend.test_operating -*-
"""
What the page about operating a relay says is what works.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from textwrap import dedent
from typing import Any

import click
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SkipTest, SynchronousTestCase

import relaymail
from relaymail.cli.lazy import LazyGroup
from relaymail.cli.main import main
from relaymail.configuration.tables import BY_PATH
from relaymail.queue.spool.bodies import LARGEST_ROW
from relaymail.test.endtoend.harness import MESSAGE, EndToEndTestCase, submit
from relaymail.test.endtoend.processes import PATIENCE, until

PACKAGE = Path(relaymail.__file__).parent
ROOT = PACKAGE.parent
#: A port on which nobody takes mail.
NOBODY = "127.0.0.1:1"

_SCRIPT = re.compile(
    r"^\.\. code-block:: sh\n   :caption: ([\w.]+)\n\n((?:   .*\n|\n)+)", re.MULTILINE
)
_BLOCK = re.compile(
    r"^\.\. code-block:: sh\n(?:   :.*\n)?\n((?:   .*\n|\n)+)", re.MULTILINE
)
_TOML = re.compile(
    r"^\.\. code-block:: toml\n(?:   :.*\n)?\n((?:   .*\n|\n)+)", re.MULTILINE
)


def page() -> str:
    """
    Give the page.
    """
    path = ROOT / "docs" / "operating.rst"
    if not path.exists():
        raise SkipTest("the pages are not installed")
    return path.read_text("utf-8")


class BackupTests(EndToEndTestCase):
    """
    The scripts of the page, with a relay that runs meanwhile.
    """

    def setUp(self) -> None:
        """
        Write the scripts, and the programs that they call.
        """
        super().setUp()
        self.directory.mkdir(parents=True)
        for name, text in _SCRIPT.findall(page()):
            (self.directory / name).write_text(dedent(text))
        programs = self.directory / "bin"
        programs.mkdir()
        for name, words in (("python", ""), ("relaymail", "-m relaymail.cli.main ")):
            path = programs / name
            path.write_text(f'#!/bin/sh\nexec {sys.executable} {words}"$@"\n')
            path.chmod(0o755)

    async def script(self, name: str, *arguments: object) -> str:
        """
        Run a script, which ends well.

        @return: What it has printed.
        """
        done = await deferToThread(
            subprocess.run,
            ["sh", str(self.directory / name), *map(str, arguments)],
            env={
                **os.environ,
                "BIN": str(self.directory / "bin"),
                "PYTHONPATH": str(ROOT),
            },
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return str(done.stdout)

    async def test_backupAndRestore(self) -> None:
        """
        What a relay has queued is in a copy that was made while it ran, large
        contents too; when the spool is lost, the copy is put in its place, and all
        of it is delivered.
        """
        large = MESSAGE + (b"x" * 70 + b"\r\n") * (LARGEST_ROW // 70)
        self.assertGreater(len(large), LARGEST_ROW)
        relay = self.makeTwistd("--smarthost", NOBODY, "--retry", "1s")
        await relay.start()
        for content in (MESSAGE, large):
            await submit(relay.port, content=content)
        copy = self.directory / "copy"
        told = await self.script("backup.sh", relay.spool / "queue.db", copy)
        self.assertIn("all is well", told)
        self.assertEqual(len(os.listdir(copy / "queue.db-contents")), 1)
        # Meanwhile it goes on; what comes now is not in the copy.
        await submit(relay.port)
        relay.kill()
        (relay.spool / "queue.db").write_bytes(b"the disk has failed" * 1000)
        told = await self.script("restore.sh", copy, relay.spool / "queue.db")
        self.assertIn("all is well", told)
        self.assertTrue((relay.spool / "queue.db-wal.before").exists())
        server = self.startServer()
        relay.options[1] = f"127.0.0.1:{server.port}"
        await relay.start()
        await until(lambda: len(server.received) == 2, "both are delivered")
        sizes = sorted(len(each.content) for each in server.received)
        self.assertGreater(sizes[1], LARGEST_ROW)
        await until(lambda: not relay.entries(), "the spool is empty")
        await relay.terminate()

    async def test_backupOfStopped(self) -> None:
        """
        A spool that no relay uses is copied in the same way.
        """
        relay = self.makeTwistd("--smarthost", NOBODY)
        await relay.start()
        await submit(relay.port)
        await relay.terminate()
        copy = self.directory / "copy"
        told = await self.script("backup.sh", relay.spool / "queue.db", copy)
        self.assertIn("all is well", told)
        self.assertEqual(oct(copy.stat().st_mode & 0o777), "0o700")


def textsOf(path: Path) -> list[str]:
    """
    Give the texts in a module of the relay that writes into the log.  The trees of
    all modules, kept, would be most of what the collector of garbage looks at in
    the tests that come after this one.
    """
    source = path.read_text("utf-8")
    if "test" in path.relative_to(PACKAGE).parts or "log." not in source:
        return []
    nodes = ast.walk(ast.parse(source))
    return [str(node.value) for node in nodes if isinstance(node, ast.Constant)]


class PageTests(SynchronousTestCase):
    """
    Tests for what the page names.
    """

    def setUp(self) -> None:
        self.text = page()

    def commands(self) -> list[list[str]]:
        """
        Give every command of C{relaymail} on the page, in words.
        """
        found = []
        for block in _BLOCK.findall(self.text):
            if "#!/bin/sh" not in block:
                found += dedent(block).splitlines()
        found += re.findall(r"``(relaymail [^`]+)``", self.text)
        prefix = re.compile(r"(?:sudo -u relaymail )?relaymail ")
        matches = [(line, prefix.match(line)) for line in found]
        return [shlex.split(line[m.end() :]) for line, m in matches if m is not None]

    def test_commands(self) -> None:
        """
        Each command is one that there is, with options that it has.
        """
        found = self.commands()
        self.assertGreater(len(found), 30)
        for words in found:
            self.parse(main, words)

    def parse(self, command: click.Command, words: list[str]) -> None:
        """
        Read a command line, and run nothing.
        """
        while isinstance(command, LazyGroup) and words:
            if words[0] == "--config":
                # Of which relay: it goes in front of every command.
                words = words[2:]
                continue
            part = command.get_command(click.Context(command), words[0])
            self.assertIsNotNone(part, f"there is no command {words[0]!r}")
            assert part is not None
            command, words = part, words[1:]
        if isinstance(command, click.Group) or command.name == "serve":
            return
        for word in words:
            if word.startswith("-"):
                self.assertTrue(
                    any(word in each.opts for each in command.params),
                    f"{command.name} has no {word}",
                )
        required = [p for p in command.params if p.required]
        if words or not required:
            command.make_context(str(command.name), list(words))

    def test_metrics(self) -> None:
        """
        Each metric is one that is given out.
        """
        source = (PACKAGE / "admin" / "metrics.py").read_text("utf-8")
        found = set(re.findall(r"``(relaymail_\w+)``", self.text))
        self.assertGreater(len(found), 5)
        for name in found:
            self.assertIn(f'"{name.removesuffix("_total")}"', source)

    def test_lines(self) -> None:
        """
        Each line of the log is one that is written.
        """
        part = self.text.partition("These lines are for a person:")[2]
        found = re.findall(r"``([^`]+)``", part.partition("``relaymail top``")[0])
        self.assertGreater(len(found), 6)
        written = [text for path in PACKAGE.rglob("*.py") for text in textsOf(path)]
        for line in found:
            self.assertTrue(any(line in text for text in written), line)

    def test_options(self) -> None:
        """
        Each option of the configuration that is named is one.
        """
        found = re.findall(
            r"``((?:intake|delivery|control|machines)\.[a-z-]+)``", self.text
        )
        self.assertGreater(len(found), 5)
        self.assertEqual([name for name in found if name not in BY_PATH], [])

    def test_examples(self) -> None:
        """
        Each configuration that is shown has options that there are, with values
        that they take.
        """
        found = _TOML.findall(self.text)
        self.assertGreater(len(found), 3)
        for text in found:
            for table, said in tomllib.loads(dedent(text)).items():
                for key, value in said.items():
                    kind = BY_PATH[f"{table}.{key}"].kind
                    if kind.name != "a file":
                        kind.take(value)

    def test_files(self) -> None:
        """
        Each file that is installed is there.
        """
        found: list[Any] = re.findall(r"docs/systemd/[\w.-]+", self.text)
        self.assertEqual(len(found), 5)
        for name in found:
            self.assertTrue((ROOT / name).exists(), name)
