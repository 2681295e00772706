# -*- test-case-name: relaymail.test.endtoend.test_fulldisk -*-
"""
A sender that goes on whatever it is told, and notes it.
"""

from __future__ import annotations

import smtplib
from dataclasses import dataclass, field

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from relaymail.test.endtoend.harness import CLIENT_PATIENCE, RECIPIENT, SENDER

#: What a server says to MAIL when it takes nothing, and when it does.
NOT_NOW = "451 4.3.0 Not now"
WELL = "250 2.1.0 Ok"


def message(number: int, size: int) -> bytes:
    """
    Make a message of this size.
    """
    head = (
        f"From: {SENDER}\r\nTo: {RECIPIENT}\r\n"
        "Date: Thu, 01 Jan 2026 00:00:00 +0000\r\n"
        f"Message-ID: <{number}@sender.example>\r\nX-Submission: {number}\r\n\r\n"
    )
    return head.encode() + (b"x" * 70 + b"\r\n") * (size // 72)


@dataclass
class Told:
    """
    What a sender was told.

    @ivar accepted: The messages that were answered 250.
    @ivar atMail: The replies to MAIL that refused one.
    @ivar atEnd: The replies to the end of the data that did.
    """

    accepted: list[int] = field(default_factory=list)
    atMail: list[tuple[int, bytes]] = field(default_factory=list)
    atEnd: list[tuple[int, bytes]] = field(default_factory=list)

    @property
    def refusals(self) -> list[tuple[int, bytes]]:
        """
        All refusals.
        """
        return self.atMail + self.atEnd


def give(port: int, numbers: range, size: int) -> Deferred[Told]:
    """
    Give messages over one connection, one after the other, whatever becomes of
    the one before.
    """

    def send() -> Told:
        told = Told()
        with smtplib.SMTP("127.0.0.1", port, timeout=CLIENT_PATIENCE) as client:
            client.ehlo("sender.example")
            for number in numbers:
                said = client.mail(SENDER)
                if said[0] != 250:
                    told.atMail.append(said)
                    continue
                client.rcpt(RECIPIENT)
                said = client.data(message(number, size))
                if said[0] == 250:
                    told.accepted.append(number)
                else:
                    told.atEnd.append(said)
        return told

    return deferToThread(send)
