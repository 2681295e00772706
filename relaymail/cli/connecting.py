# -*- test-case-name: relaymail.test.cli.test_connecting -*-
"""
Sessions with the hosts that mail would go to, as far as RCPT, step by step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from relaymail.cli.authtest import asLine, checkOwner, storeFor, tokenTold
from relaymail.cli.sketching import Sketch
from relaymail.cli.words import clean, now
from relaymail.configuration import Configuration
from relaymail.configuration.places import tokensBeside
from relaymail.configuration.routes import hostsOf
from relaymail.deliver.explaining import Explained
from relaymail.deliver.rehearsing import Step
from relaymail.deliver.trying import Session, Trial, attempt, mailOf, shownVerdict
from relaymail.oauth2.accounts import Accounts
from relaymail.route.hosts import Bearer, Host

#: Where mail goes of which no host is asked whether it takes it.
_NOBODY = "no host was connected to: such mail does not get that far"


def accountsFor(told: Configuration) -> Accounts:
    """
    Give what gives the tokens of smart hosts, for a command.

    @raise ConfigurationError: When a new refresh token could not be kept for the
        relay.
    """
    accounts = Accounts(tokensBeside(told.queue))
    accounts.store = storeFor(accounts.store.path, False)
    for described in _everyHost(told):
        checkOwner(described, accounts.store)
    return accounts


def _everyHost(told: Configuration) -> Iterator[Any]:
    delivery = told.delivery
    yield from delivery.smartHosts
    for _, hosts in delivery.senderHosts:
        yield from hosts
    for route in delivery.routes:
        yield from hostsOf(route)
    yield from delivery.fallbackHosts


async def connect(
    sketch: Sketch,
    found: Explained,
    document: dict[str, Any],
    say: Callable[[str], object],
) -> dict[str, Any]:
    """
    Go to the hosts that a message would go to, and send nothing.

    @param sketch: What was asked about the message; it knows the secrets.
    @param found: What it said.
    @param document: That, as it is shown.
    @param say: Is given each line for people.

    @return: What is to be added to the document.
    """
    if document["outcome"]["fate"] != "tried" or found.route is None:
        say(_NOBODY)
        return {"sessions": [], "taken": {"by": "", "why": _NOBODY}}
    began = now()
    shown: list[Host] = []

    def tell(host: Host, step: Step) -> None:
        if not shown or host is not shown[-1]:
            shown.append(host)
            say(_title(host, sketch))
        say(asLine(step))

    def token(host: Host) -> str:
        bearer = host.credentials
        return tokenTold(bearer.tokens, began) if isinstance(bearer, Bearer) else ""

    mail = mailOf(found.question, document["size"])
    trial = await attempt(sketch.manager, found, mail, tell, token)
    say(concluded(trial))
    return {
        "sessions": [_session(each, sketch) for each in trial.sessions],
        "taken": {
            "by": "" if trial.taker is None else clean(trial.taker.name),
            "why": shownVerdict(trial),
        },
    }


def concluded(trial: Trial) -> str:
    """
    Say for people how it ended.
    """
    if trial.taker is not None:
        return f"{clean(trial.taker.name)} would take the mail; nothing was sent"
    return f"no host would take the mail: {shownVerdict(trial)}"


def _title(host: Host, sketch: Sketch) -> str:
    port = "" if host.path is not None else f" port {host.port or sketch.manager.PORT}"
    how = ", in clear because its TLS fails" if host.inClear else ""
    return clean(f"{host.name}{port}{how}")


def _session(session: Session, sketch: Sketch) -> dict[str, Any]:
    host = session.host
    return {
        "host": clean(host.name),
        "port": 0 if host.path is not None else host.port or sketch.manager.PORT,
        "inClear": host.inClear,
        "taken": session.isTaken,
        "steps": [
            {"step": step.name, "passed": step.isDone, "told": step.told}
            for step in session.steps
        ],
    }
