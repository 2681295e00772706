# -*- test-case-name: relaymail.test.oauth2.test_refusals -*-
"""
What it means that a token was not had, and what somebody is to do about it, pure.

What is not known is taken for something that passes: then it is asked again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import Enum
from urllib.parse import quote, quote_plus, urlsplit

from relaymail.oauth2.requests import Refusal, Secrets
from relaymail.replies import printable
from relaymail.route.oauth2accounts import Flow, OAuth2
from relaymail.route.passwords import PasswordSource

#: The longest wait that a server may ask for, in seconds.
MAX_WAIT = 3600.0
#: How much of what a server says is told on, in characters.
MAX_TOLD = 300


class Remedy(Enum):
    """
    What helps.  The value is what to do, with the places in braces.
    """

    CONSENT = (
        "the consent for {user} at {server} has expired or was revoked: sign in again "
        "and put the new refresh token into {refresh}, then `relaymail reload`"
    )
    SECRET = (
        "{server} does not take the client {client} or its secret: make a new secret "
        "there and put it into {secret}, then `relaymail reload`"
    )
    CLIENT = (
        "{server} does not let the client {client} have tokens this way: see there "
        "that it is registered, for this flow, and that an administrator has "
        "consented to it"
    )
    SCOPE = (
        "{server} does not give what is asked for: see scope in the table oauth2 of "
        "the smart host, and what the client {client} may be given"
    )
    SERVER = (
        "there is no such directory at {server}: see tenant or token-url in the table "
        "oauth2 of the smart host"
    )
    ACCOUNT = "the account {user} may not sign in at {server}: see there why"
    REQUEST = (
        "{server} does not understand what it is asked: see the table oauth2 of the "
        "smart host"
    )
    WAIT = "it is asked again before long"


@dataclass(frozen=True, slots=True)
class Denial:
    """
    A token was not had.

    @ivar text: What was tried, what came back, and what to do.
    @ivar isLasting: Whether it helps nothing to ask again before somebody has done
        that.
    @ivar wait: How long the server wants not to be asked, in seconds.
    @ivar sign: What tells this from another trouble, where the text has a number of
        its own each time; empty: the text.
    """

    text: str
    isLasting: bool = False
    wait: float = 0.0
    sign: str = ""


#: The words for what lasts (RFC 6749 5.2, and what Microsoft and Google have
#: besides).
_WORDS = {
    "invalid_grant": Remedy.CONSENT,
    "consent_required": Remedy.CONSENT,
    "interaction_required": Remedy.CONSENT,
    "login_required": Remedy.CONSENT,
    "invalid_client": Remedy.SECRET,
    "deleted_client": Remedy.CLIENT,
    "disabled_client": Remedy.CLIENT,
    "unauthorized_client": Remedy.CLIENT,
    "org_internal": Remedy.CLIENT,
    "admin_policy_enforced": Remedy.CLIENT,
    "access_denied": Remedy.CLIENT,
    "unsupported_grant_type": Remedy.CLIENT,
    "invalid_scope": Remedy.SCOPE,
    "invalid_target": Remedy.SCOPE,
    "invalid_resource": Remedy.SCOPE,
    "invalid_request": Remedy.REQUEST,
}

#: Microsoft's numbers, which say more than its words.
_CODES = {
    # A client's secret that is wrong, or has ended, and a client that is not there.
    7000215: Remedy.SECRET,
    7000222: Remedy.SECRET,
    700016: Remedy.CLIENT,
    65001: Remedy.CLIENT,
    700082: Remedy.CONSENT,
    70008: Remedy.CONSENT,
    70000: Remedy.CONSENT,
    50173: Remedy.CONSENT,
    50076: Remedy.CONSENT,
    50079: Remedy.CONSENT,
    70011: Remedy.SCOPE,
    500011: Remedy.SCOPE,
    90002: Remedy.SERVER,
    50034: Remedy.ACCOUNT,
    50057: Remedy.ACCOUNT,
    53003: Remedy.ACCOUNT,
    # These pass, whatever the word beside them is.
    50033: Remedy.WAIT,
    90006: Remedy.WAIT,
    90012: Remedy.WAIT,
    90024: Remedy.WAIT,
    90033: Remedy.WAIT,
    90055: Remedy.WAIT,
}
_CODE = re.compile(r"AADSTS(\d{4,8})")


def serverOf(oauth2: OAuth2) -> str:
    """
    Give the name of the server of a token URL, for people.
    """
    return printable(urlsplit(oauth2.tokenURL).netloc, 253)


def denialOf(
    user: str,
    oauth2: OAuth2,
    secrets: Secrets,
    status: int,
    refusal: Refusal,
    wait: float = 0.0,
) -> Denial:
    """
    Say what a refusal means.

    @param user: Whose token was asked for.
    @param oauth2: How.
    @param secrets: What must not be told on, should the server say it back.
    @param status: The status of HTTP.
    @param refusal: What was said.
    @param wait: How long the server wants not to be asked, in seconds.
    """
    remedy = _remedyOf(status, refusal)
    if remedy is Remedy.CONSENT and oauth2.flow is Flow.CLIENT_CREDENTIALS:
        # There is nobody who could sign in.
        remedy = Remedy.CLIENT
    todo = remedy.value.format(
        user=printable(user, 100),
        server=serverOf(oauth2),
        client=printable(oauth2.clientId, 100),
        refresh=_place(oauth2.refreshToken, "the configuration"),
        secret=_place(oauth2.clientSecret, "client-secret-file"),
    )
    said = " ".join(filter(None, (refusal.error, refusal.description)))
    told = without(said, secrets) or "it gave no reason"
    begun = f"{serverOf(oauth2)} gave no token for {printable(user, 100)}"
    text = f"{begun} (HTTP {status}: {told}); {todo}"
    codes = " ".join(_CODE.findall(refusal.description)[:1])
    sign = f"{status} {refusal.error} {codes}"
    return Denial(text, remedy is not Remedy.WAIT, wait, sign)


def troubleWith(user: str, oauth2: OAuth2, what: str, wait: float = 0.0) -> Denial:
    """
    Say that a token server gave no answer that could be read.

    @param what: What came back, or did not.
    """
    return Denial(
        f"{serverOf(oauth2)} gave no token for {printable(user, 100)}: "
        f"{printable(what, MAX_TOLD)}; {Remedy.WAIT.value}",
        False,
        wait,
    )


def without(said: str, secrets: Secrets) -> str:
    """
    Give what a server said as one line, and no secret in it.
    """
    forms = set[str]().union(
        *(_formsOf(each) for each in (secrets.client, secrets.refresh) if each)
    )
    if forms:
        # Of two that begin alike the longer one is meant.
        inOrder = sorted(forms, key=len, reverse=True)
        said = re.sub("|".join(map(re.escape, inOrder)), "(secret)", said)
    return printable(said, MAX_TOLD)


def _formsOf(secret: bytes) -> set[str]:
    """
    Give how a secret may be said back: as it is, and as it was sent.
    """
    text = secret.decode("utf-8", "replace")
    return {text, secret.decode("latin-1"), quote_plus(secret), quote(secret, "")}


def waitIn(header: str | None, now: float) -> float:
    """
    Give for how long a server wants not to be asked (RFC 9110 10.2.3), in seconds.

    @param header: What it says in C{Retry-After}, if anything: a number of seconds,
        or a date.
    @param now: The time, in seconds of the epoch.
    """
    if not header or len(header) > 100:
        return 0.0
    text = header.strip()
    if text.isascii() and text.isdigit():
        wait = float(text)
    else:
        try:
            wait = parsedate_to_datetime(text).timestamp() - now
        except (ValueError, OverflowError, TypeError):
            return 0.0
    return min(max(wait, 0.0), MAX_WAIT)


def _remedyOf(status: int, refusal: Refusal) -> Remedy:
    for code in _CODE.findall(refusal.description)[:1]:
        if int(code) in _CODES:
            return _CODES[int(code)]
    if status == 429 or status >= 500:
        return Remedy.WAIT
    return _WORDS.get(refusal.error.lower(), Remedy.WAIT)


def _place(source: PasswordSource | None, otherwise: str) -> str:
    if source is None:
        return otherwise
    return f"the {source.kind.value} {printable(source.where, MAX_TOLD)}"
