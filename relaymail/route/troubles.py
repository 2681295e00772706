# -*- test-case-name: relaymail.test.route.test_troubles -*-
"""
From Twisted's failures to plain troubles.

A L{Failure <twisted.python.failure.Failure>} says which class of exception was
raised where; the one judge wants to know what it means.  This is where the one
becomes the other.
"""

from __future__ import annotations

import errno

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet import defer, error
from twisted.names import dns
from twisted.names.error import (
    AuthoritativeDomainError,
    DNSNameError,
    DomainError,
    ResolverError,
)
from twisted.python.failure import Failure

from relaymail.errors import MalformedAddress, RouteError
from relaymail.replies import Phase, Trouble, TroubleKind, printable
from relaymail.route.aliases import CanonicalNameChainTooLong, CanonicalNameLoop


class NoMX(OSError):
    """
    The domain has no MX record, and its own addresses are not to be used
    (C{fallbackToDomain} is off).
    """


class NullMX(error.DNSLookupError):
    """
    The domain says that it takes no mail (RFC 7505).
    """


#: What stands for "there is nothing by that name": an answer, not a failure.
NO_SUCH_NAME: tuple[type[BaseException], ...] = (
    DNSNameError,
    AuthoritativeDomainError,
    error.DNSLookupError,
    NoMX,
)

#: What an exception means, by its class; the first row that matches counts.
_KINDS: tuple[tuple[tuple[type[BaseException], ...], TroubleKind], ...] = (
    (
        (
            DomainError,
            ResolverError,
            CanonicalNameLoop,
            CanonicalNameChainTooLong,
        ),
        TroubleKind.NO_ANSWER,
    ),
    # Names are turned into octets by a codec: what it refuses is no name.
    ((MalformedAddress, UnicodeError), TroubleKind.UNSENDABLE),
    ((error.ConnectBindError,), TroubleKind.LOCAL),
    (
        (error.ConnectionRefusedError, ConnectionRefusedError),
        TroubleKind.REFUSED,
    ),
    (
        (error.TimeoutError, error.TCPTimedOutError, TimeoutError, defer.TimeoutError),
        TroubleKind.TIMEOUT,
    ),
    ((error.NoRouteError, error.ConnectError), TroubleKind.UNREACHABLE),
    ((VerificationError, SSL.Error), TroubleKind.TLS),
    (
        (
            error.ConnectionClosed,
            ConnectionError,
            error.ConnectingCancelledError,
            defer.CancelledError,
        ),
        TroubleKind.LOST,
    ),
)

_UNREACHABLE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN}

#: What these kinds are called before any host was reached: whatever kept the
#: answer away, it is a lookup that had none.
_WHILE_RESOLVING = {
    TroubleKind.TIMEOUT,
    TroubleKind.REFUSED,
    TroubleKind.UNREACHABLE,
    TroubleKind.LOST,
}


def isNoSuchName(reason: BaseException | None) -> bool:
    """
    Tell whether a lookup's failure is the answer that there is no such name,
    or nothing of the kind asked for by that name, rather than no answer.

    @param reason: The exception that the lookup failed with.
    """
    return isinstance(reason, NO_SUCH_NAME) or type(reason) is DomainError


def troubleOf(failure: Failure, phase: Phase) -> Trouble:
    """
    Say in plain words what a failure is.

    What is not known is a failure of this relay: temporary, and loud.

    @param failure: The failure.
    @param phase: Where it happened.

    @return: The trouble; that of a L{RouteError} is its own.
    """
    reason = failure.value
    if isinstance(reason, RouteError):
        return reason.trouble
    kind = _kindOf(reason)
    if phase is Phase.RESOLVE and kind in _WHILE_RESOLVING:
        kind = TroubleKind.NO_ANSWER
    return Trouble(phase, kind, printable(_detail(reason)))


def _kindOf(reason: BaseException | None) -> TroubleKind:
    if isinstance(reason, NullMX):
        return TroubleKind.NULL_MX
    if isNoSuchName(reason):
        return TroubleKind.NO_SUCH_DOMAIN
    if isinstance(reason, OSError) and reason.errno in _UNREACHABLE:
        return TroubleKind.UNREACHABLE
    for classes, kind in _KINDS:
        if isinstance(reason, classes):
            return kind
    return TroubleKind.TLS if _isVerification(reason) else TroubleKind.LOCAL


def _detail(reason: BaseException | None) -> str:
    first = reason.args[0] if reason is not None and reason.args else None
    if isinstance(first, dns.Message):
        # Its repr is a page long, and has nothing that helps but this.
        return f"{type(reason).__name__}, answer code {first.rCode}"
    if isinstance(reason, SSL.Error) and isinstance(first, list):
        return "; ".join(str(row[-1]) for row in first) or type(reason).__name__
    if _isVerification(reason):
        # Its text is that of objects.
        return "the host's certificate is for another name"
    return str(reason) or type(reason).__name__


def _isVerification(reason: BaseException | None) -> bool:
    # Twisted's stand-in for service_identity's error is private.
    name = type(reason).__name__
    return isinstance(reason, VerificationError) or name == "SimpleVerificationError"
