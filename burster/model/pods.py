"""Pods and what they ask for, as far as a decision needs it."""

import msgspec


class Resources(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What a pod asks for, or an offering has."""

    cpu_millicores: int = 0
    memory_bytes: int = 0
    gpus: int = 0  #: nvidia.com/gpu
    devices: tuple[tuple[str, int], ...] = ()  #: every other extended resource by name, in order of names

    def fits_in(self, other: "Resources") -> bool:
        """Say whether everything asked for here is there."""
        return (
            self.cpu_millicores <= other.cpu_millicores
            and self.memory_bytes <= other.memory_bytes
            and self.gpus <= other.gpus
            and (not self.devices or _covered(self.devices, other.devices))
        )

    def __add__(self, other: "Resources") -> "Resources":
        return Resources(
            cpu_millicores=self.cpu_millicores + other.cpu_millicores,
            memory_bytes=self.memory_bytes + other.memory_bytes,
            gpus=self.gpus + other.gpus,
            devices=_summed(self.devices, other.devices) if self.devices or other.devices else (),
        )


def _covered(asked: tuple[tuple[str, int], ...], there: tuple[tuple[str, int], ...]) -> bool:
    amounts = dict(there)
    return all(count <= amounts.get(name, 0) for name, count in asked)


def _summed(*parts: tuple[tuple[str, int], ...]) -> tuple[tuple[str, int], ...]:
    total: dict[str, int] = {}
    for name, count in (item for part in parts for item in part):
        total[name] = total.get(name, 0) + count
    return tuple(sorted(total.items()))


class Owner(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A pod's controller, from the ownerReference with ``controller: true``."""

    api_version: str
    kind: str
    name: str
    uid: str


class Pod(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An on-prem pod that no node has taken yet.

    ``unschedulable_since_ms`` is the lastTransitionTime of ``PodScheduled=False`` with reason ``Unschedulable`` (epoch ms), None
    where the scheduler has not said so: gated, quota-held and terminating pods never have demand.
    ``workload`` is the owner people think in: for a ReplicaSet made by a Deployment (label pod-template-hash) the Deployment.
    """

    namespace: str
    name: str
    uid: str
    resource_version: str = ""
    created_at_ms: int = 0
    unschedulable_since_ms: int | None = None
    message: str = ""
    requests: Resources = Resources()
    labels: dict[str, str] = {}
    owner: Owner | None = None
    workload: Owner | None = None
    priority: int = 0
    runtime_class: str = ""
    restart_policy: str = "Always"
    images: tuple[str, ...] = ()  #: of every container, init containers included
    secrets: tuple[str, ...] = ()  #: names of the Secrets its containers and volumes refer to
    gated: bool = False
    terminating: bool = False
    node_name: str = ""

    @property
    def key(self) -> str:
        """``namespace/name``: how a person names a pod."""
        return f"{self.namespace}/{self.name}"

    @property
    def unschedulable(self) -> bool:
        """Whether this pod counts as pending demand at all."""
        return self.unschedulable_since_ms is not None and not (self.gated or self.terminating or self.node_name)
