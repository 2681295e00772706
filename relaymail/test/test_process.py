# -*- test-case-name: relaymail.test.test_process -*-
"""
Tests for C{twistd relaymail} as a process of its own, the only ones with real
processes, sockets and time.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import smtplib
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from relaymail.test.endtoend.processes import entriesOf

#: The checkout, or where the package is installed.
ROOT = Path(__file__).resolve().parents[2]

#: How long anything may take, in seconds: all of it takes about one.
PATIENCE = 30.0

#: How a process ends by SIGTERM: C{twistd} gives itself the signal again when
#: all is stopped, so that who sent it can see that it worked.
CLEAN = (0, -signal.SIGTERM)

_TWISTD = "from twisted.scripts.twistd import run; run()"
_LISTENING = re.compile(r"takes mail on [^ ]+:(\d+),")
_CONTENT = "Subject: through a process\r\n\r\n.one line\r\n"


class Running:
    """
    A relay that runs.

    @ivar log: What it wrote so far.
    """

    def __init__(
        self, directory: Path, words: Sequence[str], under: Sequence[str] = ()
    ) -> None:
        """
        @param directory: Where it runs.
        @param words: Its options.
        @param under: The command that runs it, if any.
        """
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        twistd = [sys.executable, "-c", _TWISTD, "-n", "--pidfile", "", "relaymail"]
        self._process = subprocess.Popen(
            [*under, *twistd, *words],
            cwd=directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )
        self.log = ""
        self._heard = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for line in output:
                with self._heard:
                    self.log += line
                    self._heard.notify_all()

    def waitFor(self, pattern: re.Pattern[str]) -> re.Match[str]:
        """
        Wait until something is in the log.
        """
        with self._heard:
            self._heard.wait_for(lambda: pattern.search(self.log), PATIENCE)
            found = pattern.search(self.log)
        if found is None:
            raise AssertionError(f"{pattern.pattern} did not come:\n{self.log}")
        return found

    def port(self) -> int:
        """
        Wait until it takes mail, and give its port.
        """
        return int(self.waitFor(_LISTENING)[1])

    def signal(self, number: int) -> None:
        """
        Give it a signal.
        """
        self._process.send_signal(number)

    def end(self) -> int:
        """
        Wait until it has ended, and give its exit code.
        """
        code = self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code

    def kill(self) -> None:
        """
        End it, if it has not ended.
        """
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)


class Sink(threading.Thread):
    """
    An SMTP server that takes one message.

    @ivar port: Where it listens.
    @ivar received: What it was given between DATA and the dot.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.settimeout(PATIENCE)
        self.port = self._listening.getsockname()[1]
        self.received: list[str] = []
        self.start()

    def run(self) -> None:
        """
        Serve one client.
        """
        with self._listening:
            connection, _ = self._listening.accept()
        with connection, connection.makefile("rw", newline="") as stream:
            connection.settimeout(PATIENCE)
            self._say(stream, "220 sink.example.com")
            inData = False
            for line in stream:
                if inData:
                    inData = line != ".\r\n"
                    if inData:
                        self.received.append(line)
                    else:
                        self._say(stream, "250 taken")
                    continue
                inData = line.upper().startswith("DATA")
                self._say(stream, "354 go on" if inData else "250 well")

    def _say(self, stream: IO[str], line: str) -> None:
        stream.write(f"{line}\r\n")
        stream.flush()


def strace(calls: str, output: Path) -> list[str]:
    """
    Give the beginning of a command that writes down some system calls, or skip
    the test where that cannot be done.
    """
    program = shutil.which("strace")
    if program is None:
        raise SkipTest("strace is not installed")
    tried = subprocess.run([program, "-o", str(output), "true"], check=False)
    if tried.returncode:
        raise SkipTest("processes cannot be traced here")
    # -D: the traced process is our child, and gets our signals.
    return [program, "-D", "-f", "-qq", "-e", f"trace={calls}", "-o", str(output)]


class ProcessTests(SynchronousTestCase):
    """
    Tests for the service as a process.
    """

    def setUp(self) -> None:
        """
        Make a place to run in.
        """
        self.directory = Path(self.mktemp()).resolve()
        self.directory.mkdir(parents=True)

    def relay(self, *words: str, under: Sequence[str] = ()) -> Running:
        """
        Start a relay, which is ended with the test.
        """
        usual = ["--hostname", "relay.example.com"]
        relay = Running(self.directory, [*usual, *words], under)
        self.addCleanup(relay.kill)
        return relay

    def listening(self, *words: str, under: Sequence[str] = ()) -> Running:
        """
        Start a relay on a free port.
        """
        here = ("--smtp", "tcp:0:interface=127.0.0.1")
        return self.relay(*here, *words, under=under)

    def send(self, relay: Running) -> None:
        """
        Give a message to a relay.
        """
        with smtplib.SMTP("127.0.0.1", relay.port(), timeout=PATIENCE) as client:
            client.sendmail("a@example.com", ["b@example.net"], _CONTENT)

    def test_P10_mailAndSIGTERM(self) -> None:
        """
        Mail goes through; SIGTERM ends the process at once and cleanly; and
        nothing is left in the queue.
        """
        sink = Sink()
        relay = self.listening("--queue", "q", "--smarthost", f"127.0.0.1:{sink.port}")
        self.send(relay)
        relay.waitFor(re.compile(r"b@example\.net.*250 taken"))
        relay.signal(signal.SIGTERM)
        self.assertIn(relay.end(), CLEAN)
        self.assertIn("The relay has stopped", relay.log)
        self.assertNotIn("Traceback", relay.log)
        sink.join(PATIENCE)
        self.assertEqual(sink.received[-2:], ["\r\n", "..one line\r\n"])
        self.assertEqual(
            sorted(os.listdir(self.directory / "q")), ["queue.db", "queue.db-contents"]
        )
        self.assertEqual(entriesOf(self.directory / "q"), [])

    def test_P3_killed(self) -> None:
        """
        What was answered 250 is delivered after the process was killed.
        """
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            relay = self.listening("--queue", "q", "--smarthost", f"127.0.0.1:{port}")
            self.send(relay)
            relay.kill()
        sink = Sink()
        relay = self.listening("--queue", "q", "--smarthost", f"127.0.0.1:{sink.port}")
        relay.waitFor(re.compile(r"b@example\.net.*250 taken"))
        relay.signal(signal.SIGTERM)
        self.assertIn(relay.end(), CLEAN)

    def test_P1_syncedBeforeTheReply(self) -> None:
        """
        The kernel has finished a sync of the log of the database between the
        354 and the 250 of a message.
        """
        trace = self.directory / "trace"
        relay = self.listening(
            *("--queue", "q", "--smarthost", "127.0.0.1:1"),
            under=strace("fsync,fdatasync,write,sendto,sendmsg", trace),
        )
        self.send(relay)
        relay.signal(signal.SIGTERM)
        relay.end()
        calls = trace.read_text(errors="replace")
        _, _, rest = calls.partition('"354 ')
        between, reply, _ = rest.partition('"250 ')
        self.assertTrue(reply, calls[-2000:])
        synced = r"(?:fdatasync\(\d+\)|fdatasync resumed>\)) += 0"
        self.assertRegex(between, synced)

    def test_log(self) -> None:
        """
        The log is as C{twistd} writes it, line for line: the time, what said
        it, and what; by the relay's own observer.
        """
        relay = self.listening("--queue", "q", "--smarthost", "127.0.0.1:1")
        self.send(relay)
        relay.waitFor(re.compile(r"b@example\.net.*connection refused"))
        relay.signal(signal.SIGTERM)
        relay.end()
        entry = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} \[\S+\] \S.*"
        for line in relay.log.splitlines():
            self.assertRegex(line, rf"^{entry}$")
        self.assertIn("[relaymail.service.Relay#info] The relay has", relay.log)
        self.assertIn("UnixAppLogger#info] Server Shut Down.", relay.log)

    def test_wrongOption(self) -> None:
        """
        An option that cannot be used ends the process with one sentence.
        """
        relay = self.relay("--retry", "later")
        self.assertNotEqual(relay.end(), 0)
        self.assertEqual(relay.log.count("\n"), 1)
        self.assertIn("'later' is not a duration", relay.log)

    def test_portInUse(self) -> None:
        """
        A port in use ends the process with one sentence.
        """
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            relay = self.relay("--smtp", f"tcp:{port}:interface=127.0.0.1")
            self.assertNotEqual(relay.end(), 0)
        self.assertNotIn("Traceback", relay.log)
        self.assertIn("Address already in use", relay.log.splitlines()[-1])

    def test_queueLocked(self) -> None:
        """
        A second relay on the same queue ends with one sentence, and the first
        goes on.
        """
        first = self.listening("--queue", "q")
        port = first.port()
        second = self.listening("--queue", "q")
        self.assertNotEqual(second.end(), 0)
        self.assertNotIn("Traceback", second.log)
        self.assertTrue(second.log.splitlines()[-1].startswith("relaymail: "))
        with smtplib.SMTP("127.0.0.1", port, timeout=PATIENCE) as client:
            self.assertEqual(client.noop()[0], 250)
