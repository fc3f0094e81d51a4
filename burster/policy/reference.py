"""The reference page of the rules, made from the models.

``python -m burster.policy.reference [FILE]`` writes ``docs/reference/policy.md``; a test holds the file equal to what this module makes.
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from burster.policy.crds import crds


PAGE: Final = Path("docs/reference/policy.md")
_INTRODUCTION: Final = """\
# Policies, targets and bursts

Made by `python -m burster.policy.reference` from the models in `burster/policy`; edit those, not this page.

Platform teams write `BurstPolicy` (short `bp`, in a namespace) and `BurstTarget` (short `bt`, for the whole cluster), as files or with
kubectl; burster writes `Burst` (short `bst`), one for each cloud pod. All are `burster.dev/v1alpha1`. Unknown fields are refused.
`burster policy validate PATH...` checks files, `burster policy explain PATH...` says what they mean, and `burster policy schema` prints a
JSON Schema for editors.

- A **duration** is text such as `30s`, `5m` or `1h30m`.
- **Money** is USD, as a number or as text: `2.5` or `"2.50"`.
- A **pattern** is a regular expression for the whole name, of what RE2 and Python have in common, with at most three
  open repetitions in a row.
- The annotation `burster.dev/paused: "true"` pauses a policy: what runs goes on, nothing new starts.
"""


def reference() -> str:
    """Return the page as Markdown."""
    parts = [_INTRODUCTION]
    for crd in crds().values():
        version = crd["spec"]["versions"][0]
        schema = version["schema"]["openAPIV3Schema"]
        names = crd["spec"]["names"]
        parts.append(f"## {names['kind']}\n\n{schema['description']}\n")
        for part in ("spec", "status"):
            rows = "\n".join(_rows(schema["properties"][part], part))
            parts.append(
                f"### {names['kind']} {part}\n\n| field | type | default | meaning |\n|---|---|---|---|\n{rows}\n"
            )
    return "\n".join(parts)


def _rows(node: Mapping[str, Any], path: str) -> Iterator[str]:
    required = node.get("required", ())
    for name, inner in node.get("properties", {}).items():
        here = f"{path}.{name}"
        default = "required" if name in required else _code(inner.get("default"))
        meaning = _escaped(inner.get("description", ""))
        yield f"| `{here}` | {_escaped(_type(inner))} | {default} | {meaning} |"
        if inner.get("type") == "array" and "properties" in inner["items"]:
            yield from _rows(inner["items"], f"{here}[]")
        else:
            yield from _rows(inner, here)


def _code(default: Any) -> str:
    if default in (None, {}) or (isinstance(default, list) and any(isinstance(item, dict) for item in default)):  # pyright: ignore[reportUnknownVariableType] (JSON)
        return ""
    text = ", ".join(map(str, default)) if isinstance(default, list) else str(default)  # pyright: ignore[reportUnknownArgumentType] (JSON)
    return f"`{text.lower() if isinstance(default, bool) else text}`"


def _type(node: Mapping[str, Any]) -> str:
    kind = node.get("type")
    if node.get("enum"):
        return " or ".join(f"`{option}`" for option in node["enum"])
    if kind == "array":
        return f"list of {_type(node['items'])}" + _between(node, "minItems", "maxItems", "items")
    if kind == "object":
        return "labels" if "additionalProperties" in node else "mapping"
    if kind == "string":
        return _text_type(node)
    if node.get("x-kubernetes-int-or-string") or kind == "integer":
        return "whole number" + _between(node, "minimum", "maximum", "")
    return "boolean" if kind == "boolean" else "money"


def _text_type(node: Mapping[str, Any]) -> str:
    if node.get("format") == "date-time":
        return "time"
    if "ms|s|m|h|d" in node.get("pattern", ""):
        return "duration"
    return f"text, at most {node['maxLength']} characters" if "maxLength" in node else "text"


def _between(node: Mapping[str, Any], least: str, most: str, what: str) -> str:
    low, high = node.get(least), node.get(most)
    unit = f" {what}" if what else ""
    if low is not None and high is not None:
        return f", {low} to {high}{unit}" if low != high else f", exactly {low}"
    if low is None and high is None:
        return ""
    return f", at least {low}{unit}" if high is None else f", at most {high}{unit}"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def main(arguments: list[str]) -> int:
    """Write the page to the file named, or to ``docs/reference/policy.md``."""
    path = Path(arguments[0]) if arguments else PAGE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(reference(), encoding="utf-8")
    sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
