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
from relaymail.protections import TLSResult
from relaymail.replies import Phase, Trouble, TroubleKind, printable
from relaymail.route.aliases import CanonicalNameChainTooLong, CanonicalNameLoop
from relaymail.route.peers import Problem


class NoMX(OSError):
    """
    The domain has no MX record, and its own addresses are not to be used
    (C{fallbackToDomain} is off).
    """


class NullMX(error.DNSLookupError):
    """
    The domain says that it takes no mail (RFC 7505).
    """


class CertificateRefused(SSL.Error):
    """
    A handshake ended because of the certificate that the host showed.

    @ivar problem: What is wrong with it.
    """

    def __init__(self, problem: Problem) -> None:
        """
        @param problem: See C{problem}.
        """
        # As OpenSSL's own are: the library, the function, the reason.
        SSL.Error.__init__(self, [("relaymail", "", problem.why)])
        self.problem = problem


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


_OWN = "the certificate that this relay showed"
#: What OpenSSL's reasons mean, by a part of them; the first row that is in one counts.
_REASONS: tuple[tuple[str, str], ...] = (
    ("wrong version number", "the host does not speak TLS here"),
    ("http request", "the host does not speak TLS here"),
    ("record layer failure", "the host does not speak TLS here"),
    ("packet length too long", "the host does not speak TLS here"),
    ("bad record type", "the host does not speak TLS here"),
    ("unsupported protocol", "the host knows no TLS that is new enough (1.2)"),
    ("protocol version", "the host knows no TLS that is new enough (1.2)"),
    ("version too low", "the host knows no TLS that is new enough (1.2)"),
    ("no shared cipher", "the two sides have no cipher in common"),
    ("insufficient security", "the host's TLS does not take such weak ciphers"),
    (
        "certificate required",
        "the host wants a certificate of this relay: client-cert and client-key name "
        "one",
    ),
    ("unknown ca", f"the host does not trust the authority of {_OWN}"),
    ("bad certificate", f"the host does not take {_OWN}"),
    ("certificate unknown", f"the host does not take {_OWN}"),
    ("unsupported certificate", f"the host does not take {_OWN}"),
    ("certificate revoked", f"the host says that {_OWN} was revoked"),
    ("certificate expired", f"the host says that {_OWN} has expired"),
    ("access denied", f"the host does not let in who has {_OWN}"),
    ("unrecognized name", "the host has no certificate for the name it was asked for"),
    (
        "handshake failure",
        "the host takes none of the ciphers and keys of this relay, or wants a "
        "certificate of it",
    ),
    (
        "dh key too small",
        "the host's parameters are too weak",
    ),
    ("ee key too small", "the key of the host's certificate is too short"),
    ("md too weak", "the host's certificate is signed with a hash that is too weak"),
    ("unsafe legacy renegotiation", "the host's TLS is too old to be safe (RFC 5746)"),
    ("internal error", "the host's TLS failed"),
    ("certificate verify failed", "the host's certificate cannot be verified"),
    ("key values mismatch", "the key is not that of the certificate"),
)


def wordsOf(error: BaseException) -> str:
    """
    Give an error's words; those of OpenSSL are lists of three, the last of which
    helps only those who know them.

    @return: The words: what it means, where that is known, and what OpenSSL calls it.
    """
    if isinstance(error, CertificateRefused):
        return error.problem.why
    first = error.args[0] if error.args else ""
    if not isinstance(first, list):
        return str(error) or type(error).__name__
    told = "; ".join(str(row[-1]) for row in first)
    if not told:
        return "TLS ended without a word"
    for part, words in _REASONS:
        if part in told.replace("_", " ").lower():
            return f"{words} ({told})"
    return told


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
    result = _resultOf(reason) if kind is TroubleKind.TLS else None
    return Trouble(phase, kind, printable(_detail(reason)), result)


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
    if isinstance(reason, SSL.Error):
        return wordsOf(reason)
    if _isVerification(reason):
        # Its text is that of objects.
        return "the host's certificate is for another name"
    return str(reason) or type(reason).__name__


def _resultOf(reason: BaseException | None) -> TLSResult:
    """
    Say what reports call it (RFC 8460 4.3).
    """
    if isinstance(reason, CertificateRefused):
        return reason.problem.result
    return TLSResult.WRONG_NAME if _isVerification(reason) else TLSResult.FAILED


def _isVerification(reason: BaseException | None) -> bool:
    # Twisted's stand-in for service_identity's error is private.
    name = type(reason).__name__
    return isinstance(reason, VerificationError) or name == "SimpleVerificationError"
