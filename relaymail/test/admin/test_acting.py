# -*- test-case-name: relaymail.test.admin.test_acting -*-
"""
Tests for L{relaymail.admin.acting}: what is done with what is queued.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from relaymail.admin import acting
from relaymail.admin.acting import ACTS, STRETCH
from relaymail.errors import NameBusy, NotSupported
from relaymail.inspection import NameState
from relaymail.queue.memory import MemoryQueue
from relaymail.test.admin.worlds import API
from relaymail.testing import Act


class ActingTests(SynchronousTestCase):
    """
    What is done with names.
    """

    def setUp(self) -> None:
        self.api = API()
        self.relay = self.api.relay
        self.queue = self.relay.queue

    def act(self, name: str, **said: Any) -> Any:
        """
        Have something done.
        """
        answer = self.api.post(f"/v1/queue/{name}", said)
        self.assertEqual(answer.status, 200, answer.body)
        return answer.document

    def test_everything(self) -> None:
        """
        Each thing that can be done is done with the names that are meant, and with
        no other.
        """
        for act, did in (
            ("flush", "hasten"),
            ("hold", "hold by the operator"),
            ("requeue", "requeue"),
            ("bounce", "bounce by the operator"),
            ("delete", "remove by the operator"),
        ):
            self.setUp()
            meant, _ = self.relay.put("a@example.com", "b@a.example", "c@b.example")
            self.assertEqual(
                self.act(act, domain="a.example"),
                {
                    "matched": 1,
                    "done": 1,
                    "skipped": [],
                    "next": None,
                    "complete": True,
                },
            )
            self.assertEqual(self.queue.did, [(did, meant)])

    def test_release(self) -> None:
        """
        Only what is held is released.
        """
        (held,) = self.relay.put("", "a@a.example", state=NameState.HELD)
        (other,) = self.relay.put("", "b@a.example")
        answer = self.act("release", all=True)
        self.assertEqual(self.queue.did, [("release", held)])
        self.assertEqual((answer["matched"], answer["done"]), (2, 1))
        self.assertEqual(answer["skipped"], [{"id": other, "why": "it is not held"}])

    def test_states(self) -> None:
        """
        What is done depends on where a name stands; what it is not done with is told
        with why.
        """
        able = {
            "flush": {NameState.WAITING, NameState.RESTING},
            "hold": {NameState.WAITING, NameState.RESTING},
            "release": {NameState.HELD},
            "requeue": set(NameState) - {NameState.RELAYING},
            "bounce": {NameState.WAITING, NameState.RESTING, NameState.HELD},
            "delete": set(NameState) - {NameState.RELAYING},
        }
        self.assertEqual({act.name for act in ACTS}, set(able))
        for act, states in able.items():
            for state in NameState:
                self.setUp()
                self.relay.put("", "a@a.example", state=state)
                answer = self.act(act, state=state.value)
                isDone = state in states
                self.assertEqual(answer["done"], int(isDone), (act, state))
                self.assertEqual(len(answer["skipped"]), int(not isDone))

    def test_why(self) -> None:
        """
        Why something is done is kept, printable.
        """
        (name,) = self.relay.put("", "a@a.example")
        self.act("hold", id=name, why="wait\x1b[31m\nfor it")
        self.assertEqual(self.queue.did, [("hold wait [31m for it", name)])

    def test_nothingSaid(self) -> None:
        """
        Where nothing says what is meant nothing is done.
        """
        self.relay.put("", "a@a.example")
        for said in ({}, {"all": False}, {"why": "so", "dryRun": True}, {"limit": 10}):
            answer = self.api.post("/v1/queue/delete", said)
            self.assertEqual(answer.status, 400)
            self.assertIn("Nothing says which mail is meant", answer.document["error"])
        self.assertEqual(self.queue.did, [])

    def test_dryRun(self) -> None:
        """
        A dry run only says how many are meant.
        """
        self.relay.put("", "a@a.example", "b@a.example")
        self.relay.put("", "c@a.example", state=NameState.RELAYING)
        answer = self.act("delete", all=True, dryRun=True)
        self.assertEqual((answer["matched"], answer["done"]), (3, 0))
        self.assertEqual(len(answer["skipped"]), 1)
        self.assertEqual(self.queue.did, [])

    def test_stretches(self) -> None:
        """
        So much is done for one answer as takes a moment, and the next goes on.
        """
        names = self.relay.put("", *(f"{n}@a.example" for n in range(STRETCH + 20)))
        answer = self.act("hold", all=True)
        self.assertEqual((answer["done"], answer["complete"]), (STRETCH, False))
        answer = self.act("hold", all=True, after=answer["next"])
        self.assertEqual((answer["done"], answer["complete"]), (20, True))
        self.assertIsNone(answer["next"])
        self.assertEqual([name for _, name in self.queue.did], names)

    def test_flushForgivesOnce(self) -> None:
        """
        What fails is tried once for each order to try mail now, not once for each
        stretch of it.
        """
        self.relay.put("a@example.com", *(f"{n}@a.example" for n in range(4)))
        told: list[set[Any]] = []

        def tryNow(name: str, destination: str, forgiven: set[Any]) -> Any:
            told.append(set(forgiven))
            forgiven.add(destination)
            return succeed(None)

        self.patch(self.relay.manager, "tryNow", tryNow)
        following = self.act("flush", all=True, limit=2)["next"]
        self.act("flush", all=True, limit=1, after=following)
        self.patch(acting, "MAX_FORGIVEN", 1)
        self.act("flush", all=True, limit=1, after=following)
        self.act("flush", all=True, limit=1)
        nothing: set[Any] = set()
        known = {"a.example"}
        self.assertEqual(told, [nothing, known, known, nothing, nothing])

    def test_failures(self) -> None:
        """
        What goes wrong with one name does not keep the others from being done, and
        is told, or logged where nobody expected it.
        """
        names = self.relay.put("", *(f"{n}@a.example" for n in range(5)))
        errors: list[Any] = [
            KeyError(names[0]),
            NameBusy("an attempt is under way"),
            NotSupported("it cannot be held"),
            OSError("the disk"),
        ]
        done: list[str] = []

        def hold(name: str, why: str) -> Any:
            number = names.index(name)
            return fail(errors[number]) if number < 4 else done.append(name)

        self.patch(self.queue, "hold", hold)
        answer = self.act("hold", all=True)
        self.assertEqual((answer["matched"], answer["done"]), (5, 1))
        self.assertEqual(done, names[4:])
        self.assertEqual(
            [each["why"] for each in answer["skipped"]],
            [
                "it is no longer queued",
                "an attempt is under way.",
                "it cannot be held.",
                "it failed; the relay's log says why",
            ],
        )
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)

    def test_deletedIsRemembered(self) -> None:
        """
        Of a name that was deleted is known that it was.
        """
        (name,) = self.relay.put("a@example.com", "b@a.example")
        self.act("delete", id=[name])
        answer = self.api.get(f"/v1/queue/{name}").document
        self.assertEqual(answer["state"], "removed")
        self.assertEqual(answer["outcome"]["recipient"], "b@a.example")
        self.assertEqual(self.api.desk.recent.counts["removed"], 1)

    def test_numbersInWords(self) -> None:
        """
        Numbers may be given as text, as the command does.
        """
        self.relay.put("", "a@a.example")
        self.assertEqual(self.act("flush", older="0", all="true")["matched"], 1)


class StoryTests(SynchronousTestCase):
    """
    What is done is really done.
    """

    def setUp(self) -> None:
        self.api = API(MemoryQueue)
        self.relay = self.api.relay
        self.server = self.relay.world.host("192.0.2.25", {"MAIL": "451 4.3.0 Later"})
        self.relay.world.exchange("a.example", {"mx.a.example": "192.0.2.25"})
        self.relay.world.exchange("example.com", {"mx.example.com": "192.0.2.25"})
        self.relay.queue.onWaiting = self.relay.manager.wake

    def act(self, name: str, **said: Any) -> None:
        """
        Have something done, with all.
        """
        answer = self.api.post(f"/v1/queue/{name}", {"all": True, **said})
        self.assertEqual(answer.document["skipped"], [], name)
        self.assertEqual(answer.document["done"], 1, name)

    def entry(self, name: str) -> Any:
        """
        Ask for what is known of a name.
        """
        return self.api.get(f"/v1/queue/{name}").document

    def test_heldAndReleased(self) -> None:
        """
        What is held is not tried, and what is released is.
        """
        (name,) = self.relay.put("s@example.com", "b@a.example")
        self.relay.world.run(1)
        self.assertEqual(self.entry(name)["state"], "resting")
        self.act("hold", why="for the night")
        entry = self.entry(name)
        self.assertEqual((entry["state"], entry["why"]), ("held", "for the night"))
        self.relay.world.run(86400)
        self.assertEqual(self.entry(name)["attempts"], 1)
        self.act("release")
        self.relay.world.run(1)
        self.assertEqual(self.entry(name)["attempts"], 2)

    def test_flushedAndRequeued(self) -> None:
        """
        What is flushed is tried now; what is queued anew has no attempts behind it.
        """
        (name,) = self.relay.put("s@example.com", "b@a.example")
        self.relay.world.run(1)
        self.act("flush")
        self.relay.world.run(1)
        self.assertEqual(self.entry(name)["attempts"], 2)
        self.act("requeue")
        self.relay.world.run(1)
        self.assertEqual(self.entry(name)["attempts"], 1)
        answer = self.api.post("/v1/destinations/a.example/flush")
        self.assertEqual(answer.document["flushed"], 1)

    def test_bouncedAndDeleted(self) -> None:
        """
        What is bounced is told to its sender, what is deleted is not; of both it is
        known, from what the relaying manager tells.
        """
        (name,) = self.relay.put("s@example.com", "b@a.example")
        self.relay.world.run(1)
        self.act("bounce", why="it is <spam>\x1b[31m")
        self.relay.world.run(1)
        entry = self.entry(name)
        self.assertEqual(entry["state"], "bounced")
        self.assertIn("it is <spam> [31m", entry["outcome"]["reply"])
        (notice,) = self.api.get("/v1/queue").document["entries"]
        self.assertEqual((notice["sender"], notice["recipient"]), ("", "s@example.com"))
        self.act("delete")
        self.assertEqual(self.entry(notice["id"])["state"], "removed")
        self.assertEqual(self.api.get("/v1/queue").document["entries"], [])
        self.assertEqual(self.api.desk.recent.counts["bounced"], 1)
        self.assertEqual(self.api.desk.recent.counts["removed"], 1)

    def test_busy(self) -> None:
        """
        What is being sent is left alone, and said to be.
        """
        self.relay.world.host("192.0.2.25", {"MAIL": Act.SILENCE})
        (name,) = self.relay.put("s@example.com", "b@a.example")
        self.relay.world.run(1)
        for act in ACTS:
            answer = self.api.post(f"/v1/queue/{act.name}", {"id": name}).document
            self.assertEqual((answer["matched"], answer["done"]), (1, 0))
            (skipped,) = answer["skipped"]
            self.assertIn("an attempt is under way", skipped["why"])
