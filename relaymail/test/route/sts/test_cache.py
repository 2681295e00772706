"""
Tests for L{relaymail.route.sts.cache}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaymail.route.sts import cache as module
from relaymail.route.sts.ages import UNUSED_AFTER
from relaymail.route.sts.cache import Cache, endOf
from relaymail.test.route.sts.samples import WEEK, makeKept


class CacheTests(SynchronousTestCase):
    """
    Policies by their domains.
    """

    def setUp(self) -> None:
        """
        Begin with none.
        """
        self.cache = Cache()

    def domains(self) -> set[str]:
        """
        Give the domains that are kept.
        """
        return {kept.domain for kept in self.cache}

    def due(self, now: float, limit: int) -> list[str]:
        """
        Give the domains that are due.
        """
        return [kept.domain for kept in self.cache.due(now, limit)]

    def test_5_1_holds(self) -> None:
        """
        What is kept is given until its max_age is over.
        """
        kept = makeKept(fetched=1000)
        self.assertEqual(self.cache.put(kept, 2000), [])
        self.assertEqual(self.cache.get("one.example", 1000), kept)
        self.assertEqual(self.cache.get("one.example", endOf(kept) - 1), kept)
        self.assertIsNone(self.cache.get("one.example", endOf(kept)))
        self.assertIsNone(self.cache.get("two.example", 1000))
        self.assertEqual(self.cache.over(endOf(kept) - 1), [])
        self.assertEqual(self.cache.over(endOf(kept)), ["one.example"])

    def test_put(self) -> None:
        """
        What comes later stands for what was there.
        """
        self.cache.put(makeKept(), 1)
        newer = makeKept(id="2", fetched=5)
        self.cache.put(newer, 1)
        self.assertEqual(list(self.cache), [newer])
        self.cache.drop("one.example")
        self.cache.drop("one.example")
        self.assertEqual(len(self.cache), 0)

    def test_due(self) -> None:
        """
        Those that are due are given, up to a bound, those first that end first; then
        they are due later.
        """
        for number in range(5):
            self.cache.put(
                makeKept(f"d{number}.example", maxAge=WEEK - number), due=100 * number
            )
        self.assertEqual(self.due(50, 9), ["d0.example"])
        found = self.due(300, 2)
        self.assertEqual(found, ["d3.example", "d2.example"])
        self.cache.postpone("d3.example", 900)
        self.cache.postpone("other.example", 900)
        self.assertEqual(self.due(300, 9)[0], "d2.example")
        self.assertEqual(self.due(300, 0), [])
        self.assertEqual(self.due(300, -1), [])

    def test_unused(self) -> None:
        """
        What nobody asks for is not due, until somebody does.
        """
        self.cache.put(makeKept(maxAge=31557600), 1)
        self.assertEqual(self.due(UNUSED_AFTER, 9), [])
        self.cache.use("one.example", UNUSED_AFTER)
        self.cache.use("other.example", UNUSED_AFTER)
        self.assertEqual(self.due(UNUSED_AFTER, 9), ["one.example"])

    def test_8_3_none(self) -> None:
        """
        One that says that there is none is left to its end.
        """
        self.cache.put(makeKept(mode="none"), 1)
        self.assertEqual(self.due(2, 9), [])

    def test_A06_many(self) -> None:
        """
        There is room for so many; what protects mail goes last, and then what was
        used last.
        """
        self.patch(module, "MAX_POLICIES", 3)
        self.cache.put(makeKept("a.example", used=1), 1)
        self.cache.put(makeKept("b.example", used=2), 1)
        self.cache.put(makeKept("t.example", mode="testing", used=9), 1)
        self.assertEqual(
            self.cache.put(makeKept("c.example", used=3), 1), ["t.example"]
        )
        self.cache.use("a.example", 4)
        self.assertEqual(
            self.cache.put(makeKept("d.example", used=5), 1), ["b.example"]
        )
        self.assertEqual(self.domains(), {"a.example", "c.example", "d.example"})

    def test_A06_long(self) -> None:
        """
        There is room for so much; long ones drive out each other, and none that is of
        the usual kind.
        """
        self.patch(module, "MAX_TOTAL", 3000)
        self.patch(module, "USUAL", 200)
        self.cache.put(makeKept("a.example", used=1), 1)
        long = ".".join(["x" * 60] * 4)
        for number in range(20):
            self.cache.put(makeKept(f"l{number}.example", mx=long, used=9), 1)
        self.assertIn("a.example", self.domains())
        self.assertLess(len(self.cache), 15)
        for domain in self.domains():
            self.cache.drop(domain)
        self.assertEqual(self.cache.put(makeKept(mx=long), 1), [])
