# -*- test-case-name: relaymail.test.configuration.test_secrets -*-
"""
Secrets, read from where they are kept.  They are in no configuration: whoever
needs one asks for it here, once, while it may be read.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from relaymail.configuration.rules import checkFilesOf, onTerms, ruleOf, usualTerms
from relaymail.configuration.tables import Configuration
from relaymail.errors import ConfigurationError
from relaymail.route.hosts import Host
from relaymail.route.passwords import (
    MAX_PASSWORD,
    PasswordKind,
    PasswordSource,
    ReadPassword,
)
from relaymail.route.rules import Routing
from relaymail.route.senderhosts import SmartRoutes
from relaymail.route.smarthosts import SmartHost, TokensFor, toHost
from relaymail.route.terms import Terms

if TYPE_CHECKING:
    import subprocess

#: How long a command may take to print a secret, in seconds: one that asks a
#: service over the network, and no longer.
COMMAND_PATIENCE = 20.0


def readSecret(kind: PasswordKind, where: str) -> bytes:
    """
    Read a secret.

    @param kind: The kind of place it is kept in.
    @param where: The path of the file, the name of the variable, or the command.

    @raise OSError: When the file cannot be read, or the command fails.
    @raise KeyError: When there is no such variable.
    """
    if kind is PasswordKind.ENVIRONMENT:
        return os.environb[os.fsencode(where)]
    if kind is PasswordKind.COMMAND:
        return _printed(where)
    with open(where, "rb") as file:
        # Two more, so that one that is too long is seen to be.
        return file.read(MAX_PASSWORD + 2)


def readRoutes(
    configuration: Configuration, tokensFor: TokensFor | None = None
) -> SmartRoutes:
    """
    Make the rules of all routes, and hosts to deliver to of all smart hosts, with
    their passwords.  Each secret is read once: a command may take its time, or ask
    somebody.

    @param tokensFor: Gives the tokens of those that want them; without it they
        have none, and can only be shown.

    @raise ConfigurationError: When a password cannot be read.
    """
    known: dict[tuple[PasswordKind, str], bytes] = {}

    def read(kind: PasswordKind, where: str) -> bytes:
        if (kind, where) not in known:
            known[kind, where] = readSecret(kind, where)
        return known[kind, where]

    checkFilesOf(configuration.delivery)
    return _routesBy(configuration, lambda each: readHost(each, tokensFor, read))


def bareRoutes(configuration: Configuration) -> SmartRoutes:
    """
    Make the same to be looked at, and not to be used: no secret, and no file of
    certificates, is read.
    """
    return _routesBy(
        configuration,
        lambda each: each if isinstance(each, Host) else toHost(each, _noSecret),
    )


def _noSecret(kind: PasswordKind, where: str) -> bytes:
    return b"not read"


def _routesBy(
    configuration: Configuration, make: Callable[[SmartHost | Host], Host]
) -> SmartRoutes:
    def hosts(described: Iterable[SmartHost | Host], on: Terms) -> tuple[Host, ...]:
        return tuple(onTerms(make(each), on) for each in described)

    delivery = configuration.delivery
    usual = usualTerms(delivery)
    terms = replace(usual, fallback=hosts(delivery.fallbackHosts, usual))
    return SmartRoutes(
        hosts(delivery.smartHosts, usual),
        {s: hosts(described, usual) for s, described in delivery.senderHosts},
        Routing(ruleOf(route, terms, hosts) for route in delivery.routes),
        terms,
    )


def readHosts(configuration: Configuration) -> tuple[Host, ...]:
    """
    Make hosts to deliver to of the smart hosts that get all mail, with their
    passwords.

    @raise ConfigurationError: When a password cannot be read.
    """
    return tuple(map(readHost, configuration.delivery.smartHosts))


def readHost(
    smart: SmartHost | Host,
    tokensFor: TokensFor | None = None,
    read: ReadPassword | None = None,
) -> Host:
    """
    Make a host to deliver to of a smart host, with its password.

    @param tokensFor: As for L{readRoutes}.
    @param read: Reads secrets; L{None} for L{readSecret}.

    @raise ConfigurationError: When that cannot be read, or whom to trust cannot, or
        the certificate that this relay is to show there.
    """
    if isinstance(smart, Host):
        return smart
    if smart.caFile is not None:
        # It takes a while to import, and few name one.
        from relaymail.route.tlscontexts import trustedIn

        trustedIn(smart.caFile)
    if smart.certFile is not None:
        from relaymail.route.tlscontexts import checkOwn

        checkOwn(smart.certFile, smart.keyFile)
    return toHost(smart, read or readSecret, tokensFor)


def readToken(configuration: Configuration) -> bytes | None:
    """
    Read the token of the control API, L{None} where it has none.

    @raise ConfigurationError: When it cannot be read, or is empty.
    """
    source = configuration.control.token
    return None if source is None else readTokenFrom(source)


def readTokenFrom(source: PasswordSource) -> bytes:
    """
    Read a token.

    @raise ConfigurationError: When it cannot be read, or is empty.
    """
    kind, where = source.kind, source.where
    try:
        token = readSecret(kind, where).strip()
    except (OSError, LookupError) as e:
        raise ConfigurationError(
            f"The control token cannot be read from the {kind.value} {where}: "
            f"{getattr(e, 'strerror', None) or 'there is none'}"
        ) from None
    if not 0 < len(token) <= MAX_PASSWORD or not token.isascii() or b" " in token:
        raise ConfigurationError(
            f"The control token in the {kind.value} {where} is empty, longer than "
            f"{MAX_PASSWORD} bytes, or has a space or other than ASCII in it"
        )
    return token


def _printed(command: str) -> bytes:
    """
    Run a command, without a shell, and give what it prints.

    @raise OSError: When it cannot be run, fails, prints too much, or takes too
        long.
    """
    # These take a moment to import, and are rarely needed.
    import shlex
    import subprocess

    try:
        words = shlex.split(command)
    except ValueError as e:
        raise OSError(0, f"the command cannot be split into words ({e})") from e
    with subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, bufsize=0
    ) as process:
        try:
            printed = _output(process)
            code = process.wait(COMMAND_PATIENCE)
        except (TimeoutError, subprocess.TimeoutExpired):
            raise OSError(
                0, f"it did not end within {COMMAND_PATIENCE:g} seconds"
            ) from None
        finally:
            process.kill()
    # One that printed more than is read may have been killed for it.
    if code and len(printed) <= MAX_PASSWORD:
        raise OSError(0, f"it ended with exit code {code}")
    return printed


def _output(process: subprocess.Popen[bytes]) -> bytes:
    """
    Read what a process prints, up to a bound.

    @raise TimeoutError: When it takes too long.
    """
    import selectors

    assert process.stdout is not None
    end = time.monotonic() + COMMAND_PATIENCE
    printed = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while len(printed) <= MAX_PASSWORD + 1:
            if not selector.select(max(end - time.monotonic(), 0)):
                raise TimeoutError
            data = process.stdout.read(MAX_PASSWORD)
            if not data:
                return printed
            printed += data
    # It may not end while nobody reads.
    process.kill()
    return printed[: MAX_PASSWORD + 2]
