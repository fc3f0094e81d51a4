"""Files to documents: everything a person can get wrong is found here, all of it at once, with its place.

``load_files`` takes files and folders, ``load_text`` a text (standard input). Both return documents that satisfy the schema, or raise
PolicyErrors with every problem of every file. Called by the command line, the simulator and the demo; the controller reads the API
instead and goes straight to ``compile``.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final, cast

import msgspec
from pydantic import ValidationError

from burster.files import open_named
from burster.policy.errors import PolicyErrors, Problem
from burster.policy.lists import without_lists
from burster.policy.problems import closest, null_problems, path_text, problem_at, schema_problems
from burster.policy.schema import API_VERSION, GROUP, MODELS, BurstPolicy, BurstTarget
from burster.policy.yaml_nodes import YamlDocument, YamlProblem, parse_yaml


FILE_BYTES_MAX: Final = 1 << 20
FILES_MAX: Final = 2_000
STDIN: Final = "-"
SUFFIXES: Final = (".yaml", ".yml", ".json")
#: tests of policies stand beside them, and are no rules
_CASES: Final = re.compile(r"\.cases\.(ya?ml|json)$", re.IGNORECASE)
_UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """One valid object of a file: as written (``object``), as understood (``model``), and where."""

    source: str
    line: int
    object: dict[str, Any]
    model: BurstPolicy | BurstTarget
    yaml: YamlDocument

    @property
    def kind(self) -> str:
        """``BurstPolicy`` or ``BurstTarget``."""
        return self.model.kind

    @property
    def key(self) -> str:
        """``namespace/name`` of a policy, the name of a target."""
        metadata = self.model.metadata
        return f"{metadata.namespace or 'default'}/{metadata.name}" if self.kind == "BurstPolicy" else metadata.name

    def problem(self, path: tuple[str | int, ...], message: str) -> Problem:
        """Return a problem at a field of this document."""
        return problem_at(self.source, path, message, self.yaml)


def load_files(paths: Iterable[str | Path], *, stdin: bytes | None = None) -> tuple[Document, ...]:
    """Return every document of these files and folders (read recursively, in the order of their names).

    Where ``stdin`` is given, the path ``-`` stands for it. Raises PolicyErrors with the problems of all of them.
    """
    documents: list[Document] = []
    problems: list[Problem] = []
    for path in _expand(paths, problems):
        text = _decode(stdin, STDIN, problems) if stdin is not None and str(path) == STDIN else _read(path, problems)
        if text is not None:
            documents += _documents(text, str(path), problems)
    return _finish(documents, problems)


def load_text(text: str | bytes, source: str = STDIN) -> tuple[Document, ...]:
    """Return every document of a text; ``source`` is what problems call it. Raises PolicyErrors."""
    problems: list[Problem] = []
    documents: list[Document] = []
    decoded = _decode(text.encode() if isinstance(text, str) else text, source, problems)
    if decoded is not None:
        documents = _documents(decoded, source, problems)
    return _finish(documents, problems)


def _finish(documents: list[Document], problems: list[Problem]) -> tuple[Document, ...]:
    seen: dict[tuple[str, str], Document] = {}
    for document in documents:
        first = seen.setdefault((document.kind, document.key), document)
        if first is not document:
            where = f"{first.source}:{first.line}"
            problems.append(
                document.problem(
                    ("metadata", "name"),
                    f"{document.kind} {document.key} is already defined in {where}: rename or remove one",
                )
            )
    if problems:
        raise PolicyErrors(problems)
    return tuple(documents)


def _unreadable(source: str, message: str, line: int = 0, column: int = 0) -> Problem:
    return Problem(source=source, line=line, column=column, message=message, unreadable=True)


def _expand(paths: Iterable[str | Path], problems: list[Problem]) -> list[Path]:
    files: dict[Path, None] = {}
    for path in map(Path, paths):
        try:
            if not path.is_dir():
                files[path] = None
                continue
            inside = sorted(islice(_rule_files(path), FILES_MAX + 1))
        except (OSError, ValueError) as error:
            problems.append(
                _unreadable(str(path), f"can't be read ({_reason(error)}): check the path and its permissions")
            )
            continue
        if not inside:
            problems.append(
                _unreadable(str(path), f"a folder without any {', '.join(SUFFIXES)} file: name one that has some")
            )
        files.update(dict.fromkeys(inside))
    if len(files) > FILES_MAX:
        problems.append(_unreadable(str(next(iter(files))), f"more than {FILES_MAX} files at once: name fewer"))
        return []
    return list(files)


def _rule_files(folder: Path) -> Iterator[Path]:
    for entry in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in entry.relative_to(folder).parts)
        if entry.suffix.lower() in SUFFIXES and not hidden and not _CASES.search(entry.name) and entry.is_file():
            yield entry


def _read(path: Path, problems: list[Problem]) -> str | None:
    source = str(path)
    try:
        with open_named(path) as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        problems.append(_unreadable(source, "no such file: check the path"))
        return None
    except (OSError, ValueError) as error:
        problems.append(_unreadable(source, f"can't be read ({_reason(error)}): check the path and its permissions"))
        return None
    text = _decode(data, source, problems)
    if text is not None and path.suffix.lower() == ".json":
        # JSON may be indented by tabs, YAML may not; one space for each keeps every line and column.
        text = text.replace("\t", " ")
    return text


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def _decode(data: bytes, source: str, problems: list[Problem]) -> str | None:
    if len(data) > FILE_BYTES_MAX:
        problems.append(_unreadable(source, f"larger than {FILE_BYTES_MAX >> 20} MiB, which no policy is: split it"))
        return None
    if data.startswith(_UTF16_MARKS):
        problems.append(_unreadable(source, "UTF-16 text: save it as UTF-8", 1, 1))
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n") + 1
        column = len(before) - (before.rfind(b"\n") + 1) + 1
        problems.append(
            _unreadable(source, f"not UTF-8 (byte 0x{data[error.start]:02x}): save the file as UTF-8", line, column)
        )
        return None


def _documents(text: str, source: str, problems: list[Problem]) -> list[Document]:
    documents: list[Document] = []
    found = others = 0
    try:
        for document, listed in without_lists(parse_yaml(text)):
            if listed and _of_others(document.value):
                others += 1
                continue
            found += 1
            loaded = _document(document, source, problems)
            if loaded is not None:
                documents.append(loaded)
    except YamlProblem as problem:
        problems.append(placed(problem, source))
        return documents
    if not found:
        holds = f"a list of {others} other object(s)" if others else "empty: it holds no document"
        problems.append(_unreadable(source, f"{holds}; write a BurstPolicy or a BurstTarget"))
    return documents


def _of_others(value: Any) -> bool:
    """Whether an item of a list is none of our business: what `kubectl get` prints is not chosen by kind."""
    fields = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    kind, version = fields.get("kind"), fields.get("apiVersion")
    if not isinstance(kind, str) or not isinstance(version, str):
        return False
    return not version.startswith(GROUP.partition(".")[0]) and not closest(kind, MODELS)


def placed(problem: YamlProblem, source: str) -> Problem:
    """Return a problem of the text as one of a file."""
    return Problem(
        source=source,
        line=problem.mark.line,
        column=problem.mark.column,
        path=path_text(problem.path),
        message=problem.message,
        unreadable=problem.unreadable,
    )


def _document(document: YamlDocument, source: str, problems: list[Problem]) -> Document | None:
    found = [placed(problem, source) for problem in document.problems]
    parsed: BurstPolicy | BurstTarget | None = None
    model = model_of(document.value, source, found, document)
    if model is not None:
        value = {key: item for key, item in document.value.items() if key != "status"}
        found += null_problems(value.get("spec", {}), source, document)
        told = {problem.path for problem in found}
        try:
            parsed = model.model_validate(value)
        except ValidationError as error:
            found += [
                problem for problem in schema_problems(error, model, source, document) if problem.path not in told
            ]
    problems += sorted(found, key=lambda problem: (problem.line, problem.column))
    if found or parsed is None:
        return None
    return Document(source=source, line=document.mark.line, object=document.value, model=parsed, yaml=document)


def model_of(
    value: Any, source: str, problems: list[Problem], document: YamlDocument | None
) -> type[BurstPolicy | BurstTarget] | None:
    """Return the model for an object's apiVersion and kind; None, with problems noted, where it is neither of ours."""
    if not isinstance(value, dict):
        problems.append(
            problem_at(source, (), "expected a BurstPolicy or BurstTarget (a mapping), found something else", document)
        )
        return None
    fields = cast("dict[str, Any]", value)
    kind, version = fields.get("kind"), fields.get("apiVersion")
    known = isinstance(kind, str) and kind in MODELS
    if not known:
        problems.append(problem_at(source, ("kind",), _kind_sentence(kind, version), document))
    if version != API_VERSION and (known or version is None or str(version).startswith("burster")):
        found = "is required" if version is None else f"found {version!r:.60}"
        message = f"{found}: write apiVersion: {API_VERSION}"
        problems.append(problem_at(source, ("apiVersion",), message, document))
        return None
    return MODELS[str(kind)] if known else None


def _kind_sentence(kind: object, version: object) -> str:
    expected = " or ".join(MODELS)
    if kind is None:
        return f"is required: write kind: {expected}"
    if kind == "Burst":
        return "a Burst is written by burster itself, not by people: write a BurstPolicy"
    of = f" of {version!r:.60}" if isinstance(version, str) and version != API_VERSION else ""
    hint = closest(kind, MODELS) if isinstance(kind, str) else ""
    return f"expected {expected}, found {kind!r:.60}{of}{hint}" + ("" if hint else ": leave other objects out")
