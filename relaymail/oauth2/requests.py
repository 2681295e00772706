# -*- test-case-name: relaymail.test.oauth2.test_requests -*-
"""
What a token server is asked, and what its answer says (RFC 6749), pure.

The answer is a stranger's: it is taken for nothing but what it has been seen to be.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from relaymail.route.oauth2accounts import Flow, OAuth2

#: How much of an answer is read, in bytes: tokens are some thousand.
MAX_ANSWER = 65536
#: The longest access token that is taken, in characters: what fits, encoded, into
#: an AUTH line (RFC 4954 4, 12288) with what stands around it.
MAX_TOKEN = 8192
#: The longest refresh token and the longest scope that are taken, in characters.
MAX_REFRESH = 8192
MAX_SCOPE = 2000
#: How long a token is good for whose server does not say (RFC 6749 4.2.2), in
#: seconds: less than any is in use.
USUAL_LIFETIME = 600.0
#: The longest that is believed, in seconds.
MAX_LIFETIME = 86400.0
#: How many digits a number may have that came as text.
MAX_DIGITS = 12

#: What the characters of tokens are (RFC 6749 A.12); without the space, which would
#: end a token in AUTH (RFC 6750 2.1).
_TOKEN = re.compile(r"[!-~]+\Z")


@dataclass(frozen=True, slots=True)
class Secrets:
    """
    What a token is asked for with.

    @ivar client: The secret of the client, if it has one.
    @ivar refresh: The refresh token, with the flow that needs one.
    """

    client: bytes | None = field(default=None, repr=False)
    refresh: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Granted:
    """
    A token was had (RFC 6749 5.1).

    @ivar token: The token.
    @ivar lifetime: How long it is good for, in seconds.
    @ivar refresh: A refresh token that stands for the one before from now on, if
        there is one (RFC 6749 6).
    @ivar scope: What it is good for, where the server says so.
    """

    token: bytes = field(repr=False)
    lifetime: float
    refresh: bytes | None = field(default=None, repr=False)
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """
    No token was had (RFC 6749 5.2).

    @ivar error: The word for it; empty where there is none.
    @ivar description: What is said of it, as the server words it.
    """

    error: str = ""
    description: str = ""


class Unreadable(ValueError):
    """
    What came back is no answer of a token server.
    """


def formOf(oauth2: OAuth2, secrets: Secrets) -> bytes:
    """
    Write the body of a request for a token (RFC 6749 4.4.2, 6).

    The client's secret stands in it (RFC 6749 2.3.1), which is what Microsoft and
    Google document.

    @param oauth2: How it is had.
    @param secrets: What it is asked for with.
    """
    fields: dict[str, str | bytes] = {"client_id": oauth2.clientId}
    if oauth2.flow is Flow.CLIENT_CREDENTIALS:
        fields["grant_type"] = "client_credentials"
    else:
        fields["grant_type"] = "refresh_token"
        fields["refresh_token"] = secrets.refresh or b""
    if secrets.client is not None:
        fields["client_secret"] = secrets.client
    if oauth2.scope:
        fields["scope"] = oauth2.scope
    return urlencode(fields).encode("ascii")


def readAnswer(status: int, body: bytes) -> Granted | Refusal:
    """
    Read an answer.

    @param status: The status of HTTP.
    @param body: What came with it.

    @raise Unreadable: When it is neither a token nor a refusal; its words say why.
    """
    said = _document(body)
    if "error" in said or status != 200:
        # Some refuse with a status that says all is well.
        return _refusal(said)
    return _granted(said)


def _document(body: bytes) -> Mapping[str, Any]:
    if len(body) > MAX_ANSWER:
        raise Unreadable(f"it is longer than {MAX_ANSWER} bytes")
    try:
        said = json.loads(body, parse_constant=_noNumber)
    except (ValueError, RecursionError):
        # The words of the error may hold what it was about.
        raise Unreadable("it is no JSON") from None
    if not isinstance(said, dict):
        raise Unreadable("it is JSON, but no object")
    return said


def _noNumber(word: str) -> float:
    raise ValueError(word)


def _refusal(said: Mapping[str, Any]) -> Refusal:
    error, description = said.get("error"), said.get("error_description")
    if isinstance(error, dict):
        # As Google's other services have it.
        description = error.get("message")
        error = error.get("status")
    # Not cut before it is known that there is no secret in it.
    refusal = Refusal(_text(error), _text(description, MAX_ANSWER))
    suberror = _text(said.get("suberror"))
    if suberror:
        # As Microsoft says what is behind an invalid_grant.
        told = f"{refusal.description} ({suberror})"
        refusal = Refusal(refusal.error, told.strip())
    return refusal


def _text(value: object, longest: int = MAX_SCOPE) -> str:
    return value[:longest] if isinstance(value, str) else ""


def _granted(said: Mapping[str, Any]) -> Granted:
    kind = said.get("token_type", "Bearer")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        # RFC 6749 7.1: one of a kind that is not understood is not used.
        raise Unreadable("its token is not of the type Bearer")
    token = _token(said.get("access_token"), MAX_TOKEN)
    if token is None:
        raise Unreadable("there is no access token in it that could be used")
    refresh = None
    if said.get("refresh_token") is not None:
        refresh = _token(said["refresh_token"], MAX_REFRESH)
        if refresh is None:
            raise Unreadable("its refresh token cannot be one")
    return Granted(token, _lifetime(said), refresh, _text(said.get("scope")))


def _token(value: object, longest: int) -> bytes | None:
    if not isinstance(value, str) or len(value) > longest or not _TOKEN.match(value):
        return None
    return value.encode("ascii")


def _lifetime(said: Mapping[str, Any]) -> float:
    value = said.get("expires_in")
    if value is None:
        return USUAL_LIFETIME
    if isinstance(value, str) and value.isascii() and value.isdigit():
        # Some write it as text.
        value = int(value) if len(value) <= MAX_DIGITS else MAX_LIFETIME
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unreadable("it does not say in a number when its token ends")
    if isinstance(value, float) and not math.isfinite(value):
        raise Unreadable("it does not say in a number when its token ends")
    if value <= 0:
        raise Unreadable("its token has ended already")
    return float(min(value, MAX_LIFETIME))
