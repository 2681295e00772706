# -*- test-case-name: relaymail.test.queue.spool.test_saying -*-
"""
What MAIL and RCPT said, as the database of a spool has it.  Of most mail nothing
was said, and it takes no longer for what could have been.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from relaymail.envelopes import (
    NO_PARAMETERS,
    NOTHING_SAID,
    Parameters,
    RecipientParameters,
)
from relaymail.queue.said import (
    optionsIn,
    optionsOf,
    parametersIn,
    recipientParametersIn,
    shown,
)
from relaymail.queue.spool.recipients import Row

#: What most mail says.
_USUAL = {
    "": NO_PARAMETERS,
    "7BIT": Parameters("7BIT"),
    "8BITMIME": Parameters("8BITMIME"),
}


def columnsOf(parameters: Parameters) -> tuple[Any, ...]:
    """
    Give the columns C{ret}, C{envid}, C{utf8}, C{requiretls} and C{options}.
    """
    options = optionsOf(parameters)
    return (
        parameters.ret,
        parameters.envid,
        parameters.utf8,
        parameters.requireTLS,
        json.dumps(options) if options else "",
    )


def parametersOf(row: Row) -> Parameters:
    """
    Read what MAIL said.
    """
    if not (row.ret or row.envid or row.utf8 or row.requiretls or row.options):
        usual = _USUAL.get(row.body)
        return parametersIn({"body": row.body}) if usual is None else usual
    said = (row.ret, row.envid, row.utf8, row.requiretls, row.options)
    return _parametersFrom(row.body, *said)


def _parametersFrom(
    body: Any, ret: Any, envid: Any, utf8: Any, requiretls: Any, options: Any
) -> Parameters:
    fields = {
        **((optionsIn(options) or {}) if options else {}),
        "body": body,
        "ret": ret,
        "envid": envid,
        "utf8": bool(utf8),
        "requiretls": bool(requiretls),
    }
    return parametersIn(fields)


def shownColumns(columns: Sequence[Any]) -> str:
    """
    Give what was said as people read it.

    @param columns: C{body}, C{ret}, C{envid}, C{utf8}, C{requiretls} and
        C{options} of a message, C{notify}, C{orcpt} and C{told} of a recipient.
    """
    if not any(columns[1:]) and columns[0] in _USUAL:
        return ""
    notify, orcpt, told = columns[6:]
    said = recipientParametersIn({"notify": notify, "orcpt": orcpt})
    return shown(_parametersFrom(*columns[:6]), said, bool(told))


def recipientParametersOf(row: Row) -> RecipientParameters:
    """
    Read what RCPT said.
    """
    if not row.notify and not row.orcpt:
        return NOTHING_SAID
    return recipientParametersIn({"notify": row.notify, "orcpt": row.orcpt})
