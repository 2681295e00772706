# -*- test-case-name: relaymail.test.dialogue.sasl.test_passwords -*-
"""
SASL mechanisms (RFC 4422), both sides, pure: chance, keys and verdicts come in as
arguments.

A client's mechanism has C{getName} and C{challengeResponse}, which is what
C{ESMTPClient.registerAuthenticator} takes; those that are
L{InitialAuthenticator}s know more.  Which of them are tried, and in which order, is
said in L{relaymail.dialogue.sasl.choosing}; the server's are in
L{relaymail.dialogue.sasl.serving}.
"""

from __future__ import annotations

from relaymail.dialogue.sasl.bearer import (
    OAUTHBEARERAuthenticator,
    XOAUTH2Authenticator,
)
from relaymail.dialogue.sasl.errors import SASLError
from relaymail.dialogue.sasl.initial import InitialAuthenticator
from relaymail.dialogue.sasl.passwords import (
    CramMD5ClientAuthenticator,
    LOGINAuthenticator,
    PLAINAuthenticator,
)
from relaymail.dialogue.sasl.scramclient import SCRAMAuthenticator

__all__ = [
    "CramMD5ClientAuthenticator",
    "InitialAuthenticator",
    "LOGINAuthenticator",
    "OAUTHBEARERAuthenticator",
    "PLAINAuthenticator",
    "SASLError",
    "SCRAMAuthenticator",
    "XOAUTH2Authenticator",
]
