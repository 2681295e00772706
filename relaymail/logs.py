# -*- test-case-name: relaymail.test.test_logs -*-
"""
The log of C{twistd relaymail}: what C{twistd} would write, to the letter, and
where it would write it, for a fraction of the work; but for two lines of each question
to a name server.

A relay writes a line for every message it takes and another for every
recipient.  With C{twistd}'s own observer each of them costs as much as the
delivery does in its protocol, most of it to write the date anew.
"""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Mapping
from typing import Any

from twisted.logger import (
    FileLogObserver,
    ILogObserver,
    LogEvent,
    formatEventAsClassicLogText,
    formatTime,
)
from twisted.python.logfile import LogFile

#: What Twisted says of each port that a name server is asked from, of which there is
#: one for each question.
_OF_QUESTIONS = re.compile(r"_Datagrams starting on \d+|\(UDP Port \d+ Closed\)")

#: What makes a line other than date, system and text; such an event is left to
#: Twisted.
_SPECIAL = frozenset({"log_failure", "log_flattened", "log_system"})


class LineFormatter:
    """
    Gives the text of events as L{formatEventAsClassicLogText
    <twisted.logger.formatEventAsClassicLogText>} does.

    What it cannot do itself, an event that cannot be formatted at all among
    it, is left to that.  Only what terminals obey, what is not seen, and what
    UTF-8 has not, is written as an escape: whoever logs makes text from outside
    printable, but not every error is made here.
    """

    def __init__(self) -> None:
        # One value, for events come from several threads.
        self._last: tuple[float, str] | None = None

    def __call__(self, event: LogEvent) -> str | None:
        """
        Give the text of an event.

        @return: The text with its line end, or L{None} where there is none.
        """
        if _SPECIAL.isdisjoint(event):
            try:
                text = event["log_format"].format_map(event)
                level, time = event["log_level"].name, self.stamp(event["log_time"])
                line = f"{time} [{event['log_namespace']}#{level}] {text}"
            except Exception:
                # It has no time or no text, or needs more than C{format_map}.
                text = ""
            if text:
                return shown(line.replace("\n", "\n\t")) + "\n"
        said = event.get("message")
        if said and _OF_QUESTIONS.fullmatch(str(said[0])):
            return None
        classic = formatEventAsClassicLogText(event, self.stamp)
        return None if classic is None else shown(classic)

    def stamp(self, when: float | None) -> str:
        """
        Give a time, to the second, as it stands in front of a line.

        @param when: The time in seconds of the epoch, or L{None}.
        """
        if when is None:
            return formatTime(when)
        second, last = when // 1, self._last
        if last is None or last[0] != second:
            # An offset from UTC changes on a whole second only.
            last = self._last = second, formatTime(when)
        return last[1]


def shown(text: str) -> str:
    """
    Give a text with an escape, such as C{\\x1b}, for each character that is
    neither printable nor the end of a line or a tabulator.
    """
    if text.isprintable():
        # As nearly all are.
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else _escape(c) for c in text)


def _escape(character: str) -> str:
    return repr(character)[1:-1]


def observerFor(options: Mapping[str, Any]) -> FileLogObserver | None:
    """
    Make what logs in the place of C{twistd}'s own observer.

    @param options: The options of C{twistd}.

    @return: The observer, or L{None} where the log does not go to a file or to
        the terminal, or cannot: what C{twistd} does then is its own.
    """
    if options.get("logger") or options.get("syslog", True):
        return None
    name, isDaemon = options.get("logfile"), not options.get("nodaemon")
    if name == "-" and isDaemon:
        return None
    if name == "-" or (not name and not isDaemon):
        return FileLogObserver(sys.stdout, LineFormatter())
    file = LogFile.fromFullPath(name or "twistd.log")
    _rotateOnSignal(file)
    return FileLogObserver(file, LineFormatter())


def addObserver(application: Any, options: Mapping[str, Any] | None) -> None:
    """
    Have an application of C{twistd} log by L{observerFor}, unless it has an
    observer of its own.

    @param application: What the service becomes part of, an application or any
        other service.
    @param options: The options of C{twistd}, or L{None} outside of it.
    """
    setComponent = getattr(application, "setComponent", None)
    if options is None or setComponent is None:
        return
    if application.getComponent(ILogObserver, None) is None:
        observer = observerFor(options)
        if observer is not None:
            setComponent(ILogObserver, observer)


def _rotateOnSignal(file: LogFile) -> None:
    """
    Rotate the log at SIGUSR1, unless somebody else has a use for that.
    """

    def rotate(number: int, frame: Any) -> None:
        from twisted.internet import reactor

        call: Any = reactor
        call.callFromThread(file.rotate)

    if not signal.getsignal(signal.SIGUSR1):
        signal.signal(signal.SIGUSR1, rotate)
