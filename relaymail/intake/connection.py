# -*- test-case-name: relaymail.test.intake.test_connection -*-
"""
The hands of the server dialogue: one connection to the intake.

L{IntakeProtocol} reads lines for L{ServerDialogue
<relaymail.dialogue.server.ServerDialogue>} and does the actions it gives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import ISSLTransport, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from relaymail.dialogue.actions import (
    ActFor,
    Action,
    Actions,
    Answer,
    AskRecipient,
    AskResponse,
    AskSender,
    Authenticate,
    Close,
    DropMessage,
    Respond,
    StartTLS,
    Store,
    TakeChunk,
    TakeData,
)
from relaymail.dialogue.answers import answer, wire
from relaymail.dialogue.authentication import challengeLine
from relaymail.dialogue.server import ServerDialogue, State
from relaymail.envelopes import Client, Entrance, Envelope
from relaymail.errors import QueueError, QueueFull, Refused
from relaymail.identities import Authenticated, Challenge, IExchange
from relaymail.intake.acceptance import checkRecipient
from relaymail.intake.callers import Caller
from relaymail.intake.content import NO_ROOM
from relaymail.intake.holding import Hold
from relaymail.intake.incoming import Incoming
from relaymail.intake.names import TrustedNames
from relaymail.intake.receiving import MessageReceiver
from relaymail.prompt import promptly
from relaymail.replies import Reply, printable

if TYPE_CHECKING:
    from relaymail.intake.server import IntakeFactory

_LOCAL_FAILURE = answer(451, "4.3.0", "A failure of this relay; try again later")
_TOO_MANY = answer(421, "4.7.0", "Too many connections")
_AUTH_FAILURE = answer(
    454, "4.7.0", "Temporary authentication failure; try again later"
)


class IntakeProtocol(MessageReceiver):
    """
    One connection to the intake.

    @ivar factory: What all connections share.
    @ivar source: What its client is counted under, empty where it is not.
    """

    log: ClassVar[Logger] = Logger()

    def __init__(
        self,
        factory: IntakeFactory,
        source: str = "",
        entrance: Entrance = Entrance.RELAY,
    ) -> None:
        """
        @param factory: What all connections share.
        @param source: What the client is counted under, empty for not.
        @param entrance: By which kind of port it comes in.
        """
        super().__init__(factory)
        self.source = source
        longest = factory.limits.commandLine
        if factory.authentication is not None:
            longest = max(longest, factory.limits.authLine)
        self.MAX_LENGTH = longest - len(self.delimiter)
        # As it is offered, also where that changes meanwhile.
        self._contextFactory = factory.contextFactory
        self._caller = Caller(factory, entrance)
        machines = factory.machines
        self._names: TrustedNames | None = None
        if machines is not None and not machines.isEmpty:
            self._names = TrustedNames(machines, self._caller.isTrusted)
        self._dialogue = ServerDialogue(
            factory.offer,
            names=self._names,
            around=self._caller,
            entrance=entrance,
        )
        self._client: Client | None = None
        self._exchange: IExchange | None = None
        self._asked: Deferred[Any] | None = None

    def connectionMade(self) -> None:
        """
        Greet.
        """
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
        promptly(self.transport)
        if ISSLTransport.providedBy(self.transport):
            self._dialogue.isUnderTLS = True
        self._caller.connected(self.transport)
        self.transport.registerProducer(self, True)
        self.factory.joined(self)
        self._phase.set(self._limits.commandSeconds)
        self._perform(self._dialogue.greeting())

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Let go everything but a message that the queue is writing.
        """
        self._holds.add(Hold.CLOSED)
        self.paused = True
        self.clearLineBuffer()
        self._phase.stop()
        self._message.stop()
        if self._asked is not None:
            self._asked.cancel()
        if self._incoming is not None:
            self._incoming.close()
        self.factory.left(self)

    def leave(self) -> None:
        """
        End the session as soon as nothing is under way.
        """
        if Hold.CLOSED not in self._holds:
            self._perform(self._dialogue.leave())

    # What the transport tells.

    def lineReceived(self, line: bytes) -> None:
        """
        Answer a command.
        """
        behind = bool(self._buffer)
        self._phase.set(self._limits.commandSeconds)
        self._perform(self._dialogue.heard(line, behind=behind))

    def lineLengthExceeded(self, line: bytes) -> None:
        """
        Answer what has no line end within the limit.
        """
        self._perform(self._dialogue.overlong())

    # What the dialogue wants.

    def _perform(self, actions: Actions) -> None:
        for action in actions:
            _HANDS[type(action)](self, action)

    def _answer(self, action: Answer) -> None:
        self.transport.write(wire(action.reply))

    def _askSender(self, action: AskSender) -> None:
        self._client = self._caller.clientOf(self._dialogue)
        self._ask(self._judgeSender, self._client, action.sender)

    def _askRecipient(self, action: AskRecipient) -> None:
        self._client = self._caller.clientOf(self._dialogue)
        self._ask(
            checkRecipient,
            self._caller.acceptance or self.factory.acceptance,
            self.factory.refusal,
            self._client,
            action.sender,
            action.recipient,
        )

    def _authenticate(self, action: Authenticate) -> None:
        def begin() -> Deferred[Challenge | Authenticated]:
            exchange = self._caller.begin(action.mechanism, self._dialogue)
            self._exchange = exchange
            return exchange.respond(action.initial)

        self._askUser(begin)

    def _respond(self, action: Respond) -> None:
        exchange = self._exchange
        assert exchange is not None
        self._askUser(lambda: exchange.respond(action.response))

    def _askResponse(self, action: AskResponse) -> None:
        self.transport.write(challengeLine(action.challenge))

    def _actFor(self, action: ActFor) -> None:
        self._client = None
        if self.factory.moved(self, self._caller.actFor(action.actedFor)):
            self._perform(self._dialogue.accepted())
        else:
            self._perform(self._dialogue.refused(_TOO_MANY))

    def _store(self, action: Store) -> None:
        incoming, self._incoming = self._incoming, None
        assert incoming is not None
        self._hold(Hold.ANSWER)
        self._phase.set(self._limits.answerSeconds)
        self.factory.begun()
        envelope = incoming.settled(action.envelope)
        try:
            added = self.factory.queue.add(envelope, incoming.content)
        except Exception:
            self._notAdded(Failure(), incoming, envelope)
            return
        added.addCallbacks(
            self._added,
            self._notAdded,
            callbackArgs=(incoming, envelope),
            errbackArgs=(incoming, envelope),
        )
        added.addErrback(self._broken)

    def _startTLS(self, action: StartTLS) -> None:
        # Whatever came in clear is not to be read as if it had come under TLS
        # (RFC 3207 4.2); the dialogue ended the session if there was something.
        self.clearLineBuffer()
        self._client = None
        self._caller.forget()
        self.transport.startTLS(self._contextFactory)

    def _close(self, action: Close) -> None:
        self._hold(Hold.CLOSED)
        self.clearLineBuffer()
        self._message.clear()
        self._phase.set(self._limits.lingerSeconds)
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    # What others answer.

    def _judgeSender(self, client: Client, sender: str) -> Deferred[None] | None:
        try:
            hasRoom = self.factory.hasRoom()
        except QueueError as e:
            # It has said so itself, and need not do so for each client.
            raise Refused(_LOCAL_FAILURE) from e
        if not hasRoom:
            raise Refused(NO_ROOM)
        acceptance = self._caller.acceptance or self.factory.acceptance
        return acceptance.acceptSender(client, sender)

    def _ask(self, question: Callable[..., Deferred[None] | None], *on: object) -> None:
        try:
            asked = question(*on)
        except Exception:
            self._perform(self._dialogue.refused(self._replyFor(Failure())))
            return
        if asked is None:
            self._perform(self._dialogue.accepted())
            return
        self._asked = asked
        self._hold(Hold.ANSWER)
        self._phase.set(self._limits.answerSeconds)
        asked.addCallbacks(
            lambda _: self._answered(self._dialogue.accepted), self._notAccepted
        )
        asked.addErrback(self._broken)

    def _notAccepted(self, failure: Failure) -> None:
        if Hold.CLOSED not in self._holds:
            reply = self._replyFor(failure)
            self._answered(lambda: self._dialogue.refused(reply))

    def _replyFor(self, failure: Failure, otherwise: Reply = _LOCAL_FAILURE) -> Reply:
        if isinstance(failure.value, Refused):
            return failure.value.reply
        self.log.failure(
            "A client could not be judged; it is told to try again later.", failure
        )
        return otherwise

    def _askUser(
        self, question: Callable[[], Deferred[Challenge | Authenticated]]
    ) -> None:
        self._hold(Hold.ANSWER)
        self._phase.set(self._limits.answerSeconds)
        self._asked = asked = maybeDeferred(question)
        asked.addCallbacks(self._userTold, self._userRefused)
        asked.addErrback(self._broken)

    def _userTold(self, found: Challenge | Authenticated) -> None:
        if isinstance(found, Challenge):
            self._answered(lambda: self._dialogue.challenged(found.data))
        else:
            self._answered(lambda: self._userKnown(found))

    def _userKnown(self, found: Authenticated) -> Actions:
        self._caller.authenticated(found)
        return self._dialogue.authenticated(found.user)

    def _userRefused(self, failure: Failure) -> None:
        if Hold.CLOSED not in self._holds:
            reply = self._replyFor(failure, _AUTH_FAILURE)
            self._answered(lambda: self._dialogue.refused(reply))

    def _added(self, names: list[str], incoming: Incoming, envelope: Envelope) -> None:
        self._stored(incoming)
        self._logTaken(names, incoming.token, envelope)
        self._answered(lambda: self._dialogue.queued(names[0]))

    def _logTaken(self, names: list[str], token: str, envelope: Envelope) -> None:
        client, sender, count = self._client, envelope.sender, len(names)
        assert client is not None
        # A logger takes much longer to put many fields together.
        taken = (
            f"{names[0]}: taken from {client.host} ({client.helo}), id={token} "
            f"from=<{sender}> recipients={count}"
        )
        if client.user:
            taken += f" user={printable(client.user)}"
        self.log.info(
            "{taken}",
            taken=taken,
            name=names[0],
            token=token,
            names=names,
            client=client,
            sender=sender,
            count=count,
        )

    def _notAdded(
        self, failure: Failure, incoming: Incoming, envelope: Envelope
    ) -> None:
        self._stored(incoming)
        reply = NO_ROOM if failure.check(QueueFull) else _LOCAL_FAILURE
        if reply is _LOCAL_FAILURE:
            self.log.failure(
                "A message from <{sender}> could not be put in the queue; its "
                "client is told to try again later.",
                failure,
                sender=envelope.sender,
            )
        self._answered(lambda: self._dialogue.refused(reply))

    def _stored(self, incoming: Incoming) -> None:
        self.factory.ended()
        incoming.close()

    def _answered(self, told: Callable[[], Actions]) -> None:
        self._asked = None
        if Hold.CLOSED in self._holds:
            return
        self._phase.set(self._limits.commandSeconds)
        self._perform(told())
        self._release(Hold.ANSWER)

    def _broken(self, failure: Failure) -> None:
        self.log.failure("A session with a client broke; it is cut.", failure)
        self.abort()

    def _clientIsDone(self) -> None:
        self._close(Close())

    def _phaseOver(self) -> None:
        if Hold.CLOSED in self._holds or self._dialogue.state is State.SETTLING:
            # Either nobody reads our last words, or the queue may yet take the
            # message: then no answer is the only one that is not wrong.
            self.abort()
            return
        self._perform(self._dialogue.timedOut())


_HANDS: dict[type[Action], Callable[[IntakeProtocol, Any], None]] = {
    Answer: IntakeProtocol._answer,
    AskSender: IntakeProtocol._askSender,
    AskRecipient: IntakeProtocol._askRecipient,
    Authenticate: IntakeProtocol._authenticate,
    Respond: IntakeProtocol._respond,
    AskResponse: IntakeProtocol._askResponse,
    ActFor: IntakeProtocol._actFor,
    TakeData: IntakeProtocol._takeData,
    TakeChunk: IntakeProtocol._takeChunk,
    DropMessage: IntakeProtocol._dropMessage,
    Store: IntakeProtocol._store,
    StartTLS: IntakeProtocol._startTLS,
    Close: IntakeProtocol._close,
}
