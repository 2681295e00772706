# -*- test-case-name: relaymail.test.test_privileges -*-
"""
Whether the privileges of root are really given up.

A process has a real, an effective, a saved and, on Linux, a filesystem id, each
for the user and for the group.  What runs as a user but has kept root as one of
the others can become root again, and so can whoever takes it over.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from relaymail.errors import ConfigurationError

#: Where Linux says it.
STATUS = "/proc/self/status"
#: How much of that is read, in bytes; a process may be in 65536 groups.
MAX_STATUS = 1_000_000

ROOT = 0


@dataclass(frozen=True, slots=True)
class Ids:
    """
    The ids of a process, of users or of groups.

    @ivar real: Who started it.
    @ivar effective: As whom it acts.
    @ivar saved: As whom it may act again.
    @ivar filesystem: As whom it opens files.
    """

    real: int
    effective: int
    saved: int
    filesystem: int

    @property
    def hidesRoot(self) -> bool:
        """
        Whether it acts as somebody else and has kept root.
        """
        others = (self.real, self.saved, self.filesystem)
        return self.effective != ROOT and ROOT in others

    @property
    def words(self) -> str:
        """
        They, for people.
        """
        return (
            f"real {self.real}, effective {self.effective}, saved {self.saved}, "
            f"filesystem {self.filesystem}"
        )


@dataclass(frozen=True, slots=True)
class Identity:
    """
    Who a process is.

    @ivar user: Its users.
    @ivar group: Its groups.
    @ivar supplementary: The other groups it is in.
    """

    user: Ids
    group: Ids
    supplementary: frozenset[int] = frozenset()

    @property
    def isRoot(self) -> bool:
        """
        Whether it acts as root.
        """
        return self.user.effective == ROOT

    @property
    def hasRootGroup(self) -> bool:
        """
        Whether it is in root's group in one way or another.
        """
        group = self.group
        return ROOT in (group.real, group.effective, group.saved, group.filesystem) or (
            ROOT in self.supplementary
        )


class ISystem(Protocol):
    """
    What changes who this process is: the functions of C{os} of these names.
    """

    def seteuid(self, euid: int, /) -> None:
        """
        Act as a user.
        """

    def setresuid(self, ruid: int, euid: int, suid: int, /) -> None:
        """
        Be a user: really, in effect, and as the saved one.
        """

    def setresgid(self, rgid: int, egid: int, sgid: int, /) -> None:
        """
        Be of a group, in the same way.
        """

    def setgroups(self, groups: list[int], /) -> None:
        """
        Be in these other groups.
        """


def parseStatus(text: str) -> Identity | None:
    """
    Read who a process is.

    @param text: What Linux says of it, C{proc_pid_status(5)}.

    @return: It, or L{None} where that does not say it.
    """
    found = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    try:
        user = Ids(*map(int, found["Uid"].split()))
        group = Ids(*map(int, found["Gid"].split()))
        groups = frozenset(map(int, found.get("Groups", "").split()))
    except (KeyError, ValueError, TypeError):
        return None
    return Identity(user, group, groups)


def currentIdentity() -> Identity:
    """
    Say who this process is.  Where the system does not say what the filesystem
    ids are, they are the effective ones.
    """
    try:
        with open(STATUS, "rb") as file:
            found = parseStatus(file.read(MAX_STATUS).decode("utf-8", "replace"))
    except OSError:
        found = None
    return found or _asked()


def _asked() -> Identity:
    if hasattr(os, "getresuid"):
        user, group = os.getresuid(), os.getresgid()
    else:
        user = (os.getuid(), os.geteuid(), os.geteuid())
        group = (os.getgid(), os.getegid(), os.getegid())
    groups = frozenset(os.getgroups()) - {group[1]}
    return Identity(Ids(*user, user[1]), Ids(*group, group[1]), groups)


def checkPrivileges(
    identify: Callable[[], Identity] = currentIdentity, system: ISystem | None = None
) -> list[str]:
    """
    See that this process, unless it acts as root, can never do so again: what is
    left of root is given up.

    @param identify: Says who it is.
    @param system: What changes that; L{None}: the system.

    @return: What an operator should know, in sentences.

    @raise ConfigurationError: When root is left and cannot be given up.
    """
    before = identify()
    if before.isRoot:
        return [
            "The relay runs as root, which it does not need: give a user, by the "
            "unit's User= or twistd's --uid and --gid"
        ]
    if not (before.user.hidesRoot or before.hasRootGroup):
        return []
    trouble = _giveUp(before, _System() if system is None else system)
    after = identify()
    if after.isRoot or after.user.hidesRoot or after.group.hidesRoot:
        raise ConfigurationError(
            f"the relay acts as user {before.user.effective} but could become root "
            f"again (users: {after.user.words}; groups: {after.group.words}), and "
            f"tried in vain to give that up{trouble}; it does not start: start it as "
            "that user, by the unit's User= or twistd's --uid and --gid"
        )
    told = []
    if after != before:
        told.append(
            "The relay had kept privileges of root, and has given them up for good "
            f"(users: {after.user.words}; groups: {after.group.words})"
        )
    if after.hasRootGroup:
        told.append(
            "The relay is in root's group, and may use what that may: give it a group "
            "of its own, by the unit's Group= or twistd's --gid"
        )
    return told


def _giveUp(identity: Identity, system: ISystem) -> str:
    """
    Give up what is left of root, as far as that can be done.

    @return: What went wrong, to be put into a sentence, or nothing.
    """
    user, group = identity.user.effective, identity.group.effective
    try:
        if identity.hasRootGroup and ROOT in (identity.user.real, identity.user.saved):
            # Only root leaves a group.
            system.seteuid(ROOT)
            system.setgroups(sorted(identity.supplementary - {ROOT}))
            group = group if group != ROOT else _groupOf(user, identity)
        if identity.group.hidesRoot or group != identity.group.effective:
            system.setresgid(group, group, group)
    except OSError as e:
        return _leave(user, system) or f" ({e.strerror or e})"
    return _leave(user, system)


def _leave(user: int, system: ISystem) -> str:
    try:
        system.setresuid(user, user, user)
    except OSError as e:
        return f" ({e.strerror or e})"
    return ""


def _groupOf(user: int, identity: Identity) -> int:
    """
    Give the group of a user; root's where it is not known.
    """
    try:
        return pwd.getpwuid(user).pw_gid
    except KeyError:
        return min(identity.supplementary - {ROOT}, default=ROOT)


class _System:
    """
    The system; one that has no C{setresuid} does the same in two steps.
    """

    seteuid = staticmethod(os.seteuid)
    setgroups = staticmethod(os.setgroups)

    def setresuid(self, ruid: int, euid: int, suid: int, /) -> None:
        if hasattr(os, "setresuid"):
            os.setresuid(ruid, euid, suid)
        else:
            os.setreuid(ruid, euid)

    def setresgid(self, rgid: int, egid: int, sgid: int, /) -> None:
        if hasattr(os, "setresgid"):
            os.setresgid(rgid, egid, sgid)
        else:
            os.setregid(rgid, egid)
