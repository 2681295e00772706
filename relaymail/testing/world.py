# -*- test-case-name: relaymail.test.testing.test_world -*-
"""
A whole mail world in memory: a relay, the hosts it sends to, the programs that
send to it, the DNS, a disk that can fail, and one clock.

The relay is the real one, L{relaymail.service.Relay} with all behind it; only
what carries bytes, the name servers, the disk and the time are simulated.

    >>> world = World(seed=7)
    >>> mx = world.host("192.0.2.25", {"RCPT c@example.org": "451 4.7.1 Later"})
    >>> world.exchange("example.org", {"mx.example.org": "192.0.2.25"})
    >>> message = world.send("a@example.com", "b@example.org", "c@example.org")
    >>> world.run(10)
    >>> world.assertDelivered(message, "b@example.org")
    >>> world.assertQueued(message, "c@example.org")
    >>> world.crash()                              # and it starts again
    >>> mx.answers.clear()
    >>> world.run(3600)
    >>> world.assertDelivered(message, "c@example.org")
    >>> world.assertNothingLost()

Everything that comes from chance comes from C{seed}: the same seed gives the
same course of events, and an assertion that fails names it and shows what
happened last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from email.utils import formatdate
from functools import partial
from typing import IO, Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure

from relaymail.envelopes import (
    NO_ORIGIN,
    Envelope,
    Origin,
    Parameters,
    RecipientParameters,
)
from relaymail.queue.spool.bodies import LARGEST_ROW
from relaymail.service import Relay
from relaymail.testing.assertions import Assertions, Message
from relaymail.testing.clients import (
    POLITE,
    Mail,
    Manner,
    Misdeed,
    Submission,
    send,
)
from relaymail.testing.dns import DNSServer, Entry, ZoneDNS
from relaymail.testing.ledger import Ledger, isNotice, withoutTrace
from relaymail.testing.network import Network
from relaymail.testing.relays import SPOOL, RelayMachine
from relaymail.testing.servers import Script, SMTPServer
from relaymail.testing.spools import spoolOf
from relaymail.testing.witness import Witness

#: Where the name server is, the relay, the host of those who write, and the
#: clients.
DNS, RELAY, HOME = "198.51.100.53", "198.51.100.1", "198.51.100.99"
CLIENT = "198.51.100.20"
#: The relay's other address.
RELAY6 = "2001:db8:1::1"
#: The domain of those who write: what they are told goes to L{HOME}.
HOME_DOMAIN = "example.com"
#: The name of the relay.
HOSTNAME = "relay.example.com"
#: The networks that are for examples (RFC 5737, RFC 3849): the relay may send
#: there, and takes mail from all.
NETWORKS = "192.0.2.0/24,198.51.100.0/24,203.0.113.0/24,2001:db8::/32"


class World(Assertions):
    """
    A mail world.

    @ivar network: The machines and the clock.
    @ivar dns: The DNS, which says what is signed, too: the relay believes it where it
        was told to (C{trustedResolvers}).
    @ivar zones: What the DNS knows; see L{ZoneDNS
        <relaymail.testing.dns.ZoneDNS>}.
    @ivar node: The machine with the relay.
    @ivar home: The host that takes what the relay tells senders.
    @ivar ledger: What became of every message.
    @ivar spool: What is on the relay's disk.
    @ivar witness: Who writes what happens into the ledger.
    @ivar messages: What the relay was given by others than L{send} and
        L{submit}: by the program under test, with C{world.relay.send} or by
        SMTP, in its order.  It is in the ledger, too.
    """

    def __init__(
        self,
        seed: int = 0,
        contextFactory: Any = None,
        largestRow: int = LARGEST_ROW,
        **settings: Any,
    ) -> None:
        """
        @param seed: What all chance comes from.
        @param contextFactory: What the relay's STARTTLS begins with; L{None}:
            it is not offered.
        @param largestRow: Up to which size a spool has contents in its
            database, in bytes.
        @param settings: What the relay is told, as L{relaymail.configuration}
            takes it.
        """
        self.network = Network(seed)
        self.ledger = Ledger()
        self.node = RelayMachine(
            self.network.machine(RELAY, RELAY6, name="relay"),
            self.network.chance,
            **{
                "queue": SPOOL,
                "hostname": HOSTNAME,
                "smtp": f"tcp:25:interface={RELAY}",
                "dns": f"{DNS}:53",
                "networks": NETWORKS,
                "allowDestinations": NETWORKS.split(","),
                **settings,
            },
        )
        self.node.contextFactory = contextFactory
        self.node.largestRow = largestRow
        self.node.onDown = self._wentDown
        self.messages: list[Message] = []
        self.witness = Witness(self.node, self.ledger)
        self.node.onStart = self.witness.comesUp
        self.node.onUp = self._cameUp
        self.spool = spoolOf(self.node)
        self._written = 0
        self._own: set[str] = set()
        self._unanswered: dict[int, Message] = {}
        self._observer: Any = self.witness.observe
        self.dns = ZoneDNS()
        self.zones: dict[str, Entry] = self.dns.zones
        DNSServer(self.dns).start(self.network.machine(DNS, name="dns"), DNS, 53)
        self.home = self.host(HOME, name=f"mx.{HOME_DOMAIN}")
        self.exchange(HOME_DOMAIN, {f"mx.{HOME_DOMAIN}": HOME})
        self.node.start()
        self.run()

    @property
    def relay(self) -> Relay:
        """
        The relay.

        @raise AssertionError: While it is down.
        """
        if self.node.relay is None:
            raise AssertionError("the relay is down")
        return self.node.relay

    # What there is.

    def host(
        self,
        address: str,
        answers: Script | SMTPServer | None = None,
        *,
        name: str = "",
        port: int = 25,
        isHonest: bool = True,
        **options: Any,
    ) -> SMTPServer:
        """
        Put a host into the world.

        @param address: Its network address.
        @param answers: What it says, or the server itself; see
            L{relaymail.testing.servers} and L{relaymail.testing.scripts}.
        @param name: What it is called in a transcript.
        @param port: Where it listens.
        @param isHonest: Whether its answers mean what they say: to one that is
            not, a message may be delivered twice.
        @param options: What else L{SMTPServer} takes.

        @return: The server.
        """
        if isinstance(answers, SMTPServer):
            server = answers
        else:
            server = SMTPServer(answers, **options)
        server.onExchange = partial(self.witness.exchanged, name or address)
        server.onReceived = partial(self.witness.received, name or address, isHonest)
        return server.start(self.network.machine(address, name=name), address, port)

    def exchange(self, domain: str, hosts: Mapping[str, str]) -> None:
        """
        Name the mail exchange hosts of a domain in the DNS.

        @param domain: The domain.
        @param hosts: The address of each host by its name, the best first.
        """
        names = list(hosts)
        self.witness.serving[domain] = frozenset(hosts.values())
        self.zones[domain] = {"MX": [(10 * n, x) for n, x in enumerate(names, 1)]}
        for name in names:
            kind = "AAAA" if ":" in hosts[name] else "A"
            self.zones[name] = {kind: [hosts[name]]}

    # What happens.

    def run(self, seconds: float = 0) -> None:
        """
        Let all happen that is to happen within some time.

        @param seconds: For how long.
        """
        globalLogPublisher.addObserver(self._observer)
        try:
            self.network.run(seconds)
        finally:
            globalLogPublisher.removeObserver(self._observer)

    def send(
        self,
        sender: str,
        *recipients: str,
        content: bytes | None = None,
        parameters: Parameters | None = None,
        own: Sequence[RecipientParameters] = (),
        origin: Origin = NO_ORIGIN,
    ) -> Message:
        """
        Give the relay a message, as a program does that it runs in; it is
        there as soon as time moves.

        @param sender: The reverse-path.
        @param recipients: The forward-paths.
        @param content: The message, canonical CRLF; L{None} for one that is
            like no other.
        @param parameters: What is said of it with MAIL: it is then put into the
            queue as it is.
        @param own: What is said of each recipient with RCPT, then.
        @param origin: Where it came in from, then.

        @return: The message.
        """
        if content is None:
            content = self.compose(sender)
        message = self._give(sender, recipients, content)
        envelope = None
        if parameters is not None:
            envelope = Envelope(sender, recipients, parameters, tuple(own), origin)
            for recipient, said in zip(recipients, own, strict=False):
                if not said.wantsFailure:
                    self.ledger.keepSilent(sender, recipient, content)
        self.network.callLater(0, self._send, message, envelope)
        return message

    def submit(
        self,
        sender: str,
        *recipients: str,
        content: bytes | None = None,
        manner: Manner = POLITE,
        misdeed: Misdeed | None = None,
    ) -> Message:
        """
        Give the relay a message by SMTP, as a client on another machine.

        @param sender: The reverse-path.
        @param recipients: The forward-paths.
        @param content: The message, canonical CRLF; L{None} for one that is
            like no other.
        @param manner: How the client speaks.
        @param misdeed: What it does that it should not.

        @return: The message.
        """
        if content is None:
            content = self.compose(sender)
        message = self._give(sender, recipients, content)
        mail = Mail(sender, recipients, content, misdeed)
        client = self.network.machine(CLIENT, name="client")
        sent = send(client, RELAY, 25, mail, manner)
        sent.addCallback(self._submitted, message)
        return message

    def compose(self, sender: str, body: bytes = b"Hello.\r\n") -> bytes:
        """
        Write a message that is like no other.

        @param body: What follows the header, canonical CRLF.
        """
        self._written += 1
        lines = (
            f"From: <{sender}>",
            f"Date: {formatdate(self.network.seconds())}",
            f"Message-ID: <{self._written}.{self.network.seed}@{HOME_DOMAIN}>",
            f"Subject: Message {self._written}",
            "",
        )
        return "".join(f"{line}\r\n" for line in lines).encode("ascii") + body

    def crash(self, power: bool = False) -> None:
        """
        Let the relay go down now; it starts again by itself.

        @param power: Whether the power is cut, which costs what the disk has
            not made durable.
        """
        self.node.crash(power)

    def stop(self) -> Deferred[None]:
        """
        Stop the relay in good order.

        @return: Fires when it has stopped, as time moves.
        """
        return self.node.stop().addCallback(lambda _: self.witness.stopped())

    def note(self, text: str) -> None:
        """
        Write a line into the transcript.
        """
        self.network.note(text)

    def _give(
        self, sender: str, recipients: tuple[str, ...], content: bytes
    ) -> Message:
        self.ledger.give(content)
        self._own.add(self.ledger.nameOf(content))
        return Message(sender, recipients, content)

    def _send(self, message: Message, envelope: Envelope | None) -> None:
        if self.node.relay is None:
            return self._refused(message)
        self._unanswered[id(message)] = message
        self.node.machine.callLater(0, self._hand, message, envelope)

    def _hand(self, message: Message, envelope: Envelope | None) -> None:
        relay = self.relay
        if envelope is not None:
            given = maybeDeferred(relay.queue.add, envelope, message.content)
        else:
            given = relay.send(message.sender, message.recipients, message.content)
        given.addCallback(partial(self._accepted, message))
        given.addErrback(partial(self._failed, message))

    def _accepted(self, message: Message, names: list[str]) -> None:
        if self._unanswered.pop(id(message), None) is not None:
            message.accepted = message.recipients
            self.note(f"the relay takes {message.recipients} as {names}")
            self.ledger.accept(message.sender, message.recipients, message.content)

    def _failed(self, message: Message, failure: Failure) -> None:
        if self._unanswered.pop(id(message), None) is not None:
            self.note(f"the relay refuses {message.recipients}: {failure.value}")
            self._refused(message)

    def _submitted(self, done: Submission, message: Message) -> None:
        message.accepted = done.accepted
        refused = [recipient for recipient, _ in done.refused]
        self.ledger.accept(message.sender, done.accepted, message.content)
        self.ledger.mayHaveAccepted(message.sender, done.perhaps, message.content)
        self.ledger.refuse(message.sender, refused, message.content)
        self.note(f"the client has {done.state}: {done.reply!r} {done.reason}")

    def _refused(self, message: Message) -> None:
        self.ledger.refuse(message.sender, message.recipients, message.content)

    def _cameUp(self, relay: Relay) -> None:
        self.witness.cameUp(relay)
        relay.queue.add = partial(self._added, relay.queue.add)  # type: ignore[method-assign]

    def _added(
        self, add: Any, envelope: Envelope, content: bytes | IO[bytes]
    ) -> Deferred[list[str]]:
        """
        See what is put into the queue, and note what is of neither this world
        nor the relay.
        """
        data = withoutTrace(content if isinstance(content, bytes) else _peek(content))
        added: Deferred[list[str]] = add(envelope, content)
        isOwn = not envelope.sender and isNotice(data)
        if not isOwn and self.ledger.nameOf(data) not in self._own:
            message = Message(envelope.sender, envelope.recipients, data)
            self.messages.append(message)
            self._unanswered[id(message)] = message
            added.addCallback(self._programTold, message)
            added.addErrback(self._programRefused, message)
        return added

    def _programTold(self, names: list[str], message: Message) -> list[str]:
        self._accepted(message, names)
        return names

    def _programRefused(self, failure: Failure, message: Message) -> Failure:
        self._failed(message, failure)
        return failure

    def _wentDown(self, relay: Relay | None) -> None:
        """
        Nobody knows whether what was given to the relay was taken.
        """
        for message in self._unanswered.values():
            self.ledger.mayHaveAccepted(
                message.sender, message.recipients, message.content
            )
        self._unanswered.clear()
        self.witness.wentDown(relay)


def _peek(content: IO[bytes]) -> bytes:
    """
    Read a file, and leave it where it was.
    """
    position = content.tell()
    content.seek(0)
    data = content.read()
    content.seek(position)
    return data
