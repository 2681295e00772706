# -*- test-case-name: relaymail.test.outcome.test_news -*-
"""
What a sender is told of, and of what each sender wants to be told (RFC 3461, RFC
2852).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from relaymail.envelopes import NO_PARAMETERS, Parameters, RecipientParameters
from relaymail.outcomes import Outcome

#: How long mail is tried before its sender is told that it is late, in seconds:
#: long enough for a host to be mended, and short enough for its sender to find
#: another way on the same day.
DEFAULT_DELAY_NOTICE: float = 4 * 3600.0


class News(Enum):
    """
    What became of a message; the value is the Action of RFC 3464 2.3.3.
    """

    FAILED = "failed"
    DELAYED = "delayed"
    RELAYED = "relayed"
    DELIVERED = "delivered"


@dataclass(frozen=True, slots=True)
class Told:
    """
    What is told of one recipient.

    @ivar recipient: Who that is.
    @ivar outcome: What became of the last attempt.
    @ivar orcpt: Who the sender named (RFC 3461 4.2), as C{TYPE;ADDRESS}, empty
        where that was not said.
    @ivar until: Until when it is tried, in seconds of the epoch, where that goes
        on.
    """

    recipient: str
    outcome: Outcome
    orcpt: str = ""
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """
    What a notice is made of.

    @ivar reportingHost: The name of this relay.
    @ivar sender: Who sent the message, and gets the notice; never empty.
    @ivar told: The recipients, with what became of them, at least one.
    @ivar original: The first bytes of the message, with CRLF or LF: all of it or,
        when it is longer, at least one more than C{MAX_ORIGINAL} of
        L{relaymail.outcome.original}.
    @ivar arrived: When the message was accepted, in seconds of the epoch.
    @ivar now: The time, in seconds of the epoch.
    @ivar token: What no other notice of this relay has, for the Message-ID
        and the boundary.
    @ivar news: What became of all of the recipients.
    @ivar parameters: What MAIL said of the message.
    """

    reportingHost: str
    sender: str
    told: Sequence[Told]
    original: bytes
    arrived: float
    now: float
    token: str
    news: News = News.FAILED
    parameters: Parameters = NO_PARAMETERS

    @property
    def hasForeignAddress(self) -> bool:
        """
        Whether an address in it is not ASCII (RFC 6533 4).
        """
        said = [text for each in self.told for text in (each.recipient, each.orcpt)]
        return not all(text.isascii() for text in (self.sender, *said))


def mayNotify(sender: str) -> bool:
    """
    Tell whether a sender may be told of anything: not the null sender, who sends
    notices (RFC 5321 6.1, 4.5.5).

    @param sender: The reverse-path.

    @return: Whether a notice may be sent.
    """
    return sender.strip() not in ("", "<>")


def newsOfDelivery(
    parameters: Parameters,
    said: RecipientParameters,
    passedOn: bool,
    isTimed: bool,
    isFinal: bool,
) -> News | None:
    """
    Say what a sender is to be told of a delivery.

    @param parameters: What MAIL said.
    @param said: What RCPT said.
    @param passedOn: Whether the host tells what the sender wants to be told
        (L{Delivered <relaymail.outcomes.Delivered>}).
    @param isTimed: Whether the host was told by when it is to be delivered (RFC
        2852).
    @param isFinal: Whether the host put it where the recipient reads it, as one
        that speaks LMTP does (RFC 2033).

    @return: What; L{None} for nothing.
    """
    if said.wantsSuccess and not passedOn:
        # RFC 3461 5.2.2
        return News.DELIVERED if isFinal else News.RELAYED
    by = parameters.deliverBy
    if by is None or isFinal or said.notify == "NEVER":
        return None
    # RFC 2852 4.1.4: those who trace hear of each relay, and in mode N the others
    # where nobody behind this one keeps an eye on the time.
    isUnwatched = not by.returns and not isTimed
    return News.RELAYED if by.traced or isUnwatched else None


def isDelayNews(
    parameters: Parameters,
    said: RecipientParameters,
    began: float,
    now: float,
    wait: float = DEFAULT_DELAY_NOTICE,
) -> bool:
    """
    Tell whether it is time to tell a sender that a message is late, if that was not
    done before.

    @param parameters: What MAIL said.
    @param said: What RCPT said.
    @param began: From when its time is counted, in seconds.
    @param now: The time, in seconds of the same clock.
    @param wait: How late it is then, in seconds; 0: only those who asked for it are
        told (NOTIFY with DELAY), after L{DEFAULT_DELAY_NOTICE}.
    """
    by = parameters.deliverBy
    if by is not None and not by.returns and now >= by.at:
        # RFC 2852 4.1.4: mode N.
        return said.notify != "NEVER"
    if not said.wantsDelay or not (wait or said.notify):
        return False
    return now >= began + (wait or DEFAULT_DELAY_NOTICE)


def isTooLate(parameters: Parameters, now: float) -> bool:
    """
    Tell whether a message is to be returned because the time is over until which
    its sender wanted it to be delivered (RFC 2852 4.1.4, mode R).

    @param parameters: What MAIL said.
    @param now: The time, in seconds of the queue's clock.
    """
    by = parameters.deliverBy
    return by is not None and by.returns and now >= by.at


def endOf(parameters: Parameters, expires: float) -> float:
    """
    Say until when a message is tried.

    @param parameters: What MAIL said.
    @param expires: When it would bounce otherwise, in seconds.
    """
    by = parameters.deliverBy
    return expires if by is None or not by.returns else min(expires, by.at)
