"""A small world in which every check succeeds, made of plain objects; tests break one thing in it after the other."""

import copy
from typing import Any

import msgspec

from burster.clients.arm_facts import ImageFacts, Permissions, Sku, SubnetFacts, SubscriptionFacts
from burster.model.errors import RemoteError
from burster.model.offerings import Quota, Vm
from burster.model.pods import Resources
from burster.model.stimuli import OfferingsSeen, QuotaSeen
from burster.model.targets import Target
from burster.policy.crds import crds
from burster.sources.preflight import Known, World
from tests.support.builders import T0, a_target, an_offering


SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
SUBNET = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/v/subnets/podvms"
IMAGE = "/CommunityGalleries/coco/Images/podvm/Versions/0.22.0"
CAA = "confidential-containers-system"
CM = f"/api/v1/namespaces/{CAA}/configmaps/peer-pods-cm"
DS = f"/apis/apps/v1/namespaces/{CAA}/daemonsets/cloud-api-adaptor-daemonset"
PODS = f"/api/v1/namespaces/{CAA}/pods"
RUNTIME_CLASS = "/apis/node.k8s.io/v1/runtimeclasses/kata-remote"
NODES = "/api/v1/nodes"
PEER_PODS = "/apis/confidentialcontainers.org/v1alpha1/peerpods"
WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
_CRDS = crds()  # they are made of the models, which takes its time
DATA = {
    "CLOUD_PROVIDER": "azure",
    "AZURE_SUBSCRIPTION_ID": SUBSCRIPTION,
    "AZURE_RESOURCE_GROUP": "rg",
    "AZURE_REGION": "westeurope",
    "AZURE_SUBNET_ID": SUBNET,
    "AZURE_IMAGE_ID": IMAGE,
    "AZURE_INSTANCE_SIZE": "Standard_DC2es_v6",
    "AZURE_INSTANCE_SIZES": "Standard_DC2es_v6,Standard_DC4es_v6",
    "ENABLE_SECURE_BOOT": "true",
    "DISABLECVM": "false",
}


def the_target(**changes: Any) -> Target:
    values = {"subscription": SUBSCRIPTION, "image": IMAGE, "subnet": SUBNET, "sweep": "Report"}
    return a_target(**(values | changes))


def the_known(**changes: Any) -> Known:
    offerings = OfferingsSeen(target="azure", offerings=(an_offering(2), an_offering(4)))
    quota = QuotaSeen(
        target="azure",
        rows=(
            Quota(region="westeurope", family="standardDCEV6Family", used_vcpus=4, limit_vcpus=100),
            Quota(region="westeurope", family="cores", used_vcpus=40, limit_vcpus=1_000),
        ),
    )
    return Known(**({"offerings": offerings, "quota": quota, "secure_boot_by": ("bank/tasks",)} | changes))


def a_node(name: str = "worker-1", *, slots: str = "10", ready: str = "True", cordoned: bool = False) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {"katacontainers.io/kata-runtime": "true"}},
        "spec": {"unschedulable": cordoned},
        "status": {"allocatable": {"kata.peerpods.io/vm": slots}, "conditions": [{"type": "Ready", "status": ready}]},
    }


def a_peer_pod(number: int) -> dict[str, Any]:
    return {
        "metadata": {"name": f"p-{number}"},
        "spec": {"cloudProvider": "azure", "instanceID": f"/vm/podvm-{number}"},
    }


class FakeApi:
    """Objects by path. An exception in an object's place is raised; every path that was asked for is remembered."""

    def __init__(self) -> None:
        labels = {"app": "cloud-api-adaptor"}
        self.objects: dict[str, Any] = {
            RUNTIME_CLASS: {
                "metadata": {"name": "kata-remote"},
                "handler": "kata-remote",
                "overhead": {"podFixed": {"cpu": "250m", "memory": "120Mi"}},
                "scheduling": {"nodeSelector": {"katacontainers.io/kata-runtime": "true"}},
            },
            NODES: [a_node()],
            CM: {
                "metadata": {
                    "name": "peer-pods-cm",
                    "namespace": CAA,
                    "creationTimestamp": "2027-01-15T08:00:00Z",
                    "managedFields": [{"manager": "helm", "time": "2027-01-15T08:00:00Z"}],
                },
                "data": dict(DATA),
            },
            DS: {
                "metadata": {"name": "cloud-api-adaptor-daemonset", "namespace": CAA},
                "spec": {"selector": {"matchLabels": labels}},
                "status": {"desiredNumberScheduled": 1, "numberReady": 1},
            },
            PODS: [
                {
                    "metadata": {"name": "caa-1", "labels": labels},
                    "status": {"phase": "Running", "startTime": "2027-01-15T08:00:30Z"},
                }
            ],
            PEER_PODS: [],
            WEBHOOKS: [{"metadata": {"name": "any"}, "webhooks": [{"name": "mwebhook.peerpods.io"}]}],
            "/api/v1/namespaces/bank": {"metadata": {"name": "bank", "labels": {"burst": "yes"}}},
        }
        for definition in _CRDS.values():
            name = f"{definition['spec']['names']['plural']}.{definition['spec']['group']}"
            self.objects[f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}"] = copy.deepcopy(definition)
        self.asked: list[str] = []
        self.reviewed: list[dict[str, Any]] = []
        self.denied: set[tuple[str, str]] = set()  #: verb, resource

    @property
    def data(self) -> dict[str, str]:
        return self.objects[CM]["data"]

    async def get(self, path: str, params: Any = None, *, deadline_ms: int | None = None) -> bytes:
        del deadline_ms
        self.asked.append(path)
        found = self.objects.get(path)
        if found is None:
            raise RemoteError("NotFound", f"GET {path}: not found", status=404)
        if isinstance(found, Exception):
            raise found
        if isinstance(found, bytes):
            return found
        if isinstance(found, list):
            wanted = dict(part.split("=") for part in str((params or {}).get("labelSelector", "")).split(",") if part)
            chosen = [one for one in found if wanted.items() <= one["metadata"].get("labels", {}).items()]
            return msgspec.json.encode({"metadata": {}, "items": chosen})
        return msgspec.json.encode(found)

    async def create(self, path: str, body: Any, params: Any = None, *, deadline_ms: int | None = None) -> bytes:
        del params, deadline_ms
        self.asked.append(path)
        if isinstance(self.objects.get(path), Exception):
            raise self.objects[path]
        self.reviewed.append(body)
        attributes = body["spec"]["resourceAttributes"]
        allowed = (attributes["verb"], attributes["resource"]) not in self.denied
        return msgspec.json.encode({"status": {"allowed": allowed}})


class FakeCloud:
    """ARM, in which all is well; an exception in a fact's place is raised."""

    def __init__(self) -> None:
        self.clock_skew_ms: int | None = 0
        self.subscription: Any = SubscriptionFacts(id=SUBSCRIPTION, state="Enabled", tenant="t")
        self.regions: Any = ("westeurope", "eastus")
        self.group: Any = "westeurope"
        self.allowed: Any = Permissions(actions=("*/read",))
        self.subnet: Any = SubnetFacts(id=SUBNET, addresses=251, used=3)
        self.image: Any = ImageFacts(id=IMAGE, found=True, generation="V2", security_types=("ConfidentialVmSupported",))
        self.vms: Any = []
        self.asked: list[str] = []

    def _give(self, name: str, fact: Any) -> Any:
        self.asked.append(name)
        if isinstance(fact, Exception):
            raise fact
        return fact

    async def read_subscription(self, target: Target) -> SubscriptionFacts:
        return self._give("subscription", self.subscription)

    async def locations(self, target: Target) -> tuple[str, ...]:
        return self._give("locations", self.regions)

    async def read_resource_group(self, target: Target) -> str | None:
        return self._give("group", self.group)

    async def permissions(self, target: Target, scope: str) -> Permissions:
        return self._give(f"permissions {scope}", self.allowed)

    async def read_subnet(self, target: Target, subnet_id: str) -> SubnetFacts:
        return self._give(f"subnet {subnet_id}", self.subnet)

    async def read_image(self, target: Target, image: str) -> ImageFacts:
        return self._give(f"image {image}", self.image)

    async def skus(self, target: Target) -> list[Sku]:
        return [Sku(name="Standard_DC2es_v6", family="f", resources=Resources(), tee="TDX")]

    async def list_vms(self, target: Target) -> list[Vm]:
        return self._give("vms", self.vms)


class FakeTrustee:
    """A Trustee that is well, or raises what it is told to."""

    def __init__(self) -> None:
        self.error: RemoteError | None = None

    async def health(self, url: str) -> str:
        if self.error is not None:
            raise self.error
        return "ok"


class SmallWorld:
    """Everything that checks may ask, as fakes."""

    def __init__(self) -> None:
        self.api = FakeApi()
        self.cloud = FakeCloud()
        self.trustee = FakeTrustee()
        self.world = World(api=self.api, cloud=self.cloud, trustee=self.trustee, now_ms=lambda: T0)
