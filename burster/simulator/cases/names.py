"""Names in a file of policy cases that nothing has: a case that means something else than it says could not fail as meant.

Called by ``load``, which tells them all with their places.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from burster.policy.compile import Compiled
from burster.policy.errors import Problem
from burster.policy.problems import problem_at
from burster.policy.yaml_nodes import YamlDocument
from burster.simulator.cases.facts import pod_names
from burster.simulator.cases.schema import Expectation, Facts, PolicyCases, Step


Path = tuple[Any, ...]
_SHOWN_MAX: Final = 10


def unknown_names(read: PolicyCases, rules: Compiled, source: str, document: YamlDocument) -> Iterator[Problem]:
    """Yield a problem for each policy, target, trigger, size or pod that is named and is in none of the files, nor given."""
    policies = {name for one in rules.policies for name in (one.name, one.key)}
    targets = {one.name for one in rules.targets}
    triggers = {
        name
        for policy in rules.policies
        for trigger in policy.triggers
        for name in (trigger.name, f"{policy.name}/{trigger.name}")
    }
    declared = {offering.size for one in rules.targets for offering in one.catalogue}
    sizes = {size for one in rules.targets for size in one.sizes} | declared
    for path, name in _policies(read):
        if name not in policies:
            yield problem_at(source, path, f"there is no policy {name}: the files have {_some(policies)}", document)
    for here, given in _facts(read):
        for number, spent in enumerate(given.spent):
            if spent.target is not None and spent.target not in targets:
                message = f"there is no target {spent.target}: the files have {_some(targets)}"
                yield problem_at(source, (*here, "spent", number, "target"), message, document)
        for path, name in _triggers(given):
            if name not in triggers:
                message = f"no policy has a trigger {name}: they have {_some(triggers)}"
                yield problem_at(source, (*here, *path), message, document)
        for path, name in _sizes(given):
            if name not in sizes:
                message = f"no target has a size {name}: they have {_some(sizes)}"
                yield problem_at(source, (*here, *path), message, document)
            elif name in declared and path[0] != "refuse":
                message = f"size {name} is what its target's catalogue says: change it there"
                yield problem_at(source, (*here, *path), message, document)
    yield from _unknown_pods(read, source, document)


def _facts(read: PolicyCases) -> Iterator[tuple[Path, Facts]]:
    yield ("given",), read.given
    for index, case in enumerate(read.cases):
        yield ("cases", index, "given"), case.given
    yield from _steps(read)


def _steps(read: PolicyCases) -> Iterator[tuple[Path, Step]]:
    for index, case in enumerate(read.cases):
        for number, step in enumerate(case.steps):
            yield ("cases", index, "steps", number), step


def _policies(read: PolicyCases) -> Iterator[tuple[Path, str]]:
    """Yield where policies are named."""
    expected: list[tuple[Path, tuple[Expectation, ...]]] = [
        (("cases", index), case.expect) for index, case in enumerate(read.cases)
    ]
    for here, step in _steps(read):
        expected.append((here, step.expect))
        if step.policy_deleted is not None:
            yield (*here, "policyDeleted"), step.policy_deleted
    for here, expectations in expected:
        for number, one in enumerate(expectations):
            if one.policy is not None:
                yield (*here, "expect", number, "policy"), one.policy
    for here, given in _facts(read):
        for number, spent in enumerate(given.spent):
            if spent.policy is not None:
                yield (*here, "spent", number, "policy"), spent.policy


def _triggers(given: Facts) -> Iterator[tuple[Path, str]]:
    for part, values in (("metrics", given.metrics), ("use", given.use)):
        for name in values:
            yield (part, name), name


def _sizes(given: Facts) -> Iterator[tuple[Path, str]]:
    for part, values in (("prices", given.prices), ("refuse", given.refuse)):
        for name in values:
            yield (part, name), name
    for number, name in enumerate(given.restricted):
        yield ("restricted", number), name


def _unknown_pods(read: PolicyCases, source: str, document: YamlDocument) -> Iterator[Problem]:
    """Yield a problem for each pod that is to be taken, deleted or finished and was never given: that step would do nothing."""
    for index, case in enumerate(read.cases):
        known = _pods(read.given) | _pods(case.given)
        for number, step in enumerate(case.steps):
            known |= _pods(step)
            for part, names in (("bound", step.bound), ("gone", step.gone), ("finished", step.finished)):
                for nth, name in enumerate(names):
                    if name.rpartition("/")[2] not in known:
                        path = ("cases", index, "steps", number, part, nth)
                        message = f"no pod {name} was given until then: there is {_some(known)}"
                        yield problem_at(source, path, message, document)


def _pods(facts: Facts) -> set[str]:
    return {name for pod in facts.pods for name in pod_names(pod)}


def _some(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)[:_SHOWN_MAX]) or "none"
