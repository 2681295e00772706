# -*- test-case-name: relaymail.test.route.test_rules -*-
"""
How rules name recipients and senders.
"""

from __future__ import annotations

from collections.abc import Iterator

from relaymail.addresses import domainOf, localKey, normalDomain
from relaymail.errors import ConfigurationError, MalformedAddress
from relaymail.replies import printable

#: Each recipient, each sender, or each user that has authenticated.
ALL = "*"
#: The sender of notices (RFC 5321 4.5.5).
NOBODY = "<>"


def parseRecipient(text: str) -> str:
    """
    Read for whom mail is: a domain, C{.domain} for each below it, an address or
    C{"*"}.

    @return: It in its one form.

    @raise ConfigurationError: When it is none of them.
    """
    text = text.strip()
    if text == ALL:
        return text
    try:
        if "@" in text:
            return _addressOfOne(text)
        if text.startswith("."):
            return f".{normalDomain(text[1:])}"
        return normalDomain(text)
    except MalformedAddress as e:
        raise ConfigurationError(
            f"{printable(text, 80)!r} does not say for whom mail is ({e}): write "
            "example.org, .example.org for each domain below it, an address, or *"
        ) from e


def parseSender(text: str) -> str:
    """
    Read who mail is from: an address, C{@domain} for all addresses there, C{"<>"} for
    notices or C{"*"}.

    @return: It in its one form.

    @raise ConfigurationError: When it is none of them.
    """
    text = text.strip()
    if text in (ALL, NOBODY):
        return text
    try:
        return addressOf(text) if text.startswith("@") else _addressOfOne(text)
    except MalformedAddress as e:
        raise ConfigurationError(
            f"{printable(text, 80)!r} does not say who mail is from ({e}): write an "
            "address, @example.org for all addresses there, <> for notices, or *"
        ) from e


def keysOfSender(sender: str) -> tuple[str, ...]:
    """
    Give what stands in rules that are for a sender.

    @param sender: The reverse-path, empty for a notice.
    """
    try:
        return senderKeys(addressOf(sender) if sender else NOBODY)
    except MalformedAddress:
        # Of some programs of this machine: it is in no domain.
        return (sender.lower(),)


def addressOf(text: str) -> str:
    """
    Give an address, or C{@} and a domain, in its one form.

    @raise MalformedAddress: When there is no domain.
    """
    # A domain is written in several ways (RFC 5890), and stands there in one; nobody
    # has two mailboxes that differ in case.
    return f"{localKey(text.rpartition('@')[0])}@{domainOf(text)}"


def _addressOfOne(text: str) -> str:
    """
    Give an address in its one form: of somebody, for nobody means a mailbox by one
    that is called C{*}, or not at all.

    @raise MalformedAddress: When it is none.
    """
    local = text.rpartition("@")[0]
    if not local:
        raise MalformedAddress(f"nothing stands before the @ of {text!r}")
    if local == ALL:
        raise MalformedAddress(f"{text!r} is no pattern")
    return addressOf(text)


def parentsOf(domain: str) -> Iterator[str]:
    """
    Give what stands in rules for all domains below those that a domain is in, the
    nearest first.

    @param domain: As L{normalDomain<relaymail.addresses.normalDomain>} gives it.
    """
    if domain.startswith("["):
        return
    at = domain.find(".", 1)
    while at >= 0:
        yield domain[at:]
        at = domain.find(".", at + 1)


def recipientKeys(pattern: str) -> tuple[str, ...]:
    """
    Give what stands in rules that are for all whom a pattern, or an address, names.

    @param pattern: A pattern, or an address, in its one form.
    """
    _, at, domain = pattern.rpartition("@")
    if at:
        return (pattern, domain, *parentsOf(domain))
    return (pattern, *parentsOf(pattern))


def senderKeys(pattern: str) -> tuple[str, ...]:
    """
    The same for senders.

    @param pattern: A pattern, or an address.
    """
    local, at, domain = pattern.rpartition("@")
    return (pattern, f"@{domain}") if at and local else (pattern,)


def isAny(patterns: tuple[str, ...]) -> bool:
    """
    Tell whether the criteria of a kind leave nobody out.
    """
    return not patterns or ALL in patterns
