# -*- test-case-name: relaymail.test.test_daemon -*-
"""
The relay as a process of its own, as C{twistd} runs it: with a log, a way to be asked
and told, a service manager that wants to know how it is, and without root's rights.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from twisted.application.service import IService
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from relaymail.admin.server import ControlService, ControlSettings
from relaymail.configuration import Configuration, readToken
from relaymail.errors import RelayMailError
from relaymail.logs import addObserver
from relaymail.notify import Notifier
from relaymail.privileges import checkPrivileges
from relaymail.service import Relay


class TwistdRelay(Relay):
    """
    The relay of an application that C{twistd} runs.  It logs by L{relaymail.logs},
    and reads its configuration again at SIGHUP.

    @cvar checkPrivileges: Sees that no rights of root are left, and gives what an
        operator should know.
    @cvar controlFactory: Makes, for the relay, its settings and the reactor, what it
        is asked and told by.
    @cvar notifierFactory: Makes, for the reactor, what tells a service manager.
    """

    checkPrivileges: ClassVar[Any] = staticmethod(checkPrivileges)
    controlFactory: ClassVar[Any] = ControlService
    notifierFactory: ClassVar[Any] = Notifier

    def __init__(
        self,
        configuration: Configuration,
        options: Mapping[str, Any] | None = None,
        reread: Callable[[], Configuration] | None = None,
        reactor: Any = None,
    ) -> None:
        """
        @param configuration: What it is told.
        @param options: The options of C{twistd}; L{None} outside of it.
        @param reread: Reads the configuration again.
        @param reactor: The reactor, L{None} for the global one.
        """
        super().__init__(configuration, reactor=reactor)
        if reread is not None:
            self.reread = reread
        # While this may be read.
        self._token = readToken(configuration)
        self._options = options
        self._notifier: Notifier | None = None
        self._handler: Any = None
        # Its lines in the log are those of a relay, whoever runs it.
        vars(self)["log"] = Relay.log

    def setServiceParent(self, parent: Any) -> None:
        """
        Become part of an application, and make its log.  This is the only
        moment between the two: C{twistd} gives the application to nobody.

        @param parent: The application, or another service.
        """
        addObserver(parent, self._options)
        super().setServiceParent(parent)

    def startService(self) -> None:
        """
        Start, without root's rights.

        @raise ConfigurationError: When they cannot be given up.
        """
        for told in self.checkPrivileges():
            self.log.warn("{told}", told=told)
        super().startService()
        self._handler = signal.signal(signal.SIGHUP, self._signalled)

    def stopService(self) -> Any:
        """
        See L{Relay.stopService}.
        """
        return super().stopService().addBoth(self._stopped)

    def _stopped(self, result: Any) -> Any:
        # Not before: what the signal does otherwise is to end the process.
        if self._handler is not None:
            signal.signal(signal.SIGHUP, self._handler)
            self._handler = None
        return result

    def reload(self, configuration: Configuration | None = None) -> Deferred[list[str]]:
        """
        See L{Relay.reload}; a service manager is told of it.
        """
        notifier = self._notifier
        if notifier is None or not notifier.running:
            return super().reload(configuration)
        notifier.reloading()

        def reloaded(result: Any) -> Any:
            # One that was told meanwhile that the relay stops is told no more.
            if notifier.running:
                notifier.reloaded()
            return result

        return super().reload(configuration).addBoth(reloaded)

    def _companions(self) -> list[IService]:
        settings = self._controlSettings()
        control = self.controlFactory(self, settings, self._reactor)
        self._notifier = self.notifierFactory(self._reactor)
        # The last one: it says that all is ready.
        return [*super()._companions(), control, self._notifier]

    def _controlSettings(self) -> ControlSettings:
        told = self.configuration.control
        return ControlSettings(
            socket=self.configuration.controlSocket,
            isOptional=not told.socket,
            endpoint=told.endpoint,
            token=self._token,
            hosts=told.hosts,
            origins=told.origins,
        )

    def _signalled(self, number: int, frame: Any) -> None:
        self._reactor.callFromThread(self._reloadForSignal)

    def _reloadForSignal(self) -> None:
        self.reload().addErrback(self._notReloaded)

    def _notReloaded(self, failure: Failure) -> None:
        if failure.check(RelayMailError):
            why = failure.getErrorMessage()
            self.log.error("The configuration was not taken: {why}", why=why)
        else:
            self.log.failure("The configuration was not taken", failure)
