import copy

import pytest

from burster.lab.apiserver.errors import ApiError, forbidden
from burster.lab.apiserver.pages import Ask
from burster.lab.apiserver.shelves import StoreEvent
from burster.lab.apiserver.store import Store

from .conftest import START_MS, Time, a_config, a_pod


def test_every_write_raises_the_one_revision_and_stamps_the_object(store: Store):
    first = store.create("configmaps", "default", a_config("a"))
    second = store.create("secrets", "default", {"metadata": {"name": "b"}})
    assert int(second["metadata"]["resourceVersion"]) == int(first["metadata"]["resourceVersion"]) + 1 == store.revision


def test_times_are_of_the_injected_clock(store: Store, clock: Time):
    clock.now_ms = START_MS + 61_500
    assert store.create("pods", "default", a_pod("p"))["metadata"]["creationTimestamp"] == "2027-01-15T08:01:01Z"
    store.bind("default", "p", "n1")
    clock.now_ms += 1_000
    going = store.delete("pods", "default", "p", grace_seconds=10)
    assert going is not None
    assert going["metadata"]["deletionTimestamp"] == "2027-01-15T08:01:12Z"
    hastened = store.delete("pods", "default", "p", grace_seconds=5)
    assert hastened is not None
    assert hastened["metadata"]["deletionTimestamp"] == "2027-01-15T08:01:07Z"


def test_the_same_seed_gives_the_same_names_and_uids_whatever_else_happens():
    def names(*, noise: bool, seed: int = 1) -> list[tuple[str, str]]:
        store = Store(lambda: START_MS, seed=seed)
        made = []
        for number in range(3):
            if noise:
                store.create("configmaps", "default", a_config(f"noise-{number}"))
                store.create("pods", "default", {**a_pod(), "metadata": {"generateName": "other-"}})
            metadata = store.create("pods", "default", a_pod())["metadata"]
            made.append((metadata["name"], metadata["uid"]))
        return made

    assert names(noise=False) == names(noise=True)
    assert names(noise=False) != names(noise=False, seed=2)


def test_a_name_used_again_gets_another_uid(store: Store):
    first = store.create("configmaps", "default", a_config("a"))
    store.delete("configmaps", "default", "a")
    assert store.create("configmaps", "default", a_config("a"))["metadata"]["uid"] != first["metadata"]["uid"]


def test_what_was_read_never_changes_and_what_was_sent_is_left_alone(store: Store):
    sent = a_pod("p")
    before_sending = copy.deepcopy(sent)
    made = store.create("pods", "default", sent)
    before = copy.deepcopy(made)
    store.bind("default", "p", "n1")
    store.patch("pods", "default", "p", {"metadata": {"labels": {"a": "b"}}, "spec": {"activeDeadlineSeconds": 5}})
    store.patch("pods", "default", "p", {"status": {"phase": "Running"}}, subresource="status")
    store.delete("pods", "default", "p")
    assert (sent, made) == (before_sending, before)


def test_subscribers_hear_of_commits_in_order_until_they_leave(store: Store):
    heard: list[StoreEvent] = []
    leave = store.subscribe("pods", heard.append)
    store.create("pods", "default", a_pod("p"))
    store.bind("default", "p", "n1")
    store.patch("pods", "default", "p", {"metadata": {"labels": {}}})
    store.delete("pods", "default", "p", grace_seconds=0)
    assert [event.type for event in heard] == ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]
    bound, deleted = heard[1], heard[-1]
    assert bound.old is not None
    assert ("nodeName" in bound.old["spec"], bound.object["spec"]["nodeName"]) == (False, "n1")
    assert deleted.object["metadata"]["resourceVersion"] == str(deleted.revision)
    leave()
    store.create("pods", "default", a_pod("q"))
    assert len(heard) == 4


def test_a_subscriber_may_write(store: Store):
    def mark(event: StoreEvent) -> None:
        if event.type == "ADDED":
            name = event.object["metadata"]["name"]
            store.patch("pods", "default", name, {"metadata": {"labels": {"seen": "yes"}}})

    store.subscribe("pods", mark)
    store.create("pods", "default", a_pod("p"))
    assert store.get("pods", "default", "p")["metadata"]["labels"] == {"seen": "yes"}


def test_admission_runs_in_the_order_of_names_and_may_refuse(store: Store):
    def plugin(name: str):
        def admit(resource: str, operation: str, obj: dict, user: str) -> dict:
            if resource != "pods" or operation != "CREATE":
                return obj
            if obj["metadata"].get("labels", {}).get("bad"):
                raise forbidden("pods", "", obj["metadata"]["name"], f"{name} says no to {user}")
            notes = obj["metadata"].get("annotations", {}).get("seen", "")
            return {**obj, "metadata": {**obj["metadata"], "annotations": {"seen": notes + name}}}

        admit.name = name
        return admit

    store.admission += [plugin("b"), plugin("a")]
    assert store.create("pods", "default", a_pod("p"))["metadata"]["annotations"] == {"seen": "ab"}
    bad = a_pod("q")
    bad["metadata"]["labels"] = {"bad": "yes"}
    with pytest.raises(ApiError, match="a says no to someone") as caught:
        store.create("pods", "default", bad, user="someone")
    assert caught.value.status == 403


def test_a_runtime_class_set_by_admission_counts(store: Store):
    runtime = {"metadata": {"name": "kata"}, "handler": "kata", "overhead": {"podFixed": {"cpu": "250m"}}}
    store.create("runtimeclasses.node.k8s.io", "", runtime)
    store.admission.append(
        lambda _resource, _operation, obj, _user: {**obj, "spec": {**obj["spec"], "runtimeClassName": "kata"}}
    )
    assert store.create("pods", "default", a_pod("p"))["spec"]["overhead"] == {"cpu": "250m"}


def test_quantities_written_as_numbers_become_strings(store: Store):
    made = store.create("pods", "default", a_pod("p"))
    assert made["spec"]["containers"][0]["resources"] == {"requests": {"cpu": "1"}}


def test_a_continue_token_is_gone_after_compaction_and_a_new_one_goes_on(store: Store):
    for number in range(4):
        store.create("configmaps", "default", a_config(f"c{number}"))
    first = store.page("configmaps", "default", Ask(limit=2))
    store.create("configmaps", "default", a_config("c9"))
    store.compact()
    with pytest.raises(ApiError) as caught:
        store.page("configmaps", "default", Ask(limit=2, continue_token=first.continue_token))
    assert (caught.value.status, caught.value.reason) == (410, "Expired")
    rest = store.page("configmaps", "default", Ask(continue_token=caught.value.continue_token))
    assert [record.object["metadata"]["name"] for record in rest.records] == ["c2", "c3", "c9"]


def test_a_list_at_a_past_revision_shows_the_past_while_it_is_kept(store: Store):
    store.create("configmaps", "default", a_config("a"))
    past = str(store.revision)
    store.patch("configmaps", "default", "a", {"data": {"x": "1"}})
    store.create("configmaps", "default", a_config("b"))
    store.delete("configmaps", "default", "a")
    shown = store.page("configmaps", "default", Ask(resource_version=past, match="Exact"))
    assert [record.object.get("data") for record in shown.records] == [None]
    store.compact()
    with pytest.raises(ApiError) as caught:
        store.page("configmaps", "default", Ask(resource_version=past, match="Exact"))
    assert caught.value.status == 410


def test_a_revision_of_the_future_cannot_be_shown(store: Store):
    with pytest.raises(ApiError) as caught:
        store.page("configmaps", "", Ask(resource_version=str(store.revision + 5)))
    assert (caught.value.status, caught.value.reason) == (504, "Timeout")


def test_history_is_bounded():
    store = Store(lambda: START_MS, history_max=10)
    for number in range(50):
        store.create("configmaps", "default", a_config(f"c{number}"))
    collection = store.collection("configmaps")
    assert collection.changes(collection.end - 10, 100) is not None
    assert collection.changes(collection.end - 11, 100) is None


def _running(store: Store, name: str, *, ready: bool = True) -> None:
    pod = a_pod(name)
    pod["metadata"]["labels"] = {"app": "web"}
    store.create("pods", "default", pod)
    store.bind("default", name, "n1")
    condition = {"type": "Ready", "status": "True" if ready else "False"}
    store.patch(
        "pods", "default", name, {"status": {"phase": "Running", "conditions": [condition]}}, subresource="status"
    )


@pytest.mark.parametrize(
    ("rule", "pods", "want_evicted"),
    [
        ({"minAvailable": 1}, 2, 1),
        ({"maxUnavailable": 0}, 2, 0),
        ({"minAvailable": "50%"}, 4, 2),
        ({"maxUnavailable": "25%"}, 4, 1),
    ],
)
def test_a_budget_lets_so_many_pods_go(store: Store, rule: dict, pods: int, want_evicted: int):
    from burster.lab.apiserver.subresources import evict

    selector = {"matchLabels": {"app": "web"}}
    store.create(
        "poddisruptionbudgets.policy", "default", {"metadata": {"name": "b"}, "spec": {"selector": selector, **rule}}
    )
    for number in range(pods):
        _running(store, f"p{number}")
    refusals = []
    for number in range(pods):
        try:
            evict(store, "default", f"p{number}", {}, dry_run=False)
        except ApiError as error:
            refusals.append((error.status, error.reason))
    assert refusals == [(429, "TooManyRequests")] * (pods - want_evicted)


def test_events_are_forgotten_after_an_hour(store: Store, clock: Time):
    def happened(name: str) -> None:
        about = {"kind": "Pod", "name": "p", "namespace": "default"}
        store.create("events", "default", {"metadata": {"name": name}, "involvedObject": about})

    happened("first")
    happened("repeated")
    clock.now_ms += 1_800_000
    store.patch("events", "default", "repeated", {"count": 2})
    clock.now_ms += 1_800_000
    happened("last")
    assert [event["metadata"]["name"] for event in store.list("events")] == ["last", "repeated"]
