# -*- test-case-name: relaymail.test.interop.test_proxies -*-
"""
HAProxy in front of the relay, as the page about operating has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from relaymail.test.interop.programs import Server, find, freePort

#: From where it talks to the relay: an address of its own on this machine.
SOURCE = "127.0.0.2"

_BEGIN = """
global
    maxconn 100
defaults
    mode tcp
    timeout connect 5s
    timeout client 30s
    timeout server 30s
"""
_LISTEN = """
listen {name}
    bind 127.0.0.1:{port}
    server relay 127.0.0.1:{to} {words} source {source} check inter 200ms
"""


class HAProxy:
    """
    One HAProxy.

    @ivar ports: Where it listens, by name.
    """

    def __init__(self, place: Path, behind: Mapping[str, tuple[int, str]]) -> None:
        """
        Start it.

        @param place: A directory for its files.
        @param behind: By name, the port of this machine that it goes on to, and how
            it says for whom, in its own words.

        @raise SkipTest: When it is not installed.
        """
        program = find("haproxy")
        self.ports = {name: freePort() for name in behind}
        text = _BEGIN
        for name, (to, words) in behind.items():
            port = self.ports[name]
            text += _LISTEN.format(
                name=name, port=port, to=to, words=words, source=SOURCE
            )
        path = place / "haproxy.cfg"
        path.write_text(text)
        self._server = Server([program, "-db", "-f", str(path)], place / "said")

    @property
    def said(self) -> str:
        """
        What it has said.
        """
        return self._server.said

    def stop(self) -> None:
        """
        Stop it.
        """
        self._server.end()
