# -*- test-case-name: relaymail.test.cli.test_explain -*-
"""
C{relaymail explain}: what would become of mail to an address.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from relaymail.cli.explained import write
from relaymail.cli.output import note, showJSON
from relaymail.cli.reading import client
from relaymail.cli.settings import current
from relaymail.cli.troubles import FAILED, ServiceDown

#: What becomes of mail that goes nowhere now.
_NOWHERE = frozenset({"refused", "bounces", "discarded", "waits"})


@click.command()
@click.argument("address", required=False)
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
@click.option(
    "--offline",
    is_flag=True,
    help="Ask the configuration and the DNS, and not the relay.",
)
@click.option(
    "--connect",
    is_flag=True,
    help="Ask the hosts, too, up to RCPT; nothing is sent.  It goes with --offline.",
)
@click.option(
    "--config",
    "other",
    metavar="OTHER",
    type=click.Path(),
    help="Say what would differ under that configuration.",
)
def explain(
    address: str | None, offline: bool, connect: bool, other: str | None, **said: Any
) -> int:
    """
    Tell what would become of mail to an address, and why.

    It is found as for mail: by the configuration, the DNS and what the relay knows
    at this moment. Nothing is sent, and without --connect no host is connected to.
    The exit code is 1 when such mail would not go anywhere now.

    With --offline no relay is asked: the same parts are made of the configuration
    here, without its secrets. What only a relay that runs knows, such as which hosts
    failed lately, is not in the answer then.

    With --connect that is done, too, with the secrets: the hosts are asked in their
    order, by sessions like those of the relay, until one takes the recipient. Each
    step is shown, and no secret. Give it as the user that the relay runs as.

    With --config it is said what would differ under that configuration file: for
    mail to ADDRESS, or without it for all that is queued. The configuration of the
    relay itself is the one that is named in front of "explain", or the usual one.
    """
    asJSON = current().asJSON
    if other is not None:
        if connect:
            raise click.UsageError("--connect and --config do not go together.")
        return _compared(address, said, other, offline)
    if address is None:
        raise click.UsageError("Name an ADDRESS, or another configuration: --config.")
    given = givenOf(address, said)
    if offline or connect:
        from relaymail.cli.explaining import explainHere

        shows = (_nothing, _nothing) if asJSON else (_begin(connect), click.echo)
        told = explainHere(given, connect, *shows)
    else:
        told = _asked(given)
    if asJSON:
        showJSON(told)
    elif not (offline or connect):
        write(told)
    return codeOf(told)


def _compared(
    address: str | None, said: Mapping[str, Any], other: str, offline: bool
) -> int:
    """
    Say what would differ.
    """
    from relaymail.cli.comparing import compare, writeComparison

    given = None if address is None else givenOf(address, said)
    if given is None and any(said.values()):
        raise click.UsageError("What is said of mail is for mail to an ADDRESS.")
    told = compare(given, other, offline)
    if current().asJSON:
        showJSON(told)
    else:
        writeComparison(told)
    return 0


def _begin(connects: bool) -> Callable[[Mapping[str, Any]], None]:
    def show(told: Mapping[str, Any]) -> None:
        write(told)
        if connects:
            click.echo("\nAsked of the hosts:")

    return show


def _nothing(told: object) -> None:
    """
    Show nothing.
    """


def codeOf(told: Mapping[str, Any]) -> int:
    """
    Give the exit code for an answer.
    """
    outcome = told.get("outcome") or {}
    if "taken" in told and not told["taken"]["by"]:
        return FAILED
    return FAILED if outcome.get("fate") in _NOWHERE else 0


def givenOf(address: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """
    Give what is known of the mail, as the API has it.

    @param said: What the options say.
    """
    known = {
        "recipient": address,
        "sender": said["sender"],
        "client": said["client_"],
        "user": said["user"],
        "size": said["size"],
        "requireTLS": said["requireTLS"],
        "tlsOptional": said["tlsOptional"],
    }
    return {name: value for name, value in known.items() if value}


def _asked(given: Mapping[str, Any]) -> Any:
    """
    Ask the relay.
    """
    query = {
        name: "true" if value is True else str(value) for name, value in given.items()
    }
    try:
        return client().get("explain", query)
    except ServiceDown:
        note("With --offline the configuration and the DNS are asked instead.")
        raise
