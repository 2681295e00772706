# -*- test-case-name: relaymail.test.testing.test_world -*-
"""
What can be asserted of a world.

Every assertion that fails says with which seed it happened, and what happened
last.
"""

from __future__ import annotations

from dataclasses import dataclass

from relaymail.testing.ledger import Ledger
from relaymail.testing.network import Network
from relaymail.testing.spools import Spool
from relaymail.testing.witness import Witness

#: How many lines of the transcript an assertion that failed shows.
SHOWN = 80


@dataclass(slots=True)
class Message:
    """
    A message that was given to the relay.

    @ivar sender: The reverse-path.
    @ivar recipients: The forward-paths.
    @ivar content: The message, canonical CRLF.
    @ivar accepted: The recipients for whom the relay said yes.
    """

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    accepted: tuple[str, ...] = ()


class Assertions:
    """
    What can be asserted of a world.
    """

    network: Network
    ledger: Ledger
    spool: Spool
    witness: Witness

    def assertDelivered(self, message: Message, to: str, times: int = 1) -> None:
        """
        A message was delivered to a recipient, as it was given.

        @param message: What L{World.send} or L{World.submit} gave.
        @param to: The recipient.
        @param times: How often.

        @raise AssertionError: When it was not, or not so often.
        """
        count = self.ledger.count(message.content, to)
        if count != times:
            self.fail(f"the message for {to} was delivered {count} times, not {times}")

    def assertBounced(self, message: Message, to: str) -> None:
        """
        A message failed for a recipient, and one notice tells of it.

        @raise AssertionError: When it did not, or there are several.
        """
        self.witness.problems()
        count = self.ledger.bounces(message.content, to)
        if count != 1:
            self.fail(f"{count} notices tell of the message for {to}, not 1")

    def assertQueued(self, message: Message, to: str) -> None:
        """
        A message is in the queue for a recipient.

        @raise AssertionError: When it is not.
        """
        known = self.ledger.nameOf(message.content)
        for _, recipient, content in self.spool.queued():
            if recipient == to and self.ledger.nameOf(content) == known:
                return
        self.fail(f"the message for {to} is not in the queue")

    def assertNothingLost(self) -> None:
        """
        For each recipient of each message that was accepted it was delivered,
        or it bounced, or it is queued and will be tried; what was refused was
        not delivered; nothing was both delivered and bounced, or twice delivered
        where the relay knew that it was; what was delivered is what was
        accepted; and no message was set aside.

        @raise AssertionError: When that is not so.
        """
        problems = self.witness.problems()
        if problems:
            self.fail("\n".join(problems))

    def assertSettled(self) -> None:
        """
        L{assertNothingLost}, and nothing is left: neither in the queue nor on
        the disk.

        @raise AssertionError: When there is something.
        """
        self.assertNothingLost()
        left = [f"{to} is still queued" for _, to, _ in self.spool.queued()]
        left += [f"{path} is left over" for path in self.spool.left()]
        if left:
            self.fail("\n".join(left))

    def fail(self, why: str) -> None:
        """
        Fail with a reason, the seed, and what happened last.

        @raise AssertionError: Always.
        """
        shown = "\n".join(list(self.network.transcript)[-SHOWN:])
        raise AssertionError(
            f"{why}\n(seed {self.network.seed}: the same seed gives the same again)\n"
            f"What happened last:\n{shown}"
        )
