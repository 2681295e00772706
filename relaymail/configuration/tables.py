# -*- test-case-name: relaymail.test.configuration.test_tables -*-
"""
The options: one class for each table of the file.  Everything else that is told of
an option, on a page, in a help or in an error, comes from here.
"""

from __future__ import annotations

from typing import Any

import attrs

from relaymail.configuration.delivery import DEFAULT_CONNECTIONS as DEFAULT_CONNECTIONS
from relaymail.configuration.delivery import DEFAULT_MESSAGES as DEFAULT_MESSAGES
from relaymail.configuration.delivery import DEFAULT_PACE as DEFAULT_PACE
from relaymail.configuration.delivery import Delivery as Delivery
from relaymail.configuration.intake import DEFAULT_SIZE as DEFAULT_SIZE
from relaymail.configuration.intake import DEFAULT_SMTP as DEFAULT_SMTP
from relaymail.configuration.intake import MAX_SIZE as MAX_SIZE
from relaymail.configuration.intake import SMTP_PORT as SMTP_PORT
from relaymail.configuration.intake import Intake as Intake
from relaymail.configuration.options import Option, option, optionsOf
from relaymail.configuration.places import DEFAULT_QUEUE as DEFAULT_QUEUE
from relaymail.configuration.places import socketBeside
from relaymail.errors import ConfigurationError
from relaymail.queue.place import QueueKind, QueuePlace
from relaymail.route.passwords import PasswordKind, PasswordSource
from relaymail.route.rules import Action

#: The longest path of a socket, in bytes: the system takes 107, and what is made
#: beside it while it is put in place has a longer name.
MAX_SOCKET = 100


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
    delivery: Delivery = Delivery()  # noqa: RUF009 - it is frozen
    machines: Machines = Machines()
    control: Control = Control()
    file: str | None = attrs.field(default=None, eq=False)

    def __attrs_post_init__(self) -> None:
        """
        Check what belongs together.
        """
        self._checkHolds()
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

    def _checkHolds(self) -> None:
        if self.queue.kind is not QueueKind.DIRECTORY:
            return
        for index, route in enumerate(self.delivery.routes):
            if route.action is Action.HOLD:
                raise ConfigurationError(
                    f"delivery.routes[{index}]: a directory queue cannot hold mail: "
                    "use a spool (relaymail import makes one of it), or refuse it"
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
