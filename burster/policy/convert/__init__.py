"""KEDA's ScaledObjects and ScaledJobs to BurstPolicies that behave the same.

``convert_text`` takes YAML as it stands in a repository, several documents if need be, and says line by line what could not be carried
over. Called by ``burster policy convert``. It reads nothing but the text; TriggerAuthentications are referenced, never rewritten.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal

import msgspec
import yaml

from burster.policy.convert import jobs as convert_jobs
from burster.policy.convert import objects as convert_objects
from burster.policy.convert.notes import Converted, Notes, mapping_of
from burster.policy.errors import PolicyErrors, Problem
from burster.policy.lists import without_lists
from burster.policy.load import placed
from burster.policy.problems import problem_at
from burster.policy.yaml_nodes import YamlDocument, YamlProblem, parse_yaml


KEDA_VERSION: Final = "keda.sh/v1alpha1"
DEFAULT_TARGET: Final = "azure"
KINDS: Final = ("ScaledObject", "ScaledJob")
_WIDTH: Final = 120


class Conversion(msgspec.Struct, frozen=True, kw_only=True):
    """What a text was made into, in its order; how many documents of other kinds were left out, and what could not be converted."""

    objects: tuple[Converted, ...]
    skipped: int = 0
    problems: tuple[Problem, ...] = ()

    @property
    def text(self) -> str:
        """The policies as YAML, each with what could not be carried over as comments on top."""
        return "---\n".join(one_text(one) for one in self.objects if one.policy is not None)


def convert_text(text: str, source: str, *, target: str = "", namespace: str = "") -> Conversion:
    """Return the policies that a text's KEDA objects become. An empty ``target`` assumes one, and says so.

    ``namespace`` is for objects that name none. An object that makes no sense is left out and told in ``problems``; raises PolicyErrors
    where nothing else is left, or the text can't be read. A text without such objects converts to nothing.
    """
    problems: list[Problem] = []
    converted: list[Converted] = []
    skipped = 0
    for document in _documents(text, source, problems):
        value = mapping_of(document.value)
        if value.get("kind") not in KINDS:
            skipped += 1
            continue
        wrong = list(_wrong(value, document, source))
        one = None if wrong else _converted(value, Notes(source, document), document, target, namespace, wrong)
        problems += wrong
        if one is not None and not wrong:
            converted.append(one)
    if problems and not converted:
        raise PolicyErrors(problems)
    return Conversion(objects=tuple(converted), skipped=skipped, problems=tuple(problems))


def one_text(converted: Converted) -> str:
    """Return one policy as YAML, with its notes as comments on top."""
    said = [f"Made by burster policy convert from {converted.kind} {converted.name}."]
    said += [f"{_WORDS[note.kind]}: {note.path}: {note.message}" for note in converted.notes]
    # a comment ends with its line, whatever names and values hold
    lines = [f"# {' '.join(one.split())}" for one in said]
    body = yaml.safe_dump(converted.policy, sort_keys=False, allow_unicode=True, width=_WIDTH)
    return "\n".join(lines) + "\n" + body


_WORDS: Final[dict[Literal["assumed", "changed", "dropped"], str]] = {
    "assumed": "Assumed",
    "changed": "Changed",
    "dropped": "Not carried over",
}


def _documents(text: str, source: str, problems: list[Problem]) -> Iterable[YamlDocument]:
    try:
        yield from (document for document, _ in without_lists(parse_yaml(text)))
    except YamlProblem as error:
        problems.append(placed(error, source))


def _wrong(value: Mapping[str, Any], document: YamlDocument, source: str) -> Iterator[Problem]:
    """Yield what keeps a KEDA object from being looked at any further."""
    version = value.get("apiVersion")
    if version != KEDA_VERSION:
        shown = "nothing" if version is None else repr(version)[:60]
        yield problem_at(source, ("apiVersion",), f"expected {KEDA_VERSION}, found {shown}", document)
    if not isinstance(mapping_of(value.get("metadata")).get("name"), str):
        yield problem_at(source, ("metadata", "name"), "is required: the policy takes the object's name", document)
    yield from (placed(bad, source) for bad in document.problems)


def _converted(
    value: dict[str, Any], notes: Notes, document: YamlDocument, target: str, namespace: str, problems: list[Problem]
) -> Converted:
    make = convert_objects.policy if value["kind"] == "ScaledObject" else convert_jobs.policy
    policy = make(value, notes, target or DEFAULT_TARGET, problems)
    if policy is not None:
        if not target:
            notes.assumed(
                ("metadata", "name"),
                f"KEDA knows no place to burst to: target {DEFAULT_TARGET} is assumed; name yours by --target",
            )
        metadata = policy["metadata"]
        if namespace and "namespace" not in metadata:
            policy["metadata"] = {"name": metadata.pop("name"), "namespace": namespace, **metadata}
    return Converted(
        kind=value["kind"],
        name=_name(value),
        source=notes.source,
        line=document.mark.line,
        policy=policy,
        notes=notes.all(),
    )


def _name(value: Mapping[str, Any]) -> str:
    metadata = mapping_of(value.get("metadata"))
    names = [str(metadata[part]) for part in ("namespace", "name") if metadata.get(part)]
    return "/".join(names)
