# -*- test-case-name: relaymail.test.doctor.test_installation -*-
"""
Tests for L{relaymail.doctor.installation}.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaymail.configuration import Intake, configure, readFile
from relaymail.doctor.answers import Answer, Verdict
from relaymail.doctor.installation import (
    checkConfiguration,
    checkEntrances,
    checkQueue,
    checkSecrets,
    relayOf,
)
from relaymail.errors import ConfigurationError
from relaymail.queue.place import QueueKind, QueuePlace
from relaymail.queue.spool.spool import Spool
from relaymail.route.rules import Rule
from relaymail.route.terms import Terms
from relaymail.testing.certificates import selfSigned


class InstallationTests(SynchronousTestCase):
    """
    Tests for each check.
    """

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir(0o700)

    def write(self, name: str, text: str, mode: int = 0o600) -> str:
        """
        Write a file.
        """
        path = self.directory / name
        path.write_text(text)
        path.chmod(mode)
        return str(path)

    def assertFound(
        self, found: Iterable[Answer], *expected: tuple[Verdict, str]
    ) -> None:
        """
        Check what is answered.
        """
        answers = list(found)
        self.assertEqual([a.verdict for a in answers], [v for v, _ in expected])
        for answer, (verdict, words) in zip(answers, expected, strict=True):
            self.assertIn(words, answer.found)
            self.assertEqual(bool(answer.remedy), verdict is not Verdict.OK)

    def test_A08_tokens(self) -> None:
        """
        Where tokens are wanted they can be kept, by nobody but the relay.
        """
        secret = self.write("secret", "x")
        oauth2 = {
            "token-url": "https://login.example/token",
            "client-id": "c",
            "client-secret-file": secret,
        }
        host = {"url": "smtps://mail.example", "user": "me", "oauth2": oauth2}
        queue = str(self.directory / "q.db")
        told = configure(queue=f"spool:{queue}", hostname="a.b", smartHosts=[host])
        well = (Verdict.OK, secret)
        self.assertFound(checkSecrets(told), well, (Verdict.OK, "not there yet"))
        tokens = Path(f"{queue}-tokens")
        tokens.mkdir(0o700)
        self.assertFound(checkSecrets(told), well, (Verdict.OK, "by nobody else"))
        tokens.chmod(0o750)
        self.assertFound(checkSecrets(told), well, (Verdict.FAILURE, "mode 0750"))

    def test_configuration(self) -> None:
        """
        A file that can be used is well; one that others may write, and one that
        cannot be used, are failures.
        """
        self.assertFound(
            checkConfiguration(configure(queue=str(self.directory))),
            (Verdict.OK, "no configuration file"),
        )
        path = self.write("relaymail.toml", f'queue = "{self.directory}/q.db"')
        found = readFile(path)
        self.assertFound(checkConfiguration(found), (Verdict.OK, f"{path} can be used"))
        os.chmod(path, 0o666)
        expected = (Verdict.FAILURE, f"others may write {path} (0666)")
        self.assertFound(checkConfiguration(found), expected)
        wrong = ConfigurationError("hostnam is no option")
        self.assertFound(
            checkConfiguration(wrong), (Verdict.FAILURE, "hostnam is no option")
        )

    def secrets(self, **settings: Any) -> list[Answer]:
        """
        Check the secrets of a configuration.
        """
        made = configure(queue=str(self.directory / "q.db"), **settings)
        return list(checkSecrets(made))

    def test_A09_secrets(self) -> None:
        """
        Files of passwords that can be read, and not by everybody, are well; what
        is in them is not told.
        """
        self.assertFound(self.secrets(), (Verdict.OK, "no password is in a file"))
        path = self.write("password", "correct horse")
        hosts = [f"smtps://me@{h}.example?password-file={path}" for h in ("a", "b")]
        self.assertFound(self.secrets(smartHosts=hosts), (Verdict.OK, path))
        os.chmod(path, 0o644)
        found = self.secrets(smartHosts=hosts)
        self.assertFound(found, (Verdict.FAILURE, f"everybody may use {path} (0644)"))
        self.assertNotIn("horse", found[0].found + found[0].remedy)
        os.unlink(path)
        found = self.secrets(smartHosts=hosts)
        self.assertFound(found, (Verdict.FAILURE, "No such file"))

    def test_A09_clientKeys(self) -> None:
        """
        Nor may everybody use the keys that are for other hosts, wherever they are said.
        """
        key, cert = selfSigned("relay.example").write(str(self.directory))
        os.chmod(key, 0o644)
        own = f"client-cert={cert} client-key={key}"
        for settings in (
            {"clientCert": cert, "clientKey": key},
            {"routes": [f"to=a.example {own}"]},
            {"routes": [Rule(terms=Terms(certFile=cert, keyFile=key))]},
            {"smartHosts": f"smtp://a.example?{own.replace(' ', '&')}"},
        ):
            found = self.secrets(**settings)
            self.assertFound(found, (Verdict.FAILURE, f"everybody may use {key}"))

    def test_A09_users(self) -> None:
        """
        The file of users is looked at as one of passwords is, and must be one that
        can be used.
        """
        path = self.write("users", "")
        os.chmod(path, 0o640)
        self.assertFound(self.secrets(users=path), (Verdict.OK, path))
        told = Intake(users=path, tlsKey="key.pem", tlsCert="cert.pem")
        self.assertFound(checkEntrances(told), (Verdict.OK, "mail is taken by smtp"))
        os.chmod(path, 0o660)
        expected = (Verdict.FAILURE, "others can write it (mode 0660)")
        self.assertFound(checkEntrances(told), expected)

    def test_entrances(self) -> None:
        """
        Where people are asked who they are, they must be able to say so, and under
        TLS.
        """
        users = self.write("users", "")
        expected = (Verdict.OK, "mail is taken by smtp, lmtp")
        self.assertFound(checkEntrances(Intake(lmtp=("unix:/run/lmtp",))), expected)
        told = Intake(submission=("tcp:587",))
        expected = (Verdict.FAILURE, "name the file of users")
        self.assertFound(checkEntrances(told), expected)
        told = Intake(submission=("tcp:587",), users=users)
        expected = (Verdict.WARNING, "passwords are not taken in clear")
        self.assertFound(checkEntrances(told), expected)

    def test_queue(self) -> None:
        """
        A queue that is not there yet, or that can be used, is well, and it is
        said who uses it.
        """
        path = f"{self.directory}/spool/queue.db"
        place = QueuePlace(QueueKind.SPOOL, path)
        self.assertFound(checkQueue(place), (Verdict.OK, "is not there yet"))
        os.mkdir(os.path.dirname(path), 0o700)
        spool = Spool(path, Clock())
        spool.lock()
        self.addCleanup(spool.stop)
        self.assertFound(checkQueue(place), (Verdict.OK, f"process {os.getpid()}"))
        self.assertEqual(relayOf(place), os.getpid())
        spool.stop()
        self.assertFound(checkQueue(place), (Verdict.OK, "no relay uses it"))

    def test_A08_queueOfOthers(self) -> None:
        """
        A queue that others may write is a failure.
        """
        os.chmod(self.directory, 0o777)
        place = QueuePlace(QueueKind.DIRECTORY, str(self.directory))
        self.assertFound(
            checkQueue(place), (Verdict.FAILURE, "can be written by others")
        )
