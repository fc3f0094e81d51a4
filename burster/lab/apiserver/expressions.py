"""Rules in CEL of custom kinds (x-kubernetes-validations): evaluated as API servers since 1.30 do, over the values of a written object.

``preparation`` calls it for what a schema itself has nothing against. A rule that asks about the object's former state is looked at on
updates only, and an update is not refused for a value that it leaves as it was. Known here is CEL's standard library; a rule that can't be
read, for it uses functions of Kubernetes' own, is passed over. ``messageExpression``, ``reason`` and ``fieldPath`` are not known either.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from cel_expr_python import cel

from burster.lab.apiserver.errors import FieldError, Json
from burster.lab.apiserver.objects import is_array, is_object, section


RULES: Final = "x-kubernetes-validations"
#: What else is wrong with an object that leaves its rules unlooked at.
_BLOCKING: Final = frozenset({"FieldValueNotSupported", "FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany"})
_TYPE: Final = " must be of type "
_NOT_CHECKED: Final = (
    "some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation"
)
_ENVIRONMENT: Final = cel.NewEnv(variables={"self": cel.Type.DYN, "oldSelf": cel.Type.DYN})
_FORMER: Final = "oldSelf"


def has_rules(schema: Json) -> bool:
    """Say whether there is a rule anywhere in a schema."""
    inner = [*section(schema, "properties").values(), schema.get("items"), schema.get("additionalProperties")]
    return bool(schema.get(RULES)) or any(has_rules(each) for each in inner if is_object(each))


def broken_rules(schema: Json, new: Json, old: Json | None, others: list[FieldError]) -> list[FieldError]:
    """Return what an object's rules have against it, where the schema itself found the others. ``old``: what it is to replace."""
    if any(error.reason in _BLOCKING or _TYPE in error.message for error in others):
        return [FieldError("<nil>", "FieldValueInvalid", f"Invalid value: null: {_NOT_CHECKED}")]
    return list(_walk(schema, new, old, "", is_kept=False))


def _walk(schema: Json, value: Any, old: Any, path: str, *, is_kept: bool) -> Iterator[FieldError]:
    if value is None:
        return
    is_kept = is_kept or (old is not None and old == value)
    for rule in schema.get(RULES) or ():
        if _is_broken(rule["rule"], value, old, is_kept=is_kept):
            detail = rule.get("message") or f"failed rule: {rule['rule']}"
            yield FieldError(path, "FieldValueInvalid", f"Invalid value: {_shown(value)}{detail}")
    if is_object(value):
        former: Json = old if is_object(old) else {}
        known, rest = section(schema, "properties"), schema.get("additionalProperties")
        for key, each in value.items():
            inner = known.get(key, rest)
            if is_object(inner):
                yield from _walk(inner, each, former.get(key), f"{path}.{key}" if path else key, is_kept=is_kept)
    elif is_array(value) and is_object(inner := schema.get("items")):
        keys = schema.get("x-kubernetes-list-map-keys") if schema.get("x-kubernetes-list-type") == "map" else None
        for index, each in enumerate(value):
            # an element of a plain list has no former self, and is kept only with the whole list
            was = _namesake(each, old, keys) if keys and is_array(old) else None
            yield from _walk(inner, each, was, f"{path}[{index}]", is_kept=is_kept)


def _is_broken(rule: str, value: Any, old: Any, *, is_kept: bool) -> bool:
    program = _program(rule)
    asks_for_former = _FORMER in rule
    if program is None or (asks_for_former and old is None) or (is_kept and not asks_for_former):
        return False
    try:
        return program.eval(data={"self": value, _FORMER: old}).plain_value() is not True
    except RuntimeError:
        return True  # as the server has it: what can't be answered is broken


@lru_cache(maxsize=1024)
def _program(rule: str) -> Any:
    try:
        return _ENVIRONMENT.compile(rule)
    except (RuntimeError, ValueError):
        return None


def _namesake(value: Any, old: list[Any], keys: list[str]) -> Any:
    name = [value.get(key) for key in keys]
    return next((each for each in old if [each.get(key) for key in keys] == name), None)


def _shown(value: Any) -> str:
    if is_object(value) or is_array(value):
        return ""
    shown = f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return f"{shown}: "
