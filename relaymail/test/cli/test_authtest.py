"""
Tests for L{relaymail.cli.authtest}; whole runs of it are in
L{relaymail.test.endtoend.test_oauth2}.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relaymail.cli import authtest
from relaymail.cli.authtest import (
    Result,
    Target,
    asDocument,
    asLine,
    chosen,
    concluded,
    ownerOf,
    storeFor,
    targetsOf,
    tokenTold,
)
from relaymail.cli.troubles import CommandError
from relaymail.configuration import Configuration, configure
from relaymail.deliver.rehearsing import Step
from relaymail.oauth2.storing import Stored, TokenStore
from relaymail.route.hosts import Credentials, Host
from relaymail.test.cli.commands import HOSTILE, CommandTestCase
from relaymail.test.oauth2.samples import CONSENTED

NAMED = "smtps://me@one.example?password-file=/nowhere"


def told(**settings: Any) -> Configuration:
    """
    Make a configuration.
    """
    return configure(queue="s", hostname="relay.example.com", **settings)


class TargetTests(SynchronousTestCase):
    """
    Which smart hosts are tried.
    """

    def setUp(self) -> None:
        """
        Have some.
        """
        two = "smtp://you@two.example:2525?password-env=X&auth=clear"
        self.told = told(
            smartHosts=["smtp://open.example", NAMED, two],
            senderHosts={"@shop.example": NAMED},
            routes=["via=mx", "via=smtps://him@three.example?password-env=X"],
            fallbackHosts=NAMED,
        )
        self.targets = list(targetsOf(self.told))

    def test_users(self) -> None:
        """
        Those are tried that have a user: of all mail first, then of senders.
        """
        self.assertEqual(
            [target.title for target in self.targets],
            [
                "1. one.example port 465 as me",
                "2. two.example port 2525 as you",
                "3. one.example port 465 as me, for mail of @shop.example",
                "4. three.example port 465 as him, for delivery.routes[1]",
                "5. one.example port 465 as me",
            ],
        )

    def test_program(self) -> None:
        """
        A host that a program made has a user, too.
        """
        host = Host("three.example", credentials=Credentials("us", b"x"))
        (target,) = targetsOf(told(smartHosts=[host]))
        self.assertEqual(target.title, "1. three.example as us")

    def test_chosen(self) -> None:
        """
        One is meant by its number, its name, or name and port.
        """
        for wanted, numbers in (
            (None, [1, 2, 3, 4, 5]),
            ("2", [2]),
            ("ONE.example", [1, 3, 5]),
            ("two.example:2525", [2]),
        ):
            found = [target.number for target in chosen(self.targets, wanted)]
            self.assertEqual(found, numbers)

    def test_none(self) -> None:
        """
        Where nothing is meant it is told what there is.
        """
        error = self.assertRaises(CommandError, chosen, self.targets, "two.example:25")
        self.assertIn("There are: 1. one.example", str(error))
        error = self.assertRaises(CommandError, chosen, [], None)
        self.assertIn("nothing to log in with", str(error))


class WordsTests(SynchronousTestCase):
    """
    What is told.
    """

    def test_line(self) -> None:
        """
        A step is a line, whatever the host said.
        """
        self.assertEqual(
            asLine(Step("greeting", True, "220 x")), "  ok    greeting    220 x"
        )
        line = asLine(Step("AUTH", False, HOSTILE))
        self.assertTrue(line.startswith("  FAIL  AUTH "))
        self.assertTrue(line.isprintable())

    def test_document(self) -> None:
        """
        Programs are told the same.
        """
        host = Host("three.example", 587, credentials=Credentials("us", b"secret"))
        result = Result(Target(1, host, "us"), [Step("EHLO", True, "SIZE 1")], True)
        self.assertEqual(
            asDocument(result),
            {
                "number": 1,
                "host": "three.example",
                "port": 587,
                "user": "us",
                "sender": "",
                "route": None,
                "passed": True,
                "remedy": "",
                "steps": [{"step": "EHLO", "passed": True, "told": "SIZE 1"}],
            },
        )

    def test_concluded(self) -> None:
        """
        How it ended comes last, after what to do.
        """
        target = Target(1, Host("x.example", credentials=Credentials("a", b"b")), "a")
        steps = [Step("connect", False, "connection refused")]
        remedy, last = concluded(Result(target, steps))
        self.assertIn("  do: see that the name and the port", remedy)
        self.assertIn("it does not work; mail for it waits", last)
        self.assertEqual(list(concluded(Result(target, [], True))), ["  it works"])

    def test_A09_token(self) -> None:
        """
        Of a token it is told from whom, since when, until when and for what it is.
        """
        stored = Stored(b"token-1", 1e9, 1e9 + 3600, b"refresh-1", "", "mail")
        account = SimpleNamespace(
            stored=stored, given=SimpleNamespace(oauth2=CONSENTED)
        )
        new, kept = tokenTold(account, 1e9), tokenTold(account, 2e9)
        self.assertIn("had now from login.example, good until 2001-09-09", new)
        self.assertIn("kept since 2001-09-09", kept)
        self.assertTrue(kept.endswith("; scope mail"))
        self.assertNotIn("-1 ", new + kept)


class StoreTests(SynchronousTestCase):
    """
    What keeps tokens for a command.
    """

    def setUp(self) -> None:
        """
        Have a token that the relay has kept.
        """
        self.path = str(Path(self.mktemp()).absolute())
        self.stored = Stored(b"token-1", 1.0, 2.0, b"refresh-1", "o")
        TokenStore(self.path).save("a", self.stored)

    def test_kept(self) -> None:
        """
        What the relay has kept is used; or its refresh token alone.
        """
        self.assertEqual(storeFor(self.path, False).load("a"), self.stored)
        fresh = storeFor(self.path, True).load("a")
        self.assertEqual((fresh.token, fresh.refresh), (b"", b"refresh-1"))
        self.assertIsNone(storeFor(self.path, True).load("b"))

    def test_A08_another(self) -> None:
        """
        A command that another user gives leaves no file there that the relay could
        not use.
        """
        self.patch(os, "geteuid", lambda: 4711)
        store = storeFor(self.path, False)
        store.save("b", self.stored)
        self.assertIsNone(store.load("a"))
        self.assertEqual(len(os.listdir(self.path)), 1)

    def test_owner(self) -> None:
        """
        A path that is not there is of who has what it would be made in.
        """
        self.assertEqual(ownerOf(self.path + "/x/y/z"), os.geteuid())
        self.assertEqual(ownerOf("/nowhere/at/all"), os.lstat("/").st_uid)


class CommandTests(CommandTestCase):
    """
    The command, without a reactor.
    """

    def run_test(self, text: str, *arguments: str, code: int = 0) -> Any:
        """
        Give the command, with a configuration; nothing is tried.
        """
        path = Path(self.mktemp()).absolute()
        path.write_text(f'queue = "s"\n[delivery]\nsmart-hosts = [{text}]\n')

        def inReactor(work: Any) -> None:
            """
            Try nothing.
            """

        self.patch(authtest, "inReactor", inReactor)
        arguments = ("--config", str(path), *arguments)
        return self.run_("auth", "test", *arguments, code=code)

    def test_nothing(self) -> None:
        """
        Where there is nothing to try it is told so.
        """
        said = self.run_test('"smtp://open.example"', code=1).stderr
        self.assertIn("No smart host has a user", said)

    def test_unknown(self) -> None:
        """
        So is a host that is not known.
        """
        said = self.run_test(f'"{NAMED}"', "other.example", code=1).stderr
        self.assertIn("There is no smart host 'other.example'", said)

    def test_json(self) -> None:
        """
        For programs there is a document, and nothing else.
        """
        said = self.run_test(f'"{NAMED}"', "--json").stdout
        self.assertEqual(json.loads(said), {"passed": True, "hosts": []})
