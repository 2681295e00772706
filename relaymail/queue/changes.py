# -*- test-case-name: relaymail.test.queue.test_durability -*-
"""
The changes a directory queue makes on the disk, each in two steps.

C{prepare} writes and syncs files that nobody sees yet; C{apply} renames or
removes, which is seen at once and can be done again after a crash.  Who writes
them in a batch, and when the directory is synced, is
L{relaymail.queue.batch}'s.

Which files exist says where a name stands::

    -C            being written; of no worth after a crash
    -H -C         ready, and taken if a journal names it; so with -S
    -H -D         taken
    -H -D -S      taken, with attempts and a next time
    -H, -S        gone, and not yet cleared away
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import IO, Protocol

from relaymail.envelopes import NO_ORIGIN, Envelope
from relaymail.errors import QueueUnusable
from relaymail.outcomes import Bounce, Outcome
from relaymail.queue.contents import DiskContent
from relaymail.queue.disk import Disk
from relaymail.queue.pickles import dumpEnvelope
from relaymail.queue.records import Record, formatRecord
from relaymail.queue.said import heldUntil, saysMore

#: How much of a content is in memory at a time, in bytes.
CHUNK = 64 * 1024


class Change(Protocol):
    """
    One change of the queue on the disk.

    @ivar arrive: The names that are there once it is made.
    @ivar leave: The names that are gone once it is made.
    @ivar tell: The drafts of records that are renamed when it is made, which is not
        to be done in part.
    @ivar durable: Whether somebody waits for it to survive a power cut.
    @ivar isNotice: Whether it adds a notice, which has the null reverse-path.
    @ivar needsNotice: Whether it must not be made where a notice that was
        asked for in the same turn was not.
    @ivar withdrawal: Where it failed and its files could not be taken away
        either: what does that later.
    """

    arrive: Sequence[str]
    leave: Sequence[str]
    tell: Sequence[str]
    durable: bool
    isNotice: bool
    needsNotice: bool
    withdrawal: Change | None

    def prepare(self) -> None:
        """
        Write what nobody sees yet.
        """

    def apply(self) -> None:
        """
        Make it seen.
        """

    def undo(self) -> None:
        """
        Take away every file of it; any of them may be missing.
        """


class BaseChange:
    """
    What is so of most changes.

    @ivar base: The directory's path with a separator at its end.
    """

    arrive: Sequence[str] = ()
    leave: Sequence[str] = ()
    tell: Sequence[str] = ()
    durable = True
    isNotice = False
    needsNotice = False
    withdrawal: Change | None = None

    def __init__(self, disk: Disk, base: str) -> None:
        """
        @param disk: Where to.
        @param base: The directory's path with a separator at its end.
        """
        self._disk = disk
        self.base = base

    def prepare(self) -> None:
        """
        Nothing is to be written beforehand.
        """

    def undo(self) -> None:
        """
        Nothing is to be taken away.
        """

    def _writeFile(self, path: str, data: bytes, durable: bool = True) -> None:
        file = self._disk.create(path)
        try:
            self._disk.write(file, data)
            self._disk.finish(file, durable=durable)
        except BaseException:
            self._disk.abandon(file)
            self._disk.unlink(path)
            raise

    def _removeAll(self, names: Sequence[str], suffixes: str) -> None:
        for name in names:
            for suffix in suffixes:
                self._disk.unlink(f"{self.base}{name}-{suffix}")


class Addition(BaseChange):
    """
    A message comes, for all its recipients or for none.

    @ivar contents: What was stored for each name, once prepared.
    @ivar due: When it is to be sent, in seconds.
    @ivar isSaying: Whether something is known of it that its envelopes cannot
        hold.
    """

    def __init__(
        self,
        disk: Disk,
        base: str,
        names: Sequence[str],
        envelope: Envelope,
        content: bytes | IO[bytes],
        arrived: float,
    ) -> None:
        """
        @param names: A new name per recipient.
        @param content: The message with CRLF, left alone until it is stored.
        @param arrived: When, in seconds.
        """
        super().__init__(disk, base)
        self.arrive = names
        self.isNotice = not envelope.sender
        self.envelope = envelope
        self.contents: list[DiskContent] = []
        self.arrived = arrived
        self.due = heldUntil(envelope.parameters, arrived) or arrived
        parameters = envelope.parameters
        self.isSaying = (
            bool(envelope.recipientParameters)
            or saysMore(parameters)
            or envelope.origin != NO_ORIGIN
        )
        self._content = content
        self._made: list[str] = []

    def prepare(self) -> None:
        """
        Write the content once, link it for the others, and the envelopes.
        """
        first = f"{self.base}{self.arrive[0]}"
        self._storeContent(first + "-C")
        for name in self.arrive[1:]:
            self._disk.link(first + "-C", f"{self.base}{name}-C")
            self._made.append(f"{self.base}{name}-C")
        for name, recipient in zip(self.arrive, self.envelope.recipients, strict=True):
            pickled = dumpEnvelope([self.envelope.sender, recipient])
            self._writeFile(f"{self.base}{name}-H", pickled)
            self._made.append(f"{self.base}{name}-H")
        if self.isSaying:
            self._stateAll()

    def _stateAll(self) -> None:
        """
        Write what an envelope has no room for.
        """
        for index, name in enumerate(self.arrive):
            record = Record(
                self.arrived,
                self.due,
                parameters=self.envelope.parameters,
                recipientParameters=self.envelope.parametersOf(index),
                origin=self.envelope.origin,
            )
            self._writeFile(f"{self.base}{name}-S", formatRecord(record))
            self._made.append(f"{self.base}{name}-S")

    def apply(self) -> None:
        """
        Give the content its final names.
        """
        for name in self.arrive:
            bringIn(self._disk, self.base + name)

    def undo(self) -> None:
        """
        Take away every file that is its own; the content first, so that a
        crash leaves no name that is taken.
        """
        if f"{self.base}{self.arrive[-1]}-H" in self._made:
            self._removeAll(self.arrive, "DCH")
        for path in self._made:
            self._disk.unlink(path)

    def _storeContent(self, path: str) -> None:
        file = self._disk.create(path)
        self._made.append(path)
        eightBit = False
        try:
            for piece in _withLineFeeds(self._content):
                eightBit = eightBit or not piece.isascii()
                self._disk.write(file, piece)
            found = self._disk.finish(file, self.arrived)
        except BaseException:
            self._disk.abandon(file)
            raise
        self.contents = [
            DiskContent(self._disk, f"{self.base}{name}-D", found, eightBit)
            for name in self.arrive
        ]


class Arrival(BaseChange):
    """
    A message that was received line by line is complete.
    """

    def __init__(
        self, disk: Disk, base: str, name: str, file: IO[bytes], arrived: float
    ) -> None:
        """
        @param file: The content, still open.
        @param arrived: When, in seconds.
        """
        super().__init__(disk, base)
        self.arrive = (name,)
        self._file = file
        self._arrived = arrived

    def prepare(self) -> None:
        """
        Put content and envelope on the disk.
        """
        self._disk.finish(self._file, self._arrived)
        envelope = f"{self.base}{self.arrive[0]}-H"
        try:
            self._disk.sync(envelope)
        except FileNotFoundError as e:
            raise QueueUnusable(
                f"{envelope} has gone; the message was not taken"
            ) from e

    def apply(self) -> None:
        """
        Give the content its final name.
        """
        bringIn(self._disk, self.base + self.arrive[0])

    def undo(self) -> None:
        """
        Take away every file.
        """
        self._disk.abandon(self._file)
        self._removeAll(self.arrive, "DCH")


class Removal(BaseChange):
    """
    A name goes.

    @ivar begun: Whether removing its files was begun, whatever came of it.
    """

    def __init__(
        self, disk: Disk, base: str, name: str, outcome: Outcome | None = None
    ) -> None:
        """
        @param outcome: What became of the name.  A bounced one goes only if
            the notice that takes its place has come.
        """
        super().__init__(disk, base)
        self.leave = (name,)
        self.needsNotice = isinstance(outcome, Bounce)
        self.begun = False

    def apply(self) -> None:
        """
        Remove its files, the content first: what is left after a crash is no
        longer a message.
        """
        self.begun = True
        takeOut(self._disk, self.base + self.leave[0])


class Withdrawal(BaseChange):
    """
    Mail that was not taken is taken back, which could not be done at once.
    """

    def __init__(
        self, disk: Disk, directory: str, change: Change, journal: str | None
    ) -> None:
        """
        @param change: What failed.
        @param journal: The path of a journal that may name it.
        """
        super().__init__(disk, directory + "/")
        self._directory = directory
        self._change = change
        self._journal = journal

    def apply(self) -> None:
        """
        Take back the journal, for good, and then the files.
        """
        if self._journal is not None:
            self._disk.sync(self._directory)
            self._disk.unlink(self._journal)
            self._disk.sync(self._directory)
        self._change.undo()


class Statement(BaseChange):
    """
    Where a name stands is written down.
    """

    def __init__(
        self, disk: Disk, base: str, name: str, record: Record, serial: int
    ) -> None:
        """
        @param serial: A number that is no other statement's of this process.
        """
        super().__init__(disk, base)
        self._record = record
        self._path = f"{base}{name}-S"
        self._draft = f"{base}{name}-T{serial}"

    def prepare(self) -> None:
        """
        Write it beside the one before.
        """
        self._disk.unlink(self._draft)
        self._writeFile(self._draft, formatRecord(self._record), self.durable)

    def apply(self) -> None:
        """
        Put it in the place of the one before.
        """
        self._disk.rename(self._draft, self._path)

    def undo(self) -> None:
        """
        Leave the one before.
        """
        self._disk.unlink(self._draft)


class Telling(Statement):
    """
    The same, and that the sender was told that it is late: not without the notice
    that says so.
    """

    needsNotice = True

    def __init__(
        self, disk: Disk, base: str, name: str, record: Record, serial: int
    ) -> None:
        """
        @param serial: See L{Statement.__init__}.
        """
        super().__init__(disk, base, name, record, serial)
        self.tell = (f"{name}-T{serial}",)


class PassingStatement(Statement):
    """
    Where a name stands, if that is all: losing it costs a count, so nobody
    waits for it.
    """

    durable = False


def bringIn(disk: Disk, path: str) -> None:
    """
    Give a content that is ready its final name.  One that has it already is
    no trouble: another process may have finished our journal.

    @param path: The name's path, without a suffix.

    @raise QueueError: When there is no content.
    """
    try:
        disk.rename(path + "-C", path + "-D")
    except FileNotFoundError:
        if disk.find(path + "-D") is None:
            raise QueueUnusable(
                f"{path}-C has gone; the message was not taken"
            ) from None


def takeOut(disk: Disk, path: str) -> None:
    """
    Remove what is stored for a name, the content first.

    @param path: The name's path, without a suffix.
    """
    for suffix in ("-D", "-H", "-S"):
        disk.unlink(path + suffix)


def _withLineFeeds(content: bytes | IO[bytes]) -> Iterator[bytes]:
    """
    Give a content with CRLF mapped to LF, piece by piece.
    """
    if isinstance(content, bytes):
        yield content.replace(b"\r\n", b"\n")
        return
    carriageReturn = b""
    while piece := content.read(CHUNK):
        piece = carriageReturn + piece
        # A CR at the end of a piece may be the half of a line end.
        carriageReturn = b"\r" if piece.endswith(b"\r") else b""
        yield piece[: len(piece) - len(carriageReturn)].replace(b"\r\n", b"\n")
    yield carriageReturn
