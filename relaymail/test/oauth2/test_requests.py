"""
Tests for L{relaymail.oauth2.requests}.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.oauth2.requests import (
    MAX_ANSWER,
    MAX_LIFETIME,
    MAX_TOKEN,
    USUAL_LIFETIME,
    Granted,
    Refusal,
    Secrets,
    Unreadable,
    formOf,
    readAnswer,
)
from relaymail.test.oauth2.samples import CONSENTED, SECRETS, SERVICE

#: What answers may have.
FIELDS = ["access_token", "token_type", "expires_in", "refresh_token", "scope"]
FIELDS += ["error", "error_description", "suberror"]


def answer(**fields: Any) -> bytes:
    """
    Give an answer with a token, with some fields set.
    """
    said = {"access_token": "T", "token_type": "Bearer", "expires_in": 3600, **fields}
    return json.dumps({k: v for k, v in said.items() if v is not ...}).encode()


class FormTests(SynchronousTestCase):
    """
    What a token server is asked.
    """

    def test_clientCredentials(self) -> None:
        """
        A service says who it is (RFC 6749 4.4.2).
        """
        form = dict(parse_qsl(formOf(SERVICE, Secrets(b"a&b=c +\xff")).decode()))
        self.assertEqual(form.pop("client_secret"), "a&b=c +\ufffd")
        self.assertEqual(
            form,
            {
                "client_id": "client-1",
                "grant_type": "client_credentials",
                "scope": SERVICE.scope,
            },
        )

    def test_refreshToken(self) -> None:
        """
        For a user the refresh token is given (RFC 6749 6); what there is not is left
        out.
        """
        form = dict(parse_qsl(formOf(CONSENTED, SECRETS).decode()))
        self.assertEqual(form["grant_type"], "refresh_token")
        self.assertEqual(form["refresh_token"], "refresh-0")
        self.assertEqual(form["client_secret"], "client-secret")
        bare = formOf(replace(CONSENTED, scope=""), Secrets(None, b"r"))
        self.assertEqual(
            dict(parse_qsl(bare.decode())),
            {
                "client_id": "client-1",
                "grant_type": "refresh_token",
                "refresh_token": "r",
            },
        )

    def test_A09_noSecretIsShown(self) -> None:
        """
        What holds secrets does not show them.
        """
        granted = Granted(b"token-1", 1.0, b"refresh-1")
        shown = repr((SECRETS, granted))
        for secret in ("client-secret", "refresh-0", "token-1", "refresh-1"):
            self.assertNotIn(secret, shown)


class AnswerTests(SynchronousTestCase):
    """
    What comes back.
    """

    def assertUnreadable(self, body: bytes, status: int = 200) -> None:
        """
        Check that an answer is taken for nothing.
        """
        self.assertRaises(Unreadable, readAnswer, status, body)

    def test_granted(self) -> None:
        """
        A token, its time, and what comes with it (RFC 6749 5.1).
        """
        self.assertEqual(readAnswer(200, answer()), Granted(b"T", 3600.0))
        self.assertEqual(
            readAnswer(200, answer(refresh_token="R", scope="s", more=[1])),
            Granted(b"T", 3600.0, b"R", "s"),
        )
        self.assertEqual(
            readAnswer(200, answer(token_type="bearer", refresh_token=None, scope=7)),
            Granted(b"T", 3600.0),
        )

    def test_lifetime(self) -> None:
        """
        The time of a token is a number, also as text, and is bounded; where it is
        missing it is short.
        """
        usual: tuple[tuple[Any, float], ...] = (
            (..., USUAL_LIFETIME),
            (None, USUAL_LIFETIME),
            ("3599", 3599.0),
            (0.5, 0.5),
            (10**30, MAX_LIFETIME),
            ("9" * 5000, MAX_LIFETIME),
        )
        for said, found in usual:
            granted = readAnswer(200, answer(expires_in=said))
            assert isinstance(granted, Granted)
            self.assertEqual(granted.lifetime, found)
        for said in (0, -1, "-1", "", "an hour", True, [1], {}, "1e3", "²"):
            self.assertUnreadable(answer(expires_in=said))
        for word in (b"NaN", b"Infinity", b"-Infinity", b"1e999"):
            self.assertUnreadable(answer(expires_in=7).replace(b"7", word))

    def test_token(self) -> None:
        """
        A token is one word that fits into an AUTH line.
        """
        for said in (..., None, 7, "", "a b", "a\x01b", "a\n", "ä", "t" * 8193, ["T"]):
            self.assertUnreadable(answer(access_token=said))
        self.assertUnreadable(answer(refresh_token="a b"))
        self.assertUnreadable(answer(token_type="mac"))
        self.assertUnreadable(answer(token_type=["Bearer"]))
        longest = "t" * MAX_TOKEN
        granted = readAnswer(200, answer(access_token=longest))
        assert isinstance(granted, Granted)
        self.assertEqual(len(granted.token), MAX_TOKEN)

    def test_hostile(self) -> None:
        """
        What is no answer is none, and costs little.
        """
        self.assertUnreadable(b"<html>", 502)
        self.assertUnreadable(b"", 500)
        self.assertUnreadable(b"[" * 60000)
        self.assertUnreadable(b'{"a":' * 12000)
        self.assertUnreadable(b"[]")
        self.assertUnreadable(b'"x"')
        self.assertUnreadable(b"\xff\xfe{}")
        self.assertUnreadable(b" " * (MAX_ANSWER + 1))

    def test_refusals(self) -> None:
        """
        The bodies of RFC 6749 5.2, of Microsoft, and of Google's two kinds.
        """
        for body, refusal in (
            ({"error": "invalid_grant"}, Refusal("invalid_grant")),
            (
                {"error": "invalid_grant", "error_description": "Token has expired."},
                Refusal("invalid_grant", "Token has expired."),
            ),
            (
                {
                    "error": "invalid_grant",
                    "error_description": "AADSTS65001: No consent.",
                    "error_codes": [65001],
                    "suberror": "consent_required",
                },
                Refusal("invalid_grant", "AADSTS65001: No consent. (consent_required)"),
            ),
            (
                {"error": {"code": 403, "message": "No.", "status": "DENIED"}},
                Refusal("DENIED", "No."),
            ),
            ({"error": 7, "error_description": ["x"]}, Refusal()),
            ({}, Refusal()),
        ):
            self.assertEqual(readAnswer(400, json.dumps(body).encode()), refusal)

    def test_refusedWell(self) -> None:
        """
        A refusal is one whatever its status is; a token that comes with a status
        of failure is none.
        """
        body = answer(error="invalid_grant")
        self.assertEqual(readAnswer(200, body), Refusal("invalid_grant"))
        self.assertEqual(readAnswer(500, answer()), Refusal())

    @settings(deadline=None, max_examples=50)
    @given(st.integers(100, 599), st.binary(max_size=200))
    def test_anyBytes(self, status: int, body: bytes) -> None:
        """
        No bytes do more than not be an answer.
        """
        try:
            found = readAnswer(status, body)
        except Unreadable:
            return
        self.assertIsInstance(found, Granted | Refusal)

    @settings(deadline=None, max_examples=50)
    @given(
        st.dictionaries(
            st.sampled_from(FIELDS),
            st.recursive(
                st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
                lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
                max_leaves=5,
            ),
        )
    )
    def test_anyDocument(self, said: dict[str, Any]) -> None:
        """
        No document does, either; a lifetime is always one.
        """
        try:
            found = readAnswer(200, json.dumps(said).encode())
        except Unreadable:
            return
        if isinstance(found, Granted):
            self.assertTrue(0 < found.lifetime <= MAX_LIFETIME)
            self.assertTrue(found.token)
