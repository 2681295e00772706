# -*- test-case-name: relaymail.test.cli.test_explain -*-
"""
C{relaymail explain}: where mail to an address goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from relaymail.cli.output import Column, show, showJSON, showPairs
from relaymail.cli.reading import client
from relaymail.cli.settings import current
from relaymail.cli.troubles import FAILED
from relaymail.cli.words import age, moment

_COLUMNS = (
    Column("HOST"),
    Column("PORT", isNumber=True),
    Column("TLS"),
    Column("ADDRESSES", canShrink=True),
    Column("PROBLEM", canShrink=True),
)


@click.command()
@click.argument("address")
@click.option(
    "--from", "sender", metavar="ADDRESS", default="", help="Who it would be from."
)
def explain(address: str, sender: str) -> int:
    """
    Tell where mail to an address goes.

    It is found as for mail: by the configuration and the DNS of this moment.
    Nothing is sent. The exit code is 1 when mail would not go anywhere.
    """
    query = {"recipient": address}
    if sender:
        query["sender"] = sender
    told = client().get("explain", query)
    if current().asJSON:
        showJSON(told)
    else:
        _show(told)
    return FAILED if told.get("problem") else 0


def _show(told: Mapping[str, Any]) -> None:
    showPairs(
        [
            ("recipient", told["recipient"]),
            ("sender", told.get("sender") or "<>"),
            ("destination", told.get("destination")),
            ("accepted", _said(told.get("accepted"))),
            ("rule", told.get("rule")),
            ("standing", _standing(told.get("standing"))),
            ("retried after", ", ".join(map(age, told.get("retry") or ()))),
            ("given up after", age(told["expire"]) if told.get("expire") else ""),
            ("problem", told.get("problem")),
        ]
    )
    if told.get("route"):
        click.echo()
        show(_COLUMNS, [_row(host) for host in told["route"]])


def _said(value: Any) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value


def _standing(standing: Any) -> object:
    """
    Write how a destination stands, in a line.
    """
    if not isinstance(standing, dict):
        return standing
    words = [standing.get("state"), standing.get("why")]
    if standing.get("until"):
        words.append(f"until {moment(standing['until'])}")
    return ", ".join(str(word) for word in words if word)


def _row(host: Mapping[str, Any]) -> list[object]:
    return [
        host["host"],
        host["port"] or "-",
        host.get("tls") or "-",
        " ".join(map(str, host.get("addresses") or ())) or "-",
        host.get("problem") or "",
    ]
