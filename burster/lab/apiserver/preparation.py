"""The steps between what a client sends and what is committed: defaults, unknown fields, validation, first status.

The store takes each write through them, in its own order. They change no state.
"""

from collections.abc import Sequence

from burster.lab.apiserver.collector import DEFINITIONS
from burster.lab.apiserver.defaults import fill_defaults, new_status
from burster.lab.apiserver.definitions import check_collision, check_definition, established
from burster.lab.apiserver.errors import FieldError, Json, bad_request, invalid
from burster.lab.apiserver.expressions import broken_rules
from burster.lab.apiserver.kinds import Kind, Kinds
from burster.lab.apiserver.rules import check_new, check_update
from burster.lab.apiserver.schemas import fill, prune, violations


def filled(kind: Kind, obj: Json, dropped: list[str]) -> Json:
    """The object with defaults, and for custom kinds without what their schema does not know; that goes to `dropped`."""
    if kind.schema is None:
        return fill_defaults(kind.resource, obj)
    return fill(kind.schema, prune(kind.schema, obj, dropped=dropped))


def refuse_unknown(kind: Kind, dropped: list[str]) -> None:
    """Refuse an object with unknown fields, as strict field validation does."""
    if dropped:
        told = ", ".join(f'unknown field "{path}"' for path in dropped)
        what = f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}'
        raise bad_request(f"{what}: strict decoding error: {told}")


def _refuse(kind: Kind, name: str, errors: Sequence[FieldError]) -> None:
    if errors:
        raise invalid(kind.kind, kind.group, name, [*errors])


def _of_schema(kind: Kind, obj: Json, old: Json | None = None) -> list[FieldError]:
    if kind.schema is None:
        return []
    errors = list(violations(kind.schema, obj))
    return errors + broken_rules(kind.schema, obj, old, errors) if kind.has_rules else errors


def validate_new(kind: Kind, obj: Json) -> None:
    """Refuse a new object that breaks its kind's rules."""
    _refuse(kind, obj["metadata"]["name"], [*check_new(kind, obj), *_of_schema(kind, obj)])


def validate_update(kind: Kind, new: Json, current: Json) -> None:
    """Refuse an object that may not take the current one's place."""
    _refuse(kind, current["metadata"]["name"], [*check_update(kind, new, current), *_of_schema(kind, new, current)])


def with_first_status(kind: Kind, obj: Json) -> Json:
    """A new object with the status it starts with."""
    status = new_status(kind.resource, obj)
    if status or ("status" in kind.subresources and not kind.custom):
        return {**obj, "status": status}
    return obj


def as_definition(kinds: Kinds, kind: Kind, obj: Json, now_ms: int) -> Json:
    """A CustomResourceDefinition checked and with the status of one that is served; anything else as it is."""
    if kind.resource != DEFINITIONS:
        return obj
    check_definition(obj)
    check_collision(obj, kinds.find(obj["metadata"]["name"]))
    return established(obj, now_ms=now_ms)
