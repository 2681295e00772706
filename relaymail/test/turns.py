"""
Time that passes in turns.
"""

from __future__ import annotations

from twisted.internet.task import Clock


class Turns(Clock):
    """
    A clock whose turns are those of a reactor: what is asked for in one, however
    soon, comes in the next.
    """

    def advance(self, amount: float) -> None:
        """
        Let a turn pass.
        """
        self.rightNow += amount
        due = [call for call in self.calls if call.getTime() <= self.rightNow]
        self.calls = [call for call in self.calls if call not in due]
        for call in due:
            call.called = 1
            call.func(*call.args, **call.kw)
