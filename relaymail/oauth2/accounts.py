# -*- test-case-name: relaymail.test.oauth2.test_accounts -*-
"""
The accounts of a relay at token servers.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred, succeed

from relaymail.oauth2.account import Account, Run, Tell
from relaymail.oauth2.asking import Given
from relaymail.oauth2.requests import Secrets
from relaymail.oauth2.storing import TokenStore
from relaymail.route.oauth2accounts import OAuth2

#: How long what is being asked may go on when the relay stops, in seconds.
STOP_PATIENCE = 10.0


class Accounts:
    """
    All accounts of a relay.  Nothing is opened before they are started.

    @cvar fetcherFactory: Makes, for the reactor, what asks token servers; L{None}
        for the usual.

    @ivar store: Where tokens are kept.
    @ivar reactor: Where token servers are asked, once it is started.
    @ivar run: Runs what reads and writes files.
    @ivar tell: Is told what is the matter.
    @ivar chance: Gives a number from 0 up to, but not including, 1.
    """

    fetcherFactory: Any = None

    def __init__(self, directory: str) -> None:
        """
        @param directory: Where tokens are kept across restarts; it is made when
            there is one.
        """
        self.store = TokenStore(directory)
        self._accounts: dict[str, Account] = {}
        self._fetcher: Any = None
        self.reactor: Any = None
        self.run: Run = _inline
        self.tell: Tell = _nobody
        self.chance: Callable[[], float] = random.random

    def __len__(self) -> int:
        return len(self._accounts)

    def tokensFor(
        self,
        user: str,
        oauth2: OAuth2,
        clientSecret: bytes | None,
        refreshToken: bytes | None,
    ) -> Account:
        """
        Give what gives the tokens of an account: the same for all who ask.  It may
        be called in any thread.

        @param user: Whose tokens they are.
        @param oauth2: How they are had.
        @param clientSecret: The client's secret, if it has one.
        @param refreshToken: The refresh token of the configuration, with the flow
            that needs one.
        """
        name = oauth2.accountOf(user)
        given = Given(user, oauth2, Secrets(clientSecret, refreshToken))
        account = self._accounts.setdefault(name, Account(self, name, given))
        account.given = given
        return account

    def start(self, reactor: Any, run: Run, tell: Tell | None = None) -> None:
        """
        Begin to give tokens.

        @param reactor: Where token servers are asked.
        @param run: Runs what reads and writes files, in a thread.
        @param tell: Is told what is the matter with an account, by a key.
        """
        self.reactor, self.run, self.tell = reactor, run, tell or _nobody
        for account in self._accounts.values():
            account.isStopped = False

    def stop(self) -> Deferred[None]:
        """
        Give no more tokens.

        @return: Fires when what is under way has ended, within a bound, and no
            connection is left.
        """
        ending = [account.stop() for account in self._accounts.values()]
        if self._fetcher is None:
            return succeed(None)
        ended: Deferred[Any] = gatherResults(
            [each.addErrback(lambda _: None) for each in ending]
        )
        ended.addTimeout(STOP_PATIENCE, self.reactor, _passed)
        return ended.addCallback(self._close)

    def _close(self, result: object) -> Deferred[None]:
        fetcher, self._fetcher = self._fetcher, None
        closed: Deferred[None] = maybeDeferred(fetcher.stop)
        return closed

    def retain(self, accounts: Iterable[str]) -> None:
        """
        Forget the accounts that the configuration has no more, when it was read again.

        @param accounts: What tells those it has from others: see L{OAuth2.accountOf
            <relaymail.route.oauth2accounts.OAuth2.accountOf>}.
        """
        for name in self._accounts.keys() - set(accounts):
            self._accounts.pop(name).stop()
        for account in self._accounts.values():
            account.poke()

    def post(self, url: str, form: bytes) -> Deferred[Any]:
        """
        Ask a token server; see L{Fetcher.post
        <relaymail.oauth2.fetching.Fetcher.post>}.
        """
        if self._fetcher is None:
            self._fetcher = (self.fetcherFactory or _usualFetcher)(self.reactor)
        answer: Deferred[Any] = self._fetcher.post(url, form)
        return answer


def _passed(result: Any, patience: float) -> None:
    """
    Go on, whatever has been broken off.
    """


def _usualFetcher(reactor: Any) -> Any:
    # It takes a while to import, and few have such accounts.
    from relaymail.oauth2.fetching import Fetcher

    return Fetcher(reactor)


def _inline(function: Callable[[], Any]) -> Deferred[Any]:
    return maybeDeferred(function)


def _nobody(key: str, text: str | None, sign: str | None) -> None:
    """
    Tell nobody.
    """
