"""
Tests for L{relaymail.oauth2.refusals}.
"""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from relaymail.oauth2.refusals import (
    MAX_WAIT,
    Denial,
    denialOf,
    troubleWith,
    waitIn,
)
from relaymail.oauth2.requests import Refusal, Secrets
from relaymail.test.oauth2.samples import CONSENTED, SECRETS, SERVICE, USER

#: 2026-01-01 00:00:00.
NOW = 1767225600.0


def denied(error: str, told: str = "", status: int = 400, oauth2=CONSENTED) -> Denial:  # type: ignore[no-untyped-def]
    """
    Say what a refusal means.
    """
    return denialOf(USER, oauth2, SECRETS, status, Refusal(error, told))


class DenialTests(SynchronousTestCase):
    """
    What a refusal means, and what to do.
    """

    def test_consent(self) -> None:
        """
        Consent that has ended says who is to do what, and where.
        """
        denial = denied("invalid_grant", "Token has been expired or revoked.")
        self.assertTrue(denial.isLasting)
        self.assertEqual(
            denial.text,
            "login.example gave no token for relay@example.com (HTTP 400: "
            "invalid_grant Token has been expired or revoked.); the consent for "
            "relay@example.com at login.example has expired or was revoked: sign in "
            "again and put the new refresh token into the file "
            "/etc/relaymail/refresh, then `relaymail reload`",
        )

    def test_lasting(self) -> None:
        """
        What somebody has to mend lasts, and each says something else.
        """
        for error, words in (
            ("invalid_client", "make a new secret"),
            ("unauthorized_client", "administrator"),
            ("consent_required", "sign in again"),
            ("interaction_required", "sign in again"),
            ("invalid_scope", "scope in the table"),
            ("deleted_client", "registered"),
            ("INVALID_GRANT", "sign in again"),
        ):
            denial = denied(error)
            self.assertTrue(denial.isLasting, error)
            self.assertIn(words, denial.text)

    def test_microsoft(self) -> None:
        """
        Microsoft's numbers say more than its words, in both directions.
        """
        for word, number, isLasting, words in (
            ("invalid_grant", 700082, True, "sign in again"),
            ("invalid_client", 7000222, True, "/etc/relaymail/secret"),
            ("unauthorized_client", 700016, True, "registered"),
            ("invalid_request", 90002, True, "tenant"),
            ("invalid_grant", 50057, True, "may not sign in"),
            ("invalid_grant", 90033, False, "asked again"),
            ("invalid_request", 90055, False, "asked again"),
            ("invalid_grant", 99999, True, "sign in again"),
        ):
            denial = denied(word, f"AADSTS{number}: So it is. Trace ID: 1")
            self.assertEqual(denial.isLasting, isLasting, number)
            self.assertIn(words, denial.text)

    def test_passing(self) -> None:
        """
        What passes, and what is not known, is asked again.
        """
        for error, status in (
            ("temporarily_unavailable", 400),
            ("server_error", 400),
            ("", 404),
            ("slow_down", 429),
            ("invalid_grant", 429),
            ("invalid_client", 503),
        ):
            denial = denied(error, status=status)
            self.assertFalse(denial.isLasting, error)
            self.assertIn("asked again", denial.text)
        self.assertIn("it gave no reason", denied("").text)

    def test_sign(self) -> None:
        """
        A trouble is the same whatever number the server gives each answer.
        """
        one = denied("invalid_grant", "AADSTS700082: Ended. Trace ID: 1")
        two = denied("invalid_grant", "AADSTS700082: Ended. Trace ID: 2")
        other = denied("invalid_grant", "AADSTS50057: Disabled. Trace ID: 2")
        self.assertNotEqual(one.text, two.text)
        self.assertEqual(one.sign, two.sign)
        self.assertNotEqual(two.sign, other.sign)

    def test_noConsent(self) -> None:
        """
        For a service there is nobody who could sign in.
        """
        denial = denied("invalid_grant", oauth2=SERVICE)
        self.assertTrue(denial.isLasting)
        self.assertIn("see there that it is registered", denial.text)

    def test_A09_secretSaidBack(self) -> None:
        """
        A secret that the server says back is not told on.
        """
        told = "bad secret client-secret of refresh-0"
        text = denied("invalid_client", told).text
        self.assertNotIn("client-secret ", text)
        self.assertNotIn("refresh-0", text)
        self.assertIn("bad secret (secret) of (secret)", text)

    def test_A09_secretInOtherWords(self) -> None:
        """
        Nor is it as it was sent, or as text that is not ASCII.
        """
        secrets = Secrets("p\u00e4ss +w/".encode())
        for said in ("p\u00e4ss +w/", "p%C3%A4ss+%2Bw%2F", "p%C3%A4ss%20%2Bw%2F"):
            told = Refusal("invalid_client", f"client_secret={said}&x=y")
            text = denialOf(USER, SERVICE, secrets, 401, told).text
            self.assertIn("client_secret=(secret)&x=y", text)

    def test_A03_oneLine(self) -> None:
        """
        What a server says is one printable line, and short.
        """
        text = denied("x\r\ny", "z\x1b[2J" * 900).text
        self.assertTrue(text.isprintable())
        self.assertLess(len(text), 700)

    def test_noPlace(self) -> None:
        """
        Where no place is known the words do not name one.
        """
        oauth2 = replace(CONSENTED, clientSecret=None, refreshToken=None)
        self.assertIn("the configuration", denied("invalid_grant", oauth2=oauth2).text)
        self.assertIn(
            "client-secret-file", denied("invalid_client", oauth2=oauth2).text
        )

    def test_trouble(self) -> None:
        """
        A server that does not answer passes.
        """
        self.assertEqual(
            troubleWith(USER, SERVICE, "it did not answer in time", 7.0),
            Denial(
                "login.example gave no token for relay@example.com: it did not answer "
                "in time; it is asked again before long",
                False,
                7.0,
            ),
        )


class WaitTests(SynchronousTestCase):
    """
    C{Retry-After} (RFC 9110 10.2.3).
    """

    def test_wait(self) -> None:
        """
        It is a number or a date, within a bound; anything else is nothing.
        """
        for said, wait in (
            (None, 0.0),
            ("120", 120.0),
            (" 120 ", 120.0),
            ("9" * 50, MAX_WAIT),
            ("-5", 0.0),
            ("soon", 0.0),
            ("²", 0.0),
            ("Thu, 01 Jan 2026 00:01:00 GMT", 60.0),
            ("Wed, 31 Dec 2025 00:01:00 GMT", 0.0),
            ("Thu, 01 Jan 2099 00:01:00 GMT", MAX_WAIT),
            ("Thu, 99 Jan 2026 00:01:00 GMT", 0.0),
            ("x" * 1000, 0.0),
        ):
            self.assertEqual(waitIn(said, NOW), wait, said)
