# -*- test-case-name: relaymail.test.route.test_racing -*-
"""
Tests for L{relaymail.route.racing}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.replies import MAX_TEXT, Phase, Trouble, TroubleKind
from relaymail.route.racing import (
    MAX_AT_ONCE,
    MAX_TRIES,
    STAGGER,
    Family,
    Race,
    familyOf,
    interleaved,
    sourceFor,
    troubleOfAll,
    withSource,
)

V4 = [f"192.0.2.{n}" for n in range(1, 9)]
V6 = [f"2001:db8::{n}" for n in range(1, 9)]
TIMED_OUT = Trouble(Phase.CONNECT, TroubleKind.TIMEOUT)
PATIENCE = 30.0

someAddresses = st.lists(st.sampled_from(V4 + V6), unique=True, min_size=1, max_size=8)


class OrderTests(SynchronousTestCase):
    """
    Tests for L{interleaved}, L{sourceFor} and L{withSource}.
    """

    def test_turns(self) -> None:
        """
        The families take turns, and what is left of the longer one is at the end.
        """
        self.assertEqual(interleaved([*V4[:3], V6[0]]), [V4[0], V6[0], V4[1], V4[2]])
        self.assertEqual(
            interleaved([*V4[:3], V6[0]], Family.IPV6), [V6[0], V4[0], V4[1], V4[2]]
        )
        self.assertEqual(interleaved(V4), V4)

    @settings(max_examples=50, deadline=None)
    @given(someAddresses, st.sampled_from(Family))
    def test_interleaved(self, addresses: list[str], first: Family) -> None:
        """
        None is lost, each family keeps its order, and the second of two families is
        the second address.
        """
        found = interleaved(addresses, first)
        for family in Family:
            self.assertEqual(
                [a for a in found if familyOf(a) is family],
                [a for a in addresses if familyOf(a) is family],
            )
        families = {familyOf(a) for a in addresses}
        if len(families) == 2:
            self.assertEqual([familyOf(a) for a in found[:2]], [first, first.other])

    def test_sources(self) -> None:
        """
        Each connection comes from the address of its family, and there is none
        where there is no such address.
        """
        sources = ("198.51.100.1", "2001:db8:1::1")
        self.assertEqual(sourceFor(V4[0], sources), sources[0])
        self.assertEqual(sourceFor(V6[0], sources), sources[1])
        self.assertIsNone(sourceFor(V6[0], sources[:1]))
        self.assertEqual(withSource([V4[0], V6[0]], sources), [V4[0], V6[0]])
        self.assertEqual(withSource([V4[0], V6[0]], sources[:1]), [V4[0]])
        self.assertEqual(withSource([V6[0]], sources[:1]), [])
        self.assertEqual(withSource([V6[0]], ()), [V6[0]])


class RaceTests(SynchronousTestCase):
    """
    Tests for L{Race}.
    """

    def begun(self, race: Race, now: float) -> list[str]:
        """
        Begin all that is to be begun now.
        """
        begun = []
        while race.wait(now) == 0:
            begun.append(race.begin(now))
        return begun

    def test_D02_staggered(self) -> None:
        """
        The next is begun a quarter of a second after the one before.
        """
        race = Race(V4[:2], PATIENCE)
        self.assertEqual(self.begun(race, 100.0), V4[:1])
        self.assertEqual(race.wait(100.1), STAGGER - (100.1 - 100.0))
        self.assertEqual(self.begun(race, 100.0 + STAGGER), V4[1:2])
        self.assertIsNone(race.wait(101.0))

    def test_D02_atOnceAfterAFailure(self) -> None:
        """
        It is begun at once when the one before has failed, not when an earlier one
        has.
        """
        race = Race(V4[:3], PATIENCE)
        self.begun(race, 0.0)
        self.begun(race, STAGGER)
        race.fail(V4[0], TIMED_OUT)
        self.assertEqual(race.wait(STAGGER), STAGGER)
        race.fail(V4[1], TIMED_OUT)
        self.assertEqual(self.begun(race, STAGGER), V4[2:3])

    def test_D02_oneTimeOut(self) -> None:
        """
        When the first had all its time no further one is begun.
        """
        race = Race(V4[: MAX_AT_ONCE + 1], PATIENCE)
        for turn in range(MAX_AT_ONCE):
            self.assertEqual(len(self.begun(race, turn * STAGGER)), 1)
        self.assertIsNone(race.wait(MAX_AT_ONCE * STAGGER))
        race.fail(V4[0], TIMED_OUT)
        self.assertIsNone(race.wait(PATIENCE))
        self.assertEqual(race.ahead, V4[MAX_AT_ONCE : MAX_AT_ONCE + 1])
        self.assertFalse(race.isLost)

    def test_D02_clockWentBack(self) -> None:
        """
        A clock that goes back holds nothing up.
        """
        race = Race(V4[:2], PATIENCE)
        self.begun(race, 1000.0)
        self.assertEqual(race.wait(0.0), 0.0)

    def test_overtaken(self) -> None:
        """
        Those begun before the one that connected were overtaken, those behind it
        were not.
        """
        race = Race(V4[:3], PATIENCE)
        for turn in range(3):
            self.begun(race, turn * STAGGER)
        self.assertEqual(race.overtaken(V4[1]), V4[:1])
        self.assertEqual(race.overtaken(V4[0]), [])

    @settings(max_examples=100, deadline=None)
    @given(someAddresses, st.data())
    def test_D02_bounds(self, addresses: list[str], data: st.DataObject) -> None:
        """
        Whatever fails when: no address is begun twice, no more than so many are
        waited for, two are a while apart unless the first failed, and it comes to an
        end within the time of two addresses.
        """
        race = Race(addresses, PATIENCE)
        now = 0.0
        waiting: dict[str, float] = {}
        begun: list[str] = []
        for _ in range(1000):
            wait = race.wait(now)
            if wait == 0:
                address = race.begin(now)
                if begun and begun[-1] in waiting:
                    self.assertGreaterEqual(now - waiting[begun[-1]], STAGGER - 1e-6)
                waiting[address] = now
                begun.append(address)
                self.assertLessEqual(len(waiting), MAX_AT_ONCE)
                continue
            if wait is None and race.isLost:
                break
            # What happens next: something fails early, or time passes.
            ends = {a: at + PATIENCE for a, at in waiting.items()}
            soon = min(ends.values())
            if wait is not None:
                self.assertGreater(wait, 0)
                soon = min(soon, now + wait)
            if data.draw(st.booleans()):
                one = data.draw(st.sampled_from(sorted(waiting)))
                now += data.draw(st.floats(0, soon - now))
            else:
                now = soon
                one = next((a for a, end in ends.items() if end <= now), "")
            if one:
                del waiting[one]
                race.fail(one, TIMED_OUT)
        self.assertTrue(race.isLost)
        self.assertEqual(begun + race.ahead, addresses)
        self.assertEqual(sorted(a for a, _ in race.failed), sorted(begun))
        self.assertLessEqual(now, 2 * PATIENCE)


class TroubleTests(SynchronousTestCase):
    """
    Tests for L{troubleOfAll}.
    """

    def test_D02_one(self) -> None:
        """
        Of one address it is what was wrong with that.
        """
        refused = Trouble(Phase.CONNECT, TroubleKind.REFUSED)
        told = troubleOfAll([(V4[0], refused)], 25)
        self.assertEqual(
            told.text, "connection refused while connecting: port 25 of 192.0.2.1"
        )

    def test_D02_mostTelling(self) -> None:
        """
        Of several it is what says most of the host, whatever came last, and all are
        named.
        """
        kinds = (
            (V6[0], TroubleKind.UNREACHABLE, "Network is unreachable"),
            (V4[0], TroubleKind.TIMEOUT, ""),
            (V4[1], TroubleKind.REFUSED, ""),
            (V4[2], TroubleKind.TIMEOUT, ""),
        )
        failed = [(a, Trouble(Phase.CONNECT, kind, why)) for a, kind, why in kinds]
        told = troubleOfAll(failed, 25, V6[1:2])
        self.assertEqual(
            told.text,
            "connection refused while connecting: port 25 of 192.0.2.2; timed out: "
            "192.0.2.1, 192.0.2.3; host unreachable: 2001:db8::1 (Network is "
            "unreachable); too late for 2001:db8::2",
        )
        self.assertIs(told.kind, TroubleKind.REFUSED)

    def test_D02_whatMayPassGoesBeforeWhatDoesNot(self) -> None:
        """
        An address that is not to be connected to does not make the mail bounce that
        another one might have taken.
        """
        for kind in (TroubleKind.LOCAL, TroubleKind.UNREACHABLE, TroubleKind.TLS):
            told = troubleOfAll(
                [
                    (V4[0], Trouble(Phase.CONNECT, TroubleKind.FORBIDDEN)),
                    (V4[1], Trouble(Phase.CONNECT, kind)),
                ],
                25,
            )
            self.assertIs(told.kind, kind)

    def test_D02_bounded(self) -> None:
        """
        It is one line that is not too long, whatever was said of each.
        """
        long = Trouble(Phase.CONNECT, TroubleKind.UNREACHABLE, "x\r\ny" * MAX_TEXT)
        told = troubleOfAll([(a, long) for a in V6[:MAX_TRIES]], 25)
        self.assertLessEqual(len(told.detail), MAX_TEXT)
        self.assertTrue(told.detail.isprintable())
