# -*- test-case-name: relaymail.test.doctor.test_network -*-
"""
Checks of the network: names, the port of mail, and what this machine is called.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from relaymail.doctor.answers import Answer, Check, fail, ok, warn
from relaymail.doctor.questions import Asker, Kind, NoAnswer

#: A domain that has mail exchange hosts everywhere, where none is named.
KNOWN_DOMAIN = "gmail.com"
#: How long to wait for a connection and for a greeting, in seconds.
WAIT = 5.0
#: How many hosts are tried.
HOSTS = 2
#: How long a name server may take before mail waits for it, in seconds.
SLOW = 1.0
#: The longest greeting that is read, in bytes (RFC 5321 4.5.3.1.5).
MAX_GREETING = 512

_CLOUDS = (
    "many providers block port 25 outwards: ask yours to open it, or send all mail "
    "through a smart host (delivery.smart-hosts)"
)
_PTR = (
    "ask whoever gives you the address (the provider, not the registrar) to set its "
    "PTR record to the hostname; without it many hosts refuse mail or call it spam"
)

#: Connects to an address and port within a time, and gives the first line.
Greet = Callable[[str, int, float], bytes]
#: Gives the address of this machine that others see when it talks to an address.
OwnAddress = Callable[[str], str]


def greet(address: str, port: int, wait: float) -> bytes:
    """
    Connect to a host, read what it says, and leave.

    @raise OSError: When it cannot be reached.
    """
    with socket.create_connection((address, port), wait) as connection:
        connection.settimeout(wait)
        greeting = connection.recv(MAX_GREETING)
        connection.sendall(b"QUIT\r\n")
        return greeting


def ownAddress(towards: str) -> str:
    """
    Say from which address this machine talks to another.  Nothing is sent.

    @raise OSError: When there is no way to it.
    """
    family = socket.AF_INET6 if ":" in towards else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as asking:
        asking.connect((towards, 25))
        return str(asking.getsockname()[0])


@dataclass(frozen=True, slots=True)
class Network:
    """
    What is needed to ask the network.

    @ivar askers: The name servers that the relay asks.
    @ivar hostname: What the relay calls itself.
    @ivar domain: A domain with mail exchange hosts.
    @ivar host: A host whose address is needed, where mail goes to smart hosts.
    @ivar port: Their port.
    @ivar address: The address that others see, where the operator says it.
    @ivar greet: Connects to a host.
    @ivar ownAddress: Says from which address this machine talks.
    """

    askers: Sequence[Asker]
    hostname: str
    domain: str = KNOWN_DOMAIN
    host: str = ""
    port: int = 25
    address: str = ""
    greet: Greet = greet
    ownAddress: OwnAddress = ownAddress

    def checks(self, isDirect: bool) -> list[Check]:
        """
        Give the checks.

        @param isDirect: Whether mail goes to the mail exchange hosts of each
            destination; else only the name of a smart host is needed, if it has
            one.
        """
        if not isDirect:
            return [Check("resolver", self.checkResolver)] if self.host else []
        return [
            Check("resolver", self.checkResolver),
            Check("port 25", self.checkPort),
            Check("names", self.checkNames),
        ]

    def checkResolver(self) -> Iterator[Answer]:
        """
        See that each name server answers.
        """
        if not self.askers:
            yield fail(
                "no name server is known",
                "name one in /etc/resolv.conf, or as delivery.dns",
            )
        for asker in self.askers:
            yield self._checkAsker(asker)

    def _checkAsker(self, asker: Asker) -> Answer:
        remedy = (
            "see that the server runs and answers this machine, or name another one "
            "as delivery.dns; while no name can be found mail waits, and is not lost"
        )
        name, kind = (self.host, Kind.A) if self.host else (self.domain, Kind.MX)
        try:
            told = asker.ask(name, kind)
        except NoAnswer as e:
            return fail(str(e), remedy)
        took = f"{told.seconds * 1000:.0f} ms"
        if told.trouble:
            return fail(
                f"asked {asker} for {kind.name} of {name}: {told.trouble}",
                remedy,
            )
        if told.seconds > SLOW:
            return warn(f"{asker} took {took} to answer", "ask a server that is nearer")
        return ok(f"{asker} answered within {took}")

    def checkPort(self) -> Iterator[Answer]:
        """
        See that hosts of others can be reached on the port of mail.
        """
        addresses = self._hostAddresses()
        if not addresses:
            yield fail(
                f"no mail exchange host of {self.domain} has an address",
                "see what the check of the resolver says, or name another domain "
                "with --domain",
            )
            return
        troubles = []
        for address in addresses[:HOSTS]:
            try:
                greeting = self.greet(address, self.port, WAIT)
            except OSError as e:
                why = "no answer" if isinstance(e, TimeoutError) else e.strerror or e
                troubles.append(f"{address}: {why}")
                continue
            if greeting.startswith(b"220"):
                yield ok(f"{address} port {self.port} answered {greeting[:60]!r}")
            else:
                yield warn(
                    f"{address} port {self.port} answered {greeting[:200]!r}",
                    "somebody is in between, or this address is not wanted there: "
                    "look its reputation up",
                )
            return
        yield fail(
            f"no host of {self.domain} can be reached on port {self.port} "
            f"({'; '.join(troubles)})",
            _CLOUDS,
        )

    def _hostAddresses(self) -> list[str]:
        for asker in self.askers:
            try:
                hosts = asker.hosts(self.domain)[:HOSTS] or [self.domain]
                return [
                    address
                    for host in hosts
                    for address in asker.ask(host, Kind.A).records
                ]
            except NoAnswer:
                continue
        return []

    def checkNames(self) -> Iterator[Answer]:
        """
        See that the address that others see has a name that leads back to it, and
        that the relay calls itself so (RFC 5321 4.1.1.1).
        """
        if "." not in self.hostname or self.hostname.endswith(".localdomain"):
            yield fail(
                f"the relay calls itself {self.hostname}, which is no name in DNS",
                "set hostname to the name that this machine's address has in DNS",
            )
            return
        address = self._outerAddress()
        if ip_address(address).is_private:
            yield warn(
                f"this machine talks from {address}, which others do not see",
                "give the address that they see with --address",
            )
            return
        yield from self._checkAddress(address)

    def _outerAddress(self) -> str:
        found = self.address or next(iter(self._hostAddresses()), "192.0.2.1")
        return found if self.address else self.ownAddress(found)

    def _checkAddress(self, address: str) -> Iterator[Answer]:
        asker = self.askers[0]
        names = [name.lower() for name in asker.names(address)]
        if not names:
            yield fail(f"{address} has no name (no PTR record)", _PTR)
            return
        back = [name for name in names if address in asker.addresses(name)]
        if not back:
            yield fail(
                f"{address} is called {names[0]}, but that name has another address",
                "let the A or AAAA record of that name be this address",
            )
        elif self.hostname.lower() in back:
            yield ok(f"{address} is called {self.hostname}, there and back")
        elif address in asker.addresses(self.hostname):
            yield warn(
                f"{address} is called {back[0]}, and the relay {self.hostname}",
                "most hosts take that; best is one name for both",
            )
        else:
            yield fail(
                f"the relay calls itself {self.hostname}, whose address is not "
                f"{address}; that is called {back[0]}",
                f"set hostname to {back[0]}, or change the records of the names",
            )
