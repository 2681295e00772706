# -*- test-case-name: relaymail.test.dialogue.test_server -*-
"""
Commands that bring no mail: RSET, NOOP, VRFY, HELP and QUIT (RFC 5321 4.1.1.5
to 4.1.1.10).
"""

from __future__ import annotations

from relaymail.dialogue.actions import Actions, Answer
from relaymail.dialogue.answers import answer
from relaymail.dialogue.commands import parseVrfy
from relaymail.dialogue.serving.keywords import offeredTo
from relaymail.dialogue.serving.replies import (
    CANNOT_VERIFY,
    OK,
)
from relaymail.dialogue.serving.session import Session
from relaymail.envelopes import Entrance

_VERBS = "MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT"
#: The commands that are keywords as well.
_OFFERED = ("STARTTLS", "AUTH", "XCLIENT")


def rsetSaid(session: Session, argument: bytes) -> Actions:
    """
    Answer RSET.
    """
    return (*session.drop(), OK)


def noopSaid(session: Session, argument: bytes) -> Actions:
    """
    Answer NOOP.
    """
    return (OK,)


def vrfySaid(session: Session, argument: bytes) -> Actions:
    """
    Answer VRFY: who there is, is told to nobody (RFC 5321 7.3).
    """
    parseVrfy(argument, utf8=session.parameters.utf8)
    return (CANNOT_VERIFY,)


def helpSaid(session: Session, argument: bytes) -> Actions:
    """
    Answer HELP: name what may be said to this client (RFC 5321 4.1.1.8).
    """
    hello = "LHLO" if session.entrance is Entrance.LMTP else "HELO EHLO"
    offered = offeredTo(session).keywords
    more = [f" {verb}" for verb in _OFFERED if verb in offered]
    return (Answer(answer(214, "2.0.0", f"{hello} {_VERBS}{''.join(more)}")),)


def quitSaid(session: Session, argument: bytes) -> Actions:
    """
    Answer QUIT.
    """
    return session.end(answer(221, "2.0.0", f"{session.offer.hostname} closes"))
