# -*- test-case-name: relaymail.test.endtoend.test_doctor -*-
"""
Checks of the smart hosts: whether each can be reached, as safely as it must be, and
takes the password.  Tokens are not asked for: that is for C{relaymail auth test}.
"""

from __future__ import annotations

import smtplib
import ssl
from base64 import b64encode
from collections.abc import Iterator, Sequence

from relaymail.doctor.answers import Answer, fail, ok, warn
from relaymail.replies import printable
from relaymail.route.hosts import Bearer, Credentials, Host, TLSNeed

#: How long each step may take, in seconds.
WAIT = 8.0
#: Where a host listens whose port is not said.
USUAL_PORT = 25

#: How C{smtplib} can log in.
_MECHANISMS = frozenset({"CRAM-MD5", "PLAIN", "LOGIN"})

_ENCRYPTED = (TLSNeed.ENCRYPTED, TLSNeed.VERIFIED)


def checkSmartHosts(
    hosts: Sequence[Host], hostname: str, wait: float = WAIT
) -> Iterator[Answer]:
    """
    Log in to each smart host, and leave.  No mail is sent.

    @param hosts: They, with their passwords.
    @param hostname: What the relay calls itself.
    @param wait: How long each step may take, in seconds.
    """
    if not hosts:
        yield ok("none is named: mail goes to the mail exchange hosts")
    for host in hosts:
        yield _checkHost(host, hostname, wait)


def _checkHost(host: Host, hostname: str, wait: float) -> Answer:
    name = host.path or f"{host.name}:{host.port or USUAL_PORT}"
    try:
        return _talk(host, name, hostname, wait)
    except smtplib.SMTPAuthenticationError as e:
        said = _hidden(printable(e.smtp_error), host)
        return fail(
            f"{name} refused the password of {_userOf(host)}: {e.smtp_code} {said}",
            "see whether the user and the password are right, also whether the "
            "account needs a password for programs; mail waits meanwhile",
        )
    except smtplib.SMTPNotSupportedError as e:
        return fail(f"{name}: {e}", "look at the URL of the smart host: tls and port")
    except ssl.SSLCertVerificationError as e:
        return fail(
            f"the certificate of {name} is not valid for it: {e.verify_message}",
            "write the name that the certificate has, name whom to trust with "
            "ca-file, or, where nothing secret is sent, say tls=encrypted",
        )
    except ssl.SSLError as e:
        return fail(
            f"TLS with {name} failed: {e.reason or e}",
            "look at the scheme and port: smtps is 465, smtp+starttls is 587 or 25",
        )
    except smtplib.SMTPResponseException as e:
        return fail(
            f"{name} answered {e.smtp_code} {_hidden(printable(e.smtp_error), host)}",
            "see what it says, and ask its operator",
        )
    except smtplib.SMTPException as e:
        return fail(f"{name}: {_hidden(str(e), host)}", "see whether it is a mail host")
    except OSError as e:
        isSlow = isinstance(e, TimeoutError)
        why = f"no answer within {wait:g} s" if isSlow else e.strerror or e
        if host.path is not None:
            return fail(
                f"tried to reach the socket {name}: {why}",
                "see whether the mail store runs and makes its socket there, and "
                "whether the user that the relay runs as may write to it; mail waits "
                "meanwhile",
            )
        return fail(
            f"tried to reach {name}: {why}",
            "look at the name and port, and whether a firewall is in between; mail "
            "waits meanwhile",
        )


def _talk(host: Host, name: str, hostname: str, wait: float) -> Answer:
    with _connect(host, hostname, wait) as client:
        client.ehlo_or_helo_if_needed()
        isEncrypted = host.implicitTLS
        offered = client.has_extn("starttls")
        if not isEncrypted and host.tls is not TLSNeed.NEVER and offered:
            client.starttls(context=_context(host))
            client.ehlo()
            isEncrypted = True
        if not isEncrypted and host.tls in _ENCRYPTED:
            raise smtplib.SMTPNotSupportedError("it offers no STARTTLS, and must")
        how = "over TLS" if isEncrypted else "in clear"
        if host.path is not None:
            how = "over its socket"
        if host.credentials is None:
            return ok(f"{name} was reached {how}; no user is named")
        if not isEncrypted and not host.authInClear:
            return fail(
                f"{name} offers no TLS, and the password is not sent without",
                "use another port, or say auth=clear if the way to it is safe",
            )
        if host.tls is not TLSNeed.VERIFIED and not host.authInClear:
            return fail(
                f"{name} need not show who it is, and gets no password then",
                "say tls=verified, with ca-file where its certificate needs that, or "
                "auth=clear if the way to it is safe",
            )
        return _login(client, host, name, isEncrypted, how)


def _login(
    client: smtplib.SMTP, host: Host, name: str, isEncrypted: bool, how: str
) -> Answer:
    offered = client.esmtp_features.get("auth", "").upper().split()
    told = printable(", ".join(offered), 200) or "none"
    if isinstance(host.credentials, Bearer):
        if not {"XOAUTH2", "OAUTHBEARER"} & set(offered):
            return fail(
                f"{name} was reached {how}, but takes no tokens: of the mechanisms "
                f"for them, XOAUTH2 and OAUTHBEARER, it offers none ({told})",
                "name its password instead of oauth2, or ask its operator",
            )
        return ok(
            f"{name} was reached {how}, and takes tokens; relaymail auth test says "
            f"whether it takes the token of {_userOf(host)}"
        )
    assert host.credentials is not None
    if offered and not _MECHANISMS & set(offered):
        return ok(
            f"{name} was reached {how}; it offers {told}, none of which is tried here; "
            "relaymail auth test says whether it takes the password"
        )
    password = host.credentials.password
    client.login(host.credentials.user, password.decode("utf-8"))
    isSafe = isEncrypted or host.path is not None
    answer = ok if isSafe else _inClear
    return answer(f"{name} took the password of {_userOf(host)} {how}")


def _inClear(found: str) -> Answer:
    return warn(found, "whoever is in between reads it: use TLS where the host has it")


def _connect(host: Host, hostname: str, wait: float) -> smtplib.SMTP:
    port = host.port or USUAL_PORT
    if host.lmtp:
        # What begins with a slash is a socket to it.
        return smtplib.LMTP(
            host.path or host.name, port, local_hostname=hostname, timeout=wait
        )
    if host.implicitTLS:
        return smtplib.SMTP_SSL(
            host.name,
            port,
            local_hostname=hostname,
            timeout=wait,
            context=_context(host),
        )
    return smtplib.SMTP(host.name, port, local_hostname=hostname, timeout=wait)


def _context(host: Host) -> ssl.SSLContext:
    isVerified = host.tls is TLSNeed.VERIFIED
    context = ssl.create_default_context(cafile=host.caFile if isVerified else None)
    if not isVerified:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if host.certFile is not None:
        context.load_cert_chain(host.certFile, host.keyFile)
    return context


def _userOf(host: Host) -> str:
    return host.credentials.user if host.credentials else "nobody"


def _hidden(text: str, host: Host) -> str:
    """
    Give what a host said, without the password: some say it again.
    """
    if not isinstance(host.credentials, Credentials) or not host.credentials.password:
        return text
    user, secret = host.credentials.user.encode(), host.credentials.password
    # As it is, and as AUTH LOGIN and AUTH PLAIN (RFC 4616) send it.
    sent = [b64encode(each) for each in (b"\0%s\0%s" % (user, secret), secret)]
    for each in (*sent, secret):
        text = text.replace(each.decode("utf-8", "replace"), "…")
    return text
