# -*- test-case-name: relaymail.test.explaining.test_command -*-
"""
Compare what is explained with what is done, as often as one likes::

    python -m relaymail.test.explaining --cases 10000 --seed 1

A case in which the two differ is told of with its seed, and C{--seed N --cases 1}
tries it again; the command then ends with 1.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence

from twisted.logger import globalLogBeginner

from relaymail.test.explaining.comparing import Case, Disagreement

#: How many cases may differ before it is enough.
ENOUGH = 10


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Compare.

    @param arguments: What stands on the command line; L{None} for this process's.

    @return: 0 when all agreed, else 1.
    """
    said = _parser().parse_args(arguments)
    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False, discardBuffer=True)
    kinds: Counter[str] = Counter()
    for seed in range(said.seed, said.seed + said.cases):
        try:
            case = Case(seed)
            case.compare()
        except Disagreement as e:
            print(e)
            kinds["different"] += 1
        else:
            kinds[case.kind] += 1
        if kinds["different"] >= ENOUGH:
            break
    print(", ".join(f"{count} {kind}" for kind, count in kinds.most_common()))
    return 1 if kinds["different"] else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m relaymail.test.explaining",
        description="Compare what is explained with what is done, in random worlds.",
    )
    parser.add_argument("--cases", type=int, default=2000, help="how many (2000)")
    parser.add_argument("--seed", type=int, default=1, help="the first one (1)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
