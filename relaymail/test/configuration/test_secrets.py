# -*- test-case-name: relaymail.test.configuration.test_secrets -*-
"""
Tests for L{relaymail.configuration.secrets}.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relaymail.configuration import (
    configure,
    readHosts,
    readRoutes,
    readToken,
    secrets,
)
from relaymail.configuration.secrets import readHost
from relaymail.errors import ConfigurationError
from relaymail.route.hosts import Bearer, Credentials, Host
from relaymail.route.passwords import PasswordKind
from relaymail.route.smarthosts import SmartHost, parseSmartHost
from relaymail.testing.certificates import selfSigned


class PasswordTests(SynchronousTestCase):
    """
    Tests for L{readHosts}.
    """

    def test_A09_password(self) -> None:
        """
        A password is read from where it is kept, and shows nowhere.
        """
        secret = Path(self.mktemp())
        secret.write_bytes(b"hunter2\n")
        told = configure(
            queue="spool",
            hostname="relay.example.com",
            smartHosts=f"smtps://me@mail.example.com?password-file={secret}",
        )
        credentials = readHosts(told)[0].credentials
        assert isinstance(credentials, Credentials)
        self.assertEqual(credentials.password, b"hunter2")
        self.assertNotIn("hunter2", repr(told))

    def test_passwordFromEnvironment(self) -> None:
        """
        A password may stand in a variable of the environment.
        """
        self.patch(os, "environb", {b"RELAY_PASSWORD": b"hunter2"})
        host = "smtps://me@mail.example.com?password-env=RELAY_PASSWORD"
        told = configure(queue="s", hostname="a.example", smartHosts=host)
        credentials = readHosts(told)[0].credentials
        assert isinstance(credentials, Credentials)
        self.assertEqual(credentials.password, b"hunter2")

    def test_oauth2(self) -> None:
        """
        Paths of secrets begin where the file is, each secret is read once, and
        who fetches tokens is told them; without it there are none.
        """
        directory = Path(self.mktemp()).absolute()
        directory.mkdir()
        (directory / "secret").write_bytes(b"hush\n")
        host = {
            "url": "smtp+starttls://smtp.office365.com",
            "user": "robot@example.com",
            "oauth2": {
                "provider": "microsoft",
                "tenant": "example.com",
                "client-id": "4711",
                "client-secret-file": str(directory / "secret"),
            },
        }
        told = configure(
            queue="s",
            hostname="a.example",
            smartHosts=host,
            senderHosts={"@a.example": host},
        )
        asked: list[object] = []
        read: list[str] = []

        def tokensFor(*words: object) -> Any:
            asked.append(words)

        def readSecret(kind: PasswordKind, where: str) -> bytes:
            read.append(where)
            return b"hush"

        routes = readRoutes(told, tokensFor)
        self.assertEqual(routes, readRoutes(told))
        self.assertIsInstance(routes.smartHosts[0].credentials, Bearer)
        self.assertEqual(routes.senderHosts, {"@a.example": routes.smartHosts})
        smart = told.delivery.smartHosts[0]
        assert isinstance(smart, SmartHost)
        wanted = ("robot@example.com", smart.oauth2, b"hush", None)
        self.assertEqual(asked, [wanted, wanted])
        self.patch(secrets, "readSecret", readSecret)
        readRoutes(told)
        self.assertEqual(read, [str(directory / "secret")])

    def test_oauth2WithoutSecret(self) -> None:
        """
        A client's secret that is not there is told of.
        """
        host = {
            "url": "smtps://mail.example.com",
            "user": "robot@example.com",
            "oauth2": {
                "token-url": "https://login.example.com/token",
                "client-id": "4711",
                "client-secret-file": "/nowhere/secret",
            },
        }
        told = configure(queue="s", hostname="a.b", senderHosts={"@a.example": host})
        error = self.assertRaises(ConfigurationError, readRoutes, told)
        self.assertIn("The client secret for robot@example.com at", str(error))

    def test_noPassword(self) -> None:
        """
        A password that is not there is told of.
        """
        host = "smtps://me@mail.example.com?password-file=nowhere"
        told = configure(queue="s", hostname="a.b", smartHosts=host)
        error = self.assertRaises(ConfigurationError, readHosts, told)
        self.assertIn("cannot be read", str(error))

    def test_A02_trusted(self) -> None:
        """
        Whom to trust is read when the relay is told of it, not when the first mail
        goes: without it no mail would.
        """
        path = Path(self.mktemp()).absolute()
        smart = parseSmartHost(f"smtps://mail.example?ca-file={path}")
        error = self.assertRaises(ConfigurationError, readHost, smart)
        self.assertIn(f"{path} cannot be used: No such file", str(error))
        path.write_text("nothing")
        error = self.assertRaises(ConfigurationError, readHost, smart)
        self.assertIn("there is none (PEM)", str(error))
        _, cert = selfSigned("mail.example").write(f"{path}-d")
        smart = parseSmartHost(f"smtps://mail.example?ca-file={cert}")
        self.assertEqual(readHost(smart).caFile, str(cert))

    def test_A02_shown(self) -> None:
        """
        So is the certificate that is to be shown to a host.
        """
        key, cert = selfSigned("relay.example").write(self.mktemp())
        good = f"smtps://mail.example?client-cert={cert}&client-key={key}"
        host = readHost(parseSmartHost(good))
        self.assertEqual((host.certFile, host.keyFile), (cert, key))
        for bad in (
            f"smtps://mail.example?client-cert={cert}-&client-key={key}",
            f"smtps://mail.example?client-cert={cert}&client-key={key}-",
            f"smtps://mail.example?client-cert={key}&client-key={cert}",
        ):
            smart = parseSmartHost(bad)
            error = self.assertRaises(ConfigurationError, readHost, smart)
            self.assertIn("which this relay is to show to a host", str(error))

    def test_hostOfAProgram(self) -> None:
        """
        A host that a program gives has its credentials already.
        """
        host = Host("a.example", credentials=Credentials("me", b"hunter2"))
        told = configure(queue="s", smartHosts=host)
        self.assertEqual(readHosts(told), (host,))


class CommandTests(SynchronousTestCase):
    """
    Tests for secrets that a command prints.
    """

    def host(self, command: str) -> Host:
        """
        Read the password that a command prints.
        """
        table = {"url": "a.example", "user": "me", "password-command": command}
        return readHosts(configure(queue="s", smartHosts=[table]))[0]

    def test_A09_printed(self) -> None:
        """
        What the command prints is the password; no shell has a look at it.
        """
        credentials = self.host("echo 'hunter2 $HOME;' `x`").credentials
        assert isinstance(credentials, Credentials)
        self.assertEqual(credentials.password, b"hunter2 $HOME; `x`")

    def test_A09_failures(self) -> None:
        """
        A command that does not print one is told of, with what it did.
        """
        self.patch(secrets, "COMMAND_PATIENCE", 0.2)
        for command, told in (
            ("nowhere-to-be-found", "No such file or directory"),
            ("sh -c 'echo hunter2; exit 3'", "it ended with exit code 3"),
            ("true", "is empty or longer"),
            ("yes", "is empty or longer"),
            ("sleep 30", "it did not end within 0.2 seconds"),
            ("sh -c 'echo hunter2; exec >&-; sleep 30'", "it did not end within"),
            ("sh -c 'sleep 2 & echo hunter2'", "it did not end within"),
            ("echo 'open", "cannot be split into words"),
        ):
            error = self.assertRaises(ConfigurationError, self.host, command)
            self.assertIn(told, str(error), command)
            self.assertNotIn("hunter2", str(error).replace(command, ""))


class TokenTests(SynchronousTestCase):
    """
    Tests for L{readToken}.
    """

    def test_places(self) -> None:
        """
        The token is in a file, a variable, or printed; or there is none.
        """
        self.assertIsNone(readToken(configure(queue="s")))
        file = Path(self.mktemp())
        file.write_text("s3cret\n")
        self.patch(os, "environb", {**os.environb, b"TOKEN": b"s3cret"})
        for said in (
            {"tokenFile": file},
            {"tokenEnv": "TOKEN"},
            {"tokenCommand": "echo s3cret"},
        ):
            self.assertEqual(readToken(configure(queue="s", **said)), b"s3cret")

    def test_none(self) -> None:
        """
        What is no token is told of.
        """
        self.patch(os, "environb", {b"SPACES": b"a b", b"EMPTY": b""})
        for said, told in (
            ({"tokenFile": "nowhere"}, "No such file"),
            ({"tokenEnv": "NONE"}, "from the environment variable NONE: there is none"),
            ({"tokenEnv": "SPACES"}, "has a space"),
            ({"tokenEnv": "EMPTY"}, "is empty"),
        ):
            token = configure(queue="s", **said)
            error = self.assertRaises(ConfigurationError, readToken, token)
            self.assertIn(told, str(error))
