"""
Tests for L{relaymail.cli.remedies}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaymail.cli.remedies import remedyFor
from relaymail.deliver.rehearsing import Step


class RemedyTests(SynchronousTestCase):
    """
    What to do when a login fails.
    """

    def test_usual(self) -> None:
        """
        What usually goes wrong has something that helps.
        """
        for name, told, helps in (
            ("resolve", "no such domain", "relaymail doctor"),
            ("connect", "connection refused", "firewall"),
            ("greeting", "TLS failed: wrong version number", "smtps is 465"),
            ("STARTTLS", "TLS failed: certificate verify failed", "ca-file"),
            ("greeting", "TLS failed: the host's certificate is for", "ca-file"),
            ("STARTTLS", "454 4.7.0 Not now", "ask the host's operator"),
            ("EHLO", "the host does not offer STARTTLS", "which port"),
            ("mechanisms", "offers none: not over a connection like this", "465"),
            ("mechanisms", "PLAIN (it is for passwords)", "oauth2"),
            ("AUTH", "535 5.7.8 Not you", "the password or token"),
        ):
            said = remedyFor([Step("EHLO", True, "SIZE"), Step(name, False, told)])
            self.assertIn(helps, said, (name, told))

    def test_first(self) -> None:
        """
        The first failure is what led to the others.
        """
        first = Step("mechanisms", False, "offers none: not over a connection like")
        steps = [first, Step("AUTH", False, "535 5.7.8 Not you")]
        self.assertEqual(remedyFor(steps), remedyFor([first]))

    def test_nothing(self) -> None:
        """
        Where all is well, or what was told says it, nothing is said.
        """
        self.assertEqual(remedyFor([]), "")
        self.assertEqual(remedyFor([Step("token", False, "sign in again")]), "")
