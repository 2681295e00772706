# -*- test-case-name: relaymail.test.endtoend.test_command -*-
"""
Kill the relay under load as often as one likes::

    python -m relaymail.test.endtoend --kills 100 --messages 20000 --seed 7

Twenty senders give mail to C{twistd relaymail} with a spool; it is killed with
SIGKILL at random moments, and some of its starts are killed too.  What arrived is
compared with what was answered 250.  The command ends with 1 when mail was lost
or changed, or when a message came twice that was not in flight at a kill.

A seed gives the moments, in messages that were sent and in seconds; what the
relay is doing then is up to the machine.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from twisted.internet import task
from twisted.internet.defer import Deferred

from relaymail.test.endtoend.load import Load, Report


async def run(told: argparse.Namespace) -> Report:
    """
    Run a load, and print what became of it.

    @param told: What stands on the command line.
    """
    with tempfile.TemporaryDirectory(dir=told.directory) as directory:
        report = await Load(
            Path(directory) / "relay", told.messages, told.kills, told.stops, told.seed
        ).run()
    print(report)
    for what in ("lost", "changed", "unexplained"):
        if numbers := getattr(report, what):
            print(f"{what}: {numbers}")
    return report


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """
    Read a command line.

    @param arguments: Its words; L{None} for this process's.
    """
    parser = argparse.ArgumentParser(
        prog="python -m relaymail.test.endtoend",
        description="Kill the relay under load, and look for what it lost.",
    )
    whole = {
        "messages": (20_000, "how many messages are sent"),
        "kills": (100, "how often the relay is killed meanwhile"),
        "stops": (0, "how often it is stopped in good order"),
        "seed": (1, "what the moments come from"),
    }
    for name, (usual, words) in whole.items():
        parser.add_argument(
            f"--{name}", type=int, default=usual, help=f"{words} ({usual})"
        )
    parser.add_argument("--directory", help="where the queue is made (the system's)")
    return parser.parse_args(arguments)


async def main(told: argparse.Namespace) -> None:
    """
    Run a load.

    @raise SystemExit: When a promise was not kept.
    """
    report = await run(told)
    if not report.isWell:
        raise SystemExit(1)


if __name__ == "__main__":
    said = parse(sys.argv[1:])
    task.react(lambda reactor: Deferred.fromCoroutine(main(said)))
