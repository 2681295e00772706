# -*- test-case-name: relaymail.test.test_smtp -*-
"""
SMTP and ESMTP clients, and what sends one message with them.

A client (L{SMTPClient}, L{ESMTPClient}) is subclassed: it asks C{getMailFrom},
C{getMailTo} and C{getMailData} for messages until there are no more.  A sender
(L{SMTPSender}, L{ESMTPSender}) sends the message of its factory; L{sendmail}
does it in one call.
"""

from __future__ import annotations

from relaymail.deliver.esmtpclient import ESMTPClient
from relaymail.deliver.senders import (
    ESMTPSender,
    ESMTPSenderFactory,
    SenderMixin,
    SMTPSender,
    SMTPSenderFactory,
    sendmail,
)
from relaymail.deliver.session import SUCCESS
from relaymail.deliver.smtpclient import SMTPClient, quoteaddr
from relaymail.dialogue.sasl import (
    CramMD5ClientAuthenticator,
    LOGINAuthenticator,
    PLAINAuthenticator,
)

__all__ = [
    "SUCCESS",
    "CramMD5ClientAuthenticator",
    "ESMTPClient",
    "ESMTPSender",
    "ESMTPSenderFactory",
    "LOGINAuthenticator",
    "PLAINAuthenticator",
    "SMTPClient",
    "SMTPSender",
    "SMTPSenderFactory",
    "SenderMixin",
    "quoteaddr",
    "sendmail",
]
