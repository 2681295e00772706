# -*- test-case-name: relaymail.test.test_packaging -*-
"""
Tests that each way to install relaymail shows its plugin, and that the commands
of the README are those that are run.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import venv
from importlib import metadata, util
from pathlib import Path

from twisted.python.modules import getModule
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from relaymail.configuration import readFile, readHosts
from relaymail.route.hosts import Credentials

#: The checkout.
ROOT = Path(__file__).resolve().parents[2]

#: What a package is built from.
SOURCES = (
    "relaymail",
    "twisted",
    "setup.cfg",
    "pyproject.toml",
    "README.md",
    "LICENSE",
)

#: How long one command may take, in seconds: building takes about two.
PATIENCE = 120

#: The first version of setuptools that builds wheels alone.
BUILDS_WHEELS = (70, 1)

_TWISTD = (
    "import sys; sys.argv[0] = 'twistd'; from twisted.scripts.twistd import run; run()"
)
_WHERE = "import relaymail; print(relaymail.__file__)"


def run(*command: str | Path, cwd: Path) -> str:
    """
    Run a command and give what it wrote.
    """
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    if done.returncode:
        raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def needCheckout() -> None:
    """
    Skip the test where relaymail was installed without its checkout.
    """
    if not (ROOT / "setup.cfg").exists():
        raise SkipTest("not in a checkout")


class InstallTests(SynchronousTestCase):
    """
    Tests for the ways to install relaymail.
    """

    def setUp(self) -> None:
        """
        Copy the checkout, so that building leaves nothing in it, and make an
        environment that has what this one has.
        """
        needCheckout()
        version = tuple(int(n) for n in metadata.version("setuptools").split(".")[:2])
        if version < BUILDS_WHEELS and util.find_spec("wheel") is None:
            raise SkipTest("a setuptools that builds wheels is not here")
        work = Path(self.mktemp()).resolve()
        self.source, self.elsewhere = work / "source", work / "elsewhere"
        self.source.mkdir(parents=True)
        self.elsewhere.mkdir()
        for name in SOURCES:
            copy(ROOT / name, self.source / name)
        environment = work / "environment"
        venv.create(environment, with_pip=False)
        self.python = environment / "bin" / "python"
        (packages,) = environment.glob("lib/python*/site-packages")
        self.packages = packages
        here = getModule("twisted").filePath.parent().parent().path
        (packages / "outer.pth").write_text(f"{here}\n")

    def pip(self, *words: str | Path) -> None:
        """
        Run pip for the environment, without the network.
        """
        quiet = ["--no-build-isolation", "--no-deps", "--no-index", "-q"]
        pip: list[str | Path] = ["-m", "pip", "--python", self.python]
        # Not in the source: what is built there looks like an installation.
        run(sys.executable, *pip, *words, *quiet, cwd=self.elsewhere)

    def assertInstalled(self, where: Path) -> None:
        """
        Fail unless the package is found there, and C{twistd} shows the plugin
        and its options.
        """
        found = run(self.python, "-c", _WHERE, cwd=self.elsewhere).strip()
        self.assertEqual(Path(found), where / "relaymail" / "__init__.py")
        told = run(self.python, "-c", _TWISTD, "--help", cwd=self.elsewhere)
        self.assertRegex(told, r"(?m)^\s+relaymail\s+A mail relay")
        told = run(
            self.python, "-c", _TWISTD, "relaymail", "--help", cwd=self.elsewhere
        )
        self.assertIn("--smarthost", told)

    def test_install(self) -> None:
        """
        C{pip install .} shows the plugin.
        """
        self.pip("install", self.source)
        self.assertInstalled(self.packages)
        data = self.packages / "relaymail"
        self.assertTrue((data / "py.typed").exists())
        self.assertTrue((data / "test" / "conformance" / "api.json").exists())

    def test_editable(self) -> None:
        """
        C{pip install -e .} shows the plugin.
        """
        self.pip("install", "-e", self.source)
        self.assertInstalled(self.source)

    def test_wheel(self) -> None:
        """
        The wheel shows the plugin.
        """
        self.pip("wheel", self.source, "-w", self.elsewhere)
        (wheel,) = self.elsewhere.glob("relaymail-*.whl")
        self.pip("install", wheel)
        self.assertInstalled(self.packages)


def copy(source: Path, target: Path) -> None:
    """
    Copy a file, or a folder without what Python made in it.
    """
    if source.is_dir():
        ignore = shutil.ignore_patterns("__pycache__", "dropin.cache")
        shutil.copytree(source, target, ignore=ignore)
    else:
        shutil.copy(source, target)


class ReadmeTests(SynchronousTestCase):
    """
    Tests for the commands of the README.
    """

    def setUp(self) -> None:
        """
        Read the README.
        """
        needCheckout()
        self.readme = (ROOT / "README.md").read_text("utf-8")
        self.blocks = re.findall(r"```(\w+)\n(.*?)```", self.readme, re.DOTALL)

    def test_firstTwoCommands(self) -> None:
        """
        The first two blocks are one line each: one starts the relay, one runs
        the tests, and both set up what they need.
        """
        (kind, relay), (other, tests) = self.blocks[:2]
        self.assertEqual((kind, other), ("sh", "sh"))
        for command in (relay, tests):
            self.assertEqual(command.count("\n"), 1)
            self.assertTrue(command.startswith("python3 -m venv "))
        self.assertTrue(relay.endswith(".venv/bin/twistd -n relaymail --queue spool\n"))
        self.assertTrue(tests.endswith(".venv/bin/trial relaymail\n"))

    def test_ciRunsTheCommand(self) -> None:
        """
        C{.ci/run} takes the command from the README: what it looks for is
        there once.
        """
        script = (ROOT / ".ci" / "run").read_text("utf-8")
        looked = re.search(r"grep -m1 -E '([^']+)' README.md", script)
        assert looked is not None
        found = re.findall(f"(?m){looked[1]}", self.readme)
        self.assertEqual([f"{line}\n" for line in found], [self.blocks[1][1]])

    def test_pythonIsPython(self) -> None:
        """
        The examples in Python can be compiled, and are as short as said.
        """
        examples = [text for kind, text in self.blocks if kind == "python"]
        for example in examples:
            compile(example, "README.md", "exec")
        self.assertEqual([example.count("\n") for example in examples], [8])

    def test_configuration(self) -> None:
        """
        The configuration that is shown can be used, where there is the password.
        """
        (text,) = [text for kind, text in self.blocks if kind == "toml"]
        self.assertLessEqual(text.count("\n"), 5)
        path = Path(self.mktemp())
        path.mkdir()
        (path / "relaymail.toml").write_text(text)
        (path / "secret").write_text("hunter2\n")
        told = readFile(str(path / "relaymail.toml"))
        (host,) = readHosts(told)
        assert isinstance(host.credentials, Credentials)
        self.assertEqual(host.credentials.password, b"hunter2")
