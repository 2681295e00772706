# -*- test-case-name: relaymail.test.doctor.test_dnssec -*-
"""
Checks whether the name servers validate, where mail is to be protected by DANE.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from relaymail.doctor.answers import Answer, fail, ok
from relaymail.doctor.questions import Asker, Kind, NoAnswer
from relaymail.route.security import REMEDY, TRUST, Network, isTrusted

_WITHOUT = "; without that mail goes as if no destination had TLSA records"


def checkDNSSEC(
    askers: Sequence[Asker], trusted: Iterable[Network] = ()
) -> Iterator[Answer]:
    """
    See that each name server may be believed, and says that the root zone is secure.

    @param askers: The servers.
    @param trusted: The networks of those that are believed, beside this machine.
    """
    networks = tuple(trusted)
    if not askers:
        yield fail("no name server is known", REMEDY)
    for asker in askers:
        yield _check(asker, networks)


def _check(asker: Asker, trusted: tuple[Network, ...]) -> Answer:
    if not isTrusted(asker.server[0], trusted):
        return fail(
            f"mail is to be protected by DANE, but {asker} is neither on this machine "
            f"nor in delivery.trusted-resolvers{_WITHOUT}",
            REMEDY + TRUST,
        )
    try:
        told = asker.ask("", Kind.NS)
    except NoAnswer as e:
        return fail(str(e), "see what the check of the resolver says")
    if told.trouble:
        return fail(
            f"asked {asker} for the root zone: {told.trouble}",
            "see its log; a server that validates refuses everything while its clock "
            "is wrong or its trust anchor is old",
        )
    if not told.isSecure:
        return fail(
            f"mail is to be protected by DANE, but {asker} does not validate: its "
            f"answer for the root zone has no AD{_WITHOUT}",
            REMEDY,
        )
    return ok(f"{asker} validates: its answer for the root zone is secure")
