# -*- test-case-name: relaymail.test.testing.test_crashes -*-
"""
The moments at which a machine may die.

What can be lost or done by halves passes a point before and after each step:
the disk around every operation, the network around every write.  A crash is
asked for at the I{n}-th point that is passed; from then on the machine is down
and whatever its program still tries comes to nothing, until it is started
again.
"""

from __future__ import annotations

from collections.abc import Callable


class Crash(BaseException):
    """
    The machine is down: no code runs after this.

    It is no L{Exception}, so that what handles those does not see it; where
    something catches it all the same, what is tried next raises it again.
    """


class CrashPoints:
    """
    The points that one machine passes.

    @ivar passed: How many were passed.
    @ivar isDown: Whether the machine is down.
    @ivar crashAt: At which of them it crashes, counted from 1 as C{passed} is;
        L{None} for none.
    @ivar onCrash: Called with the name of the point when it crashes, before
        L{Crash} is raised.
    """

    def __init__(self) -> None:
        self.passed = 0
        self.isDown = False
        self.crashAt: int | None = None
        self.onCrash: Callable[[str], None] = lambda point: None

    def crashAfter(self, count: int) -> None:
        """
        Let C{count} more points be passed, and crash at the one after those.
        """
        self.crashAt = self.passed + count + 1

    def heal(self) -> None:
        """
        Start the machine again, with no crash ahead.
        """
        self.isDown = False
        self.crashAt = None

    def point(self, name: str) -> None:
        """
        Pass a point.

        @param name: What is about to happen, or has happened.

        @raise Crash: When the machine is down, or goes down here.
        """
        if self.isDown:
            raise Crash(name)
        self.passed += 1
        if self.crashAt is not None and self.passed >= self.crashAt:
            self.isDown = True
            self.onCrash(name)
            raise Crash(name)
