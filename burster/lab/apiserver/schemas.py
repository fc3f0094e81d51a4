"""Structural schemas of custom kinds: pruning, defaults and validation of objects.

The store calls it for every custom object it writes. Schemas come from CustomResourceDefinitions; what CEL rules in them
say is looked at in ``expressions``.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from burster.lab.apiserver.errors import FieldError, Json, bad_value, required
from burster.lab.apiserver.objects import is_array, is_object, parse_timestamp, section


_OWN: Final = frozenset({"apiVersion", "kind", "metadata"})
_PRESERVE: Final = "x-kubernetes-preserve-unknown-fields"


def _child(schema: Json, key: str) -> Json | None:
    """The schema of a field; None where the schema does not know it."""
    known = section(schema, "properties").get(key)
    if is_object(known):
        return known
    rest = schema.get("additionalProperties")
    if is_object(rest):
        return rest
    return {_PRESERVE: True} if rest is True else None


def prune(schema: Json, value: Any, path: str = "", dropped: list[str] | None = None, *, root: bool = True) -> Any:
    """The value without fields its schema does not know; their paths are added to `dropped`."""
    if is_array(value):
        inner = schema.get("items")
        if not is_object(inner):
            return value
        return [prune(inner, each, f"{path}[{index}]", dropped, root=False) for index, each in enumerate(value)]
    if not is_object(value):
        return value
    keeps = bool(schema.get(_PRESERVE))
    embedded = bool(schema.get("x-kubernetes-embedded-resource")) or root
    kept: Json = {}
    for key, each in value.items():
        if embedded and key in _OWN:
            kept[key] = each
            continue
        where = f"{path}.{key}" if path else key
        inner = _child(schema, key)
        if inner is not None:
            kept[key] = prune(inner, each, where, dropped, root=False)
        elif keeps:
            kept[key] = each
        elif dropped is not None:
            dropped.append(where)
    return kept


def fill(schema: Json, value: Any) -> Any:
    """The value with the defaults of its schema; what needs none is shared."""
    if is_object(value):
        filled: Json | None = None
        for key, inner in section(schema, "properties").items():
            if key not in value:
                if "default" in inner:
                    filled = {**(filled or value)}
                    filled[key] = fill(inner, inner["default"])
                continue
            old = value[key]
            if old is None and "default" in inner and not inner.get("nullable"):
                old = inner["default"]
            new = fill(inner, old)
            if new is not value[key]:
                filled = {**(filled or value)}
                filled[key] = new
        rest = schema.get("additionalProperties")
        if is_object(rest):
            known = section(schema, "properties")
            for key, each in value.items():
                if key not in known and (new := fill(rest, each)) is not each:
                    filled = {**(filled or value)}
                    filled[key] = new
        return value if filled is None else filled
    if is_array(value) and is_object(inner := schema.get("items")):
        new_items = [fill(inner, each) for each in value]
        return new_items if any(new is not old for new, old in zip(new_items, value, strict=True)) else value
    return value


_TYPES: Final[dict[type[Any], str]] = {
    type(None): "null", bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object",
}  # fmt: skip


def _type_of(value: Any) -> str:
    return next((name for kind, name in _TYPES.items() if type(value) is kind), "object")


def _type_fits(schema: Json, value: Any) -> bool:
    if schema.get("x-kubernetes-int-or-string"):
        return isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool))
    wanted, found = schema.get("type"), _type_of(value)
    if not wanted or wanted == found:
        return True
    return (wanted == "number" and found == "integer") or (
        wanted == "integer" and isinstance(value, float) and value.is_integer()
    )


@lru_cache(maxsize=1024)
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _text(schema: Json, value: str, path: str) -> Iterator[FieldError]:
    pattern = schema.get("pattern")
    if pattern and not _pattern(pattern).search(value):
        yield bad_value(path, value, f"{path} in body should match '{pattern}'")
    least, most = schema.get("minLength"), schema.get("maxLength")
    if least is not None and len(value) < least:
        yield bad_value(path, value, f"{path} in body should be at least {least} chars long")
    if most is not None and len(value) > most:
        message = f"Too long: may not be more than {most} bytes"
        yield FieldError(path, "FieldValueTooLong", message)
    if schema.get("format") == "date-time" and parse_timestamp(value) is None:
        yield bad_value(path, value, f'{path} in body must be of type date-time: "{value}"')


def _number(schema: Json, value: float, path: str) -> Iterator[FieldError]:
    least, most, step = schema.get("minimum"), schema.get("maximum"), schema.get("multipleOf")
    if least is not None and (value < least or (schema.get("exclusiveMinimum") and value == least)):
        than = "greater than" if schema.get("exclusiveMinimum") else "greater than or equal to"
        yield bad_value(path, value, f"{path} in body should be {than} {least}")
    if most is not None and (value > most or (schema.get("exclusiveMaximum") and value == most)):
        than = "less than" if schema.get("exclusiveMaximum") else "less than or equal to"
        yield bad_value(path, value, f"{path} in body should be {than} {most}")
    if step and value % step:
        yield bad_value(path, value, f"{path} in body should be a multiple of {step}")


def _array(schema: Json, value: list[Any], path: str) -> Iterator[FieldError]:
    least, most = schema.get("minItems"), schema.get("maxItems")
    if least is not None and len(value) < least:
        yield bad_value(path, len(value), f"{path} in body should have at least {least} items")
    if most is not None and len(value) > most:
        yield FieldError(path, "FieldValueTooMany", f"Too many: {len(value)}: must have at most {most} items")
    keys = schema.get("x-kubernetes-list-map-keys") if schema.get("x-kubernetes-list-type") == "map" else None
    seen: list[Any] = []
    inner = schema.get("items")
    for index, each in enumerate(value):
        where = f"{path}[{index}]"
        if is_object(inner):
            yield from violations(inner, each, where)
        identity = each
        if keys and is_object(each):
            identity = {key: each.get(key) for key in keys}
        elif schema.get("x-kubernetes-list-type") != "set":
            continue
        if identity in seen:
            yield FieldError(where, "FieldValueDuplicate", f"Duplicate value: {identity}")
        seen.append(identity)


def _object(schema: Json, value: Json, path: str) -> Iterator[FieldError]:
    for name in schema.get("required") or ():
        if name not in value:
            yield required(f"{path}.{name}" if path else name)
    most, least = schema.get("maxProperties"), schema.get("minProperties")
    if most is not None and len(value) > most:
        yield FieldError(path, "FieldValueTooMany", f"Too many: {len(value)}: must have at most {most} items")
    if least is not None and len(value) < least:
        yield bad_value(path, len(value), f"{path} in body should have at least {least} properties")
    for key, each in value.items():
        inner = _child(schema, key)
        if inner is not None:
            where = f"{path}.{key}" if path else key
            yield from violations(inner, each, where)


def _combined(schema: Json, value: Any, path: str) -> Iterator[FieldError]:
    for each in schema.get("allOf") or ():
        yield from violations(each, value, path)
    for word, most in (("anyOf", None), ("oneOf", 1)):
        options = schema.get(word)
        if not options or (word == "anyOf" and schema.get("x-kubernetes-int-or-string")):
            continue
        fitting = sum(1 for option in options if not list(violations(option, value, path)))
        if not fitting or (most is not None and fitting > most):
            what = "at least one schema (anyOf)" if word == "anyOf" else "one and only one schema (oneOf)"
            yield bad_value(path, "", f'"{path}" must validate {what}')
    if is_object(schema.get("not")) and not list(violations(schema["not"], value, path)):
        yield bad_value(path, "", f'"{path}" must not validate the schema (not)')


def violations(schema: Json, value: Any, path: str = "") -> Iterator[FieldError]:
    """Everything in a value that its schema forbids."""
    if value is None:
        if not schema.get("nullable") and schema.get("type") and path:
            wanted = schema["type"]
            yield bad_value(path, "null", f'{path} in body must be of type {wanted}: "null"')
        return
    if not _type_fits(schema, value):
        found = _type_of(value)
        shown = value if not isinstance(value, dict | list) else found
        yield bad_value(path, shown, f'{path} in body must be of type {schema.get("type", "int-or-string")}: "{found}"')
        return
    allowed = schema.get("enum")
    if allowed is not None and value not in allowed:
        names = ", ".join(f'"{each}"' for each in allowed)
        yield FieldError(path, "FieldValueNotSupported", f'Unsupported value: "{value}": supported values: {names}')
    if isinstance(value, str):
        yield from _text(schema, value, path)
    elif is_object(value):
        yield from _object(schema, value, path)
    elif is_array(value):
        yield from _array(schema, value, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _number(schema, value, path)
    if not schema.keys().isdisjoint(("allOf", "anyOf", "oneOf", "not")):
        yield from _combined(schema, value, path)
