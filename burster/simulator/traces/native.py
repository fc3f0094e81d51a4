"""Reads and writes burster's own trace format: CSV with a header, or JSON lines, one record a line.

Columns, in the order in which they are written; all but the first two may be left out of a file:

    arrival_ms      when it happens, ms from the start of the trace; never less than on the line before
    name            the pod's name, or the Deployment's
    kind            Pod (a task that ends by itself; the default) or Deployment (from now on it has so many replicas)
    duration_ms     how long the task runs; 0 for a Deployment
    replicas        of a Deployment; 1 for a Pod
    cpu_millicores, memory_bytes, gpus   what the task, or each replica, requests
    namespace       default: default
    priority        a larger one is scheduled first; default 0
    labels          a=b;c=d in CSV, an object in JSON lines

CSV may start with comment lines (#). In JSON lines the cells are JSON numbers and strings under the same names.
"""

import csv
import gzip
import io
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from burster.model.pods import Resources
from burster.simulator.traces.lines import Lines, trouble, written_whole
from burster.simulator.traces.model import NAME, Trace, TraceEntry
from burster.simulator.traces.numbers import CellError, time_ms, whole
from burster.simulator.traces.table import read_table


REQUIRED: Final = ("arrival_ms", "name")
COLUMNS: Final = (
    *REQUIRED,
    *("kind", "duration_ms", "replicas", "cpu_millicores", "memory_bytes", "gpus", "namespace", "priority", "labels"),
)
_REPLICAS_MAX: Final = 100_000
_LABELS_MAX: Final = 64
_LABEL: Final = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


def read_csv(path: Path, lines: Lines) -> Iterator[tuple[int, TraceEntry]]:
    """Yield (line, entry) of a CSV file in burster's format. Raises InputError."""
    order = _Order(path)
    for line, row in read_table(path, lines, REQUIRED):
        order.columns(line, row)
        yield line, order.checked(line, _entry(path, line, row, _csv_labels))


def read_jsonl(path: Path, lines: Lines) -> Iterator[tuple[int, TraceEntry]]:
    """Yield (line, entry) of a JSON lines file in burster's format. Raises InputError."""
    order = _Order(path)
    empty = True
    for line, text in lines:
        if not text.strip():
            continue
        empty = False
        row = _json_row(path, line, text)
        order.columns(line, row)
        missing = [name for name in REQUIRED if name not in row]
        if missing:
            raise trouble(path, f"the record lacks {', '.join(missing)}; add it", line=line)
        labels = row.pop("labels", {})
        cells = {name: _plain(value) for name, value in row.items()}
        yield line, order.checked(line, _entry(path, line, cells, lambda _, labels=labels: _json_labels(labels)))
    if empty:
        raise trouble(path, "the file is empty; write one JSON object a line with at least arrival_ms and name")


def write(trace: Trace, path: Path, kind: str, *, comment: str = "") -> None:
    """Write the trace as ``csv`` or ``jsonl``, gzipped if the name ends in .gz; the file appears whole or not at all.

    Same trace, same bytes: no time of day, no file name inside the gzip header.
    """
    text = (to_csv(trace.entries, comment) if kind == "csv" else to_jsonl(trace.entries)).encode()
    if path.suffix == ".gz":
        text = gzip.compress(text, mtime=0)
    with written_whole(path) as temporary:
        temporary.write_bytes(text)


def to_csv(entries: Iterable[TraceEntry], comment: str = "") -> str:
    """Return the entries as CSV text, each line of the comment before it with a #."""
    out = io.StringIO()
    for line in comment.splitlines():
        out.write(f"# {line}\n")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for entry in entries:
        cells = _cells(entry)
        cells["labels"] = ";".join(f"{key}={value}" for key, value in sorted(entry.labels.items()))
        writer.writerow([cells[name] for name in COLUMNS])
    return out.getvalue()


def to_jsonl(entries: Iterable[TraceEntry]) -> str:
    """Return the entries as JSON lines."""
    return "".join(f"{msgspec.json.encode(_cells(entry)).decode()}\n" for entry in entries)


def _cells(entry: TraceEntry) -> dict[str, Any]:
    return {
        "arrival_ms": entry.arrival_ms,
        "name": entry.name,
        "kind": entry.kind,
        "duration_ms": entry.duration_ms,
        "replicas": entry.replicas,
        "cpu_millicores": entry.requests.cpu_millicores,
        "memory_bytes": entry.requests.memory_bytes,
        "gpus": entry.requests.gpus,
        "namespace": entry.namespace,
        "priority": entry.priority,
        "labels": entry.labels,
    }


class _Order:
    """What can only be checked from one record to the next: order of time, names used twice, unknown columns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.before_ms = 0
        self.tasks: set[tuple[str, str]] = set()
        self.services: set[tuple[str, str]] = set()
        self.known: object = None

    def columns(self, line: int, row: dict[str, Any]) -> None:
        if self.known == row.keys():
            return
        unknown = sorted(set(row) - set(COLUMNS))
        if unknown:
            problem = f"the column {', '.join(unknown)[:200]} is unknown; known are {', '.join(COLUMNS)}"
            raise trouble(self.path, problem, line=line)
        self.known = set(row)

    def checked(self, line: int, entry: TraceEntry) -> TraceEntry:
        if entry.arrival_ms < self.before_ms:
            problem = f"time runs backwards ({entry.arrival_ms} after {self.before_ms}); sort the file by arrival_ms"
            raise trouble(self.path, problem, line=line, column="arrival_ms")
        self.before_ms = entry.arrival_ms
        key = (entry.namespace, entry.name)
        other = self.services if entry.kind == "Pod" else self.tasks
        if key in other or (entry.kind == "Pod" and key in self.tasks):
            problem = f"{entry.namespace}/{entry.name} is used before; give every task a name of its own"
            raise trouble(self.path, problem, line=line, column="name")
        (self.tasks if entry.kind == "Pod" else self.services).add(key)
        return entry


def _entry(path: Path, line: int, row: dict[str, str], labels: Callable[[str], dict[str, str]]) -> TraceEntry:
    column = ""

    def number(name: str, parse: Callable[[str], int], default: int) -> int:
        nonlocal column
        column = name
        return parse(row[name]) if name in row else default

    try:
        kind = row.get("kind") or "Pod"
        entry = TraceEntry(
            arrival_ms=number("arrival_ms", time_ms, 0),
            duration_ms=number("duration_ms", time_ms, 0),
            replicas=number("replicas", _replicas, 1),
            requests=Resources(
                cpu_millicores=number("cpu_millicores", whole, 0),
                memory_bytes=number("memory_bytes", whole, 0),
                gpus=number("gpus", whole, 0),
            ),
            priority=number("priority", _priority, 0),
            name=row["name"],
            namespace=row.get("namespace") or "default",
            kind="Deployment" if kind == "Deployment" else "Pod",
        )
        column = "labels"
        entry = msgspec.structs.replace(entry, labels=labels(row.get("labels", "")))
        for column in ("name", "namespace"):
            _check_name(getattr(entry, column))
        column = "kind"
        _check_kind(entry, kind)
    except CellError as error:
        raise trouble(path, str(error), line=line, column=column) from None
    return entry


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise CellError(f"{name[:40]!r} is no Kubernetes name; use a-z, 0-9, - and .")


def _check_kind(entry: TraceEntry, kind: str) -> None:
    if kind not in {"Pod", "Deployment"}:
        raise CellError(f"{kind[:40]!r} is no kind of workload; write Pod or Deployment")
    if entry.kind == "Pod" and entry.replicas != 1:
        raise CellError("a Pod has 1 replica; write 1, or write Deployment")
    if entry.kind == "Deployment" and entry.duration_ms:
        raise CellError("a Deployment has duration_ms 0; end it by a later record with replicas 0")


def _replicas(text: str) -> int:
    value = whole(text)
    if value > _REPLICAS_MAX:
        raise CellError(f"{text} replicas are more than {_REPLICAS_MAX}; split the Deployment")
    return value


def _priority(text: str) -> int:
    value = -whole(text[1:]) if text.startswith("-") else whole(text)
    if abs(value) > 2_000_000_000:  # noqa: PLR2004 - Kubernetes' own bound for a PriorityClass
        raise CellError(f"{text} is no Kubernetes priority; write a number from -2000000000 to 2000000000")
    return value


def _csv_labels(text: str) -> dict[str, str]:
    labels: dict[str, str] = {}
    for part in filter(None, text.split(";")):
        key, separator, value = part.partition("=")
        if not separator or not key:
            raise CellError(f"{part[:40]!r} is no label; write key=value;key=value")
        labels[key] = value
    return _bounded(labels)


def _json_labels(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in cast("dict[str, Any]", value).values()):
        raise CellError('labels are an object of strings; write {"key": "value"}')
    return _bounded(cast("dict[str, str]", value))


def _bounded(labels: dict[str, str]) -> dict[str, str]:
    for key, value in labels.items():
        name = key.rpartition("/")[2]
        if not _LABEL.fullmatch(name) or not (value == "" or _LABEL.fullmatch(value)):
            raise CellError(
                f"{f'{key}={value}'[:60]!r} is no Kubernetes label; use a-z, A-Z, 0-9, -, _ and ., at most 63"
            )
    if len(labels) > _LABELS_MAX:
        raise CellError(f"{len(labels)} labels are more than {_LABELS_MAX}; keep those that rules look at")
    return labels


def _json_row(path: Path, line: int, text: str) -> dict[str, Any]:
    try:
        row = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise trouble(path, f"the line is no JSON ({error}); write one JSON object a line", line=line) from None
    if not isinstance(row, dict):
        raise trouble(path, "the line is no JSON object; write one JSON object a line", line=line)
    return cast("dict[str, Any]", row)


def _plain(value: Any) -> str:
    """Return a JSON value as the text a CSV cell would hold, so that both formats are checked by the same rules."""
    if value is None:
        return "null"
    if isinstance(value, bool | dict | list):
        return msgspec.json.encode(value).decode()
    return str(cast("object", value))
