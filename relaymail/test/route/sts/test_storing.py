"""
Tests for L{relaymail.route.sts.storing}.
"""

from __future__ import annotations

import json
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from relaymail.keeping import Unstorable, nameOf
from relaymail.route.sts.policy import parsePolicy
from relaymail.route.sts.storing import Damaged, Kept, PolicyStore
from relaymail.test.route.sts.samples import makeKept


class PolicyStoreTests(SynchronousTestCase):
    """
    Policies on the disk.
    """

    def setUp(self) -> None:
        """
        Begin with none.
        """
        self.path = Path(self.mktemp()).absolute()
        self.store = PolicyStore(str(self.path))

    def all(self) -> list[Kept | Damaged]:
        """
        Read all of them.
        """
        return self.store.load(self.store.names())

    def damaged(self) -> list[str]:
        """
        Say what is wrong with files.
        """
        return [str(found) for found in self.all() if isinstance(found, Damaged)]

    def test_kept(self) -> None:
        """
        What is kept comes back whole, until it is forgotten.
        """
        self.assertEqual(self.all(), [])
        body = b"version: STSv1\nmode: none\nmax_age: 5\nnote: f\xc3\xbcr uns\n"
        one = makeKept("one.example", fetched=1.5, used=2.5)
        two = Kept("two.example", parsePolicy(body, "x1"), 7, 8)
        for kept in (one, two):
            self.store.save(kept)
        self.assertCountEqual(self.all(), [one, two])
        newer = makeKept("one.example", id="2")
        self.store.save(newer)
        self.store.forget("two.example")
        self.store.forget("three.example")
        self.assertEqual(self.all(), [newer])
        self.assertEqual(self.store.load([nameOf("gone.example")]), [])

    def test_P7_damaged(self) -> None:
        """
        A file that is not what was written is left out with its reason, and no other
        one.
        """
        good = makeKept("good.example")
        self.store.save(good)
        self.store.save(makeKept())
        file = self.path / nameOf("one.example")
        written = file.read_bytes()
        said = json.loads(written)
        for data in (
            b"",
            b"[]",
            b"7",
            b"\xff",
            b"[" * 60000,
            b" " * 300_000,
            written[:-9],
            written.replace(b"one.example", b"two.example", 1),
            written.replace(b"enforce", b"guess"),
            written.replace(b'"fetched": 0.0', b'"fetched": NaN'),
            json.dumps({**said, "id": 7}).encode(),
            json.dumps({**said, "domain": 7}).encode(),
            json.dumps({**said, "policy": [7]}).encode(),
            json.dumps({**said, "policy": ["\ud800"]}).encode(),
            json.dumps({**said, "used": None}).encode(),
        ):
            file.write_bytes(data)
            self.assertEqual(len(self.damaged()), 1, data[:80])
            self.assertIn(good, self.all())
        self.store.save(makeKept())
        self.assertEqual(len(self.all()), 2)
        self.assertEqual(self.damaged(), [])

    def test_A08_foreign(self) -> None:
        """
        A file that others may write is left out, and a directory that others may
        enter is not used.
        """
        self.store.save(makeKept())
        (self.path / nameOf("one.example")).chmod(0o666)
        (why,) = self.damaged()
        self.assertIn("mode 0666", why)
        self.path.chmod(0o755)
        self.assertRaises(Unstorable, self.store.names)
        self.assertRaises(Unstorable, self.store.save, makeKept())
