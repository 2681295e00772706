# -*- test-case-name: relaymail.test.test_relay -*-
"""
What takes mail for relaying, and what gives clients the mail to relay.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from ipaddress import ip_address
from typing import Any

from twisted.internet.address import UNIXAddress
from twisted.logger import Logger
from twisted.mail._except import SMTPBadRcpt
from twisted.mail.interfaces import IMessageSMTP

from relaymail import smtp
from relaymail.dialogue.extensions import NO_LIMITS, Limits
from relaymail.envelopes import (
    NO_PARAMETERS,
    NOTHING_SAID,
    Letter,
    Parameters,
    RecipientParameters,
)
from relaymail.queue.contents import LazyFile
from relaymail.queue.pickles import MAX_PICKLE, dumpEnvelope, loadEnvelope

__all__ = ["DomainQueuer", "ESMTPRelayer", "RelayerMixin", "SMTPRelayer"]


class DomainQueuer:
    """
    A domain of a Twisted L{MailService <twisted.mail.mail.MailService>} that
    puts mail into the service's queue, to be relayed.

    @ivar service: The service, of which C{queue} is used.
    @ivar authed: Whether the client has authenticated, and may relay from
        anywhere.
    """

    _log = Logger()

    def __init__(self, service: Any, authenticated: bool = False) -> None:
        """
        @param service: See C{service}.
        @param authenticated: See C{authed}.
        """
        self.service = service
        self.authed = authenticated

    def exists(self, user: Any) -> Callable[[], IMessageSMTP]:
        """
        Say whether mail for a user is taken.

        @param user: A L{User <twisted.mail.smtp.User>}.

        @return: What begins the message.

        @raise SMTPBadRcpt: When the client may not relay, or an address has
            no domain; the null reverse-path needs none (RFC 5321 4.5.5).
        """
        sender, recipient = str(user.orig), str(user.dest)
        if self.willRelay(user.dest, user.protocol) and (
            _hasDomain(recipient) and (not sender or _hasDomain(sender))
        ):
            return lambda: self.startMessage(user)
        raise SMTPBadRcpt(user)

    def willRelay(self, address: Any, protocol: Any) -> bool:
        """
        Say whether a client may relay: one that has authenticated, or that is
        on this machine.

        @param address: The recipient.
        @param protocol: The server's side of the connection.
        """
        peer = protocol.transport.getPeer()
        return self.authed or isinstance(peer, UNIXAddress) or _isLoopback(peer.host)

    def startMessage(self, user: Any) -> IMessageSMTP:
        """
        Begin a message in the queue.

        @param user: A L{User <twisted.mail.smtp.User>}.

        @return: What takes the lines of the message.
        """
        sender, recipient = str(user.orig), str(user.dest)
        envelopeFile, message = self.service.queue.createNewMessage()
        with envelopeFile:
            self._log.info(
                "Queueing mail {sender!r} -> {recipient!r}",
                sender=sender,
                recipient=recipient,
            )
            envelopeFile.write(dumpEnvelope([sender, recipient]))
        taker: IMessageSMTP = message
        return taker


class RelayerMixin:
    """
    Gives a client the letters to send, and takes them off the list as they
    are sent.

    Here the letters are files: C{NAME-H} with the pickled C{[sender,
    recipient]}, and C{NAME-D} with the content.

    @cvar recipientsPerTransaction: How many recipients of one message are
        sent it in one transaction.
    @cvar domainsPerTransaction: Of how many domains these may be; 0: any number that
        the host bears.
    @ivar limits: What the host bears in one session.
    @ivar messages: The letters: C{[sender, recipient, file]} each.
    @ivar names: Their paths, in the same order.
    """

    recipientsPerTransaction = 1
    domainsPerTransaction = 0
    limits: Limits = NO_LIMITS
    _at = 0
    messages: list[Any]
    names: list[Any]

    def loadMessages(self, messagePaths: Iterable[str]) -> None:
        """
        Take letters to send.

        @param messagePaths: The paths, without C{-H} and C{-D}.
        """
        self.messages = []
        self.names = []
        self._takeIn(messagePaths)

    def getMailFrom(self) -> Any:
        """
        Give the sender of the next letter, or L{None} if there is none.
        """
        messages, at = self.messages, self._at
        if len(messages) <= at:
            self._takeIn(self._moreMessages())
        return messages[at][0] if len(messages) > at else None

    def getMailTo(self) -> Any:
        """
        Give the recipients of the next transaction: those of the leading
        letters with one content; L{None} if there is no letter.
        """
        if len(self.messages) <= self._at:
            return None
        return [letter[1] for letter in self._leading()]

    def getMailData(self) -> Any:
        """
        Give the content of the next letter, as an open binary file, or
        L{None}.
        """
        letter = self._next()
        if isinstance(letter, Letter):
            # It may have been sent before, for recipients who came first.
            letter.file.seek(0)
        return letter[2] if letter is not None else None

    def getMailSize(self) -> int | None:
        """
        Give the size of that content in bytes, where it is known.
        """
        letter = self._next()
        return letter.content.size if isinstance(letter, Letter) else None

    def isMailEightBit(self) -> bool:
        """
        Tell whether that content has bytes above 127, where it is known.
        """
        letter = self._next()
        return isinstance(letter, Letter) and letter.content.eightBit

    def getMailParameters(self) -> Parameters:
        """
        Give what was said of the next letter with MAIL.
        """
        letter = self._next()
        return letter.parameters if isinstance(letter, Letter) else NO_PARAMETERS

    def getRecipientParameters(self, count: int) -> Sequence[RecipientParameters]:
        """
        Give what was said of each recipient of the next transaction with RCPT.

        @param count: How many there are.

        @return: It, in their order; nothing where nothing was said of any.
        """
        letters = self.messages[self._at : self._at + count]
        for letter in letters:
            if not isinstance(letter, Letter):
                return ()
            said = letter.recipientParameters
            if said is not NOTHING_SAID and (said.notify or said.orcpt):
                return [each.recipientParameters for each in letters]
        return ()

    def sentMail(
        self, code: int, resp: Any, numOk: Any, addresses: Any, log: Any
    ) -> None:
        """
        Take the letter off the list, and off the disk if it was delivered.
        """
        if code in smtp.SUCCESS:
            os.remove(self.names[0] + "-D")
            os.remove(self.names[0] + "-H")
        self._takeOff(1)

    def _takeIn(self, paths: Iterable[str]) -> None:
        for path in paths:
            letter = self._open(path)
            if letter is not None:
                self.messages.append(letter)
                self.names.append(path)

    def _takeOff(self, count: int) -> None:
        del self.messages[:count]
        del self.names[:count]

    def _open(self, path: str) -> Any:
        with open(path + "-H", "rb") as file:
            envelope: list[Any] = loadEnvelope(file.read(MAX_PICKLE + 1))
        return [*envelope, LazyFile(lambda: open(path + "-D", "rb"))]

    def _moreMessages(self) -> Sequence[str]:
        return ()

    def _next(self) -> Any:
        """
        Give the letter that is asked for: the first one, or the one behind those
        of the transaction that has not ended yet.
        """
        return self.messages[self._at] if len(self.messages) > self._at else None

    def _leading(self) -> list[Any]:
        at = self._at
        first, limit = self.messages[at], self.recipientsPerTransaction
        most = self.limits.recipients
        if most:
            limit = min(limit, most)
        if limit <= 1 or not isinstance(first, Letter):
            return [first]
        content = first.content
        count = 0
        for letter in self.messages[at : at + limit]:
            if letter.content is not content and letter.content != content:
                break
            count += 1
        letters = self.messages[at : at + count]
        most = self.domainsPerTransaction or self.limits.domains
        return _ofSoManyDomains(letters, most) if most else letters


class SMTPRelayer(RelayerMixin, smtp.SMTPClient):
    """
    Sends letters over SMTP.
    """

    def __init__(self, messagePaths: Iterable[str], *args: Any, **kw: Any) -> None:
        """
        @param messagePaths: The paths of the letters.
        @param args: Positional arguments of L{SMTPClient.__init__
            <relaymail.smtp.SMTPClient.__init__>}.
        @param kw: Keyword arguments of it.
        """
        smtp.SMTPClient.__init__(self, *args, **kw)
        self.loadMessages(messagePaths)


class ESMTPRelayer(RelayerMixin, smtp.ESMTPClient):
    """
    Sends letters over ESMTP.
    """

    def __init__(self, messagePaths: Iterable[str], *args: Any, **kw: Any) -> None:
        """
        @param messagePaths: The paths of the letters.
        @param args: Positional arguments of L{ESMTPClient.__init__
            <relaymail.smtp.ESMTPClient.__init__>}.
        @param kw: Keyword arguments of it.
        """
        smtp.ESMTPClient.__init__(self, *args, **kw)
        self.loadMessages(messagePaths)


def _ofSoManyDomains(letters: list[Any], most: int) -> list[Any]:
    """
    Give as many letters, from the first one on, as have no more domains than that
    (RFC 9422 4.3).
    """
    domains: set[str] = set()
    for index, letter in enumerate(letters):
        domains.add(letter.recipient.rpartition("@")[2].lower())
        if len(domains) > most:
            return letters[:index]
    return letters


def _hasDomain(address: str) -> bool:
    local, at, domain = address.rpartition("@")
    return bool(local and at and domain)


def _isLoopback(host: object) -> bool:
    try:
        address = ip_address(str(host))
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
