# -*- test-case-name: relaymail.test.dialogue.test_mailing -*-
"""
A transaction: MAIL, RCPT and DATA (RFC 5321 3.3).
"""

from __future__ import annotations

from dataclasses import replace

from relaymail.dialogue.actions import Actions, AskRecipient, AskSender, TakeData
from relaymail.dialogue.commands import parseMail, parseRcpt
from relaymail.dialogue.parameters import NOTHING, MailSaid, parametersOf
from relaymail.dialogue.serving.replies import (
    AUTHENTICATE_FIRST,
    GO_AHEAD,
    PRIORITY_LOWERED,
    RECIPIENT_OK,
    SAY_BDAT,
    TOO_LARGE,
    TOO_MANY_RECIPIENTS,
)
from relaymail.dialogue.serving.session import Session, State
from relaymail.envelopes import NOTHING_SAID, Entrance, RecipientParameters
from relaymail.errors import Refused


def mailSaid(session: Session, argument: bytes) -> Actions:
    """
    Answer MAIL (RFC 5321 4.1.1.2).
    """
    if session.entrance is Entrance.SUBMISSION:
        _identify(session)
    mail = parseMail(argument, session.qualify, session.keywords)
    if mail.said is not NOTHING:
        _keep(session, mail.said)
    names, sender = session.names, mail.sender
    session.sender = sender if names is None else names.rewriteSender(sender)
    session.state = State.ASKING_SENDER
    return (AskSender(session.sender),)


def rcptSaid(session: Session, argument: bytes) -> Actions:
    """
    Answer RCPT (RFC 5321 4.1.1.3).
    """
    names, known = session.names, session.recipients
    recipient, said = parseRcpt(
        argument,
        session.offer.hostname,
        session.qualify,
        session.keywords,
        utf8=session.parameters.utf8,
    )
    found = (recipient,) if names is None else names.expand(recipient)
    session.asked = tuple(each for each in found if each not in known)
    if not session.asked:
        # Once is enough: a second name for it would be a second copy.
        if session.entrance is Entrance.LMTP:
            _countReply(session)
        return (RECIPIENT_OK,)
    if len(known) + len(session.asked) > session.offer.recipients:
        raise Refused(TOO_MANY_RECIPIENTS)
    if said is not NOTHING_SAID and found != (recipient,):
        said = _ofAlias(said, recipient)
    session.askedSaid = said
    session.state = State.ASKING_RECIPIENT
    return (AskRecipient(session.sender, recipient),)


def dataSaid(session: Session, argument: bytes) -> Actions:
    """
    Answer DATA (RFC 5321 4.1.1.4).
    """
    if session.parameters.body == "BINARYMIME":
        # RFC 3030 3: dots and line ends mean nothing in it.
        raise Refused(SAY_BDAT)
    session.state = State.DATA
    return (GO_AHEAD, TakeData(session.envelope()))


def _identify(session: Session) -> None:
    # RFC 6409 4.3: here a network says nothing of who somebody is.
    if not (session.user or session.around.isLocal()):
        raise Refused(AUTHENTICATE_FIRST)


def _keep(session: Session, said: MailSaid) -> None:
    offer = session.offer
    if offer.messageSize and (said.size or 0) > offer.messageSize:
        raise Refused(TOO_LARGE)
    least = offer.deliverBySeconds or 0
    kept = parametersOf(said, session.around.now, offer.holdSeconds, least)
    if kept.priority > 0 and not session.isSubmitting:
        # RFC 6710 5: who is not known gets no precedence; less than usual is
        # what anybody may want.
        kept = replace(kept, priority=0)
        session.senderOk = PRIORITY_LOWERED
    session.parameters = kept


def _countReply(session: Session) -> None:
    # Here each has a reply of its own (RFC 2033 4.2), and these have a bound.
    if session.replies >= session.offer.recipients:
        raise Refused(TOO_MANY_RECIPIENTS)
    session.replies += 1


def _ofAlias(said: RecipientParameters, name: str) -> RecipientParameters:
    # RFC 3461 5.2.7.2: each of the addresses is told of by the name it had.
    if said.orcpt:
        return said
    kind = "rfc822" if name.isascii() else "utf-8"
    return replace(said, orcpt=f"{kind};{name}")
