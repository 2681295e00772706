# -*- test-case-name: relaymail.test.machines.test_senders -*-
"""
Tests for L{relaymail.machines.senders}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.errors import ConfigurationError
from relaymail.machines.senders import MAX_PATTERNS, SenderRewrites

_PATTERNS = ["a@x.y", "@x.y", "*@y", "@*.y", "b@*.y", "@*", "*@*.x.y", "a@*"]
_TARGETS = ["r@out.example", "@out.example", "*@z", "r@q.y", "a@x.y", "@x.y"]


class SenderRewritesTests(SynchronousTestCase):
    """
    What is most exact counts.
    """

    def test_order(self) -> None:
        """
        An address goes before its domain, that before those above it, the
        nearest first; the local part goes before any.
        """
        rewrites = SenderRewrites(
            {
                "*@*": "any@out.example",
                "@*.internal": "below@out.example",
                "*@*.host.internal": "nearer@out.example",
                "root@*.internal": "roots@out.example",
                "@host.internal": "host@out.example",
                "Root@Host.internal": "root@out.example",
            }
        )
        for sender, other in (
            ("root@host.internal", "root"),
            ("ROOT@host.internal", "root"),
            ("cron@host.internal", "host"),
            ("root@b.host.internal", "nearer"),
            ("root@c.internal", "roots"),
            ("x@c.internal", "below"),
            ("x@internal", "any"),
            ("x@example.org", "any"),
            ("x@out.example", "any"),
            ("host@out.example", "host"),
        ):
            self.assertEqual(rewrites.rewrite(sender), f"{other}@out.example", sender)

    def test_notRewritten(self) -> None:
        """
        The null sender stays, and what no pattern is for.
        """
        rewrites = SenderRewrites({"@*.internal": "x@out.example"})
        for sender in ("", "a@internal", "a@xinternal", "a@internal.example"):
            self.assertEqual(rewrites.rewrite(sender), sender)
        self.assertTrue(rewrites)
        self.assertFalse(SenderRewrites({}))

    def test_localPartStays(self) -> None:
        """
        A domain alone leaves the local part as it is.
        """
        rewrites = SenderRewrites({"@*.internal": "@out.example"})
        self.assertEqual(rewrites.rewrite("Root+1@a.internal"), "Root+1@out.example")
        self.assertEqual(rewrites.rewrite('"a b"@a.internal'), '"a b"@out.example')

    def test_wrong(self) -> None:
        """
        What cannot be read is told, with what to write.
        """
        for table, words in (
            ({"root": "a@b"}, "cannot be read"),
            ({"a@b..c": "a@b"}, "cannot be read"),
            ({"roo*@b": "a@b"}, "cannot be read"),
            ({"a b@c": "a@b"}, "cannot be read"),
            ({"a@b": "root"}, "which is no address"),
            ({"a@b": "x\r\n@c"}, "which is no address"),
            ({"a@b": ""}, "which is no address"),
            ({"a@b": "c@d", "@d": "e@f"}, "another one changes"),
            ({"a@b": "@d", "e@d": "f@g"}, "another one changes"),
            ({"a@b": "@d.e", "@*.e": "@x"}, "another one changes"),
        ):
            error = self.assertRaises(ConfigurationError, SenderRewrites, table)
            self.assertIn(words, str(error))
            self.assertTrue(str(error).isprintable())
        many = {f"a@b{n}": "a@b" for n in range(MAX_PATTERNS + 1)}
        self.assertRaises(ConfigurationError, SenderRewrites, many)

    @given(
        st.dictionaries(st.sampled_from(_PATTERNS), st.sampled_from(_TARGETS)),
        st.sampled_from("abr"),
        st.sampled_from(["x.y", "q.y", "y", "w.x.y", "z", "out.example"]),
    )
    @settings(deadline=None, max_examples=200)
    def test_onceIsEnough(self, table: dict[str, str], local: str, domain: str) -> None:
        """
        What was rewritten is not rewritten again.
        """
        try:
            rewrites = SenderRewrites(table)
        except ConfigurationError:
            return
        once = rewrites.rewrite(f"{local}@{domain}")
        self.assertEqual(rewrites.rewrite(once), once)
