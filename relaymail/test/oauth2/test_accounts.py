"""
Tests for L{relaymail.oauth2.accounts} and L{relaymail.oauth2.account}.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from twisted.internet import defer
from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.internet.error import ConnectionRefusedError, TimeoutError
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from relaymail.errors import TokenError
from relaymail.fetching import Answer
from relaymail.identities import ITokens
from relaymail.oauth2.account import LOOK_EVERY, Account
from relaymail.oauth2.accounts import STOP_PATIENCE, Accounts
from relaymail.route.passwords import PasswordKind, PasswordSource
from relaymail.test.oauth2.samples import CONSENTED, SERVICE, USER

EXPIRED = {"error": "invalid_grant", "error_description": "It has expired."}


class Server:
    """
    What stands for all token servers.

    @ivar asked: The forms it was sent.
    @ivar waiting: What is not answered yet.
    @ivar answers: What it answers with; none: it lets wait.
    """

    def __init__(self, reactor: Any) -> None:
        self.asked: list[dict[str, str]] = []
        self.waiting: list[Deferred[Answer]] = []
        self.answers: Any = None
        self.isStopped = False

    def post(self, url: str, form: bytes) -> Deferred[Answer]:
        """
        Take a form.
        """
        self.asked.append(dict(parse_qsl(form.decode())))
        if self.answers is not None:
            return maybeDeferred(self.answers, len(self.asked))
        waiting: Deferred[Answer] = Deferred()
        self.waiting.append(waiting)
        return waiting

    def stop(self) -> None:
        """
        Close connections.
        """
        self.isStopped = True


def granted(number: int, **more: Any) -> Answer:
    """
    Give an answer with a token.
    """
    said = {"access_token": f"token-{number}", "expires_in": 3600, **more}
    return Answer(200, json.dumps(said).encode())


def refused(number: int = 0, said: dict[str, str] = EXPIRED) -> Answer:
    """
    Give an answer without one.
    """
    return Answer(400, json.dumps(said).encode())


def down(number: int = 0) -> Answer:
    """
    Give the answer of a server that is down.
    """
    return Answer(503, b"<html>", "7")


class AccountsTestCase(SynchronousTestCase):
    """
    Accounts, a token server and a clock.

    @ivar accounts: The accounts.
    @ivar server: The server.
    """

    accounts: Accounts
    server: Server

    def setUp(self) -> None:
        """
        Start.
        """
        self.clock = Clock()
        self.clock.advance(1_000_000.0)
        self.told: dict[str, str | None] = {}
        self.begin()
        self.server.answers = granted

    def begin(self) -> None:
        """
        Begin as a process does, after the one before.
        """
        if hasattr(self, "accounts"):
            self.accounts.stop()
        self.accounts = Accounts(str(Path(self._directory()) / "tokens"))
        self.server = Server(self.clock)
        self.accounts.fetcherFactory = lambda reactor: self.server
        self.accounts.chance = lambda: 0.5
        self.accounts.start(self.clock, maybeDeferred, self.tell)

    def tell(self, key: str, text: str | None, sign: str | None) -> None:
        """
        Hear what is the matter.
        """
        self.told[key] = text

    def _directory(self) -> str:
        if not hasattr(self, "directory"):
            self.directory = str(Path(self.mktemp()).absolute())
            Path(self.directory).mkdir()
        return self.directory

    def service(self, secret: bytes = b"secret") -> Account:
        """
        Give the account of a service.
        """
        return self.accounts.tokensFor(USER, SERVICE, secret, None)

    def consented(self, refresh: bytes = b"refresh-0", **more: Any) -> Account:
        """
        Give the account of somebody who has consented.
        """
        oauth2 = replace(CONSENTED, **more)
        return self.accounts.tokensFor(USER, oauth2, None, refresh)

    def token(self, account: Account) -> bytes:
        """
        Give the token that is given now.
        """
        token = self.successResultOf(account.token())
        assert isinstance(token, bytes)
        return token

    def error(self, account: Account) -> TokenError:
        """
        Give why there is none now.
        """
        error = self.failureResultOf(account.token(), TokenError).value
        assert isinstance(error, TokenError)
        return error


class SharingTests(AccountsTestCase):
    """
    One account for all who ask.
    """

    def test_one(self) -> None:
        """
        An account is the same for all who ask, and another for another user.
        """
        account = self.service()
        self.assertTrue(ITokens.providedBy(account))
        self.assertIs(self.service(), account)
        other = self.accounts.tokensFor("other", SERVICE, b"secret", None)
        self.assertIsNot(other, account)
        self.assertEqual(len(self.accounts), 2)
        self.assertEqual(self.server.asked, [])

    def test_asked(self) -> None:
        """
        It is asked for once, by what is configured, and given as long as it is good.
        """
        account = self.service()
        self.assertEqual(self.token(account), b"token-1")
        self.clock.advance(2000)
        self.assertEqual(self.token(account), b"token-1")
        (form,) = self.server.asked
        self.assertEqual(form["client_secret"], "secret")

    def test_together(self) -> None:
        """
        Who asks while it is asked for waits for the same answer; one who asks no
        longer does not keep the others from it.
        """
        self.server.answers = None
        account = self.service()
        waiting = [account.token() for _ in range(3)]
        waiting[1].cancel()
        self.failureResultOf(waiting[1])
        (asked,) = self.server.waiting
        asked.callback(granted(1))
        for each in (waiting[0], waiting[2]):
            self.assertEqual(self.successResultOf(each), b"token-1")

    def test_allCancelled(self) -> None:
        """
        What is asked for comes, also when nobody waits any more: the server may have
        given another refresh token.
        """
        self.server.answers = None
        account = self.consented()
        waiting = account.token()
        waiting.cancel()
        self.failureResultOf(waiting)
        self.server.waiting[0].callback(granted(1, refresh_token="refresh-1"))
        self.assertEqual(self.token(account), b"token-1")

    def test_askedAgainWhenTold(self) -> None:
        """
        Who is told that there is none, and asks again at once, is told again, and
        nobody is asked.
        """
        self.server.answers = None
        account = self.service()
        again: list[Deferred[Any]] = []
        first = account.token()
        first.addErrback(lambda _: again.append(account.token()))
        self.server.waiting[0].callback(down())
        self.failureResultOf(again[0], TokenError)
        self.assertEqual(len(self.server.asked), 1)

    def test_stop(self) -> None:
        """
        Nothing goes on after a stop; after another start it does.
        """
        account = self.service()
        self.token(account)
        self.successResultOf(self.accounts.stop())
        self.assertTrue(self.server.isStopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.error(account)
        account.refused(b"token-1")
        self.accounts.start(self.clock, maybeDeferred)
        self.token(account)

    def test_P10_stopWhileAsked(self) -> None:
        """
        What is asked for when the relay stops is told to nobody, but kept: the
        refresh token that was used for it may be worth nothing any more.
        """
        self.server.answers = None
        account = self.consented()
        waiting = account.token()
        stopped = self.accounts.stop()
        self.failureResultOf(waiting, TokenError)
        self.assertNoResult(stopped)
        self.server.waiting[0].callback(granted(1, refresh_token="refresh-1"))
        self.successResultOf(stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        kept = self.accounts.store.load(account.name)
        assert kept is not None
        self.assertEqual(kept.refresh, b"refresh-1")

    def test_stopWhileSilent(self) -> None:
        """
        A server that does not answer is not waited for when the relay stops.
        """
        self.server.answers = None
        account = self.service()
        self.failureResultOf(self._tokenThenStop(account), TokenError)
        self.clock.advance(STOP_PATIENCE + 1)
        self.successResultOf(self.stopped)
        self.assertTrue(self.server.isStopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def _tokenThenStop(self, account: Account) -> Deferred[bytes]:
        waiting = account.token()
        self.stopped = self.accounts.stop()
        return waiting

    def test_stopWhileRead(self) -> None:
        """
        Nobody is asked who was not asked when the relay stops.
        """
        reading: Deferred[None] = Deferred()
        self.accounts.run = lambda job: reading
        self.failureResultOf(self._tokenThenStop(self.service()), TokenError)
        reading.callback(None)
        self.assertEqual(self.server.asked, [])

    def test_notStarted(self) -> None:
        """
        Before the start nothing is opened.
        """
        accounts = Accounts("nowhere")
        account = accounts.tokensFor(USER, SERVICE, b"secret", None)
        self.failureResultOf(account.token(), TokenError)

    def test_retain(self) -> None:
        """
        An account that the configuration has no more asks no more.
        """
        account, other = self.service(), self.consented()
        self.token(account)
        self.token(other)
        self.accounts.retain([other.name])
        self.assertEqual(len(self.accounts), 1)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.error(account)
        self.token(other)


class TimeTests(AccountsTestCase):
    """
    When it is asked for.
    """

    def test_beforeItEnds(self) -> None:
        """
        The next one is asked for in time, without anybody waiting for it.
        """
        account = self.service()
        self.token(account)
        self.server.answers = None
        self.clock.advance(2880)
        self.assertEqual(len(self.server.asked), 2)
        self.assertEqual(self.token(account), b"token-1")
        self.server.waiting[0].callback(granted(2))
        self.assertEqual(self.token(account), b"token-2")

    def test_outage(self) -> None:
        """
        While the server is down the token that is there is given, as long as it is
        good; it is asked again with longer and longer waits, and nobody is told
        before it matters.
        """
        account = self.service()
        self.token(account)
        self.server.answers = down
        self.clock.advance(2880)
        self.clock.pump([1] * 650)
        self.assertEqual(self.token(account), b"token-1")
        self.assertIsNone(self.told[account.key])
        self.assertLess(len(self.server.asked), 10)
        self.assertGreater(len(self.server.asked), 5)
        self.clock.pump([1] * 1000)
        self.assertIn("HTTP 503", str(self.error(account)))
        self.assertIn("HTTP 503", self.told[account.key] or "")
        self.server.answers = granted
        self.clock.pump([1] * 1200)
        self.token(account)
        self.assertIsNone(self.told[account.key])

    def test_backOff(self) -> None:
        """
        However often it is asked for, the server is asked as often as it wants.
        """
        self.server.answers = down
        account = self.service()
        self.error(account)
        for _ in range(69):
            self.clock.advance(0.1)
            self.assertFalse(self.error(account).isLasting)
        self.assertEqual(len(self.server.asked), 1)
        self.clock.advance(0.2)
        self.assertEqual(len(self.server.asked), 2)

    def test_troubles(self) -> None:
        """
        What goes wrong on the way is told in words.
        """
        for error, words in (
            (ConnectionRefusedError("no"), "ConnectionRefusedError"),
            (TimeoutError(), "in time"),
            (defer.TimeoutError(), "in time"),
            (ValueError("secret"), "ValueError: (secret)"),
        ):
            self.server.answers = lambda _, error=error: fail(error)
            self.clock.advance(10_000)
            self.assertIn(words, str(self.error(self.service())))
        for answer, words in (
            (Answer(302, b"", None, "https://x/"), "points to https://x/"),
            (Answer(200, b"?"), "no JSON"),
            (Answer(200, b"{}"), "no access token"),
        ):
            self.server.answers = lambda _, answer=answer: answer
            self.clock.advance(10_000)
            self.assertIn(words, str(self.error(self.service())))

    def test_P8_tokenOfTheFuture(self) -> None:
        """
        A token that was had before the clock was set back is not taken for one that
        is good for so much longer.
        """
        account = self.service()
        self.token(account)
        self.clock.rightNow -= 5000
        self.assertEqual(self.token(account), b"token-2")

    def test_P8_clockSetBack(self) -> None:
        """
        A clock that is set back makes nobody wait for years (P8).
        """
        account = self.service()
        self.clock.rightNow += 1e8
        self.token(account)
        self.server.answers = down
        account.refused(b"token-1")
        self.clock.rightNow += 100
        self.error(account)
        self.clock.rightNow -= 1e8
        self.server.answers = granted
        self.token(account)


class LastingTests(AccountsTestCase):
    """
    What somebody has to mend.
    """

    def test_rarely(self) -> None:
        """
        It is told at once, asked again by the hour, and told when it is over.
        """
        self.server.answers = refused
        account = self.consented()
        error = self.error(account)
        self.assertTrue(error.isLasting)
        self.assertIn("sign in again", str(error))
        self.assertEqual(self.told[account.key], str(error))
        self.clock.pump([10] * 359)
        self.assertEqual(len(self.server.asked), 1)
        self.server.answers = granted
        self.clock.advance(11)
        self.assertIsNone(self.told[account.key])
        self.token(account)

    def test_fileChanged(self) -> None:
        """
        Another refresh token in its file is taken before long, without a reload.
        """
        file = Path(self.directory) / "refresh"
        file.write_text("refresh-0\n")
        source = PasswordSource(PasswordKind.FILE, str(file))
        self.server.answers = refused
        account = self.consented(refreshToken=source)
        self.error(account)
        self.clock.advance(LOOK_EVERY + 1)
        self.error(account)
        self.assertEqual(len(self.server.asked), 1)
        file.write_text("refresh-9\n")
        self.server.answers = granted
        self.error(account)
        self.clock.advance(LOOK_EVERY + 1)
        self.assertEqual(self.token(account), b"token-2")
        self.assertEqual(self.server.asked[-1]["refresh_token"], "refresh-9")

    def test_askedTooSoon(self) -> None:
        """
        What is asked again a moment too soon is asked again all the same.
        """
        self.server.answers = refused
        account = self.consented()
        self.error(account)
        account._cameDue()
        self.assertEqual(len(self.server.asked), 1)
        self.clock.advance(3601)
        self.assertEqual(len(self.server.asked), 2)

    def test_reload(self) -> None:
        """
        When the configuration is read again it is asked again at once.
        """
        self.server.answers = refused
        account = self.consented()
        self.error(account)
        self.server.answers = granted
        self.assertIs(self.consented(b"refresh-9"), account)
        self.accounts.retain([account.name])
        self.assertIsNone(self.told[account.key])
        self.assertEqual(self.token(account), b"token-2")

    def test_whileGood(self) -> None:
        """
        It is told at once, also while the token that is there is good.
        """
        account = self.consented()
        self.token(account)
        self.server.answers = refused
        self.clock.advance(2880)
        self.assertIn("sign in again", self.told[account.key] or "")
        self.assertEqual(self.token(account), b"token-1")


class RefusedTests(AccountsTestCase):
    """
    Tokens that hosts do not take.
    """

    def test_dropped(self) -> None:
        """
        One that was good for a while is not given again, and the next is asked for
        at once.
        """
        account = self.service()
        token = self.token(account)
        self.clock.advance(600)
        account.refused(token)
        self.assertEqual(self.token(account), b"token-2")
        # The news of another session is old by now.
        account.refused(token)
        self.assertEqual(self.token(account), b"token-2")

    def test_refusesEverything(self) -> None:
        """
        A host that refuses each token does not make the server be asked all the
        time.
        """
        account = self.service()
        for _ in range(3600):
            self.clock.advance(1)
            account.token().addCallbacks(account.refused, lambda _: None)
        self.assertLess(len(self.server.asked), 10)
        self.assertIn("has refused the token", str(self.error(account)))


class KeepingTests(AccountsTestCase):
    """
    Tokens across restarts.
    """

    def test_restart(self) -> None:
        """
        A token that is good is used by the next process.
        """
        self.token(self.service())
        self.begin()
        self.assertEqual(self.token(self.service()), b"token-1")
        self.assertEqual(self.server.asked, [])

    def test_rotated(self) -> None:
        """
        A refresh token that the server gave stands for the one of the
        configuration, also after a restart; one without a new one leaves it.
        """
        self.server.answers = lambda n: granted(n, refresh_token="refresh-1")
        self.token(self.consented())
        self.begin()
        self.server.answers = granted
        self.clock.advance(4000)
        account = self.consented()
        self.assertEqual(self.token(account), b"token-1")
        self.assertEqual(self.server.asked[-1]["refresh_token"], "refresh-1")
        self.clock.advance(2881)
        self.assertEqual(self.server.asked[-1]["refresh_token"], "refresh-1")

    def test_newConsent(self) -> None:
        """
        Another refresh token in the configuration is newer than what came from the
        one before.
        """
        self.server.answers = lambda n: granted(n, refresh_token="refresh-1")
        self.token(self.consented())
        self.begin()
        self.server.answers = granted
        self.token(self.consented(b"refresh-9"))
        self.assertEqual(self.server.asked[-1]["refresh_token"], "refresh-9")

    def test_overtaken(self) -> None:
        """
        Where somebody else was given the next refresh token, that is used instead of
        the one that is refused now.
        """
        self.server.answers = lambda n: granted(n, refresh_token="refresh-1")
        account = self.consented()
        self.token(account)
        kept = self.accounts.store.load(account.name)
        assert kept is not None
        self.accounts.store.save(account.name, replace(kept, refresh=b"refresh-2"))
        self.clock.advance(2879)
        self.server.answers = lambda n: refused() if n == 2 else granted(n)
        self.clock.advance(2)
        self.assertEqual(self.server.asked[-1]["refresh_token"], "refresh-2")
        self.assertEqual(self.token(account), b"token-3")

    def test_keptBeforeUsed(self) -> None:
        """
        A refresh token that cannot be kept is not used: mail goes while the token
        is good, somebody is told, and it is kept as soon as that can be done.
        """
        path = Path(self.accounts.store.path)
        path.mkdir(mode=0o755)
        self.server.answers = lambda n: granted(n, refresh_token=f"refresh-{n}")
        account = self.consented()
        with capturedLogs() as events:
            self.assertEqual(self.token(account), b"token-1")
        self.assertIn("cannot be kept", self.told[account.key] or "")
        self.assertIn("had anew", " ".join(map(str, map(formatEvent, events))))
        self.clock.advance(3600)
        self.assertEqual(len(self.server.asked), 1)
        self.assertIn("cannot be kept", str(self.error(account)))
        path.chmod(0o700)
        self.clock.pump([10] * 100)
        self.assertEqual(self.server.asked[1]["refresh_token"], "refresh-1")
        self.assertIsNone(self.told[account.key])

    def test_A09_secrets(self) -> None:
        """
        No secret is logged, told or shown.
        """
        told: list[str | None] = []
        self.accounts.tell = lambda key, text, sign: told.append(text)
        with capturedLogs() as events:
            self.server.answers = lambda n: granted(n, refresh_token="refresh-1")
            account = self.consented()
            token = self.token(account)
            account.refused(token)
            self.server.answers = lambda n: refused(
                n, {"error": "invalid_grant", "error_description": "no refresh-1"}
            )
            self.clock.advance(100)
            self.error(account)
            self.server.answers = lambda n: fail(ValueError("refresh-1"))
            self.clock.advance(4000)
        said = " ".join(map(str, [*map(formatEvent, events), *told]))
        self.assertIn("no (secret)", said)
        for secret in ("refresh-0", "refresh-1", "token-1"):
            self.assertNotIn(secret, said)
