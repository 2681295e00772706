# -*- test-case-name: relaymail.test.test_identities -*-
"""
The seams around who somebody is: how the intake's clients say it, and how this
relay says it to others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from zope.interface import Interface

from relaymail.envelopes import Client

if TYPE_CHECKING:
    from relaymail.interfaces import IAcceptance

__all__ = ["Authenticated", "Challenge", "IAuthentication", "IExchange", "ITokens"]


@dataclass(frozen=True, slots=True)
class Challenge:
    """
    What a client is asked next, while it authenticates (RFC 4954 4).

    @ivar data: The challenge, not encoded.
    """

    data: bytes


@dataclass(frozen=True, slots=True)
class Authenticated:
    """
    A client is who it says it is.

    @ivar user: Who that is.
    @ivar acceptance: Who that may send mail for: an L{IAcceptance}.
    """

    user: str
    acceptance: IAcceptance


class IExchange(Interface):
    """
    A client that is authenticating, by one mechanism.
    """

    def respond(response: bytes | None) -> Deferred[Challenge | Authenticated]:
        """
        Take what the client responds.

        @param response: The response, decoded; the first time the initial one,
            or L{None} where there was none.

        @return: Fires with what comes next.  Fails with L{Refused
            <relaymail.errors.Refused>}; any other error is answered 454 4.7.0 and
            logged.
        """


class IAuthentication(Interface):
    """
    Lets the intake's clients say who they are (RFC 4954).
    """

    def mechanisms(isSecure: bool, bindings: Mapping[str, bytes]) -> tuple[str, ...]:
        """
        Give the mechanisms that can be used, the best first.

        @param isSecure: Whether nobody else can read what is said.
        @param bindings: The channel bindings of the connection, by their names
            (RFC 5056), none in clear.
        """

    def begin(
        mechanism: str, client: Client, bindings: Mapping[str, bytes]
    ) -> IExchange:
        """
        Begin an exchange.

        @param mechanism: One that L{mechanisms} gave.
        @param client: Who is talking.
        @param bindings: See L{mechanisms}.
        """


class ITokens(Interface):
    """
    Gives the tokens that stand for a password (RFC 6749).
    """

    def token() -> Deferred[bytes]:
        """
        Give a token that is good for a while; it is asked for where there is
        none.

        @return: Fires with it.  Fails with L{TokenError
            <relaymail.errors.TokenError>}.
        """

    def refused(token: bytes) -> None:
        """
        Tell that a host did not take a token: it is not given again.
        """
