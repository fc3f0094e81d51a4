"""How the stand-in's resources look on the wire: pure functions from records to ARM's JSON."""

from datetime import UTC, datetime
from typing import Any, Final

from burster.lab.arm.availability import barred_zones, restriction_of, zones_of
from burster.lab.arm.catalogue import REGIONS, Size
from burster.lab.arm.config import ArmConfig
from burster.lab.arm.quotas import UsageRow
from burster.lab.arm.resources import Attachment, Operation, VmRecord


Json = dict[str, Any]
#: parts of a body that are told as they were asked for
#: a disk's word for what a VM's body calls its securityEncryptionType
_DISK_TYPES: Final = {
    "VMGuestStateOnly": "ConfidentialVM_VMGuestStateOnlyEncryptedWithPlatformKey",
    "DiskWithVMGuestState": "ConfidentialVM_DiskEncryptedWithPlatformKey",
    "DiskWithVMGuestState/customer": "ConfidentialVM_DiskEncryptedWithCustomerKey",
}
_TITLES: Final = {"Succeeded": "Provisioning succeeded", "Failed": "Provisioning failed"}
_REPEATED: Final = (
    "securityProfile",
    "diagnosticsProfile",
    "priority",
    "evictionPolicy",
    "billingProfile",
    "scheduledEventsProfile",
)


def timestamp(at_ms: int) -> str:
    """Return a moment as ARM writes it."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def vm_view(vm: VmRecord, config: ArmConfig, expand: str = "") -> Json:
    """Return a VM. User data is told only to those who ask for it, secrets never."""
    storage = dict(vm.properties["storageProfile"])
    disk = dict(storage["osDisk"])
    if vm.disk is not None:
        disk["name"] = vm.disk.name
        disk["managedDisk"] = {**disk.get("managedDisk", {}), "id": vm.disk.id}
    disk.setdefault("osType", "Linux")
    network: Json = {
        "networkInterfaces": [
            {"id": nic.id, "properties": {"primary": True, "deleteOption": _delete_option(nic)}} for nic in vm.nics
        ]
    }
    if config.show_network_configurations:
        asked = vm.properties["networkProfile"]
        network |= {key: asked[key] for key in ("networkApiVersion", "networkInterfaceConfigurations") if key in asked}
    properties: Json = {
        "vmId": vm.uid,
        "provisioningState": vm.state,
        "timeCreated": timestamp(vm.created_at_ms),
        "hardwareProfile": {"vmSize": vm.size.name},
        "storageProfile": {**storage, "osDisk": disk},
        "networkProfile": network,
    }
    for name in _REPEATED:
        if name in vm.properties:
            properties[name] = vm.properties[name]
    if "osProfile" in vm.properties:
        asked = vm.properties["osProfile"]
        hidden = {"adminPassword", "customData"}
        properties["osProfile"] = {key: value for key, value in asked.items() if key not in hidden}
    if expand.casefold() == "userdata":
        properties["userData"] = vm.user_data
    if expand.casefold() == "instanceview":
        properties["instanceView"] = instance_view(vm)
    view: Json = {
        "id": vm.id,
        "name": vm.name,
        "type": "Microsoft.Compute/virtualMachines",
        "location": vm.region,
        "properties": properties,
    }
    if vm.tags:
        view["tags"] = vm.tags
    if vm.zones:
        view["zones"] = list(vm.zones)
    return view


def instance_view(vm: VmRecord) -> Json:
    """Return what a VM does now, apart from what it was asked to be."""
    view: Json = {
        "hyperVGeneration": "V2",
        "disks": [
            {"name": vm.disk.name, "statuses": [_status("ProvisioningState/succeeded", "Provisioning succeeded")]}
        ]
        if vm.disk
        else [],
        "statuses": _statuses(vm),
    }
    if vm.allocated:
        view["computerName"] = vm.name
    return view


def _status(code: str, title: str) -> Json:
    return {"code": code, "level": "Info", "displayStatus": title}


def _statuses(vm: VmRecord) -> list[Json]:
    code = f"ProvisioningState/{vm.state.lower()}" + (f"/{vm.failure}" if vm.failure else "")
    first: Json = {
        "code": code,
        "level": "Error" if vm.failure else "Info",
        "displayStatus": _TITLES.get(vm.state, vm.state),
    }
    if vm.failure:
        first["message"] = vm.operation.message
    statuses: list[Json] = [first]
    if vm.power:
        statuses.append(_status(f"PowerState/{vm.power}", f"VM {vm.power}"))
    return statuses


def _delete_option(found: Attachment) -> str:
    return "Delete" if found.delete_with_vm else "Detach"


def operation_view(operation: Operation) -> Json:
    """Return a long-running operation's state."""
    view: Json = {
        "startTime": timestamp(operation.started_at_ms),
        "status": operation.status,
        "name": operation.id,
    }
    if operation.ended_at_ms is not None:
        view["endTime"] = timestamp(operation.ended_at_ms)
    if operation.code:
        view["error"] = {"code": operation.code, "message": operation.message}
    return view


def attachment_view(found: Attachment) -> Json:
    """Return a disk, network interface or public address."""
    properties: Json = {"provisioningState": found.state}
    view: Json = {"id": found.id, "name": found.name, "type": found.kind, "location": found.region}
    if found.tags:
        view["tags"] = found.tags
    match found.kind.rsplit("/", 1)[1]:
        case "disks":
            if found.vm_id:
                view["managedBy"] = found.vm_id
            view["sku"] = {"name": found.sku, "tier": found.sku.split("_", 1)[0]}
            properties |= {
                "timeCreated": timestamp(found.created_at_ms),
                "osType": "Linux",
                "creationData": {"createOption": "FromImage"},
                "diskSizeGB": found.size_gib,
                "diskState": "Attached" if found.vm_id else "Unattached",
            }
            if found.encryption:
                properties["securityProfile"] = {
                    "securityType": _DISK_TYPES.get(found.encryption, "ConfidentialVM_NonPersistedTPM")
                }
        case "networkInterfaces":
            configuration: Json = {
                "subnet": {"id": found.subnet},
                "privateIPAllocationMethod": "Dynamic",
                "primary": True,
            }
            if found.address:
                configuration["privateIPAddress"] = found.address
            if found.public_ip_id:
                configuration["publicIPAddress"] = {"id": found.public_ip_id}
            properties["ipConfigurations"] = [{"name": "ip-config", "properties": configuration}]
            if found.vm_id:
                properties["virtualMachine"] = {"id": found.vm_id}
            if found.security_group:
                properties["networkSecurityGroup"] = {"id": found.security_group}
        case _:
            view["sku"] = {"name": "Standard", "tier": "Regional"}
            properties |= {"publicIPAllocationMethod": "Static", "publicIPAddressVersion": "IPv4"}
            if found.nic_id:
                properties["ipConfiguration"] = {"id": f"{found.nic_id}/ipConfigurations/ip-config"}
            if found.address:
                properties["ipAddress"] = found.address
    view["properties"] = properties
    return view


def usage_view(row: UsageRow) -> Json:
    """Return one row of a region's usages."""
    return {
        "name": {"value": row.name, "localizedValue": row.title},
        "currentValue": row.used,
        "limit": row.limit,
        "unit": "Count",
    }


def size_view(size: Size) -> Json:
    """Return one row of the old vmSizes list, which knows neither GPUs nor TEEs."""
    return {
        "name": size.name,
        "numberOfCores": size.vcpus,
        "memoryInMB": size.memory_mib,
        "osDiskSizeInMB": 1_047_552,
        "resourceDiskSizeInMB": size.temp_mib,
        "maxDataDiskCount": size.max_data_disks,
    }


def sku_view(size: Size, region: str, config: ArmConfig) -> Json:
    """Return one row of the SKU list."""
    series = size.series
    capabilities = {
        "MaxResourceVolumeMB": str(size.temp_mib),
        "OSVhdSizeMB": "1047552",
        "vCPUs": str(size.vcpus),
        "MemoryPreservingMaintenanceSupported": "False",
        "HyperVGenerations": series.generations,
        "DiskControllerTypes": "NVMe",
        "MemoryGB": f"{size.memory_mib / 1024:g}",
        "MaxDataDiskCount": str(size.max_data_disks),
        "CpuArchitectureType": "x64",
        "LowPriorityCapable": str(series.low_priority),
        "PremiumIO": "True",
        "VMDeploymentTypes": "IaaS",
        "vCPUsAvailable": str(size.vcpus),
        "vCPUsPerCore": "2",
        "EphemeralOSDiskSupported": str(size.temp_mib > 0),
        "EncryptionAtHostSupported": str(series.host_encryption),
        "AcceleratedNetworkingEnabled": "False",
        "RdmaEnabled": "False",
        "MaxNetworkInterfaces": "2",
    }
    if size.tee != "None":
        capabilities["ConfidentialComputingType"] = size.tee
    if size.gpus:
        capabilities["GPUs"] = str(size.gpus)
    return {
        "resourceType": "virtualMachines",
        "name": size.name,
        "tier": "Standard",
        "size": size.name.removeprefix("Standard_"),
        "family": size.family,
        "locations": [region],
        "locationInfo": [{"location": region, "zones": list(zones_of(config, region, size)), "zoneDetails": []}],
        "capabilities": [{"name": name, "value": value} for name, value in capabilities.items()],
        "restrictions": _restrictions(size, region, config),
    }


def _restrictions(size: Size, region: str, config: ArmConfig) -> list[Json]:
    restrictions: list[Json] = []
    if reason := restriction_of(config, region, size):
        info = {"locations": [region], "zones": list(zones_of(config, region, size))}
        restrictions.append({"type": "Location", "values": [region], "restrictionInfo": info, "reasonCode": reason})
    if zones := barred_zones(config, region, size):
        info = {"locations": [region], "zones": list(zones)}
        code = "NotAvailableForSubscription"
        restrictions.append({"type": "Zone", "values": [region], "restrictionInfo": info, "reasonCode": code})
    return restrictions


def disk_sku_view(region: str) -> Json:
    """Return a row of the SKU list that is no VM size: the list has many of them, and a reader must pass over them."""
    return {
        "resourceType": "disks",
        "name": "Premium_LRS",
        "tier": "Premium",
        "size": "P10",
        "locations": [region],
        "locationInfo": [{"location": region, "zones": list(REGIONS[region]), "zoneDetails": []}],
        "capabilities": [{"name": "MaxSizeGiB", "value": "128"}],
        "restrictions": [],
    }
