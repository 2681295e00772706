# -*- test-case-name: relaymail.test.dialogue.sasl.test_serving -*-
"""
The server's side of SCRAM (RFC 5802, RFC 7677).
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Mapping
from enum import Enum

from relaymail.dialogue.sasl.errors import Denied, MalformedResponse
from relaymail.dialogue.sasl.scram import (
    ScramKind,
    Verifier,
    attribute,
    decoded,
    plainName,
    xored,
)
from relaymail.dialogue.sasl.serving import ServerMechanism
from relaymail.dialogue.sasl.steps import Asks, Checks, Ends, ScramClaim, Step

#: The longest nonce of a client's, in octets: usual are 24.
_MAX_NONCE = 256

_HEADER = re.compile(rb"(?:n|y|p=([A-Za-z0-9.-]+)),(?:a=([^,]+))?,")
_NONCE = re.compile(rb"[!-+\--~]+\Z")


class _State(Enum):
    """
    What the client says next.
    """

    FIRST = "who it is"
    FINAL = "its proof"
    END = "nothing"
    REFUSED = "that it knows that it is refused"


class SCRAMServer(ServerMechanism):
    """
    A server that lets clients authenticate by SCRAM.
    """

    def __init__(
        self,
        kind: ScramKind,
        nonce: bytes,
        bindings: Mapping[str, bytes],
        *,
        isBound: bool,
    ) -> None:
        """
        @param kind: The hash function.
        @param nonce: What nobody can guess, printable and without commas, another
            one for each exchange.
        @param bindings: The channel bindings of the connection, by their names.
        @param isBound: Whether the client has chosen the mechanism that uses one of
            them.
        """
        self._kind = kind
        self._nonce = nonce
        self._bindings = bindings
        self._isBound = isBound
        self._state = _State.FIRST
        self._header = self._binding = self._first = b""
        self._verifier: Verifier | None = None

    def judged(self, answer: object) -> Step:
        """
        Take the verifier of the client's password.
        """
        if not isinstance(answer, Verifier):
            raise Denied("no such user")
        self._verifier, self._state = answer, _State.FINAL
        self._challenge = b"r=%s,s=%s,i=%d" % (
            self._nonce,
            base64.b64encode(answer.salt),
            answer.iterations,
        )
        return Asks(self._challenge)

    def _respond(self, response: bytes | None) -> Step:
        if response is None and self._state is _State.FIRST:
            return Asks(b"")
        said = response or b""
        match self._state:
            case _State.FIRST:
                return self._begun(said)
            case _State.FINAL:
                return self._proved(said)
            case _State.END if not said:
                return Ends(self._user)
            case _State.END:
                raise MalformedResponse("a response where none belongs")
            case _State.REFUSED:
                raise Denied("a wrong proof, or no such user")

    def _begun(self, message: bytes) -> Step:
        found = _HEADER.match(message)
        if found is None:
            raise MalformedResponse("not of the form of RFC 5802 7")
        self._header, self._first = found[0], message[found.end() :]
        parts = self._first.split(b",")
        if len(parts) < 2:
            raise MalformedResponse("attributes are missing")
        name, nonce = attribute(parts[0], b"n"), attribute(parts[1], b"r")
        if not _NONCE.match(nonce) or len(nonce) > _MAX_NONCE:
            raise MalformedResponse("a nonce that is none")
        user = self._named(plainName(name).encode("utf-8"))
        if found[2] and plainName(found[2]) != user:
            raise Denied("nobody acts as somebody else here")
        self._nonce = nonce + self._nonce
        wrong = self._wrongBinding(found[1])
        if wrong:
            self._state = _State.REFUSED
            return Asks(b"e=" + wrong)
        return Checks(ScramClaim(user, self._kind))

    def _wrongBinding(self, name: bytes | None) -> bytes:
        """
        Tell what is wrong with what the client says of channel bindings (RFC 5802 6),
        nothing where it is right.
        """
        if (name is not None) is not self._isBound:
            raise MalformedResponse("a channel binding, or none, where that is wrong")
        if name is not None:
            binding = self._bindings.get(name.decode("ascii"))
            if not binding:
                return b"unsupported-channel-binding-type"
            self._binding = binding
        elif self._header.startswith(b"y") and self._bindings:
            # It was not told what we offer: somebody is in between.
            return b"server-does-support-channel-binding"
        return b""

    def _proved(self, message: bytes) -> Step:
        self._state = _State.REFUSED
        verifier = self._verifier
        assert verifier is not None
        without, comma, last = message.rpartition(b",")
        parts = without.split(b",")
        if not comma or len(parts) < 2:
            raise MalformedResponse("attributes are missing")
        bound = decoded(attribute(parts[0], b"c"))
        nonce, proof = attribute(parts[1], b"r"), decoded(attribute(last, b"p"))
        said = b",".join((self._first, self._challenge, without))
        signature = self._kind.sign(verifier.storedKey, said)
        if len(proof) != len(signature):
            raise MalformedResponse("a proof that is none")
        storedKey = self._kind.digest(xored(proof, signature))
        right = (
            hmac.compare_digest(bound, self._header + self._binding),
            hmac.compare_digest(nonce, self._nonce),
            hmac.compare_digest(storedKey, verifier.storedKey),
        )
        if not all(right):
            raise Denied("a wrong proof, or no such user")
        self._state = _State.END
        signature = self._kind.sign(verifier.serverKey, said)
        return Asks(b"v=" + base64.b64encode(signature), isProven=True)
