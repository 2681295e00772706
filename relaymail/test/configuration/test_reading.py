# -*- test-case-name: relaymail.test.configuration.test_reading -*-
"""
Tests for L{relaymail.configuration.reading}.
"""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.configuration import (
    Configuration,
    files,
    findFile,
    readConfiguration,
    readFile,
)
from relaymail.configuration.files import passedOver
from relaymail.configuration.structuring import Layer, structure
from relaymail.configuration.values import showPath
from relaymail.errors import ConfigurationError
from relaymail.test.directories import shortDirectory

#: A file with all kinds of mistakes.
WRONG = """\
queue = "spool"
hostnam = "relay.example.com"
dns = "192.0.2.53"
control = 5

[intake]
networks = ["127.0.0.1", "everybody", 7]
max_message_size = "50M"
tls-key = "nowhere.pem"

[delivery]
max-connections = "many"
max-messages-per-connection = true
retry = ["1m", "never"]
expire = 0
mx-port = 99999
password = "hunter2"

[[delivery.smart-hosts]]
url = "smtps://mail.example.com"
user = "me"
pasword-file = "secret"

[[delivery.smart-hosts]]
url = "smtps://me:hunter2@mail.example.com"

[delivery.destination-rates]
"example.org" = "fast"

[machine]
origin = "example.com"

[machines]
aliases = { root = "nobody at all" }
"""


#: Some keys, of options and in their values.
_KEYS = (
    *("smtp", "networks", "tls-key", "smart-hosts", "retry", "expire", "aliases"),
    *("url", "destination-rates", "rewrite-senders", "origins", "hosts"),
)


class FileCase(SynchronousTestCase):
    """
    A test with a directory of its own, and no file anywhere else.
    """

    def setUp(self) -> None:
        self.directory = Path(os.path.abspath(self.mktemp()))
        self.directory.mkdir()
        environment = {k: v for k, v in os.environ.items() if k != files.VARIABLE}
        self.patch(os, "environ", environment)
        self.patch(files, "SYSTEM_FILE", str(self.directory / "system.toml"))
        before = os.getcwd()
        self.addCleanup(os.chdir, before)
        os.chdir(self.directory)

    def write(self, text: str | bytes, name: str = "relaymail.toml") -> str:
        """
        Write a file.
        """
        path = self.directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        path.chmod(0o644)
        return str(path)

    def problems(self, text: str | bytes) -> list[str]:
        """
        Give what is wrong with a file.
        """
        path = self.write(text)
        error = self.assertRaises(ConfigurationError, readFile, path)
        lines = str(error).split("\n")
        for line in lines:
            self.assertTrue(line.startswith(path + ":"), line)
        return [line.removeprefix(path + ":") for line in lines]


class ReadingTests(FileCase):
    """
    Tests for L{readFile}.
    """

    def test_endpoints(self) -> None:
        """
        What cannot be an endpoint is told when the file is read, not only when
        the relay listens there.
        """
        for endpoint in ("2525", "127.0.0.1:", "tcp:65536", "tcp:smtp", "tcp:-1"):
            path = self.write(f"[intake]\nsmtp = ['{endpoint}']\n")
            error = self.assertRaises(ConfigurationError, readConfiguration, path)
            self.assertIn("intake.smtp", str(error), endpoint)
        for endpoint in ("tcp:0", "tcp:port=25", "systemd:domain=INET:index=0"):
            path = self.write(f"[intake]\nsmtp = ['{endpoint}']\n")
            self.assertEqual(readConfiguration(path).intake.smtp, (endpoint,))

    def test_reads(self) -> None:
        """
        A file is read, and is remembered.
        """
        path = self.write(
            """
            hostname = "relay.example.com"
            [intake]
            smtp = ["tcp:25", "systemd:domain=INET:index=0"]
            max-message-size = "1M"
            [delivery]
            retry = ["1m", 120, "1h"]
            smart-hosts = ["one.example", { url = "smtps://two.example" }]
            sender-rates = { "*" = "5/s" }
            [machines]
            origin = "Example.COM"
            aliases = { Root = ["a@example.com", "ops"], ops = "b@example.com" }
            rewrite-senders = { "@host.internal" = "robots@example.com" }
            [control]
            endpoint = "tcp:8025"
            token-env = "TOKEN"
            hosts = ["Relay.example.com"]
            origins = ["https://dash.example.com:8443"]
            """
        )
        told = readFile(path)
        self.assertEqual(told.file, path)
        self.assertEqual(told.hostname, "relay.example.com")
        self.assertEqual(told.intake.maxMessageSize, 1024**2)
        self.assertEqual(told.delivery.retry, (60.0, 120.0, 3600.0))
        hosts = [(host.name, host.port) for host in told.delivery.smartHosts]
        self.assertEqual(hosts, [("one.example", 25), ("two.example", 465)])
        self.assertEqual(told.machines.origin, "example.com")
        self.assertEqual(
            told.machines.aliases,
            (("root", ("a@example.com", "ops")), ("ops", ("b@example.com",))),
        )
        self.assertEqual(
            told.machines.rewriteSenders, (("@host.internal", "robots@example.com"),)
        )
        self.assertEqual(told.control.hosts, ("relay.example.com",))

    def test_paths(self) -> None:
        """
        Paths begin where the file is.
        """
        key = self.write("", "etc/key.pem")
        path = self.write(
            """
            queue = "spool"
            [intake]
            tls-key = "key.pem"
            tls-cert = "../etc/key.pem"
            [delivery]
            smart-hosts = [
                "smtps://me@a.example?password-file=pw&ca-file=/ca",
                "smtps://a.example?client-cert=own.pem&client-key=/key.pem",
            ]
            [machines]
            drop = "drop"
            """,
            "etc/relaymail.toml",
        )
        told = readFile(path)
        etc = str(self.directory / "etc")
        self.assertEqual(told.queue.path, f"{etc}/spool/queue.db")
        self.assertEqual((told.intake.tlsKey, told.intake.tlsCert), (key, key))
        smart, shown = told.delivery.smartHosts
        self.assertIn(f"{etc}/pw", repr(smart))
        self.assertEqual(smart.caFile, "/ca")
        self.assertEqual(shown.certFile, f"{etc}/own.pem")
        self.assertEqual(shown.keyFile, "/key.pem")
        self.assertEqual(told.machines.drop, f"{etc}/drop")

    def test_pathOfTheSocket(self) -> None:
        """
        So does that of the control socket, of which the system bounds the length.
        """
        self.directory = shortDirectory(self)
        path = self.write('[control]\nsocket = "control.sock"', "relaymail.toml")
        found = f"{self.directory}/control.sock"
        self.assertEqual(readFile(path).controlSocket, found)

    def test_allProblems(self) -> None:
        """
        Everything that is wrong is told at once, each with its line, its path,
        what was expected, and the nearest name; no secret is.
        """
        found = sorted(self.problems(WRONG), key=lambda line: int(line.split(":")[0]))
        for line, told in zip(
            found,
            [
                "2: hostnam: there is no such option outside of the tables; did you "
                "mean hostname?",
                "3: dns: there is no such option outside of the tables; it stands in "
                "[delivery]",
                "4: control: 5 is not a table: write [control] on a line",
                "7: intake.networks[1]: 'everybody' is not a network",
                "7: intake.networks[2]: 7 is not a list of networks: write",
                "8: intake.max_message_size: there is no such option in [intake]; did "
                "you mean max-message-size?",
                "9: intake.tls-key: 'nowhere.pem' is not a file",
                "12: delivery.max-connections: 'many' is not a whole number: write",
                "13: delivery.max-messages-per-connection: true is not a whole number",
                "14: delivery.retry[1]: 'never' is not a duration",
                "15: delivery.expire: 0 is not a duration above 0",
                "16: delivery.mx-port: 99999 is not a port from 1 to 65535",
                "17: delivery.password: a secret never stands in the file",
                "19: delivery.smart-hosts[0]: 'smtps://mail.example.com' is not a "
                "smart host: 'pasword-file' is none of its keys",
                "24: delivery.smart-hosts[1]: 'smtps://me:…@mail.example.com' is not a "
                "smart host: a password there shows",
                "28: delivery.destination-rates.\"example.org\": 'fast' is not a rate",
                "30: machine: there is no such table; did you mean machines?",
                "34: machines.aliases.root: 'nobody at all' is not a local name",
            ],
            strict=True,
        ):
            self.assertTrue(line.startswith(told), f"{line!r} is not {told!r}")
        self.assertNotIn("hunter2", "\n".join(found))

    def test_together(self) -> None:
        """
        What belongs together is told of beside other problems.
        """
        path = self.write("[control]\nendpoint = 'tcp:8025'\n[intake]\nsmtp = 1\n")
        error = self.assertRaises(ConfigurationError, readFile, path)
        self.assertIn("control.endpoint needs a token", str(error))
        self.assertIn("1 is not a list of endpoints", str(error))

    def test_notTOML(self) -> None:
        """
        What is not TOML is told of with its line.
        """
        for text, told in (
            ("a = 1\nb = \n", "2: this is not TOML: Invalid value"),
            ("a = 1\na = 2\n", "2: this is not TOML: Cannot overwrite a value"),
            ("a = [1", " this is not TOML: Unclosed array at the end of the file"),
            ("a = " + "[" * 5000, " this is not TOML"),
            ("a = " + "9" * 5000, " this is not TOML"),
            (b"a = 1\n\nb = '\xff'\n", "3: this is not UTF-8"),
        ):
            (problem,) = self.problems(text)
            self.assertTrue(problem.startswith(told), problem)

    def test_notAFile(self) -> None:
        """
        What cannot be read is told of, and nothing hangs.
        """
        fifo = str(self.directory / "fifo")
        os.mkfifo(fifo)
        large = self.write("#" * files.MAX_FILE + "\n")
        for path, told in (
            (fifo, "is not a file"),
            (str(self.directory), "Is a directory"),
            (large, "is larger than 1048576 bytes"),
            ("nowhere", "nowhere: the configuration file cannot be read: No such file"),
        ):
            error = self.assertRaises(ConfigurationError, readFile, path)
            self.assertIn(told, str(error))

    def test_windows(self) -> None:
        """
        A byte order mark and CRLF are no problem.
        """
        path = self.write(b"\xef\xbb\xbf[delivery]\r\nmx-port = 26\r\n")
        self.assertEqual(readFile(path).delivery.mxPort, 26)

    def test_printable(self) -> None:
        """
        What stands in the file comes out printable.
        """
        (problem,) = self.problems('"a\\u001b[2J\\nb" = 1\n')
        self.assertTrue(problem.isprintable())

    @given(
        st.dictionaries(
            st.sampled_from(
                ["queue", "hostname", "intake", "delivery", "machines", "control", "x"]
            ),
            st.recursive(
                st.one_of(
                    st.text(max_size=8), st.integers(), st.floats(), st.booleans()
                ),
                lambda inner: st.one_of(
                    st.lists(inner, max_size=3),
                    st.dictionaries(
                        st.sampled_from(
                            [
                                "smtp",
                                "networks",
                                "smart-hosts",
                                "retry",
                                "expire",
                                "aliases",
                                "url",
                                "tls-key",
                                "destination-rates",
                                "rewrite-senders",
                                "origins",
                                "hosts",
                            ]
                        ),
                        inner,
                        max_size=3,
                    ),
                ),
                max_leaves=6,
            ),
            max_size=4,
        )
    )
    @settings(max_examples=100, deadline=None)
    def test_anything(self, said: dict[str, object]) -> None:
        """
        Whatever TOML says, it is a configuration or a problem in words.
        """
        layer = Layer(said, lambda at: showPath(at) + ": ")
        try:
            found = structure([layer])
        except ConfigurationError as e:
            for line in str(e).split("\n"):
                self.assertTrue(line.isprintable())
        else:
            self.assertIsInstance(found, Configuration)


class SearchTests(FileCase):
    """
    Tests for L{findFile} and L{readConfiguration}.
    """

    def test_order(self) -> None:
        """
        The file that is named goes first, then that of the environment, of the
        working directory, and of the system; else there is none.
        """
        self.assertIsNone(findFile())
        self.assertIsNone(readConfiguration().file)
        system = self.write("[delivery]\nmx-port = 1\n", "system.toml")
        self.assertEqual(findFile(), system)
        local = self.write("[delivery]\nmx-port = 2\n")
        self.assertEqual(findFile(), local)
        other = self.write("[delivery]\nmx-port = 3\n", "other.toml")
        os.environ[files.VARIABLE] = "other.toml"
        self.assertEqual(findFile(), other)
        self.assertEqual(readConfiguration().delivery.mxPort, 3)
        self.assertEqual(findFile(local), local)
        self.assertEqual(readConfiguration(system).delivery.mxPort, 1)

    def test_named(self) -> None:
        """
        A file that was named and is not there is not passed over.
        """
        self.write("")
        self.assertRaises(ConfigurationError, readConfiguration, "nowhere.toml")

    def test_others(self) -> None:
        """
        A file in the working directory that others can write is not read, and that
        is said.
        """
        path = Path(self.write(""))
        for mode in (0o664, 0o646):
            path.chmod(mode)
            error = self.assertRaises(ConfigurationError, findFile)
            self.assertIn("others may write it (chmod go-w)", str(error))
        self.assertEqual(findFile(str(path)), str(path))

    def test_othersFile(self) -> None:
        """
        One of another user is passed over, so that who runs a program there is not
        told what to do by it; that is said to who asks.
        """
        self.assertIsNone(passedOver())
        path = self.write("[delivery]\nmx-port = 26\n")
        self.assertIsNone(passedOver())
        self.patch(os, "geteuid", lambda: os.getuid() + 1)
        if os.getuid() == 0:
            os.chown("relaymail.toml", 12345, -1)
        self.assertIsNone(findFile())
        self.assertEqual(readConfiguration().delivery.mxPort, 25)
        self.assertIn("it is another user's", passedOver() or "")
        self.assertIsNone(passedOver(path))
        self.assertEqual(findFile(path), path)

    def test_link(self) -> None:
        """
        A link to nowhere is passed over.
        """
        os.symlink("nowhere", "relaymail.toml")
        self.assertIsNone(findFile())
        self.assertIn("is not read", passedOver() or "")
