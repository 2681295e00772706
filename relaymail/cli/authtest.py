# -*- test-case-name: relaymail.test.cli.test_authtest -*-
"""
C{relaymail auth test}: sessions with the smart hosts, step by step, that send no mail.

They are those of the relay itself (L{relaymail.deliver.rehearsing}), on a reactor in
this command.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from relaymail.cli.config import readTold
from relaymail.cli.output import showJSON
from relaymail.cli.remedies import remedyFor
from relaymail.cli.settings import current
from relaymail.cli.troubles import FAILED, CommandError
from relaymail.cli.words import clean, moment, now, pad
from relaymail.errors import ConfigurationError

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from relaymail.configuration import Configuration
    from relaymail.deliver.rehearsing import Step
    from relaymail.oauth2.accounts import Accounts
    from relaymail.route.connector import Connector
    from relaymail.route.hosts import Host
    from relaymail.route.smarthosts import SmartHost
    from relaymail.route.terms import Terms

#: How wide the names of steps are, in characters.
WIDTH = 10
#: How long each network address of a host may take to answer, in seconds.
CONNECT_PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class Target:
    """
    A smart host that is tried.

    @ivar number: Which of those that have a user, from 1 on.
    @ivar smart: What the configuration says of it.
    @ivar user: Who the relay is there.
    @ivar sender: Whose mail it gets; empty for all mail.
    @ivar route: Which route leads to it, if one does.
    """

    number: int
    smart: SmartHost | Host
    user: str
    sender: str = ""
    route: int | None = None

    @property
    def title(self) -> str:
        """
        Which it is, for people.
        """
        port = "" if self.smart.port is None else f" port {self.smart.port}"
        whose = f", for mail of {self.sender}" if self.sender else ""
        if self.route is not None:
            whose = f", for delivery.routes[{self.route}]"
        return f"{self.number}. {self.smart.name}{port} as {self.user}{whose}"

    def isMeant(self, wanted: str) -> bool:
        """
        Tell whether somebody means this one.

        @param wanted: A number, a name, or a name and a port.
        """
        name = self.smart.name.lower()
        names = (str(self.number), name, f"{name}:{self.smart.port}")
        return wanted.lower() in names


@dataclass(slots=True)
class Result:
    """
    What came of a target.

    @ivar target: Which.
    @ivar steps: What was tried.
    @ivar isPassed: Whether the host knew at the end who this relay is.
    """

    target: Target
    steps: list[Step] = field(default_factory=list)
    isPassed: bool = False


@click.command(name="test")
@click.argument("smarthost", required=False)
@click.option(
    "--fresh", is_flag=True, help="Ask for a new token, also where there is a good one."
)
def test(smarthost: str | None, fresh: bool) -> int:
    """
    Say what happens when the relay logs in at its smart hosts.

    SMARTHOST is a name, a name and a port, or a number in the order of the
    configuration; without it each smart host that has a user is tried. The steps are
    those of the relay: it looks the name up, connects, looks at the certificate, has
    a token where one is wanted, and authenticates. No mail is sent, and no secret is
    shown. The exit code is 1 where one does not work.

    Give it as the user that the relay runs as.
    """
    told = readTold()
    targets = chosen(list(targetsOf(told)), smarthost)
    isJSON = current().asJSON
    say: Callable[[str], object] = _nothing if isJSON else click.echo
    trial = Trial(told, fresh, say)
    inReactor(lambda reactor: trial.run(reactor, targets))
    isPassed = all(result.isPassed for result in trial.results)
    if isJSON:
        showJSON({"passed": isPassed, "hosts": list(map(asDocument, trial.results))})
    return 0 if isPassed else FAILED


def _nothing(line: str) -> None:
    """
    Say nothing.
    """


def targetsOf(told: Configuration) -> Iterator[Target]:
    """
    Give the smart hosts that have a user, in the order of the configuration.
    """
    from relaymail.configuration.routes import hostsOf

    delivery = told.delivery
    every: list[tuple[str, int | None, SmartHost | Host]] = [
        *(("", None, host) for host in delivery.smartHosts),
        *((s, None, host) for s, hosts in delivery.senderHosts for host in hosts),
        *(
            ("", index, host)
            for index, route in enumerate(delivery.routes)
            for host in hostsOf(route)
        ),
        *(("", None, host) for host in delivery.fallbackHosts),
    ]
    number = 0
    for sender, route, host in every:
        credentials = getattr(host, "credentials", None)
        user = getattr(host, "user", None) or getattr(credentials, "user", None)
        if user:
            number += 1
            yield Target(number, host, user, sender, route)


def chosen(targets: Sequence[Target], wanted: str | None) -> Sequence[Target]:
    """
    Give those that are meant.

    @param wanted: What was said; L{None}: all.

    @raise CommandError: When there are none.
    """
    if not targets:
        raise CommandError(
            "No smart host has a user, so there is nothing to log in with. Give one a "
            "user in delivery.smart-hosts, delivery.sender-hosts or delivery.routes."
        )
    if wanted is None:
        return targets
    found = [target for target in targets if target.isMeant(wanted)]
    if not found:
        known = "; ".join(target.title for target in targets[:20])
        raise CommandError(
            f"There is no smart host {wanted[:80]!r} with a user. There are: {known}"
        )
    return found


def asDocument(result: Result) -> dict[str, Any]:
    """
    Give what came of a target, for programs.
    """
    target = result.target
    return {
        "number": target.number,
        "host": target.smart.name,
        "port": target.smart.port,
        "user": clean(target.user),
        "sender": target.sender,
        "route": target.route,
        "passed": result.isPassed,
        "remedy": "" if result.isPassed else remedyFor(result.steps),
        "steps": [
            {"step": step.name, "passed": step.isDone, "told": step.told}
            for step in result.steps
        ],
    }


def inReactor(work: Callable[[Any], Deferred[Any]]) -> None:
    """
    Do something with a reactor of this command.

    @param work: Is given the reactor.

    @raise KeyboardInterrupt: When the user did not wait for the end.
    """
    from twisted.internet import reactor
    from twisted.internet.defer import maybeDeferred
    from twisted.python.failure import Failure

    ends: list[Any] = []
    running: Any = reactor

    def begin() -> None:
        done = maybeDeferred(work, running).addBoth(ends.append)
        done.addBoth(lambda _: running.stop() if running.running else None)

    running.callWhenRunning(begin)
    running.run()
    if not ends:
        raise KeyboardInterrupt
    if isinstance(ends[0], Failure):
        ends[0].raiseException()


class Trial:
    """
    Tries smart hosts, one after the other.

    @ivar results: What came of those that were tried.
    """

    def __init__(
        self, told: Configuration, isFresh: bool, say: Callable[[str], object]
    ) -> None:
        """
        @param told: The configuration.
        @param isFresh: Whether to ask for new tokens.
        @param say: Is given each line for people.
        """
        self.results: list[Result] = []
        self._told = told
        self._isFresh = isFresh
        self._say = say
        self._troubles: dict[str, str | None] = {}

    def run(self, reactor: Any, targets: Sequence[Target]) -> Deferred[None]:
        """
        Try some.

        @return: Fires when all were tried.
        """
        from twisted.internet.defer import Deferred

        return Deferred.fromCoroutine(self._run(reactor, targets))

    async def _run(self, reactor: Any, targets: Sequence[Target]) -> None:
        from twisted.internet.defer import maybeDeferred

        from relaymail.configuration.places import tokensBeside
        from relaymail.oauth2.accounts import Accounts
        from relaymail.route.connector import Connector
        from relaymail.route.resolver import makeResolver

        resolver = makeResolver(self._told.delivery.dns, reactor)
        connector = Connector(reactor, resolver, timeout=CONNECT_PATIENCE)
        accounts = Accounts(tokensBeside(self._told.queue))
        accounts.store = storeFor(accounts.store.path, self._isFresh)
        accounts.start(reactor, maybeDeferred, self._noteTrouble)
        try:
            for target in targets:
                await self._try(target, accounts, connector)
        finally:
            await accounts.stop()

    async def _try(
        self, target: Target, accounts: Accounts, connector: Connector
    ) -> None:
        result = Result(target)
        self.results.append(result)
        self._say(clean(target.title))
        result.isPassed = await self._passes(result, accounts, connector)
        for line in concluded(result):
            self._say(line)

    async def _passes(
        self, result: Result, accounts: Accounts, connector: Connector
    ) -> bool:
        from relaymail.configuration.rules import onTerms
        from relaymail.configuration.secrets import readHost
        from relaymail.deliver.rehearsing import Plan, Step, rehearse
        from relaymail.route.hosts import Bearer

        def tell(step: Step) -> None:
            result.steps.append(step)
            self._say(asLine(step))

        try:
            checkOwner(result.target.smart, accounts.store)
            host = readHost(result.target.smart, accounts.tokensFor)
            host = onTerms(host, self._termsOf(result.target))
        except ConfigurationError as e:
            tell(Step("secret", False, clean(e)))
            return False
        who, began = host.credentials, now()
        tokens: Any = who.tokens if isinstance(who, Bearer) else None
        hostname = host.helo or self._told.hostname
        port = self._told.delivery.mxPort
        plan = Plan(host, port, hostname, lambda: tokenTold(tokens, began))
        isPassed = await rehearse(plan, connector, tell)
        why = None if tokens is None else self._troubles.get(tokens.key)
        if isPassed and why is not None:
            # The login was right, but the relay will not have the token.
            tell(Step("token", False, clean(why)))
            return False
        return isPassed

    def _termsOf(self, target: Target) -> Terms:
        """
        Give the terms on which a host is reached.
        """
        from relaymail.configuration.rules import termsOf, usualTerms

        delivery = self._told.delivery
        usual = usualTerms(delivery)
        if target.route is None:
            return usual
        return termsOf(delivery.routes[target.route], usual)

    def _noteTrouble(self, key: str, text: str | None, sign: str | None) -> None:
        self._troubles[key] = text


def concluded(result: Result) -> Iterator[str]:
    """
    Say for people how it ended, and what to do.
    """
    if result.isPassed:
        yield "  it works"
        return
    remedy = remedyFor(result.steps)
    if remedy:
        yield f"  do: {remedy}"
    yield "  it does not work; mail for it waits, and does not bounce before it expires"


def asLine(step: Step) -> str:
    """
    Write a step for people.
    """
    verdict = "ok  " if step.isDone else "FAIL"
    return f"  {verdict}  {pad(step.name, WIDTH)}  {clean(step.told)}"


def tokenTold(account: Any, began: float) -> str:
    """
    Say what is known of a token, but not the token.

    @param account: An L{Account<relaymail.oauth2.account.Account>}.
    @param began: When the command began to try, in seconds of the epoch.
    """
    from relaymail.oauth2.refusals import serverOf

    stored, oauth2 = account.stored, account.given.oauth2
    isNew = stored.fetched >= began
    had = "had now" if isNew else f"kept since {moment(stored.fetched)}"
    told = f"{had} from {serverOf(oauth2)}, good until {moment(stored.expires)}"
    scope = stored.scope or oauth2.scope
    return f"{told}; scope {scope}" if scope else told


def storeFor(path: str, isFresh: bool) -> Any:
    """
    Give what keeps tokens, for a command.

    @param path: The directory of the relay's tokens.
    @param isFresh: Whether the tokens that are kept are not used.
    """
    from dataclasses import replace

    from relaymail.oauth2.storing import Stored, TokenStore

    class Fresh(TokenStore):
        """
        Keeps tokens, and gives none.
        """

        def load(self, account: str) -> Stored | None:
            """
            Give the refresh token alone.
            """
            stored = super().load(account)
            return None if stored is None else replace(stored, token=b"")

    class Forgetful(TokenStore):
        """
        Keeps nothing: what is kept is another user's.
        """

        def load(self, account: str) -> None:
            """
            Give nothing.
            """

        def save(self, account: str, stored: Stored) -> None:
            """
            Keep nothing.
            """

    if ownerOf(path) != os.geteuid():
        return Forgetful(path)
    return Fresh(path) if isFresh else TokenStore(path)


def ownerOf(path: str) -> int:
    """
    Give the number of the user who has a path, or what it would be made in.
    """
    while not os.path.lexists(path) and os.path.dirname(path) != path:
        path = os.path.dirname(path)
    return os.lstat(path).st_uid


def checkOwner(smart: SmartHost | Host, store: Any) -> None:
    """
    See that a refresh token that a server gives can be kept for the relay.

    @param smart: What the configuration says of a smart host.
    @param store: What keeps the tokens.

    @raise ConfigurationError: When it cannot.
    """
    from relaymail.route.oauth2accounts import Flow

    oauth2 = getattr(smart, "oauth2", None)
    owner = ownerOf(store.path)
    if oauth2 is None or oauth2.flow is not Flow.REFRESH_TOKEN or owner == os.geteuid():
        return
    raise ConfigurationError(
        f"its tokens are kept in {store.path}, which is of user {owner}: no token is "
        "asked for, because a refresh token that came with it would be lost to the "
        "relay.  Give the command as that user, such as with sudo -u"
    )
