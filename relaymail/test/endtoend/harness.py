# -*- test-case-name: relaymail.test.endtoend.test_delivery -*-
"""
What the tests of the whole relay have in common.
"""

from __future__ import annotations

import smtplib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import TestCase

from relaymail.dialogue.patience import scaled
from relaymail.schedule import backoff
from relaymail.service import Relay
from relaymail.test.endtoend.processes import Twistd
from relaymail.testing.dns import DNSServer, Entry, ZoneDNS
from relaymail.testing.servers import Received, Script, SMTPServer

#: The settings of a relay that delivers on this machine.
LOCAL: Mapping[str, Any] = {
    "hostname": "relay.example",
    "smtp": ["tcp:0:interface=127.0.0.1"],
    "allowDestinations": ["127.0.0.0/8"],
}
#: The patience with a host that is silent, relative to the usual one: 0.3 s
#: for a greeting.
IMPATIENCE = 0.001
#: How long to wait between two attempts where nothing depends on it, in seconds.
SOON = (0.2,)
#: How long a client of the relay waits for anything, in seconds.
CLIENT_PATIENCE = 20.0

SENDER = "a@sender.example"
RECIPIENT = "b@one.example"
MESSAGE = (
    b"From: a@sender.example\r\nTo: b@one.example\r\nSubject: Hello\r\n"
    b"Date: Thu, 01 Jan 2026 00:00:00 +0000\r\nMessage-ID: <1@sender.example>\r\n"
    b"\r\n.\r\n..two dots\r\nHow are you?\r\n"
)


def submit(
    port: int,
    sender: str = SENDER,
    recipients: Sequence[str] = (RECIPIENT,),
    content: bytes = MESSAGE,
) -> Deferred[Any]:
    """
    Give a message to a relay as a program does: with C{smtplib}, in a thread.

    @return: Fires with the recipients that were refused.
    """

    def send() -> Any:
        with smtplib.SMTP("127.0.0.1", port, timeout=CLIENT_PATIENCE) as client:
            return client.sendmail(sender, list(recipients), content)

    return deferToThread(send)


def payload(content: bytes) -> bytes:
    """
    Give a message without the Received field that the relay put on top of it.
    """
    lines = content.split(b"\r\n")
    if not lines[0].startswith(b"Received: "):
        raise AssertionError(f"the relay put no Received field on top: {lines[0]!r}")
    first = 1
    while lines[first].startswith((b" ", b"\t")):
        first += 1
    return b"\r\n".join(lines[first:])


class EndToEndTestCase(TestCase):
    """
    Starts servers and relays, and leaves none behind.
    """

    timeout = 60

    def setUp(self) -> None:
        """
        Begin with an empty place for a queue; a relay in this process may try
        again at once.
        """
        self.directory = Path(self.mktemp()).absolute()
        self.patch(backoff, "MIN_DELAY", min(SOON))
        self.events: list[dict[str, Any]] = []
        observer: Any = self.events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def logged(self) -> list[str]:
        """
        Give the lines that were logged in this process since the test began.
        """
        return [formatEvent(event) for event in self.events]

    def startServer(
        self,
        answers: Script | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        **settings: Any,
    ) -> SMTPServer:
        """
        Start a server to deliver to.
        """
        server = SMTPServer(answers, **settings).start(interface=host, port=port)
        self.addCleanup(server.stop)
        return server

    def startDNS(self, zones: Mapping[str, Entry]) -> DNSServer:
        """
        Start a name server.
        """
        server = DNSServer(ZoneDNS(zones)).start()
        self.addCleanup(server.stop)
        return server

    def makeRelay(self, **settings: Any) -> Relay:
        """
        Make a relay in this process, which stops when the test ends.
        """
        relay = Relay(**{"queue": self.directory / "spool", **LOCAL, **settings})
        self.addCleanup(relay.stopService)
        return relay

    def startRelay(self, **settings: Any) -> Relay:
        """
        Start a relay in this process, of little patience.
        """
        relay = self.makeRelay(**settings)
        relay.privilegedStartService()
        relay.startService()
        relay.manager.phaseTimeouts = scaled(IMPATIENCE)
        relay.manager.connectTimeout = 0.5
        return relay

    def makeTwistd(self, *options: str, wrapper: Sequence[str] = ()) -> Twistd:
        """
        Prepare a relay in a process of its own.
        """
        twistd = Twistd(self.directory / "twistd", options, wrapper)
        self.addCleanup(twistd.clean)
        return twistd

    def portOf(self, relay: Relay) -> int:
        """
        Give the port that a relay takes mail on.
        """
        port: int = relay.addresses[0].port
        return port

    def assertContents(
        self, received: Iterable[Received], content: bytes = MESSAGE
    ) -> None:
        """
        Check that messages arrived as they were sent.
        """
        for message in received:
            self.assertEqual(payload(message.content), content)


def exchange(*hosts: tuple[str, str], domain: str = "one.example") -> dict[str, Any]:
    """
    Give the zones of a domain with mail exchange hosts, the best first.

    @param hosts: The name and the network address of each.
    """
    zones: dict[str, Any] = {name: {"A": [address]} for name, address in hosts}
    zones[domain] = {
        "MX": [(10 * (index + 1), name) for index, (name, _) in enumerate(hosts)]
    }
    return zones
