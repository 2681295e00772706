# -*- test-case-name: relaymail.test.deliver.test_relayers -*-
"""
Tests for L{relaymail.deliver.relayers}; whole sessions are told in
L{relaymail.test.stories}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from relaymail.deliver.preparing import prepare
from relaymail.deliver.relayers import takesPart
from relaymail.errors import RouteError
from relaymail.outcomes import Bounce, Delivered
from relaymail.protections import TLSResult
from relaymail.relaymanager import (
    ESMTPManagedRelayer,
    ESMTPManagedRelayerFactory,
    ManagedRelayerMixin,
    SMTPManagedRelayer,
    SMTPManagedRelayerFactory,
    _AttemptManager,
)
from relaymail.replies import Phase
from relaymail.route.hosts import Bearer, Credentials, Host, Route, TLSNeed
from relaymail.testing.doubles import MailWorld

PEER = IPv4Address("TCP", "192.0.2.9", 25)


class Told:
    """
    An attempt manager of the seed's that writes down what it is told.
    """

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("notify"):
            raise AttributeError(name)
        return lambda *args: self.told.append((name, *args))


class OnlyTheFirst(ManagedRelayerMixin):
    """
    A relayer that knows no more than its lists.
    """

    def __init__(self, manager: Any, names: list[str]) -> None:
        ManagedRelayerMixin.__init__(self, manager)
        self.names = list(names)
        self.messages = [["a", "b", None] for _ in names]
        self.factory = "factory"


class MixinTests(SynchronousTestCase):
    """
    Tests for L{ManagedRelayerMixin} by itself.
    """

    def setUp(self) -> None:
        self.told = Told()
        self.relayer = OnlyTheFirst(self.told, ["one", "two"])

    def test_success(self) -> None:
        """
        2yz is a success of the first name, which is then off the lists.
        """
        self.relayer.sentMail(250, b"ok", 1, [("b", 250, b"ok")], None)
        self.assertEqual(self.told.told, [("notifySuccess", "factory", "one")])
        self.assertEqual((self.relayer.names, len(self.relayer.messages)), (["two"], 1))

    def test_failure(self) -> None:
        """
        Anything else is a failure.
        """
        self.relayer.sentMail(451, None, None, None, None)
        self.assertEqual(self.told.told, [("notifyFailure", "factory", "one")])
        self.assertEqual(self.relayer.names, ["two"])

    def test_connectionLost(self) -> None:
        """
        The end of the connection is told.
        """
        self.relayer.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.told.told, [("notifyDone", "factory")])

    def test_factory(self) -> None:
        """
        C{factory} can be set and read.
        """
        self.relayer.factory = "other"
        self.assertEqual(self.relayer.factory, "other")


class WithAttemptTests(SynchronousTestCase):
    """
    Tests with a real attempt manager and a queue in memory.
    """

    def setUp(self) -> None:
        self.world = MailWorld()
        self.world.queue.onWaiting = None
        manager = self.world.manager
        self.names = self.world.send("a@example.com", "b@x.example", "c@x.example")
        for name in self.names:
            self.world.queue.setRelaying(name)
        self.attempt = _AttemptManager(manager, True, self.world.network)
        self.patch(manager, "_cbExchange", lambda *args: None)

    def begin(self, factory: Any, host: Host | None = None) -> Any:
        """
        Begin an attempt with a factory, and build a relayer.
        """
        self.world.manager.managed[factory] = list(self.names)
        self.attempt.begin(factory, Route((host or Host("mx.example"),)))
        return factory.buildProtocol(PEER)

    def test_takesPart(self) -> None:
        """
        An attempt manager takes part if it and its queue know of outcomes.
        """
        self.assertTrue(takesPart(self.attempt))
        self.assertFalse(takesPart(Told()))
        self.attempt.takesPart = False
        self.assertFalse(takesPart(self.attempt))

    def test_names0WithARealAttempt(self) -> None:
        """
        A relayer that knows only C{names[0]} settles them one by one.
        """
        relayer = OnlyTheFirst(self.attempt, self.names)
        self.world.manager.managed["factory"] = list(self.names)
        relayer.sentMail(250, b"ok", 1, [("b@x.example", 250, b"ok")], None)
        self.assertEqual(relayer.names, self.names[1:])
        self.assertEqual(list(self.world.queue._entries), self.names[1:])

    def test_sharedOutcome(self) -> None:
        """
        The names of a transaction that were answered alike share an outcome;
        each is told of by itself.
        """
        told: list[Any] = []
        note = self.attempt.noteOutcome

        def noteIt(relay: Any, path: str, outcome: Any) -> None:
            told.append((path, outcome))
            note(relay, path, outcome)

        self.patch(self.attempt, "noteOutcome", noteIt)
        (more,) = self.world.send("a@example.com", "d@x.example")
        self.world.queue.setRelaying(more)
        names = [*self.names, more]
        relayer = OnlyTheFirst(self.attempt, names)
        self.world.manager.managed["factory"] = list(names)
        addresses = [(n, c, b"x") for n, c in zip(names, (250, 550, 251), strict=True)]
        relayer.sentMail(250, b"ok", 2, addresses, None)
        self.assertEqual([path for path, _ in told], names)
        kinds = [type(outcome) for _, outcome in told]
        self.assertEqual(kinds, [Delivered, Bounce, Delivered])
        self.assertIs(told[0][1], told[2][1])
        self.assertEqual(relayer.names, [])

    def test_kinds(self) -> None:
        """
        Each factory builds its kind of relayer, with itself as C{factory}.
        """
        for make, kind, args in (
            (SMTPManagedRelayerFactory, SMTPManagedRelayer, (b"me",)),
            (ESMTPManagedRelayerFactory, ESMTPManagedRelayer, (None, None, b"me")),
        ):
            factory = make(list(self.names), self.attempt, *args)
            relayer = self.begin(factory)
            self.assertIs(type(relayer), kind)
            self.assertIs(relayer.factory, factory)
            self.assertEqual(relayer.names, self.names)
            self.assertEqual(relayer.identity, b"me")
            self.assertEqual(self.attempt.address, "192.0.2.9")

    def test_whatTheHostNeeds(self) -> None:
        """
        TLS and credentials of the host are the relayer's.
        """
        host = Host(
            "mx.example", tls=TLSNeed.VERIFIED, credentials=Credentials("u", b"p")
        )
        factory = ESMTPManagedRelayerFactory([], self.attempt, None, None, b"me")
        relayer = self.begin(factory, host)
        self.assertTrue(relayer.requireTransportSecurity)
        self.assertTrue(relayer.requireAuthentication)
        self.assertFalse(relayer.authenticateInClear)
        self.assertTrue(relayer.trustsTLS)
        self.assertEqual(relayer.secret, b"p")
        self.assertIsNotNone(relayer.context)
        self.assertEqual(relayer._user, b"u")
        self.assertIsNone(relayer.tokens)

    def test_nameForTheHost(self) -> None:
        """
        It greets a host with the name that this relay has there, if it has one.
        """
        factory = ESMTPManagedRelayerFactory([], self.attempt, None, None, b"me")
        for helo, name in (("out.example", b"out.example"), ("", b"me")):
            host = Host("mx.example", tls=TLSNeed.NEVER, helo=helo)
            self.assertEqual(self.begin(factory, host).identity, name)

    def test_A02_whoTheHostIs(self) -> None:
        """
        Passwords and mail for TLS only are for hosts that are known: by a valid
        certificate, or by their TLSA records; TLS is a must for all needs but two.
        """
        known = Credentials("u", b"p")
        for need, isNeeded, isKnown in (
            (TLSNeed.NEVER, False, False),
            (TLSNeed.OFFERED, False, False),
            (TLSNeed.ENCRYPTED, True, False),
            (TLSNeed.VERIFIED, True, True),
            (TLSNeed.DANE, True, True),
        ):
            client = ESMTPManagedRelayer([], self.attempt, None, None, b"me")
            prepare(client, Host("mx.example", tls=need, credentials=known))
            self.assertEqual(client.requireTransportSecurity, isNeeded, need)
            self.assertEqual(client.isVerified, isKnown, need)
            self.assertEqual(client.trustsTLS, isKnown, need)
            self.assertFalse(client.authenticateInClear)
            self.assertEqual(client.peerCheck is not None, isKnown)

    def test_A02_SMTPHasNoSTARTTLS(self) -> None:
        """
        Nothing is said over plain SMTP to a host that needs TLS, or that is to be
        looked at after the handshake.
        """
        rows = [(need, False) for need in TLSNeed]
        rows += [(need, True) for need in set(TLSNeed) - {TLSNeed.NEVER}]
        mayPass = {
            (TLSNeed.NEVER, False),
            (TLSNeed.OFFERED, False),
            (TLSNeed.OFFERED, True),
            (TLSNeed.ENCRYPTED, True),
            (TLSNeed.VERIFIED, True),
        }
        for need, implicit in rows:
            host = Host("mx.example", tls=need, implicitTLS=implicit)
            factory = SMTPManagedRelayerFactory([], self.attempt, b"me")
            if (need, implicit) in mayPass:
                self.begin(factory, host)
                continue
            error = self.assertRaises(RouteError, self.begin, factory, host)
            self.assertIs(error.trouble.result, TLSResult.NO_STARTTLS)
            self.assertIn(need.value, error.trouble.detail)

    def test_tokensOfTheHost(self) -> None:
        """
        So is what gives the tokens for it.
        """
        tokens: Any = object()
        host = Host(
            "mx.example", tls=TLSNeed.VERIFIED, credentials=Bearer("u", "a", tokens)
        )
        factory = ESMTPManagedRelayerFactory([], self.attempt, None, None, b"me")
        relayer = self.begin(factory, host)
        self.assertTrue(relayer.requireAuthentication)
        self.assertFalse(relayer.authenticateInClear)
        self.assertTrue(relayer.trustsTLS)
        self.assertEqual((relayer._user, relayer.secret), (b"u", None))
        self.assertIs(relayer.tokens, tokens)

    def test_givenContextComesFirst(self) -> None:
        """
        An app's own context factory is used.
        """
        context: Any = object()
        factory = ESMTPManagedRelayerFactory([], self.attempt, None, context, b"me")
        self.assertIs(self.begin(factory).context, context)

    def test_recipientsPerTransaction(self) -> None:
        """
        The manager's number of recipients is the relayer's, but not that of
        one that settles its names itself.
        """

        class Own(SMTPManagedRelayer):
            def sentMail(self, *args: Any) -> None:
                raise NotImplementedError

        self.world.manager.recipientsPerTransaction = 50
        factory = SMTPManagedRelayerFactory(list(self.names), self.attempt, b"me")
        self.assertEqual(len(self.begin(factory).getMailTo()), 2)
        factory.protocol = Own
        self.assertEqual(self.begin(factory).getMailTo(), ["b@x.example"])

    def test_D02_clientConnectionFailed(self) -> None:
        """
        A connection that fails settles the names where no host is left.
        """
        factory = SMTPManagedRelayerFactory(list(self.names), self.attempt, b"me")
        self.begin(factory)
        factory.clientConnectionFailed(None, Failure(ConnectionRefusedError()))
        self.assertEqual(self.world.queue.getRelayed(), [])
        self.assertEqual(self.world.manager.managed, {})

    def test_seedsClientConnectionFailed(self) -> None:
        """
        An attempt manager of the seed's is told the two things it knows.
        """
        told = Told()
        factory = SMTPManagedRelayerFactory([], told, b"me")
        factory.clientConnectionFailed(None, Failure(ConnectionRefusedError()))
        self.assertEqual(
            told.told, [("notifyNoConnection", factory), ("notifyDone", factory)]
        )

    def test_A06_patienceIsTheManagers(self) -> None:
        """
        How long each phase may take is what the manager says.
        """
        self.world.manager.phaseTimeouts = {Phase.GREETING: 7.0}
        factory = SMTPManagedRelayerFactory(list(self.names), self.attempt, b"me")
        relayer = self.begin(factory)
        relayer.callLater = self.world.network.callLater
        relayer.makeConnection(StringTransport())
        self.world.network.advance(6)
        self.assertFalse(relayer.transport.disconnecting)
        self.world.network.advance(1)
        self.assertTrue(relayer.transport.disconnecting)
