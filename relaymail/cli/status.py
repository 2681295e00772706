# -*- test-case-name: relaymail.test.cli.test_status -*-
"""
C{relaymail status} and C{relaymail reload}: the relay as a whole.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

import click

from relaymail.cli.output import showJSON, showPairs
from relaymail.cli.reading import client, reader
from relaymail.cli.settings import current
from relaymail.cli.troubles import DOWN, ServiceDown
from relaymail.cli.words import age, clean, moment

#: How often it is looked whether the relay runs, in seconds.
GLANCE = 0.1


@click.command()
@click.option(
    "--wait",
    type=click.FloatRange(0, 3600),
    default=0.0,
    metavar="SECONDS",
    help="Wait for so long for it to run, as a script does that starts it.",
)
def status(wait: float) -> int:
    """
    Show how the relay is.

    The exit code is 69 when it is not running.
    """
    if wait:
        _await(time.monotonic() + wait)
    source = reader()
    told = source.status()
    if current().asJSON:
        showJSON(told)
    else:
        _show(told)
    return DOWN if source.isOffline else 0


def _await(end: float) -> None:
    """
    Wait until the relay answers.

    @param end: Until when at most, by the monotonic clock, in seconds.
    """
    while time.monotonic() < end:
        try:
            client().get("status")
        except ServiceDown:
            time.sleep(GLANCE)
        else:
            return


def _show(told: Mapping[str, Any]) -> None:
    open_ = told.get("connections") or {}
    totals = told.get("totals") or {}
    started = told.get("started")
    showPairs(
        [
            ("state", told["state"]),
            ("trouble", told.get("trouble")),
            *(("alarm", _alarm(alarm)) for alarm in told.get("alarms") or ()),
            ("DNSSEC", told.get("dnssec")),
            ("MTA-STS policies", ", ".join(_totals(told.get("policies") or {}))),
            ("version", told.get("version")),
            ("hostname", told.get("hostname")),
            ("queue", told["queue"]),
            ("configuration", told.get("configuration")),
            ("takes mail on", ", ".join(_addresses(told))),
            ("started", moment(started) if started else ""),
            ("runs for", age(told["uptime"]) if "uptime" in told else ""),
            ("connections in", open_.get("in")),
            ("connections out", open_.get("out")),
            ("queued", f"{told['queued']:,}"),
            ("since the queue was made", ", ".join(_totals(totals))),
        ]
    )


def _addresses(told: Mapping[str, Any]) -> Iterator[str]:
    """
    Write what is listened on, with what is spoken there where it is not SMTP
    between relays.
    """
    addresses = told.get("addresses") or ()
    kinds = told.get("entrances") or ()
    for address, kind in zip_longest(addresses, kinds[: len(addresses)]):
        usual = kind in (None, "smtp")
        yield _address(address) if usual else f"{_address(address)} ({kind})"


def _alarm(alarm: Mapping[str, Any]) -> str:
    return f"{alarm.get('text')} (since {moment(alarm.get('since') or 0)})"


def _address(address: object) -> str:
    """
    Write an address, whatever form it is told in.
    """
    if isinstance(address, list | tuple):
        return ":".join(map(str, address))
    return str(address)


def _totals(totals: Mapping[str, int]) -> list[str]:
    return [f"{number:,} {name}" for name, number in totals.items() if number]


@click.command()
def reload() -> None:
    """
    Let the relay read its configuration again.

    Either all of it is taken, or, where something is wrong, none.
    """
    told = client().post("reload")
    if current().asJSON:
        showJSON(told)
    elif told["changed"]:
        click.echo(f"Changed: {clean(', '.join(map(str, told['changed'])))}.")
    else:
        click.echo(
            "No option has changed. Passwords, tokens' secrets and certificates were "
            "read again, and are used from now on."
        )
