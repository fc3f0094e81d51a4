"""What is sent to make an object another: only what its writer changed."""

import pytest

from burster.lab.apiserver.patches import merge_patch
from burster.lab.hollow.differences import merge_difference, object_difference, status_difference


@pytest.mark.parametrize(
    ("old", "new", "want"),
    [
        pytest.param({"a": 1}, {"a": 1}, {}, id="same"),
        pytest.param({"a": 1}, {"a": 2, "b": 3}, {"a": 2, "b": 3}, id="changed-and-new"),
        pytest.param({"a": 1, "b": 2}, {"a": 1}, {"b": None}, id="gone"),
        pytest.param({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, {"a": {"c": 3}}, id="deeper"),
        pytest.param({"a": [1, 2]}, {"a": [1]}, {"a": [1]}, id="lists-are-replaced"),
    ],
)
def test_a_merge_patch_says_what_changed(old: dict, new: dict, want: dict):
    assert merge_difference(old, new) == want
    assert merge_patch(old, want) == new


def test_what_the_server_keeps_and_the_status_are_in_no_patch():
    old = {"metadata": {"name": "a", "resourceVersion": "1", "uid": "u", "finalizers": ["x"]}, "status": {"a": 1}}
    new = {"metadata": {"name": "a", "resourceVersion": "9", "uid": "v", "finalizers": []}, "status": {"a": 2}}
    assert object_difference(old, new) == {"metadata": {"finalizers": []}}


def _pod(phase: str, **conditions: str) -> dict:
    return {
        "status": {
            "phase": phase,
            "conditions": [{"type": kind, "status": value} for kind, value in conditions.items()],
        }
    }


def test_a_status_says_only_the_conditions_that_changed():
    patch = status_difference(
        _pod("Pending", Scheduled="True", Ready="False"), _pod("Running", Scheduled="True", Ready="True")
    )
    assert patch == {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}


def test_a_condition_taken_away_is_deleted_by_its_type():
    patch = status_difference(_pod("Pending", Old="True"), _pod("Pending"))
    assert patch == {"conditions": [{"type": "Old", "$patch": "delete"}]}


def test_the_same_status_is_no_patch():
    assert status_difference(_pod("Running", Ready="True"), _pod("Running", Ready="True")) == {}
