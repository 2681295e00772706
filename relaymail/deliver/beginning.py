# -*- test-case-name: relaymail.test.deliver.test_beginning -*-
"""
How a client begins a transaction: what is known of the next message, and of the
server, comes to the commands of L{relaymail.dialogue.transaction}.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from relaymail.addresses import quotePath
from relaymail.deliver.transfer import Transfer, hasOwnForm
from relaymail.dialogue.asking import Form, Terms, askFor, askForRecipient
from relaymail.dialogue.extensions import (
    NO_EXTENSIONS,
    NO_LIMITS,
    Extensions,
    Limits,
)
from relaymail.dialogue.transaction import Transaction
from relaymail.envelopes import (
    NO_PARAMETERS,
    NOTHING_SAID,
    Parameters,
    RecipientParameters,
)
from relaymail.errors import MalformedAddress
from relaymail.replies import Phase, Reply, Trouble, TroubleKind


def quoteaddr(addr: Any, utf8: bool = False) -> bytes:
    """
    Give an address in the angle brackets of MAIL and RCPT.

    @param addr: C{bytes}, C{str} or an L{Address
        <twisted.mail.smtp.Address>}; a name before an address in angle
        brackets is left out.
    @param utf8: Whether its local part need not be ASCII, because SMTPUTF8 is
        said.

    @raise MalformedAddress: When it cannot stand in a command.
    """
    text = addr if isinstance(addr, (bytes, str)) else bytes(addr)
    if isinstance(text, bytes):
        text = text.decode("utf-8", "surrogateescape")
    if text.endswith(">"):
        name, _, text = text[:-1].rpartition("<")
        if not name.isprintable():
            # What stands in front is left out, but not passed over: a line end
            # in there means that somebody else's text got into the address.
            raise MalformedAddress(f"{name[:80]!r} holds a control character")
    return quotePath(text, utf8)


class Beginning(Transfer):
    """
    A session that begins transactions.

    @cvar lmtp: Whether the server speaks LMTP (RFC 2033).
    @cvar isVerified: Whether a connection over TLS is one with a certificate that
        is valid for the server's name.

    @ivar extensions: What the server said it can do.
    @ivar limits: What it bears in one session (RFC 9422), as far as it said so.
    """

    extensions: Extensions = NO_EXTENSIONS
    limits: Limits = NO_LIMITS
    lmtp = False
    isVerified = False
    _extensionsKnown: Extensions | None = None
    _isBare = False
    _hasDSN = False
    _begun = 0

    if TYPE_CHECKING:
        getMailFrom: Callable[[], Any]
        getMailTo: Callable[[], Iterable[Any]]
        isMailEightBit: Callable[[], bool]
        smtpTransferFailed: Callable[[int, bytes], Any]
        _nothingToSend: Callable[[], None]
        _isStepwise: Callable[[], bool]
        _unsendable: Callable[[MalformedAddress], None]

    # What subclasses say.

    def getMailParameters(self) -> Parameters:
        """
        Give what was said of the message with MAIL.
        """
        return NO_PARAMETERS

    def getRecipientParameters(self, count: int) -> Sequence[RecipientParameters]:
        """
        Give what was said of each recipient with RCPT.

        @param count: How many there are.

        @return: It, in the order of L{getMailTo}; nothing where nothing was said
            of any.
        """
        return ()

    # How it is done.

    def _learn(self) -> None:
        """
        Take in what the server can do, once it has said so.
        """
        self._extensionsKnown = self.extensions
        self._isBare = False
        self._hasDSN = b"DSN" in self.extensions
        self.limits = self.extensions.limits
        self._isPipelined = b"PIPELINING" in self.extensions and not self._isStepwise()

    def _askLess(self) -> None:
        """
        Say nothing more, in this session, that may be left out: the server offers
        what it does not know.
        """
        self._isBare = True

    def _beginMail(self) -> Trouble | None:
        """
        Begin the next message, or end the session.

        @return: Why the server cannot take the message, if it was not begun.
        """
        self._from = self.getMailFrom()
        self._failresponse = self.smtpTransferFailed
        if self._from is None:
            self._nothingToSend()
            return None
        self._recipients = []
        self.toAddressesResult, self.successAddresses = [], []
        try:
            transaction = self._newTransaction()
        except MalformedAddress as e:
            self._unsendable(e)
            return None
        if isinstance(transaction, Trouble):
            return transaction
        self._transaction = transaction
        self._begun += 1
        self._perform(transaction.begin())
        return None

    def _newTransaction(self) -> Transaction | Trouble:
        said = self.getMailParameters()
        terms = self._termsFor(said)
        if isinstance(terms, Trouble):
            return terms
        mailPath = quoteaddr(self._from, said.utf8)
        if not self._isPipelined:
            return Transaction(mailPath, (), terms, lmtp=self.lmtp)
        self._recipients = list(self.getMailTo())
        paths = [quoteaddr(to, said.utf8) for to in self._recipients]
        parameters = self._rcptParameters(said, paths)
        return Transaction(mailPath, paths, terms, True, parameters, self.lmtp)

    def _termsFor(self, said: Parameters) -> Terms | Trouble:
        """
        Give the terms on which the server is given the message.
        """
        size, eightBit = self.getMailSize(), self.isMailEightBit()
        isVerified = False
        if said is NO_PARAMETERS:
            terms = askFor(said, self.extensions, size, eightBit)
        else:
            now = 0.0 if said.deliverBy is None else self._queueTime()
            isVerified = self.isVerified and getattr(self, "_tlsMode", False)
            terms = askFor(said, self.extensions, size, eightBit, now, isVerified)
        if isinstance(terms, TroubleKind):
            told = ""
            if terms is TroubleKind.TOO_LARGE:
                told = f"{size} bytes, it takes {self.extensions.sizeLimit}"
            elif terms is TroubleKind.NO_REQUIRETLS and isVerified:
                told = "the host does not offer REQUIRETLS"
            return Trouble(Phase.MAIL, terms, told)
        if self._isBare:
            terms = terms._replace(optional=())
        if terms.form is not Form.AS_IT_IS and hasOwnForm(self):
            if said.body == "BINARYMIME":
                return Trouble(Phase.MAIL, TroubleKind.NO_CONVERSION)
            # It is for the subclass to know what it sends.
            return terms._replace(form=Form.AS_IT_IS)
        return terms

    def _rcptParameters(
        self, said: Parameters, paths: Sequence[bytes]
    ) -> Sequence[bytes]:
        """
        Give what is added to RCPT for each recipient.
        """
        if self._isBare or not self._hasDSN:
            return ()
        each = self.getRecipientParameters(len(paths))
        if not each:
            if not (said.ret or said.envid):
                return ()
            each = [NOTHING_SAID] * len(paths)
        recipients = [path[1:-1].decode("utf-8") for path in paths]
        return [askForRecipient(*pair) for pair in zip(recipients, each, strict=False)]

    def _queueTime(self) -> float:
        """
        Give the time by which the message is to be delivered in time.
        """
        raise NotImplementedError

    def _cannotTake(self, trouble: Trouble) -> None:
        """
        Tell that the server cannot take a message, of which nothing was said.
        """
        isTooLarge = trouble.kind is TroubleKind.TOO_LARGE
        told = trouble.text.encode("ascii", "backslashreplace")
        self._tell(Phase.MAIL, Reply(552 if isTooLarge else 554, (told,)))
