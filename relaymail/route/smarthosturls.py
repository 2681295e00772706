# -*- test-case-name: relaymail.test.route.test_smarthosts -*-
"""
The URLs of smart hosts: what stands where in them.  What it means is in
L{relaymail.route.smarthosts}.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Protocol
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from relaymail.addresses import normalDomain
from relaymail.errors import ConfigurationError, MalformedAddress
from relaymail.replies import printable

#: The scheme of LMTP over TCP.
LMTP = "lmtp"
#: The scheme of LMTP over a UNIX socket.
UNIX = "lmtp+unix"
#: The schemes.
SCHEMES = ("smtp", "smtp+starttls", "smtps", LMTP, UNIX)

#: SMTP between hosts (RFC 5321 4.5.4.2).
RELAY_PORT = 25
#: LMTP, where nothing else is said: RFC 2033 5 says only that it is not 25, and 24
#: is where mail stores take it.
LMTP_PORT = 24
#: Submission (RFC 6409 3.1).
SUBMISSION_PORT = 587
#: Submission over TLS from the start (RFC 8314 3.3).
SUBMISSIONS_PORT = 465

#: How many settings may follow a smart host: there are no more.
MAX_SETTINGS = 6


class _Described(Protocol):
    """
    What a place is made of.
    """

    @property
    def name(self) -> str: ...
    @property
    def port(self) -> int | None: ...
    @property
    def implicitTLS(self) -> bool: ...
    @property
    def lmtp(self) -> bool: ...
    @property
    def path(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Place:
    """
    Where a smart host is.

    @ivar scheme: How it is spoken to, one of L{SCHEMES}.
    @ivar name: Its name or network address, empty for a socket.
    @ivar port: The port, where one is said.
    @ivar path: The path of a socket, empty for any other.
    @ivar user: The user, not decoded, where one is said.
    @ivar settings: What stands behind the C{?}.
    """

    scheme: str
    name: str
    port: int | None = None
    path: str = ""
    user: str | None = None
    settings: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, host: _Described) -> Place:
        """
        Say where a host is.
        """
        if host.path is not None:
            return cls(UNIX, "", path=host.path)
        usual = LMTP if host.lmtp else "smtp"
        scheme = "smtps" if host.implicitTLS else usual
        return cls(scheme, host.name, host.port)

    @property
    def mayBeClear(self) -> bool:
        """
        Whether its scheme says nothing of TLS.
        """
        return self.scheme in ("smtp", LMTP, UNIX)

    @property
    def url(self) -> str:
        """
        Its URL, without user and settings.
        """
        if self.scheme == UNIX:
            return f"{UNIX}://{quote(self.path)}"
        name = f"[{self.name}]" if ":" in self.name else self.name
        return f"{self.scheme}://{name}{'' if self.port is None else f':{self.port}'}"

    def portFor(self, hasUser: bool) -> int | None:
        """
        Give its port, L{None} for a socket.
        """
        if self.scheme == UNIX or self.port is not None:
            return self.port
        if self.scheme == "smtps":
            return SUBMISSIONS_PORT
        if self.scheme == LMTP:
            return LMTP_PORT
        return SUBMISSION_PORT if hasUser else RELAY_PORT


def placeOf(value: str) -> Place:
    """
    Take a description apart.

    @raise ConfigurationError: When that cannot be done, with the reason alone: no
        password is in it.
    """
    url = _split(value)
    if url.password is not None:
        raise ConfigurationError(
            "a password there shows in the list of processes; "
            "write password-file=PATH or password-env=NAME instead"
        )
    settings = tuple(_settings(url))
    if url.scheme == UNIX:
        return Place(UNIX, "", None, _socketPath(url), url.username, settings)
    if url.path not in ("", "/") or url.fragment:
        raise ConfigurationError("nothing but settings may follow the host and port")
    if url.port == 0:
        raise ConfigurationError("a port is a number from 1 to 65535")
    return Place(url.scheme, _hostName(url), url.port, "", url.username, settings)


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
        raise ConfigurationError("it holds a space or a control character")
    try:
        url = urlsplit(value if "://" in value else f"smtp://{value}")
        url.port  # noqa: B018 - reading it is what checks it
    except ValueError:
        url = None  # the error's words may hold the password
    if url is None or not (url.hostname or url.scheme == UNIX):
        raise ConfigurationError("write HOST, HOST:PORT, [IPv6]:PORT or a URL")
    if url.scheme not in SCHEMES:
        raise ConfigurationError(f"its scheme is none of {', '.join(SCHEMES)}")
    return url


def _settings(url: SplitResult) -> list[tuple[str, str]]:
    pairs = _pairs(url.query)
    if pairs is None:
        raise ConfigurationError("its settings are not NAME=VALUE, joined by &")
    if len(dict(pairs)) != len(pairs):
        raise ConfigurationError("a setting stands there twice")
    for name, said in pairs:
        if not said:
            raise ConfigurationError(f"its {printable(name, 40)} is empty")
    return pairs


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


def _hostName(url: SplitResult) -> str:
    name = url.hostname or ""
    try:
        return str(ip_address(name))
    except ValueError:
        pass
    try:
        return normalDomain(name)
    except MalformedAddress:
        pass
    raise ConfigurationError(f"{name!r} is neither a host name nor a network address")


def _socketPath(url: SplitResult) -> str:
    path = unquote(url.path)
    if url.hostname or url.port is not None or url.fragment or len(path) < 2:
        raise ConfigurationError(
            f"a socket is a path, which begins with a slash: write {UNIX}:///PATH"
        )
    if not path.isprintable():
        raise ConfigurationError("the path of its socket holds a control character")
    return path
