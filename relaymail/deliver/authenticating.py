# -*- test-case-name: relaymail.test.deliver.test_authenticating -*-
"""
The ESMTP client's AUTH (RFC 4954): with mechanisms that were registered, or with the
best that both ends know; with a secret, or with tokens that are asked for when they
are needed.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.protocol import connectionDone
from twisted.internet.threads import deferToThread
from twisted.logger import Logger
from twisted.mail._except import (
    AUTHDeclinedError,
    AuthenticationError,
    AUTHRequiredError,
)
from twisted.mail.interfaces import IClientAuthentication
from twisted.python.failure import Failure

from relaymail.bindings import bindingsOf
from relaymail.deliver.session import replyOf
from relaymail.deliver.smtpclient import SMTPClient
from relaymail.dialogue.replyreader import withoutSecrets
from relaymail.dialogue.sasl.choosing import Means, authenticatorsFor
from relaymail.dialogue.sasl.errors import SASLError, ServerNotProven
from relaymail.errors import TokenError
from relaymail.identities import ITokens
from relaymail.replies import Phase, Reply, Trouble, TroubleKind

#: The most challenges of one exchange; SCRAM, the longest in use, has 2.
_MAX_CHALLENGES = 10
#: The longest AUTH command, in octets; a longer response follows it (RFC 4954 4).
_MAX_COMMAND = 512
#: Octets of chance in a nonce.
_NONCE_BYTES = 18
#: The reply that says that it is the secret that is wrong (RFC 4954 6).
_WRONG_SECRET = 535
#: The reply with which a server hangs up (RFC 5321 3.8).
_HANGS_UP = 421


class Authenticating(SMTPClient):
    """
    What of the ESMTP client says who it is.

    @cvar requireAuthentication: Whether to send nothing unless authenticated.
    @cvar authenticateInClear: Whether the secret may be used over a connection
        without TLS.
    @cvar trustsTLS: Whether it may be used over one with TLS: not where the
        server's certificate is not looked at.

    @ivar secret: What to authenticate with; empty or L{None} for nothing.
    @ivar tokens: Gives the tokens to authenticate with in its place, an L{ITokens
        <relaymail.identities.ITokens>}; L{None} for none.
    @ivar authenticators: The mechanisms, the one to try first first.
    """

    requireAuthentication = False
    authenticateInClear = True
    trustsTLS = True
    tokens: ITokens | None = None
    _tlsMode = False
    _user: bytes | None = None
    _asking: Deferred[Any] | None = None
    _refusal: Reply | None = None
    _refusedToken: bytes | None = None
    _log = Logger()

    def __init__(self, secret: bytes | None, *args: Any, **kw: Any) -> None:
        """
        @param args: Positional arguments of L{SMTPClient.__init__}.
        @param kw: Keyword arguments of L{SMTPClient.__init__}.
        """
        SMTPClient.__init__(self, *args, **kw)
        self.authenticators: list[IClientAuthentication] = []
        self._offered: Collection[bytes] = ()
        self._untried: list[Any] = []
        self._challenges = 0
        self._response = b""
        self.secret = secret

    def registerAuthenticator(self, auth: IClientAuthentication) -> None:
        """
        Add a mechanism; they are tried in the order in which they were added.
        """
        self.authenticators.append(auth)

    def useBest(self, user: bytes) -> None:
        """
        Use the best mechanism that the server knows too, then the next, whatever was
        registered.

        @param user: The identity, UTF-8.
        """
        self._user = user

    # Why a session ends before its first message.

    def esmtpAUTHRequired(self, code: int = -1, resp: bytes | None = None) -> None:
        """
        End: authentication is needed, and no mechanism can be used.
        """
        names = b", ".join(a.getName().upper() for a in self._ownMechanisms())
        told = b"Server does not support Client Authentication schemes [%s]" % names
        if not self._mayAuthenticate():
            told += b", or not over a connection like this"
        self._note(Trouble(Phase.AUTH, TroubleKind.AUTH, told.decode("latin-1")))
        self.sendError(AUTHRequiredError(502, told, self.log.str()))

    def esmtpAUTHDeclined(self, code: int = -1, resp: bytes | None = None) -> None:
        """
        End: the server refused the secret.
        """
        self._note(replyOf(code, resp))
        self.sendError(AUTHDeclinedError(code, resp or b"", self.log.str()))

    def esmtpAUTHMalformedChallenge(
        self, code: int = -1, resp: bytes | None = None
    ) -> None:
        """
        End: the server's challenge was not base64, or there was no end to
        them.
        """
        told = (
            b"Login failed because the SMTP Server returned a malformed "
            b"Authentication Challenge"
        )
        self._note(Trouble(Phase.AUTH, TroubleKind.GARBAGE, told.decode()))
        self.sendError(AuthenticationError(501, told, self.log.str()))

    def esmtpAUTHServerError(self, code: int = -1, resp: bytes | None = None) -> None:
        """
        End: the server refused before it had seen the secret.
        """
        self._stopAsking()
        self._note(replyOf(code, resp))
        self.sendError(AuthenticationError(code, resp or b"", self.log.str()))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Ask for no token any more; a server that hung up because it had refused us
        did it for that reason.
        """
        self._stopAsking()
        if self._refusal is not None and self.phase is Phase.AUTH:
            self._note(self._refusal)
        SMTPClient.connectionLost(self, reason)

    def lineReceived(self, line: bytes) -> Any:
        """
        Take a line of the server's, without our secret where the server says
        it back: replies are logged, and told to people.
        """
        if not (line.startswith(b"334") and 334 in self._expected):
            # A challenge, which is for the mechanism, may look like a short secret.
            line = self._shown(line)
        return SMTPClient.lineReceived(self, line)

    def _shown(self, line: bytes) -> bytes:
        return withoutSecrets(line, self._response, self.secret)

    # The states, in the order in which a session comes to them.

    def authenticate(
        self, code: int, resp: bytes, items: Mapping[bytes, bytes | None]
    ) -> None:
        """
        Authenticate if there is a secret and a mechanism that the server
        knows too; or end, if that is needed and cannot be; or go on.
        """
        self._offered = (items.get(b"AUTH") or b"").upper().split()
        self._untried = self._fitting()
        hasSecret = bool(self.secret) or self.tokens is not None
        if hasSecret and self._untried and self._mayAuthenticate():
            self._begin()
        elif self.requireAuthentication:
            self.esmtpAUTHRequired()
        else:
            self.smtpState_from(code, resp)

    def _begin(self) -> None:
        if self.tokens is None:
            return self._tryMechanism()
        asking = self._waitFor(maybeDeferred(self.tokens.token))
        asking.addCallbacks(self._tokenGiven, self._noToken)
        asking.addErrback(
            lambda failure: self._log.failure(
                "A client could not go on with its token", failure
            )
        )

    def _waitFor(self, asked: Deferred[Any]) -> Deferred[Any]:
        """
        Say nothing to the server before somebody else has answered.
        """
        self._await(Phase.AUTH, (), self.esmtpAUTHServerError)
        # Whatever the server says now is no answer to anything.
        self._failresponse = self.esmtpAUTHServerError
        self._asking = asked
        return asked

    def _tokenGiven(self, token: bytes) -> None:
        if not self._isAsking():
            return
        refusal = self._refusal
        if token == self._refusedToken and refusal is not None:
            # The same again: it would be refused again.
            return self.esmtpAUTHDeclined(refusal.code, b"\n".join(refusal.lines))
        self.secret = token
        self._tryMechanism()

    def _noToken(self, failure: Failure) -> None:
        if not self._isAsking():
            return
        isTold = failure.check(TokenError) is not None
        # The text of any other error may have secrets in it.
        told = str(failure.value) if isTold else type(failure.value).__name__
        if not isTold:
            self._log.error("A token could not be had: {error}", error=told)
        self._note(Trouble(Phase.AUTH, TroubleKind.AUTH, told))
        text = told.encode("utf-8", "replace")
        self.sendError(AuthenticationError(454, text, self.log.str()))

    def _isAsking(self) -> bool:
        """
        Tell whether the answer is still waited for; it is not, from here on.
        """
        asking, self._asking = self._asking, None
        return asking is not None and self.evidence is None

    def _stopAsking(self) -> None:
        asking, self._asking = self._asking, None
        if asking is not None:
            # Nobody waits for what it gives now.
            asking.addErrback(lambda failure: None)
            asking.cancel()

    def _tryMechanism(self) -> None:
        self._authinfo = auth = self._untried.pop(0)
        self._challenges = 0
        name = auth.getName().upper()
        begin = getattr(auth, "initialResponse", None)
        if begin is not None:
            return self._tryInitial(name, begin)
        if name == b"PLAIN":
            self._await(Phase.AUTH, (235,), self._authenticated)
            self._failresponse = self._esmtpState_plainAuth
            return self._sendPlain(1)
        self._await(Phase.AUTH, (334,), self.esmtpState_challenge)
        self._failresponse = partial(self._mechanismFailed, self.esmtpAUTHServerError)
        self.sendLine(b"AUTH " + name)

    def _tryInitial(self, name: bytes, begin: Any) -> None:
        try:
            response = begin(self.secret)
        except Exception as e:
            # Nothing was sent: what one cannot say another may.
            if self._untried:
                return self._tryMechanism()
            return self._cannotRespond(self._authinfo, e)
        command = b"AUTH %s " % name
        if len(command) + 4 * (len(response) + 2) // 3 + 2 > _MAX_COMMAND:
            self._await(Phase.AUTH, (334,), partial(self._sendLate, response))
            self._failresponse = partial(
                self._mechanismFailed, self.esmtpAUTHServerError
            )
            return self.sendLine(command.rstrip())
        self._sendInitial(response, command)

    def _sendLate(self, response: bytes, code: int, resp: bytes) -> None:
        self._sendInitial(response, b"")

    def _sendInitial(self, response: bytes, before: bytes) -> None:
        self._await(Phase.AUTH, (235, 334), self.smtpState_maybeAuthenticated)
        self._failresponse = partial(self._mechanismFailed, self.esmtpAUTHDeclined)
        self._sendSecretly(response, before)

    def _esmtpState_plainAuth(self, code: int, resp: bytes) -> None:
        """
        PLAIN was refused: once more without the identity to act as, which some
        servers do not take.
        """
        self._await(Phase.AUTH, (235,), self._authenticated)
        self._failresponse = partial(self._mechanismFailed, self.esmtpAUTHDeclined)
        self._sendPlain(2)

    def esmtpState_challenge(self, code: int, resp: bytes) -> None:
        """
        Answer a challenge.
        """
        self._authResponse(self._authinfo, resp)

    def _authResponse(self, auth: IClientAuthentication, challenge: bytes) -> None:
        self._challenges += 1
        try:
            if self._challenges > _MAX_CHALLENGES:
                raise binascii.Error("challenges without end")
            decoded = base64.b64decode(challenge)
        except binascii.Error:
            self._await(Phase.AUTH, (), self.esmtpAUTHMalformedChallenge)
            self._failresponse = self.esmtpAUTHMalformedChallenge
            return self.sendLine(b"*")
        workFor = getattr(auth, "workFor", None)
        work = None if workFor is None else workFor(self.secret, decoded)
        if work is None:
            return self._answerChallenge(auth, decoded)
        self._waitFor(deferToThread(work)).addBoth(self._worked, auth, decoded)

    def _worked(self, _: Any, auth: IClientAuthentication, challenge: bytes) -> None:
        if self._isAsking():
            self._answerChallenge(auth, challenge)

    def _answerChallenge(self, auth: IClientAuthentication, challenge: bytes) -> None:
        self._await(Phase.AUTH, (235, 334), self.smtpState_maybeAuthenticated)
        self._failresponse = partial(self._mechanismFailed, self.esmtpAUTHDeclined)
        self._respond(auth, challenge, b"")

    def smtpState_maybeAuthenticated(self, code: int, resp: bytes) -> None:
        """
        Go on to the messages, or to the next challenge.
        """
        if code == 235:
            self._authenticated(code, resp)
        else:
            self._authResponse(self._authinfo, resp)

    def _authenticated(self, code: int, resp: bytes) -> None:
        accepted = getattr(self._authinfo, "accepted", None)
        if accepted is not None:
            try:
                accepted(resp)
            except SASLError as e:
                return self._cannotRespond(self._authinfo, e)
        del self._authinfo
        self._response = b""
        self._refusal = None
        self.smtpState_from(code, resp)

    def _mechanismFailed(self, ended: Any, code: int, resp: bytes) -> None:
        if code == _HANGS_UP and self._refusal is not None:
            self._note(self._refusal)
        if not 500 <= code <= 599:
            ended(code, resp)
            return
        self._refusal = replyOf(code, resp)
        blamesSecret = getattr(self._authinfo, "blamesSecret", False)
        if self._untried and not blamesSecret:
            return self._tryMechanism()
        if self.tokens is not None and (blamesSecret or code == _WRONG_SECRET):
            return self._tokenRefused(ended, code, resp)
        ended(code, resp)

    def _tokenRefused(self, ended: Any, code: int, resp: bytes) -> None:
        """
        Say that the token was refused, and try another one, once.
        """
        assert self.tokens is not None and self.secret is not None
        isSecond = self._refusedToken is not None
        self._refusedToken = self.secret
        try:
            self.tokens.refused(self.secret)
        except Exception:
            self._log.failure("It could not be told that a token was refused")
        if isSecond:
            ended(code, resp)
            return
        self._untried = self._fitting()
        self._begin()

    # What is decided in one place.

    def _mayAuthenticate(self) -> bool:
        return (self._tlsMode and self.trustsTLS) or self.authenticateInClear

    def _means(self) -> Means:
        return Means(
            self._user or b"",
            hasPassword=bool(self.secret),
            hasToken=self.tokens is not None,
            isAllowed=self._mayAuthenticate(),
            bindings=bindingsOf(self.transport) if self._tlsMode else {},
        )

    def _fitting(self) -> list[Any]:
        """
        Give the mechanisms that both ends know.
        """
        if self._user is not None:
            return authenticatorsFor(self._offered, self._means(), _makeNonce)
        return [a for a in self.authenticators if a.getName().upper() in self._offered]

    def _ownMechanisms(self) -> list[Any]:
        """
        Give those that this end knows.
        """
        if self._user is None:
            return list(self.authenticators)
        means = replace(self._means(), isAllowed=True)
        return authenticatorsFor(None, means, _makeNonce)

    def _sendPlain(self, form: int) -> None:
        self._respond(self._authinfo, form, b"AUTH PLAIN ")

    def _respond(
        self, auth: IClientAuthentication, challenge: bytes | int, before: bytes
    ) -> None:
        """
        Send the response to a challenge, and do not log it.

        @param before: What stands in front of it.
        """
        answer: Any = auth.challengeResponse
        try:
            response = answer(self.secret, challenge)
        except Exception as e:
            return self._cannotRespond(auth, e)
        self._sendSecretly(response, before)

    def _sendSecretly(self, response: bytes, before: bytes) -> None:
        encoded = base64.b64encode(response)
        # An empty one says nothing; what was said before it stays secret.
        self._response = encoded or self._response
        if self.debug:
            self.log.append(b">>> " + before + b"(response)")
        self.transport.write(before + encoded + self.delimiter)

    def _cannotRespond(self, auth: IClientAuthentication, why: Exception) -> None:
        # The text of any other error may hold the secret.
        text = str(why) if isinstance(why, SASLError) else type(why).__name__
        what = b"cannot be done with this identity and secret"
        if isinstance(why, ServerNotProven):
            what = b"was broken off"
        name = auth.getName().upper()
        told = b"%s %s: %s" % (name, what, text.encode("ascii", "replace"))
        self._note(Trouble(Phase.AUTH, TroubleKind.AUTH, told.decode("latin-1")))
        self.sendError(AuthenticationError(501, told, self.log.str(), isFatal=True))


def _makeNonce() -> bytes:
    return secrets.token_urlsafe(_NONCE_BYTES).encode("ascii")
