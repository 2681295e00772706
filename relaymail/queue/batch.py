# -*- test-case-name: relaymail.test.queue.test_powercut -*-
"""
Changes written together: one sync of the directory for all, and a journal
where several of them must be seen together or not at all.

Without a journal each change becomes visible by one rename or one unlink of
its own, and the batch is durable with the sync that follows.  With one, the
rename of the journal is the moment that decides: what it names is finished by
whoever finds it (L{relaymail.queue.recovery}).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from twisted.logger import Logger

from relaymail.errors import QueueError
from relaymail.queue.changes import Change, Withdrawal
from relaymail.queue.disk import Disk
from relaymail.queue.records import Journal, formatJournal
from relaymail.queue.writer import Results

#: What was asked for in one turn, which is one transaction.
Turn = Sequence[Change]


def commit(disk: Disk, directory: str, turns: Sequence[Turn]) -> Results:
    """
    Write changes and wait until they would survive a power cut.  A change
    that fails takes its own files back and leaves the others alone.

    @param disk: Where to.
    @param directory: The queue's directory.
    @param turns: The changes, in order.

    @return: For each change of each turn, in order, what went wrong or
        L{None}.
    """
    batch = _Batch(disk, directory, turns)
    try:
        batch.write()
    except Exception as e:
        # Not a change's own failure: nothing is known to be durable.
        batch.failAll(e)
    return batch.results


class _Batch:
    """
    The changes of one commit, and how far each came.
    """

    log = Logger()

    def __init__(self, disk: Disk, directory: str, turns: Sequence[Turn]) -> None:
        self._disk = disk
        self._directory = directory
        self._turns = turns
        self._changes = [change for turn in turns for change in turn]
        self.results: Results = [None] * len(self._changes)
        self._journal: str | None = None
        # Something that the journal names was not done: it stays, and that is
        # tried again at the next start.
        self._isUnfinished = False

    def write(self) -> None:
        self._prepareAll()
        self._refuseBouncesWithoutNotice()
        self._journal = self._decide()
        self._applyAll()
        journal = self._journal
        if not any(change.durable for _, change in self._sound()):
            return
        try:
            self._disk.sync(self._directory)
        except QueueError:
            if journal is None:
                raise
            # What the journal names is safe; it stays for the next start.
            self.log.failure("The journal {journal} is kept", journal=journal)
            return
        if journal is not None and not self._isUnfinished:
            self._drop(journal)

    def _drop(self, journal: str) -> None:
        """
        Remove a journal that has been carried out.  One that stays does no
        harm: what it names is not there to be done again.
        """
        try:
            self._disk.unlink(journal)
        except QueueError:
            self.log.failure("The journal {journal} is kept", journal=journal)

    def _applyAll(self) -> None:
        """
        Make the changes seen, what comes before what goes: a notice that
        cannot come keeps what it replaces.
        """
        order = [*self._sound(arriving=True), *self._sound(arriving=False)]
        for index, change in order:
            if self.results[index] is not None:
                continue
            try:
                change.apply()
            except Exception as e:
                self._applyFailed(index, change, e)

    def _applyFailed(self, index: int, change: Change, error: Exception) -> None:
        journal = self._journal
        if journal is None or not change.arrive:
            self._isUnfinished = self._isUnfinished or bool(change.leave)
            self._fail(index, change, error)
            self._refuseBouncesWithoutNotice()
        elif self._revoke(journal):
            self._fail(index, change, error)
            self._refuseBouncesWithoutNotice()
            self._journal = self._decide()
        else:
            self._journal = None
            self._refuseArrivals(error, journal)

    def _revoke(self, journal: str) -> bool:
        """
        Take a decision back, before anything it names is taken back: a crash
        between must not find the one without the other.

        @return: Whether that would survive a power cut.
        """
        try:
            self._disk.unlink(journal)
            self._disk.sync(self._directory)
        except QueueError:
            self.log.failure("The journal {journal} may be kept", journal=journal)
            return False
        return True

    def _decide(self) -> str | None:
        if not self._needsJournal():
            return None
        try:
            return self._writeJournal()
        except _Undecided as e:
            self._refuseArrivals(e.error, e.journal)
        except Exception as e:
            self._refuseArrivals(e, None)
        return None

    def _refuseArrivals(self, error: Exception, journal: str | None) -> None:
        """
        Refuse what comes.  What only goes needs no journal: a full disk is to
        drain.

        @param journal: One that may be found and carried out all the same.
        """
        for index, change in self._sound(arriving=True):
            if journal is None:
                self._fail(index, change, error)
            else:
                self.results[index] = error
                self._leave(change, journal, error)
        self._refuseBouncesWithoutNotice()

    def failAll(self, error: Exception) -> None:
        for index, change in self._sound():
            self._fail(index, change, error)

    def _sound(self, arriving: bool | None = None) -> Iterator[tuple[int, Change]]:
        for index, change in enumerate(self._changes):
            wanted = arriving is None or arriving == bool(change.arrive)
            if wanted and self.results[index] is None:
                yield index, change

    def _prepareAll(self) -> None:
        for index, change in self._sound():
            try:
                change.prepare()
            except Exception as e:
                self._fail(index, change, e)

    def _fail(self, index: int, change: Change, error: Exception) -> None:
        self.results[index] = error
        try:
            change.undo()
        except Exception as e:
            self._leave(change, None, e)

    def _leave(self, change: Change, journal: str | None, why: Exception) -> None:
        self.log.error(
            "Files of {names} are left over: {why}", names=change.arrive, why=why
        )
        if change.arrive:
            change.withdrawal = Withdrawal(self._disk, self._directory, change, journal)

    def _refuseBouncesWithoutNotice(self) -> None:
        start = 0
        for turn in self._turns:
            results = self.results[start : start + len(turn)]
            missing = next(
                (
                    result
                    for change, result in zip(turn, results, strict=True)
                    if change.isNotice and result is not None
                ),
                None,
            )
            if missing is not None:
                self._refuseIn(turn, start, missing)
            start += len(turn)

    def _refuseIn(self, turn: Turn, start: int, missing: Exception) -> None:
        for index, change in enumerate(turn, start):
            if change.needsNotice and self.results[index] is None:
                self._fail(index, change, missing)

    def _needsJournal(self) -> bool:
        start = 0
        for turn in self._turns:
            sound = [
                change
                for index, change in enumerate(turn, start)
                if self.results[index] is None
            ]
            start += len(turn)
            if any(len(change.arrive) > 1 for change in sound):
                return True
            bound = any(c.leave or c.needsNotice for c in sound)
            if bound and any(c.arrive for c in sound):
                return True
        return False

    def _writeJournal(self) -> str:
        sound = [change for _, change in self._sound()]
        arrive = tuple(name for change in sound for name in change.arrive)
        leave = tuple(name for change in sound for name in change.leave)
        tell = tuple(draft for change in sound for draft in change.tell)
        path = f"{self._directory}/{(arrive or leave)[0]}-J"
        draft = path + "0"
        file = self._disk.create(draft)
        try:
            self._disk.write(file, formatJournal(Journal(arrive, leave, tell)))
            self._disk.finish(file)
            self._disk.rename(draft, path)
        except BaseException:
            self._disk.abandon(file)
            self._disk.unlink(draft)
            raise
        try:
            self._disk.sync(self._directory)
        except QueueError as e:
            self._takeBack(path, e)
            raise
        return path

    def _takeBack(self, journal: str, error: QueueError) -> None:
        try:
            self._disk.unlink(journal)
        except QueueError:
            raise _Undecided(journal, error) from error


class _Undecided(Exception):
    """
    It is not known whether a journal would be found after a crash.
    """

    def __init__(self, journal: str, error: Exception) -> None:
        super().__init__(journal)
        self.journal = journal
        self.error = error
