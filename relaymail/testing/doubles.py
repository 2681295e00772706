# -*- test-case-name: relaymail.test.testing.test_doubles -*-
"""
A small world: a relaying manager with a queue in memory, on a network in
memory, whose clock only moves when it is told to.

    >>> world = MailWorld()
    >>> mx = world.host("192.0.2.25", {"RCPT c@example.org": "451 4.7.1 Later"})
    >>> world.zones["example.org"] = {"MX": [(10, "mx.example.org")]}
    >>> world.zones["mx.example.org"] = {"A": ["192.0.2.25"]}
    >>> names = world.send("a@example.com", "b@example.org", "c@example.org")
    >>> world.run()
    >>> mx.received[0].recipients
    ('b@example.org',)

The hosts are those of L{relaymail.testing.servers}, the DNS is that of
L{relaymail.testing.dns}, the queue is L{MemoryQueue
<relaymail.queue.memory.MemoryQueue>}.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred

from relaymail.envelopes import Envelope
from relaymail.queue.memory import MemoryQueue
from relaymail.relaymanager import MXCalculator, SmartHostESMTPRelayingManager
from relaymail.route.hosts import TLSNeed
from relaymail.testing.dns import ZoneDNS
from relaymail.testing.machine import EVERY_PORT
from relaymail.testing.network import Network
from relaymail.testing.servers import Script, SMTPServer

#: The address of the relay.
ADDRESS = "198.51.100.1"
#: A message for whom it does not matter which.
CONTENT = b"Subject: hello\r\n\r\nHello.\r\n"


class MailWorld:
    """
    A relaying manager with a queue, a DNS and hosts, all in memory.

    @ivar network: The hosts, and the clock.
    @ivar machine: Where the relaying manager runs.
    @ivar zones: What the DNS knows; see L{ZoneDNS
        <relaymail.testing.dns.ZoneDNS>}.
    @ivar queue: The queue.
    @ivar manager: What relays from the queue.
    """

    def __init__(self, queue: Any = None, manager: Any = None) -> None:
        """
        @param queue: Gives a queue for a clock; L{None} for one in memory.
        @param manager: Gives a relaying manager for a queue; L{None} for one
            that speaks ESMTP, in clear where TLS is not offered.
        """
        self.network = Network()
        self.machine = self.network.machine(ADDRESS, name="relay")
        self.queue = (queue or MemoryQueue)(self.machine)
        self.manager = (manager or _esmtpManager)(self.queue)
        self.manager.reactor = self.machine
        if self.manager.mxcalc is None:
            dns = ZoneDNS()
            self.zones = dns.zones
            self.manager.mxcalc = MXCalculator(dns, self.machine)
            self.manager.mxcalc.shuffle = _keepOrder
        self.manager.chance = _inTheMiddle
        self.queue.onWaiting = self.manager.wake

    def host(
        self, address: str, answers: Script | None = None, **options: Any
    ) -> SMTPServer:
        """
        Put a host into the network.

        @param address: Its network address; it listens on every port of it,
            in the place of who did so before.
        @param answers: What it says; see L{SMTPServer
            <relaymail.testing.servers.SMTPServer>}.
        @param options: More of what that takes.

        @return: The host.
        """
        server = SMTPServer(answers, **options)
        machine = self.network.machine(address)
        machine.closePort((address, EVERY_PORT))
        return server.start(machine, address, EVERY_PORT)

    def exchange(self, domain: str, hosts: Mapping[str, str]) -> None:
        """
        Name the mail exchange hosts of a domain in the DNS.

        @param domain: The domain.
        @param hosts: The address of each host by its name, the best first.
        """
        names = list(hosts)
        self.zones[domain] = {"MX": [(10 * n, x) for n, x in enumerate(names, 1)]}
        for name in names:
            self.zones[name] = {"A": [hosts[name]]}

    def send(
        self, sender: str, *recipients: str, content: bytes = CONTENT
    ) -> list[str]:
        """
        Put a message into the queue.

        @param sender: The reverse-path.
        @param recipients: The forward-paths.
        @param content: The message, canonical CRLF.

        @return: The names.
        """
        names: list[str] = []
        added: Deferred[Any] = self.queue.add(Envelope(sender, recipients), content)
        added.addCallback(names.extend)
        return names

    def run(self, seconds: float = 0) -> None:
        """
        Let all happen that is to happen within some time.

        @param seconds: For how long.
        """
        self.network.run(seconds)


def _esmtpManager(queue: Any) -> SmartHostESMTPRelayingManager:
    manager = SmartHostESMTPRelayingManager(queue)
    manager.fArgs = (None, None, b"relay.example.com")
    manager.hostname = "relay.example.com"
    manager.tls = TLSNeed.OFFERED
    return manager


def _keepOrder(records: list[Any]) -> None:
    """
    Leave equals as they are, instead of shuffling them.
    """


def _inTheMiddle() -> float:
    """
    Give the chance that makes no delay longer or shorter.
    """
    return 0.5
