# -*- test-case-name: relaymail.test.configuration.test_lines -*-
"""
Tests for L{relaymail.configuration.lines}.
"""

from __future__ import annotations

import tomllib

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.configuration.lines import findLines, lineOf
from relaymail.configuration.showing import toToml

FILE = '''\
# A comment with = and [brackets]
queue = "spool"  # the "queue"

[intake]
smtp = [
  "tcp:25",  # [not a table]
  "tcp:26",
]
"max-message-size" = """
not-a-key = 1
[not a table]
\\""" still"""
networks = \'\'\'
a = b\'\'\'

[[delivery.smart-hosts]]
url = "a"
[[ delivery . "smart-hosts" ]]
url = "b"
tls = { not = "a", "key" = "]" }

[machines.aliases]
"a b" = "c"
x.y = 1
'''


class LinesTests(SynchronousTestCase):
    """
    Tests for L{findLines} and L{lineOf}.
    """

    def test_lines(self) -> None:
        """
        Tables and keys are found; what only looks like one is not.
        """
        self.assertEqual(
            findLines(FILE),
            {
                ("queue",): 2,
                ("intake",): 4,
                ("intake", "smtp"): 5,
                ("intake", "max-message-size"): 9,
                ("intake", "networks"): 13,
                ("delivery", "smart-hosts"): 16,
                ("delivery", "smart-hosts", 0): 16,
                ("delivery", "smart-hosts", 0, "url"): 17,
                ("delivery", "smart-hosts", 1): 18,
                ("delivery", "smart-hosts", 1, "url"): 19,
                ("delivery", "smart-hosts", 1, "tls"): 20,
                ("machines", "aliases"): 22,
                ("machines", "aliases", "a b"): 23,
                ("machines", "aliases", "x", "y"): 24,
            },
        )

    def test_near(self) -> None:
        """
        What has no line of its own has that of what is around it.
        """
        lines = findLines(FILE)
        self.assertEqual(lineOf(lines, ("intake", "smtp", 1)), 5)
        self.assertEqual(lineOf(lines, ("intake", "nothing")), 4)
        self.assertIsNone(lineOf(lines, ("control", "socket")))

    @given(st.text(max_size=60))
    @settings(max_examples=50, deadline=None)
    def test_anything(self, text: str) -> None:
        """
        Whatever the text is, it has an end, and lines that it has.
        """
        last = text.count("\n") + 1
        self.assertTrue(all(1 <= line <= last for line in findLines(text).values()))

    @given(
        st.dictionaries(
            st.text("ab-.\"'[]=# ", min_size=1, max_size=5),
            st.recursive(
                st.text("ab\"'[]{}=#\n\\ ", max_size=8),
                lambda inner: st.lists(inner, max_size=3),
                max_leaves=4,
            ),
            max_size=4,
        )
    )
    @settings(max_examples=50, deadline=None)
    def test_values(self, table: dict[str, object]) -> None:
        """
        Values do not confuse it, whatever is in them: each key has a line.
        """
        lines = [f"{toToml(key)} = {toToml(value)}" for key, value in table.items()]
        text = "\n".join(lines)
        self.assertEqual(tomllib.loads(text), table)
        self.assertEqual(
            sorted(findLines(text).values()), list(range(1, len(lines) + 1))
        )
