# -*- test-case-name: relaymail.test.configuration.test_describing -*-
"""
Tests for L{relaymail.configuration.describing}, and of the page that is made by it.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from textwrap import dedent

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from relaymail.configuration.describing import (
    BEGIN,
    END,
    asRst,
    asText,
    describe,
    describeAll,
    toJson,
)
from relaymail.configuration.structuring import Layer, structure
from relaymail.configuration.tables import BY_PATH, OPTIONS, Configuration
from relaymail.errors import ConfigurationError
from relaymail.route.smarthosts import SmartHost

#: The page.
PAGE = Path(__file__).resolve().parents[3] / "docs" / "configuration.rst"
#: The most lines that an authenticated smart host takes in a file.
LINES = 5


def read(text: str) -> Configuration:
    """
    Read a file.
    """
    return structure([Layer(tomllib.loads(text), lambda at: f"{at}: ", "/etc")])


#: What some examples are nothing without.
NEEDED = {
    "control.endpoint": 'token-env = "T"',
    "intake.submissions": f"tls-key = '{__file__}'\ntls-cert = '{__file__}'",
}


class DescribeTests(SynchronousTestCase):
    """
    Tests for what is told of options.
    """

    def test_option(self) -> None:
        """
        Everything that is said of an option is told.
        """
        told = describe(BY_PATH["delivery.expire"])
        self.assertEqual(
            asText(told),
            "delivery.expire\n"
            "  How long mail is tried before it bounces.\n"
            "  type:     a duration above 0\n"
            "  write:    a whole number and s, m, h, d or w, such as 30s, 5m or 2d\n"
            '  default:  "5d"\n'
            "  unit:     seconds, where no unit is written\n"
            '  example:  expire = "3d"\n'
            "  flag:     --expire DURATION",
        )
        self.assertEqual(toJson(told)["default"], '"5d"')

    def test_all(self) -> None:
        """
        Every option is told of, and its example can be written.
        """
        self.assertEqual([told.path for told in describeAll()], list(BY_PATH))
        for told in describeAll():
            line = f"{told.key} = {told.example}\n" if told.example else ""
            more = NEEDED.get(told.path, "")
            head = f"[{told.table}]\n" if told.table else ""
            found = read(f"{head}{line}{more}")
            one = BY_PATH[told.path]
            self.assertTrue(not line or one.valueIn(found) != one.default, told.path)

    def test_defaults(self) -> None:
        """
        A default that is told as a value is the one that holds.
        """
        for one in OPTIONS:
            if not one.said.standard:
                text = f"x = {describe(one).default}"
                value = one.kind.take(tomllib.loads(text)["x"])
                self.assertEqual(value, one.default, one.path)


class PageTests(SynchronousTestCase):
    """
    Tests for the page.
    """

    def setUp(self) -> None:
        if not PAGE.exists():
            raise SkipTest("the pages are not installed")
        self.text = PAGE.read_text("utf-8")

    def test_generated(self) -> None:
        """
        The options on the page are those of the program.  If they are not, put what
        C{python -m relaymail.configuration.describing} prints in their place.
        """
        part = self.text[self.text.index(BEGIN) : self.text.index(END)]
        self.assertEqual(part, asRst()[: asRst().index(END)])

    def test_examples(self) -> None:
        """
        Each example of a file can be read.
        """
        found = self.examples()
        self.assertGreaterEqual(len(found), 3)
        for text in found:
            read(text.replace("tls-key", "#").replace("tls-cert", "#"))

    def test_smartHost(self) -> None:
        """
        A smart host with a password takes at most five lines.
        """
        (text,) = [text for text in self.examples() if "password-file" in text][:1]
        self.assertLessEqual(len(text.strip().splitlines()), LINES)
        (smart,) = read(text).delivery.smartHosts
        assert isinstance(smart, SmartHost)
        self.assertIsNotNone(smart.user)
        self.assertIsNotNone(smart.password)

    def examples(self) -> list[str]:
        """
        Give the files that the page shows.
        """
        blocks = re.findall(
            r"^\.\. code-block:: toml\n\n((?:   .*\n|\n)+)", self.text, re.MULTILINE
        )
        return [dedent(block) for block in blocks]


class ExamplesTests(SynchronousTestCase):
    """
    Tests for what the page shows.
    """

    def test_examples(self) -> None:
        """
        Each configuration that is shown can be read, but for files that are named.
        """
        if not PAGE.exists():
            raise SkipTest("the pages are not installed")
        shown = re.findall(
            r"^\.\. code-block:: toml\n\n((?:   .*\n|\n)+)",
            PAGE.read_text(),
            re.MULTILINE,
        )
        self.assertGreater(len(shown), 15)
        for text in map(dedent, shown):
            try:
                read(text)
            except ConfigurationError as e:
                self.fail(f"{text}\n{e}")
