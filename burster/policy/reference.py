"""The reference page of the rules, made from the models.

``python -m burster.policy.reference [FILE]`` writes ``docs/reference/policy.md``; a test holds the file equal to what this module makes.
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from burster.policy.crds import crds
from burster.policy.schema import BurstPolicySpec, BurstTargetSpec
from burster.policy.structural import inlined


PAGE: Final = Path("docs/reference/policy.md")
_SPECS: Final = {"BurstPolicy": BurstPolicySpec, "BurstTarget": BurstTargetSpec}
_INTRODUCTION: Final = """\
# Policies, targets and bursts

Made by `python -m burster.policy.reference` from the models in `burster/policy`; edit those, not this page.

Platform teams write `BurstPolicy` (short `bp`, in a namespace) and `BurstTarget` (short `bt`, for the whole cluster), as files or with
kubectl; burster writes `Burst` (short `bst`), one for each cloud pod. All are `burster.dev/v1alpha1`. Unknown fields are refused.
`burster policy validate PATH...` checks files, `burster policy explain PATH...` says what they mean, and `burster policy schema` prints a
JSON Schema for editors.

- A **duration** is text such as `30s`, `5m` or `1h30m`.
- **Money** is USD, as a number or as text: `2.5` or `"2.50"`.
- A **quantity** of cpu or memory is Kubernetes': `500m`, `4Gi`. A **percentage** is a number from 0 to 100, also as text: `"12.5"`.
- A **number** of a metric is one above 0 (thresholds) or from 0 on (activation), with three decimals, also as text, as KEDA has it.
- A **pattern** is a regular expression for the whole name, of what RE2 and Python have in common, with at most three
  open repetitions in a row.
- The annotation `burster.dev/paused: "true"` pauses a policy: what runs goes on, nothing new starts. `burster.dev/paused-scale-out` only
  keeps new bursts from starting, `burster.dev/paused-scale-in` only keeps what nobody needs from coming home, and
  `burster.dev/force-activation` takes the policy for active.
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
            written = (
                inlined(_SPECS[names["kind"]], closed=True) if part == "spec" and names["kind"] in _SPECS else None
            )
            rows = "\n".join(_rows(written or schema["properties"][part], part))
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
        yield from _inner_rows(inner, here)


def _inner_rows(node: Mapping[str, Any], path: str) -> Iterator[str]:
    if node.get("type") != "array":
        yield from _rows(node, path)
    elif "oneOf" not in node["items"]:
        yield from _rows(node["items"], f"{path}[]")
    else:
        for form in node["items"]["oneOf"]:
            kinds = form.get("properties", {}).get("type", {}).get("enum")
            yield from _rows(form, f"{path}[{', '.join(kinds)}]" if kinds else f"{path}[]")


def _code(default: Any) -> str:
    if default is None or isinstance(default, dict):
        return ""
    if isinstance(default, list) and any(isinstance(item, dict) for item in default):  # pyright: ignore[reportUnknownVariableType] (JSON)
        return ""
    text = ", ".join(map(str, default)) if isinstance(default, list) else str(default)  # pyright: ignore[reportUnknownArgumentType] (JSON)
    return f"`{text.lower() if isinstance(default, bool) else text}`"


def _type(node: Mapping[str, Any]) -> str:
    kind = node.get("type")
    if "oneOf" in node:
        return " or ".join(dict.fromkeys(_type(form) for form in node["oneOf"]))
    if node.get("enum"):
        return " or ".join(f"`{option}`" for option in node["enum"])
    if isinstance(kind, list):
        return _loose_type(node)
    if kind == "array":
        return _list_type(node)
    return _text_type(node) if kind == "string" else _plain_type(node)


def _plain_type(node: Mapping[str, Any]) -> str:
    if node.get("type") == "object":
        return "mapping" if "properties" in node else "names with a value each"
    if node.get("type") == "integer":
        return "whole number" + _between(node, "minimum", "maximum", "")
    return str(node.get("type", "any"))


def _list_type(node: Mapping[str, Any]) -> str:
    return f"list of {_type(node['items'])}" + _between(node, "minItems", "maxItems", "items")


def _loose_type(node: Mapping[str, Any]) -> str:
    if "boolean" in node["type"]:
        return "text" if "number" in node["type"] else "boolean"
    if "integer" in node["type"]:
        return (
            "milliseconds or duration"
            if "ms" in node["pattern"]
            else "whole number" + _between(node, "minimum", "maximum", "")
        )
    if "[KMGTPE]i" in node["pattern"]:
        return "quantity"
    if "maximum" in node:
        return "percentage"
    return "money" if node["pattern"].startswith("^[0-9]+(") else "number"


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
