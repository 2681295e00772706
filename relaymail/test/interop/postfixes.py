# -*- test-case-name: relaymail.test.interop.test_receivers -*-
"""
Postfix, with a configuration, a queue and a port of its own.
"""

from __future__ import annotations

import pwd
from collections.abc import Mapping
from pathlib import Path

from relaymail.test.interop.programs import find, freePort, needRoot, run

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
        self._command = find("postfix")
        self._place = place
        self.port = freePort()
        self.mail = place / "mail"
        self._write(settings)
        run([self._command, "-c", str(place / "etc"), "start"])

    @property
    def said(self) -> str:
        """
        What it has logged.
        """
        log = self._place / "log"
        return log.read_text("utf-8", "replace") if log.exists() else ""

    def stop(self) -> None:
        """
        Stop it.
        """
        run([self._command, "-c", str(self._place / "etc"), "stop"], mayFail=True)

    def _write(self, settings: Mapping[str, str]) -> None:
        owner = pwd.getpwnam("postfix")
        for name in ("etc", "queue", "data", "mail"):
            (self._place / name).mkdir(mode=0o755)
        for name in ("data", "mail"):
            (self._place / name).chmod(0o700)
            _give(self._place / name, owner)
        lines = [_MAIN.format(place=self._place)]
        lines += [f"{name} = {value}" for name, value in settings.items()]
        (self._place / "etc" / "main.cf").write_text("\n".join(lines) + "\n")
        (self._place / "etc" / "master.cf").write_text(_MASTER.format(port=self.port))


def mailboxes(place: Path, domain: str) -> dict[str, str]:
    """
    Give what has a Postfix deliver all mail for a domain to one maildir.
    """
    owner = pwd.getpwnam("postfix")
    return {
        "virtual_mailbox_domains": domain,
        "virtual_mailbox_base": str(place / "mail"),
        "virtual_mailbox_maps": "static:inbox/",
        "virtual_minimum_uid": "1",
        "virtual_uid_maps": f"static:{owner.pw_uid}",
        "virtual_gid_maps": f"static:{owner.pw_gid}",
    }


def _give(path: Path, owner: pwd.struct_passwd) -> None:
    import os

    os.chown(path, owner.pw_uid, owner.pw_gid)
