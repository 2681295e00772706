# -*- test-case-name: relaymail.test.stories.test_smarthosts -*-
"""
Smart hosts as people have them: several in order, some for some senders, and mail
that may go over TLS only.
"""

from __future__ import annotations

from typing import Any

from relaymail.envelopes import DeliverBy, Envelope, Parameters
from relaymail.outcome.verdicts import LaneState
from relaymail.route.hosts import Credentials, Host, TLSNeed
from relaymail.route.memory import BAD_TIME
from relaymail.schedule.paces import MANY_FAILURES, State
from relaymail.test.stories.harness import (
    FIRST,
    SENDER,
    Logged,
    StoryTestCase,
)
from relaymail.test.stories.test_starttls import TLSTestCase
from relaymail.testing.doubles import CONTENT
from relaymail.testing.servers import KEYWORDS, SMTPServer

#: The addresses of the smart hosts.
ONE, TWO, NEWS = "192.0.2.91", "192.0.2.92", "192.0.2.93"
#: Who has a smart host of its own.
EDITOR = "editor@news.example"


def named(address: str, password: bytes | None = None) -> Host:
    """
    Give a smart host as an operator would have named it.
    """
    user = None if password is None else Credentials("relay", password)
    return Host(
        address, tls=TLSNeed.NEVER, credentials=user, authInClear=True, named=True
    )


class SmartHostsTestCase(StoryTestCase):
    """
    A test with smart hosts.
    """

    def deliver(self, sender: str = SENDER, recipient: str = "b@example.org") -> None:
        """
        Send a message, and let a second pass.
        """
        self.world.send(sender, recipient)
        self.world.run(1)

    def tried(self) -> list[str]:
        """
        Give the addresses that were tried since this was last asked.
        """
        tried = [address for address, _ in self.world.network.tried]
        self.world.network.tried.clear()
        return tried


class InOrderTests(SmartHostsTestCase):
    """
    Several smart hosts in order.
    """

    def setUp(self) -> None:
        super().setUp()
        self.set(smartHosts=(named(ONE), named(TWO)))

    def test_D02_failoverAndReturn(self) -> None:
        """
        Where the first is dead the second takes the mail in the same attempt, and
        the next mail at once; when the first is there again, it is used again.
        """
        second = self.world.host(TWO)
        self.deliver()
        self.assertEqual(self.tried(), [ONE, TWO])
        self.deliver()
        self.assertEqual(self.tried(), [TWO])
        self.assertEqual(len(second.received), 2)
        first = self.world.host(ONE)
        self.world.run(BAD_TIME)
        self.deliver()
        self.assertEqual(self.tried(), [ONE])
        self.assertEqual(len(first.received), 1)
        self.assertEmpty()

    def test_D11_refusedAtTheFirst(self) -> None:
        """
        Where the first refuses the password the second is asked in the same
        attempt; where that refuses too the mail waits.
        """
        hosts = (named(ONE, b"old"), named(TWO, b"new"))
        self.set(smartHosts=hosts)
        self.world.host(ONE, users={"relay": "other"})
        second = self.world.host(TWO, users={"relay": "new"})
        self.deliver()
        self.assertEqual(self.tried(), [ONE, TWO])
        self.assertEqual(len(second.received), 1)
        self.assertEmpty()
        self.world.host(TWO, users={"relay": "newer"})
        (name,) = self.world.send(SENDER, "b@example.org")
        with Logged() as logged:
            self.world.run(1)
        self.assertRetried(name)
        self.assertIn("535 ", logged.outcomes[0])


class BySenderTests(SmartHostsTestCase):
    """
    Smart hosts of some senders.
    """

    def setUp(self) -> None:
        super().setUp()
        self.news = (named(NEWS, b"press"),)
        self.set(senderHosts={"@news.example": self.news})

    def test_ownCredentials(self) -> None:
        """
        The mail of a sender goes to its own smart host, with its own password;
        that of others goes where it went.
        """
        host = self.world.host(NEWS, users={"relay": "press"})
        other = self.world.host(FIRST)
        self.deliver(EDITOR)
        self.deliver()
        self.assertEqual([m.sender for m in host.received], [EDITOR])
        self.assertEqual([session.user for session in host.sessions], ["relay"])
        self.assertEqual([m.sender for m in other.received], [SENDER])

    def test_noticesGoTheUsualWay(self) -> None:
        """
        A notice is nobody's mail, and goes by the smart hosts of all.
        """
        usual = self.world.host(ONE)
        self.set(smartHosts=(named(ONE),))
        said = {"RCPT b@example.org": "550 5.1.1 Nobody"}
        self.world.host(NEWS, said, users={"relay": "press"})
        self.deliver(EDITOR)
        self.assertEqual([m.sender for m in usual.received], [""])
        self.assertEqual([m.recipients for m in usual.received], [(EDITOR,)])

    def test_inOrder(self) -> None:
        """
        They are tried in their order, too.
        """
        self.set(senderHosts={EDITOR: (named(ONE), named(TWO))})
        second = self.world.host(TWO)
        self.deliver(EDITOR)
        self.assertEqual(self.tried(), [ONE, TWO])
        self.assertEqual(len(second.received), 1)

    def failAt(self, *sites: Any) -> None:
        """
        Suspend sites because they fail.
        """
        for site in sites:
            self.set(retrySchedule=(300.0,))
            for _ in range(MANY_FAILURES):
                self.world.manager.noteLane(site, LaneState.FAILING, "refused")

    def test_D02_othersServe(self) -> None:
        """
        Where the usual hosts fail, the mail of a sender goes to its own, and
        nothing of its destination is held back in the queue for them; where all
        fail, it is until the first is to be tried again.
        """
        usual = (named(ONE),)
        self.set(smartHosts=usual)
        host = self.world.host(NEWS, users={"relay": "press"})
        manager = self.world.manager
        self.failAt(usual)
        self.assertIsNone(manager.suspendedUntil("example.org"))
        self.assertEqual(manager.standingOf("example.org").state, State.SUSPENDED)
        self.assertEqual(manager.standingOf("example.org", EDITOR).state, State.READY)
        self.deliver(EDITOR)
        self.deliver()
        self.assertEqual([m.sender for m in host.received], [EDITOR])
        self.assertEqual(len(self.world.queue.getResting()), 1)
        first = manager._work.scheduler.paces.suspendedUntil(usual, 0)
        self.world.run(10)
        self.failAt(self.news)
        self.assertEqual(manager.suspendedUntil("example.org"), first)

    def test_D02_othersAreNoneTheWorse(self) -> None:
        """
        Where the hosts of a sender fail, the mail of others goes on.
        """
        self.failAt(self.news)
        host = self.world.host(FIRST)
        self.deliver()
        (name,) = self.world.send(EDITOR, "c@example.org")
        self.world.run(1)
        self.assertEqual([m.sender for m in host.received], [SENDER])
        self.assertEqual(list(self.world.queue.getResting()), [name])

    def test_forgive(self) -> None:
        """
        A destination is tried at once by all hosts it may go by, and once for each
        order.
        """
        self.failAt(self.news, "example.org")
        manager, before = self.world.manager, set[Any]()
        manager.forgive("example.org", before)
        for sender in ("", EDITOR):
            standing = manager.standingOf("example.org", sender)
            self.assertIsNot(standing.state, State.SUSPENDED)
        self.failAt(self.news)
        manager.forgive("example.org", before)
        standing = manager.standingOf("example.org", EDITOR)
        self.assertIs(standing.state, State.SUSPENDED)

    def test_suspendAndResume(self) -> None:
        """
        What an operator suspends rests, whoever it is from and whatever it is,
        and goes on when he says so.
        """
        host = self.world.host(NEWS, users={"relay": "press"})
        manager = self.world.manager
        manager.suspend("example.org")
        self.deliver(EDITOR)
        self.assertEqual(self.tried(), [])
        self.assertIsNotNone(manager.suspendedUntil("example.org"))
        manager.resume("example.org")
        self.successResultOf(manager.flush("example.org"))
        self.world.run(1)
        self.assertEqual(len(host.received), 1)

    def test_suspendWhatWaits(self) -> None:
        """
        What waits for the hosts of a sender rests, too.
        """
        manager, queue = self.world.manager, self.world.queue
        names = self.world.send(EDITOR, "b@example.org")
        names += self.world.send(SENDER, "b@example.org")
        manager._work.placeAll()
        manager.suspend("example.org")
        self.assertEqual(sorted(queue.getResting()), sorted(names))

    def test_connectionsTo(self) -> None:
        """
        All connections count that its mail may go over.
        """
        self.world.host(NEWS, users={"relay": "press"})
        self.world.host(FIRST)
        self.set(idleTimeout=60.0)
        self.deliver(EDITOR)
        self.deliver()
        self.assertEqual(self.world.manager.connectionsTo("example.org"), 2)
        self.assertEqual(self.world.manager.connectionsTo("no domain"), 0)

    def test_settingsChanged(self) -> None:
        """
        Mail that waits goes to the hosts that were named for its sender meanwhile.
        """
        self.world.send(EDITOR, "b@example.org")
        self.world.manager._work.placeAll()
        host = self.world.host(TWO)
        self.set(senderHosts={EDITOR: (named(TWO),)})
        self.world.manager.settingsChanged()
        self.world.run(1)
        self.assertEqual(len(host.received), 1)


class ParametersTests(SmartHostsTestCase):
    """
    What senders said of their mail.
    """

    def add(self, parameters: Parameters) -> str:
        """
        Queue a message.
        """
        envelope = Envelope(SENDER, ("b@example.org",), parameters)
        added = self.successResultOf(self.world.queue.add(envelope, CONTENT))
        return str(added[0])

    def test_requireTLSByPlainLookup(self) -> None:
        """
        Mail that may go over TLS only is returned where nobody vouches for the
        hosts (RFC 8689 5), and none of them is asked; other mail goes on.
        """
        host = self.world.host(FIRST)
        self.world.exchange("example.org", {"mx.elsewhere.example": FIRST})
        with Logged() as logged:
            self.add(Parameters(requireTLS=True))
            self.deliver(recipient="c@example.org")
        self.assertEqual([m.recipients for m in host.received], [("c@example.org",)])
        bounced = [each for each in logged.outcomes if each.startswith("bounced")]
        # The notice of it could not go over TLS only, either; what is told instead
        # gives nothing away.
        for line in bounced:
            self.assertIn(" status=5.7.30 ", line)
        self.assertEqual(len(bounced), 2)
        (told,) = self.home.received
        self.assertEqual(told.recipients, ("postmaster@example.com",))
        standing = self.world.manager.standingOf("example.org")
        self.assertEqual(standing.state, State.READY)

    def test_requireTLSAtASmartHost(self) -> None:
        """
        A smart host without TLS does not get it, nor the notice of it, but what is
        told of that instead.
        """
        self.set(smartHosts=(named(ONE),))
        host = self.world.host(ONE)
        self.add(Parameters(requireTLS=True))
        self.world.run(1)
        (told,) = host.received
        self.assertEqual(told.recipients, ("postmaster@example.com",))
        commands = [line for s in host.sessions for line in s.commands]
        self.assertEqual([line for line in commands if SENDER in line], [])

    def test_deliverBy(self) -> None:
        """
        What is to be delivered by a time is looked at then, though it would rest
        for longer.
        """
        self.set(retrySchedule=(600.0,))
        now = self.world.queue.clock.seconds()
        self.add(Parameters(deliverBy=DeliverBy(now + 60)))
        self.world.run(1)
        self.assertEqual(self.dueIn(), 59)

    def test_expiryOfWhatWasHeld(self) -> None:
        """
        What was held back expires as much later.
        """
        self.set(retrySchedule=(100.0,), expireAfter=150.0)
        now = self.world.queue.clock.seconds()
        name = self.add(Parameters(holdUntil=now + 1000))
        self.world.run(1001)
        self.assertRetried(name)
        self.world.run(120)
        self.assertRetried(name)
        self.world.run(40)
        self.assertEqual(len(self.notices()), 1)


class RequireTLSTests(TLSTestCase):
    """
    Mail that may go over TLS only (RFC 8689), at a smart host.
    """

    def deliver(self, *keywords: str) -> SMTPServer:
        """
        Send such a message by a smart host with TLS that is used where it is offered.
        """
        self.smartHost(caFile=self.certificate)
        host = self.world.host(
            FIRST, keywords=(*KEYWORDS, *keywords), contextFactory=self.context
        )
        envelope = Envelope(SENDER, ("b@example.org",), Parameters(requireTLS=True))
        self.world.queue.add(envelope, CONTENT)
        self.world.send(SENDER, "c@example.org")
        self.world.run(5)
        return host

    def test_taken(self) -> None:
        """
        It goes over a connection of its own, with TLS that was verified, and says
        so to the host.
        """
        host = self.deliver("REQUIRETLS")
        commands = [
            line
            for session in host.sessions
            for line in session.commands
            if line.startswith("MAIL")
        ]
        self.assertEqual(len(host.received), 2)
        self.assertEqual(len(host.sessions), 2)
        self.assertEqual(len([c for c in commands if "REQUIRETLS" in c]), 1)
        self.assertTrue(all(m.session.isTLS for m in host.received))

    def test_notOffered(self) -> None:
        """
        A host that does not promise TLS for the rest of the way gets only other
        mail, such as what tells of it without a word of it (RFC 8689 5).
        """
        other, notice = self.deliver().received
        self.assertEqual(other.recipients, ("c@example.org",))
        self.assertEqual(notice.recipients, ("postmaster@example.com",))
        self.assertIn(b"Status: 5.7.30", notice.content)
        self.assertEmpty()
