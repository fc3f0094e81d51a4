"""Rules to what the engine evaluates: complete, valid, in integers.

``compile_policy`` and ``compile_target`` take an object as the API server returns it; ``compile_documents`` takes what ``load`` found in
files and also checks the objects against each other. All of them raise PolicyErrors. Called by the policy source of the controller, the
simulator, the demo and the command line. Nothing here looks at the world.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from pydantic import ValidationError

from burster.model.policies import Policy
from burster.model.targets import Target
from burster.policy.compile.ambiguity import ambiguities
from burster.policy.compile.meeting import contradictions
from burster.policy.compile.policy import policy_of
from burster.policy.compile.target import target_of
from burster.policy.errors import PolicyErrors, Problem
from burster.policy.load import Document, model_of
from burster.policy.problems import null_problems, schema_problems
from burster.policy.schema import BurstPolicy, BurstTarget


class Compiled(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a set of files defines, in their order."""

    policies: tuple[Policy, ...] = ()
    targets: tuple[Target, ...] = ()


def compile_policy(obj: Mapping[str, Any]) -> Policy:
    """Return the policy that a BurstPolicy object means. Raises PolicyErrors."""
    model = _validated(obj)
    if not isinstance(model, BurstPolicy):
        raise PolicyErrors(
            [Problem(source=_source(obj), path="kind", message="expected BurstPolicy, found BurstTarget")]
        )
    return policy_of(model)


def compile_target(obj: Mapping[str, Any]) -> Target:
    """Return the target that a BurstTarget object means. Raises PolicyErrors."""
    model = _validated(obj)
    if not isinstance(model, BurstTarget):
        raise PolicyErrors(
            [Problem(source=_source(obj), path="kind", message="expected BurstTarget, found BurstPolicy")]
        )
    return target_of(model)


def compile_documents(documents: Iterable[Document]) -> Compiled:
    """Return what files define, having checked that policies contradict neither each other nor the targets defined beside them.

    A policy may name a target that is in none of the files: it may exist elsewhere. Raises PolicyErrors.
    """
    documents = tuple(documents)
    targets = {
        document.key: target_of(document.model) for document in documents if isinstance(document.model, BurstTarget)
    }
    policies = [
        (document, policy_of(document.model)) for document in documents if isinstance(document.model, BurstPolicy)
    ]
    problems = [
        *(problem for document, policy in policies for problem in contradictions(document, policy, targets)),
        *ambiguities(policies),
    ]
    if problems:
        raise PolicyErrors(problems)
    return Compiled(policies=tuple(policy for _, policy in policies), targets=tuple(targets.values()))


def _source(obj: Mapping[str, Any]) -> str:
    metadata = obj.get("metadata")
    names: list[str] = []
    if isinstance(metadata, dict):
        names = [str(metadata[part]) for part in ("namespace", "name") if metadata.get(part)]  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType] (JSON)
    return f"{obj.get('kind') or 'object'} {'/'.join(names)}".strip()


def _validated(obj: Mapping[str, Any]) -> BurstPolicy | BurstTarget:
    source = _source(obj)
    problems: list[Problem] = []
    model = model_of(dict(obj), source, problems, None)
    if model is None:
        raise PolicyErrors(problems)
    value = {key: item for key, item in obj.items() if key != "status"}
    problems += null_problems(value.get("spec", {}), source)
    try:
        parsed = model.model_validate(value)
    except ValidationError as error:
        raise PolicyErrors([*problems, *schema_problems(error, model, source)]) from None
    if problems:
        raise PolicyErrors(problems)
    return parsed
