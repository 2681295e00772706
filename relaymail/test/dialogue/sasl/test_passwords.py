"""
Tests for L{relaymail.dialogue.sasl.passwords}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaymail.dialogue.sasl import (
    CramMD5ClientAuthenticator,
    LOGINAuthenticator,
    PLAINAuthenticator,
)


class PLAINTests(SynchronousTestCase):
    """
    Tests for L{PLAINAuthenticator}.
    """

    def test_forms(self) -> None:
        """
        The identity to act as is named in the first form only.
        """
        plain = PLAINAuthenticator(b"tim")
        self.assertEqual(plain.getName(), b"PLAIN")
        self.assertEqual(plain.challengeResponse(b"pw"), b"tim\0tim\0pw")
        self.assertEqual(plain.challengeResponse(b"pw", 2), b"\0tim\0pw")

    def test_A03_NUL(self) -> None:
        """
        A NUL would end the identity: it is refused (RFC 4616 2).
        """
        for user, secret in ((b"tim\0root", b"pw"), (b"tim", b"p\0w")):
            plain = PLAINAuthenticator(user)
            self.assertRaises(ValueError, plain.challengeResponse, secret)


class LOGINTests(SynchronousTestCase):
    """
    Tests for L{LOGINAuthenticator}.
    """

    def test_prompts(self) -> None:
        """
        A prompt gets what it asks for, however it is written.
        """
        for prompts in (
            (b"Username:", b"Password:"),
            (b"User Name\0", b"Password\0"),
            (b"username", b"PASSWORD"),
            (b"", b""),
            (b"Benutzer:", b"Passwort:"),
            (b"Name", b"Secret"),
        ):
            login = LOGINAuthenticator(b"tim")
            answers = [login.challengeResponse(b"pw", prompt) for prompt in prompts]
            self.assertEqual(answers, [b"tim", b"pw"], prompts)

    def test_again(self) -> None:
        """
        The next exchange begins with the name again.
        """
        login = LOGINAuthenticator(b"tim")
        answers = [login.challengeResponse(b"pw", b"") for _ in range(4)]
        self.assertEqual(answers, [b"tim", b"pw", b"tim", b"pw"])

    def test_secretFirst(self) -> None:
        """
        A server may ask for the secret alone.
        """
        login = LOGINAuthenticator(b"tim")
        self.assertEqual(login.getName(), b"LOGIN")
        self.assertEqual(login.challengeResponse(b"pw", b"Password:"), b"pw")


class CramMD5Tests(SynchronousTestCase):
    """
    Tests for L{CramMD5ClientAuthenticator}.
    """

    def test_example(self) -> None:
        """
        The example of RFC 2195 2 comes out.
        """
        cram = CramMD5ClientAuthenticator(b"tim")
        self.assertEqual(cram.getName(), b"CRAM-MD5")
        self.assertEqual(
            cram.challengeResponse(
                b"tanstaaftanstaaf", b"<1896.697170952@postoffice.reston.mci.net>"
            ),
            b"tim b913a602c7eda7a495b4e6e7334d3890",
        )
