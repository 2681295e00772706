"""
Tests for L{relaymail.route.aliases}.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.names.dns import Name, Record_CNAME, Record_MX
from twisted.trial.unittest import SynchronousTestCase

from relaymail.route.aliases import (
    MAX_ALIASES,
    CanonicalNameChainTooLong,
    CanonicalNameLoop,
    canonicalName,
    foldName,
    nameText,
    recordsByName,
    walk,
)


class NameTests(SynchronousTestCase):
    """
    Names, as they come.
    """

    def test_forms(self) -> None:
        """
        Bytes, text and C{twisted.names}' own names are the same name.
        """
        for name in ("MX.Example.org.", b"MX.Example.org", Name("MX.Example.org")):
            self.assertEqual(nameText(name), "MX.Example.org")
            self.assertEqual(foldName(name), "mx.example.org")

    def test_A07_bytesThatAreNoText(self) -> None:
        """
        Bytes that are not ASCII are shown, and raise nothing.
        """
        self.assertEqual(nameText(Name(b"a\xff.example")), "a\\xff.example")

    def test_recordsByName(self) -> None:
        """
        Owners that differ by case or a trailing dot are one.
        """
        found = recordsByName([("A.example", 1), (b"a.EXAMPLE.", 2), ("b.example", 3)])
        self.assertEqual(found, {"a.example": [1, 2], "b.example": [3]})


class WalkTests(SynchronousTestCase):
    """
    L{walk} follows the aliases in one answer.
    """

    def test_alias(self) -> None:
        """
        An alias whose target is in the answer is followed.
        """
        mx = Record_MX(0, "mx.example")
        answers: dict[str, list[Any]] = {
            "a.example": [Record_CNAME("B.example.")],
            "b.example": [mx],
        }
        self.assertEqual(walk(answers, "A.Example"), [mx])

    def test_aliasBesideMX(self) -> None:
        """
        Where a name is an alias, an MX record of its own does not count.
        """
        alias = Record_CNAME("b.example")
        answers: dict[str, list[Any]] = {
            "a.example": [Record_MX(0, "mx.example"), alias]
        }
        self.assertEqual(walk(answers, "a.example"), [alias])

    def test_A07_aliasOfItself(self) -> None:
        """
        A name that is an alias of itself is a loop, with the record.
        """
        alias = Record_CNAME("a.example")
        error = self.assertRaises(
            CanonicalNameLoop, walk, {"a.example": [alias]}, "a.example"
        )
        self.assertEqual(error.args, (alias,))

    def test_A07_longChain(self) -> None:
        """
        A chain inside one answer is given up after L{MAX_ALIASES}.
        """
        answers = {f"n{i}": [Record_CNAME(f"n{i + 1}")] for i in range(2000)}
        self.assertRaises(CanonicalNameChainTooLong, walk, answers, "n0")
        short = {f"n{i}": answers[f"n{i}"] for i in range(MAX_ALIASES)}
        self.assertEqual(walk(short, "n0"), short[f"n{MAX_ALIASES - 1}"])

    @settings(deadline=None, max_examples=50)
    @given(st.dictionaries(st.integers(0, 30), st.integers(0, 30)))
    def test_A07_anyAliases(self, links: dict[int, int]) -> None:
        """
        Whatever the aliases are, the walk ends: in nothing, in the one that
        leads out, or in one of the two errors.
        """
        answers: dict[str, Any] = {
            f"n{a}": [Record_CNAME(f"n{b}")] for a, b in links.items()
        }
        try:
            found = walk(answers, "n0")
        except (CanonicalNameLoop, CanonicalNameChainTooLong):
            return
        self.assertTrue(not found or nameText(found[0].name) not in answers)


class CanonicalNameTests(SynchronousTestCase):
    """
    Tests for L{canonicalName}.
    """

    def test_last(self) -> None:
        """
        The last name that the aliases of an answer lead to, as it stands there.
        """
        answers: dict[str, Any] = {
            "a.example": [Record_CNAME("B.example")],
            "b.example": [Record_CNAME("c.Example")],
            "d.example": [Record_MX(0, "h.example")],
        }
        for domain, expected in (
            ("A.example.", "c.Example"),
            ("b.example", "c.Example"),
            ("c.example", ""),
            ("d.example", ""),
        ):
            self.assertEqual(canonicalName(answers, domain), expected, domain)

    def test_A07_bounded(self) -> None:
        """
        It ends, also where the aliases do not.
        """
        loop: dict[str, Any] = {"a.example": [Record_CNAME("a.example")]}
        self.assertEqual(canonicalName(loop, "a.example"), "a.example")
        chain: dict[str, Any] = {
            f"n{i}": [Record_CNAME(f"n{i + 1}")] for i in range(2000)
        }
        self.assertEqual(canonicalName(chain, "n0"), f"n{MAX_ALIASES}")
