# -*- test-case-name: relaymail.test.dialogue.test_transaction -*-
"""
One mail transaction, MAIL to the dot, seen from the client: what to say next
(RFC 5321 3.3).

A L{Transaction} is a value: it is told each reply and gives the L{Action}s to
take.  It knows no transport, clock or file.  Its window is either 1, a command
at a time, or everything up to the message in one group where the server has
PIPELINING (RFC 2920); the rules are the same in both.

The rules, by phase, for a reply of class 2yz, 354, 4yz and 5yz; everything else
breaks the session:

  - MAIL: 2yz goes on; 4yz and 5yz end the transaction; 421 breaks.  555 to a
    MAIL with parameters that may be left out says MAIL once more without them, and
    RCPT without any (RFC 5321 4.1.1.11).
  - RCPT: 2yz accepts, 4yz and 5yz refuse this recipient; 421 breaks.  Where the
    message goes in chunks (RFC 3030) it follows the last recipient, if one was
    accepted.
  - DATA: 354 asks for the message if a recipient was accepted; if none was,
    the answer is an empty message, which the server must refuse.  4yz and 5yz
    end the transaction.  2yz breaks: the server is out of step, and the
    message must not be sent.
  - BODY, a reply before the dot: 4yz and 5yz end the transaction, and the
    session with it; 2yz breaks, it is no answer to a dot that was not sent.
  - FINAL: 2yz, 4yz and 5yz end the transaction; with LMTP (RFC 2033 4.2) there is
    one reply for each recipient that was accepted, in their order, and the last
    one ends it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from relaymail.dialogue.asking import Form, Terms
from relaymail.replies import Phase, Reply

#: What a server says that is going away (RFC 5321 3.8).
SERVICE_CLOSING = 421
#: What a server says that does not know a parameter of MAIL (RFC 5321 4.1.1.11).
PARAMETERS_UNKNOWN = 555
#: What a server says that waits for the message (RFC 5321 3.3).
START_MAIL_INPUT = 354
#: Nothing is said but the addresses.
NO_TERMS = Terms((), (), Form.AS_IT_IS)


@dataclass(frozen=True, slots=True)
class Say:
    """
    Write these command lines, in one go.

    @ivar lines: The lines, without their ends.
    @ivar phase: What the first of them is.
    """

    lines: tuple[bytes, ...]
    phase: Phase


@dataclass(frozen=True, slots=True)
class SendBody:
    """
    Send the message and the dot, or the message in chunks, then call
    L{Transaction.bodySent}.
    """


@dataclass(frozen=True, slots=True)
class SendNothing:
    """
    Send only a dot: nobody was accepted, yet the server asked for a message.
    """


@dataclass(frozen=True, slots=True)
class Finish:
    """
    The transaction is over.

    @ivar reply: What decided it.
    @ivar phase: What that was the reply to.
    @ivar broken: Whether the session cannot go on, because the message was
        only sent in part.
    """

    reply: Reply
    phase: Phase
    broken: bool = False


@dataclass(frozen=True, slots=True)
class Break:
    """
    Client and server are out of step, or the server is going away: close the
    session.  Nothing is delivered by this transaction.

    @ivar reply: What was said.
    @ivar phase: When it was said.
    """

    reply: Reply
    phase: Phase


Action = Say | SendBody | SendNothing | Finish | Break


class Transaction:
    """
    MAIL to the dot.

    @ivar terms: On what terms the host is given the message.
    @ivar isBare: Whether what may be left out was left out, for the host did not
        know all of it.
    @ivar results: The recipients that were answered and the replies, in order.
    @ivar finals: With LMTP: the replies to the message, in the order of the
        recipients that were accepted.
    """

    def __init__(
        self,
        mailPath: bytes,
        rcptPaths: Iterable[bytes] = (),
        terms: Terms = NO_TERMS,
        pipelined: bool = False,
        rcptParameters: Sequence[bytes] = (),
        lmtp: bool = False,
    ) -> None:
        """
        @param mailPath: The sender, in angle brackets.
        @param rcptPaths: The recipients, in angle brackets; with a window of
            1 they may be given later, to L{addressTo}.
        @param terms: What to add to MAIL, and how the message goes.
        @param pipelined: Whether the window is the whole group.
        @param rcptParameters: What to add to RCPT for each recipient, with the
            space before it; nothing for nothing.
        @param lmtp: Whether each recipient has a reply of its own to the message.
        """
        self._mailPath = mailPath
        self._rcptPaths = tuple(rcptPaths)
        self.terms = terms
        self.isBare = False
        self._rcptParameters = tuple(rcptParameters)
        self._isLMTP = lmtp
        self._isChunked = terms.form is Form.CHUNKED
        self.finals: list[Reply] = []
        self._pipelined = pipelined
        self._unanswered: deque[Phase] = deque()
        self._mailReply: Reply | None = None
        self._bodyBegun = False
        self._byItself = False
        self.results: list[tuple[bytes, Reply]] = []

    @classmethod
    def standingAt(cls, phase: Phase) -> Transaction:
        """
        Give a transaction that waits for the reply to one command, or for
        none where the phase is L{Phase.IDLE}, for a client that said all up
        to there by itself.  It takes it that somebody was accepted.
        """
        transaction = cls(b"")
        if phase is not Phase.IDLE:
            transaction._unanswered.append(phase)
        transaction._byItself = True
        return transaction

    @property
    def phase(self) -> Phase:
        """
        What the next reply answers; L{Phase.BODY} while the message is being
        sent, L{Phase.IDLE} where nothing was asked.
        """
        if self._unanswered:
            return self._unanswered[0]
        return Phase.BODY if self._bodyBegun else Phase.IDLE

    @property
    def accepted(self) -> int:
        """
        How many recipients the server accepted.
        """
        return sum(reply.positive for _, reply in self.results)

    @property
    def refusal(self) -> Reply | None:
        """
        The reply that refused the sender, and with it the transaction; or
        L{None}.
        """
        reply = self._mailReply
        return None if reply is None or reply.positive else reply

    @property
    def isOverasked(self) -> bool:
        """
        Whether a recipient was refused because of what was added to RCPT, all of
        which may be left out (RFC 5321 4.1.1.11).
        """
        return bool(self._rcptParameters) and any(
            reply.code == PARAMETERS_UNKNOWN for _, reply in self.results
        )

    def addressTo(
        self, rcptPaths: Iterable[bytes], rcptParameters: Sequence[bytes] = ()
    ) -> None:
        """
        Say whom the message is for, with a window of 1: once MAIL was accepted.

        @param rcptParameters: See L{__init__}.
        """
        self._rcptPaths = tuple(rcptPaths)
        self._rcptParameters = () if self.isBare else tuple(rcptParameters)

    def begin(self) -> list[Say]:
        """
        Say MAIL, and all up to DATA where the window allows it.
        """
        terms = self.terms
        words = terms.needed if self.isBare else (*terms.needed, *terms.optional)
        mail = b"MAIL FROM:" + b" ".join((self._mailPath, *words))
        self._unanswered.append(Phase.MAIL)
        if not self._pipelined:
            return [Say((mail,), Phase.MAIL)]
        self._unanswered.extend(Phase.RCPT for _ in self._rcptPaths)
        rcpts: Iterable[bytes] = (b"RCPT TO:" + path for path in self._rcptPaths)
        if self._rcptParameters:
            rcpts = map(bytes.__add__, rcpts, self._rcptParameters)
        if self._isChunked:
            return [Say((mail, *rcpts), Phase.MAIL)]
        self._unanswered.append(Phase.DATA)
        return [Say((mail, *rcpts, b"DATA"), Phase.MAIL)]

    def nameNext(self) -> list[Action]:
        """
        With a window of 1, once MAIL was accepted and whenever a recipient was
        answered: say RCPT for the next one, or DATA after the last.
        """
        index = len(self.results)
        if index < len(self._rcptPaths):
            self._unanswered.append(Phase.RCPT)
            rcpt = b"RCPT TO:" + self._rcptPaths[index]
            if self._rcptParameters:
                rcpt += self._rcptParameters[index]
            return [Say((rcpt,), Phase.RCPT)]
        if not self.accepted:
            return [Finish(self._lastRefusal(), Phase.RCPT)]
        if self._isChunked:
            return self._beginChunks()
        self._unanswered.append(Phase.DATA)
        return [Say((b"DATA",), Phase.DATA)]

    def bodySent(self) -> None:
        """
        Note that the dot was written: what comes next is its reply, or are its
        replies.
        """
        self._unanswered.append(Phase.FINAL)
        if self._isLMTP:
            self._unanswered.extend([Phase.FINAL] * (self.accepted - 1))

    def heard(self, reply: Reply) -> list[Action]:
        """
        Take the next reply and say what to do.
        """
        phase = self.phase
        if self._unanswered:
            self._unanswered.popleft()
        rule = _RULES.get(phase)
        if rule is None or not (reply.positive or 300 <= reply.code <= 599):
            return [Break(reply, phase)]
        return rule(self, reply)

    def _heardMail(self, reply: Reply) -> list[Action]:
        if reply.code // 100 == 3 or reply.code == SERVICE_CLOSING:
            return [Break(reply, Phase.MAIL)]
        self._mailReply = reply
        if self._pipelined or reply.positive:
            return []
        return self._mailRefused(reply)

    def _heardRcpt(self, reply: Reply) -> list[Action]:
        if reply.code // 100 == 3 or reply.code == SERVICE_CLOSING:
            return [Break(reply, Phase.RCPT)]
        self.results.append((self._rcptPaths[len(self.results)], reply))
        if not self._pipelined:
            return self.nameNext()
        if not self._isChunked or self._unanswered:
            return []
        return self._beginChunks() if self._isWanted() else self._nobodyAccepted()

    def _heardData(self, reply: Reply) -> list[Action]:
        wanted = self._isWanted()
        if reply.code == START_MAIL_INPUT and (wanted or not self._isLMTP):
            self._bodyBegun = True
            return [SendBody() if wanted else SendNothing()]
        if reply.code < 400:
            return [Break(reply, Phase.DATA)]
        if wanted:
            return [Finish(reply, Phase.DATA)]
        return self._nobodyAccepted()

    def _heardBody(self, reply: Reply) -> list[Action]:
        if reply.code < 400:
            return [Break(reply, Phase.BODY)]
        return [Finish(reply, Phase.BODY, broken=True)]

    def _heardFinal(self, reply: Reply) -> list[Action]:
        if reply.code // 100 == 3:
            return [Break(reply, Phase.FINAL)]
        if not self._isWanted():
            return self._nobodyAccepted()
        if self._isLMTP:
            self.finals.append(reply)
            if self._unanswered:
                return []
            reply = next((final for final in self.finals if final.positive), reply)
        return [Finish(reply, Phase.FINAL)]

    def _beginChunks(self) -> list[Action]:
        self._bodyBegun = True
        return [SendBody()]

    def _isWanted(self) -> bool:
        if self._byItself:
            return True
        taken = self._mailReply is not None and self._mailReply.positive
        return taken and self.accepted > 0

    def _nobodyAccepted(self) -> list[Action]:
        if self._mailReply is not None and not self._mailReply.positive:
            return self._mailRefused(self._mailReply)
        return [Finish(self._lastRefusal(), Phase.RCPT)]

    def _mailRefused(self, reply: Reply) -> list[Action]:
        self.results.clear()
        self._bodyBegun = False
        saysMore = self.terms.optional or self._rcptParameters
        if reply.code == PARAMETERS_UNKNOWN and saysMore and not self.isBare:
            self.isBare = True
            self._rcptParameters = ()
            return [*self.begin()]
        return [Finish(reply, Phase.MAIL)]

    def _lastRefusal(self) -> Reply:
        return self.results[-1][1] if self.results else Reply(554, (b"No recipients",))


_RULES = {
    Phase.MAIL: Transaction._heardMail,
    Phase.RCPT: Transaction._heardRcpt,
    Phase.DATA: Transaction._heardData,
    Phase.BODY: Transaction._heardBody,
    Phase.FINAL: Transaction._heardFinal,
}
