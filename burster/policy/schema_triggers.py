"""Sources of demand, in KEDA's shape and with KEDA's metadata keys: one model for each type of trigger.

``Trigger`` is the union of them, told apart by ``type``. KEDA's metadata is text; numbers and booleans are taken as well. Credentials are
never metadata here: they are in a TriggerAuthentication, which is named and not read. ``compile_triggers`` makes the engine's triggers.
"""

import re
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from burster.policy.amounts import Activation, Cpu, Memory, Millis, Quantity, Threshold, TrueOrFalse
from burster.policy.fields import DnsLabel, DnsName, DurationBetween, Matching, WholeNumber, unique
from burster.policy.refusals import Findings
from burster.policy.schema_base import RULES, Strict
from burster.policy.schema_workload import WorkloadRefSpec
from burster.policy.texts import Cron, DnsNames, Headers, Pairs, ResourceName, SelectorWords, Url, Zone


PRIORITY_MAX: Final = 2**31 - 1
PERCENT_MAX: Final = 100_000
#: parameters that KEDA takes from authentication objects
CREDENTIALS: Final = (
    "ca", "cert", "key", "keyPassword", "username", "password", "bearerToken", "token", "apiKey", "customAuthHeader",
    "customAuthValue", "caCert", "tlsClientCert", "tlsClientKey", "clientID", "clientSecret", "oauthTokenURI", "scope", "endpointParams",
)  # fmt: skip
_CREDENTIAL: Final = (
    "is a credential: put it into a TriggerAuthentication, which authenticationRef names, and remove it here"
)
_FROM_ENV: Final = (
    "burster reads no container's environment: write the value itself, or put a credential into a TriggerAuthentication"
)
_EXCLUSIVE_MODES: Final = ("bearer", "basic", "oauth")

TriggerName = Annotated[
    str,
    Matching(r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9_])?", 63, "a trigger's name: letters, digits, '_', '-' and '.'"),
]
PodMetricType = Literal["AverageValue", "Value"]


class AuthRefSpec(Strict):
    """KEDA's object that holds the credentials."""

    name: DnsName = Field(description="The object's name; a TriggerAuthentication is in the policy's namespace.")
    kind: Literal["TriggerAuthentication", "ClusterTriggerAuthentication"] = Field(
        default="TriggerAuthentication", description="Its kind."
    )


class TriggerMetadata(Strict):
    """Base of the triggers' settings: says what to do about credentials and KEDA's other ways to pass them."""

    @classmethod
    def hint(cls, name: str) -> str:
        """Return what to do about a credential, and about what only KEDA can read."""
        if name in CREDENTIALS:
            return _CREDENTIAL
        return _FROM_ENV if name.endswith("FromEnv") else super().hint(name)


class _AnyTrigger(Strict):
    """What triggers of every type have."""

    hints: ClassVar[dict[str, str]] = {
        "authenticationRef": "triggers of this type need no credentials: remove it",
        "useCachedMetrics": "triggers of this type are never cached, as in KEDA: remove it",
        "sourceRef": "only cpu and memory triggers measure a workload: remove it",
    }

    name: TriggerName | None = Field(
        default=None,
        description="What reasons, conditions and formulas call this trigger; its type (or s, its place and its type) where it is left out.",
    )


class _PolledTrigger(_AnyTrigger):
    """What triggers have whose value is asked for."""

    metric_type: PodMetricType = Field(
        default="AverageValue", description="AverageValue: the threshold is per replica. Value: it is for all together."
    )
    use_cached_metrics: bool = Field(
        default=False, description="Whether the number of replicas is made of the latest poll's value."
    )


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


class PendingPodsSpec(_AnyTrigger):
    """On-prem pods that no node takes."""

    type: Literal["pending-pods"] = Field(description="Which trigger.")
    metadata: PendingPodsMetadata = Field(default=PendingPodsMetadata(), description="The trigger's settings.")
    metric_type: PodMetricType = Field(
        default="AverageValue", description="AverageValue: the threshold is per replica. Value: it is for all together."
    )


def _modes(value: str) -> str:
    modes = [mode.strip() for mode in value.split(",")]
    known = ("apiKey", "basic", "bearer", "custom", "oauth", "tls")
    for mode in modes:
        if mode not in known:
            raise ValueError(
                f"{mode!r} is no mode of authentication: use one or more of {', '.join(known)}, with commas between"
            )
    unique(tuple(modes))
    exclusive = [mode for mode in modes if mode in _EXCLUSIVE_MODES]
    if len(exclusive) > 1:
        raise ValueError(f"{' and '.join(exclusive)} exclude each other: keep one of them")
    return ",".join(modes)


AuthModes = Annotated[str, Field(max_length=60), AfterValidator(_modes)]


class _HttpMetadata(TriggerMetadata):
    """Settings of what is read over HTTP."""

    auth_modes: AuthModes | None = Field(
        default=None,
        description="How to authenticate, with commas between: apiKey, basic, bearer, custom, oauth, tls. bearer, basic and oauth exclude each"
        " other.",
    )
    auth_mode: AuthModes | None = Field(default=None, description="KEDA's older name of authModes.")
    unsafe_ssl: TrueOrFalse = Field(default=False, description="Whether a certificate that can't be verified will do.")
    timeout: Millis = Field(default=3_000, description="How long an answer may take: milliseconds, or a duration.")

    @model_validator(mode="after")
    def _one_name(self) -> "_HttpMetadata":
        wrong = Findings()
        if self.auth_modes is not None and self.auth_mode is not None:
            wrong.at("authMode", message="is the older name of authModes, which is given too: remove it")
        wrong.raise_any()
        return self

    @property
    def modes(self) -> str:
        """The modes of authentication, by whichever name they were given."""
        return self.auth_modes or self.auth_mode or ""


class _HttpTrigger(_PolledTrigger):
    """What triggers have that are read over HTTP."""

    authentication_ref: AuthRefSpec | None = Field(default=None, description="Where the credentials are.")

    def _check_access(self, metadata: _HttpMetadata) -> None:
        wrong = Findings()
        if metadata.modes and self.authentication_ref is None:
            name = "authModes" if metadata.auth_modes else "authMode"
            wrong.at(
                "metadata", name, message="needs credentials: name their TriggerAuthentication by authenticationRef"
            )
        wrong.raise_any()


class PrometheusMetadata(_HttpMetadata):
    """The settings of a prometheus trigger: KEDA's."""

    server_address: Url = Field(description="The server; the target's allowedMetricEndpoints must list it.")
    query: Annotated[str, Field(min_length=1, max_length=8_192)] = Field(description="PromQL that yields one number.")
    threshold: Threshold = Field(description="The value per replica.")
    activation_threshold: Activation = Field(
        default="0", description="The trigger is active where the value is above this."
    )
    namespace: DnsLabel | None = Field(default=None, description="Sent as namespace, for servers with many tenants.")
    custom_headers: Headers | None = Field(
        default=None, description="Headers to send: name=value, with commas between."
    )
    query_parameters: Pairs | None = Field(
        default=None, description="Parameters to send: name=value, with commas between."
    )
    ignore_null_values: TrueOrFalse = Field(default=True, description="Whether no result is 0; else it is an error.")
    aws_region: (
        Annotated[str, Matching(r"[a-z]{2}(-[a-z]+)+-[0-9]", 30, "an AWS region, for example eu-west-1")] | None
    ) = Field(default=None, description="The region of an Amazon Managed Prometheus.")
    identity_owner: Literal["pod", "operator"] | None = Field(
        default=None, description="KEDA's identityOwner, for Amazon Managed Prometheus."
    )
    metric_name: Annotated[str, Field(max_length=256)] | None = Field(
        default=None, description="Taken and not used, as by KEDA: a name it once gave the metric."
    )


class PrometheusSpec(_HttpTrigger):
    """One number by a query to a Prometheus or a Thanos."""

    type: Literal["prometheus"] = Field(description="Which trigger.")
    metadata: PrometheusMetadata = Field(description="The trigger's settings.")

    @model_validator(mode="after")
    def _access(self) -> "PrometheusSpec":
        self._check_access(self.metadata)
        return self


class MetricsApiMetadata(_HttpMetadata):
    """The settings of a metrics-api trigger: KEDA's."""

    url: Url = Field(description="What to read; the target's allowedMetricEndpoints must list its server.")
    value_location: Annotated[str, Field(min_length=1, max_length=1_024)] = Field(
        description="Where in the answer the number is: a GJSON path, a path, or a metric with labels."
    )
    target_value: Threshold = Field(description="The value per replica.")
    activation_target_value: Activation = Field(
        default="0", description="The trigger is active where the value is above this."
    )
    format: Literal["json", "prometheus", "xml", "yaml"] = Field(
        default="json", description="What the answer is written in."
    )
    method: Literal["header", "query"] = Field(default="header", description="Where an API key goes.")
    key_param_name: Annotated[str, Field(min_length=1, max_length=128)] | None = Field(
        default=None, description="The name under which an API key is sent."
    )
    aggregate_from_kube_service_endpoints: TrueOrFalse = Field(
        default=False, description="Whether every endpoint of the Service in the url is read."
    )
    aggregation_type: Literal["average", "sum", "max", "min"] = Field(
        default="average", description="What is made of the endpoints' numbers."
    )


class MetricsApiSpec(_HttpTrigger):
    """One number out of an HTTP answer."""

    type: Literal["metrics-api"] = Field(description="Which trigger.")
    metadata: MetricsApiMetadata = Field(description="The trigger's settings.")

    @model_validator(mode="after")
    def _access(self) -> "MetricsApiSpec":
        self._check_access(self.metadata)
        return self


class KubernetesWorkloadMetadata(TriggerMetadata):
    """The settings of a kubernetes-workload trigger: KEDA's."""

    pod_selector: SelectorWords = Field(description="Labels of the pods to count, as kubectl takes them.")
    value: Threshold = Field(description="Such pods per replica.")
    activation_value: Activation = Field(
        default="0", description="The trigger is active where there are more than this."
    )
    group_by_node: TrueOrFalse = Field(default=False, description="Whether the nodes they are on are counted instead.")


class KubernetesWorkloadSpec(_PolledTrigger):
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
        if re.split(r"\s+", self.start.strip()) == re.split(r"\s+", self.end.strip()):
            wrong.at("end", message="is the same as start, so that it is never active: write when it ends")
        wrong.raise_any()
        return self


class CronSpec(_AnyTrigger):
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
            "a percentage or an amount of cpu or memory",
            numbers=True,
        ),
    ] = Field(description="Percent of the request for Utilization; an amount per pod for AverageValue.")
    container_name: DnsLabel | None = Field(
        default=None, description="Of which container; of the whole pod where it is left out."
    )


class ResourceSpec(_AnyTrigger):
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


_Free = Annotated[str, Matching(r"[\s\S]{0,4096}", 4_096, "text of at most 4096 characters", numbers=True)]


class ExternalMetadata(TriggerMetadata):
    """The settings of an external trigger; further keys are free and are handed to the scaler."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, _Free] = Field(init=False)  # pyright: ignore[reportIncompatibleVariableOverride] (narrower, as pydantic asks)

    scaler_address: (
        Annotated[str, Matching(r"[A-Za-z0-9.-]+:[0-9]{1,5}", 260, "host:port of a KEDA external scaler")] | None
    ) = Field(
        default=None, description="A KEDA external scaler to ask; the number is pushed by others where it is left out."
    )
    target_value: Threshold = Field(description="The value per replica.")
    activation_target_value: Activation = Field(
        default="0", description="The trigger is active where the value is above this."
    )

    @model_validator(mode="after")
    def _no_credentials(self) -> "ExternalMetadata":
        wrong = Findings()
        for name in self.__pydantic_extra__ or {}:
            if hint := type(self).hint(name):
                wrong.at(name, message=hint)
        wrong.raise_any()
        return self


class ExternalSpec(_PolledTrigger):
    """A number that others push, or that a KEDA external scaler is asked for."""

    type: Literal["external"] = Field(description="Which trigger.")
    metadata: ExternalMetadata = Field(description="The trigger's settings.")
    authentication_ref: AuthRefSpec | None = Field(default=None, description="Where the credentials are.")


def _needs(kind: str, *names: str) -> tuple[str, str]:
    there = " && ".join(f"has(self.metadata.{name})" for name in names)
    return (
        f"self.type != '{kind}' || (has(self.metadata) && {there})",
        f"a {kind} trigger needs {', '.join(names)} in its metadata",
    )


#: of one trigger, for API servers, whose schema has the fields of all types at once
_RULES: Final = (
    ("self.type == 'pending-pods' || has(self.metadata)", "metadata is required"),
    _needs("prometheus", "serverAddress", "query"),
    _needs("cron", "start", "end", "timezone"),
    _needs("kubernetes-workload", "podSelector"),
    _needs("metrics-api", "url", "valueLocation"),
    (
        "(self.type in ['cpu', 'memory']) == has(self.sourceRef)",
        "sourceRef is for cpu and memory triggers, and required there",
    ),
    (
        "!has(self.metricType) || (self.type in ['cpu', 'memory'] ? self.metricType != 'Value' : self.metricType != 'Utilization')",
        "metricType is Utilization or AverageValue for cpu and memory, AverageValue or Value for all others",
    ),
    (
        "!has(self.useCachedMetrics) || self.type in ['prometheus', 'kubernetes-workload', 'metrics-api', 'external']",
        "useCachedMetrics is for triggers whose value is asked for",
    ),
    (
        "!has(self.authenticationRef) || self.type in ['prometheus', 'metrics-api', 'external']",
        "authenticationRef is for prometheus, metrics-api and external triggers",
    ),
    (
        (
            "!has(self.metadata) || !(has(self.metadata.authModes) || has(self.metadata.authMode)) || has(self.authenticationRef)"
            " || self.type == 'external'"
        ),
        "authModes needs credentials: name their TriggerAuthentication by authenticationRef",
    ),
    (
        "!has(self.metadata) || !has(self.metadata.authModes) || !has(self.metadata.authMode) || self.type == 'external'",
        "authMode is the older name of authModes: both can't be given",
    ),
    (
        (
            "self.type != 'cron' || !has(self.metadata) || !has(self.metadata.start) || !has(self.metadata.end) ||"
            " self.metadata.start != self.metadata.end"
        ),
        "start and end of a cron trigger must differ",
    ),
)

Trigger = Annotated[
    PendingPodsSpec | PrometheusSpec | CronSpec | ResourceSpec | KubernetesWorkloadSpec | MetricsApiSpec | ExternalSpec,
    Field(
        discriminator="type",
        json_schema_extra={RULES: [{"rule": rule, "message": message} for rule, message in _RULES]},
    ),
]
TRIGGERS: Final[tuple[type[_AnyTrigger], ...]] = (
    PendingPodsSpec, PrometheusSpec, CronSpec, ResourceSpec, KubernetesWorkloadSpec, MetricsApiSpec, ExternalSpec,
)  # fmt: skip
SUPPORTED_TRIGGERS: Final = (
    "pending-pods", "prometheus", "cron", "cpu", "memory", "kubernetes-workload", "metrics-api", "external",
)  # fmt: skip
