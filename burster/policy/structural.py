"""The models' JSON Schema in the two forms that are needed: structural for API servers, closed for editors.

Structural means: no references, every value typed (or marked as int-or-string, or preserved), and one set of fields where the models have
several forms of one thing. Called by ``crds`` and ``reference``.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from pydantic import BaseModel

from burster.policy.schema.base import RULES


PRESERVED: Final = "x-kubernetes-preserve-unknown-fields"
_KEPT: Final = (
    "type",
    "format",
    "description",
    "enum",
    "pattern",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "minimum",
    "maximum",
    PRESERVED,
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    RULES,
)
_EDITOR_TYPE: Final = "x-editor-type"

Json = dict[str, Any]


def inlined(model: type[BaseModel], *, closed: bool = False) -> Json:
    """Return a model's schema without references; ``closed`` is for editors: unknown fields forbidden, several forms told apart."""
    schema = model.model_json_schema(by_alias=True)
    definitions = cast("Json", schema.get("$defs", {}))
    # the models share parts, and a text made of shared parts would have anchors, which kubectl reads and people do not
    return json.loads(json.dumps(_made(schema, definitions, closed=closed)))


def _made(node: Mapping[str, Any], definitions: Mapping[str, Any], *, closed: bool) -> Json:
    node = _dereferenced(node, definitions)
    if "oneOf" in node:
        forms = [_made(form, definitions, closed=closed) for form in node["oneOf"]]
        said = {"description": node["description"]} if "description" in node else {}
        if closed:
            return {**said, "oneOf": forms}
        return {**_merged(forms), **said, **({RULES: node[RULES]} if RULES in node else {})}
    made: Json = {key: node[key] for key in _KEPT if key in node}
    if "const" in node:
        made |= {"type": "string", "enum": [node["const"]]}
    if "properties" in node:
        _add_fields(made, node, definitions, closed=closed)
    elif (values := _values(node)) is not None:
        made["additionalProperties"] = _made(values, definitions, closed=closed)
    if "items" in node:
        made["items"] = _made(node["items"], definitions, closed=closed)
    default = _default(node, made)
    if default is not None:
        made["default"] = default
    return _for_editors(node, made) if closed else made


def _values(node: Mapping[str, Any]) -> Json | None:
    """Return what the values of a mapping with free keys must be. What its keys must be has no structural form."""
    patterns = cast("dict[str, Json]", node.get("patternProperties", {}))
    free = cast("Json | bool", node.get("additionalProperties", False))
    return next(iter(patterns.values()), None if isinstance(free, bool) else free)


def _add_fields(made: Json, node: Mapping[str, Any], definitions: Mapping[str, Any], *, closed: bool) -> None:
    made["properties"] = {name: _made(inner, definitions, closed=closed) for name, inner in node["properties"].items()}
    if node.get("required"):
        made["required"] = list(node["required"])
    free = _values(node)
    if closed:
        made["additionalProperties"] = False if free is None else _made(free, definitions, closed=closed)
    elif free is not None:
        made[PRESERVED] = True


def _for_editors(node: Mapping[str, Any], made: Json) -> Json:
    """Say in plain JSON Schema what an API server has own words for."""
    if made.get("x-kubernetes-int-or-string"):
        made["type"] = ["integer", "string"]
    elif made.get(PRESERVED) and "type" not in made:
        made["type"] = node.get(_EDITOR_TYPE, ["number", "string"])
    return {key: value for key, value in made.items() if not key.startswith("x-kubernetes-")}


def _dereferenced(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> Json:
    """Follow a reference, and take the one real form of an optional value; what is said outside wins."""
    merged = dict(node)
    while "$ref" in merged or "anyOf" in merged:
        if "$ref" in merged:
            inner = definitions[str(merged.pop("$ref")).rsplit("/", 1)[-1]]
        else:
            (inner,) = (option for option in merged.pop("anyOf") if option.get("type") != "null")
        merged = {**inner, **merged}
    return merged


def _default(node: Mapping[str, Any], made: Mapping[str, Any]) -> Any:
    """Return the default to state: none for what is merely absent; of a mapping with all that its own fields default to.

    An API server runs a schema's rules on its defaults as they stand, before it fills them in, and refuses the whole CRD where a rule
    reads what is not there.
    """
    default = node.get("default")
    if default is None or default in ("", [], {}):
        return None
    if made.get("type") == "object":
        fields: Json = made.get("properties", {})
        return {name: inner["default"] for name, inner in fields.items() if "default" in inner} or None
    return default


# --- several forms of one thing in one structural schema ------------------------------------------------------------------


def _merged(forms: list[Json]) -> Json:
    """Return one schema that takes every form. Text or a mapping has no structural form, and is preserved as it is.

    Of mappings it has the fields of all. What they say differently of a field is left out: a default, above all, as an API server would
    write it into the other forms too. The triggers' metadata keep unknown keys: some are free, and a misspelt one that is kept is told by
    burster with what was meant, whereas one that is dropped is not seen by anybody.
    """
    if any(form.get("type") != "object" for form in forms):
        return {PRESERVED: True}
    names = dict.fromkeys(name for form in forms for name in form["properties"])
    required = [name for name in names if all(name in form.get("required", ()) for form in forms)]
    fields: Json = {}
    for name in names:
        having = [form for form in forms if name in form["properties"]]
        options = [form["properties"][name] for form in having]
        if all(option.get("type") == "object" and len(having) == len(forms) for option in options):
            fields[name] = _metadata(forms, name)
        else:
            fields[name] = _common(options, complete=len(having) == len(forms))
    return {"type": "object", "properties": fields, "required": required}


def _metadata(forms: list[Json], name: str) -> Json:
    fields: dict[str, list[tuple[str, Json]]] = {}
    for form in forms:
        kinds = " and ".join(form["properties"]["type"]["enum"])
        for key, inner in form["properties"][name]["properties"].items():
            fields.setdefault(key, []).append((kinds, inner))
    made = {
        key: {**_common([inner for _, inner in options], complete=False), "description": _told(options)}
        for key, options in sorted(fields.items())
    }
    return {
        "type": "object",
        "description": "The trigger's settings, by its type.",
        "properties": made,
        PRESERVED: True,
    }


def _told(options: list[tuple[str, Json]]) -> str:
    by_text: dict[str, list[str]] = {}
    for kinds, inner in options:
        default = inner.get("default")
        of = (
            f" Default {str(default).lower() if isinstance(default, bool) else default}." if default is not None else ""
        )
        by_text.setdefault(f"{inner['description'].rstrip('.')}.{of}", []).append(kinds)
    return " ".join(f"{', '.join(kinds)}: {text}" for text, kinds in by_text.items())


def _common(options: Iterable[Json], *, complete: bool) -> Json:
    """Return what all say of a field; where they have different types, any value. ``complete``: every form has the field."""
    options = list(options)
    first, *others = options
    kinds = {str(option.get("type")) for option in options}
    if len(kinds) > 1:
        return {PRESERVED: True, "description": first["description"]}
    made = {key: value for key, value in first.items() if all(other.get(key) == value for other in others)}
    if "enum" in first:
        made["enum"] = list(dict.fromkeys(value for option in options for value in option["enum"]))
    made["description"] = " ".join(dict.fromkeys(option["description"] for option in options))
    if not complete:
        made.pop("default", None)
    return made
