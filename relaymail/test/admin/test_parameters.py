# -*- test-case-name: relaymail.test.admin.test_parameters -*-
"""
Tests for L{relaymail.admin.parameters}: what can be said in a request.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.admin.guarding import Refusal
from relaymail.admin.parameters import (
    FLAG,
    MAX_PAGE,
    MAX_VALUES,
    OCTETS,
    PAGE,
    SECONDS,
    STATE,
    TEXT,
    Kind,
    Parameter,
    Place,
    bodyValues,
    filters,
    queryValues,
    readAll,
    selectionOf,
)
from relaymail.inspection import NameState, Selection


class KindTests(SynchronousTestCase):
    """
    The kinds of values.
    """

    def assertReads(self, kind: Kind, value: Any, expected: Any) -> None:
        """
        Assert that a value is read.
        """
        read = Parameter("p", kind, "").read([value])
        self.assertEqual((type(read), read), (type(expected), expected))

    def assertRefuses(self, kind: Kind, *values: Any) -> None:
        """
        Assert that values are refused, with what was expected, printably.
        """
        for value in values:
            with self.assertRaises(Refusal, msg=repr(value)) as caught:
                Parameter("p", kind, "").read([value])
            self.assertEqual(caught.exception.status, 400)
            self.assertIn(f"p is {kind.expected}, not ", caught.exception.error)
            self.assertTrue(caught.exception.error.isprintable())
            self.assertLess(len(caught.exception.error), 400)

    def test_text(self) -> None:
        """
        Text is bounded, has no NUL, and nothing that UTF-8 has not.
        """
        self.assertReads(TEXT, "", "")
        self.assertReads(TEXT, "x" * 1000, "x" * 1000)
        self.assertRefuses(TEXT, "x" * 1001, "a\0b", "\ud800", 7, None, {}, [])

    def test_seconds(self) -> None:
        """
        Seconds are numbers, in words or not.
        """
        self.assertReads(SECONDS, "90", 90.0)
        self.assertReads(SECONDS, 1.5, 1.5)
        self.assertRefuses(
            SECONDS, "-1", "nan", "inf", "1e400", "5m", "", True, {}, "9" * 100, 10**400
        )

    def test_octets(self) -> None:
        """
        Octets are whole numbers.
        """
        self.assertReads(OCTETS, "0", 0)
        self.assertReads(OCTETS, 1 << 40, 1 << 40)
        self.assertRefuses(OCTETS, "1.5", -1, "10M", 1 << 60)

    def test_page(self) -> None:
        """
        A page has at least one, and not too many.
        """
        self.assertReads(PAGE, str(MAX_PAGE), MAX_PAGE)
        self.assertRefuses(PAGE, 0, MAX_PAGE + 1, "many")

    def test_flag(self) -> None:
        """
        A flag is true or false.
        """
        for value in (True, "true", "1", "yes"):
            self.assertReads(FLAG, value, True)
        for value in (False, "false", "0", "no"):
            self.assertReads(FLAG, value, False)
        self.assertRefuses(FLAG, "maybe", 1, 0, [], None)

    def test_state(self) -> None:
        """
        A state is one of those that there are.
        """
        self.assertReads(STATE, "held", NameState.HELD)
        self.assertRefuses(STATE, "HELD", "gone", 1, ["held"])


class ReadTests(SynchronousTestCase):
    """
    What a request says.
    """

    def refused(self, place: Place, values: dict[str, list[Any]]) -> str:
        """
        Read what is refused.
        """
        with self.assertRaises(Refusal) as caught:
            readAll(_PARAMETERS, place, values)
        self.assertTrue(caught.exception.error.isprintable())
        error: str = caught.exception.error
        return error

    def test_query(self) -> None:
        """
        A query is percent-encoded UTF-8, and may say a thing several times.
        """
        self.assertEqual(
            queryValues(b"a=1&b=%C3%BC+x&a=2&empty="),
            {"a": ["1", "2"], "b": ["ü x"], "empty": [""]},
        )
        for query in (b"a=%FF", b"a=\xff", b"&".join([b"a=1"] * (MAX_VALUES + 1))):
            with self.assertRaises(Refusal):
                queryValues(query)

    def test_body(self) -> None:
        """
        A body is a JSON object; what is null was not said.
        """
        self.assertEqual(bodyValues(b""), {})
        self.assertEqual(
            bodyValues(b'{"id": ["1", "2"], "all": true, "why": null}'),
            {"id": ["1", "2"], "all": [True]},
        )
        for body in (b"[]", b"1", b"{", b"\xff", b"[" * 50_000, b'{"a": NaN'):
            with self.assertRaises(Refusal):
                bodyValues(body)

    def test_unknown(self) -> None:
        """
        What is not known is refused, with what is.
        """
        self.assertEqual(
            self.refused(Place.QUERY, {"sendr\n": ["x"]}),
            "There is no parameter 'sendr' in the query; there are: one, several.",
        )

    def test_missing(self) -> None:
        """
        What is required must be said.
        """
        self.assertEqual(self.refused(Place.BODY, {}), "must is missing.")
        self.assertEqual(self.refused(Place.BODY, {"must": []}), "must is missing.")

    def test_repeated(self) -> None:
        """
        Only what may be said several times is.
        """
        self.assertEqual(
            readAll(_PARAMETERS, Place.QUERY, {"several": ["a", "b"]}),
            {"several": ("a", "b")},
        )
        self.assertEqual(
            self.refused(Place.QUERY, {"one": ["a", "b"]}), "one is given 2 times."
        )
        many = ["x"] * (MAX_VALUES + 1)
        self.assertIn("is given", self.refused(Place.QUERY, {"several": many}))

    def test_emptyList(self) -> None:
        """
        A list with nothing in it says nothing, which is not the same as if nothing
        was said: not any mail is meant, nor that it is to be done.
        """
        known = (*filters(Place.BODY), Parameter("dryRun", FLAG, "", Place.BODY))
        for name in ("id", "dryRun"):
            said = bodyValues(b'{"domain": "x", "%s": []}' % name.encode("ascii"))
            with self.assertRaises(Refusal) as caught:
                readAll(known, Place.BODY, said)
            self.assertEqual(caught.exception.error, f"{name} is given 0 times.")

    def test_selection(self) -> None:
        """
        The filters say which names are meant.
        """
        said: dict[str, list[Any]] = {
            "id": ["1", "2"],
            "sender": ["<>"],
            "recipient": ["*@example.org"],
            "domain": ["example.org"],
            "older": ["60"],
            "younger": ["3600"],
            "larger": ["10"],
            "smaller": ["1000"],
            "state": ["held"],
            "reply": ["greylist"],
        }
        expected = Selection(
            names=("1", "2"),
            sender="<>",
            recipient="*@example.org",
            domain="example.org",
            olderThan=60.0,
            youngerThan=3600.0,
            largerThan=10,
            smallerThan=1000,
            state=NameState.HELD,
            reply="greylist",
        )
        for place in (Place.QUERY, Place.BODY):
            read = readAll(filters(place), place, said)
            self.assertEqual(selectionOf(read), expected)
        self.assertTrue(selectionOf({}).isEmpty)

    @given(
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        )
    )
    @settings(deadline=None, max_examples=50)
    def test_A03_anything(self, said: Any) -> None:
        """
        Whatever is said, it is read, or refused in printable words.
        """
        try:
            for name in ("id", "older", "larger", "state"):
                body = json.dumps({name: said}).encode()
                readAll(filters(Place.BODY), Place.BODY, bodyValues(body))
        except Refusal as e:
            self.assertEqual(e.status, 400)
            self.assertTrue(e.error.isprintable())


_PARAMETERS = (
    Parameter("one", TEXT, ""),
    Parameter("several", TEXT, "", isRepeated=True),
    Parameter("must", TEXT, "", Place.BODY, isRequired=True),
)
