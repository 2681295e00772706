# -*- test-case-name: relaymail.test.testing.test_keeping -*-
"""
Small files in memory, in the place of L{PrivateDirectory
<relaymail.keeping.PrivateDirectory>}.
"""

from __future__ import annotations

__all__ = ["MemoryFiles"]


class MemoryFiles:
    """
    A directory of small files in memory.

    @ivar path: What it is called.
    @ivar files: What is in each file, by its name.
    """

    def __init__(self, path: str = "memory") -> None:
        self.path = path
        self.files: dict[str, bytes] = {}

    def names(self) -> list[str]:
        """
        Give the names of the files.
        """
        return sorted(self.files)

    def read(self, name: str, limit: int) -> bytes | None:
        """
        Give what is in a file, L{None} where there is none.

        @param limit: How much is given, in bytes; one more where there is more.
        """
        data = self.files.get(name)
        return None if data is None else data[: limit + 1]

    def write(self, name: str, data: bytes) -> None:
        """
        Keep something.
        """
        self.files[name] = data

    def remove(self, name: str) -> None:
        """
        Keep something no more.
        """
        self.files.pop(name, None)
