# -*- test-case-name: relaymail.test.dialogue.test_server -*-
"""
How a session begins: HELO, EHLO (RFC 5321 4.1.1.1) and STARTTLS (RFC 3207).
"""

from __future__ import annotations

from relaymail.dialogue.actions import Actions, Answer, StartTLS
from relaymail.dialogue.answers import answer
from relaymail.dialogue.commands import parseHelo
from relaymail.dialogue.parameters import BASIC
from relaymail.dialogue.serving.keywords import offeredTo
from relaymail.dialogue.serving.replies import BEGIN_TLS, NOT_HERE, TLS_ALREADY
from relaymail.dialogue.serving.session import Session
from relaymail.errors import Refused


def heloSaid(session: Session, argument: bytes) -> Actions:
    """
    Answer HELO.
    """
    dropped = _meet(session, argument, esmtp=False)
    return (*dropped, Answer(answer(250, "", session.offer.hostname)))


def ehloSaid(session: Session, argument: bytes) -> Actions:
    """
    Answer EHLO: say what is offered.
    """
    dropped = _meet(session, argument, esmtp=True)
    offered = offeredTo(session)
    session.keywords = offered.keywords
    return (*dropped, Answer(answer(250, "", session.offer.hostname, *offered.lines)))


def starttlsSaid(session: Session, argument: bytes) -> Actions:
    """
    Answer STARTTLS: the session begins anew, its errors excepted (RFC 3207
    4.2).
    """
    if session.isUnderTLS:
        raise Refused(TLS_ALREADY)
    if not session.offer.tls:
        raise Refused(NOT_HERE)
    session.helo = ""
    session.esmtp = False
    session.keywords = BASIC
    session.user = ""
    session.isUnderTLS = True
    session.reset()
    return (BEGIN_TLS, StartTLS())


def _meet(session: Session, argument: bytes, *, esmtp: bool) -> Actions:
    session.helo = parseHelo(argument)
    session.esmtp = esmtp
    session.keywords = BASIC
    return session.drop()
