# -*- test-case-name: relaymail.test.test_prompt -*-
"""
Writing to a peer without waiting for the reactor's next turn.

A transport keeps what is written, asks the reactor to tell it when the socket
takes something, and sends in a later turn.  For the short lines of a dialogue,
whose peer waits and whose socket is empty, that is most of what a line costs.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.tcp import Connection


def writeNow(transport: Any, data: bytes) -> None:
    """
    Write, at once where that is certain to change nothing but the time: on a
    plain connection of which nothing waits to be sent.  Everywhere else, and
    for what the socket does not take, it is C{transport.write}; so it may be
    mixed with that, and the peer gets all in the order in which it was written.

    The protocol is told nothing that C{transport.write} would not tell it: a
    connection that turns out to be lost is left for the reactor to find.

    @param transport: Any L{ITransport<twisted.internet.interfaces.ITransport>}.
    @param data: What to write.
    """
    sent = 0
    if isinstance(transport, Connection) and _isIdle(transport):
        taken = transport.writeSomeData(data)
        if isinstance(taken, int) and taken > 0:
            sent = taken
    if sent < len(data):
        transport.write(data[sent:] if sent else data)


def _isIdle(transport: Any) -> bool:
    # A transport does not say whether something waits.  Where Twisted keeps it
    # in other attributes some day, nothing is written at once.
    return not (
        transport.TLS
        or not transport.connected
        or transport.disconnecting
        or transport.dataBuffer
        or getattr(transport, "_tempDataLen", True)
        or getattr(transport, "_aborting", True)
    )
