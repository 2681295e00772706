"""
What every queue keeps of what MAIL and RCPT said, as tests that are run for each.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from relaymail.envelopes import (
    NO_ORIGIN,
    NO_PARAMETERS,
    NOTHING_SAID,
    Envelope,
    Origin,
    Parameters,
    RecipientParameters,
)
from relaymail.errors import NotSupported
from relaymail.inspection import Selection
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
            tlsOptional=True,
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

    def test_shown(self) -> None:
        """
        An operator sees what was said.
        """
        (name,) = self.say(Parameters(utf8=True, ret="HDRS"), SAID[2])
        self.settle(self.queue.setRelaying(name))
        self.settle(self.queue.setWaiting(name, NOW + 60, RETRY))
        self.settle(self.queue.told(name))
        expected = "SMTPUTF8 RET=HDRS NOTIFY=NEVER its sender was told that it is late"
        self.assertEqual(self.settle(self.queue.entry(name)).parameters, expected)
        found = self.settle(self.queue.look(Selection()))
        self.assertEqual([each.parameters for each in found.entries], [expected])
        (plain,) = self.add("x@b.example")
        self.assertEqual(self.settle(self.queue.entry(plain)).parameters, "")

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

    # Where it came from.

    def test_origin(self) -> None:
        """
        Where it came from is known of each of its names, also after attempts and
        restarts, and an operator sees it.
        """
        origins = [
            Origin("192.0.2.1"),
            Origin("2001:db8::1", "al ice"),
            Origin("", "zoë@b.example"),
            NO_ORIGIN,
        ]
        names = []
        for origin in origins:
            to = ("x@b.example", "y@c.example")
            envelope = Envelope("a@b.c", to, origin=origin)
            names.append(self.settle(self.queue.add(envelope, MESSAGE)))
        for _ in range(2):
            for origin, both in zip(origins, names, strict=True):
                for name in both:
                    self.assertEqual(self.queue.outline(name).origin, origin)
                    entry = self.settle(self.queue.entry(name))
                    self.assertEqual((entry.origin, entry.parameters), (origin, ""))
            self.assertIs(self.queue.outline(names[-1][0]).origin, NO_ORIGIN)
            found = self.settle(self.queue.look(Selection())).entries
            self.assertEqual({each.origin for each in found}, set(origins))
            self.restart()
            self.queue.readDirectory()
        for both in names:
            self.settle(self.queue.setRelaying(both[0]))
            self.settle(self.queue.setWaiting(both[0], NOW + 60, RETRY))
            self.settle(self.queue.requeue(both[1]))
        self.restart()
        self.queue.readDirectory()
        for origin, both in zip(origins, names, strict=True):
            for name in both:
                self.assertEqual(self.queue.outline(name).origin, origin)

    def test_originAndAllThatWasSaid(self) -> None:
        """
        It is known of a message of which much was said, too.
        """
        said = Parameters("8BITMIME", envid="id", tlsOptional=True)
        recipients = ("x@b.example", "y@b.example", "z@b.example")
        envelope = Envelope("a@b.c", recipients, said, SAID, Origin("192.0.2.1", "al"))
        names = self.settle(self.queue.add(envelope, MESSAGE))
        for _ in range(2):
            self.assertEqual(self.saidOf(names), [(said, each) for each in SAID])
            for name in names:
                outline = self.queue.outline(name)
                self.assertEqual(outline.origin, envelope.origin)
                self.assertFalse(outline.isReleased)
            self.restart()
            self.queue.readDirectory()

    def test_released(self) -> None:
        """
        What an operator kept back, where that can be, and released is known to be
        so, also after a restart, until it begins anew.
        """
        one, two, three = self.add("x@b.example", "y@b.example", "z@b.example")
        # Nobody kept it back.
        self.settle(self.queue.release(two).addErrback(lambda f: f.trap(NotSupported)))
        for name in (one, three):
            held = self.queue.hold(name, "why")
            held.addErrback(lambda f: f.trap(NotSupported))
            if self.settle(held) is NotSupported:
                self.assertFalse(self.queue.outline(name).isReleased)
                return
        self.settle(self.queue.release(one))
        for _ in range(2):
            for name in (one, two, three):
                isOne = name == one
                self.assertIs(self.queue.outline(name).isReleased, isOne)
                self.assertIs(self.settle(self.queue.entry(name)).isReleased, isOne)
            self.restart()
            self.queue.readDirectory()
        self.settle(self.queue.setRelaying(one))
        self.settle(self.queue.setWaiting(one, NOW + 60, RETRY))
        self.restart()
        self.queue.readDirectory()
        self.assertTrue(self.queue.outline(one).isReleased)
        self.settle(self.queue.requeue(one))
        for _ in range(2):
            self.assertFalse(self.queue.outline(one).isReleased)
            self.restart()
            self.queue.readDirectory()

    # RFC 4865.

    def test_hold(self) -> None:
        """
        Mail that is not to be sent before a time rests until then, for all its
        recipients, also after a restart; no attempt is counted.
        """
        (now,) = self.add("x@b.example")
        names = self.say(Parameters(holdUntil=NOW + 60), *SAID)
        for _ in range(2):
            self.assertEqual(self.queue.getWaiting(), [now])
            self.assertEqual(self.queue.getRelayed(), [])
            self.assertEqual(self.queue.getResting(), dict.fromkeys(names, NOW + 60))
            self.assertEqual(self.queue.nextDue(), NOW + 60)
            self.restart()
            self.queue.readDirectory()
        self.clock.advance(59)
        self.queue.readDirectory()
        self.assertEqual(self.queue.getWaiting(), [now])
        self.clock.advance(1)
        self.queue.readDirectory()
        self.settle(None)
        self.assertEqual(sorted(self.queue.getWaiting()), sorted([now, *names]))
        for name in names:
            self.settle(self.queue.setRelaying(name))
            letter = self.queue.letter(name)
            self.assertEqual((letter.attempts, letter.arrived), (1, NOW))
            self.assertEqual(letter.parameters.holdUntil, NOW + 60)

    def test_holdThatIsOver(self) -> None:
        """
        A time that has come keeps nothing back.
        """
        (name,) = self.say(Parameters(holdUntil=NOW))
        self.assertEqual(self.queue.getWaiting(), [name])
        self.restart()
        self.queue.readDirectory()
        self.assertEqual(self.queue.getWaiting(), [name])

    def test_holdForLong(self) -> None:
        """
        It may be longer than anything rests otherwise.
        """
        until = NOW + 30 * 24 * 3600
        (name,) = self.say(Parameters(holdUntil=until))
        self.restart()
        self.queue.readDirectory()
        self.assertEqual(self.queue.getResting(), {name: until})

    def test_holdAndHasten(self) -> None:
        """
        An operator who names it sends it all the same; one who hastens all of its
        destination does not.
        """
        (name,) = self.say(Parameters(holdUntil=NOW + 60))
        self.assertEqual(self.settle(self.queue.hastenAll("b.example")), 0)
        self.assertEqual(self.queue.getWaiting(), [])
        self.settle(self.queue.hasten(name))
        self.assertEqual(self.queue.getWaiting(), [name])
        self.settle(self.queue.setRelaying(name))
        self.settle(self.queue.done(name))
        self.assertIsNone(self.queue.nextDue())

    def test_holdOfAnOperator(self) -> None:
        """
        What an operator kept back meanwhile, where that can be, rests on when it is
        released.
        """
        (name,) = self.say(Parameters(holdUntil=NOW + 60))
        held = self.queue.hold(name, "why").addErrback(lambda f: f.trap(NotSupported))
        if self.settle(held) is NotSupported:
            return
        self.settle(self.queue.release(name))
        self.assertEqual(self.queue.getResting(), {name: NOW + 60})

    # RFC 3030.

    def test_anyByte(self) -> None:
        """
        Where it says so, contents come out as they went in, whatever bytes they
        have, small ones and large ones, also after a restart.
        """
        small = bytes(range(256)) + b"\r\n.\r\n\n\r\0bare\rcr\nlf\r\n..\xff"
        large = (small + b"\r") * 2000
        contents = [small, large, b"", b"\r", b"\n", b"\0", b".\r\n"]
        names = [self.add("x@b.example", content=each)[0] for each in contents]
        names += [self.add("x@b.example", content=io.BytesIO(c))[0] for c in contents]
        for _ in range(2):
            for name, content in zip(names, contents * 2, strict=True):
                letter = self.queue.letter(name)
                with letter.file as file:
                    found = file.read()
                if self.queue.isBinarySafe:
                    self.assertEqual(found, content)
                    self.assertEqual(letter.content.size, len(content))
                else:
                    self.assertEqual(found, content.replace(b"\r\n", b"\n"))
            self.restart()
            self.queue.readDirectory()

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
