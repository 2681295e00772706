# -*- test-case-name: relaymail.test.configuration.test_places -*-
"""
Tests for L{relaymail.configuration.places}.
"""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaymail.configuration import files, readFile
from relaymail.configuration.places import TOP, findPlaces, stsBeside, tokensBeside
from relaymail.configuration.tables import OPTIONS, TABLES
from relaymail.errors import ConfigurationError
from relaymail.test.directories import shortDirectory


class PlacesTests(SynchronousTestCase):
    """
    Tests for L{findPlaces}.
    """

    def setUp(self) -> None:
        """
        Begin where no file is.
        """
        self.directory = shortDirectory(self)
        self.path = str(self.directory / "relaymail.toml")
        self.patch(files, "SYSTEM_FILE", str(self.directory / "system.toml"))
        self.patch(os, "environ", {})

    def write(self, text: str) -> str:
        """
        Write the file, and give its path.
        """
        Path(self.path).write_text(text, "utf-8")
        return self.path

    def test_same(self) -> None:
        """
        It finds what the whole configuration says.
        """
        for text in (
            "",
            'queue = "directory:mail"\n',
            'queue = "spool:a/b.db"\nhostname = "relay.example.com"\n',
            'queue = "/somewhere/else"\n[control]\nsocket = "run/sock"\n',
            '[control]\nsocket = "/run/sock"\n[delivery]\nexpire = "4d"\n',
            '[control]\nsocket = ""\n',
        ):
            path = self.write(text)
            found, told = findPlaces(path), readFile(path)
            self.assertEqual(found.queue, told.queue, text)
            self.assertEqual(found.socket, told.controlSocket, text)

    def test_tokens(self) -> None:
        """
        Tokens are beside a spool, and in a directory queue.
        """
        for text, path in (
            ('queue = "spool:/q/a.db"\n', "/q/a.db-tokens"),
            ('queue = "directory:/q/mail"\n', "/q/mail/tokens"),
        ):
            self.assertEqual(tokensBeside(findPlaces(self.write(text)).queue), path)

    def test_policies(self) -> None:
        """
        So are policies of MTA-STS.
        """
        for text, path in (
            ('queue = "spool:/q/a.db"\n', "/q/a.db-sts"),
            ('queue = "directory:/q/mail"\n', "/q/mail/sts"),
        ):
            self.assertEqual(stsBeside(findPlaces(self.write(text)).queue), path)

    def test_noFile(self) -> None:
        """
        Without a file the queue is in the working directory.
        """
        if os.path.lexists(files.LOCAL_FILE):
            raise self.skipTest("there is a file here")
        self.assertTrue(findPlaces().queue.path.startswith(os.path.abspath("spool")))

    def test_quick(self) -> None:
        """
        What else is wrong does not keep one from asking the relay.
        """
        path = self.write('queue = "spool:q"\n[delivery]\nexpire = "never"\n')
        self.assertEqual(findPlaces(path).queue.path, str(self.directory / "q"))

    def test_wrong(self) -> None:
        """
        Where it may be another relay that is meant, it is told what is wrong.
        """
        for text, told in (
            ('quuee = "x"\n', "quuee"),
            ("queue = 5\n", "queue"),
            ("[control]\nsocket = 5\n", "socket"),
            ("control = 5\n", "control"),
            ("queue = \n", "not TOML"),
        ):
            path = self.write(text)
            error = self.assertRaises(ConfigurationError, findPlaces, path)
            self.assertIn(told, str(error))

    def test_top(self) -> None:
        """
        It knows what a file may say.
        """
        keys = {one.key for one in OPTIONS if not one.table}
        self.assertEqual({*TABLES, *keys}, TOP)

    @settings(deadline=None, max_examples=30)
    @given(st.text("ab/.: é\\\"'", min_size=1, max_size=12))
    def test_anyPath(self, queue: str) -> None:
        """
        Whatever the queue is called, it is the same one.
        """
        quoted = queue.replace("\\", "\\\\").replace('"', '\\"')
        path = self.write(f'queue = "{quoted}"\n')
        try:
            told = readFile(path)
        except ConfigurationError:
            self.assertRaises(ConfigurationError, findPlaces, path)
        else:
            self.assertEqual(findPlaces(path).queue, told.queue)
