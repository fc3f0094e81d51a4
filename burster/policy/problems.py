"""What pydantic finds wrong, said to a person: one sentence each, with the field's path and, where there is a text, its place.

Called by ``load`` (with positions) and ``compile`` (without). Everything here is wording; what is right or wrong is the schema's.
"""

import difflib
import re
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Final, Union, get_args, get_origin

import msgspec
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from burster.policy.errors import Problem
from burster.policy.refusals import FieldErrors, Finding, PlacedError
from burster.policy.schema.base import Strict
from burster.policy.schema.triggers import SUPPORTED_TRIGGERS
from burster.policy.yaml_nodes import Mark, Path, YamlDocument


_SHOWN_MAX: Final = 60
_KNOWN_SHOWN_MAX: Final = 24
#: a form follows the number of an item, which follows the list's name
_FORM_DEPTH: Final = 2
_UNION_TAGS: Final = ("union_tag_invalid", "union_tag_not_found")


def path_text(path: Path) -> str:
    """Return a field's path as people write it: ``spec.placement.targets[0]``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part and all(char.isalnum() or char in "_-<" for char in part):
            text += f".{part}" if text else part
        else:
            text += f'["{part[:_SHOWN_MAX]}"]'
    return text


def null_problems(value: Any, source: str, document: YamlDocument | None = None) -> Iterator[Problem]:
    """Yield a problem for each null below a document's spec: a field without a value is nearly always a slip."""
    stack: list[tuple[Path, Any]] = [(("spec",), value)]
    while stack:
        path, item = stack.pop()
        if item is None:
            message = "has no value: give it one, or remove the line"
            yield problem_at(source, path, message, document)
        elif isinstance(item, Mapping):
            stack.extend(((*path, key), inner) for key, inner in item.items())  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] (JSON)
        elif isinstance(item, list):
            stack.extend(((*path, index), inner) for index, inner in enumerate(item))  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] (JSON)


def problem_at(source: str, path: Path, message: str, document: YamlDocument | None, *, key: bool = False) -> Problem:
    """Return a problem, placed where the field (or its key, or the nearest thing around it) stands in the text."""
    mark = _mark(document, path, key=key)
    return Problem(source=source, line=mark.line, column=mark.column, path=path_text(path), message=message)


def _mark(document: YamlDocument | None, path: Path, *, key: bool) -> Mark:
    if document is None:
        return Mark(0, 0)
    if key and path in document.keys:
        return document.keys[path]
    for length in range(len(path), -1, -1):
        here = path[:length]
        if length < len(path) and here in document.keys:
            return document.keys[here]
        if here in document.values:
            return document.values[here]
    return document.mark


def schema_problems(
    error: ValidationError, model: type[BaseModel], source: str, document: YamlDocument | None = None
) -> list[Problem]:
    """Return the problems behind a failed validation, in the order of the text."""
    found: list[Problem] = []
    for details in error.errors(include_url=False):
        if _is_echo(details):
            continue
        path = _written(details["loc"])
        # pydantic's word for what is wrong with a mapping's key; people look for the key itself
        keyed = path[-1:] == ("[key]",)
        path = path[:-1] if keyed else path
        cause = details.get("ctx", {}).get("error")
        if isinstance(cause, FieldErrors):
            found += [_found(source, path, finding, document) for finding in cause.found]
        elif isinstance(cause, PlacedError):
            found.append(_found(source, path, Finding((), str(cause), cause), document))
        else:
            raw = document.values[path].raw if document is not None and path in document.values else ""
            message = _sentence(details, model, raw)
            if details["type"] in _UNION_TAGS:
                path = (*path, "type")
            found.append(problem_at(source, path, message, document, key=keyed or details["type"] == "extra_forbidden"))
    return sorted(found, key=lambda problem: (problem.line, problem.column))


def _written(location: tuple[int | str, ...]) -> Path:
    """Return a location without what pydantic adds to it: which form an item of a list has."""
    return tuple(part for index, part in enumerate(location) if not _is_form(location, index))


def _is_form(location: tuple[int | str, ...], index: int) -> bool:
    part = location[index]
    if index < _FORM_DEPTH or not isinstance(part, str) or not isinstance(location[index - 1], int):
        return False
    return part.startswith("<") or (location[index - _FORM_DEPTH] == "triggers" and part in SUPPORTED_TRIGGERS)


def _found(source: str, path: Path, finding: Finding, document: YamlDocument | None) -> Problem:
    here = (*path, *finding.path)
    cause = finding.cause
    if document is None or cause is None or not cause.line:
        problem = problem_at(source, here, finding.message, document)
        return msgspec.structs.replace(problem, excerpt=cause.excerpt) if cause else problem
    mark = document.inside(here, cause.line, cause.column)
    return Problem(
        source=source,
        line=mark.line,
        column=mark.column,
        path=path_text(here),
        message=finding.message,
        excerpt=cause.excerpt,
    )


def _is_echo(details: ErrorDetails) -> bool:
    """Whether this only repeats that something inside is wrong: a list whose items were refused is then too short, or null."""
    value = details["input"]
    if details["type"] == "too_short":
        return hasattr(value, "__len__") and len(value) >= details.get("ctx", {}).get("min_length", 0)
    return value is None and details["loc"][:1] == ("spec",) and details["type"] != "missing"


def _sentence(details: ErrorDetails, model: type[BaseModel], raw: str) -> str:
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    path: Path = tuple(details["loc"])
    if kind == "value_error":
        return str(context["error"])
    if kind in _UNION_TAGS:
        return _trigger_sentence(context.get("tag"))
    if kind == "missing":
        return f"is required: {_description(model, path)}".removesuffix(": ")
    if kind == "extra_forbidden":
        owner = _model_at(model, path[:-1])
        return _hint(owner, str(path[-1])) or _unknown(str(path[-1]), _siblings(owner))
    return _type_sentence(details, value, model, raw)


def _type_sentence(details: ErrorDetails, value: object, model: type[BaseModel], raw: str) -> str:
    kind, context = details["type"], details.get("ctx", {})
    if kind == "literal_error":
        allowed = [option.strip("'") for option in context["expected"].replace(" or ", ", ").split(", ")]
        hint = _suggestion(str(value), allowed)
        return f"expected {_either(allowed)}, found {_described(value)}{hint}{_quoting(value, raw)}"
    if kind == "string_pattern_mismatch":
        what = _description(model, tuple(details["loc"])).rstrip(".") or f"text like {context['pattern']}"
        return f"{_described(value)} is not of the form that is expected here: {what}"
    expected = _expected(kind, context)
    if expected is None:
        return f"{details['msg']}, found {_described(value)}"
    if kind == "string_type":
        return f"expected {expected}, found {_described(value)}{_quoting(value, raw)}"
    what = _description(model, tuple(details["loc"])).rstrip(".")
    quoted = kind == "int_type" and isinstance(value, str) and re.fullmatch("-?[0-9]{1,10}", value)
    found = _described(value) + (f": write {value} without quotes" if quoted else "")
    return f"expected {expected}, found {found}" + (f" ({what})" if what else "")


def _expected(kind: str, context: Mapping[str, Any]) -> str | None:
    simple = {
        "string_type": "text",
        "int_type": "a whole number",
        "int_from_float": "a whole number",
        "int_parsing_size": "a smaller whole number",
        "bool_type": "true or false",
        "dict_type": "a mapping (lines of key: value)",
        "model_type": "a mapping (lines of key: value)",
        "model_attributes_type": "a mapping (lines of key: value)",
        "tuple_type": "a list (lines that start with -)",
        "list_type": "a list (lines that start with -)",
    }
    if kind in simple:
        return simple[kind]
    bounds = {
        "greater_than_equal": ("ge", "{} or more"),
        "less_than_equal": ("le", "{} or less"),
        "too_short": ("min_length", "at least {} item(s)"),
        "too_long": ("max_length", "at most {} item(s)"),
        "string_too_short": ("min_length", "at least {} character(s)"),
        "string_too_long": ("max_length", "at most {} character(s)"),
    }
    if kind in bounds:
        name, form = bounds[kind]
        return form.format(context[name])
    return None


def _described(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "the boolean true" if value else "the boolean false"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"  # pyright: ignore[reportUnknownArgumentType] (JSON)
    text = repr(value)
    return ("the text " if isinstance(value, str) else "the number ") + (
        text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}…"
    )


def _quoting(value: object, raw: str) -> str:
    if isinstance(value, bool | int | float):
        written = raw or str(value).lower()
        return f': YAML reads {written} so; if it is meant as text, write "{written}"'
    return ""


def _either(options: Iterable[str]) -> str:
    return " or ".join(sorted(options))


def _unknown(name: str, known: list[str]) -> str:
    hint = _suggestion(name, known)
    if hint or not known:
        return f"unknown field{hint}"
    listed = ", ".join(known[:_KNOWN_SHOWN_MAX])
    return f"unknown field: remove it, or use one of {listed}"


def _suggestion(name: str, known: list[str]) -> str:
    lowered = {option.lower(): option for option in known}
    close = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
    return f"; did you mean {lowered[close[0]]}?" if close else ""


def closest(name: str, known: Iterable[str]) -> str:
    """Return ``; did you mean X?``, or nothing where no known word is close."""
    return _suggestion(name, list(known))


def fields_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return a model's fields by the names that people write."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _siblings(owner: type[BaseModel] | None) -> list[str]:
    return [name for name, field in fields_of(owner).items() if field.description] if owner else []


def _hint(owner: type[BaseModel] | None, name: str) -> str:
    return owner.hint(name) if owner is not None and issubclass(owner, Strict) else ""


def _trigger_sentence(kind: object) -> str:
    listed = ", ".join(SUPPORTED_TRIGGERS)
    if kind is None:
        return f"is required: write one of {listed}"
    name = str(kind).strip("'")
    if name == "external-push":
        return "'external-push' is not supported: use external, to which anybody may push a number"
    hint = _suggestion(name, list(SUPPORTED_TRIGGERS))
    return (
        f"type {name!r:.60} is not supported{hint or ''}: use one of {listed}; for any other of KEDA's scalers let its ScaledObject"
        " stay with KEDA and push the value to a trigger of type external"
    )


def _description(model: type[BaseModel], path: Path) -> str:
    names = [part for part in path if isinstance(part, str)]
    owner = _model_at(model, path[: path.index(names[-1])]) if names else None
    field = fields_of(owner).get(names[-1]) if owner else None
    return (field.description or "") if field else ""


def _model_at(model: type[BaseModel], path: Path) -> type[BaseModel] | None:
    options: list[type[BaseModel]] = [model]
    for index, part in enumerate(path):
        if isinstance(part, int) or not options:
            continue
        if _is_form(path, index):
            options = [option for option in options if part.startswith("<") or _has_form(option, part)]
            continue
        field = fields_of(options[0]).get(part)
        options = list(models_in(field.annotation)) if field else []
    return options[0] if options else None


def _has_form(option: type[BaseModel], part: str) -> bool:
    field = option.model_fields.get("type")
    return field is not None and part in get_args(field.annotation)


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models an annotation mentions: inside tuples, options and Annotated too."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in {Annotated, Union, types.UnionType, tuple, list}:
        for argument in get_args(annotation):
            yield from models_in(argument)
