# -*- test-case-name: relaymail.test.configuration.test_entering -*-
"""
Who could come in under a configuration, as far as can be known without opening
anything.
"""

from __future__ import annotations

from collections.abc import Iterator

from relaymail.configuration.intake import Intake
from relaymail.envelopes import Entrance
from relaymail.errors import ConfigurationError

#: What endpoints begin with that nobody else can listen in on: they bring TLS of
#: their own, or do not leave this machine.
_SECURE = ("ssl:", "unix:", "systemd:domain=UNIX")


def checkEntering(told: Intake, *, hasPortal: bool = False) -> None:
    """
    Check that whoever is asked who they are can say so.

    @param told: How mail comes in.
    @param hasPortal: Whether a program knows its users itself.

    @raise ConfigurationError: When nobody could.
    """
    if told.users and hasPortal:
        raise ConfigurationError(
            "the users are in the file intake.users, or the program knows them and "
            "gives its portal, not both"
        )
    if told.users or hasPortal:
        return
    for opening in told.openings:
        if opening.entrance is Entrance.SUBMISSION:
            raise ConfigurationError(
                f"intake.{opening.kind} takes mail of those only who say who they "
                "are, and nobody can: name the file of users in intake.users; "
                "relaymail auth hash writes its lines"
            )


def remarks(told: Intake) -> Iterator[str]:
    """
    Say what can be run, and is most likely meant otherwise.

    @param told: How mail comes in.
    """
    for name, networks, may in (
        ("networks", told.networks, "relay, and spammers will"),
        ("proxies", told.proxies, "say that it is any client"),
        ("xclient", told.xclient, "say that it is any client"),
    ):
        for network in networks:
            if network.prefixlen == 0:
                yield f"intake.{name}: {network} is everybody; everybody may {may}"
    yield from _withoutTLS(told)


def _withoutTLS(told: Intake) -> Iterator[str]:
    if told.tlsKey:
        return
    for opening in told.openings:
        isSubmission = opening.entrance is Entrance.SUBMISSION
        if isSubmission and not opening.endpoint.startswith(_SECURE):
            yield (
                f"intake.{opening.kind}: passwords are not taken in clear, and "
                f"{opening.endpoint} has no TLS; few programs know SCRAM, which needs "
                "none: name intake.tls-key and intake.tls-cert"
            )
            return
    if told.users and not any(o.endpoint.startswith(_SECURE) for o in told.openings):
        yield (
            "intake.users: passwords are not taken in clear, and there is no TLS; few "
            "programs know SCRAM, which needs none: name intake.tls-key and "
            "intake.tls-cert"
        )
