# -*- test-case-name: relaymail.test.stories.test_notices -*-
"""
What senders are told, and when (RFC 3461, RFC 2852).
"""

from __future__ import annotations

import re
from email.message import Message
from pathlib import Path
from typing import Any

from twisted.internet.defer import fail

from relaymail.envelopes import (
    NO_PARAMETERS,
    NOTHING_SAID,
    DeliverBy,
    Envelope,
    Parameters,
    RecipientParameters,
)
from relaymail.errors import QueueFull
from relaymail.queue.directory import Queue
from relaymail.relaymanager import SmartHostESMTPRelayingManager
from relaymail.test.stories.harness import FIRST, HOME, SENDER, Logged, StoryTestCase
from relaymail.testing.cases import WorldTestCase
from relaymail.testing.dns import Fault
from relaymail.testing.doubles import CONTENT, MailWorld
from relaymail.testing.world import World

B, C = "b@example.org", "c@example.org"
HOUR = 3600.0
REFUSED = {"RCPT": "550 5.1.1 Nobody"}
USUAL = ("PIPELINING", "8BITMIME", "SIZE 1000000")
ACTION = re.compile(rb"^Action: (\w+)", re.MULTILINE)
LATER = {"MAIL": "451 4.3.2 Later"}


def notify(*words: str) -> tuple[RecipientParameters, ...]:
    """
    Give what is said of each recipient.
    """
    return tuple(RecipientParameters(each) if each else NOTHING_SAID for each in words)


class ToldTestCase(StoryTestCase):
    """
    What the stories share.
    """

    def setUp(self) -> None:
        super().setUp()
        self.set(recipientsPerTransaction=100)

    def asked(
        self,
        *words: str,
        sender: str = SENDER,
        parameters: Parameters = NO_PARAMETERS,
        seconds: float = 10,
    ) -> list[str]:
        """
        Queue a message for a recipient for each of the words, of whom that is
        said, and let some time pass.

        @return: The names.
        """
        recipients = (B, C)[: len(words)]
        envelope = Envelope(sender, recipients, parameters, notify(*words))
        names: list[str] = []
        self.world.queue.add(envelope, CONTENT).addCallback(names.extend)
        self.world.run(seconds)
        return names

    def at(self, seconds: float) -> float:
        """
        Give a time, so many seconds from now.
        """
        return self.world.network.seconds() + seconds

    def fields(self) -> list[Message]:
        """
        Give the fields for the recipients in the only notice.
        """
        (notice,) = self.notices()
        part: Any = notice.get_payload(1)
        return list(part.get_payload())[1:]

    def actions(self) -> list[list[tuple[str, str]]]:
        """
        Give, for each notice, of whom it tells what.
        """
        found = []
        for notice in self.notices():
            part: Any = notice.get_payload(1)
            groups = part.get_payload()[1:]
            found.append(
                [(each["Final-Recipient"][8:], each["Action"]) for each in groups]
            )
        return found


class FailureTests(ToldTestCase):
    """
    What is told of failures.
    """

    def setUp(self) -> None:
        super().setUp()
        self.world.host(FIRST, REFUSED)

    def test_never(self) -> None:
        """
        Who wants to hear nothing is not told, and the names are done.
        """
        with Logged() as logged:
            self.asked("NEVER", "NEVER")
        self.assertEqual(self.actions(), [])
        self.assertEqual([line[:8] for line in logged.outcomes], ["bounced "] * 2)
        self.assertEmpty()

    def test_onlyWhoWants(self) -> None:
        """
        A notice tells of those recipients for whom it is wanted.
        """
        self.asked("NEVER", "FAILURE")
        self.asked("", "SUCCESS,DELAY")
        self.assertEqual(self.actions(), [[(C, "failed")], [(B, "failed")]])
        self.assertEmpty()

    def test_nullSender(self) -> None:
        """
        Nobody is told of a failed notice, whatever is said.
        """
        self.asked("FAILURE", sender="")
        self.assertEqual(self.home.received, [])
        self.assertEmpty()

    def test_identifiers(self) -> None:
        """
        The sender's names of the transaction and the recipient come back.
        """
        said = (RecipientParameters("FAILURE", "rfc822;Bob@old.example"),)
        envelope = Envelope(SENDER, (B,), Parameters(envid="QQ 1"), said)
        self.world.queue.add(envelope, CONTENT)
        self.world.run(10)
        (recipient,) = self.fields()
        self.assertEqual(recipient["Original-Recipient"], "rfc822;Bob@old.example")
        report: Any = self.notices()[0].get_payload(1)
        self.assertEqual(report.get_payload()[0]["Original-Envelope-Id"], "QQ 1")

    def test_returned(self) -> None:
        """
        RET=HDRS is not exceeded.
        """
        for ret, has in (("HDRS", False), ("FULL", True), ("", True)):
            self.asked("", parameters=Parameters(ret=ret))
            self.assertIs("Hello." in str(self.notices()[-1]), has)
            self.assertIn("Subject: hello", str(self.notices()[-1]))


class SuccessTests(ToldTestCase):
    """
    What is told of deliveries.
    """

    def test_relayed(self) -> None:
        """
        Where the host does not tell, one notice tells of all recipients that went
        to it (RFC 3461 5.2.2); the message is gone.
        """
        mx = self.world.host(FIRST)
        with Logged() as logged:
            names = self.asked("SUCCESS", "SUCCESS,FAILURE")
        line = f"notice action=relayed to=<{SENDER}> about={','.join(names)}"
        self.assertIn(line, logged.texts)
        self.assertEqual(len(mx.received), 1)
        self.assertEqual(self.actions(), [[(B, "relayed"), (C, "relayed")]])
        for each in self.fields():
            self.assertTrue(each["Status"].startswith("2."))
            self.assertEqual(each["Remote-MTA"], "dns; mx.example.org")
        self.assertNotIn("Hello.", str(self.notices()[0]))
        self.assertEmpty()

    def test_notAsked(self) -> None:
        """
        Nobody else is told, and not the null sender.
        """
        self.world.host(FIRST)
        self.asked("", "FAILURE,DELAY")
        self.asked("NEVER")
        self.asked("SUCCESS", sender="")
        self.assertEqual(self.home.received, [])
        self.assertEmpty()

    def test_passedOn(self) -> None:
        """
        Where the host tells, this relay does not.
        """
        mx = self.world.host(FIRST, keywords=(*USUAL, "DSN"))
        self.asked("SUCCESS")
        self.assertEqual(len(mx.received), 1)
        self.assertEqual(self.home.received, [])
        self.assertEmpty()

    def test_traced(self) -> None:
        """
        Who traces is told of each relay (RFC 2852 4.1.4).
        """
        self.world.host(FIRST, keywords=(*USUAL, "DSN", "DELIVERBY"))
        by = DeliverBy(self.at(HOUR), returns=True, traced=True)
        self.asked("NEVER", "", parameters=Parameters(deliverBy=by))
        self.assertEqual(self.actions(), [[(C, "relayed")]])
        self.assertEmpty()

    def test_unwatched(self) -> None:
        """
        In mode N it is told where the host does not keep an eye on the time.
        """
        by = Parameters(deliverBy=DeliverBy(self.at(HOUR)))
        for keyword, count in (("DELIVERBY", 0), ("DSN", 1)):
            self.world.host(FIRST, keywords=(*USUAL, keyword))
            self.asked("", parameters=by)
            self.assertEqual(self.actions(), [[(B, "relayed")]] * count)
        self.assertEmpty()

    def test_P5_noRoomForTheNotice(self) -> None:
        """
        What was delivered is gone, also where the notice of it is not taken.
        """
        self.world.host(FIRST)
        add = self.world.queue.add

        def full(envelope: Envelope, content: bytes) -> Any:
            if not envelope.sender:
                raise RuntimeError("no notices today")
            return add(envelope, content)

        self.patch(self.world.queue, "add", full)
        self.asked("SUCCESS")
        self.assertEmpty()
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class DelayTests(ToldTestCase):
    """
    What is told of mail that is late.
    """

    def setUp(self) -> None:
        super().setUp()
        self.mx = self.world.host(FIRST, LATER)

    def test_D32_once(self) -> None:
        """
        After four hours one notice tells of all recipients, with the time until
        which it is tried; there is no second one, and the message goes on.
        """
        arrived = self.world.network.seconds()
        names = self.asked("", "DELAY", seconds=3.9 * HOUR)
        self.assertEqual(self.home.received, [])
        self.world.run(2 * HOUR)
        self.assertEqual(self.actions(), [[(B, "delayed"), (C, "delayed")]])
        for each in self.fields():
            self.assertEqual(each["Status"], "4.3.2")
            self.assertIn("451 4.3.2 Later", each["Diagnostic-Code"])
            self.assertIn("Will-Retry-Until", each)
        self.assertNotIn("Hello.", str(self.notices()[0]))
        self.world.run(20 * HOUR)
        self.assertEqual(len(self.home.received), 1)
        for name in names:
            letter = self.world.queue.letter(name)
            self.assertTrue(letter.isTold)
            self.assertEqual(letter.arrived, arrived)
        self.world.host(FIRST)
        self.world.run(2 * HOUR)
        self.assertEqual(len(self.home.received), 1)
        self.assertEmpty()

    def test_D32_notWanted(self) -> None:
        """
        Who said of what else to be told is not told of that.
        """
        self.asked("NEVER", "FAILURE,SUCCESS", seconds=10 * HOUR)
        self.asked("", sender="", seconds=10 * HOUR)
        self.assertEqual(self.home.received, [])

    def test_D32_onlyWhoAsks(self) -> None:
        """
        With no time set, who asked for it is told.
        """
        self.set(delayNotice=0)
        self.asked("", "DELAY", seconds=10 * HOUR)
        self.assertEqual(self.actions(), [[(C, "delayed")]])

    def test_D31_expired(self) -> None:
        """
        At the end it is told that it failed, as before.
        """
        self.set(expireAfter=6 * HOUR)
        self.asked("", seconds=8 * HOUR)
        self.assertEqual(self.actions(), [[(B, "delayed")], [(B, "failed")]])
        self.assertEmpty()

    def test_D32_noRoomAndTheDestinationFails(self) -> None:
        """
        So where the destination is suspended in the same turn: nobody forgets to look
        when its time has come.
        """
        self.world.zones["example.org"] = Fault.SERVFAIL
        (name,) = self.asked("", seconds=HOUR)
        self.patch(self.world.queue, "add", lambda *args: fail(QueueFull("no room")))
        self.world.run(4 * HOUR)
        before = self.world.queue.letter(name).attempts
        self.world.run(8 * HOUR)
        self.assertGreater(self.world.queue.letter(name).attempts, before + 2)
        self.flushLoggedErrors(QueueFull)

    def test_D32_noRoomForTheNotice(self) -> None:
        """
        Where the notice is not taken, the message rests as it would, and it is
        told after the next attempt.
        """
        add = self.world.queue.add

        def full(envelope: Envelope, content: bytes) -> Any:
            raise RuntimeError("no notices today")

        (name,) = self.asked("")
        self.patch(self.world.queue, "add", full)
        self.world.run(4.9 * HOUR)
        self.assertFalse(self.world.queue.letter(name).isTold)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.patch(self.world.queue, "add", add)
        self.world.run(HOUR)
        self.assertEqual(self.actions(), [[(B, "delayed")]])

    def test_D32_overARestart(self) -> None:
        """
        What was told is not told again by the next process.
        """
        path = Path(self.mktemp())
        path.mkdir(mode=0o700)
        self.enter(MailWorld(queue=lambda clock: Queue(str(path), clock)))
        self.world.host(FIRST, LATER)
        (name,) = self.asked("", seconds=6 * HOUR)
        self.assertEqual(self.actions(), [[(B, "delayed")]])
        first = self.world.manager
        first.stop()
        self.world.queue.stop()
        self.world.queue = queue = Queue(str(path), self.world.machine)
        self.addCleanup(queue.stop)
        self.world.manager = manager = SmartHostESMTPRelayingManager(queue)
        manager.reactor, manager.mxcalc = first.reactor, first.mxcalc
        manager.fArgs, manager.hostname = first.fArgs, first.hostname
        queue.onWaiting = manager.wake
        manager.checkState()
        self.world.run(6 * HOUR)
        self.assertGreater(queue.letter(name).attempts, 8)
        self.assertTrue(queue.letter(name).isTold)
        self.assertEqual(len(self.home.received), 1)


class DeadlineTests(ToldTestCase):
    """
    Mail that is to be there by a time (RFC 2852).
    """

    def by(self, seconds: float, returns: bool) -> Parameters:
        """
        Say by when.
        """
        return Parameters(deliverBy=DeliverBy(self.at(seconds), returns))

    def test_returned(self) -> None:
        """
        In mode R it is returned at the time, not tried once more.
        """
        self.world.host(FIRST, LATER, keywords=(*USUAL, "DELIVERBY"))
        self.asked("", parameters=self.by(1000, True), seconds=999)
        self.assertEqual(self.home.received, [])
        mx = self.world.host(FIRST, keywords=(*USUAL, "DELIVERBY"))
        self.world.run(30)
        (recipient,) = self.fields()
        self.assertEqual(recipient["Action"], "failed")
        self.assertEqual(recipient["Status"], "5.4.7")
        self.assertEqual(mx.received, [])
        self.assertEmpty()

    def test_returnedWithoutAHost(self) -> None:
        """
        So where no host is reached.
        """
        self.asked("", parameters=self.by(1000, True), seconds=1200)
        (recipient,) = self.fields()
        self.assertEqual(recipient["Status"], "5.4.7")
        self.assertEmpty()

    def test_neverSentLate(self) -> None:
        """
        What was queued for too long before it could be sent is not sent.
        """
        mx = self.world.host(FIRST)
        self.asked("", parameters=self.by(-1, True))
        self.assertEqual(mx.received, [])
        self.assertEqual(self.actions(), [[(B, "failed")]])

    def test_notified(self) -> None:
        """
        In mode N its sender is told at the time, once, and it goes on.
        """
        self.world.host(FIRST, LATER)
        self.asked("FAILURE", parameters=self.by(1000, False), seconds=999)
        self.assertEqual(self.home.received, [])
        self.world.run(30)
        self.assertEqual(self.actions(), [[(B, "delayed")]])
        self.world.run(10 * HOUR)
        self.assertEqual(len(self.home.received), 1)
        mx = self.world.host(FIRST)
        self.world.run(2 * HOUR)
        self.assertEqual(len(mx.received), 1)
        self.assertEqual(self.actions()[1:], [[(B, "relayed")]])
        self.assertEmpty()

    def test_notifiedUnless(self) -> None:
        """
        Who wants to hear nothing is not told.
        """
        self.world.host(FIRST, LATER)
        self.asked("NEVER", parameters=self.by(1000, False), seconds=HOUR)
        self.assertEqual(self.home.received, [])


class HomeTests(ToldTestCase):
    """
    The notice itself.
    """

    def test_P5_noticeThatFails(self) -> None:
        """
        A notice that is late or fails is told to nobody.
        """
        self.world.host(FIRST, REFUSED)
        self.world.host(HOME, LATER)
        self.asked("", seconds=6 * 24 * HOUR)
        self.assertEmpty()


class ForeignTests(ToldTestCase):
    """
    Notices of internationalised mail (RFC 6533).
    """

    def test_failed(self) -> None:
        """
        A notice to and about addresses that are not ASCII goes as internationalised
        mail, and has them as they are.
        """
        keywords = (*USUAL, "SMTPUTF8")
        self.world.host(FIRST, REFUSED, keywords=keywords)
        self.home = self.world.host(HOME, keywords=keywords)
        sender, recipient = "j\xf6rg@example.com", "b\xe4r@example.org"
        said = (RecipientParameters("FAILURE", f"utf-8;{recipient}"),)
        content = "Subject: Gr\xfc\xdfe\r\n\r\nHello.\r\n".encode()
        envelope = Envelope(sender, (recipient,), Parameters(utf8=True), said)
        self.world.queue.add(envelope, content)
        self.world.run(10)
        (notice,) = self.home.received
        # The host of the test reads bytes.
        self.assertEqual(notice.recipients, (sender.encode().decode("latin-1"),))
        (mail,) = [x for x in notice.session.commands if x.startswith("MAIL")]
        self.assertIn(" SMTPUTF8", mail)
        text = notice.content.decode()
        self.assertIn(f"Final-Recipient: utf-8; {recipient}\r\n", text)
        self.assertIn(f"Original-Recipient: utf-8;{recipient}\r\n", text)
        parts = self.notices()[0].get_payload()
        assert isinstance(parts, list)
        self.assertEqual(
            [part.get_content_type() for part in parts if isinstance(part, Message)],
            ["text/plain", "message/global-delivery-status", "message/global"],
        )
        self.assertEmpty()


class CrashTests(WorldTestCase):
    """
    The whole relay, which crashes.
    """

    def setUp(self) -> None:
        self.world = World(seed=7)
        self.mx = self.world.host(FIRST, {**LATER}, name="mx.example.org")
        self.world.exchange("example.org", {"mx.example.org": FIRST})

    def told(self) -> list[bytes]:
        """
        Give what the sender was told.
        """
        contents = [message.content for message in self.world.home.received]
        return [found for text in contents for found in ACTION.findall(text)]

    def test_D32_onceWhateverCrashes(self) -> None:
        """
        That a message is late is told once, however often the relay crashes then,
        and the message is delivered.
        """
        message = self.world.send(SENDER, B)
        self.world.run(4 * HOUR)
        self.assertEqual(self.told(), [])
        for _ in range(4):
            self.world.run(2 * HOUR)
            self.world.crash()
        self.world.run(HOUR)
        self.assertEqual(self.told(), [b"delayed"])
        self.mx.answers.clear()
        self.world.run(2 * HOUR)
        self.world.assertDelivered(message, B)
        self.assertEqual(self.told(), [b"delayed"])
        self.world.assertNothingLost()

    def test_relayedOnce(self) -> None:
        """
        That a message was passed on is told once, and it is gone.
        """
        self.mx.answers.clear()
        said = (RecipientParameters("SUCCESS"),)
        envelope = Envelope(SENDER, (B,), recipientParameters=said)
        self.world.run(1)
        self.world.relay.queue.add(envelope, CONTENT)
        self.world.run(5)
        self.world.crash()
        self.world.run(HOUR)
        self.assertEqual(self.told(), [b"relayed"])
        self.assertEqual(len(self.mx.received), 1)
        self.world.assertNothingLost()
