# -*- test-case-name: relaymail.test.dialogue.test_mailing -*-
"""
Tests for L{relaymail.dialogue.serving.mailing}: what extensions put into
envelopes.
"""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from relaymail.dialogue.actions import TakeData
from relaymail.dialogue.server import ServerDialogue
from relaymail.envelopes import (
    DeliverBy,
    Envelope,
    Parameters,
    RecipientParameters,
)
from relaymail.test.dialogue.talking import OFFER, Client, Known


def taken(client: Client) -> Envelope:
    """
    Say DATA, and give the envelope of the message.
    """
    client.upTo(b"DATA")
    last = client.asked[-1]
    assert isinstance(last, TakeData)
    return last.envelope


class Aliases:
    """
    Names that machines use: C{all@h} is two people.
    """

    def qualify(self, address: str) -> str:
        """
        Know no other.
        """
        return ""

    def expand(self, recipient: str) -> tuple[str, ...]:
        """
        Give who it is.
        """
        return ("x@d", "y@d") if recipient == "all@h" else (recipient,)

    def rewriteSender(self, sender: str) -> str:
        """
        Leave it.
        """
        return sender


class NotificationTests(SynchronousTestCase):
    """
    RFC 3461: what is said is kept with each recipient.
    """

    def test_kept(self) -> None:
        """
        RET and ENVID are kept with the message, NOTIFY and ORCPT with the
        recipient they were said of.
        """
        client = Client().upTo(
            b"EHLO c",
            b"MAIL FROM:<a@b> RET=HDRS ENVID=q+2B1",
            b"RCPT TO:<c@d>",
            b"RCPT TO:<e@f> NOTIFY=DELAY,SUCCESS ORCPT=rfc822;o+2Bp@q",
        )
        self.assertEqual(
            taken(client),
            Envelope(
                "a@b",
                ("c@d", "e@f"),
                Parameters(ret="HDRS", envid="q+1"),
                (
                    RecipientParameters(),
                    RecipientParameters("SUCCESS,DELAY", "rfc822;o+p@q"),
                ),
            ),
        )

    def test_nothingSaid(self) -> None:
        """
        Where no recipient has parameters there are none, also after a message
        where some had.
        """
        client = Client().upTo(
            b"EHLO c", b"MAIL FROM:<a@b>", b"RCPT TO:<c@d> NOTIFY=NEVER", b"RSET",
            b"MAIL FROM:<a@b>", b"RCPT TO:<c@d>",
        )  # fmt: skip
        self.assertEqual(taken(client).recipientParameters, ())

    def test_refused(self) -> None:
        """
        What was said of a recipient that is refused is not kept, and is nobody
        else's.
        """
        client = Client().upTo(b"EHLO c", b"MAIL FROM:<a@b>")
        client.say(b"RCPT TO:<no@d> NOTIFY=NEVER")
        client.upTo(b"RCPT TO:<c@d>")
        self.assertEqual(taken(client), Envelope("a@b", ("c@d",)))

    def test_twice(self) -> None:
        """
        A recipient that is named again keeps what was said first.
        """
        client = Client().upTo(
            b"EHLO c", b"MAIL FROM:<a@b>",
            b"RCPT TO:<c@d> NOTIFY=NEVER", b"RCPT TO:<c@d> NOTIFY=DELAY",
        )  # fmt: skip
        self.assertEqual(
            taken(client).recipientParameters, (RecipientParameters("NEVER"),)
        )

    def test_alias(self) -> None:
        """
        What is said of a name goes with all that stand in its place, and so does
        the name (RFC 3461 5.2.7.2).
        """
        for said, kept in (
            (b" NOTIFY=FAILURE", RecipientParameters("FAILURE", "rfc822;all@h")),
            (b" ORCPT=rfc822;z@z", RecipientParameters("", "rfc822;z@z")),
            (b"", None),
        ):
            client = Client()
            client.dialogue = ServerDialogue(OFFER, names=Aliases())
            client.upTo(b"EHLO c", b"MAIL FROM:<a@b>", b"RCPT TO:<all@h>" + said)
            envelope = taken(client)
            self.assertEqual(envelope.recipients, ("x@d", "y@d"))
            self.assertEqual(envelope.recipientParameters, (kept, kept) if kept else ())


class InternationalTests(SynchronousTestCase):
    """
    RFC 6531: addresses that are not ASCII.
    """

    def test_said(self) -> None:
        """
        With SMTPUTF8 they are taken, and domains as A-labels.
        """
        client = Client().upTo(
            b"EHLO c",
            "MAIL FROM:<jörg@b.example> SMTPUTF8".encode(),
            "RCPT TO:<ü@bücher.example> ORCPT=utf-8;ü@x".encode(),
        )
        self.assertEqual(
            taken(client),
            Envelope(
                "jörg@b.example",
                ("ü@xn--bcher-kva.example",),
                Parameters(utf8=True),
                (RecipientParameters("", "utf-8;ü@x"),),
            ),
        )

    def test_notSaid(self) -> None:
        """
        Without it they are refused (RFC 6531 3.5), each command with its code.
        """
        client = Client().upTo(b"EHLO c")
        said = client.say("MAIL FROM:<jörg@b> BODY=8BITMIME".encode())
        self.assertIn("553 5.6.7", said)
        client.upTo(b"MAIL FROM:<a@b>")
        self.assertIn("550 5.6.7", client.say("RCPT TO:<ü@b>".encode()))
        self.assertIn("553 5.6.7", client.say("VRFY ü".encode()))

    def test_verify(self) -> None:
        """
        VRFY takes SMTPUTF8, too (RFC 6531 3.7.4.2).
        """
        client = Client().upTo(b"EHLO c", "VRFY ü SMTPUTF8".encode())
        client.upTo(b"MAIL FROM:<a@b> SMTPUTF8", "VRFY ü".encode())
        self.assertIn("501 5.1.3", client.say(b"VRFY \xff SMTPUTF8"))

    def test_hello(self) -> None:
        """
        Who did not say EHLO has no SMTPUTF8.
        """
        client = Client().upTo(b"HELO c")
        said = client.say("MAIL FROM:<jörg@b> SMTPUTF8".encode())
        self.assertIn("553 5.6.7", said)

    def test_A03_malformed(self) -> None:
        """
        What is no UTF-8, or nobody would see, is no address.
        """
        client = Client().upTo(b"EHLO c")
        for local in (b"\xff", b"\xc0\xae", "a\u202e".encode(), "a\u0085b".encode()):
            said = client.say(b"MAIL FROM:<" + local + b"@b> SMTPUTF8")
            self.assertIn("501 5.1.7", said)


class OtherTests(SynchronousTestCase):
    """
    What else may be said of a message.
    """

    def test_priority(self) -> None:
        """
        Strangers get no precedence, and are told so (RFC 6710 4); less than usual,
        and those who are known, as they say.
        """
        for trusted, said, kept, reply in (
            (False, b"9", 0, "250 2.3.6 0 "),
            (False, b"-3", -3, "250 2.1.0"),
            (True, b"9", 9, "250 2.1.0"),
        ):
            client = Client(OFFER, Known(trusted=trusted)).upTo(b"EHLO c")
            told = client.say(b"MAIL FROM:<a@b> MT-PRIORITY=" + said)
            self.assertTrue(told.startswith(reply), told)
            client.upTo(b"RCPT TO:<c@d>")
            self.assertEqual(taken(client).parameters.priority, kept)

    def test_times(self) -> None:
        """
        Times from now are told as times of the queue's clock, which mail without
        them does not ask.
        """
        around = Known(trusted=True)
        offer = replace(OFFER, deliverBySeconds=0, holdSeconds=100)
        client = Client(offer, around).upTo(b"EHLO c")
        asked = around.asked
        client.upTo(b"MAIL FROM:<a@b> RET=FULL", b"RSET")
        self.assertEqual(around.asked, asked)
        client.upTo(b"MAIL FROM:<a@b> BY=60;N HOLDFOR=30", b"RCPT TO:<c@d>")
        self.assertEqual(
            taken(client).parameters,
            Parameters(holdUntil=1_000_000_030.0, deliverBy=DeliverBy(1_000_000_060.0)),
        )

    def test_submitter(self) -> None:
        """
        Nobody's word is taken for who a message is from (RFC 4954 5).
        """
        said = Client().upTo(b"EHLO c").say(b"MAIL FROM:<a@b> AUTH=c@d")
        self.assertIn("555", said)
