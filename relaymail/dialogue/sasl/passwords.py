# -*- test-case-name: relaymail.test.dialogue.sasl.test_passwords -*-
"""
The client's side of the mechanisms that need a password and little else: PLAIN,
LOGIN and CRAM-MD5.
"""

from __future__ import annotations

import hmac


class PLAINAuthenticator:
    """
    PLAIN (RFC 4616): identity and secret as they are, in one response.

    @ivar user: The identity.
    """

    def __init__(self, user: bytes) -> None:
        self.user = user

    def getName(self) -> bytes:
        """
        Give the mechanism's name.
        """
        return b"PLAIN"

    def challengeResponse(self, secret: bytes, challenge: object = 1) -> bytes:
        """
        Give the one response there is.

        @param challenge: 1 for the form in which the identity to act as is
            named too; anything else for the form in which it is left empty,
            which a few servers want.

        @raise ValueError: When the identity or the secret holds a NUL, which is
            what separates them (RFC 4616 2).
        """
        if b"\0" in self.user or b"\0" in secret:
            raise ValueError("a NUL in the identity or the secret")
        authorize = self.user if challenge == 1 else b""
        return authorize + b"\0" + self.user + b"\0" + secret


class LOGINAuthenticator:
    """
    LOGIN, never standardised: the name, then the secret, each to a prompt.

    Servers word the prompts as they like: where a prompt does not say what it
    asks for, the name goes first.

    @ivar user: The identity.
    """

    def __init__(self, user: bytes) -> None:
        self.user = user
        self._isNamed = False

    def getName(self) -> bytes:
        """
        Give the mechanism's name.
        """
        return b"LOGIN"

    def challengeResponse(self, secret: bytes, challenge: bytes) -> bytes:
        """
        Answer a prompt.
        """
        prompt = challenge.lower()
        asksName = b"user" in prompt or not self._isNamed
        if b"pass" in prompt or not asksName:
            self._isNamed = False
            return secret
        self._isNamed = True
        return self.user


class CramMD5ClientAuthenticator:
    """
    CRAM-MD5 (RFC 2195): proof of the secret over the server's challenge.

    @ivar user: The identity.
    """

    def __init__(self, user: bytes) -> None:
        self.user = user

    def getName(self) -> bytes:
        """
        Give the mechanism's name.
        """
        return b"CRAM-MD5"

    def challengeResponse(self, secret: bytes, challenge: bytes) -> bytes:
        """
        Give the name and the keyed digest of the challenge.
        """
        digest = hmac.new(secret, challenge, "md5").hexdigest()
        return self.user + b" " + digest.encode("ascii")
