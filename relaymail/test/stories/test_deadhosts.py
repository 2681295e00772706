# -*- test-case-name: relaymail.test.stories.test_deadhosts -*-
"""
Hosts that are dead for a long time, while mail comes all the time: how often they are
tried, and what that costs.
"""

from __future__ import annotations

from collections import Counter

from relaymail.dialogue.patience import PATIENCE
from relaymail.replies import Phase
from relaymail.route.hosts import Host, TLSNeed
from relaymail.route.memory import BAD_TIME, SLOW_TIME
from relaymail.route.mx import MXCalculator
from relaymail.test.stories.harness import FIRST, SECOND, SENDER, StoryTestCase
from relaymail.testing.network import Fate
from relaymail.testing.servers import SMTPServer

#: How long a silent address is waited for, in seconds.
WAIT = PATIENCE[Phase.CONNECT]
#: How many messages come while a host is bad.
MESSAGES = 12


class DeadTestCase(StoryTestCase):
    """
    A test in which the first host is silent and the second takes all mail.

    @ivar second: The second.
    """

    second: SMTPServer

    def setUp(self) -> None:
        super().setUp()
        self.world.network.fates[FIRST] = Fate.SILENT
        self.second = self.world.host(SECOND)

    def mail(self, count: int, seconds: float) -> Counter[str]:
        """
        Let mail come for some time, a message at a time.

        @return: How often each address was connected to meanwhile.
        """
        self.world.network.tried.clear()
        for _ in range(count):
            self.world.send(SENDER, "b@example.org")
            self.world.run(seconds / count)
        return Counter(address for address, _ in self.world.network.tried)

    def assertSkippedFor(self, seconds: float) -> None:
        """
        The first host costs one time-out, is not tried for some time whatever mail
        comes, and is tried again after that.
        """
        self.set(maxConnections=1)
        self.world.send(SENDER, "b@example.org")
        self.world.run(WAIT - 1)
        self.assertEqual(self.second.received, [])
        self.world.run(2)
        self.assertEqual(len(self.second.received), 1)
        self.assertEqual(self.mail(MESSAGES, seconds - 2)[FIRST], 0)
        self.assertEqual(len(self.second.received), 1 + MESSAGES)
        # Again one time-out, for whatever mail comes meanwhile.
        self.world.run(2)
        self.assertEqual(self.mail(MESSAGES, seconds)[FIRST], 1)
        self.world.run(WAIT)
        self.assertEqual(len(self.second.received), 1 + 2 * MESSAGES)
        self.assertEmpty()

    def assertComesBack(self, seconds: float) -> None:
        """
        A host that works again gets the mail again after some time.
        """
        self.world.send(SENDER, "b@example.org")
        self.world.run(WAIT + 1)
        del self.world.network.fates[FIRST]
        first = self.world.host(FIRST)
        self.mail(MESSAGES, seconds)
        self.assertEqual(first.received, [])
        self.assertEqual(len(self.second.received), 1 + MESSAGES)
        self.mail(MESSAGES, seconds)
        self.assertEqual(len(first.received), MESSAGES)
        self.assertEqual(len(self.second.received), 1 + MESSAGES)


class MXTests(DeadTestCase):
    """
    The first of two mail exchange hosts is dead.
    """

    def setUp(self) -> None:
        super().setUp()
        self.twoHosts()

    def test_D02_oneTimeOut(self) -> None:
        """
        It costs one time-out, and is skipped while it is bad.
        """
        self.assertSkippedFor(MXCalculator.timeOutBadMX)

    def test_D02_comesBack(self) -> None:
        """
        It is used again when it works.
        """
        self.assertComesBack(MXCalculator.timeOutBadMX)

    def test_D02_manyAtOnce(self) -> None:
        """
        Mail that comes at once, over all connections there may be, costs a time-out
        each of these, not each message.
        """
        self.set(maxConnections=4, maxConnectionsPerSite=4)
        for number in range(100):
            self.world.send(
                SENDER, f"b{number}@example.org", content=b"%d\r\n" % number
            )
        self.world.run(2 * WAIT)
        tried = Counter(address for address, _ in self.world.network.tried)
        self.assertEqual(len(self.second.received), 100)
        self.assertLessEqual(tried[FIRST], 4)

    def test_D02_oneFamilyDead(self) -> None:
        """
        A host one of whose addresses is dead is not bad: it costs a moment, and then
        nothing, until the address is tried again.
        """
        other = "2001:db8::11"
        self.world.zones["mx1.example.org"] = {"A": [FIRST], "AAAA": [other]}
        host = self.world.host(other)
        self.assertEqual(self.mail(MESSAGES, SLOW_TIME)[FIRST], 1)
        self.assertEqual(len(host.received), MESSAGES)
        self.assertEqual(self.mail(MESSAGES, SLOW_TIME)[FIRST], 1)
        self.assertEqual(len(host.received), 2 * MESSAGES)
        self.assertEqual(self.second.received, [])


class SmartHostTests(DeadTestCase):
    """
    The first of two smart hosts is dead.
    """

    def setUp(self) -> None:
        super().setUp()
        hosts = [Host(a, tls=TLSNeed.NEVER, named=True) for a in (FIRST, SECOND)]
        self.set(smartHosts=tuple(hosts))

    def test_D02_oneTimeOut(self) -> None:
        """
        It costs one time-out, and is skipped while it is bad.
        """
        self.assertSkippedFor(BAD_TIME)

    def test_D02_comesBack(self) -> None:
        """
        It is used again when it works.
        """
        self.assertComesBack(BAD_TIME)

    def test_D02_oneFindsOut(self) -> None:
        """
        When its time is over one connection finds out whether it works again, of all
        that there may be.
        """
        self.set(maxConnections=4, maxConnectionsPerSite=4)
        self.world.send(SENDER, "b@example.org")
        self.world.run(WAIT + BAD_TIME + 1)
        self.world.network.tried.clear()
        for number in range(40):
            content = b"%d\r\n" % number
            self.world.send(SENDER, f"b{number}@example.org", content=content)
        self.world.run(2 * WAIT)
        tried = Counter(address for address, _ in self.world.network.tried)
        self.assertEqual(tried[FIRST], 1)
        self.assertEqual(len(self.second.received), 41)
