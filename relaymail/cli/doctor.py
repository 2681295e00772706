# -*- test-case-name: relaymail.test.cli.test_doctor -*-
"""
C{relaymail doctor}: what keeps mail from going.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from relaymail.cli.settings import Settings, current

if TYPE_CHECKING:
    from relaymail.configuration import Configuration
    from relaymail.doctor.answers import Answer, Check, Result
    from relaymail.doctor.questions import Asker
    from relaymail.errors import ConfigurationError

#: How wide the names of verdicts are, in characters.
WIDTH = 4


@dataclass(frozen=True, slots=True)
class Wish:
    """
    What is to be looked at.

    @ivar isOffline: Whether the network is left alone.
    @ivar domain: A domain with mail exchange hosts.
    @ivar address: The address that others see; empty: it is found out.
    """

    isOffline: bool
    domain: str
    address: str


@click.command()
@click.option("--offline", is_flag=True, help="Leave the network alone.")
@click.option("--strict", is_flag=True, help="Let warnings count as failures.")
@click.option(
    "--domain",
    default="gmail.com",
    show_default=True,
    help="A domain whose mail exchange hosts are tried.",
)
@click.option(
    "--address", default="", help="The address of this machine that others see."
)
@click.option("--json", "asJSON", is_flag=True, help="Print JSON, for programs.")
@click.pass_context
def doctor(
    context: click.Context,
    offline: bool,
    strict: bool,
    domain: str,
    address: str,
    asJSON: bool,
) -> None:
    """
    Look for what keeps mail from going.

    Checked are the configuration, the queue and its disk, limits, the clock, the
    certificate, name servers, port 25, the names of this machine and the smart
    hosts. No mail is sent and nothing is changed. The exit code is 1 when a check
    fails.
    """
    _checkAddress(address)
    wish = Wish(offline, domain, address)
    results = list(_shown(checks(wish), asJSON))
    code = exitCode(results, strict)
    if asJSON:
        click.echo(json.dumps(asDocument(results, code == 0), indent=2))
    else:
        click.echo(summary(results))
    context.exit(code)


def _checkAddress(address: str) -> None:
    from ipaddress import ip_address

    try:
        if address:
            ip_address(address)
    except ValueError:
        raise click.BadParameter(
            f"{address!r} is no network address.", param_hint="--address"
        ) from None


def exitCode(results: Iterable[Result], isStrict: bool) -> int:
    """
    Give the code that the command ends with.

    @param isStrict: Whether warnings count.
    """
    from relaymail.doctor.answers import Verdict, worst

    bad = (Verdict.FAILURE, Verdict.WARNING) if isStrict else (Verdict.FAILURE,)
    return 1 if worst(results) in bad else 0


def asDocument(results: Iterable[Result], isPassed: bool) -> dict[str, object]:
    """
    Give what was found, for programs.
    """
    return {
        "passed": isPassed,
        "checks": [
            {
                "check": result.name,
                "verdict": answer.verdict.value,
                "found": answer.found,
                "remedy": answer.remedy,
            }
            for result in results
            for answer in result.answers
        ],
    }


def summary(results: Sequence[Result]) -> str:
    """
    Say in a line how it is with all of them.
    """
    from relaymail.doctor.answers import Verdict

    found = [answer.verdict for result in results for answer in result.answers]
    failures, warnings = found.count(Verdict.FAILURE), found.count(Verdict.WARNING)
    if not failures and not warnings:
        return "all is well"
    return f"{failures} failed, {warnings} to look at"


def _shown(found: Iterable[Check], asJSON: bool) -> Iterator[Result]:
    """
    Run checks and show what each has found, while the next one runs.
    """
    from relaymail.doctor.answers import run

    isTerminal = sys.stderr.isatty() and not asJSON

    def told(name: str) -> None:
        if isTerminal:
            click.echo(f"\r\x1b[KLooking at: {name}", nl=False, err=True)

    for result in run(found, told):
        if isTerminal:
            click.echo("\r\x1b[K", nl=False, err=True)
        if not asJSON:
            for line in lines(result):
                click.echo(line)
        yield result


def lines(result: Result) -> Iterator[str]:
    """
    Give the lines of what a check has found.
    """
    for answer in result.answers:
        yield f"{answer.verdict.value:{WIDTH}} {result.name}: {answer.found}"
        if answer.remedy:
            yield f"{'':{WIDTH}} do: {answer.remedy}"


def checks(wish: Wish) -> list[Check]:
    """
    Give the checks.
    """
    from relaymail.configuration import configure, readConfiguration
    from relaymail.doctor.answers import Check
    from relaymail.doctor.installation import checkConfiguration
    from relaymail.errors import ConfigurationError

    told: Configuration | ConfigurationError
    try:
        told = configuration = readConfiguration(current().config)
    except ConfigurationError as e:
        told, configuration = e, configure(queue="spool")
    return [
        Check("configuration", lambda: checkConfiguration(told)),
        *_checksHere(configuration),
        *([] if wish.isOffline else _checksOfNetwork(configuration, wish)),
    ]


def _checksHere(told: Configuration) -> Iterator[Check]:
    from relaymail.clocks import bootSeconds, wallSeconds
    from relaymail.doctor.answers import Check
    from relaymail.doctor.certificate import checkCertificate
    from relaymail.doctor.installation import (
        checkEntrances,
        checkQueue,
        checkSecrets,
        relayOf,
    )
    from relaymail.doctor.machine import Machine
    from relaymail.intake.limits import DEFAULT_LIMITS
    from relaymail.route.racing import MAX_AT_ONCE

    yield Check("entrances", lambda: checkEntrances(told.intake))
    yield Check("secrets", lambda: checkSecrets(told))
    yield Check("queue", lambda: checkQueue(told.queue))
    # Another thread knows nothing of what was said to this command.
    settings = current()
    yield Check("relay", lambda: checkRelay(relayOf(told.queue), settings))
    machine = Machine(
        told.queue.path,
        # Each that is not there yet may be waited for at several addresses.
        told.delivery.maxConnections * MAX_AT_ONCE + DEFAULT_LIMITS.connections,
        relayOf(told.queue),
        offset=lambda: wallSeconds() - bootSeconds(),
        wall=wallSeconds,
    )
    yield from machine.checks()
    yield Check(
        "certificate",
        lambda: checkCertificate(
            told.intake.tlsKey, told.intake.tlsCert, told.hostname, wallSeconds()
        ),
    )


def _checksOfNetwork(told: Configuration, wish: Wish) -> Iterator[Check]:
    from relaymail.configuration import readRoutes
    from relaymail.doctor.answers import Check
    from relaymail.doctor.dnssec import checkDNSSEC
    from relaymail.doctor.network import Network
    from relaymail.doctor.relays import checkSmartHosts
    from relaymail.route.security import levelsOf, wantsDNSSEC

    network = Network(
        _askers(told),
        told.hostname,
        wish.domain,
        _smartHost(told),
        told.delivery.mxPort,
        wish.address,
    )
    yield from network.checks(isDirect=not told.delivery.smartHosts)
    if wantsDNSSEC(levelsOf(told.delivery)):
        trusted = told.delivery.trustedResolvers
        yield Check("dnssec", lambda: checkDNSSEC(_askers(told), trusted))
    yield Check(
        "smart hosts",
        lambda: checkSmartHosts(readRoutes(told).everyHost, told.hostname),
    )


def _smartHost(told: Configuration) -> str:
    """
    Give the first smart host that has a name, or nothing.
    """
    from ipaddress import ip_address

    for host in told.delivery.everySmartHost:
        if host.path is not None:
            continue
        try:
            ip_address(host.name)
        except ValueError:
            return host.name
    return ""


def _askers(told: Configuration) -> list[Asker]:
    """
    Give the name servers that the relay asks.
    """
    from relaymail.doctor.questions import Asker, systemServers
    from relaymail.route.nameserver import parseServer

    if told.delivery.dns is not None:
        return [Asker(parseServer(told.delivery.dns))]
    try:
        return list(map(Asker, systemServers()))
    except OSError:
        return []


def checkRelay(holder: int | None, settings: Settings) -> Iterator[Answer]:
    """
    See that the relay answers, where one runs.

    @param holder: The process that uses the queue, if one does.
    @param settings: What was said to the command.
    """
    from relaymail.cli.client import Client
    from relaymail.cli.finding import find
    from relaymail.cli.troubles import CommandError, ServiceDown
    from relaymail.doctor.answers import fail, ok, warn

    try:
        told = Client(find(settings)).get("status")
    except ServiceDown as e:
        if holder is None:
            yield warn("no relay runs", "start it: systemctl start relaymail")
        else:
            yield fail(
                f"process {holder} relays, but does not answer: {e.message}",
                "see its log, and start it again",
            )
        return
    except CommandError as e:
        yield fail(f"the relay answers with an error: {e.message}", "see its log")
        return
    trouble = told.get("trouble")
    if trouble:
        yield fail(f"the relay is in trouble: {trouble}", "see docs/operating")
    else:
        yield ok(f"it runs, version {told.get('version')}, {told.get('state')}")
    for alarm in told.get("alarms") or ():
        yield fail(
            f"an alarm sounds: {alarm.get('text')}",
            "mend it; mail that waits for it does not bounce before it expires",
        )
