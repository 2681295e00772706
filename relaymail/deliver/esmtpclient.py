# -*- test-case-name: relaymail.test.deliver.test_esmtpclient -*-
"""
The ESMTP client: EHLO, STARTTLS (RFC 3207) and AUTH (RFC 4954) before the
transactions of L{SMTPClient}.
"""

from __future__ import annotations

import base64
import binascii
import warnings
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IHandshakeListener, ISSLTransport
from twisted.logger import Logger
from twisted.mail._except import (
    AUTHDeclinedError,
    AuthenticationError,
    AUTHRequiredError,
    EHLORequiredError,
    SMTPConnectError,
    SMTPTLSError,
    TLSRequiredError,
)
from twisted.mail.interfaces import IClientAuthentication
from zope.interface import implementer

from relaymail.deliver.session import SUCCESS, replyOf
from relaymail.deliver.smtpclient import SMTPClient
from relaymail.dialogue.extensions import NO_EXTENSIONS, parseExtensions
from relaymail.replies import Phase, Trouble, TroubleKind

if TYPE_CHECKING:
    from twisted.internet.interfaces import IOpenSSLClientConnectionCreator

#: The most challenges one exchange may have; SCRAM, the longest in use, has 2.
_MAX_CHALLENGES = 10


def _warnTLSMode() -> None:
    warnings.warn(
        "tlsMode attribute of twisted.mail.smtp.ESMTPClient is deprecated "
        "since Twisted 13.0",
        category=DeprecationWarning,
        stacklevel=3,
    )


@implementer(IHandshakeListener)
class ESMTPClient(SMTPClient):
    """
    A client that sends messages over ESMTP.

    @cvar heloFallback: Whether to go on with HELO where the server does not
        know EHLO; it is not done where TLS or authentication is required.
    @cvar requireAuthentication: Whether to send nothing unless authenticated.
    @cvar requireTransportSecurity: Whether to send nothing in clear.
    @cvar authenticateInClear: Whether the secret may be used over a connection
        without TLS.
    @cvar trustsTLS: Whether it may be used over one with TLS: not where the
        server's certificate is not looked at.

    @ivar secret: What to authenticate with; empty or L{None} for nothing.
    @ivar context: Makes the TLS connection for STARTTLS; L{None} for never.
    @ivar authenticators: The mechanisms, the one to try first first.
    """

    heloFallback: bool | int = True
    requireAuthentication = False
    requireTransportSecurity = False
    authenticateInClear = True
    trustsTLS = True
    context: IOpenSSLClientConnectionCreator | None = None
    _tlsMode = False
    _beganTLS = False
    _log = Logger()

    def __init__(
        self,
        secret: bytes | None,
        contextFactory: IOpenSSLClientConnectionCreator | None = None,
        *args: Any,
        **kw: Any,
    ) -> None:
        """
        @param args: Positional arguments of L{SMTPClient.__init__}.
        @param kw: Keyword arguments of L{SMTPClient.__init__}.
        """
        SMTPClient.__init__(self, *args, **kw)
        self.authenticators: list[IClientAuthentication] = []
        self._untried: list[IClientAuthentication] = []
        self._challenges = 0
        self._response = b""
        self.secret = secret
        self.context = contextFactory

    def __getattr__(self, name: str) -> Any:
        """
        There is no such attribute.
        """
        raise AttributeError(
            f"{self.__class__.__name__} instance has no attribute {name!r}"
        )

    @property
    def tlsMode(self) -> bool:
        """
        Whether the connection is over TLS; deprecated, as in Twisted.
        """
        _warnTLSMode()
        return self._tlsMode

    @tlsMode.setter
    def tlsMode(self, value: bool) -> None:
        _warnTLSMode()
        self._tlsMode = value

    # Why a session ends before its first message.

    def esmtpEHLORequired(self, code: int = -1, resp: bytes | None = None) -> None:
        """
        End: ESMTP is needed, and the server does not speak it.
        """
        self._note(replyOf(code, resp))
        told = b"Server does not support ESMTP Authentication"
        self.sendError(EHLORequiredError(502, told, self.log.str()))

    def esmtpAUTHRequired(self, code: int = -1, resp: bytes | None = None) -> None:
        """
        End: authentication is needed, and no mechanism can be used.
        """
        names = b", ".join(a.getName().upper() for a in self.authenticators)
        told = b"Server does not support Client Authentication schemes [%s]" % names
        if not self._mayAuthenticate():
            told += b", or not over a connection like this"
        self._note(Trouble(Phase.AUTH, TroubleKind.AUTH, told.decode("latin-1")))
        self.sendError(AUTHRequiredError(502, told, self.log.str()))

    def esmtpTLSRequired(self, code: int = -1, resp: bytes | None = None) -> None:
        """
        End: TLS is needed, and the server does not offer it.
        """
        told = b"Server does not support secure communication via TLS / SSL"
        self._note(Trouble(Phase.STARTTLS, TroubleKind.TLS, told.decode()))
        self.sendError(TLSRequiredError(502, told, self.log.str()))

    def esmtpTLSFailed(self, code: int = -1, resp: bytes | None = None) -> None:
        """
        End: the server offered TLS, and then there was none.
        """
        told = b"Could not complete the SSL/TLS handshake"
        detail = replyOf(code, resp).text if resp else told.decode()
        self._note(Trouble(Phase.STARTTLS, TroubleKind.TLS, detail))
        self.sendError(SMTPTLSError(code, told, self.log.str()))

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
        self._note(replyOf(code, resp))
        self.sendError(AuthenticationError(code, resp or b"", self.log.str()))

    def registerAuthenticator(self, auth: IClientAuthentication) -> None:
        """
        Add a mechanism; they are tried in the order in which they were added.
        """
        self.authenticators.append(auth)

    def lineReceived(self, line: bytes) -> Any:
        """
        Take a line of the server's, without our secret where the server says
        it back: replies are logged, and told to people.
        """
        if self._response:
            text = line[4:].replace(self._response, b"(response)")
            if self.secret:
                # Some say what they have decoded.
                text = text.replace(self.secret, b"(secret)")
            line = line[:4] + text
        return SMTPClient.lineReceived(self, line)

    # The states, in the order in which a session comes to them.

    def connectionMade(self) -> None:
        """
        Wait for the greeting.
        """
        self._tlsMode = ISSLTransport.providedBy(self.transport)
        SMTPClient.connectionMade(self)
        self._okresponse = self.esmtpState_ehlo

    def esmtpState_ehlo(self, code: int, resp: bytes) -> None:
        """
        Greet with EHLO.
        """
        self.extensions = NO_EXTENSIONS
        self._await(Phase.EHLO, SUCCESS, self.esmtpState_serverConfig)
        self._failresponse = (
            self._fallBack if self._mayFallBack() else self.esmtpEHLORequired
        )
        self.sendLine(b"EHLO " + self.identity)

    def esmtpState_serverConfig(self, code: int, resp: bytes) -> None:
        """
        Learn what the server can do.
        """
        self.extensions = parseExtensions(replyOf(code, resp))
        keywords = self.extensions.keywords
        self.tryTLS(code, resp, {k: v or None for k, v in keywords.items()})

    def tryTLS(
        self, code: int, resp: bytes, items: Mapping[bytes, bytes | None]
    ) -> None:
        """
        Go on to TLS if it is to be had, and is not there yet; else to
        authentication; or end, if TLS is needed and is not to be had.

        @param items: The keywords of the server, in upper case, and the text
            behind each.
        """
        if self._tlsMode:
            self.authenticate(code, resp, items)
        elif self.context is not None and b"STARTTLS" in items:
            self._await(Phase.STARTTLS, (220,), self.esmtpState_starttls)
            self._failresponse = self.esmtpTLSFailed
            self.sendLine(b"STARTTLS")
        elif self.requireTransportSecurity:
            self.esmtpTLSRequired()
        else:
            self.authenticate(code, resp, items)

    def esmtpState_starttls(self, code: int, resp: bytes) -> None:
        """
        Start TLS, and begin anew: what was heard in clear counts for nothing
        (RFC 3207 4.2), least of all what came in clear behind the 220.
        """
        self.clearLineBuffer()
        try:
            self.transport.startTLS(self.context)
        except Exception:
            self._log.failure("TLS could not be started")
            return self.esmtpTLSFailed(451)
        self._tlsMode = self._beganTLS = True
        self.esmtpState_ehlo(code, resp)
        # EHLO is written behind the handshake; till that is done, what goes
        # wrong is the handshake.
        self._enter(Phase.STARTTLS)

    def handshakeCompleted(self) -> None:
        """
        TLS is there: what goes wrong from here on is not the handshake.
        """
        if self.phase is Phase.STARTTLS:
            self._enter(Phase.EHLO)

    def authenticate(
        self, code: int, resp: bytes, items: Mapping[bytes, bytes | None]
    ) -> None:
        """
        Authenticate if there is a secret and a mechanism that the server
        knows too; or end, if that is needed and cannot be; or go on.
        """
        offered = (items.get(b"AUTH") or b"").upper().split()
        self._untried = [
            a for a in self.authenticators if a.getName().upper() in offered
        ]
        if self.secret and self._untried and self._mayAuthenticate():
            self._tryMechanism()
        elif self.requireAuthentication:
            self.esmtpAUTHRequired()
        else:
            self.smtpState_from(code, resp)

    def _tryMechanism(self) -> None:
        self._authinfo = auth = self._untried.pop(0)
        self._challenges = 0
        name = auth.getName().upper()
        if name == b"PLAIN":
            self._await(Phase.AUTH, (235,), self._authenticated)
            self._failresponse = self._esmtpState_plainAuth
            return self._sendInitial(name, 1)
        self._await(Phase.AUTH, (334,), self.esmtpState_challenge)
        self._failresponse = partial(self._mechanismFailed, self.esmtpAUTHServerError)
        self.sendLine(b"AUTH " + name)

    def _esmtpState_plainAuth(self, code: int, resp: bytes) -> None:
        """
        PLAIN was refused: once more without the identity to act as, which some
        servers do not take.
        """
        self._await(Phase.AUTH, (235,), self._authenticated)
        self._failresponse = partial(self._mechanismFailed, self.esmtpAUTHDeclined)
        self._sendInitial(b"PLAIN", 2)

    def esmtpState_challenge(self, code: int, resp: bytes) -> None:
        """
        Answer a challenge.
        """
        self._authResponse(self._authinfo, resp)

    def _authResponse(self, auth: IClientAuthentication, challenge: bytes) -> None:
        self._failresponse = partial(self._mechanismFailed, self.esmtpAUTHDeclined)
        self._challenges += 1
        try:
            if self._challenges > _MAX_CHALLENGES:
                raise binascii.Error("challenges without end")
            decoded = base64.b64decode(challenge)
        except binascii.Error:
            self._await(Phase.AUTH, (), self.esmtpAUTHMalformedChallenge)
            self._failresponse = self.esmtpAUTHMalformedChallenge
            return self.sendLine(b"*")
        self._await(Phase.AUTH, (235, 334), self.smtpState_maybeAuthenticated)
        self._respond(auth, decoded, b"")

    def smtpState_maybeAuthenticated(self, code: int, resp: bytes) -> None:
        """
        Go on to the messages, or to the next challenge.
        """
        if code == 235:
            self._authenticated(code, resp)
        else:
            self._authResponse(self._authinfo, resp)

    def _authenticated(self, code: int, resp: bytes) -> None:
        del self._authinfo
        self._response = b""
        self.smtpState_from(code, resp)

    def _mechanismFailed(self, ended: Any, code: int, resp: bytes) -> None:
        if self._untried and 500 <= code <= 599:
            self._tryMechanism()
        else:
            ended(code, resp)

    # What is decided in one place.

    def _mayFallBack(self) -> bool:
        if self._beganTLS:
            # It knew EHLO a moment ago: whatever this is, it is not an old host.
            return False
        needsTLS = self.requireTransportSecurity and not self._tlsMode
        return bool(self.heloFallback) and not (self.requireAuthentication or needsTLS)

    def _fallBack(self, code: int, resp: bytes) -> None:
        if 500 <= code <= 599:
            self._failresponse = self.smtpConnectionFailed
            return self.smtpState_helo(code, resp)
        # Not now is no answer to whether EHLO is known (RFC 5321 4.1.4).
        self._note(replyOf(code, resp))
        self.sendError(SMTPConnectError(code, resp, self.log.str()))

    def _mayAuthenticate(self) -> bool:
        return (self._tlsMode and self.trustsTLS) or self.authenticateInClear

    def _sendInitial(self, mechanism: bytes, form: int) -> None:
        self._respond(self._authinfo, form, b"AUTH %s " % mechanism)

    def _respond(
        self, auth: IClientAuthentication, challenge: bytes | int, before: bytes
    ) -> None:
        """
        Send the response to a challenge, and do not log it.

        @param before: What stands in front of it.
        """
        answer: Any = auth.challengeResponse
        try:
            self._response = base64.b64encode(answer(self.secret, challenge))
        except Exception as e:
            # The text of the error may hold the secret.
            return self._cannotRespond(auth, type(e).__name__)
        if self.debug:
            self.log.append(b">>> " + before + b"(response)")
        self.transport.write(before + self._response + self.delimiter)

    def _cannotRespond(self, auth: IClientAuthentication, why: str) -> None:
        told = b"%s cannot be done with this identity and secret: %s" % (
            auth.getName().upper(),
            why.encode("ascii", "replace"),
        )
        self._note(Trouble(Phase.AUTH, TroubleKind.AUTH, told.decode("latin-1")))
        self.sendError(AuthenticationError(501, told, self.log.str(), isFatal=True))
