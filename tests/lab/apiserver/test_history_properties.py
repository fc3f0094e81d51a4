"""Whatever is written: a watcher's picture equals a list, and the past can be listed as it was."""

from hypothesis import given, settings
from hypothesis import strategies as st

from burster.lab.apiserver.errors import ApiError
from burster.lab.apiserver.pages import Ask
from burster.lab.apiserver.selectors import compile_selectors
from burster.lab.apiserver.store import Store
from burster.lab.apiserver.watches import Selection

from .conftest import START_MS, a_pod


_NAMES = st.sampled_from(["a", "b", "c", "d"])
_WRITES = st.lists(
    st.one_of(
        st.tuples(st.just("create"), _NAMES, st.just("")),
        st.tuples(st.just("bind"), _NAMES, st.sampled_from(["n1", "n2"])),
        st.tuples(st.just("label"), _NAMES, st.sampled_from(["web", "db"])),
        st.tuples(st.just("phase"), _NAMES, st.sampled_from(["Running", "Failed"])),
        st.tuples(st.just("delete"), _NAMES, st.just("")),
        st.tuples(st.just("kill"), _NAMES, st.just("")),
    ),
    max_size=40,
)
_SELECTORS = st.sampled_from(
    [
        ("", ""),
        ("app=web", ""),
        ("", "spec.nodeName="),
        ("app!=db", "status.phase=Pending"),
        ("", "status.phase=Pending,spec.nodeName="),
    ]
)


def _write(store: Store, verb: str, name: str, value: str) -> None:
    match verb:
        case "create":
            store.create("pods", "default", a_pod(name))
        case "bind":
            store.bind("default", name, value)
        case "label":
            store.patch("pods", "default", name, {"metadata": {"labels": {"app": value}}})
        case "phase":
            store.patch("pods", "default", name, {"status": {"phase": value}}, subresource="status")
        case _:
            store.delete("pods", "default", name, grace_seconds=0 if verb == "kill" else None)


def _shown(store: Store, ask: Ask, labels: str, fields: str) -> dict[str, dict]:
    page = store.page("pods", "default", ask, labels=labels, fields=fields)
    return {record.object["metadata"]["name"]: record.object for record in page.records}


@settings(max_examples=60, deadline=None)
@given(writes=_WRITES, selectors=_SELECTORS)
def test_a_watchers_picture_is_the_list_and_the_past_stays_as_it_was(writes, selectors):
    labels, fields = selectors
    store = Store(lambda: START_MS)
    collection = store.collection("pods")
    selection = Selection("default", compile_selectors(collection.kind, labels=labels, fields=fields))
    picture: dict[str, dict] = {}
    past: dict[int, dict[str, dict]] = {store.revision: {}}
    position = collection.end
    for write in writes:
        try:
            _write(store, *write)
        except ApiError as error:
            if error.status not in (404, 409):
                raise
        changes = collection.changes(position, 1000)
        assert changes is not None
        position += len(changes)
        for change in changes:
            event = selection.event(change)
            if event is None:
                continue
            obj = change.carried(event)
            name = obj["metadata"]["name"]
            assert (event == "ADDED") == (name not in picture)
            assert obj["metadata"]["resourceVersion"] == str(change.revision)
            if event == "DELETED":
                del picture[name]
            else:
                picture[name] = obj
        past[store.revision] = _shown(store, Ask(), labels, fields)
        assert picture == past[store.revision]
    for revision, objects in past.items():
        assert _shown(store, Ask(resource_version=str(revision), match="Exact"), labels, fields) == objects
        paged: dict[str, dict] = {}
        ask = Ask(resource_version=str(revision), match="Exact", limit=1)
        while True:
            page = store.page("pods", "default", ask, labels=labels, fields=fields)
            paged |= {record.object["metadata"]["name"]: record.object for record in page.records}
            if not page.continue_token:
                break
            ask = Ask(limit=1, continue_token=page.continue_token)
        assert paged == objects
