# -*- test-case-name: relaymail.test.dropping.test_service -*-
"""
Takes in what programs left in the drop directory.

A file is removed only when the queue has its message for good.  A crash between
the two leaves the file, and its message is taken in a second time: nothing is
lost, and that is the one way to a duplicate here.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, ClassVar

from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from relaymail.dropping.files import (
    ASIDE,
    Dropped,
    Foreign,
    Malformed,
    isMessage,
    isUnfinished,
    prepare,
    read,
    remove,
    setAside,
)
from relaymail.errors import (
    MalformedAddress,
    MalformedMessage,
    QueueError,
    QueueUnusable,
    RelayMailError,
)
from relaymail.headers import FIELD, dateText
from relaymail.queue.disk import Disk
from relaymail.replies import printable
from relaymail.submission import canonical

#: How often the directory is looked at, in seconds.
INTERVAL = 5.0
#: The most names that are looked at in one turn of the reactor: a few
#: milliseconds.
LOOK = 1000
#: The most messages that are given to the queue at a time.
BATCH = 50
#: How much of them, in octets, after which no more are read.
BATCH_OCTETS = 16 << 20
#: How old a file is that was never finished, in seconds: whoever wrote it is
#: gone.
UNFINISHED_AGE = 86_400.0
#: How many names are remembered: those that were told of, and those that could
#: not be removed.
REMEMBERED = 10_000

_TOKEN_BYTES = 9

#: Takes a message: L{Relay.send <relaymail.service.Relay.send>}.
Send = Callable[[str, Sequence[str], bytes], Any]


class _Pass:
    """
    One way through the names of the directory, in steps.

    @ivar hasFound: Whether there was a message on it.
    """

    def __init__(self, names: Any) -> None:
        self.hasFound = False
        self._names = names
        self._before: list[os.DirEntry[str]] = []

    def next(self, count: int) -> list[os.DirEntry[str]]:
        """
        Give the next names, none at the end.
        """
        found, self._before = self._before, []
        return found or list(islice(self._names, count))

    def putBack(self, entries: list[os.DirEntry[str]]) -> None:
        """
        Take names back, to be the next ones.
        """
        self._before = entries

    def close(self) -> None:
        """
        Let the directory go.
        """
        self._names.close()


class DropDirectory(Service):
    """
    Looks at the directory when it starts and every few seconds.

    @ivar path: The directory.
    """

    log: ClassVar[Logger] = Logger()

    def __init__(
        self,
        path: str,
        send: Send,
        clock: IReactorTime,
        hostname: str = "localhost",
        limit: int = 0,
    ) -> None:
        """
        @param path: The directory; it is made when it is missing.
        @param send: Takes a message, and gives a Deferred that fires when it
            would survive a power cut.
        @param clock: What tells the time, in seconds of the epoch.
        @param hostname: The name of this host, for the Received field.
        @param limit: The largest message, in octets; 0 for any.
        """
        self.path = path
        self._send = send
        self._clock = clock
        self.settingsChanged(hostname, limit)
        self._call: IDelayedCall | None = None
        self._turn: Deferred[None] | None = None
        self._pass: _Pass | None = None
        self._told: set[str] = set()
        self._taken: set[str] = set()

    def settingsChanged(self, hostname: str, limit: int) -> None:
        """
        Take messages from now on as these say.

        @param hostname: The name of this host, for the Received field.
        @param limit: The largest message, in octets; 0 for any.
        """
        self._hostname = hostname
        self._limit = limit

    def startService(self) -> None:
        """
        Begin to look.

        @raise QueueUnusable: When the directory cannot be used.
        """
        prepare(self.path)
        super().startService()
        self._call = self._clock.callLater(0, self._look)

    def stopService(self) -> Deferred[None]:
        """
        Look no more.

        @return: Fires when what is being taken in is in the queue.
        """
        super().stopService()
        call, self._call = self._call, None
        if call is not None:
            call.cancel()
        if self._turn is None:
            self._endPass()
            return succeed(None)
        over: Deferred[None] = Deferred()
        self._turn.addCallback(lambda _: self._endPass())
        self._turn.chainDeferred(over)
        return over

    def _look(self) -> None:
        self._call = None
        turn = Deferred.fromCoroutine(self._takeSome())
        again: Deferred[None] = Deferred()
        self._turn = again
        turn.addErrback(self._failed)

        def over(wait: float) -> None:
            self._turn = None
            if self.running:
                self._call = self._clock.callLater(wait, self._look)
            again.callback(None)

        turn.addCallback(over)

    def _failed(self, failure: Failure) -> float:
        if failure.check(QueueError, OSError):
            self.log.error(
                "The drop directory {path} cannot be looked at; it is tried again: "
                "{why}",
                path=self.path,
                why=failure.getErrorMessage(),
            )
        else:
            self.log.failure(
                "The drop directory {path} cannot be looked at; it is tried again.",
                failure,
                path=self.path,
            )
        return INTERVAL

    async def _takeSome(self) -> float:
        """
        Take in one batch.

        @return: When to look again, in seconds.
        """
        if self._pass is None:
            self._pass = _Pass(os.scandir(self.path))
        entries = self._pass.next(LOOK)
        if not entries:
            wait = 0 if self._pass.hasFound else INTERVAL
            self._endPass()
            return wait
        found = self._read(self._pass, entries)
        taken = await gatherResults(
            [self._take(name, dropped) for name, dropped in found],
            consumeErrors=True,
        )
        if any(taken):
            Disk().sync(self.path)
        if not all(taken):
            # There is no room, or the relay stops: the others would not fare
            # better.
            self._endPass()
            return INTERVAL
        return 0

    def _endPass(self) -> None:
        ended, self._pass = self._pass, None
        if ended is not None:
            ended.close()

    def _read(
        self, through: _Pass, entries: list[os.DirEntry[str]]
    ) -> list[tuple[str, Dropped]]:
        found: list[tuple[str, Dropped]] = []
        octets = 0
        for index, entry in enumerate(entries):
            if len(found) >= BATCH or octets >= BATCH_OCTETS:
                through.putBack(entries[index:])
                break
            # What turns out to be no message takes as long to read.
            octets += _sizeOf(entry)
            dropped = self._readOne(entry)
            if dropped is not None:
                found.append((entry.name, dropped))
                through.hasFound = True
        return found

    def _readOne(self, entry: os.DirEntry[str]) -> Dropped | None:
        name = entry.name
        if name == ASIDE or name in self._taken:
            return None
        try:
            if isUnfinished(name):
                self._sweep(entry)
                return None
            if not isMessage(name):
                raise Foreign("it is not named as messages are")
            return read(self.path, name, self._limit)
        except FileNotFoundError:
            return None
        except Foreign as e:
            self._tell(name, e)
        except Malformed as e:
            self._putAside(name, e)
        return None

    def _sweep(self, entry: os.DirEntry[str]) -> None:
        changed = entry.stat(follow_symlinks=False).st_mtime
        if self._clock.seconds() - changed <= UNFINISHED_AGE:
            return
        try:
            remove(self.path, entry.name)
        except QueueUnusable as e:
            # Everybody may put things here, and not all of them are files.
            raise Foreign(str(e)) from e

    def _take(self, name: str, dropped: Dropped) -> Deferred[bool]:
        """
        Give a message to the queue.

        @return: Fires with whether there is a sense in giving it others.
        """
        content = self._marked(name, dropped)
        sent = maybeDeferred(self._send, dropped.sender, dropped.recipients, content)
        return sent.addCallbacks(
            self._sent,
            self._notSent,
            callbackArgs=(name, dropped),
            errbackArgs=(name,),
        )

    def _marked(self, name: str, dropped: Dropped) -> bytes:
        data = canonical(dropped.content)
        field = (
            f"Received: by {self._hostname} (dropped by the user {dropped.owner})"
            f"\r\n\tid {secrets.token_hex(_TOKEN_BYTES)};"
            f"\r\n\t{dateText(int(self._clock.seconds()))}\r\n"
        )
        hasHeader = data.startswith(b"\r\n") or FIELD.match(data)
        return field.encode("ascii") + (b"" if hasHeader else b"\r\n") + data

    def _sent(self, names: Any, name: str, dropped: Dropped) -> bool:
        self.log.info(
            "{names}: taken from the drop directory, file {file} of the user {owner}, "
            "from=<{sender}> recipients={count}",
            names=", ".join(map(str, names[:1])),
            file=name,
            owner=dropped.owner,
            sender=printable(dropped.sender),
            count=len(names),
        )
        self._remove(name)
        return True

    def _remove(self, name: str) -> None:
        try:
            remove(self.path, name)
        except QueueError as e:
            # Else it would be taken in again and again.
            self._taken.add(name)
            self.log.critical(
                "The message in {file} is in the queue, but the file could not be "
                "removed; remove it, or it is sent again at the next start: {why}",
                file=os.path.join(self.path, name),
                why=str(e),
            )
            if len(self._taken) >= REMEMBERED:
                self.log.critical("The drop directory is looked at no more.")
                self.running = 0

    def _notSent(self, failure: Failure, name: str) -> bool:
        if failure.check(MalformedAddress, MalformedMessage):
            self._putAside(name, failure.value)
            return True
        if failure.check(RelayMailError):
            self.log.warn(
                "The message in {file} stays there for now: {why}",
                file=os.path.join(self.path, name),
                why=str(failure.value),
            )
        else:
            self.log.failure(
                "The message in {file} stays there for now.",
                failure,
                file=os.path.join(self.path, name),
            )
        return False

    def _putAside(self, name: str, why: BaseException | None) -> None:
        self.log.error(
            "{file} is not a message that can be sent, and is put into {aside}: {why}",
            file=os.path.join(self.path, name),
            aside=os.path.join(self.path, ASIDE),
            why=str(why),
        )
        try:
            setAside(self.path, name)
        except (QueueError, OSError) as e:
            self._tell(name, e)

    def _tell(self, name: str, why: BaseException) -> None:
        """
        Say once that a file is left alone.
        """
        if name in self._told or len(self._told) >= REMEMBERED:
            return
        self._told.add(name)
        self.log.warn(
            "{file} in the drop directory {path} is left alone: {why}",
            file=printable(name),
            path=self.path,
            why=str(why),
        )


def _sizeOf(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except OSError:
        return 0
