# -*- test-case-name: relaymail.test.admin.test_exploring -*-
"""
Where mail would go, and why: asked of what delivers it, and nothing is sent.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from twisted.internet.defer import DeferredList, TimeoutError, maybeDeferred
from twisted.python.failure import Failure

from relaymail.addresses import checkAddress, domainOf
from relaymail.admin.asking import Given
from relaymail.admin.desk import Desk
from relaymail.admin.views import Document, standingView
from relaymail.envelopes import Client, Origin
from relaymail.errors import MalformedAddress, Refused
from relaymail.intake.acceptance import checkRecipient
from relaymail.replies import Phase, printable
from relaymail.route.hosts import Host
from relaymail.route.rules import Action
from relaymail.route.senderhosts import hostsOfSender
from relaymail.route.troubles import troubleOf

#: How long the DNS is waited for, in seconds: a client waits for no more than 30.
PATIENCE = 20.0
#: How many hosts are shown.
MAX_HOSTS = 20
#: Who is supposed to give the mail where nothing is said.
HERE = "127.0.0.1"


async def explain(desk: Desk, given: Given) -> Document:
    """
    Say where mail for a recipient would go.
    """
    manager = desk.manager
    recipient = _address(given["recipient"])
    sender = _address(given["sender"]) if given.get("sender") else ""
    destination = domainOf(recipient)
    client = given.get("client", HERE)
    refusal = await _refusal(desk, client, sender, recipient)
    told = destination, sender, recipient, Origin(client)
    hosts, problem = await _hosts(desk, manager.siteFor(*told))
    standing = manager.standingOf(*told)
    return {
        "recipient": printable(recipient),
        "sender": printable(sender),
        "destination": printable(destination),
        "accepted": not refusal,
        "route": await _shown(desk, hosts[:MAX_HOSTS]),
        "rule": _rule(desk, *told),
        "standing": standingView(standing),
        "problem": refusal or problem,
        "retry": list(manager.retrySchedule),
        "expire": manager.expireAfter,
    }


def _address(text: str) -> str:
    try:
        return checkAddress(text)
    except MalformedAddress as e:
        # Nobody wanted to queue anything.
        raise MalformedAddress(str(e).removesuffix("; nothing was queued")) from e


def _rule(
    desk: Desk, destination: str, sender: str, recipient: str, origin: Origin
) -> str:
    """
    Say by what the hosts are chosen.
    """
    rule = desk.manager.routing.match(recipient, sender, origin)
    if rule is not None:
        does = "" if rule.action is Action.DELIVER else f" ({rule.action.value})"
        return printable(f"the rule {rule.name}{does}")
    if hostsOfSender(sender, desk.manager.senderHosts):
        return printable(f"mail of {sender} goes to the smart hosts of that sender")
    if desk.manager.smartHosts:
        return "all mail goes to the smart hosts"
    return printable(f"the mail exchange hosts of {destination}, from the DNS")


async def _refusal(desk: Desk, host: str, sender: str, recipient: str) -> str:
    """
    Say why the mail would not be taken; empty: it would.
    """
    intake = desk.relay.intake
    acceptance = intake.acceptance
    client = Client(host, esmtp=True, trusted=acceptance.isTrusted(host))
    for ask, arguments in (
        (acceptance.acceptSender, (client, sender)),
        (checkRecipient, (acceptance, intake.refusal, client, sender, recipient)),
    ):
        try:
            await maybeDeferred(ask, *arguments)
        except Refused as e:
            return e.reply.text
    return ""


async def _hosts(desk: Desk, site: Hashable) -> tuple[tuple[Host, ...], str]:
    """
    Name the hosts of a destination.

    @param site: Where its mail goes, as the manager says.

    @return: They, and what is wrong if there are none.
    """
    asked = maybeDeferred(desk.manager.hostsFor, site)
    try:
        route = await asked.addTimeout(PATIENCE, desk.reactor)
    except Exception:
        return (), _problem(Failure())
    hosts: tuple[Host, ...] = route.hosts
    return hosts, ""


async def _shown(desk: Desk, hosts: tuple[Host, ...]) -> list[Document]:
    """
    Show hosts, with the addresses that would be tried.
    """
    asked = [
        maybeDeferred(desk.manager.addressesFor, host).addTimeout(
            PATIENCE, desk.reactor
        )
        for host in hosts
    ]
    found: Any = await DeferredList(asked, consumeErrors=True)
    return [
        _hostView(desk, host, *each) for host, each in zip(hosts, found, strict=True)
    ]


def _hostView(desk: Desk, host: Host, fine: bool, result: Any) -> Document:
    tls = "TLS from the start" if host.implicitTLS else host.tls.value
    isSocket = host.path is not None
    return {
        "host": printable(host.name),
        "port": 0 if isSocket else host.port or desk.manager.PORT,
        "tls": "over a socket of this machine" if isSocket else tls,
        "addresses": [printable(address) for address in result] if fine else [],
        "problem": "" if fine else _problem(result),
    }


def _problem(failure: Failure) -> str:
    if failure.check(TimeoutError):
        return f"the DNS did not answer within {PATIENCE:.0f} seconds"
    return troubleOf(failure, Phase.RESOLVE).text
