# -*- test-case-name: relaymail.test.route.test_levels -*-
"""
How well mail is to be protected on its way to the hosts of a destination.
"""

from __future__ import annotations

from enum import Enum

from relaymail.errors import ConfigurationError
from relaymail.replies import printable


class TLSLevel(Enum):
    """
    What an operator wants of the sessions with a destination.  The value is how it is
    written.
    """

    #: Mail goes in clear.
    NONE = "none"
    #: TLS where the host offers it, nobody looked at (RFC 7435), unless the
    #: destination itself wants more (MTA-STS, RFC 8461).
    OPPORTUNISTIC = "opportunistic"
    #: Over TLS or not at all; nobody looked at, unless the destination wants more.
    ENCRYPT = "encrypt"
    #: To hosts that are known for certain, with a certificate that is valid for their
    #: names, or not at all.
    VERIFY = "verify"
    #: As TLSA records say where there are some (RFC 7672), else as C{OPPORTUNISTIC}.
    DANE = "dane"
    #: As TLSA records say, or not at all.
    DANE_ONLY = "dane-only"


_LEVELS = {level.value: level for level in TLSLevel}


def parseLevel(text: str) -> TLSLevel:
    """
    Read a level as it is written.

    @raise ConfigurationError: When it is none.
    """
    found = _LEVELS.get(text.strip().lower())
    if found is None:
        raise ConfigurationError(
            f"{printable(text, 40)!r} is no level of TLS: write one of "
            f"{', '.join(_LEVELS)}"
        )
    return found
