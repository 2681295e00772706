# -*- test-case-name: relaymail.test.interop.test_dovecot -*-
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
protocols = {protocols}
ssl = no
auth_mechanisms = {mechanisms}
disable_plaintext_auth = no
auth_failure_delay = 0
first_valid_uid = 1
mail_location = maildir:{place}/mail/%u
mail_uid = dovecot
mail_gid = dovecot
lmtp_save_to_detail_mailbox = no
passdb {{
  driver = passwd-file
  args = {place}/users
}}
{more}
userdb {{
  driver = passwd-file
  args = {place}/users
  default_fields = uid=dovecot gid=dovecot home={place}/mail/%u
}}
mail_plugins = $mail_plugins quota
plugin {{
  quota = maildir
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
submission_relay_host = 127.0.0.1
submission_relay_port = {relay}
submission_relay_trusted = yes
submission_relay_rawlog_dir = {place}/mail
hostname = dovecot.example
service submission-login {{
  inet_listener submission {{
    address = 127.0.0.1
    port = {submission}
  }}
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
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

_TOKENS = """
passdb {{
  driver = oauth2
  mechanisms = oauthbearer xoauth2
  args = {place}/tokens
}}
"""


class Dovecot:
    """
    One Dovecot.

    @ivar port: Where it takes mail by LMTP.
    @ivar submission: Where it takes mail of its users, where it has a relay for it.
    @ivar socket: Its UNIX socket for the same.
    @ivar auth: The UNIX socket on which it tells Postfix who somebody is.
    @ivar mail: The directory of the maildirs that it delivers to.
    """

    def __init__(
        self,
        place: Path,
        users: Mapping[str, str],
        mechanisms: str = "plain",
        relay: int = 0,
        tokens: str = "",
    ) -> None:
        """
        Start it.

        @param place: A directory that its user can look into.
        @param users: What stands behind the name of each user in its file.
        @param mechanisms: In which ways they may say who they are.
        @param relay: The port of the relay that it gives the mail of its users to; 0
            for none.
        @param tokens: The URL where it asks whose a token is, which it is to end
            with; empty: it knows none.

        @raise SkipTest: When it is not installed, or this is not root.
        """
        needRoot()
        program = find("dovecot")
        self.port, self.submission = freePort(), freePort()
        self.socket = place / "lmtp"
        self.auth = place / "auth"
        self.mail = place / "mail"
        self._log = place / "log"
        owner = pwd.getpwnam("dovecot")
        self.mail.mkdir()
        os.chown(self.mail, owner.pw_uid, owner.pw_gid)
        known = "".join(f"{user}:{words}\n" for user, words in users.items())
        (place / "users").write_text(known)
        asks = place / "tokens"
        asks.write_text(f"tokeninfo_url = {tokens}\nusername_attribute = email\n")
        configuration = place / "dovecot.conf"
        configuration.write_text(
            _CONFIGURATION.format(
                place=place,
                port=self.port,
                name=place.name,
                mechanisms=mechanisms,
                protocols="submission" if relay else "lmtp",
                relay=relay,
                more=_TOKENS.format(place=place) if tokens else "",
                submission=self.submission,
            )
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

    @property
    def saidToRelay(self) -> bytes:
        """
        What it has said to the relay that it gives the mail of its users to.
        """
        return b"".join(path.read_bytes() for path in self.mail.glob("*.out"))

    def stop(self) -> None:
        """
        Stop it.
        """
        self._server.end()
