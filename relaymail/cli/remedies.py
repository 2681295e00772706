# -*- test-case-name: relaymail.test.cli.test_remedies -*-
"""
What to do about a step of C{relaymail auth test} that failed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relaymail.deliver.rehearsing import Step

_REACH = "see that the name and the port are right, and that no firewall is in between"
_PORT = (
    "see that the scheme and the port belong together: smtps is 465, smtp and "
    "smtp+starttls are 587 or 25"
)
_CERTIFICATE = (
    "write the name that the certificate has, or name with ca-file whom to trust"
)

#: What to do, by the step that failed and by words in what was told; the first row
#: that matches counts.
_REMEDIES: tuple[tuple[str, str, str], ...] = (
    ("resolve", "", "see that the name is right; relaymail doctor asks the DNS"),
    ("connect", "", _REACH),
    ("", "certificate", _CERTIFICATE),
    ("greeting", "", _PORT),
    (
        "STARTTLS",
        "",
        "ask the host's operator; or use smtps, if it speaks that on port 465",
    ),
    (
        "EHLO",
        "does not offer STARTTLS",
        "see which port of the host has TLS; without it no secret is sent, unless "
        "tls=never and auth=clear say that the way there is safe",
    ),
    (
        "mechanisms",
        "over a connection like this",
        "see that TLS comes first, and that this is a port for users, such as 587 or "
        "465; a secret goes over a connection without TLS, or with a certificate that "
        "nobody looked at, only with auth=clear",
    ),
    (
        "mechanisms",
        "",
        "see whether the host wants a password or tokens (oauth2), and say that",
    ),
    (
        "AUTH",
        "535",
        "see that the user and the password or token are right, and that the account "
        "may send mail by SMTP; some need a password for programs",
    ),
)


def remedyFor(steps: Iterable[Step]) -> str:
    """
    Say what to do.

    @param steps: What was tried, in order.

    @return: It; empty where what was told says it, or nothing better is known than
        that.
    """
    failed = [step for step in steps if not step.isDone]
    # A mechanism that is refused is followed by the next; what is said of the
    # first failure is what led to the others.
    for step in failed[:1]:
        for name, words, remedy in _REMEDIES:
            if name in ("", step.name) and words in step.told:
                return remedy
    return ""
