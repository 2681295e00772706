# -*- test-case-name: relaymail.test.deliver.test_overlapping -*-
"""
The next transaction in the same flight as the end of the message before it (RFC
2920 3.1): where a host is far away, every message costs one way there and back, not
two.

Replies are taken strictly in their order.  The one to the message settles that
message, and only then the other transaction is looked at; if the session ends
before, nothing was said of it.  What a host answers too much shows at DATA, at the
latest, as it does within a group.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from relaymail.deliver.beginning import Beginning
from relaymail.deliver.session import SUCCESS
from relaymail.dialogue.transaction import Transaction
from relaymail.errors import MalformedAddress
from relaymail.replies import Phase, Trouble


class Behind(NamedTuple):
    """
    A transaction that has begun behind the one whose message is being answered.

    @ivar sender: Its sender.
    @ivar recipients: Its recipients.
    @ivar transaction: It.
    """

    sender: Any
    recipients: list[Any]
    transaction: Transaction


class Overlapping(Beginning):
    """
    A session that begins a transaction before the last one has ended.

    It does so only where it L{looks ahead<_looksAhead>}: to ask for a message
    before it has told of the one before is not what programs expect.
    """

    _behind: Behind | None = None
    #: Which of the messages at hand is asked for.
    _at = 0

    def _looksAhead(self) -> bool:
        """
        Tell whether the message behind the one that is being sent can be asked
        for.
        """
        return False

    def _sayBehind(self) -> bytes:
        """
        Begin the next transaction.

        @return: Its commands, which go behind the end of the message; nothing
            where there is none to begin now.
        """
        if not self._looksAhead():
            return b""
        mine = self._from, self._recipients
        self._at = len(self._recipients)
        try:
            behind = self._nextOne()
        finally:
            self._at = 0
            self._from, self._recipients = mine
        if behind is None:
            return b""
        self._behind = behind
        self._begun += 1
        [group] = behind.transaction.begin()
        lines = group.lines
        if self.debug:
            for line in lines:
                self.log.append(b">>> " + line)
        return b"\r\n".join(lines) + b"\r\n"

    def _nextOne(self) -> Behind | None:
        """
        Give the next transaction; L{None} where there is none, or where it is one
        that cannot be begun, of which is told when its turn has come.
        """
        self._from = self.getMailFrom()
        if self._from is None:
            return None
        try:
            transaction = self._newTransaction()
        except MalformedAddress:
            return None
        if isinstance(transaction, Trouble):
            return None
        return Behind(self._from, self._recipients, transaction)

    def _goOn(self) -> None:
        """
        Go on behind a message: with the transaction that has begun, or with the
        next one.
        """
        behind, self._behind = self._behind, None
        if behind is None:
            self.smtpState_from(250, b"")
            return
        self._from, self._recipients = behind.sender, behind.recipients
        self._transaction = behind.transaction
        self.toAddressesResult, self.successAddresses = [], []
        self._await(Phase.MAIL, SUCCESS, self.smtpState_to)
        self._failresponse = self.smtpTransferFailed

    def _goAway(self) -> None:
        """
        End a session whose server is going away.
        """
        if self._behind is None:
            self._disconnectFromServer()
            return
        # What comes now answers the transaction behind, and must not be heard;
        # QUIT might be taken for the first line of its message.
        self._enter(Phase.QUIT)
        self.smtpState_disconnect(-1, None)
