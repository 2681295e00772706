# -*- test-case-name: relaymail.test.machines.test_machines -*-
"""
Mail from machines: what cron, monitoring and scripts leave out is put in.

Their senders and recipients have no domain, their C{root} is nobody's mailbox,
their hosts have names that mean nothing elsewhere, and their messages have
neither date nor name.  L{Machines} is what the operator has said of that.

Rules:

  - An address without a domain is of the origin.  Without an origin
    C{postmaster} (RFC 5321 4.1.1.3) and the names of aliases are of this host,
    and others are no addresses.
  - Aliases are of local names: of the origin, of this host, and of C{localhost}.
  - What is done twice is as if it was done once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from relaymail.addresses import checkAddress, normalDomain
from relaymail.errors import ConfigurationError, MalformedAddress
from relaymail.headers import (
    FIELD,
    dateText,
    fieldNames,
    messageId,
    splitHeader,
)
from relaymail.machines.aliases import Aliases, Targets, plainName
from relaymail.machines.fields import MAX_FIELD, change
from relaymail.machines.senders import SenderRewrites
from relaymail.replies import printable

__all__ = ["Machines"]

#: The one local part that needs no domain.
POSTMASTER = "postmaster"

#: How much of the fields of one header is read for addresses, in octets: twice the
#: longest field there is.  Reading takes a microsecond or two for each octet, and
#: everybody waits meanwhile.
MAX_FIELDS = 2 * MAX_FIELD

_LOCALHOST = "localhost"

# The fields whose addresses a sender writes of itself, and those of others: only
# their missing domains are put in.
_ADDRESS_FIELD = re.compile(
    rb"^(?P<name>from|sender|reply-to|to|cc)[ \t]*:"
    rb"(?P<value>[^\r\n]*(?:\r\n[ \t][^\r\n]*)*)(?=\r\n|\Z)",
    re.IGNORECASE | re.MULTILINE,
)
_OF_OTHERS = frozenset({b"to", b"cc"})


class Machines:
    """
    What is put in and changed in mail that trusted clients and local programs
    give.

    @ivar origin: The domain of addresses that have none; empty for none.
    @ivar hostname: The name of this host.
    @ivar isEmpty: Whether nothing was said: only C{postmaster} is anybody's.
    @ivar changesHeaders: Whether L{rewriteHeader} may change anything.
    """

    def __init__(
        self,
        origin: str = "",
        aliases: Mapping[str, Targets] | Iterable[tuple[str, Targets]] = (),
        rewriteSenders: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        hostname: str = _LOCALHOST,
    ) -> None:
        """
        @param origin: The domain of addresses that have none; empty: there are
            no such addresses.
        @param aliases: For local names, the address or addresses that stand in
            their place.
        @param rewriteSenders: Patterns of senders, and the addresses that stand
            in their place, as L{SenderRewrites
            <relaymail.machines.senders.SenderRewrites>} reads them.
        @param hostname: The name of this host.

        @raise ConfigurationError: When one of these cannot be used.
        """
        self.hostname = _domain("the host name", hostname)
        self.origin = _domain("the origin", origin) if origin else ""
        self._senders = SenderRewrites(dict(rewriteSenders))
        local = {self.hostname, self.origin, _LOCALHOST} - {""}
        self._aliases = Aliases({}, frozenset(), self.qualify)
        self._aliases = Aliases(dict(aliases), frozenset(local), self.qualify)
        self.changesHeaders = bool(self.origin or self._senders)
        self.isEmpty = not (self.changesHeaders or self._aliases)

    def qualify(self, address: str) -> str:
        """
        Check an address, and give it a domain where it has none.

        @param address: C{local@domain} or C{local}.

        @raise MalformedAddress: When it is none, or there is no origin.
        """
        if "@" in address and not address.endswith('"'):
            return checkAddress(address)
        domain, name = self.origin, plainName(address)
        if not domain and (name == POSTMASTER or name in self._aliases):
            domain = self.hostname
        if not domain:
            raise MalformedAddress(
                f"{printable(address, 80)!r} has no domain, and no origin is "
                "configured; nothing was queued"
            )
        return checkAddress(f"{address}@{domain}")

    def expand(self, recipient: str) -> tuple[str, ...]:
        """
        Give the addresses that stand in the place of one, itself where there
        are none.

        @param recipient: An address in its one form.
        """
        return self._aliases.expand(recipient)

    def resolve(self, recipients: Iterable[str]) -> tuple[str, ...]:
        """
        Give the addresses that mail for others is to go to, each once.

        @param recipients: Addresses, with or without domains.

        @raise MalformedAddress: When one of them is none.
        """
        found: dict[str, None] = {}
        for recipient in recipients:
            found.update(dict.fromkeys(self.expand(self.qualify(recipient))))
        return tuple(found)

    def rewriteSender(self, sender: str) -> str:
        """
        Give the sender that stands in the place of another, or that one.

        @param sender: An address in its one form; the empty one stays so.
        """
        return self._senders.rewrite(sender)

    def rewriteHeader(self, header: bytes) -> bytes:
        """
        Put missing domains into the addresses of a header, and rewrite the
        senders there: From, Sender and Reply-To (RFC 5322 3.6.2), so that who a
        message is from is the same on the letter as on the envelope.

        @param header: The header, with the line end of its last field.

        @return: The header; fields that cannot be read are as they were.
        """
        if not self.changesHeaders or FIELD.match(header) is None:
            return header
        left = MAX_FIELDS

        def rewrite(match: re.Match[bytes]) -> bytes:
            nonlocal left
            left -= len(match[0])
            return match[0] if left < 0 else self._rewriteField(match)

        return _ADDRESS_FIELD.sub(rewrite, header)

    def complete(
        self, content: bytes, at: float, token: str, author: str = ""
    ) -> bytes:
        """
        Give a message that a program made what is missing in its header: Date
        and Message-ID (RFC 6409 8.1, 8.3), and rewrite what is to be rewritten.

        @param content: The message, every line with CRLF.
        @param at: When it came, in seconds of the epoch.
        @param token: What tells it from all others, letters and digits.
        @param author: The value of the From field where that is missing too, in
            ASCII; empty to add none.
        """
        header, rest = splitHeader(content)
        isHeaderless = not header and not rest.startswith(b"\r\n")
        names = fieldNames(header)
        added = []
        if author and b"from" not in names:
            added.append(f"From: {printable(author)}\r\n")
        if b"date" not in names:
            added.append(f"Date: {dateText(int(at))}\r\n")
        if b"message-id" not in names:
            added.append(f"Message-ID: {messageId(at, token, self.hostname)}\r\n")
        top = "".join(added).encode("ascii", "replace")
        header = self.rewriteHeader(top + header)
        return b"".join([header, b"\r\n" if isHeaderless else b"", rest])

    def _rewriteField(self, match: re.Match[bytes]) -> bytes:
        isOthers = match["name"].lower() in _OF_OTHERS
        value = change(match["value"], self._other if isOthers else self._own)
        return match[0][: match.start("value") - match.start()] + value

    def _other(self, address: str) -> str:
        if "@" in address or not self.origin:
            return address
        try:
            return self.qualify(address)
        except MalformedAddress:
            return address

    def _own(self, address: str) -> str:
        try:
            checked = self.qualify(address)
        except MalformedAddress:
            return address
        sender = self.rewriteSender(checked)
        # An address that is not rewritten stays as it was written.
        return address if sender == checked and "@" in address else sender


def _domain(what: str, text: str) -> str:
    try:
        return normalDomain(text)
    except MalformedAddress as e:
        raise ConfigurationError(f"{what} cannot be used: {e}") from e
