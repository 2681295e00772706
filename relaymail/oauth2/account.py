# -*- test-case-name: relaymail.test.oauth2.test_accounts -*-
"""
One account at a token server: asked once for all who want a token, before the one
there is ends, and not too often.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from relaymail.errors import TokenError
from relaymail.identities import ITokens
from relaymail.oauth2.asking import Given, ask, readAgain
from relaymail.oauth2.refusals import MAX_WAIT, Denial, troubleWith
from relaymail.oauth2.requests import Granted
from relaymail.oauth2.schedule import (
    LASTING_WAIT,
    LEEWAY,
    goodFor,
    refreshAfter,
    waitAfter,
    waitAfterRefused,
)
from relaymail.oauth2.storing import Stored, TokenStore, digestOf
from relaymail.replies import printable

#: How often it is looked whether the file of a secret has changed, while what there
#: is was refused for good, in seconds.
LOOK_EVERY = 60.0
#: How soon a token is asked for again at the earliest, in seconds, where nobody waits
#: for it: some last a moment only.
SHORTEST_WAIT = 1.0
#: How many may wait for the token of an account: there are fewer connections.
MAX_WAITING = 10_000

#: Runs a function that may take its time, and gives a Deferred for its result.
Run = Callable[[Callable[[], Any]], Deferred[Any]]
#: Is told what is the matter with something, by its key, and what tells that from
#: another trouble; L{None}: nothing any more.
Tell = Callable[[str, str | None, str | None], None]

_STOPPED = "the relay does not run, or has the account no more: there is no token"
_ENDED = "the token had ended when it came; it is asked for again"


class Office(Protocol):
    """
    What an account needs of the relay's.

    @ivar reactor: Tells the time; L{None} before the start.
    @ivar store: Where tokens are kept.
    @ivar run: Runs what reads and writes files.
    @ivar tell: Is told what is the matter.
    """

    reactor: Any
    store: TokenStore
    run: Run
    tell: Tell

    def chance(self) -> float:
        """
        Give a number from 0 up to, but not including, 1.
        """

    def post(self, url: str, form: bytes) -> Deferred[Any]:
        """
        Ask a token server.
        """


@implementer(ITokens)
class Account:
    """
    One account at a token server.

    @ivar name: What tells it from all others.
    @ivar given: What the configuration says of it.
    @ivar stored: What is known of its tokens.
    @ivar denial: Why there was no token when one was asked for last, if there was
        none.
    @ivar isStopped: Whether it gives no more tokens.
    """

    _log = Logger()

    def __init__(self, accounts: Office, name: str, given: Given) -> None:
        self.name = name
        self.given = given
        self.stored: Stored | None = None
        self.denial: Denial | None = None
        self.isStopped = False
        self._accounts = accounts
        self._taken: Given | None = None
        self._isLoaded = False
        self._isKept = True
        self._waiting: list[Deferred[bytes]] = []
        self._asking: Deferred[None] | None = None
        self._later: Any = None
        self._failures = self._refusals = 0
        self._notBefore = self._lookedAt = 0.0

    # What a session asks.

    def token(self) -> Deferred[bytes]:
        """
        See L{ITokens.token}.
        """
        if self.isStopped or self._accounts.reactor is None:
            return fail(TokenError(_STOPPED))
        self._takeGiven()
        now = self._now()
        if self._isGood(now):
            assert self.stored is not None
            return succeed(self.stored.token)
        if self._asking is None and not self._mayAsk(now):
            return fail(self._error())
        if len(self._waiting) >= MAX_WAITING:
            return fail(TokenError("too much mail waits for the token already"))
        waiting: Deferred[bytes] = Deferred(self._leave)
        self._waiting.append(waiting)
        self._begin()
        return waiting

    def refused(self, token: bytes) -> None:
        """
        See L{ITokens.refused}.
        """
        stored = self.stored
        if self.isStopped or stored is None or not token or stored.token != token:
            # There is a newer one already, or none is given any more.
            return
        now = self._now()
        wait = waitAfterRefused(self._refusals + 1)
        isFresh = now - stored.fetched < 2 * wait
        self._refusals = self._refusals + 1 if isFresh else 1
        since = min(stored.fetched, now)
        self._notBefore = since + waitAfterRefused(self._refusals)
        self.denial = troubleWith(
            self.given.user,
            self.given.oauth2,
            "a host has refused the token it gave last",
        )
        self.stored = replace(stored, token=b"")
        self._log.warn("{why}", why=self.denial.text)

    def stop(self) -> Deferred[None]:
        """
        Give no more tokens, and ask for none.  What is being asked is not broken
        off: with the answer the last refresh token may be worth nothing any more.

        @return: Fires when it is answered, and what came is kept.
        """
        self.isStopped = True
        later, self._later = self._later, None
        if later is not None:
            later.cancel()
        self.denial = None
        self._answer()
        self._accounts.tell(self.key, None, None)
        ended: Deferred[None] = Deferred(lambda _: self._breakOff())
        if self._asking is None:
            ended.callback(None)
        else:
            self._asking.addCallback(ended.callback)
        return ended

    def _breakOff(self) -> None:
        if self._asking is not None:
            self._asking.cancel()

    def poke(self) -> None:
        """
        Ask now where the last time was refused for good: somebody may have done
        what helps.
        """
        if self.denial is not None and self.denial.isLasting:
            self._takeGiven()
            self._begin()

    @property
    def key(self) -> str:
        """
        What an alarm about it is known by.
        """
        return f"token:{printable(self.given.user, 100)}"

    # How it stands.

    def _now(self) -> float:
        return float(self._accounts.reactor.seconds())

    def _isGood(self, now: float) -> bool:
        stored = self.stored
        if stored is None or not stored.token:
            return False
        used = now - stored.fetched
        # One that is of the future was had before the clock was set back.
        return -LEEWAY <= used < goodFor(stored.expires - stored.fetched)

    def _isWaiting(self, now: float) -> bool:
        # Who waits for longer than ever was meant has had the clock set back.
        return 0 < self._notBefore - now <= MAX_WAIT + LASTING_WAIT

    def _mayAsk(self, now: float) -> bool:
        isLasting = self.denial is not None and self.denial.isLasting
        return not self._isWaiting(now) or (
            isLasting and abs(now - self._lookedAt) >= LOOK_EVERY
        )

    def _leave(self, waiting: Deferred[bytes]) -> None:
        if waiting in self._waiting:
            self._waiting.remove(waiting)

    def _answer(self) -> None:
        """
        Tell all who wait how it stands.
        """
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        stored = self.stored
        if not self.isStopped and stored is not None and self._isGood(self._now()):
            for each in waiting:
                each.callback(stored.token)
        else:
            for each in waiting:
                each.errback(self._error())

    def _error(self) -> TokenError:
        if self.denial is None:
            return TokenError(_STOPPED if self.isStopped else _ENDED)
        return TokenError(self.denial.text, isLasting=self.denial.isLasting)

    def _takeGiven(self) -> None:
        """
        Take what the configuration says now, where it was read again: then somebody
        may have done what helps.
        """
        if self._taken is self.given:
            return
        self._taken = self.given
        if self.denial is not None and self.denial.isLasting:
            self._notBefore = 0.0
        if self.stored is not None and self.stored.origin != self._origin():
            self.stored = None

    def _origin(self) -> str:
        secrets = self.given.secrets
        return digestOf(secrets.refresh or secrets.client or b"")

    # Asking.

    def _begin(self) -> None:
        if self._asking is not None or self._accounts.reactor is None:
            return
        self._asking = Deferred.fromCoroutine(self._have())
        self._asking.addErrback(self._failed).addCallback(self._ended)

    def _ended(self, result: Any) -> None:
        # Not before: who is told may ask again at once.
        self._asking = None
        self._answer()

    async def _have(self) -> None:
        await self._load()
        if self._isGood(self._now()) and not self._isOld():
            return self._succeeded()
        if self._isWaiting(self._now()) and not await self._hasChanged():
            return self._again(self._notBefore)
        # What stands for the refresh token is not used before it is on the disk.
        await self._keep()
        if self.isStopped:
            return
        asked = await self._ask()
        if isinstance(asked, Denial) and asked.isLasting and await self._isOvertaken():
            asked = await self._ask()
        if isinstance(asked, Denial):
            return self._denied(asked)
        try:
            await self._keep()
        except OSError as e:
            # Mail goes, as long as the token is good.
            self._tellUnkept(e)
        self._succeeded()

    def _isOld(self) -> bool:
        stored = self.stored
        assert stored is not None
        lifetime = stored.expires - stored.fetched
        return self._now() >= stored.fetched + refreshAfter(lifetime)

    async def _ask(self) -> Granted | Denial:
        began, origin = self._now(), self._origin()
        refresh = b"" if self.stored is None else self.stored.refresh
        asked = await ask(self.given, refresh, self._accounts.post, began)
        if isinstance(asked, Granted):
            ends = began + asked.lifetime
            rotated = asked.refresh or refresh
            self.stored = Stored(asked.token, began, ends, rotated, origin, asked.scope)
            self._isKept = False
        return asked

    async def _load(self) -> None:
        if self._isLoaded:
            return
        stored = await self._loaded()
        self._isLoaded = True
        if stored is not None and stored.origin == self._origin():
            self.stored = stored

    async def _loaded(self) -> Stored | None:
        try:
            loaded: Stored | None = await self._accounts.run(
                lambda: self._accounts.store.load(self.name)
            )
        except OSError as e:
            self._log.error(
                "The tokens of {user} in {path} cannot be read: {why}; they are had "
                "anew",
                user=printable(self.given.user, 100),
                path=self._accounts.store.path,
                why=printable(e.strerror or str(e)),
            )
            return None
        return loaded

    async def _isOvertaken(self) -> bool:
        """
        Tell whether somebody else, such as C{relaymail auth test}, has been given
        another refresh token meanwhile; it is taken.
        """
        kept = await self._loaded()
        if kept is None or kept.origin != self._origin() or not kept.refresh:
            return False
        if self.stored is not None and kept.refresh == self.stored.refresh:
            return False
        self.stored = kept
        return True

    async def _keep(self) -> None:
        """
        Write what is not written yet.
        """
        stored = self.stored
        if self._isKept or stored is None:
            return
        await self._accounts.run(lambda: self._accounts.store.save(self.name, stored))
        self._isKept = True

    async def _hasChanged(self) -> bool:
        """
        Tell whether the files of its secrets have others in them now; those are
        taken.
        """
        self._lookedAt = self._now()
        given = self.given
        found = await self._accounts.run(lambda: readAgain(given))
        if self.given is given:
            if found == given.secrets:
                return False
            self.given = given._replace(secrets=found)
        self._takeGiven()
        return True

    # What came of it.

    def _succeeded(self) -> None:
        stored = self.stored
        if self.isStopped or stored is None:
            return
        self.denial, self._failures = None, 0
        lifetime = stored.expires - stored.fetched
        self._again(stored.fetched + refreshAfter(lifetime))
        if self._isKept:
            self._accounts.tell(self.key, None, None)

    def _denied(self, denial: Denial) -> None:
        if self.isStopped:
            return
        self._failures += 1
        wait = waitAfter(
            self._failures, denial.isLasting, denial.wait, self._accounts.chance()
        )
        now = self._now()
        self.denial, self._notBefore, self._lookedAt = denial, now + wait, now
        self._again(self._notBefore)
        if denial.isLasting or not self._isGood(now):
            self._accounts.tell(self.key, denial.text, denial.sign or None)
        else:
            # Mail goes on, and it is asked again.
            self._log.warn("{why}", why=denial.text)

    def _failed(self, failure: Failure) -> None:
        """
        The files cannot be used, or there is a mistake in here.
        """
        if self.isStopped:
            return
        error = failure.value
        if not isinstance(error, OSError):
            self._log.failure("A token could not be asked for", failure)
        path = self._accounts.store.path
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        self._denied(
            troubleWith(
                self.given.user,
                self.given.oauth2,
                f"its tokens cannot be kept in {path}: {why}",
            )
        )

    def _tellUnkept(self, error: OSError) -> None:
        self._accounts.tell(
            self.key,
            f"the tokens of {printable(self.given.user, 100)} cannot be kept in "
            f"{self._accounts.store.path}: {printable(error.strerror or str(error))}; "
            "mail goes on until they end, but see to it: the directory is to belong to "
            "the user that the relay runs as and to nobody else, and to have room",
            None,
        )

    def _again(self, when: float) -> None:
        """
        Ask again at a time.
        """
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if self.isStopped:
            return
        wait = max(when - self._now(), SHORTEST_WAIT)
        self._later = self._accounts.reactor.callLater(wait, self._cameDue)

    def _cameDue(self) -> None:
        self._later = None
        self._takeGiven()
        self._begin()
