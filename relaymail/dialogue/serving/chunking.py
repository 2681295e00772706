# -*- test-case-name: relaymail.test.dialogue.test_chunking -*-
"""
A message in chunks: BDAT (RFC 3030).

The octets that BDAT announces are read whatever is said of them: what is behind
them is the next command.
"""

from __future__ import annotations

from relaymail.dialogue.actions import Actions, DropMessage, TakeChunk
from relaymail.dialogue.chunks import Chunk, parseBdat
from relaymail.dialogue.serving.replies import (
    NO_CHUNKING,
    NO_RECIPIENTS_YET,
    SAY_MAIL,
    TOO_LARGE,
    TOO_MANY_ERRORS,
)
from relaymail.dialogue.serving.session import Session, State
from relaymail.errors import Refused
from relaymail.replies import Reply

#: The most octets that are read only to be thrown away: whoever announces more is
#: sent away instead.
MAX_THROWN_AWAY = 1 << 30


def bdatSaid(session: Session, argument: bytes) -> Actions:
    """
    Answer BDAT (RFC 3030 2).
    """
    try:
        chunk = parseBdat(argument)
    except Refused as e:
        return session.end(e.reply)
    if not (chunk.size or chunk.isLast) and session.isTooIdle():
        return session.end(TOO_MANY_ERRORS)
    why = _whyNot(session, chunk)
    if why is not None:
        return _throwAway(session, chunk, why)
    session.chunk = chunk
    session.octets += chunk.size
    session.state = State.CHUNK
    return (TakeChunk(chunk.size, chunk.isLast, session.envelope()),)


def _whyNot(session: Session, chunk: Chunk) -> Reply | None:
    if not session.esmtp:
        return NO_CHUNKING
    if session.state is State.READY:
        return SAY_MAIL
    if session.state is State.MAIL:
        return NO_RECIPIENTS_YET
    limit = session.offer.messageSize
    return TOO_LARGE if limit and session.octets + chunk.size > limit else None


def _throwAway(session: Session, chunk: Chunk, why: Reply) -> Actions:
    if chunk.size > MAX_THROWN_AWAY:
        return session.end(why)
    dropped: Actions = ()
    if session.state is State.CHUNKS:
        dropped = (DropMessage(),)
    session.refusals = 1
    if why is TOO_LARGE:
        if chunk.isLast:
            session.refusals = session.ends()
        session.reset()
    session.before = session.state
    session.refusal = why
    session.state = State.CHUNK
    return (*dropped, TakeChunk(chunk.size, chunk.isLast))
