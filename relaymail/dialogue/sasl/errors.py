# -*- test-case-name: relaymail.test.dialogue.sasl.test_scramclient -*-
"""
What mechanisms raise.  No message says anything of a secret.
"""

from __future__ import annotations


class SASLError(ValueError):
    """
    An exchange cannot go on.
    """


class UnusableSecret(SASLError):
    """
    A name or a secret cannot be said by this mechanism.  Nothing was sent.
    """


class ServerNotProven(SASLError):
    """
    The server did not say what one that knows the secret would have said, or it asks
    for less security than it is to have.  It is told nothing more, by no other
    mechanism either.
    """


class MalformedResponse(SASLError):
    """
    A client said what is none of the mechanism's: it is answered 501 5.5.2 (RFC 4954
    4).
    """


class Denied(SASLError):
    """
    A client is not who it says it is, or it may not be: it is answered 535 5.7.8
    (RFC 4954 6).
    """
