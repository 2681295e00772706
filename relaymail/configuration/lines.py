# -*- test-case-name: relaymail.test.configuration.test_lines -*-
"""
On which line of a TOML file what stands: the reader of the standard library does
not say.  It is only for people, and only looked for when something is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from relaymail.configuration.values import Within

_PART = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_PATH = rf"{_PART}(?:[ \t]*\.[ \t]*{_PART})*"
_HEADER = re.compile(rf"[ \t]*(\[\[?)[ \t]*({_PATH})[ \t]*\]")
_KEY = re.compile(rf"[ \t]*({_PATH})[ \t]*=")
_EACH = re.compile(_PART)
#: What matters in a value: strings, comments and brackets.
_TOKEN = re.compile(
    r'"""|' r"'''|" r'"(?:[^"\\\n]|\\.)*"|' r"'[^'\n]*'|" r"#[^\n]*|[\[\]{}]"
)
#: The ends of a string of several lines, with what is escaped within.
_ENDS = {
    '"""': re.compile(r'(?:[^"\\]|\\.|"(?!""))*"""', re.DOTALL),
    "'''": re.compile(r"(?:[^']|'(?!''))*'''", re.DOTALL),
}


def findLines(text: str) -> dict[Within, int]:
    """
    Say on which lines tables and keys stand.

    @param text: A file that is TOML.

    @return: The number of the line, the first being 1, of each table and key; the
        tables of a list are numbered from 0.
    """
    found: dict[Within, int] = {}
    counts: dict[Within, int] = {}
    table: Within = ()
    for number, line in _statements(text):
        header = _HEADER.match(line)
        key = None if header else _KEY.match(line)
        if header:
            table = _parts(header[2])
            if header[1] == "[[":
                counts[table] = counts.get(table, -1) + 1
                found.setdefault(table, number)
                table = (*table, counts[table])
            found.setdefault(table, number)
        elif key:
            found.setdefault((*table, *_parts(key[1])), number)
    return found


def lineOf(lines: dict[Within, int], at: Within) -> int | None:
    """
    Give the line of something, or of the nearest thing around it.

    @param lines: As L{findLines} gives them.
    @param at: Its table, key and place within.
    """
    for length in range(len(at), 0, -1):
        if at[:length] in lines:
            return lines[at[:length]]
    return None


def _parts(path: str) -> Within:
    return tuple(map(_plain, _EACH.findall(path)))


def _plain(part: str) -> str:
    if part[0] not in "\"'":
        return part
    import tomllib

    try:
        return next(iter(tomllib.loads(f"{part} = 0")))
    except ValueError:
        return part[1:-1]


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """
    Give the lines on which something begins, with their numbers.
    """
    position, number = 0, 1
    while position < len(text):
        line = text[position : _lineEnd(text, position)]
        yield number, line
        header = _HEADER.match(line)
        key = _KEY.match(line)
        within = header.end() if header else key.end() if key else 0
        end = _statementEnd(text, position + within)
        number += text.count("\n", position, end)
        position = end


def _statementEnd(text: str, position: int) -> int:
    """
    Find where the next line begins that is not part of a value.
    """
    depth = 0
    while True:
        lineEnd = _lineEnd(text, position)
        token = _TOKEN.search(text, position, lineEnd)
        if token is None:
            if depth <= 0 or lineEnd >= len(text):
                return lineEnd + 1
            position = lineEnd + 1
            continue
        position = token.end()
        if token[0] in _ENDS:
            end = _ENDS[token[0]].match(text, position)
            position = end.end() if end else len(text)
        elif token[0] in "[{":
            depth += 1
        elif token[0] in "]}":
            depth -= 1


def _lineEnd(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end < 0 else end
