"""Files of policy cases to cases that can be run. Called by `burster policy test` and by the pytest plugin.

Every mistake is told with file, line, column and field. Paths in a file are relative to it.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from burster.model.policies import Policy
from burster.model.quantities import MILLIS_PER_SECOND
from burster.model.targets import Target
from burster.policy.compile import compile_documents
from burster.policy.errors import PolicyErrors, Problem
from burster.policy.load import load_files
from burster.policy.problems import problem_at
from burster.policy.yaml_nodes import YamlDocument
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
    problems += _unknown_names(read, compiled.policies, str(path), document)
    problems += _unknown_pods(read, str(path), document)
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


def _unknown_names(
    read: PolicyCases, policies: tuple[Policy, ...], source: str, document: YamlDocument
) -> Iterable[Problem]:
    """Yield a problem for each policy or trigger that is named and is in none of the files: such a case could not fail as meant."""
    known = {policy.name for policy in policies} | {policy.key for policy in policies}
    triggers = {trigger.name for policy in policies for trigger in policy.triggers}
    triggers |= {f"{policy.name}/{trigger.name}" for policy in policies for trigger in policy.triggers}
    facts: list[tuple[tuple[Any, ...], Facts]] = [(("given",), read.given)]
    named: list[tuple[tuple[Any, ...], str | None]] = []
    for index, case in enumerate(read.cases):
        here = ("cases", index)
        facts.append(((*here, "given"), case.given))
        named += [((*here, "expect", number, "policy"), one.policy) for number, one in enumerate(case.expect)]
        for nth, step in enumerate(case.steps):
            there = (*here, "steps", nth)
            facts.append((there, step))
            named += [((*there, "expect", number, "policy"), one.policy) for number, one in enumerate(step.expect)]
            named.append(((*there, "policyDeleted"), step.policy_deleted))
    for path, name in named:
        if name is not None and name not in known:
            yield problem_at(
                source, path, f"there is no policy {name}: the files have {', '.join(sorted(known))}", document
            )
    for path, given in facts:
        for part, values in (("metrics", given.metrics), ("use", given.use)):
            for name in values:
                if name not in triggers:
                    have = ", ".join(sorted(triggers))
                    yield problem_at(
                        source, (*path, part, name), f"no policy has a trigger {name}: they have {have}", document
                    )


def _unknown_pods(read: PolicyCases, source: str, document: YamlDocument) -> Iterable[Problem]:
    """Yield a problem for each pod that is to be taken, deleted or finished and was never given: that step would do nothing."""
    for index, case in enumerate(read.cases):
        known = _pods_of(read.given) | _pods_of(case.given)
        for nth, step in enumerate(case.steps):
            known |= _pods_of(step)
            for part, names in (("bound", step.bound), ("gone", step.gone), ("finished", step.finished)):
                for number, name in enumerate(names):
                    if name.rpartition("/")[2] not in known:
                        path = ("cases", index, "steps", nth, part, number)
                        have = ", ".join(sorted(known)[:_PODS_SHOWN_MAX]) or "none"
                        yield problem_at(source, path, f"no pod {name} was given until then: there is {have}", document)


def _pods_of(facts: Facts) -> set[str]:
    """Return the names of the pods that are given: of several alike name-1, name-2, and so on."""
    return {
        name
        for pod in facts.pods
        for name in ([pod.name] if pod.count is None else [f"{pod.name}-{n + 1}" for n in range(pod.count)])
    }


_PODS_SHOWN_MAX: Final = 10
