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
from relaymail.route.hosts import Host


@implementer(IStreamClientEndpoint)
class HostEndpoint:
    """
    A server that is connected to.
    """

    def __init__(self, connector: Connector, host: Host, port: int) -> None:
        """
        @param connector: Finds its addresses, and connects to those that may be.
        @param host: The server, and what TLS it needs.
        @param port: Its port.
        """
        self._connector = connector
        self._host = host
        self._port = port

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        """
        Connect.
        """
        return self._connector.connect(self._host, self._port, protocolFactory)
