# -*- test-case-name: relaymail.test.oauth2.test_accounts -*-
"""
One request for a token, from what is known of an account to what came back; and
reading its secrets again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, NamedTuple

from twisted.internet import error as errors
from twisted.internet.defer import CancelledError, TimeoutError

from relaymail.configuration.secrets import readSecret
from relaymail.errors import ConfigurationError
from relaymail.oauth2.refusals import Denial, denialOf, troubleWith, waitIn, without
from relaymail.oauth2.requests import (
    Granted,
    Refusal,
    Secrets,
    Unreadable,
    formOf,
    readAnswer,
)
from relaymail.replies import printable
from relaymail.route.oauth2accounts import Flow, OAuth2
from relaymail.route.passwords import PasswordKind, PasswordSource, readSecretOf

#: Sends a form to a URL, and gives the L{answer<relaymail.fetching.Answer>}.
Post = Callable[[str, bytes], Awaitable[Any]]


class Given(NamedTuple):
    """
    What the configuration says of an account.

    @ivar user: Whose tokens they are.
    @ivar oauth2: How they are had.
    @ivar secrets: What they are asked for with.
    """

    user: str
    oauth2: OAuth2
    secrets: Secrets


async def ask(given: Given, refresh: bytes, post: Post, now: float) -> Granted | Denial:
    """
    Ask for a token once.

    @param given: Whose, and how.
    @param refresh: The refresh token that stands for the configured one; empty for
        that.
    @param post: Asks the server.
    @param now: The time, in seconds of the epoch.
    """
    user, oauth2, secrets = given
    if refresh and oauth2.flow is Flow.REFRESH_TOKEN:
        secrets = replace(secrets, refresh=refresh)
    try:
        answer = await post(oauth2.tokenURL, formOf(oauth2, secrets))
    except CancelledError:
        raise
    except Exception as e:
        return troubleWith(user, oauth2, without(_reasonOf(e), secrets))
    wait = waitIn(answer.retryAfter, now)
    if 300 <= answer.status <= 399:
        where = printable(without(answer.location or "nowhere", secrets), 200)
        told = f"it points to {where}, and is not followed there: see token-url"
        return troubleWith(user, oauth2, f"HTTP {answer.status}: {told}", wait)
    try:
        found = readAnswer(answer.status, answer.body)
    except Unreadable as e:
        told = f"HTTP {answer.status}, and its answer cannot be used: {e}"
        return troubleWith(user, oauth2, told, wait)
    if isinstance(found, Refusal):
        return denialOf(user, oauth2, secrets, answer.status, found, wait)
    return found


def _reasonOf(error: Exception) -> str:
    """
    Say why there was no answer.
    """
    reasons = getattr(error, "reasons", None)
    if reasons:
        # As Twisted wraps what happened to a connection.
        error = reasons[0].value
    if isinstance(error, CancelledError | TimeoutError | errors.TimeoutError):
        return "it did not answer in time"
    return f"{type(error).__name__}: {error}".rstrip(": ")


def readAgain(given: Given) -> Secrets:
    """
    Read the secrets that are in files again; what cannot be read stays as it was.
    """
    return Secrets(
        _fromFile(given.oauth2.clientSecret, given.secrets.client),
        _fromFile(given.oauth2.refreshToken, given.secrets.refresh),
    )


def _fromFile(source: PasswordSource | None, known: bytes | None) -> bytes | None:
    if source is None or source.kind is not PasswordKind.FILE:
        return known
    try:
        return readSecretOf(source, readSecret, "")
    except ConfigurationError:
        return known
