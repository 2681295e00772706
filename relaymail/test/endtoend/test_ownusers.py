# -*- test-case-name: relaymail.test.endtoend.test_ownusers -*-
"""
The page about users shows how a program gives its own.
"""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from relaymail.envelopes import Client
from relaymail.errors import Refused

#: The checkout.
ROOT = Path(__file__).resolve().parents[3]

_CODE = re.compile(r"^\.\. code-block:: python\n\n((?:   .*\n|\n)+)", re.MULTILINE)


class OwnUsersTests(SynchronousTestCase):
    """
    Tests for the page about users.
    """

    def setUp(self) -> None:
        page = ROOT / "docs" / "authentication.rst"
        if not page.exists():
            raise SkipTest("the pages are not installed")
        [code] = _CODE.findall(page.read_text("utf-8"))
        self.names: dict[str, Any] = {}
        exec(dedent(code), self.names)

    def test_works(self) -> None:
        """
        It lets in who the program knows, as the page says.
        """

        async def look(self: object, name: bytes, password: bytes) -> bool:
            return (name, password) == (b"tim@example.com", b"pw")

        self.names["Directory"].look = look
        made = self.names["authentication"](Clock())
        self.assertEqual(made.mechanisms(True, {}), ("PLAIN", "LOGIN"))
        client = Client("192.0.2.9")
        said = made.begin("PLAIN", client, {}).respond(b"\0tim@example.com\0pw")
        found = self.successResultOf(said)
        self.assertEqual(found.user, "tim@example.com")
        found.acceptance.acceptSender(client, "tim@example.com")
        with self.assertRaises(Refused):
            found.acceptance.acceptSender(client, "ann@example.com")
        said = made.begin("PLAIN", client, {}).respond(b"\0tim@example.com\0no")
        self.assertEqual(self.failureResultOf(said).value.reply.code, 535)
