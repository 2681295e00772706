# -*- test-case-name: relaymail.test.endtoend.test_systemd -*-
"""
The relay as systemd runs it, without systemd: a socket that is handed over, a
manager that is told, and the files in C{docs/systemd}.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from relaymail import configuration, stopping
from relaymail.cli.main import main
from relaymail.test.endtoend.harness import EndToEndTestCase, submit
from relaymail.test.endtoend.processes import Twistd, until

ROOT = Path(__file__).resolve().parents[3]
#: How long any command may take, in seconds.
PATIENCE = 60

#: Starts a command as systemd does: with a socket that blocks as descriptor 3.
ACTIVATE = """
import os, socket, sys
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(50)
listener.setblocking(True)
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="smtp",
                  NOTIFY_SOCKET=sys.argv[1], WATCHDOG_USEC="400000")
os.execv(sys.argv[2], sys.argv[2:])
"""


class Activated(Twistd):
    """
    C{twistd -n relaymail} with a port that somebody else has opened.
    """

    endpoint = "systemd:domain=INET:index=0"

    def _endpoint(self) -> str:
        return self.endpoint


class Manager:
    """
    The end of a service manager at which it is told things.

    @ivar address: What it gives to who it starts.
    @ivar heard: What it was told.
    """

    def __init__(self) -> None:
        self.address = f"@relaymail-test-{os.getpid()}-{id(self)}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + self.address[1:])
        self._socket.setblocking(False)
        self.heard: list[str] = []

    def close(self) -> None:
        """
        Listen no longer.
        """
        self._socket.close()

    def has(self, line: str, count: int = 1) -> bool:
        """
        Tell whether something was told so often.
        """
        while True:
            try:
                data = self._socket.recv(65536)
            except BlockingIOError:
                return sum(each.startswith(line) for each in self.heard) >= count
            self.heard += data.decode().split("\n")


class ActivationTests(EndToEndTestCase):
    """
    Tests with a process.
    """

    def start(self, endpoint: str = Activated.endpoint) -> Activated:
        """
        Prepare a relay that gets its socket.
        """
        self.manager = Manager()
        self.addCleanup(self.manager.close)
        wrapper = [sys.executable, "-c", ACTIVATE, self.manager.address]
        server = self.startServer()
        options = ["--smarthost", f"127.0.0.1:{server.port}"]
        options += ["--allow-destination", "127.0.0.0/8"]
        relay = Activated(self.directory / "twistd", options, wrapper)
        relay.endpoint = endpoint
        self.server = server
        self.addCleanup(relay.clean)
        return relay

    async def test_socketAndManager(self) -> None:
        """
        Mail comes in by a socket that was handed over, although it blocks. The
        manager is told when all is ready, that the reactor turns, when the
        configuration is read again, and when the relay stops.
        """
        relay = await self.start().start()
        await until(lambda: self.manager.has("READY=1"), "the manager knows")
        for _ in range(2):
            await submit(relay.port)
        await until(lambda: len(self.server.received) == 2, "both are delivered")
        await until(lambda: self.manager.has("WATCHDOG=1", 3), "it shows life")
        relay.process.send_signal(signal.SIGHUP)
        await until(lambda: self.manager.has("RELOADING=1"), "it reloads")
        await until(lambda: self.manager.has("READY=1", 2), "it has reloaded")
        self.assertTrue(self.manager.has("MONOTONIC_USEC="))
        await relay.terminate()
        self.assertTrue(self.manager.has("STOPPING=1"), self.manager.heard)

    async def test_byName(self) -> None:
        """
        The socket is found by the name that the unit of the socket gives it.
        """
        relay = await self.start("systemd:domain=INET:name=smtp").start()
        await submit(relay.port)
        await until(lambda: self.server.received, "it is delivered")
        await relay.terminate()


def sections(path: Path) -> dict[str, list[tuple[str, str]]]:
    """
    Read a unit file of systemd, as C{systemd.syntax(7)} has it.

    @raise AssertionError: When a line is none.
    """
    found: dict[str, list[tuple[str, str]]] = {}
    lines: list[tuple[str, str]] | None = None
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        header = re.fullmatch(r"\[([A-Z][a-z]+)\]", line)
        if header:
            lines = found.setdefault(header[1], [])
            continue
        assignment = re.fullmatch(r"([A-Z][A-Za-z0-9]+)=(\S.*)?", line)
        if lines is None or assignment is None:
            raise AssertionError(f"{path.name}:{number}: {line!r} is no line of a unit")
        lines.append((assignment[1], assignment[2] or ""))
    return found


class UnitTests(SynchronousTestCase):
    """
    Tests for the files.
    """

    def setUp(self) -> None:
        self.directory = ROOT / "docs" / "systemd"
        if not self.directory.exists():
            raise SkipTest("the pages are not installed")
        self.units = {
            name: sections(self.directory / f"relaymail.{name}")
            for name in ("service", "socket")
        }

    def said(self, unit: str, section: str) -> Mapping[str, str]:
        """
        Give what is said once in a section.
        """
        return dict(self.units[unit][section])

    def test_verify(self) -> None:
        """
        systemd knows each line, where it is there to be asked; else each line is
        one of a unit.
        """
        self.assertEqual(set(self.units["service"]), {"Unit", "Service", "Install"})
        self.assertEqual(set(self.units["socket"]), {"Unit", "Socket", "Install"})
        tool = shutil.which("systemd-analyze")
        if tool is None:
            return
        place = Path(self.mktemp()).absolute()
        place.mkdir()
        for path in self.directory.glob("*.socket"):
            shutil.copy(path, place)
        for name in self.units:
            # The command is not installed where the unit says it is.
            text = (self.directory / f"relaymail.{name}").read_text("utf-8")
            text = text.replace("/opt/relaymail/bin/relaymail", sys.executable)
            (place / f"relaymail.{name}").write_text(text)
        done = subprocess.run(
            [tool, "verify", *map(str, sorted(place.iterdir()))],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        self.assertNotIn("relaymail", done.stderr)

    def test_comments(self) -> None:
        """
        Each group of lines in what hardens the relay has its reason above it.
        """
        text = (self.directory / "relaymail.service").read_text("utf-8")
        body = text.partition("[Service]\n")[2].partition("\n[Install]")[0]
        groups = body.split("\n\n")
        self.assertGreater(len(groups), 3)
        self.assertEqual([g for g in groups if not g.startswith("# ")][1:], [])

    def test_command(self) -> None:
        """
        What is started is a command of relaymail with options that it has.
        """
        words = self.said("service", "Service")["ExecStart"].split()
        self.assertEqual(words[0], "/opt/relaymail/bin/relaymail")
        self.assertIn(words[1], main.list_commands(None))  # type: ignore[arg-type]
        self.assertEqual(words[2:], ["--config", "/etc/relaymail/relaymail.toml"])
        self.assertEqual(words[3], configuration.reading.SYSTEM_FILE)

    def test_patience(self) -> None:
        """
        systemd waits longer than the relay takes at most to stop, and for more
        than two signs of life.
        """
        told = self.said("service", "Service")
        self.assertGreater(int(told["TimeoutStopSec"]), 5 * stopping.STOP_PATIENCE)
        self.assertGreater(int(told["WatchdogSec"]), 2 * stopping.STOP_PATIENCE)
        self.assertEqual(told["Type"], "notify")

    def test_A08_hardening(self) -> None:
        """
        The relay is not root, has no capability, and its files are its own.
        """
        told = self.said("service", "Service")
        self.assertEqual(told["User"], "relaymail")
        self.assertEqual(told["CapabilityBoundingSet"], "")
        self.assertEqual(told["NoNewPrivileges"], "yes")
        self.assertEqual((told["UMask"], told["StateDirectoryMode"]), ("0077", "0700"))
        self.assertIn("AF_UNIX", told["RestrictAddressFamilies"].split())
        # pyOpenSSL would not work.
        self.assertNotIn("MemoryDenyWriteExecute", told)

    def test_configuration(self) -> None:
        """
        The configuration beside it can be read, takes the socket by the name that
        its unit gives it, and keeps the queue where the service may write.
        """
        found = configuration.readFile(str(self.directory / "relaymail.toml"))
        (endpoint,) = found.intake.smtp
        name = self.said("socket", "Socket")["FileDescriptorName"]
        self.assertEqual(endpoint, f"systemd:domain=INET6:name={name}")
        for kind in ("submission", "submissions"):
            told = dict(sections(self.directory / f"relaymail-{kind}.socket")["Socket"])
            self.assertEqual(told["FileDescriptorName"], kind)
            # All of its sockets are handed to it, whichever has woken it.
            self.assertEqual(told["Service"], "relaymail.service")
        state = self.said("service", "Service")["StateDirectory"]
        self.assertEqual(found.queue.path, f"/var/lib/{state}/queue.db")
