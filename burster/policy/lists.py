"""Lists as `kubectl get -o yaml` prints them, taken apart: each item becomes a document of its own, with its places in the text.

Called by whoever reads files of objects, before it looks at kinds. It judges nothing: a list that is none is handed on as it is.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final, cast

from burster.policy.yaml_nodes import Path, YamlDocument, YamlProblem


#: kinds that hold others: `List`, and `BurstPolicyList` as the API answers
_SUFFIX: Final = "List"
#: an item is found under `items`, by its number
_DEPTH: Final = 2


def without_lists(documents: Iterable[YamlDocument]) -> Iterator[tuple[YamlDocument, bool]]:
    """Yield every document, those in lists one by one, each with whether it was in one."""
    for document in documents:
        items = _items(document.value)
        if items is None:
            yield document, False
            continue
        yield from ((item, True) for item in _taken_apart(document, items))


def _items(value: object) -> list[Any] | None:
    if not isinstance(value, dict):
        return None
    fields = cast("dict[str, Any]", value)
    kind, items = fields.get("kind"), fields.get("items")
    held = isinstance(kind, str) and kind.endswith(_SUFFIX) and isinstance(items, list)
    return cast("list[Any]", items) if held else None


def _taken_apart(document: YamlDocument, items: list[Any]) -> list[YamlDocument]:
    made = [
        YamlDocument(
            value=item,
            mark=document.values.get(("items", index), document.mark),
            keys={},
            values={},
            problems=[],
            text=document.text,
        )
        for index, item in enumerate(items)
    ]
    for path, mark in document.keys.items():
        if (one := _of(path, made)) is not None:
            one.keys[path[_DEPTH:]] = mark
    for path, mark in document.values.items():
        if (one := _of(path, made)) is not None:
            one.values[path[_DEPTH:]] = mark
    for problem in document.problems:
        one = _of(problem.path, made)
        # what is wrong with the list itself must not get lost: the first item tells it
        told = problem.path if one is None else problem.path[_DEPTH:]
        for holder in [one] if one is not None else made[:1]:
            holder.problems.append(YamlProblem(problem.message, problem.mark, told, unreadable=problem.unreadable))
    return made


def _of(path: Path, made: list[YamlDocument]) -> YamlDocument | None:
    """Return the item that a path leads into; None for what is not in an item."""
    if len(path) < _DEPTH or path[0] != "items" or not isinstance(path[1], int) or path[1] >= len(made):
        return None
    return made[path[1]]
