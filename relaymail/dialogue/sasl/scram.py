# -*- test-case-name: relaymail.test.dialogue.sasl.test_scramclient -*-
"""
What both sides of SCRAM (RFC 5802, RFC 7677) have in common: keys, channel bindings
and attributes of messages.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from functools import lru_cache

#: The fewest iterations that are used (RFC 7677 4).
MIN_ITERATIONS = 4096
#: The most: beyond what anybody advises (600 000), and done in half a second.
MAX_ITERATIONS = 1_000_000
#: The longest salt, in octets: usual are 16.
MAX_SALT = 256
#: For how many passwords and salts the keys are remembered: a client has the same
#: few for all its sessions, and to make them anew takes long on purpose.
_REMEMBERED = 64

_NUMBER = re.compile(rb"[1-9][0-9]{0,8}\Z")


@dataclass(frozen=True, slots=True)
class ScramKind:
    """
    A hash function to use SCRAM with.

    @ivar name: The mechanism's name without channel binding.
    @ivar hashName: What L{hashlib} calls the function.
    """

    name: bytes
    hashName: str

    @property
    def plus(self) -> bytes:
        """
        The mechanism's name with channel binding.
        """
        return self.name + b"-PLUS"

    def digest(self, data: bytes) -> bytes:
        """
        Give the hash of some octets.
        """
        return hashlib.new(self.hashName, data).digest()

    def sign(self, key: bytes, data: bytes) -> bytes:
        """
        Give the keyed hash of some octets.
        """
        return hmac.digest(key, data, self.hashName)


#: RFC 7677.
SHA256 = ScramKind(b"SCRAM-SHA-256", "sha256")
#: RFC 5802.
SHA1 = ScramKind(b"SCRAM-SHA-1", "sha1")


@dataclass(frozen=True, slots=True)
class Channel:
    """
    What a client says of channel bindings (RFC 5802 6).

    @ivar flag: C{b"n"}: it does not use them; C{b"y"}: it could, but the server does
        not say that it can; C{b"p=NAME"}: it uses those.
    @ivar data: The bindings themselves, in the last case.
    """

    flag: bytes = b"n"
    data: bytes = field(default=b"", repr=False)

    @classmethod
    def bound(cls, name: str, data: bytes) -> Channel:
        """
        Give what is said by a client that uses channel bindings.

        @param name: What they are called (RFC 5056 7).
        """
        return cls(b"p=" + name.encode("ascii"), data)


#: The client does not use channel bindings.
UNBOUND = Channel()
#: It could, but thinks that the server cannot.
NOT_OFFERED = Channel(b"y")


@dataclass(frozen=True, slots=True)
class Verifier:
    """
    What a server keeps of a password (RFC 5802 3).

    @ivar salt: What makes equal passwords differ.
    @ivar iterations: How often it was hashed.
    @ivar storedKey: What the client's proof is checked with.
    @ivar serverKey: What the server shows itself with.
    """

    salt: bytes
    iterations: int
    storedKey: bytes = field(repr=False)
    serverKey: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Keys:
    """
    What a client makes of a password (RFC 5802 3).

    @ivar clientKey: What it proves itself with.
    @ivar storedKey: The hash of that.
    @ivar serverKey: What the server shows itself with.
    """

    clientKey: bytes = field(repr=False)
    storedKey: bytes = field(repr=False)
    serverKey: bytes = field(repr=False)


def keysOf(kind: ScramKind, password: bytes, salt: bytes, iterations: int) -> Keys:
    """
    Make the keys of a password.  It takes long on purpose: milliseconds to half a
    second.

    @param password: It, L{prepared
        <relaymail.dialogue.sasl.preparing.prepared>}.
    """
    salted = hashlib.pbkdf2_hmac(kind.hashName, password, salt, iterations)
    clientKey = kind.sign(salted, b"Client Key")
    return Keys(clientKey, kind.digest(clientKey), kind.sign(salted, b"Server Key"))


#: The same, for those who come again and again.
rememberedKeys = lru_cache(maxsize=_REMEMBERED)(keysOf)


def verifierOf(
    kind: ScramKind, password: bytes, salt: bytes, iterations: int
) -> Verifier:
    """
    Give what is kept of a password.  It takes long on purpose.

    @param password: It, L{prepared
        <relaymail.dialogue.sasl.preparing.prepared>}.
    """
    keys = keysOf(kind, password, salt, iterations)
    return Verifier(salt, iterations, keys.storedKey, keys.serverKey)


def matches(verifier: Verifier, kind: ScramKind, password: bytes) -> bool:
    """
    Tell whether this is the password.  It takes long on purpose, and equally long
    for right ones and wrong ones.

    @param password: What is said to be it, L{prepared
        <relaymail.dialogue.sasl.preparing.prepared>}.
    """
    made = keysOf(kind, password, verifier.salt, verifier.iterations)
    return hmac.compare_digest(made.storedKey, verifier.storedKey)


def xored(one: bytes, other: bytes) -> bytes:
    """
    Give the exclusive or of two strings of the same length.
    """
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def escapedName(name: bytes) -> bytes:
    """
    Write a name as an attribute's value (RFC 5802 5.1, C{saslname}).
    """
    return name.replace(b"=", b"=3D").replace(b",", b"=2C")


def plainName(value: bytes) -> str:
    """
    Read a name from an attribute's value.

    @raise ValueError: When it is none.
    """
    if b"=" in value.replace(b"=2C", b"").replace(b"=3D", b""):
        raise ValueError("not a name (RFC 5802 5.1)")
    return value.replace(b"=2C", b",").replace(b"=3D", b"=").decode("utf-8")


def attribute(part: bytes, letter: bytes) -> bytes:
    """
    Read the value of an attribute (RFC 5802 5.1).

    @param part: What stands between two commas.
    @param letter: What the attribute is called.

    @raise ValueError: When it is another one.
    """
    if not part.startswith(letter + b"="):
        raise ValueError(f"no attribute {letter.decode('ascii')} where one belongs")
    return part[2:]


def decoded(value: bytes) -> bytes:
    """
    Decode base64, strictly.

    @raise ValueError: When it is none.
    """
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error:
        raise ValueError("not base64") from None


def iterationsIn(value: bytes) -> int:
    """
    Read how often a password is hashed.

    @raise ValueError: When that is no number, or it is too few times, or too many.
    """
    count = int(value) if _NUMBER.match(value) else 0
    if not MIN_ITERATIONS <= count <= MAX_ITERATIONS:
        raise ValueError(
            f"an iteration count that is not from {MIN_ITERATIONS} to {MAX_ITERATIONS}"
        )
    return count
