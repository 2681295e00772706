# -*- test-case-name: relaymail.test.test_privileges -*-
"""
Tests for L{relaymail.privileges}.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

import relaymail
from relaymail.errors import ConfigurationError
from relaymail.privileges import (
    Identity,
    Ids,
    checkPrivileges,
    currentIdentity,
    parseStatus,
)

#: A user and a group that are nobody's, which root can be as well as anybody.
SOMEBODY = 65533

ROOT = Ids(0, 0, 0, 0)
USER = Ids(SOMEBODY, SOMEBODY, SOMEBODY, SOMEBODY)
#: As C{os.seteuid} leaves it.
HIDDEN = Ids(0, SOMEBODY, 0, SOMEBODY)

#: What a child says of itself when it has checked its privileges.
CHILD = """
import json, os
from relaymail.errors import ConfigurationError
from relaymail.privileges import checkPrivileges, currentIdentity
{begin}
try:
    told = checkPrivileges()
except ConfigurationError as e:
    told = [str(e)]
try:
    os.seteuid(0)
    again = os.geteuid() == 0
except PermissionError:
    again = False
here = currentIdentity()
ids = [*os.getresuid(), *os.getresgid()] if hasattr(os, "getresuid") else []
print(json.dumps([told, again, ids, here.user.words, here.group.words,
                  sorted(here.supplementary)]))
"""


class Kernel:
    """
    A system whose process has some ids.

    @ivar identity: They.
    @ivar refuses: The calls that fail.
    """

    def __init__(self, identity: Identity, refuses: tuple[str, ...] = ()) -> None:
        self.identity = identity
        self.refuses = refuses
        self.calls: list[tuple[str, Any]] = []

    def _call(self, name: str, change: Callable[[], Identity], told: Any) -> None:
        self.calls.append((name, told))
        if name in self.refuses:
            raise PermissionError(1, "Operation not permitted")
        self.identity = change()

    def seteuid(self, euid: int, /) -> None:
        """
        Change the effective user.
        """
        user, group = self.identity.user, self.identity.group
        ids = Ids(user.real, euid, user.saved, euid)
        others = self.identity.supplementary
        self._call("seteuid", lambda: Identity(ids, group, others), euid)

    def setresuid(self, ruid: int, euid: int, suid: int, /) -> None:
        """
        Change the users.
        """
        ids, now = Ids(ruid, euid, suid, euid), self.identity
        self._call(
            "setresuid",
            lambda: Identity(ids, now.group, now.supplementary),
            (ruid, euid, suid),
        )

    def setresgid(self, rgid: int, egid: int, sgid: int, /) -> None:
        """
        Change the groups.
        """
        ids, now = Ids(rgid, egid, sgid, egid), self.identity
        self._call(
            "setresgid",
            lambda: Identity(now.user, ids, now.supplementary),
            (rgid, egid, sgid),
        )

    def setgroups(self, groups: list[int], /) -> None:
        """
        Change the other groups.
        """
        now = self.identity
        self._call(
            "setgroups",
            lambda: Identity(now.user, now.group, frozenset(groups)),
            groups,
        )

    def check(self) -> list[str]:
        """
        Check the privileges of this process.
        """
        return checkPrivileges(lambda: self.identity, self)


class ReadingTests(SynchronousTestCase):
    """
    Tests for what says who a process is.
    """

    def test_status(self) -> None:
        """
        All four ids of the user and of the group are read, and the groups.
        """
        text = "Name:\tx\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nGroups:\t9 10 \n"
        found = parseStatus(text)
        expected = Identity(Ids(1, 2, 3, 4), Ids(5, 6, 7, 8), frozenset((9, 10)))
        self.assertEqual(found, expected)

    def test_damagedStatus(self) -> None:
        """
        What says something else says nothing.
        """
        for text in ("", "Uid:\t1\n", "Uid:\t1 2 3 x\nGid:\t1 2 3 4\n", "Uid: 1 2 3 4"):
            self.assertIsNone(parseStatus(text), text)

    def test_thisProcess(self) -> None:
        """
        What is said of this process is what the system says.
        """
        here = currentIdentity()
        self.assertEqual(here.user.effective, os.geteuid())
        self.assertEqual(here.group.effective, os.getegid())
        self.assertEqual(here.user.real, os.getuid())

    def test_withoutProc(self) -> None:
        """
        Where the system has no such file, it is asked.
        """
        expected = currentIdentity()
        self.patch(relaymail.privileges, "STATUS", "/nowhere/status")
        found = currentIdentity()
        self.assertEqual((found.user, found.group), (expected.user, expected.group))


class CheckTests(SynchronousTestCase):
    """
    Tests for L{checkPrivileges} on a system that is not real.
    """

    def test_user(self) -> None:
        """
        A user is left as it is, and nothing is said.
        """
        kernel = Kernel(Identity(USER, USER, frozenset((5,))))
        self.assertEqual(kernel.check(), [])
        self.assertEqual(kernel.calls, [])

    def test_root(self) -> None:
        """
        Root is left as it is, and that is said.
        """
        kernel = Kernel(Identity(ROOT, ROOT))
        (told,) = kernel.check()
        self.assertIn("runs as root", told)
        self.assertEqual(kernel.calls, [])

    def test_eachIdCounts(self) -> None:
        """
        Root as any of the four ids is given up.
        """
        for place in range(4):
            ids = [SOMEBODY] * 4
            ids[place] = 0
            user = Ids(*ids)
            if user.effective == 0:
                continue
            kernel = Kernel(Identity(user, USER))
            (told,) = kernel.check()
            self.assertIn("given them up for good", told)
            self.assertEqual(kernel.identity, Identity(USER, USER))

    def test_groups(self) -> None:
        """
        Root's group is left for the user's own, and the others are kept.
        """
        kernel = Kernel(Identity(HIDDEN, HIDDEN, frozenset((0, 7))))
        self.assertEqual(len(kernel.check()), 1)
        self.assertEqual(kernel.identity, Identity(USER, USER, frozenset((7,))))

    def test_kept(self) -> None:
        """
        What cannot be given up does not start.
        """
        kernel = Kernel(Identity(HIDDEN, USER), ("setresuid",))
        error = self.assertRaises(ConfigurationError, kernel.check)
        self.assertIn(f"acts as user {SOMEBODY} but could become root", str(error))
        self.assertIn("Operation not permitted", str(error))
        self.assertIn("it does not start", str(error))

    def test_notLeftAsRoot(self) -> None:
        """
        When the groups cannot be changed, root is given up all the same.
        """
        kernel = Kernel(Identity(HIDDEN, HIDDEN, frozenset((0,))), ("setgroups",))
        self.assertRaises(ConfigurationError, kernel.check)
        self.assertEqual(kernel.identity.user, USER)

    def test_rootsGroup(self) -> None:
        """
        A user in root's group, as some containers have it, is told of.
        """
        kernel = Kernel(Identity(USER, ROOT))
        (told,) = kernel.check()
        self.assertIn("root's group", told)
        self.assertEqual(kernel.identity, Identity(USER, ROOT))


class ProcessTests(SynchronousTestCase):
    """
    Tests with the ids of a process.  Only root can have others than its own: for
    everybody else there is nothing to give up, which is tested then.
    """

    def child(self, begin: str) -> tuple[list[str], bool, list[int], str, str, Any]:
        """
        Run a process that checks its privileges.

        @param begin: What it does first, when it is root.
        """
        code = CHILD.format(begin=begin if os.geteuid() == 0 else "")
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": str(Path(relaymail.__file__).parents[1])},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        told, again, ids, user, group, others = json.loads(done.stdout)
        return told, again, ids, user, group, others

    def assertGivenUp(self, begin: str) -> None:
        """
        Check that what was begun so cannot become root, by any of its ids.
        """
        told, again, ids, user, group, others = self.child(begin)
        self.assertFalse(again, told)
        self.assertEqual(len(set(ids[:3])), 1, ids)
        self.assertEqual(len(set(ids[3:])), 1, ids)
        if os.geteuid() == 0:
            self.assertNotIn(0, ids)
            for words in (user, group):
                self.assertNotRegex(words, r"\b0\b")
            self.assertNotIn(0, others)
            self.assertIn("given them up", " ".join(told))

    def test_effective(self) -> None:
        """
        What C{twistd --euid} leaves, the real and the saved root, is given up.
        """
        self.assertGivenUp(
            f"os.setgroups([0, 7]); os.setegid({SOMEBODY}); os.seteuid({SOMEBODY})"
        )

    def test_saved(self) -> None:
        """
        The saved root is given up, which nobody sees but the system.
        """
        self.assertGivenUp(
            f"os.setgroups([]); os.setresgid({SOMEBODY}, {SOMEBODY}, 0);"
            f"os.setresuid({SOMEBODY}, {SOMEBODY}, 0)"
        )

    def test_rootsGroupOnly(self) -> None:
        """
        Who has become a user for good, but not left root's group, stays there
        and is told of it; but can be nobody else.
        """
        told, again, ids, *_ = self.child(
            f"os.setgroups([]); os.setresuid({SOMEBODY}, {SOMEBODY}, {SOMEBODY})"
        )
        self.assertFalse(again)
        if os.geteuid() == 0:
            self.assertEqual(ids[:3], [SOMEBODY] * 3)
            self.assertIn("root's group", " ".join(told))

    def test_forGood(self) -> None:
        """
        Who is a user already is left alone.
        """
        told, again, *_ = self.child(
            f"os.setgroups([]); os.setresgid({SOMEBODY}, {SOMEBODY}, {SOMEBODY});"
            f"os.setresuid({SOMEBODY}, {SOMEBODY}, {SOMEBODY})"
        )
        self.assertEqual((told, again), ([], False))
