# -*- test-case-name: relaymail.test.intake.test_users -*-
"""
The file of those who may send mail through the relay, and of what is kept of their
passwords.

One user is one line::

    NAME:SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY
    NAME:CLEAR$PASSWORD

The first is printed by C{relaymail auth hash}; who reads the file cannot log in with
it.  The second is for clients that know no better than CRAM-MD5.  Empty lines, and
those that begin with a C{#}, say nothing.
"""

from __future__ import annotations

import base64
import hmac
import os
import secrets
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from twisted.logger import Logger

from relaymail.dialogue.sasl.errors import UnusableSecret
from relaymail.dialogue.sasl.preparing import prepared, saslprep
from relaymail.dialogue.sasl.scram import (
    MAX_SALT,
    SHA256,
    Verifier,
    decoded,
    iterationsIn,
    verifierOf,
)
from relaymail.dialogue.sasl.serving import MAX_NAME, MAX_PASSWORD
from relaymail.errors import ConfigurationError

#: The largest file, in octets: 50 000 users, read in half a second.
MAX_SIZE = 8_000_000
#: How often a password is hashed: a twentieth of a second for who knows it, and for
#: each guess of who has stolen the file.
DEFAULT_ITERATIONS = 100_000
#: What is hashed for whoever is not there, to take the time.
_NOBODYS = b"nobody"
#: Octets of salt.
SALT_BYTES = 16
#: Whoever else may write such a file lets himself in.
_WRITABLE = 0o022
#: Whoever else may read such a file knows the passwords in clear; a group may be
#: there just for the relay.
_READABLE = 0o007


@dataclass(frozen=True, slots=True)
class Clear:
    """
    A password that is kept as it is.

    @ivar password: It, prepared.
    """

    password: bytes = field(repr=False)


Entry = Verifier | Clear


def lineFor(
    user: str,
    password: bytes,
    *,
    isClear: bool = False,
    salt: bytes | None = None,
    iterations: int = DEFAULT_ITERATIONS,
) -> str:
    """
    Give the line for a user.  It takes long on purpose, unless C{isClear}.

    @param user: The name.
    @param password: The password, UTF-8.
    @param isClear: Whether the password is kept as it is.
    @param salt: What makes equal passwords differ; L{None} for chance.
    @param iterations: How often it is hashed.

    @raise ConfigurationError: When the name or the password cannot be one.
    """
    name = _nameIn(user)
    try:
        secret = prepared(password, isStored=True)
    except UnusableSecret as e:
        raise ConfigurationError(f"the password cannot be used: {e}") from None
    if len(secret) > MAX_PASSWORD:
        raise ConfigurationError("the password cannot be used: it is too long")
    if isClear:
        return f"{name}:CLEAR${secret.decode('utf-8')}"
    salt = secrets.token_bytes(SALT_BYTES) if salt is None else salt
    made = verifierOf(SHA256, secret, salt, iterations)
    return (
        f"{name}:SCRAM-SHA-256${iterations}:{_encoded(made.salt)}"
        f"${_encoded(made.storedKey)}:{_encoded(made.serverKey)}"
    )


def parseUsers(text: bytes) -> dict[str, Entry]:
    """
    Read the file's content.

    @raise ConfigurationError: With the number of the line that is wrong, and no more
        of it than its name.
    """
    users: dict[str, Entry] = {}
    for number, line in _lines(text):
        name, colon, kept = line.partition(":")
        try:
            if not colon:
                raise ConfigurationError("there is no colon behind the name")
            user = _nameIn(name)
            if user in users:
                raise ConfigurationError(f"{user!r} was there before")
            users[user] = _entryIn(kept)
        except ConfigurationError as e:
            raise ConfigurationError(f"line {number}: {e}") from None
    return users


class UsersFile:
    """
    The users of a file, which is read again when it has changed.

    What it says of names that are not there looks like what it says of others: who
    guesses does not learn which there are.

    @ivar path: The file.
    """

    log = Logger()

    def __init__(self, path: str) -> None:
        """
        @raise ConfigurationError: When the file cannot be read, or others can change
            it, or a line is wrong.
        """
        self.path = path
        # Whoever guesses does not know this: what is made of it is like chance, but
        # the same each time.
        self._key = secrets.token_bytes(32)
        self._seen: tuple[int, ...] = ()
        self._users: dict[str, Entry] = {}
        self._hasClear = False
        self._iterations = DEFAULT_ITERATIONS
        self._read()

    @property
    def hasClear(self) -> bool:
        """
        Whether there is a user whose password is kept as it is.
        """
        self._look()
        return self._hasClear

    def password(self, user: str) -> bytes | None:
        """
        Give a password that is kept as it is; L{None} where there is none.
        """
        self._look()
        entry = self._users.get(user)
        return entry.password if isinstance(entry, Clear) else None

    def mark(self, user: str) -> bytes | None:
        """
        Give what differs once a user's password has changed; L{None} where there is
        no such user.
        """
        self._look()
        entry = self._users.get(user)
        if entry is None:
            return None
        return entry.password if isinstance(entry, Clear) else entry.storedKey

    def verifier(self, user: str) -> Verifier:
        """
        Give what is kept of a user's password; of one that is not there, what no
        password fits.

        Where there are passwords that are kept as they are it takes long, equally
        long for every name: see C{hasClear}.
        """
        self._look()
        entry = self._users.get(user)
        salt = self._chance(b"salt", user)[:SALT_BYTES]
        password = entry.password if isinstance(entry, Clear) else _NOBODYS
        if self._hasClear:
            made = verifierOf(SHA256, password, salt, self._iterations)
            if isinstance(entry, Clear):
                return made
        if isinstance(entry, Verifier):
            return entry
        stored, server = self._chance(b"stored", user), self._chance(b"server", user)
        return Verifier(salt, self._iterations, stored, server)

    def _chance(self, what: bytes, user: str) -> bytes:
        said = what + b"\0" + user.encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, said, "sha256")

    def _look(self) -> None:
        """
        Read the file again, if it has changed.
        """
        try:
            seen = _identity(os.stat(self.path))
        except OSError:
            seen = ()
        if seen != self._seen:
            self._readAgain(seen)

    def _readAgain(self, seen: tuple[int, ...]) -> None:
        try:
            self._read()
        except ConfigurationError as e:
            # Till it changes again it is as it was.
            self._seen = seen
            self.log.error("{error}; the users stay as they were.", error=str(e))
        else:
            self.log.info("The users were read again from {path}.", path=self.path)

    def _read(self) -> None:
        try:
            seen, users = _readFile(self.path)
        except ConfigurationError as e:
            raise ConfigurationError(
                f"the users file {self.path!r} cannot be used: {e}"
            ) from None
        self._seen, self._users = seen, users
        self._hasClear = any(isinstance(entry, Clear) for entry in users.values())
        counted = Counter(
            entry.iterations for entry in users.values() if isinstance(entry, Verifier)
        )
        # Who is not there is like most of those who are.
        [(self._iterations, _)] = counted.most_common(1) or [(DEFAULT_ITERATIONS, 0)]


def _readFile(path: str) -> tuple[tuple[int, ...], dict[str, Entry]]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise ConfigurationError("it is no file")
            text = file.read(MAX_SIZE + 1)
    except OSError as e:
        raise ConfigurationError(e.strerror or type(e).__name__) from None
    if len(text) > MAX_SIZE:
        raise ConfigurationError(f"it is larger than {MAX_SIZE} octets")
    mode = stat.S_IMODE(status.st_mode)
    if mode & _WRITABLE:
        raise ConfigurationError(
            f"others can write it (mode {mode:04o}): say chmod go-w"
        )
    users = parseUsers(text)
    isClear = any(isinstance(entry, Clear) for entry in users.values())
    if isClear and mode & _READABLE:
        raise ConfigurationError(
            f"there are passwords in clear in it, and everybody can read it (mode "
            f"{mode:04o}): say chmod o-rwx"
        )
    return _identity(status), users


def _identity(status: os.stat_result) -> tuple[int, ...]:
    """
    Give what differs when a file has changed.
    """
    return (
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_size,
        status.st_ino,
        status.st_mode,
    )


def _lines(text: bytes) -> Iterator[tuple[int, str]]:
    for number, octets in enumerate(text.split(b"\n"), 1):
        try:
            line = octets.removesuffix(b"\r").decode("utf-8")
        except UnicodeDecodeError:
            raise ConfigurationError(f"line {number}: it is no UTF-8") from None
        if line.strip() and not line.startswith("#"):
            yield number, line


def _nameIn(text: str) -> str:
    if any(each in text for each in ":\r\n\0") or text.startswith("#"):
        raise ConfigurationError(
            "a name has no colon, no line end, and no # at its begin"
        )
    try:
        name = saslprep(text, isStored=True)
    except UnusableSecret as e:
        raise ConfigurationError(f"the name cannot be used: {e}") from None
    if name != name.strip() or len(name.encode("utf-8")) > MAX_NAME:
        raise ConfigurationError("a name has no spaces around it, and is not long")
    return name


def _entryIn(kept: str) -> Entry:
    scheme, dollar, rest = kept.partition("$")
    if scheme == "CLEAR" and dollar:
        try:
            return Clear(prepared(rest.encode("utf-8"), isStored=True))
        except UnusableSecret as e:
            raise ConfigurationError(f"the password cannot be used: {e}") from None
    if scheme != "SCRAM-SHA-256" or not dollar:
        raise ConfigurationError(
            "behind the name there is neither SCRAM-SHA-256$ nor CLEAR$; relaymail "
            "auth hash prints such lines"
        )
    try:
        return _verifierIn(rest.strip())
    except ValueError as e:
        raise ConfigurationError(
            f"what is kept of the password cannot be read ({e}); relaymail auth hash "
            "prints such lines"
        ) from None


def _verifierIn(text: str) -> Verifier:
    salted, _, keys = text.partition("$")
    iterations, _, salt = salted.partition(":")
    stored, _, server = keys.partition(":")
    found = Verifier(
        _decoded(salt),
        iterationsIn(iterations.encode("utf-8")),
        _decoded(stored),
        _decoded(server),
    )
    if not 0 < len(found.salt) <= MAX_SALT:
        raise ValueError("a salt that is empty or too long")
    if not len(found.storedKey) == len(found.serverKey) == 32:
        raise ValueError("a key that is not of 32 octets")
    return found


def _encoded(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")


def _decoded(text: str) -> bytes:
    return decoded(text.encode("utf-8"))
