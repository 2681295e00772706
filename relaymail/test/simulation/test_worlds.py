# -*- test-case-name: relaymail.test.simulation.test_worlds -*-
"""
Random worlds, one life after the other.
"""

from __future__ import annotations

from collections.abc import Callable

from relaymail.test.simulation.worlds import RandomWorld
from relaymail.testing.cases import WorldTestCase

#: The first world, how many are lived through, with some 30 lifetimes each, and
#: how many in one test.
FIRST, WORLDS, TOGETHER = 80, 40, 10


class WorldTests(WorldTestCase):
    """
    Whatever happens, the books are right.
    """

    def live(self, first: int) -> int:
        """
        Live through some worlds.

        @return: How many lifetimes those were.
        """
        lifetimes = 0
        for seed in range(first, first + TOGETHER):
            world = RandomWorld(seed)
            world.live()
            lifetimes += len(world.fortunes)
        return lifetimes

    def test_sameSeedSameLife(self) -> None:
        """
        One seed gives one course of events, to the last line.
        """
        lives = [RandomWorld(5) for _ in range(2)]
        for life in lives:
            life.live()
        one, other = (list(life.world.network.transcript) for life in lives)
        self.assertEqual(one, other)
        self.assertGreater(len(one), 100)


def _worlds(first: int) -> Callable[[WorldTests], None]:
    def test(self: WorldTests) -> None:
        self.assertGreater(self.live(first), 20 * TOGETHER)

    test.__doc__ = f"Worlds {first} to {first + TOGETHER - 1}."
    return test


for _first in range(FIRST, FIRST + WORLDS, TOGETHER):
    setattr(WorldTests, f"test_worlds_{_first:03}", _worlds(_first))
