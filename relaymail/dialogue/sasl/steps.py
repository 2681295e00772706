# -*- test-case-name: relaymail.test.dialogue.sasl.test_serving -*-
"""
What a server's mechanism says of an exchange: what comes next, and what a client
claims.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from relaymail.dialogue.sasl.scram import ScramKind


@dataclass(frozen=True, slots=True)
class PasswordClaim:
    """
    A client says a password: whether it is right is to be judged with a C{bool}.

    @ivar user: Who it says it is.
    @ivar password: What it says, prepared where it can be.
    """

    user: str
    password: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class DigestClaim:
    """
    A client shows that it knows a password (RFC 2195): judged with a C{bool}.

    @ivar user: Who it says it is.
    @ivar challenge: What it was asked.
    @ivar digest: The keyed digest of that, in hexadecimal digits.
    """

    user: str
    challenge: bytes
    digest: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ScramClaim:
    """
    A client begins to show that it knows a password (RFC 5802): judged with the
    L{Verifier <relaymail.dialogue.sasl.scram.Verifier>} of that, one that nothing
    fits where there is no such user.

    @ivar user: Who it says it is.
    @ivar kind: The hash function.
    """

    user: str
    kind: ScramKind


@dataclass(frozen=True, slots=True)
class TokenClaim:
    """
    A client shows a token (RFC 7628): judged with a C{bool}.

    @ivar user: Who it says it is, empty where it leaves that to the token.
    @ivar token: The token.
    """

    user: str
    token: bytes = field(repr=False)


Claim = PasswordClaim | DigestClaim | ScramClaim | TokenClaim


@dataclass(frozen=True, slots=True)
class Asks:
    """
    The client is asked something.

    @ivar data: What, not encoded.
    @ivar isProven: Whether it has shown already who it is; its response says no
        more.
    """

    data: bytes
    isProven: bool = False


@dataclass(frozen=True, slots=True)
class Checks:
    """
    Before anything is said, a claim is to be judged.
    """

    claim: Claim


@dataclass(frozen=True, slots=True)
class Ends:
    """
    The client is who it says it is.

    @ivar user: Who that is.
    """

    user: str


Step = Asks | Checks | Ends
