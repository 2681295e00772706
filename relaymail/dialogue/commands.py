# -*- test-case-name: relaymail.test.dialogue.test_commands -*-
"""
Command lines, as a server reads them (RFC 5321 4.1.1).

What cannot be read is a L{Refused <relaymail.errors.Refused>} that carries the
reply.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from relaymail.addresses import parsePath
from relaymail.dialogue.answers import answer
from relaymail.errors import MalformedAddress, Refused
from relaymail.replies import Reply

#: The longest command line, with its CRLF, in octets: 512 by RFC 5321
#: 4.5.3.1.4, and room for what extensions may add to MAIL and RCPT (4.1.1.11).
MAX_COMMAND_LINE = 2048
#: The longest name that a client may give itself, in octets (RFC 5321
#: 4.5.3.1.2).
MAX_HELO = 255
#: The most digits of a SIZE (RFC 1870 6).
MAX_SIZE_DIGITS = 20
#: The most parameters of one command; we know two.
MAX_PARAMETERS = 20

_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_VERB = re.compile(rb"[A-Za-z][A-Za-z0-9]{0,31}\Z")
_HELO = re.compile(rb"[!-~]{1,%d}\Z" % MAX_HELO)
# A path may hold a quoted local part, and that an angle bracket.
_PATH = rb' ?<((?:[^<>"]|"(?:[^"\\]|\\.)*")*)>(?: +(.*?))? *\Z'
_MAIL = re.compile(rb"FROM:" + _PATH, re.IGNORECASE)
_RCPT = re.compile(rb"TO:" + _PATH, re.IGNORECASE)
_PARAMETER = re.compile(rb"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~]+))?\Z")
_BODIES = frozenset({"7BIT", "8BITMIME"})

#: Gives the address that is meant by one without a domain, or nothing where
#: there is no such; raises L{MalformedAddress
#: <relaymail.errors.MalformedAddress>} where it is none.
Qualify = Callable[[str], str]

LINE_TOO_LONG = answer(500, "5.5.2", "The line is too long")
_CONTROLS = answer(500, "5.5.2", "A command holds no control characters")
_NO_COMMAND = answer(500, "5.5.2", "This is not a command")
_HELO_SYNTAX = answer(501, "", "Say HELO or EHLO with the name of your host")
_MAIL_SYNTAX = answer(501, "5.5.4", "Say MAIL FROM:<address>")
_RCPT_SYNTAX = answer(501, "5.5.4", "Say RCPT TO:<address>")
_BAD_SENDER = answer(501, "5.1.7", "The sender is not an address")
_BAD_RECIPIENT = answer(501, "5.1.3", "The recipient is not an address")
_NOT_ASCII = answer(553, "5.6.7", "SMTPUTF8 is not spoken here")
_PARAMETER_SYNTAX = answer(501, "5.5.4", "A parameter cannot be read")
_UNKNOWN_PARAMETER = answer(555, "5.5.4", "A parameter is not known here")


@dataclass(frozen=True, slots=True)
class Command:
    """
    One command line.

    @ivar verb: The verb, in capitals.
    @ivar argument: What follows it, without the spaces around.
    """

    verb: str
    argument: bytes


@dataclass(frozen=True, slots=True)
class MailArgument:
    """
    What MAIL says.

    @ivar sender: The reverse-path, empty for the null one.
    @ivar size: The size declared, in octets (RFC 1870 6), or L{None}.
    @ivar body: C{"7BIT"}, C{"8BITMIME"} (RFC 6152 3) or empty.
    """

    sender: str
    size: int | None = None
    body: str = ""


def parseCommand(line: bytes, limit: int = MAX_COMMAND_LINE) -> Command:
    """
    Read a command line.

    @param line: The line without its CRLF.
    @param limit: The longest line with its CRLF, in octets.

    @raise Refused: When it is too long, holds a control character, or does
        not begin with a verb.
    """
    if len(line) + 2 > limit:
        raise Refused(LINE_TOO_LONG)
    if _CONTROL.search(line):
        raise Refused(_CONTROLS)
    verb, _, argument = line.partition(b" ")
    if not _VERB.match(verb):
        raise Refused(_NO_COMMAND)
    return Command(verb.decode("ascii").upper(), argument.strip(b" "))


def parseHelo(argument: bytes) -> str:
    """
    Read what a client calls itself (RFC 5321 4.1.1.1).  Any printable word
    will do: what it says is only written down.

    @raise Refused: When it is missing, not one word, or too long.
    """
    if not _HELO.match(argument):
        raise Refused(_HELO_SYNTAX)
    return argument.decode("ascii")


def parseMail(argument: bytes, qualify: Qualify | None = None) -> MailArgument:
    """
    Read the argument of MAIL (RFC 5321 4.1.1.2).

    @param qualify: What is asked for a sender that cannot be read.

    @raise Refused: When the path or a parameter cannot be read.
    """
    path, parameters = _split(_MAIL.match(argument), argument, _MAIL_SYNTAX)
    sender = _address(path, _BAD_SENDER, qualify)
    known = _parameters(parameters)
    size, body = known.pop("SIZE", None), known.pop("BODY", None)
    if known:
        raise Refused(_UNKNOWN_PARAMETER)
    return MailArgument(sender, _size(size), _body(body))


def parseRcpt(argument: bytes, hostname: str, qualify: Qualify | None = None) -> str:
    """
    Read the argument of RCPT (RFC 5321 4.1.1.3).

    @param hostname: The name of this host: C{<postmaster>} without a domain
        is its postmaster (RFC 5321 4.5.1), unless C{qualify} knows better.
    @param qualify: What is asked for a recipient that cannot be read.

    @return: The forward-path.

    @raise Refused: When the path cannot be read, is the null one, or has
        parameters: no extension that is offered has any.
    """
    path, parameters = _split(_RCPT.match(argument), argument, _RCPT_SYNTAX)
    if path.lower() == b"postmaster":
        known = qualify(path.decode("ascii")) if qualify else ""
        path = known.encode("ascii") or path + b"@" + hostname.encode("ascii")
    recipient = _address(path, _BAD_RECIPIENT, qualify)
    if not recipient:
        raise Refused(_BAD_RECIPIENT)
    if _parameters(parameters):
        raise Refused(_UNKNOWN_PARAMETER)
    return recipient


def _split(
    found: re.Match[bytes] | None, argument: bytes, syntax: Reply
) -> tuple[bytes, bytes]:
    if not argument.isascii():
        raise Refused(_NOT_ASCII)
    if found is None:
        raise Refused(syntax)
    return found[1], found[2] or b""


def _address(path: bytes, malformed: Reply, qualify: Qualify | None) -> str:
    try:
        return parsePath(path)
    except MalformedAddress as e:
        # Nearly none is so: mail that has its addresses pays nothing for this.
        known = _qualified(path, qualify)
        if not known:
            raise Refused(malformed) from e
        return known


def _qualified(path: bytes, qualify: Qualify | None) -> str:
    try:
        return qualify(path.decode("ascii")) if qualify else ""
    except MalformedAddress:
        return ""


def _parameters(text: bytes) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    if not text:
        return found
    words = text.split()
    if len(words) > MAX_PARAMETERS:
        raise Refused(_PARAMETER_SYNTAX)
    for word in words:
        match = _PARAMETER.match(word)
        keyword = match[1].decode("ascii").upper() if match else ""
        if match is None or keyword in found:
            raise Refused(_PARAMETER_SYNTAX)
        found[keyword] = match[2].decode("ascii") if match[2] else None
        if keyword in ("SIZE", "BODY") and not match[2]:
            raise Refused(_PARAMETER_SYNTAX)
    return found


def _size(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isdecimal() or len(text) > MAX_SIZE_DIGITS:
        raise Refused(_PARAMETER_SYNTAX)
    return int(text)


def _body(text: str | None) -> str:
    if text is None:
        return ""
    body = text.upper()
    if body not in _BODIES:
        raise Refused(_PARAMETER_SYNTAX)
    return body
