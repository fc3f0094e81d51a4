"""Table output: what kubectl get prints, computed here as a real API server does.

The forms of lists and watches use it. Ages are of the injected clock.
"""

from collections.abc import Iterable
from typing import Any, Literal

from burster.lab.apiserver.columns import BUILT_IN, DEFAULT
from burster.lab.apiserver.durations import age
from burster.lab.apiserver.errors import Json
from burster.lab.apiserver.jsonpaths import find
from burster.lab.apiserver.kinds import Kind


Include = Literal["None", "Metadata", "Object"]
TABLE_VERSION = "meta.k8s.io/v1"


def _definition(written: str) -> Json:
    """A column from its short form: "*" at the end is wide, "#" a number, "_" a space."""
    name = written.rstrip("*#").replace("_", " ")
    return {
        "name": name,
        "type": "integer" if "#" in written else "string",
        "format": "name" if name == "Name" else "",
        "description": name,
        "priority": 1 if written.endswith("*") else 0,
    }


def _custom_definitions(kind: Kind) -> list[Json]:
    return [
        _definition("Name"),
        *(
            {
                "name": column["name"],
                "type": column["type"],
                "format": column.get("format", ""),
                "description": column.get("description", ""),
                "priority": column.get("priority", 0),
            }
            for column in kind.columns
        ),
    ]


def _custom_cell(obj: Json, column: Json, now_ms: int) -> Any:
    found = find(obj, column["jsonPath"])
    if not found or found[0] is None:
        return None
    value = found[0]
    match column["type"]:
        case "date":
            return age(str(value), now_ms)
        case "string":
            shown = [each for each in found if each is not None]
            if len(shown) > 1:
                return ",".join(str(each) for each in shown)
            return value if isinstance(value, str) else _text(value)
        case "boolean":
            return value if isinstance(value, bool) else None
        case _:
            return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class Tabulator:
    """Makes rows and tables of one kind."""

    def __init__(self, kind: Kind, include: Include) -> None:
        self._kind = kind
        self._include: Include = include
        written, self._cells = BUILT_IN.get(kind.resource, DEFAULT)
        self.columns = _custom_definitions(kind) if kind.custom else [_definition(each) for each in written.split()]

    def row(self, obj: Json, now_ms: int) -> Json:
        """One object's row."""
        if self._kind.custom:
            cells = [obj["metadata"]["name"], *(_custom_cell(obj, column, now_ms) for column in self._kind.columns)]
        else:
            cells = self._cells(obj, now_ms)
        shown: Json | None = obj
        if self._include == "Metadata":
            shown = partial(obj)
        elif self._include == "None":
            shown = None
        return {"cells": cells, "object": shown}

    def table(self, objects: Iterable[Json], metadata: Json, now_ms: int, *, headed: bool = True) -> Json:
        """A table of some objects."""
        return {
            "kind": "Table",
            "apiVersion": TABLE_VERSION,
            "metadata": metadata,
            "columnDefinitions": self.columns if headed else None,
            "rows": [self.row(obj, now_ms) for obj in objects],
        }


def partial(obj: Json) -> Json:
    """An object's metadata alone."""
    return {"kind": "PartialObjectMetadata", "apiVersion": TABLE_VERSION, "metadata": obj["metadata"]}
