# -*- test-case-name: relaymail.test.endtoend.test_protection -*-
"""
A destination on loopback that is protected in one way or the other, and a relay that
sends to it: the name server says what is signed, the certificates are made here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import TestCase

from relaymail.dialogue.patience import scaled
from relaymail.envelopes import NO_PARAMETERS, Envelope, Letter, Parameters
from relaymail.outcomes import Delivered, Outcome, Retry
from relaymail.protections import TLSSession
from relaymail.queue.memory import MemoryQueue
from relaymail.relaymanager import MXCalculator, SmartHostESMTPRelayingManager
from relaymail.route.levels import TLSLevel
from relaymail.route.resolver import makeResolver
from relaymail.route.sts.policy import NOTHING, Found, STSMode, STSPolicy
from relaymail.route.terms import Terms
from relaymail.test.endtoend.harness import IMPATIENCE
from relaymail.testing.certificates import Throwaway, ThrowawayCA
from relaymail.testing.dns import DNSServer, ZoneDNS
from relaymail.testing.servers import KEYWORDS, Script, SMTPServer

DOMAIN, MX = "one.example", "mx.one.example"
#: Another domain, with the same host.
SECOND = "two.example"
SENDER, RECIPIENT = "", f"b@{DOMAIN}"
CONTENT = b"Subject: hello\r\n\r\nHello.\r\n"

#: Where the hosts are: that of the destination, and that of somebody else.
HERE, ELSEWHERE = "127.0.0.1", "127.0.0.2"


@cache
def root() -> ThrowawayCA:
    """
    Give the authority that the relay trusts.
    """
    return ThrowawayCA()


@cache
def between() -> ThrowawayCA:
    """
    Give the authority of the hosts, which the first one vouches for and the TLSA
    records may name.
    """
    return root().intermediate("Between")


@cache
def certificate(*names: str, expired: bool = False) -> Throwaway:
    """
    Give the certificate of a host.
    """
    return between().issue(*(names or (MX,)), expired=expired)


@cache
def stranger() -> Throwaway:
    """
    Give a certificate for the host of an authority that nobody knows.
    """
    return ThrowawayCA("Stranger").issue(MX)


def enforced(*patterns: str, mode: STSMode = STSMode.ENFORCE) -> Found:
    """
    Make a policy of MTA-STS.
    """
    lines = ("version: STSv1", f"mode: {mode.value}")
    return Found(STSPolicy(mode, patterns, 86_400, "1", lines))


@dataclass(frozen=True)
class Protection:
    """
    How a destination is protected.

    @ivar name: What it is called.
    @ivar level: What the operator wants.
    @ivar anchor: Whether there is the TLSA record of an authority.
    @ivar host: Whether there is that of the host.
    @ivar policy: The policy of MTA-STS.
    @ivar parameters: What the sender says.
    @ivar isSigned: Whether the zones are signed.
    """

    name: str
    level: TLSLevel
    anchor: bool = False
    host: bool = False
    policy: Found = NOTHING
    parameters: Parameters = NO_PARAMETERS
    isSigned: bool = False

    def records(self) -> list[Any]:
        """
        Give the TLSA records of the host.
        """
        anchor = [between().certificate.tlsa(2, 0, 1)] if self.anchor else []
        return anchor + ([certificate().tlsa(3, 1, 1)] if self.host else [])


VERIFY = Protection("verify", TLSLevel.VERIFY)
DANE = Protection("dane", TLSLevel.DANE, anchor=True, isSigned=True)
DANE_HOST = Protection("dane, the host's own", TLSLevel.DANE, host=True, isSigned=True)
DANE_ONLY = Protection("dane-only", TLSLevel.DANE_ONLY, anchor=True, isSigned=True)
ENFORCE = Protection("sts", TLSLevel.OPPORTUNISTIC, policy=enforced(MX))
REQUIRETLS = Protection(
    "requiretls",
    TLSLevel.OPPORTUNISTIC,
    parameters=Parameters(requireTLS=True),
    isSigned=True,
)
#: All that want to see the certificate of an authority, for the name of the host.
NAMED = (VERIFY, DANE, DANE_ONLY, ENFORCE, REQUIRETLS)
ALL = (*NAMED, DANE_HOST)


class Policies:
    """
    Policies of MTA-STS by the domain; may be changed at any time.
    """

    def __init__(self) -> None:
        self.found: dict[str, Found] = {}

    def policyFor(self, domain: str) -> Deferred[Found]:
        """
        Give what is known.
        """
        return succeed(self.found.get(domain, NOTHING))

    recheck = policyFor


class Scene:
    """
    A destination with its host and name server, and a relay.

    @ivar zones: What the name server says; may be changed at any time.
    @ivar server: The host.
    @ivar other: The host of somebody else, on the same port.
    @ivar manager: The relay.
    @ivar policies: The policies of MTA-STS.
    @ivar outcomes: What became of each attempt, in their order.
    @ivar sessions: How each session was protected, as reports have it.
    """

    def __init__(
        self,
        test: TestCase,
        protection: Protection,
        answers: Script | None = None,
        shows: Throwaway | None = None,
        hasTLS: bool = True,
        ttl: int = 60,
    ) -> None:
        """
        @param test: Whose it is.
        @param protection: How the destination is protected.
        @param answers: What its host says.
        @param shows: The certificate of the host; L{None}: the right one.
        @param hasTLS: Whether the host offers TLS.
        @param ttl: How long the name server's answers hold, in seconds.
        """
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.protection = protection
        self.outcomes: list[Outcome] = []
        self.sessions: list[TLSSession] = []
        self._waiting: list[tuple[int, Deferred[None]]] = []
        shown = (shows or certificate()).contextFactory if hasTLS else None
        keywords = (*KEYWORDS, "REQUIRETLS")
        server = SMTPServer(answers, keywords=keywords, contextFactory=shown)
        self.server = server.start(interface=HERE)
        self.other = SMTPServer(
            keywords=keywords,
            contextFactory=certificate("mx.evil.example").contextFactory,
        ).start(interface=ELSEWHERE, port=self.server.port)
        signed = [DOMAIN, SECOND] if protection.isSigned else []
        self.zones = ZoneDNS(self._zones(), ttl, signed)
        self._dns = DNSServer(self.zones).start()
        self.policies = Policies()
        self.policies.found[DOMAIN] = protection.policy
        self.manager = self._manager(Path(test.mktemp()).absolute())
        for stop in (self.server.stop, self.other.stop, self._dns.stop):
            test.addCleanup(stop)
        test.addCleanup(self.manager.stop)

    def _zones(self) -> dict[str, Any]:
        port = self.server.port
        zones: dict[str, Any] = {
            MX: {"A": [HERE]},
            f"_{port}._tcp.{MX}": {"TLSA": self.protection.records()},
            "mx.evil.example": {"A": [ELSEWHERE]},
        }
        for domain in (DOMAIN, SECOND):
            zones[domain] = {"MX": [(10, MX)]}
        return zones

    def _manager(self, directory: Path) -> Any:
        queue = MemoryQueue(self.reactor)
        manager: Any = SmartHostESMTPRelayingManager(queue)
        queue.onWaiting = manager.wake
        manager.reactor = self.reactor
        manager.hostname = "relay.example"
        resolver = makeResolver(self._dns.address, self.reactor)
        manager.mxcalc = MXCalculator(resolver, self.reactor)
        manager.PORT = self.server.port
        manager.terms = Terms(self.protection.level, caFile=root().write(directory))
        manager.policies = self.policies
        manager.phaseTimeouts = scaled(IMPATIENCE)
        manager.onOutcome = self._note
        manager.onTLSSession = self.sessions.append
        return manager

    def _note(
        self, name: str, letter: Letter, outcome: Outcome, more: dict[str, Any]
    ) -> None:
        self.outcomes.append(outcome)
        ready = [d for count, d in self._waiting if count <= len(self.outcomes)]
        self._waiting = [(n, d) for n, d in self._waiting if d not in ready]
        for done in ready:
            done.callback(None)

    def setTLSA(self, *records: Any) -> None:
        """
        Give the host other TLSA records.
        """
        known = {"TLSA": list(records)}
        self.zones.zones[f"_{self.server.port}._tcp.{MX}"] = known

    async def send(self, recipient: str = RECIPIENT, **more: Any) -> Outcome:
        """
        Send a message, and give what became of the first attempt.

        @param more: What the sender says, in the place of what the protection has.
        """
        parameters = Parameters(**more) if more else self.protection.parameters
        done: Deferred[None] = Deferred()
        self._waiting.append((len(self.outcomes) + 1, done))
        self.manager.queue.add(Envelope(SENDER, (recipient,), parameters), CONTENT)
        await done
        return self.outcomes[-1]

    @property
    def mails(self) -> list[str]:
        """
        The MAIL commands that came, to whichever host, with the host and what they
        came over.
        """
        return [
            f"{server.host} {'TLS' if session.isTLS else 'clear'} {line}"
            for server in (self.server, self.other)
            for session in server.sessions
            for line in session.commands
            if line.upper().startswith("MAIL")
        ]


class ProtectionTestCase(TestCase):
    """
    Tests with L{Scene}.
    """

    timeout = 20

    def scene(self, protection: Protection, **more: Any) -> Scene:
        """
        Begin in a new place.
        """
        return Scene(self, protection, **more)

    def assertDelivered(self, scene: Scene, outcome: Outcome, count: int = 1) -> None:
        """
        Check that mail arrived, over TLS, at the right host.
        """
        self.assertIsInstance(outcome, Delivered, (scene.protection, outcome.text))
        self.assertEqual(len(scene.server.received), count)
        self.assertEqual(len(scene.mails), count)
        for mail in scene.mails:
            self.assertTrue(mail.startswith(f"{HERE} TLS "), mail)

    def assertWaits(self, scene: Scene, outcome: Outcome, *words: str) -> None:
        """
        Check that nobody got a MAIL command, and that the mail waits.

        @param words: What is said.
        """
        name = scene.protection.name
        self.assertEqual(scene.mails, [], name)
        self.assertIsInstance(outcome, Retry, (name, outcome.text))
        self.assertEqual(outcome.status[0], "4", name)
        for word in words:
            self.assertIn(word, outcome.text, name)
