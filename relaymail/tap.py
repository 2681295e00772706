# -*- test-case-name: relaymail.test.test_tap -*-
"""
C{twistd relaymail}: from the command line to the service.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, ClassVar

from twisted.python import usage

from relaymail.certificates import loadTLS
from relaymail.configuration import (
    DEFAULT_CONNECTIONS,
    DEFAULT_MESSAGES,
    DEFAULT_SMTP,
    SMTP_PORT,
    Configuration,
    configure,
    parseNumber,
    parseSize,
)
from relaymail.errors import ConfigurationError, RelayMailError
from relaymail.intake.acceptance import DEFAULT_NETWORKS
from relaymail.intake.limits import DEFAULT_LIMITS
from relaymail.logs import addObserver
from relaymail.ports import checkEndpoint
from relaymail.schedule.paces import LARGEST_PACE
from relaymail.service import Relay

#: Where the queue is when nothing is said.
DEFAULT_QUEUE = "spool"

ExceptHook = Callable[
    [type[BaseException], BaseException, TracebackType | None], object
]


class Options(usage.Options):
    """
    The options of C{twistd relaymail}.

    @ivar configuration: What they say, once they were parsed.
    """

    synopsis = "[options]"
    longdesc = (
        "Takes mail by SMTP, keeps it in a queue on the disk, and delivers it to "
        "smart hosts or to the mail exchange hosts of its destinations."
    )

    optParameters: ClassVar[list[list[Any]]] = [
        [
            "queue",
            "q",
            DEFAULT_QUEUE,
            "Where mail is kept: spool:FILE, directory:DIR, or a path that is "
            "recognised by what is there; what is missing is made.",
        ],
        ["hostname", "H", None, "What the relay calls itself [this machine's name]."],
        ["dns", None, None, "The DNS server to ask, IP:PORT [the system's]."],
        ["mx-port", None, SMTP_PORT, "The port of mail exchange hosts."],
        [
            "retry",
            None,
            "1m,5m,15m,30m,1h",
            "The delays between attempts; the last one repeats.",
        ],
        ["expire", None, "5d", "How long mail is tried before it bounces."],
        [
            "max-connections",
            None,
            DEFAULT_CONNECTIONS,
            "The most connections to other hosts.",
        ],
        [
            "max-messages-per-connection",
            None,
            DEFAULT_MESSAGES,
            "The most messages that one of them carries.",
        ],
        [
            "max-connections-per-destination",
            None,
            LARGEST_PACE,
            "The most connections to the hosts of one destination.",
        ],
        [
            "max-message-size",
            None,
            DEFAULT_LIMITS.messageSize,
            "The largest message that is taken, in octets; 0 is any.",
        ],
        ["tls-key", None, None, "The private key for STARTTLS, a PEM file."],
        ["tls-cert", None, None, "Its certificate and chain, a PEM file."],
        [
            "networks",
            None,
            DEFAULT_NETWORKS,
            "Who may relay: networks, between commas.",
        ],
    ]

    configuration: Configuration

    def __init__(self) -> None:
        super().__init__()
        self["smtp"] = []
        self["smarthost"] = []
        self["allow-destination"] = []
        self["destination-rate"] = []
        self["sender-rate"] = []

    def opt_smtp(self, endpoint: str) -> None:
        """
        An endpoint on which mail is taken; may be given several times.
        [default: tcp:2525:interface=127.0.0.1]
        """
        self["smtp"].append(endpoint)

    def opt_smarthost(self, host: str) -> None:
        """
        A host that gets all mail: HOST, HOST:PORT, or a URL with smtp://,
        smtp+starttls:// or smtps:// such as
        smtps://USER@HOST?password-file=PATH; the next one given is tried when
        this one fails. [default: the mail exchange hosts of each destination]
        """
        self["smarthost"].append(host)

    def opt_allow_destination(self, network: str) -> None:
        """
        A network mail may be delivered to although it is private, loopback or
        otherwise not of the Internet; may be given several times.
        """
        self["allow-destination"].append(network)

    def opt_destination_rate(self, rate: str) -> None:
        """
        How many recipients of a destination may be sent to in a time, such as
        example.org=100/m, or *=10/s for each that is not named; may be given
        several times. [default: no limit]
        """
        self["destination-rate"].append(rate)

    def opt_sender_rate(self, rate: str) -> None:
        """
        How many recipients a sender may send to in a time, such as
        news@example.com=1000/h, example.com=5000/h for a domain as a whole, or
        *=100/h for each other address; may be given several times. [default:
        no limit]
        """
        self["sender-rate"].append(rate)

    def parseOptions(self, options: list[str] | None = None) -> None:
        """
        Read a command line.

        @raise usage.UsageError: When the relay cannot be run like that.
        @raise SystemExit: The same under C{twistd}, of which some versions
            end with exit code 0 after a wrong option, and all of them hide
            the sentence behind a page of help.
        """
        try:
            super().parseOptions(options)
        except usage.UsageError as e:
            if self.parent is None:
                raise
            sys.exit(f"relaymail: {e}")

    def opt_version(self) -> None:
        """
        Display relaymail's version and exit.
        """
        from relaymail import __version__

        print(f"relaymail {__version__}")
        sys.exit(0)

    def postOptions(self) -> None:
        """
        Read what the options say.

        @raise usage.UsageError: When the relay cannot be run like that, with a
            sentence that says why.
        """
        try:
            self.configuration = self._configure()
            for endpoint in self.configuration.intake.smtp:
                checkEndpoint(endpoint)
            intake = self.configuration.intake
            loadTLS(intake.tlsKey, intake.tlsCert)
        except ConfigurationError as e:
            raise usage.UsageError(str(e)) from e

    def _configure(self) -> Configuration:
        return configure(
            queue=self["queue"],
            hostname=self["hostname"],
            smtp=self["smtp"] or [DEFAULT_SMTP],
            smartHosts=self["smarthost"],
            dns=self["dns"],
            mxPort=self._number("mx-port"),
            retry=self["retry"],
            expire=self["expire"],
            maxConnections=self._number("max-connections"),
            maxMessagesPerConnection=self._number("max-messages-per-connection"),
            maxConnectionsPerDestination=self._number(
                "max-connections-per-destination"
            ),
            destinationRates=self["destination-rate"],
            senderRates=self["sender-rate"],
            maxMessageSize=parseSize(str(self["max-message-size"])),
            tlsKey=self["tls-key"],
            tlsCert=self["tls-cert"],
            networks=self["networks"],
            allowDestinations=self["allow-destination"],
        )

    def _number(self, option: str) -> int:
        return parseNumber(f"--{option}", str(self[option]))


class TwistdRelay(Relay):
    """
    The relay of an application that C{twistd} runs, which logs by
    L{relaymail.logs}.
    """

    def __init__(
        self, configuration: Configuration, options: Mapping[str, Any] | None
    ) -> None:
        """
        @param configuration: What it is told.
        @param options: The options of C{twistd}; L{None} outside of it.
        """
        super().__init__(configuration)
        self._options = options
        # Its lines in the log are those of a relay, whoever runs it.
        vars(self)["log"] = Relay.log

    def setServiceParent(self, parent: Any) -> None:
        """
        Become part of an application, and make its log.  This is the only
        moment between the two: C{twistd} gives the application to nobody.

        @param parent: The application, or another service.
        """
        addObserver(parent, self._options)
        super().setServiceParent(parent)


def makeService(options: Options) -> Relay:
    """
    Make the relay that the options tell of.

    @param options: The options, parsed.
    """
    sys.excepthook = plainly(sys.excepthook)
    return TwistdRelay(options.configuration, options.parent)


def plainly(hook: ExceptHook) -> ExceptHook:
    """
    Give an exception hook that says relaymail's own errors in their one
    sentence: C{twistd} lets what a service cannot start with end the process.

    @param hook: What takes every other exception.
    """

    def say(
        kind: type[BaseException],
        error: BaseException,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, RelayMailError):
            # The other one is the log, where it was said already.
            print(f"relaymail: {error}", file=sys.__stderr__)
        else:
            hook(kind, error, traceback)

    return say
