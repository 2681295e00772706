# -*- test-case-name: relaymail.test.cli.test_giving -*-
"""
How a program of this machine gives a message to the relay: by the control socket
where it may open that, else by SMTP, else into the drop directory.

A way that cannot be gone, or says not now, is followed by the next.  What is
refused for good is refused; and where it is not known whether a message was taken,
nothing else is tried, for that would be a second copy.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from relaymail.cli.words import clean
from relaymail.errors import QueueError

if TYPE_CHECKING:
    import http.client

    from relaymail.configuration import Configuration

#: Exit codes (sysexits).
OK = 0
USAGE = 64
DATA = 65
NO_USER = 67
UNAVAILABLE = 69
OS_ERROR = 71
LATER = 75
CONFIG = 78

#: How long the relay may take for an answer, in seconds.
PATIENCE = 60.0
#: The longest target of a request, in octets: servers read lines of 16 KiB.
MAX_TARGET = 12_000
#: The longest answer that is read, in octets: a name for each recipient.
MAX_ANSWER = 1 << 20

_CREATED = 201
_REFUSED = frozenset({400, 413, 415, 422})
_SPLIT = re.compile(r"(?<!\\):")


class NotGiven(Exception):
    """
    The message was not taken.

    @ivar code: What the command exits with.
    """

    def __init__(self, code: int, why: str) -> None:
        super().__init__(clean(why))
        self.code = code


class NotThisWay(Exception):
    """
    The message was not taken this way, and may be another.
    """


@dataclass(frozen=True, slots=True)
class Message:
    """
    What is to be given.

    @ivar sender: The reverse-path, empty for none.
    @ivar recipients: The forward-paths.
    @ivar content: The message.
    @ivar token: What tells it from all others: random, hexadecimal.
    """

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    token: str


@dataclass(frozen=True, slots=True)
class Ways:
    """
    How the relay can be reached.

    @ivar socket: The path of its control socket, or empty.
    @ivar smtp: The host and port where it takes mail, or L{None}.
    @ivar drop: The drop directory, or L{None}.
    """

    socket: str
    smtp: tuple[str, int] | None
    drop: str | None


def waysOf(configuration: Configuration) -> Ways:
    """
    Give how the relay of a configuration can be reached from this machine.
    """
    smtp = smtpAddress(configuration.intake.smtp)
    if smtp is not None and configuration.intake.proxies:
        from relaymail.intake.networks import Networks

        # Who talks to an address of its own talks from it, and we send no PROXY
        # header.
        if Networks(configuration.intake.proxies).has(smtp[0]):
            smtp = None
    return Ways(configuration.controlSocket, smtp, configuration.machines.drop)


def give(ways: Ways, message: Message) -> list[str]:
    """
    Give a message to the relay.

    @return: The names that it has in the queue; none where it was only dropped.

    @raise NotGiven: When it was not taken, or nobody knows.
    """
    tried = []
    for way in _waysFor(ways):
        try:
            return way(message)
        except NotThisWay as e:
            tried.append(str(e))
    if ways.drop is None:
        tried.append("no drop directory is configured")
    raise NotGiven(
        LATER, f"the message was not taken, try again later: {'; '.join(tried)}"
    )


def _waysFor(ways: Ways) -> Iterator[Callable[[Message], list[str]]]:
    socket, smtp, drop = ways.socket, ways.smtp, ways.drop
    if socket:
        yield lambda message: bySocket(socket, message)
    if smtp is not None:
        yield lambda message: bySMTP(smtp, message)
    if drop is not None:
        yield lambda message: byDrop(drop, message)


def bySocket(path: str, message: Message) -> list[str]:
    """
    Give a message by the control socket.

    @raise NotThisWay: When that cannot be opened, or says not now.
    @raise NotGiven: When the message is refused, or nobody knows.
    """
    from relaymail.cli.client import SocketConnection

    query = [("sender", message.sender)]
    query += [("recipient", recipient) for recipient in message.recipients]
    target = f"/v1/messages?{urlencode(query)}"
    if len(target) > MAX_TARGET:
        raise NotThisWay("the control socket takes no so many recipients")
    connection = SocketConnection(path)
    connection.timeout = PATIENCE
    try:
        connection.connect()
    except (OSError, ValueError) as e:
        raise NotThisWay(f"the control socket {path}: {_why(e)}") from e
    try:
        return _posted(connection, target, message)
    finally:
        connection.close()


def _posted(
    connection: http.client.HTTPConnection, target: str, message: Message
) -> list[str]:
    import http.client

    headers = {"Content-Type": "message/rfc822", "Accept": "application/json"}
    try:
        # What is refused is refused before it is read.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.request("POST", target, message.content, headers)
        response = connection.getresponse()
        body = response.read(MAX_ANSWER)
    except (OSError, http.client.HTTPException) as e:
        raise NotGiven(
            LATER,
            "the relay gave no answer, so that it may have the message or not "
            f"({_why(e)}); look at its queue before you send it again",
        ) from e
    return _judged(response.status, _document(body))


def _judged(status: int, document: dict[str, Any]) -> list[str]:
    if status == _CREATED:
        return [str(name) for name in document.get("ids") or ()]
    why = clean(document.get("error") or f"the status {status}")
    if status in _REFUSED:
        raise NotGiven(DATA, f"the relay refused the message: {why}")
    raise NotThisWay(f"the control socket: {why}")


def _document(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def bySMTP(address: tuple[str, int], message: Message) -> list[str]:
    """
    Give a message by SMTP: to all its recipients, or to none.

    @raise NotThisWay: When nobody is there, or says not now.
    @raise NotGiven: When the message is refused, or nobody knows.
    """
    # It takes a while to import, and is seldom needed.
    import smtplib

    where = f"{address[0]}:{address[1]}"
    try:
        session = smtplib.SMTP(*address, local_hostname="localhost", timeout=PATIENCE)
    except (OSError, smtplib.SMTPException) as e:
        raise NotThisWay(f"SMTP at {where}: {_why(e)}") from e
    hasBegun = False
    try:
        _expect(where, *session.ehlo())
        body = () if message.content.isascii() else ("BODY=8BITMIME",)
        _expect(where, *session.mail(message.sender, body))
        for recipient in message.recipients:
            _expect(where, *session.rcpt(recipient))
        hasBegun = True
        try:
            reply = session.data(message.content)
        except smtplib.SMTPDataError as e:
            reply = (e.smtp_code, e.smtp_error)  # type: ignore[assignment]
        _expect(where, *reply)
        return _namesIn(reply[1])
    except (OSError, smtplib.SMTPException) as e:
        if not hasBegun:
            raise NotThisWay(f"SMTP at {where}: {_why(e)}") from e
        raise NotGiven(
            LATER,
            f"the relay at {where} gave no answer, so that it may have the message or "
            f"not ({_why(e)}); look at its queue before you send it again",
        ) from e
    finally:
        session.close()


def byDrop(directory: str, message: Message) -> list[str]:
    """
    Leave a message in the drop directory.

    @raise NotThisWay: When it cannot be left there.
    """
    from relaymail.dropping.files import write

    try:
        write(
            directory,
            message.sender,
            message.recipients,
            message.content,
            message.token,
        )
    except (QueueError, OSError) as e:
        raise NotThisWay(f"the drop directory: {_why(e)}") from e
    return []


def smtpAddress(endpoints: Sequence[str]) -> tuple[str, int] | None:
    """
    Find where a relay takes mail from this machine.

    @param endpoints: Its endpoints, as Twisted describes them.

    @return: A host and a port, or L{None}.
    """
    found = None
    for endpoint in endpoints:
        kind, *parts = (
            part.replace("\\:", ":").replace("\\\\", "\\")
            for part in _SPLIT.split(endpoint)
        )
        named = dict(part.split("=", 1) for part in parts if "=" in part)
        port = named.get("port") or next((p for p in parts if "=" not in p), "")
        if kind not in ("tcp", "tcp6") or not port.isdecimal():
            continue
        host = _loopback(named.get("interface", "::" if kind == "tcp6" else ""))
        if host is not None:
            return host, int(port)
        found = found or (named["interface"], int(port))
    return found


def _loopback(interface: str) -> str | None:
    """
    Give the address by which this machine reaches what listens there, if it is
    its own.
    """
    try:
        address = ip_address(interface or "0.0.0.0")
    except ValueError:
        return interface if interface == "localhost" else None
    if address.is_unspecified:
        return "127.0.0.1" if address.version == 4 else "::1"
    return str(address) if address.is_loopback else None


def _expect(where: str, code: int, text: bytes) -> None:
    """
    Judge a reply (RFC 5321 4.2.1).
    """
    if 200 <= code <= 299:
        return
    said = clean(f"{code} {text.decode('utf-8', 'replace')}")
    if not 500 <= code <= 599:
        raise NotThisWay(f"SMTP at {where}: {said}")
    raise NotGiven(_codeOf(code, text), f"the relay at {where} refused it: {said}")


def _codeOf(code: int, text: bytes) -> int:
    if text.startswith(b"5.1."):
        return NO_USER
    if text.startswith(b"5.6.") or code in (501, 552):
        return DATA
    return UNAVAILABLE


def _namesIn(text: bytes) -> list[str]:
    found = re.search(rb"queued as ([!-~]{1,100})\Z", text)
    return [found[1].decode("ascii")] if found else []


def _why(error: BaseException) -> str:
    return clean(getattr(error, "strerror", None) or error or type(error).__name__)
