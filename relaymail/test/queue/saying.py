"""
What every queue keeps of what MAIL and RCPT said, as tests that are run for each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from relaymail.envelopes import (
    NO_PARAMETERS,
    NOTHING_SAID,
    Envelope,
    Parameters,
    RecipientParameters,
)
from relaymail.test.queue.contract import MESSAGE, NOW, RETRY, QueueContract
from relaymail.test.queue.test_said import ALL

#: What two recipients said, and one did not.
SAID = (
    RecipientParameters("SUCCESS,DELAY", "rfc822;first@b.example"),
    NOTHING_SAID,
    RecipientParameters("NEVER"),
)

if TYPE_CHECKING:
    _Test = QueueContract
else:
    _Test = object


class SayingContract(_Test):
    """
    Mixed into what L{QueueContract} is mixed into.
    """

    def say(
        self, parameters: Parameters, *said: RecipientParameters, sender: str = "a@b.c"
    ) -> list[str]:
        """
        Have a message taken, of which something was said.
        """
        recipients = tuple(f"to{n}@b.example" for n in range(len(said) or 1))
        envelope = Envelope(sender, recipients, parameters, said)
        names: list[str] = self.settle(self.queue.add(envelope, MESSAGE))
        return names

    def saidOf(self, names: list[str]) -> list[Any]:
        """
        Give what letters and outlines say.
        """
        letters = [self.queue.letter(name) for name in names]
        outlines = [self.queue.outline(name).parameters for name in names]
        self.assertEqual(outlines, [letter.parameters for letter in letters])
        return [(each.parameters, each.recipientParameters) for each in letters]

    def test_allThatWasSaid(self) -> None:
        """
        All that was said is in the letters, also after attempts and a restart.
        """
        said = Parameters(
            ALL.body,
            ALL.ret,
            ALL.envid,
            ALL.utf8,
            ALL.requireTLS,
            ALL.priority,
            deliverBy=ALL.deliverBy,
        )
        names = self.say(said, *SAID)
        expected = [(said, each) for each in SAID]
        self.assertEqual(self.saidOf(names), expected)
        self.restart()
        self.queue.readDirectory()
        self.assertEqual(self.saidOf(names), expected)
        for name in names:
            self.settle(self.queue.setRelaying(name))
            self.assertEqual(self.saidOf([name]), [expected[names.index(name)]])
            self.settle(self.queue.setWaiting(name, NOW + 60, RETRY))
        self.assertEqual(self.saidOf(names), expected)
        self.restart()
        self.queue.readDirectory()
        self.assertEqual(self.saidOf(names), expected)
        self.assertEqual(self.queue.letter(names[0]).attempts, 1)

    def test_nothingWasSaid(self) -> None:
        """
        Where nothing was said the letters share the same nothing.
        """
        (name,) = self.add("x@b.example")
        for _ in range(2):
            letter = self.queue.letter(name)
            self.assertIs(letter.parameters, NO_PARAMETERS)
            self.assertIs(letter.recipientParameters, NOTHING_SAID)
            self.assertFalse(letter.isTold)
            self.restart()

    def test_told(self) -> None:
        """
        That the sender was told is known of this name, also after a restart;
        nothing else changes.
        """
        one, two = self.add("x@b.example", "y@b.example")
        for name in (one, two):
            self.settle(self.queue.setRelaying(name))
        notice = self.queue.add(Envelope("", ("from@a.example",)), MESSAGE)
        told = self.queue.told(one)
        self.settle(self.queue.setWaiting(one, NOW + 60, RETRY))
        self.settle(notice)
        self.settle(told)
        for _ in range(2):
            letter = self.queue.letter(one)
            self.assertEqual((letter.isTold, letter.attempts), (True, 1))
            self.assertFalse(self.queue.letter(two).isTold)
            self.assertEqual(self.queue.getResting(), {one: NOW + 60})
            self.restart()
            self.queue.readDirectory()

    def test_toldInEveryState(self) -> None:
        """
        Whether it waits, is claimed or rests, it is known, and stays there.
        """
        waiting, claimed, resting = self.add("x@b.example", "y@b.example", "z@b.c")
        for name in (claimed, resting):
            self.settle(self.queue.setRelaying(name))
        self.settle(self.queue.setWaiting(resting, NOW + 60, RETRY))
        for name in (waiting, claimed, resting):
            self.settle(self.queue.told(name))
            self.assertTrue(self.queue.letter(name).isTold)
        self.assertEqual(self.queue.getWaiting(), [waiting])
        self.assertEqual(self.queue.getRelayed(), [claimed])
        self.assertEqual(self.queue.getResting(), {resting: NOW + 60})
        self.restart()
        self.queue.readDirectory()
        for name in (waiting, claimed, resting):
            self.assertTrue(self.queue.letter(name).isTold)
        self.assertEqual(self.queue.getResting(), {resting: NOW + 60})

    def test_toldOfNobody(self) -> None:
        """
        What is not there cannot be told.
        """
        (name,) = self.add("x@b.example")
        self.settle(self.queue.done(name))
        for each in (name, "nobody", "77"):
            self.assertRaises(KeyError, self.queue.told, each)

    def test_requeueForgetsThatItWasTold(self) -> None:
        """
        Mail that begins anew is not late yet; what was said of it stays.
        """
        (name,) = self.say(Parameters(envid="id"), SAID[0])
        self.settle(self.queue.setRelaying(name))
        self.settle(self.queue.setWaiting(name, NOW + 60, RETRY))
        self.settle(self.queue.told(name))
        self.settle(self.queue.requeue(name))
        for _ in range(2):
            letter = self.queue.letter(name)
            self.assertFalse(letter.isTold)
            self.assertEqual(self.saidOf([name]), [(Parameters(envid="id"), SAID[0])])
            self.restart()
            self.queue.readDirectory()
