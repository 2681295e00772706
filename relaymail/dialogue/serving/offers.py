# -*- test-case-name: relaymail.test.dialogue.test_server -*-
"""
What a server offers, and how much it bears.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Offer:
    """
    What a server offers and how much it bears.

    @ivar hostname: Its own name.
    @ivar messageSize: The largest message, in octets; 0 for any.
    @ivar recipients: The most recipients of one message (RFC 5321 4.5.3.1.8).
    @ivar errors: The most errors since the last message taken.
    @ivar idleCommands: The most commands that bring no mail since the last
        message taken; each more is an error.
    @ivar tls: Whether STARTTLS can be had.
    @ivar isBinarySafe: Whether any octets can be taken (RFC 3030).
    @ivar holdSeconds: For how long those who submit may have mail held (RFC 4865);
        0 for not at all.
    @ivar deliverBySeconds: In how many seconds mail is delivered at best, 0 for any
        (RFC 2852 3); L{None} where nobody may say by when.
    @ivar authFailures: How often a client may fail to authenticate.
    """

    hostname: str
    messageSize: int = 10_240_000
    recipients: int = 1000
    errors: int = 20
    idleCommands: int = 100
    tls: bool = False
    isBinarySafe: bool = False
    holdSeconds: int = 0
    deliverBySeconds: int | None = None
    authFailures: int = 3
