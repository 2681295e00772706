# -*- test-case-name: relaymail.test.bench.test_children -*-
"""
What keeps a measurement from being made.
"""

from __future__ import annotations

from relaymail.errors import RelayMailError


class BenchError(RelayMailError):
    """
    A measurement could not be made.  The message says what was tried, what was
    wrong and what to do; every process that was started has been ended.
    """
