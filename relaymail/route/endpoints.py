# -*- test-case-name: relaymail.test.route.sts.test_fetching -*-
"""
Web servers, reached as hosts of mail are: by the one resolver, at no address that mail
may not go to.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from zope.interface import implementer

from relaymail.route.connector import Connector
from relaymail.route.hosts import Host, TLSNeed


@implementer(IStreamClientEndpoint)
class WebEndpoint:
    """
    A web server that is who it says (RFC 9110 4.2.2).
    """

    def __init__(
        self, connector: Connector, name: str, port: int, caFile: str | None = None
    ) -> None:
        """
        @param connector: Finds its addresses, and connects to those that may be.
        @param name: Its name, for which its certificate is to be valid.
        @param port: Its port.
        @param caFile: A file of certificates (PEM) that are trusted instead of the
            system's.
        """
        self._connector = connector
        self._host = Host(name, tls=TLSNeed.VERIFIED, implicitTLS=True, caFile=caFile)
        self._port = port

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        """
        Connect.
        """
        return self._connector.connect(self._host, self._port, protocolFactory)
