# -*- test-case-name: relaymail.test.simulation.test_crashes -*-
"""
A short story in which the relay goes down at every moment in turn: before and
after each durable operation and each write to a connection.
"""

from __future__ import annotations

from relaymail.envelopes import DeliverBy, Origin, Parameters, RecipientParameters
from relaymail.headers import headerOf, isTLSOptional
from relaymail.testing.assertions import Message
from relaymail.testing.cases import WorldTestCase
from relaymail.testing.ledger import Item
from relaymail.testing.relays import DIRECTORY, SPOOL, RelayMachine
from relaymail.testing.servers import Script, Session
from relaymail.testing.world import World

HOUR = 3600.0

#: How long the story lasts, in seconds: all is tried again, and what a crash
#: left over is a day old.
LASTING = 26 * 3600.0
#: How far apart two moments are that are tried one after the other.
STRIDE = 137
#: How many moments there are at least, so that none is left out unnoticed.
AT_LEAST = 80


#: A message of several chunks, each of which begins with a dot, wherever it is.
LARGE = (b"." * 498 + b"\r\n") * 136


class Story:
    """
    One host takes a message, after having said 451 to one of its recipients;
    one knows nobody; one answers before it was asked, once.  Of what fails,
    one sender is told, and one is nobody.

    @cvar lasting: How long it lasts, in seconds.
    @cvar atLeast: How many moments it has at least.
    @ivar world: The world it happens in.
    """

    lasting = LASTING
    atLeast = AT_LEAST

    def __init__(self, queue: str = SPOOL) -> None:
        """
        @param queue: Where the relay's queue is.
        """
        world = self.world = World(queue=queue, largestRow=60_000)
        world.host(
            "192.0.2.1",
            {"RCPT later@one.example": ["451 4.7.1 Later", "250 2.1.5 Ok"]},
        )
        world.host("192.0.2.2", {"RCPT": "550 5.1.1 Nobody here"}, keywords=())
        world.host(
            "192.0.2.3",
            {
                "DATA": ["354 Go on\n250 2.0.0 Too early", "354 Go on"],
                ".": ["451 4.3.0 Later", "250 2.0.0 Ok"],
            },
        )
        for number, domain in enumerate(("one", "two", "three"), 1):
            name = f"{domain}.example"
            world.exchange(name, {f"mx.{name}": f"192.0.2.{number}"})
        self.messages = [
            self._send("a@example.com", LARGE, "now@one.example", "later@one.example"),
            self._send("", b".\r\n", "now@one.example", "gone@two.example"),
            self._send("b@example.com", b"", "gone@two.example", "now@three.example"),
        ]

    def _send(self, sender: str, body: bytes, *recipients: str) -> Message:
        content = self.world.compose(sender, body)
        return self.world.send(sender, *recipients, content=content)

    def tell(self) -> None:
        """
        Let it happen, and look at the books.

        @raise AssertionError: When something is wrong.
        """
        self.world.run(self.lasting)
        self.world.node.machine.points.crashAt = None
        # What was being written when it went down is cleared away at a start.
        self.world.crash()
        self.world.run(3600)
        self.world.assertSettled()
        for message in self.messages:
            self._check(message)

    def _check(self, message: Message) -> None:
        world = self.world
        for recipient in message.accepted:
            delivered = world.ledger.count(message.content, recipient)
            if recipient.startswith("gone") and message.sender:
                world.assertBounced(message, recipient)
            elif recipient.startswith("gone") is bool(delivered):
                world.fail(f"{recipient} was delivered {delivered} times")


def moments(kind: type[Story], queue: str) -> int:
    """
    Count the moments of a story.
    """
    story = kind(queue)
    story.world.run(kind.lasting)
    return story.world.node.machine.points.passed


def goDownAgain(node: RelayMachine, count: int) -> None:
    """
    Let a relay go down once more, so many moments after it has started again.
    """
    starts = node.onStart

    def start() -> None:
        starts()
        if len(node.crashes) == 1:
            node.machine.points.crashAfter(count)

    node.onStart = start


class ToldStory(Story):
    """
    A mail store (RFC 2033) takes the message for one recipient, has no room for
    another one for hours, and does not know the third; and it does not take in time
    what must be there soon.  The senders are told what they want to know, once.
    """

    lasting = LASTING + 12 * HOUR

    def __init__(self, queue: str = SPOOL) -> None:
        world = self.world = World(queue=queue, smartHosts=["lmtp://192.0.2.1:25"])
        now = world.network.seconds()
        self._full = now + 9 * HOUR
        answers: Script = {
            "LHLO": "250-store\n250-DELIVERBY\n250 PIPELINING",
            "RCPT gone@one.example": "550 5.1.1 Nobody here",
            "RCPT late@one.example": "450 4.2.1 Later",
            ".": self._keep,
        }
        world.host("192.0.2.1", answers)
        held = Parameters(priority=3, holdUntil=now + 300)
        soon = Parameters(deliverBy=DeliverBy(now + 2 * HOUR, returns=True))
        both = "SUCCESS,DELAY"
        self.messages = [
            self._say("a@example.com", held, now=both, full=both, gone="NEVER"),
            self._say("b@example.com", soon, late=""),
        ]

    def _say(self, sender: str, said: Parameters, **wishes: str) -> Message:
        own = [RecipientParameters(wish) for wish in wishes.values()]
        to = [f"{name}@one.example" for name in wishes]
        return self.world.send(sender, *to, parameters=said, own=own)

    def _keep(self, session: Session, argument: str) -> str:
        asked, isFull = session.recipients, session.seconds() < self._full
        full = [isFull and each.startswith("full") for each in asked]
        session.recipients = [x for x, no in zip(asked, full, strict=True) if not no]
        return "\n".join("452 4.2.2 Full" if no else "250 2.0.0 Kept" for no in full)

    def _check(self, message: Message) -> None:
        ledger = self.world.ledger
        for recipient in message.accepted:
            item = Item(ledger.nameOf(message.content), message.sender, recipient)
            found = {a: len(n) for (i, a), n in ledger.news.items() if i == item}
            told = {**_TOLD[recipient.partition("@")[0]]}
            if told.pop("failed", 0):
                self.world.assertBounced(message, recipient)
            if found != told:
                self.world.fail(f"of {item} {found} was told, not {told}")


#: What is told of each, how often.
_TOLD = {
    "now": {"delivered": 1},
    "full": {"delayed": 1, "delivered": 1},
    "gone": {},
    "late": {"failed": 1},
}


class SecureStory(Story):
    """
    Mail that may go over TLS only cannot, nor can the notice of it, and something
    takes the notice's place, once; mail that goes where TLS is broken has a notice
    that does so, too.
    """

    atLeast = 50

    def __init__(self, queue: str = SPOOL) -> None:
        world = self.world = World(queue=queue)
        world.host("192.0.2.1", {"RCPT gone@one.example": "550 5.1.1 Nobody here"})
        world.exchange("one.example", {"mx.one.example": "192.0.2.1"})
        secure, optional = Parameters(requireTLS=True), Parameters(tlsOptional=True)
        origin = Origin("192.0.2.200", "alice")
        self.messages = [
            world.send(
                sender, "gone@one.example", other, parameters=said, origin=origin
            )
            for sender, other, said in (
                ("a@example.com", "gone@two.example", secure),
                ("b@example.com", "now@one.example", optional),
            )
        ]

    def _check(self, message: Message) -> None:
        super()._check(message)
        world, isSecure = self.world, message is self.messages[0]
        redacted = world.ledger.redacted[world.ledger.nameOf(message.content)]
        if message.accepted and bool(redacted) is not isSecure:
            world.fail(f"{redacted} took the place of notices of {message}")
        for received in world.home.received:
            isNotice = received.recipients == ("b@example.com",)
            if isTLSOptional(headerOf(received.content)) is not isNotice:
                world.fail(f"a notice is protected otherwise: {received}")
            if self.messages[0].content[:40] in received.content:
                world.fail(f"it was given back in clear: {received}")


class CrashTests(WorldTestCase):
    """
    The relay goes down at one moment.

    @cvar story: What is told.
    """

    story: type[Story] = Story
    queue = SPOOL
    #: 3 for every third moment, and so on.
    step = 1
    #: The same for power cuts, which cost a database no more than a kill does.
    powerStep = 3

    def crash(self, power: bool, again: int | None = None, step: int = 1) -> None:
        """
        Let it go down at each moment in turn.

        @param power: Whether its power is cut.
        @param again: After how many further moments it goes down once more.
        @param step: 2 for every second of the moments that are tried, and so
            on.
        """
        count = moments(self.story, self.queue)
        self.assertGreater(count, self.story.atLeast)
        # From one part of the story to another: what is wrong is found soon.
        for moment in sorted(
            range(0, count, step * self.step), key=lambda m: m * STRIDE % count
        ):
            story = self.story(self.queue)
            story.world.node.cutsPower = power
            story.world.node.machine.points.crashAt = moment + 1
            if again is not None:
                goDownAgain(story.world.node, again)
            story.tell()

    def test_P3_killed(self) -> None:
        """
        The program is killed.
        """
        self.crash(power=False)

    def test_P1_powerCut(self) -> None:
        """
        The power is cut, and what was not durable is lost.
        """
        self.crash(power=True, step=self.powerStep)

    def test_P3_killedAndCut(self) -> None:
        """
        The program is killed, and again a few moments after it has started.
        """
        self.crash(power=False, again=7, step=3)


class DirectoryCrashTests(CrashTests):
    """
    The relay goes down at one moment, with its queue in a directory.
    """

    queue = DIRECTORY
    step, powerStep = 5, 1


class ToldTests(CrashTests):
    """
    The relay goes down at one moment of the other story.
    """

    story = ToldStory
    step = 4


class DirectoryToldTests(CrashTests):
    """
    So with its queue in a directory.
    """

    story = ToldStory
    queue = DIRECTORY
    step, powerStep = 5, 1


class SecureTests(CrashTests):
    """
    The relay goes down at one moment while notices fail for want of TLS.
    """

    story = SecureStory


class DirectorySecureTests(CrashTests):
    """
    So with its queue in a directory.
    """

    story = SecureStory
    queue = DIRECTORY
    step, powerStep = 5, 1
