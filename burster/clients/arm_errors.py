"""What ARM's refusals mean: one table from Azure's codes and sentences to burster's kinds of failure.

Called by burster.clients.arm for answers, and by whoever reads the kubelet's events, in which cloud-api-adaptor wraps
the same codes. The code handed on is Azure's own word; only where Azure gives none (cloud-api-adaptor's own refusals)
it is one of ours. It must never raise: a text nobody knows is Unavailable, and the reader goes on.
"""

import re
from typing import Final

import msgspec

from burster.model.errors import RemoteKind
from burster.model.offerings import Matter


class Classified(msgspec.Struct, frozen=True, kw_only=True):
    """A refusal, understood. ``limit_vcpus`` is stated by quota refusals only; 0 means the subscription was never given any."""

    kind: RemoteKind
    code: str
    matter: Matter
    limit_vcpus: int | None = None


#: Azure's code, in lower case -> kind and matter. What depends on the sentence as well is decided in ``classify``.
_CODES: Final[dict[str, tuple[RemoteKind, Matter]]] = {
    "allocationfailed": ("Capacity", "capacity"),
    "overconstrainedallocationrequest": ("Capacity", "capacity"),
    "capacityreservationcapacityexceeded": ("Capacity", "capacity"),
    "zonalallocationfailed": ("Capacity", "zonal-capacity"),
    "overconstrainedzonalallocationrequest": ("Capacity", "zonal-capacity"),
    "skunotavailable": ("Capacity", "sku-restricted"),
    "notavailableforsubscription": ("Capacity", "sku-restricted"),
    "subnetisfull": ("Capacity", "address-space"),
    "privateipaddressnotavailable": ("Capacity", "address-space"),
    "publicipcountlimitreached": ("Quota", "address-space"),
    "networkinterfacecountlimitreached": ("Quota", "address-space"),
    "toomanyrequests": ("Throttled", "throttled"),
    "subscriptionrequeststhrottled": ("Throttled", "throttled"),
    "authorizationfailed": ("Unauthorized", "auth"),
    "linkedauthorizationfailed": ("Unauthorized", "auth"),
    "authenticationfailed": ("Unauthorized", "auth"),
    "invalidauthenticationtoken": ("Unauthorized", "auth"),
    "expiredauthenticationtoken": ("Unauthorized", "auth"),
    "invalidauthenticationtokentenant": ("Unauthorized", "auth"),
    "authenticationfailedmissingtoken": ("Unauthorized", "auth"),
    "authenticationfailedinvalidheader": ("Unauthorized", "auth"),
    "keyvaultaccessforbidden": ("Unauthorized", "auth"),
    "requestdisallowedbypolicy": ("Unauthorized", "policy"),
    "requestdisallowedbyazure": ("Unauthorized", "policy"),
    "scopelocked": ("Unauthorized", "policy"),
    "readonlydisabledsubscription": ("Unauthorized", "policy"),
    "disabledsubscription": ("Unauthorized", "policy"),
    "denyassignmentauthorizationfailed": ("Unauthorized", "policy"),
    "resourcenotfound": ("NotFound", "absent"),
    "notfound": ("NotFound", "absent"),
    "resourcegroupnotfound": ("Invalid", "configuration"),
    "resourcegroupbeingdeleted": ("Invalid", "configuration"),
    "subscriptionnotfound": ("Invalid", "configuration"),
    "invalidsubscriptionid": ("Invalid", "configuration"),
    "subscriptionnotregistered": ("Invalid", "configuration"),
    "diskencryptionsetnotfound": ("Invalid", "configuration"),
    "vmmarketplaceinvalidinput": ("Invalid", "configuration"),
    "marketplacepurchaseeligibilityfailed": ("Invalid", "configuration"),
    "resourcepurchasevalidationfailed": ("Invalid", "configuration"),
    "parentresourcenotfound": ("Invalid", "configuration"),
    "invalidresourcetype": ("Invalid", "configuration"),
    "invalidlocation": ("Invalid", "configuration"),
    "galleryimagenotfound": ("Invalid", "configuration"),
    "platformimagenotfound": ("Invalid", "configuration"),
    "imagenotfound": ("Invalid", "configuration"),
    "invalidresourcereference": ("Invalid", "configuration"),
    "invalidparameter": ("Invalid", "configuration"),
    "invalidrequestcontent": ("Invalid", "configuration"),
    "invalidrequestformat": ("Invalid", "configuration"),
    "invalidavailabilityzone": ("Invalid", "configuration"),
    "invalidresourcelocation": ("Invalid", "configuration"),
    "locationnotavailableforresourcetype": ("Invalid", "configuration"),
    "missingsubscriptionregistration": ("Invalid", "configuration"),
    "noregisteredproviderfound": ("Invalid", "configuration"),
    "propertychangenotallowed": ("Invalid", "configuration"),
    "vmsizenotsupported": ("Invalid", "configuration"),
    "badrequest": ("Invalid", "configuration"),
    "preconditionfailed": ("AlreadyExists", "exists"),
    "nicinuse": ("Conflict", "conflict"),
    "nicreservedforanothervm": ("Conflict", "conflict"),
    "inusenetworkinterfacecannotbedeleted": ("Conflict", "conflict"),
    "inusesubnetcannotbedeleted": ("Conflict", "conflict"),
    "publicipaddresscannotbedeleted": ("Conflict", "conflict"),
    "attachdiskwhilebeingdetached": ("Conflict", "conflict"),
    "conflict": ("Conflict", "conflict"),
    "anotheroperationinprogress": ("Conflict", "conflict"),
    "operationpreempted": ("Conflict", "conflict"),
    "retryableerror": ("Conflict", "conflict"),
    "osprovisioningtimedout": ("Unavailable", "guest"),
    "osprovisioningclienterror": ("Unavailable", "guest"),
    "osprovisioninginternalerror": ("Unavailable", "guest"),
    "vmstarttimedout": ("Unavailable", "guest"),
    "vmagentstatuscommunicationerror": ("Unavailable", "guest"),
    "vmextensionprovisioningerror": ("Unavailable", "guest"),
    "vmextensionprovisioningtimeout": ("Unavailable", "guest"),
    "internalservererror": ("Unavailable", "service"),
    "internalexecutionerror": ("Unavailable", "service"),
    "internaloperationerror": ("Unavailable", "service"),
    "networkinginternaloperationerror": ("Unavailable", "service"),
    "diskserviceinternalerror": ("Unavailable", "service"),
    "serverbusy": ("Unavailable", "service"),
    "serviceunavailable": ("Unavailable", "service"),
    "gatewaytimeout": ("Timeout", "deadline"),
}
#: Codes that say nothing by themselves: Azure uses them for quota, throttling and conflicts alike.
_AMBIGUOUS: Final = frozenset({"operationnotallowed", "quotaexceeded", "resourcequotaexceeded"})
#: Codes that a text may carry around a better one.
_VAGUE: Final = frozenset({"conflict", "badrequest", "notfound", "operationnotallowed"})

_STATUSES: Final[dict[int, tuple[RemoteKind, Matter]]] = {
    400: ("Invalid", "configuration"),
    401: ("Unauthorized", "auth"),
    403: ("Unauthorized", "auth"),
    404: ("NotFound", "absent"),
    408: ("Timeout", "deadline"),
    409: ("Conflict", "conflict"),
    410: ("Expired", "conflict"),
    412: ("AlreadyExists", "exists"),
    422: ("Invalid", "configuration"),
    429: ("Throttled", "throttled"),
    504: ("Timeout", "deadline"),
}
_TOO_MANY: Final = 429
_SERVER_ERROR: Final = 500

_QUOTA = re.compile(r"exceeding (?:approved|quota)|approved .{0,80}quota|quota .{0,40}exceeded", re.IGNORECASE)
_LIMIT = re.compile(r"(?:Current Limit|Maximum allowed):\s*(\d{1,9})(?!\d)", re.IGNORECASE)
#: "… is currently not available in location 'eastus' zones '1'"; advice such as "or a different zone" does not count
_IN_ZONE = re.compile(r"not available in (?:location '[^']{0,60}',? ?(?:in )?)?zones? '\d", re.IGNORECASE)
_FAMILY = re.compile(r"\bstandard\w*Family\b", re.IGNORECASE)

#: sentences without a code, in a text: cloud-api-adaptor's own and the network's, tried in order
_SAYINGS: Final[tuple[tuple[str, RemoteKind, str], ...]] = (
    (r"is not part of supported instance types list", "Invalid", "InstanceTypeNotSupported"),
    (r"no instance type found for the given", "Invalid", "InstanceTypeNotFound"),
    (r"failed to get instance type based on GPU", "Invalid", "InstanceTypeNotFound"),
    (r"userData is greater than 64\s?KB", "Invalid", "UserDataTooLarge"),
    (r"sufficient capacity for the requested VM size", "Capacity", "AllocationFailed"),
    (r"failed for Capacity Restrictions", "Capacity", "SkuNotAvailable"),
    (r"not supported for creation of VMs .* security type", "Invalid", "BadRequest"),
    (r"exceeding approved .* quota", "Quota", "OperationNotAllowed"),
    (r"too many requests", "Throttled", "TooManyRequests"),
    (r"AADSTS\d+|failed to acquire a token|DefaultAzureCredential", "Unauthorized", "AuthenticationFailed"),
    (r"context deadline exceeded|DeadlineExceeded|i/o timeout|timed out", "Timeout", "DeadlineExceeded"),
    (r"connection refused|no such host|network is unreachable|no route to host", "Unreachable", "Unreachable"),
)
_SENTENCES: Final[tuple[tuple[re.Pattern[str], RemoteKind, str], ...]] = tuple(
    (re.compile(pattern, re.IGNORECASE), kind, code) for pattern, kind, code in _SAYINGS
)
_CODE_IN_TEXT = re.compile(r"ERROR CODE:\s*(\w+)|\"code\"\s*:\s*\"(\w+)\"|\bCode=\"?(\w+)")
_STATUS_IN_TEXT = re.compile(r"RESPONSE\s+(\d{3})\b")
_WORD = re.compile(r"\b[A-Z][A-Za-z]{7,50}\b")
#: An event is at most 1 kB, a log line may be longer; beyond this nobody reads.
_TEXT_MAX: Final = 20_000


def classify(status: int, code: str, message: str) -> Classified:
    """Say what an answer with this HTTP status, code and sentence means. The status of a failed operation is 200: codes go first."""
    lowered = code.casefold()
    if status == _TOO_MANY:
        word = code if lowered in _CODES else "TooManyRequests"
        return Classified(kind="Throttled", code=word, matter="throttled")
    if lowered in _AMBIGUOUS or not code:
        quota = _quota(code or "OperationNotAllowed", message)
        if quota is not None:
            return quota
        if "too many requests" in message.casefold():
            return Classified(kind="Throttled", code="TooManyRequests", matter="throttled")
        if lowered in _AMBIGUOUS:
            kind: RemoteKind = "Conflict" if lowered == "operationnotallowed" else "Quota"
            return Classified(kind=kind, code=code, matter="conflict" if kind == "Conflict" else "regional-quota")
    if lowered == "skunotavailable" and _IN_ZONE.search(message):
        return Classified(kind="Capacity", code=code, matter="zonal-capacity")
    known = _CODES.get(lowered) or _STATUSES.get(status)
    if known is None:
        known = ("Unavailable", "service") if status >= _SERVER_ERROR else ("Unavailable", "unknown")
    return Classified(kind=known[0], code=code, matter=known[1])


def classify_text(text: str) -> tuple[RemoteKind, str]:
    """Return kind and code of a failure told in prose (a FailedCreatePodSandBox event); ("Unavailable", "") if it says nothing."""
    found = classify_event(text)
    return found.kind, found.code


def classify_event(text: str) -> Classified:
    """Return all that a failure told in prose says."""
    text = text[:_TEXT_MAX]
    status_match = _STATUS_IN_TEXT.search(text)
    status = int(status_match[1]) if status_match else 0
    code = _best_code(text)
    if code and (code.casefold() not in _VAGUE or not _says_more(text)):
        return classify(status, code, text)
    for pattern, kind, own_code in _SENTENCES:
        if pattern.search(text):
            precise = classify(0, own_code, text)
            return precise if precise.kind == kind else Classified(kind=kind, code=own_code, matter=_matter(kind))
    return classify(status, code, text)


def _says_more(text: str) -> bool:
    return any(pattern.search(text) for pattern, _kind, _code in _SENTENCES)


def _matter(kind: RemoteKind) -> Matter:
    matters: dict[RemoteKind, Matter] = {
        "Invalid": "configuration",
        "Timeout": "deadline",
        "Unreachable": "network",
        "Unauthorized": "auth",
    }
    return matters.get(kind, "unknown")


def _best_code(text: str) -> str:
    """Return the most telling code in a text: a known and precise one before a vague one, a stated one before a mere word."""
    stated = [group for match in _CODE_IN_TEXT.findall(text) for group in match if group]
    words = [*stated, *_WORD.findall(text)]
    precise = next((word for word in words if word.casefold() in _CODES and word.casefold() not in _VAGUE), "")
    return precise or next((word for word in words if word.casefold() in _AMBIGUOUS), "") or next(iter(stated), "")


def _quota(code: str, message: str) -> Classified | None:
    if not _QUOTA.search(message):
        return None
    limit = _LIMIT.search(message)
    lowered = message.casefold()
    matter: Matter = "regional-quota"
    if "lowpriority" in lowered or "low-priority" in lowered or "spot" in lowered:
        matter = "spot-quota"
    elif _FAMILY.search(message) and "total regional" not in lowered:
        matter = "family-quota"
    return Classified(kind="Quota", code=code, matter=matter, limit_vcpus=int(limit[1]) if limit else None)
