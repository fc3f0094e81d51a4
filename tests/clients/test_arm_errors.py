"""What Azure's refusals mean, as answers and as prose in a kubelet's event."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burster.clients.arm_errors import _AMBIGUOUS, _CODES, _VAGUE, classify, classify_event, classify_text
from burster.model.errors import RemoteKind
from burster.model.offerings import Matter


_QUOTA = (
    "Operation could not be completed as it results in exceeding approved {what} quota. Additional details - Deployment Model: "
    "Resource Manager, Location: eastus, Current Limit: {limit}, Current Usage: 8, Additional Required: 4, (Minimum) New Limit "
    "Required: 12."
)


@pytest.mark.parametrize(
    ("status", "code", "message", "want_kind", "want_code", "want_matter"),
    [
        pytest.param(409, "SkuNotAvailable", "", "Capacity", "SkuNotAvailable", "sku-restricted", id="size not to be had"),
        pytest.param(200, "AllocationFailed", "", "Capacity", "AllocationFailed", "capacity", id="late, no capacity"),
        pytest.param(200, "allocationfailed", "", "Capacity", "allocationfailed", "capacity", id="any case"),
        pytest.param(200, "ZonalAllocationFailed", "", "Capacity", "ZonalAllocationFailed", "zonal-capacity", id="zone"),
        pytest.param(409, "OverconstrainedZonalAllocationRequest", "", "Capacity", "OverconstrainedZonalAllocationRequest",
                     "zonal-capacity", id="overconstrained zone"),
        pytest.param(409, "OperationNotAllowed", _QUOTA.format(what="standardDCEV6Family Cores", limit=10), "Quota",
                     "OperationNotAllowed", "family-quota", id="family quota"),
        pytest.param(409, "OperationNotAllowed", _QUOTA.format(what="Total Regional Cores", limit=10), "Quota",
                     "OperationNotAllowed", "regional-quota", id="regional quota"),
        pytest.param(409, "QuotaExceeded", _QUOTA.format(what="LowPriorityCores", limit=0), "Quota", "QuotaExceeded",
                     "spot-quota", id="spot quota"),
        pytest.param(409, "OperationNotAllowed",
                     "Operation results in exceeding quota limits of Core. Maximum allowed: 10, Current in use: 10.",
                     "Quota", "OperationNotAllowed", "regional-quota", id="the old quota text"),
        pytest.param(409, "OperationNotAllowed", "Operation 'Update VM' is not allowed on VM 'x' since the VM is marked for deletion.",
                     "Conflict", "OperationNotAllowed", "conflict", id="no quota at all"),
        pytest.param(429, "OperationNotAllowed", "The server rejected the request because too many requests have been received.",
                     "Throttled", "TooManyRequests", "throttled", id="throttled under another name"),
        pytest.param(429, "", "", "Throttled", "TooManyRequests", "throttled", id="throttled without a word"),
        pytest.param(429, "SubscriptionRequestsThrottled", "", "Throttled", "SubscriptionRequestsThrottled", "throttled", id="throttled"),
        pytest.param(401, "InvalidAuthenticationToken", "", "Unauthorized", "InvalidAuthenticationToken", "auth", id="token"),
        pytest.param(403, "RequestDisallowedByAzure", "", "Unauthorized", "RequestDisallowedByAzure", "policy", id="policy"),
        pytest.param(404, "ResourceNotFound", "", "NotFound", "ResourceNotFound", "absent", id="not there"),
        pytest.param(404, "ResourceGroupNotFound", "", "Invalid", "ResourceGroupNotFound", "configuration", id="group not there"),
        pytest.param(409, "PropertyChangeNotAllowed", "", "Invalid", "PropertyChangeNotAllowed", "configuration", id="change"),
        pytest.param(412, "PreconditionFailed", "", "AlreadyExists", "PreconditionFailed", "exists", id="exists"),
        pytest.param(400, "SubnetIsFull", "", "Capacity", "SubnetIsFull", "address-space", id="subnet full"),
        pytest.param(400, "SomethingNew", "", "Invalid", "SomethingNew", "configuration", id="unknown code, known status"),
        pytest.param(200, "OSProvisioningTimedOut", "", "Unavailable", "OSProvisioningTimedOut", "guest", id="guest"),
        pytest.param(502, "", "", "Unavailable", "", "service", id="server error without a word"),
        pytest.param(504, "", "", "Timeout", "", "deadline", id="gateway"),
        pytest.param(200, "SomethingNew", "", "Unavailable", "SomethingNew", "unknown", id="late and unknown"),
    ],
)  # fmt: skip
def test_an_answer_is_classified(status, code, message, want_kind, want_code, want_matter):
    found = classify(status, code, message)
    assert (found.kind, found.code, found.matter) == (want_kind, want_code, want_matter)


def test_a_quota_refusal_states_its_limit_so_that_none_at_all_can_be_told_apart():
    assert (
        classify(409, "OperationNotAllowed", _QUOTA.format(what="standardDCEV6Family Cores", limit=0)).limit_vcpus == 0
    )
    assert classify(409, "OperationNotAllowed", _QUOTA.format(what="Total Regional Cores", limit=10)).limit_vcpus == 10
    assert classify(409, "SkuNotAvailable", "Current Limit: 4").limit_vcpus is None


def _event(text):
    return (
        'Failed to create pod sandbox: rpc error: code = Unknown desc = failed to start sandbox "f00": failed to create containerd task: '
        f"failed to create shim task: remote hypervisor call failed: rpc error: code = Unknown desc = creating an instance : {text}"
    )


def _go(status, code, message):
    """As the Go SDK prints an answer."""
    line = "-" * 80
    body = f'{{"error": {{"code": "{code}", "message": "{message}"}}}}'
    return _event(
        "Creating instance (podvm-x-1a2b3c4d): beginning VM creation or update: PUT https://management.azure.com/subscriptions/s\n"
        f"{line}\nRESPONSE {status}: {status} Conflict\nERROR CODE: {code}\n{line}\n{body}\n{line}\n"
    )


@pytest.mark.parametrize(
    ("text", "want"),
    [
        pytest.param(_go(409, "SkuNotAvailable", "The requested VM size is not available"), ("Capacity", "SkuNotAvailable"), id="size"),
        pytest.param(_go(200, "AllocationFailed", "Allocation failed."), ("Capacity", "AllocationFailed"), id="late"),
        pytest.param(_go(409, "OperationNotAllowed", _QUOTA.format(what="standardDCEV6Family Cores", limit=10)),
                     ("Quota", "OperationNotAllowed"), id="quota"),
        pytest.param(_go(429, "OperationNotAllowed", "too many requests"), ("Throttled", "TooManyRequests"), id="throttled"),
        pytest.param(_go(409, "OperationNotAllowed", "marked for deletion"), ("Conflict", "OperationNotAllowed"), id="conflict"),
        pytest.param(_go(409, "Conflict", "nested: SkuNotAvailable"), ("Capacity", "SkuNotAvailable"), id="a better code inside"),
        pytest.param(_go(400, "BadRequest", "The VM size 'X' is not supported for creation of VMs and Virtual Machine Scale Set with "
                         "'<NULL>' security type."), ("Invalid", "BadRequest"), id="security type"),
        pytest.param(_go(403, "AuthorizationFailed", "no"), ("Unauthorized", "AuthorizationFailed"), id="not allowed"),
        pytest.param(_go(400, "SubnetIsFull", "no room"), ("Capacity", "SubnetIsFull"), id="subnet"),
        pytest.param(_event('requested instance type ("Standard_X") is not part of supported instance types list'),
                     ("Invalid", "InstanceTypeNotSupported"), id="size not in CAA's list"),
        pytest.param(_event("no instance type found for the given vcpus (40) and memory (65536)"), ("Invalid", "InstanceTypeNotFound"),
                     id="CAA's search failed"),
        pytest.param(_event("failed to get instance type based on GPU: no such"), ("Invalid", "InstanceTypeNotFound"), id="GPU"),
        pytest.param(_event("base64 encoded userData is greater than 64KB"), ("Invalid", "UserDataTooLarge"), id="user data"),
        pytest.param("Failed to create pod sandbox: rpc error: code = DeadlineExceeded desc = context deadline exceeded",
                     ("Timeout", "DeadlineExceeded"), id="kubelet's patience"),
        pytest.param(_event("dial tcp 10.0.0.1:443: connect: connection refused"), ("Unreachable", "Unreachable"), id="no network"),
        pytest.param(_event('autorest/azure: Service returned an error. Status=409 Code="ZonalAllocationFailed" Message="x"'),
                     ("Capacity", "ZonalAllocationFailed"), id="the old SDK's form"),
        pytest.param('Failed to create pod sandbox: plugin type="calico" failed (add)', ("Unavailable", ""), id="something else"),
        pytest.param("", ("Unavailable", ""), id="nothing"),
    ],
)  # fmt: skip
def test_an_event_is_classified_by_the_code_it_wraps(text, want):
    assert classify_text(text) == want
    assert classify_text(" ".join(text.split())) == want


def test_an_event_cut_off_in_the_middle_still_says_what_it_can():
    text = _go(409, "SkuNotAvailable", "The requested VM size is not available")
    assert classify_text(text[: text.index("ERROR CODE") + 27]) == ("Capacity", "SkuNotAvailable")


def test_a_huge_event_is_read_in_no_time_and_only_as_far_as_is_sensible():
    assert classify_text("approved " * 200_000) == ("Unavailable", "")
    assert classify_event("x" * 30_000 + "AllocationFailed").kind == "Unavailable"


@pytest.mark.parametrize(
    ("message", "want_matter"),
    [
        (
            "The requested size for resource 'x' is currently not available in location 'eastus' zones '1' for subscription.",
            "zonal-capacity",
        ),
        (
            (
                "The requested VM size for resource 'Following SKUs have failed for Capacity Restrictions: X' is currently not "
                "available in location 'eastus'. Please try another size or deploy to a different location or different zone."
            ),
            "sku-restricted",
        ),
    ],
)
def test_a_size_that_one_zone_lacks_is_not_closed_everywhere(message, want_matter):
    assert classify(409, "SkuNotAvailable", message).matter == want_matter
    assert classify_event(_go(409, "SkuNotAvailable", message)).matter == want_matter


_HUGE = "exceeding quota, Current Limit: " + "9" * 5_000
_ANYTHING = st.one_of(
    st.text(max_size=300),
    st.sampled_from([*_CODES, *_AMBIGUOUS]),
    st.sampled_from([_QUOTA, _HUGE]),
)


@given(st.integers(-1, 1_000), _ANYTHING, _ANYTHING)
def test_every_answer_is_classified_and_keeps_its_code(status, code, message):
    found = classify(status, code, message)
    assert found.matter in get_args(Matter)
    assert found.kind in get_args(RemoteKind)
    if code and status != 429 and found.matter != "throttled":
        assert found.code == code
    assert found.limit_vcpus is None or found.matter in {"family-quota", "regional-quota", "spot-quota"}


@given(st.lists(_ANYTHING, max_size=6).map(" ".join))
def test_every_text_is_classified(text):
    found = classify_event(text)
    assert found.matter in get_args(Matter)
    assert found.kind in get_args(RemoteKind)


@given(st.sampled_from(sorted(_CODES)), st.text(max_size=40), st.text(max_size=40))
def test_a_known_code_is_found_in_any_text_that_states_it(code, before, after):
    alone = classify(0, code, "")
    found = classify_event(f'{before} ERROR CODE: {code}\n"message": {after}')
    if not any(other in f"{before} {after}".casefold() for other in (*_CODES, *_AMBIGUOUS)) and code not in _VAGUE:
        assert (found.kind, found.matter) == (alone.kind, alone.matter)
