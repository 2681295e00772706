# -*- test-case-name: relaymail.test.dialogue.test_xclient -*-
"""
XCLIENT: a proxy says who it speaks for, and the session begins anew.
"""

from __future__ import annotations

from relaymail.dialogue.actions import ActFor, Actions
from relaymail.dialogue.parameters import BASIC
from relaymail.dialogue.serving.keywords import offeredTo
from relaymail.dialogue.serving.replies import NOT_HERE
from relaymail.dialogue.serving.session import Session, Speaker, State
from relaymail.dialogue.xclient import parseXclient
from relaymail.errors import Refused


def xclientSaid(session: Session, argument: bytes) -> Actions:
    """
    Answer XCLIENT.
    """
    if not session.mayActFor:
        raise Refused(NOT_HERE)
    session.actedFor = parseXclient(argument)
    session.state = State.ASKING_CLIENT
    return (ActFor(session.actedFor),)


def actsFor(session: Session) -> None:
    """
    Begin anew, as the client that is spoken for.
    """
    actedFor = session.actedFor
    session.speaker = Speaker.PROXY
    session.helo = actedFor.helo or ""
    if actedFor.proto is not None:
        session.esmtp = actedFor.proto == "ESMTP"
    session.esmtp = session.esmtp and bool(session.helo)
    session.user = actedFor.login or ""
    session.keywords = offeredTo(session).keywords if session.esmtp else BASIC
    session.reset()
