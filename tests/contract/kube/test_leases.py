"""What an elector needs of a Lease: one winner, times to the microsecond, and nothing taken over unseen."""

import asyncio

from .conftest import Api


LEASES = "leases.coordination.k8s.io/v1"


def _lease(holder: str, **spec) -> dict:
    times = {"acquireTime": "2026-01-05T08:00:00.123456Z", "renewTime": "2026-01-05T08:00:01.654321Z"}
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "leader"},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15, "leaseTransitions": 0, **times, **spec},
    }


async def test_of_all_who_make_it_at_once_one_wins(api: Api):
    answers = await asyncio.gather(*(api.call("POST", api.path(LEASES), _lease(f"c{n}")) for n in range(5)))
    assert sorted(status for status, _ in answers) == [201, 409, 409, 409, 409]
    winner = next(body for status, body in answers if status == 201)
    assert (await api.get(LEASES, "leader"))["spec"] == winner["spec"]


async def test_its_times_keep_their_microseconds(api: Api):
    await api.create(LEASES, _lease("a"))
    spec = (await api.get(LEASES, "leader"))["spec"]
    assert spec["acquireTime"] == "2026-01-05T08:00:00.123456Z"
    assert spec["renewTime"] == "2026-01-05T08:00:01.654321Z"


async def test_of_all_who_take_it_over_from_the_same_version_one_wins(api: Api):
    seen = await api.create(LEASES, _lease("a"))
    takers = [{**seen, "spec": {**seen["spec"], "holderIdentity": f"c{n}", "leaseTransitions": 1}} for n in range(5)]
    answers = await asyncio.gather(*(api.call("PUT", api.path(LEASES, "leader"), taker) for taker in takers))
    assert sorted(status for status, _ in answers) == [200, 409, 409, 409, 409]
    winner = next(body for status, body in answers if status == 200)
    assert (await api.get(LEASES, "leader"))["spec"]["holderIdentity"] == winner["spec"]["holderIdentity"]


async def test_it_is_let_go_by_who_holds_it_only(api: Api):
    seen = await api.create(LEASES, _lease("a"))
    version = seen["metadata"]["resourceVersion"]
    free = {"metadata": {"resourceVersion": version}, "spec": {"holderIdentity": ""}}
    status, new = await api.merge(LEASES, "leader", free)
    assert (status, new["spec"].get("holderIdentity", "")) == (200, "")
    status, told = await api.merge(LEASES, "leader", free)
    assert (status, told["reason"]) == (409, "Conflict")


async def test_a_duration_of_nothing_is_refused(api: Api):
    status, told = await api.call("POST", api.path(LEASES), _lease("a", leaseDurationSeconds=0))
    assert (status, told["reason"]) == (422, "Invalid")
    assert "spec.leaseDurationSeconds" in told["message"]


async def test_its_annotations_can_be_set_apart(api: Api):
    await api.create(LEASES, _lease("a"))
    status, new = await api.merge(LEASES, "leader", {"metadata": {"annotations": {"burster.dev/stop": "true"}}})
    assert (status, new["metadata"]["annotations"]) == (200, {"burster.dev/stop": "true"})
    assert new["spec"]["holderIdentity"] == "a"
