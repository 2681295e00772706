# -*- test-case-name: relaymail.test.test_vouching -*-
"""
Watches whether the name servers validate, where mail is to be protected by DANE, and
says so where they do not.  Mail goes on meanwhile.  Where only some of them are to be
believed the others are not asked then.
"""

from __future__ import annotations

from typing import Any

from twisted.application.service import Service
from twisted.logger import Logger

from relaymail.configuration import Delivery
from relaymail.route.security import levelsOf, wantsDNSSEC
from relaymail.route.validation import State, Validation
from relaymail.siren import Siren

#: What the alarm is known by.
KEY = "dnssec"

_WITHOUT = (
    "mail is to be protected by DANE, and that needs name servers that validate: "
    "{state} ({why}); so mail goes as if no destination had TLSA records, and that "
    "which may go by DANE alone waits: {remedy}"
)


class Watch(Service):
    """
    Watches the resolver of a relay, where something wants DANE.

    @ivar validation: What does it; L{None} where nothing does.
    """

    log = Logger()

    def __init__(self, manager: Any, siren: Siren, reactor: Any) -> None:
        """
        @param manager: The relaying manager.
        @param siren: Where it is said that something is wrong.
        @param reactor: An C{IReactorTime} provider.
        """
        self._manager = manager
        self._siren = siren
        self._reactor = reactor
        self.validation: Validation | None = None

    @property
    def state(self) -> str:
        """
        What is known, for people; empty where nobody wants to know.
        """
        return "" if self.validation is None else self.validation.state.value

    def settingsChanged(self, delivery: Delivery) -> None:
        """
        Begin to watch, stop it, or watch another resolver.

        @param delivery: The options.
        """
        resolver = getattr(self._manager.mxcalc, "resolver", None)
        isWanted = resolver is not None and wantsDNSSEC(levelsOf(delivery))
        known, wire = self.validation, getattr(resolver, "wire", None)
        if wire is not None:
            wire.believedOnly = isWanted
        if isWanted and known is not None and known.resolver is resolver:
            return
        self._end()
        if isWanted:
            self.validation = Validation(resolver, self._reactor)
            self.validation.onChange = self._changed
            self.validation.start()
        else:
            self._siren.tell(KEY, None)

    def stopService(self) -> None:
        """
        Stop watching.
        """
        super().stopService()
        self._end()

    def _end(self) -> None:
        known, self.validation = self.validation, None
        if known is not None:
            known.stop()

    def _changed(self, validation: Validation) -> None:
        state = validation.state
        if state is State.VALIDATES:
            self.log.info(
                "DANE can be used: {state} ({why})",
                state=state.value,
                why=validation.why,
            )
            self._siren.tell(KEY, None)
            return
        told = {"why": validation.why, "remedy": validation.remedy}
        self._siren.tell(KEY, _WITHOUT.format(state=state.value, **told))
