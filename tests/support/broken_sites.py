"""Things that break what bursting needs, one by one, in a site of the lab; and how each is told and mended."""

from collections.abc import Callable
from typing import Any, NamedTuple

from burster.lab.arm.declared import Image, Role, Tokens
from burster.lab.caa.config import CONFIG_MAP, LAB_CONFIG, NAMESPACE
from burster.lab.caa.presence import DAEMON_SET
from burster.lab.site import Site


ROLES = (Role(actions=("*/read", "Microsoft.Compute/*", "Microsoft.Network/*")),)
IMAGE, SUBNET = LAB_CONFIG["AZURE_IMAGE_ID"], LAB_CONFIG["AZURE_SUBNET_ID"]
SUBSCRIPTION = LAB_CONFIG["AZURE_SUBSCRIPTION_ID"]
_DEFINITION = IMAGE.partition("/Versions/")[0]
_FAMILIES = ("standardDCEV6Family", "standardECEV6Family")

Act = Callable[[Site], None]


class Broken(NamedTuple):
    """How it is broken and mended; the check that tells it, and a part of sentence and cure; whether nothing new starts."""

    breaks: Act
    mends: Act
    check: str
    sentence: str
    cure: str
    blocks: bool = True


def set_config(site: Site, **values: str | None) -> None:
    """Edit CAA's ConfigMap, as if it had been so from the beginning: a ConfigMap that is newer than CAA is another fault."""
    kept = site.store.get("configmaps", NAMESPACE, CONFIG_MAP)
    data = {**kept["data"], **values}
    site.store.delete("configmaps", NAMESPACE, CONFIG_MAP)
    metadata = {"name": CONFIG_MAP, "namespace": NAMESPACE}
    plain = {name: value for name, value in data.items() if value is not None}
    site.store.create(
        "configmaps", NAMESPACE, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": plain}
    )
    _restart(site)


def _restart(site: Site) -> None:
    """Have CAA's pods be as young as its ConfigMap."""
    now = site.store.get("configmaps", NAMESPACE, CONFIG_MAP)["metadata"]["creationTimestamp"]
    for pod in site.store.list("pods", NAMESPACE):
        site.store.patch(
            "pods", NAMESPACE, pod["metadata"]["name"], {"status": {"startTime": now}}, subresource="status"
        )


def config(check: str, sentence: str, cure: str, **values: str) -> Broken:
    before = {name: LAB_CONFIG.get(name) for name in values}
    return Broken(
        lambda site: set_config(site, **values), lambda site: set_config(site, **before), check, sentence, cure
    )


def arm(check: str, sentence: str, cure: str, *, blocks: bool = True, **changes: Any) -> Broken:
    def mends(site: Site) -> None:
        from burster.lab.arm import ArmConfig

        fresh = ArmConfig()
        site.arm.reconfigure(**{name: ROLES if name == "roles" else getattr(fresh, name) for name in changes})

    return Broken(lambda site: site.arm.reconfigure(**changes), mends, check, sentence, cure, blocks)


def removed(
    resource: str, namespace: str, name: str, check: str, sentence: str, cure: str, *, blocks: bool = True
) -> Broken:
    kept: list[dict[str, Any]] = []

    def breaks(site: Site) -> None:
        kept.append(site.store.get(resource, namespace, name))
        site.store.delete(resource, namespace, name)

    def mends(site: Site) -> None:
        whole = kept.pop()
        plain = {key: value for key, value in whole["metadata"].items() if key in {"name", "namespace", "labels"}}
        site.store.create(resource, namespace, {**whole, "metadata": plain})
        if "status" in whole:
            site.store.patch(resource, namespace, name, {"status": whole["status"]}, subresource="status")

    return Broken(breaks, mends, check, sentence, cure, blocks)


def touched() -> Broken:
    def breaks(site: Site) -> None:
        for pod in site.store.list("pods", NAMESPACE):
            old = {"status": {"startTime": "2020-01-01T00:00:00Z"}}
            site.store.patch("pods", NAMESPACE, pod["metadata"]["name"], old, subresource="status")

    return Broken(
        breaks, _restart, "AdaptorNotRestarted", "was changed", f"kubectl rollout restart daemonset/{DAEMON_SET}"
    )


def not_ready() -> Broken:
    def ready(number: int) -> Act:
        return lambda site: (
            site.store.patch(
                "daemonsets.apps", NAMESPACE, DAEMON_SET, {"status": {"numberReady": number}}, subresource="status"
            )
            and None
        )

    return Broken(ready(0), ready(2), "AdaptorNotReady", "None of the 2 pods", "kubectl logs")


BROKEN: dict[str, Broken] = {
    "DISABLECVM": config("ConfidentialVmsDisabled", "plain ones", 'Set DISABLECVM to "false"', DISABLECVM="true"),
    "blanks between sizes": config(
        "AdaptorSizesMissing",
        "' Standard_DC4es_v6' are no VM sizes",
        "without blanks",
        AZURE_INSTANCE_SIZES="Standard_DC2es_v6, Standard_DC4es_v6",
    ),
    "another region": config("AdaptorPlaceMismatch", "AZURE_REGION is 'eastus'", "restart", AZURE_REGION="eastus"),
    "another image": config("AdaptorImageMismatch", "the target's image", "restart", AZURE_IMAGE_ID="/CommunityGalleries/x/Images/y"),
    "secure boot off": config("SecureBootOff", "ENABLE_SECURE_BOOT is false", "ENABLE_SECURE_BOOT", ENABLE_SECURE_BOOT="false"),
    "public addresses": config("PublicAddresses", "'true'", "USE_PUBLIC_IP", USE_PUBLIC_IP="true"),
    "CAA that was not restarted": touched(),
    "CAA that is down": not_ready(),
    "no DaemonSet": removed("daemonsets.apps", NAMESPACE, DAEMON_SET, "AdaptorNotReady", "no DaemonSet", "Install"),
    "no RuntimeClass": removed(
        "runtimeclasses.node.k8s.io", "", "kata-remote", "RuntimeClassMissing", "no RuntimeClass", "Install Kata"
    ),
    "a wrong credential": arm(
        "LoginFailed", "Authentication failed", "federated credential", tokens=Tokens(valid=("somebody-elses", "lab"))
    ),
    "no roles": arm("RolesMissing", "may not even read", "docs/azure.md", roles=()),
    "roles for VMs only": arm(
        "RolesMissing",
        "Microsoft.Network/networkInterfaces/read",
        "docs/azure.md",
        roles=(Role(actions=("Microsoft.Compute/*", "Microsoft.Resources/*/read")),),
    ),
    "an owner": arm("RolesTooBroad", "give itself and others any role", "Owner", blocks=False, roles=(Role(),)),
    "a subscription that does not exist": arm(
        "SubscriptionNotUsable", "There is no subscription", "azure.subscriptionId", subscriptions=("another",)
    ),
    "a disabled subscription": arm("SubscriptionNotUsable", "is Disabled", "enabled", subscription_state="Disabled"),
    "no resource group": arm("ResourceGroupMissing", "no resource group", "create the group", groups={"another": "westeurope"}),
    "no subnet": arm("SubnetFull", "There is no subnet", "Correct the subnet's id", subnets=("/subscriptions/another",)),
    "an image that can't be confidential": arm(
        "ImageNotConfidential",
        "not made for confidential VMs",
        "built for confidential VMs",
        image_facts=(Image(id=_DEFINITION, security_type="TrustedLaunch"),),
    ),
    "an image of V1": arm(
        "ImageNotConfidential", "generation V1", "built for confidential VMs", image_facts=(Image(id=_DEFINITION, generation="V1"),)
    ),
    "a clock that is far off": arm("ClockSkew", "behind the cloud's", "chrony", clock_skew_ms=900_000),
}  # fmt: skip
#: what is judged from offerings and quota, which a controller reads less often: by doctor at once
FROM_LISTS: dict[str, Broken] = {
    "an empty list of sizes": arm(
        "SizesNotOffered", "ARM lists no VM size there at all", "burster offerings", skus_empty=True
    ),
    "a quota of 0": arm(
        "QuotaMissing",
        "The quota is 0 for",
        "Request quota",
        quotas={f"westeurope/{family}": 0 for family in _FAMILIES},
    ),
    "prices below zero": arm("PriceListUnreadable", "", "price list", blocks=False, price_fault="Negative"),
    "prices that are a web page": arm("PriceListUnreadable", "", "price list", blocks=False, price_fault="Html"),
}
