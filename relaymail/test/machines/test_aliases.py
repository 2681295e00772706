# -*- test-case-name: relaymail.test.machines.test_aliases -*-
"""
Tests for L{relaymail.machines.aliases}.
"""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.addresses import checkAddress
from relaymail.errors import ConfigurationError, MalformedAddress
from relaymail.machines.aliases import (
    MAX_ALIASES,
    MAX_CHAIN,
    MAX_TARGETS,
    Aliases,
    Targets,
)

_LOCAL = frozenset({"here.example", "localhost"})


def qualify(address: str) -> str:
    """
    Give an address its domain.
    """
    return checkAddress(address if "@" in address else f"{address}@here.example")


def refuse(address: str) -> str:
    """
    Give none.
    """
    if "@" not in address:
        raise MalformedAddress("there is no origin")
    return checkAddress(address)


def aliases(table: Mapping[str, Targets]) -> Aliases:
    """
    Make a table.
    """
    return Aliases(table, _LOCAL, qualify)


class AliasesTests(SynchronousTestCase):
    """
    Names become addresses.
    """

    def test_expand(self) -> None:
        """
        Local names become what they stand for, in any case, at any of the
        local domains, quoted or not; others stay.
        """
        found = aliases({"Root": "ops@example.org"})
        for local in ("root", "ROOT", '"root"'):
            for domain in _LOCAL:
                self.assertEqual(
                    found.expand(f"{local}@{domain}"), ("ops@example.org",)
                )
        for address in ("root@example.org", "toor@here.example", ""):
            self.assertEqual(found.expand(address), (address,))
        self.assertTrue(found)
        self.assertFalse(aliases({}))

    def test_chains(self) -> None:
        """
        Names that lead to names are followed; each address comes once.
        """
        found = aliases(
            {
                "postmaster": "root",
                "root": ["ann@Example.org", "BOB", "bob@here.example"],
                "bob": ("bob@example.org", "ann@example.org"),
            }
        )
        self.assertEqual(
            found.expand("postmaster@localhost"),
            ("ann@example.org", "bob@example.org"),
        )

    def test_itself(self) -> None:
        """
        A name that stands for itself, and others, is that address.
        """
        found = aliases({"root": ["root", "ann@example.org"]})
        self.assertEqual(
            found.expand("root@localhost"), ("root@here.example", "ann@example.org")
        )

    def test_loops(self) -> None:
        """
        A loop is a mistake, told with the names in it.
        """
        table = {"a": "b", "b": "c@here.example", "c": ["x@y", "A"]}
        error = self.assertRaises(ConfigurationError, aliases, table)
        self.assertIn("a -> b -> c -> a", str(error))
        self.assertIn("loop", str(error))

    def test_bounds(self) -> None:
        """
        A name becomes so many addresses, through so many names, and there are
        so many of them.
        """
        many = {"a": [f"a{n}@b" for n in range(MAX_TARGETS + 1)]}
        chain = {f"a{n}": f"a{n + 1}" for n in range(MAX_CHAIN)}
        aliases({**chain, f"a{MAX_CHAIN - 1}": "x@y"})
        longer = {**chain, f"a{MAX_CHAIN}": "x@y"}
        all = {f"a{n}": "x@y" for n in range(MAX_ALIASES + 1)}
        for table, words in ((many, "more than"), (longer, "lead on"), (all, "most")):
            error = self.assertRaises(ConfigurationError, aliases, table)
            self.assertIn(words, str(error))

    def test_wrong(self) -> None:
        """
        What is no name, or no address, is told.
        """
        for table, words in (
            ({"root@example.org": "a@b"}, "is an address elsewhere"),
            ({"a b": "a@b"}, "is not a local name"),
            ({"": "a@b"}, "is not a local name"),
            ({"a": "x y@b"}, "neither an address nor another alias"),
            ({"a": "x@b\r\nc"}, "neither an address nor another alias"),
            ({"a": []}, "gives no address"),
        ):
            error = self.assertRaises(ConfigurationError, aliases, table)
            self.assertIn(words, str(error))
            self.assertTrue(str(error).isprintable())
        error = self.assertRaises(
            ConfigurationError, Aliases, {"a": "b"}, _LOCAL, refuse
        )
        self.assertIn("there is no origin", str(error))
        self.assertEqual(aliases({"a@localhost": "x@y"}).expand("b@c"), ("b@c",))

    @given(
        st.dictionaries(
            st.sampled_from("abcd"),
            st.lists(st.sampled_from(["a", "b", "c", "d", "x@y"]), min_size=1),
        )
    )
    @settings(deadline=None, max_examples=200)
    def test_onceIsEnough(self, table: dict[str, list[str]]) -> None:
        """
        Every table is a mistake, or gives for each name addresses that stand
        for themselves, each once.
        """
        try:
            found = aliases(table)
        except ConfigurationError as e:
            self.assertIn("loop", str(e))
            return
        for name in "abcd":
            addresses = found.expand(f"{name}@here.example")
            self.assertEqual(len(set(addresses)), len(addresses))
            again = {other for each in addresses for other in found.expand(each)}
            self.assertEqual(again, set(addresses))
