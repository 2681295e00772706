"""
Stories of smart hosts that want tokens, over real connections: the tokens end, the
server that gives them is down, gives other refresh tokens, or a consent is revoked.
Mail flows whenever it can, and nothing bounces.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from incremental import Version
from twisted._version import __version__ as TWISTED
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import SkipTest

from relaymail.cli.authtest import Result, Trial, targetsOf
from relaymail.configuration import readFile
from relaymail.dialogue.patience import scaled
from relaymail.oauth2 import account, schedule
from relaymail.service import Relay
from relaymail.test.endtoend.harness import SOON, EndToEndTestCase, submit
from relaymail.test.endtoend.processes import until
from relaymail.testing.certificates import selfSigned
from relaymail.testing.servers import SMTPServer
from relaymail.testing.tokens import TokenServer

USER = "relay@sender.example"
#: How long tokens are good for, in seconds.
LIFETIME = 1.2
#: How long to wait for what usually takes minutes, in seconds.
MOMENT = 0.1


class TokensTestCase(EndToEndTestCase):
    """
    A token server, a smart host that wants its tokens, and somebody's consent.
    """

    def setUp(self) -> None:
        """
        Start both, and have little patience.
        """
        super().setUp()
        self.directory.mkdir(parents=True)
        for name in ("FIRST_WAIT", "LONGEST_WAIT", "REFUSED_WAIT"):
            self.patch(schedule, name, MOMENT)
        self.patch(account, "SHORTEST_WAIT", MOMENT)
        self.tokens = TokenServer(lifetime=LIFETIME, rotates=True).start()
        self.addCleanup(self.tokens.stop)
        self.host: SMTPServer = self.startServer(tokens=self.isGood)
        self.refresh = self.directory / "refresh"
        self.refresh.write_text("refresh-1\n")
        self.refresh.chmod(0o600)
        self.sent = 0

    def isGood(self, user: str, token: str) -> bool:
        """
        Say for the host whether a token is good.
        """
        return user == USER and self.tokens.isGood(token)

    def described(self) -> dict[str, Any]:
        """
        Describe the host.
        """
        return {
            "url": f"smtp://{self.host.address}",
            "user": USER,
            "auth": "clear",
            "oauth2": {
                "token-url": self.tokens.url,
                "client-id": "client-1",
                "refresh-token-file": str(self.refresh),
            },
        }

    def relay(self) -> Relay:
        """
        Start a relay.
        """
        relay = self.startRelay(smartHosts=[self.described()], retry=SOON)
        relay.manager.phaseTimeouts = scaled(0.05)
        # Each message logs in.
        relay.manager.idleTimeout = 0
        return relay

    async def send(self, relay: Relay) -> None:
        """
        Give a message to a relay.
        """
        await submit(self.portOf(relay))
        self.sent += 1

    async def arrives(self, relay: Relay) -> None:
        """
        Check that all mail has arrived, from the user, and no alarm is left.
        """
        await self.host.whenReceived(self.sent)
        await until(lambda: not relay.queue.getRelayed(), "it is settled")
        self.assertEqual(self.host.received[-1].session.user, USER)
        await until(lambda: not len(relay.siren.alarms), "no alarm sounds")

    def count(self, words: str) -> int:
        """
        Say how many lines of the log begin with some words.
        """
        return sum(line.startswith(words) for line in self.logged())

    async def waits(self) -> None:
        """
        Check that mail is tried again and again.
        """
        before = self.count("retry id=")
        await until(lambda: self.count("retry id=") > before + 1, "it waits")
        self.assertEqual(len(self.host.received), self.sent - 1)


class FlowTests(TokensTestCase):
    """
    Mail flows.
    """

    async def test_D11_story(self) -> None:
        """
        Tokens end, the server is down, the relay is restarted, the consent is
        revoked and given anew: all mail arrives, nothing bounces, and no secret is
        logged.
        """
        relay = self.relay()
        await self.send(relay)
        await self.arrives(relay)

        # The next token is had before the first one ends, and nobody waits for it.
        await until(lambda: len(self.tokens.forms) >= 2, "another token")
        self.assertTrue(self.tokens.isGood("token-2"))
        await self.send(relay)
        await self.arrives(relay)

        # The host refuses the token, and there is none.
        self.tokens.trouble = TokenServer.DOWN
        self.tokens.expire()
        await self.send(relay)
        await self.waits()
        (alarm,) = [a for a in relay.siren.alarms if a.key == f"token:{USER}"]
        self.assertIn("HTTP 503", alarm.text)
        self.tokens.trouble = None
        await self.arrives(relay)

        # The refresh token of the configuration is worth nothing by now.
        await relay.stopService()
        self.tokens.expire()
        relay = self.relay()
        await self.send(relay)
        await self.arrives(relay)
        last = self.tokens.forms[-1]["refresh_token"]
        self.assertTrue(last.startswith("rotated-"), last)

        # Somebody has revoked the consent, and gives it anew.
        self.tokens.revoke()
        await self.send(relay)
        await self.waits()
        (alarm,) = [a for a in relay.siren.alarms if a.key == f"token:{USER}"]
        self.assertIn(
            f"put the new refresh token into the file {self.refresh}", alarm.text
        )
        self.tokens.consent("refresh-9")
        self.refresh.write_text("refresh-9\n")
        await relay.reload(relay.configuration)
        await self.arrives(relay)

        self.assertEqual(self.count("bounced id="), 0)
        self.assertGreater(self.count("Alarm "), 1)
        self.assertSecretsKept("\n".join(self.logged()))

    def assertSecretsKept(self, said: str) -> None:
        """
        Check that no token is in a text (A09).
        """
        refreshTokens = {form["refresh_token"] for form in self.tokens.forms}
        self.assertGreater(len(refreshTokens), 2)
        for secret in (*self.tokens.ends, *refreshTokens):
            self.assertNotIn(secret, said)

    async def test_troubles(self) -> None:
        """
        A server that is silent, or says nonsense, keeps mail for as long.
        """
        self.tokens.trouble = TokenServer.GARBAGE
        relay = self.relay()
        await self.send(relay)
        await self.waits()
        self.tokens.trouble = TokenServer.SLOW
        asked = len(self.tokens.forms)
        await until(lambda: len(self.tokens.forms) > asked, "it is asked")
        self.tokens.trouble = None
        await self.arrives(relay)
        self.assertEqual(self.count("bounced id="), 0)

    async def test_A02_strangeCertificate(self) -> None:
        """
        No secret is given to a token server whose certificate nobody vouches for.
        """
        if Version("Twisted", 25, 5, 0) > TWISTED:
            # Its web server changes a TLS context that is in use already.
            raise SkipTest("HTTPS servers of this Twisted need an older pyOpenSSL")
        certificate = selfSigned("127.0.0.1")
        strange = TokenServer(contextFactory=certificate.contextFactory).start()
        self.addCleanup(strange.stop)
        self.tokens, known = strange, self.tokens
        relay = self.relay()
        await self.send(relay)
        await self.waits()
        self.assertEqual(strange.forms, [])
        (alarm,) = [a for a in relay.siren.alarms if a.key == f"token:{USER}"]
        self.assertIn("certificate verify failed", alarm.text)
        self.tokens = known

    async def test_P10_stopped(self) -> None:
        """
        A relay that is stopped while the server thinks ends, and keeps the refresh
        token that comes.
        """
        self.tokens.trouble = TokenServer.SLOW
        relay = self.relay()
        await self.send(relay)
        await until(lambda: self.tokens.forms, "it is asked")
        stopped = relay.stopService()
        self.tokens.trouble = None
        await stopped
        (file,) = Path(f"{relay.configuration.queue.path}-tokens").iterdir()
        self.assertEqual(json.loads(file.read_bytes())["refresh"], "rotated-1")
        await self.arrives(self.relay())


class AuthTestTests(TokensTestCase):
    """
    C{relaymail auth test}, in a process.
    """

    def setUp(self) -> None:
        """
        Write a configuration.
        """
        super().setUp()
        self.tokens.lifetime = 3600
        table = self.described()
        oauth2 = ", ".join(f'{k} = "{v}"' for k, v in table.pop("oauth2").items())
        said = ", ".join(f'{key} = "{value}"' for key, value in table.items())
        self.file = self.directory / "relaymail.toml"
        self.file.write_text(
            f'queue = "spool:{self.directory}/q.db"\nhostname = "relay.example"\n'
            f"[delivery]\nsmart-hosts = [{{ {said}, oauth2 = {{ {oauth2} }} }}]\n"
        )

    async def run_(self, *words: str) -> tuple[str, int]:
        """
        Give the command.

        @return: What it printed, and its exit code.
        """
        command = ["-m", "relaymail.cli.main", "--config", str(self.file)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        out, err, code = await getProcessOutputAndValue(
            sys.executable, [*command, "auth", "test", *words], environment
        )
        return (out + err).decode(), code

    async def test_steps(self) -> None:
        """
        It says what happens at each step, sends nothing, and keeps what it is given
        for the relay; what is kept is used the next time.
        """
        said, code = await self.run_()
        self.assertEqual(code, 0, said)
        for words in (
            f"1. 127.0.0.1 port {self.host.port} as {USER}",
            "ok    greeting    220 ",
            "tried in this order: OAUTHBEARER, XOAUTH2",
            "ok    token       had now from 127.0.0.1",
            "ok    AUTH        235 ",
            "it works",
        ):
            self.assertIn(words, said)
        self.assertEqual(self.host.received, [])
        for secret in ("token-1", "refresh-1", "rotated-1"):
            self.assertNotIn(secret, said)
        result = await self.tried()
        (token,) = [step.told for step in result.steps if step.name == "token"]
        self.assertIn("kept since", token)

    async def tried(self, isFresh: bool = False) -> Result:
        """
        Try the host as the command does, in this process.
        """
        from twisted.internet import reactor

        told = readFile(str(self.file))
        self.lines: list[str] = []
        trial = Trial(told, isFresh, self.lines.append)
        await trial.run(reactor, list(targetsOf(told)))
        return trial.results[0]

    async def test_fresh(self) -> None:
        """
        A new token is asked for where that is wanted, by the refresh token that the
        relay would use.
        """
        for isFresh in (False, True, False):
            self.assertTrue((await self.tried(isFresh)).isPassed, self.lines)
        self.assertEqual(
            [form["refresh_token"] for form in self.tokens.forms],
            ["refresh-1", "rotated-1"],
        )

    async def test_revoked(self) -> None:
        """
        What is wrong is said where it is, with what to do.
        """
        self.tokens.revoke()
        self.assertFalse((await self.tried()).isPassed)
        self.assertIn("  FAIL  token  ", self.lines[-2])
        self.assertIn("sign in again and put the new refresh token", self.lines[-2])
        self.assertIn("it does not work", self.lines[-1])

    async def test_unkept(self) -> None:
        """
        It is told when the relay will not have the tokens, though the login works.
        """
        Path(f"{self.directory}/q.db-tokens").touch()
        self.assertFalse((await self.tried()).isPassed)
        self.assertIn("cannot be kept", self.lines[-2])

    async def test_A08_anotherUser(self) -> None:
        """
        Another user is told to be the one that the relay runs as, and no refresh
        token is used up.
        """
        self.patch(os, "geteuid", lambda: 4711)
        self.assertFalse((await self.tried()).isPassed)
        self.assertIn("Give the command as that user", self.lines[-2])
        self.assertEqual(self.tokens.forms, [])
