# -*- test-case-name: relaymail.test.dialogue.test_commands -*-
"""
Command lines, as a server reads them (RFC 5321 4.1.1).

What cannot be read is a L{Refused <relaymail.errors.Refused>} that carries the
reply.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container
from typing import NamedTuple

from relaymail.addresses import parsePath
from relaymail.dialogue.answers import answer
from relaymail.dialogue.parameters import (
    BASIC,
    NOTHING,
    MailSaid,
    readMail,
    readRcpt,
)
from relaymail.envelopes import NOTHING_SAID, RecipientParameters
from relaymail.errors import MalformedAddress, Refused
from relaymail.replies import Reply

#: The longest command line, with its CRLF, in octets: 512 by RFC 5321
#: 4.5.3.1.4, and room for what extensions may add to MAIL and RCPT (4.1.1.11).
MAX_COMMAND_LINE = 2048
#: The longest name that a client may give itself, in octets (RFC 5321
#: 4.5.3.1.2).
MAX_HELO = 255

_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_VERB = re.compile(rb"[A-Za-z][A-Za-z0-9]{0,31}\Z")
_HELO = re.compile(rb"[!-~]{1,%d}\Z" % MAX_HELO)
# A path may hold a quoted local part, and that an angle bracket.
_PATH = rb' ?<((?:[^<>"]|"(?:[^"\\]|\\.)*")*)>(?: +(.*))?\Z'
_MAIL = re.compile(rb"FROM:" + _PATH, re.IGNORECASE)
_RCPT = re.compile(rb"TO:" + _PATH, re.IGNORECASE)

#: Gives the address that is meant by one without a domain, or nothing where
#: there is no such; raises L{MalformedAddress
#: <relaymail.errors.MalformedAddress>} where it is none.
Qualify = Callable[[str], str]

_NEEDS_ARGUMENT = answer(501, "5.5.4", "The command needs an argument")
LINE_TOO_LONG = answer(500, "5.5.2", "The line is too long")
_CONTROLS = answer(500, "5.5.2", "A command holds no control characters")
_NO_COMMAND = answer(500, "5.5.2", "This is not a command")
_HELO_SYNTAX = answer(501, "", "Say HELO or EHLO with the name of your host")
_MAIL_SYNTAX = answer(501, "5.5.4", "Say MAIL FROM:<address>")
_RCPT_SYNTAX = answer(501, "5.5.4", "Say RCPT TO:<address>")
_BAD_SENDER = answer(501, "5.1.7", "The sender is not an address")
_BAD_RECIPIENT = answer(501, "5.1.3", "The recipient is not an address")
_NO_UTF8 = answer(553, "5.6.7", "SMTPUTF8 is not spoken here")
# RFC 6531 3.5: each command has its own code for this.
_SAY_UTF8 = {
    _BAD_SENDER: answer(553, "5.6.7", "Say SMTPUTF8 with such a sender"),
    _BAD_RECIPIENT: answer(550, "5.6.7", "MAIL did not say SMTPUTF8"),
}


class Command(NamedTuple):
    """
    One command line.

    @ivar verb: The verb, in capitals.
    @ivar argument: What follows it, without the spaces around.
    """

    verb: str
    argument: bytes


class MailArgument(NamedTuple):
    """
    What MAIL says.

    @ivar sender: The reverse-path, empty for the null one.
    @ivar said: What is said beyond it.
    """

    sender: str
    said: MailSaid = NOTHING


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


def parseMail(
    argument: bytes,
    qualify: Qualify | None = None,
    offered: Container[str] = BASIC,
) -> MailArgument:
    """
    Read the argument of MAIL (RFC 5321 4.1.1.2).

    @param qualify: What is asked for a sender that cannot be read.
    @param offered: The keywords of the extensions that are offered.

    @raise Refused: When the path or a parameter cannot be read.
    """
    path, parameters = _split(_MAIL, argument, _MAIL_SYNTAX, offered)
    said = readMail(parameters, offered) if parameters else NOTHING
    sender = _address(path, _BAD_SENDER, qualify, utf8=said.utf8)
    return MailArgument(sender, said)


def parseRcpt(
    argument: bytes,
    hostname: str,
    qualify: Qualify | None = None,
    offered: Container[str] = BASIC,
    *,
    utf8: bool = False,
) -> tuple[str, RecipientParameters]:
    """
    Read the argument of RCPT (RFC 5321 4.1.1.3).

    @param hostname: The name of this host: C{<postmaster>} without a domain
        is its postmaster (RFC 5321 4.5.1), unless C{qualify} knows better.
    @param qualify: What is asked for a recipient that cannot be read.
    @param offered: The keywords of the extensions that are offered.
    @param utf8: Whether MAIL said SMTPUTF8.

    @return: The forward-path, and what is said beyond it.

    @raise Refused: When the path cannot be read or is the null one, or a
        parameter cannot.
    """
    path, parameters = _split(_RCPT, argument, _RCPT_SYNTAX, offered)
    if path.lower() == b"postmaster":
        known = qualify(path.decode("ascii")) if qualify else ""
        path = known.encode("ascii") or path + b"@" + hostname.encode("ascii")
    recipient = _address(path, _BAD_RECIPIENT, qualify, utf8=utf8)
    if not recipient:
        raise Refused(_BAD_RECIPIENT)
    if not parameters:
        return recipient, NOTHING_SAID
    return recipient, readRcpt(parameters, offered, utf8=utf8)


def parseVrfy(argument: bytes, *, utf8: bool = False) -> str:
    """
    Read the argument of VRFY (RFC 5321 4.1.1.6), with SMTPUTF8 behind it or not
    (RFC 6531 3.7.4.2).

    @param utf8: Whether SMTPUTF8 was said with MAIL.

    @raise Refused: When there is none, or it is not ASCII and SMTPUTF8 was not
        said.
    """
    words = argument.split()
    if len(words) > 1 and words[-1].upper() == b"SMTPUTF8":
        utf8 = True
        words.pop()
    if not words:
        raise Refused(_NEEDS_ARGUMENT)
    try:
        text = b" ".join(words).decode("utf-8")
    except UnicodeDecodeError as e:
        raise Refused(_BAD_RECIPIENT) from e
    if not (utf8 or text.isascii()):
        raise Refused(_SAY_UTF8[_BAD_SENDER])
    return text


def _split(
    pattern: re.Pattern[bytes],
    argument: bytes,
    syntax: Reply,
    offered: Container[str],
) -> tuple[bytes, bytes]:
    if not (argument.isascii() or "SMTPUTF8" in offered):
        raise Refused(_NO_UTF8)
    found = pattern.match(argument)
    if found is None:
        raise Refused(syntax)
    return found[1], found[2] or b""


def _address(
    path: bytes, malformed: Reply, qualify: Qualify | None, *, utf8: bool
) -> str:
    if not (utf8 or path.isascii()):
        raise Refused(_SAY_UTF8[malformed])
    try:
        return parsePath(path, utf8=utf8)
    except MalformedAddress as e:
        # Nearly none is so: mail that has its addresses pays nothing for this.
        known = _qualified(path, qualify)
        if not known:
            raise Refused(malformed) from e
        return known


def _qualified(path: bytes, qualify: Qualify | None) -> str:
    try:
        return qualify(path.decode("ascii")) if qualify else ""
    except (MalformedAddress, UnicodeDecodeError):
        return ""
