# -*- test-case-name: relaymail.test.route.test_validation -*-
"""
Whether the name servers validate what they answer (DNSSEC, RFC 4035 5).

Without that no answer is secure, so that DANE protects nothing; and nothing else
shows it.  The root zone is signed since 2010 (RFC 7958): its answers are secure, or
none are.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from relaymail.replies import Phase, printable
from relaymail.route.security import REMEDY, TRUST, isSecure
from relaymail.route.troubles import troubleOf

#: How often a server that validates is asked whether it still does, in seconds.
INTERVAL = 60 * 60
#: How often the others are, in seconds: what was mended shall be seen soon.
AGAIN = 5 * 60
#: How soon it is asked again where no answer came, in seconds.
RETRY = 60
#: How long an answer is waited for, in seconds; a resolver has bounds of its own.
PATIENCE = 60


class State(Enum):
    """
    What is known of the name servers.  The value is what a person reads.
    """

    UNKNOWN = "it is not known yet whether the name servers validate (DNSSEC)"
    VALIDATES = "the name servers validate (DNSSEC)"
    DOES_NOT = "the name servers do not validate (DNSSEC)"
    UNTRUSTED = "what the name servers say of DNSSEC is not believed"


class Validation:
    """
    Finds out whether the servers of a resolver validate, again and again.  Nothing
    waits for it.

    @ivar resolver: The resolver.
    @ivar clock: An C{IReactorTime} provider.
    @ivar state: What was found the last time there was an answer.
    @ivar why: What that is concluded from: one printable line.
    @ivar onChange: Called with this object whenever C{state} has changed.
    """

    _log = Logger()

    def __init__(self, resolver: Any, clock: Any) -> None:
        """
        @param resolver: See C{resolver}; one that is not relaymail's own says of no
            answer that it is secure.
        @param clock: See C{clock}.
        """
        self.resolver = resolver
        self.clock = clock
        self.state = State.UNKNOWN
        self.why = ""
        self.onChange: Callable[[Validation], object] = lambda validation: None
        self._asking: Deferred[Any] | None = None
        self._next: Any = None
        self._hasFailed = False

    @property
    def remedy(self) -> str:
        """
        What to do where they do not, in words; empty where they do.
        """
        if self.state is State.DOES_NOT:
            return REMEDY
        return REMEDY + TRUST if self.state is State.UNTRUSTED else ""

    def start(self) -> None:
        """
        Ask now, and from time to time.
        """
        if self._asking is None and self._next is None:
            self._ask()

    def stop(self) -> None:
        """
        Ask no more.
        """
        if self._next is not None:
            self._next.cancel()
            self._next = None
        asking, self._asking = self._asking, None
        if asking is not None:
            asking.cancel()

    def _ask(self) -> None:
        self._next = None
        # What is remembered is what was so then.
        upstream = getattr(self.resolver, "upstream", self.resolver)
        # Nobody's timer may end because of what a resolver raises.
        d = defer.maybeDeferred(lambda: upstream.lookupNameservers(b""))
        d.addTimeout(PATIENCE, self.clock)
        self._asking = d
        d.addCallbacks(self._cbAnswer, self._ebAnswer, (d,), errbackArgs=(d,))
        d.addErrback(lambda failure: self._log.failure("Nothing is known", failure))

    def _cbAnswer(self, answer: Any, asked: Deferred[Any]) -> None:
        if self._asking is not asked:
            return
        self._hasFailed = False
        state, why = self._judge(answer)
        self._askAgain(INTERVAL if state is State.VALIDATES else AGAIN)
        isNew = state is not self.state
        self.state, self.why = state, why
        if isNew:
            self.onChange(self)

    def _ebAnswer(self, failure: Failure, asked: Deferred[Any]) -> None:
        if self._asking is not asked:
            return
        self._askAgain(RETRY)
        if not self._hasFailed:
            self._hasFailed = True
            self._log.warn(
                "Asked the name servers for the root zone, to see whether they "
                "validate: {why}; they are asked again, and mail goes on",
                why=troubleOf(failure, Phase.RESOLVE).text,
            )

    def _askAgain(self, seconds: float) -> None:
        self._asking = None
        self._next = self.clock.callLater(seconds, self._ask)

    def _judge(self, answer: Any) -> tuple[State, str]:
        servers, trusted = self._servers()
        told = printable(", ".join(servers)) or "the resolver"
        if isSecure(answer):
            return State.VALIDATES, f"{told}: the answer for the root zone is secure"
        if servers and not trusted:
            return State.UNTRUSTED, (
                f"{told} is neither on this machine nor in delivery.trusted-resolvers"
            )
        return State.DOES_NOT, f"{told}: the answer for the root zone has no AD"

    def _servers(self) -> tuple[list[str], bool]:
        """
        Give the servers that are asked, and whether the first of them is believed.
        """
        wire = getattr(self.resolver, "wire", None)
        if wire is None:
            return [], False
        servers = wire.asked
        shown = [f"[{a}]:{p}" if ":" in a else f"{a}:{p}" for a, p in servers]
        return shown, bool(servers) and wire.trusts(servers[0])
