"""What a policy may say of machines and a target may lend them: each mistake at its place, in one sentence that says what to do."""

import copy

import pytest
import yaml

from burster.policy.compile import compile_documents
from burster.policy.errors import PolicyErrors
from burster.policy.load import load_text


IMAGE = "RedHat:rhel-cvm:9_6_cvm:9.6.2026011512"
SUBNET = "/subscriptions/s/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/v/subnets/machines"
POLICY = {
    "apiVersion": "burster.dev/v1alpha1",
    "kind": "BurstPolicy",
    "metadata": {"name": "settlement", "namespace": "legacy"},
    "spec": {
        "workload": {"ownerRef": {"kind": "VirtualMachineInstance", "name": "settlement"}},
        "placement": {"strategy": "Machine", "targets": ["azure"], "spot": "Prefer"},
        "machine": {
            "requests": {"cpu": "4", "memory": "16Gi"},
            "image": IMAGE,
            "userData": {"configMap": "settlement"},
            "service": {"name": "settlement", "port": 8443},
            "osDiskGiB": 64,
        },
    },
}
TARGET = {
    "apiVersion": "burster.dev/v1alpha1",
    "kind": "BurstTarget",
    "metadata": {"name": "azure"},
    "spec": {
        "azure": {
            "subscriptionId": "00000000-0000-0000-0000-000000000001",
            "resourceGroup": "rg",
            "region": "westeurope",
        },
        "sizes": ["Standard_DC4es_v6"],
        "allowedNamespaces": ["legacy"],
        "trustee": {"url": "https://trustee.example"},
        "machines": {"images": [IMAGE], "subnet": SUBNET, "zones": ["1", "3"]},
    },
}


def compiled(*objects):
    return compile_documents(load_text(yaml.safe_dump_all(objects), source="rules.yaml"))


def changed(base, path, value):
    """Return an object with one field set, or taken away where the value is None."""
    made = copy.deepcopy(base)
    *way, last = path.split(".")
    at = made["spec"]
    for step in way:
        at = at.setdefault(step, {})
    if value is None:
        at.pop(last)
    else:
        at[last] = value
    return made


def told(*objects):
    with pytest.raises(PolicyErrors) as raised:
        compiled(*objects)
    return [(problem.path, problem.message) for problem in raised.value.problems]


def test_all_of_it_is_compiled():
    rules = compiled(POLICY, TARGET)
    machine = rules.policies[0].machine
    assert machine is not None
    assert (machine.requests.cpu_millicores, machine.requests.memory_bytes) == (4_000, 16 << 30)
    assert (machine.image, machine.config_map, machine.key) == (IMAGE, "settlement", "user-data")
    assert (machine.service, machine.port, machine.os_disk_gib) == ("settlement", 8443, 64)
    assert machine.encryption == "VMGuestStateOnly"
    lent = rules.targets[0].machines
    assert lent is not None
    assert (lent.images, lent.subnet, lent.zones) == ((IMAGE,), SUBNET, ("1", "3"))
    assert rules.policies[0].numeric


@pytest.mark.parametrize(
    ("path", "value", "where", "says"),
    [
        ("machine", None, "spec.machine", "is required by strategy Machine"),
        ("placement.strategy", "Clone", "spec.machine", "is for strategy Machine only"),
        ("scaleTargetRef", {"name": "web"}, "spec.scaleTargetRef", "which starts its own: remove it"),
        ("wait.mode", "BuyOrWait", "spec.wait.mode", "for no pod in particular"),
        ("confidential.initdata", {"configMap": "a"}, "spec.confidential.initdata", "machine.userData"),
        ("confidential.images", {"digestOnly": True}, "spec.confidential.images", "machine.image"),
        ("confidential.secrets", {"mode": "Sealed"}, "spec.confidential.secrets", "mounts no Secret"),
        ("placement.spread", {"by": "zone"}, "spec.placement.spread.by", "machines.zones by themselves"),
        ("machine.image", "RedHat:rhel:9:latest", "spec.machine.image", "latest is no version"),
        ("machine.image", "rhel-9.6", "spec.machine.image", "is no image of a machine"),
        ("machine.requests.cpu", "many", "spec.machine.requests.cpu", "many"),
        ("machine.service.port", 70_000, "spec.machine.service.port", "65535"),
        ("machine.service.name", "Settlement", "spec.machine.service.name", "Settlement"),
        ("machine.encryption", "None", "spec.machine.encryption", "VMGuestStateOnly"),
        ("machine.osDiskGiB", 0, "spec.machine.osDiskGiB", "1"),
        ("machine.userDatas", {}, "spec.machine.userDatas", "did you mean userData?"),
    ],
)
def test_what_a_policy_can_not_say(path, value, where, says):
    found = told(changed(POLICY, path, value))
    assert any(at == where and says in message for at, message in found), found


def test_a_whole_disk_is_encrypted_for_a_machine_with_secure_boot_only():
    policy = changed(
        changed(POLICY, "machine.encryption", "DiskWithVMGuestState"), "confidential.secureBoot", value=False
    )
    assert told(policy)[0][0] == "spec.machine.encryption"


@pytest.mark.parametrize(
    ("path", "value", "where", "says"),
    [
        ("machines.images", [], "spec.machines.images", "1"),
        ("machines.images", [IMAGE, IMAGE], "spec.machines.images", "twice"),
        ("machines.images", ["a:b:c:latest"], "spec.machines.images[0]", "latest is no version"),
        ("machines.subnet", "machines", "spec.machines.subnet", "a subnet's resource id"),
        ("machines.subnet", None, "spec.machines.subnet", "required"),
        ("machines.zones", ["west"], "spec.machines.zones[0]", "a zone's number"),
        ("machines.networkSecurityGroup", SUBNET, "spec.machines.networkSecurityGroup", "security group"),
        ("machines.diskEncryptionSet", SUBNET, "spec.machines.diskEncryptionSet", "disk encryption set"),
    ],
)
def test_what_a_target_can_not_lend(path, value, where, says):
    found = told(changed(TARGET, path, value))
    assert any(at == where and says in message for at, message in found), found


def test_only_azure_makes_machines():
    target = changed(changed(TARGET, "azure", None), "provider", "onprem")
    target["spec"] |= {
        "region": "dc-1",
        "catalogue": [{"size": "Standard_DC4es_v6", "cpu": "4", "memory": "16Gi", "tee": "TDX"}],
    }
    assert any(at == "spec.machines" and "on azure only" in message for at, message in told(target))


@pytest.mark.parametrize(
    ("machines", "where", "says"),
    [
        (None, "spec.placement.targets[0]", "takes no machines"),
        (
            {"images": ["a:b:c:1.0.0"], "subnet": SUBNET},
            "spec.machine.image",
            "does not allow this image; it has a:b:c:1.0.0",
        ),
    ],
)
def test_what_policy_and_target_contradict_each_other_in(machines, where, says):
    found = told(POLICY, changed(TARGET, "machines", machines))
    assert any(at == where and says in message for at, message in found), found


@pytest.mark.parametrize(
    "image",
    [
        IMAGE,
        "/CommunityGalleries/cosign-1/Images/cvm/Versions/1.2.3",
        "/SharedGalleries/g/Images/i/Versions/1.2.3",
        "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Compute/galleries/g/images/i/versions/1.2.3",
    ],
)
def test_images_of_every_source_are_taken_in_one_version(image):
    assert compiled(changed(POLICY, "machine.image", image)).policies[0].machine.image == image
