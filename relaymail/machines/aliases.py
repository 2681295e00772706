# -*- test-case-name: relaymail.test.machines.test_aliases -*-
"""
Which addresses stand in the place of a local name.

Names that lead to names are followed once, when the table is made: to look a
name up is one step, and a loop is a mistake in the configuration, not in a
message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from relaymail.addresses import checkAddress
from relaymail.errors import ConfigurationError, MalformedAddress
from relaymail.replies import printable

#: The most names.
MAX_ALIASES = 10_000
#: The most addresses that one name can become: a message must take as many
#: recipients (RFC 5321 4.5.3.1.8).
MAX_TARGETS = 100
#: The most names from the first to the address: far more than anybody follows.
MAX_CHAIN = 50

#: What is told of one name.
Targets = str | Iterable[str]


class Aliases:
    """
    A table of local names, in which case does not count.
    """

    def __init__(
        self,
        table: Mapping[str, Targets],
        localDomains: frozenset[str],
        qualify: Callable[[str], str],
    ) -> None:
        """
        @param table: For each local name the address, or addresses, that stand
            in its place; these may be names of the table too.
        @param localDomains: The domains whose names these are.
        @param qualify: Gives the address of a name without a domain.

        @raise ConfigurationError: When a name or an address cannot be read, or
            names go round in a loop.
        """
        if len(table) > MAX_ALIASES:
            raise ConfigurationError(
                f"there are {len(table)} aliases; {MAX_ALIASES} is the most"
            )
        self._domains = localDomains
        self._qualify = qualify
        self._table = {self._name(key): _several(key, table[key]) for key in table}
        self._found: dict[str, tuple[str, ...]] = {}
        for name in self._table:
            self._follow(name, ())

    def __bool__(self) -> bool:
        return bool(self._found)

    def __contains__(self, name: str) -> bool:
        return name in self._found

    def expand(self, address: str) -> tuple[str, ...]:
        """
        Give what stands in the place of an address: itself, where nothing does.

        @param address: An address in its one form.
        """
        local, _, domain = address.rpartition("@")
        if domain not in self._domains:
            return (address,)
        return self._found.get(plainName(local), (address,))

    def _name(self, key: str) -> str:
        local, at, domain = key.rpartition("@")
        if at and domain.lower() not in self._domains:
            raise ConfigurationError(
                f"the alias {_shown(key)} is an address elsewhere; an alias is a "
                "local name, such as root"
            )
        name = local if at else key
        try:
            checkAddress(f"{name}@example.org")
        except MalformedAddress as e:
            raise ConfigurationError(
                f"the alias {_shown(key)} is not a local name, such as root: {e}"
            ) from e
        return plainName(name)

    def _follow(self, name: str, before: tuple[str, ...]) -> tuple[str, ...]:
        """
        Give the addresses of a name, each once.
        """
        if name in self._found:
            return self._found[name]
        chain = (*before, name)
        if name in before or len(chain) > MAX_CHAIN:
            raise ConfigurationError(
                f"the aliases {_shown(' -> '.join(chain))} "
                + (
                    "go round in a loop; let one of them name an address"
                    if name in before
                    else f"lead on through more than {MAX_CHAIN} names"
                )
            )
        addresses: dict[str, None] = {}
        for target in self._table[name]:
            address, further = self._read(name, target)
            # A name that stands for itself is that address.
            if further is None or further == name:
                addresses[address] = None
            else:
                addresses.update(dict.fromkeys(self._follow(further, chain)))
            if len(addresses) > MAX_TARGETS:
                raise ConfigurationError(
                    f"the alias {_shown(name)} is more than {MAX_TARGETS} addresses"
                )
        self._found[name] = tuple(addresses)
        return self._found[name]

    def _read(self, name: str, target: str) -> tuple[str, str | None]:
        """
        Read what stands for a name: the address, and the name of the table that
        it is.
        """
        further = plainName(target)
        if "@" not in target and further in self._table and further != name:
            return "", further
        try:
            address = self._qualify(target)
        except MalformedAddress as e:
            raise ConfigurationError(
                f"the alias {_shown(name)} gives {_shown(target)}, which is neither "
                f"an address nor another alias: {e}"
            ) from e
        local, _, domain = address.rpartition("@")
        further = plainName(local)
        isFurther = domain in self._domains and further in self._table
        return address, further if isFurther else None


def plainName(local: str) -> str:
    """
    Give a local part as aliases are compared: in lower case, without quotes.
    """
    if len(local) > 2 and local[0] == local[-1] == '"':
        local = local[1:-1]
    return local.lower()


def _several(key: str, targets: Targets) -> tuple[str, ...]:
    found = (targets,) if isinstance(targets, str) else tuple(targets)
    if not found:
        raise ConfigurationError(
            f"the alias {_shown(key)} gives no address; name one, or leave it out"
        )
    return found


def _shown(text: str) -> str:
    return repr(printable(text, 80))
