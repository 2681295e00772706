# -*- test-case-name: relaymail.test.interop.test_exim -*-
"""
Exim, with a configuration, a spool and a port of its own.
"""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from twisted.trial.unittest import SkipTest

from relaymail.test.interop.programs import Server, find, freePort, needRoot

#: The environment variable that names the program where it is not installed for
#: good: it excludes other servers.
VARIABLE = "RELAYMAIL_EXIM"
#: Who it is when it is nobody else.
USER = "Debian-exim"

_CONFIGURATION = """
primary_hostname = exim.example
exim_path = {program}
spool_directory = {place}/spool
log_file_path = {place}/log/%slog
daemon_smtp_ports = {port}
local_interfaces = 127.0.0.1
keep_environment =
log_selector = +pipelining
smtputf8_advertise_hosts = *
chunking_advertise_hosts = *
dsn_advertise_hosts = *
pipelining_connect_advertise_hosts =
tls_advertise_hosts = {tls}
host_lookup =
never_users =
acl_smtp_rcpt = {acl}
acl_smtp_data = accept
acl_smtp_mail = accept
{settings}
begin acl
users:
  deny recipients = refused@one.example
       message = 5.1.1 Nobody
  accept authenticated = *
  deny message = Say who you are
everybody:
  deny recipients = refused@one.example
       message = 5.1.1 Nobody
  accept
begin routers
{routers}
box:
  driver = accept
  transport = box
begin transports
relay:
  driver = smtp
  allow_localhost
  {options}
box:
  driver = appendfile
  maildir_format
  directory = {place}/mail/inbox
  create_directory
  envelope_to_add
  return_path_add
  user = {user}
{parts}
"""


#: What sends all mail on.
_ROUTER = """
on:
  driver = manualroute
  route_list = * 127.0.0.1::{relay}
  self = send
  transport = relay
"""


class Exim:
    """
    One Exim.

    @ivar port: Where it takes mail.
    @ivar mail: The directory of the maildir that it delivers to.
    """

    def __init__(
        self,
        place: Path,
        settings: str = "",
        parts: str = "",
        *,
        relay: int = 0,
        options: str = "",
        acl: str = "everybody",
    ) -> None:
        """
        Start it.

        @param place: A directory that its user can look into.
        @param settings: What it is told beyond the usual.
        @param parts: Further parts of its configuration.
        @param relay: The port of the relay that it gives all mail to; 0: it
            delivers all itself.
        @param options: How it gives it.
        @param acl: Who may give it mail: C{everybody} or C{users}.

        @raise SkipTest: When it is not installed, or this is not root.
        """
        needRoot()
        program = find("exim4", VARIABLE)
        try:
            owner = pwd.getpwnam(USER)
        except KeyError:
            raise SkipTest(f"there is no user {USER}") from None
        self._place = place
        self.port = freePort()
        self.mail = place / "mail"
        for name in ("spool", "log", "mail"):
            (place / name).mkdir()
            os.chown(place / name, owner.pw_uid, owner.pw_gid)
        configuration = place / "exim.conf"
        configuration.write_text(
            _CONFIGURATION.format(
                program=program,
                place=place,
                port=self.port,
                user=USER,
                settings=settings,
                parts=parts,
                acl=acl,
                routers=_ROUTER.format(relay=relay) if relay else "",
                options=options,
                tls="*" if "tls_certificate" in settings else "",
            )
        )
        words = [program, "-C", str(configuration), "-bdf", "-oP", str(place / "pid")]
        self._server = Server(words, place / "said")

    @property
    def said(self) -> str:
        """
        What it has logged.
        """
        logs = sorted((self._place / "log").glob("*log"))
        return "".join(log.read_text("utf-8", "replace") for log in logs)

    def stop(self) -> None:
        """
        Stop it.
        """
        self._server.end()
