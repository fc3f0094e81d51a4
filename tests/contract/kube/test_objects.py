import pytest

from .conftest import Api, a_config, a_pod


async def test_a_created_object_comes_back_with_what_the_server_adds(api: Api):
    made = await api.create("configmaps", a_config("one", {"a": "1"}))
    metadata = made["metadata"]
    assert made["kind"] == "ConfigMap"
    assert made["apiVersion"] == "v1"
    assert metadata["namespace"] == api.namespace
    assert len(metadata["uid"]) == 36
    assert metadata["resourceVersion"].isdecimal()
    assert metadata["creationTimestamp"].endswith("Z")
    assert (await api.get("configmaps", "one"))["data"] == {"a": "1"}


async def test_a_name_taken_is_a_conflict_of_its_own_reason(api: Api):
    await api.create("configmaps", a_config("one"))
    status, answer = await api.call("POST", api.path("configmaps"), a_config("one"))
    assert (status, answer["reason"], answer["kind"]) == (409, "AlreadyExists", "Status")
    assert answer["message"] == 'configmaps "one" already exists'
    assert answer["details"] == {"name": "one", "kind": "configmaps"}


async def test_what_is_not_there_is_not_found(api: Api):
    status, answer = await api.call("GET", api.path("pods", "none"))
    assert (status, answer["reason"], answer["code"]) == (404, "NotFound", 404)
    assert answer["message"] == 'pods "none" not found'


async def test_an_unknown_resource_is_not_found(api: Api):
    status, _ = await api.call("GET", f"/apis/nothing.example.dev/v1/namespaces/{api.namespace}/things")
    assert status == 404


async def test_a_namespace_that_is_not_there_takes_nothing(api: Api):
    status, answer = await api.call("POST", "/api/v1/namespaces/nowhere-at-all/configmaps", a_config("one"))
    assert (status, answer["reason"]) == (404, "NotFound")


async def test_generated_names_start_as_asked_and_differ(api: Api):
    names = {(await api.create("pods", a_pod()))["metadata"]["name"] for _ in range(5)}
    assert len(names) == 5
    assert all(name.startswith("pod-") and len(name) == 9 for name in names)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(a_config("Upper_Case"), id="name-is-no-subdomain"),
        pytest.param(a_config("x" * 254), id="name-is-too-long"),
        pytest.param(a_config("one", labels={"a": "no spaces"}), id="label-value"),
        pytest.param({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}}, id="no-name-at-all"),
        pytest.param(a_config("one", ownerReferences=[{"kind": "Pod", "name": "x"}]), id="owner-without-uid"),
    ],
)
async def test_invalid_metadata_is_refused(api: Api, body: dict):
    status, answer = await api.call("POST", api.path("configmaps"), body)
    assert (status, answer["reason"]) == (422, "Invalid")


async def test_a_body_of_another_kind_is_a_bad_request(api: Api):
    status, answer = await api.call("POST", api.path("secrets"), a_config("one"))
    assert (status, answer["reason"]) == (400, "BadRequest")


async def test_a_body_that_is_no_json_is_a_bad_request(api: Api):
    status, _ = await api.call("POST", api.path("configmaps"), data=b"{nonsense")
    assert status == 400


async def test_an_update_with_an_old_version_is_a_conflict_and_with_the_new_one_goes_through(api: Api):
    old = await api.create("configmaps", a_config("one", {"a": "1"}))
    new = await api.ok("PUT", api.path("configmaps", "one"), {**old, "data": {"a": "2"}})
    assert int(new["metadata"]["resourceVersion"]) > int(old["metadata"]["resourceVersion"])
    status, answer = await api.call("PUT", api.path("configmaps", "one"), {**old, "data": {"a": "3"}})
    assert (status, answer["reason"]) == (409, "Conflict")
    assert "the object has been modified" in answer["message"]
    assert (await api.get("configmaps", "one"))["data"] == {"a": "2"}


async def test_an_update_that_changes_nothing_keeps_the_version(api: Api):
    old = await api.create("configmaps", a_config("one", {"a": "1"}))
    new = await api.ok("PUT", api.path("configmaps", "one"), old)
    assert new["metadata"]["resourceVersion"] == old["metadata"]["resourceVersion"]


async def test_a_dry_run_answers_as_if_and_keeps_nothing(api: Api):
    made = await api.create("configmaps", a_config("one"), params={"dryRun": "All"})
    assert made["metadata"]["uid"]
    status, _ = await api.call("GET", api.path("configmaps", "one"))
    assert status == 404


@pytest.mark.parametrize("field", ["uid", "resourceVersion"])
async def test_a_delete_meant_for_another_object_is_a_conflict(api: Api, field: str):
    await api.create("configmaps", a_config("one"))
    body = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {field: "1"}}
    status, answer = await api.call("DELETE", api.path("configmaps", "one"), body)
    assert (status, answer["reason"]) == (409, "Conflict")
    assert (await api.get("configmaps", "one"))["metadata"]["name"] == "one"


async def test_a_delete_with_the_right_preconditions_goes_through(api: Api):
    made = await api.create("configmaps", a_config("one"))
    preconditions = {key: made["metadata"][key] for key in ("uid", "resourceVersion")}
    body = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": preconditions}
    answer = await api.ok("DELETE", api.path("configmaps", "one"), body)
    assert answer["status"] == "Success"
    assert (await api.call("GET", api.path("configmaps", "one")))[0] == 404


async def test_an_object_with_a_finalizer_stays_until_it_is_taken_off(api: Api):
    await api.create("configmaps", a_config("one", finalizers=["contract.example.dev/wait"]))
    going = await api.ok("DELETE", api.path("configmaps", "one"))
    assert going["metadata"]["deletionTimestamp"]
    status, answer = await api.merge(
        "configmaps", "one", {"metadata": {"finalizers": ["contract.example.dev/wait", "x.example.dev/y"]}}
    )
    assert (status, answer["reason"]) == (422, "Invalid")
    await api.merge("configmaps", "one", {"metadata": {"finalizers": None}})
    assert (await api.call("GET", api.path("configmaps", "one")))[0] == 404


async def test_events_are_the_same_through_both_of_their_groups(api: Api):
    pod = await api.create("pods", a_pod("p"))
    about = {"kind": "Pod", "namespace": api.namespace, "name": "p", "uid": pod["metadata"]["uid"], "apiVersion": "v1"}
    event = {
        "metadata": {"name": "p.1"},
        "involvedObject": about,
        "reason": "Tried",
        "message": "it was tried",
        "type": "Normal",
        "source": {"component": "contract"},
    }
    await api.create("events", event)
    other = await api.get("events.events.k8s.io/v1", "p.1")
    assert (other["note"], other["regarding"]["name"], other["apiVersion"]) == ("it was tried", "p", "events.k8s.io/v1")
    found = await api.ok("GET", api.path("events"), params={"fieldSelector": "involvedObject.name=p,reason=Tried"})
    assert [each["metadata"]["name"] for each in found["items"]] == ["p.1"]
    found = await api.ok("GET", api.path("events"), params={"fieldSelector": "involvedObject.name=q"})
    assert found["items"] == []


async def test_without_a_good_token_nobody_gets_in(api: Api):
    status, answer = await api.call("GET", api.path("pods"), headers={"Authorization": "Bearer wrong"})
    assert (status, answer["reason"]) == (401, "Unauthorized")


async def test_everybody_may_ask_whether_it_is_alive(api: Api):
    status, answer = await api.call("GET", "/readyz")
    assert (status, answer) == (200, "ok")


async def test_namespaces_of_the_system_exist(api: Api):
    found = await api.ok("GET", "/api/v1/namespaces")
    assert {"default", "kube-system"} <= {each["metadata"]["name"] for each in found["items"]}


async def test_who_asks_what_it_may_do_is_told(api: Api):
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"verb": "list", "resource": "pods", "namespace": api.namespace}},
    }
    answer = await api.ok("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
    assert answer["status"]["allowed"] is True
