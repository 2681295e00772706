# -*- test-case-name: relaymail.test.test_tap -*-
"""
C{twistd relaymail}: from the command line to the service.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any, ClassVar

from twisted.python import usage

from relaymail.assembly import checkUsers
from relaymail.certificates import loadTLS
from relaymail.configuration import Configuration, findFile
from relaymail.configuration.describing import helpOf
from relaymail.configuration.entering import checkEntering
from relaymail.configuration.files import passedOver
from relaymail.configuration.options import Option
from relaymail.configuration.reading import (
    LOCAL_FILE,
    SYSTEM_FILE,
    VARIABLE,
    readLayer,
)
from relaymail.configuration.structuring import flat, structure
from relaymail.configuration.tables import OPTIONS
from relaymail.daemon import TwistdRelay
from relaymail.errors import ConfigurationError, RelayMailError
from relaymail.ports import checkEndpoint
from relaymail.service import Relay

ExceptHook = Callable[
    [type[BaseException], BaseException, TracebackType | None], object
]


def _parameters() -> list[list[Any]]:
    """
    Make the options that have one value.
    """
    named = [
        "config",
        None,
        None,
        "The configuration file; an option given here holds over it. [default: "
        f"${VARIABLE}, else {LOCAL_FILE} in the working directory, else {SYSTEM_FILE}]",
    ]
    told = [
        [one.flag, one.said.short or None, None, helpOf(one)]
        for one in OPTIONS
        if not one.said.isRepeated
    ]
    return [named, *told]


class Options(usage.Options):
    """
    The options of C{twistd relaymail}: those of
    L{relaymail.configuration.tables}, and where the file is that holds them.

    @ivar configuration: What they say, once they were parsed.
    """

    synopsis = "[options]"
    longdesc = (
        "Takes mail by SMTP, keeps it in a queue on the disk, and delivers it to "
        "smart hosts or to the mail exchange hosts of its destinations."
    )

    optParameters: ClassVar[list[list[Any]]] = _parameters()

    configuration: Configuration

    def __init__(self) -> None:
        super().__init__()
        # A daemon may change its working directory, and read the file again.
        self._base = os.getcwd()
        for one in OPTIONS:
            if one.said.isRepeated:
                self[one.flag] = []

    def parseOptions(self, options: list[str] | None = None) -> None:
        """
        Read a command line.

        @raise usage.UsageError: When the relay cannot be run like that.
        @raise SystemExit: The same under C{twistd}, of which some versions
            end with exit code 0 after a wrong option, and all of them hide
            the sentence behind a page of help.
        """
        try:
            super().parseOptions(options)
        except usage.UsageError as e:
            if self.parent is None:
                raise
            sys.exit("\n".join(f"relaymail: {line}" for line in str(e).split("\n")))

    def opt_version(self) -> None:
        """
        Display relaymail's version and exit.
        """
        from relaymail import __version__

        print(f"relaymail {__version__}")
        sys.exit(0)

    def postOptions(self) -> None:
        """
        Read what the options say.

        @raise usage.UsageError: When the relay cannot be run like that, with a
            sentence that says why.
        """
        try:
            self.configuration = self.reread()
        except ConfigurationError as e:
            raise usage.UsageError(str(e)) from e

    def reread(self) -> Configuration:
        """
        Read the configuration file again, and what the options say over it.
        Nothing is changed.

        @raise ConfigurationError: When the relay cannot be run like that, with all
            that is wrong, a line each.
        """
        said = {one.attribute: self[one.flag] for one in OPTIONS}
        said = {name: None if value == [] else value for name, value in said.items()}
        flags = flat(said, lambda one: f"--{one.flag}: ", self._base)
        problem = passedOver(self["config"], self._base)
        if problem is not None:
            raise ConfigurationError(problem)
        file = findFile(self["config"], self._base)
        layers = [flags] if file is None else [readLayer(file), flags]
        configuration = structure(layers, file, self._base)
        for opening in configuration.intake.openings:
            checkEndpoint(opening.endpoint)
        checkEntering(configuration.intake)
        checkUsers(configuration.intake.users)
        loadTLS(configuration.intake.tlsKey, configuration.intake.tlsCert)
        return configuration


def _repeated(one: Option) -> Callable[[Options, str], None]:
    """
    Make what takes an option that may be given several times.
    """

    def take(self: Options, value: str) -> None:
        self[one.flag].append(value)

    take.__doc__ = helpOf(one)
    return take


for _one in OPTIONS:
    if _one.said.isRepeated:
        setattr(Options, f"opt_{_one.flag.replace('-', '_')}", _repeated(_one))


def makeService(options: Options) -> Relay:
    """
    Make the relay that the options tell of.

    @param options: The options, parsed.
    """
    sys.excepthook = plainly(sys.excepthook)
    return TwistdRelay(options.configuration, options.parent, options.reread)


def plainly(hook: ExceptHook) -> ExceptHook:
    """
    Give an exception hook that says relaymail's own errors in their one
    sentence: C{twistd} lets what a service cannot start with end the process.

    @param hook: What takes every other exception.
    """

    def say(
        kind: type[BaseException],
        error: BaseException,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, RelayMailError):
            # The other one is the log, where it was said already.
            print(f"relaymail: {error}", file=sys.__stderr__)
        else:
            hook(kind, error, traceback)

    return say
