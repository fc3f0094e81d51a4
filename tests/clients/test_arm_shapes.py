"""Shapes as Azure's REST specifications document them, read field by field."""

import msgspec
import pytest

from burster.clients.arm.operations import read_operation
from burster.clients.arm.wire import read_image, read_location, read_names, read_resource, read_role, read_subscription
from burster.clients.arm_facts import Permissions, SubscriptionFacts
from burster.clients.arm_wire import read_nic, read_vm, with_network


GROUP = "/subscriptions/sub/resourceGroups/rg/providers"
VM_ID = f"{GROUP}/Microsoft.Compute/virtualMachines/vm1"
VM = {
    "name": "vm1",
    "id": VM_ID,
    "type": "Microsoft.Compute/virtualMachines",
    "location": "East US",
    "zones": ["2"],
    "etag": '"1"',
    "properties": {
        "vmId": "0f47b100-583c-48e3-a4c0-aefc2c9bbcc1",
        "hardwareProfile": {"vmSize": "Standard_DC2es_v6"},
        "priority": "Spot",
        "evictionPolicy": "Deallocate",
        "billingProfile": {"maxPrice": -1},
        "provisioningState": "Failed",
        "timeCreated": "2026-04-12T10:00:00.1234567+00:00",
        "networkProfile": {"networkInterfaces": [{"id": f"{GROUP}/Microsoft.Network/networkInterfaces/n"}]},
        "instanceView": {
            "vmAgent": {"vmAgentVersion": "Unknown", "statuses": [{"code": "ProvisioningState/Unavailable", "level": "Warning"}]},
            "statuses": [
                {
                    "code": "ProvisioningState/failed/AllocationFailed",
                    "level": "Error",
                    "displayStatus": "Provisioning failed",
                    "message": "Allocation failed.",
                    "time": "2026-04-12T10:01:00+00:00",
                },
                {"code": "PowerState/deallocated", "level": "Info", "displayStatus": "VM deallocated"},
            ],
        },
    },
}  # fmt: skip
NIC = {
    "name": "n",
    "id": f"{GROUP}/Microsoft.Network/networkInterfaces/n",
    "location": "eastus",
    "properties": {
        "provisioningState": "Succeeded",
        "ipConfigurations": [
            {"name": "b", "properties": {"privateIPAddress": "172.20.2.16/28", "privateIPAddressPrefixLength": 28, "primary": False}},
            {"name": "c", "properties": {"privateIPAddress": "172.20.2.9", "primary": False}},
            {"name": "a", "properties": {"privateIPAddress": "172.20.2.4", "primary": True, "subnet": {"id": "/subnets/pods"}}},
        ],
        "virtualMachine": {"id": VM_ID},
    },
}  # fmt: skip


def raw(value):
    return msgspec.json.encode(value)


def test_a_vm_with_its_instance_view():
    vm, nic = read_vm(raw(VM))
    assert (vm.zone, vm.spot, vm.vm_id) == ("2", True, "0f47b100-583c-48e3-a4c0-aefc2c9bbcc1")
    assert (vm.provisioning_state, vm.power_state) == ("Failed", "deallocated")
    assert (vm.failure_code, vm.failure_message) == ("AllocationFailed", "Allocation failed.")
    assert nic == NIC["id"]


@pytest.mark.parametrize(
    ("changes", "want"),
    [
        ({"zones": None}, ("zone", "")),
        ({"zones": []}, ("zone", "")),
        ({"properties": {}}, ("spot", False)),
        ({"properties": {"priority": "Regular"}}, ("spot", False)),
        ({"properties": {"instanceView": {}}}, ("power_state", "")),
        (
            {"properties": {"instanceView": {"statuses": [{}, {"code": "PowerState"}, {"code": "x"}]}}},
            ("power_state", ""),
        ),
        ({"properties": {"instanceView": {"statuses": [{"code": "ProvisioningState/failed"}]}}}, ("failure_code", "")),
    ],
)
def test_what_a_vm_does_not_tell_is_not_made_up(changes, want):
    vm, _ = read_vm(raw({**VM, **changes}))
    assert getattr(vm, want[0]) == want[1]


def test_the_address_of_a_machine_is_the_primary_one_of_its_interface():
    vm = with_network(read_vm(raw(VM))[0], read_nic(raw(NIC)))
    assert (vm.private_address, vm.subnet, vm.public_ip) == ("172.20.2.4", "/subnets/pods", False)


@pytest.mark.parametrize(
    ("kind", "properties", "outside", "holder"),
    [
        ("Nic", {"virtualMachine": {"id": VM_ID}}, {}, VM_ID),
        ("Nic", {"privateEndpoint": {"id": "/pe"}}, {}, "/pe"),
        ("Nic", {"virtualMachine": None}, {}, ""),
        ("PublicIp", {"ipConfiguration": {"id": "/nic/ipConfigurations/a"}}, {}, "/nic/ipConfigurations/a"),
        ("PublicIp", {"natGateway": {"id": "/nat"}}, {}, "/nat"),
        ("PublicIp", {}, {}, ""),
        ("Disk", {"diskState": "Attached"}, {"managedBy": VM_ID}, VM_ID),
        ("Disk", {"diskState": "Unattached"}, {}, ""),
        ("Disk", {"diskState": "ActiveSAS"}, {}, "(ActiveSAS)"),
    ],
)
def test_what_holds_a_resource(kind, properties, outside, holder):
    told = {"id": "/x", "name": "x", "location": "eastus", "properties": properties, **outside}
    assert read_resource(raw(told), kind).attached_to == holder


@pytest.mark.parametrize(
    ("features", "want"),
    [
        (None, ()),
        ([], ()),
        ([{"name": "IsAcceleratedNetworkSupported", "value": "True"}], ()),
        ([{"name": "SecurityType", "value": "TrustedLaunchAndConfidentialVmSupported"}], ("TrustedLaunchAndConfidentialVmSupported",)),
        ([{"name": "securitytype", "value": "TrustedLaunch, ConfidentialVM"}], ("TrustedLaunch", "ConfidentialVM")),
    ],
)  # fmt: skip
def test_what_an_image_is_made_for(features, want):
    facts = read_image(
        raw({"properties": {"hyperVGeneration": "v2", "architecture": "x64", "features": features}}), "i"
    )
    assert (facts.generation, facts.security_types, facts.architecture) == ("V2", want, "x64")


def test_the_small_ones():
    assert read_names(raw([{"name": "9.6.1", "location": "eastus", "id": "/x"}])) == ["9.6.1"]
    physical = {"name": "eastus", "displayName": "East US", "metadata": {"regionType": "Physical"}}
    assert read_location(raw(physical)) == "eastus"
    assert read_location(raw({"name": "unitedstates", "metadata": {"regionType": "Logical"}})) is None
    role = {
        "actions": ["*"],
        "notActions": ["Microsoft.Authorization/*/Write"],
        "dataActions": [],
        "notDataActions": [],
    }
    assert read_role(raw(role)) == Permissions(actions=("*",), not_actions=("Microsoft.Authorization/*/Write",))
    subscription = {
        "id": "/subscriptions/s",
        "subscriptionId": "s",
        "tenantId": "t",
        "displayName": "d",
        "state": "Enabled",
    }
    assert read_subscription(raw(subscription)) == SubscriptionFacts(id="s", state="Enabled", tenant="t")


@pytest.mark.parametrize(
    ("in_words", "status", "answer", "want"),
    [
        (True, 200, {"startTime": "x", "status": "InProgress", "name": "n"}, "InProgress"),
        (True, 200, {"status": "Succeeded", "properties": {"output": VM}}, "Succeeded"),
        (True, 200, {"status": "Canceled"}, "Canceled"),
        (True, 200, {"status": "Failed", "error": {"code": "AllocationFailed", "message": "m"}}, "Failed"),
        (True, 404, {"error": {"code": "NotFound", "message": "m"}}, "Forgotten"),
        (True, 410, {}, "Forgotten"),
        (False, 202, None, "InProgress"),
        (False, 200, VM, "Succeeded"),
        (False, 204, None, "Succeeded"),
        # some resources' Location leads to the operation's own status
        (False, 200, {"status": "Failed", "error": {"code": "ExecutionFailure", "message": "m"}}, "Failed"),
        (False, 200, {"status": "InProgress"}, "InProgress"),
    ],
)
def test_one_look_at_an_operation(in_words, status, answer, want):
    body = b"" if answer is None else raw(answer)
    state = read_operation(in_words=in_words, status=status, body=body, retry_after_ms=None)
    assert state.state == want
    assert (state.failure is not None) == (want in {"Failed", "Canceled"})
