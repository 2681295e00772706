# -*- test-case-name: relaymail.test.simulation.test_planted -*-
"""
Bugs to plant in the relay, one at a time, to see that they are found.

Each is what a tired programmer might write, and each loses mail, sends it twice
or tells people what is not so.  C{docs/proof.rst} names what finds them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from relaymail.deliver import bounces
from relaymail.deliver.relayers import ManagedRelayerMixin
from relaymail.deliver.session import Session
from relaymail.deliver.transfer import Transfer
from relaymail.dialogue.stuffing import DotStuffer
from relaymail.outcome import verdicts
from relaymail.queue import batch, directory
from relaymail.queue.directory import Queue
from relaymail.queue.disk import Disk
from relaymail.queue.records import Journal
from relaymail.queue.spool import rows, spool
from relaymail.queue.spool.spool import Spool
from relaymail.queue.statements import Statements
from relaymail.queue.window import Window
from relaymail.relaymanager import MXCalculator, SmartHostSMTPRelayingManager
from relaymail.replies import Evidence, Phase, Reply

#: Puts something in the place of an attribute, as C{TestCase.patch} does.
Patch = Callable[[Any, str, Any], Any]


class _Hasty:
    """
    A disk of which nobody waits until it has made anything durable.
    """

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._disk, name)

    def finish(self, file: Any, modified: Any = None, durable: bool = True) -> Any:
        return self._disk.finish(file, modified, False)

    def sync(self, path: str) -> None:
        pass


def yesBeforeTheDisk(patch: Patch) -> None:
    """
    250 before the fsync.
    """
    commit = batch.commit

    def hasty(disk: Disk, *args: Any) -> Any:
        return commit(cast(Disk, _Hasty(disk)), *args)

    patch(directory, "commit", hasty)


def yesBeforeTheCommit(patch: Patch) -> None:
    """
    250 before the commit: it is made with the next batch.
    """
    commit = rows.commit

    def hasty(database: Any, bodies: Any, turns: Any) -> Any:
        late = getattr(database, "late", [])
        if late:
            commit(database, bodies, late)
        database.late = turns
        for turn in turns:
            for change in turn:
                change.prepare(bodies)
        return [None for turn in turns for _ in turn]

    patch(spool, "start", lambda *args, log: lambda: hasty(*args))


def removedBeforeTheReply(patch: Patch) -> None:
    """
    Removal before the remote's 250.
    """
    dotSent = Transfer._dotSent

    def remove(queue: Any, name: str) -> None:
        if isinstance(queue, Queue):
            queue._removals.remove(name)
        else:
            change = queue._departure(queue._entries[name], None)
            queue._leaving.submit(name, change)

    def hasty(self: Any) -> None:
        dotSent(self)
        queue = self.factory.manager.manager.queue
        for name in self.names[:1]:
            remove(queue, name.rpartition("/")[2])

    patch(Transfer, "_dotSent", hasty)


def noClaim(patch: Patch) -> None:
    """
    No claim before connecting.
    """
    patch(Statements, "claim", lambda self, name, entry, now: None)
    patch(Spool, "setRelaying", lambda self, name: self._claim(name) and None)


def stuffingPerChunk(patch: Patch) -> None:
    """
    Dot-stuffing that starts anew per chunk.
    """
    transform = Transfer.transformChunk

    def anew(self: Any, chunk: bytes) -> bytes:
        self._stuffer = DotStuffer()
        return transform(self, chunk)

    patch(Transfer, "transformChunk", anew)


def noticeToNobody(patch: Patch) -> None:
    """
    A notice to C{<>}.
    """
    patch(bounces, "mayNotify", lambda sender: True)


def laterIsNever(patch: Patch) -> None:
    """
    4yz treated as 5yz.
    """
    judge = verdicts.judge

    def harsh(phase: Phase, evidence: Evidence, **kw: Any) -> Any:
        if isinstance(evidence, Reply) and 400 <= evidence.code < 500:
            evidence = Reply(evidence.code + 100, evidence.lines)
        return judge(phase, evidence, **kw)

    patch(verdicts, "judge", harsh)


def lostWakeUp(patch: Patch) -> None:
    """
    A lost wake-up: nobody looks when mail that rests comes due.
    """

    def forgetful(self: Any) -> None:
        self._startWaiting()

    patch(SmartHostSMTPRelayingManager, "_woken", forgetful)


def retriesInMemory(patch: Patch) -> None:
    """
    Retry state only in memory.
    """
    patch(Statements, "rest", lambda self, name, entry, due: None)
    patch(Spool, "setWaiting", lambda self, *args: self._giveBack(*args) and None)


def oneVerdict(patch: Patch) -> None:
    """
    One verdict for all recipients.
    """
    settle = ManagedRelayerMixin._settle

    def alike(
        self: Any, phase: Any, reply: Reply, addresses: Any, accepted: int
    ) -> None:
        if addresses:
            first = addresses[0]
            addresses = [(each[0], *first[1:]) for each in addresses]
        settle(self, phase, reply, addresses, accepted)

    patch(ManagedRelayerMixin, "_settle", alike)


def anyReplyWillDo(patch: Patch) -> None:
    """
    A reply read as the dot's that was not.
    """
    patch(Session, "_hasUnread", lambda self: False)


def neverGoodAgain(patch: Patch) -> None:
    """
    A host never marked good again.
    """
    patch(MXCalculator, "markGood", lambda self, mx: None)
    patch(MXCalculator, "timeOutBadMX", 10**9)


def sharedConnection(patch: Patch) -> None:
    """
    A connection shared across lanes.
    """

    def anyLane(self: Any, attempt: Any, relay: Any, limit: int) -> list[str]:
        self._work.placeNew()
        names: list[str] = []
        for lane in list(self._work.scheduler.lanes):
            names += self._work.take(lane, limit).names
        self.managed[relay].extend(names)
        return [self.queue.getPath(name) for name in names]

    patch(SmartHostSMTPRelayingManager, "takeMore", anyLane)


def nobodyIsTold(patch: Patch) -> None:
    """
    Nobody is told of mail that has come.
    """
    patch(Window, "_tell", lambda self: None)


def toldBehindTheNotice(patch: Patch) -> None:
    """
    That a sender was told is written behind the notice.
    """
    patch(batch, "Journal", lambda arrive, leave, tell: Journal(arrive, leave))
