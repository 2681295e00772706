# -*- test-case-name: relaymail.test.testing.test_clients -*-
"""
SMTP clients for tests: they give mail to a server the way they are told to, and
say precisely what became of it.

    >>> mail = Mail("a@example.com", ("b@example.org",), content)
    >>> d = send(machine, "192.0.2.25", 25, mail)         # a Submission
    >>> d = sendAll(machine, "192.0.2.25", 25, [mail] * 3,
    ...             Manner(isPipelining=False, piece=1))  # of each one
    >>> d = send(machine, "192.0.2.25", 25, replace(mail, misdeed=Drop(after=10)))

They know nothing of relaymail's own client, so that they can judge what it and
its server do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import ClientFactory

from relaymail.testing._dialogue import Dialogue
from relaymail.testing._submissions import (
    Drop,
    Mail,
    Manner,
    Misdeed,
    ResetAfterDot,
    Stall,
    State,
    Submission,
)

__all__ = [
    "Drop",
    "Mail",
    "Manner",
    "Misdeed",
    "ResetAfterDot",
    "Stall",
    "State",
    "Submission",
    "send",
    "sendAll",
]

#: How long a session may take in all, in seconds.
TIMEOUT = 300.0
#: How a client speaks when nothing else is said.
POLITE = Manner()


def send(
    reactor: Any,
    host: str,
    port: int,
    mail: Mail,
    manner: Manner = POLITE,
    timeout: float = TIMEOUT,
) -> Deferred[Submission]:
    """
    Give a message to a server, over a connection of its own.

    See L{sendAll} for the parameters.

    @return: Fires with what became of it, when the session is over; it does not
        fail.
    """
    sent = sendAll(reactor, host, port, [mail], manner, timeout)
    return sent.addCallback(lambda submissions: submissions[0])


def sendAll(
    reactor: Any,
    host: str,
    port: int,
    mails: Sequence[Mail],
    manner: Manner = POLITE,
    timeout: float = TIMEOUT,
) -> Deferred[list[Submission]]:
    """
    Give messages to a server, one after the other over one connection.

    @param reactor: An C{IReactorTCP} and C{IReactorTime} provider, or L{None}
        for the global one.
    @param host: The network address of the server.
    @param port: Its port.
    @param mails: The messages.
    @param manner: How the client speaks.
    @param timeout: How long the session may take in all, in seconds; then the
        connection is broken.

    @return: Fires with what became of each, in their order, when the session is
        over; it does not fail.
    """
    if reactor is None:
        from twisted.internet import reactor
    dialogue = Dialogue(reactor, mails, manner)
    factory = _Factory(dialogue)
    reactor.connectTCP(host, port, factory, timeout)
    dialogue.limit(timeout)
    return dialogue.done


class _Factory(ClientFactory):
    noisy = False

    def __init__(self, dialogue: Dialogue) -> None:
        self._dialogue = dialogue

    def buildProtocol(self, addr: Any) -> Dialogue:
        return self._dialogue

    def clientConnectionFailed(self, connector: Any, reason: Any) -> None:
        self._dialogue.notConnected(reason)
