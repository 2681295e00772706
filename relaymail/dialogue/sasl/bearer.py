# -*- test-case-name: relaymail.test.dialogue.sasl.test_bearer -*-
"""
The client's side of the mechanisms that show a token in place of a password:
OAUTHBEARER (RFC 7628) and XOAUTH2, which came before it.
"""

from __future__ import annotations

import re

from relaymail.dialogue.sasl.errors import ServerNotProven, UnusableSecret
from relaymail.dialogue.sasl.initial import InitialAuthenticator
from relaymail.dialogue.sasl.scram import escapedName

#: What a token is made of (RFC 6750 2.1), and what some have beyond that.
_TOKEN = re.compile(rb"[!-~]+\Z")


class _BearerAuthenticator(InitialAuthenticator):
    """
    A mechanism in which all is said at once, and an error is told in a challenge.

    @cvar acknowledgement: What that challenge is answered with.

    @ivar user: The identity.
    """

    acknowledgement: bytes

    def __init__(self, user: bytes) -> None:
        self.user = user

    def initialResponse(self, secret: bytes) -> bytes:
        """
        Show the token.

        @raise UnusableSecret: When it holds what would end it.
        """
        self.blamesSecret = False
        if not _TOKEN.match(secret):
            raise UnusableSecret("the token is none (RFC 6750 2.1)")
        if b"\x01" in self.user or b"\0" in self.user:
            raise UnusableSecret("a control character in the identity")
        return self._shown(secret)

    def challengeResponse(self, secret: bytes, challenge: bytes) -> bytes:
        """
        Acknowledge that the token is not taken: the reply comes after that.
        """
        self.blamesSecret = True
        return self.acknowledgement

    def accepted(self, text: bytes) -> None:
        """
        The server takes the token.

        @raise ServerNotProven: When it did not before.
        """
        if self.blamesSecret:
            raise ServerNotProven("the server told an error, and then took the token")

    def _shown(self, token: bytes) -> bytes:
        raise NotImplementedError


class OAUTHBEARERAuthenticator(_BearerAuthenticator):
    """
    OAUTHBEARER (RFC 7628): a token, for an identity.
    """

    acknowledgement = b"\x01"

    def getName(self) -> bytes:
        """
        Give the mechanism's name.
        """
        return b"OAUTHBEARER"

    def _shown(self, token: bytes) -> bytes:
        # RFC 7628 3.1; without host and port, which only signed tokens need.
        who = b"a=" + escapedName(self.user) if self.user else b""
        return b"n,%s,\x01auth=Bearer %s\x01\x01" % (who, token)


class XOAUTH2Authenticator(_BearerAuthenticator):
    """
    XOAUTH2, as Google describes it, and Microsoft.
    """

    acknowledgement = b""

    def getName(self) -> bytes:
        """
        Give the mechanism's name.
        """
        return b"XOAUTH2"

    def _shown(self, token: bytes) -> bytes:
        return b"user=%s\x01auth=Bearer %s\x01\x01" % (self.user, token)
