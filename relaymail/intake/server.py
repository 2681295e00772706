# -*- test-case-name: relaymail.test.intake.test_server -*-
"""
The intake: what all connections share, and who may connect.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any

from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IOpenSSLContextFactory,
    IReactorTime,
)
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from relaymail.addresses import normalDomain
from relaymail.dialogue.answers import answer, wire
from relaymail.envelopes import Entrance
from relaymail.identities import IAuthentication
from relaymail.intake.acceptance import Refusal
from relaymail.intake.connection import IntakeProtocol
from relaymail.intake.content import Memory
from relaymail.intake.deadlines import Deadline
from relaymail.intake.limits import DEFAULT_LIMITS, Limits
from relaymail.intake.networks import Network
from relaymail.intake.peers import hostOf, sourceOf
from relaymail.interfaces import IAcceptance, IQueue
from relaymail.replies import Reply

if TYPE_CHECKING:
    from relaymail.machines import Machines

__all__ = ["IntakeFactory", "IntakeProtocol"]

#: Octets of randomness in the token of a message.
_TOKEN_BYTES = 9

_TOO_MANY_CONNECTIONS = answer(421, "", "4.7.0 Too many connections")
_GOING_DOWN = answer(421, "", "4.3.2 The service is going down")


class IntakeFactory(ServerFactory):
    """
    Makes the intake's connections, counts them, and ends them.

    @ivar queue: Where mail goes, an L{IQueue <relaymail.interfaces.IQueue>};
        where it has a C{hasRoom()} that gives C{False}, MAIL is answered 452.
    @ivar acceptance: Who may give mail, and for whom.
    @ivar limits: The bounds.
    @ivar offer: What the dialogue needs to know of them.
    @ivar contextFactory: What STARTTLS begins with; L{None}: not offered.
    @ivar memory: What all messages that come in share.
    @ivar machines: What the names that trusted clients use stand for, a
        L{Machines <relaymail.machines.Machines>} or L{None}: what they say.
    @ivar authentication: Lets clients say who they are (RFC 4954); L{None}: they
        cannot.
    @ivar allowsClearAuth: Whether secrets may be said where others can read them.
    @ivar xclientNetworks: Where the proxies are that may say for whom they speak.
    @ivar refusal: Says what is refused to whoever may give mail; L{None}: nothing.
    """

    log = Logger()
    noisy = False
    protocol: type[IntakeProtocol] = IntakeProtocol  # type: ignore[assignment]

    def __init__(
        self,
        queue: IQueue,
        acceptance: IAcceptance,
        hostname: str,
        limits: Limits = DEFAULT_LIMITS,
        contextFactory: IOpenSSLContextFactory | None = None,
        clock: IReactorTime | None = None,
        openContent: Callable[[], IO[bytes]] = TemporaryFile,
        machines: Machines | None = None,
        authentication: IAuthentication | None = None,
        *,
        allowsClearAuth: bool = False,
        xclientNetworks: tuple[Network, ...] = (),
        refusal: Refusal | None = None,
    ) -> None:
        """
        @param queue: Where mail goes.
        @param acceptance: Who may give mail, and for whom.
        @param hostname: The name of this host.
        @param limits: The bounds.
        @param contextFactory: What STARTTLS begins with.
        @param clock: What tells the time; L{None} for the reactor.
        @param openContent: Opens a file that nobody else sees, for a message
            that is coming in.
        @param machines: What the names that trusted clients use stand for;
            L{None}: what they say.
        @param authentication: Lets clients say who they are; L{None}: they cannot.
        @param allowsClearAuth: Whether secrets may be said in clear.
        @param xclientNetworks: Where the proxies are that may say for whom they
            speak (XCLIENT).
        @param refusal: Says what is refused to whoever may give mail.

        @raise MalformedAddress: When the host name is none.
        """
        self.queue = queue
        self.settingsChanged(
            acceptance,
            hostname,
            limits,
            contextFactory,
            machines,
            authentication,
            allowsClearAuth=allowsClearAuth,
            xclientNetworks=xclientNetworks,
            refusal=refusal,
        )
        self.openContent = openContent
        self.memory = Memory()
        self._storing = 0
        self._isTold = False
        self._clock = clock
        self._sessions: set[IntakeProtocol] = set()
        self._counts: Counter[str] = Counter()
        self._waiting: list[Deferred[None]] = []
        self._stopping = False
        self._cut: IDelayedCall | None = None

    def settingsChanged(
        self,
        acceptance: IAcceptance,
        hostname: str,
        limits: Limits,
        contextFactory: IOpenSSLContextFactory | None,
        machines: Machines | None = None,
        authentication: IAuthentication | None = None,
        *,
        allowsClearAuth: bool = False,
        xclientNetworks: tuple[Network, ...] = (),
        refusal: Refusal | None = None,
    ) -> None:
        """
        Take connections from now on as these say; those that are there end as
        they were begun, but for who may give mail for whom.

        @param acceptance: Who may give mail, and for whom.
        @param hostname: The name of this host.
        @param limits: The bounds.
        @param contextFactory: What STARTTLS begins with.
        @param machines: What the names that trusted clients use stand for.
        @param authentication: Lets clients say who they are; L{None}: they cannot.
        @param allowsClearAuth: Whether secrets may be said in clear.
        @param xclientNetworks: Where the proxies are that may say for whom they
            speak (XCLIENT).
        @param refusal: Says what is refused to whoever may give mail.

        @raise MalformedAddress: When the host name is none.
        """
        offer = limits.offer(
            normalDomain(hostname),
            tls=contextFactory is not None,
            isBinarySafe=getattr(self.queue, "isBinarySafe", False),
        )
        # From here on nothing can fail.
        self.acceptance = acceptance
        self.limits = limits
        self.machines = machines
        self.authentication = authentication
        self.allowsClearAuth = allowsClearAuth
        self.xclientNetworks = xclientNetworks
        self.refusal = refusal
        self.contextFactory = contextFactory
        self.offer = offer

    @property
    def clock(self) -> IReactorTime:
        """
        What tells the time: the reactor, where nothing else was given.
        """
        if self._clock is None:
            from twisted.internet import reactor

            self._clock = IReactorTime(reactor)
        return self._clock

    def buildProtocol(
        self, addr: IAddress | None, entrance: Entrance = Entrance.RELAY
    ) -> Protocol:
        """
        Make a connection, or a short farewell where there are too many.

        @param addr: Who connects.
        @param entrance: By which kind of port.
        """
        if self._stopping:
            return self._farewell(_GOING_DOWN)
        source = self._sourceOf(addr)
        if source and self._tooMany(source):
            return self._farewell(_TOO_MANY_CONNECTIONS)
        return self.protocol(self, source, entrance)

    def isTrusted(self, address: IAddress | None) -> bool:
        """
        Tell whether a peer is one of our own: on a UNIX socket, or in a
        trusted network.
        """
        if isinstance(address, UNIXAddress):
            return True
        return self.acceptance.isTrusted(hostOf(address))

    def hasRoom(self) -> bool:
        """
        Tell whether the queue has room, as far as it says so, and is not behind
        by too many messages.
        """
        if self._storing >= self.limits.storing:
            return False
        hasRoom = getattr(self.queue, "hasRoom", None)
        return hasRoom is None or bool(hasRoom())

    def token(self) -> str:
        """
        Give what tells a message from all others, letters and digits.
        """
        return secrets.token_hex(_TOKEN_BYTES)

    @property
    def connections(self) -> int:
        """
        How many connections there are.
        """
        return len(self._sessions)

    def joined(self, session: IntakeProtocol) -> None:
        """
        Count a connection.
        """
        self._sessions.add(session)
        if session.source:
            self._counts[session.source] += 1

    def left(self, session: IntakeProtocol) -> None:
        """
        Count a connection no more.
        """
        self._sessions.discard(session)
        self._uncount(session)
        if self._stopping and not self._sessions:
            self._allGone()

    def moved(self, session: IntakeProtocol, address: IAddress | None) -> bool:
        """
        Count a connection for another client from now on, unless that has too many.

        @return: Whether it may go on.
        """
        source = self._sourceOf(address)
        if source != session.source:
            if source and self._tooMany(source):
                return False
            self._uncount(session)
            session.source = source
            self.joined(session)
        return True

    def begun(self) -> None:
        """
        Count a message that the queue begins to write.
        """
        self._storing += 1
        if self._storing >= self.limits.storing and not self._isTold:
            self._isTold = True
            self.log.warn(
                "The queue is writing {count} messages; until it has written some, "
                "clients are told to try again later.",
                count=self._storing,
            )

    def ended(self) -> None:
        """
        Count it no more: it is written, or could not be.
        """
        self._storing -= 1
        if self._storing <= self.limits.storing // 2:
            self._isTold = False

    def stop(self) -> Deferred[None]:
        """
        End all sessions: what is under way may finish, within
        C{limits.stopSeconds}; what else is said is answered 421 4.3.2.

        @return: Fires when the last one is gone.
        """
        if not self._stopping:
            self._stopping = True
            self._cut = self.clock.callLater(self.limits.stopSeconds, self._cutAll)
            for session in list(self._sessions):
                session.leave()
        gone: Deferred[None] = Deferred()
        if not self._sessions:
            self._allGone()
            return succeed(None)
        self._waiting.append(gone)
        return gone

    def _farewell(self, reply: Reply) -> Protocol:
        return _Farewell(reply, self.clock, self.limits.lingerSeconds)

    def _sourceOf(self, address: IAddress | None) -> str:
        return "" if self.isTrusted(address) else sourceOf(address) or "unknown"

    def _uncount(self, session: IntakeProtocol) -> None:
        if session.source:
            self._counts[session.source] -= 1
            if self._counts[session.source] <= 0:
                del self._counts[session.source]

    def _tooMany(self, source: str) -> bool:
        own, total = self._counts[source], self._counts.total()
        if own < self.limits.perAddress and total < self.limits.connections:
            return False
        self.log.warn(
            "A connection of {source} was refused: it has {own}, and there are "
            "{all} in all.",
            source=source,
            own=own,
            all=total,
        )
        return True

    def _cutAll(self) -> None:
        self._cut = None
        for session in list(self._sessions):
            self.log.warn(
                "The session with {source} did not end in time; it is cut.",
                source=session.source or "a trusted client",
            )
            session.abort()

    def _allGone(self) -> None:
        cut, self._cut = self._cut, None
        if cut is not None:
            cut.cancel()
        waiting, self._waiting = self._waiting, []
        for gone in waiting:
            gone.callback(None)


class _Farewell(Protocol):
    """
    Says why there is no session, and closes.
    """

    def __init__(self, reply: Reply, clock: IReactorTime, seconds: float) -> None:
        self._reply = reply
        self._cut = Deadline(clock, self._abort)
        self._seconds = seconds

    def connectionMade(self) -> None:
        assert self.transport is not None
        # Under TLS the last words wait for a handshake that may never come.
        self._cut.set(self._seconds)
        self.transport.write(wire(self._reply))
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._cut.stop()

    def _abort(self) -> None:
        transport: Any = self.transport
        transport.abortConnection()
