# -*- test-case-name: relaymail.test.interop.test_postfixtaking -*-
"""
Postfix, with a configuration, a queue and a port of its own.
"""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Mapping
from pathlib import Path

from relaymail.test.interop.programs import Server, find, freePort, needRoot, run

#: The directories of its queue, by the rights to them.
_QUEUES = {
    0o700: "active bounce corrupt defer deferred flush hold incoming private saved "
    "trace",
    0o710: "public",
    0o730: "maildrop",
    0o755: "pid",
}
#: A time that has long passed, in seconds of the epoch.
_LONG_AGO = 1_000_000_000

#: What every one is told.
_MAIN = """
compatibility_level = 3.6
queue_directory = {place}/queue
data_directory = {place}/data
maillog_file = {place}/log
maillog_file_prefixes = {place}
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = postfix.example
mydestination =
mynetworks = 127.0.0.0/8
alias_maps =
alias_database =
local_recipient_maps =
local_transport = error:nobody is local
biff = no
smtputf8_enable = yes
minimal_backoff_time = 1s
queue_run_delay = 1s
"""

_MASTER = """
{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
lmtp unix - - n - - lmtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """
    One Postfix.

    @ivar port: Where it takes mail.
    @ivar mail: The directory of the maildirs that it delivers to.
    """

    def __init__(self, place: Path, settings: Mapping[str, str]) -> None:
        """
        Start it.

        @param place: A directory that its user can look into.
        @param settings: What it is told beyond the usual.

        @raise SkipTest: When it is not installed, or this is not root.
        """
        needRoot()
        self._postconf = find("postconf")
        self._place = place
        self._etc = place / "etc"
        self.port = freePort()
        self.mail = place / "mail"
        self._makePlaces()
        self._write(settings)
        asked = run([self._postconf, "-dh", "daemon_directory"]).stdout
        master = f"{asked.decode().strip()}/master"
        # As the command of its package starts it, without the seconds of checks.
        words = [master, "-c", str(self._etc), "-d"]
        self._server = Server(words, place / "said")

    @property
    def said(self) -> str:
        """
        What it has logged.
        """
        log = self._place / "log"
        logged = log.read_text("utf-8", "replace") if log.exists() else ""
        return logged + self._server.said

    def stop(self) -> None:
        """
        Stop it.
        """
        self._server.end()

    def _makePlaces(self) -> None:
        owner = pwd.getpwnam("postfix")
        for name, mode in (("etc", 0o755), ("queue", 0o755), ("data", 0o700)):
            (self._place / name).mkdir(mode=mode)
        self.mail.mkdir(mode=0o700)
        for path in (self._place / "data", self.mail):
            os.chown(path, owner.pw_uid, owner.pw_gid)
        group = grp.getgrnam("postdrop").gr_gid
        for mode, names in _QUEUES.items():
            for name in names.split():
                path = self._place / "queue" / name
                path.mkdir()
                path.chmod(mode)
                user = 0 if name == "pid" else owner.pw_uid
                os.chown(path, user, group if mode in (0o710, 0o730) else -1)

    def _write(self, settings: Mapping[str, str]) -> None:
        lines = [_MAIN.format(place=self._place)]
        lines += [f"{name} = {value}" for name, value in settings.items()]
        main, master = self._etc / "main.cf", self._etc / "master.cf"
        main.write_text("\n".join(lines) + "\n")
        master.write_text(_MASTER.format(port=self.port))
        # It waits for files that may be being written still.
        for path in (main, master):
            os.utime(path, (_LONG_AGO, _LONG_AGO))


def mailboxes(place: Path, *domains: str) -> dict[str, str]:
    """
    Give what has a Postfix deliver all mail for some domains to one maildir.
    """
    owner = pwd.getpwnam("postfix")
    return {
        "virtual_mailbox_domains": " ".join(domains),
        "virtual_mailbox_base": str(place / "mail"),
        "virtual_mailbox_maps": "static:inbox/",
        "virtual_minimum_uid": "1",
        "virtual_uid_maps": f"static:{owner.pw_uid}",
        "virtual_gid_maps": f"static:{owner.pw_gid}",
    }
