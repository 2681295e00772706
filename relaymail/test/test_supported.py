# -*- test-case-name: relaymail.test.test_supported -*-
"""
Tests that C{docs/supported-smtp.rst} is true, as far as a test can tell.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from relaymail.dialogue.serving.surroundings import Surroundings
from relaymail.envelopes import Entrance
from relaymail.intake.limits import DEFAULT_LIMITS
from relaymail.test.dialogue.talking import Client

PACKAGE = Path(__file__).resolve().parents[1]
PAGE = PACKAGE.parent / "docs" / "supported-smtp.rst"
#: Where the client reads what hosts offer.
CLIENT = [
    *sorted((PACKAGE / "deliver").glob("*.py")),
    *(PACKAGE / "dialogue" / f"{name}.py" for name in ("asking", "extensions")),
    PACKAGE / "relay.py",
]

# What the client calls what a host offers.
_OFFERS = ("extensions", "keywords.get", "items")
_MODULE = re.compile(r"``((?:[a-z0-9]+\.)*test_[a-z0-9]+)``")


class Everything(Surroundings):
    """
    A client that may do all there is.
    """

    def isTrusted(self) -> bool:
        """
        Trust it.
        """
        return True

    def mechanisms(self) -> tuple[str, ...]:
        """
        Give one.
        """
        return ("PLAIN",)

    def mayActFor(self) -> bool:
        """
        Let it.
        """
        return True


def rowsOf(page: str) -> Iterator[list[str]]:
    """
    Give the rows of the tables of a page, their headers too.
    """
    for row in re.split(r"^   \* - ", page, flags=re.MULTILINE)[1:]:
        yield [cell.strip() for cell in row.split("\n\n")[0].split("\n     - ")]


def offeredByServer() -> set[str]:
    """
    Give all keywords that a server can offer.
    """
    offer = DEFAULT_LIMITS.offer("mx.example", tls=True, isBinarySafe=True)
    found: set[str] = set()
    for tls in (False, True):
        for entrance in Entrance:
            client = Client(offer, Everything(), entrance, tls=tls)
            verb = b"LHLO" if entrance is Entrance.LMTP else b"EHLO"
            lines = client.say(verb + b" c.example").splitlines()
            found |= {line[4:].split()[0] for line in lines[1:]}
    return found


def usedByClient() -> set[str]:
    """
    Give all keywords that the client looks for.
    """
    found: set[str] = set()
    for path in CLIENT:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Compare):
                where, what = ast.unparse(node.comparators[0]), node.left
            elif isinstance(node, ast.Call) and node.args:
                where, what = ast.unparse(node.func), node.args[0]
            else:
                continue
            isLookedUp = where.endswith(_OFFERS)
            value = what.value if isinstance(what, ast.Constant) else None
            if isLookedUp and isinstance(value, bytes):
                found.add(value.decode("ascii"))
    return found


class PageTests(SynchronousTestCase):
    """
    The page, and what is there.
    """

    def setUp(self) -> None:
        """
        Read it.
        """
        if not PAGE.exists():
            raise self.skipTest("the pages are in a checkout only")
        self.text = PAGE.read_text("utf-8")
        keywords, standards = self.text.split("\nStandards\n")
        self.keywords = {row[0].strip("`"): row for row in rowsOf(keywords)}
        del self.keywords["keyword"]
        self.standards = list(rowsOf(standards))[1:]

    def test_tests(self) -> None:
        """
        All tests that are named are there, and each standard has one.
        """
        named = _MODULE.findall(self.text)
        self.assertGreater(len(named), 40)
        for name in named:
            path = PACKAGE.joinpath("test", *name.split(".")).with_suffix(".py")
            self.assertTrue(path.exists(), f"there is no test module {name}")
        for row in self.standards:
            self.assertEqual(len(row), 7, row)
            self.assertTrue(_MODULE.search(row[6]), f"no test is named for {row[0]}")

    def test_offered(self) -> None:
        """
        The keywords that are said to be offered are those that the server can
        offer.
        """
        yes = {name for name, row in self.keywords.items() if row[2] == "yes"}
        self.assertEqual(yes, offeredByServer())

    def test_used(self) -> None:
        """
        Those that are said to be used are those that the client looks for; that
        codes stand before texts it sees without being told.
        """
        yes = {name for name, row in self.keywords.items() if row[4] == "yes"}
        self.assertEqual(yes, usedByClient() | {"ENHANCEDSTATUSCODES"})

    def test_words(self) -> None:
        """
        Each standard is kept to, or not, or in part, and then it is said in which.
        """
        for row in self.standards:
            for word in row[2:4]:
                self.assertIn(word, ("yes", "partial", "no", "n/a"), row)
            if "partial" in row[2:4]:
                self.assertGreater(len(row[5]), 20, f"what is partial of {row[0]}?")

    def test_complete(self) -> None:
        """
        What a relay of today is asked for is there.
        """
        named = {row[0] for row in self.standards}
        numbers = (
            5321, 2920, 1870, 2034, 3207, 3848, 6152, 6531, 6533, 3461, 3464, 3030,
            9422, 8689, 4865, 2852, 6710, 4954, 4616, 2195, 5802, 7677, 9266, 5929,
            7628, 6749, 6409, 8314, 2033, 7505, 7672, 8461, 8460, 8305, 6840,
        )  # fmt: skip
        wanted = {f"RFC {number}" for number in numbers} | {"XCLIENT", "PROXY"}
        self.assertEqual(wanted - named, set())
