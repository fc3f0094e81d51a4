"""What CAA asks ARM for: the VM's name, its user data and the whole body of the PUT.

Pure. No zones, no priority, no identity, no per-pod tag: CAA sends none, and burster has to find its VMs without them.
"""

import base64
import hashlib
import json
import re
from typing import Any, Final

from burster.lab.caa.config import CaaConfig


Json = dict[str, Any]
NAME_MAX: Final = 63
USER_DATA_MAX: Final = 64 * 1024
_PREFIX: Final = "podvm"
_SANDBOX_PART: Final = 8


class UserDataError(Exception):
    """The user data is more than ARM takes; the text is CAA's."""


def vm_name(pod_name: str, sandbox_id: str) -> str:
    """Return ``podvm-<pod>-<first 8 of the sandbox id>``, at most 63 characters: a new name for every sandbox."""
    room = NAME_MAX - len(_PREFIX) - _SANDBOX_PART - 2
    cleaned = re.sub(r"[^a-z0-9-]", "-", pod_name.lower())[:room]
    return f"{_PREFIX}-{cleaned}-{sandbox_id[:_SANDBOX_PART]}"


def user_data(namespace: str, pod_name: str, vm: str, initdata: str) -> str:
    """Return the cloud-config in base64. Raises UserDataError above 64 KiB."""
    secret = hashlib.sha256(f"lab key of {vm}".encode()).hexdigest()
    forwarder = {
        "pod-namespace": namespace,
        "pod-name": pod_name,
        "pod-network": {"podip": "", "tunnel-type": "vxlan"},
        "tls-server-key": secret,
        "tls-server-cert": vm,
        "tls-client-ca": "lab",
    }
    files: list[Json] = [{"path": "/run/peerpod/apf.json", "content": json.dumps(forwarder, sort_keys=True)}]
    if initdata:
        files.append({"path": "/run/peerpod/initdata", "content": initdata})
    text = "#cloud-config\n" + json.dumps({"write_files": files}, sort_keys=True)
    encoded = base64.b64encode(text.encode()).decode()
    if len(encoded) > USER_DATA_MAX:
        raise UserDataError("base64 encoded userData is greater than 64KB")
    return encoded


def vm_body(config: CaaConfig, *, name: str, size: str, image: str, data: str, disable_cvm: bool) -> Json:
    """Return the body of the PUT."""
    managed_disk: Json = {"storageAccountType": "Premium_LRS"}
    if not disable_cvm:
        managed_disk["securityProfile"] = {"securityEncryptionType": "VMGuestStateOnly"}
    os_disk: Json = {
        "name": f"{name}-disk",
        "createOption": "FromImage",
        "caching": "ReadWrite",
        "deleteOption": "Delete",
        "managedDisk": managed_disk,
    }
    if config.root_volume_gb:
        os_disk["diskSizeGB"] = config.root_volume_gb
    properties: Json = {
        "hardwareProfile": {"vmSize": size},
        "storageProfile": {"imageReference": _image(image), "osDisk": os_disk},
        "osProfile": {
            "computerName": name,
            "adminUsername": "peerpod",
            "linuxConfiguration": {
                "disablePasswordAuthentication": True,
                "ssh": {"publicKeys": [{"path": "/home/peerpod/.ssh/authorized_keys", "keyData": _ssh_key(name)}]},
            },
        },
        "networkProfile": {
            "networkApiVersion": "2020-11-01",
            "networkInterfaceConfigurations": [_interface(config, name)],
        },
        "diagnosticsProfile": {"bootDiagnostics": {"enabled": True}},
        "userData": data,
    }
    if not disable_cvm:
        properties["securityProfile"] = {
            "securityType": "ConfidentialVM",
            "uefiSettings": {"secureBootEnabled": config.secure_boot, "vTpmEnabled": True},
        }
    return {"location": config.region, "properties": properties, "tags": dict(config.tags)}


def _image(image: str) -> Json:
    if image.startswith("/CommunityGalleries/"):
        return {"communityGalleryImageId": image}
    return {"id": image}


def _interface(config: CaaConfig, name: str) -> Json:
    address: Json = {"subnet": {"id": config.subnet}}
    if config.public_ip:
        address["publicIPAddressConfiguration"] = {
            "name": f"{name}-ip",
            "properties": {"deleteOption": "Delete"},
        }
    properties: Json = {
        "deleteOption": "Delete",
        "ipConfigurations": [{"name": "ip-config", "properties": address}],
    }
    if config.nsg:
        properties["networkSecurityGroup"] = {"id": config.nsg}
    return {"name": f"{name}-net", "properties": properties}


def _ssh_key(name: str) -> str:
    """Return something shaped like a public key: the real one is made in memory and its private half forgotten."""
    head = b"\x00\x00\x00\x07ssh-rsa\x00\x00\x00\x03\x01\x00\x01\x00\x00\x01\x01\x00"
    tail = b"".join(hashlib.sha256(f"{name}/{part}".encode()).digest() for part in range(8))
    return f"ssh-rsa {base64.b64encode(head + tail).decode()}"
