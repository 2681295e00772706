# -*- test-case-name: relaymail.test.endtoend.test_bench -*-
"""
C{relaymail bench} with a real relay, source and sink.  How fast they are is
never asserted.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relaymail.bench.children import Child, environment

#: How long one command may take, in seconds: it takes about two.
PATIENCE = 120
#: How often it is looked whether something has come true, in seconds.
GLANCE = 0.05

#: A sink takes everything: as a relay it loses everything.
HOLE = ("-m", "relaymail.bench.sink", "0")

COMMAND = (sys.executable, "-m", "relaymail.cli.main", "bench", "--runs", "1")


class BenchTests(SynchronousTestCase):
    """
    Tests for the whole command.
    """

    def setUp(self) -> None:
        """
        Make a place to run it in, which is empty again afterwards.
        """
        self.place = Path(self.mktemp())
        self.place.mkdir()
        self.addCleanup(lambda: self.assertEqual(list(self.place.iterdir()), []))

    def start(self, *words: str) -> subprocess.Popen[str]:
        """
        Start the command.
        """
        return subprocess.Popen(
            [*COMMAND, *words],
            cwd=self.place,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run_(self, *words: str, code: int = 0) -> tuple[str, str]:
        """
        Run the command, and give what it printed.
        """
        with self.start(*words) as process:
            told, errors = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, code, errors)
        return told, errors

    def result(self, *words: str) -> dict[str, Any]:
        """
        Run the command, and give its only result.
        """
        told, _ = self.run_("--json", *words)
        (result,) = json.loads(told)["results"]
        assert isinstance(result, dict)
        return result

    def test_ownRelay(self) -> None:
        """
        Our own relay gets all messages, and every figure is there.
        """
        result = self.result("--messages", "50", "--recipients", "2")
        (run,) = result["runs"]
        counts = [run[n] for n in ("accepted", "refused", "lost", "duplicates")]
        self.assertEqual(counts, [50, 0, 0, 0])
        self.assertEqual(result["relay"], "relaymail")
        self.assertEqual(set(result["median"]), set(run) - set(COUNTS))
        for name in ("acceptedPerSecond", "relayedPerSecond", "memory", "p50"):
            self.assertGreater(run[name], 0)

    def test_latency(self) -> None:
        """
        One message at a time, all come.
        """
        result = self.result("--messages", "5", "--latency")
        self.assertEqual(result["runs"][0]["accepted"], 5)
        self.assertTrue(result["work"]["paced"])

    def test_anotherRelay(self) -> None:
        """
        Another relay is driven at its address; the sink itself is the fastest.
        """
        port = str(freePort())
        result = self.result(
            *("--messages", "50", "--per-connection", "0", "--sink-port", port),
            *("--relay", f"127.0.0.1:{port}", "--relay-pid", str(os.getpid())),
        )
        self.assertEqual(result["relay"], f"127.0.0.1:{port}")
        self.assertEqual(result["runs"][0]["accepted"], 50)
        self.assertGreater(result["runs"][0]["memory"], 0)

    def test_portTaken(self) -> None:
        """
        A sink that cannot listen is told with its port, and what to do.
        """
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            _, told = self.run_("--sink-port", str(port), code=1)
        self.assertIn(f"127.0.0.1:{port}", told)
        self.assertIn("--sink-port", told)

    def test_relayDoesNotStart(self) -> None:
        """
        A relay that does not start is told with the end of its log.
        """
        _, told = self.run_("--queue", "strange:thing/queue", code=1)
        self.assertIn("Tried to start the relay: it ended.", told)
        self.assertIn("strange", told.partition("log ends with")[2])

    def test_nothingTaken(self) -> None:
        """
        A relay that is not there is told, and nothing is waited for.
        """
        relay = f"127.0.0.1:{freePort()}"
        _, told = self.run_("--relay", relay, "--sink-port", str(freePort()), code=1)
        self.assertIn(f"{relay}: it took none", told)

    def test_lost(self) -> None:
        """
        Mail that a relay takes and does not give on is counted, and is exit
        code 1; one message at a time, it ends with the first.
        """
        with Child("black hole", HOLE, Path(self.mktemp())) as hole:
            relay = f"127.0.0.1:{hole.hear('ready', PATIENCE)}"
            words = ["--patience", "1", "--messages", "5", "--recipients", "2"]
            words += ["--relay", relay, "--sink-port", str(freePort())]
            told, errors = self.run_(*words, "--json", code=1)
            self.assertEqual(json.loads(told)["lost"], 10)
            self.assertIn("10 deliveries were lost", errors)
            _, errors = self.run_(*words, "--latency", code=1)
            self.assertIn("0 came, the next did not", errors)

    def test_relayEnds(self) -> None:
        """
        A relay that ends while it is measured is told.
        """
        with self.start("--messages", "1000000") as process:
            children = awaitChildren(process.pid, 3)
            (relay,) = [pid for pid in children if b"--smarthost" in commandOf(pid)]
            os.kill(relay, signal.SIGKILL)
            _, told = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 1)
        self.assertIn("it ended by itself meanwhile", told)

    def test_interrupted(self) -> None:
        """
        After an interrupt no process is left, and no file.
        """
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.start("--messages", "1000000") as process:
                children = awaitChildren(process.pid, 3)
                process.send_signal(number)
                process.communicate(timeout=PATIENCE)
            self.assertEqual(process.returncode, 130)
            self.assertEqual([pid for pid in children if isAlive(pid)], [])


#: What medians are not taken of.
COUNTS = ("accepted", "refused", "refusal", "lost", "duplicates")


def freePort() -> int:
    """
    Give a port on which nothing listens.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert isinstance(port, int)
        return port


def awaitChildren(pid: int, count: int) -> list[int]:
    """
    Wait until a process has so many children, and give them.
    """
    path = Path(f"/proc/{pid}/task/{pid}/children")
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = [int(word) for word in path.read_text().split()]
        if len(found) == count:
            return found
        time.sleep(GLANCE)
    raise AssertionError(f"{pid} does not have {count} children")


def commandOf(pid: int) -> bytes:
    """
    Give a process's command line.
    """
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def isAlive(pid: int) -> bool:
    """
    Tell whether a process is there.
    """
    return Path(f"/proc/{pid}").exists()
