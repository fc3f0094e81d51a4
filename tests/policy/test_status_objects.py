"""Statuses on the wire: what is written fits the schema, and what is read there is taken only where it is as burster writes it."""

from typing import Any

import pytest

from burster.model.instructions import Condition, WriteTargetStatus
from burster.policy.status_objects import target_status_to_object, told_by
from burster.policy.statuses import TargetStatus
from tests.support.builders import T0


READY = Condition(type="Ready", status="False", since_ms=T0 + 999, reason="BreakerOpen", message="m" * 5_000)
STATUS = WriteTargetStatus(
    key="k",
    target="azure",
    generation=4,
    conditions=(READY,),
    offerings=2,
    bursts=3,
    vcpus=12,
    reserved_micro_usd=12_300,
    spent_micro_usd=1_000_000,
)


def test_a_target_s_status_is_all_that_its_schema_names() -> None:
    body = target_status_to_object(STATUS)
    assert (body["kind"], body["metadata"]) == ("BurstTarget", {"name": "azure"})
    assert set(body["status"]) == {field.alias for field in TargetStatus.model_fields.values()}
    assert body["status"] == {
        "observedGeneration": 4,
        "conditions": [
            {
                "type": "Ready",
                "status": "False",
                "observedGeneration": 4,
                "lastTransitionTime": "2026-01-05T08:00:00Z",
                "reason": "BreakerOpen",
                "message": "m" * 1_024,
            }
        ],
        "offerings": 2,
        "bursts": 3,
        "vcpus": 12,
        "reservedUsd": "$0.0123",
        "spentUsd": "$1.0000",
    }


def test_what_is_written_is_read_back_to_the_second() -> None:
    assert told_by(target_status_to_object(STATUS)) == {"Ready": ("False", T0)}


GOOD = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-05T08:00:00Z"}


@pytest.mark.parametrize(
    "status",
    [
        pytest.param(None, id="none"),
        pytest.param("Ready", id="text"),
        pytest.param({}, id="empty"),
        pytest.param({"conditions": "Ready"}, id="conditions that are text"),
        pytest.param({"conditions": [7, None, [], "x"]}, id="conditions that are none"),
        pytest.param({"conditions": [{**GOOD, "type": "Mine"}]}, id="another's condition"),
        pytest.param({"conditions": [{**GOOD, "type": ["Ready"]}]}, id="a type that is a list"),
        pytest.param({"conditions": [{**GOOD, "status": "Perhaps"}]}, id="no status"),
        pytest.param({"conditions": [{**GOOD, "status": {}}]}, id="a status that is a mapping"),
        pytest.param({"conditions": [{**GOOD, "lastTransitionTime": 7}]}, id="a time that is a number"),
        pytest.param({"conditions": [{**GOOD, "lastTransitionTime": "yesterday"}]}, id="no time"),
        pytest.param({"conditions": [{**GOOD, "lastTransitionTime": "2026-01-05T08:00:00"}]}, id="a time of no zone"),
        pytest.param({"conditions": [{**GOOD, "lastTransitionTime": "9" * 100_000}]}, id="an endless time"),
        pytest.param({"conditions": [{}] * 16 + [GOOD]}, id="behind more than a status has"),
    ],
)
def test_what_is_not_as_burster_writes_it_is_not_taken(status: Any) -> None:
    assert told_by({"status": status}) == {}


def test_the_others_are_taken_beside_it() -> None:
    assert told_by({"status": {"conditions": [{"type": "Mine"}, GOOD]}}) == {"Ready": ("True", T0)}
