# -*- test-case-name: relaymail.test.configuration.test_structuring -*-
"""
What a kind of values is: how they are read, what is expected, and how they are shown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from relaymail.configuration.values import Read, Unfit, shownValue, valueAt
from relaymail.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Kind:
    """
    What the values of an option are.

    @ivar name: What they are called, with an article.
    @ivar expected: What is to be written.
    @ivar read: Gives the value of what was written.
    @ivar show: Gives, for a value, what may be written in a file: text, a number, a
        list or a table.
    @ivar isRight: Whether a value that a program gave can be used.
    @ivar isHidden: Whether what was written may be a secret.
    """

    name: str
    expected: str
    read: Read
    show: Callable[[Any], Any] = lambda value: value
    isRight: Callable[[Any], bool] = lambda value: True
    isHidden: bool = False

    def take(self, value: Any, base: str = "") -> Any:
        """
        Read what was written.

        @param base: The directory that paths begin at; empty: the working
            directory.

        @raise Unfit: When it is not of this kind; each problem has its sentence.
        """
        try:
            found = self.read(value, base)
        except Unfit as e:
            raise Unfit(
                *(
                    (at, text or self._sentence(valueAt(value, at)))
                    for at, text in e.problems
                )
            ) from None
        except ConfigurationError as e:
            raise Unfit(((), str(e))) from None
        problem = self.problem(found)
        if problem is not None:
            raise Unfit(((), problem))
        return found

    def problem(self, value: Any) -> str | None:
        """
        Say what is wrong with a value as attributes hold it.
        """
        return None if self.isRight(value) else self._sentence(value)

    def _sentence(self, value: Any) -> str:
        shown = "what stands there" if self.isHidden else shownValue(value)
        return f"{shown} is not {self.name}: write {self.expected}"
