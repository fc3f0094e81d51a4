"""The images of the stand-in: which there are, what they are made for, and how ARM tells of them.

Called by the rules for a VM's body and by the server for galleries, community galleries and the marketplace. Where the
lab declares nothing, every id is an image that a confidential VM can be made of.
"""

from typing import Any, Final, Literal

from burster.lab.arm.config import ArmConfig
from burster.lab.arm.declared import Image
from burster.lab.arm.errors import ArmError, not_found
from burster.lab.arm.routes import Call


_DEFINITION_PARTS: Final = 2  #: gallery and image; with a version there are three
_PUBLISHED: Final = "2026-06-01T08:00:00Z"
_MANAGED: Final = "/providers/microsoft.compute/images/"
_MARKET_PARTS: Final = 4  #: publisher, offer, sku, version
#: versions that a marketplace image has, oldest first
MARKET_VERSIONS: Final = ("9.6.2025061913", "9.6.2025110508")


def find_image(config: ArmConfig, name: str, region: str) -> Image:
    """Return what is known of an image; ArmError 404 where it doesn't exist.

    A definition stands for its latest version, so it exists where one of its versions does.
    """
    wanted = name.removesuffix(":").removesuffix(":latest").casefold()
    if not _exists(config, wanted):
        if "/" in wanted:
            raise ArmError(
                404, "GalleryImageNotFound", f"The gallery image {name} is not available in {region} region."
            )
        raise ArmError(
            404,
            "PlatformImageNotFound",
            f"The platform image '{name}' is not available. Verify that all fields in the storage profile are correct. For more "
            "details about storage profile information, please refer to https://aka.ms/storageprofile",
        )
    declared = {image.id.casefold(): image for image in config.image_facts}
    plain = Image(id=name, security_type="" if _MANAGED in wanted else Image(id="").security_type)
    return declared.get(wanted) or declared.get(_definition_of(wanted)) or plain


def _exists(config: ArmConfig, wanted: str) -> bool:
    known = [each.casefold() for each in config.images]
    if not known or wanted in known:
        return True
    if "/" in wanted:
        return any(each.startswith(f"{wanted}/versions/") for each in known)
    return _definition_of(wanted) in known or any(each.startswith(f"{wanted}:") for each in known)


def _definition_of(name: str) -> str:
    """Return the id without its version."""
    if "/" in name:
        return name.split("/versions/", 1)[0]
    return ":".join(name.split(":")[:3])


def gallery_view(config: ArmConfig, call: Call) -> dict[str, Any]:
    """Return an image definition, or one of its versions."""
    gallery, name = call.names[:2]
    definition = call.scope.resource_id("Microsoft.Compute/galleries", f"{gallery}/images/{name}")
    if len(call.names) == _DEFINITION_PARTS:
        image = _known(config, definition, call, "Microsoft.Compute/galleries/images")
        kind, properties = "Microsoft.Compute/galleries/images", _definition(image, name)
        properties["provisioningState"] = "Succeeded"
    else:
        image = _known(
            config, f"{definition}/versions/{call.names[2]}", call, "Microsoft.Compute/galleries/images/versions"
        )
        kind, properties = "Microsoft.Compute/galleries/images/versions", _own_version()
    return {"id": call.path, "name": call.names[-1], "type": kind, "location": "eastus", "properties": properties}


def shared_view(config: ArmConfig, call: Call, kind: Literal["Community", "Shared"]) -> dict[str, Any]:
    """Return an image of a community gallery, or of one that was shared with us, or one of its versions."""
    gallery, name = call.names[:2]
    unique = f"/{kind}Galleries/{gallery}/Images/{name}"
    is_version = len(call.names) > _DEFINITION_PARTS
    if is_version:
        unique += f"/Versions/{call.names[2]}"
    told = f"Microsoft.Compute/locations/{kind.casefold()}GalleryImage"
    image = _known(config, unique, call, told)
    view: dict[str, Any] = {
        "name": call.names[-1],
        "location": call.region,
        "identifier": {"uniqueId": unique},
        "properties": _others_version() if is_version else _definition(image, name),
    }
    if kind == "Community":
        view["type"] = told + ("Version" if is_version else "")
    return view


def managed_view(config: ArmConfig, call: Call) -> dict[str, Any]:
    """Return a managed image: the old kind, which no confidential VM can be made of."""
    image = _known(config, call.path, call, "Microsoft.Compute/images")
    disk = {"osType": "Linux", "osState": "Generalized", "diskSizeGB": 32, "storageAccountType": "Premium_LRS"}
    return {
        "id": call.path,
        "name": call.name,
        "type": "Microsoft.Compute/images",
        "location": "eastus",
        "properties": {
            "hyperVGeneration": image.generation,
            "provisioningState": "Succeeded",
            "storageProfile": {"osDisk": disk, "dataDisks": [], "zoneResilient": False},
        },
    }


def market_view(config: ArmConfig, call: Call) -> dict[str, Any]:
    """Return one version of a marketplace image; ``latest`` is a word of clients, ARM knows only numbers."""
    urn = ":".join(call.names[:_MARKET_PARTS])
    if call.names[3].casefold() == "latest":
        raise _no_artifact()
    try:
        image = find_image(config, urn, call.region)
    except ArmError:
        raise _no_artifact() from None
    return {
        **_market_row(call, call.names[3]),
        "properties": {
            "hyperVGeneration": image.generation,
            "architecture": image.architecture,
            "osDiskImage": {"operatingSystem": "Linux"},
            "dataDiskImages": [],
            "automaticOSUpgradeProperties": {"automaticOSUpgradeSupported": False},
            "features": _features(image),
            "imageDeprecationStatus": {"imageState": "Active"},
        },
    }


def market_versions(config: ArmConfig, call: Call, order: str, top: str) -> list[dict[str, Any]]:
    """Return the versions of a marketplace image: a bare array, as ARM answers here and nowhere else."""
    wanted = ":".join(call.names).casefold()
    if not _exists(config, wanted):
        raise _no_artifact()
    known = [each for each in config.images if each.casefold().startswith(f"{wanted}:")]
    versions = sorted(each.split(":")[3] for each in known if each.count(":") == 3) or list(MARKET_VERSIONS)  # noqa: PLR2004
    if "desc" in order.casefold():
        versions.reverse()
    if top.isdecimal():
        versions = versions[: int(top)]
    return [_market_row(call, version) for version in versions]


def _market_row(call: Call, version: str) -> dict[str, Any]:
    publisher, offer, sku = call.names[:3]
    path = f"/Subscriptions/{call.scope.subscription}/Providers/Microsoft.Compute/Locations/{call.region}"
    path += f"/Publishers/{publisher}/ArtifactTypes/VMImage/Offers/{offer}/Skus/{sku}/Versions/{version}"
    return {"id": path, "name": version, "location": call.region}


def _no_artifact() -> ArmError:
    return ArmError(404, "NotFound", "Artifact: VMImage was not found.")


def _known(config: ArmConfig, name: str, call: Call, kind: str) -> Image:
    """Return an image; ArmError 404 in the words of the resource that was asked for."""
    try:
        return find_image(config, name, call.region)
    except ArmError:
        raise not_found(kind, "/".join(call.names), call.scope.group) from None


def _definition(image: Image, name: str) -> dict[str, Any]:
    return {
        "osType": "Linux",
        "osState": "Generalized",
        "hyperVGeneration": image.generation,
        "architecture": image.architecture,
        "features": _features(image),
        "identifier": {"publisher": "lab", "offer": "podvm", "sku": name},
    }


def _own_version() -> dict[str, Any]:
    """Return what ARM tells of a version in a gallery of the subscription."""
    region = {"name": "East US", "regionalReplicaCount": 1, "storageAccountType": "Premium_LRS"}
    published = {"publishedDate": _PUBLISHED, "excludeFromLatest": False, "targetRegions": [region]}
    return {
        "provisioningState": "Succeeded",
        "publishingProfile": published,
        "storageProfile": {"osDiskImage": {"sizeInGB": 32, "hostCaching": "ReadWrite"}, "dataDiskImages": []},
    }


def _others_version() -> dict[str, Any]:
    """Return what ARM tells of a version in somebody else's gallery."""
    return {
        "publishedDate": _PUBLISHED,
        "excludeFromLatest": False,
        "storageProfile": {"osDiskImage": {"diskSizeGB": 32, "hostCaching": "ReadWrite"}, "dataDiskImages": []},
    }


def _features(image: Image) -> list[dict[str, str]]:
    features = [{"name": "SecurityType", "value": image.security_type}] if image.security_type else []
    return [*features, {"name": "IsAcceleratedNetworkSupported", "value": "False"}]
