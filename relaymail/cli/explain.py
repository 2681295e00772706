# -*- test-case-name: relaymail.test.cli.test_explain -*-
"""
C{relaymail explain}: what would become of mail to an address.
"""

from __future__ import annotations

from typing import Any

import click

from relaymail.cli.explained import write
from relaymail.cli.output import showJSON
from relaymail.cli.reading import client
from relaymail.cli.settings import current
from relaymail.cli.troubles import FAILED

#: What becomes of mail that goes nowhere now.
_NOWHERE = frozenset({"refused", "bounces", "discarded", "waits"})


@click.command()
@click.argument("address")
@click.option(
    "--from", "sender", metavar="ADDRESS", default="", help="Who it would be from."
)
@click.option(
    "--size",
    metavar="OCTETS",
    type=click.IntRange(min=0),
    default=0,
    help="How large it would be.",
)
@click.option(
    "--client",
    "client_",
    metavar="ADDRESS",
    default="",
    help="The network address of who would give it, for routes by network.",
)
@click.option(
    "--user",
    metavar="NAME",
    default="",
    help="The user who would give it, for routes by user.",
)
@click.option(
    "--require-tls", "requireTLS", is_flag=True, help="It would have REQUIRETLS."
)
@click.option(
    "--tls-optional",
    "tlsOptional",
    is_flag=True,
    help="Its header would say TLS-Required: No.",
)
def explain(address: str, **said: Any) -> int:
    """
    Tell what would become of mail to an address, and why.

    It is found as for mail: by the configuration, the DNS and what the relay knows
    at this moment. Nothing is sent, and no host is connected to. The exit code is 1
    when such mail would not go anywhere now.
    """
    told = client().get("explain", queryOf(address, said))
    if current().asJSON:
        showJSON(told)
    else:
        write(told)
    outcome = told.get("outcome") or {}
    return FAILED if outcome.get("fate") in _NOWHERE else 0


def queryOf(address: str, said: dict[str, Any]) -> dict[str, str]:
    """
    Give what the relay is asked.

    @param said: What the options say.
    """
    query = {
        "recipient": address,
        "sender": said["sender"],
        "client": said["client_"],
        "user": said["user"],
        "size": str(said["size"] or ""),
    }
    for flag in ("requireTLS", "tlsOptional"):
        query[flag] = "true" if said[flag] else ""
    return {name: value for name, value in query.items() if value}
