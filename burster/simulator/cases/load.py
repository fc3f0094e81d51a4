"""Files of policy cases to cases that can be run. Called by `burster policy test` and by the pytest plugin.

Every mistake is told with file, line, column and field. Paths in a file are relative to it.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from burster.model.policies import Policy
from burster.model.quantities import MILLIS_PER_SECOND
from burster.model.targets import Target
from burster.policy.compile import compile_documents
from burster.policy.errors import PolicyErrors, Problem
from burster.policy.load import load_files
from burster.policy.problems import problem_at
from burster.policy.yaml_nodes import YamlDocument
from burster.simulator.cases.names import unknown_names
from burster.simulator.cases.schema import Case, Facts, PolicyCases
from burster.simulator.documents import read_document


SUFFIX: Final = ".cases.yaml"
_FILES_MAX: Final = 1_000


class CaseFile(msgspec.Struct, frozen=True, kw_only=True):
    """Cases and the rules they are about."""

    path: Path
    policies: tuple[Policy, ...]
    targets: tuple[Target, ...]
    given: Facts
    cases: tuple["LoadedCase", ...]


class LoadedCase(msgspec.Struct, frozen=True, kw_only=True):
    """One case, when it begins (epoch ms), and where it stands."""

    case: Case
    at_ms: int
    line: int
    index: int
    yaml: YamlDocument

    def line_of(self, *path: str | int) -> int:
        """Return the line of a part of this case, or of the case itself."""
        mark = self.yaml.values.get(("cases", self.index, *path)) or self.yaml.keys.get(("cases", self.index, *path))
        return mark.line if mark else self.line


def case_files(paths: Iterable[Path]) -> list[Path]:
    """Return the files named, and those ending in ``.cases.yaml`` below the folders named. Raises PolicyErrors."""
    found: dict[Path, None] = {}
    for path in paths:
        if not path.is_dir():
            found[path] = None
            continue
        inside = sorted(path.rglob(f"*{SUFFIX}"))
        if not inside:
            message = f"a folder without any file of cases: their names end in {SUFFIX}"
            raise PolicyErrors([Problem(source=str(path), message=message, unreadable=True)])
        found.update(dict.fromkeys(inside))
    if len(found) > _FILES_MAX:
        message = f"more than {_FILES_MAX} files at once: name fewer"
        raise PolicyErrors([Problem(source=str(next(iter(found))), message=message, unreadable=True)])
    return list(found)


def load_cases(path: Path) -> CaseFile:
    """Read a file of cases and the rules it names. Raises PolicyErrors."""
    read, document = read_document(
        path,
        PolicyCases,
        expected="policy cases (a mapping with policies and cases)",
        example="policies/fraud-detection/policy.cases.yaml",
    )
    base = path.parent
    compiled = compile_documents(load_files([*(base / name for name in (*read.policies, *read.targets))]))
    problems: list[Problem] = []
    if not compiled.policies:
        problems.append(
            problem_at(str(path), ("policies",), "names no BurstPolicy: name a file that has one", document)
        )
    default_ms = _moment_ms(read.at, ("at",), str(path), document, problems)
    cases: list[LoadedCase] = []
    names: set[str] = set()
    for index, case in enumerate(read.cases):
        here = ("cases", index)
        if case.name in names:
            problems.append(
                problem_at(str(path), (*here, "name"), f"{case.name!r} is there twice: rename one", document)
            )
        names.add(case.name)
        at_ms = default_ms if case.at is None else _moment_ms(case.at, (*here, "at"), str(path), document, problems)
        mark = document.values.get(here, document.mark)
        cases.append(LoadedCase(case=case, at_ms=at_ms, line=mark.line, index=index, yaml=document))
    problems += unknown_names(read, compiled, str(path), document)
    if problems:
        raise PolicyErrors(problems)
    return CaseFile(
        path=path, policies=compiled.policies, targets=compiled.targets, given=read.given, cases=tuple(cases)
    )


def _moment_ms(
    text: str, path: tuple[str | int, ...], source: str, document: YamlDocument, problems: list[Problem]
) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        message = f"{text!r} is no time with a time zone: write for example 2026-01-05T09:00:00Z"
        problems.append(problem_at(source, path, message, document))
        return 0
    return round((moment - datetime.fromtimestamp(0, UTC)).total_seconds() * MILLIS_PER_SECOND)
