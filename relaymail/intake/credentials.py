# -*- test-case-name: relaymail.test.intake.test_authentication -*-
"""
What the intake's clients show, as checkers of C{twisted.cred} are given it.

A password is an L{IUsernamePassword
<twisted.cred.credentials.IUsernamePassword>}, what CRAM-MD5 shows an
L{IUsernameHashedPassword <twisted.cred.credentials.IUsernameHashedPassword>}; the
interfaces here are for the rest.
"""

from __future__ import annotations

import hmac

from twisted.cred.credentials import ICredentials, IUsernameHashedPassword
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface, implementer

from relaymail.dialogue.sasl.scram import ScramKind, Verifier
from relaymail.dialogue.sasl.steps import DigestClaim, ScramClaim, TokenClaim


# Interface is said, too, for what reads this without twisted.cred.
class IScramCredentials(ICredentials, Interface):
    """
    A client that is about to show that it knows a password (RFC 5802).
    """

    username: bytes = Attribute("Who it says it is, UTF-8.")
    kind: ScramKind = Attribute("The hash function.")

    def prove(verifier: Verifier) -> Deferred[bool]:
        """
        Let the client show it.  Where there is no such user the verifier is one that
        nothing fits, so that nobody learns that.

        @param verifier: What is kept of the password.

        @return: Fires with whether the client knows it; never, where it goes away.
        """


class IBearerToken(ICredentials, Interface):
    """
    A client that shows a token (RFC 7628).
    """

    username: bytes = Attribute(
        "Who it says it is, UTF-8; empty where it leaves that to the token."
    )
    token: bytes = Attribute("The token.")


@implementer(IUsernameHashedPassword)
class DigestCredentials:
    """
    What CRAM-MD5 shows (RFC 2195).

    @ivar username: Who the client says it is, UTF-8.
    """

    def __init__(self, claim: DigestClaim) -> None:
        self.username = claim.user.encode("utf-8")
        self._claim = claim

    def checkPassword(self, password: bytes) -> bool:
        """
        Tell whether this is the password that the client knows.
        """
        digest = hmac.new(password, self._claim.challenge, "md5").hexdigest()
        return hmac.compare_digest(digest.encode("ascii"), self._claim.digest)


@implementer(IBearerToken)
class BearerToken:
    """
    A token that a client shows.

    @ivar username: Who it says it is, UTF-8.
    @ivar token: The token.
    """

    def __init__(self, claim: TokenClaim) -> None:
        self.username = claim.user.encode("utf-8")
        self.token = claim.token


@implementer(IScramCredentials)
class ScramCredentials:
    """
    A client that uses SCRAM.

    @ivar username: Who it says it is, UTF-8.
    @ivar kind: The hash function.
    @ivar verifier: Fires with what the checker keeps of the password.
    @ivar proof: To be fired with whether the client knows it.
    """

    def __init__(self, claim: ScramClaim) -> None:
        self.username = claim.user.encode("utf-8")
        self.kind = claim.kind
        self.verifier: Deferred[Verifier] = Deferred()
        self.proof: Deferred[bool] = Deferred()

    def prove(self, verifier: Verifier) -> Deferred[bool]:
        """
        Let the client show that it knows the password.
        """
        self.verifier.callback(verifier)
        return self.proof
