# -*- test-case-name: relaymail.test.test_relay -*-
"""
Tests for L{relaymail.relay}.
"""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.mail._except import SMTPBadRcpt
from twisted.mail.interfaces import IDomain
from twisted.mail.smtp import Address, User
from twisted.trial.unittest import SynchronousTestCase

from relaymail.errors import UnreadableEntry
from relaymail.queue.directory import Queue
from relaymail.queue.memory import MemoryQueue
from relaymail.relay import DomainQueuer, ESMTPRelayer, RelayerMixin, SMTPRelayer

LOOPBACK = IPv4Address("TCP", "127.0.0.1", 1)


def userFrom(peer: Any, sender: str = "a@example.com", to: str = "b@x.example") -> User:
    """
    Give a recipient that a client at an address names.
    """
    transport = SimpleNamespace(getPeer=lambda: peer)
    protocol = SimpleNamespace(transport=transport)
    return User(Address(to), None, protocol, Address(sender))


class DomainQueuerTests(SynchronousTestCase):
    """
    Tests for L{DomainQueuer}.
    """

    def setUp(self) -> None:
        self.queue = MemoryQueue(Clock())
        self.queuer = DomainQueuer(SimpleNamespace(queue=self.queue))

    def assertTaken(self, user: User, queuer: DomainQueuer | None = None) -> None:
        """
        Mail for a user is taken and lands in the queue.
        """
        message = (queuer or self.queuer).exists(user)()
        message.lineReceived(b"Subject: x")
        name = self.successResultOf(message.eomReceived())
        self.assertEqual(self.queue.getEnvelope(name), [str(user.orig), str(user.dest)])
        self.assertEqual(self.queue.letter(name).file.read(), b"Subject: x\r\n")

    def test_loopback(self) -> None:
        """
        Clients on this machine may relay, over IPv4, IPv6 and UNIX sockets.
        """
        for peer in (
            LOOPBACK,
            IPv4Address("TCP", "127.9.9.9", 1),
            IPv6Address("TCP", "::1", 1),
            IPv6Address("TCP", "::ffff:127.0.0.1", 1),
            UNIXAddress(b"/run/socket"),
        ):
            self.assertTaken(userFrom(peer))

    def test_A04_othersMayNot(self) -> None:
        """
        Others may not, however like a loopback address theirs looks.
        """
        for peer in (
            IPv4Address("TCP", "192.0.2.1", 1),
            IPv4Address("TCP", "128.0.0.1", 1),
            IPv6Address("TCP", "2001:db8::1", 1),
            IPv6Address("TCP", "::ffff:192.0.2.1", 1),
            IPv6Address("TCP", "::127.0.0.1", 1),
        ):
            self.assertRaises(SMTPBadRcpt, self.queuer.exists, userFrom(peer))
        self.assertEqual(self.queue.getWaiting(), [])

    def test_authenticated(self) -> None:
        """
        Who has authenticated may from anywhere.
        """
        queuer = DomainQueuer(self.queuer.service, authenticated=True)
        self.assertTaken(userFrom(IPv4Address("TCP", "192.0.2.1", 1)), queuer)

    def test_nullSender(self) -> None:
        """
        The null reverse-path is taken (RFC 5321 4.5.5).
        """
        self.assertTaken(userFrom(LOOPBACK, sender=""))

    def test_addressesWithoutADomain(self) -> None:
        """
        A recipient or a sender without a domain is not.
        """
        for sender, to in (("a@example.com", "b"), ("a", "b@x.example"), ("", "")):
            user: Any = userFrom(LOOPBACK)
            user.orig, user.dest = sender, to
            self.assertRaises(SMTPBadRcpt, self.queuer.exists, user)

    def test_log(self) -> None:
        """
        What operators look for is logged.
        """
        with capturedLogs() as events:
            self.queuer.startMessage(userFrom(LOOPBACK))
        told = [formatEvent(event) for event in events]
        self.assertIn("Queueing mail 'a@example.com' -> 'b@x.example'", told)

    def test_filesOfTheDirectoryQueue(self) -> None:
        """
        In a directory queue there are the two files of the seed's.
        """
        path = Path(self.mktemp())
        path.mkdir(mode=0o700)
        queue = Queue(str(path), Clock())
        message = DomainQueuer(SimpleNamespace(queue=queue)).startMessage(
            userFrom(LOOPBACK)
        )
        message.lineReceived(b"Subject: x")
        message.eomReceived()
        (name,) = queue.getWaiting()
        self.assertEqual((path / f"{name}-D").read_bytes(), b"Subject: x\n")
        with queue.getEnvelopeFile(name) as file:
            self.assertEqual(pickle.load(file), ["a@example.com", "b@x.example"])

    def test_asADomain(self) -> None:
        """
        It has what a Twisted mail service asks of a domain.
        """
        for method in ("exists", "willRelay", "startMessage"):
            self.assertTrue(callable(getattr(self.queuer, method)))
        self.assertIn("exists", IDomain)


class RelayerTests(SynchronousTestCase):
    """
    Tests for L{RelayerMixin} and what is made of it.
    """

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()

    def write(self, name: str, protocol: int = 0, text: bytes = b"x\n") -> str:
        """
        Write a message as Twisted did.
        """
        path = self.directory / name
        Path(f"{path}-D").write_bytes(text)
        envelope = [f"from-{name}@x.example", f"to-{name}@x.example"]
        Path(f"{path}-H").write_bytes(pickle.dumps(envelope, protocol))
        return str(path)

    def test_oldPickles(self) -> None:
        """
        Envelopes of every pickle protocol are read.
        """
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            relayer = RelayerMixin()
            relayer.loadMessages([self.write("a", protocol)])
            self.assertEqual(relayer.getMailFrom(), "from-a@x.example")
            self.assertEqual(relayer.getMailTo(), ["to-a@x.example"])
            self.assertEqual(relayer.getMailData().read(), b"x\n")
            self.assertIsNone(relayer.getMailSize())
            self.assertFalse(relayer.isMailEightBit())

    def test_python2Pickles(self) -> None:
        """
        So are those that Python 2 wrote.
        """
        path = self.write("a")
        Path(f"{path}-H").write_bytes(
            b"(lp0\nS'a@x.example'\np1\naS'b@x.example'\np2\na."
        )
        relayer = RelayerMixin()
        relayer.loadMessages([path])
        self.assertEqual(relayer.messages[0][:2], ["a@x.example", "b@x.example"])

    def test_A08_picklesThatRun(self) -> None:
        """
        A pickle that would run something is refused.
        """
        path = self.write("a")
        Path(f"{path}-H").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
        self.assertRaises(UnreadableEntry, RelayerMixin().loadMessages, [path])

    def test_oneAfterTheOther(self) -> None:
        """
        The letters come in their order; what was delivered is removed, what
        was refused is only taken off the list.
        """
        paths = [self.write("a"), self.write("b")]
        relayer = SMTPRelayer(paths, b"me.example")
        self.assertEqual(relayer.names, paths)
        relayer.sentMail(550, b"no", 0, [], None)
        self.assertEqual(relayer.getMailFrom(), "from-b@x.example")
        relayer.sentMail(250, b"ok", 1, [], None)
        self.assertEqual(sorted(os.listdir(self.directory)), ["a-D", "a-H"])
        self.assertIsNone(relayer.getMailFrom())
        self.assertIsNone(relayer.getMailTo())
        self.assertIsNone(relayer.getMailData())

    def test_noDescriptorsAreHeld(self) -> None:
        """
        Letters that wait their turn hold no descriptors.
        """
        paths = [self.write(f"n{number}") for number in range(20)]
        before = len(os.listdir("/proc/self/fd"))
        relayer = ESMTPRelayer(paths, None, None, b"me.example")
        self.assertEqual(len(relayer.messages), 20)
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)
