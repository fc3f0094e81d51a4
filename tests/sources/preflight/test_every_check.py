"""Each check of a target: right in a world where all is well, and told with its cure when one thing is broken."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from burster.clients.arm_facts import ImageFacts, Permissions, SubnetFacts, SubscriptionFacts
from burster.model.errors import RemoteError
from burster.model.offerings import Quota, Vm
from burster.model.stimuli import OfferingsSeen, QuotaSeen
from burster.sources.preflight import BY_CODE, CHECKS, Finding, examine, examine_cluster
from tests.support.builders import an_offering
from tests.support.preflight import (
    CM,
    DS,
    NODES,
    PEER_PODS,
    PODS,
    RUNTIME_CLASS,
    WEBHOOKS,
    SmallWorld,
    a_node,
    a_peer_pod,
    the_known,
    the_target,
)


def look(
    small: SmallWorld, *, known: Any = None, tees: dict[str, str] | None = None, **target: Any
) -> dict[str, Finding]:
    tees = {"standard_dc2es_v6": "TDX"} if tees is None else tees
    found = asyncio.run(examine(the_target(**target), small.world, known or the_known(), tees=tees))
    return {one.check: one for one in found}


def look_at_cluster(small: SmallWorld, **target: Any) -> dict[str, Finding]:
    return {one.check: one for one in asyncio.run(examine_cluster(small.world, (the_target(**target),)))}


def test_where_all_is_well_every_check_says_so():
    found = look(SmallWorld()) | look_at_cluster(SmallWorld())
    assert {code: one.verdict for code, one in found.items() if one.verdict != "ok"} == {}
    assert set(found) == {check.code for check in CHECKS if check.group != "Network"}
    assert all(not one.cure for one in found.values())


def sets(**values: str) -> Callable[[SmallWorld], None]:
    return lambda small: small.api.data.update(values)


def drops(key: str) -> Callable[[SmallWorld], None]:
    return lambda small: small.api.data.pop(key)


def puts(path: str, value: Any) -> Callable[[SmallWorld], None]:
    return lambda small: small.api.objects.__setitem__(path, value)


def cloud(name: str, value: Any) -> Callable[[SmallWorld], None]:
    return lambda small: setattr(small.cloud, name, value)


def ds(**status: int) -> Callable[[SmallWorld], None]:
    return lambda small: small.api.objects[DS]["status"].update(status)


def refused(
    kind: Any = "Unauthorized", status: int = 401, message: str = "no token: AADSTS7000222 expired"
) -> RemoteError:
    return RemoteError(kind, message, status=status)


#: what is broken -> (how, which check tells it, its verdict, what its sentence says, what its cure says)
BROKEN: dict[str, tuple[Callable[[SmallWorld], None], str, str, str, str]] = {
    "no RuntimeClass": (puts(RUNTIME_CLASS, None), "RuntimeClassMissing", "problem", "no RuntimeClass kata-remote", "Install Kata"),
    "a RuntimeClass without overhead": (
        lambda small: small.api.objects[RUNTIME_CLASS].pop("overhead"),
        "RuntimeClassMissing", "warning", "without an overhead", "250m",
    ),
    "no worker": (puts(NODES, []), "NoNodeForRuntimeClass", "problem", "No node is labelled katacontainers", "Label nodes"),
    "a cordoned worker": (
        puts(NODES, [a_node(cordoned=True)]), "NoNodeForRuntimeClass", "problem", "None of the 1 node", "uncordon",
    ),
    "a worker that is not ready": (
        puts(NODES, [a_node(ready="False")]), "NoNodeForRuntimeClass", "problem", "ready and open", "uncordon",
    ),
    "no DaemonSet": (puts(DS, None), "AdaptorNotReady", "problem", "no DaemonSet", "BURSTER_PREFLIGHT__NAMESPACES"),
    "no pod of CAA ready": (ds(numberReady=0), "AdaptorNotReady", "problem", "None of the 1 pods", "kubectl logs"),
    "some pods of CAA ready": (
        ds(desiredNumberScheduled=3, numberReady=2), "AdaptorNotReady", "warning", "2 of 3 pods", "kubectl logs",
    ),
    "CAA on no node": (ds(desiredNumberScheduled=0, numberReady=0), "AdaptorNotReady", "problem", "on no node", "nodeSelector"),
    "no ConfigMap": (puts(CM, None), "AdaptorConfigMissing", "problem", "no ConfigMap peer-pods-cm", "NAMESPACES"),
    "DISABLECVM true": (sets(DISABLECVM="true"), "ConfidentialVmsDisabled", "problem", "plain ones", 'DISABLECVM to "false"'),
    "DISABLECVM T": (sets(DISABLECVM="T"), "ConfidentialVmsDisabled", "problem", "plain ones", "restart"),
    "DISABLECVM nonsense": (sets(DISABLECVM="no"), "ConfidentialVmsDisabled", "problem", "neither", "restart"),
    "another provider": (sets(CLOUD_PROVIDER="aws"), "AdaptorProviderMismatch", "problem", "'aws'", "provider"),
    "no provider": (drops("CLOUD_PROVIDER"), "AdaptorProviderMismatch", "problem", "left out", "provider"),
    "another region": (sets(AZURE_REGION="eastus"), "AdaptorPlaceMismatch", "problem", "the target's region westeurope", "restart"),
    "another group": (sets(AZURE_RESOURCE_GROUP="x"), "AdaptorPlaceMismatch", "problem", "resource group rg", "restart"),
    "another subscription": (sets(AZURE_SUBSCRIPTION_ID="x"), "AdaptorPlaceMismatch", "problem", "subscription 0000", "restart"),
    "another subnet": (sets(AZURE_SUBNET_ID="/x"), "AdaptorPlaceMismatch", "problem", "the target's subnet", "restart"),
    "another image": (sets(AZURE_IMAGE_ID="/x"), "AdaptorImageMismatch", "problem", "the target's image", "restart"),
    "no image": (drops("AZURE_IMAGE_ID"), "AdaptorImageMismatch", "problem", "does not start", "restart"),
    "a size missing": (
        sets(AZURE_INSTANCE_SIZES="Standard_DC2es_v6"), "AdaptorSizesMissing", "problem", "It refuses Standard_DC4es_v6.", "without blanks",
    ),
    "blanks between sizes": (
        sets(AZURE_INSTANCE_SIZES="Standard_DC2es_v6, Standard_DC4es_v6"),
        "AdaptorSizesMissing", "problem", "' Standard_DC4es_v6' are no VM sizes", "without blanks",
    ),
    "no list of sizes": (drops("AZURE_INSTANCE_SIZES"), "AdaptorSizesMissing", "problem", "Standard_DC4es_v6", "AZURE_INSTANCE_SIZES"),
    "secure boot off": (sets(ENABLE_SECURE_BOOT="false"), "SecureBootOff", "problem", "asked for by bank/tasks", "ENABLE_SECURE_BOOT"),
    "secure boot left out": (drops("ENABLE_SECURE_BOOT"), "SecureBootOff", "problem", "left out", "ENABLE_SECURE_BOOT"),
    "public addresses": (sets(USE_PUBLIC_IP="true"), "PublicAddresses", "problem", "'true'", "USE_PUBLIC_IP"),
    "a ConfigMap newer than CAA": (
        lambda small: small.api.objects[CM]["metadata"]["managedFields"].append({"time": "2027-01-15T09:00:00Z"}),
        "AdaptorNotRestarted", "problem", "2027-01-15T09:00:00Z",
        "kubectl rollout restart daemonset/cloud-api-adaptor-daemonset -n confidential-containers-system",
    ),
    "no pod of CAA seen": (puts(PODS, []), "AdaptorNotRestarted", "warning", "none of its pods", "restarted"),
    "no slots": (puts(NODES, [a_node(slots="0")]), "NoSlots", "problem", "No node has a slot", "PEERPODS_LIMIT_PER_NODE"),
    "slots that make no sense": (puts(NODES, [a_node(slots="-3")]), "NoSlots", "problem", "No node", "PEERPODS"),
    "all slots taken": (
        puts(PEER_PODS, [a_peer_pod(number) for number in range(10)]), "NoSlots", "warning", "All 10 slots", "add workers",
    ),
    "an expired credential": (
        cloud("subscription", refused()), "LoginFailed", "problem", "AADSTS7000222 expired", "federated credential",
    ),
    "no role at all": (
        cloud("subscription", refused(status=403, message="AuthorizationFailed")),
        "RolesMissing", "problem", "may not even read", "azure.md",
    ),
    "a subscription that does not exist": (
        cloud("subscription", refused("NotFound", 404, "SubscriptionNotFound")),
        "SubscriptionNotUsable", "problem", "There is no subscription", "subscriptionId",
    ),
    "a disabled subscription": (
        cloud("subscription", SubscriptionFacts(id="s", state="Disabled", tenant="t")),
        "SubscriptionNotUsable", "problem", "is Disabled", "enabled",
    ),
    "a subscription that was warned": (
        cloud("subscription", SubscriptionFacts(id="s", state="Warned", tenant="t")),
        "SubscriptionNotUsable", "warning", "Warned", "enabled",
    ),
    "a region that does not exist": (cloud("regions", ("eastus",)), "RegionUnknown", "problem", "no region 'westeurope'", "list-locations"),
    "no resource group": (cloud("group", None), "ResourceGroupMissing", "problem", "no resource group rg", "create"),
    "no right to read NICs": (
        cloud("allowed", Permissions(actions=("Microsoft.Compute/*",))), "RolesMissing", "problem", "networkInterfaces/read", "azure.md",
    ),
    "an owner": (cloud("allowed", Permissions(actions=("*",))), "RolesTooBroad", "warning", "give itself and others any role", "Owner"),
    "a full subnet": (cloud("subnet", SubnetFacts(id="s", addresses=11, used=11)), "SubnetFull", "problem", "All 11", "widen"),
    "a nearly full subnet": (cloud("subnet", SubnetFacts(id="s", addresses=251, used=240)), "SubnetFull", "warning", "11 of 251", "widen"),
    "no subnet": (cloud("subnet", refused("NotFound", 404, "x")), "SubnetFull", "problem", "There is no subnet", "Correct"),
    "an image that is not there": (
        cloud("image", ImageFacts(id="i", found=False)), "ImageNotConfidential", "problem", "There is no image", "gallery",
    ),
    "an image of V1": (
        cloud("image", ImageFacts(id="i", found=True, generation="V1", security_types=("ConfidentialVmSupported",))),
        "ImageNotConfidential", "problem", "generation V1", "gallery",
    ),
    "an image for trusted launch only": (
        cloud("image", ImageFacts(id="i", found=True, generation="V2", security_types=("TrustedLaunch",))),
        "ImageNotConfidential", "problem", "SecurityType is TrustedLaunch", "gallery",
    ),
    "a clock that is far off": (cloud("clock_skew_ms", 400_000), "ClockSkew", "problem", "400 s ahead of", "chrony"),
    "a clock that is somewhat off": (cloud("clock_skew_ms", -45_000), "ClockSkew", "warning", "45 s behind", "chrony"),
    "somebody else's VM": (
        cloud("vms", [Vm(name="podvm-x", size="s", region="r", created_at_ms=0,
                    provisioning_state="Succeeded", resource_id="/vm/podvm-x")]),
        "OtherClustersVms", "warning", "podvm-x", "resource group of its own",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("how", "check", "verdict", "sentence", "cure"), BROKEN.values(), ids=BROKEN)
def test_one_thing_broken_is_told_with_its_cure(how, check, verdict, sentence, cure):
    small = SmallWorld()
    how(small)
    found = look(small)
    one = found[check]
    assert (one.verdict, one.unread) == (verdict, False), one
    assert sentence in one.sentence
    assert cure in one.cure
    wrong = {code for code, each in found.items() if each.verdict in {"warning", "problem"}}
    assert check in wrong
    assert len(wrong) <= 3, f"one thing is broken, and {wrong} complain"


NOT_HAD = {
    "no sizes at all": (OfferingsSeen(target="azure", offerings=()), None, "SizesNotOffered", "problem", "is empty"),
    "none that may be used": (
        OfferingsSeen(target="azure", offerings=(an_offering(2, restricted="NotAvailableForSubscription"),)),
        None, "SizesNotOffered", "problem", "NotAvailableForSubscription",
    ),
    "another TEE": (
        OfferingsSeen(target="azure", offerings=(an_offering(2), an_offering(4, tee="SNP"))),
        None, "SizesNotOffered", "warning", "its TEE is SNP",
    ),
    "no price": (
        OfferingsSeen(target="azure", offerings=(an_offering(2, price_micro_usd_per_hour=None, price_problem="a negative price"),)),
        None, "PricesUnknown", "problem", "a negative price",
    ),
    "a price for some": (
        OfferingsSeen(target="azure", offerings=(an_offering(2, price_micro_usd_per_hour=None), an_offering(4))),
        None, "PricesUnknown", "warning", "They are not chosen",
    ),
    "old prices": (
        OfferingsSeen(target="azure", offerings=(an_offering(2, price_as_of="2026-06-18"),)),
        None, "PricesUnknown", "warning", "2026-06-18",
    ),
    "a quota of 0": (
        None, (Quota(region="westeurope", family="StandardDCEv6Family", used_vcpus=0, limit_vcpus=0),),
        "QuotaMissing", "problem", "is 0 for",
    ),
    "no cores": (
        None, (Quota(region="westeurope", family="cores", used_vcpus=0, limit_vcpus=0),), "QuotaMissing", "problem", "all cores",
    ),
    "quota that is nearly used up": (
        None, (Quota(region="westeurope", family="standardDCEV6Family", used_vcpus=95, limit_vcpus=100),),
        "QuotaMissing", "warning", "Nearly",
    ),
    "a family that nobody tells of": (None, (), "QuotaMissing", "warning", "no quota for standardDCEV6Family"),
}  # fmt: skip


@pytest.mark.parametrize(("offerings", "rows", "check", "verdict", "sentence"), NOT_HAD.values(), ids=NOT_HAD)
def test_what_can_not_be_had_is_told_from_what_was_read_already(offerings, rows, check, verdict, sentence):
    small, changes = SmallWorld(), {}
    if offerings is not None:
        changes["offerings"] = offerings
    if rows is not None:
        changes["quota"] = QuotaSeen(target="azure", rows=rows)
    one = look(small, known=the_known(**changes))[check]
    assert (one.verdict, sentence in one.sentence) == (verdict, True), one
    assert one.cure


def test_a_negotiated_or_assumed_price_will_do():
    unknown = OfferingsSeen(target="azure", offerings=(an_offering(2, price_micro_usd_per_hour=None),))
    known = the_known(offerings=unknown)
    assert look(SmallWorld(), known=known, assumed_price_micro_usd_per_hour=1)["PricesUnknown"].verdict == "warning"
    prices = {"standard_DC2ES_v6": 100}
    assert look(SmallWorld(), known=known, negotiated_micro_usd_per_hour=prices)["PricesUnknown"].verdict == "ok"


def test_what_could_not_be_read_is_unread_and_no_verdict_of_its_own():
    known = the_known(offerings=refused("Unavailable", 503, "503: later"), quota=refused("Timeout", 0, "no answer"))
    found = look(SmallWorld(), known=known)
    assert [found[code].unread for code in ("SizesNotOffered", "PricesUnknown", "QuotaMissing")] == [True] * 3


def test_the_default_sizes_tee_is_the_skus_word_and_never_guessed_from_its_name():
    assert look(SmallWorld(), tees={"standard_dc2es_v6": "SNP"})["DefaultSizeOtherTee"].verdict == "warning"
    assert look(SmallWorld(), tees={})["DefaultSizeOtherTee"].verdict == "skipped"


@pytest.mark.parametrize("kind", ["Unauthorized", "Unreachable", "Timeout", "Throttled", "Protocol"])
def test_a_cluster_that_does_not_answer_is_told_check_by_check(kind):
    small = SmallWorld()
    for path in (CM, DS, RUNTIME_CLASS, WEBHOOKS, PEER_PODS):
        small.api.objects[path] = RemoteError(kind, f"GET {path}: no", status=403 if kind == "Unauthorized" else 0)
    found = look(small) | look_at_cluster(small)
    unread = {code for code, one in found.items() if one.unread}
    assert unread >= {"RuntimeClassMissing", "AdaptorConfigMissing", "AdaptorNotReady", "PeerPodsNotInstalled"}
    assert ("WebhookMissing" in unread) is (kind != "Unauthorized"), "burster needs no right to see it"
    assert all(found[code].cure for code in unread if found[code].verdict != "skipped")
    assert found["ConfidentialVmsDisabled"].verdict == "skipped"


def test_a_cloud_that_does_not_answer_is_asked_once():
    small = SmallWorld()
    small.cloud.subscription = refused("Unreachable", 0, "ARM can't be reached")
    found = look(small)
    assert found["LoginFailed"].unread
    assert small.cloud.asked == ["subscription"]
    assert found["ImageNotConfidential"].unread, "an image of which nobody knows is none to start from"
    assert found["RolesMissing"].unread


def test_answers_that_make_no_sense_are_told_as_such():
    small = SmallWorld()
    small.api.objects[CM] = b"<html>proxy</html>"
    one = look(small)["AdaptorConfigMissing"]
    assert one.unread
    assert "in between" in one.cure


def test_without_a_cloud_its_checks_are_skipped_and_say_why():
    small = SmallWorld()
    world = msgspec.structs.replace(small.world, cloud=None, trustee=None, offline="--offline was given.")
    found = asyncio.run(examine(the_target(), world, the_known()))
    skipped = [one for one in found if one.verdict == "skipped"]
    assert {BY_CODE[one.check].group for one in skipped} == {"Cloud", "Trustee"}
    assert all("--offline" in one.sentence for one in skipped)


def test_a_target_on_prem_is_about_its_nodes_only():
    small = SmallWorld()
    small.api.objects["/apis/node.k8s.io/v1/runtimeclasses/kata-cc"] = {
        "metadata": {"name": "kata-cc"},
        "handler": "kata-cc",
    }
    small.api.objects[NODES][0]["metadata"]["labels"]["tdx"] = "yes"
    found = look(small, provider="onprem", runtime_class="kata-cc", node_selector={"tdx": "yes"})
    assert set(found) == {"RuntimeClassMissing", "NoNodeForRuntimeClass", "TrusteeUnreachable"}
    assert found["NoNodeForRuntimeClass"].verdict == "ok"
    small.api.objects[NODES] = [a_node()]
    lacking = look(small, provider="onprem", runtime_class="kata-cc", node_selector={"tdx": "yes"})[
        "NoNodeForRuntimeClass"
    ]
    assert lacking.sentence == "No node is labelled tdx=yes. The target's nodeSelector is part of that."


def test_the_second_place_is_looked_at_where_the_first_has_nothing():
    small = SmallWorld()
    other = "openshift-sandboxed-containers-operator"
    for path in (CM, DS):
        moved = path.replace("confidential-containers-system", other).replace(
            "cloud-api-adaptor-daemonset", "osc-caa-ds"
        )
        small.api.objects[moved] = small.api.objects.pop(path)
        small.api.objects[moved]["metadata"]["namespace"] = other
    small.api.objects[PODS.replace("confidential-containers-system", other)] = small.api.objects.pop(PODS)
    found = look(small)
    assert found["AdaptorConfigMissing"].sentence == f"{other}/peer-pods-cm."
    assert found["AdaptorNotRestarted"].verdict == "ok"


def another_installation(small: SmallWorld, **data: str) -> None:
    other = CM.replace("confidential-containers-system", "openshift-sandboxed-containers-operator")
    kept = small.api.objects[CM]
    metadata = kept["metadata"] | {"namespace": "openshift-sandboxed-containers-operator"}
    small.api.objects[other] = {"metadata": metadata, "data": kept["data"] | data}


def test_of_several_installations_the_targets_own_is_looked_at():
    small = SmallWorld()
    another_installation(small, AZURE_REGION="eastus", AZURE_RESOURCE_GROUP="far", DISABLECVM="true")
    assert look(small)["ConfidentialVmsDisabled"].verdict == "ok"
    found = look(small, region="eastus", resource_group="far")
    assert found["AdaptorConfigMissing"].sentence == "openshift-sandboxed-containers-operator/peer-pods-cm."
    assert found["ConfidentialVmsDisabled"].verdict == "problem"


def test_another_cloud_is_checked_where_its_installation_is_seen_and_else_it_is_told():
    small = SmallWorld()
    told = look(small, provider="aws")
    assert told["AdaptorConfigMissing"].verdict == "warning"
    assert "No cloud-api-adaptor for aws is seen" in told["AdaptorConfigMissing"].sentence
    assert told["ConfidentialVmsDisabled"].verdict == "skipped"
    another_installation(small, CLOUD_PROVIDER="aws", DISABLECVM="true")
    assert look(small, provider="aws")["ConfidentialVmsDisabled"].verdict == "problem"
    assert look(small)["AdaptorProviderMismatch"].verdict == "ok"


def test_a_machine_and_a_sweep_that_deletes_need_more_than_reading():
    small = SmallWorld()
    assert "virtualMachines/delete (for sweep.mode: Delete)" in look(small, sweep="Delete")["RolesMissing"].sentence
    one = look(small, known=the_known(machines_by=("bank/vms",)))["RolesMissing"]
    assert (one.verdict, "virtualMachines/write (for strategy Machine)" in one.sentence) == ("problem", True)


def test_a_trustee_that_does_not_answer_is_told_with_who_waits_for_it():
    small = SmallWorld()
    small.trustee.error = RemoteError("Protocol", "its certificate does not hold", code="Certificate")
    one = look(small, known=the_known(attested_by=("bank/tasks",)))["TrusteeUnreachable"]
    assert one.verdict == "problem"
    assert "bank/tasks wait until it answers" in one.sentence
    assert "BURSTER_PREFLIGHT__CA_FILE" in one.cure


# --- the whole cluster -------------------------------------------------------------------------------------------------


def test_kinds_of_another_version_are_told_by_the_fields_they_lack():
    small = SmallWorld()
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/bursttargets.burster.dev"
    schema = small.api.objects[path]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"][
        "properties"
    ]
    del schema["trustee"]
    one = look_at_cluster(small)["CrdsOutdated"]
    assert (one.verdict, "BurstTarget .spec.trustee" in one.sentence) == ("problem", True)
    schema |= {"trustee": {"type": "object", "properties": {"url": {"type": "string"}}}, "later": {"type": "string"}}
    assert look_at_cluster(small)["CrdsOutdated"].verdict == "warning"
    del small.api.objects[path]
    assert "Not installed: bursttargets.burster.dev." in look_at_cluster(small)["CrdsOutdated"].sentence


def test_a_right_that_is_missing_is_named_and_asked_about_whom():
    small = SmallWorld()
    small.world = msgspec.structs.replace(small.world, account="system:serviceaccount:burster-system:burster")
    small.api.denied = {("watch", "nodes")}
    one = look_at_cluster(small)["RightsMissing"]
    assert (one.verdict, "may not watch nodes" in one.sentence) == ("problem", True)
    assert {review["kind"] for review in small.api.reviewed} == {"SubjectAccessReview"}
    assert small.api.reviewed[0]["spec"]["user"] == "system:serviceaccount:burster-system:burster"


def test_who_may_not_ask_about_others_is_told_so():
    small = SmallWorld()
    small.world = msgspec.structs.replace(small.world, account="system:serviceaccount:burster-system:burster")
    small.api.objects["/apis/authorization.k8s.io/v1/subjectaccessreviews"] = refused(status=403)
    assert look_at_cluster(small)["RightsMissing"].verdict == "skipped"


def test_a_controller_asks_about_itself_and_a_dry_run_about_reading_only():
    small = SmallWorld()
    small.world = msgspec.structs.replace(small.world, dry_run=True)
    look_at_cluster(small)
    assert {review["kind"] for review in small.api.reviewed} == {"SelfSubjectAccessReview"}
    assert {review["spec"]["resourceAttributes"]["verb"] for review in small.api.reviewed} <= {"get", "list", "watch"}


def test_a_namespace_that_has_not_opted_in_is_told_by_what_it_lacks():
    small = SmallWorld()
    labelled = {"required_namespace_labels": {"burst": "no"}}
    assert "bank (label burst=no is missing)" in look_at_cluster(small, **labelled)["NamespacesNotOptedIn"].sentence
    small.api.denied = {("create", "bursts")}
    assert "bank (burster may not create bursts.burster.dev)" in look_at_cluster(small)["NamespacesNotOptedIn"].sentence
    absent = look_at_cluster(small, allowed_namespaces=("nowhere",))["NamespacesNotOptedIn"]
    assert (absent.verdict, "Not there yet: nowhere" in absent.sentence) == ("ok", True)
    assert look_at_cluster(small, allowed_namespaces=("*",))["NamespacesNotOptedIn"].verdict == "skipped"


# --- the catalogue -----------------------------------------------------------------------------------------------------


def test_every_check_says_what_it_asks_why_and_how_it_is_mended():
    assert len(BY_CODE) == len(CHECKS)
    for check in CHECKS:
        assert check.code[0].isupper()
        assert check.code.isalpha()
        assert check.title[0].islower() or check.title[0].isupper()
        for text in (check.asks, check.why, check.cure):
            assert text.rstrip().endswith((".", "?")), (check.code, text)


def test_what_decides_about_confidentiality_fails_closed():
    closing = {check.code for check in CHECKS if check.closes}
    assert closing >= {
        "AdaptorConfigMissing",
        "ConfidentialVmsDisabled",
        "AdaptorImageMismatch",
        "ImageNotConfidential",
    }
    assert all(check.blocks for check in CHECKS if check.closes)
