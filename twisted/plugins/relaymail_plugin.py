# -*- test-case-name: relaymail.test.test_tap -*-
"""
Makes C{twistd relaymail} known to C{twistd}.
"""

from __future__ import annotations

from twisted.application.service import ServiceMaker

relaymail = ServiceMaker(
    "relaymail",
    "relaymail.tap",
    "A mail relay: takes mail by SMTP, queues it, and delivers it.",
    "relaymail",
)
