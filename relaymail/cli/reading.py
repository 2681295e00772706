# -*- test-case-name: relaymail.test.cli.test_reading -*-
"""
What commands read: of the relay, or of its spool while it does not run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from relaymail.cli.client import Client, Refusal, quoted
from relaymail.cli.finding import find
from relaymail.cli.output import note
from relaymail.cli.selecting import queryOf, selectionOf
from relaymail.cli.settings import current
from relaymail.cli.troubles import ServiceDown

if TYPE_CHECKING:
    from relaymail.cli.offline import Offline

#: How many entries are asked for at a time.
PAGE = 1000

Answer = TypeVar("Answer")


def client() -> Client:
    """
    Give the client of the relay that the command that runs is about.
    """
    return Client(find(current()))


class Reader:
    """
    Reads what is queued.  The documents are those of the API; what only a relay
    that runs can know is not in them while it does not.

    @ivar client: What asks the relay.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self._offline: Offline | None = None

    @property
    def isOffline(self) -> bool:
        """
        Whether the relay was found not to run.
        """
        return self._offline is not None

    def page(self, said: Mapping[str, Any], limit: int, after: str | None) -> Any:
        """
        Give some entries.

        @param said: The filters.
        @param limit: How many at most.
        @param after: The C{next} of the page before.
        """
        query = {**queryOf(said), "limit": str(limit)}
        if after is not None:
            query["after"] = after
        return self._ask(
            lambda client: client.get("queue", query),
            lambda offline: offline.page(selectionOf(said), limit, after),
        )

    def pages(
        self, said: Mapping[str, Any], limit: int | None, after: str | None = None
    ) -> Iterator[Any]:
        """
        Give entries, page by page, until there are as many as asked for.

        @param limit: How many; L{None}: all.

        @return: The pages; the C{next} of the last one says where there are more.
        """
        left = limit
        while True:
            most = PAGE if left is None else min(left, PAGE)
            page = self.page(said, most, after)
            yield page
            if left is not None:
                left -= len(page["entries"])
            before, after = after, page["next"]
            if after is None or after == before or (left is not None and left <= 0):
                return

    def entry(self, name: str) -> Any:
        """
        Give all that is known of a name; L{None} when there is no such name.
        """
        try:
            return self._ask(
                lambda client: client.get(f"queue/{quoted(name)}"),
                lambda offline: offline.entry(name),
            )
        except Refusal as e:
            if e.status == 404:
                return None
            raise

    def destinations(self, limit: int) -> Any:
        """
        Give the largest destinations.
        """
        return self._ask(
            lambda client: client.get("destinations", {"limit": str(limit)}),
            lambda offline: offline.destinations(limit),
        )

    def top(self, limit: int) -> Any:
        """
        Give what is queued, by destination and age, and what goes on.
        """
        return self._ask(
            lambda client: client.get("top", {"limit": str(limit)}),
            lambda offline: offline.top(limit),
        )

    def status(self) -> Any:
        """
        Give how the relay is.
        """
        return self._ask(
            lambda client: client.get("status"), lambda offline: offline.status()
        )

    def _ask(
        self, online: Callable[[Client], Answer], spool: Callable[[Offline], Answer]
    ) -> Answer:
        if self._offline is None:
            try:
                return online(self.client)
            except ServiceDown as e:
                self._offline = self._opened(e)
        return spool(self._offline)

    def _opened(self, down: ServiceDown) -> Offline:
        """
        Read the spool from now on.

        @raise ServiceDown: When it cannot be read here.
        """
        place = self.client.place
        if place.url is not None:
            raise down
        if not place.isSpool:
            raise ServiceDown(
                f"{down.message} The queue in {place.queue} is a directory, which only "
                "a relay that runs can show."
            ) from down
        # It takes a moment to import.
        from relaymail.cli.offline import Offline

        offline = Offline(place.queue, str(down))
        note(f"The relay is not running; read from {place.queue}.")
        return offline


def reader() -> Reader:
    """
    Give the reader of the relay that the command that runs is about.
    """
    return Reader(client())
