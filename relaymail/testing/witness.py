# -*- test-case-name: relaymail.test.testing.test_world -*-
"""
Who sees what happens in a world, and writes it into the books.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from twisted.logger import LogEvent, formatEvent

from relaymail.addresses import domainOf
from relaymail.outcome.lines import OUTCOME_FORMAT
from relaymail.outcome.verdicts import REQUIRETLS_STATUS
from relaymail.replies import TroubleKind
from relaymail.service import Relay
from relaymail.testing.ledger import SETTLING, Ledger, Taken
from relaymail.testing.relays import RelayMachine
from relaymail.testing.servers import Received
from relaymail.testing.spools import spoolOf
from relaymail.testing.streams import Stream

#: How late what is due may be tried, in seconds, and what happened be written
#: down.
LATE = 5.0
#: How much of a command or an answer a transcript shows.
_SHOWN = 200


class Witness:
    """
    Sees what hosts take, what the relay says of each message, and what it knows
    after it went down.

    @ivar ledger: The books.
    @ivar serving: The addresses of the hosts of each domain.
    @ivar lateness: How late what is due may be tried, in seconds.
    """

    lateness = LATE

    def __init__(self, node: RelayMachine, ledger: Ledger) -> None:
        """
        @param node: The machine with the relay.
        @param ledger: The books.
        """
        self.ledger = ledger
        self.serving: dict[str, frozenset[str]] = {}
        self._node = node
        self._network = node.machine.network
        self._spool = spoolOf(node)
        self._downSince: float | None = None
        self._settling = SETTLING
        #: When each name was put off, and to when.
        self._retried: dict[str, tuple[float, float]] = {}
        self._due: dict[str, float] = {}
        #: The recipients that were named to a host, and the attempts of names
        #: for which that was so.
        self._tried: set[str] = set()
        self._attempts: dict[str, int] = {}

    # What hosts do.

    def exchanged(self, host: str, session: Any, command: str, answer: str) -> None:
        """
        A host has answered a command.
        """
        self._network.note(f"{host} {command[:_SHOWN]!r} {answer[:_SHOWN]!r}")
        client = endOf(session).peer
        isAlive = client.connected and not client.isGone
        if isAlive and command.upper().startswith("RCPT"):
            self._tried.add(_meant(command.partition("<")[2].partition(">")[0]))

    def received(self, host: str, isHonest: bool, message: Received) -> None:
        """
        A host has taken a message, and its answer is written.
        """
        end = endOf(message.session)
        written = end.written
        self._checkHost(end.getHost().host, message)
        taken = Taken(
            self._network.seconds(),
            host,
            lambda: bool(message.answer) and end.peer.received >= written,
            isHonest=isHonest,
        )
        recipients = [_meant(recipient) for recipient in message.recipients]
        self.ledger.take(_meant(message.sender), recipients, message.content, taken)

    def _checkHost(self, address: str, message: Received) -> None:
        """
        See that a message was given to a host of its domain.
        """
        delivery = self._node.configuration.delivery
        if delivery.routes or delivery.smartHosts:
            return
        if message.sender in dict(delivery.senderHosts):
            return
        for recipient in message.recipients:
            serving = self.serving.get(recipient.rpartition("@")[2])
            if serving is not None and address not in serving:
                self.ledger.problem(f"{address} was given mail for {recipient}")

    # What the relay says.

    def observe(self, event: LogEvent) -> None:
        """
        Something was logged.
        """
        if event.get("log_format") != OUTCOME_FORMAT:
            return
        if self._node.machine.points.isDown:
            # What a dead program says is not said.
            return
        self._network.note(formatEvent(event))
        name = event["id"]
        found = self._spool.stored(name)
        if found is not None:
            self._note(event, name, *found)

    def _note(
        self, event: LogEvent, name: str, sender: str, recipient: str, content: bytes
    ) -> None:
        self._tried.discard(recipient)
        if event["outcome"] == "retry":
            next_ = event["more"].partition("next=")[2].split()[0]
            until = datetime.fromisoformat(next_).timestamp()
            self._retried[name] = (self._network.seconds(), until)
        isSilent = not sender or self.ledger.isSilent(sender, recipient, content)
        if event["outcome"] in ("bounced", "expired") and isSilent:
            if not sender and _isForWantOfTLS(event):
                self.ledger.replace(content)
            self.ledger.discard(sender, recipient, content)
        elif event["outcome"] == "removed" and not sender:
            self.ledger.meet(content)
        elif "ambiguous=yes" in event["more"]:
            self.ledger.doubt(sender, recipient, content)

    # What it knows after it went down.

    def wentDown(self, relay: Relay | None) -> None:
        """
        Keep what the relay had in mind, to see whether the next one knows.
        """
        now = self._network.seconds()
        if self._downSince is None:
            self._downSince = now
        if relay is not None:
            self._rememberAttempts(relay)
            self._rememberTimes(relay, now)
            self._excuse(relay)
        self._retried.clear()
        self._tried.clear()

    def _rememberAttempts(self, relay: Relay) -> None:
        """
        Keep which attempts of names that had rested have come to a host: each
        was to be written down before.
        """
        for name in relay.queue.getRelayed():
            letter = relay.queue.letter(name)
            if letter.attempts > 1 and letter.recipient in self._tried:
                self._attempts[name] = letter.attempts

    def _rememberTimes(self, relay: Relay, now: float) -> None:
        """
        Keep until when names were put off, if there was time to write it down
        and the disk has not failed.
        """
        for name, due in relay.queue.getResting().items():
            at, until = self._retried.get(name, (now, due))
            # What was postponed since may be tried earlier than that.
            isPostponed = abs(due - until) > 1
            if now - at > LATE and at > self._node.diskFailed and not isPostponed:
                self._due[name] = due

    def _excuse(self, relay: Relay) -> None:
        """
        Note what was refused and could not be taken away because the disk
        failed: nobody can keep it from being mail again.
        """
        for name in relay.queue.getRefused():
            found = self._spool.refused(name)
            if found is not None:
                sender, recipient, content = found
                self.ledger.mayHaveAccepted(sender, (recipient,), content)

    def stopped(self) -> None:
        """
        The relay has stopped in good order: it had time to write down all.
        """
        self._downSince = self._network.seconds()
        self._settling = 0.0

    def comesUp(self) -> None:
        """
        Compare with what is on the disk.
        """
        for name, attempts in self._attempts.items():
            known = self._spool.attempts(name)
            if self._spool.stored(name) is not None and known < attempts:
                self.ledger.problem(f"attempt {attempts} of {name} was not written")
        self._attempts.clear()

    def cameUp(self, relay: Relay) -> None:
        """
        Compare with what the next relay knows.
        """
        if self._downSince is None:
            return
        queued = self._spool.queued()
        self.ledger.goDown(
            self._downSince, queued, self._node.diskFailed, self._settling
        )
        self._downSince, self._settling = None, SETTLING
        resting, now = relay.queue.getResting(), self._network.seconds()
        for name, due in self._due.items():
            known = resting.get(name, now)
            if abs(known - due) > 1 and max(known, due) > now:
                self.ledger.problem(f"{name} was to be tried at {due}, not {known}")
        self._due.clear()

    # What should have happened.

    def problems(self) -> list[str]:
        """
        Say what is wrong.
        """
        found = self.ledger.balance(self._spool.queued())
        relay, now = self._node.relay, self._network.seconds()
        if relay is not None and now - self._node.upSince > LATE:
            found += self._late(relay, now)
        return found + [f"{path} was set aside" for path in self._spool.aside()]

    def _late(self, relay: Relay, now: float) -> list[str]:
        """
        Find what should have been tried by now.
        """
        found = [
            f"{name} was due {now - due:.0f} s ago, and nobody woke"
            for name, due in relay.queue.getResting().items()
            if due < now - self.lateness and not self._isSuspended(relay, name)
        ]
        if not relay.manager.managed:
            waiting = relay.queue.getWaiting()
            found += [f"{name} waits, and nothing is being done" for name in waiting]
        return found

    def _isSuspended(self, relay: Relay, name: str) -> bool:
        destination = domainOf(str(relay.queue.getEnvelope(name)[1]))
        return relay.manager.suspendedUntil(destination) is not None


def _meant(address: str) -> str:
    """
    Give an address of which a server has the bytes, as characters (RFC 6531).
    """
    return address.encode("latin-1").decode("utf-8", "replace")


def endOf(session: Any) -> Stream:
    """
    Give the end of the connection that is beneath a protocol.
    """
    transport = session.transport
    while not isinstance(transport, Stream):
        transport = transport.transport
    return transport


def _isForWantOfTLS(event: LogEvent) -> bool:
    """
    Tell whether mail failed that may go over TLS only, because of that.
    """
    isExpired = event["outcome"] == "expired"
    words = (TroubleKind.NO_REQUIRETLS, *([TroubleKind.TLS] if isExpired else []))
    reply = str(event["reply"])
    return event["status"] == REQUIRETLS_STATUS or any(w.value in reply for w in words)
