# -*- test-case-name: relaymail.test.stories -*-
"""
The world in which the stories happen.
"""

from __future__ import annotations

from collections.abc import Sequence
from email import message_from_bytes
from email.message import Message
from typing import Any

from twisted.logger import LogEvent, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from relaymail.outcome.lines import OUTCOME_FORMAT
from relaymail.relaymanager import SmartHostESMTPRelayingManager
from relaymail.testing.doubles import MailWorld

#: Who writes, and where notices to them go.
SENDER = "a@example.com"
#: The address of the host that takes mail for the sender.
HOME = "192.0.2.1"
#: The addresses of the hosts of example.org, the best first.
FIRST, SECOND, THIRD = "192.0.2.11", "192.0.2.12", "192.0.2.13"
#: A host without PIPELINING.
PLAIN = ("8BITMIME", "SIZE 1000000")


class StoryTestCase(SynchronousTestCase):
    """
    A test in a world where example.com takes mail, and example.org has a host.

    @ivar world: The world.
    @ivar home: The host of example.com.
    """

    def setUp(self) -> None:
        self.enter(MailWorld())

    def enter(self, world: MailWorld, **settings: Any) -> MailWorld:
        """
        Begin in a world.

        @param settings: Attributes of the relaying manager.
        """
        self.world = world
        for name, value in settings.items():
            setattr(world.manager, name, value)
        if hasattr(world, "zones"):
            world.exchange("example.com", {"mx.example.com": HOME})
            world.exchange("example.org", {"mx.example.org": FIRST})
        self.home = world.host(HOME)
        return world

    def set(self, **settings: Any) -> None:
        """
        Set attributes of the relaying manager.
        """
        for name, value in settings.items():
            setattr(self.world.manager, name, value)

    def twoHosts(self) -> None:
        """
        Give example.org a second host.
        """
        self.world.exchange(
            "example.org", {"mx1.example.org": FIRST, "mx2.example.org": SECOND}
        )

    def relayed(self, *recipients: str, seconds: float = 10) -> list[str]:
        """
        Queue a message, and let some time pass.

        @return: The names.
        """
        names = self.world.send(SENDER, *(recipients or ("b@example.org",)))
        self.world.run(seconds)
        return names

    def dueIn(self) -> float | None:
        """
        Give how long it is until the next resting name is due.
        """
        due = self.world.queue.nextDue()
        return None if due is None else due - self.world.network.seconds()

    def notices(self) -> list[Message]:
        """
        Give what the sender was told.
        """
        return [message_from_bytes(m.content) for m in self.home.received]

    def assertRetried(self, *names: str) -> None:
        """
        These names, and no other, rest.
        """
        self.assertEqual(self.world.queue.getRelayed(), [])
        self.assertEqual(self.world.queue.getWaiting(), [])
        self.assertEqual(self.home.received, [])
        for name in names:
            self.world.queue.letter(name)
        self.assertEqual(sorted(self.world.queue._entries), sorted(names))
        self.assertEqual(self.world.manager.managed, {})

    def assertEmpty(self) -> None:
        """
        Nothing is in the queue, and nothing is being done.
        """
        self.assertEqual(self.world.queue._entries, {})
        self.assertEqual(self.world.manager.managed, {})


class Logged:
    """
    What was logged while this was entered.
    """

    def __enter__(self) -> Logged:
        self._context = capturedLogs()
        self.events: Sequence[LogEvent] = self._context.__enter__()
        return self

    def __exit__(self, *exc: Any) -> None:
        self._context.__exit__(*exc)

    @property
    def texts(self) -> list[str]:
        """
        Every line.
        """
        return [formatEvent(event) for event in self.events]

    @property
    def outcomes(self) -> list[str]:
        """
        The lines of outcomes.
        """
        return [
            formatEvent(event)
            for event in self.events
            if event.get("log_format") == OUTCOME_FORMAT
        ]


def statusOf(notice: Message) -> str:
    """
    Give the part of a notice that is for programs.
    """
    if not notice.is_multipart():
        # It is what took the place of one that could not go over TLS.
        return str(notice.get_payload())
    part: Any = notice.get_payload(1)
    return str(part.as_string())


def smartManager(
    cls: type[SmartHostESMTPRelayingManager] = SmartHostESMTPRelayingManager,
) -> Any:
    """
    Give what makes a relaying manager of a class for a queue.
    """

    def make(queue: Any) -> SmartHostESMTPRelayingManager:
        manager = cls(queue)
        manager.fArgs = (None, None, b"relay.example.com")
        manager.hostname = "relay.example.com"
        return manager

    return make
