"""The number in an answer of any kind: JSON, YAML, XML or Prometheus' text, at KEDA's valueLocation.

Called by ``burster.sources.metrics``. Text that is a Kubernetes quantity ("1k", "500m") is a number too, as in KEDA. It must never tell
what an answer holds: a message says where nothing was found, and what kind of thing is there.
"""

import math
import re
from decimal import Decimal
from typing import Any, Final, Literal, cast
from xml.parsers import expat

import msgspec
import yaml

from burster.clients import gjson
from burster.clients.metric_errors import MetricError
from burster.clients.metric_http import printable


Format = Literal["json", "prometheus", "xml", "yaml"]
#: YAML is read by a slow parser: a status page fits in here
YAML_MAX_BYTES: Final = 128 * 1024
_DEPTH_MAX: Final = 200
_QUANTITY: Final = re.compile(
    r"(?P<number>[+-]?([0-9]{1,40}(\.[0-9]{0,40})?|\.[0-9]{1,40}))(?P<suffix>[eE][+-]?[0-9]{1,2}|[A-Za-z]{0,2})"
)
_SCALES: Final = {
    "": Decimal(1), "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "k": Decimal("1e3"), "M": Decimal("1e6"),
    "G": Decimal("1e9"), "T": Decimal("1e12"), "P": Decimal("1e15"), "E": Decimal("1e18"), "Ki": Decimal(2**10), "Mi": Decimal(2**20),
    "Gi": Decimal(2**30), "Ti": Decimal(2**40), "Pi": Decimal(2**50), "Ei": Decimal(2**60),
}  # fmt: skip
_NAME: Final = r"[A-Za-z_:][A-Za-z0-9_:]*"
_LABEL: Final = r"[A-Za-z_][A-Za-z0-9_]*"
_STRING: Final = r'"(?:[^"\\\n]|\\.)*"'
_SELECTOR: Final = re.compile(rf"\s*(?P<name>{_NAME})\s*(?:\{{(?P<labels>[^\n]*)\}})?\s*")
_MATCHER: Final = re.compile(rf"\s*(?P<label>{_LABEL})\s*(?P<op>=~|!~|!=|=)\s*(?P<value>{_STRING})\s*(?:,|$)")
_PAIR: Final = re.compile(rf"\s*(?P<label>{_LABEL})\s*=\s*(?P<value>{_STRING})\s*(?:,\s*|$)")
_SAMPLE: Final = re.compile(
    rf"(?P<name>{_NAME})\s*(?:\{{(?P<labels>(?:[^\"}}\n]|{_STRING})*)\}})?\s+(?P<value>\S{{1,64}})"
)
_ESCAPES: Final = {"n": "\n"}


def number_in(body: bytes, form: Format, location: str) -> float:
    """Return the number at a location. Raises MetricError."""
    match form:
        case "prometheus":
            return _in_page(body, location)
        case "json":
            return _number(_in_json(body, location), location)
        case "yaml":
            return _number(_at(_yaml(body), location), location)
        case "xml":
            name, root = _xml(body)
            found = _at(root, location)
            if found is gjson.NOTHING:
                found = _at({name: root}, location)
            return _number(found, location)


def _number(found: Any, location: str) -> float:
    if isinstance(found, str):
        value = _quantity(found)
        if value is not None:
            return value
    if isinstance(found, int | float) and not isinstance(found, bool):
        try:
            value = float(found)
        except OverflowError:
            value = math.inf
        if math.isfinite(value):
            return value
        raise MetricError("no_value", f"what is at {printable(location)} is not finite")
    if found is gjson.NOTHING:
        raise MetricError("location", f"the answer has nothing at {printable(location)}")
    raise MetricError("location", f"what is at {printable(location)} is {_kind(found)}, where a number is needed")


def _kind(found: Any) -> str:
    kinds: dict[type, str] = {str: "text that is no quantity", bool: "true or false", list: "a list", dict: "an object"}
    return next((name for kind, name in kinds.items() if isinstance(found, kind)), "null" if found is None else "none")


def _quantity(text: str) -> float | None:
    match = _QUANTITY.fullmatch(text.strip())
    if match is None:
        return None
    suffix = match["suffix"]
    scale = _SCALES.get(suffix)
    if scale is None:
        if not suffix[1:].lstrip("+-").isdecimal():
            return None
        scale = Decimal(f"1{suffix}")
    return float(Decimal(match["number"]) * scale)


# --- JSON, YAML, XML ---------------------------------------------------------------------------------------------------


def _in_json(body: bytes, location: str) -> Any:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise MetricError("protocol", "the answer is no JSON") from None
    try:
        return gjson.find(document, location)
    except gjson.PathError as error:
        raise MetricError("location", f"valueLocation can't be read: {error}") from None


def _yaml(body: bytes) -> Any:
    if len(body) > YAML_MAX_BYTES:
        raise MetricError("too_large", f"YAML is read up to {YAML_MAX_BYTES} bytes")
    try:
        return yaml.load(body, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe loaders
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError):
        raise MetricError("protocol", "the answer is no YAML") from None


def _at(document: Any, location: str) -> Any:
    """Return what is at a path of names and numbers with dots between."""
    value: Any = document
    for name in location.split("."):
        if isinstance(value, dict):
            members = cast("dict[Any, Any]", value)
            value = members.get(name, members.get(int(name), gjson.NOTHING) if _index(name) else gjson.NOTHING)
        elif isinstance(value, list) and _index(name) and int(name) < len(cast("list[Any]", value)):
            value = cast("list[Any]", value)[int(name)]
        else:
            return gjson.NOTHING
    return value


def _index(name: str) -> bool:
    return name.isascii() and name.isdecimal() and len(name) <= 8  # noqa: PLR2004 - no answer has more items


def _xml(body: bytes) -> tuple[str, Any]:
    """Return the root's name and its content: text, or children by name, several of one name as a list. No DTD is taken."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    stack: list[tuple[str, dict[str, Any], list[str]]] = [("", {}, [])]

    def begin(name: str, _attributes: dict[str, str]) -> None:
        if len(stack) > _DEPTH_MAX:
            raise MetricError("protocol", f"the answer is XML deeper than {_DEPTH_MAX} levels")
        stack.append((name.rpartition(":")[2], {}, []))

    def end(_name: str) -> None:
        name, children, texts = stack.pop()
        content: Any = children or "".join(texts).strip()
        siblings = stack[-1][1]
        if name not in siblings:
            siblings[name] = content
        elif isinstance(siblings[name], list):
            siblings[name].append(content)
        else:
            siblings[name] = [siblings[name], content]

    def text_seen(text: str) -> None:
        stack[-1][2].append(text)

    def refuse(*_: object) -> None:
        raise MetricError("protocol", "the answer is XML with a DTD, which is not read")

    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.CharacterDataHandler = text_seen
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(body, True)  # noqa: FBT003 - expat's own signature
    except expat.ExpatError:
        raise MetricError("protocol", "the answer is no XML") from None
    ((name, root),) = stack[0][1].items()
    return name, root


# --- Prometheus' text --------------------------------------------------------------------------------------------------


def _in_page(body: bytes, location: str) -> float:
    """Return the first sample whose name and labels fit, as KEDA does."""
    wanted_name, wanted = _selector(location)
    text = body.decode(errors="replace")
    start = 0
    while (start := text.find(wanted_name, start)) >= 0:
        begin, start = start, start + len(wanted_name)
        if begin and text[begin - 1] not in "\n\r":
            continue
        sample = _SAMPLE.match(text, begin)
        if sample is None or sample["name"] != wanted_name:
            continue
        labels = {pair["label"]: _unquoted(pair["value"]) for pair in _PAIR.finditer(sample["labels"] or "")}
        if all(labels.get(label) == value for label, value in wanted.items()):
            return _sampled(sample["value"], location)
    raise MetricError("location", f"the answer has no sample {printable(location)}")


def _sampled(text: str, location: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise MetricError("protocol", f"the sample {printable(location)} is no number") from None
    if not math.isfinite(value):
        raise MetricError("no_value", f"the sample {printable(location)} is not finite")
    return value


def _selector(location: str) -> tuple[str, dict[str, str]]:
    selector = _SELECTOR.fullmatch(location)
    if selector is None:
        raise MetricError("location", 'valueLocation is no metric with labels: write name{label="value"}')
    wanted: dict[str, str] = {}
    rest = (selector["labels"] or "").strip()
    while rest:
        matcher = _MATCHER.match(rest)
        if matcher is None or matcher["op"] != "=":
            raise MetricError("location", 'valueLocation takes labels as label="value" only, with commas between')
        wanted[matcher["label"]] = _unquoted(matcher["value"])
        rest = rest[matcher.end() :].strip()
    return selector["name"], wanted


def _unquoted(string: str) -> str:
    return re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[1]), string[1:-1], flags=re.DOTALL)
