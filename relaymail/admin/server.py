# -*- test-case-name: relaymail.test.admin.test_server -*-
"""
The control API as a service: its entrances, and what listens to the relay.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from relaymail.admin import sockets
from relaymail.admin.channels import ControlFactory
from relaymail.admin.desk import Desk, Run
from relaymail.admin.guarding import Rules, plainHost
from relaymail.admin.openapi import document
from relaymail.errors import ConfigurationError
from relaymail.inspection import IInspectable
from relaymail.ports import checkEndpoint

#: The shortest token that is taken, in octets: fewer could be guessed.
LEAST_TOKEN = 16
#: How often the counters are looked at, to know how fast they grow, in seconds.
SAMPLE = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlSettings:
    """
    How the API is reached.

    @ivar socket: The path of the socket; empty: there is none.
    @ivar isOptional: Whether the relay goes on without the socket where it cannot
        be had: nobody has asked for it.
    @ivar endpoint: The endpoint (as Twisted describes them) for TCP; empty: there
        is none.
    @ivar token: What must be shown there.
    @ivar hosts: The names by which it may be asked for there.
    @ivar origins: The origins of pages that may ask.
    """

    socket: str = ""
    isOptional: bool = False
    endpoint: str = ""
    token: bytes | None = field(default=None, repr=False)
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()


class ControlService(Service):
    """
    The control API of a relay.

    @ivar desk: Where what is asked is answered.
    @ivar settings: How it is reached; when they are set anew, what listens is left
        as it is, and who may come in is not.
    @ivar ports: What listens.
    """

    _log = Logger()

    def __init__(
        self,
        relay: Any,
        settings: ControlSettings,
        reactor: Any = None,
        run: Run | None = None,
    ) -> None:
        """
        Nothing is opened before it is started.

        @param relay: The relay, see L{Desk}; it is started before this is.
        @param reactor: What listens; L{None} for the global one.
        @param run: Runs a function in a thread; L{None}: in one of the reactor's.
        """
        if reactor is None:
            from twisted.internet import reactor
        self._reactor = reactor
        self.settings = settings
        self.desk = Desk(relay, reactor, run or self._inThread, describe=document)
        self.ports: list[IListeningPort] = []
        self._factories: list[ControlFactory] = []
        self._sampling = LoopingCall(self._sample)
        self._sampling.clock = reactor

    @property
    def addresses(self) -> list[Any]:
        """
        The addresses that are listened on.
        """
        return [port.getHost() for port in self.ports]

    def startService(self) -> None:
        """
        Listen, and begin to note what becomes of mail.

        @raise ConfigurationError: When an entrance cannot be had; then there is
            none.
        """
        settings = self.settings
        try:
            if settings.socket:
                self._openSocket(settings)
            if settings.endpoint:
                self._openEndpoint(settings)
        except ConfigurationError:
            self._close()
            raise
        super().startService()
        self.desk.isStopping = False
        self.desk.manager.onOutcome = self.desk.recent.noteOutcome
        self._sampling.start(SAMPLE)

    def stopService(self) -> Deferred[None]:
        """
        Answer what is under way, within a bound, and close.
        """
        super().stopService()
        self.desk.isStopping = True
        if self._sampling.running:
            self._sampling.stop()
        return self._close()

    def _openSocket(self, settings: ControlSettings) -> None:
        path = os.path.abspath(settings.socket)
        factory = ControlFactory(self.desk, self._localRules, self._reactor)
        try:
            self.ports.append(sockets.listen(path, factory, self._reactor))
        except ConfigurationError as e:
            if not settings.isOptional:
                raise
            self._log.warn("There is no control socket: {why}", why=e)
            return
        self._factories.append(factory)

    def _openEndpoint(self, settings: ControlSettings) -> None:
        """
        Listen on TCP.

        @raise ConfigurationError: When there is no token, or it cannot be had.
        """
        if settings.token is None or len(settings.token) < LEAST_TOKEN:
            raise ConfigurationError(
                f"the control API is served at {settings.endpoint!r} with a token of "
                f"at least {LEAST_TOKEN} octets only: set token-file in [control]"
            )
        factory = ControlFactory(self.desk, self._remoteRules, self._reactor)
        failed: list[Failure] = []
        listening = checkEndpoint(settings.endpoint, self._reactor).listen(factory)
        listening.addCallbacks(self.ports.append, failed.append)
        if failed:
            why = getattr(failed[0].value, "socketError", failed[0].value)
            told = getattr(why, "strerror", None) or why
            raise ConfigurationError(
                f"cannot serve the control API at {settings.endpoint!r}: {told}"
            )
        self._factories.append(factory)

    def _localRules(self) -> Rules:
        return Rules(origins=frozenset(self.settings.origins))

    def _remoteRules(self) -> Rules:
        settings = self.settings
        hosts = frozenset(map(plainHost, settings.hosts))
        # Without a token nobody comes in.
        return Rules(
            hosts | {"localhost"}, frozenset(settings.origins), settings.token or b""
        )

    def _close(self) -> Deferred[None]:
        ports, self.ports = self.ports, []
        factories, self._factories = self._factories, []
        closed: list[Deferred[Any]] = [maybeDeferred(p.stopListening) for p in ports]
        closed += [factory.stop() for factory in factories]
        return gatherResults(closed, consumeErrors=True).addCallback(lambda _: None)

    def _sample(self) -> Deferred[None] | None:
        if not IInspectable.providedBy(self.desk.queue):
            return None
        counted = Deferred.fromCoroutine(self.desk.totals())
        return counted.addCallbacks(
            lambda _: None,
            lambda f: self._log.debug("The counters were not read: {why}", why=f.value),
        )

    def _inThread(self, function: Callable[[], Any]) -> Deferred[Any]:
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), function)
