"""What ARM tells of subscriptions, regions, resource groups and the caller's rights.

Pure functions called by the server: from the lab's declarations to ARM's JSON, or ARM's refusal.
"""

from typing import Any, Final

from burster.lab.arm.catalogue import REGIONS
from burster.lab.arm.config import ArmConfig
from burster.lab.arm.declared import Role
from burster.lab.arm.errors import ArmError
from burster.lab.arm.resources import Scope


_TITLES: Final = {
    "centralus": "Central US",
    "eastus": "East US",
    "eastus2": "East US 2",
    "northeurope": "North Europe",
    "westeurope": "West Europe",
    "westus": "West US",
    "westus3": "West US 3",
}
_TENANT: Final = "72f988bf-0000-0000-0000-000000000000"


def check_scope(config: ArmConfig, scope: Scope) -> None:
    """Raise ArmError 404 for a subscription or resource group that the lab doesn't have; where it lists none, it has all."""
    if config.subscriptions and scope.subscription.casefold() not in {each.casefold() for each in config.subscriptions}:
        raise ArmError(404, "SubscriptionNotFound", f"The subscription '{scope.subscription}' could not be found.")
    if scope.group and config.groups and scope.group.casefold() not in {each.casefold() for each in config.groups}:
        raise ArmError(404, "ResourceGroupNotFound", f"Resource group '{scope.group}' could not be found.")


def subscription_view(config: ArmConfig, subscription: str) -> dict[str, Any]:
    """Return a subscription."""
    tenant = config.tokens.tenant if config.tokens else _TENANT
    return {
        "id": f"/subscriptions/{subscription}",
        "authorizationSource": "RoleBased",
        "managedByTenants": [],
        "subscriptionId": subscription,
        "tenantId": tenant,
        "displayName": "burster lab",
        "state": config.subscription_state,
        "subscriptionPolicies": {
            "locationPlacementId": "Public_2014-09-01",
            "quotaId": "PayAsYouGo_2014-09-01",
            "spendingLimit": "Off",
        },
    }


def location_view(subscription: str, region: str) -> dict[str, Any]:
    """Return one row of a subscription's regions."""
    title = _TITLES[region]
    view: dict[str, Any] = {
        "id": f"/subscriptions/{subscription}/locations/{region}",
        "name": region,
        "type": "Region",
        "displayName": title,
        "regionalDisplayName": f"({'Europe' if 'europe' in region else 'US'}) {title}",
        "metadata": {"regionType": "Physical", "regionCategory": "Recommended", "pairedRegion": []},
    }
    if zones := REGIONS[region]:
        view["availabilityZoneMappings"] = [
            {"logicalZone": zone, "physicalZone": f"{region}-az{zone}"} for zone in zones
        ]
    return view


def group_view(config: ArmConfig, scope: Scope) -> dict[str, Any]:
    """Return a resource group."""
    wanted = scope.group.casefold()
    location = next((where for name, where in config.groups.items() if name.casefold() == wanted), "eastus")
    return {
        "id": f"/subscriptions/{scope.subscription}/resourceGroups/{scope.group}",
        "name": scope.group,
        "type": "Microsoft.Resources/resourceGroups",
        "location": location,
        "properties": {"provisioningState": "Succeeded"},
    }


def permission_views(roles: tuple[Role, ...]) -> list[dict[str, Any]]:
    """Return what each role allows."""
    return [
        {
            "actions": list(role.actions),
            "notActions": list(role.not_actions),
            "dataActions": [],
            "notDataActions": [],
        }
        for role in roles
    ]
