# -*- test-case-name: relaymail.test.deliver.test_rehearsing -*-
"""
Sessions that send no mail: they go as far as those of relayers go before their first
message, and tell each step.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.protocol import ClientFactory, connectionDone
from twisted.python.failure import Failure

from relaymail.deliver.esmtpclient import ESMTPClient
from relaymail.deliver.preparing import prepare
from relaymail.dialogue.extensions import parseExtensions
from relaymail.dialogue.sasl.choosing import Means, authenticatorsFor
from relaymail.replies import (
    Evidence,
    Phase,
    Reply,
    Trouble,
    TroubleKind,
    printable,
)
from relaymail.route.connector import Connector
from relaymail.route.hosts import Credentials, Host, TLSNeed
from relaymail.route.tlscontexts import creatorFor
from relaymail.route.troubles import troubleOf

#: How long each phase of such a session may take, in seconds: somebody waits.
PATIENCE = 20.0
#: How long it may take in all, in seconds.
WHOLE_PATIENCE = 90.0
#: How much of a step is told, in characters.
MAX_TOLD = 1000


@dataclass(frozen=True, slots=True)
class Step:
    """
    A step of a session.

    @ivar name: Which, in a word or two.
    @ivar isDone: Whether it was a step forward.
    @ivar told: What was said or found: one printable line.
    """

    name: str
    isDone: bool
    told: str


#: Is told each step.
Tell = Callable[[Step], object]


@dataclass(frozen=True, slots=True)
class Plan:
    """
    What a rehearsal is of.

    @ivar host: The host, with credentials.
    @ivar port: Its port, where it names none.
    @ivar identity: The name to greet with.
    @ivar tokenTold: Says what is known of the token that was given.
    """

    host: Host
    port: int
    identity: str
    tokenTold: Callable[[], str] = str


#: What ended a session of which nothing else is known.
_LOST = Trouble(Phase.IDLE, TroubleKind.LOST)


@dataclass(frozen=True, slots=True)
class Ending:
    """
    How a rehearsal ended.

    @ivar isPassed: Whether it came as far as it was to come.
    @ivar phase: Where it stood when it did not.
    @ivar evidence: What kept it from that, as an attempt would judge it.
    """

    isPassed: bool
    phase: Phase = Phase.QUIT
    evidence: Evidence = _LOST


def rehearse(plan: Plan, connector: Connector, tell: Tell) -> Deferred[bool]:
    """
    Go through a session, and send nothing.

    @param connector: Connects to the host.
    @param tell: Is told each step.

    @return: Fires with whether the host knew at the end who this relay is.
    """
    return play(plan, connector, tell).addCallback(lambda ending: ending.isPassed)


def play(
    plan: Plan, connector: Connector, tell: Tell, client: Any = None
) -> Deferred[Ending]:
    """
    Go through a session, and say how it ended.

    @param connector: Connects to the host.
    @param tell: Is told each step.
    @param client: Makes the client, as L{Rehearsal}; L{None} for that.

    @return: Fires when it is over.
    """
    client = Rehearsal if client is None else client
    done = Deferred.fromCoroutine(_rehearse(plan, connector, tell, client))

    def failed(failure: Failure) -> Ending:
        if failure.check(TimeoutError):
            told = f"it took longer than {WHOLE_PATIENCE:g} seconds"
            tell(Step("end", False, told))
            late = Trouble(Phase.CONNECT, TroubleKind.TIMEOUT, told)
            return Ending(False, late.phase, late)
        return _told("connect", troubleOf(failure, Phase.CONNECT), tell)

    done.addTimeout(WHOLE_PATIENCE, connector.reactor)
    return done.addErrback(failed)


def _told(step: str, trouble: Trouble, tell: Tell) -> Ending:
    tell(Step(step, False, printable(trouble.text, MAX_TOLD)))
    return Ending(False, trouble.phase, trouble)


async def _rehearse(
    plan: Plan, connector: Connector, tell: Tell, client: Any
) -> Ending:
    host = plan.host
    port = host.port or plan.port
    try:
        addresses = await connector.addressesFor(host, port)
    except Exception:
        return _told("resolve", troubleOf(Failure(), Phase.RESOLVE), tell)
    tell(Step("resolve", True, ", ".join(addresses)))
    factory = _Factory(plan, tell, connector.reactor, client)
    await connector.connect(host, port, factory)
    isPassed = await factory.ended
    return Ending(True) if isPassed else factory.ending()


class _Factory(ClientFactory):
    """
    Builds the client, once an address was reached.
    """

    noisy = False

    def __init__(self, plan: Plan, tell: Tell, reactor: Any, client: Any) -> None:
        self._make = client
        self._plan = plan
        self._tell = tell
        self._reactor = reactor
        self.ended: Deferred[bool] = Deferred(lambda _: self._giveUp())
        self._client: Any = None

    def _giveUp(self) -> None:
        if self._client is not None:
            self._client.transport.abortConnection()

    def ending(self) -> Ending:
        """
        Say how it ended that did not come as far as it was to come.
        """
        evidence = getattr(self._client, "evidence", None)
        if evidence is None:
            return Ending(False)
        phase = self._client.evidencePhase or self._client.phase
        return Ending(False, phase, evidence)

    def buildProtocol(self, addr: Any) -> Any:
        host = self._plan.host
        where = getattr(addr, "host", None) or host.path or host.name
        self._tell(Step("connect", True, f"{where} answers"))
        client: Any = self._make(self._plan, self._tell, self.ended)
        self._client = client
        prepare(client, host)
        client.phaseTimeouts = dict.fromkeys(Phase, PATIENCE)
        client.callLater = self._reactor.callLater
        return client


class Rehearsal(ESMTPClient):
    """
    A client that goes away when the server knows who it is.
    """

    def __init__(self, plan: Plan, tell: Tell, ended: Deferred[bool]) -> None:
        """
        @param plan: What it is of.
        @param tell: Is told each step.
        @param ended: Fires, when it is over, with whether the server knew.
        """
        host = plan.host
        isPassword = isinstance(host.credentials, Credentials)
        secret = host.credentials.password if isPassword else None  # type: ignore[union-attr]
        ESMTPClient.__init__(self, secret, creatorFor(host), plan.identity)
        self._plan = plan
        self._tellStep = tell
        self._ended = ended
        self._isKnown = False
        self._hasNoToken = False

    # What is heard.

    def _replyReceived(self, reply: Reply) -> Any:
        name = _NAMES.get(self.phase)
        if name is not None and not self._isKnown:
            self._took(name, reply.code < 400, _wordsOf(self.phase, reply))
        return ESMTPClient._replyReceived(self, reply)

    def handshakeCompleted(self) -> None:
        """
        Tell what TLS there is.
        """
        told = _tlsTold(self.transport, self._plan.host)
        ESMTPClient.handshakeCompleted(self)
        if self.evidence is None:
            self._took("TLS", True, told)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Tell what ended it, where that was no reply that was told.
        """
        before = self.evidence
        ESMTPClient.connectionLost(self, reason)
        if not self._isKnown:
            self._tellEnd(before or self.evidence)
        if not self._ended.called:
            self._ended.callback(self._isKnown)

    # What is decided.

    def authenticate(self, code: int, resp: bytes, items: Any) -> None:
        """
        Tell which mechanisms are offered, and what becomes of each.
        """
        offered = (items.get(b"AUTH") or b"").upper().split()
        means = self._means()
        tried = authenticatorsFor(offered, means, bytes)
        self._took("mechanisms", bool(tried), mechanismsTold(offered, tried, means))
        ESMTPClient.authenticate(self, code, resp, items)

    def _tokenGiven(self, token: bytes) -> None:
        self._took("token", True, self._plan.tokenTold())
        ESMTPClient._tokenGiven(self, token)

    def _noToken(self, failure: Failure) -> None:
        self._hasNoToken = True
        ESMTPClient._noToken(self, failure)

    def _tryMechanism(self) -> None:
        name = self._untried[0].getName().decode("ascii", "replace")
        self._took("AUTH", True, f"{name} is tried")
        ESMTPClient._tryMechanism(self)

    def smtpState_from(self, code: int, resp: bytes) -> None:
        """
        Go away: here the first message would begin.
        """
        self._isKnown = True
        self._disconnectFromServer()

    def _took(self, name: str, isDone: bool, told: str) -> None:
        self._tellStep(Step(name, isDone, printable(told, MAX_TOLD)))

    def _tellEnd(self, evidence: Evidence | None) -> None:
        if self._hasNoToken and isinstance(evidence, Trouble):
            self._took("token", False, evidence.detail)
        elif evidence is not None and not isinstance(evidence, Reply):
            phase = self.evidencePhase or self.phase
            self._took(_NAMES.get(phase, "end"), False, evidence.text)


#: What steps are called.
_NAMES = {
    Phase.GREETING: "greeting",
    Phase.EHLO: "EHLO",
    Phase.STARTTLS: "STARTTLS",
    Phase.AUTH: "AUTH",
    Phase.MAIL: "MAIL",
    Phase.RCPT: "RCPT",
}


def _wordsOf(phase: Phase, reply: Reply) -> str:
    if phase is Phase.EHLO and reply.positive:
        keywords = parseExtensions(reply).keywords
        return ", ".join(
            printable(b" ".join(filter(None, pair))) for pair in keywords.items()
        )
    if phase is Phase.AUTH and reply.code == 334:
        return f"334 {_challengeTold(reply)}".strip()
    return reply.text


def _challengeTold(reply: Reply) -> str:
    """
    Say what is in a challenge, where that is for people: why a token was refused
    (RFC 7628 3.2.2).
    """
    try:
        said = base64.b64decode(b"".join(reply.lines), validate=True)
    except binascii.Error:
        return "(a challenge that cannot be read)"
    return printable(said) if said.lstrip().startswith(b"{") else "(a challenge)"


def mechanismsTold(offered: list[bytes], tried: list[Any], means: Means) -> str:
    """
    Say which mechanisms are tried, and why others are not.

    @param offered: Those that the server offers, in upper case.
    @param tried: Those that are tried, in that order.
    @param means: What there is to authenticate with.
    """
    if not offered:
        return "the host offers none: not over a connection like this, or to nobody"
    names = [each.getName() for each in tried]
    rest = [name for name in offered if name not in names]
    told = f"offered: {_listed(offered)}"
    if names:
        told += f"; tried in this order: {_listed(names)}"
    if not rest:
        return told
    whys = ", ".join(f"{printable(name, 40)} ({_whyNot(name, means)})" for name in rest)
    return f"{told}; not used: {whys}"


def _listed(names: list[bytes]) -> str:
    return ", ".join(printable(name, 40) for name in names)


def _whyNot(name: bytes, means: Means) -> str:
    bindings = means.bindings or {"tls-exporter": b"x"}
    for hasToken in (False, True):
        every = Means(means.user, not hasToken, hasToken, True, bindings)
        found = authenticatorsFor([name], every, bytes)
        if not any(each.getName() == name for each in found):
            continue
        if hasToken != means.hasToken:
            return f"it is for {'tokens' if hasToken else 'passwords'}"
        if not means.isAllowed:
            return "secrets are not given over a connection like this"
        return "it needs TLS that can be bound to"
    return "unknown here"


def _tlsTold(transport: Any, host: Host) -> str:
    """
    Say which TLS there is, and what is known of the certificate.
    """
    handle: SSL.Connection = transport.getHandle()
    told = f"{handle.get_protocol_version_name()}, {handle.get_cipher_name()}"
    verdict = "nobody looked at the certificate"
    if host.tls is TLSNeed.VERIFIED:
        verdict = f"the certificate is valid for {host.name}"
    if host.tls is TLSNeed.DANE:
        verdict = f"the TLSA records of {host.name} name the certificate"
    certificate = handle.get_peer_certificate()
    if certificate is None:
        return f"{told}; {verdict}"
    return f"{told}; {verdict}; {_certificateTold(certificate)}"


def _certificateTold(certificate: Any) -> str:
    found = certificate.to_cryptography()
    ends = getattr(found, "not_valid_after_utc", None) or found.not_valid_after
    issuer = printable(found.issuer.rfc4514_string(), 200)
    return f"issued by {issuer}, until {ends:%Y-%m-%d}"
