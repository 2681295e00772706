"""
A mail world for tests: what relaymail is tested with, and what programs that use
relaymail can be tested with.

  - L{World<relaymail.testing.world.World>} is all of it at once: the real relay,
    with its hosts, its clients, its DNS and a disk that can fail, on one clock;
    it knows what became of every message.  Begin here.
  - L{WorldTestCase<relaymail.testing.cases.WorldTestCase>} is a test case that
    forgives what is logged of faults that were asked for.
  - L{SMTPServer<relaymail.testing.servers.SMTPServer>} says what it is told to
    say and keeps what it is given; L{relaymail.testing.scripts} has servers as
    they are met in the world: greylisters, tarpits, those that drop the
    connection after the dot.
  - L{send<relaymail.testing.clients.send>} and L{sendAll
    <relaymail.testing.clients.sendAll>} give mail to a server, well or badly,
    and say precisely what became of it.
  - L{ZoneDNS<relaymail.testing.dns.ZoneDNS>} is a DNS of zones in memory,
    L{DNSServer<relaymail.testing.dns.DNSServer>} serves it.
  - L{TokenServer<relaymail.testing.tokens.TokenServer>} gives OAuth2 tokens.
  - L{PolicyServer<relaymail.testing.policies.PolicyServer>} gives policies of
    MTA-STS, over HTTPS.
  - L{ThrowawayCA<relaymail.testing.certificates.ThrowawayCA>} makes keys and
    certificates.
  - L{Network<relaymail.testing.network.Network>} is a network in memory with
    machines, links that fail, and one clock; a machine is the reactor of what
    runs on it.
  - L{MemoryDisk<relaymail.testing.disk.MemoryDisk>} is a disk in memory that
    forgets what was not synced, and fails when it is told to;
    L{CrashPoints<relaymail.testing.crashes.CrashPoints>} are the moments at
    which a machine may go down.
  - L{Databases<relaymail.testing.databases.Databases>} opens SQLite files that
    are left as a process leaves them that dies before or after a commit.
  - L{MailWorld<relaymail.testing.doubles.MailWorld>} is a relaying manager with
    hosts around it.

Servers, clients and the DNS work alike on the network in memory and, given the
global reactor or none, over real sockets.  Nothing here takes the time or
chance from elsewhere than what it is given.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

#: The module of each public name.  They are imported when they are asked for,
#: so that who wants a DNS does not pay for a world.
_MODULES = {
    "assertions": ("Message",),
    "cases": ("WorldTestCase",),
    "certificates": ("KeyKind", "Purpose", "Throwaway", "ThrowawayCA", "selfSigned"),
    "clients": (
        "Drop",
        "Mail",
        "Manner",
        "ResetAfterDot",
        "Stall",
        "State",
        "Submission",
        "send",
        "sendAll",
    ),
    "crashes": ("Crash", "CrashPoints"),
    "databases": ("Databases",),
    "disk": ("MemoryDisk",),
    "dns": ("EDNS", "DNSServer", "Fault", "Special", "Wire", "ZoneDNS"),
    "doubles": ("MailWorld",),
    "ledger": ("Ledger",),
    "keeping": ("MemoryFiles",),
    "links": ("Link",),
    "network": ("Fate", "Network"),
    "policies": ("MemoryPolicies", "PolicyServer", "PolicyTrouble"),
    "scripts": (
        "Slip",
        "acceptsEverything",
        "busy",
        "closesAfter",
        "dropsAfterTheDot",
        "endlessReply",
        "fullMailbox",
        "garbage",
        "greylister",
        "outOfStep",
        "refusesRecipients",
        "silentAfter",
        "stripsSTARTTLS",
        "tarpit",
        "throttles",
    ),
    "servers": (
        "BROKEN_TLS",
        "KEYWORDS",
        "Act",
        "Drip",
        "Endless",
        "Late",
        "Raw",
        "Received",
        "SMTPServer",
        "Session",
        "Then",
    ),
    "tokens": ("TokenServer",),
    "world": ("World",),
}
_PLACES = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "BROKEN_TLS",
    "EDNS",
    "KEYWORDS",
    "Act",
    "Crash",
    "CrashPoints",
    "DNSServer",
    "Databases",
    "Drip",
    "Drop",
    "Endless",
    "Fate",
    "Fault",
    "KeyKind",
    "Late",
    "Ledger",
    "Link",
    "Mail",
    "MailWorld",
    "Manner",
    "MemoryDisk",
    "MemoryFiles",
    "MemoryPolicies",
    "Message",
    "Network",
    "PolicyServer",
    "PolicyTrouble",
    "Purpose",
    "Raw",
    "Received",
    "ResetAfterDot",
    "SMTPServer",
    "Session",
    "Slip",
    "Special",
    "Stall",
    "State",
    "Submission",
    "Then",
    "Throwaway",
    "ThrowawayCA",
    "TokenServer",
    "Wire",
    "World",
    "WorldTestCase",
    "ZoneDNS",
    "acceptsEverything",
    "busy",
    "closesAfter",
    "dropsAfterTheDot",
    "endlessReply",
    "fullMailbox",
    "garbage",
    "greylister",
    "outOfStep",
    "refusesRecipients",
    "selfSigned",
    "send",
    "sendAll",
    "silentAfter",
    "stripsSTARTTLS",
    "tarpit",
    "throttles",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
