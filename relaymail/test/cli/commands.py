"""
What tests of commands have in common: a client that asks nobody.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from relaymail.cli import reading
from relaymail.cli.client import Refusal
from relaymail.cli.finding import Place
from relaymail.cli.main import main
from relaymail.cli.settings import Settings
from relaymail.cli.troubles import ServiceDown

#: What is asked for, and what it is answered with.
Answers = dict[str, Any]

#: Text that a terminal, a browser or a person could take for something else.
HOSTILE = "\x1b[31m<b>[red]\r\nX: y\x9b2J\u202eevil"


def entry(**known: Any) -> dict[str, Any]:
    """
    Make an entry as the API gives it.
    """
    usual = {
        "id": "7",
        "message": "3",
        "sender": "a@example.com",
        "recipient": "b@example.org",
        "destination": "example.org",
        "size": 2048,
        "arrived": 1_000_000_000.0,
        "attempts": 2,
        "due": 1_000_000_600.0,
        "state": "resting",
        "status": "4.2.0",
        "reply": "450 later",
        "why": "",
        "parameters": "",
        "client": "",
        "user": "",
        "released": False,
    }
    return {**usual, **known}


def page(*entries: dict[str, Any], next: str | None = None) -> dict[str, Any]:
    """
    Make a page of entries as the API gives it.
    """
    return {"entries": list(entries), "next": next, "complete": True}


class FakeClient:
    """
    Answers what a test says.

    @ivar answers: By C{"GET path"}: documents, exceptions, or what makes them of
        what is asked; a list is answered one after the other.
    @ivar asked: What was asked: the method and the path, and the query or body.
    """

    def __init__(self, place: Place, answers: Answers) -> None:
        self.place = place
        self.answers = answers
        self.asked: list[tuple[str, Any]] = []

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> Any:
        """
        Answer a question.
        """
        return self._answer(f"GET {path}", dict(query or {}))

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """
        Answer a request.
        """
        return self._answer(f"POST {path}", dict(body or {}))

    def content(self, path: str) -> Iterator[bytes]:
        """
        Answer with content.
        """
        yield from self._answer(f"GET {path}", {})

    def _answer(self, what: str, said: Any) -> Any:
        self.asked.append((what, said))
        if what not in self.answers:
            raise Refusal(404, f"There is no {what}.")
        answer = self.answers[what]
        if isinstance(answer, list) and what.startswith("POST"):
            answer = answer.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer(said) if isinstance(answer, Callable) else answer  # type: ignore[arg-type]


class CommandTestCase(SynchronousTestCase):
    """
    A case with a relay that answers what the test says.

    @ivar answers: As of L{FakeClient}.
    @ivar place: Where the relay is.
    """

    def setUp(self) -> None:
        """
        Put the fake client in the place of the real one.
        """
        self.answers: Answers = {}
        self.place = Place(self.mktemp(), True, self.mktemp())
        self.client = FakeClient(self.place, self.answers)
        self.settings: list[Settings] = []
        self.patch(reading, "find", self._find)
        self.patch(reading, "Client", self._connect)

    def _find(self, settings: Settings) -> Place:
        self.settings.append(settings)
        return self.place

    def _connect(self, place: Place) -> FakeClient:
        self.client.place = place
        return self.client

    def down(self) -> ServiceDown:
        """
        Give what is raised when there is no relay.
        """
        return ServiceDown("No relay answers there. Start it.")

    def run_(self, *words: str, code: int = 0, input: str | None = None) -> Result:
        """
        Run a command, and expect its exit code.
        """
        done = CliRunner().invoke(main, list(words), input=input)
        self.assertEqual(done.exit_code, code, done.output + repr(done.exception))
        self.assertSafe(done.stdout + done.stderr)
        return done

    def runJSON(self, *words: str, code: int = 0) -> Any:
        """
        Run a command with C{--json}, and give the document.
        """
        return json.loads(self.run_(*words, "--json", code=code).stdout)

    def assertSafe(self, text: str) -> None:
        """
        Fail when a terminal would obey something.
        """
        odd = {c for c in text if not c.isprintable() and c != "\n"}
        self.assertEqual(odd, set(), text)
