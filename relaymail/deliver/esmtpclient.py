# -*- test-case-name: relaymail.test.deliver.test_esmtpclient -*-
"""
The ESMTP client: EHLO and STARTTLS (RFC 3207), then L{AUTH
<relaymail.deliver.authenticating>}, before the transactions of L{SMTPClient}.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IHandshakeListener, ISSLTransport
from twisted.logger import Logger
from twisted.mail._except import (
    EHLORequiredError,
    SMTPConnectError,
    SMTPTLSError,
    TLSRequiredError,
)
from zope.interface import implementer

from relaymail.deliver.authenticating import Authenticating
from relaymail.deliver.session import SUCCESS, replyOf
from relaymail.dialogue.extensions import NO_EXTENSIONS, parseExtensions
from relaymail.protections import TLSResult
from relaymail.replies import Evidence, Phase, Trouble, TroubleKind

if TYPE_CHECKING:
    from twisted.internet.interfaces import IOpenSSLClientConnectionCreator

    from relaymail.route.peers import Problem


def _warnTLSMode() -> None:
    warnings.warn(
        "tlsMode attribute of twisted.mail.smtp.ESMTPClient is deprecated "
        "since Twisted 13.0",
        category=DeprecationWarning,
        stacklevel=3,
    )


@implementer(IHandshakeListener)
class ESMTPClient(Authenticating):
    """
    A client that sends messages over ESMTP.

    @cvar heloFallback: Whether to go on with HELO where the server does not
        know EHLO; it is not done where TLS or authentication is required.
    @cvar requireTransportSecurity: Whether to send nothing in clear.
    @cvar requireTLS: Whether it is for mail that may go over TLS only, to hosts that
        promise the same for the rest of the way (RFC 8689 4.2.1).

    @cvar peerCheck: Says what is wrong with the host once a handshake is over, where
        more is to be seen than the handshake sees; L{None} for nothing.  Till it has
        said that nothing is, nothing is written over TLS.

    @ivar context: Makes the TLS connection for STARTTLS; L{None} for never.
    """

    heloFallback: bool | int = True
    requireTransportSecurity = False
    requireTLS = False
    peerCheck: Callable[[Any], Problem | None] | None = None
    context: IOpenSSLClientConnectionCreator | None = None
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
        Authenticating.__init__(self, secret, *args, **kw)
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

    def esmtpTLSRequired(self, code: int = -1, resp: bytes | None = None) -> None:
        """
        End: TLS is needed, and the server does not offer it.
        """
        told = b"Server does not support secure communication via TLS / SSL"
        detail, result = "the host does not offer STARTTLS", TLSResult.NO_STARTTLS
        # REQUIRETLS is offered under TLS only (RFC 8689 2): so it is not, either.
        kind = TroubleKind.NO_REQUIRETLS if self.requireTLS else TroubleKind.TLS
        self._note(Trouble(Phase.STARTTLS, kind, detail, result))
        self.sendError(TLSRequiredError(502, told, self.log.str()))

    def esmtpTLSFailed(self, code: int = -1, resp: bytes | None = None) -> None:
        """
        End: the server offered TLS, and then there was none.
        """
        told = b"Could not complete the SSL/TLS handshake"
        detail, result = told.decode(), TLSResult.FAILED
        if resp:
            detail, result = replyOf(code, resp).text, TLSResult.NO_STARTTLS
        self._note(Trouble(Phase.STARTTLS, TroubleKind.TLS, detail, result))
        self.sendError(SMTPTLSError(code, told, self.log.str()))

    # The states, in the order in which a session comes to them.

    def connectionMade(self) -> None:
        """
        Wait for the greeting.
        """
        self._tlsMode = ISSLTransport.providedBy(self.transport)
        Authenticating.connectionMade(self)
        self._okresponse = self.esmtpState_ehlo

    def esmtpState_ehlo(self, code: int, resp: bytes) -> None:
        """
        Greet with EHLO, or with LHLO where LMTP is spoken (RFC 2033 4.1).
        """
        self.extensions = NO_EXTENSIONS
        self._await(Phase.EHLO, SUCCESS, self.esmtpState_serverConfig)
        self._failresponse = (
            self._fallBack if self._mayFallBack() else self.esmtpEHLORequired
        )
        self.sendLine((b"LHLO " if self.lmtp else b"EHLO ") + self.identity)

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
        if self.peerCheck is not None:
            # Who it is, is seen after the handshake: EHLO waits for that.
            self._await(Phase.STARTTLS, (), self.esmtpTLSFailed)
            return
        self.esmtpState_ehlo(code, resp)
        # EHLO is written behind the handshake; till that is done, what goes
        # wrong is the handshake.
        self._enter(Phase.STARTTLS)

    def handshakeCompleted(self) -> None:
        """
        TLS is there: look who it is, before anything is said to it.  What goes wrong
        from here on is not the handshake.
        """
        if self.peerCheck is not None:
            problem = self.peerCheck(self.transport.getHandle())
            if problem is not None:
                return self._turnAway(problem)
        if self.phase is not Phase.STARTTLS:
            # TLS began with the connection: the host speaks first.
            return None
        if self.peerCheck is None:
            return self._enter(Phase.EHLO)
        return self.esmtpState_ehlo(220, b"")

    def _turnAway(self, problem: Problem) -> None:
        """
        Leave without a word: it is not the host.
        """
        self.phase, kind = Phase.STARTTLS, TroubleKind.TLS
        self._note(Trouble(self.phase, kind, problem.why, problem.result))
        self.clearLineBuffer()
        self.setRawMode()
        self.transport.abortConnection()

    def _note(self, evidence: Evidence) -> None:
        if (
            isinstance(evidence, Trouble)
            and evidence.result is None
            and self.phase is Phase.STARTTLS
        ):
            evidence = replace(evidence, result=TLSResult.FAILED)
        super()._note(evidence)

    # What is decided in one place.

    def _mayFallBack(self) -> bool:
        if self._beganTLS or self.lmtp:
            # It knew EHLO a moment ago: whatever this is, it is not an old host.
            # Of LMTP there is no older form.
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
