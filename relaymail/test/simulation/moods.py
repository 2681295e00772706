# -*- test-case-name: relaymail.test.simulation.test_worlds -*-
"""
The moods of hosts in random worlds.
"""

from __future__ import annotations

from typing import Any

from relaymail.testing.servers import Act, Late

#: What a host does when it is not well; none of it is for ever.
MOODS: tuple[dict[str, Any], ...] = (
    {"CONNECT": "421 4.3.2 Not now"},
    {"CONNECT": "450 4.3.2 Not now"},
    {"CONNECT": Act.CLOSE},
    {"CONNECT": Act.RESET},
    {"CONNECT": Act.SILENCE},
    {"CONNECT": "Hello there"},
    {"CONNECT": Late(200, "220 slow.example ESMTP")},
    {"EHLO": "421 4.3.2 Not now"},
    {"EHLO": Act.RESET},
    {"EHLO": "500 5.5.1 What?"},
    {"EHLO": "250-this never\n260 ends"},
    {"MAIL": "451 4.3.0 Later"},
    {"MAIL": "421 4.3.0 Later"},
    {"MAIL": Act.CLOSE},
    {"MAIL": ["250 2.1.0 Ok", "452 4.3.1 Full"]},
    {"RCPT": "450 4.2.1 Later"},
    {"RCPT": ["250 2.1.5 Ok", "452 4.5.3 Too many"]},
    {"RCPT": ["250 2.1.5 Ok", "552 5.5.3 Too many"]},
    {"RCPT": ["250 2.1.5 Ok", Act.RESET]},
    {"RCPT": "354 Go on"},
    {"DATA": "451 4.3.0 Later"},
    {"DATA": "250 2.0.0 Ok"},
    {"DATA": Act.SILENCE},
    {".": "451 4.3.0 Later"},
    {".": "421 4.3.0 Later"},
    {".": "354 Go on"},
    {".": Act.CLOSE},
    {".": Act.RESET},
    {".": Act.SILENCE},
    {".": ["250 2.0.0 Ok", "452 4.3.1 Full"]},
    {".": Late(400, "250 2.0.0 Ok")},
    {".": Late(700, "250 2.0.0 Ok")},
    {"QUIT": Act.RESET},
    {"QUIT": Act.SILENCE},
    {"RSET": "421 4.3.0 Enough"},
)
#: One that can only be told from a host that is fast where the early answer
#: comes in one segment with the one before it.
EARLY = {"DATA": "354 Go on\n250 2.0.0 Too early", ".": "451 4.3.0 Later"}
