# -*- test-case-name: relaymail.test.intake.test_limits -*-
"""
How much a client may ask of the intake: every bound, in one place.
"""

from __future__ import annotations

from dataclasses import dataclass

from relaymail.dialogue.authentication import MAX_AUTH_LINE
from relaymail.dialogue.commands import MAX_COMMAND_LINE
from relaymail.dialogue.server import Offer
from relaymail.dialogue.unstuffing import MAX_TEXT_LINE


@dataclass(frozen=True, slots=True)
class Limits:
    """
    The bounds of the intake.  Sizes are in octets, times in seconds.

    @ivar commandLine: The longest command line with its CRLF: 512 (RFC 5321
        4.5.3.1.4), and room for what extensions add.
    @ivar textLine: The longest line of a message with its CRLF: RFC 5321
        4.5.3.1.6 asks for 1000, and there is mail with more.
    @ivar messageSize: The largest message, 0 for any; what other relays take
        by default.
    @ivar headerBytes: The largest header block, which is looked through for
        loops: a hundred hops and a thousand addresses fit several times.
    @ivar hops: The most Received fields of a message that is no loop (RFC
        5321 6.3 asks for at least 100).
    @ivar recipients: The most recipients of one message; RFC 5321 4.5.3.1.8
        asks for at least 100.
    @ivar errors: The most errors since the last message taken: enough for a
        list with some bad addresses, few for a guesser.
    @ivar idleCommands: The most commands that bring no mail since the last
        message taken; each more counts as an error.
    @ivar perAddress: The most connections of one network address (of one
        /64 in IPv6), trusted networks excepted.
    @ivar connections: The most connections in all, those of trusted networks
        neither counted nor refused: a descriptor each must be left for
        delivery.
    @ivar readAhead: How much may be received before it can be looked at,
        because an answer is awaited; then reading stops.
    @ivar memory: How much of a message is in memory; the rest is in a file.
    @ivar allMemory: How much of all messages that come in at a time, or that
        the queue is writing, is in memory; beyond it each goes to a file as
        soon as its header is there.
    @ivar storing: The most messages that the queue is writing when one more is
        begun: as many as there are connections, but those whose clients hung up
        without waiting for the reply count too.
    @ivar holdSeconds: For how long those who submit may have mail held before it is
        sent (RFC 4865): it takes room all that time.  0: not at all.
    @ivar deliverBySeconds: The least time within which it may be asked that mail is
        delivered or returned (RFC 2852), 0 for any; L{None}: not at all.
    @ivar authLine: The longest line with its CRLF where clients can authenticate
        (RFC 4954 4).
    @ivar authFailures: How often a client may fail to authenticate before its
        session ends: enough for a wrong key, few for a guesser.
    @ivar commandSeconds: How long a client may take for a whole command,
        however it is cut (RFC 5321 4.5.3.2.7 asks for at least 300).
    @ivar blockSeconds: How long it may take for C{blockBytes} of a message
        (RFC 5321 4.5.3.2.5 allows a sender 180 for a block).
    @ivar blockBytes: The least that must come in that time.
    @ivar messageSeconds: How long a whole message may take.
    @ivar answerSeconds: How long our own judgement or queue may take; a client
        waits as long for the last reply (RFC 5321 4.5.3.2.6).
    @ivar lingerSeconds: How long what was written last may wait to be read
        before the connection is cut.
    @ivar stopSeconds: How long a session may go on when the service stops;
        well under what service managers wait before they kill.
    """

    commandLine: int = MAX_COMMAND_LINE
    textLine: int = MAX_TEXT_LINE
    messageSize: int = 10_240_000
    headerBytes: int = 262_144
    hops: int = 100
    recipients: int = 1000
    errors: int = 20
    idleCommands: int = 100
    perAddress: int = 50
    connections: int = 1000
    readAhead: int = 65_536
    memory: int = 262_144
    allMemory: int = 67_108_864
    storing: int = 1000
    holdSeconds: int = 604_800
    deliverBySeconds: int | None = 0
    authLine: int = MAX_AUTH_LINE
    authFailures: int = 3
    commandSeconds: float = 300.0
    blockSeconds: float = 180.0
    blockBytes: int = 1024
    messageSeconds: float = 3600.0
    answerSeconds: float = 600.0
    lingerSeconds: float = 10.0
    stopSeconds: float = 10.0

    def offer(self, hostname: str, *, tls: bool, isBinarySafe: bool = False) -> Offer:
        """
        Give what the server dialogue needs to know of this.

        @param hostname: The name of this host.
        @param tls: Whether STARTTLS can be had.
        @param isBinarySafe: Whether the queue keeps any octets as they are.
        """
        return Offer(
            hostname,
            messageSize=self.messageSize,
            recipients=self.recipients,
            errors=self.errors,
            idleCommands=self.idleCommands,
            tls=tls,
            isBinarySafe=isBinarySafe,
            holdSeconds=self.holdSeconds,
            deliverBySeconds=self.deliverBySeconds,
            authFailures=self.authFailures,
        )


#: The bounds where nothing else is said.
DEFAULT_LIMITS = Limits()
