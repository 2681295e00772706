# -*- test-case-name: relaymail.test.test_logs -*-
"""
Tests for L{relaymail.logs}.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from io import StringIO
from typing import Any

from twisted.application.service import Application, MultiService
from twisted.logger import (
    FileLogObserver,
    ILogObserver,
    Logger,
    LogLevel,
    formatEventAsClassicLogText,
)
from twisted.python import log as legacy
from twisted.python.failure import Failure
from twisted.python.logfile import LogFile
from twisted.trial.unittest import SynchronousTestCase

from relaymail import logs

#: A second, and what comes shortly before it and after it.
TIMES = (1_700_000_000.0, 1_700_000_000.999, 1_699_999_999.9, 0.0, -0.5, None)

OPTIONS: dict[str, Any] = {
    "logger": None,
    "syslog": 0,
    "logfile": None,
    "nodaemon": 1,
    "prefix": "twisted",
}


class Awkward:
    """
    Something that cannot be shown.
    """

    def __repr__(self) -> str:
        raise RuntimeError("no")

    __str__ = __repr__


def event(**fields: Any) -> dict[str, Any]:
    """
    Make an event as a logger does.
    """
    return {
        "log_logger": None,
        "log_level": LogLevel.info,
        "log_namespace": "relaymail.test",
        "log_source": None,
        "log_format": "{line}",
        "log_time": TIMES[0],
        "line": "delivered id=7",
        **fields,
    }


def without(name: str) -> dict[str, Any]:
    """
    Make an event that lacks something.
    """
    made = event()
    del made[name]
    return made


def failure() -> Failure:
    """
    Make a failure with a traceback.
    """
    try:
        raise ValueError("one\ntwo")
    except ValueError:
        return Failure()


class LineFormatterTests(SynchronousTestCase):
    """
    Tests for L{logs.LineFormatter}.
    """

    def assertSame(self, told: dict[str, Any]) -> str | None:
        """
        Check that an event is written as Twisted writes it.

        @return: What is written.
        """
        expected = formatEventAsClassicLogText(dict(told))
        self.assertEqual(logs.LineFormatter()(told), expected)
        return expected

    def test_line(self) -> None:
        """
        An event is a line with its time, its system and its text.
        """
        written = self.assertSame(event())
        assert written is not None
        self.assertTrue(written.endswith(" [relaymail.test#info] delivered id=7\n"))

    def test_times(self) -> None:
        """
        The time is that of the event, whatever was written before.
        """
        formatter = logs.LineFormatter()
        for when in TIMES + TIMES[::-1]:
            told = event(log_time=when)
            self.assertEqual(formatter(told), formatEventAsClassicLogText(told))

    def test_timeZones(self) -> None:
        """
        The offset from UTC is that of the time, also where it changes.
        """
        self.addCleanup(os.environ.__setitem__, "TZ", os.environ.get("TZ", "UTC"))
        os.environ["TZ"] = "Europe/Berlin"
        time.tzset()
        self.addCleanup(time.tzset)
        formatter = logs.LineFormatter()
        # The end of summer time of 2026.
        for when in (1_792_889_999.5, 1_792_890_000.0, 1_792_890_000.5):
            told = event(log_time=when)
            self.assertEqual(formatter(told), formatEventAsClassicLogText(told))

    def test_formats(self) -> None:
        """
        All that a format may hold is filled in.
        """
        for form in (
            "no field",
            "{line!r:>30} {number:.1f} {{}}",
            "{number.real} {items[0]}",
            "{call()} {number.bit_length()}",
            b"{line}",
            "",
            None,
            7,
        ):
            number, items = (8.5, 8)[form == "{call()} {number.bit_length()}"], ["x"]
            self.assertSame(
                event(
                    log_format=form, number=number, items=items, call=lambda: "called"
                )
            )

    def test_notInTheFormat(self) -> None:
        """
        What is asked for and is not there, or cannot be shown, makes a line
        that says so; it never raises.
        """
        awkward = [
            event(log_format="{missing}"),
            event(log_format="{line"),
            event(log_format="{0}"),
            event(line=Awkward()),
        ]
        for told in awkward:
            written = logs.LineFormatter()(told)
            assert written is not None
            self.assertIn("[relaymail.test#info] ", written)
            self.assertRegex(written, "[uU]nable to format event|unformattable object")

    def test_missing(self) -> None:
        """
        An event may lack anything.
        """
        for name in event():
            self.assertSame(without(name))
        self.assertIsNone(self.assertSame({}))

    def test_lines(self) -> None:
        """
        What has several lines is one entry: those behind the first are
        indented.
        """
        written = self.assertSame(event(line="one\ntwo\nthree"))
        assert written is not None
        self.assertEqual(written.count("\n\t"), 2)

    def test_A03_escapes(self) -> None:
        """
        What a terminal obeys, what is not seen and what no file takes is an
        escape, also in what Twisted writes.
        """
        hostile = "\x1b[31m\r\x9b2J\x85\u2028\u202eb\udcff\x00\tc"
        safe = "\\x1b[31m\\r\\x9b2J\\x85\\u2028\\u202eb\\udcff\\x00\tc"
        try:
            raise ValueError(hostile)
        except ValueError:
            raised = Failure()
        for made in (
            event(line=hostile),
            event(line=hostile, log_system="x"),
            event(log_failure=raised),
        ):
            written = logs.LineFormatter()(made)
            assert written is not None
            self.assertIn(f"{safe}\n", written)
            self.assertTrue(written.replace("\n", "").replace("\t", "").isprintable())

    def test_failure(self) -> None:
        """
        A failure is written with its traceback.
        """
        written = self.assertSame(event(log_failure=failure()))
        assert written is not None
        self.assertIn("\n\tTraceback (most recent call last):\n", written)
        self.assertIn("one\n\ttwo", written)

    def test_system(self) -> None:
        """
        A system that an event names stands in the place of its logger's name.
        """
        self.assertSame(event(log_system="HTTPChannel,1"))
        self.assertSame(event(log_system=None))
        self.assertSame(event(log_flattened={}, log_format="{x}"))

    def test_legacy(self) -> None:
        """
        What is logged Twisted's old way is written as ever.
        """
        written: list[str | None] = []
        wanted: list[str | None] = []

        def observe(told: Any) -> None:
            written.append(logs.LineFormatter()(told))
            wanted.append(formatEventAsClassicLogText(told))

        publisher: Any = legacy.theLogPublisher
        publisher._publishPublisher.addObserver(observe)
        self.addCleanup(publisher._publishPublisher.removeObserver, observe)
        legacy.msg("an old\nline", "of two", system="old")
        legacy.msg(format="%(n)d of them", n=2)
        self.assertEqual(len(written), 2)
        self.assertEqual(written, wanted)

    def test_questions(self) -> None:
        """
        Nothing is written of the ports that name servers are asked from.
        """
        for text, isWritten in (
            ("_Datagrams starting on 4711", False),
            ("(UDP Port 4711 Closed)", False),
            ("Site starting on 4711", True),
            ("no (UDP Port 4711 Closed)", True),
        ):
            told = {"message": (text,), "isError": 0, "log_text": text}
            told |= {"log_system": "-", "log_time": 0.0, "log_format": "{log_text}"}
            written = logs.LineFormatter()(told)
            self.assertEqual(written is not None, isWritten, text)


class ObserverTests(SynchronousTestCase):
    """
    Tests for L{logs.observerFor} and L{logs.addObserver}.
    """

    def setUp(self) -> None:
        """
        Keep what belongs to the process.
        """
        self.out = StringIO()
        self.patch(sys, "stdout", self.out)
        before = signal.signal(signal.SIGUSR1, signal.SIG_DFL)
        self.addCleanup(signal.signal, signal.SIGUSR1, before)

    def observer(self, **options: Any) -> FileLogObserver:
        """
        Make an observer, which there must be.
        """
        made = logs.observerFor({**OPTIONS, **options})
        assert made is not None
        return made

    def test_toTheTerminal(self) -> None:
        """
        In the foreground the log goes to the terminal, each line at once.
        """
        for name in (None, "-"):
            Logger(observer=self.observer(logfile=name)).info("hello")
        self.assertEqual(self.out.getvalue().count("#info] hello\n"), 2)

    def test_toAFile(self) -> None:
        """
        The log goes to the file that is named, in the background and in the
        foreground, behind what is in it; each line at once.
        """
        path = self.mktemp()
        for number in (0, 1):
            made = self.observer(logfile=path, nodaemon=number)
            Logger(observer=made).info("hello {who}", who="\N{WHITE SMILING FACE}")
            with open(path, encoding="utf-8") as file:
                lines = file.read().splitlines()
            self.assertEqual(len(lines), number + 1)
            self.assertTrue(lines[-1].endswith("hello \N{WHITE SMILING FACE}"))
        self.assertEqual(self.out.getvalue(), "")

    def test_aDaemon(self) -> None:
        """
        The log of a daemon is C{twistd.log} where nothing is said; a daemon
        that is to log to the terminal is left to C{twistd}, which refuses.
        """
        place = self.mktemp()
        os.mkdir(place)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(place)
        Logger(observer=self.observer(nodaemon=0)).info("hello")
        self.assertTrue(os.path.getsize("twistd.log"))
        self.assertIsNone(logs.observerFor({**OPTIONS, "nodaemon": 0, "logfile": "-"}))

    def test_others(self) -> None:
        """
        Who wants another log gets that; so does a C{twistd} that is not known.
        """
        for name, value in (("logger", "my.observer"), ("syslog", 1)):
            self.assertIsNone(logs.observerFor({**OPTIONS, name: value}))
        self.assertIsNone(logs.observerFor({}))

    def test_SIGUSR1(self) -> None:
        """
        The log is begun anew at SIGUSR1, in the reactor's turn; where the
        signal has a use already it keeps that.
        """
        path = self.mktemp()
        observer = self.observer(logfile=path)
        Logger(observer=observer).info("before")
        calls: list[Any] = []
        from twisted.internet import reactor

        self.patch(reactor, "callFromThread", calls.append)
        os.kill(os.getpid(), signal.SIGUSR1)
        self.assertEqual(len(calls), 1)
        calls[0]()
        Logger(observer=observer).info("after")
        with open(path) as now, open(f"{path}.1") as before:
            self.assertIn("after", now.read())
            self.assertIn("before", before.read())
        installed = signal.getsignal(signal.SIGUSR1)
        self.observer(logfile=path)
        self.assertIs(signal.getsignal(signal.SIGUSR1), installed)

    def test_rotates(self) -> None:
        """
        The file is one that Twisted rotates by its size, as ever.
        """
        observer = self.observer(logfile=self.mktemp())
        self.assertIsInstance(observer._outFile, LogFile)

    def test_aFullDisk(self) -> None:
        """
        A log that cannot be written loses its lines, and nothing else: it
        goes on when there is room again.
        """

        class Full(StringIO):
            isFull = True

            def write(self, text: str) -> int:
                if self.isFull:
                    raise OSError(28, "No space left on device")
                return super().write(text)

        full = Full()
        self.patch(sys, "stdout", full)
        publisher: Any = type(legacy.theLogPublisher._publishPublisher)(self.observer())
        log = Logger(observer=publisher)
        log.info("lost")
        full.isFull = False
        log.info("kept")
        self.assertEqual(full.getvalue().count("\n"), 1)

    def test_anApplication(self) -> None:
        """
        An application logs by the observer, unless it has its own; any other
        service, and no C{twistd}, means nothing to be done.
        """
        application: Any = Application("relaymail")
        logs.addObserver(application, None)
        self.assertIsNone(application.getComponent(ILogObserver, None))
        logs.addObserver(application, OPTIONS)
        first = application.getComponent(ILogObserver)
        self.assertIsInstance(first, FileLogObserver)
        logs.addObserver(application, OPTIONS)
        self.assertIs(application.getComponent(ILogObserver), first)
        logs.addObserver(MultiService(), OPTIONS)
        other: Any = Application("relaymail")
        logs.addObserver(other, {**OPTIONS, "syslog": 1})
        self.assertIsNone(other.getComponent(ILogObserver, None))
