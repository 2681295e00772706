# -*- test-case-name: relaymail.test.route.sts.test_policy -*-
"""
Policies of MTA-STS (RFC 8461), and the records that say that there is one: what they
say, and which hosts they mean.

Both are a stranger's: what does not follow the grammar is not guessed at, and its
error says where it does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from relaymail.addresses import normalDomain
from relaymail.errors import MalformedAddress
from relaymail.protections import TLSResult
from relaymail.replies import printable

#: How long a policy may be, in bytes (RFC 8461 3.3).
MAX_SIZE = 65536
#: How many patterns it may have: a policy names the hosts of one destination, and
#: each of these is compared with each pattern.
MAX_PATTERNS = 500
#: For how long it may hold, in seconds: a year (RFC 8461 3.2).
MAX_AGE = 31557600
#: The longest record that is read, in bytes.
MAX_RECORD = 4096
#: How much of what is wrong an error shows, in characters.
_SHOWN = 60

#: What a record of this version begins with (RFC 8461 3.1).
_RECORD = re.compile(r"v=STSv1[ \t]*;")
_FIELD = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,31})=([!-:<>-~]+)\Z")
_DELIMITER = re.compile(r"[ \t]*;[ \t]*")
_ID = re.compile(r"[A-Za-z0-9]{1,32}\Z")

#: One line of a policy (RFC 8461 3.2): C{sts-policy-extension}, which every field
#: looks like.
_LINE = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,31}):[ \t]*(.*)\Z")
_VALUE = re.compile(r"[!-~\u0080-\U0010ffff](?:[ !-~\u0080-\U0010ffff]*)\Z")
_AGE = re.compile(r"[0-9]{1,10}\Z")


class STSMode(Enum):
    """
    What a policy wants (RFC 8461 5).  The value is how it is written.
    """

    #: Mail goes to no host that the policy does not name, or that cannot show a
    #: valid certificate.
    ENFORCE = "enforce"
    #: It goes as without the policy, but what would have kept it is reported.
    TESTING = "testing"
    #: There is no policy any more.
    NONE = "none"


class MalformedRecord(ValueError):
    """
    What stands in the DNS is no usable record of MTA-STS; the domain is taken to
    have no policy (RFC 8461 3.1), unless one is known already.
    """


class MalformedPolicy(ValueError):
    """
    What the web server of a domain gave is no policy (RFC 8461 3.2); it is left out.
    """


class Unfetched(Exception):
    """
    A policy could not be had; what was had before is used for as long as it holds,
    and if there is none mail goes as without one.

    @ivar result: What is wrong, for reports (RFC 8460 4.3.2.2).
    @ivar why: What is known beyond that: one printable line.
    """

    def __init__(self, result: TLSResult, why: str) -> None:
        super().__init__(result, why)
        self.result = result
        self.why = printable(why)


@dataclass(frozen=True, slots=True)
class STSPolicy:
    """
    A policy.

    @ivar mode: What it wants.
    @ivar patterns: Which hosts it means, as they stand there; none with the mode
        C{NONE}.
    @ivar maxAge: How long it holds, in seconds from when it was had.
    @ivar id: Which one it is, as the record said (RFC 8461 3.1).
    @ivar lines: What it says, line by line.
    """

    mode: STSMode
    patterns: tuple[str, ...]
    maxAge: int
    id: str = ""
    lines: tuple[str, ...] = ()

    def matches(self, host: str) -> bool:
        """
        Tell whether it names a host (RFC 8461 4.1).

        @param host: The name of an MX host.
        """
        name = _folded(host)
        if not name:
            return False
        above = name.partition(".")[2]
        # A star stands for the leftmost label, for all of it, and for one only.
        meant = {name, f"*.{above}"} if above else {name}
        return any(p.lower().removesuffix(".") in meant for p in self.patterns)


@dataclass(frozen=True, slots=True)
class Found:
    """
    What is known of the policy of a domain.

    @ivar policy: It, where there is one that holds; of the mode C{ENFORCE} or
        C{TESTING}.
    @ivar problem: What is wrong with it, or with one that it should have been put in
        the place of, for reports (RFC 8460 4.3.2.2).
    @ivar why: What is known beyond that: one printable line.
    """

    policy: STSPolicy | None = None
    problem: TLSResult | None = None
    why: str = ""


#: No policy, and nothing that is wrong.
NOTHING = Found()


def parseRecord(records: Iterable[Sequence[bytes]]) -> str | None:
    """
    Read the TXT records at C{_mta-sts} of a domain (RFC 8461 3.1).

    @param records: The strings of each; those of one belong together.

    @return: The id of the policy; L{None} where none of the records is about one.

    @raise MalformedRecord: When there is more than one that is, or it cannot be read.
    """
    # Nobody can choose among several by guessing (RFC 8461 3.1).
    found = [text for text in map(_recordText, records) if _RECORD.match(text)]
    if not found:
        return None
    if len(found) > 1:
        raise MalformedRecord(f"there are {len(found)} of them where one is allowed")
    if len(found[0]) > MAX_RECORD:
        raise MalformedRecord(f"it is longer than {MAX_RECORD} bytes")
    return _idIn(found[0])


def _recordText(strings: Sequence[bytes]) -> str:
    return b"".join(strings).decode("latin-1")


def _idIn(record: str) -> str:
    _, *fields = _DELIMITER.split(record)
    if not fields[-1]:
        # A delimiter may stand at the end.
        fields.pop()
    said: dict[str, str] = {}
    for field in fields:
        parsed = _FIELD.match(field)
        if parsed is None:
            raise MalformedRecord(f"{_shown(field)} is no field of it")
        said.setdefault(parsed[1], parsed[2])
    if "id" not in said:
        raise MalformedRecord("it has no id")
    if not _ID.match(said["id"]):
        raise MalformedRecord(f"its id {_shown(said['id'])} is no id")
    return said["id"]


def parsePolicy(body: bytes, id: str = "") -> STSPolicy:
    """
    Read a policy (RFC 8461 3.2).

    @param body: What the web server gave.
    @param id: The id that the record had.

    @raise MalformedPolicy: When it is none; its words say why.
    """
    lines = _linesOf(body)
    said: dict[str, str] = {}
    named: list[str] = []
    for line in lines:
        key, value = _fieldIn(line)
        if key == "mx":
            named.append(value)
        # Of two that say the same the first one counts.
        said.setdefault(key, value)
    mode, maxAge = _modeIn(said), _maxAgeIn(said)
    # One that ends protection is not to fail for whom it would have protected.
    patterns = () if mode is STSMode.NONE else _patternsIn(named, mode)
    return STSPolicy(mode, patterns, maxAge, id, lines)


def _linesOf(body: bytes) -> tuple[str, ...]:
    if len(body) > MAX_SIZE:
        raise MalformedPolicy(f"it is longer than {MAX_SIZE} bytes")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedPolicy("it is no UTF-8") from None
    lines = (line.removesuffix("\r").rstrip(" \t") for line in text.split("\n"))
    # Empty ones, of which many have some at the end, say nothing that could be
    # misunderstood.
    return tuple(line for line in lines if line)


def _fieldIn(line: str) -> tuple[str, str]:
    found = _LINE.match(line)
    if found is None or not _VALUE.match(found[2]):
        raise MalformedPolicy(f"{_shown(line)} is no line of one")
    return found[1], found[2]


def _modeIn(said: dict[str, str]) -> STSMode:
    for key in ("version", "mode", "max_age"):
        if key not in said:
            raise MalformedPolicy(f"it has no {key}")
    if said["version"] != "STSv1":
        raise MalformedPolicy(f"its version {_shown(said['version'])} is not STSv1")
    try:
        return STSMode(said["mode"])
    except ValueError:
        raise MalformedPolicy(
            f"its mode {_shown(said['mode'])} is none of enforce, testing, none"
        ) from None


def _maxAgeIn(said: dict[str, str]) -> int:
    text = said["max_age"]
    if not _AGE.match(text) or int(text) > MAX_AGE:
        raise MalformedPolicy(
            f"its max_age {_shown(text)} is no number of seconds up to {MAX_AGE}"
        )
    return int(text)


def _patternsIn(named: Sequence[str], mode: STSMode) -> tuple[str, ...]:
    if not named:
        raise MalformedPolicy(f"its mode is {mode.value}, but it names no mx")
    if len(named) > MAX_PATTERNS:
        raise MalformedPolicy(f"it names more than {MAX_PATTERNS} mx")
    return tuple(dict.fromkeys(map(_pattern, named)))


def _pattern(value: str) -> str:
    # A U-label is not allowed there (RFC 8461 3.2), and is not what DNS has.
    if not value.isascii() or not _folded(value.removeprefix("*.")):
        raise MalformedPolicy(f"its mx {_shown(value)} is no name of hosts")
    return value


def _folded(name: str) -> str:
    """
    Give a name as names are compared; empty for what is none.
    """
    try:
        normal = normalDomain(name)
    except MalformedAddress:
        return ""
    return "" if normal.startswith("[") else normal


def _shown(text: str) -> str:
    return repr(printable(text, _SHOWN))
