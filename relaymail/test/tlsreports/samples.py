"""
Sessions and policies for tests of reports.
"""

from __future__ import annotations

from relaymail.protections import Applied, PolicyKind, TLSResult, TLSSession

#: The begin of a day, in seconds of the epoch: 2026-03-01.
MARCH = 1_772_323_200
NONE = Applied(PolicyKind.NONE, "example.org")
STS = Applied(
    PolicyKind.STS,
    "example.org",
    ("version: STSv1", "mode: enforce", "mx: *.example.org", "max_age: 86400"),
    ("*.example.org",),
)
DANE = Applied(PolicyKind.DANE, "mx.example.org", ("3 1 1 00ff",))


def session(
    *applied: Applied,
    result: TLSResult | None = None,
    destination: str = "example.org",
    why: str = "",
) -> TLSSession:
    """
    Make a session with a host of a destination.
    """
    return TLSSession(
        destination,
        applied or (NONE,),
        "mx.example.org",
        "192.0.2.25",
        "198.51.100.1",
        "mx.example.org",
        result,
        why,
    )
