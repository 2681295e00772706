# -*- test-case-name: relaymail.test.endtoend.test_documents -*-
"""
What the pages show is what works.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import ClassVar

from incremental import Version
from twisted._version import __version__ as TWISTED
from twisted.python.reflect import namedAny
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from relaymail.testing import scripts

#: The checkout.
ROOT = Path(__file__).resolve().parents[3]
#: How long one runner may take, in seconds: it takes about four.
PATIENCE = 120

_FILE = re.compile(
    r"^\.\. code-block:: python\n   :caption: (test_\w+\.py)\n\n((?:   .*\n|\n)+)",
    re.MULTILINE,
)


class PageTestCase(SynchronousTestCase):
    """
    Writes the files of a page.

    @cvar page: Its name.
    """

    page: ClassVar[str]

    def setUp(self) -> None:
        page = ROOT / "docs" / self.page
        if not page.exists():
            raise SkipTest("the pages are not installed")
        self.text = page.read_text()
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.files = [(name, dedent(code)) for name, code in _FILE.findall(self.text)]
        for name, code in self.files:
            (self.directory / name).write_text(code)

    def run_(self, *command: str) -> str:
        """
        Run the tests in the files of the page.
        """
        done = subprocess.run(
            [sys.executable, *command],
            cwd=self.directory,
            # The plugins of other programs on this machine take seconds to load.
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            },
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        if done.returncode:
            self.fail(f"{command} ended with {done.returncode}:\n{done.stdout}")
        return done.stdout


class InYourProgramTests(PageTestCase):
    """
    Tests for the page about a relay in a program.
    """

    page = "in-your-program.rst"

    def test_trial(self) -> None:
        """
        trial runs what is there.
        """
        names = [name[:-3] for name, _ in self.files]
        self.assertEqual(len(names), self.text.count(":caption:"))
        self.assertIn("PASSED", self.run_("-m", "twisted.trial", *names))


class TestingYourAppTests(PageTestCase):
    """
    Tests for the page about C{relaymail.testing}.
    """

    page = "testing-your-app.rst"

    def test_pytest(self) -> None:
        """
        pytest runs all files whose tests do not need the reactor, as they are.
        """
        names = [name for name, code in self.files if "inlineCallbacks" not in code]
        self.assertEqual(len(names), self.text.count(":caption:") - 3)
        told = self.run_("-m", "pytest", "-q", "-p", "no:cacheprovider", *names)
        self.assertRegex(told, r"\d+ passed")
        self.assertNotIn("skipped", told)

    def test_trial(self) -> None:
        """
        trial runs those that are test cases.
        """
        names = [name[:-3] for name, code in self.files if "TestCase" in code]
        if Version("Twisted", 25, 5, 0) > TWISTED:
            # Its web server changes a TLS context that is in use already.
            names.remove("test_sts")
        self.assertIn("PASSED", self.run_("-m", "twisted.trial", *names))

    def test_scripts(self) -> None:
        """
        Every server that has a name is on the page.
        """
        functions = [name for name in scripts.__all__ if name[0].islower()]
        missing = [name for name in functions if f"``{name}``" not in self.text]
        self.assertEqual(missing, [])


class FlowTests(PageTestCase):
    """
    Tests for the page that says where what is.
    """

    page = "flow.rst"

    def test_places(self) -> None:
        """
        What it names is there.
        """
        names = re.findall(r"``(relaymail\.[\w.]+)``", self.text)
        # Those of the table leave the package out.
        table = self.text.partition("Where to add what")[2].partition("Who puts")[0]
        names += [f"relaymail.{n}" for n in re.findall(r"``(\w+\.[\w.]+)``", table)]
        self.assertGreater(len(names), 80)
        for name in sorted(set(names)):
            namedAny(name)
