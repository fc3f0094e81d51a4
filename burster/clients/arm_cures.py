"""What to do about ARM's refusals: a sentence for a person, next to the code that Azure gave.

Called by burster.clients.arm for every error, and by checks that show one. A code that nobody knows has no cure, and that is no error.
"""

import re
from typing import Final


_AADSTS = re.compile(r"AADSTS(\d{4,8})")
#: the login's own numbers, in the order of how telling they are
_LOGIN: Final[dict[str, str]] = {
    "7000222": "the client secret has expired: make a new one, and write it to the file",
    "7000215": "the client secret is wrong (its value is needed, not its id)",
    "7000112": "the application is disabled in its tenant: enable it",
    "700016": "there is no such application in this tenant: check client_id and tenant_id",
    "700024": "the token that proves who we are is not valid at this time: check this machine's clock",
    "700027": "the certificate is not one of the application's: register it, or use the one that is",
    "700211": "no federated credential of the identity names this issuer: add the cluster's OIDC issuer to it",
    "700213": "no federated credential of the identity names this subject: add system:serviceaccount:<namespace>:<name>",
    "700212": "no federated credential of the identity names this audience: it must be api://AzureADTokenExchange",
    "70021": "no federated credential of the identity matches the service account's token: check issuer, subject and audience",
    "90002": "there is no such tenant in this cloud: check tenant_id, and cloud",
    "500011": "this cloud does not know what the token shall be for: check cloud, or audience",
    "53003": "a conditional-access rule forbids this login: let the identity through, or log in from where it may",
    "50079": "a second factor is demanded, which no machine has: use an identity for workloads",
    "50076": "a second factor is demanded, which no machine has: use an identity for workloads",
}
_CODES: Final[dict[str, str]] = {
    "subscriptionnotfound": "check the target's subscription, its cloud, and that the identity has a role in it",
    "invalidsubscriptionid": "the target's subscription must be an id such as 00000000-0000-0000-0000-000000000000",
    "subscriptionnotregistered": "register the resource provider: az provider register --namespace Microsoft.Compute",
    "missingsubscriptionregistration": "register the resource provider: az provider register --namespace Microsoft.Compute",
    "readonlydisabledsubscription": "the subscription is disabled: pay, or enable it",
    "disabledsubscription": "the subscription is disabled: pay, or enable it",
    "resourcegroupnotfound": "check the target's resource group, or create it",
    "noregisteredproviderfound": "check the target's region: Azure has no such one, or not for this resource",
    "locationnotavailableforresourcetype": "check the target's region: Azure has no such one, or not for this resource",
    "invalidlocation": "check the target's region",
    "authorizationfailed": "give the identity the role in docs/azure.md at this scope; a new role takes some minutes to hold",
    "linkedauthorizationfailed": "give the identity Microsoft.Network/virtualNetworks/subnets/join/action at the subnet",
    "expiredauthenticationtoken": "the token has expired: check this machine's clock, and that the login can be renewed",
    "invalidauthenticationtokentenant": "the token is of another tenant than the subscription: check tenant_id",
    "invalidauthenticationtoken": "ARM does not take the token: check cloud and audience, and this machine's clock",
    "authenticationfailed": "check how burster logs in (BURSTER_ARM__AUTH), and this machine's clock",
    "requestdisallowedbypolicy": "an Azure Policy of the subscription forbids it: have the target excepted, or comply",
    "requestdisallowedbyazure": "Azure lets this subscription use only certain regions: choose another one for the target",
    "scopelocked": "somebody has put a lock on the resource group: take it away, or use another one",
    "galleryimagenotfound": "check the target's image: it is not there, not in this region, or not shared with this subscription",
    "platformimagenotfound": "check the image's publisher, offer, SKU and version in this region",
    "imagenotfound": "check the target's image",
    "vmmarketplaceinvalidinput": "an image of the marketplace needs its plan: accept its terms, and name the plan",
    "marketplacepurchaseeligibilityfailed": "accept the image's terms: az vm image terms accept",
    "skunotavailable": "choose another size or region, or ask Azure to open this one to the subscription",
    "subnetisfull": "make the subnet larger, or use another one",
    "propertychangenotallowed": "a VM of this name is there already, and made otherwise: delete it first",
}
#: what a sentence says where its code says too little
_SENTENCES: Final[tuple[tuple[re.Pattern[str], str], ...]] = tuple(
    (re.compile(pattern, re.IGNORECASE), cure)
    for pattern, cure in (
        (
            r"not supported for creation of VMs .*'<NULL>' security type",
            "a confidential size was asked for without security type: set DISABLECVM to false in peer-pods-cm",
        ),
        (
            r"not supported for creation of VMs .*security type",
            "this size takes no confidential VM: use one whose ConfidentialComputingType is TDX",
        ),
        (
            r"(image|gallery).{0,120}(security ?type|confidential)|(security ?type|confidential).{0,120}(image|gallery)",
            "the image is not made for confidential VMs: use one whose SecurityType feature is ConfidentialVmSupported",
        ),
        (r"hypervisor generation", "a confidential VM needs an image of generation V2"),
        (r"exceeding approved .* quota", "ask Azure to raise this quota, or use another size or region"),
        (r"not yet valid|lifetime validation failed|nbf", "check this machine's clock: ARM has another time"),
    )
)


def cure_of(code: str, message: str) -> str:
    """Return what to do about a refusal; empty where nobody knows."""
    login = _AADSTS.search(message)
    if login and login[1] in _LOGIN:
        return _LOGIN[login[1]]
    for pattern, cure in _SENTENCES:
        if pattern.search(message):
            return cure
    if login:
        return _CODES["authenticationfailed"]
    return _CODES.get(code.casefold(), "")
