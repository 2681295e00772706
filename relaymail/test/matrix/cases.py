# -*- test-case-name: relaymail.test.matrix.test_replies -*-
"""
The table of the matrix: what a host says at a place of the session, and what
is to become of a message for three recipients, by which row of the list of
faults.

The hosts of a case say what it tells them to once, and are well from then on.
Beside the message of three there is another one, for one recipient, in the same
attempt; that shows whether the connection is used again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType

from relaymail.replies import Phase
from relaymail.test.matrix.places import (
    ALL_LATER,
    ALL_REFUSED,
    AUTH,
    BODY,
    CLOSED,
    CONNECT,
    DATA,
    EHLO,
    FINAL,
    FIRST,
    GREETING,
    HELO,
    IDLE,
    LAST,
    MAIL,
    MIDDLE,
    NEEDED,
    QUIT,
    REUSED,
    RSET,
    SECURED,
    STARTTLS,
    THREE,
    USED,
    Case,
    Connection,
    Lane,
    Place,
    Row,
)
from relaymail.testing.network import Fate
from relaymail.testing.servers import (
    BROKEN_TLS,
    Act,
    Answer,
    Endless,
    Late,
    Raw,
    Session,
    Then,
)

#: What breaks a session wherever it is said.
BREAKS: Mapping[str, Answer] = MappingProxyType(
    {
        "1yz": "150 Wait",
        "6yz": "650 6.0.0 What",
        "garbage": "what?",
        "codesDiffer": "250-One\n251 Two",
        "endless": Endless(b"250-and so on\r\n"),
        "unended": Then(Raw(b"250-Hm\r\n"), Act.CLOSE),
        "lost": Act.CLOSE,
        # A reset takes with it what is still under way: let that arrive first.
        "reset": Late(1, Act.RESET),
        "silence": Act.SILENCE,
        "stuck": Then(Raw(b"250-Hm\r\n"), Act.SILENCE),
    }
)
_SILENT = frozenset({"silence", "stuck"})
#: Those that do not look like a 2yz to the server's side.
_UNTAKEN = " ".join(each for each in BREAKS if each != "codesDiffer")


def _breaks(
    fault: str,
    place: Place,
    fates: str,
    only: str = " ".join(BREAKS),
    connection: Connection = CLOSED,
    isBad: bool = False,
    other: str = "",
) -> tuple[Row, ...]:
    """
    Give the rows of L{BREAKS}, all of which come to the same at a place.

    @param only: Which of them.
    """
    return tuple(
        Row(
            f"{fault}_D30" if what in _SILENT else fault,
            what,
            BREAKS[what],
            fates,
            connection,
            wait=place.least if what in _SILENT else 0,
            isBad=isBad,
            other=other,
        )
        for what in only.split()
    )


def _closing(
    fault: str, fates: str, isBad: bool = False, other: str = ""
) -> tuple[Row, ...]:
    """
    Give the rows of 421, which ends the session whether the host closes the
    connection (RFC 5321 3.8) or leaves that to the client.
    """
    words = "421 4.3.2 Going"
    return tuple(
        Row(fault, what, said, fates, CLOSED, isBad=isBad, other=other)
        for what, said in (("421", words), ("421Close", Then(words, Act.CLOSE)))
    )


def _take(session: Session, argument: str) -> Answer | None:
    session.take()
    return Act.RESET


def _idle(what: Answer) -> Answer:
    """
    Give an answer to the dot behind which something comes when nothing was
    asked.
    """
    return Then("250 2.0.0 Ok", Late(5, what))


_BEFORE_TLS = (
    Row("D09", "4yz", "454 4.7.0 Not now", "DDD", CLOSED),
    Row("D09", "5yz", "502 5.5.1 What?", "DDD", CLOSED),
    Row("D09", "250", "250 2.0.0 Ok", "DDD", CLOSED),
    Row("D09", "354", "354 Go on", "DDD", CLOSED),
    Row("D09", "handshakeFails", BROKEN_TLS, "DDD", CLOSED),
    Row("D09", "handshakeLost", Then(Raw(b"220 Go\r\n"), Act.CLOSE), "DDD", CLOSED),
    Row(
        "D09_D30",
        "handshakeSilence",
        Then(Raw(b"220 Go\r\n"), Act.SILENCE),
        "DDD",
        CLOSED,
        wait=STARTTLS.least,
    ),
    *_closing("D09", "DDD"),
    *_breaks("D09", STARTTLS, "DDD"),
)

_AT_RCPT = (
    Row("D15", "2yz", "250 2.1.5 Ok", "D", REUSED),
    Row("D15", "multiLine", "250-2.1.5 Well,\n250 2.1.5 ok", "D", REUSED),
    Row("D15", "2yzStatus5", "250 5.1.1 Ok", "D", REUSED),
    Row("D15", "4yz", "451 4.7.1 Later", "T", REUSED),
    Row("D15", "4yzStatus5", "450 5.1.1 Later", "T", REUSED),
    Row("D15", "5yz", "550 5.1.1 Nobody", "B", REUSED),
    Row("D15", "5yzStatus4", "550 4.2.2 Nobody", "B", REUSED),
    Row("D17", "251", "251 2.1.5 Will forward", "D", REUSED),
    Row("D17", "252", "252 2.1.5 Will see", "D", REUSED),
    Row("D17", "551", "551 5.1.6 Try <x@elsewhere.example>", "B", REUSED),
    *_closing("D15", "TTT"),
    Row("D18", "354", "354 Go on", "TTT", CLOSED),
    Row("D26", "surplus2yz", "250 Ok\n250 Ok", "TTT", CLOSED),
    Row("D26", "surplus354", "250 Ok\n354 Go", "TTT", CLOSED),
    Row("D26", "missing", Raw(b""), "TTT", CLOSED, wait=300, isPiped=False),
)
_SURPLUS = Row("D26", "surplus5yz", "250 Ok\n550 No", "TTT", CLOSED)
# What the host had said before the connection broke did not arrive either: the
# client still waited for the reply to MAIL.
_GONE = Row("D13", "resetAtOnce", Act.RESET, "NNN", CLOSED, isPiped=True)
_TOO_MANY = (
    Row("D16", "452", "452 4.5.3 Too many", "A", REUSED),
    Row("D16", "552", "552 5.5.3 Too many", "A", REUSED),
)

#: The table: the rows of each place.
TABLE: tuple[tuple[Place, tuple[Row, ...]], ...] = (
    (
        CONNECT,
        (
            Row("D02", "refused", Fate.REFUSED, "NNN", CLOSED, isBad=True),
            Row(
                "D02_D30",
                "silence",
                Fate.SILENT,
                "NNN",
                CLOSED,
                wait=CONNECT.least,
                isBad=True,
            ),
        ),
    ),
    (
        GREETING,
        (
            Row("D03", "2yz", "220 mx.example.org", "DDD", REUSED),
            Row("D03", "multiLine", "220-Well,\n220 go on", "DDD", REUSED),
            Row("D03", "late", Late(299, "220 Oh"), "DDD", REUSED, wait=299),
            Row("D04", "4yz", "450 4.3.2 Busy", "NNN", CLOSED, isBad=True),
            Row("D04", "4yzStatus5", "450 5.7.1 Busy", "NNN", CLOSED, isBad=True),
            *_closing("D04", "NNN", isBad=True),
            Row("D05", "554", "554 5.7.1 No", "NNN", CLOSED),
            Row("D05", "521", "521 No mail here", "NNN", CLOSED),
            Row("D05", "5yzClose", Then("554 No", Act.CLOSE), "NNN", CLOSED),
            Row(
                "D05",
                "5yzEverywhere",
                "554 5.7.1 No",
                "BBB",
                CLOSED,
                second={"CONNECT": "554 5.7.1 No"},
                other="B",
            ),
            Row(
                "D05",
                "5yzAnd4yz",
                "554 5.7.1 No",
                "TTT",
                CLOSED,
                second={"CONNECT": "421 4.3.2 Busy"},
            ),
            Row("D05", "5yzAlone", "554 No", "BBB", CLOSED, hosts=1, other="B"),
            Row("D06", "250", "250 Hello", "NNN", CLOSED, isBad=True),
            Row("D06", "354", "354 Go on", "NNN", CLOSED, isBad=True),
            *_breaks("D06", GREETING, "NNN", isBad=True),
        ),
    ),
    (
        EHLO,
        (
            Row("D07", "500", "500 5.5.2 What?", "DDD", REUSED),
            Row("D07", "501", "501 5.5.4 What?", "DDD", REUSED),
            Row("D07", "502", "502 5.5.1 What?", "DDD", REUSED),
            Row("D07", "504", "504 5.5.4 What?", "DDD", REUSED),
            Row("D07", "550", "550 5.7.1 What?", "DDD", REUSED),
            Row("D08", "4yz", "451 4.3.0 Later", "NNN", CLOSED),
            *_closing("D08", "NNN"),
            Row("D08", "354", "354 Go on", "NNN", CLOSED),
            *_breaks("D08", EHLO, "NNN"),
        ),
    ),
    (
        replace(EHLO, name="EHLO_needsTLS", lane=Lane.NEEDED),
        (Row("D07", "502", "502 5.5.1 What?", "NNN", CLOSED),),
    ),
    (
        replace(EHLO, name="EHLO_needsAuth", lane=Lane.LOGIN),
        (Row("D07", "502", "502 5.5.1 What?", "NNN", CLOSED),),
    ),
    (
        HELO,
        (
            Row("D07", "2yz", "250 mx.example.org", "DDD", REUSED),
            Row("D08", "4yz", "451 4.3.0 Later", "NNN", CLOSED),
            Row("D08", "5yz", "550 5.7.1 No", "NNN", CLOSED),
            *_closing("D08", "NNN"),
            Row("D08", "354", "354 Go on", "NNN", CLOSED),
            *_breaks("D08", HELO, "NNN"),
        ),
    ),
    (
        STARTTLS,
        (
            Row("D09", "2yz", "220 2.0.0 Go on", "DDD", REUSED),
            # What comes in clear behind the 220 is nobody's word (RFC 3207 6).
            Row("D09", "surplus", "220 Go on\n250 Ok", "DDD", REUSED),
            *_BEFORE_TLS,
        ),
    ),
    (
        NEEDED,
        (
            Row("D09", "2yz", "220 2.0.0 Go on", "DDD", REUSED),
            *(replace(row, fates="NNN") for row in _BEFORE_TLS),
        ),
    ),
    (
        SECURED,
        (
            Row("D10", "losesKeywords", "250 mx.example.org", "DDD", REUSED),
            Row("D10", "4yz", "451 4.3.0 Later", "NNN", CLOSED),
            Row("D10", "5yz", "550 5.7.1 No", "NNN", CLOSED),
            *_closing("D10", "NNN"),
            Row("D10", "354", "354 Go on", "NNN", CLOSED),
            *_breaks("D10", SECURED, "NNN"),
        ),
    ),
    (
        AUTH,
        (
            Row("D11", "2yz", "235 2.7.0 Welcome", "DDD", REUSED),
            Row("D11", "4yz", "454 4.7.0 Not now", "NNN", CLOSED, isBad=True),
            Row("D11", "535", "535 5.7.8 Wrong", "NNN", CLOSED, isBad=True),
            Row("D11", "5yz", "550 5.7.1 No", "NNN", CLOSED, isBad=True),
            Row("D11", "250", "250 Ok", "NNN", CLOSED, isBad=True),
            Row("D11", "354", "354 Go on", "NNN", CLOSED, isBad=True),
            *_closing("D11", "NNN", isBad=True),
            *_breaks("D11", AUTH, "NNN", isBad=True),
        ),
    ),
    (
        MAIL,
        (
            Row("D12", "2yz", "250 2.1.0 Ok", "DDD", REUSED),
            Row("D12", "other2yz", "220 Ok", "DDD", REUSED),
            Row("D12", "multiLine", "250-2.1.0 Well,\n250 2.1.0 ok", "DDD", REUSED),
            Row("D12", "2yzStatus5", "250 5.1.0 Ok", "DDD", REUSED),
            Row("D12", "late", Late(299, "250 Ok"), "DDD", REUSED, wait=299),
            Row("D13", "4yz", "451 4.3.0 Later", "NNN", CLOSED),
            Row("D13", "452", "452 4.3.1 Full", "NNN", CLOSED),
            Row("D13", "4yzStatus5", "450 5.1.0 Later", "NNN", CLOSED),
            Row("D13", "4yzAlone", "451 Later", "TTT", REUSED, hosts=1),
            *_closing("D13", "NNN"),
            Row("D14", "550", "550 5.7.1 Not you", "BBB", REUSED),
            Row("D14", "552", "552 5.3.4 Too big", "BBB", REUSED),
            Row("D14", "553", "553 5.1.7 Not so", "BBB", REUSED),
            Row("D14", "5yzStatus4", "550 4.7.1 Not you", "BBB", REUSED),
            Row("D14", "555", "555 5.5.4 SIZE?", "DDD", REUSED),
            Row("D14", "555Twice", ("555 What?", "555 What?"), "BBB", REUSED),
            Row("D13", "354", "354 Go on", "NNN", CLOSED),
            *_breaks("D13", MAIL, "NNN"),
            Row("D26", "surplus2yz", "250 Ok\n250 Ok", "TTT", CLOSED),
            Row("D26", "surplus5yz", "250 Ok\n550 No", "TTT", CLOSED),
            Row(
                "D19",
                "4yzAndThen354",
                "451 4.3.0 Later",
                "NNN",
                CLOSED,
                also={**{f"RCPT {each}": "250 Ok" for each in THREE}, "DATA": "354 Go"},
            ),
        ),
    ),
    (
        FIRST,
        (
            *_AT_RCPT,
            _SURPLUS,
            # Nobody was accepted yet: there were not too many.
            Row("D16", "452", "452 4.2.2 Full", "T", REUSED),
            Row("D16", "552", "552 5.2.2 Full", "T", REUSED),
            *_breaks("D18", FIRST, "TTT", "6yz garbage lost silence"),
        ),
    ),
    (
        MIDDLE,
        (
            *_AT_RCPT,
            _SURPLUS,
            _GONE,
            *_TOO_MANY,
            Row(
                "D16",
                "452ToTheRest",
                "452 4.5.3 Too many",
                "DAA",
                REUSED,
                also={f"RCPT {THREE[2]}": "452 4.5.3 Too many"},
            ),
            Row(
                "D15",
                "5yzOf4yz2yz",
                "550 5.1.1 Nobody",
                "TBD",
                REUSED,
                also={f"RCPT {THREE[0]}": "451 4.2.0 Later"},
            ),
            *_breaks("D18", MIDDLE, "TTT"),
        ),
    ),
    (
        LAST,
        (
            *_AT_RCPT,
            *_TOO_MANY,
            replace(_SURPLUS, isPiped=False),
            # Where DATA was said already this cannot be told from its reply.
            replace(_SURPLUS, fates="BBB", isPiped=True),
            *_breaks("D18", LAST, "TTT", "1yz garbage lost reset silence"),
        ),
    ),
    (
        replace(FIRST, name="RCPT_all"),
        (
            Row("D19", "5yz", "550 5.1.1 Nobody", "BBB", REUSED, also=ALL_REFUSED),
            Row("D19", "4yz", "451 4.2.0 Later", "TTT", REUSED, also=ALL_LATER),
            Row(
                "D19",
                "4yzAnd5yz",
                "550 5.1.1 Nobody",
                "BTT",
                REUSED,
                also=ALL_LATER | {f"RCPT {THREE[0]}": "550 5.1.1 Nobody"},
            ),
        ),
    ),
    (
        DATA,
        (
            Row("D20", "354", "354 Go on", "DDD", REUSED),
            Row("D20", "multiLine", "354-Well,\n354 go on", "DDD", REUSED),
            Row("D20", "late", Late(119, "354 Go"), "DDD", REUSED, wait=119),
            Row("D20", "4yz", "451 4.3.0 Later", "TTT", REUSED),
            Row("D20", "452", "452 4.3.1 Full", "TTT", REUSED),
            Row("D20", "4yzStatus5", "451 5.3.0 Later", "TTT", REUSED),
            Row("D20", "5yz", "554 5.7.1 No", "BBB", REUSED),
            Row("D20", "552", "552 5.3.4 Too big", "BBB", REUSED),
            Row("D20", "5yzStatus4", "554 4.7.1 No", "BBB", REUSED),
            Row(
                "D20",
                "5yzFor2yz4yz5yz",
                "554 5.7.1 No",
                "BTB",
                REUSED,
                also={
                    f"RCPT {THREE[1]}": "451 4.2.0 Later",
                    f"RCPT {THREE[2]}": "550 5.1.1 Nobody",
                },
            ),
            *_closing("D20", "TTT"),
            Row("D21", "250", "250 2.0.0 Ok", "TTT", CLOSED),
            Row("D21", "220", "220 Ok", "TTT", CLOSED),
            *_breaks("D20", DATA, "TTT"),
            _GONE,
            Row("D26", "surplus2yz", "354 Go\n250 Ok", "TTT", CLOSED),
            Row("D26", "surplus5yz", "354 Go\n550 No", "TTT", CLOSED),
            Row("D19", "354For5yz", "354 Go", "BBB", REUSED, also=ALL_REFUSED),
            Row("D19", "354For4yz", "354 Go", "TTT", REUSED, also=ALL_LATER),
            Row(
                "D19",
                "354For5yzAndRefused",
                "354 Go",
                "BBB",
                REUSED,
                also=ALL_REFUSED | {".": "554 5.5.1 Nobody"},
                isPiped=True,
            ),
        ),
    ),
    (
        BODY,
        (
            Row("D22", "5yz", "554 5.3.4 Too big", "BBB", CLOSED),
            Row("D22", "5yzStatus4", "554 4.3.4 Too big", "BBB", CLOSED),
            Row("D22", "5yzCut", Then(Raw(b"554-No\r\n"), Act.CLOSE), "TTT", CLOSED),
            Row("D22", "4yz", "451 4.3.0 Later", "TTT", CLOSED),
            *_closing("D22", "TTT"),
            Row("D22", "354", "354 Go on", "TTT", CLOSED),
            Row("D26", "2yz", "250 2.0.0 Ok", "TTT", CLOSED),
            # A host that does not read: its window is full, and stays so.
            Row(
                "D22_D30",
                "unread",
                Late(BODY.least + 0.5, Act.CLOSE),
                "TTT",
                CLOSED,
                wait=BODY.least,
            ),
            *_breaks("D22", BODY, "TTT", "1yz 6yz garbage codesDiffer lost reset"),
        ),
    ),
    (
        FINAL,
        (
            Row("D23", "2yz", "250 2.0.0 Ok", "DDD", REUSED),
            Row("D23", "other2yz", "200 Ok", "DDD", REUSED),
            Row("D23", "multiLine", "250-2.0.0 Well,\n250 2.0.0 ok", "DDD", REUSED),
            Row("D23", "2yzStatus5", "250 5.0.0 Ok", "DDD", REUSED),
            Row("D23", "late", Late(599, "250 Ok"), "DDD", REUSED, wait=599),
            Row("D24", "4yz", "451 4.3.0 Later", "TTT", REUSED),
            Row("D24", "452", "452 4.3.1 Full", "TTT", REUSED),
            Row("D24", "4yzStatus5", "451 5.3.0 Later", "TTT", REUSED),
            Row("D24", "5yz", "554 5.6.0 No", "BBB", REUSED),
            Row("D24", "552", "552 5.3.4 Too big", "BBB", REUSED),
            Row("D24", "5yzStatus4", "554 4.6.0 No", "BBB", REUSED),
            Row(
                "D24",
                "5yzFor2yz4yz",
                "554 5.6.0 No",
                "BTB",
                REUSED,
                also={f"RCPT {THREE[1]}": "451 4.2.0 Later"},
            ),
            *_closing("D25", "UUU"),
            Row("D25", "354", "354 Go on", "UUU", CLOSED),
            *_breaks("D25", FINAL, "UUU", _UNTAKEN),
            # The host has it, and the relay could not know.
            *(
                replace(row, isTaken=True)
                for row in _breaks("D25", FINAL, "UUU", "codesDiffer")
            ),
            Row("D25", "taken", _take, "UUU", CLOSED, isTaken=True),
            Row(
                "D25",
                "lostFor2yz4yz5yz",
                Act.CLOSE,
                "UTB",
                CLOSED,
                also={
                    f"RCPT {THREE[1]}": "451 4.2.0 Later",
                    f"RCPT {THREE[2]}": "550 5.1.1 Nobody",
                },
            ),
            Row("D26", "surplus2yz", "250 Ok\n250 Ok", "DDD", CLOSED),
            Row("D26", "surplus5yz", "250 Ok\n550 No", "DDD", CLOSED),
            Row("D26", "4yzSurplus2yz", "451 Later\n250 Ok", "TTT", CLOSED),
            Row("D26", "5yzSurplus2yz", "554 No\n250 Ok", "BBB", CLOSED),
        ),
    ),
    (
        # All three were refused; it is the other message that matters.
        RSET,
        (
            Row("D29", "2yz", "250 2.0.0 Ok", "BBB", REUSED, other="D"),
            Row("D29", "4yz", "451 4.3.0 Later", "BBB", CLOSED, other="D"),
            Row("D29", "5yz", "502 5.5.1 What?", "BBB", CLOSED, other="D"),
            *_closing("D29", "BBB", other="D"),
            *_breaks("D29", RSET, "BBB", "lost reset silence unended", other="D"),
            *_breaks("D29", RSET, "BBB", "1yz 6yz garbage codesDiffer", other="T"),
            Row("D29", "354", "354 Go on", "BBB", CLOSED, other="T"),
            Row("D26", "surplus2yz", "250 Ok\n250 Ok", "BBB", CLOSED, other="T"),
            Row("D26", "surplus5yz", "250 Ok\n550 No", "BBB", CLOSED, other="T"),
        ),
    ),
    (
        USED,
        (
            Row("D29", "2yz", "250 2.1.0 Ok", "DDD", REUSED),
            *_closing("D29", "DDD"),
            *_breaks("D29", USED, "DDD", "lost reset unended"),
            *_breaks("D13", USED, "NNN", "1yz 6yz garbage codesDiffer silence"),
            Row("D13", "4yz", "451 4.3.0 Later", "NNN", CLOSED),
            Row("D14", "5yz", "550 5.7.1 Not you", "BBB", REUSED),
        ),
    ),
    (
        IDLE,
        (
            Row("D29", "421", _idle("421 4.4.2 Idle"), "DDD", CLOSED),
            Row(
                "D29",
                "421Close",
                _idle(Then("421 4.4.2 Idle", Act.CLOSE)),
                "DDD",
                CLOSED,
            ),
            Row("D29", "lost", _idle(Act.CLOSE), "DDD", CLOSED),
            Row("D29", "reset", _idle(Act.RESET), "DDD", CLOSED),
            Row("D29", "silence", _idle(Act.SILENCE), "NNN", CLOSED, wait=300),
            Row("D26", "2yz", _idle("250 Ok"), "DDD", CLOSED),
            Row("D26", "4yz", _idle("451 4.3.0 Later"), "DDD", CLOSED),
            Row("D26", "5yz", _idle("550 5.1.1 No"), "DDD", CLOSED),
            Row("D26", "garbage", _idle("what?"), "DDD", CLOSED),
        ),
    ),
    (
        QUIT,
        (
            Row("D28", "2yz", "221 2.0.0 Bye", "DDD", REUSED),
            Row("D28", "250", "250 2.0.0 Ok", "DDD", REUSED),
            Row("D28", "354", "354 Go on", "DDD", REUSED),
            Row("D28", "4yz", "451 4.3.0 Later", "DDD", REUSED),
            Row("D28", "5yz", "500 5.5.2 What?", "DDD", REUSED),
            Row("D28", "421", "421 4.3.2 Going", "DDD", REUSED),
            Row("D26", "surplus", "221 Bye\n550 No", "DDD", REUSED),
            *_breaks("D28", QUIT, "DDD", connection=REUSED),
        ),
    ),
)


#: The places of a transaction that is said in the flight of the message before it.
_BEHIND = (FIRST, MIDDLE, LAST, DATA, FINAL)


def _behind(place: Place, rows: tuple[Row, ...]) -> tuple[Place, tuple[Row, ...]]:
    """
    Give the rows of a place for the second message of a session; the first one is
    delivered whatever is said, for its reply comes before.
    """
    skips = 0 if place.phase is Phase.RCPT else 1
    behind = replace(place, name=f"{place.name}_reused", skips=skips, isAfter=True)
    # What is said besides is said to the first one where it is not to a recipient.
    rows = tuple(row for row in rows if not {"DATA", "."} & row.also.keys())
    # A reset takes with it what was said to the end of the first one.
    gone = replace(_GONE, fates="DDD", fault="D25", other="U")
    told = (replace(row, other="D") for row in rows if row is not _GONE)
    return behind, (*told, *(gone for row in rows if row is _GONE))


def _table() -> Iterator[tuple[Place, tuple[Row, ...]]]:
    yield from TABLE
    yield from (_behind(place, rows) for place, rows in TABLE if place in _BEHIND)


def _casesOf(place: Place, row: Row) -> Iterator[Case]:
    name = f"test_{row.fault}_{place.name}_{row.what}"
    if not place.isPiped:
        yield Case(name, place, row, isPipelined=True)
        return
    for isPipelined, suffix in ((True, "pipelined"), (False, "stepwise")):
        if row.isPiped in (None, isPipelined):
            yield Case(f"{name}_{suffix}", place, row, isPipelined)


def _inFull(place: Place, row: Row) -> Row:
    """
    Give a row with a letter for each recipient.
    """
    if len(row.fates) > 1:
        return row
    keys = [each.key for each in (FIRST, MIDDLE, LAST)]
    position = keys.index(place.key)
    return replace(row, fates="D" * position + row.fates + "D" * (2 - position))


def cases() -> list[Case]:
    """
    Give all of them.
    """
    return [
        case
        for place, rows in _table()
        for row in rows
        for case in _casesOf(place, _inFull(place, row))
    ]
