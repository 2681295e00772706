# -*- test-case-name: relaymail.test.admin.test_exploring -*-
"""
What would become of a message, as a document.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from relaymail.admin.views import Document, standingView
from relaymail.deliver.explaining import Explained, Tried
from relaymail.deliver.routing import By, Choice
from relaymail.outcomes import Bounce, Removed
from relaymail.protections import Applied, PolicyKind
from relaymail.replies import Trouble, printable
from relaymail.route.hosts import Bearer, Host, TLSNeed
from relaymail.route.matching import criteriaOf, numberOf
from relaymail.route.router import shownSite
from relaymail.route.rules import Action
from relaymail.route.tlscontexts import namesOf, serverNameOf
from relaymail.schedule.goals import limitsOf
from relaymail.schedule.paces import State

#: How many hosts are shown.
MAX_HOSTS = 20
#: How many other destinations of a site are shown by name.
MAX_DOMAINS = 10
#: How long a line of a policy, or a reason, may be, in characters.
MAX_LINE = 1000

#: What is called by what it is chosen where mail goes.
_WORDS = {
    By.RULE: "route",
    By.SENDER: "sender-hosts",
    By.SMART_HOSTS: "smart-hosts",
    By.EXCHANGES: "mx",
}
#: Where it matters whose certificate a host shows.
_KNOWN = frozenset({TLSNeed.VERIFIED, TLSNeed.DANE})
#: How what is not sent at once stands.
_LATE = frozenset({State.SUSPENDED, State.BUSY})


def explainedView(manager: Any, found: Explained, refusal: str = "") -> Document:
    """
    Show what would become of a message.

    @param manager: The relaying manager that was asked.
    @param refusal: Why the message would not be taken; empty: it would.
    """
    question, route = found.question, found.route
    outcome = outcomeView(found, refusal)
    return {
        "recipient": printable(question.recipient),
        "sender": printable(question.sender),
        "client": printable(question.origin.host),
        "user": printable(question.origin.user),
        "requireTLS": question.requireTLS,
        "tlsOptional": question.tlsOptional,
        "destination": printable(found.destination),
        "accepted": not refusal,
        "rule": ruleText(found),
        "chosen": chosenView(manager, found),
        "goal": printable(shownSite(found.goal)),
        "outcome": outcome,
        "problem": outcome["why"],
        "route": [hostView(manager, each) for each in found.tried[:MAX_HOSTS]],
        "left": [
            {"host": printable(name), "why": printable(why, MAX_LINE)}
            for name, why in (route.left[:MAX_HOSTS] if route is not None else ())
        ],
        "policies": [policyView(manager, each) for each in found.applied],
        "lookups": [
            {key: printable(text) for key, text in each._asdict().items()}
            for each in (route.lookups if route is not None else ())
        ],
        "until": found.until,
        "site": siteView(manager, found),
        "limits": limitsView(manager, found),
        "first": firstView(found, refusal),
        "standing": standingView(found.standing),
        "retry": list(manager.retrySchedule),
        "expire": manager.expireAfter,
    }


# What is chosen, and what comes of it.


def ruleText(found: Explained) -> str:
    """
    Say by what it is chosen where the message goes, for people.
    """
    choice, sender = found.choice, found.question.sender
    if choice.rule is not None:
        told = f"the route {choice.rule.name}: {_actionText(choice)}"
    elif choice.by is By.SENDER:
        told = f"mail of {sender} goes to the smart hosts of that sender"
    elif choice.by is By.SMART_HOSTS:
        told = "all mail goes to the smart hosts"
    else:
        told = f"the mail exchange hosts of {found.destination}, from the DNS"
    return printable(told)


def _actionText(choice: Choice) -> str:
    rule = choice.rule
    assert rule is not None
    match rule.action:
        case Action.REFUSE:
            return "such mail is refused"
        case Action.DISCARD:
            return "such mail is thrown away"
        case Action.HOLD:
            return "such mail is held"
    if rule.hosts:
        return "such mail goes to its hosts"
    return "such mail goes to the hosts of its destination"


def chosenView(manager: Any, found: Explained) -> Document:
    """
    Show by what it is chosen where the message goes.
    """
    choice = found.choice
    rule = choice.rule
    matched = [f"sender {choice.entry}"] if choice.entry else []
    number, name, action = None, "", Action.DELIVER.value
    if rule is not None:
        outline = found.question.outline(0.0)
        matched = criteriaOf(rule, outline)
        number, name = numberOf(rule, manager.routing), rule.name
        action = rule.action.value
    return {
        "by": _WORDS[choice.by],
        "number": number,
        "name": printable(name),
        "action": action,
        "matched": list(map(printable, matched)),
    }


def outcomeView(found: Explained, refusal: str = "") -> Document:
    """
    Show what would become of the message at once.
    """
    if refusal:
        return _outcome("refused", _statusIn(refusal), refusal)
    if found.held:
        return _outcome("held", "", f"held {found.held}")
    ending = found.ending
    if ending is None:
        return _outcome("tried", "", "")
    fate = "waits"
    if isinstance(ending, Bounce):
        fate = "bounces"
    elif isinstance(ending, Removed):
        fate = "discarded"
    return _outcome(fate, ending.status, ending.text)


def _outcome(fate: str, status: str, why: str) -> Document:
    return {"fate": fate, "status": status, "why": printable(why, MAX_LINE)}


def _statusIn(reply: str) -> str:
    words = reply.split()
    return words[1] if len(words) > 1 and words[1].count(".") == 2 else ""


def firstView(found: Explained, refusal: str = "") -> Document:
    """
    Show when the first attempt would be: C{when} is null where there is none, or that
    is no matter of time.
    """
    standing = found.standing
    if refusal or found.held:
        return {"isNow": False, "when": None, "why": refusal or f"held {found.held}"}
    isLate = standing.until is not None or standing.state in _LATE
    isNow = found.rests is None and not isLate
    return {"isNow": isNow, "when": standing.until, "why": printable(standing.why)}


# Hosts.


def hostView(manager: Any, tried: Tried) -> Document:
    """
    Show a host that would be tried.
    """
    host = tried.host
    isSocket = host.path is not None
    return {
        "host": printable(host.name),
        "port": 0 if isSocket else host.port or manager.PORT,
        "addresses": list(map(printable, tried.addresses)),
        "tls": _tlsText(host),
        "why": printable(host.why or _whyNamed(host), MAX_LINE),
        "names": list(map(printable, namesOf(host))) if host.tls in _KNOWN else [],
        "sni": "" if _isClear(host) else serverNameOf(host),
        "tlsa": [str(record) for record in host.tlsa],
        "requireTLS": host.requireTLS,
        "protocol": "lmtp" if host.lmtp else "smtp",
        "named": host.named,
        "source": list(host.source),
        "helo": printable(host.helo or manager._theHostname()),
        "certificate": host.certFile or "",
        "trusts": host.caFile or "",
        "login": printable(_loginText(host)),
        "preference": tried.preference,
        "badUntil": tried.badUntil,
        "inClear": host.inClear,
        "clearUntil": tried.clearUntil,
        "problem": _problem(tried.trouble),
    }


def _problem(trouble: Trouble | None) -> str:
    return "" if trouble is None else trouble.text


def _isClear(host: Host) -> bool:
    return host.path is not None or host.inClear or host.tls is TLSNeed.NEVER


def _tlsText(host: Host) -> str:
    if host.path is not None:
        return "over a socket of this machine"
    if host.inClear:
        return "in clear"
    return f"{host.tls.value}, from the start" if host.implicitTLS else host.tls.value


def _whyNamed(host: Host) -> str:
    return "the configuration says so where it names the host" if host.named else ""


def _loginText(host: Host) -> str:
    credentials = host.credentials
    if credentials is None:
        return ""
    kind = "a token" if isinstance(credentials, Bearer) else "a password"
    return f"{credentials.user} with {kind}"


# Policies.


def policyView(manager: Any, applied: Applied) -> Document:
    """
    Show a policy of the destination that was found, or could not be had.
    """
    kept, mode = None, ""
    policies = getattr(manager, "policies", None)
    if applied.kind is PolicyKind.STS and policies is not None:
        kept = policies.kept(applied.domain)
        mode = "" if kept is None else kept.policy.mode.value
    return {
        "kind": applied.kind.value,
        "domain": printable(applied.domain),
        "mode": mode,
        "lines": [printable(line, MAX_LINE) for line in applied.lines],
        "problem": "" if applied.problem is None else applied.problem.value,
        "why": printable(applied.why, MAX_LINE),
        "fetched": None if kept is None else kept.fetched,
        "until": None if kept is None else kept.fetched + kept.policy.maxAge,
    }


# What it shares.


def siteView(manager: Any, found: Explained) -> Document:
    """
    Show which hosts are counted together, and for whom else they are.
    """
    others = [
        name
        for goal in manager._work.scheduler.sites.goalsOf(found.site)
        if goal != found.goal and (name := printable(shownSite(goal)))
    ]
    return {
        "name": printable(shownSite(found.site)),
        "others": others[:MAX_DOMAINS],
        "count": len(others),
    }


def limitsView(manager: Any, found: Explained) -> Document:
    """
    Show what limits such mail.
    """
    scheduler, now = manager._work.scheduler, manager._now()
    busy = scheduler.sites.busy
    return {
        "connections": busy.get(found.site, 0),
        "allowed": found.standing.allowed,
        "total": len(manager.managed),
        "most": manager.maxConnections,
        "rates": list(_rates(scheduler.rates, found, now)),
    }


def _rates(rates: Any, found: Explained, now: float) -> Iterator[Document]:
    for limit in limitsOf(found.lane):
        yield {
            "side": limit.side.value,
            "name": printable(limit.name),
            "rate": str(limit.rate),
            "left": rates.left((limit,), now),
        }
