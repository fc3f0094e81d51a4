import pytest

from burster.lab.apiserver.durations import age, human
from burster.lab.apiserver.errors import ApiError
from burster.lab.apiserver.fieldsets import flat, nested, written
from burster.lab.apiserver.jsonpaths import find
from burster.lab.apiserver.patches import json_patch, merge_patch, strategic_merge
from burster.lab.apiserver.podcolumns import pod_cells
from burster.lab.apiserver.selectors import label_selector_matches, label_selector_text


@pytest.mark.parametrize(
    ("seconds", "want_text"),
    [
        (-5, "<invalid>"), (0, "0s"), (119, "119s"), (120, "2m"), (125, "2m5s"), (600, "10m"), (3 * 3600 - 1, "179m"),
        (3 * 3600 + 60, "3h1m"), (8 * 3600, "8h"), (47 * 3600, "47h"), (2 * 86400 + 3600, "2d1h"), (9 * 86400, "9d"),
        (3 * 365 * 86400, "3y"), (9 * 365 * 86400, "9y"),
    ],
)  # fmt: skip
def test_durations_are_written_as_kubectl_does(seconds: int, want_text: str):
    assert human(seconds) == want_text


def test_an_age_without_a_time_is_unknown():
    assert (age("", 0), age("yesterday", 0), age("1970-01-01T00:00:00Z", 7_900)) == ("<unknown>", "<unknown>", "7s")


_OBJECT = {
    "spec": {"size": "large", "a.b": 1, "list": [{"n": 1}, {"n": 2}]},
    "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Other", "status": "False"}]},
}


@pytest.mark.parametrize(
    ("path", "want_values"),
    [
        (".spec.size", ["large"]),
        ("{.spec.size}", ["large"]),
        (".spec['a.b']", [1]),
        (".spec.a\\.b", [1]),
        (".spec.list[*].n", [1, 2]),
        (".spec.list[1].n", [2]),
        (".spec.list[-1].n", [2]),
        (".spec.list[9].n", []),
        ('.status.conditions[?(@.type=="Ready")].status', ["True"]),
        (".status.conditions[?(@.type=='None')].status", []),
        (".nothing.here", []),
    ],
)
def test_json_paths_of_printer_columns(path: str, want_values: list):
    assert find(_OBJECT, path) == want_values


def test_sets_of_fields_survive_their_wire_form():
    paths = {
        ("f:spec", "f:a"),
        ("f:spec", 'k:{"name":"x"}'),
        ("f:spec", 'k:{"name":"x"}', "f:value"),
        ("f:metadata", "f:finalizers", 'v:"keep"'),
    }
    fields = nested(paths)
    assert fields["f:spec"]['k:{"name":"x"}'] == {".": {}, "f:value": {}}
    assert flat(fields) == paths
    assert written(("f:spec", "f:l", 'k:{"name":"x"}', "f:v")) == '.spec.l[name="x"].v'


@pytest.mark.parametrize(
    ("target", "patch", "want_result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ],
)  # fmt: skip
def test_merge_patches_as_their_standard_has_them(target: dict, patch: dict, want_result: dict):
    assert merge_patch(target, patch) == want_result


@pytest.mark.parametrize(
    "operations",
    [
        "text",
        [1],
        [{"op": "fly", "path": "/a"}],
        [{"op": "add", "path": "a", "value": 1}],
        [{"op": "add", "path": "/a"}],
        [{"op": "add", "path": "/list/9", "value": 1}],
        [{"op": "remove", "path": "/list/-"}],
        [{"op": "add", "path": "/a/b", "value": 1}],
        [{"op": "replace", "path": "", "value": 1}],
        [{"op": "copy", "from": "/none", "path": "/x"}],
    ],
)
def test_json_patches_that_make_no_sense_are_refused(operations):
    with pytest.raises(ApiError):
        json_patch({"a": 1, "list": [1, 2]}, operations)


def test_a_json_patch_edits_arrays_and_leaves_the_original_alone():
    document = {"list": [1, 2], "same": {"x": 1}}
    patched = json_patch(
        document, [{"op": "add", "path": "/list/0", "value": 0}, {"op": "add", "path": "/list/-", "value": 3}]
    )
    assert (patched["list"], document["list"]) == ([0, 1, 2, 3], [1, 2])
    assert patched["same"] is document["same"]


def test_strategic_directives():
    target = {"strategy": {"type": "RollingUpdate", "rollingUpdate": {}}, "containers": [{"name": "a"}, {"name": "b"}]}
    assert strategic_merge(target, {"strategy": {"type": "Recreate", "$retainKeys": ["type"]}})["strategy"] == {
        "type": "Recreate"
    }
    assert strategic_merge(target, {"strategy": {"$patch": "replace", "x": 1}})["strategy"] == {"x": 1}
    assert strategic_merge(target, {"strategy": {"$patch": "delete"}})["strategy"] == {}
    order = [{"name": "b"}, {"name": "a"}]
    patched = strategic_merge(
        target, {"$setElementOrder/containers": order, "containers": [{"name": "b", "image": "i"}]}
    )
    assert patched["containers"] == [{"name": "b", "image": "i"}, {"name": "a"}]
    with pytest.raises(ApiError, match="merge key"):
        strategic_merge(target, {"containers": [{"image": "x"}]})


@pytest.mark.parametrize(
    ("selector", "labels", "want"),
    [
        ({}, {}, True),
        ({"matchLabels": {"a": "b"}}, {"a": "b", "c": "d"}, True),
        ({"matchLabels": {"a": "b"}}, {"a": "c"}, False),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}, {"a": "b"}, True),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["b"]}]}, {}, True),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, {}, False),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, {}, True),
    ],
)
def test_label_selector_objects(selector: dict, labels: dict, want: bool):
    assert label_selector_matches(selector, labels) is want


def test_a_label_selector_object_is_written_as_kubectl_does():
    selector = {
        "matchLabels": {"b": "2", "a": "1"},
        "matchExpressions": [{"key": "c", "operator": "In", "values": ["y", "x"]}],
    }
    assert label_selector_text(selector) == "a=1,b=2,c in (x,y)"


def _status(**container) -> dict:
    return {"phase": "Pending", "containerStatuses": [{"ready": False, "restartCount": 2, **container}]}


@pytest.mark.parametrize(
    ("status", "metadata", "want_word"),
    [
        ({"phase": "Pending"}, {}, "Pending"),
        ({"phase": "Failed", "reason": "Evicted"}, {}, "Evicted"),
        (_status(state={"waiting": {"reason": "ContainerCreating"}}), {}, "ContainerCreating"),
        (_status(state={"waiting": {"reason": "CrashLoopBackOff"}}), {}, "CrashLoopBackOff"),
        (_status(state={"terminated": {"exitCode": 3}}), {}, "ExitCode:3"),
        (_status(state={"terminated": {"reason": "Completed", "exitCode": 0}}), {}, "Completed"),
        ({"phase": "Running"}, {"deletionTimestamp": "2027-01-01T00:00:00Z"}, "Terminating"),
        (
            {"phase": "Pending", "conditions": [{"type": "PodScheduled", "reason": "SchedulingGated"}]},
            {},
            "SchedulingGated",
        ),
    ],
)
def test_a_pods_state_in_a_word(status: dict, metadata: dict, want_word: str):
    pod = {"metadata": {"name": "p", **metadata}, "spec": {"containers": [{"name": "c"}]}, "status": status}
    assert pod_cells(pod, 0)[2] == want_word
