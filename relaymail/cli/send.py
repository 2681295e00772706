# -*- test-case-name: relaymail.test.cli.test_send -*-
"""
C{relaymail send}: a message, and what became of it.
"""

from __future__ import annotations

import mimetypes
import os
import secrets
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

import click

from relaymail.cli.giving import Message, NotGiven
from relaymail.cli.sendmail import TOKEN_BYTES, Setup, readSetup, user
from relaymail.cli.sendmailing import (
    addressesIn,
    author,
    nameIn,
    ownAddress,
    withoutBcc,
)
from relaymail.cli.settings import current
from relaymail.cli.troubles import LATER, CommandError
from relaymail.cli.values import DURATION
from relaymail.cli.words import age, clean, now
from relaymail.errors import MalformedAddress
from relaymail.headers import splitHeader

#: How long it is waited for by default, in seconds: a host that is slow to greet
#: takes as long.
WAIT = "60s"
#: How long the command sleeps before it asks again, in seconds: at first, and at
#: most.
FIRST, LONGEST = 0.1, 2.0
#: How many names are printed.
SHOWN = 10

_BAD = frozenset({"bounced", "expired", "removed"})
_LINE_ENDS = frozenset("\r\n\0")
#: Headers whose addresses are recipients too.
_MORE = frozenset({"cc", "bcc"})


@dataclass(frozen=True, slots=True)
class Text:
    """
    What is to be sent.

    @ivar subject: The subject, or L{None}.
    @ivar body: The text.
    @ivar files: The paths of what goes with it.
    @ivar headers: Further fields, by name.
    """

    subject: str | None = None
    body: str = ""
    files: Sequence[str] = ()
    headers: Sequence[tuple[str, str]] = ()


@dataclass(slots=True)
class Fates:
    """
    What became of the names of a message.

    @ivar found: What was told of each that is done.
    @ivar waiting: What was told of each that is not, L{None} where nothing is
        known any more.
    """

    found: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    waiting: dict[str, Mapping[str, Any] | None] = field(default_factory=dict)

    @property
    def code(self) -> int:
        """
        What the command exits with.
        """
        if any(told.get("state") in _BAD for told in self.found.values()):
            return 1
        return LATER if self.waiting else 0


@click.command()
@click.argument("recipients", nargs=-1, required=True, metavar="TO...")
@click.option(
    "--from", "sender", metavar="ADDRESS", help="The sender.  [default: the user]"
)
@click.option("--subject", "-s", metavar="TEXT", help="The subject.")
@click.option("--body", metavar="TEXT", help="The text.  [default: the standard input]")
@click.option(
    "--attach",
    "files",
    multiple=True,
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, readable=True),
    help="A file that goes with it; may be repeated.",
)
@click.option(
    "--header",
    "headers",
    multiple=True,
    metavar="'NAME: TEXT'",
    help="A further field of the header; may be repeated.  Cc and Bcc name "
    "recipients too.",
)
@click.option(
    "--wait",
    is_flag=False,
    flag_value=WAIT,
    type=DURATION,
    metavar="[DURATION]",
    help=f"Wait until it is delivered or bounced, for {WAIT} if nothing is said; put "
    "it last.",
)
def send(
    recipients: tuple[str, ...],
    sender: str | None,
    subject: str | None,
    body: str | None,
    files: tuple[str, ...],
    headers: tuple[str, ...],
    wait: float | None,
) -> int:
    """
    Send a message.

    The text is UTF-8.  It exits with 0 when the relay has the message, and with
    --wait when it was delivered to all; with 1 when it bounced, and with 75 when
    it is still queued.
    """
    setup = readSetup(current().config)
    if body is None:
        body = _readBody(setup.limit, isNeeded=not (files or subject))
    text = Text(subject, body, files, [_field(header) for header in headers])
    message = compose(recipients, sender, text, setup)
    client = clientFor()
    query = {"sender": message.sender, "recipient": message.recipients}
    ids = [str(id) for id in client.send("messages", query, message.content)["ids"]]
    if not current().asJSON:
        tellIds(ids)
    fates = Fates() if wait is None else follow(client, ids, wait)
    if current().asJSON:
        _showJSON(ids, fates, hasWaited=wait is not None)
    else:
        tellFates(fates)
    return fates.code


def compose(
    recipients: Sequence[str], sender: str | None, text: Text, setup: Setup
) -> Message:
    """
    Make the message.

    @param recipients: As the command line has them.
    @param sender: So, too; L{None}: the user.

    @raise CommandError: When it cannot be sent.
    """
    try:
        return _compose(recipients, sender, text, setup)
    except (NotGiven, MalformedAddress) as e:
        raise CommandError(f"Nothing was sent: {e}.") from e
    except (ValueError, LookupError) as e:
        raise CommandError(f"Nothing was sent: {clean(e)}.") from e


def _compose(
    recipients: Sequence[str], sender: str | None, text: Text, setup: Setup
) -> Message:
    machines = setup.machines
    name, fullName = user()
    said = [sender if sender is not None else name]
    whose = [each for one in said for each in addressesIn(one, "the sender")]
    if len(whose) != 1:
        raise NotGiven(1, "there is one sender")
    own = ownAddress(whose[0], machines)
    to = _addresses(recipients, setup)
    more = [value for each, value in text.headers if each.lower() in _MORE]
    message = _written(text, setup.limit)
    _put(message, "From", author(nameIn(said[0]) if sender else fullName, own))
    _put(message, "To", ", ".join(to))
    _checkFields(message)
    header, rest = splitHeader(message.as_bytes(policy=SMTP))
    token = secrets.token_hex(TOKEN_BYTES)
    content = machines.complete(withoutBcc(header) + rest, now(), token)
    everybody = dict.fromkeys([*to, *_addresses(more, setup)])
    return Message(own, tuple(everybody), content, token)


def _addresses(texts: Sequence[str], setup: Setup) -> list[str]:
    return [
        setup.machines.qualify(address)
        for text in texts
        for address in addressesIn(text, "the recipient")
    ]


def _written(text: Text, limit: int) -> EmailMessage:
    message = EmailMessage()
    if text.subject is not None:
        message["Subject"] = text.subject
    for name, value in text.headers:
        message[name] = value
    message.set_content(text.body if text.body.endswith("\n") else text.body + "\n")
    room = limit or None
    for path in text.files:
        with open(path, "rb") as file:
            # What has no end of its own, such as a pipe, is read no further.
            data = file.read(-1 if room is None else room + 1)
        if room is not None:
            room -= len(data)
            if room < 0:
                raise NotGiven(1, f"the files are larger than {limit} octets together")
        kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
        main, _, sub = kind.partition("/")
        message.add_attachment(
            data, maintype=main, subtype=sub, filename=os.path.basename(path)
        )
    return message


def _checkFields(message: EmailMessage) -> None:
    """
    See that no field holds what would begin another one: what is encoded in it
    (RFC 2047) is decoded when it is written, and some versions of Python write a
    line end then.

    @raise NotGiven: When one does.
    """
    for part in message.walk():
        for name, value in part.items():
            if not _LINE_ENDS.isdisjoint(str(value)):
                raise NotGiven(1, f"the field {name} holds a line end, encoded")


def _put(message: EmailMessage, name: str, value: str) -> None:
    if name not in message:
        message[name] = value


def _field(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    name = name.strip()
    isName = name.isascii() and name.isprintable() and name and " " not in name
    if not colon or not isName or name.lower().startswith("content-"):
        raise click.UsageError(
            f"--header is 'NAME: TEXT', not {clean(text, 60)!r}; what describes the "
            "content is made by itself."
        )
    return name, value.strip()


def _readBody(limit: int, *, isNeeded: bool) -> str:
    """
    Read the text.

    @raise CommandError: When it is too large, or none.
    """
    if sys.stdin.isatty():
        if isNeeded:
            raise click.UsageError(
                "There is nothing to send: give --body, or pipe a text in."
            )
        return ""
    data = sys.stdin.buffer.read(limit + 1 if limit else -1)
    if limit and len(data) > limit:
        raise CommandError(f"The text is larger than {limit} octets; nothing was sent.")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as e:
        raise CommandError(
            f"The text is not UTF-8 ({e.reason} at {e.start}); give it as a file with "
            "--attach. Nothing was sent."
        ) from e


def clientFor() -> Any:
    """
    Give what asks the relay that the command is about.
    """
    from relaymail.cli.client import Client
    from relaymail.cli.finding import find

    return Client(find(current()))


def follow(
    client: Any,
    ids: Sequence[str],
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Fates:
    """
    Wait until it is known what became of a message.

    @param ids: Its names.
    @param seconds: How long at most.
    """
    fates = Fates(waiting=dict.fromkeys(ids))
    end, step = clock() + seconds, FIRST
    while True:
        for id in list(fates.waiting):
            _ask(client, id, fates)
            if clock() > end:
                return fates
        if not fates.waiting or clock() + step > end:
            return fates
        sleep(step)
        step = min(step * 1.5, LONGEST)


def _ask(client: Any, id: str, fates: Fates) -> None:
    from relaymail.cli.client import Refusal, quoted

    try:
        told = client.get(f"queue/{quoted(id)}")
    except Refusal as e:
        if e.status != 404:
            raise
        told = None
    if told is not None and "outcome" in told:
        fates.found[id] = told
        del fates.waiting[id]
    else:
        fates.waiting[id] = told


def tellIds(ids: Sequence[str]) -> None:
    """
    Say what a message is called.
    """
    more = f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else ""
    click.echo(clean(f"Queued as {', '.join(ids[:SHOWN])}{more}."))
    click.echo(clean(f"What becomes of it: relaymail queue show {ids[0]}"))


def tellFates(fates: Fates) -> None:
    """
    Say what became of it.
    """
    for id, told in fates.found.items():
        outcome = told.get("outcome") or {}
        host = outcome.get("host")
        where = f" at {host}" if host else ""
        said = outcome.get("reply")
        click.echo(
            clean(
                f"{outcome.get('recipient') or id}: {told.get('state')}{where}"
                + (f": {said}" if said else "")
            )
        )
    for id, entry in fates.waiting.items():
        if entry is None:
            click.echo(clean(f"{id}: the relay does not know of it any more."))
            continue
        due = float(entry.get("due") or 0) - now()
        when = f", tried again in {age(due)}" if due > 1 else ""
        said = entry.get("reply")
        click.echo(
            clean(
                f"{entry.get('recipient') or id}: still queued ({entry.get('state')}"
                f"{when})" + (f": {said}" if said else "")
            )
        )


def _showJSON(ids: Sequence[str], fates: Fates, *, hasWaited: bool) -> None:
    from relaymail.cli.output import showJSON

    document: dict[str, Any] = {"ids": list(ids)}
    if hasWaited:
        document["outcomes"] = list(fates.found.values())
        document["waiting"] = list(fates.waiting)
    showJSON(document)
