"""
Tests for L{relaymail.route.oauth2accounts}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaymail.errors import ConfigurationError
from relaymail.route.oauth2accounts import Flow, OAuth2, parseOAuth2, showOAuth2
from relaymail.route.passwords import PasswordKind, PasswordSource

FILE = PasswordSource(PasswordKind.FILE, "/etc/secret")
TOKEN = PasswordSource(PasswordKind.COMMAND, "print-token")
MICROSOFT = {
    "provider": "microsoft",
    "tenant": "example.com",
    "client-id": "4711",
    "client-secret-file": "/etc/secret",
}
GOOGLE = {
    "provider": "google",
    "client-id": "4711.apps",
    "client-secret-file": "/etc/secret",
    "refresh-token-command": "print-token",
}
OWN = {
    "token-url": "https://login.example/token",
    "client-id": "relay",
    "client-secret-file": "/etc/secret",
}


class ParseTests(SynchronousTestCase):
    """
    L{parseOAuth2} reads how tokens are had.
    """

    def test_microsoftClientCredentials(self) -> None:
        """
        Of a service at Microsoft the token URL and the scope are known.
        """
        self.assertEqual(
            parseOAuth2(MICROSOFT),
            OAuth2(
                "https://login.microsoftonline.com/example.com/oauth2/v2.0/token",
                Flow.CLIENT_CREDENTIALS,
                "4711",
                FILE,
                None,
                "https://outlook.office365.com/.default",
            ),
        )

    def test_microsoftRefreshToken(self) -> None:
        """
        What somebody has consented to needs no tenant, and no secret.
        """
        self.assertEqual(
            parseOAuth2(
                {
                    "provider": "microsoft",
                    "client-id": "4711",
                    "refresh-token-command": "print-token",
                }
            ),
            OAuth2(
                "https://login.microsoftonline.com/common/oauth2/v2.0/token",
                Flow.REFRESH_TOKEN,
                "4711",
                None,
                TOKEN,
                "https://outlook.office.com/SMTP.Send offline_access",
            ),
        )

    def test_google(self) -> None:
        """
        Of Google the token URL and the scope are known, too.
        """
        self.assertEqual(
            parseOAuth2(GOOGLE),
            OAuth2(
                "https://oauth2.googleapis.com/token",
                Flow.REFRESH_TOKEN,
                "4711.apps",
                FILE,
                TOKEN,
                "https://mail.google.com/",
            ),
        )

    def test_anyTokenURL(self) -> None:
        """
        Any other server is named by its token URL; without a scope none is asked
        for, and what is said of it holds over what is known.
        """
        found = parseOAuth2(OWN)
        self.assertEqual(found.tokenURL, "https://login.example/token")
        self.assertIs(found.flow, Flow.CLIENT_CREDENTIALS)
        self.assertEqual(found.scope, "")
        self.assertEqual(parseOAuth2({**GOOGLE, "scope": "mail"}).scope, "mail")

    def test_httpOnLoopbackOnly(self) -> None:
        """
        Secrets go in clear to this machine only.
        """
        for host in ("localhost:8080", "127.0.0.1", "[::1]:80"):
            url = f"http://{host}/token"
            self.assertEqual(parseOAuth2({**OWN, "token-url": url}).tokenURL, url)
        problem = self.refused({**OWN, "token-url": "http://login.example/token"})
        self.assertIn("is not https", problem)

    def test_refused(self) -> None:
        """
        What cannot be used is one sentence that says what to write.
        """
        for table, words in (
            ("text", "oauth2 is a table"),
            ({}, "one of provider"),
            ({**OWN, "provider": "google"}, "one of provider"),
            ({**GOOGLE, "provider": "gogle"}, "not 'gogle'"),
            ({**GOOGLE, "tenant": "x"}, "microsoft only"),
            ({**GOOGLE, "flow": "client-credentials"}, "google has no flow"),
            ({**OWN, "flow": "password"}, "is one of client-credentials"),
            ({**OWN, "client-id": ""}, "client-id of its oauth2 is empty"),
            ({**OWN, "scope": 7}, "scope of its oauth2 is empty"),
            ({**OWN, "scope": "a\nb"}, "no line of text"),
            ({**OWN, "client_id": "x"}, "did you mean client-id?"),
            ({**OWN, "token-url": "ftp://x/"}, "no https URL"),
            ({**OWN, "token-url": "https://[x/"}, "no https URL"),
            ({**OWN, "token-url": "https://a:b@x/"}, "holds a user"),
            ({**OWN, "flow": "refresh-token"}, "needs refresh-token-file"),
            (
                {
                    **OWN,
                    "flow": "client-credentials",
                    "refresh-token-env": "T",
                },
                "has no refresh token",
            ),
            ({**OWN, "client-secret-env": "S"}, "in one place"),
            ({**MICROSOFT, "tenant": "a/b"}, "neither a domain nor a number"),
            (
                {k: v for k, v in MICROSOFT.items() if k != "tenant"},
                "write tenant",
            ),
            ({k: v for k, v in OWN.items() if k != "client-id"}, "needs client-id"),
            (
                {k: v for k, v in OWN.items() if k != "client-secret-file"},
                "needs client-secret-file",
            ),
        ):
            self.assertIn(words, self.refused(table), table)

    def test_secretsAreNotTold(self) -> None:
        """
        A secret that was written down is not in the message about it.
        """
        for key in ("client-secret", "refresh-token", "password"):
            problem = self.refused({**OWN, key: "hush-hush"})
            self.assertIn("never stands in its oauth2", problem)
            self.assertNotIn("hush-hush", problem)

    def refused(self, table: object) -> str:
        """
        Give the sentence with which a table is refused.
        """
        return str(self.assertRaises(ConfigurationError, parseOAuth2, table))


class ShowTests(SynchronousTestCase):
    """
    L{showOAuth2} gives what L{parseOAuth2} reads.
    """

    def test_roundTrip(self) -> None:
        """
        Read back it is the same.
        """
        for table in (MICROSOFT, GOOGLE, OWN, {**OWN, "scope": "mail send"}):
            found = parseOAuth2(table)
            self.assertEqual(parseOAuth2(showOAuth2(found)), found)


class AccountTests(SynchronousTestCase):
    """
    L{OAuth2.accountOf} tells accounts apart.
    """

    def test_differs(self) -> None:
        """
        Accounts differ by server, client, user and scope, not by where the
        secrets are.
        """
        found = parseOAuth2(OWN)
        other = parseOAuth2({**OWN, "scope": "mail"})
        self.assertNotEqual(found.accountOf("a"), found.accountOf("b"))
        self.assertNotEqual(found.accountOf("a"), other.accountOf("a"))
        moved = parseOAuth2({**OWN, "client-secret-file": "/elsewhere"})
        self.assertEqual(found.accountOf("a"), moved.accountOf("a"))
