"""The parts of a scenario that policies with a number of replicas need: what their triggers read, and what they scale.

Called by ``scenario``. Every name that is not there is a mistake of the file, told with its place.
"""

from decimal import Decimal

from burster.model.pods import Resources
from burster.model.policies import Policy
from burster.model.quantities import parse_cpu_millicores, parse_duration_ms, parse_memory_bytes
from burster.model.targets import Target
from burster.policy.errors import PolicyErrors, Problem
from burster.policy.formula import FormulaError, compile_formula
from burster.policy.problems import problem_at
from burster.policy.yaml_nodes import YamlDocument
from burster.simulator.readings import NAMES, Point, Series
from burster.simulator.scaled import SimWorkload
from burster.simulator.scenario_schema import MetricSpec, WorkloadSpec


def read_series(
    specs: tuple[MetricSpec, ...], policies: tuple[Policy, ...], source: str, document: YamlDocument
) -> tuple[Series, ...]:
    """Return what triggers read. Raises PolicyErrors."""
    problems: list[Problem] = []
    series: list[Series] = []
    seen: set[tuple[str, str]] = set()
    for number, spec in enumerate(specs):
        at = ("metrics", number)
        policy = next((one for one in policies if spec.policy in {one.key, one.name}), None)
        if policy is None:
            known = ", ".join(one.key for one in policies) or "none"
            problems.append(problem_at(source, (*at, "policy"), f"there is no policy {spec.policy}: {known}", document))
            continue
        names = [one.name for one in policy.triggers]
        if spec.trigger not in names:
            message = f"policy {policy.key} has no trigger {spec.trigger}: it has {', '.join(names)}"
            problems.append(problem_at(source, (*at, "trigger"), message, document))
            continue
        if (policy.key, spec.trigger) in seen:
            message = f"trigger {spec.trigger} of policy {policy.key} is read twice: give it once"
            problems.append(problem_at(source, (*at, "trigger"), message, document))
            continue
        seen.add((policy.key, spec.trigger))
        try:
            series.append(_series(spec, policy))
        except FormulaError as error:
            problems.append(problem_at(source, (*at, "formula"), str(error), document))
    if problems:
        raise PolicyErrors(problems)
    return tuple(series)


def _series(spec: MetricSpec, policy: Policy) -> Series:
    points = tuple(
        sorted(
            (
                Point(at_ms=parse_duration_ms(one.at), value_milli=milli(one.value or "0"), fails=one.fails or "")
                for one in spec.values or ()
            ),
            key=lambda point: point.at_ms,
        )
    )
    last_ms = points[-1].at_ms if points else 0
    return Series(
        policy=policy.key,
        trigger=spec.trigger,
        points=points,
        formula=None if spec.formula is None else compile_formula(spec.formula, NAMES),
        until_ms=last_ms if spec.until is None else parse_duration_ms(spec.until),
    )


def milli(text: str) -> int:
    """Return a number in milli-units."""
    return int(Decimal(text) * 1000)


def read_workloads(
    specs: tuple[WorkloadSpec, ...], targets: tuple[Target, ...], source: str, document: YamlDocument
) -> tuple[SimWorkload, ...]:
    """Return what policies scale. Raises PolicyErrors."""
    problems: list[Problem] = []
    for number, spec in enumerate(specs):
        target = next((one for one in targets if one.name == spec.target), None)
        if spec.target is not None and target is None:
            known = ", ".join(one.name for one in targets) or "none"
            message = f"there is no target {spec.target}: {known}"
            problems.append(problem_at(source, ("workloads", number, "target"), message, document))
        elif target is not None and spec.size not in target.sizes:
            message = f"target {target.name} does not allow size {spec.size}: it has {', '.join(target.sizes)}"
            problems.append(problem_at(source, ("workloads", number, "size"), message, document))
    if problems:
        raise PolicyErrors(problems)
    return tuple(
        SimWorkload(
            namespace=spec.namespace,
            kind=spec.kind,
            name=spec.name,
            replicas=spec.replicas,
            requests=Resources(
                cpu_millicores=parse_cpu_millicores(spec.cpu), memory_bytes=parse_memory_bytes(spec.memory)
            ),
            target=spec.target or "",
            size=spec.size or "",
            runtime_class=spec.runtime_class,
            owner=spec.owner,
            stands_in_for=spec.stands_in_for,
        )
        for spec in specs
    )
