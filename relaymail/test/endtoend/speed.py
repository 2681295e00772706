# -*- test-case-name: relaymail.test.endtoend.test_load -*-
"""
How long a message takes from the relay's 250 to its arrival at the server, on a
machine that has nothing else to do::

    python -m relaymail.test.endtoend.speed --messages 50

Nothing is asserted: it prints the median and the longest time.
"""

from __future__ import annotations

import smtplib
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet import task
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.python import usage

from relaymail.test.endtoend.harness import MESSAGE, RECIPIENT, SENDER, exchange
from relaymail.test.endtoend.processes import Twistd
from relaymail.testing.dns import DNSServer, ZoneDNS
from relaymail.testing.servers import SMTPServer


class Options(usage.Options):
    """
    How many messages.
    """

    optParameters = [  # noqa: RUF012
        ["messages", "m", 50, "How many messages are measured.", int],
        ["pause", "p", 0.1, "How long to wait between two, in seconds.", float],
    ]


async def measure(
    reactor: Any, server: SMTPServer, options: Sequence[str], told: Options
) -> list[float]:
    """
    Measure how long messages take.

    @param options: Those of the relay.
    @param told: How many, and how often.

    @return: The times, in seconds; the first message is not measured.
    """
    server.received.clear()
    times = []
    with tempfile.TemporaryDirectory() as directory:
        twistd = Twistd(Path(directory), options)
        try:
            await twistd.start()
            for number in range(told["messages"] + 1):
                given = await deferToThread(_submit, twistd.port, reactor)
                await server.whenReceived(number + 1)
                times.append(server.received[number].at - given)
                await task.deferLater(reactor, told["pause"])
            await twistd.terminate()
        finally:
            twistd.clean()
    return times[1:]


def _submit(port: int, reactor: Any) -> float:
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.sendmail(SENDER, [RECIPIENT], MESSAGE)
        at: float = reactor.seconds()
        return at


async def main(reactor: Any, *words: str) -> None:
    """
    Measure, by a smart host and by the DNS, and print the figures.
    """
    told = Options()
    told.parseOptions(words)
    server = SMTPServer().start()
    zones = exchange(("mx.one.example", "127.0.0.1"))
    dns = DNSServer(ZoneDNS(zones)).start()
    ways = {
        "smart host": ["--smarthost", server.address],
        "DNS": [
            *("--dns", dns.address, "--mx-port", str(server.port)),
            *("--allow-destination", "127.0.0.0/8"),
        ],
    }
    for way, options in ways.items():
        times = await measure(reactor, server, options, told)
        print(
            f"{way}: {len(times)} messages, median "
            f"{statistics.median(times) * 1000:.1f} ms, "
            f"longest {max(times) * 1000:.1f} ms, shortest {min(times) * 1000:.1f} ms"
        )
    await dns.stop()
    await server.stop()


if __name__ == "__main__":
    task.react(lambda reactor: Deferred.fromCoroutine(main(reactor, *sys.argv[1:])))
