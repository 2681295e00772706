# -*- test-case-name: relaymail.test.simulation.test_worlds -*-
"""
What the senders of random worlds say of their mail, and what the hosts can do.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from relaymail.envelopes import (
    NO_ORIGIN,
    NOTHING_SAID,
    DeliverBy,
    Origin,
    Parameters,
    RecipientParameters,
)
from relaymail.headers import headerOf, isTLSOptional
from relaymail.testing.servers import Answer, Session
from relaymail.testing.world import World

HOUR = 3600.0
#: Of what senders want to be told.
WISHES = (
    *("NEVER", "FAILURE", "SUCCESS", "DELAY", "SUCCESS,FAILURE", "FAILURE,DELAY"),
    "SUCCESS,FAILURE,DELAY",
)
#: Of how many messages the header says that they go where TLS is broken, too.
OPTIONAL_ONES = 0.2
#: Where mail comes in from.
ORIGINS = (
    *(NO_ORIGIN, Origin("192.0.2.200"), Origin("192.0.2.201", "alice")),
    *(Origin("2001:db8::1", "zo\u00eb b"), Origin("", "local")),
)
#: How many of the hosts can do what.
ABILITIES = (
    ("PIPELINING", 0.7),
    ("8BITMIME", 0.6),
    ("SIZE 10000000", 0.8),
    ("DSN", 0.5),
    ("SMTPUTF8", 0.4),
    ("DELIVERBY", 0.4),
    ("MT-PRIORITY", 0.3),
)
#: What they bear, and how many of them say so.
LIMITS = (
    *("MAILMAX=1", "MAILMAX=2", "RCPTMAX=1", "RCPTMAX=2", "RCPTDOMAINMAX=1"),
    "MAILMAX=3 RCPTMAX=3",
)
LIMITED = 0.3
#: How long after the time until which mail is of use a host may have it: it was
#: said in time, and the host was slow.
SLOWNESS = 1800.0


@dataclass(frozen=True, slots=True)
class Said:
    """
    What a sender said of a message.

    @ivar parameters: With MAIL.
    @ivar own: With RCPT, for each recipient.
    @ivar origin: Where it came in from.
    """

    parameters: Parameters
    own: tuple[RecipientParameters, ...]
    origin: Origin = NO_ORIGIN


def abilities(chance: random.Random) -> tuple[str, ...]:
    """
    Say what a host can do.
    """
    words = [word for word, part in ABILITIES if chance.random() < part]
    if chance.random() < LIMITED:
        words.append(f"LIMITS {chance.choice(LIMITS)}")
    return tuple(words)


def canAny(hosts: Collection[Sequence[str]], word: str) -> bool:
    """
    Tell whether one of some hosts can do something.
    """
    return any(word in each for each in hosts)


def say(
    chance: random.Random, now: float, recipients: Sequence[str], isASCII: bool
) -> Said:
    """
    Say something of a message.

    @param now: The time, in seconds.
    @param recipients: Whom it is for.
    @param isASCII: Whether its content is ASCII.
    """
    parameters = Parameters(
        body="" if isASCII or chance.random() < 0.3 else "8BITMIME",
        ret=chance.choice(("", "", "FULL", "HDRS")),
        envid=chance.choice(("", "", "x+y=z", "QQ314159")),
        utf8=chance.random() < 0.05 or not all(map(str.isascii, recipients)),
        requireTLS=chance.random() < 0.05,
        priority=chance.choice((0, 0, 0, -4, 3, 9)),
        holdUntil=now + chance.uniform(1, 8 * HOUR) if chance.random() < 0.15 else None,
        deliverBy=_deadline(chance, now),
        tlsOptional=chance.random() < 0.1,
    )
    own = [_sayOfRecipient(chance) for _ in recipients]
    isSilent = all(each is NOTHING_SAID for each in own)
    origin = chance.choice(ORIGINS)
    return Said(parameters, () if isSilent else tuple(own), origin)


def _deadline(chance: random.Random, now: float) -> DeliverBy | None:
    if chance.random() > 0.15:
        return None
    at = now + chance.uniform(600, 12 * HOUR)
    return DeliverBy(at, chance.random() < 0.5, chance.random() < 0.3)


def _sayOfRecipient(chance: random.Random) -> RecipientParameters:
    if chance.random() < 0.5:
        return NOTHING_SAID
    orcpt = chance.choice(("", "rfc822;first@example.net"))
    return RecipientParameters(chance.choice(WISHES), orcpt)


def fewer(chance: random.Random, until: float) -> Answer:
    """
    Give the answers of a mail store to the end of a message (RFC 2033 4.2): now and
    then it has no room for one of the recipients.

    @param until: Till when that is so, in seconds.
    """

    def answer(session: Session, argument: str) -> Answer:
        asked = session.recipients
        kept: list[str] = []
        words = []
        for recipient in asked:
            isFull = bool(kept) and session.seconds() < until and chance.random() < 0.3
            words.append("452 4.2.2 Full" if isFull else "250 2.0.0 Kept")
            if not isFull:
                kept.append(recipient)
        session.recipients = kept
        return "\n".join(words)

    return answer


def limitsIn(session: Session) -> tuple[list[int], dict[str, int]]:
    """
    Give the transactions of a session, with how many recipients were named in each,
    and what the host said that it bears (RFC 9422).
    """
    counts: list[int] = []
    limits: dict[str, int] = {}
    for command, answer in session.exchanges:
        verb = command[:4].upper()
        if verb in ("EHLO", "LHLO"):
            words = answer.partition("LIMITS ")[2].partition("\n")[0].split()
            limits = {w.partition("=")[0]: int(w.partition("=")[2]) for w in words}
        elif verb == "MAIL" and answer.startswith("2"):
            counts.append(0)
        elif verb == "RCPT" and counts:
            counts[-1] += 1
    return counts, limits


def optionally(chance: random.Random, content: bytes) -> bytes:
    """
    Let the header of a message now and then say that it goes where TLS is broken, too.
    """
    isOptional = chance.random() < OPTIONAL_ONES
    return b"TLS-Required: No\r\n" + content if isOptional else content


def checkKept(world: World, saidOf: Mapping[str, Said]) -> None:
    """
    See that the queue of a relay that is up knows where mail came from and what was
    said of it, whatever became of the relay before.

    @param saidOf: What was said of messages, by their short names; of others only
        what their headers say.

    @raise AssertionError: When it does not.
    """
    queue = world.relay.queue
    for name in (*queue.getWaiting(), *queue.getResting()):
        stored = world.spool.stored(name)
        if stored is None:
            continue
        sender, _, content = stored
        outline, said = queue.outline(name), saidOf.get(world.ledger.nameOf(content))
        found, kept = outline.parameters, (outline.parameters, outline.origin)
        if said is not None and kept != (said.parameters, said.origin):
            world.fail(f"{name} was kept as {outline}, and it was {said}")
        isOptional = isTLSOptional(headerOf(content))
        if said is None and sender and found.tlsOptional is not isOptional:
            world.fail(f"{name} was kept as {outline}, but says {content[:200]!r}")
