"""
Tests for what is in a spool after it died while an operator told it something.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from relaymail.inspection import NameState, Selection
from relaymail.outcomes import Removed
from relaymail.replies import Phase
from relaymail.test.queue.spool import test_crashes
from relaymail.test.queue.spool.spools import BOUNCE
from relaymail.test.queue.spool.test_crashes import APART, SMALL, Story

REMOVED = Removed("5.0.0", Phase.RESOLVE)


class OrderStory(Story):
    """
    What an operator tells a spool, and what he was told.

    @ivar numbers: The name of each recipient.
    @ivar stands: What each recipient is, as was said last; it is not here while
        that is being changed.
    @ivar suspended: The destinations that are suspended, as was said.
    """

    def tell(self) -> None:
        """
        Do it all, until the machine is down.
        """
        self.numbers: dict[str, str] = {}
        self.stands: dict[str, NameState] = {}
        self.suspended: set[str] = set()
        self.queue = self.open()
        self.turn()
        self.add(*SMALL)
        self.add(*APART)
        self.turn()
        self.claim("b@b.example", "e@d.example")
        self.rest("b@b.example", 600)
        self.turn()
        for each in ("a@b.example", "b@b.example", "c@c.example", "d@b.example"):
            self.order("hold", each, NameState.HELD, "why")
        self.queue.suspend("b.example", "why").addCallback(
            lambda _: self.suspended.add("b.example")
        )
        self.turn()
        self.order("release", "a@b.example", NameState.WAITING)
        self.order("claim", "b@b.example", NameState.HELD)
        self.order("requeue", "d@b.example", NameState.WAITING)
        self.turn()
        self.depart("b@b.example", BOUNCE)
        self.depart("c@c.example", REMOVED)
        self.queue.resume("b.example")
        self.suspended.clear()
        self.turn()
        self.order("hold", "a@b.example", NameState.HELD, "again")
        self.turn()
        self.isOver = True

    def took(self, names: list[str], recipients: tuple[str, ...]) -> None:
        """
        A message was taken.
        """
        super().took(names, recipients)
        self.numbers.update(zip(recipients, names, strict=True))

    def order(
        self, method: str, recipient: str, state: NameState, *arguments: str
    ) -> None:
        """
        Tell it something of a name.
        """
        self.due.pop(recipient, None)
        self.stands.pop(recipient, None)
        told = getattr(self.queue, method)(self.numbers[recipient], *arguments)
        told.addCallback(lambda _: self.stands.__setitem__(recipient, state))

    def depart(self, recipient: str, outcome: Any) -> None:
        """
        Be done with a name, whether anybody has claimed it or not.
        """
        self.stands.pop(recipient, None)
        self.left.add(recipient)
        done: Deferred[Any] = self.queue.done(self.numbers[recipient], outcome)
        done.addCallback(lambda _: self.gone.add(recipient))


class OrderKillTests(test_crashes.KillTests):
    """
    The process is killed at each point in turn.
    """

    story = OrderStory

    def check(self, story: Story) -> None:
        """
        See that what was told is so, and that nothing is lost.
        """
        assert isinstance(story, OrderStory)
        page = self.successResultOf(self.queue.look(Selection()))
        found = {each.recipient: each for each in page.entries}
        self.assertLessEqual(story.taken - story.left, found.keys(), "lost")
        self.assertLessEqual(found.keys(), story.asked - story.gone, "came back")
        waiting = set(self.queue.getWaiting())
        resting = set(self.queue.getResting())
        for recipient, each in found.items():
            isHeld = each.state is NameState.HELD
            self.assertIs(each.name not in waiting | resting, isHeld)
            expected = story.stands.get(recipient, each.state)
            self.assertIs(isHeld, expected is NameState.HELD, recipient)
        self.assertLessEqual(story.suspended, self.queue.suspensions().keys())
        counts, _ = self.successResultOf(self.queue.destinations())
        held = sum(each.state is NameState.HELD for each in found.values())
        self.assertEqual(sum(count.held for count in counts), held)
        self.checkFiles()


class OrderPowerCutTests(test_crashes.PowerCutTests, OrderKillTests):
    """
    The power is cut at each point in turn.
    """
