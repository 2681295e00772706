# -*- test-case-name: relaymail.test.deliver.test_smtpclient -*-
"""
The SMTP client: the hands of the client dialogue.

What to say next is decided by L{relaymail.dialogue.transaction}; the class here
offers the hooks that programs written for Twisted's client override, over a
L{session <relaymail.deliver.session.Session>} that L{transfers
<relaymail.deliver.transfer.Transfer>} messages.  With a server that has PIPELINING
a whole transaction up to DATA is one write.  With any other, and for a subclass
that overrides one of the C{smtpState_} methods of a transaction, it is a command
at a time, and then C{_expected}, C{_okresponse} and C{_failresponse} say what
the next reply leads to.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from functools import cache
from typing import IO, Any

from twisted.mail._except import SMTPClientError, SMTPConnectError, SMTPProtocolError
from twisted.python.util import LineLog

from relaymail.deliver.beginning import quoteaddr as quoteaddr
from relaymail.deliver.overlapping import Overlapping
from relaymail.deliver.session import ANY, SUCCESS, UNASKED, replyOf
from relaymail.dialogue.extensions import NO_EXTENSIONS
from relaymail.dialogue.transaction import Break, Transaction
from relaymail.errors import MalformedAddress
from relaymail.replies import Phase, Reply, Trouble, TroubleKind

#: The methods of a transaction whose overriding means a command at a time;
#: who overrides C{sendLine} wants to see every command.
_SINGLE_STEPS = (
    "smtpState_from",
    "smtpState_to",
    "smtpState_toOrData",
    "smtpState_data",
    "smtpState_msgSent",
    "smtpTransferFailed",
    "sendLine",
)


class SMTPClient(Overlapping):
    """
    A client that sends messages over SMTP, one after the other.

    Once the server has greeted and been greeted, it asks L{getMailFrom},
    L{getMailTo} and L{getMailData} for a message, sends it, tells L{sentMail}
    how that went and begins anew, until L{getMailFrom} gives L{None}; then it
    quits.

    @cvar forgivesSurplus: Whether to go on with the next message where the
        server said more than it was asked.  What it said is then taken for the
        reply to what is said next, which shows, and ends the session, at DATA
        at the latest.
    """

    forgivesSurplus = True

    def connectionMade(self) -> None:
        """
        Wait for the greeting.
        """
        Overlapping.connectionMade(self)
        self._await(Phase.GREETING, (220,), self.smtpState_helo)
        self._failresponse = self.smtpConnectionFailed

    def _replyReceived(self, reply: Reply) -> Any:
        transaction = self._transaction
        if transaction is not None and (
            self._isPipelined or transaction.phase is Phase.BODY
        ):
            return self._perform(transaction.heard(reply))
        if self.phase is Phase.IDLE:
            # Nothing was asked: this is no answer to anything to come.
            return self._perform([Break(reply, Phase.IDLE)])
        return Overlapping._replyReceived(self, reply)

    # The states, in the order in which a session comes to them.

    def smtpConnectionFailed(self, code: int, resp: bytes) -> None:
        """
        The server refused to greet, or to be greeted.
        """
        self._note(replyOf(code, resp))
        self.sendError(SMTPConnectError(code, resp, self.log.str()))

    def smtpState_helo(self, code: int, resp: bytes) -> None:
        """
        Greet (RFC 5321 4.1.1.1).
        """
        self.extensions = NO_EXTENSIONS
        self._await(Phase.EHLO, SUCCESS, self.smtpState_from)
        self.sendLine(b"HELO " + self.identity)

    def smtpState_from(self, code: int, resp: bytes) -> None:
        """
        Begin the next message, or quit if there is none.
        """
        if not self.forgivesSurplus and self._hasUnread():
            return self._brokenOff(UNASKED)
        if self._extensionsKnown is not self.extensions:
            self._learn()
        refused = self._beginMail()
        while refused is not None:
            self._cannotTake(refused)
            refused = self._beginMail()

    def smtpState_to(self, code: int, resp: bytes) -> None:
        """
        The sender was accepted: go on to the recipients.
        """
        self._transactionAt(Phase.MAIL).heard(replyOf(code, resp))
        self.toAddresses, self.lastAddress = iter(self.getMailTo()), None
        self.toAddressesResult, self.successAddresses = [], []
        self._await(Phase.RCPT, ANY, self.smtpState_toOrData)
        self.smtpState_toOrData(0, b"")

    def smtpState_toOrData(self, code: int, resp: bytes) -> None:
        """
        A recipient was answered, or none was named yet (C{lastAddress} is
        L{None}): name the next one, or ask to send the message.
        """
        try:
            if self.lastAddress is None:
                transaction = self._transactionAt(Phase.IDLE)
                self._address(transaction)
                return self._perform(transaction.nameNext())
            transaction = self._transactionAt(Phase.RCPT)
        except MalformedAddress as e:
            return self._unsendable(e)
        reply = replyOf(code, resp)
        actions = transaction.heard(reply)
        if len(transaction.results) > len(self.toAddressesResult):
            self._noteResult(self.lastAddress, reply)
        self._perform(actions)

    def smtpState_data(self, code: int, resp: bytes) -> None:
        """
        The server waits for the message: send it.
        """
        self._perform(self._transactionAt(Phase.DATA).heard(replyOf(code, resp)))

    def smtpTransferFailed(self, code: int, resp: bytes) -> None:
        """
        A command of the transaction, or the message, was refused.
        """
        transaction, reply = self._transaction, replyOf(code, resp)
        if code < 0:
            self.sendError(SMTPProtocolError(code, resp, self.log.str()))
        elif transaction is not None and transaction.phase not in (
            Phase.FINAL,
            Phase.IDLE,
        ):
            self._perform(transaction.heard(reply))
        elif 200 <= code <= 399:
            self._break(reply, self.phase)
        else:
            self.smtpState_msgSent(code, resp)

    def smtpState_msgSent(self, code: int, resp: bytes) -> None:
        """
        The transaction is over, one way or the other: report it, and go on.
        """
        reply, transaction = replyOf(code, resp), self._transaction
        if transaction is not None and transaction.phase is Phase.FINAL:
            return self._perform(transaction.heard(reply))
        self._report(Phase.FINAL if reply.positive else self.phase, reply)

    # What subclasses say.

    def getMailFrom(self) -> Any:
        """
        Give the sender of the next message.

        @return: An address, empty for the null reverse-path, or L{None} when
            there is nothing more to send.
        """
        raise NotImplementedError

    def getMailTo(self) -> Iterable[Any]:
        """
        Give the recipients of the message.
        """
        raise NotImplementedError

    def getMailData(self) -> IO[bytes]:
        """
        Give the message: an open binary file, lines ending in LF or CRLF.
        """
        raise NotImplementedError

    def getMailSize(self) -> int | None:
        """
        Give the size of the message in bytes, or L{None} if that is not
        known.
        """
        return None

    def isMailEightBit(self) -> bool:
        """
        Tell whether the message has bytes above 127 (RFC 6152).
        """
        return False

    def sentMail(
        self,
        code: int,
        resp: bytes,
        numOk: int,
        addresses: list[tuple[Any, int, bytes]],
        log: LineLog,
    ) -> None:
        """
        Learn how the message went.

        @param code: The code of the reply that decided.
        @param resp: The text of that reply.
        @param numOk: How many recipients were accepted.
        @param addresses: C{(address, code, resp)} for each RCPT answered.
        @param log: The dialogue.
        """
        raise NotImplementedError

    # How a transaction begins.

    def _nothingToSend(self) -> None:
        self._disconnectFromServer()

    def _isStepwise(self) -> bool:
        ownClass: Any = type(self)
        return _isSingleStep(ownClass)

    def _transactionAt(self, phase: Phase) -> Transaction:
        """
        Give the transaction, where the dialogue stands; a new one that stands
        there where a subclass came so far by itself.
        """
        transaction = self._transaction
        if transaction is None or transaction.phase is not phase:
            transaction = self._transaction = Transaction.standingAt(phase)
            if phase is not Phase.MAIL:
                self._address(transaction)
        return transaction

    def _address(self, transaction: Transaction) -> None:
        """
        Tell the transaction the recipients, and what became of them, as
        C{toAddressesResult}, C{lastAddress} and C{toAddresses} say it.
        """
        results, rest = self.toAddressesResult, list(self.toAddresses)
        self._recipients = [to for to, _, _ in results]
        if transaction.phase is Phase.RCPT:
            self._recipients.append(self.lastAddress)
        self._recipients += rest
        self.toAddresses = iter(rest)
        said = self.getMailParameters()
        paths = [quoteaddr(to, said.utf8) for to in self._recipients]
        transaction.addressTo(paths, self._rcptParameters(said, paths))
        transaction.results = [
            (path, replyOf(code, resp))
            for path, (_, code, resp) in zip(paths, results, strict=False)
        ]

    def _unsendable(self, why: MalformedAddress) -> None:
        self._note(Trouble(self.phase, TroubleKind.UNSENDABLE, str(why)))
        told = str(why).encode("ascii", "backslashreplace")
        self.sendError(SMTPClientError(553, told, self.log.str(), isFatal=False))


@cache
def _isSingleStep(client: Hashable) -> bool:
    """
    Tell whether a subclass has a step of the transaction of its own.
    """
    return any(
        getattr(client, step) is not getattr(SMTPClient, step) for step in _SINGLE_STEPS
    )
