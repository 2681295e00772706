# -*- test-case-name: relaymail.test.interop.test_proxies -*-
"""
nginx as a proxy of mail, which speaks SMTP itself and says with XCLIENT for whom.
"""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SkipTest

from relaymail.test.interop.programs import Server, find, freePort, needRoot

#: Where its module for mail is.
MODULE = Path("/usr/lib/nginx/modules/ngx_mail_module.so")

_CONFIGURATION = """
load_module {module};
daemon off;
master_process off;
pid {place}/pid;
error_log {place}/log info;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {place}/body;
    proxy_temp_path {place}/proxy;
    fastcgi_temp_path {place}/fastcgi;
    uwsgi_temp_path {place}/uwsgi;
    scgi_temp_path {place}/scgi;
    server {{
        listen 127.0.0.1:{asked};
        location / {{
            add_header Auth-Status OK;
            add_header Auth-Server 127.0.0.1;
            add_header Auth-Port {to};
            return 204;
        }}
    }}
}}
mail {{
    server_name proxy.example;
    auth_http 127.0.0.1:{asked}/;
    server {{
        listen 127.0.0.1:{port};
        protocol smtp;
        smtp_auth none;
        xclient on;
    }}
}}
"""


class NGINX:
    """
    One nginx.

    @ivar port: Where it takes mail.
    """

    def __init__(self, place: Path, to: int) -> None:
        """
        Start it.

        @param place: A directory for its files.
        @param to: The port of this machine that it goes on to.

        @raise SkipTest: When it is not installed, or cannot be run.
        """
        needRoot()
        program = find("nginx")
        if not MODULE.exists():
            raise SkipTest("nginx has no module for mail")
        self.port, asked = freePort(), freePort()
        path = place / "nginx.conf"
        path.write_text(
            _CONFIGURATION.format(
                module=MODULE, place=place, port=self.port, asked=asked, to=to
            )
        )
        self._log = place / "log"
        self._server = Server([program, "-c", str(path)], place / "said")

    @property
    def said(self) -> str:
        """
        What it has said.
        """
        log = self._log.read_text("utf-8", "replace") if self._log.exists() else ""
        return log + self._server.said

    def stop(self) -> None:
        """
        Stop it.
        """
        self._server.end()
