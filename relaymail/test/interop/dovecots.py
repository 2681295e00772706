# -*- test-case-name: relaymail.test.interop.test_receivers -*-
"""
Dovecot, which takes mail by LMTP and knows users, with a place of its own.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from pathlib import Path

from relaymail.test.interop.programs import Server, find, freePort, needRoot

_CONFIGURATION = """
base_dir = {place}/run
state_dir = {place}/run
instance_name = {name}
log_path = {place}/log
protocols = lmtp
ssl = no
auth_mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256
disable_plaintext_auth = no
first_valid_uid = 1
mail_location = maildir:{place}/mail/%u
mail_uid = dovecot
mail_gid = dovecot
lmtp_save_to_detail_mailbox = no
passdb {{
  driver = passwd-file
  args = {place}/users
}}
userdb {{
  driver = static
  args = uid=dovecot gid=dovecot home={place}/mail/%u allow_all_users=yes
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {port}
  }}
  unix_listener {place}/lmtp {{
    mode = 0666
  }}
}}
service auth {{
  unix_listener {place}/auth {{
    mode = 0666
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
"""


class Dovecot:
    """
    One Dovecot.

    @ivar port: Where it takes mail by LMTP.
    @ivar socket: Its UNIX socket for the same.
    @ivar auth: The UNIX socket on which it tells Postfix who somebody is.
    @ivar mail: The directory of the maildirs that it delivers to.
    """

    def __init__(self, place: Path, users: Mapping[str, str] | None = None) -> None:
        """
        Start it.

        @param place: A directory that its user can look into.
        @param users: Passwords by user.

        @raise SkipTest: When it is not installed, or this is not root.
        """
        needRoot()
        program = find("dovecot")
        self.port = freePort()
        self.socket = place / "lmtp"
        self.auth = place / "auth"
        self.mail = place / "mail"
        self._log = place / "log"
        owner = pwd.getpwnam("dovecot")
        self.mail.mkdir()
        os.chown(self.mail, owner.pw_uid, owner.pw_gid)
        known = "".join(f"{u}:{{PLAIN}}{p}\n" for u, p in (users or {}).items())
        (place / "users").write_text(known)
        configuration = place / "dovecot.conf"
        configuration.write_text(
            _CONFIGURATION.format(place=place, port=self.port, name=place.name)
        )
        words = [program, "-F", "-c", str(configuration)]
        self._server = Server(words, place / "said")

    @property
    def said(self) -> str:
        """
        What it has logged.
        """
        log = self._log.read_text("utf-8", "replace") if self._log.exists() else ""
        return log + self._server.said

    def stop(self) -> None:
        """
        Stop it.
        """
        self._server.end()
