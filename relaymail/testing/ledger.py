# -*- test-case-name: relaymail.test.testing.test_ledger -*-
"""
The books of a world: what was accepted, and what became of it.

For each message and recipient what was accepted must be delivered, bounced,
discarded or still queued, and no two of them; what was refused must not be
delivered; what is delivered must be what was accepted, byte for byte; and twice
only where the relay could not know that it was delivered.

Messages are known by their content, without the fields that relays put before
it: so each is to have something of its own, such as its Message-ID.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from relaymail.testing.reading import decoded, messageID, readNews
from relaymail.testing.reading import identify as identify
from relaymail.testing.reading import identifyHeader as identifyHeader
from relaymail.testing.reading import isNotice as isNotice
from relaymail.testing.reading import readNotice as readNotice
from relaymail.testing.reading import readRedacted as readRedacted
from relaymail.testing.reading import withoutTrace as withoutTrace

#: How long the relay may take to write down that a message was delivered, in
#: seconds: many times what a disk and a network need.
SETTLING = 30.0
#: How many problems are told.
MAX_PROBLEMS = 50

#: What notices tell of besides failures (RFC 3464 2.3.3).
_OTHER_NEWS = ("delayed", "relayed", "delivered")


@dataclass(frozen=True, slots=True)
class Item:
    """
    One message for one recipient.

    @ivar message: Which message; see L{identify}.
    @ivar sender: The reverse-path.
    @ivar recipient: The forward-path.
    """

    message: str
    sender: str
    recipient: str

    def __str__(self) -> str:
        """
        Give it for people.
        """
        return f"{self.message} from <{self.sender}> to <{self.recipient}>"


@dataclass(slots=True)
class Taken:
    """
    A message that a host took.

    @ivar at: When, in seconds.
    @ivar host: Which host.
    @ivar isSeen: Tells whether the host's answer has come to the relay.
    @ivar isHonest: Whether the host's answers mean what they say.
    @ivar isForgotten: Whether the relay went down and knew nothing of it
        afterwards.
    @ivar isDoubted: Whether the relay says that it does not know.
    """

    at: float
    host: str
    isSeen: Callable[[], bool] = lambda: True
    isHonest: bool = True
    isForgotten: bool = False
    isDoubted: bool = False

    @property
    def isKnown(self) -> bool:
        """
        Whether the relay knows that it was delivered.
        """
        return self.isSeen() and not self.isForgotten and not self.isDoubted


@dataclass(slots=True)
class Ledger:
    """
    The books.

    @ivar accepted: What the relay has said yes to.
    @ivar perhaps: What it may have said yes to: the answer did not come.
    @ivar refused: What it said no to.
    @ivar taken: What hosts have taken.
    @ivar notices: The notices that tell of each, by message, recipient and
        sender.
    @ivar discarded: What has failed and nobody is told of.
    @ivar news: The notices that tell of each that it was relayed, delivered or
        delayed, by that too.
    @ivar replaced: The notices of each message that could go over TLS only, and
        failed for want of it.
    @ivar redacted: What took their places, by message.
    @ivar silent: That of which the sender does not want to know that it failed.
    @ivar problems: What was noticed on the way.
    """

    accepted: Counter[Item] = field(default_factory=Counter)
    perhaps: Counter[Item] = field(default_factory=Counter)
    refused: set[Item] = field(default_factory=set)
    taken: dict[Item, list[Taken]] = field(default_factory=lambda: defaultdict(list))
    notices: dict[Item, set[str]] = field(default_factory=lambda: defaultdict(set))
    discarded: Counter[Item] = field(default_factory=Counter)
    news: dict[tuple[Item, str], set[str]] = field(
        default_factory=lambda: defaultdict(set)
    )
    replaced: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    redacted: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    silent: set[Item] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    _originals: dict[str, bytes] = field(default_factory=dict)
    _headers: dict[str, str] = field(default_factory=dict)
    _ids: dict[bytes, str] = field(default_factory=dict)

    # What is written into the books.

    def give(self, content: bytes) -> None:
        """
        Note a message that is about to be given to the relay.
        """
        name = identify(content)
        self._originals[name] = content
        self._headers[identifyHeader(content)] = name
        self._ids[messageID(content)] = name

    def keepSilent(self, sender: str, recipient: str, content: bytes) -> None:
        """
        Note that nobody is to be told if a message fails for a recipient (RFC 3461
        4.1).
        """
        self.silent.update(self._items(sender, (recipient,), content))

    def isSilent(self, sender: str, recipient: str, content: bytes) -> bool:
        """
        Tell whether nobody is to be told if a message fails for a recipient.
        """
        return Item(self.nameOf(content), sender, recipient) in self.silent

    def accept(self, sender: str, recipients: Iterable[str], content: bytes) -> None:
        """
        Note what the relay said yes to.
        """
        self.accepted.update(self._items(sender, recipients, content))

    def mayHaveAccepted(
        self, sender: str, recipients: Iterable[str], content: bytes
    ) -> None:
        """
        Note what the relay may have said yes to.
        """
        self.perhaps.update(self._items(sender, recipients, content))

    def refuse(self, sender: str, recipients: Iterable[str], content: bytes) -> None:
        """
        Note what the relay said no to.
        """
        self.refused.update(self._items(sender, recipients, content))

    def mayRemove(self, sender: str, recipient: str, content: bytes) -> None:
        """
        Note that somebody wants a message to be removed: nothing need become of
        it any more for this recipient, but what could may.
        """
        for item in self._known(sender, (recipient,), content):
            if self.accepted[item]:
                self.accepted[item] -= 1
                self.perhaps[item] += 1

    def take(
        self, sender: str, recipients: Iterable[str], content: bytes, taken: Taken
    ) -> None:
        """
        Note what a host took.
        """
        self._readNotice(sender, recipients, content)
        for item in self._known(sender, recipients, content):
            self.taken[item].append(taken)

    def doubt(self, sender: str, recipient: str, content: bytes) -> None:
        """
        Note that the relay does not know whether a message was delivered.
        """
        for item in self._known(sender, (recipient,), content):
            for taken in self.taken.get(item, [])[-1:]:
                if taken.isKnown and taken.isHonest:
                    self.problem(f"{item} was delivered, and the relay is in doubt")
                taken.isDoubted = True

    def discard(self, sender: str, recipient: str, content: bytes) -> None:
        """
        Note what has failed and nobody is told of, for it has no sender.
        """
        if sender and not self.isSilent(sender, recipient, content):
            self.problem(f"mail from <{sender}> to <{recipient}> was discarded")
        self._readNotice(sender, (recipient,), content)
        for item in self._known(sender, (recipient,), content):
            self.discarded[item] += 1

    def replace(self, content: bytes) -> None:
        """
        Note a notice that failed because it may go over TLS only: if it tells of a
        failure, something takes its place (RFC 8689 5).
        """
        told, original = readNews(content)
        if any(action == "failed" for _, action in told):
            self.replaced[self._nameIn(original)].add(self.nameOf(content))

    def meet(self, content: bytes) -> None:
        """
        Note a message without a sender, if it took the place of a notice.
        """
        about = readRedacted(content)
        if about is not None:
            self.redacted[self._ids.get(about, "")].add(self.nameOf(content))

    def goDown(
        self,
        now: float,
        queued: Iterable[tuple[str, str, bytes]],
        diskFailed: float = 0.0,
        settling: float = SETTLING,
    ) -> None:
        """
        Note what the relay has in its queue after it went down.

        @param now: When it went down, in seconds.
        @param queued: Sender, recipient and content of each name.
        @param diskFailed: When the disk failed last, in seconds: what was
            delivered before could perhaps not be written down.
        @param settling: How long the relay may have taken to write down what
            was delivered, in seconds; nothing, where it stopped in good order.
        """
        for item, count in self._waiting(queued).items():
            known = [taken for taken in self.taken.get(item, ()) if taken.isKnown]
            surplus = count + len(known) + self.discarded[item] - self._most(item)
            # That it failed was not written either; nobody has noticed.
            excused = min(max(surplus, 0), self.discarded[item])
            self.discarded[item] -= excused
            surplus -= excused
            for taken in known[max(len(known) - surplus, 0) :]:
                taken.isForgotten = True
                if now - taken.at >= settling and taken.at > diskFailed:
                    self.problem(
                        f"{item} was delivered {now - taken.at:.0f} s before the relay "
                        "went down, and is queued again"
                    )

    def problem(self, text: str) -> None:
        """
        Note that something is wrong.
        """
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(text)

    # What the books say.

    def count(self, message: bytes, recipient: str) -> int:
        """
        Tell how often a message was delivered to a recipient.
        """
        name = self.nameOf(message)
        return sum(
            len(taken)
            for item, taken in self.taken.items()
            if (item.message, item.recipient) == (name, recipient)
        )

    def bounces(self, message: bytes, recipient: str) -> int:
        """
        Tell how many notices say that a message failed for a recipient.
        """
        name = self.nameOf(message)
        return sum(
            len(notices)
            for item, notices in self.notices.items()
            if (item.message, item.recipient) == (name, recipient)
        )

    def balance(self, queued: Iterable[tuple[str, str, bytes]] = ()) -> list[str]:
        """
        Say what is wrong.

        @param queued: Sender, recipient and content of each name in the queue.

        @return: The problems, at most L{MAX_PROBLEMS}.
        """
        waiting = self._waiting(queued)
        items = {**self.accepted, **self.perhaps, **self.taken, **waiting}
        found = list(self.problems)
        for item in items:
            found += self._check(item, waiting[item])
        found += self._checkReplaced({item.message for item in waiting})
        for item in self.refused - items.keys():
            if self.notices.get(item):
                found.append(f"{item} was refused, and a notice tells of it")
        return found[:MAX_PROBLEMS]

    def _checkReplaced(self, waiting: set[str]) -> Iterable[str]:
        for name in {**self.replaced, **self.redacted}:
            replaced, redacted = self.replaced[name], self.redacted[name]
            # What was refused and could not be taken away may come all the same.
            certain = len(redacted - self._originals.keys())
            if len(redacted) < len(replaced - waiting):
                yield f"a notice of {name} is gone, and nothing took its place"
            if certain > len(replaced):
                yield f"{certain} took the place of {len(replaced)} notices of {name}"

    def _waiting(self, queued: Iterable[tuple[str, str, bytes]]) -> Counter[Item]:
        waiting: Counter[Item] = Counter()
        for sender, recipient, content in queued:
            self._readNotice(sender, (recipient,), content)
            waiting.update(self._known(sender, (recipient,), content))
        return waiting

    def _most(self, item: Item) -> int:
        """
        Say how often something may be delivered; a notice once.
        """
        if item.message not in self._originals:
            return 1
        return self.accepted[item] + self.perhaps[item]

    def _check(self, item: Item, queued: int) -> Iterable[str]:
        isOwn = item.message in self._originals
        accepted, most = self.accepted[item] if isOwn else 1, self._most(item)
        takes = self.taken.get(item, [])
        known = sum(taken.isKnown for taken in takes)
        unknown = len(takes) - known
        notices = len(self.notices.get(item, ()))
        failed = notices or min(self.discarded[item], 1)
        if not most:
            yield f"{item} was {'refused' if item in self.refused else 'not accepted'}"
            return
        if known + unknown + failed + queued < accepted:
            yield f"{item} is lost"
        if known > most:
            yield f"{item} was delivered {known} times, and the relay knew it"
        if known and queued and known + queued > most:
            yield f"{item} was delivered, and is queued"
        if known and failed and known + failed > most:
            yield f"{item} was delivered, and failed"
        if failed and queued and failed + queued > most:
            yield f"{item} has failed, and is queued"
        if notices > most:
            yield f"{item} has failed, and {notices} notices tell of it"
        if notices and item in self.silent:
            yield f"{item} has failed, and a notice tells of it that nobody wanted"
        for action in _OTHER_NEWS:
            told = len(self.news.get((item, action), ()))
            if told > most:
                yield f"{item} is {action}, and {told} notices tell of it"

    # How things are known.

    def _items(
        self, sender: str, recipients: Iterable[str], content: bytes
    ) -> list[Item]:
        self.give(content)
        name = identify(content)
        return [Item(name, sender, recipient) for recipient in recipients]

    def _known(
        self, sender: str, recipients: Iterable[str], content: bytes
    ) -> list[Item]:
        """
        Give the items of a message that is met, whose content must be known.
        """
        name = self.nameOf(content)
        isOwn = isNotice(content) or readRedacted(content) is not None
        if name not in self._originals and not (not sender and isOwn):
            header = self._headers.get(identifyHeader(content))
            self.problem(
                f"a message from <{sender}> to {list(recipients)} was never "
                f"accepted{f': it is {header}, changed' if header else ''}"
            )
            return []
        return [Item(name, sender, recipient) for recipient in recipients]

    def nameOf(self, content: bytes) -> str:
        """
        Give the short name of a message, as L{identify} does for its original.
        """
        name = identify(content)
        if name in self._originals:
            return name
        # One to which the relay has given a Date or a Message-ID.
        for known, original in self._originals.items():
            if content.endswith(original):
                return known
        if isNotice(content):
            # It may have been converted on its way.
            return f"notice {messageID(content).decode('ascii', 'replace')}"
        # One that was converted for a host that takes 7-bit lines only.
        same = self._ids.get(messageID(content), "")
        if same and decoded(content) == decoded(self._originals[same]):
            return same
        return name

    def _readNotice(
        self, sender: str, recipients: Iterable[str], content: bytes
    ) -> None:
        if sender:
            return
        self.meet(content)
        if identify(content) in self._originals:
            return
        told, original = readNews(content)
        if not told:
            return
        name = self._nameIn(original)
        notice = self.nameOf(content)
        for to in recipients:
            if not to:
                self.problem("a notice was made for the null sender")
            for recipient, action in told:
                item = Item(name, to, recipient)
                if item not in self.accepted and item not in self.perhaps:
                    self.problem(f"a notice to <{to}> tells of {item}: what is it?")
                isFailure = action == "failed"
                found = self.notices[item] if isFailure else self.news[item, action]
                found.add(notice)

    def _nameIn(self, original: bytes) -> str:
        """
        Give the short name of what a notice gives back.
        """
        name = self._headers.get(identifyHeader(original), "")
        return name or self._ids.get(messageID(original), "")
