# -*- test-case-name: relaymail.test.endtoend.test_tutorial -*-
"""
The tutorial, done from top to bottom.
"""

from __future__ import annotations

import re
import shlex
import socket
from contextlib import ExitStack
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from relaymail.test.directories import shortDirectory
from relaymail.test.endtoend.pages import ROOT, Step, _compare, perform, stepsOf
from relaymail.test.endtoend.processes import TWISTD

#: Any port of this machine, for the relay of the README.
PORT = "tcp:0:interface=127.0.0.1"
#: Where no name server is: what becomes of mail is to be the same everywhere.
DNS = "127.0.0.1:9"
#: The ports on the page.
PORTS = ("2525", "2599")


def freePorts(count: int) -> list[str]:
    """
    Give the numbers of ports that nobody has.
    """
    with ExitStack() as sockets:
        found = [sockets.enter_context(socket.socket()) for _ in range(count)]
        for each in found:
            each.bind(("127.0.0.1", 0))
        return [str(each.getsockname()[1]) for each in found]


def doAll(case: SynchronousTestCase, steps: list[Step]) -> None:
    """
    Do some steps, and fail where one of them does something else than is shown.
    """
    wrong = perform(steps, shortDirectory(case), {})
    if wrong:
        case.fail(wrong)


class TutorialTests(SynchronousTestCase):
    """
    Tests for C{docs/tutorial}.
    """

    def test_tutorial(self) -> None:
        """
        Each command of the page does what the page shows.
        """
        text = (ROOT / "docs" / "tutorial.rst").read_text()
        for shown, free in zip(PORTS, freePorts(len(PORTS)), strict=True):
            text = text.replace(shown, free)
        steps = list(stepsOf(text))
        self.assertGreater(len(steps), 20)
        doAll(self, steps)


class ReadmeTests(SynchronousTestCase):
    """
    Tests for the first commands of the README.
    """

    def test_sendAndShow(self) -> None:
        """
        With the relay of the first command, the next two send a message and show
        what becomes of it.
        """
        readme = (ROOT / "README.md").read_text()
        after = readme[readme.index("## Send a message") :]
        found = re.search(r"```sh\n((?:\.venv/bin/relaymail .*\n){2})```", after)
        assert found is not None
        send, show = found[1].replace(".venv/bin/", "").splitlines()
        start = (
            f"{shlex.join(TWISTD)} relaymail --queue spool --smtp {PORT} --dns {DNS}"
        )
        steps = [
            Step(f"{start} > log 2>&1 &"),
            Step("relaymail status --wait 20", "state: running\n…"),
            Step(send, "Queued as 1.\n…"),
            Step(show, "id: 1\n…\nrecipient: you@example.net\n…"),
            Step("kill %1; wait"),
        ]
        doAll(self, steps)


class PagesTests(SynchronousTestCase):
    """
    Tests for how pages are read and compared.
    """

    PAGE = (
        "Text\n\n.. code-block:: console\n\n   $ echo one two\n   one …\n"
        "   $ printf 'a\n   > b'\n   …\n   b\n\nMore.\n\n"
        ".. code-block:: toml\n   :caption: some.toml\n\n   a = 1\n\n"
        "Text.\n\n.. code-block:: console\n\n   $ cat some.toml\n   a = 1\n   $ true\n"
    )

    def test_steps(self) -> None:
        """
        Commands, what they say and files are found, in their order.
        """
        self.assertEqual(
            list(stepsOf(self.PAGE)),
            [
                Step("echo one two", "one …"),
                Step("printf 'a\nb'", "…\nb"),
                Step("cat > some.toml <<'END-OF-FILE'\na = 1\nEND-OF-FILE"),
                Step("cat some.toml", "a = 1"),
                Step("true"),
            ],
        )

    def test_perform(self) -> None:
        """
        They are done in one shell.
        """
        directory = Path(self.mktemp()).resolve()
        directory.mkdir()
        self.assertEqual(perform(list(stepsOf(self.PAGE)), directory, {}), "")

    def test_wrong(self) -> None:
        """
        What fails, says something else or is not reached is told.
        """
        step = Step("ls", "one\n…\nthree")
        self.assertEqual(_compare([step], "one\ntwo\nthree\n\n@@0@@\n"), "")
        self.assertEqual(_compare([step], "one\nthree\n\n@@0@@\n"), "")
        for said in ("one\ntwo\n\n@@0@@\n", "one\nthree\n\n@@1@@\n", "one\n"):
            self.assertIn("$ ls", _compare([step], said))
