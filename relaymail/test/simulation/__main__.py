# -*- test-case-name: relaymail.test.simulation.test_command -*-
"""
Live through as many random worlds as one likes::

    python -m relaymail.test.simulation --lifetimes 100000 --seed 1

Each message for one recipient is one lifetime.  A world that goes wrong is told
of with its seed and its last events, and C{--seed N --lifetimes 1} lives it
again; the command then ends with 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import count

from twisted.logger import globalLogBeginner

from relaymail.test.simulation.worlds import RandomWorld

#: How many worlds may go wrong before it is enough.
ENOUGH = 10


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Live through worlds.

    @param arguments: What stands on the command line; L{None} for this
        process's.

    @return: 0 when all went well, else 1.
    """
    said = _parser().parse_args(arguments)
    # What the relay says of faults that were asked for is not of interest.
    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False, discardBuffer=True)
    lives, wrong = 0, 0
    for seed in count(said.seed):
        world = RandomWorld(seed, said.messages)
        try:
            world.live()
        except AssertionError as e:
            wrong += 1
            print(f"World {seed}: {e}\n")
        lives += len(world.fortunes)
        if seed % 20 == 0:
            print(f"world {seed}: {lives} lifetimes, {wrong} worlds gone wrong")
        if lives >= said.lifetimes or wrong >= ENOUGH:
            break
    print(f"{lives} lifetimes, {wrong} worlds gone wrong")
    return 1 if wrong else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m relaymail.test.simulation",
        description="Live through random worlds, and look at the books.",
    )
    parser.add_argument(
        "--lifetimes", type=int, default=20_000, help="how many messages (20000)"
    )
    parser.add_argument("--seed", type=int, default=1, help="the first world (1)")
    parser.add_argument(
        "--messages", type=int, default=12, help="how many are sent in a world (12)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
