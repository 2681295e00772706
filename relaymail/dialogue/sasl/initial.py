# -*- test-case-name: relaymail.test.dialogue.sasl.test_scramclient -*-
"""
What the client's mechanisms have in common in which the client speaks first (RFC
4422 3).
"""

from __future__ import annotations


class InitialAuthenticator:
    """
    A client's mechanism with an initial response.

    @cvar blamesSecret: Whether the server said, in this exchange, that it is the
        secret that it does not take: another mechanism does not help.
    """

    blamesSecret = False

    def getName(self) -> bytes:
        """
        Give the mechanism's name.
        """
        raise NotImplementedError

    def initialResponse(self, secret: bytes) -> bytes:
        """
        Begin an exchange, anew if there was one.

        @return: What the client says first.

        @raise SASLError: When the mechanism cannot be used with this identity and
            secret.
        """
        raise NotImplementedError

    def challengeResponse(self, secret: bytes, challenge: bytes) -> bytes:
        """
        Answer a challenge, decoded.

        @raise SASLError: When it is to have no answer.
        """
        raise NotImplementedError

    def accepted(self, text: bytes) -> None:
        """
        Learn that the server takes us for who we say we are.

        @param text: What it said with that.

        @raise ServerNotProven: When it is not who it is to be.
        """
