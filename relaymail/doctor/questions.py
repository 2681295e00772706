# -*- test-case-name: relaymail.test.doctor.test_questions -*-
"""
Asking a name server one thing, without a reactor (RFC 1035 4).

What relays mail has its own resolver.  This one asks, waits, and says what came
back, also where that is nothing.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from secrets import randbits

from relaymail.errors import RelayMailError

#: Where the system says which servers to ask.
RESOLVER_FILE = "/etc/resolv.conf"
#: How much of that is read, in characters.
MAX_FILE = 65536
#: How many of them are asked: the libraries of the system ask no more.
MAX_SERVERS = 3
#: How long to wait for an answer, in seconds, before it is asked once more.
WAIT = 3.0
#: How often it is asked.
TRIES = 2
#: The longest answer over UDP, in bytes, that is asked for (RFC 6891 6.2.5).
MAX_ANSWER = 4096
#: How many records of an answer are looked at.
MAX_RECORDS = 100
#: How many steps the name in a record may take; a loop of pointers takes more.
MAX_STEPS = 128

_CODES = {
    1: "FORMERR: it did not understand the question",
    2: "SERVFAIL: it could not find out",
    3: "NXDOMAIN: there is no such name",
    4: "NOTIMP: it does not answer such questions",
    5: "REFUSED: it does not answer this machine",
}

Server = tuple[str, int]


class Kind(IntEnum):
    """
    What is asked for.
    """

    A = 1
    NS = 2
    PTR = 12
    MX = 15
    AAAA = 28


class NoAnswer(RelayMailError):
    """
    A name server did not answer, or not as it should.
    """


@dataclass(frozen=True, slots=True)
class Told:
    """
    What a name server has told.

    @ivar code: How it went (RFC 1035 4.1.1): 0 well, 3 no such name.
    @ivar records: What it has told: names, addresses, or for mail exchange hosts
        a number and a name.
    @ivar seconds: How long it took.
    @ivar isSecure: Whether the server says that DNSSEC vouches for it (RFC 4035
        3.2.3).
    """

    code: int
    records: Sequence[str]
    seconds: float
    isSecure: bool = False

    @property
    def trouble(self) -> str:
        """
        What went wrong, in words, or nothing.
        """
        if not self.code:
            return ""
        return _CODES.get(self.code, f"code {self.code}")


#: Asks a server: gives it bytes, and those that came back within a time.
Exchange = Callable[[Server, bytes, float], bytes]


def systemServers(path: str = RESOLVER_FILE) -> list[Server]:
    """
    Give the servers that the system asks.

    @raise OSError: When it does not say.
    """
    with open(path, encoding="utf-8", errors="replace") as file:
        lines = [line.split() for line in file.read(MAX_FILE).splitlines()]
    found = [words[1] for words in lines if words[:1] == ["nameserver"] and words[1:]]
    return [(address, 53) for address in found[:MAX_SERVERS]]


def exchange(server: Server, question: bytes, wait: float) -> bytes:
    """
    Ask a server over UDP.

    @raise OSError: When nothing comes back.
    """
    isIPv6 = ":" in server[0]
    family = socket.AF_INET6 if isIPv6 else socket.AF_INET
    end = time.monotonic() + wait
    with socket.socket(family, socket.SOCK_DGRAM) as asking:
        asking.connect(server)
        asking.send(question)
        while True:
            asking.settimeout(max(0.001, end - time.monotonic()))
            answer = asking.recv(MAX_ANSWER)
            if answer[:2] == question[:2]:
                return answer


class Asker:
    """
    Asks one name server.

    @ivar server: Which.
    """

    def __init__(
        self,
        server: Server,
        exchange: Exchange = exchange,
        clock: Callable[[], float] = time.monotonic,
        number: Callable[[int], int] = randbits,
    ) -> None:
        """
        @param server: Its address and port.
        @param exchange: Asks it.
        @param clock: Tells how long something takes, in seconds.
        @param number: Gives a number of so many bits, by chance.
        """
        self.server = server
        self._exchange = exchange
        self._clock = clock
        self._number = number

    def ask(self, name: str, kind: Kind) -> Told:
        """
        Ask for something.

        @raise NoAnswer: When nothing came back, or what cannot be read.
        """
        begun = self._clock()
        data = self._answer(makeQuestion(self._number(16), name, kind))
        try:
            code, records = readAnswer(data, kind)
        except (ValueError, IndexError) as e:
            raise NoAnswer(f"{self} gave an answer that cannot be read: {e}") from e
        return Told(code, records, self._clock() - begun, bool(data[3] & 0x20))

    def addresses(self, name: str) -> list[str]:
        """
        Give the network addresses of a name.

        @raise NoAnswer: As L{ask} does.
        """
        return [
            address
            for kind in (Kind.A, Kind.AAAA)
            for address in self.ask(name, kind).records
        ]

    def names(self, address: str) -> list[str]:
        """
        Give the names of a network address.

        @raise NoAnswer: As L{ask} does.
        """
        return list(self.ask(ip_address(address).reverse_pointer, Kind.PTR).records)

    def hosts(self, domain: str) -> list[str]:
        """
        Give the mail exchange hosts of a domain, the best first.

        @raise NoAnswer: As L{ask} does.
        """
        found = [record.split(" ", 1) for record in self.ask(domain, Kind.MX).records]
        return [
            name for _, name in sorted(found, key=lambda each: int(each[0])) if name
        ]

    def __str__(self) -> str:
        host, port = self.server
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def _answer(self, question: bytes) -> bytes:
        why = ""
        for _ in range(TRIES):
            try:
                return self._exchange(self.server, question, WAIT)
            except TimeoutError:
                why = f"nothing came back within {WAIT * TRIES:g} seconds"
            except OSError as e:
                why = e.strerror or str(e)
        raise NoAnswer(f"asked {self}: {why}")


def makeQuestion(number: int, name: str, kind: Kind) -> bytes:
    """
    Write a question (RFC 1035 4.1), with recursion, with AD so that the answer has it
    (RFC 6840 5.7), and with room for a long answer (RFC 6891 6.1.2).
    """
    labels = name.rstrip(".").encode("idna" if not name.isascii() else "ascii")
    parts = labels.split(b".") if labels else ()
    packed = b"".join(bytes((len(each),)) + each for each in parts)
    header = b"".join(each.to_bytes(2, "big") for each in (number, 0x120, 1, 0, 0, 1))
    room = b"\0" + b"".join(x.to_bytes(2, "big") for x in (41, MAX_ANSWER, 0, 0, 0))
    return header + packed + b"\0" + kind.to_bytes(2, "big") + b"\0\1" + room


def readAnswer(data: bytes, kind: Kind) -> tuple[int, list[str]]:
    """
    Read an answer.

    @return: Its code, and those of its records that are of this kind.

    @raise ValueError: When it is none.
    @raise IndexError: When it is cut short.
    """
    if len(data) < 12 or not data[2] & 0x80:
        raise ValueError("it is no answer")
    questions, answers = _number(data, 4), _number(data, 6)
    if questions > 1 or answers > MAX_RECORDS:
        raise ValueError("there is too much in it")
    at = 12
    for _ in range(questions):
        at = _readName(data, at)[1] + 4
    found = []
    for _ in range(answers):
        at = _readName(data, at)[1]
        length = _number(data, at + 8)
        if _number(data, at) == kind:
            found.append(_readRecord(data, at + 10, length, kind))
        at += 10 + length
    return data[3] & 0x0F, found


def _readRecord(data: bytes, at: int, length: int, kind: Kind) -> str:
    if kind is Kind.A:
        return str(IPv4Address(data[at : at + length]))
    if kind is Kind.AAAA:
        return str(IPv6Address(data[at : at + length]))
    if kind is Kind.MX:
        return f"{_number(data, at)} {_readName(data, at + 2)[0]}"
    return _readName(data, at)[0]


def _readName(data: bytes, at: int) -> tuple[str, int]:
    """
    Read a name, which may go on elsewhere (RFC 1035 4.1.4).

    @return: It, and where what follows begins.
    """
    labels, after = [], 0
    for _ in range(MAX_STEPS):
        length = data[at]
        if length >= 0xC0:
            after = after or at + 2
            at = _number(data, at) & 0x3FFF
        elif length:
            label = data[at + 1 : at + 1 + length]
            labels.append(label.decode("ascii", "backslashreplace"))
            at += 1 + length
        else:
            return ".".join(labels), after or at + 1
    raise ValueError("a name in it does not end")


def _number(data: bytes, at: int) -> int:
    if at + 2 > len(data):
        raise IndexError("it is cut short")
    return int.from_bytes(data[at : at + 2], "big")
