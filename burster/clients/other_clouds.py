"""How other clouds than Azure refuse a VM, as far as their words are known: full, quota used up, not for this account, asked too often.

Called for what a kubelet's event passes on of a cloud-api-adaptor whose cloud is not Azure. Only what is certain by the cloud's own code,
or by a phrase that several of them share, is told; everything else is for whoever counts how often it happens.
"""

import re
from typing import Final

from burster.clients.arm_errors import Classified


_TEXT_MAX: Final = 4_096
_REFUSALS: Final = (
    # AWS: no machine of the type in the zone; Google: the zone's pool is used up; Alibaba: no stock
    (
        r"InsufficientInstanceCapacity|InsufficientHostCapacity|ZONE_RESOURCE_POOL_EXHAUSTED\w*|OperationDenied\.NoStock",
        Classified(kind="Capacity", code="", matter="capacity"),
    ),
    (
        r"VcpuLimitExceeded|InstanceLimitExceeded|MaxSpotInstanceCountExceeded|QUOTA_EXCEEDED|over_quota|QuotaExceed(?:ed)?\.\w+",
        Classified(kind="Quota", code="", matter="family-quota"),
    ),
    (
        r"RequestLimitExceeded|rateLimitExceeded|Throttling\.\w+",
        Classified(kind="Throttled", code="", matter="throttled"),
    ),
    (
        r"UnauthorizedOperation|AuthFailure|InvalidAuthenticationToken",
        Classified(kind="Unauthorized", code="", matter="auth"),
    ),
)
_PHRASES: Final = (
    (
        r"insufficient (?:host |instance )?capacity|out of (?:host )?capacity|no valid host was found",
        Classified(kind="Capacity", code="InsufficientCapacity", matter="capacity"),
    ),
    (r"\bquota exceeded\b|\bexceeded? (?:the |your )?quota\b", Classified(kind="Quota", code="QuotaExceeded", matter="family-quota")),
)  # fmt: skip
_BY_CODE: Final = tuple((re.compile(rf"\b(?:{pattern})\b"), meaning) for pattern, meaning in _REFUSALS)
_BY_PHRASE: Final = tuple((re.compile(pattern, re.IGNORECASE), meaning) for pattern, meaning in _PHRASES)


def classify_elsewhere(text: str) -> Classified | None:
    """Return what a refusal by a cloud that is not Azure says, or None where nothing in it is known."""
    text = text[:_TEXT_MAX]
    for pattern, meaning in _BY_CODE:
        if found := pattern.search(text):
            return Classified(kind=meaning.kind, code=found[0], matter=meaning.matter)
    for pattern, meaning in _BY_PHRASE:
        if pattern.search(text):
            return meaning
    return None
