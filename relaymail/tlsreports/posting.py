# -*- test-case-name: relaymail.test.endtoend.test_tlsreports -*-
"""
Reports over HTTPS.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from relaymail.fetching import Answer, Fetcher
from relaymail.route.connector import Connector
from relaymail.route.endpoints import WebEndpoint

#: How long a request may take, in seconds: a report may be large.
PATIENCE = 60.0
#: How long a connection to each address may take to be made, in seconds.
CONNECT_PATIENCE = 10.0


@implementer(IAgentEndpointFactory)
class Poster:
    """
    Sends reports to URLs.

    Where those lead is said by whoever asks for reports: they are reached as hosts of
    mail are, so that nobody makes the relay ask its own network.

    @cvar caFile: A file of certificates (PEM) that are trusted instead of the
        system's; L{None}: the system's.
    """

    caFile: str | None = None

    def __init__(self, manager: Any) -> None:
        """
        @param manager: The relaying manager, whose ways to find and reach hosts are
            taken.
        """
        self._manager = manager
        self._fetcher = Fetcher(manager.reactor, self)

    def post(self, url: str, content: bytes, kind: str) -> Deferred[Answer]:
        """
        Send something.

        @param kind: The type of its content.

        @return: Fires with the answer.
        """
        return self._fetcher.post(url, content, {"Content-Type": kind}, PATIENCE)

    def endpointForURI(self, uri: Any) -> IStreamClientEndpoint:
        """
        Say how the server of a URL is connected to; see C{IAgentEndpointFactory}.
        """
        manager = self._manager
        connector = Connector(
            manager.reactor,
            manager.mxcalc.resolver,
            manager.destinations,
            CONNECT_PATIENCE,
        )
        endpoint: IStreamClientEndpoint = WebEndpoint(
            connector, uri.host.decode("ascii"), uri.port, self.caFile
        )
        return endpoint

    def stop(self) -> Deferred[None]:
        """
        Close what is open.

        @return: Fires when it is closed.
        """
        return self._fetcher.stop()
