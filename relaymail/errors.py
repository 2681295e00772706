# -*- test-case-name: relaymail.test.test_errors -*-
"""
What relaymail raises.  The message of each is the sentence an operator reads:
what was tried, what was wrong, what happens now.
"""

from __future__ import annotations

from relaymail.protections import Applied
from relaymail.replies import Reply, Trouble


class RelayMailError(Exception):
    """
    The base of every error that is relaymail's own.
    """


class MalformedAddress(RelayMailError, ValueError):
    """
    An address is not one that mail can be sent to or from (RFC 5321 4.1.2).
    Nothing was queued.
    """


class MalformedMessage(RelayMailError, ValueError):
    """
    The content is not a message that can be sent.  Nothing was queued.
    """


class QueueError(RelayMailError):
    """
    The queue cannot be used.
    """


class QueueUnusable(QueueError):
    """
    The queue's directory is missing, cannot be written, or is open to others.
    Nothing was started.
    """


class QueueLocked(QueueError):
    """
    Another process relays from this queue.  It goes on; this one does not
    start.
    """


class QueueFull(QueueError):
    """
    The queue has no room: disk, inodes or the limit set for it.  The message
    was not taken; the sender keeps it.
    """


class UnreadableEntry(QueueError):
    """
    What is stored for a name cannot be read.  It is set aside, and the others
    go on.
    """


class NameBusy(QueueError):
    """
    An attempt is under way for the name: what was asked for was not done, and may
    be asked for again when the attempt is over.
    """


class NotSupported(QueueError):
    """
    A queue of this kind cannot do what was asked for.  Nothing was changed.
    """


class RouteError(RelayMailError):
    """
    No host can be named for a destination.

    @ivar trouble: What was found, for the verdict.
    @ivar applied: The policies of the destination that keep its mail from all of its
        hosts, if that is why, for reports.
    """

    def __init__(self, trouble: Trouble, applied: tuple[Applied, ...] = ()) -> None:
        super().__init__(trouble.text)
        self.trouble = trouble
        self.applied = applied


class Refused(RelayMailError):
    """
    A client's command is refused.

    @ivar reply: The reply it is to be given, 4yz or 5yz.
    """

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.text)
        self.reply = reply


class TokenError(RelayMailError):
    """
    A token for a smart host could not be had.  The mail waits.

    @ivar isLasting: Whether it helps nothing to ask again before somebody has done
        what the text says.
    """

    def __init__(self, text: str, *, isLasting: bool = False) -> None:
        super().__init__(text)
        self.isLasting = isLasting


class ConfigurationError(RelayMailError, ValueError):
    """
    An option's value cannot be used.  The relay was not started.
    """
