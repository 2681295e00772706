# -*- test-case-name: relaymail.test.queue.test_pickles -*-
"""
Reading a pickled envelope without running anything.

The directory queue keeps C{[sender, recipient]} as Twisted's relay does, in a
pickle.  A pickle is a program; the few instructions that build plain lists,
tuples, strings and numbers are let through, whatever could name a class, call
something or fill the memory is not among them.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from typing import Any, ClassVar, NoReturn

from relaymail.errors import UnreadableEntry

#: The longest pickle that is looked at, in bytes: two paths of RFC 5321
#: 4.5.3.1.3 take under 1 KiB, and this is what an attacker may make us parse.
MAX_PICKLE = 64 * 1024

#: The longest number in an envelope, in bits; Python refuses to show much
#: longer ones.
MAX_BITS = 256

_PLAIN = (
    *(
        pickle.PROTO,
        pickle.FRAME,
        pickle.MARK,
        pickle.STOP,
        pickle.POP,
        pickle.POP_MARK,
    ),
    *(pickle.EMPTY_LIST, pickle.LIST, pickle.APPEND, pickle.APPENDS),
    *(pickle.EMPTY_TUPLE, pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3),
    *(pickle.STRING, pickle.BINSTRING, pickle.SHORT_BINSTRING),
    *(pickle.UNICODE, pickle.BINUNICODE, pickle.SHORT_BINUNICODE, pickle.BINUNICODE8),
    *(pickle.BINBYTES, pickle.SHORT_BINBYTES, pickle.BINBYTES8),
    *(
        pickle.INT,
        pickle.BININT,
        pickle.BININT1,
        pickle.BININT2,
        pickle.LONG,
        pickle.LONG1,
        pickle.LONG4,
    ),
    *(
        pickle.GET,
        pickle.BINGET,
        pickle.LONG_BINGET,
        pickle.PUT,
        pickle.BINPUT,
        pickle.LONG_BINPUT,
        pickle.MEMOIZE,
    ),
)

#: Read by Twisted's relay on every Python that has one.
_PROTOCOL = 2


def loadEnvelope(data: bytes) -> list[str | int]:
    """
    Read a pickled envelope, of any protocol and either Python.

    @param data: The pickle.

    @return: Its two elements; byte strings, which is what Python 2 wrote, as
        text.

    @raise UnreadableEntry: When it is too long, asks for more than plain
        values, is damaged, or holds something else than two of them.
    """
    if len(data) > MAX_PICKLE:
        raise UnreadableEntry(f"the envelope is longer than {MAX_PICKLE} bytes")
    try:
        found = _PlainUnpickler(io.BytesIO(data), encoding="bytes").load()
    except Exception as e:
        # The reader raises nearly anything on damaged input, and KeyError on an
        # instruction that is not in its table.
        raise UnreadableEntry(
            f"the envelope is not a whole pickle of plain values: {e!r}"
        ) from e
    if not isinstance(found, list | tuple) or len(found) != 2:
        raise UnreadableEntry("the envelope is not [sender, recipient]")
    return [_plainElement(element) for element in found]


def dumpEnvelope(envelope: Sequence[str | int]) -> bytes:
    """
    Write an envelope as Twisted's relay reads it.

    @param envelope: C{[sender, recipient]}.

    @return: The pickle.
    """
    return pickle.dumps(list(envelope), _PROTOCOL)


# The reader that is written in Python: it looks each instruction up in a table
# that can be cut down, and its memo is a dict, which no index makes huge.
_Reader: Any = pickle._Unpickler  # type: ignore[attr-defined]


class _PlainUnpickler(_Reader):  # type: ignore[misc]
    """
    A reader that has never heard of most instructions.
    """

    dispatch: ClassVar[dict[int, Any]] = {
        opcode[0]: _Reader.dispatch[opcode[0]] for opcode in _PLAIN
    }

    def find_class(self, module: str, name: str) -> NoReturn:
        # The second lock: no instruction that is left comes here.
        raise UnreadableEntry(f"the envelope names {module}.{name}, which is refused")

    def persistent_load(self, pid: object) -> NoReturn:
        raise UnreadableEntry("the envelope refers to something outside of it")


def _plainElement(element: object) -> str | int:
    if isinstance(element, str):
        return element
    if isinstance(element, int) and element.bit_length() <= MAX_BITS:
        return element
    if not isinstance(element, bytes):
        raise UnreadableEntry(f"the envelope holds a {type(element).__name__}")
    try:
        return element.decode("utf-8")
    except UnicodeDecodeError:
        return element.decode("latin-1")
