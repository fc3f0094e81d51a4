"""Sources of demand, in KEDA's shape and with KEDA's metadata keys: one model for each type of trigger.

``Trigger`` is the union of them, told apart by ``type``. KEDA's metadata is text; numbers and booleans are taken as well. Credentials are
never metadata here: they are in a TriggerAuthentication, which is named and not read. ``compile_triggers`` makes the engine's triggers.
"""

import re
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from burster.policy.expressions import same_times
from burster.policy.fields import DnsLabel, DurationBetween, Matching, WholeNumber, shown, unique
from burster.policy.fields.amounts import Activation, Cpu, Memory, Quantity, Threshold, TrueOrFalse
from burster.policy.fields.texts import Cron, DnsNames, ResourceName, SelectorWords, Zone, check_selector
from burster.policy.refusals import Findings
from burster.policy.schema.base import RULES
from burster.policy.schema.http_triggers import MetricsApiSpec, PrometheusSpec
from burster.policy.schema.trigger_base import AnyTrigger, AuthRefSpec, PodMetricType, PolledTrigger, TriggerMetadata
from burster.policy.schema.trigger_rules import TRIGGER_RULES
from burster.policy.schema.workload import WorkloadRefSpec


PRIORITY_MAX: Final = 2**31 - 1
PERCENT_MAX: Final = 100_000


class PendingPodsMetadata(TriggerMetadata):
    """The settings of a pending-pods trigger. Every filter that is given must hold."""

    pending_for: Annotated[str, DurationBetween("0s", "24h")] = Field(
        default="30s", description="How long a pod must have been Unschedulable before it counts."
    )
    min_count: Annotated[int, WholeNumber(1, 10_000)] = Field(
        default=1, description="How many such pods there must be before any of them counts."
    )
    reasons: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=200)], ...],
        Field(strict=False, max_length=16),
        AfterValidator(unique),
    ] = Field(default=(), description="Words, one of which must occur in the scheduler's message: Insufficient cpu.")
    resources: Annotated[tuple[ResourceName, ...], Field(strict=False, max_length=16), AfterValidator(unique)] = Field(
        default=(), description="Names of resources, one of which the pod must ask for: nvidia.com/gpu."
    )
    namespaces: Annotated[tuple[DnsLabel, ...], Field(strict=False, max_length=64), AfterValidator(unique)] = Field(
        default=(), description="Further namespaces whose pods are counted; for strategies Scale and Signal only."
    )
    min_priority: Annotated[int, WholeNumber(-PRIORITY_MAX, PRIORITY_MAX)] | None = Field(
        default=None, description="The least priority of a pod."
    )
    max_priority: Annotated[int, WholeNumber(-PRIORITY_MAX, PRIORITY_MAX)] | None = Field(
        default=None, description="The highest priority of a pod."
    )
    min_cpu: Cpu | None = Field(default=None, description="The least cpu a pod asks for.")
    max_cpu: Cpu | None = Field(default=None, description="The most cpu a pod asks for.")
    min_memory: Memory | None = Field(default=None, description="The least memory a pod asks for.")
    max_memory: Memory | None = Field(default=None, description="The most memory a pod asks for.")
    runtime_classes: DnsNames = Field(default=(), description="RuntimeClasses, one of which the pod must have.")
    threshold: Threshold = Field(default="1", description="Pending pods per replica, for strategies Scale and Signal.")
    activation_threshold: Activation = Field(
        default="0", description="The trigger is active where more pods than this are pending."
    )

    @model_validator(mode="after")
    def _ordered(self) -> "PendingPodsMetadata":
        wrong = Findings()
        cpu, memory = Quantity("cpu").parse, Quantity("memory").parse
        bounds = (
            ("minPriority", "maxPriority", self.min_priority, self.max_priority),
            ("minCpu", "maxCpu", _parsed(cpu, self.min_cpu), _parsed(cpu, self.max_cpu)),
            ("minMemory", "maxMemory", _parsed(memory, self.min_memory), _parsed(memory, self.max_memory)),
        )
        for least_name, most_name, least, most in bounds:
            if least is not None and most is not None and least > most:
                wrong.at(least_name, message=f"is more than {most_name}, so that no pod fits: swap or correct them")
        wrong.raise_any()
        return self


def _parsed(parse: Any, text: str | None) -> int | None:
    return None if text is None else parse(text)


class PendingPodsSpec(AnyTrigger):
    """On-prem pods that no node takes."""

    type: Literal["pending-pods"] = Field(description="Which trigger.")
    metadata: PendingPodsMetadata = Field(default=PendingPodsMetadata(), description="The trigger's settings.")
    metric_type: PodMetricType = Field(
        default="AverageValue", description="AverageValue: the threshold is per replica. Value: it is for all together."
    )


class KubernetesWorkloadMetadata(TriggerMetadata):
    """The settings of a kubernetes-workload trigger: KEDA's."""

    pod_selector: SelectorWords = Field(description="Labels of the pods to count, as kubectl takes them.")
    value: Threshold = Field(description="Such pods per replica.")
    activation_value: Activation = Field(
        default="0", description="The trigger is active where there are more than this."
    )
    group_by_node: TrueOrFalse = Field(default=False, description="Whether the nodes they are on are counted instead.")


class KubernetesWorkloadSpec(PolledTrigger):
    """The number of pods with certain labels in the policy's namespace that have not ended."""

    type: Literal["kubernetes-workload"] = Field(description="Which trigger.")
    metadata: KubernetesWorkloadMetadata = Field(description="The trigger's settings.")


class CronMetadata(TriggerMetadata):
    """The settings of a cron trigger: KEDA's."""

    start: Cron = Field(description="When it begins to be active: five fields of cron.")
    end: Cron = Field(description="When it ends to be active: five fields of cron.")
    timezone: Zone = Field(description="The IANA time zone of both.")
    desired_replicas: Annotated[int, WholeNumber(0, 100_000)] = Field(
        description="The number of replicas while it is active."
    )

    @model_validator(mode="after")
    def _span(self) -> "CronMetadata":
        wrong = Findings()
        if same_times(self.start, self.end):
            wrong.at(
                "end",
                message="is the same as start, so that by KEDA's rule it never ends: write when it ends, or raise minReplicaCount instead",
            )
        wrong.raise_any()
        return self


class CronSpec(AnyTrigger):
    """A number of replicas at certain times."""

    type: Literal["cron"] = Field(description="Which trigger.")
    metadata: CronMetadata = Field(description="The trigger's settings.")
    metric_type: PodMetricType = Field(
        default="AverageValue", description="AverageValue, as for every number per replica."
    )


class ResourceMetadata(TriggerMetadata):
    """The settings of a cpu or memory trigger: KEDA's."""

    hints: ClassVar[dict[str, str]] = {"type": "KEDA has dropped it: write metricType, beside metadata"}

    value: Annotated[
        str,
        Matching(
            r"\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)([numkMGTPE]|[KMGTPE]i)?",
            40,
            'a percentage without its sign, as in "80", or an amount of cpu or memory, as in "500m" or "2Gi"',
            numbers=True,
        ),
    ] = Field(description="Percent of the request for Utilization; an amount per pod for AverageValue.")
    container_name: DnsLabel | None = Field(
        default=None, description="Of which container; of the whole pod where it is left out."
    )


class ResourceSpec(AnyTrigger):
    """How much cpu or memory the pods of an on-prem workload use. That workload is measured and stays as it is."""

    type: Literal["cpu", "memory"] = Field(description="Which trigger.")
    metadata: ResourceMetadata = Field(description="The trigger's settings.")
    metric_type: Literal["Utilization", "AverageValue"] = Field(
        default="Utilization", description="Utilization: percent of the request. AverageValue: an amount per pod."
    )
    source_ref: WorkloadRefSpec = Field(description="The on-prem workload whose use is measured; it is not scaled.")

    @model_validator(mode="after")
    def _amount(self) -> "ResourceSpec":
        wrong = Findings()
        value = self.metadata.value
        if self.metric_type == "Utilization":
            if not re.fullmatch(r"[0-9]{1,6}", value) or not 1 <= int(value) <= PERCENT_MAX:
                wrong.at(
                    "metadata",
                    "value",
                    message=f'{value!r} is no whole percentage above 0: write for example "80", or metricType: AverageValue',
                )
        else:
            resource = "cpu" if self.type == "cpu" else "memory"
            try:
                Quantity(resource, least=1).checked(value)
            except ValueError as error:
                wrong.at("metadata", "value", message=str(error))
        wrong.raise_any()
        return self


_Free = Annotated[str, Matching(r"[\s\S]*", 4_096, "text of at most 4096 characters", numbers=True)]


_METRIC_NAME: Final = re.compile(r"[A-Za-z0-9_:][A-Za-z0-9_.:-]{0,252}")


class ExternalMetadata(TriggerMetadata):
    """The settings of an external trigger; further keys are free and are handed to the scaler, where one is asked."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, _Free] = Field(init=False)  # pyright: ignore[reportIncompatibleVariableOverride] (narrower, as pydantic asks)

    scaler_address: (
        Annotated[str, Matching(r"[A-Za-z0-9.-]+:[0-9]{1,5}", 260, "host:port of a KEDA external scaler")] | None
    ) = Field(
        default=None, description="A KEDA external scaler to ask; the number is pushed by others where it is left out."
    )
    # text alone, other than further keys: a CRD's rules read these two, and CEL knows fields of one type
    metric_name: Annotated[str, Field(max_length=256)] | None = Field(
        default=None,
        description="Without scalerAddress: an external metric to read (external.metrics.k8s.io) in the policy's namespace; several values"
        " are summed.",
    )
    metric_selector: Annotated[str, Field(max_length=4_096)] | None = Field(
        default=None, description="Beside metricName: labels of the values to read, as kubectl takes them."
    )
    target_value: Threshold = Field(description="The value per replica.")
    activation_target_value: Activation = Field(
        default="0", description="The trigger is active where the value is above this."
    )

    @property
    def reads_metric(self) -> bool:
        """Whether it is an external metric that is read."""
        return self.scaler_address is None and self.metric_name is not None

    @model_validator(mode="after")
    def _keys(self) -> "ExternalMetadata":
        wrong = Findings()
        for name in self.__pydantic_extra__ or {}:
            if hint := type(self).hint(name) or (
                "belongs to an external scaler, and none is asked: remove it, or write scalerAddress instead of metricName"
                if self.reads_metric
                else ""
            ):
                wrong.at(name, message=hint)
        if self.scaler_address is None:
            self._check_metric(wrong)
        wrong.raise_any()
        return self

    def _check_metric(self, wrong: Findings) -> None:
        if self.metric_name is not None and not _METRIC_NAME.fullmatch(self.metric_name):
            wrong.at(
                "metricName",
                message=f"{shown(self.metric_name)} is no name of an external metric: write it as `kubectl get --raw"
                " /apis/external.metrics.k8s.io/v1beta1` lists it, for example s0-prometheus",
            )
        if self.metric_selector is None:
            return
        if self.metric_name is None:
            wrong.at(
                "metricSelector", message="narrows the metric that metricName names: write metricName, or remove it"
            )
        try:
            check_selector(self.metric_selector)
        except ValueError as error:
            wrong.at("metricSelector", message=str(error))


class ExternalSpec(PolledTrigger):
    """A number that others push, that a KEDA external scaler is asked for, or an external metric."""

    type: Literal["external"] = Field(description="Which trigger.")
    metadata: ExternalMetadata = Field(description="The trigger's settings.")
    authentication_ref: AuthRefSpec | None = Field(default=None, description="Where the credentials are.")

    @model_validator(mode="after")
    def _whose_credentials(self) -> "ExternalSpec":
        wrong = Findings()
        if self.authentication_ref is not None and self.metadata.reads_metric:
            wrong.at("authenticationRef", message="external metrics are read by burster's own account: remove it")
        wrong.raise_any()
        return self


Trigger = Annotated[
    PendingPodsSpec | PrometheusSpec | CronSpec | ResourceSpec | KubernetesWorkloadSpec | MetricsApiSpec | ExternalSpec,
    Field(
        discriminator="type",
        json_schema_extra={RULES: [{"rule": rule, "message": message} for rule, message in TRIGGER_RULES]},
    ),
]
TRIGGERS: Final[tuple[type[AnyTrigger], ...]] = (
    PendingPodsSpec, PrometheusSpec, CronSpec, ResourceSpec, KubernetesWorkloadSpec, MetricsApiSpec, ExternalSpec,
)  # fmt: skip
SUPPORTED_TRIGGERS: Final = (
    "pending-pods", "prometheus", "cron", "cpu", "memory", "kubernetes-workload", "metrics-api", "external",
)  # fmt: skip
