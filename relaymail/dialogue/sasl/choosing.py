# -*- test-case-name: relaymail.test.dialogue.sasl.test_choosing -*-
"""
Which mechanisms a client tries, and in which order.

Those go first in which nothing is said that can be used again: SCRAM, with channel
binding before without, with SHA-256 before SHA-1; then CRAM-MD5; then those that say
the password.  With a token there are only those that say it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from relaymail.dialogue.sasl.bearer import (
    OAUTHBEARERAuthenticator,
    XOAUTH2Authenticator,
)
from relaymail.dialogue.sasl.passwords import (
    CramMD5ClientAuthenticator,
    LOGINAuthenticator,
    PLAINAuthenticator,
)
from relaymail.dialogue.sasl.scram import (
    NOT_OFFERED,
    SHA1,
    SHA256,
    UNBOUND,
    Channel,
    ScramKind,
)
from relaymail.dialogue.sasl.scramclient import SCRAMAuthenticator

#: The channel bindings that are used, the best first (RFC 9266 3, RFC 5929 4).
BINDINGS = ("tls-exporter", "tls-server-end-point")

#: Mechanisms that show a token, in the order in which they are tried.
_BEARER: tuple[Callable[[bytes], Any], ...] = (
    OAUTHBEARERAuthenticator,
    XOAUTH2Authenticator,
)
#: Mechanisms that use a password, but for SCRAM, which goes before these.
_PASSWORD: tuple[Callable[[bytes], Any], ...] = (
    CramMD5ClientAuthenticator,
    PLAINAuthenticator,
    LOGINAuthenticator,
)


@dataclass(frozen=True, slots=True)
class Means:
    """
    What a client can authenticate with, over a connection.

    @ivar user: The identity, UTF-8.
    @ivar hasPassword: Whether there is a password.
    @ivar hasToken: Whether there is a token, or one can be had; the password is not
        used then.
    @ivar isAllowed: Whether either may be used over the connection: it is under TLS
        that was verified, or it was said that it may be.
    @ivar bindings: The channel bindings of the connection, by their names.
    """

    user: bytes
    hasPassword: bool
    hasToken: bool
    isAllowed: bool
    bindings: Mapping[str, bytes]


def authenticatorsFor(
    offered: Collection[bytes] | None, means: Means, makeNonce: Callable[[], bytes]
) -> list[Any]:
    """
    Give the mechanisms to try, the one to try first first.

    @param offered: What the server can do, in upper case; L{None}: all there is.
    @param means: What the client can.
    @param makeNonce: Gives what nobody can guess, printable and without commas.
    """
    if not means.isAllowed:
        return []
    made: list[Any] = []
    if means.hasToken:
        made = [each(means.user) for each in _BEARER]
    elif means.hasPassword:
        for kind in (SHA256, SHA1):
            made += _scram(kind, offered or (), means, makeNonce)
        made += [each(means.user) for each in _PASSWORD]
    return [each for each in made if offered is None or each.getName() in offered]


def _scram(
    kind: ScramKind,
    offered: Collection[bytes],
    means: Means,
    makeNonce: Callable[[], bytes],
) -> list[SCRAMAuthenticator]:
    bound = [
        Channel.bound(name, means.bindings[name])
        for name in BINDINGS
        if name in means.bindings
    ]
    plain = UNBOUND
    if bound and not any(name.endswith(b"-PLUS") for name in offered):
        # If the server says that it can, somebody has taken that out of its offer,
        # and it will notice (RFC 5802 6).
        plain = NOT_OFFERED
    channels = [*bound[:1], plain]
    return [SCRAMAuthenticator(means.user, kind, makeNonce, each) for each in channels]
