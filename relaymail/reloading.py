# -*- test-case-name: relaymail.test.test_reload -*-
"""
What a relay is told while it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import Any, ClassVar

from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger

from relaymail import policies
from relaymail.assembly import Users, intakeRules, tellManager
from relaymail.configuration import Configuration, readRoutes
from relaymail.configuration.comparing import changes, needRestart
from relaymail.configuration.entering import checkEntering
from relaymail.configuration.remarks import deliveryRemarks
from relaymail.dropping.service import DropDirectory
from relaymail.errors import ConfigurationError
from relaymail.intake.server import IntakeFactory
from relaymail.oauth2.accounts import Accounts
from relaymail.ports import Ports
from relaymail.route.hosts import Bearer, Host
from relaymail.route.mx import MXCalculator
from relaymail.route.senderhosts import SmartRoutes
from relaymail.route.smarthosts import TokensFor
from relaymail.siren import Siren
from relaymail.tlsreports.service import Reports
from relaymail.vouching import Watch


class ReloadMixin:
    """
    A relay's configuration, read again while the relay runs.

    @ivar configuration: What it is told.
    @ivar tokensFor: Gives the tokens of smart hosts that want them; it may be called
        in a thread.
    @ivar reread: Reads it again; L{None} where it came from nowhere that could be
        read again.
    """

    log: ClassVar[Logger]
    loadTLS: ClassVar[Any]
    workerFactory: ClassVar[Any]
    configuration: Configuration
    reread: Callable[[], Configuration] | None = None
    tokensFor: TokensFor | None = None
    intake: IntakeFactory
    manager: Any
    portal: Any
    _drop: DropDirectory | None
    _reactor: Any
    _reloads: DeferredLock
    _ports: Ports | None
    _open: bool
    _tls: Any
    _users: Users
    _routes: SmartRoutes
    _accounts: Accounts
    watch: Watch
    reports: Reports
    siren: Siren

    def reload(self, configuration: Configuration | None = None) -> Deferred[list[str]]:
        """
        Do what it is told now, all of it or nothing: mail that waits goes where it
        goes by the new configuration, what is being sent goes on as it was begun.
        Certificates and passwords are read again, too: passwords in a thread, for
        a command that prints one may take its time.  A second call waits for the
        first.

        @param configuration: What it is told; L{None} to read again what it was
            started with.

        @return: Fires with the options that have changed.  Fails with a
            L{ConfigurationError} when that cannot be read or used, or changes
            what only a restart can.  Then nothing has changed.
        """
        reloaded: Deferred[list[str]] = self._reloads.run(
            lambda: Deferred.fromCoroutine(self._reload(configuration))
        )
        return reloaded

    async def _reload(self, told: Configuration | None) -> list[str]:
        self._checkRuns()
        told = self._readAgain() if told is None else told
        changed = changes(self.configuration, told)
        self._checkMayChange(told, changed)
        checkEntering(told.intake, hasPortal=self.portal is not None)
        routes = await self._readRoutes(told)
        # It may have been stopped meanwhile.
        self._checkRuns()
        # Also where nothing has changed: a certificate or a password may be new.
        self._change(told, changed, routes)
        self.log.info(
            "The configuration was read again; {changed}",
            changed=f"changed: {', '.join(changed)}" if changed else _SAME,
        )
        return changed

    def _checkRuns(self) -> None:
        if not self._open:
            raise ConfigurationError("The relay is not running; nothing was changed")

    def _readAgain(self) -> Configuration:
        if self.reread is None:
            raise ConfigurationError(
                "The relay was not started with a file that could be read again; "
                "nothing was changed"
            )
        return self.reread()

    def _checkMayChange(self, told: Configuration, changed: list[str]) -> None:
        fixed = needRestart(changed)
        if fixed:
            raise ConfigurationError(
                f"{', '.join(fixed)} cannot be changed while the relay runs: restart "
                "it for that; nothing was changed"
            )
        for endpoint in _endpoints(told) - _endpoints(self.configuration):
            # What the system hands over is handed over once, and its number may be
            # that of anything by now.
            if endpoint.startswith("systemd:"):
                raise ConfigurationError(
                    f"{endpoint!r} is handed over only when the relay starts: restart "
                    "it for that; nothing was changed"
                )

    def _readRoutes(self, told: Configuration) -> Deferred[SmartRoutes]:
        reader = self.workerFactory(self._reactor)

        def end(result: Any) -> Any:
            reader.stop()
            return result

        read: Deferred[SmartRoutes] = reader.run(
            partial(readRoutes, told, self.tokensFor)
        )
        return read.addBoth(end)

    def _change(
        self, told: Configuration, changed: list[str], routes: SmartRoutes
    ) -> None:
        tls = self.loadTLS(told.intake.tlsKey, told.intake.tlsCert)
        calculator = None
        if not _RESOLVER.isdisjoint(changed):
            calculator = self._makeCalculator(told)
        rules = intakeRules(told, tls, self._users.read(told), routes.routing)
        assert self._ports is not None
        try:
            self._ports.listen(told.intake.openings)
        except ConfigurationError as e:
            raise ConfigurationError(
                f"{e}; nothing was changed.  What the relay itself listens on by "
                "another description is free only when it is restarted"
            ) from e
        # From here on nothing can fail.
        self._ports.close(_endpoints(self.configuration) - _endpoints(told))
        self._ports.order(each.endpoint for each in told.intake.openings)
        isNew = bool(changed) or routes != self._routes
        self.configuration, self._tls, self._routes = told, tls, routes
        self.intake.settingsChanged(**rules)
        self._ports.letIn(self.intake.buildProtocol, tls, told.intake.proxies)
        if self._drop is not None:
            self._drop.settingsChanged(told.hostname, told.intake.maxMessageSize)
        if calculator is not None:
            self.manager.mxcalc = calculator
        self.watch.settingsChanged(told.delivery)
        self._retain(routes.everyHost)
        if isNew:
            tellManager(self.manager, told, routes, self.addresses)
            policies.settingsChanged(self.manager)
            self.reports.settingsChanged()
            self.manager.settingsChanged()
        if changed:
            self._remark(told)

    def _remark(self, told: Configuration) -> None:
        """
        Say what is most likely meant otherwise.
        """
        for remark in deliveryRemarks(told, hasPortal=self.portal is not None):
            self.log.warn("{remark}", remark=remark)

    def _retain(self, hosts: Collection[Host]) -> None:
        """
        Forget the tokens and the alarms of hosts that there are no more.
        """
        found = [host.credentials for host in hosts]
        self._accounts.retain(c.account for c in found if isinstance(c, Bearer))
        self.siren.retain(hosts)

    @property
    def addresses(self) -> list[Any]:
        """
        The addresses it listens on.
        """
        raise NotImplementedError

    def _makeCalculator(self, told: Configuration) -> MXCalculator:
        raise NotImplementedError


#: What makes a new resolver necessary.
_RESOLVER = frozenset({"delivery.dns", "delivery.trusted-resolvers"})
#: What a password that was written anew is no change of.
_SAME = "no option has changed, and all secrets and certificates were read again"


def _endpoints(told: Configuration) -> set[str]:
    return {each.endpoint for each in told.intake.openings}
