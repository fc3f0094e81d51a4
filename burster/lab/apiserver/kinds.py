"""The registry of kinds: which resources there are, under which names, groups and versions, and what each can do.

The store asks it what a resource is, the server what a URL means, discovery what to tell. Custom kinds come and go with their
CustomResourceDefinitions. It holds no objects.
"""

from collections.abc import Iterator

import msgspec

from burster.lab.apiserver.errors import ApiError, Json


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """One resource as the API server serves it."""

    plural: str
    kind: str
    group: str = ""
    version: str = "v1"
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    namespaced: bool = True
    subresources: tuple[str, ...] = ()
    generation: bool = False  # metadata.generation follows the spec
    unconditional_update: bool = True  # an update may leave out the resourceVersion
    singular: str = ""
    list_kind: str = ""
    versions: tuple[str, ...] = ()  # served besides `version`, same shape
    # custom kinds only: what their definition says
    custom: bool = False
    schema: Json | None = None
    has_rules: bool = False  # the schema has rules in CEL
    scale: Json | None = None
    columns: tuple[Json, ...] = ()
    selectable: tuple[str, ...] = ()

    @property
    def resource(self) -> str:
        """The name under which the store keeps it: plural, with the group where there is one."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def api_version(self) -> str:
        """As objects of this kind write it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def list_name(self) -> str:
        """The kind of a list of it."""
        return self.list_kind or f"{self.kind}List"

    @property
    def singular_name(self) -> str:
        """What kubectl says for one of it."""
        return self.singular or self.kind.lower()


ALL = ("all",)
STATUS = ("status",)
SCALED = ("scale", "status")


def _apps() -> list[Kind]:
    def of(plural: str, kind: str, short: str, subresources: tuple[str, ...]) -> Kind:
        return Kind(
            plural=plural, kind=kind, group="apps", short_names=(short,), categories=ALL,
            subresources=subresources, generation=True,
        )  # fmt: skip

    return [
        of("deployments", "Deployment", "deploy", SCALED),
        of("replicasets", "ReplicaSet", "rs", SCALED),
        of("statefulsets", "StatefulSet", "sts", SCALED),
        of("daemonsets", "DaemonSet", "ds", STATUS),
        Kind(plural="controllerrevisions", kind="ControllerRevision", group="apps"),
        Kind(plural="jobs", kind="Job", group="batch", categories=ALL, subresources=STATUS, generation=True),
        Kind(
            plural="cronjobs", kind="CronJob", group="batch", short_names=("cj",), categories=ALL,
            subresources=STATUS, generation=True,
        ),
    ]  # fmt: skip


def _core() -> list[Kind]:
    return [
        Kind(
            plural="namespaces", kind="Namespace", short_names=("ns",), namespaced=False, subresources=("finalize", "status")
        ),
        Kind(plural="nodes", kind="Node", short_names=("no",), namespaced=False, subresources=STATUS),
        Kind(
            plural="pods", kind="Pod", short_names=("po",), categories=ALL, generation=True,
            subresources=("binding", "eviction", "status"),
        ),
        Kind(plural="services", kind="Service", short_names=("svc",), categories=ALL, subresources=STATUS),
        Kind(plural="configmaps", kind="ConfigMap", short_names=("cm",)),
        Kind(plural="secrets", kind="Secret"),
        Kind(plural="serviceaccounts", kind="ServiceAccount", short_names=("sa",), subresources=("token",)),
        Kind(plural="events", kind="Event", short_names=("ev",)),
        Kind(plural="endpoints", kind="Endpoints", short_names=("ep",), list_kind="EndpointsList"),
        Kind(plural="persistentvolumeclaims", kind="PersistentVolumeClaim", short_names=("pvc",), subresources=STATUS),
        Kind(
            plural="persistentvolumes", kind="PersistentVolume", short_names=("pv",), namespaced=False, subresources=STATUS
        ),
        Kind(plural="resourcequotas", kind="ResourceQuota", short_names=("quota",), subresources=STATUS),
        Kind(plural="limitranges", kind="LimitRange", short_names=("limits",)),
        Kind(
            plural="replicationcontrollers", kind="ReplicationController", short_names=("rc",), categories=ALL,
            subresources=SCALED, generation=True,
        ),
        Kind(plural="podtemplates", kind="PodTemplate"),
    ]  # fmt: skip


def _others() -> list[Kind]:
    cluster_rbac = "rbac.authorization.k8s.io"
    return [
        Kind(plural="leases", kind="Lease", group="coordination.k8s.io", unconditional_update=False),
        Kind(
            plural="runtimeclasses", kind="RuntimeClass", group="node.k8s.io", namespaced=False, unconditional_update=False,
            list_kind="RuntimeClassList",
        ),
        Kind(plural="endpointslices", kind="EndpointSlice", group="discovery.k8s.io", generation=True),
        Kind(
            plural="poddisruptionbudgets", kind="PodDisruptionBudget", group="policy", short_names=("pdb",),
            subresources=STATUS, generation=True, unconditional_update=False,
        ),
        Kind(
            plural="priorityclasses", kind="PriorityClass", group="scheduling.k8s.io", short_names=("pc",), namespaced=False
        ),
        Kind(
            plural="storageclasses", kind="StorageClass", group="storage.k8s.io", short_names=("sc",), namespaced=False
        ),
        Kind(
            plural="horizontalpodautoscalers", kind="HorizontalPodAutoscaler", group="autoscaling", version="v2",
            # v1 has fewer fields; what an HPA aims at stands at the same place in both
            versions=("v1",), short_names=("hpa",), categories=ALL, subresources=STATUS,
        ),
        Kind(
            plural="customresourcedefinitions", kind="CustomResourceDefinition", group="apiextensions.k8s.io",
            short_names=("crd", "crds"), namespaced=False, subresources=STATUS, generation=True,
            unconditional_update=False,
        ),
        Kind(
            plural="mutatingwebhookconfigurations", kind="MutatingWebhookConfiguration",
            group="admissionregistration.k8s.io", namespaced=False, generation=True,
        ),
        Kind(
            plural="validatingwebhookconfigurations", kind="ValidatingWebhookConfiguration",
            group="admissionregistration.k8s.io", namespaced=False, generation=True,
        ),
        Kind(plural="roles", kind="Role", group=cluster_rbac),
        Kind(plural="rolebindings", kind="RoleBinding", group=cluster_rbac),
        Kind(plural="clusterroles", kind="ClusterRole", group=cluster_rbac, namespaced=False),
        Kind(plural="clusterrolebindings", kind="ClusterRoleBinding", group=cluster_rbac, namespaced=False),
        Kind(
            plural="networkpolicies", kind="NetworkPolicy", group="networking.k8s.io", short_names=("netpol",),
            generation=True,
        ),
        Kind(
            plural="ingresses", kind="Ingress", group="networking.k8s.io", short_names=("ing",), subresources=STATUS,
            generation=True,
        ),
    ]  # fmt: skip


class Kinds:
    """All kinds of one API server, found by resource name, by object or by URL."""

    def __init__(self) -> None:
        self._by_resource: dict[str, Kind] = {}
        self._by_object: dict[tuple[str, str], Kind] = {}
        for kind in (*_core(), *_apps(), *_others()):
            self.add(kind)

    def __iter__(self) -> Iterator[Kind]:
        return iter(self._by_resource.values())

    def add(self, kind: Kind) -> None:
        """Serve a kind, in place of what had its name before."""
        self.remove(kind.resource)
        self._by_resource[kind.resource] = kind
        self._by_object[kind.group, kind.kind] = kind

    def remove(self, resource: str) -> None:
        """Serve a kind no more."""
        kind = self._by_resource.pop(resource, None)
        if kind is not None:
            self._by_object.pop((kind.group, kind.kind), None)

    def find(self, resource: str) -> Kind | None:
        """The kind kept under that resource name."""
        return self._by_resource.get(resource)

    def need(self, resource: str) -> Kind:
        """The kind kept under that resource name, or the server's word for there being none."""
        kind = self._by_resource.get(resource)
        if kind is None:
            raise ApiError(404, "NotFound", "the server could not find the requested resource")
        return kind

    def of_object(self, api_version: str, kind: str) -> Kind | None:
        """The kind an object, or a reference to one, says it is."""
        group, _, _ = api_version.rpartition("/")
        return self._by_object.get((group, kind))
