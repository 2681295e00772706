# -*- test-case-name: relaymail.test.cli.test_send -*-
"""
Tests for L{relaymail.cli.send}.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaymail.cli import send as sending
from relaymail.cli.client import Refusal
from relaymail.cli.giving import Ways
from relaymail.cli.send import Fates, follow, send, tellFates, tellIds
from relaymail.cli.sendmail import Setup
from relaymail.cli.settings import addOptions
from relaymail.cli.troubles import LATER, ServiceDown
from relaymail.machines import Machines

SETUP = Setup(
    Machines("example.org", hostname="relay.example"), Ways("", None, None), 1000
)
DONE = {
    "id": "1",
    "state": "delivered",
    "outcome": {"recipient": "a@b", "host": "mx.b", "reply": "250 Ok"},
}
BOUNCED = {
    "id": "2",
    "state": "bounced",
    "outcome": {"recipient": "c@d", "host": "", "reply": "550 No\x1b[2J"},
}
WAITING = {"id": "2", "state": "resting", "recipient": "c@d", "due": 0, "reply": ""}


class Relay:
    """
    Stands for the client of a relay.

    @ivar sent: What was given.
    @ivar answers: What is told of each name, one after the other; the last one
        again and again.
    @ivar down: Whether it does not answer.
    """

    def __init__(self) -> None:
        self.sent: list[tuple[dict[str, Any], bytes]] = []
        self.answers: dict[str, list[Any]] = {"1": [DONE]}
        self.down = False

    def send(self, path: str, query: dict[str, Any], message: bytes) -> Any:
        """
        Take a message.
        """
        if self.down:
            raise ServiceDown("No relay answers.")
        self.sent.append((query, message))
        return {"ids": list(self.answers)}

    def get(self, path: str) -> Any:
        """
        Tell of a name.
        """
        left = self.answers[path.removeprefix("queue/")]
        found = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(found, Exception):
            raise found
        return found


class SendTests(SynchronousTestCase):
    """
    A message is made of what is said.
    """

    def setUp(self) -> None:
        """
        Have a relay in memory.
        """
        self.relay = Relay()
        self.patch(sending, "clientFor", lambda: self.relay)
        self.patch(sending, "readSetup", lambda config: SETUP)
        self.patch(sending, "user", lambda: ("ann", "Ann B."))
        addOptions(send)

    def run_(self, *words: str, text: bytes | None = None) -> Result:
        """
        Run the command.
        """
        return CliRunner().invoke(send, list(words), input=text, standalone_mode=False)

    def message(self) -> Any:
        """
        Give the message that was given.
        """
        [(_, content)] = self.relay.sent
        return message_from_bytes(content, policy=policy.default)

    def test_simple(self) -> None:
        """
        A text of the standard input is sent, with what a message needs, and it
        is said what it is called.
        """
        done = self.run_("root", "b@c.example", "-s", "Hello", text=b"h\xc3\xa9\n")
        self.assertEqual((done.return_value, done.exception), (0, None))
        self.assertIn("Queued as 1.\n", done.output)
        self.assertIn("relaymail queue show 1", done.output)
        [(query, content)] = self.relay.sent
        self.assertEqual(
            query,
            {
                "sender": "ann@example.org",
                "recipient": ("root@example.org", "b@c.example"),
            },
        )
        message = self.message()
        self.assertEqual(message["from"], '"Ann B." <ann@example.org>')
        self.assertEqual(message["to"], "root@example.org, b@c.example")
        self.assertEqual(message["subject"], "Hello")
        self.assertEqual(message.get_content(), "hé\r\n")
        self.assertIsNotNone(message["date"])
        self.assertIn("@relay.example>", message["message-id"])
        self.assertEqual(content.count(b"\n"), content.count(b"\r\n"))

    def test_everything(self) -> None:
        """
        Sender, fields and files are taken; nobody sees Bcc, which names
        recipients as Cc does.
        """
        path = Path(self.mktemp())
        path.write_bytes(b"%PDF\x00")
        done = self.run_(
            "a@b",
            "--from=Robot <robot@c.example>",
            "--body=See there",
            f"--attach={path}",
            "--header=Cc: d@e",
            "--header=Bcc: f@g",
            "--header=X-Priority: 1",
        )
        self.assertEqual((done.return_value, done.exception), (0, None))
        [(query, content)] = self.relay.sent
        self.assertEqual(query["sender"], "robot@c.example")
        self.assertEqual(query["recipient"], ("a@b", "d@e", "f@g"))
        self.assertNotIn(b"f@g", content)
        message = self.message()
        self.assertEqual(message["from"], "Robot <robot@c.example>")
        self.assertEqual(message["x-priority"], "1")
        [attached] = message.iter_attachments()
        self.assertEqual(attached.get_filename(), path.name)
        self.assertEqual(attached.get_content(), b"%PDF\x00")

    def test_wrong(self) -> None:
        """
        What cannot be sent is told, and nothing is sent.
        """
        path = Path(self.mktemp())
        path.write_bytes(b"x" * 2000)
        for words, text, said in (
            (["a b"], b"x", "cannot be read"),
            (["a@-b"], b"x", "is not a domain name"),
            (["a@b", "--from", "x@y, z@w"], b"x", "one sender"),
            (["a@b", "--from", ""], b"x", "one sender"),
            (["a@b"], b"x" * 1001, "larger than 1000"),
            (["a@b", "--body=x", f"--attach={path}"], b"", "larger than 1000"),
            (["a@b", "--body=x", "--attach=/dev/zero"], b"", "larger than 1000"),
            (["a@b"], b"\xff", "not UTF-8"),
            (["a@b", "--header=no colon"], b"x", "NAME: TEXT"),
            (["a@b", "--header=Content-Type: x"], b"x", "NAME: TEXT"),
            (["a@b", "--header=A: b\nBcc: x@y"], b"x", "Nothing was sent"),
            (["a@b", "--subject=a\r\nB: c"], b"x", "Nothing was sent"),
            (["a@b", "--header=Subject: x", "--subject=y"], b"x", "Nothing was sent"),
            ([], b"x", "Missing"),
        ):
            done = self.run_(*words, text=text)
            self.assertIn(said, str(done.exception), words)
        self.assertEqual(self.relay.sent, [])

    def test_A03_encodedLineEnds(self) -> None:
        """
        A line end that is encoded in a subject, a field, a name or that of a file
        begins no field of its own; other encoded text is nothing special.
        """
        encoded = "=?utf-8?q?a=0D=0ATo:_evil=0D=0A=0D=0Abody?="
        path = Path(self.mktemp()).parent / encoded
        path.write_bytes(b"x")
        for words in (
            [f"--subject={encoded}"],
            ["--subject==?utf-8?b?YQpiCg==?= c"],
            [f"--header=X-A: {encoded}"],
            [f'--from="{encoded}" <x@y>'],
            [f"--attach={path}"],
        ):
            self.run_("a@b", *words, text=b"x")
        for _, content in self.relay.sent:
            self.assertNotIn(b"\nTo: evil", content)
            self.assertEqual(message_from_bytes(content).get_all("To"), ["a@b"])
        self.relay.sent = []
        self.run_("a@b", "--subject==?utf-8?q?caf=C3=A9?=", text=b"x")
        self.assertEqual(self.message()["subject"], "café")

    def test_down(self) -> None:
        """
        A relay that does not answer is told of, with the code for it.
        """
        self.relay.down = True
        done = self.run_("a@b", text=b"x")
        assert isinstance(done.exception, ServiceDown)
        self.assertEqual(done.exception.exit_code, 69)

    def test_wait(self) -> None:
        """
        With --wait it is said what became of it.
        """
        self.relay.answers = {"1": [DONE], "2": [BOUNCED]}
        done = self.run_("a@b", "c@d", "--body=x", "--wait")
        self.assertEqual(done.return_value, 1)
        self.assertIn("a@b: delivered at mx.b: 250 Ok\n", done.output)
        self.assertIn("c@d: bounced: 550 No [2J\n", done.output)

    def test_json(self) -> None:
        """
        Programs get a document.
        """
        self.relay.answers = {"1": [DONE], "2": [WAITING]}
        done = self.run_("a@b", "--body=x", "--wait=1s", "--json")
        self.assertEqual(done.return_value, LATER)
        self.assertEqual(
            json.loads(done.output),
            {"ids": ["1", "2"], "outcomes": [DONE], "waiting": ["2"]},
        )
        done = self.run_("a@b", "--body=x", "--json")
        self.assertEqual(json.loads(done.output), {"ids": ["1", "2"]})


class FollowTests(SynchronousTestCase):
    """
    It is waited until it is known what became of a message.
    """

    def follow(self, answers: dict[str, Sequence[Any]], seconds: float) -> Fates:
        """
        Follow a message, without any time passing.
        """
        relay, self.clock = Relay(), Clock()
        relay.answers = {id: list(each) for id, each in answers.items()}
        return follow(
            relay, list(answers), seconds, self.clock.seconds, self.clock.advance
        )

    def test_done(self) -> None:
        """
        It ends as soon as all is known.
        """
        fates = self.follow({"1": [WAITING] * 5 + [DONE]}, 60)
        self.assertEqual((fates.found, fates.waiting), ({"1": DONE}, {}))
        self.assertEqual(fates.code, 0)
        self.assertLess(self.clock.seconds(), 5)

    def test_late(self) -> None:
        """
        What is still queued then is told so.
        """
        fates = self.follow({"1": [DONE], "2": [WAITING]}, 60)
        self.assertEqual((fates.found, fates.waiting), ({"1": DONE}, {"2": WAITING}))
        self.assertEqual(fates.code, LATER)
        self.assertLess(self.clock.seconds(), 60)

    def test_bounced(self) -> None:
        """
        What bounced is worse than what waits.
        """
        fates = self.follow({"1": [WAITING], "2": [BOUNCED]}, 1)
        self.assertEqual(fates.code, 1)

    def test_unknown(self) -> None:
        """
        A name of which nothing is known is waited for; other refusals are told.
        """
        fates = self.follow({"1": [Refusal(404, "no such name")]}, 1)
        self.assertEqual((fates.waiting, fates.code), ({"1": None}, LATER))
        refused = {"1": [Refusal(403, "no")]}
        self.assertRaises(Refusal, self.follow, refused, 1)

    def test_told(self) -> None:
        """
        Each is told in one line; of many names a few.
        """
        lines: list[str] = []
        self.patch(sending.click, "echo", lines.append)  # type: ignore[attr-defined]
        tellFates(Fates({}, {"1": None, "2": {**WAITING, "due": 9e9, "reply": "450"}}))
        self.assertIn("1: the relay does not know of it any more.", lines)
        self.assertRegex(lines[1], r"c@d: still queued \(resting, tried .*\): 450")
        tellIds([str(n) for n in range(25)])
        self.assertIn("and 15 more", lines[2])

    def test_A03_told(self) -> None:
        """
        What answered may be no relay: nothing that a terminal obeys is shown.
        """
        lines: list[str] = []
        self.patch(sending.click, "echo", lines.append)  # type: ignore[attr-defined]
        hostile = "\x1b[31m1\n\u202e"
        tellIds([hostile, "2"])
        tellFates(Fates({hostile: DONE}, {hostile: None}))
        self.assertEqual(len(lines), 4)
        for line in lines:
            self.assertTrue(line.isprintable(), repr(line))
