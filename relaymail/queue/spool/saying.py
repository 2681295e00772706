# -*- test-case-name: relaymail.test.queue.spool.test_saying -*-
"""
What MAIL and RCPT said, as the database of a spool has it.  Of most mail nothing
was said, and it takes no longer for what could have been.
"""

from __future__ import annotations

import json
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
    fields = {
        **((optionsIn(row.options) or {}) if row.options else {}),
        "body": row.body,
        "ret": row.ret,
        "envid": row.envid,
        "utf8": bool(row.utf8),
        "requiretls": bool(row.requiretls),
    }
    return parametersIn(fields)


def recipientParametersOf(row: Row) -> RecipientParameters:
    """
    Read what RCPT said.
    """
    if not row.notify and not row.orcpt:
        return NOTHING_SAID
    return recipientParametersIn({"notify": row.notify, "orcpt": row.orcpt})
