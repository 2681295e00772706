# -*- test-case-name: relaymail.test.route.test_smarthosts -*-
"""
Smart hosts, as an operator writes them.

  - C{HOST[:PORT]}: the same as C{smtp://HOST[:PORT]}.
  - C{smtp://HOST[:PORT]}: TLS where the host offers it, port 25.
  - C{smtp://USER@HOST[:PORT]}: TLS with a valid certificate, because of the
    password; port 587.
  - C{smtp+starttls://[USER@]HOST[:PORT]}: TLS with a valid certificate; port
    25, or 587 with a user.
  - C{smtps://[USER@]HOST[:PORT]}: the same from the first byte (RFC 8314 3);
    port 465.
  - C{lmtp://[USER@]HOST[:PORT]}: a mail store (RFC 2033), as C{smtp://}; port 24.
  - C{lmtp+unix:///PATH}: a mail store on this machine, by its socket.

After that may stand C{?} and, joined by C{&}: C{password-file=PATH} or
C{password-env=NAME} or C{password-command=COMMAND} (where the password is),
C{tls=never}, C{offered},
C{encrypted} or C{verified}, or the levels C{none}, C{opportunistic}, C{encrypt} and
C{verify}, which mean the same, C{ca-file=PATH} (whom to trust), C{client-cert=PATH} and
C{client-key=PATH} (the certificate that this relay shows, and its key) and
C{auth=clear} (give the password without TLS, too).

As a table it has C{url}, the first part, and the settings and C{user} beside it;
and, instead of a password, C{oauth2}: L{relaymail.route.oauth2accounts}.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import unquote

from relaymail.errors import ConfigurationError
from relaymail.replies import printable
from relaymail.route.hosts import Bearer, Credentials, Host, TLSNeed
from relaymail.route.oauth2accounts import OAuth2, parseOAuth2, showOAuth2
from relaymail.route.passwords import PasswordKind as PasswordKind
from relaymail.route.passwords import (
    PasswordSource,
    ReadPassword,
    keysOf,
    readSecretOf,
    showSource,
    sourceIn,
)
from relaymail.route.smarthosturls import LMTP, UNIX, Place, placeOf, redacted

if TYPE_CHECKING:
    from relaymail.identities import ITokens

#: The longest path of a socket, in bytes: what the system's address has room for.
MAX_PATH = 107


@dataclass(frozen=True, slots=True)
class SmartHost:
    """
    A smart host as it was described; no secret is in it.

    @ivar name: Its name or network address; of a socket, its path.
    @ivar port: The port; L{None} for a socket.
    @ivar tls: What a session with it needs.
    @ivar implicitTLS: Whether TLS starts with the connection.
    @ivar user: Who to be there, if anybody.
    @ivar password: Where that user's password is.
    @ivar authInClear: Whether the password may be sent without TLS.
    @ivar caFile: The file of trusted certificates, if not the system's.
    @ivar certFile: The file of the certificate that this relay shows there, if any.
    @ivar keyFile: The file of its key.
    @ivar lmtp: Whether LMTP is spoken there.
    @ivar path: The path of its UNIX socket, where it has no network address.
    @ivar oauth2: How the tokens are had that it wants instead of a password.
    """

    name: str
    port: int | None
    tls: TLSNeed = TLSNeed.OFFERED
    implicitTLS: bool = False
    user: str | None = None
    password: PasswordSource | None = None
    authInClear: bool = False
    caFile: str | None = None
    lmtp: bool = False
    path: str | None = None
    oauth2: OAuth2 | None = None
    certFile: str | None = None
    keyFile: str | None = None

    @property
    def secrets(self) -> tuple[PasswordSource, ...]:
        """
        Where its secrets are, all of them.
        """
        found = [self.password]
        if self.oauth2 is not None:
            found += [self.oauth2.clientSecret, self.oauth2.refreshToken]
        return tuple(source for source in found if source is not None)


#: Gives the tokens of a user, by what is said of them, the client's secret and the
#: first refresh token.
TokensFor = Callable[[str, OAuth2, "bytes | None", "bytes | None"], "ITokens"]

_OWN = ("client-cert", "client-key")
_SETTINGS = (*keysOf("password"), "tls", "auth", "ca-file", *_OWN)
#: What is in a table besides.
_KEYS = ("url", "user", "oauth2", *_SETTINGS)
#: What somebody may call a secret.
_SECRETS = ("password", "pass", "passwd", "secret", "token")
#: TLSA records are looked up for the hosts of destinations only.
_NEEDS = {need.name.lower(): need for need in TLSNeed if need is not TLSNeed.DANE}
#: The levels of mail for destinations that mean the same.
_NEEDS |= {
    "none": TLSNeed.NEVER,
    "opportunistic": TLSNeed.OFFERED,
    "encrypt": TLSNeed.ENCRYPTED,
    "verify": TLSNeed.VERIFIED,
}


def parseSmartHost(value: str) -> SmartHost:
    """
    Read the description of a smart host.

    @param value: The description; see the top of this module.

    @return: What it says.

    @raise ConfigurationError: When it cannot be used. A password that was
        written into it is not in the message.
    """
    place = _placeOf(value)
    for name, _ in place.settings:
        if name in _SECRETS:
            _refuseKey(value, name)
        if name not in _SETTINGS:
            _refuse(value, f"its settings are {', '.join(_SETTINGS)}, not {name!r}")
    user = unquote(place.user) if place.user is not None else None
    return _smartHost(place, user, dict(place.settings), None, value)


def parseSmartHostTable(table: Mapping[str, Any]) -> SmartHost:
    """
    Read the description of a smart host that is a table.

    @param table: C{url}, and C{user} and settings beside it.

    @raise ConfigurationError: When it cannot be used.  A password that was
        written into it is not in the message.
    """
    value = table.get("url")
    if not isinstance(value, str):
        raise ConfigurationError(
            "a smart host needs its url, such as smtps://mail.example.com"
        )
    for key, said in table.items():
        if key not in _KEYS:
            _refuseKey(value, key)
        if key != "oauth2" and (not isinstance(said, str) or not said):
            _refuse(value, f"its {key} is empty, or no text")
    place = _placeOf(value)
    if place.settings:
        _refuse(value, "in a table its settings stand beside the url, not in it")
    user = table.get("user")
    if place.user is not None:
        if user is not None:
            _refuse(value, "its user stands in the url and beside it")
        user = unquote(place.user)
    settings = {name: said for name, said in table.items() if name in _SETTINGS}
    return _smartHost(place, user, settings, _oauth2In(table, value), value)


def showSmartHost(smart: SmartHost | Host) -> str | dict[str, Any]:
    """
    Give a smart host as it may be written: no secret is in it.

    @return: A URL, or a table as L{parseSmartHostTable} reads it.
    """
    place = Place.of(smart)
    table: dict[str, Any] = {"url": place.url}
    if isinstance(smart, SmartHost):
        table |= _shownLogin(smart)
    elif smart.credentials is not None:
        table["user"] = smart.credentials.user
    if smart.authInClear:
        table["auth"] = "clear"
    if smart.tls is not _usualNeed(place, "user" in table, smart.authInClear):
        table["tls"] = smart.tls.name.lower()
    if smart.caFile is not None:
        table["ca-file"] = smart.caFile
    own = zip(_OWN, (smart.certFile, smart.keyFile), strict=True)
    table |= {name: path for name, path in own if path is not None}
    return table if len(table) > 1 else place.url


def toHost(
    smart: SmartHost,
    readPassword: ReadPassword,
    tokensFor: TokensFor | None = None,
) -> Host:
    """
    Make a host to deliver to of a smart host.

    @param smart: The smart host.
    @param readPassword: Reads its password, where it has one.
    @param tokensFor: Gives its tokens, where it wants those.

    @raise ConfigurationError: When the password cannot be read, or there is
        nothing in it.
    """
    return Host(
        name=smart.name,
        port=smart.port,
        tls=smart.tls,
        implicitTLS=smart.implicitTLS,
        credentials=_credentials(smart, readPassword, tokensFor),
        named=True,
        authInClear=smart.authInClear,
        caFile=smart.caFile,
        certFile=smart.certFile,
        keyFile=smart.keyFile,
        lmtp=smart.lmtp,
        path=smart.path,
    )


def _placeOf(value: str) -> Place:
    try:
        return placeOf(value)
    except ConfigurationError as e:
        why = str(e)
    # Outside of the handler: what was raised first may hold a password.
    _refuse(value, why)


def _shownLogin(smart: SmartHost) -> dict[str, Any]:
    login: dict[str, Any] = {} if smart.user is None else {"user": smart.user}
    if smart.oauth2 is not None:
        login["oauth2"] = showOAuth2(smart.oauth2)
    return login | showSource(smart.password, "password")


def _oauth2In(table: Mapping[str, Any], value: str) -> OAuth2 | None:
    if "oauth2" not in table:
        return None
    try:
        return parseOAuth2(table["oauth2"])
    except ConfigurationError as e:
        _refuse(value, str(e))


def _refuseKey(value: str, key: str) -> NoReturn:
    if key in _SECRETS:
        _refuse(
            value,
            f"a {key} never stands there: write password-file, password-env or "
            "password-command",
        )
    from difflib import get_close_matches

    near = get_close_matches(key, _KEYS, 1)
    meant = f"; did you mean {near[0]}?" if near else ""
    _refuse(
        value,
        f"{printable(key, 40)!r} is none of its keys, which are "
        f"{', '.join(_KEYS)}{meant}",
    )


def _smartHost(
    place: Place,
    user: str | None,
    settings: dict[str, str],
    oauth2: OAuth2 | None,
    value: str,
) -> SmartHost:
    if user is not None and not user.isprintable():
        _refuse(value, "its user holds a control character")
    password = _passwordSource(settings, user, oauth2, value)
    hasUser = user is not None
    if settings.get("auth", "clear") != "clear":
        _refuse(value, "the only value of auth is clear")
    if place.scheme == UNIX:
        _checkSocket(place, hasUser, settings, value)
    need = _need(place, hasUser, settings, value)
    _checkOwn(need, settings, value)
    return SmartHost(
        name=place.path or place.name,
        port=place.portFor(hasUser),
        tls=need,
        implicitTLS=place.scheme == "smtps",
        user=user,
        password=password,
        authInClear="auth" in settings,
        caFile=settings.get("ca-file"),
        certFile=settings.get("client-cert"),
        keyFile=settings.get("client-key"),
        lmtp=place.scheme in (LMTP, UNIX),
        path=place.path or None,
        oauth2=oauth2,
    )


def _checkSocket(
    place: Place, hasUser: bool, settings: Mapping[str, str], value: str
) -> None:
    """
    Refuse what makes no sense of a socket: who may use it is by its permissions,
    and nobody is in between.
    """
    if len(place.path.encode("utf-8", "surrogateescape")) > MAX_PATH:
        _refuse(value, f"the path of a socket has {MAX_PATH} bytes at most")
    need = _NEEDS.get(settings.get("tls", "never"))
    if need is not TLSNeed.NEVER or not settings.keys().isdisjoint(("ca-file", *_OWN)):
        _refuse(
            value,
            "there is no TLS over a socket of this machine: leave tls, ca-file, "
            "client-cert and client-key out",
        )
    if hasUser and "auth" not in settings:
        _refuse(value, "over a socket the password is sent only with auth=clear")


def _checkOwn(need: TLSNeed, settings: Mapping[str, str], value: str) -> None:
    said = [name for name in _OWN if name in settings]
    if len(said) == 1:
        _refuse(
            value,
            "a certificate and its key belong together: name both client-cert and "
            "client-key",
        )
    if said and need is TLSNeed.NEVER:
        _refuse(value, "without TLS no certificate is shown: leave client-cert out")


def _usualNeed(place: Place, hasUser: bool, inClear: bool) -> TLSNeed:
    """
    Say what the session needs when nothing is said.

    A password is never given over TLS whose certificate was not looked at
    unless the operator says so, and a host that wants one takes no mail
    without it: so a user makes a valid certificate the need.
    """
    if place.scheme == UNIX:
        return TLSNeed.NEVER
    weak = place.mayBeClear and (not hasUser or inClear)
    return TLSNeed.OFFERED if weak else TLSNeed.VERIFIED


def _need(
    place: Place, hasUser: bool, settings: Mapping[str, str], value: str
) -> TLSNeed:
    said = settings.get("tls")
    if said is None:
        return _usualNeed(place, hasUser, "auth" in settings)
    need = _NEEDS.get(said)
    if need is None:
        more = "; TLSA records are looked up for the hosts of destinations only"
        isDANE = said.startswith(TLSNeed.DANE.name.lower())
        _refuse(value, f"the values of tls are {', '.join(_NEEDS)}{more * isDANE}")
    if not place.mayBeClear and need in (TLSNeed.NEVER, TLSNeed.OFFERED):
        _refuse(value, f"tls={said} contradicts {place.scheme}")
    if need is TLSNeed.NEVER and hasUser and "auth" not in settings:
        _refuse(value, "without TLS the password is sent only with auth=clear")
    return need


def _passwordSource(
    settings: Mapping[str, str],
    user: str | None,
    oauth2: OAuth2 | None,
    value: str,
) -> PasswordSource | None:
    try:
        found = sourceIn(settings, "password")
    except ConfigurationError as e:
        _refuse(value, str(e))
    if user == "":
        _refuse(value, "its user is empty")
    if found is not None and oauth2 is not None:
        _refuse(value, "it has a password and oauth2: a token stands for a password")
    if user is not None and found is None and oauth2 is None:
        _refuse(
            value,
            "a user needs password-file=PATH, password-env=NAME or "
            "password-command=COMMAND, or, in a table, oauth2",
        )
    if user is None and oauth2 is not None:
        _refuse(value, "oauth2 needs the user whose mailbox it is: write user")
    if user is None and (found or "auth" in settings):
        _refuse(value, "a password needs its user: write USER@HOST, or user")
    return found


def _credentials(
    smart: SmartHost, readPassword: ReadPassword, tokensFor: TokensFor | None
) -> Credentials | Bearer | None:
    if smart.user is None:
        return None
    told = f"for {smart.user} at {smart.name}"
    oauth2 = smart.oauth2
    if oauth2 is not None:
        secret, refresh = (
            None
            if source is None
            else readSecretOf(source, readPassword, f"The {name} {told}")
            for name, source in (
                ("client secret", oauth2.clientSecret),
                ("refresh token", oauth2.refreshToken),
            )
        )
        tokens: Any = tokensFor and tokensFor(smart.user, oauth2, secret, refresh)
        return Bearer(smart.user, oauth2.accountOf(smart.user), tokens)
    if smart.password is None:
        return None
    password = readSecretOf(smart.password, readPassword, f"The password {told}")
    return Credentials(smart.user, password)


def _refuse(value: str, why: str) -> NoReturn:
    raise ConfigurationError(f"{redacted(value)!r} is not a smart host: {why}")
