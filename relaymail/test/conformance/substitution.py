# -*- test-case-name: relaymail.test.test_conformance -*-
"""
Puts relaymail's modules in the place of Twisted's.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

#: The modules that are replaced as a whole.
WHOLE = ("relaymanager", "relay", "bounce")

#: The names of C{twisted.mail.smtp} that are replaced.  The module is not
#: replaced as a whole, so that its exceptions, its address types and its
#: server stay the same objects for everybody.
CLIENT_NAMES = (
    "SMTPClient",
    "ESMTPClient",
    "SenderMixin",
    "SMTPSender",
    "SMTPSenderFactory",
    "ESMTPSender",
    "ESMTPSenderFactory",
    "sendmail",
    "quoteaddr",
)

#: What is loaded first, so that everything that holds one of the replaced
#: modules in a global is found.
_HOLDERS = ("mail", "protocols", "tap", "alias", "maildir", "smtp", *WHOLE)


def substitute() -> None:
    """
    Replace the modules, before any of C{twisted.mail.test} is imported.
    """
    for name in _HOLDERS:
        importlib.import_module(f"twisted.mail.{name}")
    # All of ours first: they may import Twisted's own.
    ours = {name: importlib.import_module(f"relaymail.{name}") for name in WHOLE}
    client = importlib.import_module("relaymail.smtp")
    for name, module in ours.items():
        _replaceModule(name, module)
    theirs = sys.modules["twisted.mail.smtp"]
    for name in CLIENT_NAMES:
        if hasattr(client, name):
            setattr(theirs, name, getattr(client, name))


def _replaceModule(name: str, ours: ModuleType) -> None:
    package = sys.modules["twisted.mail"]
    theirs = sys.modules[f"twisted.mail.{name}"]
    sys.modules[f"twisted.mail.{name}"] = ours
    setattr(package, name, ours)
    for path, holder in list(sys.modules.items()):
        if path.startswith("twisted.mail.") and holder is not ours:
            _rebind(holder, theirs, ours)


def _rebind(holder: ModuleType, theirs: ModuleType, ours: ModuleType) -> None:
    for key, value in list(vars(holder).items()):
        if value is theirs:
            setattr(holder, key, ours)
