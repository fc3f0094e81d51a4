"""Every request that the stand-in knows has an answer, a right that Azure asks for, and a name that faults can use."""

from typing import get_args

import pytest

from burster.lab.arm.answers import Answers
from burster.lab.arm.config import ArmConfig
from burster.lab.arm.faults import Operation
from burster.lab.arm.routes import _PATTERNS, read_call


def _path(pattern):
    names = (f"Name{number}" for number in range(9))
    return "/subscriptions/S/" + "/".join(next(names) if part == "*" else part.upper() for part in pattern.split("/"))


@pytest.mark.parametrize(("method", "pattern", "action", "operation", "right"), _PATTERNS)
def test_each_path_is_understood_in_any_case(method, pattern, action, operation, right):
    call = read_call(method, _path(pattern))
    assert (call.action, call.operation, call.right, call.scope.subscription) == (action, operation, right, "S")
    assert operation in get_args(Operation)
    assert right.startswith("Microsoft.")
    answers = Answers(None, config=ArmConfig, url=str)
    assert action in {"put-vm", "tag-vm"} or action in answers._by_action, "those two wait for their bodies"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PATCH", "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/disks/d"),
        ("GET", "/subscriptions"),
        ("GET", "/subscriptions//locations"),
        ("GET", "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines//instanceView"),
        ("POST", "/subscriptions/s/providers/Microsoft.Authorization/permissions"),
        ("POST", "/api/retail/prices"),
        ("GET", "/"),
    ],
)
def test_what_there_is_not_is_not_understood(method, path):
    assert read_call(method, path) is None


@pytest.mark.parametrize(
    ("scope", "group"),
    [
        ("/subscriptions/s", ""),
        ("/subscriptions/s/resourceGroups/g", "g"),
        ("/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/v/subnets/n", "g"),
    ],
)
def test_rights_can_be_asked_of_any_scope(scope, group):
    call = read_call("GET", f"{scope}/providers/Microsoft.Authorization/permissions")
    assert (call.action, call.path, call.scope.group) == ("list-permissions", scope, group)
