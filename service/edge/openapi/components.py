"""The schemas of requests and replies in the OpenAPI document, in a form that generators read correctly.

msgspec describes types, but the direction matters too. A request's field that may be left out is optional and names
no default, since generators assume that a field with a default is always there. A reply's field is always there
unless the struct leaves it out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from inspect import cleandoc
from typing import Any

import msgspec
from msgspec import inspect

from service.contract.schemas import ALSO_A_WHOLE_NUMBER, PRINTABLE

REFERENCE = "#/components/schemas/{name}"

PRINTABLE_IN_JSON_SCHEMA = PRINTABLE.replace(r"(?!\n)", "")
"""In JSON Schema's dialect `$` is the end of the text, and many of its readers know no look-ahead."""

Structs = Sequence[type[msgspec.Struct]]
Schema = dict[str, Any]


def component_schemas(requests: Structs, replies: Structs) -> dict[str, Schema]:
    """Describe structs by name. requests, replies: the types of the bodies, each with all types that it contains."""
    _, described = msgspec.json.schema_components([*requests, *replies], ref_template=REFERENCE)
    found: dict[str, Schema] = {name: _readable(schema) for name, schema in described.items()}
    for struct in _structs_in(requests):
        _take_whole_numbers(found[struct.__name__])
        _as_request(found[struct.__name__])
    for struct in _structs_in(replies):
        _as_reply(found[struct.__name__], struct)
    return {name: _without_mark(schema) for name, schema in sorted(found.items())}


def _readable(part: Any) -> Any:
    """Rewrite a schema in terms that every generator knows."""
    if isinstance(part, list):
        return [_readable(each) for each in part]
    if not isinstance(part, dict):
        return part
    schema = {name: _readable(each) for name, each in part.items()}
    if isinstance(schema.get("description"), str):
        schema["description"] = " ".join(cleandoc(schema["description"]).split())
    if schema.get("items") is False:  # a tuple: here all its members are of one kind
        kinds = schema.pop("prefixItems")
        assert all(kind == kinds[0] for kind in kinds)
        schema["items"] = kinds[0]
    if "enum" in schema:
        schema["type"] = "string"
    if schema.get("pattern") == PRINTABLE:
        schema["pattern"] = PRINTABLE_IN_JSON_SCHEMA
    return schema


def _take_whole_numbers(part: Any) -> None:
    """Allow numbers as ids, for which msgspec has no type; `service.edge.endpoints.decoding` accepts them."""
    if isinstance(part, list):
        for each in part:
            _take_whole_numbers(each)
    elif isinstance(part, dict):
        if part.get(ALSO_A_WHOLE_NUMBER):
            part["type"] = ["string", "integer"]
        for each in part.values():
            _take_whole_numbers(each)


def _without_mark(part: Any) -> Any:
    if isinstance(part, list):
        return [_without_mark(each) for each in part]
    if isinstance(part, dict):
        return {name: _without_mark(each) for name, each in part.items() if name != ALSO_A_WHOLE_NUMBER}
    return part


def _as_request(schema: Schema) -> None:
    for field in schema["properties"].values():
        default = field.pop("default", None)
        if default is None or default == []:
            continue
        said = str(default).lower() if isinstance(default, bool) else default
        field["description"] = f"{field.get('description', '')} Default: {said}.".strip()
    _drop_if_empty(schema)


def _as_reply(schema: Schema, struct: type[msgspec.Struct]) -> None:
    always = []
    for name, field in schema["properties"].items():
        is_left_out = "default" in field and struct.__struct_config__.omit_defaults
        field.pop("default", None)
        if is_left_out:
            _forbid_null(field)
        else:
            always.append(name)
    schema["required"] = always
    _drop_if_empty(schema)


def _forbid_null(field: Schema) -> None:
    """Forbid null: a field that would be null is left out."""
    kinds = [kind for kind in field.pop("anyOf") if kind != {"type": "null"}]
    assert len(kinds) == 1
    field |= kinds[0]


def _drop_if_empty(schema: Schema) -> None:
    if not schema.get("required"):
        schema.pop("required", None)


def _structs_in(types: Structs) -> list[type[msgspec.Struct]]:
    """List these types and all that they contain, each once."""
    found: dict[type[msgspec.Struct], None] = {}
    for kind in inspect.multi_type_info(types):
        found.update(dict.fromkeys(_structs_of(kind)))
    return list(found)


def _structs_of(kind: inspect.Type) -> Iterator[type[msgspec.Struct]]:
    match kind:
        case inspect.StructType():
            yield kind.cls
            for field in kind.fields:
                yield from _structs_of(field.type)
        case inspect.Metadata():
            yield from _structs_of(kind.type)
        case inspect.ListType():
            yield from _structs_of(kind.item_type)
        case inspect.DictType():
            yield from _structs_of(kind.value_type)
        case inspect.UnionType():
            for each in kind.types:
                yield from _structs_of(each)
