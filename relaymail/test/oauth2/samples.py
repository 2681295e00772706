# -*- test-case-name: relaymail.test.oauth2.test_requests -*-
"""
Accounts for the tests of tokens.
"""

from __future__ import annotations

from relaymail.oauth2.requests import Secrets
from relaymail.route.oauth2accounts import Flow, OAuth2
from relaymail.route.passwords import PasswordKind, PasswordSource

USER = "relay@example.com"
URL = "https://login.example/token"
SECRETS = Secrets(b"client-secret", b"refresh-0")

SERVICE = OAuth2(
    URL,
    Flow.CLIENT_CREDENTIALS,
    "client-1",
    PasswordSource(PasswordKind.FILE, "/etc/relaymail/secret"),
    scope="https://mail.example/.default",
)
CONSENTED = OAuth2(
    URL,
    Flow.REFRESH_TOKEN,
    "client-1",
    PasswordSource(PasswordKind.FILE, "/etc/relaymail/secret"),
    PasswordSource(PasswordKind.FILE, "/etc/relaymail/refresh"),
    "mail offline",
)
