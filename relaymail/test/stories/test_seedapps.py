# -*- test-case-name: relaymail.test.stories.test_seedapps -*-
"""
Programs that were written for Twisted's relay: their hooks, their queues and
their attempt managers.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.names import dns
from twisted.python.failure import Failure

from relaymail import relaymanager, smtp
from relaymail.queue.directory import Queue
from relaymail.queue.pickles import dumpEnvelope
from relaymail.relaymanager import (
    ESMTPManagedRelayer,
    ESMTPManagedRelayerFactory,
    MXCalculator,
    SmartHostESMTPRelayingManager,
    SmartHostSMTPRelayingManager,
    SMTPManagedRelayer,
    SMTPManagedRelayerFactory,
)
from relaymail.test.stories.harness import (
    FIRST,
    SECOND,
    SENDER,
    Logged,
    StoryTestCase,
    smartManager,
)
from relaymail.testing.doubles import MailWorld
from relaymail.testing.network import Fate
from relaymail.testing.servers import Act, SMTPServer


class HookTests(StoryTestCase):
    """
    Tests for what programs override.
    """

    def test_getMXOnly(self) -> None:
        """
        An object with C{getMX} only gives one host; it is asked with the
        domain.
        """

        class Calculator:
            asked: list[Any] = []  # noqa: RUF012

            def getMX(self, domain: Any) -> Deferred[Any]:
                self.asked.append(domain)
                return succeed(dns.Record_MX(name=FIRST))

        self.set(mxcalc=Calculator())
        mx = self.world.host(FIRST)
        self.relayed("b@elsewhere.example")
        self.assertEqual(Calculator.asked, ["elsewhere.example"])
        self.assertEqual(len(mx.received), 1)

    def test_getMXOnlyNamesAHost(self) -> None:
        """
        The host it names is looked up by the system's resolver.
        """

        class Calculator:
            def getMX(self, domain: Any) -> Deferred[Any]:
                return succeed(dns.Record_MX(name="mx.example.org"))

        resolver = self.world.manager.mxcalc.resolver
        self.patch(relaymanager, "makeResolver", lambda *a, **kw: resolver)
        self.set(mxcalc=Calculator())
        mx = self.world.host(FIRST)
        self.relayed("b@elsewhere.example")
        self.assertEqual(len(mx.received), 1)

    def test_getMXOverridden(self) -> None:
        """
        A subclass of L{MXCalculator} that overrides C{getMX} decides.
        """

        class Calculator(MXCalculator):
            def getMX(self, domain: Any, maximumCanonicalChainLength: int = 3) -> Any:
                return succeed(dns.Record_MX(name="mx.example.org"))

        network = self.world.network
        self.set(mxcalc=Calculator(self.world.manager.mxcalc.resolver, network))
        mx = self.world.host(FIRST)
        self.relayed("b@elsewhere.example")
        self.assertEqual(len(mx.received), 1)

    def test_portOfTheClass(self) -> None:
        """
        C{PORT} may be an attribute of the class or of the manager.
        """

        class Manager(SmartHostESMTPRelayingManager):
            PORT = 2525

        self.enter(MailWorld(manager=smartManager(Manager)))
        self.relayed(seconds=0)
        self.set(PORT=26)
        self.relayed("c@example.com", seconds=0)
        self.assertEqual([port for _, port in self.world.network.tried], [2525, 26])

    def test_factoryProtocolAndArguments(self) -> None:
        """
        C{factory} is called with the paths, the attempt, C{fArgs} and
        C{fKwArgs}; its C{protocol} builds the relayer.
        """
        called: list[Any] = []

        class Relayer(SMTPManagedRelayer):
            pass

        class Factory(SMTPManagedRelayerFactory):
            protocol = Relayer

            def __init__(self, messages: Any, manager: Any, *args: Any, **kw: Any):
                called.append((list(messages), args, kw))
                SMTPManagedRelayerFactory.__init__(self, messages, manager, *args, **kw)

        self.set(factory=Factory, fArgs=(b"me.example",), fKwArgs={"logsize": 3})
        mx = self.world.host(FIRST)
        names = self.relayed()
        self.assertEqual(called, [(names, (b"me.example",), {"logsize": 3})])
        self.assertEqual(mx.sessions[0].commands[0], "HELO me.example")

    def test_buildProtocolOverridden(self) -> None:
        """
        A factory that builds its relayers all by itself works.
        """

        class Factory(ESMTPManagedRelayerFactory):
            def buildProtocol(self, addr: Any) -> Any:
                built = ESMTPManagedRelayer(
                    self.messages, self.manager, None, None, *self.pArgs
                )
                built.factory = self
                return built

        self.set(factory=Factory)
        mx = self.world.host(FIRST, {"RCPT c@example.org": "451 Later"})
        names = self.relayed("b@example.org", "c@example.org")
        self.assertEqual(len(mx.received), 1)
        self.assertEqual(list(self.world.queue._entries), names[1:])

    def test_secret(self) -> None:
        """
        C{secret} is bytes, or a callable that is given the address.
        """
        asked: list[Any] = []

        def secret(address: Any) -> bytes:
            asked.append(address.host)
            return b"called"

        for given, expected in ((b"bytes", b"bytes"), (secret, b"called")):
            attempt = relaymanager._AttemptManager(
                self.world.manager, reactor=self.world.network
            )
            factory = ESMTPManagedRelayerFactory([], attempt, given, None, b"me")
            self.world.manager.managed[factory] = []
            peer = IPv4Address("TCP", FIRST, 25)
            self.assertEqual(factory.buildProtocol(peer).secret, expected)
        self.assertEqual(asked, [FIRST])

    def test_cbExchangeOverridden(self) -> None:
        """
        C{_cbExchange} decides how to connect, once per host; a connection that
        fails is told to the factory, and the next host follows.
        """
        seen: list[tuple[str, int]] = []

        class Manager(SmartHostESMTPRelayingManager):
            def _cbExchange(self, address: str, port: int, factory: Any) -> None:
                seen.append((address, port))
                where = {"mx1.example.org": FIRST, "mx2.example.org": SECOND}
                self.reactor.connectTCP(where[address], port, factory)

        self.enter(MailWorld(manager=smartManager(Manager)))
        self.twoHosts()
        mx = self.world.host(SECOND)
        self.relayed()
        self.assertEqual(seen, [("mx1.example.org", 25), ("mx2.example.org", 25)])
        self.assertEqual(len(mx.received), 1)
        self.assertEmpty()

    def test_cbExchangeThatRaises(self) -> None:
        """
        A hook that raises is a failure of this relay: the mail waits, whichever
        host it was for.
        """
        for good in (0, 1):
            calls: list[str] = []

            class Manager(SmartHostESMTPRelayingManager):
                def _cbExchange(self, address: str, port: int, factory: Any) -> None:
                    calls.append(address)  # noqa: B023
                    if len(calls) > good:  # noqa: B023
                        raise RuntimeError("a hook that does not work")
                    super()._cbExchange(address, port, factory)

            self.enter(MailWorld(manager=smartManager(Manager)))
            self.twoHosts()
            self.world.host(FIRST, {"CONNECT": "421 Busy"})
            self.assertRetried(*self.relayed())
            self.flushLoggedErrors(RuntimeError)

    def test_ebExchangeOverridden(self) -> None:
        """
        C{_ebExchange} is told the failure, the factory and the domain.
        """
        told: list[Any] = []

        class Manager(SmartHostESMTPRelayingManager):
            def _ebExchange(self, failure: Failure, factory: Any, domain: str) -> None:
                told.append((factory in self.managed, domain))
                super()._ebExchange(failure, factory, domain)

        self.enter(MailWorld(manager=smartManager(Manager)))
        self.relayed("b@nowhere.example")
        self.assertEqual(told, [(True, "nowhere.example")])
        self.assertEqual(len(self.home.received), 1)

    def test_checkStateOverridden(self) -> None:
        """
        The timer calls C{checkState} as it is overridden.
        """
        calls: list[Any] = []

        class Manager(SmartHostESMTPRelayingManager):
            def checkState(self) -> Any:
                calls.append(None)
                return super().checkState()

        relaymanager._checkState(Manager(self.world.queue))
        self.assertEqual(calls, [None])

    def test_attemptManagerReplaced(self) -> None:
        """
        Put in the place of C{relaymanager._AttemptManager}, a subclass is told
        of everything with the seed's parameters.
        """
        told: list[tuple[str, ...]] = []

        class Recording(relaymanager._AttemptManager):
            def notifySuccess(self, relay: Any, message: str) -> None:
                told.append(("success", message, str(relay in self.manager.managed)))
                super().notifySuccess(relay, message)

            def notifyFailure(self, relay: Any, message: str) -> None:
                told.append(("failure", message))
                super().notifyFailure(relay, message)

            def notifyDone(self, relay: Any) -> None:
                told.append(("done",))
                super().notifyDone(relay)

            def notifyNoConnection(self, relay: Any) -> None:
                told.append(("no connection",))
                super().notifyNoConnection(relay)

        self.patch(relaymanager, "_AttemptManager", Recording)
        self.world.manager.mxcalc.fallbackToDomain = True
        self.set(maxConnections=1)
        self.world.host(FIRST, {"RCPT c@example.org": "550 No"})
        one, two = self.world.send("", "b@example.org", "c@example.org")
        self.world.run()
        self.assertEqual(told, [("success", one, "True"), ("failure", two), ("done",)])
        told.clear()
        self.world.network.fates[FIRST] = Fate.REFUSED
        self.relayed(seconds=0)
        self.assertEqual(told, [("no connection",), ("done",)])

    def test_attemptManagerThatKeepsQuiet(self) -> None:
        """
        A subclass that does not settle a name leaves it to C{notifyDone}: it
        is tried again.
        """

        class Quiet(relaymanager._AttemptManager):
            def notifySuccess(self, relay: Any, message: str) -> None:
                pass

        self.patch(relaymanager, "_AttemptManager", Quiet)
        self.world.host(FIRST)
        self.assertRetried(*self.relayed())

    def test_sentMailTheSeedsWay(self) -> None:
        """
        A relayer that knows only C{names[0]} delivers each name once, however
        many recipients the manager would send at a time.
        """

        class Relayer(ESMTPManagedRelayer):
            def sentMail(
                self, code: int, resp: Any, numOk: Any, addresses: Any, log: Any
            ) -> None:
                if code in smtp.SUCCESS:
                    self.manager.notifySuccess(self.factory, self.names[0])
                else:
                    self.manager.notifyFailure(self.factory, self.names[0])
                del self.messages[0]
                del self.names[0]

        class Factory(ESMTPManagedRelayerFactory):
            protocol = Relayer

        self.set(recipientsPerTransaction=100, factory=Factory)
        mx = self.world.host(FIRST, {"RCPT d@example.org": "550 No"})
        self.relayed("b@example.org", "c@example.org", "d@example.org")
        self.assertEqual(
            [m.recipients for m in mx.received],
            [("b@example.org",), ("c@example.org",)],
        )
        self.assertEqual(len(self.notices()), 1)
        self.assertEmpty()


class SeedQueue:
    """
    A queue with the seed's methods and nothing else, over a directory.
    """

    noisy = True

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.waiting: list[str] = []
        self.relayed: list[str] = []
        self.n = 0

    def put(self, sender: str, recipient: str, content: bytes) -> str:
        """
        Put a message in.
        """
        self.n += 1
        name = f"m{self.n}"
        (self.directory / f"{name}-H").write_bytes(dumpEnvelope([sender, recipient]))
        (self.directory / f"{name}-D").write_bytes(content)
        self.waiting.append(name)
        return name

    def readDirectory(self) -> None:
        """
        All is known.
        """

    def getWaiting(self) -> list[str]:
        """
        Give what waits.
        """
        return list(self.waiting)

    def hasWaiting(self) -> bool:
        """
        Tell whether anything waits.
        """
        return bool(self.waiting)

    def getRelayed(self) -> list[str]:
        """
        Give what is being relayed.
        """
        return list(self.relayed)

    def setRelaying(self, name: str) -> None:
        """
        Claim.
        """
        self.waiting.remove(name)
        self.relayed.append(name)

    def setWaiting(self, name: str) -> None:
        """
        Give back.
        """
        self.relayed.remove(name)
        self.waiting.append(name)

    def done(self, path: str) -> None:
        """
        Forget.
        """
        self.relayed.remove(os.path.basename(path))
        os.remove(self.getPath(os.path.basename(path)) + "-H")
        os.remove(self.getPath(os.path.basename(path)) + "-D")

    def getPath(self, name: str) -> str:
        """
        Give a path.
        """
        return str(self.directory / name)

    def getEnvelope(self, name: str) -> list[Any]:
        """
        Give an envelope.
        """
        from relaymail.queue.pickles import loadEnvelope

        with self.getEnvelopeFile(name) as file:
            return loadEnvelope(file.read())

    def getEnvelopeFile(self, name: str) -> Any:
        """
        Open an envelope.
        """
        return open(self.getPath(name) + "-H", "rb")

    def createNewMessage(self) -> tuple[Any, Any]:
        """
        Begin a message.
        """
        self.n += 1
        taker = SeedMessage(self, f"m{self.n}")
        return open(self.getPath(taker.name) + "-H", "wb"), taker


class SeedMessage:
    """
    What takes the lines of a message.
    """

    def __init__(self, queue: SeedQueue, name: str) -> None:
        self.queue, self.name = queue, name
        self.lines = io.BytesIO()

    def lineReceived(self, line: bytes) -> None:
        """
        Take a line.
        """
        self.lines.write(line + b"\n")

    def eomReceived(self) -> None:
        """
        That was the last.
        """
        Path(self.queue.getPath(self.name) + "-D").write_bytes(self.lines.getvalue())
        self.queue.waiting.append(self.name)


class SeedQueueTests(StoryTestCase):
    """
    Tests for a queue that is no L{IQueue}.
    """

    def setUp(self) -> None:
        directory = Path(self.mktemp())
        directory.mkdir()
        self.queue = SeedQueue(directory)

        def make(queue: Any) -> SmartHostSMTPRelayingManager:
            manager = SmartHostSMTPRelayingManager(queue)
            manager.fArgs = (b"relay.example.com",)
            return manager

        self.enter(MailWorld(queue=lambda clock: self.queue, manager=make))
        del self.queue.onWaiting  # type: ignore[attr-defined]
        self.fired: list[Any] = []

    def tick(self, seconds: float = 0) -> None:
        """
        Let the manager look once.
        """
        started = self.world.manager.checkState()
        if started is not None:
            started.addCallback(self.fired.append)
        self.world.run(seconds)

    def test_relays(self) -> None:
        """
        Mail is relayed by ticks, and is gone from the queue.
        """
        mx: SMTPServer = self.world.host(FIRST)
        name = self.queue.put(SENDER, "b@example.org", b"Subject: x\n\n.y\n")
        with Logged() as logged:
            self.tick()
        self.assertEqual(
            [m.content for m in mx.received], [b"Subject: x\r\n\r\n.y\r\n"]
        )
        self.assertEqual((self.queue.waiting, self.queue.relayed), ([], []))
        self.assertEqual(self.fired, [[(True, None)]])
        path = self.queue.getPath(name)
        self.assertIn(f"success sending {path}, removing from queue", logged.texts)

    def test_refusedIsToldAndGone(self) -> None:
        """
        A refusal makes a notice through C{createNewMessage}; the message is
        done.
        """
        self.world.host(FIRST, {"RCPT": "550 No"})
        name = self.queue.put(SENDER, "b@example.org", b"Subject: x\n\ny\n")
        with Logged() as logged:
            self.tick()
        self.assertIn(f"could not relay {self.queue.getPath(name)}", logged.texts)
        self.assertEqual(self.queue.relayed, [])
        (notice,) = self.queue.waiting
        self.assertEqual(self.queue.getEnvelope(notice), ["", SENDER])
        self.tick()
        self.assertIn(b"b@example.org", self.home.received[0].content)

    def test_refusedNotice(self) -> None:
        """
        A notice that is refused is dropped.
        """
        self.world.host(FIRST, {"RCPT": "550 No"})
        self.queue.put("", "b@example.org", b"Subject: x\n\ny\n")
        self.tick()
        self.assertEqual((self.queue.waiting, self.queue.relayed), ([], []))

    def test_noConnectionBacksOff(self) -> None:
        """
        Where no host is reached the names wait again after 30 seconds.
        """
        name = self.queue.put(SENDER, "b@example.org", b"y\n")
        with Logged() as logged:
            self.tick()
        self.assertIn(f"Backing off on delivery of {[name]}", logged.texts)
        self.world.run(29)
        self.assertEqual((self.queue.waiting, self.queue.relayed), ([], [name]))
        self.world.run(1)
        self.assertEqual((self.queue.waiting, self.queue.relayed), ([name], []))

    def test_noHostBacksOff(self) -> None:
        """
        So where no host can be named.
        """
        name = self.queue.put(SENDER, "b@nowhere.example", b"y\n")
        with Logged() as logged:
            self.tick()
        told = "Error setting up managed relay factory for nowhere.example"
        self.assertTrue(any(t.startswith(told) for t in logged.texts), logged.texts)
        self.assertEqual(self.queue.relayed, [name])
        self.assertEqual(self.fired, [[(True, None)]])
        self.world.run(30)
        self.assertEqual(self.queue.waiting, [name])

    def test_lostConnectionSetsWaiting(self) -> None:
        """
        What is left when the connection ends waits again at once.
        """
        self.world.host(FIRST, {"MAIL": Act.CLOSE})
        name = self.queue.put(SENDER, "b@example.org", b"y\n")
        with Logged() as logged:
            self.tick()
        self.assertIn(f"Setting {name} waiting", logged.texts)
        self.assertEqual(self.queue.waiting, [name])

    def test_quietWhenNotNoisy(self) -> None:
        """
        A queue that is not noisy has quiet attempts.
        """
        self.queue.noisy = False
        self.world.host(FIRST, {"RCPT b@example.org": "550 No"})
        self.queue.put(SENDER, "b@example.org", b"y\n")
        self.queue.put(SENDER, "c@example.org", b"y\n")
        with Logged() as logged:
            self.tick()
        for words in ("success sending", "could not relay", "Setting ", "Backing off"):
            self.assertFalse([t for t in logged.texts if words in t], words)

    def test_directoryOfOldFiles(self) -> None:
        """
        The files of an old queue are relayed by L{Queue} as well.
        """
        self.queue.put(SENDER, "b@example.org", b"Subject: x\n\ny\n")
        self.queue.directory.chmod(0o700)
        path = str(self.queue.directory)
        self.enter(MailWorld(queue=lambda clock: Queue(path, clock)))
        self.addCleanup(self.world.queue.stop)
        mx = self.world.host(FIRST)
        self.world.manager.checkState()
        self.world.run(1)
        self.assertEqual(len(mx.received), 1)
        self.assertEmpty()


class SeedAttempt:
    """
    An attempt manager with the seed's methods and nothing else.
    """

    def __init__(self, manager: Any, noisy: bool = True, reactor: Any = None) -> None:
        self.manager = manager
        self.done: list[Deferred[None]] = []

    def getCompletionDeferred(self) -> Deferred[None]:
        """
        Fires when it is over.
        """
        self.done.append(Deferred())
        return self.done[-1]

    def notifySuccess(self, relay: Any, message: str) -> None:
        """
        Done.
        """
        self.manager.managed[relay].remove(os.path.basename(message))
        self.manager.queue.done(message)

    def notifyFailure(self, relay: Any, message: str) -> None:
        """
        Done, without a word.
        """
        self.notifySuccess(relay, message)

    def notifyNoConnection(self, relay: Any) -> None:
        """
        Nothing to do before C{notifyDone}.
        """

    def notifyDone(self, relay: Any) -> None:
        """
        Give back the rest.
        """
        for name in self.manager.managed.pop(relay, ()):
            self.manager.queue.setWaiting(name)
        done, self.done = self.done, []
        for each in done:
            each.callback(None)


class SeedAttemptTests(StoryTestCase):
    """
    Tests for an attempt manager that is no L{IAttempt}.
    """

    def setUp(self) -> None:
        self.patch(relaymanager, "_AttemptManager", SeedAttempt)
        path = Path(self.mktemp())
        path.mkdir(mode=0o700)
        self.enter(MailWorld(queue=lambda clock: Queue(str(path), clock)))
        self.addCleanup(self.world.queue.stop)

    def test_relays(self) -> None:
        """
        Success and failure are told, and the best host is tried.
        """
        mx = self.world.host(FIRST, {"RCPT c@example.org": "550 No"})
        self.relayed("b@example.org", "c@example.org")
        self.assertEqual(len(mx.received), 1)
        self.assertEmpty()

    def test_noConnection(self) -> None:
        """
        Where nobody is reached the names wait; the tick tries again.
        """
        self.world.queue.onWaiting = None
        (name,) = self.world.send(SENDER, "b@example.org")
        started: Any = self.world.manager.checkState()
        self.world.run()
        self.assertEqual(self.successResultOf(started), [(True, None)])
        self.assertEqual(self.world.queue.getWaiting(), [name])
