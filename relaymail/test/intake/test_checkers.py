"""
Tests for L{relaymail.intake.checkers}.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable
from typing import Any

from twisted.cred.credentials import (
    IUsernameHashedPassword,
    IUsernamePassword,
    UsernamePassword,
)
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.interfaces import IReactorThreads
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from relaymail.dialogue.sasl.scram import SHA256, matches
from relaymail.dialogue.sasl.steps import DigestClaim, ScramClaim
from relaymail.envelopes import Client
from relaymail.errors import Refused
from relaymail.intake import checkers
from relaymail.intake.checkers import (
    Overloaded,
    UserAcceptance,
    UserRealm,
    UsersChecker,
    UsersPortal,
)
from relaymail.intake.credentials import (
    DigestCredentials,
    IScramCredentials,
    ScramCredentials,
)
from relaymail.intake.users import UsersFile
from relaymail.interfaces import IAcceptance
from relaymail.test.intake.test_users import line


@implementer(IReactorThreads)
class Threads:
    """
    A reactor and its pool: what is to be done in threads is done when it is asked
    for.
    """

    def __init__(self) -> None:
        self.work: list[Callable[[], None]] = []

    def getThreadPool(self) -> Any:
        """
        Give itself.
        """
        return self

    def callInThreadWithCallback(
        self, done: Any, function: Any, *args: Any, **kw: Any
    ) -> None:
        """
        Note it.
        """
        self.work.append(lambda: done(*self.outcome(function, *args, **kw)))

    def outcome(self, function: Any, *args: Any, **kw: Any) -> tuple[bool, Any]:
        """
        Do it.
        """
        try:
            return True, function(*args, **kw)
        except Exception:
            return False, Failure()

    def callInThread(  # type: ignore[override]
        self, function: Any, *args: Any, **kw: Any
    ) -> None:
        """
        Not used.
        """

    def callFromThread(  # type: ignore[override]
        self, function: Any, *args: Any, **kw: Any
    ) -> None:
        """
        Do it.
        """
        function(*args, **kw)

    def suggestThreadPoolSize(self, size: int) -> None:
        """
        Not used.
        """

    def run(self) -> None:
        """
        Do all that was noted.
        """
        while self.work:
            self.work.pop(0)()


class CheckerCase(SynchronousTestCase):
    """
    Has a file of users.
    """

    def usersFile(self, *lines: str) -> UsersFile:
        """
        Make one.
        """
        path = self.mktemp()
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(lines)
        os.chmod(path, 0o600)
        return UsersFile(path)


class CheckerTests(CheckerCase):
    """
    Tests for L{UsersChecker}.
    """

    def setUp(self) -> None:
        self.users = self.usersFile(line("tim", "pw"), line("tom", "ä", isClear=True))
        self.checker = UsersChecker(self.users, None)

    def test_password(self) -> None:
        """
        The right password lets in, prepared or not; the wrong one and the wrong name
        do not.
        """
        for user, password in ((b"tim", b"pw"), (b"tom", "a\u0308".encode())):
            avatar = self.checker.requestAvatarId(UsernamePassword(user, password))
            self.assertEqual(self.successResultOf(avatar), user)
        for user, password in (
            (b"tim", b"wrong"),
            (b"jim", b"pw"),
            (b"jim", b"nobody"),
            (b"tim", b"\xff"),
            (b"tim", b""),
        ):
            avatar = self.checker.requestAvatarId(UsernamePassword(user, password))
            self.failureResultOf(avatar, UnauthorizedLogin)

    def test_digest(self) -> None:
        """
        A digest is checked with a password that is kept as it is, and with no other.
        """
        for user, password, isRight in (
            ("tom", "ä".encode(), True),
            ("tom", b"wrong", False),
            ("tim", b"pw", False),
            ("jim", b"", False),
        ):
            digest = hmac.new(password, b"<1@x>", "md5").hexdigest().encode()
            shown = DigestCredentials(DigestClaim(user, b"<1@x>", digest))
            verifyObject(IUsernameHashedPassword, shown)
            avatar = self.checker.requestAvatarId(shown)
            if isRight:
                self.assertEqual(self.successResultOf(avatar), user.encode())
            else:
                self.failureResultOf(avatar, UnauthorizedLogin)

    def test_SCRAM(self) -> None:
        """
        A client that is to prove something is given what to, whoever it says it is;
        its proof decides.
        """
        for user, isRight in (("tim", True), ("tim", False), ("jim", False)):
            shown = ScramCredentials(ScramClaim(user, SHA256))
            verifyObject(IScramCredentials, shown)
            avatar = self.checker.requestAvatarId(shown)
            verifier = self.successResultOf(shown.verifier)
            self.assertEqual(matches(verifier, SHA256, b"pw"), user == "tim")
            self.assertNoResult(avatar)
            shown.proof.callback(isRight)
            if isRight:
                self.assertEqual(self.successResultOf(avatar), b"tim")
            else:
                self.failureResultOf(avatar, UnauthorizedLogin)

    def test_inThread(self) -> None:
        """
        Passwords are hashed in threads, a few at a time.
        """
        threads = Threads()
        checker = UsersChecker(self.users, threads)
        shown = UsernamePassword(b"tim", b"pw")
        avatars = [checker.requestAvatarId(shown) for _ in range(5)]
        self.assertEqual(len(threads.work), 2)
        for avatar in avatars:
            self.assertNoResult(avatar)
        threads.run()
        for avatar in avatars:
            self.assertEqual(self.successResultOf(avatar), b"tim")
        scram = ScramCredentials(ScramClaim("tim", SHA256))
        checker.requestAvatarId(scram)
        self.assertNoResult(scram.verifier)
        threads.run()
        self.successResultOf(scram.verifier)

    def test_remembered(self) -> None:
        """
        A password that was right is not hashed again, until it changes; a wrong one
        is, each time.
        """
        threads = Threads()
        users = self.usersFile(line("tim", "pw"))
        checker = UsersChecker(users, threads)

        def check(user: bytes, password: bytes) -> int:
            checker.requestAvatarId(UsernamePassword(user, password)).addErrback(
                lambda failure: failure.trap(UnauthorizedLogin)
            )
            hashed = len(threads.work)
            threads.run()
            return hashed

        said = [(b"tim", b"pw"), (b"tim", b"no"), (b"jim", b"pw")]
        self.assertEqual([check(*each) for each in said], [1, 1, 1])
        self.assertEqual([check(*each) for each in said], [0, 1, 1])
        with open(users.path, "w", encoding="utf-8") as file:
            file.write("# changed\n" + line("tim", "new"))
        again = checker.requestAvatarId(UsernamePassword(b"tim", b"pw"))
        threads.run()
        self.failureResultOf(again, UnauthorizedLogin)

    def test_A05_rememberedBounded(self) -> None:
        """
        Only so many are remembered.
        """
        self.patch(checkers, "_REMEMBERED", 2)
        names = ["one", "two", "three"]
        users = self.usersFile(*[line(name, "pw") for name in names])
        checker = UsersChecker(users, None)
        for name in names:
            shown = UsernamePassword(name.encode(), b"pw")
            self.successResultOf(checker.requestAvatarId(shown))
        self.assertEqual(len(checker._remembered), 2)

    def test_A05_bounded(self) -> None:
        """
        When too many wait nobody else does.
        """
        self.patch(checkers, "_MOST_WAITING", 3)
        threads = Threads()
        checker = UsersChecker(self.users, threads)
        shown = UsernamePassword(b"tim", b"pw")
        avatars = [checker.requestAvatarId(shown) for _ in range(5)]
        self.failureResultOf(checker.requestAvatarId(shown), Overloaded)
        threads.run()
        for avatar in avatars:
            self.successResultOf(avatar)
        self.successResultOf(checker.requestAvatarId(shown))

    def test_A05_clientsThatLeave(self) -> None:
        """
        A thread is not free as long as it works, also for a client that is gone; for
        whom it has not begun, it does not.
        """
        threads = Threads()
        checker = UsersChecker(self.users, threads)
        avatars = []
        for _ in range(50):
            avatar = checker.requestAvatarId(UsernamePassword(b"tim", b"pw"))
            avatars.append(avatar.addErrback(lambda _: None))
            avatar.cancel()
        self.assertEqual(len(threads.work), 2)
        stays = checker.requestAvatarId(UsernamePassword(b"tim", b"pw"))
        self.assertEqual(len(threads.work), 2)
        threads.work.pop(0)()
        self.assertEqual(len(threads.work), 2)
        threads.run()
        self.assertEqual(self.successResultOf(stays), b"tim")


class PortalTests(CheckerCase):
    """
    Tests for L{UsersPortal}, L{UserRealm} and L{UserAcceptance}.
    """

    def test_whatIsChecked(self) -> None:
        """
        Digests are checked only where there are passwords to do it with.
        """
        portal = UsersPortal(self.usersFile(line("tim", "pw")), None)
        always = [IUsernamePassword, IScramCredentials]
        self.assertEqual(portal.listCredentialsInterfaces(), always)
        users = self.usersFile(line("tim", "pw", isClear=True))
        found = UsersPortal(users, None).listCredentialsInterfaces()
        self.assertEqual(found, [*always, IUsernameHashedPassword])

    def test_avatar(self) -> None:
        """
        Who is let in may send mail to everybody; a network is not trusted for that.
        """
        portal = UsersPortal(self.usersFile(line("tim", "pw")), None)
        login = portal.login(UsernamePassword(b"tim", b"pw"), None, IAcceptance)
        result: Any = self.successResultOf(login)
        interface, avatar, logOut = result
        self.assertIs(interface, IAcceptance)
        verifyObject(IAcceptance, avatar)
        self.assertIsInstance(avatar, UserAcceptance)
        self.assertEqual(avatar.user, "tim")
        self.assertFalse(avatar.isTrusted("127.0.0.1"))
        client = Client("192.0.2.1")
        self.assertIsNone(avatar.acceptSender(client, "a@example.com"))
        self.assertIsNone(avatar.acceptRecipient(client, "", "b@example.org"))
        logOut()

    def test_A04_userWhoIsNoMore(self) -> None:
        """
        Who is taken out of the file, or has another password there, sends nothing more
        in the sessions that he has; others do.
        """
        users = self.usersFile(line("tim", "pw"), line("tom", "pw"))
        portal = UsersPortal(users, None)
        found: list[Any] = []
        for name in (b"tim", b"tom"):
            login = portal.login(UsernamePassword(name, b"pw"), None, IAcceptance)
            found.append(self.successResultOf(login)[1])
        tim, tom = found
        tim.acceptSender(Client("192.0.2.9"), "a@b")
        with open(users.path, encoding="utf-8") as file:
            lines = file.readlines()
        for instead in ("# nobody\n", line("tim", "another")):
            with open(users.path, "w", encoding="utf-8") as file:
                file.writelines([instead, lines[1]])
            with self.assertRaises(Refused) as raised:
                tim.acceptSender(Client("192.0.2.9"), "a@b")
            self.assertEqual(raised.exception.reply.code, 451)
            tom.acceptSender(Client("192.0.2.9"), "a@b")

    def test_otherAvatars(self) -> None:
        """
        There is nothing else to be had, and nothing for nobody.
        """
        for name, interface in ((b"tim", IUsernamePassword), ((), IAcceptance)):
            with self.assertRaises(NotImplementedError):
                UserRealm().requestAvatar(name, None, interface)

    def test_ownRealm(self) -> None:
        """
        An app says with a realm of its own what its users may do.
        """

        class Realm:
            def requestAvatar(self, name: bytes, mind: object, *wanted: Any) -> Any:
                """
                Give the name itself.
                """
                return wanted[0], name, lambda: None

        users = self.usersFile(line("tim", "pw"))
        realm: Any = Realm()
        portal = UsersPortal(users, None, realm)
        login = portal.login(UsernamePassword(b"tim", b"pw"), None, IAcceptance)
        self.assertEqual(self.successResultOf(login)[1], b"tim")
