"""
Tests for the credentials of a relay: the tokens and the alarms of its smart hosts,
from the start to the stop and when the configuration is read again.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, succeed

from relaymail.fetching import Answer
from relaymail.replies import Reply
from relaymail.route.hosts import Bearer
from relaymail.test.test_reload import ReloadTestCase
from relaymail.test.test_service import TestRelay

USER = "relay@example.com"
WRONG = Reply(535, (b"5.7.8 No",))


class Server:
    """
    What stands for all token servers.
    """

    def __init__(self, reactor: Any) -> None:
        self.asked: list[bytes] = []

    def post(self, url: str, form: bytes) -> Deferred[Answer]:
        """
        Give a token.
        """
        self.asked.append(form)
        said = {"access_token": f"token-{len(self.asked)}", "refresh_token": "next"}
        return succeed(Answer(200, json.dumps(said).encode()))

    def stop(self) -> None:
        """
        Close nothing.
        """


class CredentialsTests(ReloadTestCase):
    """
    A relay with a smart host that wants tokens.
    """

    def setUp(self) -> None:
        """
        Have a consent.
        """
        super().setUp()
        self.refresh = Path(self.mktemp()).absolute()
        self.refresh.write_text("consent\n")

    def host(self, **more: str) -> dict[str, Any]:
        """
        Describe the smart host.
        """
        return {
            "url": "smtps://smtp.example.net",
            "user": USER,
            "oauth2": {
                "token-url": "https://login.example/token",
                "client-id": "client",
                "refresh-token-file": str(self.refresh),
                **more,
            },
        }

    def runningWithTokens(self, **more: Any) -> TestRelay:
        """
        Start a relay with that host, and a server that gives tokens.
        """
        relay = self.running(smartHosts=[self.host()], **more)
        relay._accounts.fetcherFactory = Server
        return relay

    def bearer(self, relay: TestRelay) -> Bearer:
        """
        Give who the relay is at its smart host.
        """
        (host,) = relay.manager.smartHosts
        assert isinstance(host.credentials, Bearer)
        return host.credentials

    def test_A08_tokensAreBesideTheQueue(self) -> None:
        """
        Tokens are had when they are asked for, and kept beside the queue, which
        takes them for none of its own.
        """
        for queue in (self.directory, f"directory:{self.directory}2"):
            relay = self.runningWithTokens(queue=queue)
            path = Path(relay._accounts.store.path)
            self.assertFalse(path.exists())
            self.assertEqual(
                self.successResultOf(self.bearer(relay).tokens.token()), b"token-1"
            )
            self.assertEqual(len(list(path.iterdir())), 1)
            relay.queue.readDirectory()
            self.stop(relay)
            self.assertEqual(self.flushLoggedErrors(), [])

    def test_restart(self) -> None:
        """
        The next process has them.
        """
        relay = self.runningWithTokens()
        self.successResultOf(self.bearer(relay).tokens.token())
        self.stop(relay)
        relay = self.runningWithTokens()
        token = self.successResultOf(self.bearer(relay).tokens.token())
        self.assertEqual(token, b"token-1")
        self.assertIsNone(relay._accounts._fetcher)

    def test_reload(self) -> None:
        """
        The account stays where the configuration still has it, with another
        consent, too.
        """
        relay = self.runningWithTokens()
        tokens = self.bearer(relay).tokens
        self.successResultOf(tokens.token())
        self.refresh.write_text("another")
        self.reload(relay, self.told(smartHosts=[self.host()]))
        self.assertIs(self.bearer(relay).tokens, tokens)
        self.successResultOf(tokens.token())
        self.assertIn(b"refresh_token=another", relay._accounts._fetcher.asked[-1])

    def test_reloadWithout(self) -> None:
        """
        An account that is there no more is asked for nothing any more, and its
        alarms are over.
        """
        relay = self.runningWithTokens()
        (host,) = relay.manager.smartHosts
        self.successResultOf(host.credentials.tokens.token())
        relay.siren.tell(f"token:{USER}", "no consent")
        relay.manager.noteAuthentication(host, WRONG)
        self.assertEqual(len(relay.siren.alarms), 2)
        self.reload(relay, self.told(smartHosts=["smtp://other.example.net"]))
        self.assertEqual(len(relay.siren.alarms), 0)
        self.assertEqual(len(relay._accounts), 0)

    def test_D11_alarm(self) -> None:
        """
        What the relaying manager hears of credentials sounds an alarm, which lasts
        while the configuration is read again.
        """
        relay = self.runningWithTokens()
        (host,) = relay.manager.smartHosts
        relay.manager.noteAuthentication(host, WRONG)
        self.reload(relay, self.told(smartHosts=[self.host()]))
        (alarm,) = relay.siren.alarms
        self.assertEqual(alarm.key, f"auth:{USER}@smtp.example.net")
        relay.manager.noteAuthentication(host, None)
        self.assertEqual(len(relay.siren.alarms), 0)

    def test_D11_noTokenIsAnAlarm(self) -> None:
        """
        So does what a token server says.
        """
        relay = self.runningWithTokens()
        said = Answer(400, b'{"error": "invalid_grant"}')
        self.patch(Server, "post", lambda self, url, form: succeed(said))
        self.failureResultOf(self.bearer(relay).tokens.token())
        (alarm,) = relay.siren.alarms
        self.assertEqual(alarm.key, f"token:{USER}")
        self.assertIn(
            f"put the new refresh token into the file {self.refresh}", alarm.text
        )
