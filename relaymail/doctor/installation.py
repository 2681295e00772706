# -*- test-case-name: relaymail.test.doctor.test_installation -*-
"""
Checks of how the relay is set up: its configuration, its secrets and its queue.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from relaymail.assembly import checkUsers
from relaymail.configuration import Configuration, Delivery, Intake
from relaymail.configuration.entering import checkEntering, remarks
from relaymail.configuration.places import tokensBeside
from relaymail.doctor.answers import Answer, fail, ok, warn
from relaymail.errors import ConfigurationError, QueueUnusable
from relaymail.oauth2.storing import TokenStore
from relaymail.queue.audit import lockedDirectory, lockHolder
from relaymail.queue.disk import Disk
from relaymail.queue.place import QueueKind, QueuePlace
from relaymail.route.passwords import PasswordKind
from relaymail.route.rules import Rule
from relaymail.route.smarthosts import SmartHost


def checkConfiguration(
    configuration: Configuration | ConfigurationError,
) -> Iterator[Answer]:
    """
    See that the configuration can be used, and that nobody else can change it.

    @param configuration: What came of reading it.
    """
    if isinstance(configuration, ConfigurationError):
        yield fail(
            str(configuration),
            "mend it; relaymail config check says the same. What follows is checked "
            "as if nothing were configured",
        )
        return
    if configuration.file is None:
        yield ok("there is no configuration file; the defaults hold")
        return
    mode = stat.S_IMODE(os.stat(configuration.file).st_mode)
    if mode & 0o022:
        yield fail(
            f"others may write {configuration.file} ({mode:04o}), and so say where "
            "all mail goes",
            f"chmod go-w {configuration.file}",
        )
    else:
        yield ok(f"{configuration.file} can be used")


def checkSecrets(configuration: Configuration) -> Iterator[Answer]:
    """
    See that the files of passwords, and of the keys that this relay has for other
    hosts, can be read, and not by everybody.
    """
    hosts = configuration.delivery.everySmartHost
    sources = [s for h in hosts if isinstance(h, SmartHost) for s in h.secrets]
    if configuration.control.token is not None:
        sources.append(configuration.control.token)
    files = [s.where for s in sources if s.kind is PasswordKind.FILE]
    users = configuration.intake.users
    files += [] if users is None else [users]
    files += _clientKeys(configuration.delivery)
    # The same may be for several hosts.
    for path in dict.fromkeys(files):
        yield _checkSecret(path)
    if not files:
        yield ok("no password is in a file")
    if any(getattr(host, "oauth2", None) is not None for host in hosts):
        yield from _checkTokens(tokensBeside(configuration.queue))


def _clientKeys(delivery: Delivery) -> Iterator[str]:
    if delivery.clientKey is not None:
        yield delivery.clientKey
    for route in delivery.routes:
        if not isinstance(route, Rule):
            key = route.clientKey
        else:
            key = None if route.terms is None else route.terms.keyFile
        if key is not None:
            yield key
    for host in delivery.everySmartHost:
        # The key may be in the file of the certificate.
        key = host.keyFile or host.certFile
        if key is not None:
            yield key


def _checkTokens(path: str) -> Iterator[Answer]:
    try:
        TokenStore(path).check()
    except FileNotFoundError:
        yield ok(f"{path} is not there yet; it is made with the first token")
    except OSError as e:
        yield fail(
            f"tokens cannot be kept in {path}: {e.strerror or e}",
            "give it, with what is in it, to the user that the relay runs as, "
            "and let nobody else enter it (chmod 700); where the relay is that user, "
            "give this command as it, too",
        )
    else:
        yield ok(f"{path} can be used, and by nobody else")


def _checkSecret(path: str) -> Answer:
    try:
        mode = stat.S_IMODE(os.stat(path).st_mode)
        with open(path, "rb"):
            pass
    except OSError as e:
        return fail(
            f"tried to read {path}: {e.strerror or e}",
            "see that it is there, and that the user that the relay runs as may read "
            "it",
        )
    if mode & 0o007:
        return fail(f"everybody may use {path} ({mode:04o})", f"chmod o-rwx {path}")
    return ok(f"{path} can be read, and not by everybody")


def checkEntrances(told: Intake) -> Iterator[Answer]:
    """
    See that those who are asked who they are can say so.
    """
    try:
        checkEntering(told)
    except ConfigurationError as e:
        yield fail(str(e), "name it; relaymail config check says the same")
        return
    try:
        checkUsers(told.users)
    except ConfigurationError as e:
        yield fail(str(e), "mend it; relaymail auth hash prints its lines")
        return
    found = list(remarks(told))
    for problem in found:
        yield warn(problem, "name them; relaymail config check says the same")
    if not found:
        kinds = dict.fromkeys(opening.kind for opening in told.openings)
        yield ok(f"mail is taken by {', '.join(kinds) or 'no port'}")


def checkQueue(place: QueuePlace) -> Iterator[Answer]:
    """
    See that the queue can be used, and who uses it.  It is not opened.
    """
    isSpool = place.kind is QueueKind.SPOOL
    directory = os.path.dirname(place.path) if isSpool else place.path
    if not os.path.lexists(directory):
        yield ok(f"{directory} is not there yet; it is made at the first start")
        return
    try:
        Disk().checkDirectory(directory)
    except QueueUnusable as e:
        yield fail(
            str(e),
            "give the command as the user that the relay runs as, and the directory "
            "to that user",
        )
        return
    holder = relayOf(place)
    if holder is None:
        yield ok(f"{place} can be used; no relay uses it")
    else:
        yield ok(f"{place} is used by process {holder}")
    yield from _checkOwner(place)


def _checkOwner(place: QueuePlace) -> Iterator[Answer]:
    """
    See that nobody has started the relay as another user by mistake.
    """
    try:
        owner = os.stat(place.path).st_uid
        above = os.stat(os.path.dirname(place.path)).st_uid
    except OSError:
        return
    if owner != above and place.kind is QueueKind.SPOOL:
        yield warn(
            f"{place.path} belongs to user {owner}, and its directory to {above}",
            "was the relay started as root once? chown -R all of it to the user that "
            "it runs as",
        )


def relayOf(place: QueuePlace) -> int | None:
    """
    Give the number of the process that relays from a queue, L{None} where none
    does or the system does not say.
    """
    return lockHolder(lockedDirectory(place))
