# -*- test-case-name: relaymail.test.deliver.test_senders -*-
"""
Senders: clients that send one message and say how it went.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any

import idna
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ClientFactory
from twisted.logger import Logger
from twisted.mail._except import SMTPConnectError, SMTPDeliveryError
from twisted.mail.interfaces import IClientAuthentication
from twisted.python.failure import Failure
from twisted.python.util import LineLog
from zope.interface import classImplements

from relaymail.deliver.esmtpclient import ESMTPClient
from relaymail.deliver.session import SUCCESS, checkedIdentity
from relaymail.deliver.smtpclient import SMTPClient
from relaymail.dialogue.sasl import (
    CramMD5ClientAuthenticator,
    LOGINAuthenticator,
    PLAINAuthenticator,
)

if TYPE_CHECKING:
    from twisted.internet.interfaces import (
        IAddress,
        IConnector,
        IOpenSSLClientConnectionCreator,
        IReactorTCP,
    )

#: The name to greet with where none is given.  It is not looked up, for that
#: could wait for a name server.
_HOST_NAME = socket.gethostname().encode("ascii", "replace") or b"localhost"

classImplements(CramMD5ClientAuthenticator, IClientAuthentication)
classImplements(LOGINAuthenticator, IClientAuthentication)
classImplements(PLAINAuthenticator, IClientAuthentication)


class SenderMixin:
    """
    Gives a client the one message of its factory, and the factory the result.

    @ivar done: Whether the message was given.
    """

    done: bool | int = 0
    factory: SMTPSenderFactory

    def getMailFrom(self) -> str | None:
        """
        Give the sender, once.
        """
        if self.done:
            return None
        self.done = 1
        return str(self.factory.fromEmail)

    def getMailTo(self) -> list[bytes]:
        """
        Give the recipients.
        """
        return self.factory.toEmail

    def getMailData(self) -> IO[bytes]:
        """
        Give the message.
        """
        return self.factory.file

    def sendError(self, exc: BaseException) -> None:
        """
        End the session; and the sending too, unless the factory is to try
        again.
        """
        SMTPClient.sendError(self, exc)  # type: ignore[arg-type]
        code = getattr(exc, "code", -1)
        mayPass = getattr(exc, "retry", False) or 400 <= code < 500
        if self.factory.retries >= 0 or not mayPass:
            self.factory.finish(Failure(exc))

    def sentMail(
        self,
        code: int,
        resp: bytes,
        numOk: int,
        addresses: list[tuple[bytes, int, bytes]],
        log: LineLog,
    ) -> None:
        """
        Give the factory the result: C{(numOk, addresses)}, or an
        L{SMTPDeliveryError <twisted.mail.smtp.SMTPDeliveryError>}.
        """
        if code in SUCCESS:
            return self.factory.finish((numOk, addresses))
        refused = [
            b"%s: %03d %s" % (address, acode, aresp)
            for address, acode, aresp in addresses
            if acode not in SUCCESS
        ]
        told = b"\n".join([*refused, log.str()])
        self.factory.finish(Failure(SMTPDeliveryError(code, resp, told, addresses)))


class SMTPSender(SenderMixin, SMTPClient):
    """
    Sends the message of its factory, an L{SMTPSenderFactory}, over SMTP.
    """


class SMTPSenderFactory(ClientFactory):
    """
    Sends one message, trying again when the connection breaks.

    @cvar domain: The name to greet with.
    @ivar currentProtocol: The sender at work, or L{None}.
    @ivar sendFinished: Whether the message was sent, refused or given up.
    @ivar fromEmail: The sender, an L{Address <twisted.mail.smtp.Address>}.
    @ivar toEmail: The recipients.
    @ivar result: The Deferred that is to fire; gone once it did.
    """

    domain: bytes = _HOST_NAME
    protocol: type[SMTPClient] = SMTPSender
    _log = Logger()

    def __init__(
        self,
        fromEmail: bytes | str,
        toEmail: bytes | str | Iterable[bytes | str],
        file: IO[bytes],
        deferred: Deferred[Any],
        retries: int = 5,
        timeout: float | None = None,
    ) -> None:
        """
        @param fromEmail: The sender's address.
        @param toEmail: The recipient's address, or several.
        @param file: The message, lines ending in LF or CRLF.
        @param deferred: Fires with C{(number of recipients accepted,
            [(address, code, resp)])}, or fails.
        @param retries: How often to connect again.
        @param timeout: Seconds to wait for the server each time; L{None} for
            ever.
        """
        # Imported here: twisted.mail.smtp installs a reactor.
        from twisted.mail.smtp import Address

        if not isinstance(retries, int):
            raise TypeError(f"retries is a number, not {retries!r}")
        if isinstance(toEmail, (bytes, str)):
            toEmail = [toEmail]
        self.toEmail = [_asBytes(address) for address in toEmail]
        self.nEmails = len(self.toEmail)
        self.fromEmail = Address(fromEmail)
        self.file = file
        self.result = deferred
        self.result.addBoth(self._removeDeferred)
        self.sendFinished = False
        self.currentProtocol: SMTPClient | None = None
        self.retries = -retries
        self.timeout = timeout

    def finish(self, result: Any) -> None:
        """
        Fire the Deferred, unless it has fired.

        @param result: What it fires with; a L{Failure
            <twisted.python.failure.Failure>} for it to fail.
        """
        self.sendFinished = True
        if hasattr(self, "result"):
            self.result.callback(result)

    def buildProtocol(self, addr: IAddress | None) -> SMTPClient:
        """
        Build the sender.
        """
        return self._adopt(self.protocol(self.domain, self.nEmails * 2 + 2))

    def clientConnectionFailed(self, connector: IConnector, err: Failure) -> None:
        """
        Try again, or give up: there is no connection.
        """
        self._processConnectionError(connector, err)

    def clientConnectionLost(self, connector: IConnector, err: Failure) -> None:
        """
        Try again, or give up, if the message was not sent yet.
        """
        self._processConnectionError(connector, err)

    def _adopt(self, sender: SMTPClient) -> SMTPClient:
        sender.factory = self
        sender.timeout = self.timeout
        self.currentProtocol = sender
        self.result.addBoth(self._removeProtocol)
        return sender

    def _processConnectionError(self, connector: IConnector, err: Failure) -> None:
        sender, self.currentProtocol = self.currentProtocol, None
        if sender is not None and sender._failureReason is not None:
            # It knows better than "closed cleanly", such as why TLS failed.
            err = sender._failureReason
        if self.sendFinished:
            return
        if self.retries < 0:
            self._log.info(
                "SMTP Client retrying server. Retry: {retry}", retry=-self.retries
            )
            self.retries += 1
            try:
                self.file.seek(0, 0)
            except (OSError, ValueError):
                # What was read of it cannot be had again.
                return self.finish(Failure())
            connector.connect()
            return
        error = SMTPConnectError(-1, f"Unable to connect to SMTP server: {err.value}")
        error.__cause__ = err.value
        self.finish(Failure(error))

    def _removeDeferred(self, result: Any) -> Any:
        del self.result
        return result

    def _removeProtocol(self, result: Any) -> Any:
        self.currentProtocol = None
        return result


class ESMTPSender(SenderMixin, ESMTPClient):
    """
    Sends the message of its factory, an L{ESMTPSenderFactory}, over ESMTP.

    @ivar username: Who to authenticate as.
    """

    requireAuthentication = True
    requireTransportSecurity = True
    authenticateInClear = False

    def __init__(
        self,
        username: bytes | None,
        secret: bytes | None,
        contextFactory: IOpenSSLClientConnectionCreator | None = None,
        *args: Any,
        **kw: Any,
    ) -> None:
        """
        @param contextFactory: Makes the TLS connection; without it one is
            made that verifies the C{hostname} of C{kw}, if there is one.
        @param kw: C{hostname}, the name to verify, and keyword arguments of
            L{ESMTPClient.__init__}.
        """
        self.heloFallback = 0
        self.username = username
        self._hostname = kw.pop("hostname", None)
        if contextFactory is None:
            contextFactory = self._getContextFactory()
        ESMTPClient.__init__(self, secret, contextFactory, *args, **kw)
        self._registerAuthenticators()

    def _registerAuthenticators(self) -> None:
        user = self.username or b""
        self.registerAuthenticator(CramMD5ClientAuthenticator(user))
        self.registerAuthenticator(LOGINAuthenticator(user))
        self.registerAuthenticator(PLAINAuthenticator(user))

    def _getContextFactory(self) -> IOpenSSLClientConnectionCreator | None:
        if self.context is not None or self._hostname is None:
            return self.context
        from twisted.internet.ssl import optionsForClientTLS

        return optionsForClientTLS(self._hostname)


class ESMTPSenderFactory(SMTPSenderFactory):
    """
    Sends one message over ESMTP, trying again when the connection breaks.

    @cvar authenticateInClear: Whether the password may be used without TLS.
    """

    protocol = ESMTPSender
    authenticateInClear = False

    def __init__(
        self,
        username: bytes | None,
        password: bytes | None,
        fromEmail: bytes | str,
        toEmail: bytes | str | Iterable[bytes | str],
        file: IO[bytes],
        deferred: Deferred[Any],
        retries: int = 5,
        timeout: float | None = None,
        contextFactory: IOpenSSLClientConnectionCreator | None = None,
        heloFallback: bool = False,
        requireAuthentication: bool = True,
        requireTransportSecurity: bool = True,
        hostname: str | None = None,
    ) -> None:
        """
        @param contextFactory: Makes the TLS connection.
        @param hostname: The name to verify, without C{contextFactory}.
        """
        SMTPSenderFactory.__init__(
            self, fromEmail, toEmail, file, deferred, retries, timeout
        )
        self.username = username
        self.password = password
        self._contextFactory = contextFactory
        self._heloFallback = heloFallback
        self._requireAuthentication = requireAuthentication
        self._requireTransportSecurity = requireTransportSecurity
        self._hostname = hostname

    def buildProtocol(self, addr: IAddress | None) -> SMTPClient:
        """
        Build the sender.
        """
        build: Any = self.protocol
        sender = build(
            self.username,
            self.password,
            self._contextFactory,
            self.domain,
            self.nEmails * 2 + 2,
            hostname=self._hostname,
        )
        sender.heloFallback = self._heloFallback
        sender.requireAuthentication = self._requireAuthentication
        sender.requireTransportSecurity = self._requireTransportSecurity
        sender.authenticateInClear = self.authenticateInClear
        return self._adopt(sender)


class _GlobalReactor:
    """
    Stands for the reactor of the program: installing it is left to whoever
    first uses it.
    """

    def __getattr__(self, name: str) -> Any:
        from twisted.internet import reactor

        return getattr(reactor, name)

    def __eq__(self, other: object) -> bool:
        from twisted.internet import reactor

        return other is self or other is reactor

    def __hash__(self) -> int:
        from twisted.internet import reactor

        return hash(reactor)


_REACTOR: Any = _GlobalReactor()


def sendmail(
    smtphost: bytes | str,
    from_addr: bytes | str,
    to_addrs: bytes | str | Iterable[bytes | str],
    msg: Any,
    senderDomainName: bytes | str | None = None,
    port: int = 25,
    reactor: IReactorTCP = _REACTOR,
    username: bytes | str | None = None,
    password: bytes | str | None = None,
    requireAuthentication: bool = False,
    requireTransportSecurity: bool = False,
    authenticateInClear: bool = False,
) -> Deferred[tuple[int, list[tuple[bytes, int, bytes]]]]:
    """
    Send a message to one host.

    TLS is used where the host offers it; so is the password, over TLS.

    @param smtphost: The host's name or address.
    @param from_addr: The sender's address.
    @param to_addrs: The recipient's address, or several.
    @param msg: The message: a binary file, bytes, or what C{bytes} takes.
        Lines end in LF or CRLF.
    @param senderDomainName: The name to greet with.
    @param port: The port.
    @param reactor: Where to connect.
    @param username: Who to authenticate as.
    @param password: What with; without it nothing is authenticated.
    @param requireAuthentication: Whether to send only if authenticated.
    @param requireTransportSecurity: Whether to send only over TLS.
    @param authenticateInClear: Whether the password may be used without TLS.

    @raise MalformedAddress: When the name to greet with cannot stand in a
        command.

    @return: Fires with C{(number of recipients accepted, [(address, code,
        resp)])} when one was accepted at least, else fails.  It can be
        cancelled: the connection is then closed at once.
    """
    file = msg if hasattr(msg, "read") else BytesIO(bytes(msg))

    def cancel(_: Deferred[Any]) -> None:
        factory.sendFinished = True
        if factory.currentProtocol is not None:
            factory.currentProtocol.transport.abortConnection()
        else:
            connector.disconnect()

    result: Deferred[Any] = Deferred(cancel)
    factory = ESMTPSenderFactory(
        _asBytes(username) if username is not None else None,
        _asBytes(password, "utf-8") if password is not None else None,
        from_addr,
        to_addrs,
        file,
        result,
        heloFallback=True,
        requireAuthentication=requireAuthentication,
        requireTransportSecurity=requireTransportSecurity,
        hostname=_hostText(smtphost),
    )
    factory.authenticateInClear = authenticateInClear
    if senderDomainName is not None:
        factory.domain = checkedIdentity(senderDomainName)
    connect: Any = reactor.connectTCP
    connector = connect(smtphost, port, factory)
    return result


def _asBytes(text: bytes | str, encoding: str = "ascii") -> bytes:
    return text if isinstance(text, bytes) else text.encode(encoding)


def _hostText(host: bytes | str) -> str:
    return host if isinstance(host, str) else idna.decode(host)
