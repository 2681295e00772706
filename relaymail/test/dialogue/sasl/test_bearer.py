"""
Tests for L{relaymail.dialogue.sasl.bearer}.
"""

from __future__ import annotations

import base64

from twisted.trial.unittest import SynchronousTestCase

from relaymail.dialogue.sasl import OAUTHBEARERAuthenticator, XOAUTH2Authenticator
from relaymail.dialogue.sasl.errors import ServerNotProven, UnusableSecret

#: The token of the examples of RFC 7628 4.
TOKEN = b"vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="


class OAUTHBEARERTests(SynchronousTestCase):
    """
    Tests for L{OAUTHBEARERAuthenticator}.
    """

    def test_message(self) -> None:
        """
        What is said is that of RFC 7628 4.1, without host and port.
        """
        client = OAUTHBEARERAuthenticator(b"user@example.com")
        self.assertEqual(client.getName(), b"OAUTHBEARER")
        self.assertEqual(
            client.initialResponse(TOKEN),
            b"n,a=user@example.com,\x01auth=Bearer " + TOKEN + b"\x01\x01",
        )
        client.accepted(b"2.7.0 fine")

    def test_error(self) -> None:
        """
        An error is acknowledged (RFC 7628 3.2.3), and that is not taken back.
        """
        client = OAUTHBEARERAuthenticator(b"user@example.com")
        client.initialResponse(TOKEN)
        self.assertFalse(client.blamesSecret)
        said = client.challengeResponse(TOKEN, b'{"status":"invalid_token"}')
        self.assertEqual(said, b"\x01")
        self.assertEqual(base64.b64encode(said), b"AQ==")
        self.assertTrue(client.blamesSecret)
        self.assertRaises(ServerNotProven, client.accepted, b"")
        client.initialResponse(TOKEN)
        self.assertFalse(client.blamesSecret)

    def test_A03_injection(self) -> None:
        """
        Nothing in a name or a token ends what it stands in.
        """
        client = OAUTHBEARERAuthenticator(b"a,b=c")
        self.assertTrue(client.initialResponse(TOKEN).startswith(b"n,a=a=2Cb=3Dc,\x01"))
        for user, token in (
            (b"a\x01auth=x", TOKEN),
            (b"a", b"x\x01y"),
            (b"a", b"x y"),
            (b"a", b"x\r\n"),
            (b"a", b""),
        ):
            for kind in (OAUTHBEARERAuthenticator, XOAUTH2Authenticator):
                with self.assertRaises(UnusableSecret):
                    kind(user).initialResponse(token)


class XOAUTH2Tests(SynchronousTestCase):
    """
    Tests for L{XOAUTH2Authenticator}.
    """

    def test_message(self) -> None:
        """
        What is said is that of Google's description.
        """
        client = XOAUTH2Authenticator(b"someuser@example.com")
        self.assertEqual(client.getName(), b"XOAUTH2")
        self.assertEqual(
            base64.b64encode(client.initialResponse(b"ya29." + TOKEN)),
            base64.b64encode(
                b"user=someuser@example.com\x01auth=Bearer ya29." + TOKEN + b"\x01\x01"
            ),
        )

    def test_error(self) -> None:
        """
        An error is acknowledged with nothing.
        """
        client = XOAUTH2Authenticator(b"someuser@example.com")
        self.assertEqual(client.challengeResponse(TOKEN, b'{"status":"401"}'), b"")
        self.assertTrue(client.blamesSecret)
