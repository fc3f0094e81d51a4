import pytest

from burster.lab.apiserver.errors import ApiError
from burster.lab.apiserver.store import Store

from .conftest import DEFINITIONS, a_config, a_definition, a_pod, owned_by


def _there(store: Store, resource: str, name: str) -> bool:
    return any(obj["metadata"]["name"] == name for obj in store.list(resource, "default"))


def test_what_an_owner_leaves_behind_goes_with_it(store: Store):
    owner = store.create("configmaps", "default", a_config("owner"))
    store.create("pods", "default", a_pod("p", owner=owner))
    child = store.create("configmaps", "default", a_config("child", ownerReferences=[owned_by(owner)]))
    store.create("secrets", "default", {"metadata": {"name": "grandchild", "ownerReferences": [owned_by(child)]}})
    store.delete("configmaps", "default", "owner")
    assert store.list("pods", "default") == []
    assert not _there(store, "configmaps", "child")
    assert not _there(store, "secrets", "grandchild")


def test_orphaned_dependents_stay_and_forget_their_owner(store: Store):
    owner = store.create("configmaps", "default", a_config("owner"))
    store.create("pods", "default", a_pod("p", owner=owner))
    store.delete("configmaps", "default", "owner", propagation="Orphan")
    assert "ownerReferences" not in store.get("pods", "default", "p")["metadata"]


def test_in_the_foreground_an_owner_waits_for_who_blocks_it(store: Store):
    owner = store.create("configmaps", "default", a_config("owner"))
    blocking = a_pod("p")
    blocking["metadata"]["ownerReferences"] = [owned_by(owner, blockOwnerDeletion=True)]
    store.create("pods", "default", blocking)
    store.bind("default", "p", "n1")
    left = store.delete("configmaps", "default", "owner", propagation="Foreground")
    assert left is not None
    assert left["metadata"]["finalizers"] == ["foregroundDeletion"]
    assert store.get("pods", "default", "p")["metadata"]["deletionTimestamp"]
    store.delete("pods", "default", "p", grace_seconds=0)
    assert not _there(store, "configmaps", "owner")


def test_an_object_of_an_owner_that_is_not_there_is_collected(store: Store):
    gone = store.create("configmaps", "default", a_config("owner"))
    store.delete("configmaps", "default", "owner")
    store.create("pods", "default", a_pod("p", owner=gone))
    assert store.list("pods", "default") == []


def test_an_owner_of_a_kind_nobody_knows_is_believed(store: Store):
    reference = {"apiVersion": "example.dev/v1", "kind": "Mystery", "name": "x", "uid": "u"}
    pod = a_pod("p")
    pod["metadata"]["ownerReferences"] = [reference]
    store.create("pods", "default", pod)
    assert _there(store, "pods", "p")


def test_one_owner_left_is_enough_and_the_other_is_forgotten(store: Store):
    first, second = (store.create("configmaps", "default", a_config(name)) for name in ("a", "b"))
    pod = a_pod("p")
    pod["metadata"]["ownerReferences"] = [owned_by(first), owned_by(second)]
    store.create("pods", "default", pod)
    store.delete("configmaps", "default", "a")
    owners = store.get("pods", "default", "p")["metadata"]["ownerReferences"]
    assert [owner["name"] for owner in owners] == ["b"]


def test_a_dependent_with_a_finalizer_waits_for_it(store: Store):
    owner = store.create("configmaps", "default", a_config("owner"))
    pod = a_pod("p", owner=owner)
    pod["metadata"]["finalizers"] = ["example.dev/wait"]
    store.create("pods", "default", pod)
    store.delete("configmaps", "default", "owner")
    assert store.get("pods", "default", "p")["metadata"]["deletionTimestamp"]
    store.patch("pods", "default", "p", {"metadata": {"finalizers": None}})
    assert not _there(store, "pods", "p")


def test_a_namespace_takes_its_content_with_it_and_waits_for_running_pods(store: Store):
    store.create("namespaces", "", {"metadata": {"name": "team"}})
    store.create("configmaps", "team", a_config("c"))
    store.create("pods", "team", a_pod("p"))
    store.bind("team", "p", "n1")
    store.delete("namespaces", "", "team")
    assert store.get("namespaces", "", "team")["status"]["phase"] == "Terminating"
    with pytest.raises(ApiError, match="being terminated"):
        store.create("configmaps", "team", a_config("d"))
    store.delete("pods", "team", "p", grace_seconds=0)
    with pytest.raises(ApiError) as caught:
        store.get("namespaces", "", "team")
    assert caught.value.status == 404
    assert store.list("configmaps", "team") == []


def test_a_definition_takes_its_objects_and_its_resource_with_it(store: Store):
    store.create(DEFINITIONS, "", a_definition())
    store.create("things.example.dev", "default", {"metadata": {"name": "one", "finalizers": ["example.dev/wait"]}})
    store.delete(DEFINITIONS, "", "things.example.dev")
    assert store.get("things.example.dev", "default", "one")["metadata"]["deletionTimestamp"]
    store.patch("things.example.dev", "default", "one", {"metadata": {"finalizers": None}})
    with pytest.raises(ApiError):
        store.list("things.example.dev")
    with pytest.raises(ApiError):
        store.get(DEFINITIONS, "", "things.example.dev")


def test_a_built_in_resource_cannot_be_taken_over(store: Store):
    definition = a_definition("deployments", "Deployment")
    definition["metadata"]["name"] = "deployments.apps"
    definition["spec"]["group"] = "apps"
    with pytest.raises(ApiError) as caught:
        store.create(DEFINITIONS, "", definition)
    assert caught.value.status == 403
