"""
Tests for L{relaymail.protections}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaymail.protections import Applied, PolicyKind, TLSResult, TLSSession
from relaymail.replies import Phase, Trouble, TroubleKind


class ProtectionsTests(SynchronousTestCase):
    """
    What is told of protections is told in the words of RFC 8460.
    """

    def test_namesOfReports(self) -> None:
        """
        The results and the kinds of policies are called as in RFC 8460 4.3 and 4.4.
        """
        self.assertEqual(
            {result.value for result in TLSResult},
            {
                "starttls-not-supported",
                "certificate-host-mismatch",
                "certificate-expired",
                "certificate-not-trusted",
                "validation-failure",
                "tlsa-invalid",
                "dnssec-invalid",
                "dane-required",
                "sts-policy-fetch-error",
                "sts-policy-invalid",
                "sts-webpki-invalid",
            },
        )
        self.assertEqual(
            {kind.value for kind in PolicyKind}, {"tlsa", "sts", "no-policy-found"}
        )

    def test_troublesHaveOne(self) -> None:
        """
        A trouble may say what it is called in reports, and usually does not.
        """
        plain = Trouble(Phase.STARTTLS, TroubleKind.TLS, "it is another's")
        told = Trouble(Phase.STARTTLS, TroubleKind.TLS, "", TLSResult.WRONG_NAME)
        self.assertIsNone(plain.result)
        self.assertIs(told.result, TLSResult.WRONG_NAME)

    def test_sessionsAreValues(self) -> None:
        """
        A session with nothing wrong has no result.
        """
        applied = (Applied(PolicyKind.NONE, "example.org"),)
        session = TLSSession("example.org", applied)
        self.assertIsNone(session.result)
        self.assertEqual(session, TLSSession("example.org", applied))
