# -*- test-case-name: relaymail.test.hostile.test_clients -*-
"""
What attacks by clients have in common.
"""

from __future__ import annotations

from typing import Any, ClassVar

from zope.interface import implementer

from relaymail.interfaces import IAcceptance
from relaymail.service import Relay
from relaymail.test.certificates import writeCertificate
from relaymail.test.hostile.wire import connect
from relaymail.testing.servers import SMTPServer

#: What comes before DATA.
MAIL = (b"EHLO wire.example", b"MAIL FROM:<a@wire.example>", b"RCPT TO:<b@one.example>")


@implementer(IAcceptance)
class Anybody:
    """
    Lets anybody relay, and trusts nobody.
    """

    def isTrusted(self, host: str) -> bool:
        """
        Trust nobody.
        """
        return False

    def acceptSender(self, client: Any, sender: str) -> None:
        """
        Take it.
        """

    def acceptRecipient(self, client: Any, sender: str, recipient: str) -> None:
        """
        Take it.
        """


class Attacks:
    """
    What is attacked, in clear or under TLS.
    """

    isTLS: ClassVar[bool] = False
    server: SMTPServer

    def begin(self: Any, **settings: Any) -> Relay:
        """
        Start a relay that may offer TLS, and a server behind it.
        """
        key, certificate = writeCertificate(self.directory, "127.0.0.1")
        self.server = self.startServer()
        told = {"smartHosts": [self.server.address], **settings}
        relay: Relay = self.startRelay(tlsKey=key, tlsCert=certificate, **told)
        return relay

    def open(self: Any, relay: Relay) -> Any:
        """
        Connect to it.
        """
        return connect(self.portOf(relay), isTLS=self.isTLS)
