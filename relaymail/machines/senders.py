# -*- test-case-name: relaymail.test.machines.test_senders -*-
"""
Which sender stands in the place of another: patterns, and what they become.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from relaymail.addresses import checkAddress, normalDomain
from relaymail.errors import ConfigurationError, MalformedAddress
from relaymail.replies import printable

#: The most patterns.
MAX_PATTERNS = 1000

_Key = tuple[str, str]

#: The domain of what is for all domains; what is for those below one begins with
#: a dot.
_ANY = "."


class SenderRewrites:
    """
    A table of patterns.

    A pattern is an address, C{"@host.internal"} (or C{"*@host.internal"}) for
    all of a domain, or C{"@*.internal"} for all below one.  What it becomes is
    an address, or C{"@example.org"}, which leaves the local part as it is.  An
    address goes before its domain, and that before the domains above it.  Case
    does not count.  C{"@*"} is for every sender that is not what another pattern
    gives.
    """

    def __init__(self, table: Mapping[str, str]) -> None:
        """
        @param table: The patterns, and what they become.

        @raise ConfigurationError: When one cannot be read, or what it becomes
            would become another.
        """
        if len(table) > MAX_PATTERNS:
            raise ConfigurationError(
                f"there are {len(table)} sender rewrites; {MAX_PATTERNS} is the most"
            )
        self._rules: dict[_Key, _Key] = {}
        for pattern, target in table.items():
            self._rules[_pattern(pattern)] = _target(pattern, target)
        self._given = frozenset(self._rules.values())
        for pattern, target in table.items():
            self._checkIsLast(pattern, target)

    def __bool__(self) -> bool:
        return bool(self._rules)

    def rewrite(self, address: str) -> str:
        """
        Give the sender that stands in the place of another, or that one.

        @param address: An address in its one form; the empty one stays so.
        """
        if not self._rules:
            return address
        local, at, domain = address.rpartition("@")
        if not at:
            return address
        for key in _keys(local.lower(), domain):
            rule = self._rules.get(key)
            if key[1] == _ANY and self._given & {(local, domain), ("", domain)}:
                return address
            if rule is not None:
                return f"{rule[0] or local}@{rule[1]}"
        return address

    def _checkIsLast(self, pattern: str, target: str) -> None:
        # What is rewritten twice, by the sendmail command and the service, is
        # to become what it becomes once.
        local, domain = self._rules[_pattern(pattern)]
        if local:
            address = f"{local}@{domain}"
            again = self.rewrite(address) != address
        else:
            again = any(
                (local, domain) != rule and _covers(key[1], domain)
                for key, rule in self._rules.items()
            )
        if again:
            raise ConfigurationError(
                f"the sender rewrite {_shown(pattern)} gives {_shown(target)}, which "
                "another one changes; let it give what is to stand there in the end"
            )


def _keys(local: str, domain: str) -> Iterator[_Key]:
    """
    Give what could be said of an address, what counts most first.
    """
    yield local, domain
    yield "", domain
    at = domain.find(".")
    while at >= 0:
        yield local, domain[at:]
        yield "", domain[at:]
        at = domain.find(".", at + 1)
    yield local, _ANY
    yield "", _ANY


def _covers(pattern: str, domain: str) -> bool:
    return pattern == domain or (
        pattern != _ANY and pattern.startswith(".") and domain.endswith(pattern)
    )


def _pattern(text: str) -> _Key:
    """
    Read a pattern: the local part, empty for any, and the domain, with a dot
    before it for those below it, a dot alone for any.
    """
    local, at, domain = text.rpartition("@")
    try:
        if not at:
            raise MalformedAddress("it has no @")
        local = local.removeprefix("*")
        if local:
            local = checkAddress(f"{local}@example.org").rpartition("@")[0].lower()
        if "*" in local:
            raise MalformedAddress("the local part is whole, or * alone")
        if domain == "*":
            return local, _ANY
        if domain.startswith("*."):
            return local, f".{normalDomain(domain[2:])}"
        return local, normalDomain(domain)
    except MalformedAddress as e:
        raise ConfigurationError(
            f"the sender rewrite {_shown(text)} cannot be read ({e}); write such as "
            "root@host.internal, @host.internal or @*.internal"
        ) from e


def _target(pattern: str, text: str) -> _Key:
    """
    Read what a pattern becomes: the local part, empty to leave it, and the
    domain.
    """
    try:
        local, at, domain = text.rpartition("@")
        if at and local in ("", "*"):
            return "", normalDomain(domain)
        local, _, domain = checkAddress(text).rpartition("@")
        return local, domain
    except MalformedAddress as e:
        raise ConfigurationError(
            f"the sender rewrite {_shown(pattern)} gives {_shown(text)}, which is no "
            "address; write such as ops@example.org, or @example.org to leave what "
            "stands before the @"
        ) from e


def _shown(text: str) -> str:
    return repr(printable(text, 80))
