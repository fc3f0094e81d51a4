"""The JSONPath that printer columns use: fields, quoted fields, indices, wildcards and equality filters.

Tables of custom kinds use it. It reads, and finds nothing where a path makes no sense.
"""

import re
from functools import lru_cache
from typing import Any, NamedTuple

from burster.lab.apiserver.objects import is_array, is_object


class Step(NamedTuple):
    """One step of a path."""

    kind: str  # field index any filter
    name: str
    value: str = ""


_TOKEN = re.compile(
    r"""\.(?P<field>(?:\\.|[^.\[\]\\])+)
      | \[(?P<index>-?\d+)\]
      | \[(?P<any>\*)\] | \.(?P<star>\*)
      | \[['"](?P<quoted>[^'"]+)['"]\]
      | \[\?\(\s*@\.(?P<key>[^=\s]+)\s*==\s*(?P<value>'[^']*'|"[^"]*"|[^)\s]+)\s*\)\]
    """,
    re.VERBOSE,
)


@lru_cache(maxsize=1024)
def parse(path: str) -> tuple[Step, ...]:
    """The steps of a path; none where it cannot be read."""
    path = path.strip().removeprefix("{").removesuffix("}").removeprefix("$")
    if not path.startswith((".", "[")):
        path = f".{path}"
    steps: list[Step] = []
    at = 0
    while at < len(path):
        found = _TOKEN.match(path, at)
        if found is None:
            return ()
        at = found.end()
        if found["star"] or found["any"] or found["field"] == "*":
            steps.append(Step("any", ""))
        elif found["index"] is not None:
            steps.append(Step("index", found["index"]))
        elif found["key"] is not None:
            steps.append(Step("filter", found["key"], found["value"].strip("'\"")))
        else:
            name = found["field"] if found["quoted"] is None else found["quoted"]
            steps.append(Step("field", name.replace("\\", "")))
    return tuple(steps)


def _next(value: Any, step: Step) -> list[Any]:
    match step.kind:
        case "field":
            return [value[step.name]] if is_object(value) and step.name in value else []
        case "index":
            index = int(step.name)
            return [value[index]] if is_array(value) and -len(value) <= index < len(value) else []
        case "any":
            return list(value.values()) if is_object(value) else list(value) if is_array(value) else []
        case _:
            found = value if is_array(value) else []
            return [each for each in found if is_object(each) and str(each.get(step.name)) == step.value]


def find(obj: Any, path: str) -> list[Any]:
    """All values at a path."""
    values = [obj]
    for step in parse(path):
        values = [found for value in values for found in _next(value, step)]
    return values
