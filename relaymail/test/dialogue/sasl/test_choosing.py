"""
Tests for L{relaymail.dialogue.sasl.choosing}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaymail.dialogue.sasl.choosing import Means, authenticatorsFor

ALL = (
    b"LOGIN PLAIN CRAM-MD5 XOAUTH2 OAUTHBEARER SCRAM-SHA-1 SCRAM-SHA-1-PLUS "
    b"SCRAM-SHA-256 SCRAM-SHA-256-PLUS GSSAPI"
).split()
BINDINGS = {"tls-server-end-point": b"hash", "tls-exporter": b"keys"}


class ChoosingTests(SynchronousTestCase):
    """
    Tests for L{authenticatorsFor}.
    """

    def choose(
        self,
        *offered: bytes,
        hasPassword: bool = True,
        hasToken: bool = False,
        isAllowed: bool = True,
        bindings: dict[str, bytes] = BINDINGS,
    ) -> list[bytes]:
        """
        Give names of mechanisms; those of SCRAM with what they say of channel
        bindings.
        """
        means = Means(b"tim", hasPassword, hasToken, isAllowed, bindings)
        return [
            each.initialResponse(b"pw").partition(b",")[0] + b" " + each.getName()
            if b"SCRAM" in each.getName()
            else each.getName()
            for each in authenticatorsFor(offered, means, lambda: b"nonce")
        ]

    def test_order(self) -> None:
        """
        The best come first.
        """
        self.assertEqual(
            self.choose(*ALL),
            [
                b"p=tls-exporter SCRAM-SHA-256-PLUS",
                b"n SCRAM-SHA-256",
                b"p=tls-exporter SCRAM-SHA-1-PLUS",
                b"n SCRAM-SHA-1",
                b"CRAM-MD5",
                b"PLAIN",
                b"LOGIN",
            ],
        )

    def test_bindings(self) -> None:
        """
        Below TLS 1.3 it is the certificate that is bound to; without bindings it is
        nothing.
        """
        offered = (b"SCRAM-SHA-256", b"SCRAM-SHA-256-PLUS")
        self.assertEqual(
            self.choose(*offered, bindings={"tls-server-end-point": b"hash"})[0],
            b"p=tls-server-end-point SCRAM-SHA-256-PLUS",
        )
        self.assertEqual(self.choose(*offered, bindings={}), [b"n SCRAM-SHA-256"])

    def test_downgrade(self) -> None:
        """
        Where we could and the server does not say that it can, we say that we could:
        if it can it knows that somebody changed its offer (RFC 5802 6).
        """
        self.assertEqual(self.choose(b"SCRAM-SHA-256"), [b"y SCRAM-SHA-256"])
        self.assertEqual(
            self.choose(b"SCRAM-SHA-256", b"SCRAM-SHA-1-PLUS")[0], b"n SCRAM-SHA-256"
        )

    def test_token(self) -> None:
        """
        A token is not shown as a password, nor the password where there is a token.
        """
        self.assertEqual(self.choose(*ALL, hasToken=True), [b"OAUTHBEARER", b"XOAUTH2"])
        self.assertEqual(self.choose(b"PLAIN", b"XOAUTH2", hasToken=True), [b"XOAUTH2"])

    def test_A09_A02_notAllowed(self) -> None:
        """
        Where nothing may be said there is no mechanism, nor without a secret.
        """
        self.assertEqual(self.choose(*ALL, isAllowed=False), [])
        self.assertEqual(self.choose(*ALL, isAllowed=False, hasToken=True), [])
        self.assertEqual(self.choose(*ALL, hasPassword=False), [])
