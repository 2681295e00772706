# -*- test-case-name: relaymail.test.dialogue.test_server -*-
"""
A transaction: MAIL, RCPT and DATA (RFC 5321 3.3).
"""

from __future__ import annotations

from relaymail.dialogue.actions import Actions, AskRecipient, AskSender, TakeData
from relaymail.dialogue.commands import parseMail, parseRcpt
from relaymail.dialogue.serving.replies import (
    GO_AHEAD,
    RECIPIENT_OK,
    TOO_LARGE,
    TOO_MANY_RECIPIENTS,
)
from relaymail.dialogue.serving.session import Session, State
from relaymail.envelopes import Parameters
from relaymail.errors import Refused


def mailSaid(session: Session, argument: bytes) -> Actions:
    """
    Answer MAIL (RFC 5321 4.1.1.2).
    """
    mail = parseMail(argument, session.qualify)
    limit = session.offer.messageSize
    if limit and mail.size is not None and mail.size > limit:
        raise Refused(TOO_LARGE)
    names, sender = session.names, mail.sender
    session.sender = sender if names is None else names.rewriteSender(sender)
    session.parameters = Parameters(mail.body)
    session.state = State.ASKING_SENDER
    return (AskSender(session.sender),)


def rcptSaid(session: Session, argument: bytes) -> Actions:
    """
    Answer RCPT (RFC 5321 4.1.1.3).
    """
    names, known = session.names, session.recipients
    recipient = parseRcpt(argument, session.offer.hostname, session.qualify)
    found = (recipient,) if names is None else names.expand(recipient)
    session.asked = tuple(each for each in found if each not in known)
    if not session.asked:
        # Once is enough: a second name for it would be a second copy.
        return (RECIPIENT_OK,)
    if len(known) + len(session.asked) > session.offer.recipients:
        raise Refused(TOO_MANY_RECIPIENTS)
    session.state = State.ASKING_RECIPIENT
    return (AskRecipient(session.sender, recipient),)


def dataSaid(session: Session, argument: bytes) -> Actions:
    """
    Answer DATA (RFC 5321 4.1.1.4).
    """
    session.state = State.DATA
    return (GO_AHEAD, TakeData(session.envelope()))
