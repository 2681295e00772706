# -*- test-case-name: relaymail.test.testing.test_world -*-
"""
Tests for L{relaymail.testing.world} and who works with it.
"""

from __future__ import annotations

import errno
import sqlite3

from twisted.internet.defer import Deferred
from twisted.internet.ssl import optionsForClientTLS

from relaymail.envelopes import Envelope
from relaymail.errors import ConfigurationError, QueueError
from relaymail.testing.assertions import Message
from relaymail.testing.cases import WorldTestCase
from relaymail.testing.certificates import selfSigned
from relaymail.testing.clients import Drop, Mail, Manner, ResetAfterDot, send
from relaymail.testing.dns import Fault
from relaymail.testing.links import Link
from relaymail.testing.network import Fate
from relaymail.testing.relays import DIRECTORY, RESTART, SPOOL
from relaymail.testing.scripts import dropsAfterTheDot, fullMailbox, greylister
from relaymail.testing.servers import SMTPServer
from relaymail.testing.world import RELAY, World

HOST, OTHER = "192.0.2.25", "192.0.2.26"
TO = "b@example.org"
YEAR = 365 * 86400.0


class WorldWithAHost(WorldTestCase):
    """
    A world with a host for example.org.
    """

    queue = SPOOL

    def setUp(self) -> None:
        self.enter(World(seed=7, queue=self.queue))

    def enter(self, world: World, server: SMTPServer | None = None) -> World:
        """
        Give a world its host.
        """
        self.world = world
        self.mx = world.host(HOST, server, name="mx.example.org")
        world.exchange("example.org", {"mx.example.org": HOST})
        return world

    def send(self, *recipients: str) -> Message:
        """
        Send a message, and let it come.
        """
        message = self.world.send("a@example.com", *(recipients or (TO,)))
        self.world.run(10)
        return message


class LifeTests(WorldWithAHost):
    """
    What happens in a world.
    """

    def test_example(self) -> None:
        """
        The example of the module works.
        """
        world = self.world
        self.mx.answers["RCPT c@example.org"] = "451 4.7.1 Later"
        message = world.send("a@example.com", TO, "c@example.org")
        world.run(10)
        world.assertDelivered(message, TO)
        world.assertQueued(message, "c@example.org")
        world.crash()
        self.mx.answers.clear()
        world.run(3600)
        world.assertDelivered(message, "c@example.org")
        world.assertNothingLost()
        world.assertSettled()

    def test_realRelay(self) -> None:
        """
        What runs is the service, with its intake, its queue in files, its
        resolver and its managers.
        """
        message = self.world.submit("a@example.com", TO)
        self.world.run(10)
        relay = self.world.relay
        self.assertEqual([address.port for address in relay.addresses], [25])
        self.assertEqual(relay.queue.path, f"{SPOOL}/queue.db")
        self.assertIn(b"by relay.example.com", self.mx.received[0].content)
        self.world.assertDelivered(message, TO)

    def test_programs(self) -> None:
        """
        What a program under test gives to the relay is in the books: by a
        call, and by SMTP from a machine of its own.
        """
        world = self.world
        given = world.relay.send("", [TO], "Subject: by a call\n\nHello.\n")
        client = world.network.machine("198.51.100.30", name="program")
        mail = Mail(
            "p@example.com", (TO, "c@example.org"), b"Subject: x\r\n\r\nHi.\r\n"
        )
        sent = send(client, RELAY, 25, mail)
        world.run(10)
        self.assertEqual(len(self.successResultOf(given)), 1)
        self.successResultOf(sent)
        called, submitted = world.messages
        self.assertTrue(
            called.content.endswith(b"Subject: by a call\r\n\r\nHello.\r\n")
        )
        self.assertTrue(submitted.content.endswith(mail.content))
        world.assertDelivered(called, TO)
        world.assertDelivered(submitted, "c@example.org")
        world.assertSettled()

    def test_P1_programsAndCrashes(self) -> None:
        """
        So is what it gave when the relay went down, or refused it.
        """
        world = self.world
        world.node.machine.points.crashAfter(5)
        world.relay.send("a@example.com", TO, "Subject: 1\n\n")
        world.run(60)
        world.assertNothingLost()
        world.node.failWrites()
        self.failureResultOf(self.sentBy(world, "Subject: 2\n\n"), QueueError)
        world.node.repair()
        self.successResultOf(self.sentBy(world, "Subject: 2\n\n"))
        world.assertDelivered(world.messages[-1], TO)
        world.assertNothingLost()
        world.relay.queue.add(Envelope("a@example.com", (TO,)), b"Subject: 3\r\n\r\n")
        world.crash(power=True)
        world.run(60)
        world.assertNothingLost()

    def sentBy(self, world: World, content: str) -> Deferred[list[str]]:
        """
        Let a program send, and time pass.
        """
        given = world.relay.send("a@example.com", TO, content)
        world.run(10)
        return given

    def test_submitted(self) -> None:
        """
        A client on another machine can give mail by SMTP.
        """
        message = self.world.submit("a@example.com", TO, "c@example.org")
        self.world.run(10)
        self.assertEqual(message.accepted, (TO, "c@example.org"))
        self.world.assertDelivered(message, "c@example.org")
        self.world.assertSettled()

    def test_refused(self) -> None:
        """
        What is refused is known to be.
        """
        message = self.world.submit("a@example.com", "not an address")
        self.world.run(10)
        self.assertEqual(message.accepted, ())
        self.world.assertSettled()

    def test_clientThatDrops(self) -> None:
        """
        A message that did not come whole is not taken; one whose answer nobody
        heard may be.
        """
        half = self.world.submit("a@example.com", TO, misdeed=Drop(after=10))
        self.world.run(10)
        self.world.assertDelivered(half, TO, 0)
        self.world.submit("a@example.com", TO, misdeed=ResetAfterDot())
        self.world.run(10)
        self.assertEqual(self.world.ledger.perhaps.total(), 1)
        self.world.assertSettled()

    def test_TLS(self) -> None:
        """
        TLS is real, both ways in.
        """
        certificate = selfSigned("relay.example.com", "mx.example.org")
        self.enter(
            World(contextFactory=certificate.contextFactory),
            SMTPServer(contextFactory=certificate.contextFactory),
        )
        manner = Manner(
            contextFactory=optionsForClientTLS(
                "relay.example.com", trustRoot=certificate.trustRoot
            )
        )
        message = self.world.submit("a@example.com", TO, manner=manner)
        self.world.run(10)
        self.world.assertDelivered(message, TO)
        self.assertTrue(self.mx.received[0].session.isTLS)
        self.assertIn(b"with ESMTPS", self.mx.received[0].content)

    def test_largeOverTLS(self) -> None:
        """
        A message of any size comes over TLS, to a host that reads slowly.
        """
        context = selfSigned("mx.example.org").contextFactory
        self.enter(World(), SMTPServer(contextFactory=context))
        self.world.network.setLink(Link(latency=0.05, segment=1448))
        content = self.world.compose("a@example.com", (b"." * 900 + b"\r\n") * 300)
        message = self.world.send("a@example.com", TO, content=content)
        self.world.run(100)
        self.world.assertDelivered(message, TO)
        self.assertTrue(self.mx.received[0].session.isTLS)
        self.world.assertSettled()

    def test_aYearOfRetries(self) -> None:
        """
        A year is over in a moment, and mail that nobody takes comes back in it.
        """
        self.world.network.fates[HOST] = Fate.SILENT
        message = self.send()
        self.world.run(YEAR)
        self.world.assertBounced(message, TO)
        self.world.assertSettled()
        self.assertGreater(len(self.world.network.tried), 20)

    def test_slowNetwork(self) -> None:
        """
        Mail comes over a network that is slow, loses, and tears all to pieces.
        """
        self.world.network.setLink(Link(latency=0.2, loss=0.1, segment=3, ragged=True))
        message = self.world.submit("a@example.com", TO)
        self.world.run(3600)
        self.world.assertDelivered(message, TO)
        self.world.assertSettled()

    def test_parted(self) -> None:
        """
        A host that cannot be reached for an hour gets its mail then.
        """
        relay, there = self.world.node.machine, self.world.network.machine(HOST)
        self.world.network.part(relay, there)
        message = self.send()
        self.world.assertQueued(message, TO)
        self.world.run(3600)
        self.world.network.join(relay, there)
        self.world.run(4 * 3600)
        self.world.assertDelivered(message, TO)

    def test_DNS(self) -> None:
        """
        The DNS can fail.
        """
        self.world.zones["example.org"] = Fault.SERVFAIL
        self.world.zones["slow.example"] = Fault.SILENCE
        messages = [
            self.send(TO),
            self.send("x@slow.example"),
            self.send("x@no.example"),
        ]
        self.world.run(60)
        self.world.assertQueued(messages[0], TO)
        self.world.assertQueued(messages[1], "x@slow.example")
        self.world.assertBounced(messages[2], "x@no.example")
        self.world.assertNothingLost()

    def test_scripts(self) -> None:
        """
        The hosts of L{relaymail.testing.scripts} live in it.
        """
        for server, hours in ((greylister(seconds=300), 1), (fullMailbox(TO), 0)):
            self.enter(World(), server)
            message = self.send()
            self.world.assertQueued(message, TO)
            self.world.run(3600 * hours)
            self.world.assertDelivered(message, TO, min(hours, 1))
            self.world.assertNothingLost()

    def test_P4_droppedAfterTheDot(self) -> None:
        """
        Where the answer does not come mail may be delivered twice, and the
        books say that this is all right.
        """
        self.enter(World(), dropsAfterTheDot(times=1, took=True))
        message = self.send()
        self.world.run(3600)
        self.world.assertDelivered(message, TO, 2)
        self.world.assertSettled()

    def test_settings(self) -> None:
        """
        The relay takes the settings it always takes.
        """
        world = World(expire="1h", smartHosts=f"smtp://{OTHER}")
        smart = world.host(OTHER)
        world.send("a@example.com", TO)
        world.run(10)
        self.assertEqual(len(smart.received), 1)
        self.assertRaises(ConfigurationError, World, expire="never")

    def test_stop(self) -> None:
        """
        The relay can be stopped in good order, and started again.
        """
        message = self.send()
        stopped = self.world.stop()
        self.world.run(60)
        self.successResultOf(stopped)
        self.assertRaises(AssertionError, lambda: self.world.relay)
        self.world.node.start()
        self.world.run(1)
        self.world.assertDelivered(message, TO)
        self.world.assertSettled()


class CrashTests(WorldWithAHost):
    """
    The relay goes down.
    """

    def test_killed(self) -> None:
        """
        It starts again after a while, and knows its queue.
        """
        self.mx.answers["RCPT"] = "451 4.7.1 Later"
        message = self.send()
        self.world.crash()
        self.assertRaises(AssertionError, lambda: self.world.relay)
        self.world.run(RESTART)
        self.world.assertQueued(message, TO)
        self.assertEqual(len(self.world.node.crashes), 1)

    def test_whatIsGivenWhileItIsDown(self) -> None:
        """
        What is given to a relay that is down is refused.
        """
        self.world.crash()
        message = self.world.send("a@example.com", TO)
        self.world.run(1)
        self.assertEqual(message.accepted, ())
        self.world.run(60)
        self.world.assertSettled()

    def test_atAPoint(self) -> None:
        """
        It can be told to go down at one of its moments by itself.
        """
        self.world.node.cutsPower = True
        self.world.node.machine.points.crashAfter(0)
        message = self.send()
        self.assertEqual(len(self.world.node.crashes), 1)
        self.assertEqual(message.accepted, ())
        self.world.run(86400 * 2)
        self.world.crash()
        self.world.run(60)
        self.world.assertSettled()

    def test_P6_diskFails(self) -> None:
        """
        A disk that cannot be written refuses mail and loses none.
        """
        self.world.node.failWrites()
        refused = self.send()
        self.assertEqual(refused.accepted, ())
        self.world.node.repair()
        taken = self.send()
        self.world.assertDelivered(taken, TO)
        self.world.assertSettled()

    def test_startFails(self) -> None:
        """
        A relay that cannot start is started until it does.
        """
        self.world.node.disk.fail("names", errno.EIO, times=2)
        self.world.crash()
        self.world.run(RESTART * 4)
        self.world.assertDelivered(self.send(), TO)


class DirectoryCrashTests(CrashTests):
    """
    The relay goes down, with its queue in a directory.
    """

    queue = DIRECTORY

    def test_P2_refusedAndNotTakenAway(self) -> None:
        """
        What was refused comes back where a disk that failed kept its files and
        the relay went down before it could remove them: the books excuse that.
        """
        for operation in ("sync", "unlink"):
            self.world.node.disk.fail(operation, errno.EIO, times=None)
        refused = self.send()
        self.assertEqual(refused.accepted, ())
        self.world.crash()
        self.world.node.disk.repair()
        self.world.run(60)
        self.world.assertDelivered(refused, TO)
        self.world.assertNothingLost()


class AssertionTests(WorldWithAHost):
    """
    What is not so is told.
    """

    def damage(self, statement: str) -> None:
        """
        Do something to the database behind the relay's back.
        """
        path = self.world.node.databasePath(f"{SPOOL}/queue.db")
        database = sqlite3.connect(path)
        with database:
            database.execute(statement)
        database.close()

    def lose(self) -> None:
        """
        Take away the only message.
        """
        self.damage("DELETE FROM recipient")

    def forgetTime(self, name: str) -> None:
        """
        Let nothing be known of when it is tried.
        """
        self.damage("UPDATE recipient SET due = 0")

    def leaveSomething(self) -> None:
        """
        Leave a file that nobody needs.
        """
        self.world.node.disk.plant(f"{SPOOL}/queue.db-contents/7", b"x")

    def assertFails(self, text: str, assertion: object, *args: object) -> str:
        """
        An assertion fails, and says so.
        """
        error = self.assertRaises(AssertionError, assertion, *args)
        self.assertIn(text, str(error))
        self.assertIn("seed 7", str(error))
        return str(error)

    def test_delivered(self) -> None:
        """
        It says how often a message was delivered, and what happened last.
        """
        message = self.send()
        world = self.world
        text = self.assertFails("1 times, not 2", world.assertDelivered, message, TO, 2)
        self.assertIn("mx.example.org '.' '250 2.0.0 Ok'", text)
        self.assertFails("0 times", world.assertDelivered, message, "c@example.org")

    def test_queuedOrBounced(self) -> None:
        """
        It says what is not there.
        """
        message, world = self.send(), self.world
        self.assertFails("not in the queue", world.assertQueued, message, TO)
        self.assertFails("0 notices", world.assertBounced, message, TO)

    def test_P3_lost(self) -> None:
        """
        A message that has vanished is missed.
        """
        self.mx.answers["RCPT"] = "451 4.7.1 Later"
        self.send()
        self.lose()
        self.assertFails("is lost", self.world.assertNothingLost)

    def test_wrongHost(self) -> None:
        """
        Mail that is given to a host of another domain is seen.
        """
        self.world.exchange("example.net", {"mx.example.net": OTHER})
        self.world.zones["example.net"] = {"MX": [(10, "mx.example.org")]}
        self.send("x@example.net")
        self.assertFails("was given mail for", self.world.assertNothingLost)

    def test_D31_forgottenTime(self) -> None:
        """
        A time that a crash has cost is missed.
        """
        self.mx.answers["RCPT"] = "451 4.7.1 Later"
        self.send()
        (name,) = self.world.relay.queue.getResting()
        self.world.crash()
        self.forgetTime(name)
        self.world.run(RESTART)
        self.assertFails("was to be tried at", self.world.assertNothingLost)

    def test_lateOnes(self) -> None:
        """
        Mail that is due and that nobody tries is missed.
        """
        self.mx.answers["RCPT"] = "451 4.7.1 Later"
        self.send()
        self.world.relay.manager._due.cancel()
        self.world.run(600)
        self.assertFails("nobody woke", self.world.assertNothingLost)

    def test_setAside(self) -> None:
        """
        Mail that was set aside is no mail that was delivered.
        """
        self.mx.answers["RCPT"] = "451 4.7.1 Later"
        self.send()
        (name,) = self.world.relay.queue.getResting()
        self.world.relay.queue.setAside(name, "a test")
        self.world.run(1)
        self.assertFails("was set aside", self.world.assertNothingLost)

    def test_leftOver(self) -> None:
        """
        A file that nobody needs is seen when all should be gone.
        """
        self.send()
        self.world.assertSettled()
        self.leaveSomething()
        self.assertFails("is left over", self.world.assertSettled)

    def test_stillQueued(self) -> None:
        """
        So is mail.
        """
        self.mx.answers["RCPT"] = "451 4.7.1 Later"
        self.send()
        self.assertFails("is still queued", self.world.assertSettled)


class DirectoryAssertionTests(AssertionTests):
    """
    What is not so is told, of a queue in a directory.
    """

    queue = DIRECTORY

    def lose(self) -> None:
        """
        See L{AssertionTests.lose}.
        """
        (name,) = self.world.relay.queue.getResting()
        for suffix in "DHS":
            self.world.node.disk.unlink(f"{SPOOL}/{name}-{suffix}")

    def forgetTime(self, name: str) -> None:
        """
        See L{AssertionTests.forgetTime}.
        """
        self.world.node.disk.unlink(f"{SPOOL}/{name}-S")

    def leaveSomething(self) -> None:
        """
        See L{AssertionTests.leaveSomething}.
        """
        self.world.node.disk.plant(f"{SPOOL}/x-C", b"x")
