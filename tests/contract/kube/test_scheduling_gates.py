"""Pods with scheduling gates (Kubernetes 1.27 and newer): they are pending, and not unschedulable; nobody is to buy anything for them."""

import pytest

from .conftest import Api, a_pod


SINCE = (1, 27)
GATES = [{"name": "contract.example.dev/quota"}, {"name": "contract.example.dev/approval"}]


@pytest.fixture
def gates(api: Api) -> Api:
    api.need(SINCE)
    return api


def scheduled(pod: dict) -> dict:
    return next(each for each in pod["status"]["conditions"] if each["type"] == "PodScheduled")


def _binding(name: str) -> dict:
    target = {"apiVersion": "v1", "kind": "Node", "name": "n1"}
    return {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": target}


async def test_a_gated_pod_is_told_so_from_its_first_moment(gates: Api, watch):
    selector = "status.phase=Pending,spec.nodeName="
    revision = (await gates.ok("GET", gates.path("pods")))["metadata"]["resourceVersion"]
    watching = await watch("pods", resourceVersion=revision, fieldSelector=selector)
    await gates.create("pods", a_pod("p", spec={"schedulingGates": GATES}))
    event = await watching.next()
    assert (event["type"], event["object"]["status"]["phase"]) == ("ADDED", "Pending")
    told = scheduled(event["object"])
    assert (told["status"], told["reason"]) == ("False", "SchedulingGated")
    assert told["message"] == "Scheduling is blocked due to non-empty scheduling gates"


async def test_a_pod_without_gates_has_no_such_condition(gates: Api):
    made = await gates.create("pods", a_pod("p"))
    assert not made["status"].get("conditions")


async def test_a_gated_pod_gets_no_node(gates: Api):
    await gates.create("pods", a_pod("p", spec={"schedulingGates": GATES}))
    status, told = await gates.call("POST", gates.path("pods", "p", "binding"), _binding("p"))
    assert (status, told["reason"]) == (409, "Conflict")
    assert "schedulingGates" in told["message"]
    status, told = await gates.call(
        "POST", gates.path("pods"), a_pod("q", spec={"schedulingGates": GATES, "nodeName": "n1"})
    )
    assert (status, "until all schedulingGates have been cleared" in told["message"]) == (422, True)


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        pytest.param({"schedulingGates": [*GATES, {"name": "contract.example.dev/more"}]}, 422, id="one-more-gate"),
        pytest.param({"schedulingGates": GATES[1:]}, 200, id="one-less"),
        pytest.param({"nodeSelector": {"zone": "a", "disk": "ssd"}}, 200, id="a-narrower-choice-of-nodes"),
        pytest.param({"nodeSelector": {"zone": "b"}}, 422, id="another-choice-of-nodes"),
        pytest.param({"nodeSelector": None}, 422, id="a-wider-choice-of-nodes"),
    ],
)
async def test_what_may_change_while_there_are_gates(gates: Api, spec: dict, wanted: int):
    await gates.create("pods", a_pod("p", spec={"schedulingGates": GATES, "nodeSelector": {"zone": "a"}}))
    status, told = await gates.merge("pods", "p", {"spec": spec})
    assert status == wanted, told


async def test_without_its_last_gate_it_is_a_pending_pod_like_any_other(gates: Api):
    await gates.create("pods", a_pod("p", spec={"schedulingGates": GATES}))
    status, new = await gates.merge("pods", "p", {"spec": {"schedulingGates": None}})
    assert status == 200
    assert scheduled(new)["reason"] == "SchedulingGated", "what was said stays until the scheduler says something else"
    await gates.ok("POST", gates.path("pods", "p", "binding"), _binding("p"))
    bound = await gates.get("pods", "p")
    assert (bound["spec"]["nodeName"], scheduled(bound)["status"]) == ("n1", "True")
