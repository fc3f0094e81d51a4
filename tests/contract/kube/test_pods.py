import pytest

from .conftest import Api, a_pod


def _binding(name: str, node: str = "n1") -> dict:
    target = {"apiVersion": "v1", "kind": "Node", "name": node}
    return {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": target}


async def _bound(api: Api, name: str, **changes) -> dict:
    await api.create("pods", a_pod(name, **changes))
    await api.ok("POST", api.path("pods", name, "binding"), _binding(name))
    return await api.get("pods", name)


async def test_a_new_pod_is_pending_with_the_defaults_filled_in(api: Api):
    made = await api.create("pods", a_pod("p"))
    assert made["status"]["phase"] == "Pending"
    assert made["status"]["qosClass"] == "Burstable"
    spec = made["spec"]
    assert (spec["restartPolicy"], spec["schedulerName"], spec["terminationGracePeriodSeconds"]) == (
        "Always",
        "default-scheduler",
        30,
    )
    assert "nodeName" not in spec


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"containers": []}, id="no-containers"),
        pytest.param({"containers": [{"name": "a"}]}, id="no-image"),
        pytest.param({"containers": [{"name": "A b", "image": "x"}]}, id="name-is-no-label"),
        pytest.param({"containers": [{"name": "a", "image": "x"}, {"name": "a", "image": "y"}]}, id="same-name-twice"),
        pytest.param(
            {"containers": [{"name": "a", "image": "x", "resources": {"requests": {"cpu": "-1"}}}]}, id="negative"
        ),
    ],
)
async def test_a_pod_that_makes_no_sense_is_refused(api: Api, spec: dict):
    status, answer = await api.call("POST", api.path("pods"), a_pod("p", spec=spec))
    assert (status, answer["reason"]) == (422, "Invalid")


async def test_binding_assigns_a_node_and_says_scheduled_once(api: Api):
    pod = await _bound(api, "p")
    assert pod["spec"]["nodeName"] == "n1"
    scheduled = next(each for each in pod["status"]["conditions"] if each["type"] == "PodScheduled")
    assert scheduled["status"] == "True"
    status, answer = await api.call("POST", api.path("pods", "p", "binding"), _binding("p", "n2"))
    assert (status, answer["reason"]) == (409, "Conflict")


async def test_a_bound_pod_ends_gracefully_and_the_kubelet_has_the_last_word(api: Api):
    await _bound(api, "p")
    going = await api.ok("DELETE", api.path("pods", "p"))
    assert going["metadata"]["deletionGracePeriodSeconds"] == 30
    again = await api.ok("DELETE", api.path("pods", "p"))
    assert again["metadata"]["deletionTimestamp"] == going["metadata"]["deletionTimestamp"]
    assert (await api.get("pods", "p"))["metadata"]["deletionTimestamp"]
    await api.ok(
        "DELETE", api.path("pods", "p"), {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0}
    )
    assert (await api.call("GET", api.path("pods", "p")))[0] == 404


async def test_a_pod_that_was_never_bound_or_has_ended_goes_at_once(api: Api):
    await api.create("pods", a_pod("p"))
    await api.ok("DELETE", api.path("pods", "p"))
    assert (await api.call("GET", api.path("pods", "p")))[0] == 404
    await _bound(api, "q")
    await api.merge("pods", "q", {"status": {"phase": "Succeeded"}}, "status")
    await api.ok("DELETE", api.path("pods", "q"))
    assert (await api.call("GET", api.path("pods", "q")))[0] == 404


async def test_a_pending_pod_with_a_finalizer_stays_terminating_until_it_is_taken_off(api: Api):
    await api.create("pods", a_pod("p", metadata={"finalizers": ["contract.example.dev/tracking"]}))
    going = await api.ok("DELETE", api.path("pods", "p"))
    assert going["metadata"]["deletionTimestamp"]
    await api.merge("pods", "p", {"metadata": {"finalizers": None}})
    assert (await api.call("GET", api.path("pods", "p")))[0] == 404


async def test_a_pod_bound_since_the_last_look_survives_a_delete_with_its_old_version(api: Api):
    seen = await api.create("pods", a_pod("p"))
    await api.ok("POST", api.path("pods", "p", "binding"), _binding("p"))
    preconditions = {key: seen["metadata"][key] for key in ("uid", "resourceVersion")}
    body = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": preconditions}
    status, answer = await api.call("DELETE", api.path("pods", "p"), body)
    assert (status, answer["reason"]) == (409, "Conflict")
    assert "deletionTimestamp" not in (await api.get("pods", "p"))["metadata"]


@pytest.mark.parametrize(
    ("patch", "want_status"),
    [
        ({"spec": {"nodeSelector": {"a": "b"}}}, 422),
        ({"spec": {"runtimeClassName": "other"}}, 422),
        ({"spec": {"restartPolicy": "Never"}}, 422),
        ({"spec": {"activeDeadlineSeconds": 50}}, 200),
        ({"spec": {"activeDeadlineSeconds": 500}}, 422),
        ({"metadata": {"labels": {"a": "b"}}}, 200),
    ],
)
async def test_hardly_anything_of_a_running_pods_spec_may_change(api: Api, patch: dict, want_status: int):
    await _bound(api, "p", spec={"activeDeadlineSeconds": 100})
    assert (await api.merge("pods", "p", patch))[0] == want_status


async def test_a_readiness_gate_is_satisfied_through_the_status(api: Api):
    await _bound(api, "p", spec={"readinessGates": [{"conditionType": "contract.example.dev/ok"}]})
    condition = {"type": "contract.example.dev/ok", "status": "True"}
    status, new = await api.merge("pods", "p", {"status": {"conditions": [condition]}}, "status")
    assert status == 200
    assert new["status"]["conditions"] == [{**condition, **new["status"]["conditions"][0]}]


async def test_a_runtime_class_adds_its_overhead_and_where_it_runs(api: Api):
    name = f"{api.namespace}-kata"
    runtime = {
        "metadata": {"name": name},
        "handler": "kata-remote",
        "overhead": {"podFixed": {"cpu": "250m", "memory": "160Mi"}},
        "scheduling": {"nodeSelector": {"kata": "yes"}},
    }
    await api.create("/runtimeclasses.node.k8s.io/v1", runtime)
    made = await api.create("pods", a_pod("p", spec={"runtimeClassName": name}))
    assert made["spec"]["overhead"] == {"cpu": "250m", "memory": "160Mi"}
    assert made["spec"]["nodeSelector"] == {"kata": "yes"}
    clash = a_pod("q", spec={"runtimeClassName": name, "nodeSelector": {"kata": "no"}})
    assert (await api.call("POST", api.path("pods"), clash))[0] == 403
    unknown = a_pod("r", spec={"runtimeClassName": "there-is-none"})
    assert (await api.call("POST", api.path("pods"), unknown))[0] == 403
    await api.ok("DELETE", api.path("/runtimeclasses.node.k8s.io/v1", name))


def _eviction(name: str) -> dict:
    return {"apiVersion": "policy/v1beta1", "kind": "Eviction", "metadata": {"name": name}}


async def test_a_pod_without_a_budget_can_be_evicted(api: Api):
    await _bound(api, "p")
    version = "policy/v1"
    body = {**_eviction("p"), "apiVersion": version}
    status, _ = await api.call("POST", api.path("pods", "p", "eviction"), body)
    if status == 400:  # before 1.22
        status, _ = await api.call("POST", api.path("pods", "p", "eviction"), _eviction("p"))
    assert status == 201
    assert (await api.get("pods", "p"))["metadata"]["deletionTimestamp"]
