# -*- test-case-name: relaymail.test.matrix.test_replies -*-
"""
What the table of the matrix is made of: places in a session, rows, and the cases
they come to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from types import MappingProxyType

from relaymail.replies import Phase
from relaymail.testing.network import Fate
from relaymail.testing.servers import (
    Answer,
    Session,
)

#: Whom the message is for.
THREE = ("b@example.org", "c@example.org", "d@example.org")
#: Whom the other message is for.
FOURTH = "e@example.org"

#: What becomes of a recipient in the first attempt, by the letter that stands
#: for it in the table.
FATES = MappingProxyType(
    {
        "D": "delivered by the first host",
        "A": "delivered by it too, at once, in another transaction",
        "N": "delivered by the next host",
        "T": "tried again later",
        "U": "tried again later, and flagged: the host may have the message",
        "B": "bounced",
    }
)
#: What is delivered at once.
AT_ONCE = frozenset("DAN")


class Lane(Enum):
    """
    What the hosts offer, and what is asked of them.
    """

    CLEAR = "no TLS"
    OFFERED = "TLS where it is offered, and it is"
    NEEDED = "TLS, and no mail without"
    LOGIN = "a name and a password"


class Connection(Enum):
    """
    What becomes of the connection.
    """

    REUSED = "the other message goes over it"
    CLOSED = "nothing goes over it any more"


REUSED, CLOSED = Connection


def well(session: Session, argument: str) -> None:
    """
    Answer as a host that is well.
    """


@dataclass(frozen=True, slots=True)
class Place:
    """
    Where in the session the host is not well.

    @ivar name: What it is called in the names of tests.
    @ivar phase: The phase of the client.
    @ivar key: What is answered, as L{relaymail.testing.servers} has it.
    @ivar least: How long the client has to wait at least, in seconds (RFC 5321
        4.5.3.2).
    @ivar lane: What the hosts offer.
    @ivar isPiped: Whether it makes a difference if commands are pipelined.
    @ivar skips: How many times the answer is that of a host that is well
        before.
    @ivar isLasting: Whether the host says the same as often as it is asked.
    @ivar also: What else it says.
    @ivar idle: How long connections are kept, in seconds.
    @ivar isAfter: Whether the message of three comes after the other one.
    """

    name: str
    phase: Phase
    key: str
    least: float = 300
    lane: Lane = Lane.CLEAR
    isPiped: bool = False
    skips: int = 0
    isLasting: bool = False
    also: Mapping[str, Answer] = field(default_factory=dict)
    idle: float = 0
    isAfter: bool = False

    @property
    def isShown(self) -> bool:
        """
        Whether there is a message behind, over the same connection or another one.
        """
        return not self.isAfter or self.phase in (Phase.MAIL, Phase.IDLE)


@dataclass(frozen=True, slots=True)
class Row:
    """
    A row of the table.

    @ivar fault: The row of the list of faults.
    @ivar what: What is said, in a word.
    @ivar said: What is said; several, one after the other; or what becomes of
        the connection instead.
    @ivar fates: What becomes of each recipient, as L{FATES} has it; at RCPT one
        letter is for the recipient whom it is said to, and the others are
        delivered.
    @ivar connection: What becomes of the connection.
    @ivar wait: After how many seconds it is so, and not before.
    @ivar isBad: Whether the host is remembered as one that does not work.
    @ivar also: What else the host says, once.
    @ivar second: What the second host says, once; L{None}: it is well, and is
        tried only where that becomes of somebody.
    @ivar hosts: How many hosts there are.
    @ivar isTaken: Whether the host took the message without a word.
    @ivar other: The letter for what becomes of the other message, where that is
        said.
    @ivar isPiped: Whether it is tried with commands that are pipelined or
        without only; L{None} for both.
    """

    fault: str
    what: str
    said: Answer | tuple[Answer, ...] | Fate
    fates: str
    connection: Connection
    wait: float = 0
    isBad: bool = False
    also: Mapping[str, Answer] = field(default_factory=dict)
    second: Mapping[str, Answer] | None = None
    hosts: int = 2
    isTaken: bool = False
    other: str = ""
    isPiped: bool | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """
    One test.

    @ivar name: The name of the test.
    @ivar place: Where.
    @ivar row: What.
    @ivar isPipelined: Whether the hosts have PIPELINING.
    """

    name: str
    place: Place
    row: Row
    isPipelined: bool

    @property
    def tellsBody(self) -> bool:
        """
        Whether the first host is told the message, or a part of it.
        """
        told = self.place.phase in (Phase.BODY, Phase.FINAL)
        return told or bool(set(self.row.fates) & set("DA"))


#: What a host says that refuses all three.
ALL_REFUSED = {f"RCPT {each}": "550 5.1.1 Nobody" for each in THREE}
#: And one that does so for now.
ALL_LATER = {f"RCPT {each}": "451 4.2.0 Later" for each in THREE}

CONNECT = Place("CONNECT", Phase.CONNECT, "", 30)
GREETING = Place("GREETING", Phase.GREETING, "CONNECT")
EHLO = Place("EHLO", Phase.EHLO, "EHLO")
HELO = Place("HELO", Phase.EHLO, "HELO", also={"EHLO": "502 5.5.1 What?"})
STARTTLS = Place("STARTTLS", Phase.STARTTLS, "STARTTLS", lane=Lane.OFFERED)
NEEDED = replace(STARTTLS, name="STARTTLS_needed", lane=Lane.NEEDED)
SECURED = Place("EHLO_afterTLS", Phase.EHLO, "EHLO", lane=Lane.OFFERED, skips=1)
# A mechanism that is refused is not the only one.
AUTH = Place("AUTH", Phase.AUTH, "AUTH", lane=Lane.LOGIN, isLasting=True)
MAIL = Place("MAIL", Phase.MAIL, "MAIL", isPiped=True)
FIRST, MIDDLE, LAST = (
    Place(f"RCPT_{name}", Phase.RCPT, f"RCPT {address}", isPiped=True)
    for name, address in zip(("first", "middle", "last"), THREE, strict=True)
)
DATA = Place("DATA", Phase.DATA, "DATA", 120, isPiped=True)
BODY = Place("BODY", Phase.BODY, "BODY", 180, isPiped=True)
FINAL = Place("dot", Phase.FINAL, ".", 600, isPiped=True)
RSET = Place("RSET", Phase.RSET, "RSET", isPiped=True, also=ALL_REFUSED)
USED = Place("MAIL_reused", Phase.MAIL, "MAIL", isPiped=True, skips=1, isAfter=True)
# What comes behind the reply to the message before comes to an idle client.
IDLE = Place("IDLE", Phase.IDLE, ".", idle=30, isAfter=True)
QUIT = Place("QUIT", Phase.QUIT, "QUIT", 5)
