# -*- test-case-name: relaymail.test.dialogue.test_together -*-
"""
The client and the server of the relay, talking to each other over a network in
memory: what the sender said at one end is what the queue is given at the other, by
each extension.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from relaymail.envelopes import (
    NO_PARAMETERS,
    Client,
    DeliverBy,
    Entrance,
    Envelope,
    Parameters,
    RecipientParameters,
)
from relaymail.intake.acceptance import NetworkAcceptance
from relaymail.relaymanager import SmartHostSMTPRelayingManager
from relaymail.route.hosts import Host, TLSNeed
from relaymail.test.dialogue.bothsides import (
    BINARY,
    CONTENT,
    EIGHT_BIT,
    NAME,
    OTHER,
    THIRD,
    TO,
    BothSidesTestCase,
    payload,
)
from relaymail.test.stories.harness import SENDER
from relaymail.testing.doubles import MailWorld


class ExtensionTests(BothSidesTestCase):
    """
    One extension after the other, in clear.
    """

    def test_plain(self) -> None:
        """
        RFC 5321 without any extension, greeted by HELO.
        """

        def manager(queue: Any) -> Any:
            made = SmartHostSMTPRelayingManager(queue)
            made.fArgs = (b"relay.example.com",)
            return made

        self.enter(MailWorld(manager=manager))
        self.serve()
        envelope = self.pass_(to=(TO, OTHER))
        self.assertPassed(envelope)
        self.assertEqual(
            [each.split(b" ")[0] for each in self.said(b"HELO", b"MAIL", b"RCPT")],
            [b"HELO", b"MAIL", b"RCPT", b"RCPT"],
        )
        self.assertIn(b" with SMTP id ", self.there.added[0][1])

    def test_pipelining(self) -> None:
        """
        RFC 2920: the envelope and DATA in one segment, and the next transaction
        behind the dot of the one before.
        """
        self.serve()
        for each in (TO, OTHER, "e@example.org"):
            self.world.queue.add(Envelope(SENDER, (each,)), CONTENT)
        self.world.run(5)
        self.assertEqual(
            [envelope.recipients for envelope, _ in self.there.added],
            [(TO,), (OTHER,), ("e@example.org",)],
        )
        self.assertEqual({payload(data) for _, data in self.there.added}, {CONTENT})
        behind = [each for each in self.heard if b"\r\n.\r\nMAIL FROM:" in each]
        self.assertEqual(len(behind), 2)
        for flight in behind:
            self.assertTrue(flight.endswith(b"\r\nDATA\r\n"), flight)
        self.assertEmpty()

    def test_pipelinedRefusals(self) -> None:
        """
        A recipient that is refused in the middle, and a whole transaction behind a
        dot, change nothing of the others.
        """
        self.serve()
        add = self.world.queue.add
        add(Envelope("", (TO, THIRD, OTHER)), CONTENT)
        add(Envelope("", (THIRD,)), CONTENT)
        add(Envelope("", ("e@example.org",)), CONTENT)
        self.world.run(5)
        self.assertEqual(
            [envelope.recipients for envelope, _ in self.there.added],
            [(TO, OTHER), ("e@example.org",)],
        )
        self.assertEmpty()

    def test_enhancedStatusCodes(self) -> None:
        """
        RFC 2034: what the server says of a recipient is what its sender is told.
        """
        self.serve()
        self.pass_(to=(TO, THIRD))
        status = self.notice()
        self.assertIn("Status: 5.1.1", status)
        self.assertIn("550 5.1.1 Nobody of this name", status)
        self.assertEqual(self.there.added[0][0].recipients, (TO,))

    def test_size(self) -> None:
        """
        RFC 1870: the size is said, and what is larger than the server takes is not
        offered.
        """
        self.serve(messageSize=len(CONTENT))
        self.assertPassed(self.pass_())
        self.assertIn(b"SIZE=%d" % len(CONTENT), self.said(b"MAIL")[0])
        self.pass_(content=CONTENT + b"x\r\n", sender="")
        self.assertEqual(len(self.said(b"MAIL")), 1)
        self.assertEmpty()

    def test_eightBit(self) -> None:
        """
        RFC 6152: eight bits are said to be that, and arrive as they are; what only
        might have had some need not be.
        """
        self.serve()
        envelope = self.pass_(content=EIGHT_BIT)
        wanted = replace(envelope, parameters=Parameters(body="8BITMIME"))
        self.assertPassed(wanted, EIGHT_BIT)
        self.there.added.clear()
        envelope = self.pass_(Parameters(body="8BITMIME"))
        self.assertPassed(replace(envelope, parameters=NO_PARAMETERS))

    def test_smtputf8(self) -> None:
        """
        RFC 6531: addresses of any script, at both ends.
        """
        self.serve()
        parameters = Parameters(utf8=True)
        envelope = self.pass_(
            parameters,
            RecipientParameters("FAILURE", "utf-8;käthe@bücher.example"),
            to=("käthe@xn--bcher-kva.example",),
            sender="jürgen@example.com",
        )
        self.assertPassed(envelope)
        self.assertIn(b" with UTF8SMTP id ", self.there.added[0][1])

    def test_smtputf8OnlyWhereNeeded(self) -> None:
        """
        Mail that is ASCII does not ask for it.
        """
        self.serve()
        self.assertPassed(self.pass_())
        self.assertNotIn(b"SMTPUTF8", b"".join(self.heard))

    def test_dsn(self) -> None:
        """
        RFC 3461: RET, ENVID, NOTIFY and ORCPT, with what xtext is for.
        """
        self.serve()
        envelope = self.pass_(
            Parameters(ret="HDRS", envid="a+b=c d"),
            RecipientParameters("NEVER", "rfc822;b+x=y@example.org"),
            RecipientParameters("SUCCESS,FAILURE,DELAY", "x-local;some one"),
            to=(TO, OTHER),
        )
        self.assertPassed(envelope)

    def test_dsnAddsTheOriginal(self) -> None:
        """
        Where the sender named none the address itself is the original recipient
        (RFC 3461 5.2.1).
        """
        self.serve()
        envelope = self.pass_(NO_PARAMETERS, RecipientParameters("SUCCESS"))
        wanted = (RecipientParameters("SUCCESS", f"rfc822;{TO}"),)
        self.assertPassed(replace(envelope, recipientParameters=wanted))

    def test_chunking(self) -> None:
        """
        RFC 3030: any octets, as one chunk; nothing of them is read as a command,
        nor stuffed.
        """
        self.serve()
        envelope = self.pass_(Parameters(body="BINARYMIME"), content=BINARY)
        self.assertPassed(envelope, BINARY)
        self.assertEqual(self.said(b"BDAT"), [b"BDAT %d LAST" % len(BINARY)])
        self.assertEqual(self.said(b"DATA"), [])

    def test_chunkingAmongOthers(self) -> None:
        """
        Behind it the session goes on.
        """
        self.serve()
        add = self.world.queue.add
        binary = Parameters(body="BINARYMIME")
        add(Envelope("", (TO,)), CONTENT)
        add(Envelope("", (THIRD,), binary), BINARY)
        add(Envelope("", (TO, THIRD), binary), BINARY)
        add(Envelope("", (OTHER,)), CONTENT)
        self.world.run(5)
        found = [payload(data) for _, data in self.there.added]
        self.assertTrue(found == [CONTENT, BINARY, CONTENT])
        self.assertEqual(len(self.said(b"EHLO")), 1)
        self.assertEmpty()

    def test_limits(self) -> None:
        """
        RFC 9422: no more recipients are named than the server said it takes, and
        none is told to come again.
        """
        self.serve(recipients=3)
        to = tuple(f"r{number}@example.org" for number in range(8))
        self.pass_(to=to)
        found = [envelope.recipients for envelope, _ in self.there.added]
        self.assertEqual([len(each) for each in found], [3, 3, 2])
        self.assertEqual(sum(found, ()), to)
        self.assertEmpty()

    def test_priority(self) -> None:
        """
        RFC 6710: it is kept for those whom the server trusts.
        """
        for priority in (-9, 4, 9):
            self.setUp()
            self.serve()
            self.assertPassed(self.pass_(Parameters(priority=priority)))

    def test_priorityOfStrangers(self) -> None:
        """
        Whoever is not known gets no precedence, and its mail goes.
        """

        class Everybody(NetworkAcceptance):
            def acceptRecipient(self, client: Client, *more: str) -> None:
                pass

        self.serve(acceptance=Everybody("192.0.2.0/24"))
        envelope = self.pass_(Parameters(priority=5))
        self.assertPassed(replace(envelope, parameters=NO_PARAMETERS))

    def test_deliverBy(self) -> None:
        """
        RFC 2852: what is left of the time goes on, in both modes.
        """
        for returns in (False, True):
            for traced in (False, True):
                self.setUp()
                self.serve()
                at = self.world.queue.clock.seconds() + 1000
                self.pass_(Parameters(deliverBy=DeliverBy(at, returns, traced)))
                # What is traced the sender is told of.
                envelope = self.there.added[0][0]
                self.assertEqual(len(self.there.added), 1 + traced)
                by = envelope.parameters.deliverBy
                assert by is not None
                self.assertEqual((by.returns, by.traced), (returns, traced))
                self.assertApproximates(by.at, at, 1)

    def test_deliverByTooSoon(self) -> None:
        """
        A server that needs longer is not asked to return it in time.
        """
        self.serve(deliverBySeconds=2000)
        at = self.world.queue.clock.seconds() + 1000
        self.pass_(Parameters(deliverBy=DeliverBy(at, True)))
        self.assertIn("Status: 5.3.3", self.notice())

    def test_held(self) -> None:
        """
        RFC 4865: mail that the first relay held is not asked to be held again.
        """
        self.serve()
        at = self.world.queue.clock.seconds() + 3
        envelope = self.pass_(Parameters(holdUntil=at))
        self.world.run(5)
        self.assertPassed(replace(envelope, parameters=NO_PARAMETERS))

    @settings(deadline=None, max_examples=40)
    @given(st.data())
    def test_whateverIsSaid(self, data: st.DataObject) -> None:
        """
        Whatever is said of a message and its recipients arrives.
        """
        self.setUp()
        self.serve()
        text = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S"]))
        notified = st.sampled_from(["", "NEVER", "SUCCESS", "FAILURE,DELAY", "DELAY"])
        to = data.draw(st.sampled_from([(TO,), (TO, OTHER)]))
        parameters = Parameters(
            body=data.draw(st.sampled_from(["", "BINARYMIME"])),
            ret=data.draw(st.sampled_from(["", "FULL", "HDRS"])),
            envid=data.draw(text.map(lambda said: said[:100])),
            utf8=data.draw(st.booleans()),
            priority=data.draw(st.integers(-9, 9)),
        )
        own = [
            RecipientParameters(data.draw(notified), "rfc822;x" + data.draw(text)[:100])
            for _ in to
        ]
        # Where it is not needed it is not asked for any more.
        sender = "jürgen@example.com" if parameters.utf8 else SENDER
        self.assertPassed(self.pass_(parameters, *own, to=to, sender=sender))


class LMTPTests(BothSidesTestCase):
    """
    RFC 2033.
    """

    def serveLMTP(self, **more: Any) -> None:
        """
        Let the second relay be one that speaks it.
        """
        host = Host(NAME, tls=TLSNeed.NEVER, named=True, lmtp=True)
        self.serve(Entrance.LMTP, host=host, **more)

    def test_each(self) -> None:
        """
        Each recipient that was accepted has a reply, and only that.
        """
        self.serveLMTP()
        envelope = self.pass_(to=(TO, THIRD, OTHER), sender="")
        self.assertPassed(replace(envelope, recipients=(TO, OTHER)))
        self.assertEqual(len(self.said(b"LHLO")), 1)
        self.assertIn(b" with LMTP id ", self.there.added[0][1])

    def test_several(self) -> None:
        """
        Also where one message follows the other in one flight, and where the
        message is a chunk.
        """
        self.serveLMTP()
        binary = Parameters(body="BINARYMIME")
        to = (TO, OTHER, "e@example.org")
        for parameters, content in ((NO_PARAMETERS, CONTENT), (binary, BINARY)) * 2:
            self.world.queue.add(Envelope("", to, parameters), content)
        self.world.run(5)
        found = [payload(data) for _, data in self.there.added]
        self.assertTrue(found == [CONTENT, BINARY, CONTENT, BINARY])
        self.assertEmpty()

    def test_refusedAtTheEnd(self) -> None:
        """
        What is refused at the end is so for each.
        """
        self.serveLMTP(messageSize=0)
        self.there.trouble = RuntimeError("no disk")
        names: list[str] = []
        added = self.world.queue.add(Envelope(SENDER, (TO, OTHER)), CONTENT)
        added.addCallback(names.extend)
        self.world.run(5)
        self.assertRetried(*names)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
