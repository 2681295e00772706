# -*- test-case-name: relaymail.test.testing.test_scripts -*-
"""
Servers as they are met in the world, each by its name.

    >>> mx = greylister(seconds=60).start(machine, "192.0.2.25", 25)

Each takes, besides what is its own, what L{SMTPServer
<relaymail.testing.servers.SMTPServer>} takes; what they answer may be changed
by way of its C{answers}.
"""

from __future__ import annotations

import random
from collections import defaultdict, deque
from enum import Enum
from typing import Any

from relaymail.testing.servers import (
    KEYWORDS,
    Act,
    Answer,
    Command,
    Drip,
    Endless,
    Raw,
    Script,
    Session,
    SMTPServer,
    Then,
)

__all__ = [
    "Slip",
    "acceptsEverything",
    "busy",
    "closesAfter",
    "dropsAfterTheDot",
    "endlessReply",
    "fullMailbox",
    "garbage",
    "greylister",
    "outOfStep",
    "refusesRecipients",
    "silentAfter",
    "stripsSTARTTLS",
    "tarpit",
    "throttles",
]

#: How many attempts a greylister remembers: more than any test makes.
MAX_TRIPLETS = 100_000
#: How long a line of garbage is at most, in bytes: what a reply may have (RFC
#: 5321 4.5.3.1.5).
MAX_GARBAGE = 512
#: The bytes that chance makes garbage of: all but those that end a line.
_GARBAGE = bytes(set(range(256)) - set(b"\r\n"))

_FULL = {452: "452 4.2.2 The mailbox is full", 552: "552 5.2.2 The mailbox is full"}


class Slip(Enum):
    """
    How a server answers out of step.
    """

    SURPLUS = "each recipient is answered twice"
    MISSING = "the first recipient of a session is not answered"
    EARLY = "the end of the data is answered before it comes"


def greylister(seconds: float = 300.0, **options: Any) -> SMTPServer:
    """
    Refuses whom it does not know for some minutes, in the hope that spammers do
    not come again (RFC 6647).  It knows the client's address, the sender and
    the recipient together: the first attempt is answered 451 4.7.1, and so are
    all others until the time is over; from then on they are taken.

    @param seconds: How long it refuses.
    """
    first: dict[tuple[str, str | None, str], float] = {}

    def recipient(session: Session, argument: str) -> Answer | None:
        triplet = (session.client, session.sender, argument.lower())
        now = session.seconds()
        if session.sender is None or now >= first.get(triplet, now + 1) + seconds:
            return None
        if len(first) < MAX_TRIPLETS:
            first.setdefault(triplet, now)
        return "451 4.7.1 Greylisted, please try again later"

    return SMTPServer({"RCPT": recipient}, **options)


class _Tarpit(SMTPServer):
    """
    Answers everything byte by byte.
    """

    seconds = 1.0

    def told(self, session: Session, command: Command, path: str) -> Answer:
        answer = super().told(session, command, path)
        return Drip(self.seconds, answer) if answer else answer


def tarpit(seconds: float = 1.0, **options: Any) -> SMTPServer:
    """
    Takes mail, but says all it says one byte at a time, to keep those busy whom
    it thinks to be spammers.

    @param seconds: How long each byte takes.
    """
    server = _Tarpit(**options)
    server.seconds = seconds
    return server


def closesAfter(messages: int = 1, **options: Any) -> SMTPServer:
    """
    Takes so many messages over a connection; the next MAIL is answered 421 and
    the connection ends, as with hosts that limit how long one may stay.

    @param messages: How many.
    """

    def sender(session: Session, argument: str) -> Answer | None:
        if session.taken < messages:
            return None
        return Then("421 4.7.0 Enough for this connection", Act.CLOSE)

    return SMTPServer({"MAIL": sender}, **options)


def stripsSTARTTLS(**options: Any) -> SMTPServer:
    """
    Stands for a host behind a box that takes STARTTLS out of what is offered,
    and out of what is asked for.
    """
    keywords = (*options.pop("keywords", KEYWORDS), "XXXXXXXA")
    refusal = "502 5.5.1 Command not implemented"
    return SMTPServer({"STARTTLS": refusal}, keywords=keywords, **options)


def dropsAfterTheDot(times: int = 1, took: bool = False, **options: Any) -> SMTPServer:
    """
    Breaks the connection when a message is complete, instead of answering: the
    client cannot know whether it was taken (RFC 1047).

    @param times: How often; afterwards it answers.
    @param took: Whether it takes those messages nevertheless.
    """
    left = times

    def end(session: Session, argument: str) -> Answer | None:
        nonlocal left
        if left <= 0:
            return None
        left -= 1
        if took:
            session.take()
        return Act.RESET

    return SMTPServer({".": end}, **options)


def acceptsEverything(**options: Any) -> SMTPServer:
    """
    Says 250 to every line, whatever it is: also to DATA, so that it never takes
    a message, and to lines that are no commands.
    """
    return SMTPServer({"*": "250 Ok"}, **options)


def endlessReply(to: str = "CONNECT", **options: Any) -> SMTPServer:
    """
    Has a reply that has no last line; it ends with the connection, which the
    client must end.

    @param to: What it replies so to, as L{relaymail.testing.servers} has it.
    """
    code = {"CONNECT": b"220", "DATA": b"354"}.get(to, b"250")
    return SMTPServer({to: Endless(code + b"-and what is more\r\n")}, **options)


def outOfStep(slip: Slip = Slip.EARLY, **options: Any) -> SMTPServer:
    """
    Answers out of step.  It does not take any message: what is complete is
    answered 451, so a 2yz that is taken for that answer was another one.

    @param slip: How.
    """
    answers: dict[Slip, Script] = {
        Slip.SURPLUS: {"RCPT": Then("250 2.1.5 Ok", Raw(b"250 2.1.5 Ok\r\n"))},
        Slip.MISSING: {"RCPT": _onlyTheFirst},
        Slip.EARLY: {"DATA": Then("354 Go on", Raw(b"250 2.0.0 Ok\r\n"))},
    }
    return SMTPServer({**answers[slip], ".": "451 4.3.0 Out of step"}, **options)


def _onlyTheFirst(session: Session, argument: str) -> Answer | None:
    """
    Take the first recipient of a session without a word.
    """
    if any(line.startswith("RCPT") for line, _ in session.exchanges):
        return None
    session.recipients.append(argument.partition("<")[2].rpartition(">")[0])
    return Raw(b"")


def fullMailbox(*addresses: str, code: int = 452, **options: Any) -> SMTPServer:
    """
    Refuses recipients whose mailboxes are full, and takes all others.

    @param addresses: Whose mailboxes; case does not matter.
    @param code: 452 4.2.2 for a server that expects room to be made (a reply
        to try again on), 552 5.2.2 for one that does not.

    @raise KeyError: For any other code.
    """
    return _refusing(addresses, _FULL[code], options)


def refusesRecipients(
    *addresses: str, reply: str = "550 5.1.1 No such user here", **options: Any
) -> SMTPServer:
    """
    Refuses recipients that it does not have, and takes all others.

    @param addresses: Which; case does not matter.  None for every one.
    @param reply: What it says to them.
    """
    return _refusing(addresses, reply, options)


def _refusing(
    addresses: tuple[str, ...], reply: str, options: dict[str, Any]
) -> SMTPServer:
    refused = {address.lower() for address in addresses}

    def recipient(session: Session, argument: str) -> Answer | None:
        path = argument.partition("<")[2].rpartition(">")[0]
        isRefused = not refused or path.lower() in refused
        return reply if isRefused and session.sender is not None else None

    return SMTPServer({"RCPT": recipient}, **options)


def throttles(messages: int = 10, seconds: float = 60.0, **options: Any) -> SMTPServer:
    """
    Takes so many messages from one address within some time; beyond that MAIL
    is answered 450 4.7.0.

    @param messages: How many.
    @param seconds: Within how long.
    """
    begun: dict[str, deque[float]] = defaultdict(deque)

    def sender(session: Session, argument: str) -> Answer | None:
        now, times = session.seconds(), begun[session.client]
        while times and times[0] <= now - seconds:
            times.popleft()
        if len(times) >= messages:
            return "450 4.7.0 Too much mail from you, try again later"
        times.append(now)
        return None

    return SMTPServer({"MAIL": sender}, **options)


def busy(code: int = 421, **options: Any) -> SMTPServer:
    """
    Has no time for anybody, and says so at once.

    @param code: 421: too busy, and the connection ends; 554: no service here at
        all, after which only QUIT is expected (RFC 5321 3.1).

    @raise KeyError: For any other code.
    """
    scripts: dict[int, Script] = {
        421: {"CONNECT": Then("421 4.3.2 Too busy, try again later", Act.CLOSE)},
        554: {
            "CONNECT": "554 5.3.2 No SMTP service here",
            "QUIT": "221 2.0.0 Bye",
            "*": "503 5.5.1 No SMTP service here",
        },
    }
    return SMTPServer(scripts[code], **options)


def silentAfter(verb: str = "EHLO", **options: Any) -> SMTPServer:
    """
    Says nothing more once a command has come, and keeps the connection open.

    @param verb: The command, as L{relaymail.testing.servers} has it: C{"."}
        for the end of the data, C{"CONNECT"} for one that never speaks.
    """
    return SMTPServer({verb: Act.SILENCE}, **options)


def garbage(chance: random.Random | None = None, **options: Any) -> SMTPServer:
    """
    Answers everything with a line that is no reply: there is something else
    than SMTP behind that port.

    @param chance: Where the lines are to come from; L{None} for one that is
        always the same.
    """

    def answer(session: Session, argument: str) -> Answer:
        if chance is None:
            return "SSH-2.0-what is that to you"
        length = chance.randrange(MAX_GARBAGE)
        return Raw(bytes(chance.choices(_GARBAGE, k=length)) + b"\r\n")

    return SMTPServer({"CONNECT": answer, "*": answer}, **options)
