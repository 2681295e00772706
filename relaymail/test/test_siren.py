"""
Tests for L{relaymail.siren}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from relaymail.replies import Phase, Reply, Trouble, TroubleKind
from relaymail.route.hosts import Bearer, Credentials, Host
from relaymail.siren import REPEAT, Siren

HOST = Host("smtp.example.net", 587, credentials=Credentials("me", b"secret"))
WRONG = Reply(535, (b"5.7.8 Not you (1)",))
KEY = "auth:me@smtp.example.net"


class SirenTests(SynchronousTestCase):
    """
    Alarms are heard.
    """

    def setUp(self) -> None:
        """
        Start one.
        """
        self.clock = Clock()
        self.siren = Siren()
        self.siren.start(self.clock)
        self.addCleanup(self.siren.stop)

    def heard(self, seconds: float = 0.0) -> list[str]:
        """
        Give what is logged as critical while time goes by.
        """
        with capturedLogs() as events:
            self.clock.pump([60.0] * int(seconds // 60))
        return [
            formatEvent(event)
            for event in events
            if event["log_level"] is LogLevel.critical
        ]

    def test_D11_atOnce(self) -> None:
        """
        Credentials that are refused are told at once, once.
        """
        with capturedLogs() as events:
            self.siren.authentication(HOST, WRONG)
            self.siren.authentication(HOST, Reply(535, (b"5.7.8 Not you (2)",)))
        (event,) = events
        self.assertIs(event["log_level"], LogLevel.critical)
        said = formatEvent(event)
        self.assertIn(f"Alarm {KEY}: smtp.example.net does not let me in: 535", said)
        self.assertIn("does not bounce", said)
        self.assertIn("`relaymail auth test`", said)
        self.assertEqual([alarm.key for alarm in self.siren.alarms], [KEY])

    def test_lasts(self) -> None:
        """
        What lasts is told every hour, until it is over.
        """
        self.siren.authentication(HOST, WRONG)
        (said,) = self.heard(REPEAT + 60)
        self.assertIn("for 1 h now", said)
        self.assertEqual(len(self.heard(2 * REPEAT)), 2)
        with capturedLogs() as events:
            self.siren.authentication(HOST, None)
            self.siren.authentication(HOST, None)
        self.assertEqual([formatEvent(e) for e in events], [f"Alarm {KEY} is over"])
        self.assertEqual(self.heard(2 * REPEAT), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_changed(self) -> None:
        """
        Another trouble is told at once, too.
        """
        self.siren.authentication(HOST, WRONG)
        with capturedLogs() as events:
            self.siren.authentication(HOST, Reply(454, (b"4.7.0 Later",)))
            self.siren.authentication(
                HOST, Trouble(Phase.AUTH, TroubleKind.AUTH, "no mechanism")
            )
        self.assertEqual(len(events), 2)

    def test_others(self) -> None:
        """
        A connection that broke says nothing of the credentials, and a host without
        any has none that could be refused.
        """
        for kind in (TroubleKind.LOST, TroubleKind.TIMEOUT, TroubleKind.GARBAGE):
            self.siren.authentication(HOST, Trouble(Phase.AUTH, kind))
        self.siren.authentication(Host("smtp.example.net"), WRONG)
        self.assertEqual(len(self.siren.alarms), 0)

    def test_token(self) -> None:
        """
        Where tokens stand for a password it is told so.
        """
        bearer = Bearer("me", "account", None)  # type: ignore[arg-type]
        self.siren.authentication(Host("x.example", credentials=bearer), WRONG)
        (alarm,) = self.siren.alarms
        self.assertIn("see that the token is right", alarm.text)

    def test_D11_noToken(self) -> None:
        """
        That there is no token is told once, by whoever asked for it, and not as if
        the host had refused something.
        """
        bearer = Bearer("me", "account", None)  # type: ignore[arg-type]
        host = Host("x.example", credentials=bearer)
        trouble = Trouble(Phase.AUTH, TroubleKind.AUTH, "login.example gave no token")
        self.siren.tell("token:me", "login.example gave no token")
        self.siren.authentication(host, trouble)
        self.assertEqual([a.key for a in self.siren.alarms], ["token:me"])
        # One that is refused nonetheless is another matter.
        self.siren.authentication(host, WRONG)
        self.assertEqual(len(self.siren.alarms), 2)

    def test_retain(self) -> None:
        """
        What the configuration has no more sounds no more; what is about something
        else goes on.
        """
        self.siren.authentication(HOST, WRONG)
        self.siren.tell("token:me", "no consent")
        self.siren.retain([HOST])
        self.assertEqual(len(self.siren.alarms), 2)
        self.siren.retain([Host("other.example")])
        self.assertEqual([a.key for a in self.siren.alarms], ["token:me"])

    def test_stop(self) -> None:
        """
        Nothing is left of it; what sounds is remembered for the next start.
        """
        self.siren.authentication(HOST, WRONG)
        self.siren.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        with capturedLogs() as events:
            self.siren.tell("token:me", "the relay stops")
            self.siren.authentication(HOST, None)
        self.assertEqual((len(events), len(self.siren.alarms)), (0, 1))
        self.siren.start(self.clock)
        self.assertEqual(len(self.heard(REPEAT + 60)), 1)

    def test_A03_oneLine(self) -> None:
        """
        What a host says is one printable line.
        """
        self.siren.authentication(HOST, Reply(535, (b"a\x1b[2J", b"b\r\nc")))
        (alarm,) = self.siren.alarms
        self.assertTrue(alarm.text.isprintable())
