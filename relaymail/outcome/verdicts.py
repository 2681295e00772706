# -*- test-case-name: relaymail.test.outcome.test_verdicts -*-
"""
The only judge of what a reply or a trouble means.

A verdict is looked up in one table, by where the attempt stood and what kind
of evidence came.  It says three things: what happens to the recipient, what
the evidence says of the host, and what it says of the lane (the destination).

The rules behind the table:

  - Only the first digit of a reply counts (RFC 5321 4.2.1), apart from 421,
    which closes the session wherever it comes (RFC 5321 3.8), and from 452 and
    552 to RCPT (RFC 5321 4.5.3.1.10).
  - Unknown means temporary: what is not understood is tried again later.
  - A message counts as delivered only by a 2yz reply to the end of its own
    data.
  - Once the end of the data was sent and its reply was not seen, the remote
    may have the message (RFC 1047): it is tried again later, and never at
    another host in the same attempt.
  - Wrong credentials are this relay's problem; mail does not bounce for them, and
    another host of the route, which may want others, is asked first.
  - What a host cannot do for anybody (it is down, it talks garbage, it has no
    TLS) is a reason to ask the next host before giving up for now.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from relaymail.outcomes import Bounce, Delivered, Outcome, Removed, Retry
from relaymail.replies import Evidence, Phase, Reply, Trouble, TroubleKind

#: RFC 3463 3.5: the message spent too long in the queue.
EXPIRED_STATUS = "4.4.7"
#: RFC 2852 4.1.4: the time that its sender set was over.
LATE_STATUS = "5.4.7"
#: RFC 3463 3.1: it was no host, system or policy, and there is no code for people.
OPERATOR_STATUS = "5.0.0"
#: RFC 8689 7.2: the host cannot promise TLS for the rest of the way.
REQUIRETLS_STATUS = "5.7.30"
#: RFC 3463 3.8: the classes of status that say that a host's policy wants mail
#: later, such as because there is too much of it.
_POLICY = "4.7."
#: RFC 5321 3.8, 4.2.1: the one code that ends the session wherever it comes.
CLOSING_CODE = 421
#: RFC 5321 4.5.3.1.10: how a host says that a transaction has enough
#: recipients; the second one by hosts that follow RFC 821.
TOO_MANY_CODES = frozenset({452, 552})


class Fate(Enum):
    """
    What happens to the recipient.  The value is what a log line says.
    """

    DELIVERED = "delivered"
    RETRY = "tried again later"
    BOUNCE = "never delivered"
    NEXT_HOST = "tried at the next host of the route, in this attempt"
    AGAIN = "tried at once in a new transaction"
    DISCARD = "thrown away, and nobody is told"


class HostState(Enum):
    """
    What the evidence says of the host.
    """

    FINE = "works"
    BAD = "does not work"
    UNKNOWN = "nothing can be said"


class LaneState(Enum):
    """
    What the evidence says of the lane, that is, of a destination.
    """

    FINE = "takes mail"
    ANSWERS = "serves, though it does not take this"
    THROTTLE = "wants less"
    FAILING = "does not serve"
    UNFIT = "does not serve mail that needs such a session, whatever it does for other"
    UNKNOWN = "nothing can be said"


class Said(Enum):
    """
    The kinds of reply that a verdict tells apart; with the kinds of trouble
    they are the kinds of evidence.
    """

    DONE = "2yz"
    GO_ON = "3yz"
    CLOSING = "421"
    NOT_NOW = "4yz"
    TOO_MANY = "452 or 552 after a recipient was accepted"
    NEVER = "5yz"
    ODD = "no code of the standard"


Kind = Said | TroubleKind


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    What evidence means.

    @ivar fate: What happens to the recipient.
    @ivar status: The enhanced status code (RFC 3463): the remote's own where
        its class agrees with the fate, or the table's.  With L{NEXT_HOST
        <Fate.NEXT_HOST>} it is the one that the last host would lead to.
    @ivar host: What it says of the host.
    @ivar lane: What it says of the lane.
    @ivar ambiguous: Whether the remote may have the message all the same.
    """

    fate: Fate
    status: str
    host: HostState = HostState.UNKNOWN
    lane: LaneState = LaneState.UNKNOWN
    ambiguous: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """
    One row of the table.

    @ivar fate: The fate while the route has further hosts.
    @ivar last: The fate at the last host.
    @ivar status: The enhanced status code where the reply has no fitting one,
        of the class of C{last}; empty until the table is filled, for the one
        of the kind of evidence.
    @ivar host: What it says of the host.
    @ivar lane: What it says of the lane, once no host is left.
    @ivar ambiguous: Whether the remote may have the message all the same.
    """

    fate: Fate
    last: Fate
    status: str = ""
    host: HostState = HostState.UNKNOWN
    lane: LaneState = LaneState.UNKNOWN
    ambiguous: bool = False


def _row(
    fate: Fate,
    status: str = "",
    host: HostState = HostState.UNKNOWN,
    lane: LaneState = LaneState.UNKNOWN,
    ambiguous: bool = False,
) -> Row:
    return Row(fate, fate, status, host, lane, ambiguous)


def _next(
    last: Fate,
    status: str = "",
    host: HostState = HostState.UNKNOWN,
    lane: LaneState = LaneState.UNKNOWN,
) -> Row:
    return Row(Fate.NEXT_HOST, last, status, host, lane)


_FINE = HostState.FINE
_BAD = HostState.BAD
_SLOWER = LaneState.THROTTLE
_FAILS = LaneState.FAILING
_UNFIT = LaneState.UNFIT
_ANSWERS = LaneState.ANSWERS

#: The status of a temporary failure, by kind of evidence, where a row has none.
_STATUS: dict[Kind, str] = {
    Said.DONE: "4.5.0",
    Said.GO_ON: "4.5.0",
    Said.CLOSING: "4.3.2",
    Said.NOT_NOW: "4.3.0",
    Said.TOO_MANY: "4.5.3",
    Said.NEVER: "4.3.0",
    Said.ODD: "4.5.0",
    TroubleKind.REFUSED: "4.4.1",
    TroubleKind.UNREACHABLE: "4.4.1",
    TroubleKind.TIMEOUT: "4.4.2",
    TroubleKind.LOST: "4.4.2",
    TroubleKind.GARBAGE: "4.5.0",
    TroubleKind.TLS: "4.7.5",
    TroubleKind.AUTH: "4.7.8",
    TroubleKind.NO_ANSWER: "4.4.3",
    TroubleKind.NO_SUCH_DOMAIN: "4.1.2",
    TroubleKind.NULL_MX: "4.1.10",
    TroubleKind.LOOP: "4.4.6",
    TroubleKind.FORBIDDEN: "4.4.4",
    TroubleKind.UNSENDABLE: "4.6.0",
    TroubleKind.EXPIRED: EXPIRED_STATUS,
    TroubleKind.LATE: EXPIRED_STATUS,
    TroubleKind.TOO_LARGE: "4.3.4",
    TroubleKind.NO_SMTPUTF8: "4.6.7",
    TroubleKind.NO_REQUIRETLS: "4.7.30",
    TroubleKind.NO_DELIVERBY: "4.3.3",
    TroubleKind.NO_CONVERSION: "4.6.3",
    TroubleKind.POLICY: "4.7.1",
    TroubleKind.DISCARDED: "4.7.1",
    TroubleKind.LOCAL: "4.3.0",
    TroubleKind.OPERATOR: "4.0.0",
}

#: What holds in a phase for all that no other row names.
_PHASES: dict[Phase, Row] = {
    Phase.RESOLVE: _next(Fate.RETRY),
    Phase.CONNECT: _next(Fate.RETRY, "4.4.1", _BAD, _FAILS),
    Phase.GREETING: _next(Fate.RETRY, "", _BAD, _FAILS),
    Phase.EHLO: _next(Fate.RETRY, "", lane=_FAILS),
    Phase.STARTTLS: _next(Fate.RETRY, "", lane=_UNFIT),
    Phase.AUTH: _next(Fate.RETRY, "", _BAD, _FAILS),
    Phase.MAIL: _next(Fate.RETRY, "", lane=_FAILS),
    Phase.RCPT: _row(Fate.RETRY, "", lane=_FAILS),
    Phase.DATA: _row(Fate.RETRY, "", lane=_FAILS),
    Phase.BODY: _row(Fate.RETRY, "", lane=_FAILS),
    Phase.FINAL: _row(Fate.RETRY, "", lane=_FAILS, ambiguous=True),
    # Between two transactions nothing was in flight: a connection that ends
    # there costs the next name no attempt.
    Phase.RSET: _row(Fate.AGAIN, "4.4.2"),
    Phase.IDLE: _row(Fate.AGAIN, "4.4.2"),
    Phase.QUIT: _row(Fate.RETRY, "", _FINE),
}

#: What means the same wherever it is found.
_ANYWHERE: dict[Kind, Row] = {
    # A host whose address nobody tells is as dead as one that is silent.
    TroubleKind.NO_ANSWER: _next(Fate.RETRY, "4.4.3", _BAD, _FAILS),
    TroubleKind.NO_SUCH_DOMAIN: _next(Fate.BOUNCE, "5.1.2"),
    TroubleKind.NULL_MX: _row(Fate.BOUNCE, "5.1.10"),
    # Hosts behind this relay in the order would only send the mail back.
    TroubleKind.LOOP: _row(Fate.BOUNCE, "5.4.6"),
    # RFC 3463 3.5, X.4.4: no way there.  Waiting does not make a private
    # address public, so it is permanent once no other host is left.
    TroubleKind.FORBIDDEN: _next(Fate.BOUNCE, "5.4.4"),
    TroubleKind.UNSENDABLE: _row(Fate.BOUNCE, "5.6.0"),
    TroubleKind.EXPIRED: _row(Fate.BOUNCE, EXPIRED_STATUS),
    # RFC 2852 4.1.4: returned, not tried once more.
    TroubleKind.LATE: _row(Fate.BOUNCE, LATE_STATUS),
    # What this host cannot take another one may.
    TroubleKind.TOO_LARGE: _next(Fate.BOUNCE, "5.3.4", _FINE, _ANSWERS),
    TroubleKind.NO_SMTPUTF8: _next(Fate.BOUNCE, "5.6.7", _FINE, _ANSWERS),
    TroubleKind.NO_REQUIRETLS: _next(Fate.BOUNCE, REQUIRETLS_STATUS, lane=_ANSWERS),
    TroubleKind.NO_DELIVERBY: _next(Fate.BOUNCE, "5.3.3", _FINE, _ANSWERS),
    TroubleKind.NO_CONVERSION: _next(Fate.BOUNCE, "5.6.3", _FINE, _ANSWERS),
    # RFC 3463 3.8, X.7.1: it is by wish of who runs this relay.
    TroubleKind.POLICY: _row(Fate.BOUNCE, "5.7.1"),
    TroubleKind.DISCARDED: _row(Fate.DISCARD, "5.7.1"),
    TroubleKind.LOCAL: _row(Fate.RETRY, "4.3.0"),
    TroubleKind.OPERATOR: _row(Fate.BOUNCE, OPERATOR_STATUS),
}

#: What holds for one kind of evidence in one phase.
_ROWS: dict[tuple[Phase, Kind], Row] = {
    # What the policies of a destination want cannot be had now (RFC 8461 5, RFC 7672
    # 2.1): its mail waits, and never goes with less.
    (Phase.RESOLVE, TroubleKind.TLS): _next(Fate.RETRY, "4.7.5", lane=_FAILS),
    (Phase.CONNECT, TroubleKind.TLS): _next(Fate.RETRY, "4.7.5", _BAD, _FAILS),
    (Phase.GREETING, Said.NEVER): _next(Fate.BOUNCE, "5.3.2"),
    (Phase.AUTH, Said.NEVER): _next(Fate.RETRY, "4.7.8", _BAD, _FAILS),
    # It may be for this sender, or for now: the host serves.
    (Phase.MAIL, Said.NOT_NOW): _next(Fate.RETRY, "", lane=_ANSWERS),
    (Phase.MAIL, Said.NEVER): _row(Fate.BOUNCE, "5.1.0", _FINE, _ANSWERS),
    (Phase.RCPT, Said.NOT_NOW): _row(Fate.RETRY, "4.2.0", _FINE, _ANSWERS),
    (Phase.RCPT, Said.TOO_MANY): _row(Fate.AGAIN, "4.5.3", _FINE, _ANSWERS),
    (Phase.RCPT, Said.NEVER): _row(Fate.BOUNCE, "5.1.1", _FINE, _ANSWERS),
    (Phase.DATA, Said.NOT_NOW): _row(Fate.RETRY, "4.3.0", _FINE, _ANSWERS),
    (Phase.DATA, Said.NEVER): _row(Fate.BOUNCE, "5.3.0", _FINE, _ANSWERS),
    (Phase.BODY, Said.NEVER): _row(Fate.BOUNCE, "5.3.0", _FINE, _ANSWERS),
    (Phase.FINAL, Said.DONE): _row(Fate.DELIVERED, "2.0.0", _FINE, LaneState.FINE),
    (Phase.FINAL, Said.NOT_NOW): _row(Fate.RETRY, "4.3.0", _FINE, _ANSWERS),
    (Phase.FINAL, Said.NEVER): _row(Fate.BOUNCE, "5.3.0", _FINE, _ANSWERS),
}
# Nothing that happens while authenticating or after the end of the data is
# permanent, whatever it would mean elsewhere.
_ROWS |= {
    (phase, kind): _PHASES[phase]
    for phase in (Phase.AUTH, Phase.FINAL)
    for kind in TroubleKind
}
# A host that talks out of turn between transactions is not worth hurrying for.
_ROWS |= {
    (phase, kind): _row(Fate.RETRY, "", lane=_SLOWER)
    for phase in (Phase.RSET, Phase.IDLE)
    for kind in (Said.DONE, Said.GO_ON, Said.ODD, TroubleKind.GARBAGE)
}


def _fill(phase: Phase, kind: Kind) -> Row:
    row = _ROWS.get((phase, kind)) or _ANYWHERE.get(kind) or _PHASES[phase]
    if kind is TroubleKind.TLS and row.lane is _FAILS:
        # What one destination wants of TLS others with its hosts may not want.
        row = replace(row, lane=_UNFIT)
    return row if row.status else replace(row, status=_STATUS[kind])


#: The whole table: every phase with every kind of evidence.
TABLE: dict[tuple[Phase, Kind], Row] = {
    (phase, kind): _fill(phase, kind)
    for phase in Phase
    for kind in (*Said, *TroubleKind)
}

_DIGITS = {2: Said.DONE, 3: Said.GO_ON, 4: Said.NOT_NOW, 5: Said.NEVER}


def kindOf(phase: Phase, evidence: Evidence, accepted: int = 0) -> Kind:
    """
    Give the kind of evidence that the table knows.

    @param phase: Where the attempt stood.
    @param evidence: The reply or the trouble.
    @param accepted: How many recipients the host had accepted in this
        transaction.

    @return: The kind; L{Said.ODD} for a reply whose first digit is not 2 to 5.
    """
    if isinstance(evidence, Trouble):
        return evidence.kind
    if phase is Phase.RCPT and evidence.code in TOO_MANY_CODES:
        return Said.TOO_MANY if accepted > 0 else Said.NOT_NOW
    if evidence.code == CLOSING_CODE:
        return Said.CLOSING
    return _DIGITS.get(evidence.code // 100, Said.ODD)


def judge(
    phase: Phase,
    evidence: Evidence,
    *,
    lastHost: bool = True,
    accepted: int = 0,
    mayRecover: bool = False,
) -> Verdict:
    """
    Say what evidence means for a recipient.

    A reply that says to go on is evidence only for L{Phase.FINAL}; anywhere
    else it was not expected, and counts as garbage.

    A connection that is found closed when the next transaction begins on it
    is judged as L{Phase.IDLE}, whatever command found it.

    @param phase: Where the attempt stood; it counts, not the trouble's own.
    @param evidence: The reply or the trouble.
    @param lastHost: Whether the route has no further host to try now.
    @param accepted: How many recipients the host had accepted in this
        transaction when it said this.
    @param mayRecover: Whether an earlier host of the route failed in a way
        that may pass, that is, its verdict had a status of class 4: what the
        last host is, is then no reason to give up the mail.

    @return: The verdict; there is one for everything.
    """
    row = TABLE[phase, kindOf(phase, evidence, accepted)]
    if mayRecover and (row.fate, row.last) == (Fate.NEXT_HOST, Fate.BOUNCE):
        row = replace(row, last=Fate.RETRY, status=f"4{row.status[1:]}")
    fate = row.last if lastHost else row.fate
    status = _statusOf(row, evidence)
    lane = LaneState.UNKNOWN if fate is Fate.NEXT_HOST else row.lane
    if lane is _ANSWERS and status.startswith(_POLICY):
        lane = _SLOWER
    return Verdict(fate, status, row.host, lane, row.ambiguous)


def outcomeOf(
    verdict: Verdict,
    phase: Phase,
    evidence: Evidence,
    host: str = "",
    address: str = "",
    tls: str = "",
    passedOn: bool = False,
) -> Outcome | None:
    """
    Make the outcome that a verdict leads to.

    @param verdict: The verdict.
    @param phase: Where the attempt stood.
    @param evidence: What the verdict was given on.
    @param host: The name of the host, empty where none was reached.
    @param address: Its network address, empty where none was reached.
    @param tls: The TLS version of the session, empty in clear.
    @param passedOn: Whether the host is given what senders want to be told.

    @return: The outcome, or L{None} where the recipient is to be tried again
        at once: on the next host, or in the next transaction.
    """
    told = (verdict.status, phase, evidence, host, address, tls)
    if verdict.fate is Fate.DELIVERED:
        return Delivered(*told, passedOn=passedOn)
    if verdict.fate is Fate.RETRY:
        return Retry(*told, ambiguous=verdict.ambiguous)
    if verdict.fate is Fate.BOUNCE:
        return Bounce(*told, expired=verdict.status == EXPIRED_STATUS)
    if verdict.fate is Fate.DISCARD:
        return Removed(*told)
    return None


def expired(retry: Retry) -> Bounce:
    """
    Turn an attempt that would be repeated into a failure, because the
    message's time is over (RFC 5321 4.5.4.1).

    @param retry: What became of the last attempt.

    @return: The failure, with what was last heard (RFC 3463 3.5, X.4.7).
    """
    return Bounce(
        EXPIRED_STATUS,
        retry.phase,
        retry.evidence,
        retry.host,
        retry.address,
        retry.tls,
        expired=True,
    )


def late(retry: Retry) -> Bounce:
    """
    Turn an attempt that would be repeated into a failure, because the time that its
    sender set is over (RFC 2852 4.1.4).

    @param retry: What became of the last attempt.

    @return: The failure, with what was last heard (RFC 3463 3.5, X.4.7).
    """
    return Bounce(
        LATE_STATUS, retry.phase, retry.evidence, retry.host, retry.address, retry.tls
    )


def _statusOf(row: Row, evidence: Evidence) -> str:
    # RFC 3463 2: the class of the status says what the fate is.
    own = evidence.status if isinstance(evidence, Reply) else None
    return own if own is not None and own[0] == row.status[0] else row.status
