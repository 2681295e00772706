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

After the port may stand C{?} and, joined by C{&}: C{password-file=PATH} or
C{password-env=NAME} or C{password-command=COMMAND} (where the password is),
C{tls=never}, C{offered},
C{encrypted} or C{verified}, C{ca-file=PATH} (whom to trust) and C{auth=clear}
(give the password without TLS, too).

As a table it has C{url}, the first part, and the settings and C{user} beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, NoReturn
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from relaymail.addresses import normalDomain
from relaymail.errors import ConfigurationError, MalformedAddress
from relaymail.replies import printable
from relaymail.route.hosts import Credentials, Host, TLSNeed
from relaymail.route.passwords import MAX_PASSWORD as MAX_PASSWORD
from relaymail.route.passwords import PasswordKind as PasswordKind
from relaymail.route.passwords import PasswordSource as PasswordSource
from relaymail.route.passwords import ReadPassword as ReadPassword
from relaymail.route.passwords import readSecretOf

#: SMTP between hosts (RFC 5321 4.5.4.2).
RELAY_PORT = 25
#: Submission (RFC 6409 3.1).
SUBMISSION_PORT = 587
#: Submission over TLS from the start (RFC 8314 3.3).
SUBMISSIONS_PORT = 465

#: How many settings may follow a smart host: there are no more.
MAX_SETTINGS = 6


@dataclass(frozen=True, slots=True)
class SmartHost:
    """
    A smart host as it was described; no secret is in it.

    @ivar name: Its name or network address.
    @ivar port: The port.
    @ivar tls: What a session with it needs.
    @ivar implicitTLS: Whether TLS starts with the connection.
    @ivar user: Who to be there, if anybody.
    @ivar password: Where that user's password is.
    @ivar authInClear: Whether the password may be sent without TLS.
    @ivar caFile: The file of trusted certificates, if not the system's.
    """

    name: str
    port: int
    tls: TLSNeed = TLSNeed.OFFERED
    implicitTLS: bool = False
    user: str | None = None
    password: PasswordSource | None = None
    authInClear: bool = False
    caFile: str | None = None


_SCHEMES = ("smtp", "smtp+starttls", "smtps")
_SOURCES = {
    "password-file": PasswordKind.FILE,
    "password-env": PasswordKind.ENVIRONMENT,
    "password-command": PasswordKind.COMMAND,
}
_SETTINGS = (*_SOURCES, "tls", "auth", "ca-file")
#: What is in a table besides.
_KEYS = ("url", "user", *_SETTINGS)
#: What somebody may call a secret.
_SECRETS = ("password", "pass", "passwd", "secret", "token")
_NEEDS = {need.name.lower(): need for need in TLSNeed}


def parseSmartHost(value: str) -> SmartHost:
    """
    Read the description of a smart host.

    @param value: The description; see the top of this module.

    @return: What it says.

    @raise ConfigurationError: When it cannot be used. A password that was
        written into it is not in the message.
    """
    url = _split(value)
    user = unquote(url.username) if url.username is not None else None
    return _smartHost(url, user, _settings(url, value), value)


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
        if not isinstance(said, str) or not said:
            _refuse(value, f"its {key} is empty, or no text")
    url = _split(value)
    if url.query:
        _refuse(value, "in a table its settings stand beside the url, not in it")
    user = table.get("user")
    if url.username is not None:
        if user is not None:
            _refuse(value, "its user stands in the url and beside it")
        user = unquote(url.username)
    settings = {name: said for name, said in table.items() if name in _SETTINGS}
    return _smartHost(url, user, _checked(settings, value), value)


def showSmartHost(smart: SmartHost | Host) -> str | dict[str, str]:
    """
    Give a smart host as it may be written: no secret is in it.

    @return: A URL, or a table as L{parseSmartHostTable} reads it.
    """
    name = f"[{smart.name}]" if ":" in smart.name else smart.name
    scheme = "smtps" if smart.implicitTLS else "smtp"
    port = "" if smart.port is None else f":{smart.port}"
    table = {"url": f"{scheme}://{name}{port}"}
    if isinstance(smart, SmartHost):
        table |= _shownLogin(smart)
    elif smart.credentials is not None:
        table["user"] = smart.credentials.user
    if smart.authInClear:
        table["auth"] = "clear"
    if smart.tls is not _usualNeed(scheme, "user" in table, smart.authInClear):
        table["tls"] = smart.tls.name.lower()
    if smart.caFile is not None:
        table["ca-file"] = smart.caFile
    return table if len(table) > 1 else table["url"]


def _shownLogin(smart: SmartHost) -> dict[str, str]:
    login = {} if smart.user is None else {"user": smart.user}
    if smart.password is not None:
        names = {kind: name for name, kind in _SOURCES.items()}
        login[names[smart.password.kind]] = smart.password.where
    return login


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
    url: SplitResult, user: str | None, settings: dict[str, str], value: str
) -> SmartHost:
    if user is not None and not user.isprintable():
        _refuse(value, "its user holds a control character")
    password = _passwordSource(settings, user, value)
    hasUser = user is not None
    return SmartHost(
        name=_hostName(url, value),
        port=_port(url, hasUser, value),
        tls=_need(url.scheme, hasUser, settings, value),
        implicitTLS=url.scheme == "smtps",
        user=user,
        password=password,
        authInClear="auth" in settings,
        caFile=settings.get("ca-file"),
    )


def toHost(smart: SmartHost, readPassword: ReadPassword) -> Host:
    """
    Make a host to deliver to of a smart host.

    @param smart: The smart host.
    @param readPassword: Reads its password, where it has one.

    @raise ConfigurationError: When the password cannot be read, or there is
        nothing in it.
    """
    return Host(
        name=smart.name,
        port=smart.port,
        tls=smart.tls,
        implicitTLS=smart.implicitTLS,
        credentials=_credentials(smart, readPassword),
        named=True,
        authInClear=smart.authInClear,
        caFile=smart.caFile,
    )


def redacted(value: str) -> str:
    """
    Give a smart host's description as it may be shown: one line, and nothing
    of what might be a password.

    @param value: The description.
    """
    scheme, mark, rest = value.partition("://") if "://" in value else ("", "", value)
    before, at, after = rest.rpartition("@")
    user, colon, _ = before.partition(":")
    host, query, _ = after.partition("?")
    hidden = f"{user}:…" if colon else user
    return printable(f"{scheme}{mark}{hidden}{at}{host}{'?…' if query else ''}", 200)


def _split(value: str) -> SplitResult:
    if not value.isprintable() or " " in value:
        _refuse(value, "it holds a space or a control character")
    try:
        url = urlsplit(value if "://" in value else f"smtp://{value}")
        url.port  # noqa: B018 - reading it is what checks it
    except ValueError:
        url = None  # the error's words may hold the password
    if url is None or not url.hostname:
        _refuse(value, "write HOST, HOST:PORT, [IPv6]:PORT or a URL")
    if url.scheme not in _SCHEMES:
        _refuse(value, f"its scheme is none of {', '.join(_SCHEMES)}")
    if url.password is not None:
        _refuse(
            value,
            "a password there shows in the list of processes; "
            "write password-file=PATH or password-env=NAME instead",
        )
    if url.path not in ("", "/") or url.fragment:
        _refuse(value, "nothing but settings may follow the host and port")
    return url


def _settings(url: SplitResult, value: str) -> dict[str, str]:
    pairs = _pairs(url.query)
    if pairs is None:
        _refuse(value, "its settings are not NAME=VALUE, joined by &")
    settings = dict(pairs)
    if len(settings) != len(pairs):
        _refuse(value, "a setting stands there twice")
    for name, said in pairs:
        if name in _SECRETS:
            _refuseKey(value, name)
        if name not in _SETTINGS:
            _refuse(value, f"its settings are {', '.join(_SETTINGS)}, not {name!r}")
        if not said:
            _refuse(value, f"its {name} is empty")
    return _checked(settings, value)


def _checked(settings: dict[str, str], value: str) -> dict[str, str]:
    if settings.get("auth", "clear") != "clear":
        _refuse(value, "the only value of auth is clear")
    return settings


def _pairs(query: str) -> list[tuple[str, str]] | None:
    try:
        return parse_qsl(
            query,
            keep_blank_values=True,
            strict_parsing=bool(query),
            max_num_fields=MAX_SETTINGS,
        )
    except ValueError:
        return None  # the error's words may hold a password


def _hostName(url: SplitResult, value: str) -> str:
    name = url.hostname or ""
    try:
        return str(ip_address(name))
    except ValueError:
        pass
    try:
        return normalDomain(name)
    except MalformedAddress:
        _refuse(value, f"{name!r} is neither a host name nor a network address")


def _port(url: SplitResult, hasUser: bool, value: str) -> int:
    if url.port == 0:
        _refuse(value, "a port is a number from 1 to 65535")
    if url.port is not None:
        return url.port
    if url.scheme == "smtps":
        return SUBMISSIONS_PORT
    return SUBMISSION_PORT if hasUser else RELAY_PORT


def _usualNeed(scheme: str, hasUser: bool, inClear: bool) -> TLSNeed:
    """
    Say what the session needs when nothing is said.

    A password is never given over TLS whose certificate was not looked at
    unless the operator says so, and a host that wants one takes no mail
    without it: so a user makes a valid certificate the need.
    """
    weak = scheme == "smtp" and (not hasUser or inClear)
    return TLSNeed.OFFERED if weak else TLSNeed.VERIFIED


def _need(scheme: str, hasUser: bool, settings: dict[str, str], value: str) -> TLSNeed:
    said = settings.get("tls")
    if said is None:
        return _usualNeed(scheme, hasUser, "auth" in settings)
    need = _NEEDS.get(said)
    if need is None:
        _refuse(value, f"the values of tls are {', '.join(_NEEDS)}")
    if scheme != "smtp" and need in (TLSNeed.NEVER, TLSNeed.OFFERED):
        _refuse(value, f"tls={said} contradicts {scheme}")
    if need is TLSNeed.NEVER and hasUser and "auth" not in settings:
        _refuse(value, "without TLS the password is sent only with auth=clear")
    return need


def _passwordSource(
    settings: dict[str, str], user: str | None, value: str
) -> PasswordSource | None:
    found = [
        PasswordSource(kind, settings[name])
        for name, kind in _SOURCES.items()
        if name in settings
    ]
    if len(found) > 1:
        _refuse(value, "its password is in one place: a file, a variable or a command")
    if user == "":
        _refuse(value, "its user is empty")
    if user is not None and not found:
        _refuse(
            value,
            "a user needs password-file=PATH, password-env=NAME or "
            "password-command=COMMAND",
        )
    if user is None and (found or "auth" in settings):
        _refuse(value, "a password needs its user: write USER@HOST, or user")
    return found[0] if found else None


def _credentials(smart: SmartHost, readPassword: ReadPassword) -> Credentials | None:
    if smart.user is None or smart.password is None:
        return None
    told = f"The password for {smart.user} at {smart.name}"
    password = readSecretOf(smart.password, readPassword, told)
    return Credentials(smart.user, password)


def _refuse(value: str, why: str) -> NoReturn:
    raise ConfigurationError(f"{redacted(value)!r} is not a smart host: {why}")
