"""
Tests for L{relaymail.testing}, the package.
"""

from __future__ import annotations

import os
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from relaymail import testing
from relaymail.testing import servers

#: Imports all there is, and says whether that has installed a reactor.
_PROGRAM = (
    "import sys; from relaymail import testing; "
    "[getattr(testing, name) for name in testing.__all__]; "
    "print('twisted.internet.reactor' in sys.modules)"
)


class ExportTests(SynchronousTestCase):
    """
    The public names are found in the package.
    """

    def test_names(self) -> None:
        """
        Each name is that of its module; another is none.
        """
        self.assertIs(testing.SMTPServer, servers.SMTPServer)
        self.assertEqual(set(testing.__all__), set(testing._PLACES))
        self.assertGreater(len(testing.__all__), 40)
        for name in testing.__all__:
            self.assertIsNotNone(getattr(testing, name), name)
        self.assertRaises(AttributeError, getattr, testing, "Nothing")

    def test_noReactor(self) -> None:
        """
        Nothing of it installs a reactor when it is imported.
        """
        said = subprocess.run(
            [sys.executable, "-c", _PROGRAM],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.assertEqual(said.stdout.strip(), "False", said.stderr)
