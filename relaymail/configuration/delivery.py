# -*- test-case-name: relaymail.test.configuration.test_transport -*-
"""
The options of where mail goes, and how.
"""

from __future__ import annotations

from collections import Counter

import attrs

from relaymail.configuration.intake import SMTP_PORT
from relaymail.configuration.options import option
from relaymail.configuration.routes import RouteTable, hostsOf
from relaymail.errors import ConfigurationError
from relaymail.intake.networks import Network
from relaymail.outcome.news import DEFAULT_DELAY_NOTICE
from relaymail.route.hosts import Host
from relaymail.route.levels import TLSLevel
from relaymail.route.rules import Rule
from relaymail.route.smarthosts import SmartHost
from relaymail.schedule.backoff import DEFAULT_EXPIRY, DEFAULT_RETRY
from relaymail.schedule.rates import Rate

#: How many connections to other hosts there may be: each costs a descriptor
#: and some tens of kilobytes, and the usual limit is 1024 descriptors.
DEFAULT_CONNECTIONS = 100
#: The most that can be asked for.
MAX_CONNECTIONS = 50_000
#: How many connections there may be to one destination: L{relaymail.schedule.paces}
#: says why.
DEFAULT_PACE = 20
#: How many messages one connection carries: enough to make the cost of
#: setting it up small, few enough that a host behind a balancer is left again.
DEFAULT_MESSAGES = 100
#: The most that can be asked for.
MAX_MESSAGES = 1_000_000


@attrs.frozen(kw_only=True)
class Delivery:
    """
    [delivery]: where mail goes, how fast, and for how long it is tried.
    """

    smartHosts: tuple[SmartHost | Host, ...] = option(
        (),
        "smart hosts",
        "The hosts that get all mail, in the order in which they are tried. Each is a "
        "HOST[:PORT], a URL or a table; see Smart hosts.",
        standard="none: the mail exchange hosts of each destination",
        example='["smtps://mail.example.com"]',
        flag="smarthost",
        isRepeated=True,
    )
    senderHosts: tuple[tuple[str, tuple[SmartHost | Host, ...]], ...] = option(
        (),
        "sender hosts",
        "The hosts that get the mail of some senders instead: an address, or @domain "
        "for all others there, with one smart host or a list of them.",
        standard="none",
        example='{ "@example.org" = "smtps://mail.example.org" }',
        flag="sender-host",
        isRepeated=True,
    )
    routes: tuple[RouteTable | Rule, ...] = option(
        (),
        "routes",
        "Where mail goes that does not go as all other mail: the first route holds "
        "that a message matches, before sender-hosts and smart-hosts; see Routes.",
        standard="none",
        example='[{ to = "example.org", via = "smtps://mail.example.com" }]',
        flag="route",
        isRepeated=True,
    )
    fallbackHosts: tuple[SmartHost | Host, ...] = option(
        (),
        "smart hosts",
        "The hosts that get mail when the mail exchange hosts of its destination "
        "cannot be found or reached.",
        standard="none",
        example='["smtps://backup.example.com"]',
        flag="fallback-host",
        isRepeated=True,
    )
    tls: TLSLevel = option(  # noqa: RUF009 - it makes no value
        TLSLevel.OPPORTUNISTIC,
        "TLS level",
        "How well mail is protected on its way to mail exchange hosts; see TLS.",
        example='"dane"',
    )
    caFile: str | None = option(
        None,
        "file",
        "The authorities that are trusted for mail exchange hosts, a PEM file.",
        standard="the system's",
    )
    clientCert: str | None = option(
        None,
        "file",
        "The certificate that the relay shows to hosts that ask for one, and its "
        "chain, a PEM file.",
        standard="none",
    )
    clientKey: str | None = option(
        None, "file", "The private key of that, a PEM file.", standard="none"
    )
    mtaSts: bool = option(
        True,
        "switch",
        "Whether the policies that destinations publish (MTA-STS, RFC 8461) are "
        "looked up and kept to.",
        example="false",
        restart=True,
    )
    tlsReports: bool = option(
        True,
        "switch",
        "Whether destinations that ask for it are told, once a day, how the TLS of "
        "sessions with their hosts went (RFC 8460).",
        example="false",
        restart=True,
    )
    tlsReportContact: str = option(
        "",
        "mailbox",
        "The address that these reports come from and name as the one to ask.",
        standard="postmaster at the hostname",
        example='"postmaster@example.com"',
        restart=True,
    )
    source: tuple[str, ...] = option(
        (),
        "source",
        "The address of this machine that connections to other hosts come from, or "
        "one of each family.",
        standard="the system's choice",
        example='["192.0.2.1", "2001:db8::1"]',
        isRepeated=True,
    )
    helo: str = option(
        "",
        "helo",
        "What the relay calls itself when it delivers.",
        standard="the hostname",
        example='"out.example.com"',
    )
    dns: str | None = option(
        None,
        "name server",
        "The DNS server to ask.",
        standard="the system's",
        example='"192.0.2.53:53"',
    )
    trustedResolvers: tuple[Network, ...] = option(
        (),
        "networks",
        "Networks whose name servers are believed that an answer is secure (DNSSEC): "
        "they validate, and nobody is between them and this machine.",
        standard="none but this machine itself",
        example='["192.0.2.53"]',
        flag="trusted-resolver",
        isRepeated=True,
    )
    mxPort: int = option(
        SMTP_PORT, "port", "The port of mail exchange hosts.", least=1, most=65535
    )
    allowDestinations: tuple[Network, ...] = option(
        (),
        "networks",
        "Networks that mail may go to although they are private, loopback or "
        "otherwise not of the Internet.",
        standard="none",
        example='["10.0.0.0/8"]',
        flag="allow-destination",
        isRepeated=True,
    )
    retry: tuple[float, ...] = option(
        DEFAULT_RETRY,
        "durations",
        "The delays between attempts; the last one repeats.",
        unit="seconds, where no unit is written",
        example='["1m", "10m", "1h"]',
    )
    expire: float = option(
        DEFAULT_EXPIRY,
        "duration",
        "How long mail is tried before it bounces.",
        unit="seconds, where no unit is written",
        example='"3d"',
    )
    delayNotice: float = option(
        DEFAULT_DELAY_NOTICE,
        "delay",
        "How long mail is tried before its sender is told, once and after an attempt, "
        "that it is late, unless the sender asked not to be (NOTIFY of RFC 3461). With "
        "0 only those are told who ask for it (NOTIFY=DELAY), after 4 hours.",
        unit="seconds, where no unit is written",
        example='"1h"',
    )
    maxConnections: int = option(
        DEFAULT_CONNECTIONS,
        "number",
        "The most connections to other hosts at a time.",
        unit="connections",
        least=1,
        most=MAX_CONNECTIONS,
    )
    maxConnectionsPerDestination: int = option(
        DEFAULT_PACE,
        "number",
        "The most connections to the hosts of one destination at a time, or to the "
        "smart hosts.",
        unit="connections",
        least=1,
        most=MAX_CONNECTIONS,
    )
    maxMessagesPerConnection: int = option(
        DEFAULT_MESSAGES,
        "number",
        "The most messages that one connection carries.",
        unit="messages",
        least=1,
        most=MAX_MESSAGES,
    )
    destinationRates: tuple[tuple[str, Rate], ...] = option(
        (),
        "destination rates",
        "How many recipients of a destination may be sent to in a time; * is each "
        "destination that is not named.",
        unit="recipients",
        standard="none: no limit",
        example='{ "example.org" = "100/m", "*" = "10/s" }',
        flag="destination-rate",
        isRepeated=True,
    )
    senderRates: tuple[tuple[str, Rate], ...] = option(
        (),
        "sender rates",
        "How many recipients a sender may send to in a time: an address, a domain for "
        "all of its addresses together, or * for each other address.",
        unit="recipients",
        standard="none: no limit",
        example='{ "news@example.com" = "1000/h", "*" = "100/h" }',
        flag="sender-rate",
        isRepeated=True,
    )

    def __attrs_post_init__(self) -> None:
        """
        Check what belongs together.
        """
        if bool(self.clientCert) != bool(self.clientKey):
            raise ConfigurationError(
                "a certificate and its key belong together: name both "
                "delivery.client-cert and delivery.client-key, or neither"
            )
        names = Counter(route.name for route in self.routes if route.name)
        for name, count in names.items():
            if count > 1:
                raise ConfigurationError(
                    f"delivery.routes: {count} routes have the name {name!r}: give "
                    "each its own, or none"
                )

    @property
    def everySmartHost(self) -> tuple[SmartHost | Host, ...]:
        """
        The smart hosts of everybody, those of senders, those of routes, and those that
        get what others do not take.
        """
        return (
            *self.smartHosts,
            *(host for _, hosts in self.senderHosts for host in hosts),
            *(host for route in self.routes for host in hostsOf(route)),
            *self.fallbackHosts,
        )
