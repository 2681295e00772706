# -*- test-case-name: relaymail.test.admin.test_exploring -*-
"""
Where mail would go, and why: asked of what takes it and of what delivers it, and
nothing is sent.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import maybeDeferred

from relaymail.addresses import checkAddress
from relaymail.admin.asking import Given
from relaymail.admin.desk import Desk
from relaymail.admin.explained import explainedView
from relaymail.admin.views import Document
from relaymail.deliver.explaining import Explained, Question, explain
from relaymail.envelopes import Client, Origin
from relaymail.errors import MalformedAddress, Refused
from relaymail.intake.acceptance import checkRecipient
from relaymail.intake.content import NO_ROOM, TOO_LARGE
from relaymail.replies import printable

#: Who is supposed to give the mail where nothing is said.
HERE = "127.0.0.1"


async def explainMail(desk: Desk, given: Given) -> Document:
    """
    Say where mail for a recipient would go.
    """
    _, document = await explained(desk.manager, desk.relay.intake, given)
    return document


async def explained(
    manager: Any, intake: Any, given: Given
) -> tuple[Explained, Document]:
    """
    Say where mail would go.

    @param manager: The relaying manager that would deliver it.
    @param intake: What would take it: an L{IntakeFactory
        <relaymail.intake.server.IntakeFactory>}.
    @param given: What is known of the mail.

    @return: It, and how it is shown.
    """
    question = questionOf(given)
    size = int(given.get("size", 0))
    refusal = await _refusal(intake, question, size)
    found = await explain(manager, question)
    document = explainedView(manager, found, refusal)
    aliases = _aliases(intake, question.recipient)
    return found, {**document, "size": size, "aliases": aliases}


def questionOf(given: Given) -> Question:
    """
    Say of which mail is asked.

    @raise MalformedAddress: When one of its addresses is none.
    """
    return Question(
        _address(given["recipient"]),
        _address(given["sender"]) if given.get("sender") else "",
        Origin(given.get("client", ""), given.get("user", "")),
        bool(given.get("requireTLS")),
        bool(given.get("tlsOptional")),
    )


def _address(text: str) -> str:
    try:
        return checkAddress(text)
    except MalformedAddress as e:
        # Nobody wanted to queue anything.
        raise MalformedAddress(str(e).removesuffix("; nothing was queued")) from e


def _aliases(intake: Any, recipient: str) -> list[str]:
    """
    Give who gets what is taken for a recipient that is an alias.
    """
    machines = getattr(intake, "machines", None)
    targets = () if machines is None else machines.expand(recipient)
    return [printable(each) for each in targets if targets != (recipient,)]


async def _refusal(intake: Any, question: Question, size: int) -> str:
    """
    Say why the mail would not be taken; empty: it would.
    """
    acceptance, limit = intake.acceptance, intake.limits.messageSize
    if limit and size > limit:
        return TOO_LARGE.text
    if not intake.hasRoom():
        return NO_ROOM.text
    origin = question.origin
    host = origin.host or HERE
    client = Client(
        host, esmtp=True, trusted=acceptance.isTrusted(host), user=origin.user
    )
    sender, recipient = question.sender, question.recipient
    try:
        await maybeDeferred(acceptance.acceptSender, client, sender)
        await maybeDeferred(
            checkRecipient, acceptance, intake.refusal, client, sender, recipient
        )
    except Refused as e:
        return e.reply.text
    return ""
