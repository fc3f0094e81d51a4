"""Which pods a policy is about, and how workloads are named.

Part of the schema of BurstPolicy; ``compile_policy`` turns it into a WorkloadSelector.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from burster.policy.fields import DnsName, Labels, Matching, NamePattern, label_key, label_value
from burster.policy.refusals import Findings
from burster.policy.schema.base import Strict, ruled


Kind = Annotated[str, Matching(r"[A-Z][A-Za-z0-9]{0,62}", 63, "a kind: Deployment, StatefulSet, Job, Pod, …")]
ApiVersion = Annotated[
    str,
    Matching(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?v[a-z0-9]+", 100, "an apiVersion, for example apps/v1"),
]


class WorkloadRefSpec(Strict):
    """A workload of the policy's own namespace."""

    name: DnsName = Field(description="The workload's name.")
    kind: Kind = Field(default="Deployment", description="The workload's kind.")
    api_version: ApiVersion = Field(default="apps/v1", description="The workload's apiVersion.")


class OwnerRef(Strict):
    """One workload, by its name: anything that has a pod template, or a bare Pod."""

    kind: Kind = Field(description="The workload's kind: Deployment, StatefulSet, Job, Pod, …")
    name: DnsName = Field(description="The workload's name.")
    api_version: ApiVersion | None = Field(
        default=None, description="The workload's apiVersion; any where it is left out."
    )


class LabelExpression(Strict):
    """One condition on the pods' labels."""

    model_config = ruled(
        (
            "self.operator in ['In', 'NotIn'] ? has(self.values) && size(self.values) > 0 : !has(self.values) || size(self.values) == 0",
            "In and NotIn need values; Exists and DoesNotExist take none",
        ),
    )

    key: Annotated[str, Field(min_length=1, max_length=317)] = Field(description="The label's key.")
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"] = Field(
        description="In: one of the values. NotIn: none of them, or no such label. Exists, DoesNotExist: whether the label is there."
    )
    values: Annotated[tuple[Annotated[str, Field(max_length=63)], ...], Field(strict=False, max_length=64)] = Field(
        default=(), description="The values, for In and NotIn only."
    )

    @model_validator(mode="after")
    def _values(self) -> "LabelExpression":
        wrong = Findings()
        if not label_key(self.key):
            wrong.at(
                "key",
                message=f'{self.key!r} is no label key: write it as Kubernetes does, for example "app.kubernetes.io/name"',
            )
        for index, value in enumerate(self.values):
            if not label_value(value):
                wrong.at("values", index, message=f"{value!r} is no value of a label")
        if self.operator in {"In", "NotIn"} and not self.values:
            wrong.at("values", message=f"is required with operator {self.operator}: write the values")
        elif self.operator in {"Exists", "DoesNotExist"} and self.values:
            wrong.at("values", message=f"operator {self.operator} takes no values: remove them, or use In or NotIn")
        wrong.raise_any()
        return self


class PodSelector(Strict):
    """A selector of pods by their labels, as Kubernetes has it. All conditions must hold."""

    match_labels: Labels = Field(default={}, description="Labels a pod must carry, each with exactly this value.")
    match_expressions: Annotated[tuple[LabelExpression, ...], Field(strict=False, max_length=16)] = Field(
        default=(), description="Further conditions on the pods' labels."
    )


class Workload(Strict):
    """Which pods of the policy's namespace it is about. Every part that is given must match; at least one must be given."""

    model_config = ruled(
        (
            "!has(self.ownerRef) || (!has(self.kind) && !has(self.namePattern))",
            "ownerRef names the workload: kind and namePattern can't be given beside it",
        ),
        (
            (
                "has(self.ownerRef) || has(self.kind) || has(self.namePattern) || has(self.podNamePattern) ||"
                " (has(self.selector) && (has(self.selector.matchLabels) && size(self.selector.matchLabels) > 0 ||"
                " has(self.selector.matchExpressions) && size(self.selector.matchExpressions) > 0))"
            ),
            "selects nothing: give ownerRef, kind, namePattern, podNamePattern or a selector",
        ),
        minProperties=1,
    )

    owner_ref: OwnerRef | None = Field(
        default=None, description="The one workload that owns the pods. Excludes kind and namePattern."
    )
    kind: Kind | None = Field(
        default=None,
        description="Kind of the workload that owns the pods (for a Deployment's pods Deployment), or Pod for bare pods.",
    )
    name_pattern: NamePattern | None = Field(
        default=None, description="A regular expression for the workload's whole name; for a bare pod the pod's name."
    )
    pod_name_pattern: NamePattern | None = Field(
        default=None, description="A regular expression for the pod's whole name."
    )
    selector: PodSelector | None = Field(default=None, description="Labels of the pods.")

    @model_validator(mode="after")
    def _selects(self) -> "Workload":
        wrong = Findings()
        if self.owner_ref:
            for name, value in (("kind", self.kind), ("namePattern", self.name_pattern)):
                if value:
                    wrong.at(
                        name,
                        message="can't be given beside ownerRef, which names the one workload: remove one of the two",
                    )
        selector = self.selector
        by_labels = selector is not None and bool(selector.match_labels or selector.match_expressions)
        if not (self.owner_ref or self.kind or self.name_pattern or self.pod_name_pattern or by_labels):
            wrong.at(
                message="selects nothing: give ownerRef, kind, namePattern, podNamePattern or selector.matchLabels"
                ' (podNamePattern: ".*" is every pod of the namespace)'
            )
        wrong.raise_any()
        return self
