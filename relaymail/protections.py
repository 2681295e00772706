# -*- test-case-name: relaymail.test.test_protections -*-
"""
How sessions with other hosts are protected: by which policy, and what became of it.

The names of what can go wrong are those of RFC 8460, so that a log line, a report to
the destination and C{explain} say the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class TLSResult(Enum):
    """
    What went wrong with the TLS of a session, or with the policy that asks for it
    (RFC 8460 4.3).  The value is its name in reports.
    """

    NO_STARTTLS = "starttls-not-supported"
    WRONG_NAME = "certificate-host-mismatch"
    EXPIRED = "certificate-expired"
    NOT_TRUSTED = "certificate-not-trusted"
    FAILED = "validation-failure"
    TLSA_INVALID = "tlsa-invalid"
    DNSSEC_INVALID = "dnssec-invalid"
    DANE_REQUIRED = "dane-required"
    STS_FETCH = "sts-policy-fetch-error"
    STS_INVALID = "sts-policy-invalid"
    STS_WEBPKI = "sts-webpki-invalid"


class PolicyKind(Enum):
    """
    Whose wish it is how sessions are protected (RFC 8460 4.4).  The value is its name
    in reports.
    """

    DANE = "tlsa"
    STS = "sts"
    NONE = "no-policy-found"


@dataclass(frozen=True, slots=True)
class Applied:
    """
    A policy of a destination, as it was found and applied.

    @ivar kind: Which kind it is.
    @ivar domain: Whose it is: the destination, or for TLSA records the host that they
        are of.
    @ivar lines: What it says, a line each: of STS those of the policy, of DANE the
        TLSA records in the presentation of RFC 6698 2.2.
    @ivar patterns: The hosts that it names, as they stand there.
    @ivar problem: What is wrong with the policy itself, if anything.
    @ivar why: What is known beyond that: one printable line.
    """

    kind: PolicyKind
    domain: str
    lines: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    problem: TLSResult | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class TLSSession:
    """
    How one session with a host of a destination began, for reports.

    @ivar destination: The domain that the mail is for.
    @ivar applied: The policies that were applied, at least one.
    @ivar host: The name of the host.
    @ivar address: Its network address; empty where none was reached.
    @ivar ownAddress: The network address of this relay; empty where none was.
    @ivar helo: What the host calls itself in its greeting to EHLO.
    @ivar result: What went wrong; L{None}: the session was protected as the policies
        want it.
    @ivar why: What is known beyond that: one printable line.
    """

    destination: str
    applied: tuple[Applied, ...]
    host: str = ""
    address: str = ""
    ownAddress: str = ""
    helo: str = ""
    result: TLSResult | None = None
    why: str = ""
