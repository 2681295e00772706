# -*- test-case-name: relaymail.test.dialogue.test_keywords -*-
"""
Tests for L{relaymail.dialogue.serving.keywords}, and that what is offered is what
is known.
"""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from relaymail.dialogue.server import Offer
from relaymail.envelopes import Entrance
from relaymail.test.dialogue.talking import OFFER, Client, Known


def offered(client: Client) -> list[str]:
    """
    Say EHLO, and give the keywords.
    """
    lines = client.say(b"EHLO c").splitlines()
    return [line[4:] for line in lines[1:]]


class KeywordTests(SynchronousTestCase):
    """
    What EHLO offers.
    """

    def test_plain(self) -> None:
        """
        What needs nothing is offered to everybody.
        """
        self.assertEqual(
            offered(Client(Offer("h", messageSize=1000, recipients=3))),
            [
                "PIPELINING", "SIZE 1000", "8BITMIME", "ENHANCEDSTATUSCODES", "DSN",
                "SMTPUTF8", "CHUNKING", "LIMITS RCPTMAX=3", "MT-PRIORITY",
            ],
        )  # fmt: skip
        self.assertIn("SIZE", offered(Client(Offer("h", messageSize=0))))

    def test_tls(self) -> None:
        """
        STARTTLS is offered in clear, where it can be had, REQUIRETLS under TLS
        (RFC 8689 2).
        """
        clear, under = offered(Client()), offered(Client(tls=True))
        self.assertIn("STARTTLS", clear)
        self.assertNotIn("REQUIRETLS", clear)
        self.assertIn("REQUIRETLS", under)
        self.assertNotIn("STARTTLS", under)
        said = Client(tls=True).upTo(b"EHLO c").say(b"MAIL FROM:<a@b> REQUIRETLS")
        self.assertIn("250 2.1.0", said)
        said = Client().upTo(b"EHLO c").say(b"MAIL FROM:<a@b> REQUIRETLS")
        self.assertIn("530 5.7.10", said)

    def test_futureRelease(self) -> None:
        """
        Who submits may have mail held, with the bounds told (RFC 4865 3); others
        may not.
        """
        offer = replace(OFFER, holdSeconds=3600)
        told = "FUTURERELEASE 3600 2001-09-09T02:46:00Z"
        for around, entrance in (
            (Known(trusted=True), Entrance.RELAY),
            (Known(), Entrance.SUBMISSION),
        ):
            self.assertIn(told, offered(Client(offer, around, entrance)))
        self.assertNotIn(told, offered(Client(offer, Known())))
        self.assertNotIn("FUTURERELEASE", str(offered(Client(OFFER, Known()))))
        said = Client(offer).upTo(b"EHLO c").say(b"MAIL FROM:<a@b> HOLDFOR=1")
        self.assertIn("555 5.5.4", said)

    def test_deliverBy(self) -> None:
        """
        DELIVERBY tells the least time where there is one (RFC 2852 3).
        """
        for seconds, keyword in ((0, "DELIVERBY"), (60, "DELIVERBY 60")):
            offer = replace(OFFER, deliverBySeconds=seconds)
            self.assertIn(keyword, offered(Client(offer)))

    def test_binary(self) -> None:
        """
        BINARYMIME is offered where the queue keeps any octets as they are.
        """
        offer = replace(OFFER, isBinarySafe=True)
        self.assertIn("BINARYMIME", offered(Client(offer)))
        self.assertNotIn("BINARYMIME", offered(Client()))
        said = Client().upTo(b"EHLO c").say(b"MAIL FROM:<a@b> BODY=BINARYMIME")
        self.assertIn("501 5.5.4", said)

    def test_hello(self) -> None:
        """
        To HELO nothing was offered: nothing of extensions is known.
        """
        client = Client().upTo(b"HELO c")
        self.assertIn("555", client.say(b"MAIL FROM:<a@b> RET=FULL"))
        client.upTo(b"EHLO c", b"MAIL FROM:<a@b> RET=FULL", b"HELO c")
        self.assertIn("555", client.say(b"MAIL FROM:<a@b> RET=FULL"))
