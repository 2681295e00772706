# -*- test-case-name: relaymail.test.endtoend.test_tutorial -*-
"""
Pages that show commands, and what they say: run from top to bottom, as a reader
does.

A C{console} block has commands after C{$}, with C{>} where they go on, and below
each what it says: an ellipsis is any text, and a line that is only that, any lines.
A block with a caption is a file, which the reader writes before he goes on.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

#: The checkout.
ROOT = Path(__file__).resolve().parents[3]
#: How long a page may take, in seconds.
PATIENCE = 120

_BLOCK = re.compile(
    r"^\.\. code-block:: (?P<kind>\w+)\n(?:   :caption: (?P<file>\S+)\n)?\n"
    r"(?P<text>(?:   .*\n|\n)+)",
    re.MULTILINE,
)
_ANY = "…"


@dataclass(frozen=True, slots=True)
class Step:
    """
    What a reader does.

    @ivar command: What he gives the shell.
    @ivar expected: What he sees then; L{None}: nothing is shown.
    """

    command: str
    expected: str | None = None


def stepsOf(page: str) -> Iterator[Step]:
    """
    Give the steps of a page.

    @param page: Its text.
    """
    for found in _BLOCK.finditer(page):
        text = dedent(found["text"]).strip("\n") + "\n"
        if found["file"]:
            yield Step(
                f"cat > {shlex.quote(found['file'])} <<'END-OF-FILE'\n{text}END-OF-FILE"
            )
        elif found["kind"] == "console":
            yield from _session(text)


def _session(text: str) -> Iterator[Step]:
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        lines = part.rstrip("\n").split("\n")
        count = next(
            (n for n, x in enumerate(lines[1:], 1) if x[:2] != "> "), len(lines)
        )
        command = "\n".join([lines[0], *(line[2:] for line in lines[1:count])])
        expected = "\n".join(lines[count:]).strip("\n")
        yield Step(command, expected or None)


def perform(steps: list[Step], directory: Path, environment: Mapping[str, str]) -> str:
    """
    Do some steps, one after the other, in one shell.

    @param directory: Where, an absolute path.
    @param environment: Variables beyond those of this process.

    @return: What was wrong, or nothing.
    """
    script = "".join(f"{step.command}\nprintf '\\n@@%d@@\\n' $?\n" for step in steps)
    (directory / ".steps").write_text(script)
    shell = subprocess.Popen(
        ["bash", "--noprofile", "--norc", ".steps"],
        cwd=directory,
        env={**os.environ, **_tools(directory), **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = shell.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(shell.pid, signal.SIGKILL)
        said, _ = shell.communicate()
        return f"It did not end:\n{said}"
    finally:
        # What a page leaves running is a mistake of the page, and no reason to
        # keep it.
        _end(shell.pid)
    return _compare(steps, said)


def _end(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGTERM)


def _tools(directory: Path) -> dict[str, str]:
    """
    Put the command on the path, also where it is not installed.
    """
    tools = directory / ".bin"
    tools.mkdir(exist_ok=True)
    for name, module in (("relaymail", "relaymail.cli.main"), ("python3", "")):
        called = f"{sys.executable} -m {module}" if module else sys.executable
        (tools / name).write_text(f'#!/bin/sh\nexec {called} "$@"\n')
        (tools / name).chmod(0o755)
    return {
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "NO_COLOR": "1",
        "COLUMNS": "120",
        "HOME": str(directory),
    }


def _compare(steps: list[Step], said: str) -> str:
    parts = re.split(r"\n@@(\d+)@@\n", said)
    told, codes = parts[0::2], parts[1::2]
    wrong: list[str] = []
    for number, step in enumerate(steps):
        shown = f"$ {step.command}"
        if number >= len(codes):
            return "\n".join([*wrong, f"{shown}\nwas not reached:\n{said}"])
        if codes[number] != "0":
            wrong.append(f"{shown}\nended with {codes[number]}:\n{told[number]}")
        elif step.expected is not None and not _isLike(step.expected, told[number]):
            wrong.append(
                f"{shown}\nwas to say\n{step.expected}\nand says\n{told[number]}"
            )
    return "\n\n".join(wrong)


def _isLike(expected: str, told: str) -> bool:
    """
    Tell whether what was said is what was expected; how many spaces there are
    between words is a matter of the width of columns.
    """
    patterns = []
    for line in expected.split("\n"):
        if line.strip() == _ANY:
            patterns.append(r"(?:[^\n]*\n)*?")
            continue
        words = [".*?".join(map(re.escape, word.split(_ANY))) for word in line.split()]
        patterns.append(r"[ \t]*" + r"[ \t]+".join(words) + r"[ \t]*\n")
    return re.fullmatch("".join(patterns) + r"\s*", told.strip("\n") + "\n") is not None
