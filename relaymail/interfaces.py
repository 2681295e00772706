# -*- test-case-name: relaymail.test.test_interfaces -*-
"""
The seams between the rooms of relaymail.

A room knows the nouns and these interfaces, never another room.  What provides
L{IQueue} or L{IAttempt} takes part in everything the relay does; what does not
(a queue or an attempt manager written for Twisted's own relay) is used the way
Twisted documents it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import IO

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from relaymail.dialogue.extensions import Extensions
from relaymail.envelopes import Client, Envelope, Letter, Outline
from relaymail.outcomes import Outcome
from relaymail.replies import Evidence, Phase

__all__ = [
    "IAcceptance",
    "IAttempt",
    "IContent",
    "IQueue",
]


class IContent(Interface):
    """
    The bytes of one message, stored once.

    Two letters of one message have contents that compare equal.
    """

    size: int = Attribute("The size in bytes, as stored.")
    eightBit: bool = Attribute("Whether a byte above 127 is in it (RFC 6152).")

    def open() -> IO[bytes]:
        """
        Open the content for reading, from its start.

        The line ends are CRLF or LF, as the queue stores them, never a mix;
        the client's dot-stuffing sends both as CRLF.

        @return: A new binary file with C{read}, C{seek}, C{tell} and
            C{close}, that takes no descriptor before the first C{read}.

        @raise UnreadableEntry: (from C{read}) When it cannot be read.
        """


class IQueue(Interface):
    """
    A queue of names, each one (message, recipient): a window of due mail in
    memory, the disk behind it.

    A name is waiting (due, in the window), relayed (claimed by an attempt), or
    resting (its next time is to come).  All times are seconds of C{clock}.

    What is asked of a queue in one turn of the reactor is one transaction: a
    notice that is added and the name it replaces that is done are either both
    on the disk or neither.

    A method that gives L{None} or a L{Deferred} gives the L{Deferred} where
    the disk is written behind the caller's back: it fires when the change
    would survive a power cut.  In memory the change is made at once.
    """

    noisy: bool = Attribute("Whether informational messages are logged.")
    clock: object = Attribute(
        "An IReactorTime-like provider whose seconds() is the queue's time, "
        "in seconds of the epoch."
    )
    onWaiting: Callable[[], None] | None = Attribute(
        "Called with nothing whenever a name became waiting and the caller of "
        "the method that did it is not the one who asked what waits; may be "
        "called more often than needed. None: nobody wants to know."
    )

    isBinarySafe: bool = Attribute(
        "Whether contents come out as they went in, whatever bytes they have; "
        "else only lines with CRLF do."
    )

    suspendedUntil: Callable[[str], float | None] | None = Attribute(
        "Asked, before what rests for a destination is read, until when it need "
        "not be, in seconds, or None. None itself: nothing is suspended."
    )

    def readDirectory() -> None:
        """
        Look for mail that others put in, and make waiting what has come due.
        At most one listing of what is stored; nothing is done for a name
        that is not due.
        """

    def getWaiting() -> list[str]:
        """
        Give a new list of the waiting names, oldest first.
        """

    def newestWaiting() -> Iterator[str]:
        """
        Give the waiting names, newest first; the queue must not be changed
        meanwhile.
        """

    def hasWaiting() -> bool:
        """
        Tell whether any name is waiting.
        """

    def getRelayed() -> list[str]:
        """
        Give a new list of the claimed names.
        """

    def addMessage(name: str) -> None:
        """
        Make a stored name waiting unless it is claimed.
        """

    def getPath(name: str) -> str:
        """
        Give the path that stands for a name; C{os.path.basename} of it is the
        name.  Only the directory queue has files there.
        """

    def getEnvelope(name: str) -> list[str]:
        """
        Give C{[sender, recipient]}.

        @raise UnreadableEntry: When what is stored cannot be read.
        @raise KeyError: When there is no such name.
        """

    def getEnvelopeFile(name: str) -> IO[bytes]:
        """
        Give the envelope as an open binary file that holds a pickled
        C{[sender, recipient]}.
        """

    def createNewMessage() -> tuple[IO[bytes], object]:
        """
        Begin a message, the seed's way.

        @return: A binary file to pickle C{[sender, recipient]} into and
            close, and an L{IMessageSMTP
            <twisted.mail.interfaces.IMessageSMTP>} for
            the content.  The message waits once C{eomReceived}'s Deferred
            has fired.
        """

    def setRelaying(name: str) -> Deferred[None] | None:
        """
        Claim a waiting name: attempts + 1, with the time of its next attempt
        already written should this one never report.

        @raise KeyError: When the name is not waiting.
        """

    def setWaiting(
        name: str, when: float | None = None, outcome: Outcome | None = None
    ) -> Deferred[None] | None:
        """
        Give a claimed name back.

        @param when: When it is due; L{None} for at once.
        @param outcome: What became of the attempt, kept with the name.

        @raise KeyError: When the name is not claimed.
        """

    def told(name: str) -> Deferred[None] | None:
        """
        Remember of a name that its sender was told that it is late: its letter
        says so from now on, also after a restart.

        @raise KeyError: When there is no such name.
        """

    def postpone(name: str, when: float) -> Deferred[None] | None:
        """
        Let a waiting name rest, without an attempt, because its destination is
        suspended: what else rests for that need not be looked at before.  A
        restart may forget it.

        @param when: Until when, in seconds.

        @raise KeyError: When the name is not waiting.
        """

    def wakeOld(before: float) -> None:
        """
        Make waiting, now or soon, what is due, was accepted before a time or was
        to be returned by now (RFC 2852), and rests because of C{suspendedUntil};
        a part of it with each call, where there is much.

        @param before: The time, in seconds.
        """

    def lookAgain() -> None:
        """
        Look at what rests because of C{suspendedUntil}: that may be over.
        """

    def done(name: str, outcome: Outcome | None = None) -> Deferred[None] | None:
        """
        Forget a name for good; its content goes with the last name.

        @param name: The name, or its path.
        @param outcome: What became of it.

        @raise KeyError: When there is no such name.
        """

    def add(envelope: Envelope, content: bytes | IO[bytes]) -> Deferred[list[str]]:
        """
        Take a message for all its recipients, or for none.  The names are
        waiting and count as claimed once on the disk (I{born claimed}), so
        that the first claim costs no second write.  Mail that is not to be sent
        before a time (C{holdUntil} of its parameters) rests until then.

        @param content: The message, canonical CRLF, as bytes or a binary file
            read from where it stands.

        @return: Fires with a name per recipient, in their order, when
            envelope and content would survive a power cut.  Fails with
            L{QueueFull <relaymail.errors.QueueFull>} or L{QueueUnusable
            <relaymail.errors.QueueUnusable>}, and then nothing was taken.
        """

    def letter(name: str) -> Letter:
        """
        Give a name's view of its message.

        @raise UnreadableEntry: When what is stored cannot be read.
        @raise QueueError: When it cannot be read now.
        @raise KeyError: When there is no such name.
        """

    def outline(name: str) -> Outline:
        """
        Give what is to be known to decide when a name goes where, without
        reading the content.

        @raise UnreadableEntry: When what is stored cannot be read.
        @raise KeyError: When there is no such name.
        """

    def contentKey(name: str) -> Hashable:
        """
        Give a value that is equal for the names of one message, without
        reading the content.

        @raise KeyError: When there is no such name.
        """

    def hasRoom() -> bool:
        """
        Tell whether a message of ordinary size would be taken now; it is
        cheap to ask.

        @raise QueueError: When none is taken until a person has looked.
        """

    def nextDue() -> float | None:
        """
        Give the time at which the next resting name comes due, or L{None}
        where none rests.  It may be too early where a name that rested was
        done with or woken, but only once.
        """

    def setAside(name: str, why: str) -> None:
        """
        Take a name that cannot be used out of the way, keep what is stored
        for a person to look at, and log it as an error.

        @param why: What is wrong with it, in words.
        """

    def stop() -> Deferred[None] | None:
        """
        Finish what is being written, then give up the lock and what else is
        held.
        """


class IAttempt(Interface):
    """
    What a managed relayer asks of its attempt manager, and tells it, beyond
    the seed's C{notifySuccess}, C{notifyFailure}, C{notifyDone} and
    C{notifyNoConnection}.

    The paths are those of L{IQueue.getPath}; C{relay} is the relayer's
    factory.
    """

    def judge(phase: Phase, evidence: Evidence, accepted: int = 0) -> Outcome | None:
        """
        Ask what evidence means for a recipient of the session's host.

        @param accepted: How many recipients the host had accepted in this
            transaction when it said this.

        @return: The outcome, or L{None} where the recipient is to be tried
            again at once: on the next host, or in the next transaction.
        """

    def noteReached(relay: object, address: str) -> None:
        """
        Tell that a host was reached, at a network address.
        """

    def noteTLS(relay: object, version: str) -> None:
        """
        Tell that the session is over TLS.

        @param version: Such as C{"TLSv1.3"}.
        """

    def noteExtensions(relay: object, extensions: Extensions) -> None:
        """
        Tell what the host can do, of what may be left out too; once in a session,
        and again where it turns out not to know what it offers.
        """

    def noteAuthenticated(relay: object) -> None:
        """
        Tell that the host knows who this relay is (RFC 4954).
        """

    def noteOutcome(relay: object, path: str, outcome: Outcome) -> None:
        """
        Tell the evidence for a name.  Called before each C{notify} that names
        a path, so that those keep the seed's parameters.
        """

    def noteSession(
        relay: object, phase: Phase, evidence: Evidence, transactions: int
    ) -> None:
        """
        Tell why a session ended before its work did.  Called before
        C{notifyDone}.

        @param transactions: How many messages the session had transferred.
        """

    def notifyRetry(relay: object, path: str) -> None:
        """
        Tell that a name was not delivered and is to be tried later.
        """

    def openLetter(path: str) -> Letter | None:
        """
        Give the letter for a path; L{None} where it could not be read and was
        set aside.
        """

    def moreMessages(relay: object) -> Sequence[str]:
        """
        Ask for more work on the same lane; the paths are claimed.
        """

    def waitForMessages(relay: object, relayer: object) -> bool:
        """
        Offer to keep the connection for mail to come.

        @param relayer: What gets C{resume(paths)} when there is some, and
            C{leave()} when the wait is over.

        @return: Whether the offer is taken; if not the relayer quits.
        """

    def tryNextHost(relay: object) -> bool:
        """
        Go on to the next host of the route with the names that are left.

        @return: Whether there was one.
        """


class IAcceptance(Interface):
    """
    Who may give the relay mail, and for whom.

    Every method may answer with a Deferred.  A refusal is a L{Refused
    <relaymail.errors.Refused>}; any other error is answered 451 4.3.0 and
    logged.
    """

    def isTrusted(host: str) -> bool:
        """
        Tell whether a network address is one of the relay's own networks.
        """

    def acceptSender(client: Client, sender: str) -> Deferred[None] | None:
        """
        Judge MAIL.
        """

    def acceptRecipient(
        client: Client, sender: str, recipient: str
    ) -> Deferred[None] | None:
        """
        Judge RCPT: whether this client may have mail relayed to this
        recipient.
        """
