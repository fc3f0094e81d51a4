"""What ARM is asked for."""

import base64
import json

import pytest

from burster.lab.caa.body import UserDataError, user_data, vm_body, vm_name
from burster.lab.caa.config import LAB_CONFIG, ConfigError, read_config


SANDBOX = "0123456789abcdef" * 4


def _body(disable_cvm=False, image="", **config):
    read = read_config({**LAB_CONFIG, **config})
    data = user_data("ns", "pod", "podvm-pod-01234567", "")
    return vm_body(
        read,
        name="podvm-pod-01234567",
        size="Standard_DC2es_v6",
        image=image or read.image,
        data=data,
        disable_cvm=disable_cvm,
    )


@pytest.mark.parametrize(
    ("pod", "want"),
    [
        pytest.param("web", "podvm-web-01234567", id="plain"),
        pytest.param("Web.Server_1", "podvm-web-server-1-01234567", id="other characters become dashes"),
        pytest.param("x" * 100, f"podvm-{'x' * 48}-01234567", id="cut to 48, 63 in all"),
    ],
)
def test_the_name_rule(pod, want):
    assert vm_name(pod, SANDBOX) == want
    assert len(want) <= 63


def test_a_confidential_vm_in_full():
    properties = _body()["properties"]
    assert properties["securityProfile"] == {
        "securityType": "ConfidentialVM",
        "uefiSettings": {"secureBootEnabled": True, "vTpmEnabled": True},
    }
    disk = properties["storageProfile"]["osDisk"]
    assert disk["managedDisk"] == {
        "storageAccountType": "Premium_LRS",
        "securityProfile": {"securityEncryptionType": "VMGuestStateOnly"},
    }
    assert (disk["name"], disk["deleteOption"], disk["createOption"]) == (
        "podvm-pod-01234567-disk",
        "Delete",
        "FromImage",
    )
    (interface,) = properties["networkProfile"]["networkInterfaceConfigurations"]
    assert interface["name"] == "podvm-pod-01234567-net"
    assert interface["properties"]["deleteOption"] == "Delete"
    assert not {"priority", "zones", "identity"} & {*properties, *_body()}


def test_disablecvm_gives_a_plain_vm_without_a_word():
    properties = _body(disable_cvm=True)["properties"]
    assert "securityProfile" not in properties
    assert "securityProfile" not in properties["storageProfile"]["osDisk"]["managedDisk"]


@pytest.mark.parametrize(
    ("config", "path", "want"),
    [
        pytest.param({"TAGS": "a=1,b=2"}, ("tags",), {"a": "1", "b": "2"}, id="tags"),
        pytest.param(
            {"ROOT_VOLUME_SIZE": "20"}, ("properties", "storageProfile", "osDisk", "diskSizeGB"), 20, id="disk"
        ),
        pytest.param(
            {
                "AZURE_IMAGE_ID": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/galleries/x/images/y/versions/1"
            },
            ("properties", "storageProfile", "imageReference"),
            {"id": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/galleries/x/images/y/versions/1"},
            id="own gallery",
        ),
        pytest.param(
            {"ENABLE_SECURE_BOOT": "false"},
            ("properties", "securityProfile", "uefiSettings", "secureBootEnabled"),
            False,
            id="no secure boot",
        ),
    ],
)
def test_what_the_configuration_adds(config, path, want):
    found = _body(**config)
    for key in path:
        found = found[key]
    assert found == want


def test_a_public_address_and_a_security_group_only_where_asked_for():
    def interface(**config):
        return _body(**config)["properties"]["networkProfile"]["networkInterfaceConfigurations"][0]["properties"]

    assert "publicIPAddressConfiguration" not in str(interface())
    asked = interface(USE_PUBLIC_IP="true", AZURE_NSG_ID="/nsg")
    assert asked["networkSecurityGroup"] == {"id": "/nsg"}
    assert (
        asked["ipConfigurations"][0]["properties"]["publicIPAddressConfiguration"]["properties"]["deleteOption"]
        == "Delete"
    )


def test_user_data_carries_the_pod_and_initdata_and_has_a_limit():
    text = base64.b64decode(user_data("ns", "pod", "vm", "SGVsbG8=")).decode()
    files = json.loads(text.removeprefix("#cloud-config\n"))["write_files"]
    assert json.loads(files[0]["content"])["pod-name"] == "pod"
    assert files[1] == {"path": "/run/peerpod/initdata", "content": "SGVsbG8="}
    with pytest.raises(UserDataError, match="greater than 64KB"):
        user_data("ns", "pod", "vm", "x" * 50_000)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        pytest.param({"AZURE_IMAGE_ID": ""}, "AZURE_IMAGE_ID is empty", id="no image"),
        pytest.param({"PROXY_TIMEOUT": "soon"}, "PROXY_TIMEOUT 'soon' is no duration", id="no duration"),
    ],
)
def test_a_configuration_caa_cannot_start_with(change, text):
    with pytest.raises(ConfigError, match=text):
        read_config({**LAB_CONFIG, **change})


def test_defaults_are_the_real_ones():
    bare = {key: value for key, value in LAB_CONFIG.items() if key.startswith("AZURE") and "SIZE" not in key}
    config = read_config(bare)
    assert (config.default_size, config.sizes, config.limit_per_node) == ("Standard_DC2as_v5", (), 10)
    assert (config.secure_boot, config.disable_cvm, config.proxy_timeout_ms) == (False, False, 300_000)
    assert read_config({**LAB_CONFIG, "AZURE_INSTANCE_SIZES": "A, B"}).sizes == ("A", " B")
