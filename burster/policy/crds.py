"""Custom resource definitions and the editors' JSON Schema, made from the models.

``python -m burster.policy.crds [DIR]`` writes ``deploy/crds/*.yaml``; a test holds the files equal to what this module makes. A CRD's
schema is structural: no references, every value typed (or marked as int-or-string or preserved), a set where a list is one. Nothing
here decides what is allowed: the models do.
"""

import json
import sys
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import BaseModel

from burster.policy.fields import LABEL_LENGTH_MAX
from burster.policy.schema import (
    API_VERSION,
    GROUP,
    VERSION,
    BurstPolicy,
    BurstPolicySpec,
    BurstTarget,
    BurstTargetSpec,
)
from burster.policy.statuses import BurstRecordSpec, BurstRecordStatus, PolicyStatus, TargetStatus
from burster.policy.structural import inlined


DIRECTORY: Final = Path("deploy/crds")
_HEADER: Final = "# Made by `python -m burster.policy.crds` from burster/policy; edit the models, not this file.\n"


def crds() -> dict[str, dict[str, Any]]:
    """Return the CRDs by file name."""
    made = (_policies(), _targets(), _bursts())
    return {f"{GROUP}_{crd['spec']['names']['plural']}.yaml": crd for crd in made}


def crd_files() -> dict[str, str]:
    """Return the text of each file of ``deploy/crds``."""
    return {
        name: _HEADER + yaml.safe_dump(crd, sort_keys=False, allow_unicode=True, width=120)
        for name, crd in crds().items()
    }


def write_crds(directory: Path) -> tuple[Path, ...]:
    """Write the CRDs to a folder, which is made where it is missing; return the files."""
    directory.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for name, text in crd_files().items():
        path = directory / name
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return tuple(written)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of policy files, for editors: either kind, unknown fields refused."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"burster {API_VERSION}",
        "oneOf": [inlined(BurstPolicy, closed=True), inlined(BurstTarget, closed=True)],
    }


# A policy has no scale subresource: its numbers are bounds and not wishes, so whatever writes a /scale (an HPA, a disruption controller,
# kubectl scale) would be raising a limit. What a policy scales has a /scale of its own, and each Burst keeps one, to be counted by.
def _policies() -> dict[str, Any]:
    return _crd(
        "BurstPolicy",
        plural="burstpolicies",
        short="bp",
        description=BurstPolicy.__doc__ or "",
        spec=BurstPolicySpec,
        status=PolicyStatus,
        columns=(
            ("Ready", "string", '.status.conditions[?(@.type=="Ready")].status', 0),
            ("Strategy", "string", ".spec.placement.strategy", 0),
            ("Target", "string", ".spec.placement.targets[0]", 0),
            ("Active", "string", '.status.conditions[?(@.type=="Active")].status', 0),
            ("Paused", "string", '.status.conditions[?(@.type=="Paused")].status', 0),
            ("Pending", "integer", ".status.pending", 0),
            ("Bursts", "integer", ".status.bursts", 0),
            ("Max", "integer", ".spec.limits.maxBursts", 0),
            ("Spent", "string", ".status.spentUsd", 0),
            ("Age", "date", ".metadata.creationTimestamp", 0),
            ("Reason", "string", '.status.conditions[?(@.type=="Ready")].message', 1),
            ("Accepted", "string", '.status.conditions[?(@.type=="Accepted")].status', 1),
            ("Fallback", "string", '.status.conditions[?(@.type=="Fallback")].status', 1),
            ("Priority", "integer", ".spec.priority", 1),
            ("MinReplicas", "integer", ".spec.minReplicaCount", 1),
            ("MaxReplicas", "integer", ".spec.maxReplicaCount", 1),
        ),
    )


def _targets() -> dict[str, Any]:
    return _crd(
        "BurstTarget",
        plural="bursttargets",
        short="bt",
        description=BurstTarget.__doc__ or "",
        spec=BurstTargetSpec,
        status=TargetStatus,
        scope="Cluster",
        columns=(
            ("Ready", "string", '.status.conditions[?(@.type=="Ready")].status', 0),
            ("Provider", "string", ".spec.provider", 0),
            ("Region", "string", ".spec.azure.region", 0),
            ("Reachable", "string", '.status.conditions[?(@.type=="Reachable")].status', 0),
            ("Sizes", "integer", ".status.offerings", 0),
            ("Bursts", "integer", ".status.bursts", 0),
            ("Max", "integer", ".spec.limits.maxBursts", 0),
            ("Spent", "string", ".status.spentUsd", 0),
            ("Age", "date", ".metadata.creationTimestamp", 0),
            ("Reason", "string", '.status.conditions[?(@.type=="Ready")].message', 1),
            ("Accepted", "string", '.status.conditions[?(@.type=="Accepted")].status', 1),
            ("Reserved", "string", ".status.reservedUsd", 1),
            ("RuntimeClass", "string", ".spec.runtimeClassName", 1),
            ("Sweep", "string", ".spec.sweep.mode", 1),
            ("Site", "string", ".spec.region", 1),
            ("Allowed", "string", ".spec.sizes", 1),
        ),
    )


def _bursts() -> dict[str, Any]:
    return _crd(
        "Burst",
        plural="bursts",
        short="bst",
        description="The record of one cloud pod, from intention to confirmed release. Written by burster only.",
        spec=BurstRecordSpec,
        status=BurstRecordStatus,
        scale=True,
        columns=(
            ("Phase", "string", ".status.phase", 0),
            ("Policy", "string", ".spec.policy", 0),
            ("Pod", "string", ".spec.forPod.name", 0),
            ("Target", "string", ".spec.target", 0),
            ("Size", "string", ".spec.size", 0),
            ("Cost", "string", ".status.costUsd", 0),
            ("VM", "string", ".status.vm", 0),
            ("Age", "date", ".metadata.creationTimestamp", 0),
            ("Reason", "string", ".status.reason", 1),
            ("Strategy", "string", ".spec.strategy", 1),
            ("Lease", "string", ".status.leaseUntil", 1),
            ("Message", "string", ".status.message", 1),
        ),
    )


def _crd(  # noqa: PLR0913 (a CRD has that many parts)
    kind: str,
    *,
    plural: str,
    short: str,
    description: str,
    spec: type[BaseModel],
    status: type[BaseModel],
    columns: tuple[tuple[str, str, str, int], ...],
    scope: str = "Namespaced",
    scale: bool = False,
) -> dict[str, Any]:
    subresources: dict[str, Any] = {"status": {}}
    if scale:
        subresources["scale"] = {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        }
    schema = {
        "type": "object",
        "description": description,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": API_VERSION},
            "kind": {"type": "string", "description": kind},
            # the one thing of metadata that a CRD may restrict: names become values of labels
            "metadata": {"type": "object", "properties": {"name": {"type": "string", "maxLength": LABEL_LENGTH_MAX}}},
            "spec": inlined(spec),
            "status": inlined(status),
        },
    }
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": subresources,
        "additionalPrinterColumns": [_column(*column) for column in columns],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}", "labels": {"app.kubernetes.io/part-of": "burster"}},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": [short],
                "categories": ["burster"],
            },
            "scope": scope,
            "versions": [version],
        },
    }


def _column(name: str, kind: str, path: str, priority: int) -> dict[str, Any]:
    column: dict[str, Any] = {"name": name, "type": kind, "jsonPath": path}
    return {**column, "priority": priority} if priority else column


def main(arguments: list[str]) -> int:
    """Write the CRDs to the folder named, or to ``deploy/crds``."""
    for path in write_crds(Path(arguments[0]) if arguments else DIRECTORY):
        sys.stdout.write(f"{path}\n")
    return 0


def json_schema_text() -> str:
    """Return the editors' JSON Schema as text."""
    return json.dumps(json_schema(), indent=2) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
