# -*- test-case-name: relaymail.test.dialogue.sasl.test_scramclient -*-
"""
The client's side of SCRAM (RFC 5802, RFC 7677): each end shows the other that it
knows the password, and neither says it.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable
from enum import Enum
from functools import partial

from relaymail.dialogue.sasl.errors import ServerNotProven
from relaymail.dialogue.sasl.initial import InitialAuthenticator
from relaymail.dialogue.sasl.preparing import prepared
from relaymail.dialogue.sasl.scram import (
    MAX_SALT,
    UNBOUND,
    Channel,
    ScramKind,
    attribute,
    decoded,
    escapedName,
    iterationsIn,
    rememberedKeys,
    xored,
)

#: The longest message of the server's, in octets: usual are 100.
_MAX_MESSAGE = 2048
#: Up to how many iterations a password is hashed at once: about ten milliseconds.
QUICK = 20_000
#: The errors by which the server tells that somebody changed what it offered, or
#: that what it sees of the connection is not what we see (RFC 5802 7).
_TAMPERED = (b"server-does-support-channel-binding", b"channel-bindings-dont-match")


class _State(Enum):
    """
    What the server says next.
    """

    SALT = "how the password is salted"
    SIGNATURE = "its signature"
    PROVEN = "that we are taken for who we say we are"
    REFUSED = "that we are not"


class SCRAMAuthenticator(InitialAuthenticator):
    """
    A client that authenticates by SCRAM.

    What the server says is checked: that it knows the password, that it answers this
    exchange, that the password is hashed often enough.  Where it is not so, the
    error is a L{ServerNotProven}.

    @ivar user: The identity, UTF-8.
    @ivar kind: The hash function.
    @ivar channel: What is said of channel bindings.
    """

    def __init__(
        self,
        user: bytes,
        kind: ScramKind,
        makeNonce: Callable[[], bytes],
        channel: Channel = UNBOUND,
    ) -> None:
        """
        @param makeNonce: Gives what nobody can guess, printable and without commas,
            another one each time.
        """
        self.user = user
        self.kind = kind
        self.channel = channel
        self._makeNonce = makeNonce
        self._state = _State.REFUSED
        self._nonce = self._first = self._signature = b""

    def getName(self) -> bytes:
        """
        Give the mechanism's name.
        """
        return self.kind.plus if self.channel.data else self.kind.name

    def initialResponse(self, secret: bytes) -> bytes:
        """
        Give the client's first message (RFC 5802 5).

        @raise UnusableSecret: When the identity or the password has characters that
            SASLprep does not allow.
        """
        prepared(secret)
        self._nonce = self._makeNonce()
        self._first = b"n=%s,r=%s" % (escapedName(prepared(self.user)), self._nonce)
        self._state = _State.SALT
        return self._header() + self._first

    def workFor(self, secret: bytes, challenge: bytes) -> Callable[[], object] | None:
        """
        Give what takes long of the answer to a challenge, to be done elsewhere before
        L{challengeResponse} is asked: the server says how long.

        @return: It, or L{None} where it takes next to no time, or is not to be done.
        """
        if self._state is not _State.SALT or len(challenge) > _MAX_MESSAGE:
            return None
        try:
            _, salt, iterations = self._salting(challenge)
        except ValueError:
            return None
        if iterations <= QUICK:
            return None
        return partial(rememberedKeys, self.kind, prepared(secret), salt, iterations)

    def challengeResponse(self, secret: bytes, challenge: bytes) -> bytes:
        """
        Answer the server's first message with a proof, its final one with nothing.

        @raise ServerNotProven: When what it says is not to be answered.
        """
        state, self._state = self._state, _State.REFUSED
        try:
            if len(challenge) > _MAX_MESSAGE:
                raise ValueError("a message without end")
            if state is _State.SALT:
                return self._proof(secret, challenge)
            if state is _State.SIGNATURE:
                self._checkFinal(challenge)
                return b""
        except ServerNotProven:
            raise
        except ValueError as e:
            raise ServerNotProven(f"the server said what cannot be used: {e}") from None
        raise ServerNotProven("the server said more than there is to say")

    def accepted(self, text: bytes) -> None:
        """
        Learn that the server takes us for who we say we are.  Its signature may come
        only now, which RFC 4954 does not say but some do.

        @raise ServerNotProven: When it has not shown that it knows the password.
        """
        if self._state is _State.SIGNATURE:
            for word in text.split()[:4]:
                try:
                    self._checkFinal(decoded(word))
                except ValueError:
                    continue
                break
        if self._state is not _State.PROVEN:
            raise ServerNotProven(
                "the server took the password without showing that it knows it"
            )

    def _header(self) -> bytes:
        return self.channel.flag + b",,"

    def _proof(self, secret: bytes, challenge: bytes) -> bytes:
        if challenge.startswith(b"e="):
            return self._refused(challenge)
        nonce, salt, iterations = self._salting(challenge)
        keys = rememberedKeys(self.kind, prepared(secret), salt, iterations)
        bound = base64.b64encode(self._header() + self.channel.data)
        final = b"c=%s,r=%s" % (bound, nonce)
        said = b",".join((self._first, challenge, final))
        proof = xored(keys.clientKey, self.kind.sign(keys.storedKey, said))
        self._signature = self.kind.sign(keys.serverKey, said)
        self._state = _State.SIGNATURE
        return final + b",p=" + base64.b64encode(proof)

    def _salting(self, challenge: bytes) -> tuple[bytes, bytes, int]:
        """
        Read the server's first message.

        @return: The nonce, the salt, and how often the password is hashed.

        @raise ValueError: When it cannot be used.
        """
        # Attributes behind the third are for extensions (RFC 5802 5.1).
        parts = challenge.split(b",")
        if len(parts) < 3:
            raise ValueError("attributes are missing")
        nonce, salt = attribute(parts[0], b"r"), decoded(attribute(parts[1], b"s"))
        if not nonce.startswith(self._nonce) or len(nonce) <= len(self._nonce):
            raise ValueError("a nonce that does not begin with ours")
        if not 0 < len(salt) <= MAX_SALT:
            raise ValueError("a salt that is empty or too long")
        return nonce, salt, iterationsIn(attribute(parts[2], b"i"))

    def _checkFinal(self, message: bytes) -> None:
        part = message.split(b",")[0]
        if part.startswith(b"e="):
            self._refused(message)
            return
        if not hmac.compare_digest(decoded(attribute(part, b"v")), self._signature):
            self._state = _State.REFUSED
            raise ServerNotProven("the server does not know the password")
        self._state = _State.PROVEN

    def _refused(self, message: bytes) -> bytes:
        """
        Take note of an error; the reply comes when we have said something.
        """
        self._state = _State.REFUSED
        if message[2:].split(b",")[0] in _TAMPERED:
            raise ServerNotProven(
                "somebody between us and the server changed what it said"
            )
        return b""
