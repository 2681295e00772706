# -*- test-case-name: relaymail.test.intake.test_proxied -*-
"""
Tests for L{relaymail.intake.proxied}, with what is in front of and behind it.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import ClientFactory, Protocol
from twisted.internet.ssl import optionsForClientTLS
from twisted.trial.unittest import SynchronousTestCase

from relaymail.envelopes import Entrance
from relaymail.intake.entrances import Opening
from relaymail.intake.limits import DEFAULT_LIMITS
from relaymail.intake.networks import Networks, parseNetworks
from relaymail.intake.proxied import HEADER_SECONDS
from relaymail.ports import MAX_UNANNOUNCED, Door, Hall, Ports
from relaymail.test.dialogue.test_proxyheader import B4, addresses, binary
from relaymail.test.intake.harness import LOCAL, STRANGER, Intake, Judge, Peer, Wire
from relaymail.testing.certificates import ThrowawayCA
from relaymail.testing.network import Network

PROXY = IPv4Address("TCP", "203.0.113.10", 50000)
V4 = b"PROXY TCP4 192.0.2.1 203.0.113.9 4321 25\r\n"
TRUSTED = b"PROXY TCP4 127.0.0.1 203.0.113.9 4321 25\r\n"
GREETING = "220 relay.example ESMTP\r\n"
EHLO = b"EHLO client.example\r\n"
MAIL = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n"


class ProxiedTestCase(SynchronousTestCase):
    """
    An intake with a proxy in front.
    """

    def setUp(self) -> None:
        self.open(Intake())

    def open(self, intake: Intake) -> None:
        """
        Put a door in front of an intake.
        """
        self.intake = intake
        self.hall = Hall(intake.clock)
        self.hall.build = intake.factory.buildProtocol
        self.hall.proxies = Networks(parseNetworks("203.0.113.0/24"))
        self.door = Door(self.hall, Opening("tcp:25"))

    def connect(self, address: IAddress = PROXY) -> Peer:
        """
        Connect.
        """
        return Peer(self.door.buildProtocol(address), Wire(peerAddress=address))


class HeaderTests(ProxiedTestCase):
    """
    What happens before and after the header.
    """

    def test_nothingBefore(self) -> None:
        """
        Before the header nothing is said, decided or counted; after it the client
        is greeted.
        """
        asked: list[Any] = []
        build = self.hall.build
        assert build is not None

        def noting(address: Any) -> Any:
            asked.append(address)
            return build(address)

        self.hall.build = noting
        peer = self.connect()
        self.assertEqual(peer.say(V4[:20]), "")
        self.assertEqual((asked, self.intake.factory.connections), ([], 0))
        self.assertEqual(peer.say(V4[20:]), GREETING)
        self.assertEqual(asked, [IPv4Address("TCP", "192.0.2.1", 4321)])
        self.assertEqual(self.intake.factory.connections, 1)

    def test_theClientIsAsked(self) -> None:
        """
        Who may relay is judged by the client's address, not by the proxy's.
        """
        stranger, friend = self.connect(), self.connect()
        stranger.say(V4)
        self.assertEqual(stranger.codes(EHLO + MAIL), ["250", "250", "550"])
        friend.say(TRUSTED)
        self.assertEqual(friend.codes(EHLO + MAIL), ["250", "250", "250"])

    def test_askedAgain(self) -> None:
        """
        The acceptance sees the client at each MAIL and RCPT.
        """
        seen: list[Any] = []

        class Noting(Judge):
            def acceptSender(self, client: Any, sender: str) -> None:
                """
                Note it.
                """
                seen.append((client.host, client.port))

            def acceptRecipient(self, client: Any, sender: str, to: str) -> None:
                """
                Note it.
                """
                seen.append((client.host, client.port))

        self.open(Intake(acceptance=Noting()))
        self.connect().say(V4 + EHLO)
        peer = self.connect()
        peer.say(V4)
        peer.say(EHLO + MAIL)
        self.assertEqual(seen, 2 * [("192.0.2.1", 4321)])

    def test_restIsHeard(self) -> None:
        """
        What came with the header is read as the client's.
        """
        peer = self.connect()
        said = peer.say(V4 + b"NOOP\r\n")
        self.assertTrue(said.startswith(GREETING))

    @settings(deadline=None, max_examples=50)
    @given(st.sampled_from([TRUSTED, B4]), st.lists(st.integers(0, 200), max_size=9))
    def test_A05_anyCut(self, header: bytes, cuts: list[int]) -> None:
        """
        However the header and what follows are cut, the replies are the same.
        """
        said = header + EHLO + MAIL + b"RSET\r\nNOOP\r\nQUIT\r\n"
        first = self.connect()
        whole = first.say(said)
        self.assertIn("221 ", whole)
        peer, heard = self.connect(), ""
        for begin, end in pairwise([0, *sorted(cuts), len(said)]):
            heard += peer.say(said[begin:end])
        self.assertEqual(heard, whole)
        # The next example has the same intake, which counts connections.
        for each in (first, peer):
            each.vanish()

    def test_binary(self) -> None:
        """
        So it is with version 2, and with IPv6.
        """
        peer = self.connect()
        self.assertEqual(peer.say(B4), GREETING)
        self.assertEqual(peer.wire.getPeer(), IPv4Address("TCP", "192.0.2.1", 4321))
        peer = self.connect()
        peer.say(binary(addresses("2001:db8::1", "2001:db8::9"), 0x21))
        self.assertEqual(peer.wire.getPeer(), IPv6Address("TCP", "2001:db8::1", 4321))

    def test_thePeerItself(self) -> None:
        """
        A proxy that speaks for itself is the peer, and is trusted as much as its
        address.
        """
        peer = self.connect()
        self.assertEqual(peer.say(binary(b"", 0, 0x20)), GREETING)
        self.assertEqual(peer.wire.getPeer(), PROXY)
        self.assertEqual(peer.codes(EHLO + MAIL), ["250", "250", "550"])
        self.hall.proxies = Networks(parseNetworks("127.0.0.1"))
        peer = self.connect(LOCAL)
        self.assertEqual(peer.say(binary(b"", 0, 0x20)), GREETING)
        self.assertEqual(peer.codes(EHLO + MAIL), ["250", "250", "250"])

    def test_A04_unknownClient(self) -> None:
        """
        A client of which the proxy does not say where it is, is not taken for the
        proxy, which may be trusted; a socket on its machine is no socket on ours.
        """
        self.hall.proxies = Networks(parseNetworks("127.0.0.1"))
        for header in (
            b"PROXY UNKNOWN\r\n",
            binary(b"", 0),
            binary(b"/" * 216, 0x31),
        ):
            peer = self.connect(LOCAL)
            self.assertEqual(peer.say(header), GREETING)
            self.assertEqual(peer.codes(EHLO + MAIL), ["250", "250", "550"])

    def test_A05_countedForTheClient(self) -> None:
        """
        Connections are counted for each client, not for the proxy.
        """
        self.open(Intake(limits=replace(DEFAULT_LIMITS, perAddress=1)))
        other = b"PROXY TCP4 192.0.2.2 203.0.113.9 4321 25\r\n"
        self.assertEqual(self.connect().codes(V4), ["220"])
        self.assertEqual(self.connect().codes(other), ["220"])
        third = self.connect()
        self.assertEqual(third.codes(V4), ["421"])
        self.assertTrue(third.wire.closed)

    def test_notAProxy(self) -> None:
        """
        Who is no proxy is a client, greeted at once, and a header ends its session;
        so is who is on a UNIX socket.
        """
        for address in (STRANGER, LOCAL, UNIXAddress("/run/x")):
            peer = self.connect(address)
            self.assertEqual(peer.heard(), GREETING)
            self.assertEqual(peer.codes(V4), ["502"])
            self.assertTrue(peer.wire.closed)

    def test_A04_neverAProxyTwice(self) -> None:
        """
        An address that a proxy names is not taken for a proxy: a second header ends
        the session.
        """
        peer = self.connect()
        named = b"PROXY TCP4 203.0.113.11 203.0.113.9 4321 25\r\n"
        self.assertEqual(peer.say(named), GREETING)
        self.assertEqual(peer.codes(TRUSTED + EHLO + MAIL), ["502"])
        self.assertTrue(peer.wire.closed)

    def test_startTLS(self) -> None:
        """
        STARTTLS is the connection's own, and the client stays the client.
        """
        context = object()
        self.open(Intake(contextFactory=context))
        peer = self.connect()
        peer.say(V4)
        peer.say(EHLO)
        self.assertEqual(peer.codes(b"STARTTLS\r\n"), ["220"])
        self.assertIs(peer.wire.tls, context)
        self.assertEqual(peer.wire.getPeer(), IPv4Address("TCP", "192.0.2.1", 4321))

    def test_vanished(self) -> None:
        """
        A client of a proxy that goes is counted no more.
        """
        peer = self.connect()
        peer.say(V4)
        peer.vanish()
        self.assertEqual(self.intake.factory.connections, 0)
        self.assertEqual(self.intake.clock.getDelayedCalls(), [])

    def test_closedMeanwhile(self) -> None:
        """
        Where nobody is let in any more once the header is there, the connection is
        closed.
        """
        peer = self.connect()
        self.hall.build = None
        self.assertEqual(peer.say(V4), "")
        self.assertTrue(peer.wire.closed)


class BoundTests(ProxiedTestCase):
    """
    What proxies cannot do.
    """

    def test_A05_noHeader(self) -> None:
        """
        What is no header ends the connection, without a word.
        """
        for said in (EHLO, b"\r\n\r\n\0\r\nQUIT\n\xff", b"PROXY " + b"x" * 200):
            peer = self.connect()
            self.assertEqual(peer.say(said), "")
            self.assertTrue(peer.wire.closed)
            self.assertEqual(peer.say(V4), "")
        self.assertEqual(self.intake.clock.getDelayedCalls(), [])

    def test_A05_tooLate(self) -> None:
        """
        So does a header that does not end in time, however it is cut.
        """
        peer = self.connect()
        for octet in V4[:8]:
            peer.say(bytes([octet]))
            self.intake.clock.advance(HEADER_SECONDS / 8 - 0.01)
        self.assertFalse(peer.wire.closed)
        self.intake.clock.advance(1)
        self.assertTrue(peer.wire.closed)
        self.assertEqual(peer.heard(), "")

    def test_A05_tooMany(self) -> None:
        """
        So many proxies wait and no more; one that goes makes room.
        """
        peers = [self.connect() for _ in range(MAX_UNANNOUNCED)]
        self.assertIsNone(self.door.buildProtocol(PROXY))
        peers[0].vanish()
        self.assertIsNotNone(self.door.buildProtocol(PROXY))

    def test_stopped(self) -> None:
        """
        Where nobody is let in any more nobody waits.
        """
        peer = self.connect()
        self.hall.cut()
        self.assertTrue(peer.wire.closed)
        self.assertEqual(self.intake.clock.getDelayedCalls(), [])


class Talk(Protocol):
    """
    A client that says something, begins TLS behind it, and notes what it hears.
    """

    def __init__(self, said: bytes, options: Any, then: bytes = b"") -> None:
        self.said, self.options, self.then = said, options, then
        self.heard = b""

    def connectionMade(self) -> None:
        """
        Say it.
        """
        transport: Any = self.transport
        transport.write(self.said)
        if self.options is not None:
            transport.startTLS(self.options)

    def dataReceived(self, data: bytes) -> None:
        """
        Note it, and go on after the greeting.
        """
        transport: Any = self.transport
        if not self.heard:
            transport.write(self.then)
        self.heard += data


class WireTests(SynchronousTestCase):
    """
    Over connections and TLS as they are, in memory.
    """

    SUBMISSIONS = Opening("tcp:465:interface=192.0.2.25", Entrance.SUBMISSION, True)

    def setUp(self) -> None:
        self.network = Network()
        self.server = self.network.machine("192.0.2.25")
        self.proxy = self.network.machine("203.0.113.10")
        self.client = self.network.machine("198.51.100.7")
        self.authority = ThrowawayCA()
        self.intake = Intake()
        self.intake.factory._clock = self.server
        self.ports = Ports(self.server)
        self.asked: list[Any] = []
        self.addCleanup(self.ports.close)

    def build(self, address: Any, entrance: Entrance = Entrance.RELAY) -> Any:
        """
        Note who asks for what.
        """
        self.asked.append((address.host, entrance))
        return self.intake.factory.buildProtocol(address)

    def listen(self, opening: Opening) -> Any:
        """
        Listen, with a certificate.

        @return: What it is begun with.
        """
        context = self.authority.issue("relay.example").contextFactory
        self.ports.listen([opening])
        self.ports.letIn(self.build, context, parseNetworks("203.0.113.10"))
        return context

    def talk(self, machine: Any, said: bytes, then: bytes = b"QUIT\r\n") -> bytes:
        """
        Talk from a machine, under TLS.

        @return: What was answered.
        """
        options = optionsForClientTLS("relay.example", self.authority.trustRoot)
        talk = Talk(said, options, then)
        factory = ClientFactory.forProtocol(lambda: talk)
        factory.noisy = False
        machine.connectTCP("192.0.2.25", 465, factory)
        self.network.run(5)
        return talk.heard

    def test_direct(self) -> None:
        """
        TLS begins at once where that is what is spoken, and there is no STARTTLS.
        """
        self.listen(self.SUBMISSIONS)
        heard = self.talk(self.client, b"", EHLO + b"QUIT\r\n")
        self.assertTrue(heard.startswith(GREETING.encode()))
        self.assertNotIn(b"STARTTLS", heard)
        self.assertIn(b"221 ", heard)
        self.assertEqual(self.asked, [("198.51.100.7", Entrance.SUBMISSION)])

    def test_announced(self) -> None:
        """
        The header of a proxy comes before TLS, in clear.
        """
        for header in (V4, B4):
            self.asked.clear()
            self.listen(self.SUBMISSIONS)
            heard = self.talk(self.proxy, header)
            self.assertTrue(heard.startswith(GREETING.encode()), heard)
            self.assertEqual(self.asked, [("192.0.2.1", Entrance.SUBMISSION)])

    def test_notAnnounced(self) -> None:
        """
        A proxy that begins with TLS, and a client that begins with a header, get
        nothing.
        """
        self.listen(self.SUBMISSIONS)
        self.assertEqual(self.talk(self.proxy, b""), b"")
        self.assertEqual(self.talk(self.client, V4), b"")

    def test_newCertificate(self) -> None:
        """
        A certificate in the place of another is that of the next connection.
        """
        self.listen(self.SUBMISSIONS)
        self.assertIn(b"220", self.talk(self.client, b""))
        self.authority = ThrowawayCA()
        self.assertEqual(self.talk(self.client, b""), b"")
        self.listen(self.SUBMISSIONS)
        self.assertIn(b"220", self.talk(self.client, b""))

    def test_A05_noHandshake(self) -> None:
        """
        Who connects and says nothing is cut where TLS was to begin, too.
        """
        self.listen(self.SUBMISSIONS)
        talk = Talk(b"", None)
        lost: list[Any] = []
        talk.connectionLost = lost.append  # type: ignore[method-assign, assignment]
        factory = ClientFactory.forProtocol(lambda: talk)
        factory.noisy = False
        self.client.connectTCP("192.0.2.25", 465, factory)
        self.network.run(DEFAULT_LIMITS.commandSeconds - 1)
        self.assertEqual(lost, [])
        self.network.run(DEFAULT_LIMITS.lingerSeconds + 2)
        self.assertEqual(len(lost), 1)
        self.assertEqual(self.intake.factory.connections, 0)

    def test_noCertificate(self) -> None:
        """
        Nobody talks in clear where TLS was to be.
        """
        self.listen(self.SUBMISSIONS)
        self.ports.letIn(self.build)
        self.assertEqual(self.talk(self.client, b""), b"")

    def test_startTLS(self) -> None:
        """
        STARTTLS works behind a header, too.
        """
        self.intake = Intake(
            contextFactory=self.authority.issue("relay.example").contextFactory
        )
        self.intake.factory._clock = self.server
        self.listen(Opening("tcp:465:interface=192.0.2.25"))
        talk = Talk(V4, None, EHLO + b"STARTTLS\r\n")
        factory = ClientFactory.forProtocol(lambda: talk)
        factory.noisy = False
        self.proxy.connectTCP("192.0.2.25", 465, factory)
        self.network.run(5)
        self.assertTrue(talk.heard.split(b"\r\n")[-2].startswith(b"220 "), talk.heard)
        before, transport = talk.heard, talk.transport
        assert transport is not None
        options = optionsForClientTLS("relay.example", self.authority.trustRoot)
        transport.startTLS(options)  # type: ignore[attr-defined]
        transport.write(EHLO)
        self.network.run(5)
        self.assertIn(b"250", talk.heard[len(before) :])
        self.assertNotIn(b"STARTTLS", talk.heard[len(before) :])
