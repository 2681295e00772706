# -*- test-case-name: relaymail.test.queue.test_importing -*-
"""
Moving the mail of a directory queue into a spool.

Each message is taken over with all its recipients, with what is known of each:
how often it was tried, when it came, when it is due.  Which names were taken is
written with them, so that whoever is interrupted can simply begin again: nothing
is lost, and nothing is there twice.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from tempfile import TemporaryFile
from typing import IO

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from relaymail.envelopes import NO_ORIGIN, NOTHING_SAID, Envelope, Letter
from relaymail.errors import UnreadableEntry
from relaymail.queue.directory import Queue
from relaymail.queue.said import fieldsOf
from relaymail.queue.spool.changes import Place
from relaymail.queue.spool.spool import Spool

#: How much of a content is in memory at a time, in bytes.
CHUNK = 64 * 1024


def importDirectory(
    source: Queue, target: Spool, told: Callable[[int], None] = lambda count: None
) -> int:
    """
    Move all mail of a directory queue into a spool; both are locked, and stay
    so.  What cannot be read is set aside in the directory, with a line in the
    log.

    @param source: The directory, whose changes are made at once.
    @param target: The spool, whose changes are made at once.
    @param told: Called with the number of names after each message.

    @return: How many names were moved.

    @raise QueueLocked: When a relay runs on one of them.
    @raise QueueError: When something could not be written: what was moved by
        then is in the spool, the rest in the directory.
    """
    source.lock()
    target.lock()
    moved = target.arriving.imported()
    for name in _names(source):
        if name in moved:
            _settled(source.done(name))
    count = 0
    for names in _messages(source):
        count += _move(source, target, names)
        told(count)
    _settled(target.arriving.forgetImported())
    return count


def _names(source: Queue) -> list[str]:
    return [*source.getWaiting(), *source.getResting()]


def _messages(source: Queue) -> list[list[str]]:
    """
    Give the names of each message, in the order in which they wait.
    """
    found: dict[Hashable, list[str]] = {}
    for name in _names(source):
        letter = _read(source, name)
        if letter is not None:
            found.setdefault(source.contentKey(name), []).append(name)
    return list(found.values())


def _read(source: Queue, name: str) -> Letter | None:
    """
    Give a letter that can be read to its end.
    """
    try:
        letter = source.letter(name)
        letter.file.read(1)
        letter.file.close()
    except UnreadableEntry as e:
        source.setAside(name, str(e))
        return None
    return letter


def _move(source: Queue, target: Spool, names: list[str]) -> int:
    letters = [source.letter(name) for name in names]
    first = letters[0]
    envelope = _envelopeOf(source, names, letters)
    places = [_placeOf(source, name) for name in names]
    with TemporaryFile() as content, first.file as file:
        _copyWithCRLF(file, content)
        content.seek(0)
        adopted = target.arriving.adopt(envelope, places, content, first.arrived, names)
        _settled(adopted)
    for name in names:
        _settled(source.done(name))
    return len(names)


def _envelopeOf(
    source: Queue, names: Sequence[str], letters: Sequence[Letter]
) -> Envelope:
    # It is not written with each of them what was said of all.
    parameters = max(
        (letter.parameters for letter in letters), key=lambda p: len(fieldsOf(p))
    )
    said = tuple(letter.recipientParameters for letter in letters)
    recipients = tuple(letter.recipient for letter in letters)
    hasSaid = any(each is not NOTHING_SAID for each in said)
    said = said if hasSaid else ()
    origins = (source.getEntry(name).origin for name in names)
    origin = next((found for found in origins if found != NO_ORIGIN), NO_ORIGIN)
    return Envelope(letters[0].sender, recipients, parameters, said, origin)


def _placeOf(source: Queue, name: str) -> Place:
    entry = source.getEntry(name)
    address = source.letter(name).recipient
    due = source.getResting().get(name, source.clock.seconds())
    return Place(
        address,
        address.rpartition("@")[2].lower(),
        due,
        None,
        entry.attempts,
        entry.status,
        entry.text,
        entry.isTold,
    )


def _copyWithCRLF(file: IO[bytes], into: IO[bytes]) -> None:
    """
    Copy a content whose lines end in LF or in CRLF.
    """
    carriageReturn = b""
    while piece := file.read(CHUNK):
        piece = carriageReturn + piece
        # A CR at the end of a piece may be the half of a line end.
        carriageReturn = b"\r" if piece.endswith(b"\r") else b""
        piece = piece[: len(piece) - len(carriageReturn)]
        into.write(piece.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    into.write(carriageReturn)


def _settled(written: Deferred[None] | None) -> None:
    """
    Take what a queue without a worker has done at once.
    """
    failed: list[Failure] = []
    if written is not None:
        written.addErrback(failed.append)
    for failure in failed:
        failure.raiseException()
