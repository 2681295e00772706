# -*- test-case-name: relaymail.test.endtoend.test_client -*-
"""
The client of the relay's control API: HTTP over its socket, or over TCP with a
token.
"""

from __future__ import annotations

import errno
import http.client
import json
import os
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from relaymail.cli.finding import Place
from relaymail.cli.output import note
from relaymail.cli.troubles import LATER, CommandError, NotNow, ServiceDown
from relaymail.cli.words import clean

#: How long the relay is waited for, in seconds: it answers within fractions of
#: one, but may be busy with a large mailing and a slow disk.
PATIENCE = 30.0
#: The largest answer that is read, in octets: the longest page of entries, each
#: with a reply, takes less.
MAX_ANSWER = 16 << 20
#: How much of a message is read at a time, in octets.
CHUNK = 1 << 16
#: The longest path of a socket that the system takes, in octets.
LONGEST_SOCKET = 107

# The addresses of this machine (RFC 1122 3.2.1.3).
_NEAR = re.compile(r"127(?:\.[0-9]{1,3}){3}\Z")

#: What is asked for: names and values, of which some stand several times.
Query = Mapping[str, "str | Sequence[str]"]


class SocketConnection(http.client.HTTPConnection):
    """
    A connection over a socket of this machine.
    """

    def __init__(self, path: str) -> None:
        """
        @param path: Where the socket is.
        """
        super().__init__("localhost", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        """
        Connect.
        """
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(self._path)


class Client:
    """
    Asks a relay.

    @ivar place: Where it is.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        if place.token is not None and isReadable(place.url):
            note(f"The token goes to {place.url} unencrypted: https:// would hide it.")

    def get(self, path: str, query: Query | None = None) -> Any:
        """
        Ask for something.

        @param path: What, below C{/v1/}; quoted where needed.

        @return: The document.

        @raise ServiceDown: When nobody answers there.
        @raise CommandError: When it is refused, or the answer is none.
        """
        return self._document("GET", path, query)

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """
        Let something be done.

        @param path: What, below C{/v1/}.
        @param body: What is said about it.

        @return: The document.

        @raise ServiceDown: When nobody answers there.
        @raise CommandError: When it is refused, or the answer is none.
        """
        data = json.dumps(body or {}).encode("ascii")
        return self._document("POST", path, None, data, "application/json")

    def send(self, path: str, query: Query, message: bytes) -> Any:
        """
        Give a message.

        @param path: Where, below C{/v1/}.
        @param message: Its content.

        @return: The document.
        """
        return self._document("POST", path, query, message, "message/rfc822")

    def content(self, path: str) -> Iterator[bytes]:
        """
        Ask for the content of a message.

        @param path: Which, below C{/v1/}.

        @return: Its pieces.
        """
        response = self._answer("GET", path, None)
        self._check(response)
        while piece := self._read(response, CHUNK):
            yield piece

    def _document(
        self,
        method: str,
        path: str,
        query: Query | None,
        body: bytes | None = None,
        kind: str = "",
    ) -> Any:
        response = self._answer(method, path, query, body, kind)
        self._check(response)
        return self._parsed(self._read(response, MAX_ANSWER + 1))

    def _answer(
        self,
        method: str,
        path: str,
        query: Query | None,
        body: bytes | None = None,
        kind: str = "",
    ) -> http.client.HTTPResponse:
        target = f"/v1/{path}"
        if query:
            target += f"?{urlencode(query, doseq=True)}"
        headers = {"Accept": "application/json"}
        if kind:
            headers["Content-Type"] = kind
        if self.place.token is not None:
            headers["Authorization"] = f"Bearer {self.place.token}"
        # A new one each time: one that was kept may have ended meanwhile.
        headers["Connection"] = "close"
        connection = connectionTo(self.place)
        try:
            connection.connect()
            # A relay that does not read all answers before it closes.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, target, body, headers)
            return connection.getresponse()
        except (OSError, http.client.HTTPException) as e:
            connection.close()
            raise self._trouble(e) from e

    def _read(self, response: http.client.HTTPResponse, most: int) -> bytes:
        try:
            return response.read(most)
        except (OSError, http.client.HTTPException) as e:
            raise self._trouble(e) from e

    def _parsed(self, text: bytes) -> Any:
        try:
            if len(text) > MAX_ANSWER:
                raise ValueError("it is too long")
            told = json.loads(text)
            if not isinstance(told, dict):
                raise ValueError("it is no object")
            return told
        except (ValueError, RecursionError) as e:
            raise CommandError(
                f"What answers at {self.where} is no relay of this version: {e}."
            ) from e

    def _check(self, response: http.client.HTTPResponse) -> None:
        """
        Raise what a refusal says.
        """
        if response.status < 400:
            return
        told: Any = None
        with suppress(ValueError, RecursionError):
            told = json.loads(self._read(response, MAX_ANSWER))
        said = told.get("error") if isinstance(told, dict) else None
        kind = RefusedNow if response.status == 503 else Refusal
        raise kind(
            response.status,
            clean(said or f"{response.status} {response.reason}")
            + TO_DO.get(response.status, ""),
        )

    def _trouble(self, error: Exception) -> CommandError:
        """
        Say why there is no answer.
        """
        if isinstance(error, TimeoutError):
            return NotNow(
                f"The relay at {self.where} did not answer within {PATIENCE:.0f} "
                "seconds. It may be busy: try again, and look at its log."
            )
        if isinstance(error, PermissionError):
            return CommandError(
                f"The control socket {self.where} may not be opened by this user: "
                "be the user that the relay runs as, or root."
            )
        if isinstance(error, OSError) and error.errno in _NOBODY:
            return ServiceDown(
                f"No relay answers at {self.where} ({os.strerror(error.errno or 0)}). "
                "Start it with `relaymail serve`, or name its configuration with "
                "--config."
            )
        what = clean(error) or type(error).__name__
        return ServiceDown(f"No relay answers at {self.where}: {what}.")

    @property
    def where(self) -> str:
        """
        Where the relay is asked, for errors.
        """
        return self.place.url or self.place.socket


#: What tells that nobody is there.
_NOBODY = frozenset(
    {errno.ENOENT, errno.ECONNREFUSED, errno.ENOTSOCK, errno.ENOTDIR, errno.ECONNRESET}
)

#: What to do when it is refused, where the relay cannot know that.
TO_DO = {401: " Name the file with the token with --token-file."}


class Refusal(CommandError):
    """
    The relay says no.

    @ivar status: The status of HTTP (RFC 9110 15).
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class RefusedNow(Refusal, NotNow):
    """
    The relay says no, and may say yes later.
    """

    exit_code = LATER


def connectionTo(place: Place) -> http.client.HTTPConnection:
    """
    Make a connection, that is not yet connected.

    @raise CommandError: When there is no way to it.
    """
    if place.url is None:
        if len(os.fsencode(place.socket)) > LONGEST_SOCKET:
            raise CommandError(
                f"The path of the control socket {place.socket} is longer than "
                f"{LONGEST_SOCKET} octets, which the system does not take: name a "
                "shorter one as socket in [control]."
            )
        return SocketConnection(place.socket)
    try:
        parts = urlsplit(place.url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https") or parts.path.strip("/"):
        raise CommandError(
            f"{place.url!r} is not where a relay is asked: write http://HOST:PORT or "
            "https://HOST:PORT."
        )
    if parts.scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=PATIENCE)
    return http.client.HTTPSConnection(host, port, timeout=PATIENCE)


def isReadable(url: str | None) -> bool:
    """
    Tell whether what is sent there can be read on the way.
    """
    if not url:
        return False
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        # It is refused before anything is sent.
        return False
    # Not what only begins like an address of this machine.
    isNear = host in ("localhost", "::1") or _NEAR.match(host) is not None
    return parts.scheme == "http" and not isNear


def quoted(name: str) -> str:
    """
    Quote a name so that it is one step of a path.
    """
    return quote(name, safe="")
