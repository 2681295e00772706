# -*- test-case-name: relaymail.test.deliver.test_relayers -*-
"""
Managed relayers: clients that tell an attempt manager what became of each
letter, and the factories that build one for each host that is reached.

They are public as L{relaymail.relaymanager}'s.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from twisted.internet.protocol import ClientFactory, connectionDone
from twisted.python.failure import Failure

from relaymail import relay, smtp
from relaymail.deliver.preparing import checkPlain, prepare
from relaymail.deliver.reporting import Reporting
from relaymail.deliver.reporting import takesPart as takesPart
from relaymail.deliver.resuming import Resuming, creatorAt, resume
from relaymail.dialogue.patience import PATIENCE
from relaymail.envelopes import Letter
from relaymail.replies import Phase, Reply
from relaymail.route.hosts import Credentials, Host
from relaymail.route.troubles import troubleOf


class ManagedRelayerMixin(Reporting):
    """
    Tells an attempt manager what became of each letter.

    @cvar overlaps: Whether the next transaction begins in the same flight as the
        end of the message before it, where the host has PIPELINING and the class
        gives its letters, and takes its steps, as the ones here do.
    @ivar manager: The attempt manager.
    @ivar factory: The factory that built the relayer, which sets it.
    @ivar ownAddress: The address of this machine that the connection comes from.
    """

    debug = False
    ownAddress = ""
    phaseTimeouts: Mapping[Phase, float] | None = PATIENCE
    resetsAfterMail = False
    forgivesSurplus = False
    overlaps = True

    def __init__(self, manager: Any) -> None:
        """
        @param manager: The attempt manager.
        """
        self.manager = manager

    @property
    def factory(self) -> Any:
        """
        The factory that built the relayer.
        """
        return self._factory

    @factory.setter
    def factory(self, value: Any) -> None:
        self._factory = value

    def connectionMade(self) -> None:
        """
        Begin.
        """
        client: Any = self
        # Once a connection is over it has no address any more.
        self.ownAddress = getattr(client.transport.getHost(), "host", "")
        begun: Any = super()
        begun.connectionMade()

    def sentMail(
        self, code: int, resp: Any, numOk: Any, addresses: Any, log: Any
    ) -> None:
        """
        Tell the attempt manager what became of the letters of a transaction:
        of as many as there are C{addresses}, or of one.
        """
        if takesPart(self.manager):
            lines = tuple((resp or b"").split(b"\n"))
            return self._settle(self.phase, Reply(code, lines), addresses, numOk or 0)
        name = self.names[0]
        if code in smtp.SUCCESS:
            self.manager.notifySuccess(self.factory, name)
        else:
            self.manager.notifyFailure(self.factory, name)
        del self.messages[0]
        del self.names[0]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Tell the attempt manager that no more is sent over this connection.
        """
        lost = getattr(super(), "connectionLost", None)
        if lost is not None:
            lost(reason)
        if takesPart(self.manager):
            self._tellEnd()
        self.manager.notifyDone(self.factory)

    def resume(self, paths: Iterable[str]) -> None:
        """
        Go on, after a wait, with more letters.

        @param paths: Their paths; they are claimed.
        """
        client: Any = self
        client._takeIn(paths)
        client.smtpState_from(250, b"")

    def leave(self) -> None:
        """
        Quit, after a wait for letters that did not come.
        """
        self._sayGoodbye()

    def getMailFrom(self) -> Any:
        """
        Give the sender of the next letter, or L{None} where there is none for
        this connection.
        """
        if self._isLeaving or getattr(self.manager, "isStopping", False):
            return None
        if self._isSpent():
            self._leaveForAnother()
            return None
        return super().getMailFrom()  # type: ignore[misc]

    def _mayLookAhead(self) -> bool:
        """
        Tell, once for a session, whether it may overlap transactions.
        """
        client: Any = self
        ownClass: Any = type(self)
        isAsked = client._isPipelined and self.overlaps and not self.resetsAfterMail
        return isAsked and takesPart(self.manager) and _givesAsUsual(ownClass)

    def _looksAhead(self) -> bool:
        # Whoever leaves gives no sender of a next letter.
        return self._isAhead and not self._isSpent()

    def _goOn(self) -> None:
        client: Any = super()
        if self._behind is None or not getattr(self.manager, "isStopping", False):
            client._goOn()
            return
        # Of the message behind only the envelope was said.
        self._leaveForAnother()
        client._goAway()

    def _open(self, path: str) -> Letter | None:
        if takesPart(self.manager):
            letter: Letter | None = self.manager.openLetter(path)
            return letter
        opened: Letter = super()._open(path)  # type: ignore[misc]
        return opened

    def _moreMessages(self) -> Sequence[str]:
        if not takesPart(self.manager):
            return ()
        paths: Sequence[str] = self.manager.moreMessages(self.factory)
        return paths

    def _nothingToSend(self) -> None:
        client: Any = self
        if (
            not self._isLeaving
            and takesPart(self.manager)
            and self.manager.waitForMessages(self.factory, self)
        ):
            client.setTimeout(None)
            client._await(Phase.IDLE, (), client.smtpState_disconnect)
        else:
            self._sayGoodbye()

    def _sayGoodbye(self) -> None:
        client: Any = self
        self._keepSession()
        client._disconnectFromServer()

    def _keepSession(self) -> None:
        """
        Keep what the next connection to the host can take up.
        """


#: What a client is asked for with each message.
_ASKED = (
    "getMailFrom",
    "getMailTo",
    "getMailData",
    "getMailSize",
    "isMailEightBit",
    "getMailParameters",
    "getRecipientParameters",
)


@cache
def _givesAsUsual(client: Hashable) -> bool:
    """
    Tell whether the letters of a class are those on its lists, in their order.
    """
    return all(
        getattr(client, name)
        is getattr(ManagedRelayerMixin, name, getattr(relay.RelayerMixin, name))
        for name in _ASKED
    )


class SMTPManagedRelayer(ManagedRelayerMixin, relay.SMTPRelayer):
    """
    Sends letters over SMTP, and tells an attempt manager what became of them.

    @ivar factory: The factory that built the relayer, which sets it.
    """

    def __init__(self, messages: Iterable[str], manager: Any, *args: Any, **kw: Any):
        """
        @param messages: The paths of the letters.
        @param manager: The attempt manager.
        @param args: Positional arguments of L{SMTPClient.__init__
            <relaymail.smtp.SMTPClient.__init__>}.
        @param kw: Keyword arguments of it.
        """
        ManagedRelayerMixin.__init__(self, manager)
        relay.SMTPRelayer.__init__(self, messages, *args, **kw)


class ESMTPManagedRelayer(Resuming, ManagedRelayerMixin, relay.ESMTPRelayer):
    """
    Sends letters over ESMTP, and tells an attempt manager what became of them.
    """

    def __init__(self, messages: Iterable[str], manager: Any, *args: Any, **kw: Any):
        """
        @param messages: The paths of the letters.
        @param manager: The attempt manager.
        @param args: Positional arguments of L{ESMTPClient.__init__
            <relaymail.smtp.ESMTPClient.__init__>}.
        @param kw: Keyword arguments of it.
        """
        ManagedRelayerMixin.__init__(self, manager)
        relay.ESMTPRelayer.__init__(self, messages, *args, **kw)

    def handshakeCompleted(self) -> None:
        """
        Tell the attempt manager which TLS there is.
        """
        super().handshakeCompleted()
        handle = getattr(self.transport, "getHandle", lambda: None)()
        version = getattr(handle, "get_protocol_version_name", lambda: "TLS")()
        if self.evidence is None and takesPart(self.manager):
            self.manager.noteTLS(self.factory, version)

    def _authenticated(self, code: int, resp: bytes) -> None:
        super()._authenticated(code, resp)
        note = getattr(self.manager, "noteAuthenticated", None)
        if self.evidence is None and note is not None and takesPart(self.manager):
            note(self.factory)


class SMTPManagedRelayerFactory(ClientFactory):
    """
    Builds an L{SMTPManagedRelayer} for each host that is reached.

    @cvar protocol: What builds it.
    @ivar messages: The paths of the letters to send.
    @ivar manager: The attempt manager.
    @ivar pArgs: Positional arguments of L{SMTPClient.__init__
        <relaymail.smtp.SMTPClient.__init__>}.
    @ivar pKwArgs: Keyword arguments of it.
    @ivar mayBeStale: Whether the relayer that was built last takes up a TLS session
        that the host may not know any more.
    """

    noisy = False
    mayBeStale = False
    protocol: Callable[..., Any] = SMTPManagedRelayer

    def __init__(self, messages: list[str], manager: Any, *args: Any, **kw: Any):
        """
        @param messages: The paths of the letters.
        @param manager: The attempt manager.
        @param args: Positional arguments of L{SMTPClient.__init__
            <relaymail.smtp.SMTPClient.__init__>}.
        @param kw: Keyword arguments of it.
        """
        self.messages = messages
        self.manager = manager
        self.pArgs = args
        self.pKwArgs = kw

    def buildProtocol(self, addr: Any) -> Any:
        """
        Build a relayer.

        @param addr: The address that was reached.

        @return: It, or L{None} where the attempt was given up meanwhile.
        """
        if not self._isWanted(addr):
            return None
        host: Host | None = getattr(self.manager, "host", None)
        if host is not None:
            checkPlain(host)
        built = self.protocol(self.messages, self.manager, *self.pArgs, **self.pKwArgs)
        return self._adopt(built)

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:
        """
        Tell the attempt manager that no host was reached.

        @param connector: What tried, or L{None}.
        @param reason: Why not.
        """
        if takesPart(self.manager):
            trouble = troubleOf(reason, Phase.CONNECT)
            self.manager.noteSession(self, trouble.phase, trouble, 0)
        self.manager.notifyNoConnection(self)
        self.manager.notifyDone(self)

    def _isWanted(self, addr: Any) -> bool:
        """
        Tell the attempt manager that a host was reached.

        @return: Whether there is still something for it.
        """
        if not takesPart(self.manager):
            return True
        self.manager.noteReached(self, getattr(addr, "host", ""))
        return self in self.manager.manager.managed

    def _adopt(self, built: Any) -> Any:
        built.factory = self
        if takesPart(self.manager) and isinstance(built, ManagedRelayerMixin):
            self._equip(built, self.manager.manager)
        return built

    def _equip(self, relayer: Any, relaying: Any) -> None:
        """
        Give a relayer what the relaying manager says.
        """
        relaying.noteRelayer(self, relayer)
        relayer.phaseTimeouts = relaying.phaseTimeouts
        if relaying.reactor is not None:
            relayer.callLater = relaying.reactor.callLater
        if type(relayer).sentMail is ManagedRelayerMixin.sentMail:
            # One that has its own may know only names[0].
            relayer.recipientsPerTransaction = relaying.recipientsPerTransaction
            if getattr(self.manager, "mayShare", False):
                # Hosts that take mail for many domains may not take it for several
                # of them at once.
                relayer.domainsPerTransaction = 1


class ESMTPManagedRelayerFactory(SMTPManagedRelayerFactory):
    """
    Builds an L{ESMTPManagedRelayer} for each host that is reached.

    @ivar secret: What to authenticate with: bytes, or a callable that gives
        them for an address; L{None} for nothing.
    @ivar contextFactory: Makes TLS connections; L{None} for what the host
        needs.
    """

    protocol = ESMTPManagedRelayer

    def __init__(
        self,
        messages: list[str],
        manager: Any,
        secret: Any,
        contextFactory: Any,
        *args: Any,
        **kw: Any,
    ) -> None:
        """
        @param messages: The paths of the letters.
        @param manager: The attempt manager.
        @param secret: See C{secret}.
        @param contextFactory: See C{contextFactory}.
        @param args: Positional arguments of L{SMTPClient.__init__
            <relaymail.smtp.SMTPClient.__init__>}.
        @param kw: Keyword arguments of it.
        """
        self.secret = secret
        self.contextFactory = contextFactory
        SMTPManagedRelayerFactory.__init__(self, messages, manager, *args, **kw)

    def buildProtocol(self, addr: Any) -> Any:
        """
        Build a relayer, with the secret and the TLS for this host.

        @param addr: The address that was reached.

        @return: It, or L{None} where the attempt was given up meanwhile.
        """
        if not self._isWanted(addr):
            return None
        host: Host | None = getattr(self.manager, "host", None)
        secret, context = self.secret, self.contextFactory
        if callable(secret):
            secret = secret(addr)
        if host is not None:
            if context is None:
                context = creatorAt(self, host, getattr(addr, "host", ""))
            if isinstance(host.credentials, Credentials):
                secret = host.credentials.password
        built = self.protocol(
            self.messages, self.manager, secret, context, *self.pArgs, **self.pKwArgs
        )
        if host is not None:
            prepare(built, host)
            if self.contextFactory is None:
                resume(built, self, host, getattr(addr, "host", ""))
        return self._adopt(built)
