# -*- test-case-name: relaymail.test.configuration.test_tables -*-
"""
The options: one class for each table of the file.  Everything else that is told of
an option, on a page, in a help or in an error, comes from here.
"""

from __future__ import annotations

from typing import Any

import attrs

from relaymail.configuration.intake import DEFAULT_SIZE as DEFAULT_SIZE
from relaymail.configuration.intake import DEFAULT_SMTP as DEFAULT_SMTP
from relaymail.configuration.intake import MAX_SIZE as MAX_SIZE
from relaymail.configuration.intake import SMTP_PORT as SMTP_PORT
from relaymail.configuration.intake import Intake as Intake
from relaymail.configuration.options import Option, option, optionsOf
from relaymail.configuration.places import DEFAULT_QUEUE as DEFAULT_QUEUE
from relaymail.configuration.places import socketBeside
from relaymail.errors import ConfigurationError
from relaymail.intake.networks import Network
from relaymail.outcome.news import DEFAULT_DELAY_NOTICE
from relaymail.queue.place import QueuePlace
from relaymail.route.hosts import Host
from relaymail.route.passwords import PasswordKind, PasswordSource
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
#: The longest path of a socket, in bytes: the system takes 107, and what is made
#: beside it while it is put in place has a longer name.
MAX_SOCKET = 100


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
    dns: str | None = option(
        None,
        "name server",
        "The DNS server to ask.",
        standard="the system's",
        example='"192.0.2.53:53"',
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

    @property
    def everySmartHost(self) -> tuple[SmartHost | Host, ...]:
        """
        The smart hosts of everybody, and those of senders.
        """
        return (*self.smartHosts, *(h for _, hosts in self.senderHosts for h in hosts))


@attrs.frozen(kw_only=True)
class Machines:
    """
    [machines]: what is done for mail that programs of this machine write.
    """

    origin: str = option(
        "",
        "origin",
        "The domain that is put behind senders and recipients that have none.",
        standard="none: they are refused",
        example='"example.com"',
    )
    aliases: tuple[tuple[str, tuple[str, ...]], ...] = option(
        (),
        "aliases",
        "Who gets the mail for a local name: an address, another local name, or a list "
        "of them.",
        standard="none",
        example='{ root = "admin@example.com", postmaster = "root" }',
        flag="alias",
        isRepeated=True,
    )
    rewriteSenders: tuple[tuple[str, str], ...] = option(
        (),
        "rewriting",
        "What senders become. The left side is an address, or @domain for each address "
        "there, @*.domain for each below it, or @* for all; the right side is an "
        "address, or @domain, which leaves what stands before the @. An address goes "
        "before its domain, and that before the domains above it.",
        standard="none",
        example='{ "@host7.internal" = "robots@example.com" }',
        flag="rewrite-sender",
        isRepeated=True,
    )
    drop: str | None = option(
        None,
        "place",
        "The directory in which programs leave mail while the relay is down; it is "
        "made when it is missing.",
        standard="none",
        example='"/var/spool/relaymail/drop"',
        restart=True,
    )


@attrs.frozen(kw_only=True)
class Control:
    """
    [control]: how the relay is asked and told while it runs.
    """

    socket: str | None = option(
        None,
        "place",
        "The path of the socket that the command talks to. Only this user may use it.",
        standard="beside the queue: FILE-control of a spool, DIR/control else",
        flag="control-socket",
        most=MAX_SOCKET,
        restart=True,
    )
    endpoint: str = option(
        "",
        "endpoint",
        "Where the control API is served over TCP, too; it needs a token.",
        standard="none",
        example='"tcp:8025:interface=127.0.0.1"',
        flag="control-endpoint",
        restart=True,
    )
    tokenFile: str | None = option(
        None,
        "place",
        "The file that the token of the endpoint is in.",
        standard="none",
        flag="control-token-file",
        restart=True,
    )
    tokenEnv: str | None = option(
        None,
        "variable",
        "The environment variable that the token is in, instead of a file.",
        standard="none",
        flag="control-token-env",
        restart=True,
    )
    tokenCommand: str | None = option(
        None,
        "command",
        "The command that prints the token, instead of a file.",
        standard="none",
        flag="control-token-command",
        restart=True,
    )
    hosts: tuple[str, ...] = option(
        (),
        "names",
        "The names by which clients may call the endpoint, besides localhost.",
        standard="none",
        example='["relay.example.com"]',
        flag="control-host",
        isRepeated=True,
        restart=True,
    )
    origins: tuple[str, ...] = option(
        (),
        "origins",
        "The web pages whose scripts may use the endpoint.",
        standard="none",
        example='["https://dashboard.example.com"]',
        flag="control-origin",
        isRepeated=True,
        restart=True,
    )

    def __attrs_post_init__(self) -> None:
        """
        Check what belongs together.
        """
        said = [each for each in (self.tokenFile, self.tokenEnv, self.tokenCommand)]
        count = len([each for each in said if each])
        if count > 1:
            raise ConfigurationError(
                "the token is in one place: of control.token-file, control.token-env "
                "and control.token-command, name one"
            )
        if self.endpoint and not count:
            raise ConfigurationError(
                "control.endpoint needs a token: name control.token-file, "
                "control.token-env or control.token-command"
            )

    @property
    def token(self) -> PasswordSource | None:
        """
        Where the token of the endpoint is.
        """
        for kind, where in (
            (PasswordKind.FILE, self.tokenFile),
            (PasswordKind.ENVIRONMENT, self.tokenEnv),
            (PasswordKind.COMMAND, self.tokenCommand),
        ):
            if where:
                return PasswordSource(kind, where)
        return None


@attrs.frozen(kw_only=True)
class Configuration:
    """
    What a relay is told to do.  It is checked when it is made: one that exists can
    be run, as far as can be known without touching a disk, a socket or the network.
    No secret is in it, only where each is kept.

    @ivar intake: How mail comes in.
    @ivar delivery: Where it goes.
    @ivar machines: What is done for mail of programs.
    @ivar control: How the relay is told while it runs.
    @ivar file: The file it was read from, if any; it is not compared.
    """

    queue: QueuePlace = option(  # noqa: RUF009 - it makes no value
        attrs.NOTHING,
        "queue",
        "Where mail is kept: spool:FILE, directory:DIR, or a path that is recognised "
        "by what is there; what is missing is made.",
        standard="spool, in the working directory",
        example='"/var/spool/relaymail"',
        short="q",
        restart=True,
    )
    hostname: str = option(
        attrs.NOTHING,
        "hostname",
        "What the relay calls itself.",
        standard="this machine's name",
        example='"relay.example.com"',
        short="H",
    )
    intake: Intake = Intake()  # noqa: RUF009 - it is frozen
    delivery: Delivery = Delivery()
    machines: Machines = Machines()
    control: Control = Control()
    file: str | None = attrs.field(default=None, eq=False)

    def __attrs_post_init__(self) -> None:
        """
        Check what belongs together.
        """
        told = self.machines
        if told.aliases or told.rewriteSenders:
            # It takes a moment to import, and is rarely needed.
            from relaymail.machines import Machines as Rules

            Rules(
                told.origin,
                dict(told.aliases),
                dict(told.rewriteSenders),
                self.hostname,
            )

    @property
    def controlSocket(self) -> str:
        """
        The path of the control socket.
        """
        return self.control.socket or socketBeside(self.queue)


#: The tables, with their classes, in the order of the page.
TABLES: dict[str, type[Any]] = {
    "intake": Intake,
    "delivery": Delivery,
    "machines": Machines,
    "control": Control,
}
#: All options, in the order of the page.
OPTIONS: tuple[Option, ...] = (
    *optionsOf("", Configuration),
    *(one for name, cls in TABLES.items() for one in optionsOf(name, cls)),
)
#: The same by path, such as C{"delivery.max-connections"}.
BY_PATH: dict[str, Option] = {one.path: one for one in OPTIONS}
#: The same by attribute: no two have the same name.
BY_ATTRIBUTE: dict[str, Option] = {one.attribute: one for one in OPTIONS}
