# -*- test-case-name: relaymail.test.route.sts.test_storing -*-
"""
Policies of MTA-STS on the disk: who could choose the moment of a restart would
otherwise have one without them (RFC 8461 10.2).

Each domain has a file of its own.  Nothing here is called in the reactor's thread.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass

from relaymail.keeping import PrivateDirectory, nameOf
from relaymail.route.sts.policy import MAX_SIZE, MalformedPolicy, STSPolicy, parsePolicy

#: How much of a file is read, in bytes: a policy whose characters are escaped.
MAX_FILE = 4 * MAX_SIZE


@dataclass(frozen=True, slots=True)
class Kept:
    """
    What is kept of a domain.

    @ivar domain: The domain.
    @ivar policy: Its policy.
    @ivar fetched: When that was had, in seconds of the epoch.
    @ivar used: When it was asked for last, in seconds of the epoch.
    """

    domain: str
    policy: STSPolicy
    fetched: float
    used: float


class Damaged(ValueError):
    """
    A file is not what was written; it is left out, and what it said is had anew when
    mail goes to its domain.
    """


class PolicyStore:
    """
    A directory of policies.

    @ivar path: The directory; it is made when something is kept.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._files = PrivateDirectory(path)

    def names(self) -> list[str]:
        """
        Give the names of the files.

        @raise OSError: When the directory cannot be used.
        """
        return self._files.names()

    def load(self, names: Iterable[str]) -> list[Kept | Damaged]:
        """
        Read files.

        @param names: Their names.

        @raise OSError: When the directory cannot be used.
        """
        return [found for name in names if (found := self._loadOne(name)) is not None]

    def _loadOne(self, name: str) -> Kept | Damaged | None:
        try:
            data = self._files.read(name, MAX_FILE)
            return None if data is None else _parsed(name, data)
        except OSError as e:
            return Damaged(f"{name} cannot be read: {e.strerror or e}")
        except Damaged as e:
            return e

    def save(self, kept: Kept) -> None:
        """
        Keep a policy: when this returns it would survive a power cut.

        @raise OSError: When it cannot be kept.
        """
        self._files.write(nameOf(kept.domain), _written(kept))

    def forget(self, domain: str) -> None:
        """
        Keep nothing of a domain.

        @raise OSError: When that cannot be done.
        """
        self._files.remove(nameOf(domain))


def _written(kept: Kept) -> bytes:
    document = {
        "domain": kept.domain,
        "id": kept.policy.id,
        "fetched": kept.fetched,
        "used": kept.used,
        "policy": kept.policy.lines,
    }
    return json.dumps(document).encode("ascii")


def _parsed(name: str, data: bytes) -> Kept:
    """
    Read a file.

    @raise Damaged: When it is not what was written.
    """
    try:
        said = json.loads(data) if len(data) <= MAX_FILE else {}
        domain, id, lines = said["domain"], said["id"], said["policy"]
        if nameOf(domain) != name or not isinstance(id, str):
            raise ValueError("it is of another domain")
        policy = parsePolicy("\n".join(lines).encode("utf-8"), id)
        times = float(said["fetched"]), float(said["used"])
    except MalformedPolicy as e:
        raise Damaged(f"{name} holds no policy: {e}") from e
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as e:
        raise Damaged(f"{name} is not what was written there") from e
    if not all(map(math.isfinite, times)):
        raise Damaged(f"{name} has no times")
    return Kept(domain, policy, *times)
