# -*- test-case-name: relaymail.test.dialogue.test_authentication -*-
"""
AUTH (RFC 4954).  Nothing that a client says here is in a reply.
"""

from __future__ import annotations

from relaymail.dialogue.actions import Actions, Authenticate, Respond
from relaymail.dialogue.authentication import parseAuth, parseResponse
from relaymail.dialogue.serving.replies import (
    AUTHENTICATED_ALREADY,
    NO_MECHANISM,
    NOT_HERE,
    SAY_EHLO,
    TLS_FIRST,
    TOO_MANY_ERRORS,
)
from relaymail.dialogue.serving.session import Session, State
from relaymail.errors import Refused


def canAuthenticate(session: Session) -> bool:
    """
    Tell whether a client can authenticate, now or once it is under TLS.
    """
    return bool(session.around.mechanisms() or _underTLS(session))


def authSaid(session: Session, argument: bytes) -> Actions:
    """
    Answer AUTH.
    """
    if not canAuthenticate(session):
        raise Refused(NOT_HERE)
    if session.user:
        raise Refused(AUTHENTICATED_ALREADY)
    if not session.esmtp:
        raise Refused(SAY_EHLO)
    mechanism, initial = parseAuth(argument)
    if mechanism not in session.around.mechanisms():
        raise Refused(TLS_FIRST if mechanism in _underTLS(session) else NO_MECHANISM)
    session.state = State.ASKING_USER
    return (Authenticate(mechanism, initial),)


def responseSaid(session: Session, line: bytes) -> Actions:
    """
    Hear a response to a challenge.
    """
    session.state = State.READY
    if session.isTooIdle():
        return session.end(TOO_MANY_ERRORS)
    response = parseResponse(line)
    session.state = State.ASKING_USER
    return (Respond(response),)


def _underTLS(session: Session) -> tuple[str, ...]:
    if session.isUnderTLS or not session.offer.tls:
        return ()
    return session.around.mechanismsUnderTLS()
