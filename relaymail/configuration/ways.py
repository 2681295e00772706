# -*- test-case-name: relaymail.test.configuration.test_routes -*-
"""
The ways that mail may go by a route: a word for what becomes of it, or the hosts that
get it.
"""

from __future__ import annotations

from typing import Any

from relaymail.configuration.smarthosts import readSmartHost
from relaymail.configuration.values import Unfit, eachOf
from relaymail.errors import ConfigurationError
from relaymail.replies import printable
from relaymail.route.hosts import Host
from relaymail.route.rules import Action
from relaymail.route.smarthosts import SmartHost

#: The word for the hosts of each destination.
MX = "mx"

#: A smart host as a configuration has it.
Described = SmartHost | Host

_ACTIONS = {each.value: each for each in Action if each is not Action.DELIVER}
#: What the words of via are called elsewhere.
_ELSEWHERE = {
    "bounce": "refuse",
    "deny": "refuse",
    "reject": "refuse",
    "blackhole": "discard",
    "delete": "discard",
    "drop": "discard",
    "freeze": "hold",
    "quarantine": "hold",
    "direct": MX,
    "dns": MX,
}
#: How alike a word that is misspelt is to the one that is meant, of 1.
_NEAR = 0.75


def readVia(value: Any, base: str) -> tuple[Action, tuple[Described, ...]]:
    """
    Read what becomes of mail, and by which hosts it goes; none: those of its
    destination.

    @param value: A word, a smart host, or several.
    @param base: The directory that paths begin at; empty: the working directory.

    @raise Unfit: When it is none of them; each problem has its index.
    @raise ConfigurationError: The same, with why.
    """
    if isinstance(value, str):
        word = value.strip().lower()
        if word == MX:
            return Action.DELIVER, ()
        if word in _ACTIONS:
            return _ACTIONS[word], ()
        _checkWord(word)
    hosts: tuple[Described, ...] = eachOf(readSmartHost)(value, base)
    for index, host in enumerate(hosts):
        if host.path is None and host.name.lower() in (*_ACTIONS, MX):
            raise Unfit(
                (
                    (index,) if isinstance(value, list | tuple) else (),
                    f"{host.name} stands alone in via; a host of that name is "
                    f"smtp://{host.name}.",
                )
            )
    if not hosts:
        raise Unfit
    return Action.DELIVER, hosts


def _checkWord(word: str) -> None:
    """
    Refuse what is called so elsewhere, or is misspelt: as the name of a host it would
    keep mail for days, and return it.
    """
    from difflib import get_close_matches

    near = get_close_matches(word, (MX, *_ACTIONS), 1, _NEAR)
    meant = _ELSEWHERE.get(word) or (near[0] if near else "")
    if meant:
        raise ConfigurationError(
            f"{printable(word, 80)!r} is no word of via: write {meant}; a host of that "
            f"name is smtp://{printable(word, 80)}"
        )
