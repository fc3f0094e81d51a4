"""What other clouds say when they refuse a VM, as a kubelet's event passes it on; what is not known is left to whoever counts."""

import pytest

from burster.clients.other_clouds import classify_elsewhere


SHIM = (
    "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to create shim task: remote hypervisor call failed: rpc error:"
    " code = Unknown desc = creating an instance : "
)


@pytest.mark.parametrize(
    ("text", "kind", "code", "matter"),
    [
        (
            "api error InsufficientInstanceCapacity: We currently do not have sufficient m7i.large capacity",
            "Capacity", "InsufficientInstanceCapacity", "capacity",
        ),
        ("ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS: the zone does not have enough", "Capacity",
         "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS", "capacity"),
        ("OperationDenied.NoStock: the resource is out of stock", "Capacity", "OperationDenied.NoStock", "capacity"),
        ("api error VcpuLimitExceeded: You have requested more vCPU capacity", "Quota", "VcpuLimitExceeded", "family-quota"),
        ("googleapi: Error 403: QUOTA_EXCEEDED", "Quota", "QUOTA_EXCEEDED", "family-quota"),
        ("api error RequestLimitExceeded: Request limit exceeded.", "Throttled", "RequestLimitExceeded", "throttled"),
        ("api error UnauthorizedOperation: You are not authorized", "Unauthorized", "UnauthorizedOperation", "auth"),
        ("insufficient capacity in availability domain eu-de-1a", "Capacity", "InsufficientCapacity", "capacity"),
        ("No valid host was found. There are not enough hosts available.", "Capacity", "InsufficientCapacity", "capacity"),
        ("quota exceeded: instances", "Quota", "QuotaExceeded", "family-quota"),
    ],
)  # fmt: skip
def test_a_refusal_whose_words_are_known(text: str, kind: str, code: str, matter: str) -> None:
    found = classify_elsewhere(SHIM + text)
    assert found is not None
    assert (found.kind, found.code, found.matter) == (kind, code, matter)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "flavor tdx.large not found",
        "context deadline exceeded",
        "the capacity of the disk is 20 GiB",
        "NotVcpuLimitExceededAtAll",
    ],
)
def test_what_is_not_known_is_not_guessed(text: str) -> None:
    assert classify_elsewhere(SHIM + text) is None
