# -*- test-case-name: relaymail.test.oauth2.test_fetching -*-
"""
Asking a token server over HTTP.

What is asked holds secrets: see L{relaymail.fetching} for what is not done with it.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from relaymail import fetching
from relaymail.fetching import Answer

_HEADERS = {
    "Content-Type": "application/x-www-form-urlencoded",
    "Accept": "application/json",
}


class Fetcher:
    """
    Asks token servers.
    """

    def __init__(self, reactor: Any) -> None:
        """
        @param reactor: Where to connect.
        """
        self._fetcher = fetching.Fetcher(reactor)

    def post(self, url: str, form: bytes) -> Deferred[Answer]:
        """
        Send a form, and read the answer.

        @param url: Where to.
        @param form: The body.

        @return: See L{fetching.Fetcher.post<relaymail.fetching.Fetcher.post>}.
        """
        return self._fetcher.post(url, form, _HEADERS)

    def stop(self) -> Deferred[None]:
        """
        Close idle connections.

        @return: Fires when they are closed.
        """
        return self._fetcher.stop()
