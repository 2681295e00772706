# -*- test-case-name: relaymail.test.dialogue.sasl.test_serving -*-
"""
The server's side of the mechanisms, but for SCRAM: PLAIN (RFC 4616), LOGIN, CRAM-MD5
(RFC 2195) and OAUTHBEARER (RFC 7628).

Each is an exchange: C{respond} takes what the client says, L{None} where it has not
said anything, and C{judged} the verdict on a claim; both give a L{Step
<relaymail.dialogue.sasl.steps.Step>}, or raise L{MalformedResponse} or L{Denied}.
"""

from __future__ import annotations

import json
import re

from relaymail.dialogue.sasl.errors import Denied, MalformedResponse, UnusableSecret
from relaymail.dialogue.sasl.preparing import prepared, saslprep
from relaymail.dialogue.sasl.scram import plainName
from relaymail.dialogue.sasl.steps import (
    Asks,
    Checks,
    DigestClaim,
    Ends,
    PasswordClaim,
    Step,
    TokenClaim,
)

#: The longest response, in octets: what RFC 4954 4 allows for a line, decoded.
MAX_RESPONSE = 9216
#: The longest name, in octets; addresses have at most 254.
MAX_NAME = 320
#: The longest password, in octets: longer ones would be hashed first, for nothing.
MAX_PASSWORD = 1024

_HEADER = re.compile(rb"[ny],(?:a=([^,]*))?,\Z")
_AUTH = re.compile(rb"bearer +([!-~]+)\Z", re.IGNORECASE)


class ServerMechanism:
    """
    What the server's mechanisms have in common.
    """

    _user = ""

    def respond(self, response: bytes | None) -> Step:
        """
        Take what the client says.

        @raise MalformedResponse: When it is none of the mechanism's.
        @raise Denied: When the client may not be who it says it is.
        """
        if response is not None and len(response) > MAX_RESPONSE:
            raise MalformedResponse("a response without end")
        try:
            return self._respond(response)
        except (MalformedResponse, Denied):
            raise
        except UnusableSecret as e:
            raise Denied(str(e)) from None
        except UnicodeDecodeError:
            # Its text would have in it what was said.
            raise MalformedResponse("a name that is no UTF-8") from None
        except ValueError as e:
            raise MalformedResponse(str(e)) from None

    def judged(self, answer: object) -> Step:
        """
        Take the verdict on a claim.

        @param answer: What the claim is judged with.

        @raise Denied: When it is against it.
        """
        if not answer:
            raise Denied("a wrong secret, or no such user")
        return Ends(self._user)

    def _respond(self, response: bytes | None) -> Step:
        raise NotImplementedError

    def _named(self, name: bytes) -> str:
        """
        Note who the client says it is.
        """
        if len(name) > MAX_NAME:
            raise Denied("a name that is too long")
        self._user = saslprep(name.decode("utf-8"))
        return self._user


class PLAINServer(ServerMechanism):
    """
    PLAIN: who to act as, who it is, and the password, in one response.
    """

    def _respond(self, response: bytes | None) -> Step:
        if response is None:
            return Asks(b"")
        parts = response.split(b"\0")
        if len(parts) != 3:
            raise MalformedResponse("not two NULs (RFC 4616 2)")
        authorize, name, password = parts
        user = self._named(name)
        if authorize and saslprep(authorize.decode("utf-8")) != user:
            raise Denied("nobody acts as somebody else here")
        return Checks(PasswordClaim(user, _password(password)))


class LOGINServer(ServerMechanism):
    """
    LOGIN: who it is, then the password, each to a prompt.
    """

    def _respond(self, response: bytes | None) -> Step:
        if response is None:
            return Asks(b"Username:")
        if not self._user:
            self._named(response)
            return Asks(b"Password:")
        return Checks(PasswordClaim(self._user, _password(response)))


class CramMD5Server(ServerMechanism):
    """
    CRAM-MD5: who it is, and the keyed digest of a challenge.
    """

    def __init__(self, challenge: bytes) -> None:
        """
        @param challenge: What nobody can guess, another one each time, that looks
            like a message-id (RFC 2195 2).
        """
        self._challenge = challenge
        self._isAsked = False

    def _respond(self, response: bytes | None) -> Step:
        if response is None and not self._isAsked:
            self._isAsked = True
            return Asks(self._challenge)
        name, _, digest = (response or b"").rpartition(b" ")
        if not self._isAsked or not re.match(rb"[0-9a-f]{32}\Z", digest):
            raise MalformedResponse("not a name and a digest (RFC 2195 2)")
        return Checks(DigestClaim(self._named(name), self._challenge, digest))


class OAUTHBEARERServer(ServerMechanism):
    """
    OAUTHBEARER: a token.
    """

    #: What the client is told of a token that is not taken (RFC 7628 3.2.2).
    _REFUSAL = json.dumps({"status": "invalid_token"}).encode("ascii")

    _isRefused = False

    def judged(self, answer: object) -> Step:
        """
        Take the verdict on the token; of one that is not taken the client is told
        before the exchange ends.
        """
        if answer:
            return Ends(self._user)
        self._isRefused = True
        return Asks(self._REFUSAL)

    def _respond(self, response: bytes | None) -> Step:
        if self._isRefused:
            raise Denied("a token that is not taken")
        if response is None:
            return Asks(b"")
        header, *pairs = response.split(b"\x01")
        found = _HEADER.match(header)
        if found is None or len(pairs) < 3 or pairs[-2:] != [b"", b""]:
            raise MalformedResponse("not of the form of RFC 7628 3.1")
        said = dict(pair.partition(b"=")[::2] for pair in pairs[:-2])
        token = _AUTH.match(said.get(b"auth", b""))
        if token is None:
            raise MalformedResponse("no token (RFC 7628 3.1)")
        if found[1]:
            self._named(plainName(found[1]).encode("utf-8"))
        return Checks(TokenClaim(self._user, token[1]))


def _password(said: bytes) -> bytes:
    """
    Prepare a password; one that cannot be is left as it is: it may still be one
    that was never prepared.
    """
    if not said or len(said) > MAX_PASSWORD:
        raise Denied("an empty password, or one that is too long")
    try:
        return prepared(said)
    except UnusableSecret:
        return said
