"""Sources of demand, in KEDA's vocabulary, compiled. The engine knows what each value means; how it is read is for ``sources``.

Thresholds and values are in milli-units, as the HPA counts: 1.5 is 1500.
"""

from typing import Literal

import msgspec


MetricType = Literal["AverageValue", "Value", "Utilization"]
AuthMode = Literal["apiKey", "basic", "bearer", "custom", "oauth", "tls"]
AuthKind = Literal["TriggerAuthentication", "ClusterTriggerAuthentication"]


class WorkloadRef(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A workload of the policy's own namespace."""

    kind: str = "Deployment"
    name: str
    api_version: str = "apps/v1"


class AuthRef(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """KEDA's object that holds the credentials. It is named here and never read by the engine."""

    name: str
    kind: AuthKind = "TriggerAuthentication"


class _Trigger(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag=True):
    """Base of all triggers. ``name`` is unique within a policy; active means: the value is *above* ``activation_milli``."""

    name: str
    metric_type: MetricType = "AverageValue"
    threshold_milli: int = 1000
    activation_milli: int = 0
    use_cached_metrics: bool = False  #: the number is made of the value of the latest poll, not of one read for it


class PendingPodsTrigger(_Trigger, frozen=True, kw_only=True, omit_defaults=True):
    """The matching pods that have been Unschedulable for at least ``pending_for_ms``; Scale and Signal take their number.

    Each filter that is set must hold: one of ``reasons`` occurs in the scheduler's message (case ignored), the pod asks for one of
    ``resources`` by name, its priority and requests are within bounds, its RuntimeClass is one of ``runtime_classes``.
    """

    name: str = "pending-pods"
    pending_for_ms: int = 30_000
    min_count: int = 1
    reasons: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()  #: whose pods are counted, besides the policy's own; Scale and Signal only
    min_priority: int | None = None
    max_priority: int | None = None
    min_cpu_millicores: int = 0
    max_cpu_millicores: int | None = None
    min_memory_bytes: int = 0
    max_memory_bytes: int | None = None
    runtime_classes: tuple[str, ...] = ()


class HttpAccess(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How an HTTP source is reached; credentials are named, never held."""

    auth_modes: tuple[AuthMode, ...] = ()
    auth: AuthRef | None = None
    unsafe_ssl: bool = False
    timeout_ms: int = 3_000  # KEDA's KEDA_HTTP_DEFAULT_TIMEOUT
    headers: dict[str, str] = {}


class PrometheusTrigger(_Trigger, frozen=True, kw_only=True, omit_defaults=True):
    """One number by an instant query."""

    server_address: str
    query: str
    namespace: str = ""
    query_parameters: dict[str, str] = {}
    ignore_null_values: bool = True
    aws_region: str = ""
    identity_owner: str = ""
    access: HttpAccess = HttpAccess()


class MetricsApiTrigger(_Trigger, frozen=True, kw_only=True, omit_defaults=True):
    """One number out of what an HTTP endpoint answers."""

    url: str
    value_location: str
    format: Literal["json", "prometheus", "xml", "yaml"] = "json"
    method: Literal["header", "query"] = "header"  #: where an API key goes
    key_param_name: str = ""
    aggregate_from_kube_service_endpoints: bool = False
    aggregation_type: Literal["average", "sum", "max", "min"] = "average"
    access: HttpAccess = HttpAccess()


class KubernetesWorkloadTrigger(_Trigger, frozen=True, kw_only=True, omit_defaults=True):
    """How many pods of the policy's namespace match a selector and have not ended."""

    pod_selector: str
    group_by_node: bool = False


class ExternalTrigger(_Trigger, frozen=True, kw_only=True, omit_defaults=True):
    """A number that others push, that a KEDA external scaler at ``scaler_address`` is asked for, or an external metric of the namespace.

    ``metadata`` is the scaler's alone. ``metric_selector`` narrows the metric's values, which are summed, by their labels.
    """

    scaler_address: str = ""
    metric_name: str = ""
    metric_selector: str = ""
    metadata: dict[str, str] = {}
    auth: AuthRef | None = None


class CronTrigger(_Trigger, frozen=True, kw_only=True, omit_defaults=True):
    """``desired_replicas`` between two times; active where the next end is no later than the next start."""

    start: str
    end: str
    timezone: str
    desired_replicas: int


class ResourceTrigger(_Trigger, frozen=True, kw_only=True, omit_defaults=True):
    """The use of cpu or memory by the pods of ``source``, which is measured and stays as it is; the cloud gets what is missing there.

    Utilization thresholds are percent of the request in milli-units (80 % is 80,000); AverageValue thresholds are millicores for cpu and
    milli-bytes for memory.
    """

    resource: Literal["cpu", "memory"]
    source: WorkloadRef
    container: str = ""
    metric_type: MetricType = "Utilization"


MetricTrigger = PrometheusTrigger | MetricsApiTrigger | KubernetesWorkloadTrigger | ExternalTrigger
Trigger = PendingPodsTrigger | MetricTrigger | CronTrigger | ResourceTrigger
