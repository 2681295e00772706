# -*- test-case-name: relaymail.test.intake.test_authentication -*-
"""
How the intake's clients say who they are (RFC 4954): mechanisms in front of a portal
of C{twisted.cred}.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

from twisted.cred.credentials import (
    IUsernameHashedPassword,
    IUsernamePassword,
    UsernamePassword,
)
from twisted.cred.error import LoginDenied, LoginFailed, UnauthorizedLogin
from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from relaymail.dialogue.answers import answer
from relaymail.dialogue.sasl.errors import Denied, MalformedResponse
from relaymail.dialogue.sasl.scram import SHA256, Verifier
from relaymail.dialogue.sasl.scramserver import SCRAMServer
from relaymail.dialogue.sasl.serving import (
    CramMD5Server,
    LOGINServer,
    OAUTHBEARERServer,
    PLAINServer,
    ServerMechanism,
)
from relaymail.dialogue.sasl.steps import (
    Asks,
    Checks,
    Claim,
    DigestClaim,
    Ends,
    PasswordClaim,
    ScramClaim,
    Step,
    TokenClaim,
)
from relaymail.envelopes import Client
from relaymail.errors import Refused
from relaymail.identities import Authenticated, Challenge, IAuthentication, IExchange
from relaymail.intake.checkers import Overloaded, UsersPortal
from relaymail.intake.credentials import (
    BearerToken,
    DigestCredentials,
    IBearerToken,
    IScramCredentials,
    ScramCredentials,
)
from relaymail.intake.guarding import FailureGuard
from relaymail.intake.peers import networkOf
from relaymail.intake.users import UsersFile
from relaymail.interfaces import IAcceptance
from relaymail.replies import printable

#: The same for who is not known and for a wrong secret (RFC 4954 6).
_DENIED = answer(535, "5.7.8", "Authentication credentials invalid")
_MALFORMED = answer(501, "5.5.2", "That is no response of the mechanism's")
_FAILURE = answer(454, "4.7.0", "Temporary authentication failure; try again later")
_OUT = answer(454, "4.7.0", "Too many failed attempts; try again later")

#: Octets of chance in a nonce or a challenge.
_NONCE_BYTES = 18
#: The longest name that is logged, in characters.
_LOGGED = 80
#: What clients are counted under of whom no address is known, as where a proxy does
#: not say it.
_NOWHERE = "unknown"


def fromFile(
    path: str,
    reactor: Any,
    hostname: str = "localhost",
    guard: FailureGuard | None = None,
) -> Authentication:
    """
    Let the users of a file authenticate.

    @param path: The file; see L{relaymail.intake.users}.
    @param reactor: What tells the time, and in whose threads passwords are hashed.
    @param hostname: The name of this host.
    @param guard: Keeps those out who fail too often, where there was one before;
        L{None} for a new one.

    @raise ConfigurationError: When the file cannot be used.
    """
    portal = UsersPortal(UsersFile(path), reactor)
    return Authentication(portal, reactor, hostname, guard)


@implementer(IAuthentication)
class Authentication:
    """
    Lets clients authenticate for a portal, whose avatars are L{IAcceptance}s.

    The mechanisms are those whose credentials the portal's checkers can check:
    C{IUsernamePassword}, C{IUsernameHashedPassword}, L{IScramCredentials} and
    L{IBearerToken}.  An avatar that has a C{user} says by that who it is, else it is
    who it said.  What the portal gives to log out is not called, for nobody knows how
    long an avatar is asked.

    @ivar portal: The portal.
    @ivar guard: Keeps those out for a while who fail too often.
    """

    log = Logger()

    def __init__(
        self,
        portal: Portal,
        clock: IReactorTime,
        hostname: str = "localhost",
        guard: FailureGuard | None = None,
    ) -> None:
        """
        @param portal: The portal.
        @param clock: What tells the time, for the guard.
        @param hostname: The name of this host, which challenges have in them.
        @param guard: Keeps those out who fail too often; L{None} for a usual one.
        """
        self.portal = portal
        self.guard = FailureGuard(clock) if guard is None else guard
        self._hostname = hostname

    def mechanisms(
        self, isSecure: bool, bindings: Mapping[str, bytes]
    ) -> tuple[str, ...]:
        """
        Give the mechanisms that can be used, the best first: those in which the
        secret itself is said only where nobody else can read it.
        """
        checked = set(self.portal.listCredentialsInterfaces())
        return tuple(
            name
            for name, (interface, isSaid, _) in _MECHANISMS.items()
            if interface in checked
            and (isSecure or not isSaid)
            and (bindings or not name.endswith("-PLUS"))
        )

    def begin(
        self, mechanism: str, client: Client, bindings: Mapping[str, bytes]
    ) -> Exchange:
        """
        Begin an exchange.
        """
        make = _MECHANISMS[mechanism][2]
        return Exchange(self, mechanism, make(self._hostname, bindings), client)


@implementer(IExchange)
class Exchange:
    """
    A client that is authenticating for a portal.
    """

    def __init__(
        self,
        authentication: Authentication,
        mechanism: str,
        server: ServerMechanism,
        client: Client,
    ) -> None:
        """
        @param server: The mechanism itself.
        @param client: Who is talking.
        """
        self._authentication = authentication
        self._mechanism = mechanism
        self._server = server
        self._client = client
        # Whoever may send mail without all this has no need to guess, and its
        # neighbours shall not suffer from an old password.
        self._source = "" if client.trusted else networkOf(client.host) or _NOWHERE
        self._user = ""
        self._isNoted = False
        self._avatar: Any = None
        self._login: Deferred[Any] | None = None
        self._scram: ScramCredentials | None = None

    def respond(self, response: bytes | None) -> Deferred[Challenge | Authenticated]:
        """
        Take what the client responds.
        """
        return Deferred.fromCoroutine(self._respond(response))

    async def _respond(self, response: bytes | None) -> Challenge | Authenticated:
        guard = self._authentication.guard
        if self._source and guard.isOut(self._source):
            raise Refused(_OUT)
        try:
            step = await self._next(response)
        except MalformedResponse:
            raise Refused(_MALFORMED) from None
        except Denied as e:
            self._failed(str(e))
            raise Refused(_DENIED) from None
        except Overloaded:
            raise Refused(_FAILURE) from None
        if isinstance(step, Asks):
            return Challenge(step.data)
        assert isinstance(step, Ends)
        if not IAcceptance.providedBy(self._avatar):
            raise TypeError("the portal gave an avatar that is no IAcceptance")
        user = getattr(self._avatar, "user", "") or step.user
        if not user:
            raise TypeError("the portal does not say whose the token is")
        if self._source:
            guard.succeeded(self._source, self._user)
        return Authenticated(user, self._avatar)

    async def _next(self, response: bytes | None) -> Step:
        try:
            step = self._server.respond(response)
        except (MalformedResponse, Denied):
            await self._proved(isRight=False)
            raise
        if isinstance(step, Checks):
            self._user = step.claim.user
            step = self._server.judged(await self._judge(step.claim))
        elif isinstance(step, Asks) and step.isProven:
            await self._proved(isRight=True)
        return step

    async def _judge(self, claim: Claim) -> bool | Verifier:
        if isinstance(claim, ScramClaim):
            return await self._verifier(claim)
        try:
            self._avatar = await self._logIn(_credentials(claim))
        except (LoginFailed, LoginDenied, UnauthorizedLogin):
            self._failed("a wrong secret, or no such user")
            return False
        return True

    async def _verifier(self, claim: ScramClaim) -> Verifier:
        """
        Begin to log in, and wait till the checker gives what it keeps of the
        password.
        """
        credentials = self._scram = ScramCredentials(claim)
        self._login = login = self._logIn(credentials)
        login.addBoth(_endsWaiting, credentials)
        try:
            return await credentials.verifier
        except (LoginFailed, LoginDenied, UnauthorizedLogin):
            raise Denied("no such user") from None

    async def _proved(self, *, isRight: bool) -> None:
        """
        Tell the checker whether the client knows the password, and wait for what it
        makes of that.
        """
        login, self._login = self._login, None
        if login is None or self._scram is None:
            return
        self._scram.proof.callback(isRight)
        try:
            self._avatar = await login
        except (LoginFailed, LoginDenied, UnauthorizedLogin):
            raise Denied("a wrong proof, or no such user") from None
        if not isRight:
            self._avatar = None

    def _logIn(self, credentials: Any) -> Deferred[Any]:
        login: Deferred[Any] = maybeDeferred(
            self._authentication.portal.login, credentials, None, IAcceptance
        )
        return login.addCallback(lambda result: result[1])

    def _failed(self, why: str) -> None:
        """
        Log that the client failed, and count it, once.
        """
        if self._isNoted:
            return
        self._isNoted = True
        self._authentication.log.warn(
            "{mechanism} as {user} from {host} was refused: {why}.",
            mechanism=self._mechanism,
            user=printable(self._user, _LOGGED) or "nobody",
            host=self._client.host or "this host",
            why=why,
        )
        guard = self._authentication.guard
        if self._source and guard.failed(self._source, self._user):
            self._authentication.log.warn(
                "Clients at {source} failed to authenticate too often; for a while "
                "they cannot try.",
                source=self._source,
            )


def _endsWaiting(result: Any, credentials: ScramCredentials) -> Any:
    """
    Let nobody wait for a verifier that does not come.
    """
    if not credentials.verifier.called:
        isFailure = isinstance(result, Failure)
        why = result if isFailure else Failure(TypeError("nothing was proved"))
        credentials.verifier.errback(why)
        return None
    return result


def _credentials(claim: Claim) -> Any:
    match claim:
        case PasswordClaim(user, password):
            return UsernamePassword(user.encode("utf-8"), password)
        case DigestClaim():
            return DigestCredentials(claim)
        case TokenClaim():
            return BearerToken(claim)
        case ScramClaim():
            return ScramCredentials(claim)


def _nonce() -> bytes:
    return secrets.token_urlsafe(_NONCE_BYTES).encode("ascii")


def _bound(hostname: str, bindings: Mapping[str, bytes]) -> ServerMechanism:
    return SCRAMServer(SHA256, _nonce(), bindings, isBound=True)


def _unbound(hostname: str, bindings: Mapping[str, bytes]) -> ServerMechanism:
    return SCRAMServer(SHA256, _nonce(), bindings, isBound=False)


def _cramMD5(hostname: str, bindings: Mapping[str, bytes]) -> ServerMechanism:
    return CramMD5Server(b"<%s@%s>" % (_nonce(), hostname.encode("ascii", "replace")))


_Make = Callable[[str, Mapping[str, bytes]], ServerMechanism]

#: The mechanisms, the best first: what checks their credentials, whether the secret
#: itself is said, and what makes the server's side.
_MECHANISMS: dict[str, tuple[Any, bool, _Make]] = {
    "SCRAM-SHA-256-PLUS": (IScramCredentials, False, _bound),
    "SCRAM-SHA-256": (IScramCredentials, False, _unbound),
    "OAUTHBEARER": (IBearerToken, True, lambda *_: OAUTHBEARERServer()),
    "CRAM-MD5": (IUsernameHashedPassword, False, _cramMD5),
    "PLAIN": (IUsernamePassword, True, lambda *_: PLAINServer()),
    "LOGIN": (IUsernamePassword, True, lambda *_: LOGINServer()),
}
