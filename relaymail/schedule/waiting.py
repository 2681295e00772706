# -*- test-case-name: relaymail.test.schedule.test_lanes -*-
"""
The waiting names of one lane, in the order in which they are to be sent.

New mail and what was tried before go in turn, so that neither starves.  More urgent
mail (RFC 6710) goes before less urgent, but every so often the mail that has waited
longest is the next, however urgent the other is: so the least urgent mail of a lane
gets a fifth of it, in the order in which it came.  Most mail has no rank, and takes no
longer because some has.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field

#: How many of the most urgent go before one of the others does.
HEAD_START = 4


@dataclass(eq=False, slots=True)
class Group:
    """
    Names that were placed one after the other with one group, in order.

    @ivar key: What their group is.
    @ivar lane: Their lane.
    @ivar isAgain: Whether they were tried before.
    @ivar priority: How urgent they are (RFC 6710).
    @ivar number: What is greater for what was placed later.
    @ivar names: They.
    """

    key: Hashable
    lane: Hashable
    isAgain: bool
    priority: int = 0
    number: int = 0
    names: OrderedDict[str, None] = field(default_factory=OrderedDict)


@dataclass(eq=False, slots=True)
class Rank:
    """
    Groups that are equally urgent.

    @ivar groups: Those of new mail, and of what was tried before.
    @ivar isAgainNext: Whether the next group is of the second.
    """

    # Ordered dictionaries, because taking the first of a plain one costs as
    # much as all that were taken before it.
    groups: tuple[OrderedDict[int, Group], OrderedDict[int, Group]] = field(
        default_factory=lambda: (OrderedDict(), OrderedDict())
    )
    isAgainNext: bool = False

    def size(self) -> int:
        """
        Give the number of groups.
        """
        return len(self.groups[0]) + len(self.groups[1])

    def head(self) -> Group:
        """
        Give the group whose turn it is.
        """
        groups = self.groups[self.isAgainNext] or self.groups[not self.isAgainNext]
        return next(iter(groups.values()))

    def all(self) -> Iterator[Group]:
        """
        Give the groups in the order of their turns.
        """
        both = [iter(groups.values()) for groups in self.groups]
        side = self.isAgainNext
        while (group := next(both[side], None)) is not None:
            yield group
            side = not side
        yield from both[not side]


@dataclass(eq=False, slots=True)
class Waiting(Rank):
    """
    The waiting names of one lane; it is itself the rank of those that have none.

    @ivar count: How many names there are.
    @ivar ranks: The ranks of the others, but for those that have nothing.
    """

    count: int = 0
    ranks: dict[int, Rank] = field(default_factory=dict)
    _inARow: int = 0

    def __len__(self) -> int:
        """
        Give the number of groups.
        """
        if not self.ranks:
            return self.size()
        return self.size() + sum(rank.size() for rank in self.ranks.values())

    @property
    def isUrgent(self) -> bool:
        """
        Whether there is mail that is more urgent than most.
        """
        return bool(self.ranks) and max(self.ranks) > 0

    def rank(self, priority: int) -> Rank:
        """
        Give a rank.
        """
        if not priority:
            return self
        return self.ranks.setdefault(priority, Rank())

    def first(self) -> Group:
        """
        Give the group whose turn it is.
        """
        if not self.ranks:
            groups = self.groups[self.isAgainNext] or self.groups[not self.isAgainNext]
            return next(iter(groups.values()))
        heads = {priority: rank.head() for priority, rank in self._filled()}
        return heads[_choice(heads, self._inARow)]

    def inOrder(self) -> Iterator[Group]:
        """
        Give the groups in the order of their turns.
        """
        if not self.ranks:
            return self.all()
        return self._ranked()

    def tidy(self, priority: int) -> None:
        """
        Let a rank go if nothing is left of it.
        """
        if not self.ranks[priority].size():
            del self.ranks[priority]

    def had(self, group: Group) -> None:
        """
        Note that a group had its turn, and was taken out.  Where there is one rank
        only, it is enough to say whose turn it is in that.
        """
        rank = self.ranks.get(group.priority) if group.priority else self
        if rank is not None:
            rank.isAgainNext = not group.isAgain
        if not self.ranks:
            self._inARow = 0
            return
        left = [priority for priority, _ in self._filled()]
        self._inARow = _inARow(group.priority, left, self._inARow)

    def _filled(self) -> Iterator[tuple[int, Rank]]:
        yield from self.ranks.items()
        if self.size():
            yield 0, self

    def _ranked(self) -> Iterator[Group]:
        ranks = {priority: rank.all() for priority, rank in self._filled()}
        heads = {priority: next(rank) for priority, rank in ranks.items()}
        inARow = self._inARow
        while heads:
            chosen = _choice(heads, inARow)
            yield heads.pop(chosen)
            following = next(ranks[chosen], None)
            if following is not None:
                heads[chosen] = following
            inARow = _inARow(chosen, heads, inARow)


def _choice(heads: dict[int, Group], inARow: int) -> int:
    """
    Say whose turn it is.

    @param heads: The first group of each rank.
    @param inARow: How many of the most urgent went before others.
    """
    top = max(heads)
    if inARow < HEAD_START or len(heads) == 1:
        return top
    others = (priority for priority in heads if priority != top)
    return min(others, key=lambda priority: heads[priority].number)


def _inARow(had: int, left: Iterable[int], before: int) -> int:
    """
    Count how many of the most urgent have gone before others.

    @param had: The priority of the one that went.
    @param left: Those of what waits.
    """
    left = list(left)
    isBefore = any(priority < had for priority in left)
    return before + 1 if isBefore and max(left) <= had else 0
