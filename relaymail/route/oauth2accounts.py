# -*- test-case-name: relaymail.test.route.test_oauth2accounts -*-
"""
How the tokens for a smart host are had (RFC 6749), as an operator writes it: the
table C{oauth2} beside C{url} and C{user}.

  - C{provider}: C{microsoft} or C{google}, which say the token URL and the scope;
    C{tenant}, with C{microsoft}: the directory's name or number.
  - C{token-url}, instead of a provider.
  - C{flow}: C{client-credentials}, for a service that is nobody's (RFC 6749 4.4), or
    C{refresh-token}, for what somebody has consented to (RFC 6749 6).
  - C{client-id}, and where its secret is: C{client-secret-file}, C{-env} or
    C{-command}.
  - Where the refresh token is: C{refresh-token-file}, C{-env} or C{-command}.
  - C{scope}: what is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from ipaddress import ip_address
from urllib.parse import urlsplit

from relaymail.errors import ConfigurationError
from relaymail.replies import printable
from relaymail.route.passwords import PasswordSource, keysOf, showSource, sourceIn

#: The longest text that stands in such a table, in characters: the longest token
#: URL and scope are some hundred.
MAX_TEXT = 2000


class Flow(Enum):
    """
    How a token is had.  The value is what is written.
    """

    CLIENT_CREDENTIALS = "client-credentials"
    REFRESH_TOKEN = "refresh-token"


@dataclass(frozen=True, slots=True)
class OAuth2:
    """
    How the tokens for a smart host are had; no secret is in it.

    @ivar tokenURL: Where they are asked for.
    @ivar flow: How.
    @ivar clientId: What this relay was registered as.
    @ivar clientSecret: Where the secret of that is, if it has one.
    @ivar refreshToken: Where the first refresh token is, with the flow that needs
        one.
    @ivar scope: What is asked for, empty for what the server gives.
    """

    tokenURL: str
    flow: Flow
    clientId: str
    clientSecret: PasswordSource | None = None
    refreshToken: PasswordSource | None = None
    scope: str = ""

    def accountOf(self, user: str) -> str:
        """
        Give what tells the source of a user's tokens from all others.

        @param user: The user at the smart host.
        """
        # A line each: none of them holds a line's end.
        return "\n".join((self.tokenURL, self.clientId, user, self.scope))


@dataclass(frozen=True, slots=True)
class _Provider:
    """
    What is known of a provider.

    @ivar tokenURL: Its token URL, with C{TENANT} where that stands.
    @ivar scopes: What is asked for, by flow: those it has.
    @ivar tenant: The tenant of who names none, by flow.
    """

    tokenURL: str
    scopes: Mapping[Flow, str]
    tenant: str = ""


_PROVIDERS = {
    "microsoft": _Provider(
        "https://login.microsoftonline.com/TENANT/oauth2/v2.0/token",
        {
            Flow.CLIENT_CREDENTIALS: "https://outlook.office365.com/.default",
            Flow.REFRESH_TOKEN: "https://outlook.office.com/SMTP.Send offline_access",
        },
        # What anybody's account may be asked for at.
        tenant="common",
    ),
    "google": _Provider(
        "https://oauth2.googleapis.com/token",
        {Flow.REFRESH_TOKEN: "https://mail.google.com/"},
    ),
}

_FLOWS = {flow.value: flow for flow in Flow}
_SECRETS = ("client-secret", "refresh-token")
_KEYS = (
    *("provider", "tenant", "token-url", "flow", "client-id", "scope"),
    *(key for secret in _SECRETS for key in keysOf(secret)),
)
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}\Z")


def parseOAuth2(table: object) -> OAuth2:
    """
    Read how tokens are had.

    @param table: The table; see the top of this module.

    @raise ConfigurationError: When it cannot be used.  A secret that was written
        into it is not in the message.
    """
    said = _checked(table)
    provider = _providerOf(said)
    secret, refresh = (sourceIn(said, name) for name in _SECRETS)
    usual = Flow.CLIENT_CREDENTIALS if refresh is None else Flow.REFRESH_TOKEN
    flow = _flowOf(said.get("flow", usual.value))
    if provider is not None and flow not in provider.scopes:
        raise ConfigurationError(
            f"{said['provider']} has no flow {flow.value} for mail: write "
            "refresh-token-file=PATH, and client-secret-file=PATH beside it"
        )
    found = OAuth2(
        _tokenURL(said, provider, flow),
        flow,
        said.get("client-id", ""),
        secret,
        refresh,
        said.get("scope") or (provider.scopes[flow] if provider else ""),
    )
    _checkFlow(found)
    return found


def showOAuth2(oauth2: OAuth2) -> dict[str, str]:
    """
    Give how tokens are had as it may be written; no secret is in it.
    """
    shown = {
        "token-url": oauth2.tokenURL,
        "flow": oauth2.flow.value,
        "client-id": oauth2.clientId,
    }
    shown |= showSource(oauth2.clientSecret, "client-secret")
    shown |= showSource(oauth2.refreshToken, "refresh-token")
    return shown | ({"scope": oauth2.scope} if oauth2.scope else {})


def _checked(table: object) -> Mapping[str, str]:
    if not isinstance(table, Mapping):
        raise ConfigurationError(
            "oauth2 is a table, such as { provider = ..., client-id = ... }"
        )
    for key, value in table.items():
        if key not in _KEYS:
            raise ConfigurationError(_noSuch(str(key)))
        isText = isinstance(value, str) and value.isprintable()
        if not isText or not 0 < len(value) <= MAX_TEXT:
            raise ConfigurationError(
                f"{key} of its oauth2 is empty, too long, or no line of text"
            )
    return table


def _noSuch(key: str) -> str:
    if key in (*_SECRETS, "password", "secret", "token"):
        name = key if key in _SECRETS else "client-secret"
        return (
            f"a {printable(key, 40)} never stands in its oauth2: write "
            f"{', '.join(keysOf(name)[:-1])} or {keysOf(name)[-1]}"
        )
    near = get_close_matches(key, _KEYS, 1)
    meant = f"; did you mean {near[0]}?" if near else ""
    return (
        f"{printable(key, 40)!r} is none of the keys of its oauth2, which are "
        f"{', '.join(_KEYS)}{meant}"
    )


def _providerOf(said: Mapping[str, str]) -> _Provider | None:
    name = said.get("provider")
    if (name is None) == ("token-url" not in said):
        raise ConfigurationError(
            f"its oauth2 needs one of provider ({' or '.join(_PROVIDERS)}) and "
            "token-url"
        )
    if name is not None and name not in _PROVIDERS:
        raise ConfigurationError(
            f"the provider of its oauth2 is one of {', '.join(_PROVIDERS)}, not "
            f"{printable(name, 40)!r}; for another one, write its token-url"
        )
    if "tenant" in said and name != "microsoft":
        raise ConfigurationError("a tenant is for the provider microsoft only")
    return None if name is None else _PROVIDERS[name]


def _flowOf(text: str) -> Flow:
    flow = _FLOWS.get(text)
    if flow is None:
        raise ConfigurationError(
            f"the flow of its oauth2 is one of {', '.join(_FLOWS)}, not "
            f"{printable(text, 40)!r}"
        )
    return flow


def _tokenURL(said: Mapping[str, str], provider: _Provider | None, flow: Flow) -> str:
    if provider is None:
        return _checkedURL(said["token-url"])
    tenant = said.get("tenant", "")
    if provider.tenant and flow is Flow.CLIENT_CREDENTIALS and not tenant:
        raise ConfigurationError(
            "the client credentials of its oauth2 are those of a directory: write "
            "tenant, the directory's name or number"
        )
    if tenant and not _TENANT.match(tenant):
        raise ConfigurationError(
            f"the tenant {printable(tenant, 40)!r} is neither a domain nor a number "
            "such as 12345678-90ab-cdef-1234-567890abcdef"
        )
    return provider.tokenURL.replace("TENANT", tenant or provider.tenant)


def _checkedURL(text: str) -> str:
    try:
        url = urlsplit(text)
        isURL = bool(url.hostname) and (url.port is None or url.port > 0)
    except ValueError:
        isURL = False
    if not isURL or url.scheme not in ("https", "http") or not text.isascii():
        raise ConfigurationError("the token-url of its oauth2 is no https URL")
    if "@" in url.netloc or url.fragment or " " in text:
        raise ConfigurationError(
            "the token-url of its oauth2 holds a user, a space, or a #"
        )
    if url.scheme == "http" and not _isLoopback(url.hostname or ""):
        # RFC 6749 3.2: what is said there are secrets.
        raise ConfigurationError(
            "the token-url of its oauth2 is not https: secrets go over it, and http is "
            "for servers on this machine only"
        )
    return text


def _isLoopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _checkFlow(found: OAuth2) -> None:
    if not found.clientId:
        raise ConfigurationError(
            "its oauth2 needs client-id: what the relay was registered as"
        )
    if found.flow is Flow.REFRESH_TOKEN and found.refreshToken is None:
        raise ConfigurationError(
            "the flow refresh-token of its oauth2 needs refresh-token-file, "
            "refresh-token-env or refresh-token-command"
        )
    if found.flow is Flow.CLIENT_CREDENTIALS and found.refreshToken is not None:
        raise ConfigurationError(
            "the flow client-credentials of its oauth2 has no refresh token: leave one "
            "of them out"
        )
    if found.flow is Flow.CLIENT_CREDENTIALS and found.clientSecret is None:
        raise ConfigurationError(
            "the flow client-credentials of its oauth2 needs client-secret-file, "
            "client-secret-env or client-secret-command"
        )
