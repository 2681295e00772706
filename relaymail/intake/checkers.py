# -*- test-case-name: relaymail.test.intake.test_checkers -*-
"""
The portal that is built in: users of a file, who may send mail to everybody.
"""

from __future__ import annotations

import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernameHashedPassword, IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import IRealm, Portal
from twisted.internet.defer import Deferred, DeferredSemaphore, maybeDeferred
from twisted.internet.interfaces import IReactorThreads
from twisted.internet.threads import deferToThreadPool
from zope.interface import Interface, implementer

from relaymail.dialogue.answers import answer
from relaymail.dialogue.sasl.errors import UnusableSecret
from relaymail.dialogue.sasl.preparing import prepared
from relaymail.dialogue.sasl.scram import SHA256, Verifier, matches
from relaymail.envelopes import Client
from relaymail.errors import Refused
from relaymail.intake.credentials import IScramCredentials
from relaymail.intake.users import UsersFile
from relaymail.interfaces import IAcceptance

#: How many passwords are hashed at a time: more would only take the processors from
#: the mail.
_HASHED_AT_ONCE = 2
#: How many wait for that; with more whoever comes waits for nothing.
_MOST_WAITING = 200
#: How many passwords that were right are remembered: programs that open a connection
#: for each message say the same one each time.
_REMEMBERED = 1024

_CHANGED = answer(451, "4.7.0", "The user has changed: authenticate again")

_Result = TypeVar("_Result")


class Overloaded(Exception):
    """
    So many passwords are to be checked that this one is not: it may be tried again
    later.
    """


@implementer(IAcceptance)
class UserAcceptance:
    """
    Somebody who may send mail to everybody, as long as he is in the file with the
    password that he had: a session may last long.

    @ivar user: Who that is.
    """

    def __init__(self, user: str, users: UsersFile | None = None) -> None:
        """
        @param users: The file; L{None}: he is somebody for good.
        """
        self.user = user
        self._users = users
        self._mark = None if users is None else users.mark(user)

    def isTrusted(self, host: str) -> bool:
        """
        Trust no network because of a user.
        """
        return False

    def acceptSender(self, client: Client, sender: str) -> None:
        """
        Take any sender.

        @raise Refused: When the user is not what he was.
        """
        if self._users is not None and self._users.mark(self.user) != self._mark:
            raise Refused(_CHANGED)

    def acceptRecipient(self, client: Client, sender: str, recipient: str) -> None:
        """
        Take any recipient.
        """


@implementer(IRealm)
class UserRealm:
    """
    Makes of each user a L{UserAcceptance}.
    """

    def __init__(self, users: UsersFile | None = None) -> None:
        """
        @param users: The file that they are in; L{None}: they are users for good.
        """
        self._users = users

    def requestAvatar(
        self, avatarId: Any, mind: object, *interfaces: type[Interface]
    ) -> tuple[Any, Any, Callable[[], None]]:
        """
        Give what a user may do.

        @raise NotImplementedError: When it is not an L{IAcceptance} that is wanted,
            or nobody in particular is let in.
        """
        if IAcceptance not in interfaces:
            raise NotImplementedError("users of the relay have an IAcceptance only")
        user = avatarId.decode("utf-8") if isinstance(avatarId, bytes) else avatarId
        if not user:
            raise NotImplementedError("nobody in particular may not send mail")
        return IAcceptance, UserAcceptance(user, self._users), lambda: None


@implementer(ICredentialsChecker)
class UsersChecker:
    """
    Checks what clients show with a file of users.

    @ivar users: The file.
    """

    def __init__(self, users: UsersFile, reactor: object) -> None:
        """
        @param reactor: In whose threads passwords are hashed; without them it is
            done at once.
        """
        self.users = users
        self._reactor = reactor
        self._turns = DeferredSemaphore(_HASHED_AT_ONCE)
        # Keyed with what is nowhere else, so that it says nothing of passwords.
        self._key = secrets.token_bytes(32)
        self._remembered: OrderedDict[bytes, None] = OrderedDict()

    @property
    def credentialInterfaces(self) -> tuple[Any, ...]:
        """
        What can be checked: what CRAM-MD5 shows only where the file has passwords as
        they are.
        """
        always = (IUsernamePassword, IScramCredentials)
        return (*always, IUsernameHashedPassword) if self.users.hasClear else always

    def requestAvatarId(self, credentials: Any) -> Deferred[bytes | tuple[()]]:
        """
        Check what a client shows.

        @return: Fires with its name.  Fails with L{UnauthorizedLogin
            <twisted.cred.error.UnauthorizedLogin>}, or L{Overloaded}.
        """
        return Deferred.fromCoroutine(self._check(credentials))

    async def _check(self, credentials: Any) -> bytes | tuple[()]:
        name: bytes = credentials.username
        user = name.decode("utf-8")
        if IScramCredentials.providedBy(credentials):
            isRight = await credentials.prove(await self._verifier(user))
        elif IUsernameHashedPassword.providedBy(credentials):
            password = self.users.password(user)
            # With nobody's password the digest is made all the same.
            isRight = credentials.checkPassword(password or b"") and bool(password)
        else:
            isRight = await self._isRight(user, credentials.password)
        if not isRight:
            raise UnauthorizedLogin("a wrong password, or no such user")
        return name

    async def _verifier(self, user: str) -> Verifier:
        if not self.users.hasClear:
            return self.users.verifier(user)
        return await self._inThread(self.users.verifier, user)

    async def _isRight(self, user: str, password: bytes) -> bool:
        mark = self.users.mark(user)
        said = user.encode("utf-8") + b"\0" + password + b"\0" + (mark or b"")
        seen = hmac.digest(self._key, said, "sha256")
        if seen in self._remembered:
            self._remembered.move_to_end(seen)
            return True
        isRight = await self._inThread(self._matches, user, password)
        if isRight and mark is not None:
            self._remembered[seen] = None
            if len(self._remembered) > _REMEMBERED:
                self._remembered.popitem(last=False)
        return isRight

    def _matches(self, user: str, password: bytes) -> bool:
        try:
            said = prepared(password)
        except UnusableSecret:
            # One that cannot be prepared is in no file; that takes as long.
            said = password
        return matches(self.users.verifier(user), SHA256, said)

    def _inThread(
        self, function: Callable[..., _Result], *args: Any
    ) -> Deferred[_Result]:
        if len(self._turns.waiting) >= _MOST_WAITING:
            raise Overloaded("too many passwords are being checked")
        reactor: Any = self._reactor
        if not IReactorThreads.providedBy(reactor):
            return maybeDeferred(function, *args)

        def begin(turns: DeferredSemaphore) -> Deferred[_Result]:
            done: Deferred[_Result] = Deferred()

            def end(result: Any) -> None:
                # Not before: a thread goes on when the client is gone that it works
                # for, and so long its turn is not over.
                turns.release()
                done.callback(result)

            pool = reactor.getThreadPool()
            deferToThreadPool(reactor, pool, function, *args).addBoth(end)
            return done

        return self._turns.acquire().addCallback(begin)


class UsersPortal(Portal):
    """
    Lets in the users of a file.
    """

    def __init__(
        self, users: UsersFile, reactor: object, realm: IRealm | None = None
    ) -> None:
        """
        @param reactor: In whose threads passwords are hashed.
        @param realm: What makes avatars of them that are L{IAcceptance}s; L{None}:
            everybody may send mail to everybody.
        """
        self._checker = UsersChecker(users, reactor)
        Portal.__init__(self, realm or UserRealm(users))
        every = (IUsernamePassword, IScramCredentials, IUsernameHashedPassword)
        self.registerChecker(self._checker, *every)

    def listCredentialsInterfaces(self) -> list[Any]:
        """
        Give what can be checked now, as the file is.
        """
        return list(self._checker.credentialInterfaces)
