# -*- test-case-name: relaymail.test.admin.test_openapi -*-
"""
The OpenAPI 3.1 document, made from the table of operations.
"""

from __future__ import annotations

from typing import Any

from relaymail import __version__
from relaymail.admin.guarding import Body
from relaymail.admin.operations import JSON, OPERATIONS, Operation
from relaymail.admin.parameters import Parameter, Place
from relaymail.admin.shapes import COMPONENTS, reference

#: What each status means, for the answers that refuse.
REFUSALS = {
    400: "Something that was said cannot be read.",
    401: "The token is missing or wrong.",
    403: "A page of an origin that is not allowed has asked.",
    404: "There is no such thing.",
    405: "It takes another method.",
    409: "It cannot be done now, or with a queue of this kind.",
    413: "The body is too large.",
    415: "The body is of another type.",
    421: "It was asked for by a name that is not this relay's.",
    500: "The relay has failed; its log says why.",
    503: "The relay cannot do it now.",
}


def document() -> dict[str, Any]:
    """
    Make the document.
    """
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        path = paths.setdefault(operation.path, {})
        path[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "relaymail",
            "version": __version__,
            "description": "How a relay that runs is asked, and told. Times are in "
            "seconds of the epoch; all text from outside is printable.",
        },
        "paths": paths,
        "components": {
            "schemas": COMPONENTS,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Over TCP; the socket needs none.",
                }
            },
        },
        "security": [{"token": []}, {}],
    }


def _operation(operation: Operation) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": _id(operation),
        "summary": operation.told,
        "responses": _responses(operation),
    }
    outside = [p for p in operation.parameters if p.place is not Place.BODY]
    if outside:
        made["parameters"] = [_parameter(p) for p in outside]
    if operation.body is not Body.NONE:
        made["requestBody"] = _body(operation)
    if operation.isOpen:
        made["security"] = [{}]
    return made


def _id(operation: Operation) -> str:
    steps = operation.path.removeprefix("/v1").replace(".", "/").split("/")
    words = [step.strip("{}") for step in steps if step]
    return operation.method.lower() + "".join(word.capitalize() for word in words)


def _responses(operation: Operation) -> dict[str, Any]:
    content = {"schema": operation.answer} if operation.answer else {}
    answers: dict[str, Any] = {
        str(operation.status): {
            "description": "It was done.",
            "content": {operation.kind.partition(";")[0]: content},
        }
    }
    error = {JSON: {"schema": reference("Error")}}
    for status, told in REFUSALS.items():
        answers[str(status)] = {"description": told, "content": error}
    return answers


def _schema(parameter: Parameter) -> dict[str, Any]:
    schema = dict(parameter.kind.schema)
    return {"type": "array", "items": schema} if parameter.isRepeated else schema


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.place.value,
        "description": parameter.told,
        "required": parameter.isRequired or parameter.place is Place.PATH,
        "schema": _schema(parameter),
    }


def _body(operation: Operation) -> dict[str, Any]:
    if operation.body is Body.MESSAGE:
        content: dict[str, Any] = {}
    else:
        inside = [p for p in operation.parameters if p.place is Place.BODY]
        told = {p.name: {**_schema(p), "description": p.told} for p in inside}
        content = {
            "schema": {
                "type": "object",
                "properties": told,
                "additionalProperties": False,
            }
        }
    return {"required": True, "content": {operation.body.value: content}}
